//! `pairstorm verify`: a scenario that shows what it must passes; a wrong expectation, a gateway with a fault and a scenario of which
//! nothing is said do not.

use serde_json::Value;

use crate::common::{Finished, finish, pairstorm, scratch, start, until, write};

/// A stranger behind a proxy, who is approved, and a local client.
const FIRST: &str = r#"
name = "first"
about = "Planted."
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.stranger]
persona = "cli"
count = 1
path = "proxy"
[cohort.local]
persona = "cli"
count = 1
[[step]]
connect = "stranger"
[[step]]
approve = "stranger"
[[step]]
connect = "stranger"
[[step]]
connect = "local"
# Who is let in is asked, not how fast.
[validity]
lag_p99_max               = "60s"
reactor_cpu_share_max     = 1.0
scheduler_delay_share_max = 1.0
history_wait_share_max    = 1.0
"#;

const RIGHT: &str = r#"
verdict = "pass"
[cohort]
local = { must = { session = 1 }, clients_in = 1 }
stranger = { must = { not-paired = 1, session = 1 }, clients_in = 1 }
"#;

/// `FIRST` with this beside it, verified.
fn verified(expected: &str, more: &[&str]) -> (Finished, Value) {
    let folder = scratch();
    write(folder.path(), "first.toml", FIRST);
    write(folder.path(), "first.expected.toml", expected);
    let mut arguments = vec!["verify", ".", "--json", "--out", "runs"];
    arguments.extend(more);
    let finished = pairstorm(folder.path(), &arguments);
    let result = finished.result();
    (finished, result)
}

fn said(result: &Value) -> String {
    result["rows"][0]["said"].to_string()
}

