//! What came of each step of the cohorts' scripts.

use crate::record::result::RunResult;
use crate::record::scripts::StepResult;
use crate::report::page::Page;
use crate::report::units::{maybe, short};

use super::ROWS_SHOWN;

/// Steps shown of a script.
const STEPS_SHOWN: usize = 20;
/// Outcomes named of a step.
const OUTCOMES_SHOWN: usize = 3;

pub(super) fn scripts(page: &mut Page, result: &RunResult) {
    let with_scripts = || result.cohorts.iter().filter(|cohort| !cohort.script.is_empty());
    for cohort in with_scripts().take(ROWS_SHOWN) {
        page.heading(&format!(
            "{:<34}{:>9}{:>10}{:>10}  {}",
            format!("Script of {}", short(&cohort.name, 23)),
            "attempts",
            "p50",
            "p99",
            "outcomes"
        ));
        for step in cohort.script.iter().take(STEPS_SHOWN) {
            page.line(&row(step));
        }
        page.more(cohort.script.len(), STEPS_SHOWN, "step");
    }
    page.more(with_scripts().count(), ROWS_SHOWN, "script");
}

fn row(step: &StepResult) -> String {
    let what = format!("{:>4} {}", step.step, short(&step.does, 28));
    // Nothing of a step that makes none.
    if step.attempts == 0 {
        return what;
    }
    let mut outcomes: Vec<(&String, &u64)> = step.outcomes.iter().collect();
    outcomes.sort_by_key(|(class, count)| (std::cmp::Reverse(**count), *class));
    let more = outcomes.len().saturating_sub(OUTCOMES_SHOWN);
    let mut words: Vec<String> = outcomes
        .iter()
        .take(OUTCOMES_SHOWN)
        .map(|(class, count)| format!("{count} {}", short(class, 26)))
        .collect();
    words.extend((more > 0).then(|| format!("{more} more")));
    let (p50, p99) = (maybe(step.response.p50), maybe(step.response.p99));
    format!("{what:<34}{:>9}{p50:>10}{p99:>10}  {}", step.attempts, words.join(", "))
}
