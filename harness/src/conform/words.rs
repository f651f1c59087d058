//! What version 1 of the format says in words, where it can be read exactly.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::format::{Direction, Line};

/// The shared secret of every recording of version 1 whose configuration names none.
pub const SHARED_TOKEN: &str = "secret-token-1";

/// A case's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The `gateway` section.
    pub config: Value,
    /// Single addresses of `trustedProxies`.
    pub trusted: Vec<IpAddr>,
    /// `X-Forwarded-For` that the recording's proxy added, when the clients sent none themselves.
    pub forwarded_for: Option<String>,
}

/// Reads `config` of the index. Where it is in words, `trustedProxies [a]` and `XFF a` are read from them; a recording
/// with forwarding headers whose words say nothing of proxies trusts 127.0.0.2, as all of them did.
#[must_use]
pub fn setting(config: &Value, lines: &[Line]) -> Setting {
    let parsed = match config {
        Value::Object(_) => Some(config.clone()),
        Value::String(text) => serde_json::from_str::<Value>(text).ok().filter(Value::is_object),
        _ => None,
    };
    let words = if parsed.is_none() { config.as_str().unwrap_or_default() } else { "" };
    let said: Vec<&str> = words
        .split_once("trustedProxies [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(list, _)| list.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let mut config = parsed.unwrap_or_else(|| {
        if !said.is_empty() {
            json!({"trustedProxies": said})
        } else if lines.iter().any(forwarded) {
            json!({"trustedProxies": ["127.0.0.2"]})
        } else {
            json!({})
        }
    });
    if config.pointer("/auth").is_none()
        && let Value::Object(object) = &mut config
    {
        object.insert("auth".to_owned(), json!({"mode": "token", "token": SHARED_TOKEN}));
    }
    let trusted = config
        .get("trustedProxies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(|text| text.split('/').next()?.parse().ok())
        .collect();
    let forwarded_for = words
        .split_once("XFF ")
        .and_then(|(_, rest)| rest.split([',', ')', ' ']).next())
        .filter(|address| address.parse::<IpAddr>().is_ok())
        .map(str::to_owned);
    Setting { config, trusted, forwarded_for }
}

fn forwarded(line: &Line) -> bool {
    line.dir == Direction::Http
        && line
            .data
            .pointer("/request/headers")
            .and_then(Value::as_object)
            .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("x-forwarded-for")))
}

/// What a note in words says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Nothing was done.
    Nothing,
    /// The scopes of the device at hand were set.
    Scopes(Vec<String>),
    /// Something was done, not exactly said what.
    Unclear,
}

/// Reads a note.
#[must_use]
pub fn edit(text: &str) -> Words {
    if let Some((_, rest)) = text.split_once("device scopes set to ") {
        let list = rest.split(',').next().unwrap_or_default();
        return Words::Scopes(list.split('+').map(|scope| format!("operator.{}", scope.trim())).collect());
    }
    if text.contains("covered by") { Words::Nothing } else { Words::Unclear }
}

/// A text that was sent. Long ones are kept as their beginning and `…(N bytes)`: the rest is the last character again and
/// again, then what closes the JSON.
#[must_use]
pub fn cut_text(text: &str) -> Option<String> {
    let Some((head, tail)) = text.rsplit_once("…(") else { return Some(text.to_owned()) };
    let Some(total) = tail.strip_suffix(" bytes)").and_then(|count| count.parse::<usize>().ok()) else {
        return Some(text.to_owned());
    };
    let fill = head.chars().last().filter(char::is_ascii_alphanumeric)?;
    let mut closing = String::new();
    let (mut inside, mut escaped) = (false, false);
    for character in head.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '{' if !inside => closing.insert(0, '}'),
            '[' if !inside => closing.insert(0, ']'),
            '}' | ']' if !inside => drop(closing.remove(0)),
            _ => {}
        }
    }
    if !inside {
        return None;
    }
    let missing = total.checked_sub(head.len() + 1 + closing.len())?;
    Some(format!("{head}{}\"{closing}", fill.to_string().repeat(missing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_in_words_is_read_where_it_can_be() {
        let read = setting(
            &json!("official client through recording proxy (XFF 203.0.113.7, trustedProxies [127.0.0.2])"),
            &[],
        );
        assert_eq!(read.config["trustedProxies"], json!(["127.0.0.2"]));
        assert_eq!(read.forwarded_for.as_deref(), Some("203.0.113.7"));
        let read = setting(&json!("{\"auth\":{\"mode\":\"none\"}}"), &[]);
        assert_eq!(read.config, json!({"auth": {"mode": "none"}}));
        assert!(read.trusted.is_empty());
    }

    #[test]
    fn a_cut_text_is_filled_to_its_length() {
        let filled = cut_text("{\"a\":{\"pad\":\"xx…(40 bytes)").unwrap();
        assert_eq!(filled.len(), 40);
        assert!(serde_json::from_str::<Value>(&filled).is_ok(), "{filled}");
        assert_eq!(cut_text("{nope").as_deref(), Some("{nope"));
        assert_eq!(cut_text("[1,2…(9 bytes)"), None);
    }

    #[test]
    fn a_note_about_an_edit_is_read() {
        let note = "paired.json: device scopes set to read+write, tokens untouched";
        assert_eq!(edit(note), Words::Scopes(vec!["operator.read".into(), "operator.write".into()]));
        assert_eq!(edit("transcript omitted"), Words::Unclear);
    }
}
