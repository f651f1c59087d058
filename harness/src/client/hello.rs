//! What of a gateway's hello-ok matters to a handshake, read without building the rest.
//!
//! A real hello-ok has 15 KB, of which the grant takes 200 bytes. Parsing it typed costs as much as signing (8 µs, measured
//! before the project began). So [`scan`] walks over it from string to string, and takes only messages that look exactly as
//! gateways write them; whatever looks otherwise goes through [`parse`], which decides.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;
use serde_json::value::RawValue;

/// How every gateway seen begins its answer to the first request.
const BEGINNING: &[u8] = br#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":"#;

/// The part of hello-ok that matters, borrowed from the message.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Hello<'m> {
    /// `protocol`
    pub protocol: u32,
    /// `auth`, if there is one.
    #[serde(borrow, default)]
    pub auth: Option<HelloAuth<'m>>,
}

/// `hello.auth`. Holds a secret.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HelloAuth<'m> {
    /// The token issued.
    #[serde(borrow, default)]
    pub device_token: Option<Text<'m>>,
    /// Its role.
    #[serde(borrow)]
    pub role: Text<'m>,
    /// Its scopes, as sent.
    #[serde(borrow)]
    pub scopes: Vec<Text<'m>>,
}

impl std::fmt::Debug for HelloAuth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelloAuth")
            .field("role", &self.role)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Borrows from the message unless the text has escapes; a bare `Option<Cow<str>>` or `Vec<Cow<str>>` would always copy.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Text<'m>(#[serde(borrow)] Cow<'m, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The key that says what a payload is.
#[derive(Deserialize)]
struct Kind<'m> {
    #[serde(rename = "type", borrow)]
    kind: Text<'m>,
}

/// Reads the payload of a response; `None` when it is no hello-ok.
#[must_use]
pub fn parse(payload: Option<&RawValue>) -> Option<Hello<'_>> {
    let text = payload?.get();
    let kind: Kind<'_> = serde_json::from_str(text).ok()?;
    if *kind.kind != *protocol::hello::TYPE {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Reads a whole message that is an acceptance written as gateways write it; `None` when it is anything else, however
/// valid. Of what it passes over it checks strings and brackets, and no more.
#[must_use]
pub fn scan(message: &[u8]) -> Option<Hello<'_>> {
    let mut at = message.strip_prefix(BEGINNING).map(|_| BEGINNING.len())?;
    let digits = message.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let protocol = std::str::from_utf8(message.get(at..at + digits)?).ok()?.parse().ok()?;
    at += digits;
    let mut auth = None;
    loop {
        match message.get(at)? {
            b',' => {
                let key_end = skip_string(message, at + 1)?;
                let key = message.get(at + 1..key_end)?;
                if *message.get(key_end)? != b':' {
                    return None;
                }
                let value_end = skip_value(message, key_end + 1)?;
                let value = message.get(key_end + 1..value_end)?;
                match key {
                    // Twice the same key is for the parser to judge.
                    b"\"auth\"" if auth.is_some() => return None,
                    b"\"auth\"" => auth = Some(serde_json::from_slice(value).ok()?),
                    b"\"type\"" | b"\"protocol\"" => return None,
                    _ => {}
                }
                at = value_end;
            }
            b'}' => break,
            _ => return None,
        }
    }
    // The payload is the last key of the frame.
    (message.get(at..)? == b"}}").then_some(Hello { protocol, auth })
}

/// Where the string that begins at `at` ends.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if *bytes.get(found)? == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Where the value that begins at `at` ends.
fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at),
        b'{' | b'[' => skip_nest(bytes, at),
        _ => {
            let rest = bytes.get(at..)?;
            let len = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?;
            (len > 0).then_some(at + len)
        }
    }
}

