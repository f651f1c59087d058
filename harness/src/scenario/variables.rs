//! `[vars]`, `"{name}"` and `--set name=value`.

use super::diagnostic::Sink;
use super::document::{Entry, Node, Span, Table, Value, parse_value};
use super::names::{list, suggestion};

/// A variable of the file with the value it has in this run.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Value,
}

/// Takes `[vars]` out of the file, applies `sets`, and replaces every `{name}` in the texts of all other tables.
///
/// A text that is exactly `"{name}"` becomes the variable's value with its type, so `count = "{tabs}"` is a number;
/// elsewhere in a text the value is written out. `{{` and `}}` stand for braces. Keys are left alone. Everything keeps
/// the position of the text in the file.
pub(super) fn substitute(document: &mut Table, sets: &[(String, String)], sink: &Sink) {
    let mut variables = take(document, sink);
    set(&mut variables, sets, sink);
    fill(document, &variables, sink);
}

/// Takes `[vars]` out of the file.
pub(super) fn take(document: &mut Table, sink: &Sink) -> Vec<Variable> {
    match document.entries.iter().position(|entry| entry.key == "vars") {
        Some(position) => declared(document.entries.remove(position), sink),
        None => Vec::new(),
    }
}

/// Gives variables the values of `--set`.
pub(super) fn set(variables: &mut [Variable], sets: &[(String, String)], sink: &Sink) {
    for (name, raw) in sets {
        match variables.iter_mut().find(|variable| variable.name == *name) {
            Some(variable) => variable.value = value_of(raw),
            None => {
                let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
                sink.report_option(
                    "variable",
                    format!("`--set {name}=…` names no variable of this scenario"),
                    Some(known_variables(name, &known)),
                );
            }
        }
    }
}

/// What `--set name=…` means: a value that is no TOML value of its own is text, so that `--set trusted=127.2.0.1` needs no
/// quotes.
pub(super) fn value_of(raw: &str) -> Value {
    match parse_value(raw) {
        None | Some(Value::Datetime(_) | Value::Table(_)) => Value::Text(raw.to_owned()),
        Some(value) => value,
    }
}

/// Replaces every `{name}` in the texts of the file.
pub(super) fn fill(document: &mut Table, variables: &[Variable], sink: &Sink) {
    let launch = for_launch(variables);
    for entry in &mut document.entries {
        match &mut entry.node.value {
            Value::Table(gateway) if entry.key == "gateway" => {
                for entry in &mut gateway.entries {
                    let known = if entry.key == "launch" { launch.as_slice() } else { variables };
                    replace(&mut entry.node, known, sink);
                }
            }
            _ => replace(&mut entry.node, variables, sink),
        }
    }
}

/// What the run fills into `[gateway] launch`: these stay as they are there, whatever `[vars]` holds.
const FILLED_IN_BY_THE_RUN: [&str; 3] = ["port", "state", "config"];

/// The variables as `launch` sees them.
fn for_launch(variables: &[Variable]) -> Vec<Variable> {
    let own = FILLED_IN_BY_THE_RUN
        .iter()
        .map(|name| Variable { name: (*name).to_owned(), value: Value::Text(format!("{{{name}}}")) });
    let others = variables.iter().filter(|variable| !FILLED_IN_BY_THE_RUN.contains(&variable.name.as_str()));
    own.chain(others.cloned()).collect()
}

fn declared(vars: Entry, sink: &Sink) -> Vec<Variable> {
    let Value::Table(table) = vars.node.value else {
        sink.report("type", &vars.node.span, "`vars` is a table of names and values", None);
        return Vec::new();
    };
    let mut variables = Vec::new();
    for entry in table.entries {
        let valid = !entry.key.is_empty() && entry.key.chars().all(is_name_char);
        if !valid {
            let help = "letters, digits, `_` and `-`".to_owned();
            sink.report(
                "value",
                &entry.at,
                format!("`{}` cannot be a variable's name", entry.key),
                Some(help),
            );
        } else {
            variables.push(Variable { name: entry.key, value: entry.node.value });
        }
    }
    variables
}

pub(super) fn replace(node: &mut Node, variables: &[Variable], sink: &Sink) {
    match &mut node.value {
        Value::Text(text) if text.contains(['{', '}']) => {
            if let Some(value) = whole(text, variables) {
                node.value = value.clone();
            } else {
                node.value =
                    written_out(text, &node.span, variables, sink).map_or(Value::Broken, Value::Text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, variables, sink)),
        Value::Table(table) => {
            table.entries.iter_mut().for_each(|entry| replace(&mut entry.node, variables, sink));
        }
        _ => {}
    }
}

/// The variable's value, if the text is exactly `{name}`.
fn whole<'a>(text: &str, variables: &'a [Variable]) -> Option<&'a Value> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    variables.iter().find(|variable| variable.name == name).map(|variable| &variable.value)
}

/// `None` if a variable in it was reported.
fn written_out(text: &str, span: &Span, variables: &[Variable], sink: &Sink) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut broken = false;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            out.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            out.push('}');
            rest = after;
        } else if let Some((name, after)) = named(from) {
            match variables.iter().find(|variable| variable.name == name) {
                Some(variable) => match text_of(variable, span, sink) {
                    Some(value) => out.push_str(&value),
                    None => broken = true,
                },
                None => {
                    let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
                    let help = format!("{}; write `{{{{` for a brace", known_variables(name, &known));
                    sink.report("variable", span, format!("`{{{name}}}` names no variable"), Some(help));
                    broken = true;
                }
            }
            rest = after;
        } else {
            // A lone brace is a brace.
            let mut chars = from.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    (!broken).then_some(out)
}

/// `{name}` at the start of the text: the name and what follows.
fn named(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    (!name.is_empty() && name.chars().all(is_name_char)).then_some((name, after))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn text_of(variable: &Variable, span: &Span, sink: &Sink) -> Option<String> {
    match &variable.value {
        Value::Text(text) | Value::Datetime(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(_) | Value::Table(_) | Value::Broken => {
            let message =
                format!("`{}` is {} and cannot stand inside a text", variable.name, variable.value.kind());
            let help = format!("use \"{{{}}}\" as the whole value", variable.name);
            sink.report("type", span, message, Some(help));
            None
        }
    }
}

pub(super) fn known_variables(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "the scenario has no `[vars]`".to_owned();
    }
    match suggestion(name, known) {
        Some(near) => format!("did you mean `{near}`? Variables: {}", list(known)),
        None => format!("variables: {}", list(known)),
    }
}
