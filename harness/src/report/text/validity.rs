//! How far to trust the figures: the generator's own error, and why a run is invalid.

use crate::record::result::RunResult;
use crate::record::validity::{Figure, Validity};
use crate::report::page::Page;
use crate::report::units::{duration, plural, share};

use super::ROWS_SHOWN;

/// The generator's own error, before any figure that it may have spoilt.
pub(super) fn generator(page: &mut Page, result: &RunResult) {
    let validity = &result.validity;
    page.heading(&format!("{:<30}{:>12}{:>12}", "The generator's own error", "measured", "budget"));
    for budget in validity.budgets() {
        let mark = if budget.is_broken() { "  OVER" } else { "" };
        page.line(&format!(
            "  {:<28}{:>12}{:>12}{mark}{}",
            budget.name,
            budget.measured.map_or_else(|| "-".to_owned(), figure),
            if budget.max == Figure::Share(1.0) { "-".to_owned() } else { figure(budget.max) },
            aside(validity, budget.name)
        ));
    }
    if validity.saturated > 0 {
        page.line(&format!(
            "  note: {} above one hour count as one hour",
            plural(validity.saturated, "latency figure")
        ));
    }
    for note in validity.notes.iter().take(ROWS_SHOWN) {
        page.paragraph(2, &format!("note: {note}"), 2);
    }
}

fn figure(figure: Figure) -> String {
    match figure {
        Figure::Micros(micros) => duration(micros),
        Figure::Share(of_all) => share(of_all),
    }
}

/// What has to be known beside a figure to read it.
fn aside(validity: &Validity, name: &str) -> String {
    match name {
        "late starts" => {
            format!("  {} or more after their time: {}", duration(validity.late_after), validity.late)
        }
        "dropped starts" if !validity.dropped.is_empty() => {
            let reasons = validity.dropped.iter().map(|(reason, count)| format!("{reason} {count}"));
            format!("  {}", reasons.collect::<Vec<_>>().join(", "))
        }
        "reactor without a core" => validity
            .scheduler_delay_mean
            .map_or_else(String::new, |mean| format!("  {} each time", duration(mean))),
        "descriptors in use" => match (validity.descriptors_high, validity.descriptors_limit) {
            (Some(high), Some(limit)) => format!("  {high} of {limit}"),
            (Some(high), None) => format!("  {high}"),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

pub(super) fn invalid_reasons(page: &mut Page, result: &RunResult) {
    if result.validity.reasons.is_empty() {
        return;
    }
    page.heading("The numbers cannot be trusted");
    for reason in result.validity.reasons.iter().take(ROWS_SHOWN) {
        page.paragraph(2, &reason.text, 2);
    }
    page.more(result.validity.reasons.len(), ROWS_SHOWN, "reason");
}
