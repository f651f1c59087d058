//! The checks can fail: each deliberate fault of the gateway is caught, by the check meant for it.

use crate::common::{pairstorm, scenario, scratch};

/// Runs the smoke scenario with a defect and gives the number of mismatches of `kind`.
fn caught(defect: &str, kind: &str) -> (u64, crate::common::Finished) {
    let folder = scratch();
    let smoke = scenario("smoke.toml");
    let arguments = ["run", &smoke, "--clients", "300", "--defect", defect, "--json", "--out", "run"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(1), "{defect}: {}", finished.said());
    let result = finished.result();
    assert_eq!(result["verdict"], "violated");
    let violations = std::fs::read_to_string(folder.path().join("run/violations.jsonl")).expect("violations");
    assert!(violations.lines().any(|line| line.contains(&format!("\"{kind}\""))), "{defect}: {violations}");
    (result["mismatches"][kind].as_u64().expect("a count"), finished)
}

#[test]
fn accept_unpaired_is_a_false_accept() {
    let (count, finished) = caught("accept-unpaired", "false_accept");
    assert!(count > 10, "{}", finished.said());
}

#[test]
fn wrong_reason_is_a_wrong_reason() {
    let (count, finished) = caught("wrong-reason", "wrong_reason");
    assert!(count > 10, "{}", finished.said());
    assert_eq!(finished.result()["mismatches"]["false_accept"], 0, "{}", finished.said());
}

#[test]
fn forget_approval_on_restart_is_a_false_reject() {
    let (count, finished) = caught("forget-approval-on-restart", "false_reject");
    assert!(count > 0, "{}", finished.said());
    assert_eq!(finished.result()["mismatches"]["false_accept"], 0, "{}", finished.said());
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
