//! `[sweep]`: the same scenario many times, each with other values of its variables.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::diagnostic::Sink;
use super::document::{Entry, Node, Span, Value};
use super::gateway::json;
use super::names::{list, suggestion};
use super::reader::{count, text};
use super::variables::{Variable, known_variables, replace, value_of};
use super::{Choices, Diagnostic, Scenario};

/// Most runs of a sweep, repeats included: a day's worth of short ones.
pub const RUNS_MAX: usize = 2_000;
/// Keys of `[sweep]` that name no variable.
const OWN_KEYS: [&str; 2] = ["repeat", "fit_over"];

/// A scenario file: one run, or many.
#[derive(Debug, Clone)]
pub enum Batch {
    /// Without `[sweep]`.
    Single(Box<Scenario>),
    /// With `[sweep]`.
    Sweep(Sweep),
}

/// A scenario that is run once for every combination of values.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// `repeat`: how often each combination is run.
    pub repeat: u32,
    /// `fit_over`: the variable whose growth figures are held against.
    pub fit_over: Option<String>,
    /// Every combination, in the order of the lists; the last list changes fastest. Never empty.
    pub combinations: Vec<Combination>,
}

/// One combination of values, and the scenario that they make.
#[derive(Debug, Clone)]
pub struct Combination {
    /// What tells it from the others: for each list its variable, or the first one of a row, and the value.
    pub names: Vec<(String, Json)>,
    /// All values that it sets, those of `names` included.
    pub values: Vec<(String, Json)>,
    /// The scenario with these values.
    pub scenario: Scenario,
}

impl Combination {
    /// `devices=1000 signal=SIGTERM`
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.names)
    }

    /// These choices, as if each value of the combination had been set by hand. JSON's texts, numbers and lists are TOML's.
    #[must_use]
    pub fn chosen(&self, choices: &Choices) -> Choices {
        let mut choices = choices.clone();
        choices.sets.retain(|(name, _)| !self.values.iter().any(|(swept, _)| swept == name));
        choices.sets.extend(self.values.iter().map(|(name, value)| (name.clone(), value.to_string())));
        choices
    }
}

/// `devices=1000 signal=SIGTERM`
#[must_use]
pub fn label(names: &[(String, Json)]) -> String {
    names.iter().map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
}

/// A value as people write it: texts without quotes.
#[must_use]
pub fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What `[sweep]` says.
pub(super) struct Spec {
    pub(super) repeat: u32,
    pub(super) fit_over: Option<String>,
    axes: Vec<Axis>,
}

/// A list of `[sweep]`.
struct Axis {
    /// Its variable, or the name of a list of rows.
    key: String,
    /// The variables that it sets, the one that names the row first.
    variables: Vec<String>,
    /// By position in `variables`.
    rows: Vec<Vec<Value>>,
}

/// The values of one combination, list by list.
pub(super) struct Choice {
    pub(super) names: Vec<(String, Json)>,
    pub(super) values: Vec<(String, Value)>,
}

impl Spec {
    /// Every combination; the last list changes fastest.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let mut choices = vec![Choice { names: Vec::new(), values: Vec::new() }];
        for axis in &self.axes {
            choices = choices
                .iter()
                .flat_map(|choice| axis.rows.iter().map(|row| choice.with(axis, row)))
                .collect();
        }
        choices
    }
}

impl Choice {
    fn with(&self, axis: &Axis, row: &[Value]) -> Self {
        let values: Vec<(String, Value)> = axis.variables.iter().cloned().zip(row.iter().cloned()).collect();
        let named = values.first().map(|(name, value)| (name.clone(), plain(value)));
        Self {
            names: self.names.iter().cloned().chain(named).collect(),
            values: self.values.iter().cloned().chain(values).collect(),
        }
    }

    /// The variables of the file with the values of this combination.
    pub(super) fn applied(&self, variables: &[Variable]) -> Vec<Variable> {
        let mut variables = variables.to_vec();
        for (name, value) in &self.values {
            if let Some(variable) = variables.iter_mut().find(|variable| variable.name == *name) {
                variable.value = value.clone();
            }
        }
        variables
    }

    pub(super) fn plain_values(&self) -> Vec<(String, Json)> {
        self.values.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
    }
}

fn plain(value: &Value) -> Json {
    json(&Node { span: 0..0, value: value.clone() })
}

