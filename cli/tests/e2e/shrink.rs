//! `pairstorm shrink`: of a run with many clients, faults and steps the few that matter are left, and what is left still shows it.

use std::path::Path;
use std::process::Command;

use crate::common::{finish, pairstorm, root, scenario, scratch, start, until, write};

const DEFECT: &str = "forget-approval-on-restart";

fn fixture(name: &str) -> String {
    root().join("harness/tests/fixtures/shrink").join(name).display().to_string()
}

fn shrunk(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("shrunk.toml")).expect("a scenario")
}

/// How many clients of a cohort are left, of a file that says so of one cohort only.
fn count(text: &str) -> u32 {
    text.lines()
        .find_map(|line| line.strip_prefix("count = "))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count\n{text}"))
}

#[test]
fn a_violated_run_is_cut_down_to_what_shows_it() {
    let folder = scratch();
    let failed = pairstorm(
        folder.path(),
        &["run", &fixture("herd.toml"), "--defect", DEFECT, "--quiet", "--out", "failed"],
    );
    assert_eq!(failed.code, Some(1), "{}", failed.said());

    let unknown = pairstorm(folder.path(), &["shrink", "failed", "--of", "false_reject/tablets"]);
    assert_eq!(unknown.code, Some(64), "{}", unknown.said());
    assert!(
        unknown.stderr.contains("it has no `false_reject/tablets`; it has false_reject/phones"),
        "{}",
        unknown.said()
    );

    let of = ["shrink", "failed", "--of", "false_reject/phones", "--max-runs", "60", "--out", "small"];
    let small = pairstorm(folder.path(), &of);
    assert_eq!(small.code, Some(0), "{}", small.said());
    assert!(
        small.stdout.starts_with("false_reject in phones: expected session, saw not-paired\n"),
        "{}",
        small.said()
    );
    let text = shrunk(&folder.path().join("small"));
    for gone in
        ["cohort.macs", "cohort.tabs", "cohort.drifted", "fault.reload", "fault.pause", "operator.reluctant"]
    {
        assert!(text.contains(&format!("\"{gone}\"")), "{gone} is still there\n{text}");
    }
    for kept in ["cohort.phones", "fault.crash", "operator.owner"] {
        assert!(!text.contains(&format!("\"{kept}\"")), "{kept} is gone\n{text}");
    }
    assert!(count(&text) <= 4, "{text}");
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
fn a_loop_is_cut_down_to_the_steps_that_make_it() {
    let folder = scratch();
    let passed = pairstorm(folder.path(), &["run", &fixture("strangers.toml"), "--quiet", "--out", "passed"]);
    assert_eq!(passed.code, Some(0), "{}", passed.said());
    // Three runs are those of the whole, twice, and one more.
    let cut_short = pairstorm(folder.path(), &["shrink", "passed", "--max-runs", "3", "--out", "best"]);
    assert_eq!(cut_short.code, Some(0), "{}", cut_short.said());
    assert!(
        cut_short.stdout.contains("stopped: --max-runs are done; this is the best so far"),
        "{}",
        cut_short.said()
    );
    let checked = pairstorm(folder.path(), &["check", "best/shrunk.toml"]);
    assert_eq!(checked.code, Some(0), "{}", checked.said());

    let small = pairstorm(folder.path(), &["shrink", "passed", "--max-runs", "40", "--out", "small"]);
    assert_eq!(small.code, Some(0), "{}", small.said());
    assert!(small.stdout.starts_with("loop in phones: not-approved\n"), "{}", small.said());
    assert!(small.stdout.contains("scripts        1 of 4"), "{}", small.said());
    let text = shrunk(&folder.path().join("small"));
    for gone in ["cohort.macs", "cohort.phones.script.1", "cohort.phones.script.3", "cohort.phones.script.4"]
    {
        assert!(text.contains(&format!("\"{gone}\"")), "{gone} is still there\n{text}");
    }
    assert_eq!(count(&text), 1, "{text}");
    let again =
        pairstorm(folder.path(), &["run", "small/shrunk.toml", "--quiet", "--json", "--out", "again"]);
    assert_eq!(again.code, Some(0), "{}", again.said());
    let group = &again.result()["diagnosis"]["groups"][0];
    assert_eq!((&group["diagnosis"]["cause"], &group["looping"]), (&"not-approved".into(), &1.into()));
}

#[test]
fn a_story_is_cut_down_to_the_steps_that_show_it() {
    let folder = scratch();
    write(
        folder.path(),
        "story.toml",
        r#"
name = "story"
about = "Planted."
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.local]
persona = "cli"
count = 1
[cohort.stranger]
persona = "ios"
count = 2
path = "proxy"
[[step]]
connect = "local"
[[step]]
drop = "local"
[[step]]
connect = "stranger/1"
[[step]]
reload = true
[validity]
lag_p99_max               = "60s"
reactor_cpu_share_max     = 1.0
scheduler_delay_share_max = 1.0
history_wait_share_max    = 1.0
"#,
    );
    let failed = pairstorm(
        folder.path(),
        &["run", "story.toml", "--defect", "accept-unpaired", "--quiet", "--out", "failed"],
    );
    assert_eq!(failed.code, Some(1), "{}", failed.said());
    let small = pairstorm(folder.path(), &["shrink", "failed", "--max-runs", "40", "--out", "small"]);
    assert_eq!(small.code, Some(0), "{}", small.said());
    assert!(small.stdout.contains("steps          1 of 4"), "{}", small.said());
    let text = shrunk(&folder.path().join("small"));
    for gone in ["cohort.local", "step.1", "step.2", "step.4"] {
        assert!(text.contains(&format!("\"{gone}\"")), "{gone} is still there\n{text}");
    }
    assert!(!text.contains("\"step.3\""), "{text}");
}

