//! From the lines of a recording to a [`Session`].
//!
//! Version 1 says neither which connection a line belongs to nor who ended it, and its times count from the start of the
//! connection. The challenge carries the gateway's clock, so every connection's start is known to the millisecond, and a
//! line belongs to the connection on which its time comes next; request ids, nonces and close reasons decide where two
//! could be meant. Version 2 says it all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::format::{Direction, IndexEntry, Line};
use super::session::{
    Action, Case, Connection, Edit, Entry, Leaving, NotReplayed, Outgoing, Page, Reason, Seen, Session, Step,
    What,
};
use super::signing::{self, Signing};
use super::{sequence, words};

/// How far two clocks of one machine and the time between sending and receiving may be apart, milliseconds.
const SLACK_MS: i64 = 8;
/// A silent connection that was closed with 1000 this soon was closed by its client, milliseconds.
const NO_TIMEOUT_BEFORE_MS: u64 = 2_500;

/// Events that belong to the handshake and to pairing. Others (`health`, `presence`, `tick` …) are what a gateway does
/// besides; they are counted and not compared.
pub const EVENTS_COMPARED: [&str; 6] = [
    "connect.challenge",
    "device.pair.requested",
    "device.pair.resolved",
    "node.pair.requested",
    "node.pair.resolved",
    "shutdown",
];

/// Makes a case of its lines.
#[must_use]
pub fn case(name: &str, entry: &IndexEntry, lines: &[Line]) -> Case {
    let setting = words::setting(&entry.config, lines);
    let mut reading = Reading {
        session: Session::default(),
        conns: Vec::new(),
        now: 0,
        step_name: None,
        signed: Vec::new(),
        trusted: setting.trusted.clone(),
        proxied: setting.forwarded_for.clone(),
        templates: connects(lines),
        terminated: false,
        own_actions: entry.format >= 2,
        in_words: setting.in_words,
        description: entry.description.to_ascii_lowercase(),
    };
    for line in lines {
        reading.line(line);
    }
    reading.finish();
    Case {
        name: name.to_owned(),
        release: entry.version.clone(),
        config: setting.config,
        session: reading.session,
    }
}

/// Every connect frame of the recording: templates for those of which only the length was kept.
fn connects(lines: &[Line]) -> Vec<Value> {
    lines
        .iter()
        .filter(|line| line.dir == Direction::Out && is_connect(&line.data))
        .map(|line| line.data.clone())
        .collect()
}

/// What is known of a connection while reading.
#[derive(Debug, Default)]
struct Conn {
    number: Option<u64>,
    /// Its start on the gateway's clock.
    base: Option<i64>,
    /// Its latest line, as the line counts.
    last_ms: u64,
    step: usize,
    answered: bool,
    challenged: bool,
    /// Ids of requests without an answer, with their steps.
    open: Vec<(String, usize)>,
    connects: usize,
    sent: usize,
    accepted: bool,
    /// Reason that the close should have.
    last_error: Option<String>,
    closed: bool,
    /// Ids of calls that are not sent, because their parameters were left out of the recording.
    unsent: Vec<String>,
    /// Its upgrade failed; only its close is to come.
    failed: bool,
}

struct Reading {
    session: Session,
    conns: Vec<Conn>,
    /// The latest time seen.
    now: i64,
    step_name: Option<String>,
    /// Signed texts of notes that no connect has claimed.
    signed: Vec<(String, Option<bool>)>,
    trusted: Vec<IpAddr>,
    proxied: Option<String>,
    templates: Vec<Value>,
    terminated: bool,
    own_actions: bool,
    /// The configuration is given in words: the gateway had a history of its own.
    in_words: bool,
    description: String,
}

impl Reading {
    fn line(&mut self, line: &Line) {
        match line.dir {
            Direction::Note => self.note(line),
            Direction::Http => self.http(line),
            Direction::In => self.incoming(line),
            Direction::Out => self.outgoing(line),
            Direction::Close => self.close(line),
            Direction::Action => self.action(line),
            Direction::Error => self.error(line),
            Direction::Ping => {}
        }
    }

    fn push(&mut self, line: &Line, step: usize, what: What) {
        self.session.timeline.push(Entry { line: line.number, at_ms: self.now, step, what });
    }

    fn step(&mut self, name: String) -> usize {
        self.session.steps.push(Step { name });
        self.session.steps.len() - 1
    }

