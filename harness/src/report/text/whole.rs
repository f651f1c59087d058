//! All shards of one load together.

use crate::record::exit_code::ExitCode;
use crate::record::whole::Whole;
use crate::report::page::Page;
use crate::report::units::{plural, short};

use super::{ROWS_SHOWN, refusals};

/// The report for people: the verdict, what each shard came to, and what adds up.
#[must_use]
pub fn report(whole: &Whole) -> String {
    let mut page = Page::default();
    let verdict = whole.verdict.as_str().to_uppercase();
    let interrupted = if whole.interrupted { "; a shard was interrupted" } else { "" };
    page.paragraph(
        0,
        &format!(
            "{verdict} (exit code {}): the worst of {}{interrupted}",
            whole.exit_code,
            plural(whole.shards.len() as u64, "shard")
        ),
        2,
    );
    page.line(&format!("{} (seed {}), profile {}", short(&whole.scenario, 60), whole.seed, whole.profile));
    let attempts = &whole.attempts;
    page.line(&format!(
        "{} = {} + {} refused + {} without an answer + {} dropped",
        plural(attempts.attempted, "attempt"),
        plural(attempts.session, "session"),
        attempts.refused,
        attempts.unanswered(),
        attempts.dropped
    ));
    page.heading(&format!(
        "{:<10}{:<12}{:>9}{:>10}{:>10}{:>12}  folder",
        "Shard", "verdict", "clients", "attempts", "sessions", "mismatches"
    ));
    for shard in &whole.shards {
        page.whole_line(&format!(
            "  {:<8}{:<12}{:>9}{:>10}{:>10}{:>12}  {}",
            shard.shard,
            shard.verdict.as_str(),
            shard.clients,
            shard.attempted,
            shard.session,
            shard.mismatches,
            shard.folder
        ));
    }
    if whole.exit_code != ExitCode::Pass.code() {
        page.line("  why: summary.txt of each folder");
    }
    refusals::refusals(&mut page, &whole.refusals);
    page.heading(&format!(
        "{:<28}{:>9}{:>14}{:>10}{:>9}{:>12}",
        "Cohorts", "clients", "got a session", "attempts", "refused", "mismatches"
    ));
    for cohort in whole.cohorts.iter().take(ROWS_SHOWN) {
        page.line(&format!(
            "  {:<26}{:>9}{:>14}{:>10}{:>9}{:>12}",
            short(&cohort.name, 26),
            cohort.clients,
            cohort.clients_with_session,
            cohort.attempts.attempted,
            cohort.attempts.refused,
            cohort.mismatches.total
        ));
    }
    page.more(whole.cohorts.len(), ROWS_SHOWN, "cohort");
    page.finish()
}

#[cfg(test)]
mod tests {
    use crate::record::test_support::{Story, session};
    use crate::record::whole::whole;

    #[test]
    fn the_report_of_two_shards() {
        let shard = |number: u32| {
            let mut story = Story::new(&[("phones", 1)]);
            story.attempt(0, 0).answered(5, session());
            let mut result = story.result();
            result.scenario.shard = Some(format!("{number}/2"));
            (format!("run-{number}"), result)
        };
        let text = super::report(&whole(&[shard(1), shard(2)]).unwrap());
        assert!(text.starts_with("PASS (exit code 0): the worst of 2 shards\n"), "{text}");
        let row = "  2/2     pass                1         1         1           0  run-2\n";
        assert!(text.contains(row), "{text}");
        let sum = "  phones                            2             2         2        0           0\n";
        assert!(text.contains(sum), "{text}");
        assert!(!text.contains("why:"), "{text}");
    }
}
