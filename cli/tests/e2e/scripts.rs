//! Scripts: many clients, each with steps of its own, against a real gateway process.

use serde_json::Value;

use crate::common::{Finished, pairstorm, scenario, scratch, write};

/// What a violation says, each with its client.
fn violations(folder: &std::path::Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(folder.join("run/violations.jsonl")).expect("violations");
    let read = |line: &str| {
        let violation: Value = serde_json::from_str(line).expect("JSON");
        (violation["client"].as_str().expect("a client").to_owned(), violation)
    };
    text.lines().map(read).collect()
}

fn step<'r>(result: &'r Value, cohort: &str, step: usize) -> &'r Value {
    let cohorts = result["cohorts"].as_array().expect("cohorts");
    let cohort = cohorts.iter().find(|found| found["name"] == cohort).expect("the cohort");
    &cohort["script"][step - 1]
}

fn run(folder: &std::path::Path, scenario: &str, more: &[&str]) -> Finished {
    let arguments: Vec<&str> =
        ["run", scenario, "--json", "--out", "run"].iter().chain(more).copied().collect();
    pairstorm(folder, &arguments)
}

#[test]
fn a_lost_key_makes_a_stranger_of_its_client() {
    let folder = scratch();
    let finished = run(folder.path(), &scenario("scripts/key-lost.toml"), &["--clients", "20"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    // A lost key is no further client.
    assert_eq!(
        (&result["environment"]["clients"], &result["cohorts"][0]["clients"]),
        (&20.into(), &4.into())
    );
    assert_eq!(
        step(&result, "forgetful", 6)["outcomes"]["AUTH_DEVICE_TOKEN_MISMATCH"],
        4,
        "{}",
        finished.said()
    );
    let again = &step(&result, "forgetful", 7)["outcomes"];
    assert_eq!(again["session"], 4, "{}", finished.said());
    assert!(again["not-paired"].as_u64() >= Some(4), "{}", finished.said());
    assert_eq!(step(&result, "steady", 5)["outcomes"]["session"], 16, "{}", finished.said());
    // Four clients that were approved twice, sixteen that were approved once.
    assert_eq!(result["approval_to_session"]["acknowledged"], 24, "{}", finished.said());
    let again = pairstorm(folder.path(), &["analyze", "run"]);
    assert_eq!(again.code, Some(0), "{}", again.said());
}

#[test]
fn a_gateway_that_looks_at_no_scopes_is_found_out_by_calls() {
    let folder = scratch();
    let calls = scenario("scripts/scope-calls.toml");
    let finished = run(folder.path(), &calls, &["--clients", "10", "--defect", "calls-unchecked"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    let result = finished.result();
    let per_cohort: Vec<(&str, u64)> = result["cohorts"]
        .as_array()
        .expect("cohorts")
        .iter()
        .map(|cohort| {
            let wrong = cohort["mismatches"]["wrong_answer"].as_u64().expect("a count");
            (cohort["name"].as_str().expect("a name"), wrong)
        })
        .collect();
    // Two clients each: readers make two calls that they may not, the others as many as their scopes lack.
    let due = [("readers", 4), ("approvers", 2), ("writers", 4), ("admins", 4), ("nodes", 4)];
    assert_eq!(per_cohort, due, "{}", finished.said());
}

const PLANTED: &str = r#"
name = "planted"
max_time = "1m"
[validity]
lag_p99_max = "30s"
scheduler_delay_share_max = 1.0
[cohort.cli]
persona = "cli"
count = 3
scopes = ["operator.read"]
arrivals.herd.at = "0s"
script = [
    { connect = true, expect = "session" },
    { call = "status", expect = "refused" },
    { call = "device.pair.list", expect = { code = "INVALID_REQUEST", latency = "> 1m" } },
    { drop = true },
    { lose = "key" },
    { connect = true, expect = { outcome = "refused", reason = "not-paired" } },
    { connect = true, expect = { outcome = "session", latency = "> 1m" } },
]
"#;

#[test]
fn a_planted_wrong_expectation_is_violated_with_its_step_and_its_line() {
    let folder = scratch();
    let planted = write(folder.path(), "planted.toml", PLANTED);
    let finished = run(folder.path(), &planted, &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    let mut said: Vec<(String, String, String)> = violations(folder.path())
        .into_iter()
        .map(|(client, violation)| {
            let why = violation["why"].as_str().expect("a sentence");
            let place = why.split(')').next().unwrap_or_default().to_owned();
            (client, violation["kind"].as_str().expect("a kind").to_owned(), place)
        })
        .filter(|(client, ..)| client.starts_with("cli/0"))
        .collect();
    said.sort();
    let due = [
        ("cli/0", "wrong_answer", "step 2 of the script (line 14"),
        ("cli/0", "wrong_latency", "step 3 of the script (line 15"),
        ("cli/0~1", "false_accept", "step 6 of the script (line 18"),
        ("cli/0~1", "wrong_latency", "step 7 of the script (line 19"),
    ];
    let due = due.map(|(client, kind, place)| (client.to_owned(), kind.to_owned(), place.to_owned()));
    assert_eq!(said, due, "{}", finished.said());
    assert_eq!(finished.result()["mismatches"]["total"], 12, "{}", finished.said());
}

#[test]
fn a_step_of_a_story_may_expect_a_latency() {
    let folder = scratch();
    let story = "name = \"story\"\n[cohort.laptop]\npersona = \"cli\"\ncount = 1\n\
                 [[step]]\nconnect = \"laptop\"\nexpect = { outcome = \"session\", latency = \"< LIMIT\" }\n";
    let file = write(folder.path(), "met.toml", &story.replace("LIMIT", "5m"));
    let met = pairstorm(folder.path(), &["run", &file, "--json", "--out", "met"]);
    assert_eq!(met.code, Some(0), "{}", met.said());
    let file = write(folder.path(), "missed.toml", &story.replace("LIMIT", "1us"));
    let missed = run(folder.path(), &file, &[]);
    assert_eq!(missed.code, Some(1), "{}", missed.said());
    let said = violations(folder.path());
    let [(client, violation)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((client.as_str(), &violation["kind"]), ("laptop/0", &Value::from("wrong_latency")));
    assert!(
        violation["why"].as_str().expect("a sentence").starts_with("step 1 (line 6) expects"),
        "{violation}"
    );
}

/// A script goes on where it was when the gateway comes back.
#[test]
fn a_restart_in_the_midst_of_a_step_does_not_end_a_script() {
    let folder = scratch();
    let text = r#"
name = "restarted"
max_time = "2m"
[validity]
lag_p99_max = "30s"
scheduler_delay_share_max = 1.0
[cohort.cli]
persona = "cli"
count = 5
arrivals.herd.at = "0s"
reconnect.fixed.pause = "100ms"
reconnect.give_up = "never"
reconnect.attempts_max = 1000
script = [
    { connect = true },
    { hold = "3s" },
    { call = "health", expect = "ok" },
]
[fault.update]
at = "1s"
restart = "SIGKILL"
"#;
    let file = write(folder.path(), "restarted.toml", text);
    let finished = run(folder.path(), &file, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert_eq!(step(&result, "cli", 1)["outcomes"]["session"], 5, "{}", finished.said());
    // Attempts in a step that holds are those for a session that was lost.
    assert_eq!(step(&result, "cli", 2)["outcomes"]["session"], 5, "{}", finished.said());
    assert_eq!(step(&result, "cli", 3)["outcomes"]["ok"], 5, "{}", finished.said());
}
