//! Takes secrets out of evidence.
//!
//! Frames are evidence and may be malformed, cut or quoted inside one another, so this works on text first: with a scanner
//! that knows quoting levels (`scan`), not a parser. What it leaves is parsed, if it can be, as a second line of
//! defence.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::scan::{scan, spelt_out};

/// What stands in the place of a secret.
pub const REDACTED: &str = "<redacted>";

/// Keys whose values are secrets, whatever stands in them. Compared without regard to ASCII case.
pub const SECRET_KEYS: [&str; 6] =
    ["token", "password", "deviceToken", "bootstrapToken", "signature", "secret"];

/// Shortest secret that is also searched for inside longer texts; shorter ones are replaced where they are the whole
/// value, because they would tear holes into every word.
const SEARCHED_BYTES_MIN: usize = 4;

/// Texts nested in strings deeper than this are replaced whole.
const NESTING_MAX: usize = 8;

/// Removes secrets: values of [`SECRET_KEYS`], and every occurrence of the secrets it knows. Debug output shows only how
/// many it knows.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Every secret, also as it is written in JSON strings.
    whole: HashSet<String>,
    /// Those that are searched for, by their first bytes and then the longest first: a run may know the tokens of
    /// thousands of devices, and each text is still read once.
    by_start: HashMap<[u8; SEARCHED_BYTES_MIN], Vec<String>>,
    /// Length of the longest.
    bytes_max: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.whole.len()).finish()
    }
}

impl Redactor {
    /// A redactor that also knows these secrets; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut redactor = Self::default();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            // As it is, as it stands in JSON, and in JSON inside a JSON string.
            let mut form = secret;
            for _ in 0..3 {
                let quoted = Value::from(form.as_str()).to_string();
                let escaped = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
                let last = escaped == form;
                redactor.know(std::mem::replace(&mut form, escaped));
                if last {
                    break;
                }
            }
        }
        redactor
    }

    fn know(&mut self, secret: String) {
        self.bytes_max = self.bytes_max.max(secret.len());
        if let Some(start) = secret.as_bytes().first_chunk::<SEARCHED_BYTES_MIN>() {
            let same_start = self.by_start.entry(*start).or_default();
            let position = same_start.partition_point(|known| known.len() > secret.len());
            if same_start.get(position) != Some(&secret) {
                same_start.insert(position, secret.clone());
            }
        }
        self.whole.insert(secret);
    }

    /// The text without secrets. JSON, JSON in strings, cut and malformed JSON, `key=value` and free text.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.nested_text(text, 0)
    }

    /// Takes the secrets out of a JSON value.
    pub fn value(&self, value: &mut Value) {
        self.nested_value(value, 0);
    }

    /// The text without the secrets that are known, and otherwise as it was: for names and sentences of our own, in
    /// which `token: ` is no key.
    #[must_use]
    pub fn known(&self, text: &str) -> String {
        if self.whole.contains(text) {
            return REDACTED.to_owned();
        }
        self.without_known(text)
    }

    fn nested_text(&self, text: &str, depth: usize) -> String {
        if depth > NESTING_MAX {
            return REDACTED.to_owned();
        }
        if self.whole.contains(text) {
            return REDACTED.to_owned();
        }
        let scanned = self.without_known(&scan(&spelt_out(text)));
        // Only what starts like a container can hold a key.
        if scanned.trim_start().starts_with(['{', '[', '"'])
            && let Ok(parsed) = serde_json::from_str::<Value>(&scanned)
        {
            let mut clean = parsed.clone();
            self.nested_value(&mut clean, depth);
            if clean != parsed {
                return clean.to_string();
            }
        }
        scanned
    }

    fn nested_value(&self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) => {
                let clean = self.nested_text(text, depth + 1);
                if clean != *text {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.nested_value(item, depth)),
            Value::Object(map) => {
                for (key, item) in std::mem::take(map) {
                    let mut item = item;
                    if is_secret_key(&key) {
                        redact_whole(&mut item);
                    } else {
                        self.nested_value(&mut item, depth);
                    }
                    map.insert(self.without_known(&key), item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                if self.whole.contains(&value.to_string()) {
                    *value = Value::from(REDACTED);
                }
            }
        }
    }

    fn without_known(&self, text: &str) -> String {
        self.without_cut(self.without_whole(text))
    }

    /// Texts are cut before they come here, and a cut may have gone through a secret: what stands before a cut (`…`) or the
    /// end, and begins a known secret, is taken out as well.
    fn without_cut(&self, mut text: String) -> String {
        let mut ends: Vec<usize> = text.match_indices('…').map(|(at, _)| at).collect();
        ends.push(text.len());
        for end in ends.into_iter().rev() {
            let from = end.saturating_sub(self.bytes_max);
            let begun = (from..end.saturating_sub(SEARCHED_BYTES_MIN - 1)).find(|start| {
                let tail = text.as_bytes().get(*start..end).unwrap_or_default();
                tail.first_chunk::<SEARCHED_BYTES_MIN>()
                    .and_then(|key| self.by_start.get(key))
                    .is_some_and(|secrets| secrets.iter().any(|secret| secret.as_bytes().starts_with(tail)))
            });
            if let Some(start) = begun.filter(|start| text.is_char_boundary(*start)) {
                text.replace_range(start..end, REDACTED);
            }
        }
        text
    }

    fn without_whole(&self, text: &str) -> String {
        if self.by_start.is_empty() {
            return text.to_owned();
        }
        let mut clean = String::with_capacity(text.len());
        let (mut copied, mut at) = (0, 0);
        while let Some(rest) = text.as_bytes().get(at..)
            && let Some(start) = rest.first_chunk::<SEARCHED_BYTES_MIN>()
        {
            let known = self.by_start.get(start);
            let found =
                known.and_then(|secrets| secrets.iter().find(|secret| rest.starts_with(secret.as_bytes())));
            let Some(secret) = found else {
                at += 1;
                continue;
            };
            // Where a secret, which is whole UTF-8, begins and ends, characters do.
            clean.push_str(text.get(copied..at).unwrap_or_default());
            clean.push_str(REDACTED);
            at += secret.len();
            copied = at;
        }
        clean.push_str(text.get(copied..).unwrap_or_default());
        clean
    }
}

