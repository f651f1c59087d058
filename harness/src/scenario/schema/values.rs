//! Values of the language as schemas, and tables of keys.

use serde_json::{Map, Value, json};

/// A key of a table: its name, what may stand there, and what it means.
pub(super) struct Key {
    name: &'static str,
    schema: Value,
    about: &'static str,
    required: bool,
}

/// A key that may be left out.
pub(super) const fn key(name: &'static str, schema: Value, about: &'static str) -> Key {
    Key { name, schema, about, required: false }
}

/// A key that may not.
pub(super) const fn required(name: &'static str, schema: Value, about: &'static str) -> Key {
    Key { name, schema, about, required: true }
}

/// A table with these keys and no others.
pub(super) fn table(about: &str, keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = key.schema.clone();
        if let (Some(object), false) = (schema.as_object_mut(), key.about.is_empty()) {
            object.insert("description".to_owned(), json!(key.about));
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let Some(object) = schema.as_object_mut() {
        if !about.is_empty() {
            object.insert("description".to_owned(), json!(about));
        }
        let needed: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        if !needed.is_empty() {
            object.insert("required".to_owned(), json!(needed));
        }
    }
    schema
}

/// Tables under names of the user's own.
pub(super) fn named(each: Value) -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        "additionalProperties": each,
    })
}

/// What stands there, or a variable that holds it.
pub(super) fn or_variable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/variable" }] })
}

/// One of several.
pub(super) fn either(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({ "anyOf": schemas.into_iter().collect::<Vec<_>>() })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn truth() -> Value {
    or_variable(json!({ "type": "boolean" }))
}

/// One word of a closed list.
pub(super) fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    or_variable(json!({ "enum": words.into_iter().collect::<Vec<_>>() }))
}

pub(super) fn list(each: Value) -> Value {
    or_variable(json!({ "type": "array", "items": each }))
}

pub(super) fn integer(min: i64, max: i64) -> Value {
    or_variable(json!({ "type": "integer", "minimum": min, "maximum": max }))
}

pub(super) fn count(min: u32, max: u32) -> Value {
    integer(i64::from(min), i64::from(max))
}

pub(super) fn number(min: f64, max: f64) -> Value {
    or_variable(json!({ "type": "number", "minimum": min, "maximum": max }))
}

pub(super) fn duration() -> Value {
    json!({ "$ref": "#/$defs/duration" })
}

pub(super) fn range() -> Value {
    json!({ "$ref": "#/$defs/range" })
}

pub(super) fn signed_duration() -> Value {
    json!({ "$ref": "#/$defs/signed_duration" })
}

pub(super) fn rate() -> Value {
    json!({ "$ref": "#/$defs/rate" })
}

pub(super) fn share() -> Value {
    json!({ "$ref": "#/$defs/share" })
}

/// What the functions above refer to.
pub(super) fn definitions() -> Value {
    let number = r"[0-9_]*\.?[0-9_]+";
    let one = format!(r"({number}\s*(us|µs|ms|s|m|min|h)\s*)+");
    // A text may have a variable anywhere in it.
    let form = |form: &str, example: &str| json!({ "type": "string", "pattern": format!(r"^\s*({form})\s*$|\{{"), "examples": [example] });
    json!({
        "variable": {
            "description": "The value of a variable of [vars].",
            "type": "string",
            "pattern": r"\{[A-Za-z0-9_-]+\}",
        },
        "duration": form(&one, "1m30s"),
        "range": form(&format!(r"{one}(\.\.\s*{one})?"), "1s..3s"),
        "signed_duration": form(&format!(r"[+-]?\s*{one}"), "-3m"),
        "rate": form(&format!(r"{number}\s*/\s*(s|m|min|h)"), "100/s"),
        "rule": {
            "description": "For example \"< 2s\", \"== 0\", \"<= 1%\".",
            "type": "string",
            "pattern": r"^\s*(<=|>=|==|!=|<|>)|\{",
        },
        "share": {
            "anyOf": [
                { "type": "number", "minimum": 0, "maximum": 1 },
                form(&format!(r"{number}\s*%"), "5%"),
            ],
        },
    })
}
