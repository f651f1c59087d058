//! Who was refused, and why: what was due beside what was seen.

use crate::diagnosis::cures::of_reason;
use crate::record::refusals::{ExpectedAndObserved, Refusals};
use crate::report::page::Page;
use crate::report::units::short;

use super::ROWS_SHOWN;

pub(super) fn refusals(page: &mut Page, refusals: &Refusals) {
    let seen = |counts: &ExpectedAndObserved| counts.expected > 0 || counts.observed > 0;
    let reasons = refusals.by_reason.iter().filter(|(_, counts)| seen(counts));
    let codes = refusals
        .by_detail_code
        .iter()
        .filter(|(code, counts)| seen(counts) && code.as_str() != "PAIRING_REQUIRED");
    let rows: Vec<_> = reasons.chain(codes).collect();
    if rows.is_empty() && refusals.without_detail_code.is_empty() {
        return;
    }
    page.heading(&format!("{:<38}{:>10}{:>10}", "Refusals", "expected", "observed"));
    for (name, counts) in rows.iter().take(ROWS_SHOWN) {
        page.line(&format!("  {:<36}{:>10}{:>10}", short(name, 36), counts.expected, counts.observed));
        if counts.observed > counts.expected
            && let Some(cure) = of_reason(name)
        {
            page.line(&format!("      more than expected; {cure}"));
        }
    }
    page.more(rows.len(), ROWS_SHOWN, "row");
    for (code, count) in refusals.without_detail_code.iter().take(ROWS_SHOWN) {
        page.line(&format!("  {:<36}{:>10}{count:>10}", short(&format!("{code}, no details"), 36), ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::test_support::{Story, mismatch, refusal};
    use crate::report::text::summary;

    #[test]
    fn unexpected_pairing_reasons_name_their_cure() {
        let mut story = Story::new(&[("phones", 1)]);
        for reason in ["not-paired", "scope-upgrade", "role-upgrade", "metadata-upgrade"] {
            story
                .attempt(0, story.history.attempts.len() as u32)
                .answered(5, refusal(reason))
                .verdict(mismatch(MismatchKind::FalseReject, &["session"], reason, ""));
        }
        let text = summary(&story.result(), false);
        for reason in ["not-paired", "scope-upgrade", "role-upgrade", "metadata-upgrade"] {
            assert!(text.contains(of_reason(reason).expect("a cure")), "{text}");
        }
    }
}
