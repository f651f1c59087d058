//! The schema against the readers: the same keys, and the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::schema;
use crate::scenario::diagnostic::Sink;
use crate::scenario::document::{self, Node, Value};
use crate::scenario::reader::ASKED;
use crate::scenario::{Choices, Diagnostic, gateway, load_batch, parse_batch};

type Json = serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All `.toml` files below a folder, sorted.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scenarios(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml")
            && !crate::verify::is_expected(&path)
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn as_json(text: &str) -> Option<Json> {
    let table = document::parse(text, 0, &Sink::new("x.toml", text))?;
    Some(gateway::json(&Node { span: 0..0, value: Value::Table(table) }))
}

/// A scenario of what no shipped one has. The readers' questions count, not whether it is a sensible one.
const REST: &str = r#"
name = "rest"
duration = "60s"
[path.p]
from = "127.2.0.1"
[cohort.stairs]
persona = "cli"
count = 3
stored.metadata = { platform = "Win16", device_family = "none" }
arrivals.stairs = { from = "1/s", to = "3/s", step = "1/s", every = "1s" }
reconnect.official.jitter = 0.5
deviation.protocol = { min = 4, max = 4 }
[cohort.spike]
persona = "cli"
count = 3
arrivals.spike = { base = "1/s", peak = "9/s", at = "1s", for = "1s" }
reconnect.fixed.pause = "1s"
[cohort.ramp]
persona = "cli"
count = 3
arrivals.ramp = { from = "1/s", to = "3/s" }
reconnect.tight = {}
[cohort.list]
persona = "cli"
arrivals.replay.file = "list"
[cohort.closed]
persona = "cli"
count = 3
arrivals.closed.concurrency = 1
[cohort.poisson]
persona = "cli"
count = 3
arrivals.poisson.rate = "1/s"
[cohort.told]
persona = "ios"
count = 1
[cohort.script]
persona = "cli"
count = 1
arrivals.herd = {}
script = [
    { connect = { platform = "x", deviation.protocol = { min = 4, max = 4 } }, expect = { outcome = "session" } },
    { call = { method = "status" }, expect = { outcome = "ok" } },
    { drop = true },
    { change = { scopes = [], deviation.clock-skew = "1s" } },
    { connect = { deviation.clock-skew = "1s" } },
]
[operator.a]
think.mean = "1s"
notices.list = "1s"
[operator.b]
think = { median = "1s", p99 = "2s" }
[fault.a]
at = "1s"
stall = { of = "1ms", every = "2ms" }
for = "1s"
[fault.b]
at = "1s"
network = { delay = "1ms" }
[fault.c]
at = "1s"
edit = { cohort = "told", entry = "drop" }
[fault.d]
every = "1s"
times = 2
restart = "SIGTERM"
[[step]]
connect = "told"
deviation.clock-skew = "-3m"
expect.outcome = "session"
[[step]]
rotate = { client = "told" }
[[step]]
revoke = { client = "told" }
[[step]]
edit = { client = "told", entry = "drop" }
[[step]]
restart = "SIGTERM"
[invariants]
expected = []
[validity]
late_after = "1s"
"#;

/// `cohort.tabs.arrivals` is `cohort.*.arrivals`, `step 3.rotate` is `step.rotate`, `script step 3` is `script`.
fn general(name: &str) -> Vec<String> {
    let mut parts: Vec<&str> = name.split('.').filter(|part| !part.is_empty()).collect();
    for part in &mut parts {
        for list in ["step", "script"] {
            let number = part.strip_prefix(list).map(|rest| rest.trim_start_matches(" step"));
            if number.is_some_and(|number| number.starts_with(' ')) {
                *part = list;
            }
        }
    }
    if matches!(parts.first(), Some(&("cohort" | "operator" | "fault" | "path"))) && parts.len() > 1 {
        parts[1] = "*";
    }
    parts.into_iter().map(str::to_owned).collect()
}

/// The keys that the readers ask a table for, by its path, over everything that they are given here.
fn asked() -> BTreeMap<Vec<String>, BTreeSet<String>> {
    ASKED.with_borrow_mut(Vec::clear);
    for file in scenarios(&repository().join("scenarios")) {
        load_batch(&file, &Choices::default()).unwrap_or_else(|errors| panic!("{errors:?}"));
    }
    let _ = parse_batch("rest.toml", REST, &Choices::default());
    let mut tables: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for (name, keys) in ASKED.with_borrow_mut(std::mem::take) {
        tables.entry(general(&name)).or_default().extend(keys.into_iter().map(str::to_owned));
    }
    tables
}

/// Tables that are no `Fields` to their readers, or open to every key.
const READ_OTHERWISE: [&str; 7] = [
    "vars",
    "sweep",
    "threshold",
    "gateway.launch",
    "gateway.launch.ready",
    "gateway.config",
    "cohort.*.script.call.params",
];

/// The keys of each table of the schema, by its path.
fn described(schema: &Json) -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let mut tables = BTreeMap::new();
    gather(schema, &mut Vec::new(), &mut tables);
    tables
}