/// Names the combination whose errors stand before it.
pub(super) fn concerned(file: &str, number: usize, of: usize, choice: &Choice) -> Diagnostic {
    Diagnostic::without_text(
        "sweep",
        file,
        format!("so it is in combination {number} of {of}: {}", label(&choice.names)),
        Some("later combinations were not looked at".to_owned()),
    )
}

/// Names of what the lists of `[sweep]` set, whether or not they are variables of the file.
pub(super) fn variables(entry: &Entry) -> Vec<String> {
    let Value::Table(table) = &entry.node.value else { return Vec::new() };
    let mut names = Vec::new();
    for entry in table.entries.iter().filter(|entry| !OWN_KEYS.contains(&entry.key.as_str())) {
        names.push(entry.key.clone());
        if let Value::Array(items) = &entry.node.value {
            for item in items {
                if let Value::Table(row) = &item.value {
                    names.extend(row.entries.iter().map(|entry| entry.key.clone()));
                }
            }
        }
    }
    names
}

/// Reads `[sweep]`, with what `--set` says about its lists: a value of a list's variable takes the list's place, of a row's
/// variable it keeps the rows that have it.
pub(super) fn read(
    mut entry: Entry,
    variables: &[Variable],
    sets: &[(String, String)],
    sink: &Sink,
) -> Option<Spec> {
    let Value::Table(table) = &mut entry.node.value else {
        let help = "for example `[sweep]`, and below it `devices = [100, 1_000]`".to_owned();
        sink.report("type", &entry.node.span, "`sweep` is a table of lists", Some(help));
        return None;
    };
    let mut spec = Spec { repeat: 1, fit_over: None, axes: Vec::new() };
    let mut fit_over_at = None;
    for entry in &mut table.entries {
        match entry.key.as_str() {
            "repeat" => {
                replace(&mut entry.node, variables, sink);
                spec.repeat = own(entry, count(1, 1_000), sink).unwrap_or(1);
            }
            "fit_over" => {
                spec.fit_over = own(entry, text, sink);
                fit_over_at = Some(entry.node.span.clone());
            }
            _ => spec.axes.extend(axis(entry, variables, sink)),
        }
    }
    if spec.axes.is_empty() && sink.is_empty() {
        let help = "for example devices = [100, 1_000], where `devices` is a variable of `[vars]`".to_owned();
        sink.report("missing-key", &entry.at, "`sweep` lists no values", Some(help));
    }
    once(&spec.axes, &table.entries, sink);
    for (name, raw) in sets {
        narrow(&mut spec.axes, name, raw, variables, sink);
    }
    if let (Some(name), Some(at)) = (&spec.fit_over, fit_over_at) {
        check_fit_over(name, &at, &spec.axes, sink);
    }
    let combinations =
        spec.axes.iter().try_fold(1_usize, |product, axis| product.checked_mul(axis.rows.len()));
    let runs = combinations.and_then(|combinations| combinations.checked_mul(spec.repeat as usize));
    if runs.is_none_or(|runs| runs > RUNS_MAX) {
        let counts: Vec<String> =
            spec.axes.iter().map(|axis| format!("{} {}", axis.rows.len(), axis.key)).collect();
        let message =
            format!("{}, {} times each: more than {RUNS_MAX} runs", counts.join(" x "), spec.repeat);
        let help = "shorten a list, or keep some of its values: --set 'name=[value, value]'".to_owned();
        sink.report("limit", &entry.at, message, Some(help));
    }
    sink.is_empty().then_some(spec)
}

/// The value of one of the sweep's own keys.
fn own<T>(
    entry: &Entry,
    take: impl Fn(&Node) -> Result<T, super::reader::Problem>,
    sink: &Sink,
) -> Option<T> {
    take(&entry.node)
        .map_err(|problem| {
            let message = format!("`{}`: {}", entry.key, problem.message);
            sink.report(problem.code, &entry.node.span, message, problem.help);
        })
        .ok()
}

