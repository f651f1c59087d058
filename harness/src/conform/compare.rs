//! Holds what the replay saw against what was recorded, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::identity::{Identities, Pairing, is_device_id};
use super::session::{Page, Seen};

/// One field of one step, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Name of the field, for example `error.details.reason`.
    pub field: String,
    /// What was recorded and what came, when they differ.
    pub difference: Option<(String, String)>,
}

/// Longest value that a difference shows, bytes.
const SHOWN_MAX: usize = 300;
/// A damaged name that is shorter may be what is left of several, bytes.
const DAMAGED_NAME_MIN: usize = 24;
/// Text of a side that has no such field.
const ABSENT: &str = "(absent)";

/// Keys whose values differ from run to run by nature; only that both have one, of the same JSON type, is compared.
const VOLATILE: [&str; 22] = [
    "ts",
    "uptimeMs",
    "durationMs",
    "connId",
    "bootId",
    "buildId",
    "gatewayBuildId",
    "nonce",
    "version",
    "host",
    "commit",
    "controlUiBuildSource",
    "recoveryScope",
    "configPath",
    "stateDir",
    "appliedConfigHash",
    "signedAt",
    "seq",
    "instanceId",
    "remoteHost",
    "canvasHostUrl",
    "stateVersion",
];

/// Times since 1970 in milliseconds are recognised by the end of their key.
fn is_time(key: &str) -> bool {
    key.ends_with("AtMs") || key.ends_with("At")
}

/// Keys whose values are names given by the gateway: the same recorded one must always be the same live one.
const NAMES: [&str; 5] = ["requestId", "deviceToken", "token", "approvedRequestId", "replacedRequestId"];

/// Parts of a hello of which only the keys are compared: what a gateway can do besides the handshake.
pub const KEYS_ONLY: [&str; 5] =
    ["features", "snapshot", "controlUiWidgetKinds", "controlUiLinkReaders", "pluginSurfaceUrls"];

/// A comparison in progress.
#[derive(Debug)]
pub struct Comparison<'a> {
    identities: &'a mut Identities,
    /// Devices that the replay has introduced to the gateway (live ids); entries of others in a list are left out.
    present: &'a BTreeSet<String>,
    prefix: String,
    /// Whether the content of an accepted call is compared.
    content: bool,
    compared: Vec<Compared>,
    /// List entries of devices that an earlier, unreplayed session left.
    foreign: usize,
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub struct Result {
    /// Field by field.
    pub compared: Vec<Compared>,
    /// List entries left out because they belong to devices that the recorded session did not introduce.
    pub foreign: usize,
}

impl<'a> Comparison<'a> {
    /// A comparison that uses and extends `identities`.
    pub fn new(identities: &'a mut Identities, present: &'a BTreeSet<String>) -> Self {
        Self { identities, present, prefix: String::new(), content: true, compared: Vec::new(), foreign: 0 }
    }

    /// The compared answer is one to this method. What others than those of pairing and tokens give is not the
    /// handshake's: of them only acceptance, or the whole error, is compared.
    #[must_use]
    pub fn of_method(mut self, method: &str) -> Self {
        self.content = ["", "connect"].contains(&method)
            || ["device.", "node.pair."].iter().any(|start| method.starts_with(start));
        self
    }

    /// Compares what a connection gave.
    #[must_use]
    pub fn seen(mut self, recorded: &Seen, live: &Seen) -> Result {
        match (recorded, live) {
            (Seen::Answer(recorded), Seen::Answer(live)) => self.page(recorded, live),
            (Seen::Frame(recorded), Seen::Frame(live)) => self.frame(recorded, live),
            (Seen::Close { code, reason }, Seen::Close { code: live_code, reason: live_reason }) => {
                self.field("close.code", &code.to_string(), &live_code.to_string());
                self.text("close.reason", reason, live_reason);
            }
            (recorded, live) => self.field("kind", kind(recorded), kind(live)),
        }
        Result { compared: self.compared, foreign: self.foreign }
    }

