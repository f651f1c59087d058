//! Bad input: a clear message with a position where there is one, the right exit code, nothing left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::common::{pairstorm, scenario, scratch, write};

const GOOD: &str = r#"
name = "small"
about = "One client."
oracle = "profile"

[cohort.one]
persona = "cli"
count = 1
arrivals.constant.rate = "10/s"
"#;

/// Asserts that a scenario text is refused with 64, a position in it, and a text.
#[track_caller]
fn refused(text: &str, line: usize, words: &str) {
    let folder = scratch();
    let file = write(folder.path(), "bad.toml", text);
    for command in ["check", "plan", "run"] {
        let finished = pairstorm(folder.path(), &[command, &file]);
        assert_eq!(finished.code, Some(64), "{command}: {}", finished.said());
        assert!(finished.stderr.contains(&format!("bad.toml:{line}:")), "{command}: {}", finished.said());
        assert!(finished.stderr.contains(words), "{command}: expected {words:?} in {}", finished.said());
    }
    assert!(!folder.path().join("results").exists(), "nothing is written");
}

#[test]
fn the_good_scenario_is_good() {
    let folder = scratch();
    let file = write(folder.path(), "good.toml", GOOD);
    let finished = pairstorm(folder.path(), &["check", &file]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
}

#[test]
fn what_is_wrong_is_told_to_editors() {
    let folder = scratch();
    write(folder.path(), "base.toml", &GOOD.replace("count = 1", "count = 1\nscope = []"));
    let file = write(folder.path(), "own.toml", "extend = \"base.toml\"\nsede = 5\n");
    let finished = pairstorm(folder.path(), &["check", "--json", &file, "nowhere"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    let said: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&said["files"], &said["wrong"]), (&2.into(), &2.into()));
    let places: Vec<String> = said["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let file = one["file"].as_str().expect("a file").rsplit('/').next().unwrap_or_default();
            let place =
                format!("{}:{} to {}:{}", one["line"], one["column"], one["end_line"], one["end_column"]);
            format!("{file} {place} {} {}", one["severity"].as_str().unwrap_or_default(), one["code"])
        })
        .collect();
    assert_eq!(
        places,
        [
            "own.toml 2:1 to 2:5 error \"unknown-key\"",
            "base.toml 9:1 to 9:6 error \"unknown-key\"",
            "nowhere 1:1 to 1:1 error \"io\"",
        ]
    );
    let good = write(folder.path(), "good.toml", GOOD);
    let finished = pairstorm(folder.path(), &["check", "--json", &good]);
    let said: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((finished.code, &said["diagnostics"]), (Some(0), &serde_json::json!([])));
}

