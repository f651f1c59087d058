//! `[gateway]`: which gateway is started, how it is configured, and what its store holds.

use std::net::IpAddr;

use protocol::ProfileName;
use serde_json::{Map, Value as Json};

use super::diagnostic::Sink;
use super::document::{Entry, Node, Table, Value};
use super::launch::{self, Choices};
use super::names::list;
use super::reader::{Fields, Problem, count, text, word};
use crate::vocabulary::{AuthMode, GatewayPlan};

/// Profiles that the oracle knows.
pub const PROFILES: [ProfileName; 6] = ProfileName::ALL;

const STORES: [&str; 1] = ["json"];

/// Reads `[gateway]`; an absent table means the defaults.
pub(super) fn read(scenario: &Fields<'_>, choices: &Choices) -> GatewayPlan {
    let fields = scenario.table("gateway");
    let (profile, launch) = launch::read(fields.as_ref(), choices, scenario.sink);
    let mut gateway = GatewayPlan {
        profile,
        launch,
        config: Json::Object(Map::new()),
        auth: AuthMode::Token,
        trusted_proxies: Vec::new(),
        allowed_origins: Vec::new(),
        allow_real_ip_fallback: false,
        stored_bystanders: 0,
        defect: None,
    };
    let Some(fields) = fields else { return gateway };
    if let Some(config) = fields.table("config") {
        read_config(&config, &mut gateway);
    }
    if let Some(store) = fields.table("store") {
        store.read("backend", |node| supported(node, &STORES, "store"));
        gateway.stored_bystanders = store.read("devices", count(0, super::COUNT_MAX)).unwrap_or(0);
        store.finish();
    }
    fields.finish();
    gateway
}

fn supported(node: &Node, known: &[&str], what: &str) -> Result<(), Problem> {
    let name = text(node)?;
    if known.contains(&name.as_str()) {
        return Ok(());
    }
    Err(Problem {
        code: "not-supported",
        message: format!("the {what} `{name}` is not supported yet"),
        help: Some(format!("supported: {}", list(known))),
    })
}

/// `[gateway.config]` is `openclaw.json`: its keys are OpenClaw's own and are handed on; those that verdicts depend on
/// are understood as well.
fn read_config(config: &Fields<'_>, gateway: &mut GatewayPlan) {
    refuse_credentials(config.entries(), config.sink);
    gateway.config = object(config.entries());
    let Some(fields) = config.table("gateway") else { return };
    for key in ["port", "bind"] {
        if let Some(entry) = fields.entry(key) {
            let help = Some(format!("leave `{key}` out: the run chooses the address, on loopback"));
            config.sink.report("conflict", &entry.at, format!("`{key}` is not the scenario's to set"), help);
        }
    }
    if let Some(auth) = fields.table("auth") {
        let modes = [("token", AuthMode::Token), ("password", AuthMode::Password), ("none", AuthMode::None)];
        gateway.auth = auth.read("mode", word(&modes)).unwrap_or(AuthMode::Token);
    }
    gateway.trusted_proxies = listed(&fields, "trustedProxies", check_proxy);
    gateway.allow_real_ip_fallback =
        fields.read("allowRealIpFallback", super::reader::truth).unwrap_or_default();
    if let Some(control_ui) = fields.table("controlUi") {
        gateway.allowed_origins = listed(&control_ui, "allowedOrigins", |_| Ok(()));
    }
}

/// A list of texts, each checked at its own place.
fn listed(
    fields: &Fields<'_>,
    key: &'static str,
    check: impl Fn(&str) -> Result<(), Problem>,
) -> Vec<String> {
    let items = fields.read(key, |node| match &node.value {
        Value::Array(items) => Ok(items.as_slice()),
        _ => Err(Problem { code: "type", message: "wanted a list of texts".to_owned(), help: None }),
    });
    let mut texts = Vec::new();
    for item in items.unwrap_or_default() {
        match text(item).and_then(|text| check(&text).map(|()| text)) {
            Ok(text) => texts.push(text),
            Err(problem) => {
                let message = format!("`{key}`: {}", problem.message);
                fields.sink.report(problem.code, &item.span, message, problem.help);
            }
        }
    }
    texts
}

fn check_proxy(text: &str) -> Result<(), Problem> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: Option<IpAddr> = address.parse().ok();
    let prefix_fits = prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= 128));
    match address {
        Some(IpAddr::V4(v4)) if prefix_fits && v4.octets().starts_with(&[127, 3]) => Err(Problem {
            code: "address",
            message: format!(
                "`{text}` lies in 127.3.0.0/16, whose addresses stand for proxies that are not trusted"
            ),
            help: Some("trusted proxies have addresses in 127.2.0.0/16".to_owned()),
        }),
        Some(_) if prefix_fits => Ok(()),
        _ => Err(Problem {
            code: "value",
            message: format!("`{text}` is neither an address nor a range"),
            help: Some("for example \"127.2.0.1\" or \"127.2.0.0/16\"".to_owned()),
        }),
    }
}

/// Credentials belong to the run: one that stood in a scenario would stand in a repository.
fn refuse_credentials(entries: &[Entry], sink: &Sink) {
    for entry in entries {
        match &entry.node.value {
            Value::Table(table) => refuse_credentials(&table.entries, sink),
            Value::Array(items) => {
                for item in items {
                    if let Value::Table(table) = &item.value {
                        refuse_credentials(&table.entries, sink);
                    }
                }
            }
            _ => {}
        }
        let key = entry.key.to_ascii_lowercase();
        let secret = ["token", "password", "secret", "apikey"].iter().any(|end| key.ends_with(end));
        let scalar = !matches!(entry.node.value, Value::Table(_) | Value::Bool(_));
        if secret && scalar {
            sink.hide(&entry.node.span);
            let help =
                Some("leave it out: the run makes the credentials of the gateway it starts".to_owned());
            sink.report(
                "credential",
                &entry.at,
                format!("`{}` would put a credential into the scenario", entry.key),
                help,
            );
        }
    }
}

fn object(entries: &[Entry]) -> Json {
    Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect())
}

pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) | Value::Datetime(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::from(*number),
        // JSON has no NaN and no infinity.
        Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Table(Table { entries }) => object(entries),
        Value::Broken => Json::Null,
    }
}