    /// Compares an HTTP answer.
    #[must_use]
    pub fn page_only(mut self, recorded: &Page, live: &Page) -> Result {
        self.page(recorded, live);
        Result { compared: self.compared, foreign: self.foreign }
    }

    fn page(&mut self, recorded: &Page, live: &Page) {
        self.field("http.status", &recorded.status.to_string(), &live.status.to_string());
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| ABSENT.to_owned());
        if recorded.status == 101 {
            self.field("http.subprotocol", &text(&recorded.subprotocol), &text(&live.subprotocol));
            return;
        }
        self.field("http.contentType", &text(&recorded.content_type), &text(&live.content_type));
        let Some(body) = &recorded.body else { return };
        // The control UI is a page of its own; that there is one is what status and content type say.
        if recorded.status == 200 && text(&recorded.content_type).starts_with("text/html") {
            return;
        }
        // Version 1 cut long bodies; what is left of a JSON text can neither be read nor held against a whole one.
        if body.starts_with('{') && serde_json::from_str::<Value>(body).is_err() {
            return;
        }
        let live_body = text(&live.body);
        match (serde_json::from_str::<Value>(body), serde_json::from_str::<Value>(&live_body)) {
            (Ok(recorded), Ok(live)) => self.value("http.body", "body", &recorded, Some(&live)),
            _ => self.field("http.body", body, &live_body),
        }
    }

    fn frame(&mut self, recorded: &Value, live: &Value) {
        let event = recorded.get("event").and_then(Value::as_str);
        if let Some(event) = event {
            self.prefix = format!("event {event}: ");
            self.value(
                "payload",
                "payload",
                recorded.get("payload").unwrap_or(&Value::Null),
                live.get("payload"),
            );
            let has = |frame: &Value| frame.get("seq").is_some().to_string();
            self.field("seq present", &has(recorded), &has(live));
            return;
        }
        let accepted = |frame: &Value| frame.get("ok").and_then(Value::as_bool).unwrap_or_default();
        let hello =
            |frame: &Value| frame.pointer("/payload/type").and_then(Value::as_str) == Some("hello-ok");
        self.field("id", &show(recorded.get("id")), &show(live.get("id")));
        if accepted(recorded) != accepted(live) {
            self.field("accepted", &brief(recorded), &brief(live));
            return;
        }
        self.agree("accepted");
        if recorded.get("abridged").is_some() {
            return;
        }
        if !accepted(recorded) {
            self.value("error", "error", recorded.get("error").unwrap_or(&Value::Null), live.get("error"));
            return;
        }
        let empty = Value::Null;
        let (recorded, live) = (recorded.get("payload").unwrap_or(&empty), live.get("payload"));
        if hello(&serde_json::json!({"payload": recorded})) {
            self.hello(recorded, live.unwrap_or(&empty));
        } else if self.content {
            self.value("payload", "payload", recorded, live);
        }
    }

    fn hello(&mut self, recorded: &Value, live: &Value) {
        let empty = Map::new();
        let (recorded, live) = (recorded.as_object().unwrap_or(&empty), live.as_object().unwrap_or(&empty));
        for (key, value) in recorded {
            let name = format!("hello.{key}");
            if value.as_str().is_some_and(|text| text.starts_with("<abridged")) {
                continue;
            }
            if KEYS_ONLY.contains(&key.as_str()) {
                self.field(&name, &keys(Some(value)), &keys(live.get(key)));
            } else {
                self.value(&name, key, value, live.get(key));
            }
        }
        for key in live.keys().filter(|key| !recorded.contains_key(*key)) {
            self.differ(&format!("hello.{key}"), ABSENT, &show(live.get(key)));
        }
    }

    /// Compares a JSON value called `key`, and what is in it.
    fn value(&mut self, name: &str, key: &str, recorded: &Value, live: Option<&Value>) {
        // What the recording left out cannot be compared.
        if recorded.as_str().is_some_and(|text| text.starts_with("<abridged")) {
            return;
        }
        let Some(live) = live else {
            self.differ(name, &show(Some(recorded)), ABSENT);
            return;
        };
        match (recorded, live) {
            (Value::Object(recorded), Value::Object(live)) => {
                for (key, value) in recorded {
                    self.value(&format!("{name}.{key}"), key, value, live.get(key));
                }
                for key in live.keys().filter(|key| !recorded.contains_key(*key)) {
                    self.differ(&format!("{name}.{key}"), ABSENT, &show(live.get(key)));
                }
                if recorded.is_empty() && live.is_empty() {
                    self.agree(name);
                }
            }
            (Value::Array(recorded), Value::Array(live)) => self.list(name, key, recorded, live),
            (Value::String(recorded), Value::String(live)) => self.string(name, key, recorded, live),
            (Value::Number(recorded), Value::Number(number)) => {
                let times = is_time(key) || VOLATILE.contains(&key);
                if times {
                    self.agree(name);
                } else if key == "retryAfterMs" {
                    self.about(name, recorded.as_f64(), number.as_f64(), live);
                } else {
                    self.field(name, &recorded.to_string(), &number.to_string());
                }
            }
            _ if VOLATILE.contains(&key) && same_type(recorded, live) => self.agree(name),
            _ => {
                let (recorded, live) = (show(Some(recorded)), show(Some(live)));
                self.field(name, &recorded, &live);
            }
        }
    }

    /// What is left of a lock-out depends on when one asks: a second, or a tenth, is the clock's.
    fn about(&mut self, name: &str, recorded: Option<f64>, number: Option<f64>, live: &Value) {
        let (Some(recorded), Some(number)) = (recorded, number) else { return };
        if (recorded - number).abs() <= (recorded * 0.1).max(1000.0) && (recorded > 1000.0)
            || recorded == number
        {
            self.agree(name);
        } else {
            self.differ(name, &recorded.to_string(), &live.to_string());
        }
    }

    fn string(&mut self, name: &str, key: &str, recorded: &str, live: &str) {
        if VOLATILE.contains(&key) {
            self.agree(name);
        } else if NAMES.contains(&key) {
            self.name(name, recorded, live);
        } else if key == "publicKey" {
            // A key stands for its device, whose id is compared; that it is that device's key is checked here.
            let of = |text: &str| super::signing::raw_key(text).map(|raw| protocol::device_id(&raw));
            let expected = of(recorded).map(|id| self.identities.text(&id));
            if recorded.contains("<host>") || expected == of(live) {
                self.agree(name);
            } else {
                self.differ(name, recorded, live);
            }
        } else {
            self.text(name, recorded, live);
        }
    }

    /// A name given by the gateway.
    fn name(&mut self, field: &str, recorded: &str, live: &str) {
        // A redaction that hit a token made the same of it every time.
        if recorded.contains("<host>") && recorded.len() < DAMAGED_NAME_MIN {
            self.agree(field);
            return;
        }
        match self.identities.pair(recorded, live) {
            Pairing::Same => self.agree(field),
            Pairing::Expected(known) => {
                self.differ(
                    field,
                    &format!("{} again", mask(field, recorded)),
                    &format!("not {} again but {}", mask(field, &known), mask(field, live)),
                );
            }
            Pairing::Taken(other) => self.differ(
                field,
                &format!("a new one ({})", mask(field, recorded)),
                &format!("{}, which stands for {}", mask(field, live), mask(field, &other)),
            ),
        }
    }

    /// A text that may hold identifiers.
    fn text(&mut self, name: &str, recorded: &str, live: &str) {
        let translated = self.translate(recorded, live);
        if translated == live {
            self.agree(name);
        } else {
            self.differ(name, &translated, live);
        }
    }

    /// The recorded text with the replay's identifiers. An identifier that is new on both sides and stands at the same
    /// place becomes a pair; one that the cut of a close reason took the end of is cut on both sides.
    fn translate(&mut self, recorded: &str, live: &str) -> String {
        if is_device_id(&recorded.to_ascii_lowercase()) {
            return self.identities.text(recorded);
        }
        let mut text = String::with_capacity(recorded.len());
        let mut rest = recorded;
        while let Some((before, found, after)) = next_uuid(rest) {
            text.push_str(before);
            let here = live.get(text.len()..).and_then(|live| live.get(..found.len()));
            match here {
                Some(here) if is_uuid(here) => match self.identities.pair(found, here) {
                    Pairing::Same => text.push_str(here),
                    Pairing::Expected(known) => text.push_str(&known),
                    Pairing::Taken(_) => text.push_str(found),
                },
                _ => text.push_str(&self.identities.token(found)),
            }
            rest = after;
        }
        // A cut identifier at the end: the pair is known from the frame.
        if let Some(place) = rest.find("(requestId: ") {
            let (head, cut) = rest.split_at(place + "(requestId: ".len());
            if let Some(whole) = self.identities.longer(cut) {
                text.push_str(head);
                text.push_str(whole.get(..cut.len()).unwrap_or(&whole));
                return text;
            }
        }
        text.push_str(rest);
        text
    }

    /// Lists of entries with a name are matched by it, others by place. Order is a field of its own.
    fn list(&mut self, name: &str, key: &str, recorded: &[Value], live: &[Value]) {
        let identity = ["requestId", "deviceId", "role"].into_iter().find(|id| {
            !recorded.is_empty()
                && recorded.iter().chain(live).all(|entry| entry.get(*id).is_some_and(Value::is_string))
        });
        let identity = identity.or_else(|| {
            let by_request = matches!(key, "pending");
            let by_device = matches!(key, "paired");
            by_request.then_some("requestId").or_else(|| by_device.then_some("deviceId"))
        });
        let Some(identity) = identity else {
            if recorded.iter().chain(live).any(Value::is_object) {
                self.field(&format!("{name}.length"), &recorded.len().to_string(), &live.len().to_string());
                for (place, (recorded, live)) in recorded.iter().zip(live).enumerate() {
                    self.value(&format!("{name}[{place}]"), key, recorded, Some(live));
                }
            } else {
                let texts = |list: &[Value]| {
                    list.iter().map(|value| show(Some(value))).collect::<Vec<_>>().join(", ")
                };
                self.field(name, &format!("[{}]", texts(recorded)), &format!("[{}]", texts(live)));
            }
            return;
        };
        let id =
            |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut order = Vec::new();
        let mut left: Vec<&Value> = live.iter().collect();
        for entry in recorded {
            let device = self.identities.text(&id(entry, "deviceId"));
            if entry.get("deviceId").is_some() && !self.present.contains(&device) {
                self.foreign += 1;
                continue;
            }
            let wanted = match identity {
                "deviceId" => device.clone(),
                "requestId" => self.identities.token(&id(entry, identity)),
                _ => id(entry, identity),
            };
            let exact = left.iter().position(|other| id(other, identity) == wanted);
            // A request that nobody has named yet is found by its device.
            let place = exact.or_else(|| {
                let unnamed = identity == "requestId" && !self.identities.knows(&id(entry, identity));
                unnamed.then(|| left.iter().position(|other| id(other, "deviceId") == device)).flatten()
            });
            let Some(place) = place else {
                self.differ(&format!("{name}[{identity}]"), &show(Some(entry)), ABSENT);
                continue;
            };
            let other = left.remove(place);
            order.push(live.iter().position(|value| std::ptr::eq(value, other)).unwrap_or_default());
            self.value(&format!("{name}[]"), key, entry, Some(other));
        }
        for other in left {
            if other.get("deviceId").is_some() && !self.present.contains(&id(other, "deviceId")) {
                self.foreign += 1;
                continue;
            }
            self.differ(&format!("{name}[{identity}]"), ABSENT, &show(Some(other)));
        }
        if order.len() > 1 && identity != "role" {
            self.field(
                &format!("{name} order"),
                "as recorded",
                if order.is_sorted() { "as recorded" } else { "another" },
            );
        }
    }

    fn field(&mut self, name: &str, recorded: &str, live: &str) {
        if recorded == live { self.agree(name) } else { self.differ(name, recorded, live) }
    }

    fn agree(&mut self, name: &str) {
        self.compared.push(Compared { field: format!("{}{name}", self.prefix), difference: None });
    }

    fn differ(&mut self, name: &str, recorded: &str, live: &str) {
        let difference = Some((cut(recorded), cut(live)));
        self.compared.push(Compared { field: format!("{}{name}", self.prefix), difference });
    }
}