fn axis(entry: &Entry, variables: &[Variable], sink: &Sink) -> Option<Axis> {
    let key = &entry.key;
    let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let variable = variables.iter().find(|variable| variable.name == *key);
    let Value::Array(items) = &entry.node.value else {
        if variable.is_none()
            && let Some(near) = suggestion(key, &OWN_KEYS)
        {
            let help = Some(format!("did you mean `{near}`?"));
            sink.report("unknown-key", &entry.at, format!("`{key}` is no key of `sweep`"), help);
            return None;
        }
        let message = format!("`{key}` is {}, wanted a list of values", entry.node.value.kind());
        sink.report("type", &entry.node.span, message, Some(format!("for example {key} = [1, 2]")));
        return None;
    };
    if items.is_empty() {
        let help = "name at least one value, or remove the key".to_owned();
        sink.report(
            "value",
            &entry.node.span,
            format!("`{key}` has no values: nothing would be run"),
            Some(help),
        );
        return None;
    }
    if let Some(variable) = variable {
        let kept: Vec<&Node> =
            items.iter().filter(|item| is_alike(variable, &item.value, &item.span, sink)).collect();
        twice(key, &kept, sink);
        let rows = kept.into_iter().map(|item| vec![item.value.clone()]).collect();
        return Some(Axis { key: key.clone(), variables: vec![key.clone()], rows });
    }
    if !items.iter().all(|item| matches!(item.value, Value::Table(_))) {
        let help = format!(
            "{}; a list of tables sets several together: {key} = [{{ {} = … }}]",
            known_variables(key, &known),
            known.first().unwrap_or(&"name")
        );
        sink.report("variable", &entry.at, format!("`{key}` names no variable"), Some(help));
        return None;
    }
    rows(key, items, variables, sink)
}

/// `store = [{ devices = 100, sessions = 50 }, …]`
fn rows(key: &str, items: &[Node], variables: &[Variable], sink: &Sink) -> Option<Axis> {
    let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let mut axis = Axis { key: key.to_owned(), variables: Vec::new(), rows: Vec::new() };
    let mut whole = true;
    for item in items {
        let Value::Table(table) = &item.value else { continue };
        for entry in &table.entries {
            match variables.iter().find(|variable| variable.name == entry.key) {
                Some(variable) => {
                    whole &= is_alike(variable, &entry.node.value, &entry.node.span, sink);
                }
                None => {
                    let help = Some(known_variables(&entry.key, &known));
                    sink.report("variable", &entry.at, format!("`{}` names no variable", entry.key), help);
                    whole = false;
                }
            }
        }
        let names: Vec<String> = table.entries.iter().map(|entry| entry.key.clone()).collect();
        if names.is_empty() {
            let help = Some("write the variables and their values: { devices = 100 }".to_owned());
            sink.report("value", &item.span, "a row that sets nothing", help);
            whole = false;
            continue;
        }
        if axis.variables.is_empty() {
            axis.variables = names;
        } else if names.iter().collect::<BTreeSet<_>>() != axis.variables.iter().collect::<BTreeSet<_>>() {
            let wanted: Vec<&str> = axis.variables.iter().map(String::as_str).collect();
            let help = Some(format!("each row sets {}", list(&wanted)));
            sink.report("conflict", &item.span, "this row sets other variables than the first", help);
            whole = false;
        }
        axis.rows.push(
            axis.variables
                .iter()
                .filter_map(|name| table.get(name).map(|entry| entry.node.value.clone()))
                .collect(),
        );
    }
    if let (true, Some(first)) = (whole, axis.variables.first()) {
        let named: Vec<&Node> = items
            .iter()
            .filter_map(|item| match &item.value {
                Value::Table(table) => table.get(first).map(|entry| &entry.node),
                _ => None,
            })
            .collect();
        twice(first, &named, sink);
    }
    whole.then_some(axis)
}

/// A value that stands twice in a list would be two runs that nothing tells apart.
fn twice(name: &str, nodes: &[&Node], sink: &Sink) {
    let mut seen = BTreeSet::new();
    for node in nodes {
        let value = word(&json(node));
        if !seen.insert(value.clone()) {
            let help = Some("remove one; `repeat` runs everything several times".to_owned());
            sink.report("conflict", &node.span, format!("`{name}` has the value {value} twice"), help);
        }
    }
}

/// Whether a value is of the kind that the variable has in `[vars]`; reports if not.
fn is_alike(variable: &Variable, value: &Value, at: &Span, sink: &Sink) -> bool {
    match mistyped(variable, value) {
        None => true,
        Some((message, help)) => {
            sink.report("type", at, message, Some(help));
            false
        }
    }
}

fn mistyped(variable: &Variable, value: &Value) -> Option<(String, String)> {
    let is_number = |value: &Value| matches!(value, Value::Integer(_) | Value::Float(_));
    let (own, other) = (&variable.value, value);
    if own.kind() == other.kind() || (is_number(own) && is_number(other)) || matches!(other, Value::Broken) {
        return None;
    }
    Some((
        format!("`{}` is {} in `[vars]`, and {} here", variable.name, own.kind(), other.kind()),
        "write a value of the same kind, or change the one in `[vars]`".to_owned(),
    ))
}

