//! What became of each cohort.

use crate::record::cohorts::CohortResult;
use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::short;

use super::ROWS_SHOWN;

/// A row a cohort. If that would be too many, only those with a mismatch have one of their own: the others went as they
/// should, and are one row together.
pub(super) fn cohorts(page: &mut Page, result: &RunResult) {
    page.heading(&format!(
        "{:<28}{:>9}{:>14}{:>10}{:>9}{:>12}",
        "Cohorts", "clients", "got a session", "attempts", "refused", "mismatches"
    ));
    let fits = result.cohorts.len() <= ROWS_SHOWN;
    let (shown, folded): (Vec<_>, Vec<_>) =
        result.cohorts.iter().partition(|cohort| fits || cohort.mismatches.total > 0);
    for cohort in shown.iter().take(ROWS_SHOWN) {
        row(page, &cohort.name, &[cohort]);
    }
    page.more(shown.len(), ROWS_SHOWN, "cohort");
    if !folded.is_empty() {
        let name = format!("{} without a mismatch", folded.len());
        row(page, &name, &folded);
        page.line("  each by itself in result.json");
    }
}

/// A row of sums.
fn row(page: &mut Page, name: &str, cohorts: &[&CohortResult]) {
    let sum = |of: fn(&CohortResult) -> u64| cohorts.iter().map(|cohort| of(cohort)).sum::<u64>();
    page.line(&format!(
        "  {:<26}{:>9}{:>14}{:>10}{:>9}{:>12}",
        short(name, 26),
        sum(|cohort| cohort.clients),
        sum(|cohort| cohort.clients_with_session),
        sum(|cohort| cohort.attempts.attempted),
        sum(|cohort| cohort.attempts.refused),
        sum(|cohort| cohort.mismatches.total)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::test_support::{Story, mismatch, refusal, session};

    fn table(cohorts: u32, wrong: &[u32]) -> String {
        let names: Vec<String> = (0..cohorts).map(|cohort| format!("c{cohort}")).collect();
        let named: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let mut story = Story::new(&named);
        for client in 0..cohorts {
            if wrong.contains(&client) {
                story.attempt(client, 0).answered(5, refusal("not-paired")).verdict(mismatch(
                    MismatchKind::FalseReject,
                    &["session"],
                    "not-paired",
                    "",
                ));
            } else {
                story.attempt(client, 0).answered(5, session());
            }
        }
        let mut page = Page::default();
        super::cohorts(&mut page, &story.result());
        page.finish()
    }

    #[test]
    fn as_many_cohorts_as_fit_have_a_row_each() {
        assert_eq!(table(8, &[]).trim().lines().count(), 9);
    }

    #[test]
    fn of_too_many_those_with_a_mismatch_have_a_row_each_and_the_others_one() {
        insta::assert_snapshot!(table(12, &[3, 11]), @r"
        Cohorts                       clients got a session  attempts  refused  mismatches
          c3                                1             0         1        1           1
          c11                               1             0         1        1           1
          10 without a mismatch            10            10        10        0           0
          each by itself in result.json
        ");
        let text = table(12, &(0..12).collect::<Vec<_>>());
        assert!(text.ends_with("  and 4 more cohorts, see result.json\n"), "{text}");
    }
}