    fn skip(&mut self, line: &Line, what: impl Into<String>, reason: Reason) {
        self.session.not_replayed.push(NotReplayed { line: line.number, what: what.into(), reason });
    }

    // ---------------------------------------------------------------- time and connections

    /// The time of a line on connection `index`.
    fn time(&self, index: usize, line: &Line) -> Option<i64> {
        if line.conn.is_some() {
            return i64::try_from(line.t_ms).ok();
        }
        let base = self.conns.get(index)?.base?;
        Some(base + i64::try_from(line.t_ms).ok()?)
    }

    fn advance(&mut self, index: usize, line: &Line) {
        if let Some(at) = self.time(index, line) {
            self.now = self.now.max(at);
        }
        if let Some(conn) = self.conns.get_mut(index) {
            conn.last_ms = conn.last_ms.max(line.t_ms);
        }
    }

    /// The connection that a line belongs to: of those that `fits` allows, the one on which its time comes next.
    fn owner(&self, line: &Line, fits: impl Fn(&Conn) -> bool) -> Option<usize> {
        if let Some(number) = line.conn {
            return self.conns.iter().position(|conn| conn.number == Some(number));
        }
        let mut best: Option<(i64, usize)> = None;
        for (index, conn) in self.conns.iter().enumerate() {
            // Within a connection time does not go back.
            if conn.closed || line.t_ms < conn.last_ms || !fits(conn) {
                continue;
            }
            // A connection without a challenge has no clock; it is the youngest, and its lines come at once.
            let at = self.time(index, line).unwrap_or(self.now);
            let score =
                if at + SLACK_MS < self.now { i64::MAX / 4 + self.now - at } else { (at - self.now).abs() };
            if best.is_none_or(|(other, _)| score <= other) {
                best = Some((score, index));
            }
        }
        best.map(|(_, index)| index)
    }

    // ---------------------------------------------------------------- kinds of lines

    fn note(&mut self, line: &Line) {
        if let Some(text) = line.data.get("signedPayload").and_then(Value::as_str) {
            let good = line.data.get("signature").and_then(Value::as_str).map(|state| state == "good");
            self.signed.push((text.to_owned(), good));
            return;
        }
        if let Some(name) = line.data.get("step").and_then(Value::as_str) {
            self.restart_before(line, name);
            self.edit_before(line, name);
            self.step_name = Some(name.to_owned());
            return;
        }
        if line.data.get("cli").is_some() {
            let what = line.data.get("cli").map(ToString::to_string).unwrap_or_default();
            self.unknown(line, what, Reason::CommandLine);
            return;
        }
        let Some(text) = line.data.as_str() else { return };
        match words::edit(text, self.last_device().as_deref()) {
            words::Words::Nothing => {}
            words::Words::Edit(edit) => {
                let step = self.step(format!("edit: {text}"));
                self.push(line, step, What::Act(Action::Edit(edit)));
            }
            words::Words::Unclear => self.unknown(line, text, Reason::Words),
        }
    }

    /// Something that cannot be done again, and on which everything after it may depend.
    fn unknown(&mut self, line: &Line, what: impl Into<String>, reason: Reason) {
        let what = what.into();
        let step = self.step(what.clone());
        self.skip(line, what, reason);
        self.push(line, step, What::Act(Action::Unknown));
    }

    fn edit_before(&mut self, line: &Line, name: &str) {
        if self.own_actions {
            return;
        }
        let Some(edit) = words::edit_before(name, self.last_device().as_deref()) else { return };
        let step = self.step(format!("edit before \"{name}\""));
        self.push(line, step, What::Act(Action::Edit(edit)));
    }

    /// The device of the latest connect that was not an administrator's.
    fn last_device(&self) -> Option<String> {
        self.session.timeline.iter().rev().find_map(|entry| match &entry.what {
            What::Send(_, Outgoing::Connect { frame, .. }) => {
                frame.pointer("/params/device/id").and_then(Value::as_str).map(str::to_owned)
            }
            _ => None,
        })
    }

    /// A step that calls itself "after restart" was preceded by one.
    fn restart_before(&mut self, line: &Line, name: &str) {
        if self.own_actions || !name.to_ascii_lowercase().contains("after restart") {
            return;
        }
        let step = self.step(format!("restart before \"{name}\""));
        if !self.terminated {
            let kill = self.description.contains("sigkill");
            self.push(line, step, What::Act(if kill { Action::Kill } else { Action::Terminate }));
        }
        self.push(line, step, What::Act(Action::Start));
        self.terminated = false;
        for conn in &mut self.conns {
            conn.closed = true;
        }
    }