#[test]
fn a_scenario_that_shows_what_it_must_passes() {
    let (finished, result) = verified(RIGHT, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert_eq!(
        (&result["passed"], &result["rows"][0]["ended"]),
        (&true.into(), &"pass".into()),
        "{result:#}"
    );
    assert_eq!(
        result["rows"].as_array().map(Vec::len),
        Some(1),
        "the expected result is no scenario: {result:#}"
    );
}

#[test]
fn a_wrong_expectation_differs() {
    let (finished, result) = verified(&RIGHT.replace("not-paired = 1", "scope-upgrade = 1"), &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    for text in [
        "in stranger, 1 x `scope-upgrade` expected, 0 seen",
        "in stranger, 1 x `not-paired` seen, which is not expected",
    ] {
        assert!(said(&result).contains(text), "{text}: {result:#}");
    }
    let (finished, result) = verified(&RIGHT.replace("pass", "violated"), &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(said(&result).contains("verdict violated expected, pass seen"), "{result:#}");
}

#[test]
fn a_gateway_with_a_fault_differs() {
    let (finished, result) = verified(RIGHT, &["--defect", "accept-unpaired"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    for text in ["verdict pass expected, violated seen", "1 x `not-paired` expected, 0 seen", "false_accept"]
    {
        assert!(said(&result).contains(text), "{text}: {result:#}");
    }
}

#[test]
fn a_scenario_of_which_nothing_is_said_is_an_error_unless_it_says_why() {
    let folder = scratch();
    write(folder.path(), "first.toml", FIRST);
    let arguments = ["verify", ".", "--out", "runs"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(
        finished.stderr.contains("nothing says what is expected; write ./first.expected.toml"),
        "{}",
        finished.said()
    );
    assert!(!folder.path().join("runs").exists(), "nothing may be run");
    write(folder.path(), "first.expected.toml", "skip = \"takes root\"\n");
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert!(finished.stdout.contains("skipped  ./first.toml\n           takes root"), "{}", finished.said());
}

#[test]
fn every_combination_of_a_sweep_is_held_to_its_own() {
    let folder = scratch();
    // The first releases refuse a local device that asks for more; later ones let it in.
    write(
        folder.path(),
        "ladder.toml",
        r#"
name = "ladder"
about = "Planted."
[vars]
profile = "article"
[sweep]
profile = ["2026.2.19", "2026.9.6"]
[gateway]
profile = "{profile}"
[cohort.local]
persona = "cli"
count = 1
scopes = ["operator.read"]
deviation = "none"
[[step]]
connect = "local"
[[step]]
connect = "local"
scopes = ["operator.read", "operator.approvals"]
[validity]
lag_p99_max               = "60s"
reactor_cpu_share_max     = 1.0
scheduler_delay_share_max = 1.0
history_wait_share_max    = 1.0
"#,
    );
    let update = ["verify", "ladder.toml", "--update", "--out", "first"];
    let finished = pairstorm(folder.path(), &update);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert!(finished.stdout.contains("read it before you keep it"), "{}", finished.said());
    let path = folder.path().join("ladder.expected.toml");
    let written = std::fs::read_to_string(&path).expect("a file");
    for text in [
        "[run.\"profile=2026.2.19\".cohort]\nlocal = { must = { pairing-without-details = 1, session = 1 }",
        "[run.\"profile=2026.9.6\".cohort]\nlocal = { must = { session = 2 }",
    ] {
        assert!(written.contains(text), "{text}: {written}");
    }
    let finished = pairstorm(folder.path(), &["verify", "ladder.toml", "--json", "--out", "second"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert_eq!(finished.result()["rows"].as_array().map(Vec::len), Some(2));
    // One release then behaves as the other one.
    std::fs::write(&path, written.replacen("session = 2", "session = 1", 1)).expect("a file");
    let finished = pairstorm(folder.path(), &["verify", "ladder.toml", "--json", "--out", "third"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    let ended: Vec<String> = finished.result()["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["ended"].to_string())
        .collect();
    assert_eq!(ended, ["\"pass\"", "\"differs\""]);
}

#[test]
fn what_was_written_by_hand_is_kept_where_it_is_right() {
    let folder = scratch();
    write(folder.path(), "first.toml", FIRST);
    let by_hand = format!("# By hand.\n{}", RIGHT.trim_start());
    let path = write(folder.path(), "first.expected.toml", &by_hand);
    let update = |out: &str| pairstorm(folder.path(), &["verify", "first.toml", "--update", "--out", out]);
    assert_eq!(update("first").code, Some(0));
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), by_hand);
    std::fs::write(
        &path,
        by_hand.replace("session = 1 }, clients_in = 1 }\nstranger", "session = 7 } }\nstranger"),
    )
    .expect("a file");
    assert_eq!(update("second").code, Some(0));
    let now = std::fs::read_to_string(&path).expect("a file");
    assert!(now.starts_with("# By hand.\n") && now.contains("local = { must = { session = 1 }"), "{now}");
}

#[test]
fn an_interrupted_run_keeps_what_there_is() {
    let folder = scratch();
    write(folder.path(), "a.toml", &FIRST.replace("\"first\"", "\"a\""));
    write(folder.path(), "a.expected.toml", RIGHT);
    let long =
        FIRST.replace("\"first\"", "\"b\"").replacen("[[step]]", "[[step]]\nwait = \"10m\"\n[[step]]", 1);
    write(folder.path(), "b.toml", &format!("max_time = \"20m\"\n{long}"));
    write(folder.path(), "b.expected.toml", RIGHT);
    let child =
        start(folder.path(), &["verify", "a.toml", "b.toml", "--json", "--jobs", "2", "--out", "runs"]);
    // `a` is over when its result is there, and `b` goes on when its history is.
    let runs = folder.path().join("runs");
    let there = |begins: &str, file: &str| {
        std::fs::read_dir(&runs).into_iter().flatten().flatten().any(|entry| {
            entry.file_name().to_string_lossy().starts_with(begins) && entry.path().join(file).exists()
        })
    };
    until("a run that is over and one that goes on", || {
        there("000-a", "result.json") && there("001-b", "history.bin")
    });
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    let finished = finish(child);
    assert_eq!(finished.code, Some(130), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["interrupted"], true, "{result:#}");
    assert_eq!(result["rows"][1]["ended"], "not_run", "{result:#}");
}

#[test]
fn an_unknown_defect_and_a_wrong_file_are_errors_of_usage() {
    let folder = scratch();
    write(folder.path(), "first.toml", FIRST);
    write(folder.path(), "first.expected.toml", "verdict = \"fine\"\n");
    let finished = pairstorm(folder.path(), &["verify", "first.toml"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(
        finished.stderr.contains("first.expected.toml: ") && finished.stderr.contains("line 1"),
        "{}",
        finished.said()
    );
    let finished = pairstorm(folder.path(), &["verify", "first.expected.toml"]);
    assert!(finished.stderr.contains("name the scenario"), "{}", finished.said());
    let finished = pairstorm(folder.path(), &["verify", "first.toml", "--defect", "no-such-defect"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
}
