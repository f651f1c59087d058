//! The generator's own error: measured, shown first, and exit code 4 beyond a budget.

use serde_json::Value;

use crate::common::{Finished, pairstorm, scratch, write};

/// A run of a few clients that stay for a second, with these budgets.
fn run(budgets: &str, more: &[&str]) -> Finished {
    let folder = scratch();
    let text = format!(
        "name = \"budgets\"\n[cohort.tabs]\npersona = \"cli\"\ncount = 20\narrivals.constant.rate = \"40/s\"\n\
         session.hold = \"500ms\"\n[validity]\nlag_p99_max = \"60s\"\nscheduler_delay_share_max = 1.0\n{budgets}\n"
    );
    let file = write(folder.path(), "budgets.toml", &text);
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
        ("descriptors_share_max = 0", "descriptors", "descriptors_high"),
        ("late_after = \"1us\"\nlate_share_max = 0", "late", "late_share"),
    ] {
        let finished = run(budget, &["--json"]);
        assert_eq!(finished.code, Some(4), "{budget}: {}", finished.said());
        let result = finished.result();
        let kinds: Vec<&Value> = result["validity"]["reasons"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["kind"])
            .collect();
        assert_eq!(kinds, [kind], "{}", finished.said());
        assert!(result["validity"][figure].as_f64() > Some(0.0), "{}", finished.said());
    }
}
