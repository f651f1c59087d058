//! People who approve, clients that wait, and what a run says of the wait.

use std::path::Path;

use serde_json::Value;

use crate::common::{Finished, pairstorm, scratch, write};

/// Who waits for an operator behind the proxy: name, persona, how many, how many a second, and what they do once refused.
const WAITERS: [(&str, &str, u32, &str, &str); 3] = [
    ("raced", "ios", 20, "10/s", "fixed.pause = \"100ms\""),
    ("paused", "node-host", 8, "8/s", "told = \"100ms..300ms\""),
    ("typed", "android", 3, "3/s", "fixed.pause = \"100ms\""),
];

const OTHERS: &str = r#"
[cohort.tended]
persona = "node-host"
count = 10
path = "proxy"
credential = "device-token"
stored = {}
arrivals.constant.rate = "20/s"
session = { hold = "50ms", reconnects = 1000 }
reconnect = { give_up = "never", fixed = { pause = "100ms" } }

[operator.one]
serves = ["raced", "paused"]
think = "20ms"
[operator.two]
serves = ["raced"]
think = "20ms"
[operator.clerk]
serves = ["typed"]
by = "command-line"
[operator.janitor]
serves = ["tended"]
rotate = "5/s"
revoke = "2/s"
remove = "2/s"

[validity]
lag_p99_max = "60s"
scheduler_delay_share_max = 1.0
"#;

/// Two operators who serve the same phones, one who types commands, one who tends to paired devices, and clients that pause
/// until they are told. Sessions end by themselves, so that a run ends when everything has happened.
fn everybody() -> String {
    let mut text = r#"
name = "everybody"
duration = "8s"
max_time = "120s"
[gateway]
profile = "article"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
"#
    .to_owned();
    for (name, persona, count, rate, reconnect) in WAITERS {
        text.push_str(&format!(
            "[cohort.{name}]\npersona = \"{persona}\"\ncount = {count}\npath = \"proxy\"\narrivals.constant.rate = \"{rate}\"\n\
             session.hold = \"100ms\"\nreconnect.{reconnect}\n"
        ));
    }
    text + OTHERS
}

fn run(folder: &Path, more: &[&str]) -> Finished {
    let threshold = "[threshold]\n\"approval_to_session.waterfalls.raced.whole.count\" = \"== 20\"\n";
    let file = write(folder, "everybody.toml", &(everybody() + threshold));
    let mut arguments = vec!["run", file.as_str(), "--json", "--out", "run"];
    arguments.extend(more);
    pairstorm(folder, &arguments)
}

fn of<'r>(list: &'r Value, key: &str, name: &str) -> Vec<&'r Value> {
    list.as_array().expect("a list").iter().filter(|entry| entry[key] == name).collect()
}

