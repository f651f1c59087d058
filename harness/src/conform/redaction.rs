//! What a recording may not hold, and what stands there instead.
//!
//! Every secret gets a stable placeholder, so that what was equal stays equal: a device token that comes back later is the
//! same placeholder. Content that has nothing to do with the handshake is left out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

/// Most secrets of one recording; what comes after is replaced by one placeholder for all.
const SECRETS_MAX: usize = 10_000;
/// Shortest text that is also replaced where it stands inside another one.
const INSIDE_MIN: usize = 6;

/// Placeholders by what they stand for.
#[derive(Default)]
pub struct Secrets {
    known: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Secrets {
    /// The placeholder of a secret: `kind-N`. An empty text stays empty.
    pub fn learn(&mut self, kind: &'static str, secret: &str) -> String {
        if secret.is_empty() {
            return String::new();
        }
        if let Some(known) = self.known.get(secret) {
            return known.clone();
        }
        if self.known.values().any(|placeholder| placeholder == secret) {
            return secret.to_owned();
        }
        if self.known.len() >= SECRETS_MAX {
            return format!("{kind}-more");
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let placeholder =
            if kind == ADDRESS { format!("198.51.100.{count}") } else { format!("{kind}-{count}") };
        self.known.insert(secret.to_owned(), placeholder.clone());
        placeholder
    }

    /// `text` without the secrets that are known so far.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        if let Some(placeholder) = self.known.get(text) {
            return placeholder.clone();
        }
        let mut inside: Vec<(&String, &String)> = self
            .known
            .iter()
            .filter(|(secret, _)| secret.len() >= INSIDE_MIN && text.contains(*secret))
            .collect();
        // The longest first: a secret may hold another one.
        inside.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        let mut text = text.to_owned();
        for (secret, placeholder) in inside {
            text = text.replace(secret.as_str(), placeholder);
        }
        text
    }

    /// Cleans every text of a value.
    pub fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean(text),
            Value::Array(list) => list.iter_mut().for_each(|value| self.clean_value(value)),
            Value::Object(object) => object.values_mut().for_each(|value| self.clean_value(value)),
            _ => {}
        }
    }
}

/// Kind of public addresses: they are replaced by ones of a documentation range.
const ADDRESS: &str = "address";

/// Learns the secrets of a configuration and replaces them.
pub fn config(secrets: &mut Secrets, config: &mut Value) {
    let Some(auth) = config.pointer_mut("/auth").and_then(Value::as_object_mut) else { return };
    for (key, kind) in [("token", "shared-token"), ("password", "password")] {
        if let Some(value) = auth.get_mut(key)
            && let Some(text) = value.as_str()
        {
            *value = secrets.learn(kind, text).into();
        }
    }
}

/// Learns what a connect holds.
pub fn connect(secrets: &mut Secrets, frame: &Value) {
    let auth = frame.pointer("/params/auth").and_then(Value::as_object);
    for (key, value) in auth.into_iter().flatten() {
        if let Some(text) = value.as_str() {
            secrets.learn(if key == "password" { "unknown-password" } else { "unknown-token" }, text);
        }
    }
    for pointer in ["/params/client/displayName", "/params/pathEnv", "/params/client/instanceId"] {
        if let Some(text) = frame.pointer(pointer).and_then(Value::as_str) {
            secrets.learn("private", text);
        }
    }
}

/// Learns the tokens that a gateway hands out: every text under a key that names one.
pub fn handed_out(secrets: &mut Secrets, value: &Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value.as_str()) {
                    ("token" | "deviceToken", Some(text)) => {
                        secrets.learn("device-token", text);
                    }
                    ("bootstrapToken" | "setupCode", Some(text)) => {
                        secrets.learn("bootstrap-token", text);
                    }
                    ("recoveryScope", Some(text)) => {
                        secrets.learn("recovery", text);
                    }
                    ("host", Some(text)) => {
                        secrets.learn("host", text);
                    }
                    ("displayName" | "operatorLabel" | "label", Some(text)) => {
                        secrets.learn("private", text);
                    }
                    _ => handed_out(secrets, value),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| handed_out(secrets, value)),
        _ => {}
    }
}

