//! What was wrong: outcomes that are not allowed, devices that no order explains, invariants.

use std::path::Path;

use crate::record::groups::MismatchGroup;
use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::{files, timeline};

use super::ROWS_SHOWN;

/// Groups of mismatches shown.
const GROUPS_SHOWN: usize = 5;
/// Devices that no order explains, and of unknown ones, shown with their history.
const DEVICES_SHOWN: usize = 3;
/// Operations of each that were left open, shown.
const OPEN_SHOWN: usize = 4;

pub(super) fn mismatches(page: &mut Page, result: &RunResult, folder: Option<&Path>) {
    if result.mismatches.total == 0 {
        return;
    }
    page.heading("Not allowed");
    for group in result.mismatch_groups.iter().take(GROUPS_SHOWN) {
        mismatch_group(page, group);
    }
    let shown: u64 = result.mismatch_groups.iter().take(GROUPS_SHOWN).map(|group| group.count).sum();
    if shown < result.mismatches.total {
        page.line(&format!("  and {} more, by other causes", result.mismatches.total - shown));
    }
    if let Some(group) = result.mismatch_groups.first() {
        let file = folder.unwrap_or_else(|| Path::new("")).join("violations.jsonl");
        page.line("  a device's whole story:");
        page.whole_line(&format!("    grep '\"client\":\"{}\"' {}", group.example, file.display()));
    }
}

fn mismatch_group(page: &mut Page, group: &MismatchGroup) {
    page.paragraph(
        2,
        &format!(
            "{} x {} in {}: expected {}, saw {}",
            group.count, group.kind, group.cohort, group.expected, group.observed
        ),
        2,
    );
    page.paragraph(
        6,
        &format!("{} attempt {}: {}", group.example, group.example_attempt, group.example_why),
        2,
    );
}

/// Devices that no order explains, and those that nothing can be said of.
pub(super) fn devices(page: &mut Page, result: &RunResult, folder: Option<&Path>) {
    let Some(devices) = &result.devices else { return };
    if devices.invalid == 0 && devices.unknown == 0 {
        return;
    }
    page.heading(&format!(
        "Histories of devices: {} valid, {} invalid, {} unknown",
        devices.valid, devices.invalid, devices.unknown
    ));
    for device in devices.invalid().take(DEVICES_SHOWN) {
        timeline::device(page, device, OPEN_SHOWN);
    }
    if devices.invalid > 0 {
        let pictures = folder.unwrap_or_else(|| Path::new("")).join(files::CHECKER);
        page.line("  as pictures, and all of them:");
        page.whole_line(&format!("    {}", pictures.display()));
    }
    for device in devices.unknown().take(DEVICES_SHOWN) {
        timeline::device(page, device, 0);
    }
}

/// What the gateway should not have done, whether or not its release does it.
pub(super) fn invariants(page: &mut Page, result: &RunResult) {
    if result.invariants.is_empty() {
        return;
    }
    page.heading("Invariants broken");
    for invariant in result.invariants.iter().take(ROWS_SHOWN) {
        let expected = match invariant.expected {
            None => "",
            Some(_) if !invariant.is_surprise() => ", as the scenario expects",
            Some(true) => ", but the scenario expects it",
            Some(false) => ", and the scenario does not expect it",
        };
        page.paragraph(2, &format!("{} x {}{expected}", invariant.count, invariant.invariant), 4);
        if invariant.count > 0 {
            let example = format!(
                "{} attempt {}: {}",
                invariant.example, invariant.example_attempt, invariant.example_why
            );
            page.paragraph(6, &example, 2);
        }
    }
    page.more(result.invariants.len(), ROWS_SHOWN, "invariant");
}
