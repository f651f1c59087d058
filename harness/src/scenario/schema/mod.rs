//! JSON Schema of the language, for editors.
//!
//! Words come from the tables that the readers use. Which keys a table has is written here a second time, with what each
//! means; `tests.rs` holds both against what the readers ask for.

mod client;
mod nemesis;
mod stage;
mod values;

use serde_json::{Value, json};

use super::metric::metrics;
use super::{COUNT_MAX, PROFILES};
use crate::vocabulary::invariant::Invariant;
use values::{Key, count, duration, integer, key, list, named, number, share, table, text, words};

/// JSON Schema (draft 2020-12) of scenario files, with a description of every key: what `pairstorm schema` prints and
/// `scenarios/scenario.schema.json` holds.
///
/// It cannot say all that `pairstorm check` does: which names refer to which, and what does not go together.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(
        "A scenario of pairstorm: who arrives, how, what they ask, who approves, and what happens to the gateway meanwhile. \
         scenarios/README.md describes the language.",
        &top(),
    );
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("pairstorm scenario"));
        object.insert("$defs".to_owned(), values::definitions());
        // What another file may have said already is not missed here.
        object.insert("if".to_owned(), json!({ "not": { "required": ["extend"] } }));
        object.insert(
            "then".to_owned(),
            json!({
                "required": ["name", "cohort"],
                "properties": { "cohort": { "minProperties": 1, "additionalProperties": { "required": ["persona"] } } },
            }),
        );
    }
    schema
}

fn top() -> Vec<Key> {
    vec![
        key(
            "extend",
            text(),
            "Another scenario file, of which this one says only what is other. The path counts from this file's folder.",
        ),
        key(
            "remove",
            list(text()),
            "What is not to be inherited: paths from the top of the file, for example \"cohort.tabs\"; items of a list by their number, \"step.3\".",
        ),
        key("name", text(), "A short name."),
        key("about", text(), "What the scenario shows, and how long it takes."),
        key("seed", integer(0, i64::MAX), "Fixes every random choice. Default: 1."),
        key(
            "oracle",
            words(["profile", "expectations"]),
            "Who judges: the oracle every outcome (default), or only [cohort.NAME.expect].",
        ),
        key(
            "duration",
            duration(),
            "When clients stop and leave. Default: the run ends with the last script.",
        ),
        key(
            "after_faults",
            duration(),
            "Instead of `duration`: clients stop and leave this long after the last fault.",
        ),
        key("max_time", duration(), "A run that hangs is killed after this. Default: \"10m\"."),
        key(
            "attempt_timeout",
            duration(),
            "An attempt that takes longer has timed out. Default: \"15s\", 2026.9.6: \"20s\".",
        ),
        key(
            "in_flight_max",
            count(1, 100_000),
            "Attempts in progress; an arrival beyond is dropped and counted. Default: 1024.",
        ),
        key(
            "time_scale",
            number(0.001, 1000.0),
            "Factor on back-off, think time and the in-repo gateway's time to live. Default: 1.0.",
        ),
        key(
            "vars",
            json!({ "type": "object" }),
            "Values that \"{name}\" stands for and `--set name=value` replaces.",
        ),
        key("sweep", sweep(), "The scenario once for every combination of values of variables."),
        key(
            "gateway",
            stage::gateway(),
            "Which gateway is started, how it is configured, and what its store holds.",
        ),
        key("path", named(stage::path()), "How clients reach the gateway."),
        key("cohort", named(client::cohort()), "Clients that have everything but their identity in common."),
        key("operator", named(stage::operator()), "Somebody who decides about requests."),
        key("fault", named(nemesis::fault()), "What happens to the gateway, and when."),
        key("step", list(nemesis::step()), "A story: one step after the other."),
        key("invariants", invariants(), "What the run is expected to break, and nothing else."),
        key("threshold", threshold(), "Pass rules: \"metric\" = \"< limit\"."),
        key("validity", validity(), "When the run's own numbers are not to be trusted."),
    ]
}

fn sweep() -> Value {
    let values = json!({ "type": "array", "minItems": 1 });
    json!({
        "type": "object",
        "properties": {
            "repeat": { "description": "Each combination so many times, each with the next seed. Default: 1.",
                "anyOf": [count(1, 1_000), values] },
            "fit_over": { "description": "How does each figure grow with this variable? Its values are numbers above 0.",
                "anyOf": [{ "type": "string" }, values] },
        },
        "additionalProperties": {
            "description": "Values of a variable of [vars]; or rows, tables that each set the same variables.",
            "type": "array",
            "minItems": 1,
        },
    })
}

fn invariants() -> Value {
    let names = words(Invariant::ALL.map(Invariant::as_str));
    let expected = json!({ "anyOf": [list(names.clone()), names] });
    table("", &[key("expected", expected, "Those that the gateway is expected to break.")])
}

fn threshold() -> Value {
    let rule = json!({ "$ref": "#/$defs/rule" });
    let known = metrics(&[]).into_iter().map(|(name, _)| (name, rule.clone()));
    let properties: serde_json::Map<String, Value> = known.collect();
    // Keys may also be dotted; then they are tables.
    let dotted = json!({ "anyOf": [rule, { "type": "object" }] });
    json!({ "type": "object", "properties": properties, "additionalProperties": dotted })
}

fn validity() -> Value {
    table(
        "",
        &[
            key(
                "lag_p99_max",
                duration(),
                "From intended to real start, 99th percentile. Default: \"100ms\".",
            ),
            key("late_after", duration(), "A start this long after its time is late. Default: \"10ms\"."),
            key("late_share_max", share(), "Late starts of all starts. Default: 1."),
            key("dropped_share_max", share(), "Attempts that could not be started. Default: 0."),
            key("reactor_cpu_share_max", share(), "CPU of the busiest reactor. Default: 0.9."),
            key("scheduler_delay_share_max", share(), "Time in which a reactor had no core. Default: 0.3."),
            key("descriptors_share_max", share(), "Descriptors open, of those that may be. Default: 0.98."),
            key(
                "history_wait_share_max",
                share(),
                "Reactors' time spent waiting for the history's disk. Default: 0.05.",
            ),
            key(
                "indeterminate_share_max",
                share(),
                "Attempts that evidence did not suffice for. Default: 0.02.",
            ),
        ],
    )
}

/// Names of profiles.
fn profiles() -> Value {
    words(PROFILES.map(|profile| profile.as_str()))
}

/// How many clients, devices and the like there may be.
fn crowd(min: u32) -> Value {
    count(min, COUNT_MAX)
}

#[cfg(test)]
mod tests;
