//! `pairstorm analyze`: a run that is over says the same again, and one that lacks something says that.

use std::path::Path;

use serde_json::Value;

use crate::common::{Finished, pairstorm, scenario, scratch};

/// Runs the shipped scenario whose defects only a restart shows.
fn killed(folder: &Path, name: &str, more: &[&str]) -> Finished {
    let file = scenario("defects/killed.toml");
    let mut arguments = vec!["run", &file, "--json", "--quiet", "--out", name];
    arguments.extend(more);
    pairstorm(folder, &arguments)
}

fn analyze(folder: &Path, name: &str) -> Finished {
    pairstorm(folder, &["analyze", name, "--json"])
}

/// Counts of verdicts on devices.
fn devices(result: &Value) -> (u64, u64, u64) {
    let count = |key: &str| result["devices"][key].as_u64().expect("a count");
    (count("valid"), count("invalid"), count("unknown"))
}

#[test]
fn a_run_that_is_over_says_the_same_again() {
    let folder = scratch();
    let defect = ["--defect", "forget-approval-on-restart", "--seed", "7"];
    for (name, more, code, expected) in [("lost", &defect[..], 1, (0, 2, 0)), ("kept", &[][..], 0, (2, 0, 0))]
    {
        let run = killed(folder.path(), name, more);
        assert_eq!(run.code, Some(code), "{}", run.said());
        let again = analyze(folder.path(), name);
        assert_eq!(again.code, Some(code), "{}", again.said());
        assert!(again.stderr.contains("result.json of the run says the same"), "{}", again.said());
        let (run, again) = (run.result(), again.result());
        assert_eq!(devices(&again), expected);
        for key in [
            "verdict",
            "exit_code",
            "seed",
            "mismatches",
            "mismatch_groups",
            "invariants",
            "devices",
            "attempts",
            "cohorts",
            "refusals",
            "approval_to_session",
            "restarts",
            "phases",
            "duration_us",
            "target",
        ] {
            assert_eq!(run[key], again[key], "{key}");
        }
    }
    // And the other way round: the comparison can fail.
    let file = folder.path().join("kept/result.json");
    let text = std::fs::read_to_string(&file).expect("a result").replacen("\"valid\": 2", "\"valid\": 3", 1);
    std::fs::write(&file, text).expect("written");
    let again = analyze(folder.path(), "kept");
    assert!(again.stderr.contains("says otherwise in: devices"), "{}", again.said());
}

