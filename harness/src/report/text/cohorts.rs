//! What became of each cohort.

use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::short;

use super::ROWS_SHOWN;

pub(super) fn cohorts(page: &mut Page, result: &RunResult) {
    page.heading(&format!(
        "{:<28}{:>9}{:>14}{:>10}{:>9}{:>12}",
        "Cohorts", "clients", "got a session", "attempts", "refused", "mismatches"
    ));
    for cohort in result.cohorts.iter().take(ROWS_SHOWN) {
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
    page.more(result.cohorts.len(), ROWS_SHOWN, "cohort");
}
