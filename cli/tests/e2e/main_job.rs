//! The main job: a scenario against the in-repo gateway, started and stopped by the harness.

use std::path::Path;

use crate::common::{pairstorm, root, scenario, scratch};
use serde_json::Value;

/// A run of the smoke scenario, scaled down for an unoptimised build, with a state folder of its own.
fn smoke(folder: &Path, more: &[&str]) -> crate::common::Finished {
    let smoke = scenario("smoke.toml");
    let mut arguments = vec!["run", smoke.as_str(), "--clients", "300", "--json", "--out", "run"];
    arguments.extend(more);
    pairstorm(folder, &arguments)
}

#[test]
fn the_smoke_scenario_passes_and_leaves_nothing_behind() {
    let folder = scratch();
    let finished = smoke(folder.path(), &["--seed", "42"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());

    let result = finished.result();
    assert_eq!(result["schema_version"], 2);
    assert_eq!(result["verdict"], "pass");
    assert_eq!(result["seed"], 42);
    assert_eq!(result["mismatches"]["total"], 0, "{}", finished.said());
    let attempts = result["attempts"].as_object().expect("an object");
    let attempted = attempts["attempted"].as_u64().expect("a count");
    let sum: u64 =
        attempts.iter().filter(|(word, _)| *word != "attempted").filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!(attempted, sum, "the outcomes add up");
    assert!(attempted >= 300, "every client made an attempt: {attempted}");
    assert!(attempts["session"].as_u64() > Some(50) && attempts["refused"].as_u64() > Some(50));
    assert!(result["approval_to_session"]["count"].as_u64() > Some(10), "{}", finished.said());
    assert_eq!(result["restarts"].as_array().map(Vec::len), Some(2), "one SIGTERM, one SIGKILL");

    for file in ["result.json", "latency.hlog", "summary.txt", "gateway.log", "history.bin"] {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    let written = std::fs::read_to_string(folder.path().join("run/result.json")).expect("result.json");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written, result, "stdout and file say the same");
    no_secret_below(&folder.path().join("run"), 42);
}

/// Device tokens are 32 bytes in base64url; ids of requests, the longest other words of the gateway, have 36 characters.
const TOKEN_CHARACTERS_MIN: usize = 43;

/// The shared secret of a run follows from its seed, so the test can look for it.
fn no_secret_below(folder: &Path, seed: u64) {
    let secret = harness::plan::identity::Identities::reproducible(seed).shared_secret();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let content = std::fs::read(entry.path()).expect("a file");
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains(&secret), "{} holds the shared secret", entry.path().display());
    }
    // Device tokens are drawn by the gateway: the test knows only that nothing else is so long and in one piece.
    let history = std::fs::read(folder.join("history.bin")).expect("the history");
    let is_other = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/'));
    let long: Vec<_> = history.split(is_other).filter(|word| word.len() >= TOKEN_CHARACTERS_MIN).collect();
    assert_eq!(
        long.len(),
        1,
        "{:?}",
        long.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>()
    );
    assert!(long[0].iter().all(u8::is_ascii_hexdigit), "the SHA-256 of the scenario");
}

#[test]
fn the_result_matches_its_published_schema() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    let finished = pairstorm(folder.path(), &["run", &first_contact, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let schema =
        std::fs::read_to_string(root().join("docs/reference/result.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> =
        validator.iter_errors(&finished.result()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_summary_says_the_verdict_first() {
    let folder = scratch();
    let first_contact = scenario("first-contact.toml");
    let finished = pairstorm(folder.path(), &["run", &first_contact, "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let first = finished.stdout.lines().next().unwrap_or_default().to_lowercase();
    assert!(first.contains("pass"), "{}", finished.said());
    assert_eq!(
        finished.stdout.lines().last(),
        Some("files: run"),
        "the summary ends with where to look further: {}",
        finished.said()
    );
}

#[test]
fn every_refusal_of_the_profile_comes_as_expected() {
    let folder = scratch();
    let refusals = scenario("refusals.toml");
    let finished = pairstorm(folder.path(), &["run", &refusals, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert_eq!(finished.result()["mismatches"]["total"], 0, "{}", finished.said());
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let folder = scratch();
    let smoke = scenario("smoke.toml");
    let plan = |seed: &str| pairstorm(folder.path(), &["plan", &smoke, "--seed", seed]);
    let (first, again, other) = (plan("7"), plan("7"), plan("8"));
    assert_eq!(first.code, Some(0), "{}", first.said());
    // What the machine has is not of the plan: its free memory is never twice the same.
    let of_the_plan = |said: &str| said.split_once("\nthis machine has\n").expect("both parts").0.to_owned();
    assert_eq!(of_the_plan(&first.stdout), of_the_plan(&again.stdout));
    assert_ne!(of_the_plan(&first.stdout), of_the_plan(&other.stdout));
    assert!(first.stdout.contains("2000") || first.stdout.contains("2,000"), "{}", first.said());
}

#[test]
fn every_shipped_scenario_is_right() {
    let folder = scratch();
    let scenarios = root().join("scenarios").display().to_string();
    let finished = pairstorm(folder.path(), &["check", &scenarios]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert!(finished.stdout.contains("smoke.toml: ok, 2000 clients"), "{}", finished.said());
}

/// Nothing in CI runs those that the diagnosis was once scored on; they must be there to be scored again.
#[test]
fn the_unseen_scenarios_can_still_be_scored() {
    let folder = scratch();
    let unseen = root().join("harness/tests/fixtures/unseen");
    let finished = pairstorm(folder.path(), &["check", &unseen.display().to_string()]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let files: Vec<_> =
        std::fs::read_dir(unseen).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 51);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario");
        assert!(text.lines().any(|line| line.starts_with("label ")), "{} has no label", file.display());
    }
}