/// Each variable may be in one list only.
fn once(axes: &[Axis], entries: &[Entry], sink: &Sink) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for axis in axes {
        for name in &axis.variables {
            if let Some((_, before)) = seen.iter().find(|(known, _)| known == name) {
                let at = entries.iter().find(|entry| entry.key == axis.key).map(|entry| entry.at.clone());
                let help = Some("keep one of them".to_owned());
                let message = format!("`{name}` is in the lists `{before}` and `{}`", axis.key);
                sink.report("conflict", &at.unwrap_or_default(), message, help);
            }
            seen.push((name, &axis.key));
        }
    }
}

/// Does what `--set` says about a list.
fn narrow(axes: &mut [Axis], name: &str, raw: &str, variables: &[Variable], sink: &Sink) {
    let axis = axes.iter_mut().find(|axis| axis.variables.iter().any(|known| known == name));
    let variable = variables.iter().find(|variable| variable.name == name);
    let (Some(axis), Some(variable)) = (axis, variable) else {
        // Of a list that could not be read more than this was reported.
        if sink.is_empty() {
            let known: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
            let message = format!("`--set {name}=…` names no variable of this scenario");
            sink.report_option("variable", message, Some(known_variables(name, &known)));
        }
        return;
    };
    let values: Vec<Value> = match value_of(raw) {
        Value::Array(items) => items.into_iter().map(|item| item.value).collect(),
        value => vec![value],
    };
    let wrong = |message: String, help: String| sink.report_option("override", message, Some(help));
    if values.is_empty() {
        wrong(format!("`--set {name}=[]` leaves nothing to run"), "name at least one value".to_owned());
        return;
    }
    for value in &values {
        if let Some((message, help)) = mistyped(variable, value) {
            wrong(format!("`--set {name}=…`: {message}"), help);
            return;
        }
    }
    if let [_] = axis.variables.as_slice() {
        axis.rows = values.into_iter().map(|value| vec![value]).collect();
        return;
    }
    let Some(position) = axis.variables.iter().position(|known| known == name) else { return };
    let has: Vec<String> =
        axis.rows.iter().filter_map(|row| row.get(position)).map(|value| word(&plain(value))).collect();
    for wanted in values.iter().map(|value| word(&plain(value))) {
        if !has.contains(&wanted) {
            let has: Vec<&str> = has.iter().map(String::as_str).collect();
            let message = format!("`--set {name}=…`: no row of `{}` has the value {wanted}", axis.key);
            wrong(message, format!("its rows have {}", list(&has)));
            return;
        }
    }
    let wanted: BTreeSet<String> = values.iter().map(|value| word(&plain(value))).collect();
    axis.rows.retain(|row| row.get(position).is_some_and(|value| wanted.contains(&word(&plain(value)))));
}

