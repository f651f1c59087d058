//! The summary for a terminal: verdict first, then how far to trust the figures, then what was wrong, then the figures.
//!
//! A file a section; those that draw (`waterfall`, `timeline`) stand one level above.

mod cohorts;
mod costs;
pub mod diagnosis;
mod faults;
mod head;
mod latency;
mod refusals;
mod scripts;
#[cfg(test)]
mod tests;
mod thresholds;
mod validity;
mod violations;
pub mod whole;

use std::path::Path;

use super::page::Page;
use super::waterfall::{operators, waterfalls};
use crate::record::result::RunResult;

/// Thresholds, cohorts, reasons, restarts and other faults shown, each.
const ROWS_SHOWN: usize = 8;

/// The summary of a run, for people: at most 100 columns but for commands to copy. `colour` paints the verdict with ANSI
/// escapes.
#[must_use]
pub fn summary(result: &RunResult, colour: bool) -> String {
    summary_in(result, colour, None)
}

/// The same; `folder` is where the run's files are, for the commands it suggests.
#[must_use]
pub fn summary_in(result: &RunResult, colour: bool, folder: Option<&Path>) -> String {
    let mut page = Page::default();
    head::head(&mut page, result);
    validity::generator(&mut page, result);
    validity::invalid_reasons(&mut page, result);
    violations::mismatches(&mut page, result, folder);
    violations::devices(&mut page, result, folder);
    violations::invariants(&mut page, result);
    thresholds::thresholds(&mut page, &result.thresholds);
    diagnosis::expectations(&mut page, result);
    diagnosis::loops(&mut page, result);
    refusals::refusals(&mut page, &result.refusals);
    cohorts::cohorts(&mut page, result);
    scripts::scripts(&mut page, result);
    latency::latencies(&mut page, result);
    waterfalls(&mut page, result);
    operators(&mut page, result);
    faults::restarts(&mut page, result);
    faults::other_faults(&mut page, result);
    costs::costs(&mut page, result);
    let text = page.finish();
    if colour { head::painted(&text, result) } else { text }
}