    fn http(&mut self, line: &Line) {
        if let Some(request) = line.data.get("request") {
            self.request(line, request);
        } else if let Some(name) = line.data.get("step").and_then(Value::as_str) {
            self.plain(line, name);
        } else {
            self.upgrade_answer(line);
        }
    }

    fn request(&mut self, line: &Line, request: &Value) {
        let url = request.get("url").and_then(Value::as_str).unwrap_or("/");
        let (authority, path) = split_url(url);
        let mut connection = Connection { path, authority, ..Connection::default() };
        for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let Some(value) = value.as_str() else { continue };
            match name.to_ascii_lowercase().as_str() {
                // Those of the upgrade itself are the replay's own.
                "sec-websocket-version"
                | "sec-websocket-key"
                | "connection"
                | "upgrade"
                | "sec-websocket-extensions"
                | "content-length" => {}
                "host" if connection.authority.is_empty() => connection.authority = value.to_owned(),
                _ => connection.headers.push((name.clone(), value.to_owned())),
            }
        }
        if let Some(forwarded) = &self.proxied
            && !forwards(&connection.headers)
        {
            connection.headers.push(("X-Forwarded-For".to_owned(), forwarded.clone()));
        }
        connection.from = request
            .get("from")
            .and_then(Value::as_str)
            .and_then(|from| from.parse().ok())
            .or_else(|| self.dialled_from(&connection.headers));
        let name = self.step_name.take().unwrap_or_else(|| format!("connection {}", self.conns.len() + 1));
        let step = self.step(name);
        self.session.connections.push(connection);
        self.conns.push(Conn { number: line.conn, step, ..Conn::default() });
        self.push(line, step, What::Open(self.conns.len() - 1));
    }

    /// Forwarding headers come from a trusted proxy where the configuration names one that a client can dial from.
    fn dialled_from(&self, headers: &[(String, String)]) -> Option<IpAddr> {
        let other = |address: &&IpAddr| **address != IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxy = self.trusted.iter().find(other).copied();
        let title = self.step_name.as_deref().unwrap_or_default().to_ascii_lowercase();
        if title.starts_with("direct ") || title.starts_with("untrusted ") {
            return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        if forwards(headers) { proxy.or(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))) } else { None }
    }

    fn plain(&mut self, line: &Line, name: &str) {
        let Some(path) = name.strip_prefix("GET ") else {
            self.skip(line, name, Reason::Words);
            return;
        };
        let text = |key: &str| line.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let page = Page {
            status: status(&line.data),
            content_type: text("contentType"),
            subprotocol: None,
            body: text("body"),
        };
        let step = self.step(name.to_owned());
        self.push(line, step, What::Get(path.to_owned()));
        self.push(line, step, What::SawPage(page));
    }

    fn upgrade_answer(&mut self, line: &Line) {
        let Some(index) = self.owner(line, |conn| !conn.answered) else {
            self.skip(line, "answer to an upgrade", Reason::UnknownConnection);
            return;
        };
        let header = |name: &str| {
            line.data.pointer("/headers").and_then(Value::as_object).and_then(|headers| {
                headers
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .and_then(|(_, value)| value.as_str())
            })
        };
        let page = Page {
            status: status(&line.data),
            content_type: header("content-type").map(str::to_owned),
            subprotocol: header("sec-websocket-protocol").map(str::to_owned),
            body: line.data.get("body").and_then(Value::as_str).map(str::to_owned),
        };
        if let (Some(protocol), Some(connection)) =
            (&page.subprotocol, self.session.connections.get_mut(index))
            && !connection.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
        {
            // Version 1 keeps no such header; a gateway only ever echoes the first one that is offered.
            connection.headers.push(("Sec-WebSocket-Protocol".to_owned(), protocol.clone()));
        }
        self.advance(index, line);
        let now = self.now;
        if let Some(conn) = self.conns.get_mut(index) {
            conn.answered = true;
            if page.status != 101 {
                // No challenge will tell when this one began.
                conn.base = i64::try_from(line.t_ms).ok().map(|since| now - since);
            }
            let step = conn.step;
            self.push(line, step, What::Saw(index, Seen::Answer(page)));
        }
    }

    fn incoming(&mut self, line: &Line) {
        let frame = &line.data;
        let event = frame.get("event").and_then(Value::as_str);
        if event == Some("connect.challenge") {
            self.challenge(line);
            return;
        }
        if let Some(event) = event {
            self.event(line, event);
            return;
        }
        let id = frame.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let hello = frame.get("ok").and_then(Value::as_bool) == Some(true)
            && frame.pointer("/payload/type").and_then(Value::as_str) == Some("hello-ok");
        if line.conn.is_some()
            && let Some(conn) = self.conns.iter_mut().find(|conn| conn.number == line.conn)
            && let Some(place) = conn.unsent.iter().position(|unsent| *unsent == id)
        {
            conn.unsent.remove(place);
            return;
        }
        let waits = |conn: &Conn| {
            conn.open.iter().any(|(open, _)| *open == id) && (!hello || !conn.accepted || conn.connects > 1)
                || id == "invalid" && conn.accepted
        };
        let Some(index) = self.owner(line, waits) else {
            self.skip(line, format!("answer to request {id}"), Reason::UnknownConnection);
            return;
        };
        self.advance(index, line);
        let Some(conn) = self.conns.get_mut(index) else { return };
        let place = conn.open.iter().position(|(open, _)| *open == id);
        let step = place.map_or(conn.step, |place| conn.open.remove(place).1);
        if hello {
            conn.accepted = true;
        }
        if !conn.accepted {
            conn.last_error = frame.pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
        }
        if frame.get("abridged").is_some() {
            conn.accepted |= frame.get("ok").and_then(Value::as_bool) == Some(true);
        }
        self.push(line, step, What::Saw(index, Seen::Frame(frame.clone())));
    }

    fn challenge(&mut self, line: &Line) {
        let Some(index) = self.owner(line, |conn| !conn.challenged && (conn.answered || line.conn.is_some()))
        else {
            self.skip(line, "challenge", Reason::UnknownConnection);
            return;
        };
        let at = line.data.pointer("/payload/ts").and_then(Value::as_i64);
        if let Some(connection) = self.session.connections.get_mut(index) {
            connection.nonce = line.data.pointer("/payload/nonce").and_then(Value::as_str).map(str::to_owned);
            connection.challenged_at = at;
        }
        if let (Some(conn), Some(at), Ok(since)) = (self.conns.get_mut(index), at, i64::try_from(line.t_ms)) {
            conn.base = Some(at - since);
        }
        self.opened_at(index);
        self.advance(index, line);
        if let Some(conn) = self.conns.get_mut(index) {
            conn.challenged = true;
            let step = conn.step;
            self.push(line, step, What::Saw(index, Seen::Frame(line.data.clone())));
        }
    }

    /// Gives the request of a connection its time, which only the challenge tells.
    fn opened_at(&mut self, index: usize) {
        let Some(base) = self.conns.get(index).and_then(|conn| conn.base) else { return };
        let first = self.now == 0;
        for entry in self.session.timeline.iter_mut().rev() {
            let own = matches!(&entry.what, What::Open(other) | What::Saw(other, Seen::Answer(_)) if *other == index);
            if first || own {
                entry.at_ms = base.max(entry.at_ms);
            }
            if !first && matches!(entry.what, What::Open(other) if other == index) {
                break;
            }
        }
    }

    fn event(&mut self, line: &Line, event: &str) {
        let owner = self.owner(line, |conn| conn.accepted);
        if let Some(index) = owner {
            self.advance(index, line);
        }
        if !EVENTS_COMPARED.contains(&event) {
            *self.session.events_not_compared.entry(event.to_owned()).or_default() += 1;
            return;
        }
        let Some(index) = owner else {
            self.skip(line, format!("event {event}"), Reason::UnknownConnection);
            return;
        };
        if event == "shutdown" && !self.own_actions && !self.terminated {
            self.terminated = true;
            let step = self.step("SIGTERM".to_owned());
            self.push(line, step, What::Act(Action::Terminate));
        }
        let step = self.session.steps.len().saturating_sub(1);
        self.push(line, step, What::Saw(index, Seen::Frame(line.data.clone())));
    }

    fn outgoing(&mut self, line: &Line) {
        let nonce = line.data.pointer("/params/device/nonce").and_then(Value::as_str);
        let own = nonce.and_then(|nonce| {
            self.session.connections.iter().position(|connection| connection.nonce.as_deref() == Some(nonce))
        });
        let own = own
            .filter(|index| self.conns.get(*index).is_some_and(|conn| !conn.closed) && line.conn.is_none());
        let accepted = !is_connect(&line.data) && line.data.get("method").is_some();
        let fits = |conn: &Conn| conn.challenged && (conn.accepted == accepted || conn.sent > 0 || !accepted);
        let Some(index) = own.or_else(|| self.owner(line, fits)) else {
            self.skip(line, describe(&line.data), Reason::UnknownConnection);
            return;
        };
        self.advance(index, line);
        if line.data.get("params").and_then(Value::as_str).is_some_and(|text| text.starts_with("<abridged")) {
            self.skip(line, describe(&line.data), Reason::Abridged);
            if let (Some(conn), Some(id)) =
                (self.conns.get_mut(index), line.data.get("id").and_then(Value::as_str))
            {
                conn.unsent.push(id.to_owned());
            }
            return;
        }
        let nonce = self.session.connections.get(index).and_then(|connection| connection.nonce.clone());
        let Some(message) = self.message(line, nonce.as_deref()) else {
            self.skip(line, describe(&line.data), Reason::UnknownBytes);
            return;
        };
        let Some(conn) = self.conns.get_mut(index) else { return };
        let first = conn.sent == 0;
        conn.sent += 1;
        let mut step = conn.step;
        let request = match &message {
            Outgoing::Frame(frame) | Outgoing::Connect { frame, .. } => Some(frame.clone()),
            Outgoing::Text(text) => serde_json::from_str::<Value>(text).ok(),
            Outgoing::Binary(_) => None,
        };
        if !first {
            let opened = self.session.steps.get(step).map(|step| step.name.clone()).unwrap_or_default();
            let what = request.as_ref().map_or_else(|| "text".to_owned(), describe);
            step = self.step(format!("{opened}: {what}"));
        }
        if let (Some(frame), Some(conn)) = (&request, self.conns.get_mut(index)) {
            if let Some(id) = frame.get("id").and_then(Value::as_str) {
                conn.open.push((id.to_owned(), step));
            }
            if is_connect(frame) {
                conn.connects += 1;
            }
        }
        self.push(line, step, What::Send(index, message));
    }

    /// What was sent; `None` when its bytes are not known.
    fn message(&mut self, line: &Line, nonce: Option<&str>) -> Option<Outgoing> {
        match &line.data {
            Value::String(text) => words::cut_text(text).map(Outgoing::Text),
            frame if is_connect(frame) => {
                let signing = self.signing(frame, nonce);
                Some(Outgoing::Connect { frame: frame.clone(), signing, binary: false })
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("binaryFrame") => {
                let frame = object.get("binaryFrame")?;
                if is_connect(frame) {
                    let signing = self.signing(frame, nonce);
                    return Some(Outgoing::Connect { frame: frame.clone(), signing, binary: true });
                }
                Some(Outgoing::Binary(frame.to_string().into_bytes()))
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("binary") => {
                let length = usize::try_from(object.get("binary")?.as_u64()?).ok()?;
                self.binary(length)
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("base64") => {
                use base64::Engine as _;
                let text = object.get("base64")?.as_str()?;
                base64::engine::general_purpose::STANDARD.decode(text).ok().map(Outgoing::Binary)
            }
            frame => Some(Outgoing::Frame(frame.clone())),
        }
    }

    /// How a connect was signed: version 2 says whether the signature was good, and leaves it out.
    fn signing(&mut self, frame: &Value, nonce: Option<&str>) -> Signing {
        match self.claim(frame) {
            Some((text, Some(true))) => Signing::Over(text),
            Some((text, Some(false))) => Signing::Wrong(text),
            Some((text, None)) => signing::analyse(frame, Some(&text), nonce),
            None if self.own_actions && frame.pointer("/params/device").is_some() => Signing::Literal,
            None => signing::analyse(frame, None, nonce),
        }
    }

    /// The signed text that was noted for this connect: same device and time, the latest.
    fn claim(&mut self, frame: &Value) -> Option<(String, Option<bool>)> {
        let at = frame.pointer("/params/device/signedAt").and_then(Value::as_i64)?.to_string();
        let nonce = frame.pointer("/params/device/nonce").and_then(Value::as_str);
        let exact = self.signed.iter().rposition(|(text, _)| {
            signing::marks(text)
                .is_some_and(|(_, time, signed)| time == at && signed.is_none_or(|s| Some(s) == nonce))
        });
        let place = exact.or_else(|| {
            // A deliberate mistake may be in the very marks: then the text noted last, which stands right before.
            (!self.signed.is_empty()).then(|| self.signed.len() - 1)
        })?;
        Some(self.signed.remove(place))
    }

    /// A binary message of which only the length was kept: a connect, when a text was signed for it and a connect of the
    /// same recording comes out at exactly this length; otherwise a few bytes that are no JSON.
    fn binary(&mut self, length: usize) -> Option<Outgoing> {
        let Some((text, _)) = self.signed.last().cloned() else {
            return (length <= 16).then(|| {
                Outgoing::Binary([0xff, 0x00, 0xfe].iter().copied().cycle().take(length).collect())
            });
        };
        let (device, at, nonce) = signing::marks(&text)?;
        for template in &self.templates {
            let mut frame = template.clone();
            let object = frame.pointer_mut("/params/device")?.as_object_mut()?;
            object.insert("id".to_owned(), device.into());
            // Its key is nowhere; the mark of redaction makes it that of the id.
            object.insert("publicKey".to_owned(), format!("{:x<43}", "<host>").into());
            object.insert("signedAt".to_owned(), at.parse::<i64>().ok()?.into());
            if let Some(nonce) = nonce {
                object.insert("nonce".to_owned(), nonce.into());
            }
            let same = signing::guesses(&frame, nonce).contains(&text);
            if same && frame.to_string().len() == length {
                self.signed.pop();
                return Some(Outgoing::Connect { frame, signing: Signing::Over(text), binary: true });
            }
        }
        None
    }

    /// What the client's library said of a connection that did not come about.
    fn error(&mut self, line: &Line) {
        let refused = line
            .data
            .get("message")
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains("ECONNREFUSED"));
        let index = if let Some(number) = line.conn {
            self.conns.iter().position(|conn| conn.number == Some(number))
        } else if refused {
            self.conns.iter().rposition(|conn| !conn.answered && !conn.closed)
        } else {
            self.conns.iter().position(|conn| conn.answered && !conn.challenged && !conn.closed)
        };
        let Some((index, conn)) = index.and_then(|index| Some((index, self.conns.get_mut(index)?))) else {
            return;
        };
        conn.failed = true;
        if refused && !conn.answered {
            conn.answered = true;
            let (step, page) =
                (conn.step, Page { body: Some("connection refused".to_owned()), ..Page::default() });
            self.push(line, step, What::Saw(index, Seen::Answer(page)));
        }
    }

    fn close(&mut self, line: &Line) {
        let code = line
            .data
            .get("code")
            .and_then(Value::as_u64)
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(1006);
        let reason = line.data.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        let by = line.data.get("by").and_then(Value::as_str);
        let said = |conn: &Conn| {
            conn.last_error.as_deref().is_some_and(|error| error.starts_with(reason.trim_end_matches('…')))
        };
        let by_gateway = !matches!(code, 1000 | 1001 | 1005 | 1006);
        let failed = self.conns.iter().position(|conn| conn.failed && !conn.closed);
        let owner = failed
            .filter(|_| code == 1006 && line.conn.is_none())
            .or_else(|| {
                self.owner(line, |conn| conn.base.is_some() && by_gateway && !reason.is_empty() && said(conn))
            })
            .or_else(|| {
                self.owner(line, |conn| conn.base.is_some() && (by_gateway || conn.last_error.is_none()))
            })
            .or_else(|| self.owner(line, |_| true));
        let Some(index) = owner else {
            // The proxy that made some recordings notes the end of both its legs.
            if by != Some("client") {
                self.skip(line, format!("close {code} {reason}"), Reason::UnknownConnection);
            }
            return;
        };
        self.advance(index, line);
        let terminated = self.terminated;
        let Some(conn) = self.conns.get_mut(index) else { return };
        if conn.closed {
            return;
        }
        conn.closed = true;
        let refused_upgrade = !conn.challenged && code == 1006;
        let by_client = match by {
            Some(by) => by == "client",
            None => match code {
                1000 => conn.accepted || (conn.sent == 0 && line.t_ms < NO_TIMEOUT_BEFORE_MS),
                1001 | 1005 => true,
                1006 => !terminated,
                _ => false,
            },
        };
        let (step, challenged) = (conn.step, conn.challenged);
        if refused_upgrade || !challenged && by.is_some() {
            return;
        }
        if by_client {
            let how = if code == 1006 {
                Leaving::Drop
            } else {
                Leaving::Close(if code == 1005 { 1000 } else { code })
            };
            self.leave(line, index, step, how);
        } else {
            self.push(line, step, What::Saw(index, Seen::Close { code, reason }));
        }
    }

    /// A client leaves before it opens its next connection, but the recording notes the end only when it has come, which may
    /// be while the next upgrade is under way, or the next call of another connection.
    fn leave(&mut self, line: &Line, index: usize, step: usize, how: Leaving) {
        let conn_of = |index: &usize| self.conns.get(*index);
        let underway = self.session.timeline.iter().rposition(|entry| match &entry.what {
            What::Open(other) if *other != index => conn_of(other).is_some_and(|conn| !conn.answered),
            What::Send(other, Outgoing::Frame(frame)) if *other != index => {
                let id = frame.get("id").and_then(Value::as_str);
                conn_of(other).is_some_and(|conn| conn.open.iter().any(|(open, _)| Some(open.as_str()) == id))
            }
            _ => false,
        });
        let entry = Entry { line: line.number, at_ms: self.now, step, what: What::Leave(index, how) };
        match underway.filter(|_| !self.own_actions) {
            Some(place) => self.session.timeline.insert(place, entry),
            None => self.session.timeline.push(entry),
        }
    }

    fn action(&mut self, line: &Line) {
        if let Ok(at) = i64::try_from(line.t_ms) {
            self.now = self.now.max(at);
        }
        let text = |key: &str| line.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = text("kind").unwrap_or_default();
        let device = text("deviceId");
        let action = match (kind.as_str(), device) {
            ("terminate", _) => Some(Action::Terminate),
            ("kill", _) => Some(Action::Kill),
            ("start", _) => Some(Action::Start),
            ("set-scopes", Some(device)) => {
                let scopes = line.data.get("scopes").and_then(Value::as_array);
                let scopes =
                    scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
                Some(Action::Edit(Edit::Scopes { device, scopes }))
            }
            ("drop-entry", Some(device)) => Some(Action::Edit(Edit::Drop { device })),
            _ => None,
        };
        let Some(action) = action else {
            self.skip(line, kind, Reason::Words);
            return;
        };
        let step = self.step(kind);
        self.push(line, step, What::Act(action));
    }

    fn finish(&mut self) {
        self.session.races = sequence::races(&self.session);
        if !self.own_actions {
            sequence::signal_before_refusals(&mut self.session);
        }
        if self.in_words {
            sequence::earlier_sessions(&mut self.session);
        }
        let sent = |entry: &Entry| matches!(entry.what, What::Open(_) | What::Get(_));
        if !self.session.timeline.iter().any(sent) {
            self.session.not_replayed.push(NotReplayed {
                line: 0,
                what: "the whole case".to_owned(),
                reason: Reason::NothingRecorded,
            });
            self.session.timeline.clear();
        }
    }
}

pub(super) fn is_connect(frame: &Value) -> bool {
    frame.get("method").and_then(Value::as_str) == Some("connect")
        && frame.get("params").is_some_and(Value::is_object)
}

fn describe(frame: &Value) -> String {
    match frame.get("method").and_then(Value::as_str) {
        Some(method) => format!("{method} #{}", frame.get("id").and_then(Value::as_str).unwrap_or("?")),
        None => "text".to_owned(),
    }
}

pub(super) fn forwards(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, _)| {
        let name = name.to_ascii_lowercase();
        // Who the user is says `x-forwarded-user`, which a client can send as well.
        ["forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
            .contains(&name.as_str())
    })
}

fn status(data: &Value) -> u16 {
    data.get("status")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or_default()
}

fn split_url(url: &str) -> (String, String) {
    let Some((_, rest)) = url.split_once("://") else { return (String::new(), url.to_owned()) };
    match rest.find('/') {
        Some(place) => {
            let (authority, path) = rest.split_at(place);
            (authority.to_owned(), path.to_owned())
        }
        None => (rest.to_owned(), "/".to_owned()),
    }
}

/// Counts steps by name, for tests and reports.
#[must_use]
pub fn steps_by_name(session: &Session) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for step in &session.steps {
        *counts.entry(step.name.as_str()).or_default() += 1;
    }
    counts
}
