//! Reads one table, key by key, and reports what is wrong with it instead of stopping.

use std::cell::RefCell;
use std::time::Duration;

use super::diagnostic::Sink;
use super::document::{Entry, Node, Span, Table, Value};
use super::names::{allowed, list, suggestion};
use super::quantity::{self, Malformed};
use crate::vocabulary::DurationRange;

/// Why a value cannot be taken.
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Code of a problem whose cause was reported where it stands: nothing is to be added.
pub(super) const ALREADY_REPORTED: &str = "";

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self { code: "value", message: malformed.message, help: Some(malformed.help.to_owned()) }
    }
}

fn wrong_kind(wanted: &str, node: &Node) -> Problem {
    let found = match &node.value {
        // The value may have come from a variable, so that the file does not show it.
        Value::Text(text) if text.len() <= 40 => format!("the text `{}`", text.escape_debug()),
        other => other.kind().to_owned(),
    };
    Problem { code: "type", message: format!("this is {found}, wanted {wanted}"), help: None }
}

/// A table under its name, with the keys that were asked for so far.
pub(super) struct Fields<'a> {
    table: &'a Table,
    /// Name for messages, for example `cohort.tabs`.
    pub(super) name: String,
    /// Where the table is named, for errors about what it lacks.
    pub(super) at: Span,
    known: RefCell<Vec<&'static str>>,
    pub(super) sink: &'a Sink,
}

impl<'a> Fields<'a> {
    pub(super) fn new(table: &'a Table, name: String, at: Span, sink: &'a Sink) -> Self {
        Self { table, name, at, known: RefCell::default(), sink }
    }

