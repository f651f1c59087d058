//! `pairstorm shrink`: of a run of 200 clients and three faults the few that matter are left, and what is left still fails.

use crate::common::{pairstorm, root, scenario, scratch};

const DEFECT: &str = "forget-approval-on-restart";

fn herd() -> String {
    root().join("harness/tests/fixtures/shrink/herd.toml").display().to_string()
}

#[test]
fn a_violated_run_is_cut_down_to_what_shows_it() {
    let folder = scratch();
    let failed =
        pairstorm(folder.path(), &["run", &herd(), "--defect", DEFECT, "--quiet", "--out", "failed"]);
    assert_eq!(failed.code, Some(1), "{}", failed.said());

    let shrunk = pairstorm(folder.path(), &["shrink", "failed", "--max-runs", "60", "--out", "small"]);
    assert_eq!(shrunk.code, Some(0), "{}", shrunk.said());
    assert!(
        shrunk.stdout.starts_with("false_reject in phones: expected session, saw not-paired\n"),
        "{}",
        shrunk.said()
    );
    let text = std::fs::read_to_string(folder.path().join("small/shrunk.toml")).expect("a scenario");
    for gone in ["cohort.macs", "cohort.tabs", "cohort.drifted", "fault.reload", "fault.pause"] {
        assert!(text.contains(&format!("\"{gone}\"")), "{gone} is still there\n{text}");
    }
    for kept in ["cohort.phones", "fault.crash", "operator.owner"] {
        assert!(!text.contains(&format!("\"{kept}\"")), "{kept} is gone\n{text}");
    }
    let clients: u32 = text
        .lines()
        .find_map(|line| line.strip_prefix("count = "))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count\n{text}"));
    assert!(clients <= 8, "{clients} clients\n{text}");
    assert!(!folder.path().join("small/candidates").exists());

    let with = pairstorm(
        folder.path(),
        &["run", "small/shrunk.toml", "--defect", DEFECT, "--quiet", "--out", "with"],
    );
    assert_eq!(with.code, Some(1), "{}", with.said());
    let without = pairstorm(folder.path(), &["run", "small/shrunk.toml", "--quiet", "--out", "without"]);
    assert_eq!(without.code, Some(0), "{}", without.said());
}

#[test]
fn a_search_that_is_cut_short_keeps_the_best_so_far() {
    let folder = scratch();
    let failed =
        pairstorm(folder.path(), &["run", &herd(), "--defect", DEFECT, "--quiet", "--out", "failed"]);
    assert_eq!(failed.code, Some(1), "{}", failed.said());
    let shrunk = pairstorm(folder.path(), &["shrink", "failed", "--max-runs", "3", "--out", "small"]);
    assert_eq!(shrunk.code, Some(0), "{}", shrunk.said());
    assert!(
        shrunk.stdout.contains("stopped: --max-runs are done; this is the best so far"),
        "{}",
        shrunk.said()
    );
    let checked = pairstorm(folder.path(), &["check", "small/shrunk.toml"]);
    assert_eq!(checked.code, Some(0), "{}", checked.said());
}

#[test]
fn a_run_without_a_mismatch_is_refused_with_a_way_out() {
    let folder = scratch();
    let passed =
        pairstorm(folder.path(), &["run", &scenario("defects/shared.toml"), "--quiet", "--out", "passed"]);
    assert_eq!(passed.code, Some(0), "{}", passed.said());
    let refused = pairstorm(folder.path(), &["shrink", "passed"]);
    assert_eq!(refused.code, Some(64), "{}", refused.said());
    let says = refused.stderr.contains("has no mismatch") || refused.stderr.contains("a story in steps");
    assert!(says, "{}", refused.said());
    let nothing = pairstorm(folder.path(), &["shrink", "nowhere"]);
    assert_eq!(nothing.code, Some(64), "{}", nothing.said());
}
