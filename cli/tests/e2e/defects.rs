//! The checks can fail: each deliberate fault of the gateway is caught, by the check meant for it. `.ci/run` tries all of
//! them; here it is the command that is tried.

use serde_json::Value;

use crate::common::{Finished, pairstorm, root, scenario, scratch, write};

/// Tries defects on the shipped scenarios.
fn shipped(names: &[&str]) -> Finished {
    let folder = scratch();
    let scenarios = root().join("scenarios/defects").display().to_string();
    let mut arguments = vec!["defects", "--scenarios", &scenarios, "--json", "--out", "runs", "--only"];
    arguments.extend(names);
    pairstorm(folder.path(), &arguments)
}

/// Tries `accept-unpaired` on a scenario of our own.
fn planted(text: &str) -> (Finished, Value) {
    let folder = scratch();
    write(folder.path(), "doors.toml", text);
    let arguments = ["defects", "--scenarios", ".", "--json", "--out", "runs", "--only", "accept-unpaired"];
    let finished = pairstorm(folder.path(), &arguments);
    let matrix = finished.result();
    (finished, matrix)
}

/// Somebody from a cohort of that name, who reaches the gateway so.
fn scenario_of(cohort: &str, path: &str, more: &str) -> String {
    format!(
        r#"
name = "doors"
about = "Planted."
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.{cohort}]
persona = "cli"
count = 1
path = "{path}"
{more}
[cohort.{cohort}.arrivals.herd]
at = "0s"
[cohort.{cohort}.reconnect]
attempts_max = 1
# Who is let in is asked, not how fast.
[validity]
lag_p99_max               = "60s"
reactor_cpu_share_max     = 1.0
scheduler_delay_share_max = 1.0
history_wait_share_max    = 1.0
"#
    )
}

#[test]
fn defects_are_caught_by_the_checks_meant_for_them() {
    let finished = shipped(&["wrong-reason", "leak-events"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let matrix = finished.result();
    assert_eq!(matrix["passed"], true, "{matrix:#}");
    for (position, (name, kind)) in
        [("wrong-reason", "wrong_reason"), ("leak-events", "leaked_event")].into_iter().enumerate()
    {
        let row = &matrix["defects"].as_array().expect("rows")[position];
        assert_eq!((row["defect"].as_str(), row["meant"]["kind"].as_str()), (Some(name), Some(kind)));
        assert_eq!(row["verdict"], "caught", "{row:#}");
        assert!(row["caught"].as_u64() > Some(0), "{row:#}");
    }
    let clean = matrix["clean"].as_array().expect("clean runs");
    assert_eq!(clean.len(), 2, "{matrix:#}");
    assert!(clean.iter().all(|run| run["passed"] == true && run["mismatches"]["total"] == 0), "{matrix:#}");
}

#[test]
fn a_scenario_that_cannot_show_a_defect_fails_the_matrix() {
    // A local client is paired silently, with the defect and without.
    let (finished, matrix) = planted(&scenario_of("strangers", "direct", ""));
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert_eq!(matrix["clean"][0]["passed"], true, "{matrix:#}");
    assert_eq!(matrix["defects"][0]["verdict"], "NOT CAUGHT", "{matrix:#}");
}

#[test]
fn another_check_than_the_one_meant_is_not_enough() {
    let (finished, matrix) = planted(&scenario_of("others", "proxy", ""));
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert_eq!(matrix["defects"][0]["verdict"], "caught by another check", "{matrix:#}");
    assert_eq!(matrix["defects"][0]["mismatches"]["false_accept"], 1, "{matrix:#}");
}

#[test]
fn what_is_reported_without_a_defect_fails_the_matrix() {
    let expectation = "expect = { outcome = \"session\", attempts = 0 }";
    let (finished, matrix) = planted(&scenario_of("strangers", "proxy", expectation));
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert_eq!(matrix["clean"][0]["passed"], false, "{matrix:#}");
}

#[test]
fn the_table_is_for_people() {
    let folder = scratch();
    let scenarios = root().join("scenarios/defects").display().to_string();
    let arguments = ["defects", "--scenarios", &scenarios, "--out", "runs", "--only", "foreign-device-id"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    for text in
        ["(none)", "clean", "foreign-device-id", "caught 2 of ", "PASS: 1 of 1 defects", "files: runs"]
    {
        assert!(finished.stdout.contains(text), "{text}: {}", finished.said());
    }
    assert!(folder.path().join("runs/doors-foreign-device-id/violations.jsonl").exists());
}

#[test]
fn an_unknown_defect_is_an_error_of_usage() {
    let finished = shipped(&["no-such-defect"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("accept-unpaired"), "{}", finished.said());
}

#[test]
fn fail_fast_stops_early_and_says_so() {
    let folder = scratch();
    let smoke = scenario("smoke.toml");
    let arguments = [
        "run",
        &smoke,
        "--clients",
        "300",
        "--defect",
        "accept-unpaired",
        "--fail-fast",
        "--json",
        "--out",
        "run",
    ];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(finished.result()["attempts"]["attempted"].as_u64() < Some(300), "{}", finished.said());
}
