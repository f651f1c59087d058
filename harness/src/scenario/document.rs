//! TOML text as a tree that keeps, for every key and value, where it stands.
//!
//! serde loses positions behind `untagged`, `tag` and `flatten` and stops at the first error; a tree of our own lets the
//! readers report everything that is wrong at once.

use std::ops::Range;

use toml::de::{DeInteger, DeTable, DeValue};

use super::diagnostic::Sink;

/// Byte range in the source.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// Something that was reported already; readers pass over it in silence.
    Broken,
}

/// Entries in the order of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Span,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Value {
    /// What the value is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Broken => "nothing",
        }
    }

    /// The value as JSON; `None` if something in it was reported, or is a number that JSON does not have.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self {
            Self::Text(text) | Self::Datetime(text) => Json::from(text.as_str()),
            Self::Integer(number) => Json::from(*number),
            Self::Float(number) => serde_json::Number::from_f64(*number).map(Json::Number)?,
            Self::Bool(truth) => Json::from(*truth),
            Self::Array(items) => items.iter().map(|item| item.value.to_json()).collect::<Option<_>>()?,
            Self::Table(table) => {
                let pairs =
                    table.entries.iter().map(|entry| Some((entry.key.clone(), entry.node.value.to_json()?)));
                Json::Object(pairs.collect::<Option<_>>()?)
            }
            Self::Broken => return None,
        })
    }
}

/// Parses the whole file, whose text begins at the offset `start`. Syntax errors are reported, and `None` is returned.
pub(super) fn parse(source: &str, start: usize, sink: &Sink) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(source);
    if errors.is_empty() {
        return Some(table(document.get_ref(), start, sink));
    }
    for error in errors {
        let span = moved(error.span().unwrap_or(0..0), start);
        sink.report("syntax", &span, format!("this is not TOML: {}", error.message().trim()), None);
    }
    None
}

/// Parses a single TOML value, as `--set` takes it.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    let sink = Sink::new("", text);
    let parsed = DeValue::parse(text).ok()?;
    let value = node(parsed.get_ref(), parsed.span(), 0, &sink).value;
    sink.is_empty().then_some(value)
}

const fn moved(span: Span, by: usize) -> Span {
    span.start + by..span.end + by
}

fn table(from: &DeTable<'_>, start: usize, sink: &Sink) -> Table {
    let mut entries: Vec<Entry> = from
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            at: moved(key.span(), start),
            node: node(value.get_ref(), value.span(), start, sink),
        })
        .collect();
    // toml keeps tables sorted by name; people think in the order they wrote.
    entries.sort_by_key(|entry| entry.at.start);
    Table { entries }
}

fn node(from: &DeValue<'_>, span: Span, start: usize, sink: &Sink) -> Node {
    let span = moved(span, start);
    let value = match from {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Integer(integer(number).unwrap_or_else(|| {
            sink.report("value", &span, "this number is too large", None);
            0
        })),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or_else(|_| {
            sink.report("value", &span, "this number cannot be read", None);
            0.0
        })),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(date) => Value::Datetime(date.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| node(item.get_ref(), item.span(), start, sink)).collect())
        }
        DeValue::Table(inner) => Value::Table(table(inner, start, sink)),
    };
    Node { span, value }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_the_order_of_the_file_and_the_place_of_each_key() {
        let source = "[b]\nx = 1\n[a]\ny = \"t\"\n";
        let sink = Sink::new("x.toml", source);
        let table = parse(source, 0, &sink).unwrap();
        let keys: Vec<&str> = table.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "a"]);
        let Value::Table(a) = &table.get("a").unwrap().node.value else { panic!("no table") };
        let y = a.get("y").unwrap();
        assert_eq!(&source[y.at.clone()], "y");
        assert_eq!(&source[y.node.span.clone()], "\"t\"");
    }

    #[test]
    fn numbers_of_every_notation_are_read_and_too_large_ones_reported() {
        assert!(matches!(parse_value("0x10"), Some(Value::Integer(16))));
        assert!(matches!(parse_value("1_000"), Some(Value::Integer(1000))));
        assert!(matches!(parse_value("-5"), Some(Value::Integer(-5))));
        assert!(parse_value("99999999999999999999").is_none());
        let sink = Sink::new("x.toml", "a = 99999999999999999999");
        parse("a = 99999999999999999999", 0, &sink);
        assert!(!sink.is_empty());
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let source = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        let sink = Sink::new("x.toml", &source);
        assert!(parse(&source, 0, &sink).is_none());
        let dotted = format!("{}a = 1", "a.".repeat(100_000));
        let sink = Sink::new("x.toml", &dotted);
        parse(&dotted, 0, &sink);
    }
}
