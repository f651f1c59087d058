//! What is wrong with a value, in the words of the release.

use serde_json::Value;

use super::shapes::{ANY_TEXT, NON_EMPTY, Schema};
use crate::profile::{Profile, SchemaStyle};

/// Errors after which the validator stops; a hostile message could otherwise make it write more than it read.
pub(super) const ERRORS_MAX: usize = 64;
/// Errors after which the validator of 2026.9.6 stops.
pub(super) const ERRORS_MAX_V4: usize = 8;
/// Characters of a property name that are repeated in an error.
const NAME_CHARS_MAX: usize = 200;

/// Errors of one value, as the release says them.
pub(super) struct Errors<'a> {
    pub(super) parts: Vec<String>,
    /// Errors found; of repeated ones only the newest release's validator counts each.
    pub(super) count: usize,
    pub(super) profile: &'a Profile,
}

impl Errors<'_> {
    fn say(&mut self, path: &str, message: &str) {
        let part = if path.is_empty() { message.to_owned() } else { format!("at {path}: {message}") };
        self.push(part);
    }

    fn push(&mut self, part: String) {
        if self.is_full() {
            return;
        }
        if !self.parts.contains(&part) {
            self.parts.push(part);
            self.count += 1;
        } else if self.profile.schema == SchemaStyle::FirstOfEachKeyword {
            self.count += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.count
            >= match self.profile.schema {
                SchemaStyle::AllErrors => ERRORS_MAX,
                SchemaStyle::FirstOfEachKeyword => ERRORS_MAX_V4,
            }
    }

    pub(super) fn check(&mut self, schema: Schema, value: &Value, path: &str) {
        if self.is_full() {
            return;
        }
        match schema {
            Schema::Any => {}
            Schema::Text { min, max } => match value {
                Value::String(text) if text.chars().take(min).count() < min => {
                    let not = self.not();
                    self.say(path, &format!("must {not} have fewer than {min} characters"));
                }
                Value::String(text) if text.chars().nth(max).is_some() => {
                    let not = self.not();
                    self.say(path, &format!("must {not} have more than {max} characters"));
                }
                Value::String(_) => {}
                _ => self.say(path, "must be string"),
            },
            Schema::Names(known) => {
                if value.as_str().is_some_and(|name| known(self.profile.vocabulary, name)) {
                    return;
                }
                if self.profile.schema == SchemaStyle::FirstOfEachKeyword {
                    self.say(path, "must be equal to one of the allowed values");
                    return;
                }
                if !value.is_string() {
                    self.say(path, "must be string");
                }
                self.say(path, "must be equal to constant");
                self.say(path, "must match a schema in anyOf");
            }
            Schema::Constant(text) => {
                if !value.is_string() {
                    self.say(path, "must be string");
                }
                if value.as_str() != Some(text) {
                    self.say(path, "must be equal to constant");
                }
            }
            Schema::Whole { min } => {
                if !is_whole(value) {
                    self.say(path, "must be integer");
                }
                // The bound is checked on every number, whole or not.
                #[expect(clippy::cast_precision_loss, reason = "bounds are 0 and 1")]
                if value.as_f64().is_some_and(|number| number < min as f64) {
                    self.say(path, &format!("must be >= {min}"));
                }
            }
            Schema::Texts => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if self.is_full() {
                            return;
                        }
                        self.check(NON_EMPTY, item, &format!("{path}/{index}"));
                    }
                }
                _ => self.say(path, "must be array"),
            },
            Schema::Flags => match value {
                Value::Object(map) => {
                    for (key, flag) in map {
                        if self.is_full() {
                            return;
                        }
                        if !flag.is_boolean() {
                            let key: String = key.chars().take(NAME_CHARS_MAX).collect();
                            let key = match self.profile.schema {
                                SchemaStyle::AllErrors => key.replace('~', "~0").replace('/', "~1"),
                                SchemaStyle::FirstOfEachKeyword => key,
                            };
                            self.say(&format!("{path}/{key}"), "must be boolean");
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
            Schema::Object(fields) => match value {
                Value::Object(map) => {
                    let profile = self.profile;
                    let missing = fields
                        .iter()
                        .filter(|field| field.is_required(profile) && !map.contains_key(field.key));
                    for field in missing.take(self.of_a_keyword()) {
                        self.say(path, &format!("must have required property '{}'", field.key));
                    }
                    let known =
                        |key: &str| fields.iter().any(|field| field.key == key && field.is_known(profile));
                    self.unexpected(map.keys(), known, path);
                    for field in fields.iter().filter(|field| field.is_known(profile)) {
                        if let Some(value) = map.get(field.key) {
                            self.check(field.schema, value, &format!("{path}/{}", field.key));
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
            Schema::Auth => match value {
                Value::Object(map) => {
                    let keys = self.profile.auth_keys;
                    self.unexpected(map.keys(), |key| keys.contains(&key), path);
                    for key in keys {
                        if let Some(value) = map.get(*key) {
                            self.check(ANY_TEXT, value, &format!("{path}/{key}"));
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
        }
    }

    /// Errors of one keyword that are named at one object.
    fn of_a_keyword(&self) -> usize {
        match self.profile.schema {
            SchemaStyle::AllErrors => usize::MAX,
            SchemaStyle::FirstOfEachKeyword => 1,
        }
    }

    fn not(&self) -> &'static str {
        match self.profile.schema {
            SchemaStyle::AllErrors => "NOT",
            SchemaStyle::FirstOfEachKeyword => "not",
        }
    }

    fn unexpected<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k String>,
        known: impl Fn(&str) -> bool,
        path: &str,
    ) {
        for key in keys.filter(|key| !known(key)).take(self.of_a_keyword()) {
            if self.is_full() {
                return;
            }
            let shown: String = key.chars().take(NAME_CHARS_MAX).collect();
            let place = if path.is_empty() { "root" } else { path };
            self.push(format!("at {place}: unexpected property '{shown}'"));
        }
    }
}

fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_u64() || number.is_i64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}
