//! Signals and processes: partial results are kept, and no gateway outlives its run.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{binary, finish, processes_with, scenario, scratch, until};
use serde_json::Value;

/// Starts the smoke scenario with a temporary folder of its own, so that its gateway can be told from others.
fn start_smoke(folder: &Path) -> Child {
    std::fs::create_dir(folder.join("tmp")).expect("a folder");
    Command::new(binary())
        .args(["run", &scenario("smoke.toml"), "--clients", "300", "--json", "--out", "run"])
        .current_dir(folder)
        .env("TMPDIR", folder.join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn gateways(folder: &Path) -> usize {
    let state = folder.join("tmp").display().to_string();
    processes_with(&state).iter().filter(|line| line.contains("--state-dir")).count()
}

/// Whether a client has been paired, so the load has begun.
fn load_has_begun(folder: &Path) -> bool {
    let Ok(states) = std::fs::read_dir(folder.join("tmp")) else { return false };
    states.flatten().any(|state| {
        std::fs::read_to_string(state.path().join("gateway.log"))
            .is_ok_and(|log| log.lines().filter(|line| line.contains("pairing")).count() > 5)
    })
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn an_interrupted_run_keeps_what_it_measured() {
    let folder = scratch();
    let child = start_smoke(folder.path());
    until("the load", || load_has_begun(folder.path()));
    signal(&child, "-INT");
    let finished = finish(child);
    assert_eq!(finished.code, Some(130), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["interrupted"], Value::Bool(true));
    assert_eq!(result["mismatches"]["total"], 0, "{}", finished.said());
    assert!(result["attempts"]["attempted"].as_u64() > Some(0));
    assert!(folder.path().join("run/result.json").is_file());
    assert_eq!(gateways(folder.path()), 0, "the gateway was stopped");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("tmp")).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "the state directory was removed: {left:?}");
}

#[test]
fn a_killed_run_takes_its_gateway_along() {
    let folder = scratch();
    let mut child = start_smoke(folder.path());
    until("the gateway", || gateways(folder.path()) == 1);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    until("the gateway's end", || gateways(folder.path()) == 0);
}

#[test]
fn a_gateway_that_dies_is_a_failed_run_with_what_was_measured() {
    let folder = scratch();
    let child = start_smoke(folder.path());
    until("the load", || load_has_begun(folder.path()));
    let state = folder.path().join("tmp").display().to_string();
    let killed = Command::new("pkill").args(["-KILL", "-f", &format!("gateway --profile.*{state}")]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let finished = finish(child);
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    assert_eq!(finished.result()["verdict"], "failed");
    assert!(finished.stderr.contains("ended during the run"), "{}", finished.said());
}

#[test]
fn the_wall_clock_limit_ends_a_run_as_invalid() {
    let folder = scratch();
    let arguments =
        ["run", &scenario("smoke.toml"), "--clients", "300", "--max-time", "3s", "--json", "--out", "run"];
    let finished = crate::common::pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(4), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["verdict"], "invalid");
    assert_eq!(result["mismatches"]["total"], 0, "{}", finished.said());
    assert!(result["attempts"]["attempted"].as_u64() > Some(0), "what was measured is kept");
}