#[test]
fn the_timelines_are_written_again() {
    let folder = scratch();
    killed(folder.path(), "lost", &["--defect", "forget-approval-on-restart"]);
    let again = pairstorm(folder.path(), &["analyze", "lost", "--out", "again"]);
    assert_eq!(again.code, Some(1), "{}", again.said());
    assert!(again.stdout.contains("Histories of devices: 0 valid, 2 invalid, 0 unknown"), "{}", again.said());
    assert!(again.stdout.contains("the 2 operations marked * contradict each other"), "{}", again.said());
    for name in ["at-once-0.svg", "at-once-0.txt", "by-the-book-0.svg", "by-the-book-0.txt"] {
        let file = |run: &str| {
            let path = folder.path().join(run).join("checker").join(name);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        assert_eq!(file("lost"), file("again"));
        assert!(file("again").contains("approval of request"), "{name}");
    }
    let refused = pairstorm(folder.path(), &["analyze", "lost", "--out", "again"]);
    assert_eq!(refused.code, Some(64), "{}", refused.said());
}

/// However much of a history is missing: nothing is held against the gateway, and nothing is called valid.
#[test]
fn a_history_that_is_cut_off_is_no_verdict() {
    let folder = scratch();
    killed(folder.path(), "lost", &["--defect", "forget-approval-on-restart"]);
    let file = folder.path().join("lost/history.bin");
    let whole = std::fs::read(&file).expect("a history");
    for share in [100, 75, 50, 30] {
        std::fs::write(&file, &whole[..whole.len() * share / 100 - 1]).expect("written");
        let cut = analyze(folder.path(), "lost");
        assert_eq!(cut.code, Some(4), "{share} %: {}", cut.said());
        assert!(cut.stderr.contains("the history is not whole: it breaks off at byte"), "{}", cut.said());
        let result = cut.result();
        let (valid, invalid, unknown) = devices(&result);
        assert_eq!((valid, invalid, result["mismatches"]["total"].as_u64()), (0, 0, Some(0)), "{result:#}");
        assert_eq!(unknown, result["devices"]["listed"].as_array().expect("a list").len() as u64);
        assert!(unknown > 0 || share < 75, "{share} %");
        for device in result["devices"]["listed"].as_array().expect("a list") {
            assert!(
                device["why"].as_str().expect("a text").contains("records of the history were lost"),
                "{device}"
            );
        }
    }
    // A run that was killed left no result and did not say what only it knew.
    std::fs::write(&file, &whole).expect("written");
    std::fs::remove_file(folder.path().join("lost/result.json")).expect("removed");
    let origin = folder.path().join("lost/run.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&origin).expect("a file")).expect("JSON");
    value["facts"] = Value::Null;
    std::fs::write(&origin, value.to_string()).expect("written");
    let killed = analyze(folder.path(), "lost");
    assert_eq!(killed.code, Some(4), "{}", killed.said());
    for said in ["the run did not come to its end", "the run left no result.json to compare with"] {
        assert!(killed.stderr.contains(said), "{}", killed.said());
    }
}

#[test]
fn what_is_no_run_is_refused_with_a_way_out() {
    let folder = scratch();
    let refused = |name: &str, said: &[&str]| {
        let finished = analyze(folder.path(), name);
        assert_eq!(finished.code, Some(64), "{}", finished.said());
        for said in said {
            assert!(finished.stderr.contains(said), "{said}: {}", finished.said());
        }
    };
    refused("nowhere", &["nowhere is no folder", "printed behind `files:`"]);
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    refused("empty", &["empty is no run: it has no history.bin", "printed behind `files:`"]);

    killed(folder.path(), "run", &[]);
    let history = folder.path().join("run/history.bin");
    let whole = std::fs::read(&history).expect("a history");
    let mut later = whole.clone();
    later[8] = 9;
    std::fs::write(&history, later).expect("written");
    refused("run", &["is a history of version 9; this pairstorm reads version 2"]);
    std::fs::write(&history, b"{}").expect("written");
    refused("run", &["is no history of pairstorm"]);
    std::fs::write(&history, &whole).expect("written");

    let origin = folder.path().join("run/run.json");
    let text = std::fs::read_to_string(&origin).expect("a file");
    let with = |change: &dyn Fn(&mut Value), said: &[&str]| {
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        change(&mut value);
        std::fs::write(&origin, value.to_string()).expect("written");
        refused("run", said);
    };
    with(&|value| value["version"] = 2.into(), &["is of version 2; this pairstorm reads version 1"]);
    with(&|value| value["overrides"]["seed"] = 99.into(), &["not of the same run", "seed 1, not 99"]);
    with(
        &|value| value["texts"]["scenario"] = "name = 5".into(),
        &["the scenario of this run", "has errors here", "cohort"],
    );
    std::fs::write(&origin, &text[..text.len() / 2]).expect("written");
    refused("run", &["run.json cannot be read"]);
    std::fs::remove_file(&origin).expect("removed");
    refused("run", &["has no run.json", "run it again"]);
}

#[test]
fn help_teaches_what_to_type() {
    let help = pairstorm(scratch().path(), &["analyze", "--help"]);
    assert_eq!(help.code, Some(0));
    for said in [
        "Judge the history of a run that is over again",
        "Examples:",
        "pairstorm analyze lost",
        "Exit codes:",
    ] {
        assert!(help.stdout.contains(said), "{said}: {}", help.stdout);
    }
}
