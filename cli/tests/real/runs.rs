//! Whole runs against a real OpenClaw, and that nothing of it outlives them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::until::until;

/// Real gateways share two cores badly: one run at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a run of `scenarios/real/first-contact.toml`, with everything that it leaves in `folder`.
fn start(folder: &Path, version: &str) -> Child {
    let scenario =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios/real/first-contact.toml");
    assert!(std::env::var_os("PAIRSTORM_CACHE").is_some(), "PAIRSTORM_CACHE names no cache");
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_pairstorm"))
        .arg("run")
        .arg(scenario)
        .args(["--gateway", &format!("openclaw@{version}"), "--json", "--out", "run"])
        .current_dir(folder)
        .env("TMPDIR", folder.join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Processes that were given a state directory below `folder`: an OpenClaw hides its command line, not its environment.
fn gateways(folder: &Path) -> usize {
    let needle = format!("OPENCLAW_STATE_DIR={}", folder.join("tmp").display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&needle)
        })
        .count()
}

fn first_contact(version: &str) {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let output = start(folder.path(), version).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let result: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(result["verdict"], "pass", "{said}");
    assert_eq!(result["restarts"].as_array().map(Vec::len), Some(2), "{said}");
    assert!(result["attempts"]["session"].as_u64() > Some(12), "{said}");
    assert_eq!(gateways(folder.path()), 0, "a process of the gateway is left");
    let states: Vec<_> = std::fs::read_dir(folder.path().join("tmp")).unwrap().flatten().collect();
    assert!(states.is_empty(), "the state directory was removed: {states:?}");
    assert!(folder.path().join("run/gateway.log").is_file(), "its log is kept");
}

#[test]
fn first_contact_with_2026_9_6() {
    first_contact("2026.9.6");
}

#[test]
fn first_contact_with_2026_2_19() {
    first_contact("2026.2.19");
}

#[test]
fn a_killed_run_takes_its_gateway_and_what_that_started_along() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), "2026.9.6");
    // The gateway itself and its broker.
    until("a gateway with its helpers", PATIENCE, || gateways(folder.path()) >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    until("their end", PATIENCE, || gateways(folder.path()) == 0);
}