    /// The entry of a key, which from now on is a known one.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        self.table.get(key)
    }

    /// Where the value of a key stands; where the table is named, if the key is absent.
    pub(super) fn span(&self, key: &str) -> Span {
        self.table.get(key).map_or_else(|| self.at.clone(), |entry| entry.node.span.clone())
    }

    pub(super) fn read<T>(
        &self,
        key: &'static str,
        take: impl Fn(&'a Node) -> Result<T, Problem>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        if matches!(entry.node.value, Value::Broken) {
            return None;
        }
        match take(&entry.node) {
            Ok(value) => Some(value),
            Err(problem) if problem.code == ALREADY_REPORTED => None,
            Err(problem) => {
                let message = format!("`{key}`: {}", problem.message);
                self.sink.report(problem.code, &entry.node.span, message, problem.help);
                None
            }
        }
    }

    /// As [`Self::read`]; an absent key is reported.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        help: &str,
        take: impl Fn(&'a Node) -> Result<T, Problem>,
    ) -> Option<T> {
        if self.entry(key).is_none() {
            self.missing(key, help);
        }
        self.read(key, take)
    }

    pub(super) fn missing(&self, key: &str, help: &str) {
        let message = if self.name.is_empty() {
            format!("`{key}` is missing")
        } else {
            format!("`{}` lacks `{key}`", self.name)
        };
        self.sink.report("missing-key", &self.at, message, Some(help.to_owned()));
    }

    /// The table under a key; anything else there is reported.
    pub(super) fn table(&self, key: &'static str) -> Option<Self> {
        let entry = self.entry(key)?;
        self.sub_table(entry)
    }

    /// The table of an entry of this table; anything else there is reported.
    pub(super) fn sub_table(&self, entry: &'a Entry) -> Option<Self> {
        let name =
            if self.name.is_empty() { entry.key.clone() } else { format!("{}.{}", self.name, entry.key) };
        match &entry.node.value {
            Value::Table(table) => Some(Fields::new(table, name, entry.at.clone(), self.sink)),
            Value::Broken => None,
            other => {
                let message = format!("`{name}` is {}, wanted a table", other.kind());
                self.sink.report("type", &entry.node.span, message, None);
                None
            }
        }
    }

    /// The named tables under a key, for example every `[cohort.NAME]`.
    pub(super) fn named_tables(&self, key: &'static str) -> Vec<(&'a str, Self)> {
        let Some(parent) = self.table(key) else { return Vec::new() };
        let mut tables = Vec::new();
        for entry in &parent.table.entries {
            if let Some(fields) = parent.sub_table(entry) {
                let valid = !entry.key.is_empty()
                    && entry.key.len() <= 64
                    && entry.key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
                if !valid {
                    let help = "up to 64 letters, digits, `-` and `_`".to_owned();
                    let message = format!("`{}` cannot be a name", entry.key);
                    self.sink.report("value", &entry.at, message, Some(help));
                }
                tables.push((entry.key.as_str(), fields));
            }
        }
        tables
    }

    pub(super) fn entries(&self) -> &'a [Entry] {
        &self.table.entries
    }

    /// The one key of this table that names a variant, among those known so far; several or none are reported.
    pub(super) fn one_of(&self, variants: &[&'static str], what: &str) -> Option<(&'static str, &'a Entry)> {
        let present: Vec<(&'static str, &'a Entry)> =
            variants.iter().filter_map(|variant| Some((*variant, self.entry(variant)?))).collect();
        match present.as_slice() {
            [one] => Some(*one),
            [] => {
                let unknown =
                    self.entries().iter().find(|entry| !self.known.borrow().contains(&entry.key.as_str()));
                // An unknown key is reported by `finish`, with the variants among the suggestions.
                if unknown.is_none() {
                    let help = format!("one of {}", list(variants));
                    self.sink.report(
                        "missing-key",
                        &self.at,
                        format!("`{}` lacks {what}", self.name),
                        Some(help),
                    );
                }
                None
            }
            [(first, one), (second, other), ..] => {
                let message = format!("`{}` has more than one of {}", self.name, list(variants));
                let remove = |name: &str, place: String| {
                    let path = format!("{}.{name}", self.name);
                    format!("`{name}` is inherited from {place}; remove = [\"{path}\"] takes it away")
                };
                let (at, help) = match (self.sink.inherited(&one.at), self.sink.inherited(&other.at)) {
                    (Some(place), None) => (&other.at, remove(first, place)),
                    (None, Some(place)) => (&one.at, remove(second, place)),
                    _ => (&other.at, "keep one".to_owned()),
                };
                self.sink.report("conflict", at, message, Some(help));
                None
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| asked.push((self.name.clone(), known.clone())));
        for entry in &self.table.entries {
            if !known.contains(&entry.key.as_str()) {
                let place = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
                let help = match suggestion(&entry.key, &known) {
                    Some(near) => format!("did you mean `{near}`? Keys here: {}", list(&known)),
                    None => format!("keys here: {}", list(&known)),
                };
                let message = format!("unknown key `{}`{place}", entry.key);
                self.sink.report("unknown-key", &entry.at, message, Some(help));
            }
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Every table that was read to its end, and the keys that it was asked for: what the schema is held against.
    pub(super) static ASKED: RefCell<Vec<(String, Vec<&'static str>)>> = const { RefCell::new(Vec::new()) };
}

/// Any text.
pub(super) fn text(node: &Node) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(wrong_kind("a text in quotes", node)),
    }
}

/// A text that may stand in an HTTP header or in JSON: 1 to 256 printable ASCII characters.
pub(super) fn plain_text(node: &Node) -> Result<String, Problem> {
    let text = text(node)?;
    let fits = (1..=256).contains(&text.len()) && text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if fits {
        return Ok(text);
    }
    Err(Problem {
        code: "value",
        message: "wanted 1 to 256 printable ASCII characters".to_owned(),
        help: None,
    })
}

/// A list of texts.
pub(super) fn texts(node: &Node) -> Result<Vec<String>, Problem> {
    match &node.value {
        Value::Array(items) => items.iter().map(plain_text).collect(),
        _ => Err(wrong_kind("a list of texts", node)),
    }
}

/// A whole number within limits.
pub(super) fn whole(min: i64, max: i64) -> impl Fn(&Node) -> Result<i64, Problem> {
    move |node| match node.value {
        Value::Integer(number) if (min..=max).contains(&number) => Ok(number),
        Value::Integer(number) => Err(Problem {
            code: "limit",
            message: format!("{number} is out of range"),
            help: Some(format!("from {min} to {max}")),
        }),
        _ => Err(wrong_kind("a whole number", node)),
    }
}

/// A whole number that fits `u32`, within limits.
pub(super) fn count(min: u32, max: u32) -> impl Fn(&Node) -> Result<u32, Problem> {
    move |node| {
        let number = whole(i64::from(min), i64::from(max))(node)?;
        Ok(u32::try_from(number).unwrap_or(max))
    }
}

/// `true` or `false`.
pub(super) fn truth(node: &Node) -> Result<bool, Problem> {
    match node.value {
        Value::Bool(truth) => Ok(truth),
        _ => Err(wrong_kind("true or false", node)),
    }
}

/// A number within limits.
pub(super) fn number(min: f64, max: f64) -> impl Fn(&Node) -> Result<f64, Problem> {
    move |node| {
        let number = match node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => return Err(wrong_kind("a number", node)),
        };
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        let help = Some(format!("from {min} to {max}"));
        Err(Problem { code: "limit", message: format!("{number} is out of range"), help })
    }
}

/// `0.05` or `"5%"`.
pub(super) fn share(node: &Node) -> Result<f64, Problem> {
    match &node.value {
        Value::Text(text) => Ok(quantity::share(text)?),
        Value::Float(number) => Ok(quantity::in_unit(*number, &number.to_string())?),
        Value::Integer(number) => Ok(quantity::in_unit(*number as f64, &number.to_string())?),
        _ => Err(wrong_kind("a share such as 0.05 or \"5%\"", node)),
    }
}

fn quantity<T>(
    node: &Node,
    wanted: &str,
    example: &str,
    read: impl Fn(&str) -> Result<T, Malformed>,
) -> Result<T, Problem> {
    match &node.value {
        Value::Text(text) => Ok(read(text)?),
        Value::Integer(_) | Value::Float(_) => Err(Problem {
            code: "type",
            message: format!("a bare number is no {wanted}"),
            help: Some(format!("write the unit, in quotes: {example}")),
        }),
        _ => Err(wrong_kind(&format!("a {wanted} such as {example}"), node)),
    }
}

/// `"500ms"`.
pub(super) fn duration(node: &Node) -> Result<Duration, Problem> {
    quantity(node, "duration", "\"2s\"", quantity::duration)
}

/// `"500ms"`, longer than nothing.
pub(super) fn positive_duration(node: &Node) -> Result<Duration, Problem> {
    let duration = duration(node)?;
    if duration.is_zero() {
        return Err(Problem { code: "value", message: "must be longer than 0".to_owned(), help: None });
    }
    Ok(duration)
}

/// `"-3m"`, in milliseconds.
pub(super) fn signed_milliseconds(node: &Node) -> Result<i64, Problem> {
    quantity(node, "duration", "\"-3m\"", quantity::signed_milliseconds)
}

/// `"1s..3s"` or `"2s"`.
pub(super) fn duration_range(node: &Node) -> Result<DurationRange, Problem> {
    quantity(node, "duration", "\"1s..3s\"", quantity::range)
}

/// `"100/s"`.
pub(super) fn rate(node: &Node) -> Result<f64, Problem> {
    quantity(node, "rate", "\"100/s\"", quantity::rate)
}

/// A rate above 0.
pub(super) fn positive_rate(node: &Node) -> Result<f64, Problem> {
    let rate = rate(node)?;
    if rate <= 0.0 {
        return Err(Problem {
            code: "schedule",
            message: "a rate of 0 never lets anyone arrive".to_owned(),
            help: None,
        });
    }
    Ok(rate)
}

/// One word of a closed list.
pub(super) fn word<T: Clone>(words: &[(&'static str, T)]) -> impl Fn(&Node) -> Result<T, Problem> {
    move |node| {
        let name = text(node)?;
        match words.iter().find(|(word, _)| *word == name) {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Problem {
                    code: "unknown-name",
                    message: format!("`{name}` is not known"),
                    help: Some(allowed(&name, &known)),
                })
            }
        }
    }
}