/// A connect that raced the decision on its own device: it is either accepted with what it asked for, or waits for approval.
/// The request that it then made is not known, because either may have come first.
#[must_use]
pub fn race(asked: Option<&Value>, live: &Value) -> Compared {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let right = if live.get("ok").and_then(Value::as_bool) == Some(true) {
        let role = asked.and_then(|asked| text(asked, "/params/role"));
        let granted = text(live, "/payload/auth/role");
        text(live, "/payload/type").as_deref() == Some("hello-ok") && (granted.is_none() || granted == role)
    } else {
        text(live, "/error/code").as_deref() == Some("NOT_PAIRED")
            && text(live, "/error/details/requestId").is_some_and(|id| is_uuid(&id))
    };
    let difference = (!right).then(|| ("yes, or no: NOT_PAIRED".to_owned(), brief(live)));
    Compared { field: "race.outcome".to_owned(), difference }
}

fn kind(seen: &Seen) -> &'static str {
    match seen {
        Seen::Answer(_) => "answer to the upgrade",
        Seen::Frame(_) => "frame",
        Seen::Close { .. } => "close",
    }
}

/// A secret is never shown, only told from another.
fn mask(field: &str, name: &str) -> String {
    if field.ends_with("oken") {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(name.as_bytes());
        return format!("token {}", hex::encode(digest.get(..3).unwrap_or_default()));
    }
    name.to_owned()
}