#[test]
fn whoever_approves_and_however_every_outcome_is_explained_and_every_wait_adds_up() {
    let folder = scratch();
    let finished = run(folder.path(), &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();

    // Each request was approved by one of the two, and the other one's approval refused: no mismatch, but counted.
    let ends = |operator: &str, kind: &str, end: &str| {
        of(&result["operators"], "name", operator)[0][kind][end].as_u64().expect("a count")
    };
    assert_eq!(ends("one", "approvals", "acknowledged") + ends("two", "approvals", "acknowledged"), 28);
    assert_eq!(ends("one", "approvals", "refused") + ends("two", "approvals", "refused"), 20);
    assert_eq!(ends("clerk", "approvals", "acknowledged"), 3, "{}", finished.said());
    for kind in ["rotations", "revocations", "removals"] {
        assert!(ends("janitor", kind, "acknowledged") > 0, "{kind}: {}", finished.said());
    }

    // Nobody who pauses makes an attempt before it is told.
    let paused = of(&result["cohorts"], "name", "paused")[0];
    assert_eq!((&paused["attempts"]["refused"], &paused["attempts"]["session"]), (&8.into(), &8.into()));

    let waterfalls = &result["approval_to_session"]["waterfalls"];
    for waterfall in waterfalls.as_array().expect("a list") {
        let shares = &waterfall["shares"];
        let sum: f64 = ["people", "gateway", "client", "generator"]
            .map(|who| shares[who].as_f64().unwrap())
            .iter()
            .sum();
        assert!((sum - 1.0).abs() < 1e-6, "{waterfall}");
        let links = waterfall["links"].as_object().expect("links");
        let sum: f64 = links.values().map(|link| link["share"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{waterfall}");
    }
    // Both operators have a waterfall of the phones; a rule is about all of them.
    assert_eq!(result["thresholds"][0]["observed"], 20.0, "{}", result["thresholds"]);
    // They walk for 100 ms at least, and that is nobody else's time.
    let told = of(waterfalls, "cohort", "paused")[0];
    assert_eq!(told["whole"]["count"], 8);
    assert!(told["links"]["ack_to_attempt"]["p50"].as_u64() >= Some(100_000), "{told}");
    let log = std::fs::read_to_string(folder.path().join("run/latency.hlog")).expect("a log");
    assert!(log.contains("Tag=wait.clerk.typed.approve_to_ack,"));

    let typed = of(waterfalls, "operator", "clerk")[0];
    assert_eq!(typed["behaviour"], "on event, thinks 20ms..200ms, by command line");

    // Three are drawn; of four (who wins the race of the two operators differs) one, and the others are told in a line each.
    let summary = std::fs::read_to_string(folder.path().join("run/summary.txt")).expect("a summary");
    let all = waterfalls.as_array().expect("a list");
    let drawn = if all.len() > 3 { 1 } else { all.len() };
    assert_eq!(summary.matches("made them wait: people").count(), drawn, "{summary}");
    let unbroken = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    for waterfall in all {
        let name = |key: &str| waterfall[key].as_str().expect("a name");
        let (cohort, operator, does) = (name("cohort"), name("operator"), name("behaviour"));
        let said = format!(" {cohort} ({}), approved by {operator} ({does})", name("reconnect"));
        let told = format!(" {cohort}, by {operator}: ");
        assert_eq!(
            unbroken.matches(&said).count() + unbroken.matches(&told).count(),
            1,
            "{cohort}: {summary}"
        );
    }
}

#[test]
fn a_gateway_that_takes_a_void_token_is_found_while_tokens_are_made_void_under_load() {
    for defect in ["revoked-token", "old-token-after-rotation"] {
        let folder = scratch();
        let finished = run(folder.path(), &["--defect", defect]);
        assert_eq!(finished.code, Some(1), "{defect}: {}", finished.said());
        let result = finished.result();
        let groups = result["mismatch_groups"].as_array().expect("groups");
        // Who was let in with a void token may be granted by it later: the same fault once more, of that client alone.
        let text = std::fs::read_to_string(folder.path().join("run/violations.jsonl")).expect("violations");
        let violations: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let is = |violation: &Value, kind: &str| violation["kind"] == kind;
        let follows = |violation: &Value| {
            is(violation, "wrong_grant")
                && violations.iter().any(|before| {
                    is(before, "false_accept")
                        && before["client"] == violation["client"]
                        && before["attempt"].as_u64() < violation["attempt"].as_u64()
                })
        };
        assert!(
            groups.iter().all(|group| group["cohort"] == "tended")
                && violations.iter().any(|violation| is(violation, "false_accept"))
                && violations.iter().all(|violation| is(violation, "false_accept") || follows(violation)),
            "{defect}: {}",
            finished.said()
        );
    }
}

#[test]
fn an_approval_that_a_crash_took_is_found_while_operators_race() {
    let folder = scratch();
    let crash = "[fault.crash]\nat = \"4s\"\nrestart = \"SIGKILL\"\n";
    let again =
        everybody().replace("session.hold = \"100ms\"", "session = { hold = \"100ms\", reconnects = 1000 }");
    let file = write(folder.path(), "crash.toml", &format!("{again}{crash}"));
    let run = |more: &[&str], out: &str| {
        let mut arguments = vec!["run", file.as_str(), "--json", "--out", out];
        arguments.extend(more);
        pairstorm(folder.path(), &arguments)
    };
    let kept = run(&[], "kept");
    assert_eq!(kept.code, Some(0), "{}", kept.said());
    let lost = run(&["--defect", "forget-approval-on-restart"], "lost");
    assert_eq!(lost.code, Some(1), "{}", lost.said());
    assert!(lost.result()["mismatches"]["false_reject"].as_u64() > Some(0), "{}", lost.said());
}

#[test]
fn a_gateway_without_a_known_command_line_is_refused_before_anyone_comes() {
    let folder = scratch();
    let launch = "launch = { command = [\"sleep\", \"1\"], ready = { line = \"x\" }, profile = \"article\" }";
    let file = write(folder.path(), "own.toml", &everybody().replace("profile = \"article\"", launch));
    let finished = pairstorm(folder.path(), &["check", file.as_str()]);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.said().contains("by = \"command-line\""), "{}", finished.said());
}