fn check_fit_over(name: &str, at: &Span, axes: &[Axis], sink: &Sink) {
    let names: Vec<&str> =
        axes.iter().filter_map(|axis| axis.variables.first()).map(String::as_str).collect();
    let Some(axis) = axes.iter().find(|axis| axis.variables.first().is_some_and(|first| first == name))
    else {
        let help = match suggestion(name, &names) {
            Some(near) => format!("did you mean `{near}`? Lists of this sweep: {}", list(&names)),
            None => format!("lists of this sweep, a list of rows by its first variable: {}", list(&names)),
        };
        sink.report("reference", at, format!("`fit_over`: no list is called `{name}`"), Some(help));
        return;
    };
    let is_positive = |value: &Value| match value {
        Value::Integer(number) => *number > 0,
        Value::Float(number) => *number > 0.0,
        _ => false,
    };
    if !axis.rows.iter().filter_map(|row| row.first()).all(is_positive) {
        let help =
            Some("growth is fitted over numbers above 0; remove `fit_over`, or name another list".to_owned());
        sink.report("type", at, format!("`fit_over`: `{name}` has values that are no numbers above 0"), help);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::{Choices, parse, parse_batch};
    use crate::vocabulary::{Backoff, DurationRange};

    /// A sweep over sizes and a kind, each size with its own number of tabs.
    const SWEPT: &str = r#"
name = "x-{kind}"
[vars]
size = 1
tabs = 1
kind = "a"
times = 2
reconnect = "official"
[sweep]
repeat = "{times}"
fit_over = "size"
rows = [{ size = 10, tabs = 1 }, { size = 100, tabs = 5 }, { size = 1_000, tabs = 9 }]
kind = ["a", "b"]
[gateway.store]
devices = "{size}"
[cohort.c]
persona = "cli"
count = "{tabs}"
arrivals.herd = {}
"#;

    fn swept(text: &str, sets: &[(&str, &str)]) -> Result<Sweep, Vec<Diagnostic>> {
        let sets = sets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match parse_batch("x.toml", text, &Choices { sets, ..Choices::default() })? {
            Batch::Sweep(sweep) => Ok(sweep),
            Batch::Single(_) => panic!("no sweep"),
        }
    }

    fn labels(sweep: &Sweep) -> Vec<String> {
        sweep.combinations.iter().map(Combination::label).collect()
    }

    #[test]
    fn a_sweep_is_every_combination() {
        let sweep = swept(SWEPT, &[]).unwrap();
        assert_eq!((sweep.repeat, sweep.fit_over.as_deref()), (2, Some("size")));
        assert_eq!(
            labels(&sweep),
            [
                "size=10 kind=a",
                "size=10 kind=b",
                "size=100 kind=a",
                "size=100 kind=b",
                "size=1000 kind=a",
                "size=1000 kind=b"
            ]
        );
        let of: Vec<_> = sweep
            .combinations
            .iter()
            .map(|one| {
                (
                    one.scenario.name.as_str(),
                    one.scenario.gateway.stored_bystanders,
                    one.scenario.cohorts[0].count,
                )
            })
            .collect();
        let expected = [
            ("x-a", 10, 1),
            ("x-b", 10, 1),
            ("x-a", 100, 5),
            ("x-b", 100, 5),
            ("x-a", 1000, 9),
            ("x-b", 1000, 9),
        ];
        assert_eq!(of, expected);
        assert_eq!(sweep.combinations[0].values.len(), 3);
        // A reader that knows of no sweeps has the values of `[vars]`.
        assert_eq!(parse("x.toml", SWEPT, &[]).unwrap().gateway.stored_bystanders, 1);
    }

    #[test]
    fn a_sweep_is_narrowed_on_the_command_line() {
        let sweep = swept(SWEPT, &[("size", "[1000, 10]"), ("kind", "c"), ("times", "7")]).unwrap();
        assert_eq!(
            (labels(&sweep), sweep.repeat),
            (vec!["size=10 kind=c".to_owned(), "size=1000 kind=c".to_owned()], 7)
        );
        let by_other = swept(SWEPT, &[("tabs", "5")]).unwrap();
        assert_eq!(labels(&by_other), ["size=100 kind=a", "size=100 kind=b"]);
        for (name, value, said) in [
            ("size", "[20]", "no row of `rows` has the value 20"),
            ("size", "[]", "leaves nothing to run"),
            ("size", "many", "`size` is a whole number in `[vars]`, and a text here"),
            ("kind", "[1]", "`kind` is a text in `[vars]`, and a whole number here"),
            ("rows", "[1]", "`--set rows=…` names no variable"),
            ("kimd", "x", "`--set kimd=…` names no variable"),
        ] {
            let errors = swept(SWEPT, &[(name, value)]).unwrap_err();
            assert!(errors[0].message.contains(said), "{errors:?}");
            assert!(errors[0].help.is_some(), "{errors:?}");
        }
    }

    #[test]
    fn a_variable_may_be_a_whole_table() {
        let text = "name = \"x\"\n[vars]\nway = { official = { jitter = 0.0 } }\n[sweep]\nway = [{ fixed = { pause = \"1s\" } }, \
                    { official = { jitter = 0.5 } }]\n[cohort.c]\npersona = \"cli\"\ncount = 1\narrivals.herd = {}\n\
                    reconnect = \"{way}\"\n";
        let sweep = swept(text, &[]).unwrap();
        let backs: Vec<Backoff> =
            sweep.combinations.iter().map(|one| one.scenario.cohorts[0].cohort.reconnect.backoff).collect();
        let second = Duration::from_secs(1);
        assert_eq!(
            backs,
            [Backoff::Fixed(DurationRange { min: second, max: second }), Backoff::Official { jitter: 0.5 }]
        );
    }
}