fn brief(frame: &Value) -> String {
    if frame.get("ok").and_then(Value::as_bool) == Some(true) {
        return "yes".to_owned();
    }
    let text = |pointer: &str| frame.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let reason = text("/error/details/reason");
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    format!("no: {} {}{reason}", text("/error/code"), text("/error/message"))
}

fn keys(value: Option<&Value>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(Value::Object(object)) => {
            // Where the recording left the values out, it kept the keys.
            let kept = object.get("<abridged keys>").and_then(Value::as_array);
            let keys: BTreeSet<&str> = match kept {
                Some(kept) => kept.iter().filter_map(Value::as_str).collect(),
                None => object.keys().map(String::as_str).collect(),
            };
            // Whether a newer release is known depends on the network, not on the gateway.
            keys.into_iter().filter(|key| !key.starts_with("update")).collect::<Vec<_>>().join(", ")
        }
        Some(other) => type_of(other).to_owned(),
    }
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn same_type(one: &Value, other: &Value) -> bool {
    type_of(one) == type_of(other)
}

fn show(value: Option<&Value>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => {
            let mut value = value.clone();
            hide(&mut value);
            value.to_string()
        }
    }
}

/// Takes tokens out of what is shown.
fn hide(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if matches!(key.as_str(), "token" | "deviceToken") && value.is_string() {
                    *value = "(hidden)".into();
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide),
        _ => {}
    }
}

fn cut(text: &str) -> String {
    if text.len() <= SHOWN_MAX {
        return text.to_owned();
    }
    let mut end = SHOWN_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len())
}

/// `8-4-4-4-12` hex digits.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn next_uuid(text: &str) -> Option<(&str, &str, &str)> {
    let starts = text.char_indices().map(|(place, _)| place);
    for place in starts {
        if let Some(found) = text.get(place..place + 36).filter(|found| is_uuid(found)) {
            return Some((text.get(..place)?, found, text.get(place + 36..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests;
