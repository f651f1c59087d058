//! What version 1 of the format says in words, where it can be read exactly.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::format::{Direction, Line};
use super::session::{Edit, FileEdit};

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
    /// The configuration is given in words: the case is one of a series on a gateway with a history.
    pub in_words: bool,
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
    let in_words = parsed.is_none() && config.is_string();
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
    Setting { config, trusted, forwarded_for, in_words }
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
#[derive(Debug, Clone, PartialEq)]
pub enum Words {
    /// Nothing was done.
    Nothing,
    /// The store was edited.
    Edit(Edit),
    /// Something was done, not exactly said what.
    Unclear,
}

/// Reads a note; `device` is the one at hand.
#[must_use]
pub fn edit(text: &str, device: Option<&str>) -> Words {
    if let (Some((_, rest)), Some(device)) = (text.split_once("device scopes set to "), device) {
        let list = rest.split(',').next().unwrap_or_default();
        return Words::Edit(Edit::Scopes { device: device.to_owned(), scopes: scopes(list) });
    }
    if text.contains("covered by") { Words::Nothing } else { Words::Unclear }
}

/// What the title of a step says was done to the store before it; `device` is the one at hand.
#[must_use]
pub fn edit_before(title: &str, device: Option<&str>) -> Option<Edit> {
    let title = title.to_ascii_lowercase();
    let device = || device.map(str::to_owned);
    let file = [
        ("corrupt paired.json", FileEdit::Truncate),
        ("empty object store", FileEdit::EmptyObject),
        ("empty file store", FileEdit::Empty),
        ("deleted store", FileEdit::Delete),
        ("restored store", FileEdit::Restore),
    ];
    if let Some((_, edit)) = file.into_iter().find(|(words, _)| title.starts_with(words)) {
        return Some(Edit::File(edit));
    }
    if title.starts_with("stray legacy devices/paired.json") {
        return Some(Edit::Stray);
    }
    if title.starts_with("entry deleted") {
        return Some(Edit::Drop { device: device()? });
    }
    if title.starts_with("entry restored with empty scopes") {
        return Some(Edit::Rewrite { device: device()?, without: Vec::new(), scopes: Some(Vec::new()) });
    }
    if let Some(rest) = title.strip_prefix("legacy entry without ") {
        let keys = rest.split(':').next().unwrap_or_default();
        let without = keys.split('/').map(|key| key.trim().to_owned()).collect();
        return Some(Edit::Rewrite { device: device()?, without, scopes: None });
    }
    if title.starts_with("after sql edit") {
        let list = title.split_whitespace().find(|word| word.contains('+'))?;
        return Some(Edit::Scopes { device: device()?, scopes: scopes(list) });
    }
    None
}

/// `read+write`.
fn scopes(list: &str) -> Vec<String> {
    list.split('+').map(|scope| format!("operator.{}", scope.trim())).collect()
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
        let both = vec!["operator.read".to_owned(), "operator.write".to_owned()];
        let scopes = Edit::Scopes { device: "d".to_owned(), scopes: both };
        assert_eq!(edit(note, Some("d")), Words::Edit(scopes.clone()));
        assert_eq!(edit(note, None), Words::Unclear);
        assert_eq!(edit("transcript omitted", Some("d")), Words::Unclear);
        let title = "after SQL edit, no restart: read+write shared token";
        assert_eq!(edit_before(title, Some("d")), Some(scopes));
    }

    #[test]
    fn the_title_of_a_step_says_what_was_done_to_the_store_before_it() {
        let before = |title: &str| edit_before(title, Some("d"));
        let rewrite = |without: &[&str]| {
            let without = without.iter().map(|key| (*key).to_owned()).collect();
            Some(Edit::Rewrite { device: "d".to_owned(), without, scopes: None })
        };
        assert_eq!(
            before("legacy entry without role/roles: read by shared token"),
            rewrite(&["role", "roles"])
        );
        assert_eq!(before("legacy entry without tokens: read by shared token"), rewrite(&["tokens"]));
        assert_eq!(
            before("corrupt paired.json, running: paired remote device"),
            Some(Edit::File(FileEdit::Truncate))
        );
        assert_eq!(
            before("entry deleted from file, no restart"),
            Some(Edit::Drop { device: "d".to_owned() })
        );
        assert_eq!(before("corrupt: loopback new CLI device (silent pairing writes?)"), None);
        assert_eq!(before("ask read"), None);
    }
}
