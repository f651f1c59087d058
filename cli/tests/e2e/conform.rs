//! Recorded sessions against the in-repo gateway: agreement, and that each kind of difference is named.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::{binary, finish, pairstorm, root, scratch, write};

/// A case in which a device asks, is approved and comes back.
const CASE: &str = "2026.3.13/b08-approval-while-waiting";

fn recordings() -> String {
    root().join("cli/tests/fixtures/recordings").display().to_string()
}

/// Replays [`CASE`] with more arguments.
fn conform(more: &[&str]) -> crate::common::Finished {
    let recordings = recordings();
    let mut arguments = vec!["conform", recordings.as_str(), "--case", CASE, "--patience", "2s"];
    arguments.extend(more);
    pairstorm(scratch().path(), &arguments)
}

#[test]
fn a_recorded_session_agrees_with_its_own_profile() {
    let finished = conform(&["--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let tally = finished.result();
    assert_eq!(tally["differences"], Value::Array(Vec::new()), "{}", finished.said());
    assert!(tally["releases"]["2026.3.13"]["fields"]["of"].as_u64() > Some(50), "{}", finished.said());
    assert_eq!(tally["releases"]["2026.3.13"]["races"]["of"], 1, "a connect crosses its own approval");
}

#[test]
fn another_profile_differs_in_fields_that_are_named() {
    let finished = conform(&["--profile", "2026.2.19"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    let named = "  first  error.code: recorded NOT_PAIRED | got INVALID_REQUEST";
    assert!(finished.stdout.contains(named), "{}", finished.said());
}

#[test]
fn a_fault_of_the_gateway_differs_in_its_own_field() {
    let finished = conform(&["--defect", "wrong-reason"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(finished.stdout.contains("  error.details.reason: recorded "), "{}", finished.said());
}

#[test]
fn a_known_difference_does_not_fail_and_one_that_is_gone_does() {
    let folder = scratch();
    let needed = write(folder.path(), "known", &format!("{CASE} | * | * | another release's profile"));
    let finished = conform(&["--profile", "2026.2.19", "--except", &needed]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let finished = conform(&["--except", &needed]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(finished.stdout.contains(&format!("unused exception  {CASE} | * | *")), "{}", finished.said());
}

#[test]
fn a_gateway_that_is_not_there_is_no_difference() {
    let recordings = recordings();
    // A port that was free a moment ago.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("an address");
    drop(held);
    let target = format!("ws://{address}/");
    let arguments = ["conform", recordings.as_str(), "--case", CASE, "--target", &target];
    let finished = pairstorm(scratch().path(), &arguments);
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    let arguments = ["conform", recordings.as_str(), "--case", CASE, "--gateway", "openclaw@2026.3.13"];
    let nowhere = Command::new(binary())
        .args(arguments)
        .env("PAIRSTORM_CACHE", scratch().path())
        .output()
        .expect("it runs");
    assert_eq!(nowhere.status.code(), Some(3), "{}", String::from_utf8_lossy(&nowhere.stderr));
}

/// A command that says on its first line where it can be reached; ended when dropped.
struct Server {
    child: Option<Child>,
    url: String,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str], says: &str) -> Self {
        let mut child = Command::new(binary())
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix(says).unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child: Some(child), url }
    }

    fn end(mut self, signal: &str) {
        let child = self.child.take().expect("it runs");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        let finished = finish(child);
        assert_eq!(finished.code, Some(0), "{}", finished.said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What is recorded in front of a gateway agrees with that gateway when it is replayed.
#[test]
fn what_was_recorded_agrees_when_it_is_replayed() {
    let folder = scratch();
    let section = r#"{"trustedProxies":["127.0.0.2"],"auth":{"mode":"token","token":"secret-token-1"}}"#;
    write(folder.path(), "openclaw.json", &format!("{{\"gateway\":{section}}}"));
    let state = folder.path().display().to_string();
    let gateway = Server::start(
        folder.path(),
        &["gateway", "--state-dir", &state, "--profile", "2026.3.13", "--port", "0"],
        "listening on ",
    );
    let recorder = Server::start(
        folder.path(),
        &[
            "record",
            "mine",
            "--to",
            &gateway.url,
            "--case",
            "mine",
            "--release",
            "2026.3.13",
            "--config",
            section,
        ],
        "recording on ",
    );
    let played = conform(&["--target", &format!("{}/", recorder.url), "--name-steps"]);
    assert_eq!(played.code, Some(0), "{}", played.said());
    recorder.end("-INT");
    gateway.end("-TERM");
    let replayed = pairstorm(folder.path(), &["conform", "mine", "--json"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.said());
    let tally = replayed.result();
    assert!(tally["releases"]["2026.3.13"]["fields"]["agree"].as_u64() > Some(50), "{}", replayed.said());
    assert_eq!(tally["not_replayed"], Value::Array(Vec::new()), "{}", replayed.said());
}