/// Replaces what a hello tells beside the handshake by its keys.
pub fn hello(payload: &mut Value) {
    let Some(object) = payload.as_object_mut() else { return };
    for key in super::compare::KEYS_ONLY {
        if let Some(value) = object.get_mut(key) {
            *value = match &*value {
                Value::Object(inner) => json!({"<abridged keys>": inner.keys().collect::<Vec<_>>()}),
                Value::Array(_) => json!([]),
                other => other.clone(),
            };
        }
    }
    for key in ["canvasHostUrl"] {
        if let Some(value) = object.get_mut(key)
            && value.is_string()
        {
            *value = "<url>".into();
        }
    }
}

/// What stands for content that is left out.
#[must_use]
pub fn abridged(value: &Value) -> Value {
    format!("<abridged {} bytes>", value.to_string().len()).into()
}

/// Learns what headers hold, and gives them as they may be kept. Public addresses become ones of a documentation range.
pub fn headers(secrets: &mut Secrets, headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let value = match lower.as_str() {
            "authorization" | "proxy-authorization" | "cookie" | "x-api-key" => {
                secrets.learn("header", value)
            }
            "forwarded" | "x-forwarded-for" | "x-real-ip" => {
                for part in
                    value.split(|c: char| c == ',' || c == ';' || c == '=' || c == '"' || c.is_whitespace())
                {
                    if part.parse::<IpAddr>().is_ok_and(|address| is_private_data(&address)) {
                        secrets.learn(ADDRESS, part);
                    }
                }
                secrets.clean(value)
            }
            _ => secrets.clean(value),
        };
        kept.push((name.clone(), value));
    }
    kept
}

/// A path whose query may hold credentials.
pub fn path(secrets: &mut Secrets, path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return secrets.clean(path) };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => {
                let lower = key.to_ascii_lowercase();
                let secret =
                    ["token", "password", "auth", "key", "code"].iter().any(|word| lower.contains(word));
                format!("{key}={}", if secret { secrets.learn("query", value) } else { secrets.clean(value) })
            }
            None => secrets.clean(pair),
        })
        .collect();
    format!("{}?{}", secrets.clean(path), pairs.join("&"))
}

/// An address that tells something of a person: neither loopback, nor private, nor of documentation.
fn is_private_data(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_loopback()
                || address.is_private()
                || address.is_documentation()
                || address.is_link_local()
                || address.is_unspecified())
        }
        IpAddr::V6(address) => !(address.is_loopback() || address.is_unspecified()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_get_equal_placeholders_and_are_found_inside_texts() {
        let mut secrets = Secrets::default();
        assert_eq!(secrets.learn("device-token", "abcdefgh"), "device-token-1");
        assert_eq!(secrets.learn("device-token", "ijklmnop"), "device-token-2");
        assert_eq!(secrets.learn("unknown-token", "abcdefgh"), "device-token-1");
        assert_eq!(secrets.learn("unknown-token", "device-token-1"), "device-token-1");
        let mut value = json!({"a": ["v2|x|abcdefgh|n"], "b": "ijklmnop"});
        secrets.clean_value(&mut value);
        assert_eq!(value, json!({"a": ["v2|x|device-token-1|n"], "b": "device-token-2"}));
        assert!(!format!("{secrets:?}").contains("abcdefgh"));
    }

    #[test]
    fn headers_and_paths_lose_what_tells_of_people() {
        let mut secrets = Secrets::default();
        let given = [
            ("Authorization".to_owned(), "Bearer hush-hush".to_owned()),
            ("X-Forwarded-For".to_owned(), "127.0.0.1, 8.8.8.8, 203.0.113.7".to_owned()),
            ("Origin".to_owned(), "http://localhost:5173".to_owned()),
        ];
        let kept = headers(&mut secrets, &given);
        assert_eq!(kept[0].1, "header-1");
        assert_eq!(kept[1].1, "127.0.0.1, 198.51.100.1, 203.0.113.7");
        assert_eq!(kept[2].1, "http://localhost:5173");
        assert_eq!(path(&mut secrets, "/ws?token=verysecret&x=1"), "/ws?token=query-1&x=1");
        assert_eq!(secrets.clean("remoteIp 8.8.8.8"), "remoteIp 198.51.100.1");
    }

    #[test]
    fn a_hello_keeps_the_keys_of_what_is_left_out() {
        let mut payload =
            json!({"type": "hello-ok", "snapshot": {"presence": [{"host": "mine"}]}, "policy": {"a": 1}});
        hello(&mut payload);
        assert_eq!(payload["snapshot"], json!({"<abridged keys>": ["presence"]}));
        assert_eq!(payload["policy"], json!({"a": 1}));
    }
}