#[test]
fn an_interrupted_search_keeps_the_best_so_far() {
    let folder = scratch();
    let passed = pairstorm(folder.path(), &["run", &fixture("strangers.toml"), "--quiet", "--out", "passed"]);
    assert_eq!(passed.code, Some(0), "{}", passed.said());
    let child = start(folder.path(), &["shrink", "passed", "--out", "small"]);
    // The whole was run twice when the third run goes on.
    until("a run of a smaller candidate", || folder.path().join("small/candidates/3").exists());
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    let finished = finish(child);
    assert_eq!(finished.code, Some(130), "{}", finished.said());
    assert!(finished.stdout.contains("stopped: interrupted; this is the best so far"), "{}", finished.said());
    let checked = pairstorm(folder.path(), &["check", "small/shrunk.toml"]);
    assert_eq!(checked.code, Some(0), "{}", checked.said());
    assert!(!folder.path().join("small/candidates").exists());
}

#[test]
fn a_run_that_showed_nothing_is_refused_with_a_way_out() {
    let folder = scratch();
    let passed =
        pairstorm(folder.path(), &["run", &scenario("defects/shared.toml"), "--quiet", "--out", "passed"]);
    assert_eq!(passed.code, Some(0), "{}", passed.said());
    let refused = pairstorm(folder.path(), &["shrink", "passed"]);
    assert_eq!(refused.code, Some(64), "{}", refused.said());
    assert!(refused.stderr.contains("it has no mismatch and no loop that goes on"), "{}", refused.said());
    let nothing = pairstorm(folder.path(), &["shrink", "nowhere"]);
    assert_eq!(nothing.code, Some(64), "{}", nothing.said());
}

/// The result is one that no run of this scenario has.
#[test]
fn what_does_not_show_again_is_not_cut_down() {
    let folder = scratch();
    let passed = pairstorm(folder.path(), &["run", &fixture("strangers.toml"), "--quiet", "--out", "passed"]);
    assert_eq!(passed.code, Some(0), "{}", passed.said());
    let result = folder.path().join("passed/result.json");
    let text = std::fs::read_to_string(&result).expect("a result");
    assert!(text.contains("\"not-approved\""), "{text}");
    std::fs::write(&result, text.replace("\"not-approved\"", "\"token-drift\"")).expect("written");
    let refused = pairstorm(folder.path(), &["shrink", "passed", "--out", "small"]);
    assert_eq!(refused.code, Some(4), "{}", refused.said());
    assert!(refused.stderr.contains("looking for: loop in phones: token-drift"), "{}", refused.said());
    assert!(
        refused.stderr.contains("the whole scenario does not show it again (0 of 2 times)"),
        "{}",
        refused.said()
    );
    assert!(!folder.path().join("small/shrunk.toml").exists());
}