fn skip_nest(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::Frame;
    use serde_json::{Value, json};

    use super::*;

    const FIXTURES: [&str; 4] = [
        include_str!("../../../protocol/fixtures/2026.2.19.jsonl"),
        include_str!("../../../protocol/fixtures/2026.2.21.jsonl"),
        include_str!("../../../protocol/fixtures/2026.3.13.jsonl"),
        include_str!("../../../protocol/fixtures/2026.9.6.jsonl"),
    ];

    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        frame: Option<&'a RawValue>,
    }

    fn parsed(message: &[u8]) -> Option<Hello<'_>> {
        match Frame::decode(message) {
            Ok(Frame::Response(response)) if response.ok => parse(response.payload),
            _ => None,
        }
    }

    fn message(rest: &Value) -> Vec<u8> {
        let mut text = String::from_utf8(BEGINNING.to_vec()).unwrap();
        text.push('3');
        for (key, value) in rest.as_object().unwrap() {
            text.push_str(&format!(",{}:{value}", json!(key)));
        }
        text.push_str("}}");
        text.into_bytes()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\],:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_stands_around_it_the_grant_is_the_parsers(
            before in proptest::collection::btree_map("[a-e\"]{1,3}", any_json(), 0..4),
            role in any::<String>(), scopes in proptest::collection::vec(any::<String>(), 0..4),
            token in proptest::option::of(any::<String>()),
        ) {
            let mut rest = json!(before);
            let mut auth = json!({"role": role, "scopes": scopes, "issuedAtMs": 1});
            if let Some(token) = &token { auth["deviceToken"] = json!(token); }
            rest["auth"] = auth;
            rest["policy"] = json!({"maxPayload": 1});
            let message = message(&rest);
            let scanned = scan(&message);
            prop_assert!(scanned.is_some());
            prop_assert_eq!(scanned, parsed(&message));
        }

        #[test]
        fn what_it_takes_the_parser_takes_too_when_a_byte_is_changed(at in 0_usize..400, byte in any::<u8>()) {
            let mut bytes = message(&json!({"server": {"v": "1"}, "auth": {"role": "node", "scopes": ["a"]}, "n": [1, {"x": "}"}]}));
            if let Some(changed) = bytes.get_mut(at) { *changed = byte; }
            if let (Some(scanned), Ok(_)) = (scan(&bytes), serde_json::from_slice::<Value>(&bytes)) {
                prop_assert_eq!(Some(scanned), parsed(&bytes));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut message = BEGINNING.to_vec();
            message.extend(bytes);
            let _ = scan(&message);
        }
    }

    #[test]
    fn every_recorded_hello_is_scanned_and_means_what_the_parser_reads() {
        let mut hellos = 0;
        for line in FIXTURES.iter().flat_map(|fixture| fixture.lines()) {
            let Some(frame) = serde_json::from_str::<Line<'_>>(line).unwrap().frame else { continue };
            let Some((head, payload)) = frame.get().split_once(r#","payload":{"type":"hello-ok""#) else {
                continue;
            };
            // Recorders number their requests; a client's first is number 1.
            assert!(
                head.starts_with(r#"{"type":"res","id":""#) && head.ends_with(r#"","ok":true"#),
                "{head}"
            );
            let message =
                format!(r#"{{"type":"res","id":"1","ok":true,"payload":{{"type":"hello-ok"{payload}"#);
            let scanned = scan(message.as_bytes());
            assert!(scanned.is_some(), "{message}");
            assert_eq!(scanned, parsed(message.as_bytes()));
            hellos += 1;
        }
        assert!(hellos >= 15, "{hellos}");
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_the_parser() {
        for text in [
            r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3}} "#,
            r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3,"protocol":4}}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3, "auth":null}}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3},"x":1}"#,
            r#"{"type":"res","id":"2","ok":true,"payload":{"type":"hello-ok","protocol":3}}"#,
            r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":3,"a":[}}"#,
        ] {
            assert_eq!(scan(text.as_bytes()), None, "{text}");
        }
    }
}