fn is_secret_key(key: &str) -> bool {
    SECRET_KEYS.iter().any(|secret| secret.eq_ignore_ascii_case(key))
}

/// `null` stays: that a client sent no token is evidence.
fn redact_whole(value: &mut Value) {
    if !value.is_null() {
        *value = Value::from(REDACTED);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t-Value_43";

    fn text(given: &str) -> String {
        Redactor::default().text(given)
    }

    #[test]
    fn a_secret_that_was_cut_is_taken_out_as_well() {
        let redactor = Redactor::new(["SHAREDSECRETTOKEN123".to_owned()]);
        assert_eq!(redactor.text("a 503: SHAREDSECRETTOK… (900 bytes)"), "a 503: <redacted>… (900 bytes)");
        assert_eq!(redactor.text("ends with SHAR"), "ends with <redacted>");
        assert_eq!(redactor.text("ends with SHA"), "ends with SHA");
        assert_eq!(redactor.text("SHAREd alike"), "SHAREd alike");
    }

    #[test]
    fn values_of_secret_keys_go_and_everything_else_stays_as_it_was() {
        for (given, expected) in [
            (r#"{"token":"abc"}"#, r#"{"token":"<redacted>"}"#),
            (r#"{ "token" : "abc" , "role" : "node" }"#, r#"{ "token" : "<redacted>" , "role" : "node" }"#),
            (
                r#"{"auth":{"deviceToken":"abc","token":"d"}}"#,
                r#"{"auth":{"deviceToken":"<redacted>","token":"<redacted>"}}"#,
            ),
            (
                r#"{"bootstrapToken":"a","password":"b","signature":"c"}"#,
                r#"{"bootstrapToken":"<redacted>","password":"<redacted>","signature":"<redacted>"}"#,
            ),
            (r#"{"DeviceToken":"abc"}"#, r#"{"DeviceToken":"<redacted>"}"#),
            (r#"{"token":"a\"b","x":1}"#, r#"{"token":"<redacted>","x":1}"#),
            (r#"{"token":"a\\","x":1}"#, r#"{"token":"<redacted>","x":1}"#),
            (r#"{"token":null}"#, r#"{"token":null}"#),
            (r#"{"token":12345,"x":true}"#, r#"{"token":"<redacted>","x":true}"#),
            (r#"{"token":{"a":["}","b"]},"x":1}"#, r#"{"token":"<redacted>","x":1}"#),
            (r#"{"token":["a",{"b":"]"}],"x":1}"#, r#"{"token":"<redacted>","x":1}"#),
            (r#"[{"token":"a"},{"token":"b"}]"#, r#"[{"token":"<redacted>"},{"token":"<redacted>"}]"#),
            (
                r#"{"tokens":3,"mytoken":"kept","token_kind":"kept"}"#,
                r#"{"tokens":3,"mytoken":"kept","token_kind":"kept"}"#,
            ),
            (
                "unauthorized: gateway token mismatch (set it)",
                "unauthorized: gateway token mismatch (set it)",
            ),
            ("device signature invalid", "device signature invalid"),
            ("ws://h/?token=abc&x=1", "ws://h/?token=<redacted>&x=1"),
            ("password: abc, user: u", "password: <redacted>, user: u"),
            ("", ""),
        ] {
            assert_eq!(text(given), expected, "{given}");
        }
    }

    #[test]
    fn json_in_strings_is_cleaned_at_every_level() {
        let mut nested = json!({"token": SECRET, "role": "node"}).to_string();
        for level in 0..6 {
            let clean = text(&nested);
            assert!(!clean.contains(SECRET), "level {level}: {clean}");
            assert!(clean.contains("role") && clean.contains("node"), "level {level}: {clean}");
            assert!(serde_json::from_str::<Value>(&clean).is_ok(), "level {level}: {clean}");
            nested = json!({"payload": nested}).to_string();
        }
    }

    #[test]
    fn malformed_and_cut_json_is_cleaned() {
        for given in [
            format!(r#"{{"token":"{SECRET}"#),
            format!(r#"{{"token":"{SECRET}","x":"#),
            format!(r#"{{"auth":{{"token" :  "{SECRET}"}}, oops"#),
            format!(r#"{{token:"{SECRET}"}}"#),
            format!("{{'token':'{SECRET}'}}"),
            format!(r#"{{"token":{SECRET}"#),
            format!(r#"{{"token":["{SECRET}""#),
            format!(r#"{{"token":{{"a":"{SECRET}""#),
            format!("{{\"token\":\n\t\"{SECRET}\"}}"),
            format!(r#"in: {{"raw":"{{\"token\":\"{SECRET}"#),
            format!(r#"in: {{"raw":"{{\"token\":\n \"{SECRET}\"#),
            format!(r#"\"password\":\"{SECRET}\" \"x\""#),
        ] {
            let clean = text(&given);
            assert!(!clean.contains(SECRET), "{given} -> {clean}");
        }
    }

    #[test]
    fn a_key_spelt_with_escapes_is_still_a_key() {
        let given = format!(r#"{{"tok\u0065n":"{SECRET}","token":"","x":"\u00fc\u0022"}}"#);
        assert_eq!(text(&given), r#"{"token":"<redacted>","token":"<redacted>","x":"\u00fc\u0022"}"#);
        let nested = json!({"payload": given}).to_string();
        assert!(!text(&nested).contains(SECRET));
        assert!(!text(nested.get(..nested.len() - 12).expect("ASCII")).contains(SECRET));
        let spelt = Redactor::new([SECRET.to_owned()]).text(r#"{"x":"s3cr3t\u002dValue_43"#);
        assert_eq!(spelt, r#"{"x":"<redacted>"#);
    }

    #[test]
    fn known_secrets_go_wherever_they_stand() {
        let redactor =
            Redactor::new([SECRET.to_owned(), "pass \"word\"".to_owned(), "abc".to_owned(), String::new()]);
        assert_eq!(redactor.text(&format!("echo {SECRET}{SECRET}!")), "echo <redacted><redacted>!");
        assert_eq!(redactor.text(r#"{"error":"bad pass \"word\""}"#), r#"{"error":"bad <redacted>"}"#);
        let nested = json!({"a": json!({"b": "pass \"word\""}).to_string()}).to_string();
        assert!(!redactor.text(&nested).contains("word"), "{}", redactor.text(&nested));
        // Too short to be searched for in words, but not to be a value.
        assert_eq!(redactor.text("abcdef"), "abcdef");
        assert_eq!(redactor.text("abc"), REDACTED);
        assert_eq!(redactor.text(r#"["abc"]"#), r#"["<redacted>"]"#);
        let mut value = json!({SECRET: [1, SECRET, {"x": format!("Bearer {SECRET}")}]});
        redactor.value(&mut value);
        assert_eq!(value, json!({"<redacted>": [1, "<redacted>", {"x": "Bearer <redacted>"}]}));
    }

    #[test]
    fn a_secret_inside_a_longer_secret_leaves_nothing_behind() {
        let redactor = Redactor::new(["secret".to_owned(), "secret-and-more".to_owned()]);
        assert_eq!(redactor.text("x secret-and-more y secret z"), "x <redacted> y <redacted> z");
    }

    #[test]
    fn the_tokens_of_thousands_of_devices_are_found_in_one_reading() {
        let token = |n: usize| format!("token-of-device-{n:05}");
        let redactor = Redactor::new((0..5_000).map(token));
        let given: String = (0..5_000).map(|n| format!("ü{}ü", token(n))).collect();
        assert_eq!(redactor.text(&given), "ü<redacted>ü".repeat(5_000));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", Redactor::new([SECRET.to_owned()])), "Redactor { forms: 1 }");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\{}: ]{0,8}".prop_map(Value::from),
            Just(Value::from(SECRET)),
        ];
        let key =
            prop_oneof![prop::sample::select(SECRET_KEYS.map(str::to_owned).to_vec()), "[a-z\"\\\\]{0,5}"];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner.clone(), 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
                inner.prop_map(|value| Value::from(value.to_string())),
            ]
        })
    }

    /// Whether a secret stands under a secret key, in the value or in JSON inside its strings.
    fn leaks(value: &Value) -> bool {
        match value {
            Value::Object(map) => map
                .iter()
                .any(|(key, item)| (is_secret_key(key) && item.to_string().contains(SECRET)) || leaks(item)),
            Value::Array(items) => items.iter().any(leaks),
            Value::String(text) => serde_json::from_str::<Value>(text).is_ok_and(|inner| leaks(&inner)),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn no_secret_survives_under_a_secret_key(value in any_json()) {
            let clean = text(&value.to_string());
            let parsed: Value = serde_json::from_str(&clean).expect("still JSON");
            prop_assert!(!leaks(&parsed), "{} -> {}", value, clean);
            let mut direct = value.clone();
            Redactor::default().value(&mut direct);
            prop_assert!(!leaks(&direct), "{} -> {}", value, direct);
        }

        #[test]
        fn a_known_secret_survives_nowhere(value in any_json(), cut in 0_usize..400) {
            let redactor = Redactor::new([SECRET.to_owned()]);
            let mut given = value.to_string();
            let mut cut = cut.min(given.len());
            while !given.is_char_boundary(cut) { cut -= 1; }
            given.truncate(cut);
            prop_assert!(!redactor.text(&given).contains(SECRET));
        }

        #[test]
        fn any_text_is_survived(given in "[\"'\\\\{}\\[\\]:=,a-z ü]{0,12}(token|password)[\"'\\\\:= {\\[ü]{0,6}.{0,20}") {
            let once = text(&given);
            prop_assert!(once.len() <= given.len() + REDACTED.len() * given.len());
        }
    }
}