#[test]
fn the_schema_is_the_shipped_one() {
    let folder = scratch();
    let finished = pairstorm(folder.path(), &["schema"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let printed: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let shipped = std::fs::read_to_string(crate::common::root().join("scenarios/scenario.schema.json"));
    let shipped: serde_json::Value = serde_json::from_str(&shipped.expect("a file")).expect("JSON");
    assert!(printed == shipped);
}

#[test]
fn an_unknown_key() {
    refused(&GOOD.replace("count = 1", "count = 1\nscope = []"), 9, "scopes");
}

#[test]
fn a_wrong_type() {
    refused(&GOOD.replace("count = 1", "count = true"), 8, "count");
}

#[test]
fn a_negative_count() {
    refused(&GOOD.replace("count = 1", "count = -1"), 8, "-1");
}

#[test]
fn an_impossible_schedule() {
    let text = GOOD
        .replace("oracle = \"profile\"", "oracle = \"profile\"\nduration = \"1s\"")
        .replace("count = 1", "count = 100");
    refused(&text, 10, "duration");
}

#[test]
fn text_that_is_no_toml() {
    refused(&GOOD.replace("count = 1", "count = = 1"), 8, "");
}

#[test]
fn a_file_that_is_not_there() {
    let folder = scratch();
    let finished = pairstorm(folder.path(), &["run", "nowhere.toml"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("nowhere.toml"), "{}", finished.said());
}

#[test]
fn an_unknown_defect() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    let arguments = ["run", &first_contact, "--defect", "no-such-defect", "--out", "run"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("accept-unpaired"), "the known ones are named: {}", finished.said());
    assert!(!folder.path().join("run").exists(), "nothing is half-written");
}

#[test]
fn a_port_in_use() {
    let folder = scratch();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    write(folder.path(), "openclaw.json", r#"{"gateway":{"auth":{"mode":"none"}}}"#);
    let finished =
        pairstorm(folder.path(), &["gateway", "--profile", "article", "--state-dir", ".", "--port", &port]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(finished.stderr.contains(&port) && finished.stderr.contains("in use"), "{}", finished.said());
}

#[test]
fn an_unknown_profile() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    let finished = pairstorm(folder.path(), &["run", &first_contact, "--profile", "2027.1.1"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("article"), "the known ones are named: {}", finished.said());
}

#[test]
fn a_target_beyond_this_machine() {
    let folder = scratch();
    let expectations = scenario("expectations-only.toml");
    let finished = pairstorm(folder.path(), &["run", &expectations, "--target", "ws://192.0.2.1:18789/"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("--allow-remote-target 192.0.2.1"), "{}", finished.said());
}

#[test]
fn a_foreign_gateway_whose_owner_was_not_asked() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    let finished = pairstorm(folder.path(), &["run", &first_contact, "--target", "ws://127.0.0.1:9/"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("--allow-store-writes"), "{}", finished.said());
}

#[test]
fn a_target_that_nobody_serves() {
    let folder = scratch();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let (result, finished) = against(folder.path(), closed);
    let attempts = &result["attempts"];
    assert_eq!(attempts["connection_refused"], attempts["attempted"], "{}", finished.said());
    assert_eq!(finished.code, Some(3), "{}", finished.said());
}

#[test]
fn a_target_that_is_no_gateway() {
    // An HTTP server: a status instead of an upgrade.
    let (result, finished) = against_server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(result["attempts"]["upgrade_refused"], result["attempts"]["attempted"], "{}", finished.said());
    assert_ne!(finished.code, Some(0), "{}", finished.said());
    // Something else altogether.
    let (result, finished) = against_server(b"220 mail.example ESMTP ready\r\n");
    assert_eq!(result["attempts"]["not_a_gateway"], result["attempts"]["attempted"], "{}", finished.said());
    assert_ne!(finished.code, Some(0), "{}", finished.said());
}

/// Runs the expectations-only scenario against a server that answers every connection with `answer` and ends it.
fn against_server(answer: &'static [u8]) -> (serde_json::Value, crate::common::Finished) {
    let folder = scratch();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let _serving = std::thread::Builder::new()
        .spawn(move || {
            for connection in server.incoming().flatten() {
                let mut connection = connection;
                let mut request = [0; 1024];
                let _ = connection.read(&mut request);
                let _ = connection.write_all(answer);
            }
        })
        .expect("a thread");
    against(folder.path(), port)
}

fn against(folder: &std::path::Path, port: u16) -> (serde_json::Value, crate::common::Finished) {
    let expectations = scenario("expectations-only.toml");
    let target = format!("ws://127.0.0.1:{port}/");
    let arguments = ["run", &expectations, "--clients", "10", "--target", &target, "--json", "--out", "run"];
    let finished = pairstorm(folder, &arguments);
    (finished.result(), finished)
}

#[test]
fn a_run_folder_that_is_taken() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    std::fs::create_dir(folder.path().join("run")).expect("a folder");
    write(&folder.path().join("run"), "precious.txt", "keep me");
    let finished = pairstorm(folder.path(), &["run", &first_contact, "--out", "run"]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("run"), "{}", finished.said());
    let kept = std::fs::read_to_string(folder.path().join("run/precious.txt")).expect("still there");
    assert_eq!(kept, "keep me");
}

#[test]
fn arguments_that_make_no_sense() {
    let folder = scratch();
    for arguments in
        [&["run"][..], &["fly"], &["run", "x.toml", "--set", "novalue"], &["run", "x.toml", "--seed", "-1"]]
    {
        let finished = pairstorm(folder.path(), arguments);
        assert_eq!(finished.code, Some(64), "{arguments:?}: {}", finished.said());
    }
    assert_eq!(pairstorm(folder.path(), &["--help"]).code, Some(0));
}