fn gather(schema: &Json, path: &mut Vec<String>, tables: &mut BTreeMap<Vec<String>, BTreeSet<String>>) {
    let dotted = path.join(".");
    let by_hand = path.ends_with(&["deviation".to_owned(), "protocol".to_owned()])
        || path.last().is_some_and(|last| last == "role");
    if READ_OTHERWISE.contains(&dotted.as_str()) || by_hand {
        return;
    }
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        gather(alternative, path, tables);
    }
    if schema["items"].is_object() {
        gather(&schema["items"], path, tables);
    }
    if schema["additionalProperties"].is_object() {
        path.push("*".to_owned());
        gather(&schema["additionalProperties"], path, tables);
        path.pop();
    }
    if let Some(properties) = schema["properties"].as_object() {
        tables.entry(path.clone()).or_default().extend(properties.keys().cloned());
        for (key, schema) in properties {
            path.push(key.clone());
            gather(schema, path, tables);
            path.pop();
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_the_readers_ask_for_and_no_others() {
    let (asked, described) = (asked(), described(&schema()));
    let mut faults = Vec::new();
    for (path, keys) in &asked {
        let known = described.get(path).cloned().unwrap_or_default();
        for key in keys.difference(&known) {
            faults.push(format!(
                "`{key}` of [{}] is read, and not in harness/src/scenario/schema",
                path.join(".")
            ));
        }
    }
    for (path, keys) in &described {
        match asked.get(path) {
            None => faults.push(format!(
                "[{}] is in the schema, and REST never shows it to the reader",
                path.join(".")
            )),
            Some(known) => {
                for key in keys.difference(known) {
                    faults.push(format!(
                        "`{key}` of [{}] is in the schema, and nobody reads it",
                        path.join(".")
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn shipped_scenarios_follow_the_schema() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let files = scenarios(&repository().join("scenarios"));
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        let value = as_json(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {}: {error}", file.display(), error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

/// What a schema can say, it says: files whose only faults are names and kinds are refused by both.
#[test]
fn what_the_readers_refuse_by_name_or_kind_the_schema_refuses() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let names = |errors: &[Diagnostic]| {
        errors.iter().any(|error| matches!(error.code, "unknown-key" | "type" | "unknown-name"))
    };
    // A variable hides it, or another value decides.
    let beyond = ["variable-of-the-wrong-type", "sweep-of-the-wrong-type", "sweep-fitted-over-a-text"];
    let (mut refused, mut let_through) = (0, Vec::new());
    for file in scenarios(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid_scenarios")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(value) = as_json(&text) else { continue };
        let errors = parse_batch("x.toml", &text, &Choices::default()).unwrap_err();
        if !names(&errors) || beyond.contains(&stem.as_str()) {
            continue;
        }
        if validator.is_valid(&value) {
            let_through.push(stem);
        } else {
            refused += 1;
        }
    }
    assert_eq!(let_through, Vec::<String>::new());
    assert!(refused > 8, "only {refused} such files are left");
}

/// `UPDATE_SCHEMA=1` writes the file instead.
#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = schema();
    let path = repository().join("scenarios/scenario.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, format!("{generated:#}\n")).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let committed: Json = serde_json::from_str(&committed).unwrap_or_default();
    assert!(committed == generated, "run this test with UPDATE_SCHEMA=1 and commit the file");
}

#[test]
fn words_with_variables_and_quantities_are_let_through_and_others_not() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let scenario = |line: &str| {
        format!(
            "name = \"x\"\n[cohort.c]\npersona = \"cli\"\ncount = \"{{n}}\"\narrivals.herd = {{}}\n{line}\n"
        )
    };
    let valid = |line: &str| validator.is_valid(&as_json(&scenario(line)).unwrap());
    for line in [
        "session.hold = \"1m30s..2m\"",
        "session.hold = \"{pause}ms..{pause}s\"",
        "[validity]\nlate_share_max = \"5%\"\ndropped_share_max = 0.5",
        "[threshold]\nlag.p99 = \"< 1s\"\n\"approval_to_session.waterfalls.c.whole.p50\" = \"< 1s\"",
        "reconnect = \"{reconnect}\"",
    ] {
        assert!(valid(line), "{line}");
    }
    for line in [
        "session.hold = \"5\"",
        "session.hold = 5",
        "credential = \"shared_token\"",
        "[validity]\nlate_share_max = 5",
        "[threshold]\n\"mismatches\" = \"none\"",
        "[gateway.config.gateway]\nport = 5",
        "[gateway]\nprofile = \"2026.9.7\"",
    ] {
        assert!(!valid(line), "{line}");
    }
    assert!(!validator.is_valid(&as_json("seed = 1\n").unwrap()));
    assert!(validator.is_valid(&as_json("extend = \"base.toml\"\nseed = 1\n").unwrap()));
}
