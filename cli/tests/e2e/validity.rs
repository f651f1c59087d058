//! The generator's own error: measured, shown first, and exit code 4 beyond a budget.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Finished, binary, finish, pairstorm, scratch, write};

/// A scenario of a few clients that stay for a second, with these budgets.
fn scenario(folder: &Path, budgets: &str) -> String {
    let text = format!(
        "name = \"budgets\"\n[cohort.tabs]\npersona = \"cli\"\ncount = 20\narrivals.constant.rate = \"40/s\"\n\
         session.hold = \"500ms\"\n[validity]\nlag_p99_max = \"60s\"\nscheduler_delay_share_max = 1.0\n{budgets}\n"
    );
    write(folder, "budgets.toml", &text)
}

/// A run of it.
fn run(budgets: &str, more: &[&str]) -> Finished {
    let folder = scratch();
    let file = scenario(folder.path(), budgets);
    let mut arguments = vec!["run", file.as_str(), "--out", "run"];
    arguments.extend(more);
    pairstorm(folder.path(), &arguments)
}

#[test]
fn what_the_generator_did_is_measured_and_shown_first() {
    let finished = run("", &["--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let validity = &finished.result()["validity"];
    // A thread that is no longer called as the run looks for it would not be found.
    for share in ["reactor_cpu_share", "scheduler_delay_share", "late_share"] {
        let measured = validity[share].as_f64();
        assert!(measured.is_some_and(|share| (0.0..=1.0).contains(&share)), "{share}: {}", finished.said());
    }
    assert!(validity["reactor_cpu_share"].as_f64() > Some(0.0), "{}", finished.said());
    // Standard streams, sockets, the runtime's own.
    assert!(validity["descriptors_high"].as_u64() > Some(10), "{}", finished.said());
    assert!(validity["sockets_high"].as_u64() > Some(0), "{}", finished.said());

    let finished = run("", &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let place =
        |text: &str| finished.stdout.find(text).unwrap_or_else(|| panic!("no {text}: {}", finished.said()));
    assert!(place("The generator's own error") < place("gateway and generator shared their cores"));
    assert!(place("gateway and generator shared their cores") < place("Cohorts"));
}

#[test]
fn beyond_a_budget_the_exit_code_is_4() {
    for (budget, kind, figure) in [
        ("reactor_cpu_share_max = 0", "reactor_cpu", "reactor_cpu_share"),
        ("late_after = \"1us\"\nlate_share_max = 0", "late", "late_share"),
    ] {
        is_invalid(&run(budget, &["--json"]), kind, figure);
    }
}

/// That nothing but `kind` is held against a run, which measured this `figure`.
fn is_invalid(finished: &Finished, kind: &str, figure: &str) {
    assert_eq!(finished.code, Some(4), "{kind}: {}", finished.said());
    let result = finished.result();
    let kinds: Vec<&Value> =
        result["validity"]["reasons"].as_array().expect("a list").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, [kind], "{}", finished.said());
    assert!(result["validity"][figure].as_f64() > Some(0.0), "{}", finished.said());
}

/// What the plan needs is refused beforehand; descriptors that were open before the run began are in no plan.
#[test]
fn descriptors_that_a_run_inherits_count_towards_its_budget() {
    let folder = scratch();
    let file = scenario(folder.path(), "descriptors_share_max = 0.15");
    let line = format!(
        "ulimit -n 1000; for at in {{10..199}}; do eval \"exec $at</dev/null\"; done; exec {} run {file} --json --out run",
        binary().display()
    );
    let child = Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    is_invalid(&finish(child), "descriptors", "descriptors_high");
}
