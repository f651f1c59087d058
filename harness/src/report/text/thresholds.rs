//! The pass rules, those that are not met first.

use crate::record::thresholds::{MetricUnit, ThresholdResult};
use crate::report::page::Page;
use crate::report::units::{duration, share};

use super::ROWS_SHOWN;

pub(super) fn thresholds(page: &mut Page, thresholds: &[ThresholdResult]) {
    if thresholds.is_empty() {
        return;
    }
    page.heading("Thresholds");
    // Unmet ones first: they are what is looked for.
    let (met, unmet): (Vec<_>, Vec<_>) = thresholds.iter().partition(|threshold| threshold.passed);
    for threshold in unmet.iter().chain(&met).take(ROWS_SHOWN) {
        let word = if threshold.passed { "met" } else { "NOT MET" };
        page.line(&format!("  {word:<9}{}: {}", threshold.rule, observed(threshold)));
    }
    page.more(thresholds.len(), ROWS_SHOWN, "threshold");
}

fn observed(threshold: &ThresholdResult) -> String {
    match (threshold.observed, threshold.note) {
        // Microseconds are whole numbers far below 2^53.
        (Some(value), _) => match threshold.unit {
            MetricUnit::Us => duration(value as u64),
            MetricUnit::Count => format!("{value}"),
            MetricUnit::Share => share(value),
        },
        (None, Some(note)) => note.words().to_owned(),
        (None, None) => "no figure".to_owned(),
    }
}
