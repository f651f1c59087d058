//! The wait of approved people, drawn: a bar for each link, one under the other.

use super::page::Page;
use super::units::{duration, maybe, plural, share};
use crate::record::operators::{Ends, OperatorResult};
use crate::record::result::RunResult;
use crate::record::waterfall::{Link, Waterfall};

/// Waterfalls shown.
const SHOWN: usize = 8;
/// Rows of operators shown.
const OPERATOR_ROWS: usize = 12;
/// Columns of the whole.
const BAR: usize = 40;

/// What operators did, where it says more than the waterfalls: something was not acknowledged, or was no approval.
pub(super) fn operators(page: &mut Page, result: &RunResult) {
    let worth_saying = |operator: &&OperatorResult| {
        operator.approvals.acknowledged < operator.approvals.sent()
            || operator.kinds().iter().skip(1).any(|(_, ends)| ends.sent() > 0)
    };
    let rows: Vec<(&OperatorResult, &str, &Ends)> = result
        .operators
        .iter()
        .filter(worth_saying)
        .flat_map(|operator| operator.kinds().map(|(kind, ends)| (operator, kind, ends)))
        .filter(|(_, _, ends)| ends.sent() > 0)
        .collect();
    if rows.is_empty() {
        return;
    }
    page.heading(&format!("{:<42}{:>13}{:>10}{:>10}", "Operators", "acknowledged", "refused", "unknown"));
    for (operator, kind, ends) in rows.iter().take(OPERATOR_ROWS) {
        let name = format!("{}, {kind}", operator.name);
        page.line(&format!("  {name:<40}{:>13}{:>10}{:>10}", ends.acknowledged, ends.refused, ends.unknown));
    }
    if rows.len() > OPERATOR_ROWS {
        page.line(&format!(
            "  and {}, see result.json",
            plural((rows.len() - OPERATOR_ROWS) as u64, "more row")
        ));
    }
}

/// Draws the waterfalls of a run, those of most approvals first if there are too many.
pub(super) fn waterfalls(page: &mut Page, result: &RunResult) {
    let all = &result.approval_to_session.waterfalls;
    if all.is_empty() {
        return;
    }
    page.heading(&format!("{:<28}{:>9}{:>10}{:>9}", "From request to session", "p50", "p99", "share"));
    let mut shown: Vec<&Waterfall> = all.iter().collect();
    if all.len() > SHOWN {
        shown.sort_by_key(|waterfall| std::cmp::Reverse(waterfall.whole.count));
        shown.truncate(SHOWN);
    }
    for waterfall in shown {
        one(page, waterfall);
    }
    if all.len() > SHOWN {
        page.line(&format!("  and {}, see result.json", plural((all.len() - SHOWN) as u64, "more")));
    }
}

fn one(page: &mut Page, waterfall: &Waterfall) {
    page.paragraph(
        2,
        &format!(
            "{} ({}), approved by {} ({})",
            waterfall.cohort, waterfall.reconnect, waterfall.operator, waterfall.behaviour
        ),
        2,
    );
    let incomplete = match waterfall.incomplete {
        0 => String::new(),
        count => format!("; {count} more approved, without a session afterwards"),
    };
    let count = waterfall.whole.count;
    if count == 0 {
        page.line(&format!("    nobody got a session{incomplete}"));
        return;
    }
    let before = &waterfall.unknown_before;
    if before.count > 0 {
        page.line(&format!(
            "    {:<24}{:>9}{:>10}           connect to known; not in the whole",
            "before",
            maybe(before.p50),
            maybe(before.p99)
        ));
    }
    let mut at = 0.0;
    for link in Link::ALL {
        let slice = waterfall.links.get(link);
        let name = words(link);
        if slice.latency.count == 0 {
            page.line(&format!("    {name:<24}{:>28}", "did not occur"));
            continue;
        }
        let part = slice.share.unwrap_or(0.0);
        page.line(&format!(
            "    {name:<24}{:>9}{:>10}{:>9}  {}",
            maybe(slice.latency.p50),
            maybe(slice.latency.p99),
            share(part),
            bar(at, part)
        ));
        at += part;
    }
    page.line(&format!(
        "    {:<24}{:>9}{:>10}  {} waited {} on average{incomplete}",
        "whole",
        maybe(waterfall.whole.p50),
        maybe(waterfall.whole.p99),
        count,
        maybe(waterfall.whole.mean)
    ));
    if let Some(shares) = &waterfall.shares {
        let part = |name: &str, of: f64| {
            format!("{name} {} ({})", share(of), waterfall.part(of).map_or_else(|| "-".to_owned(), duration))
        };
        let mut parts = vec![
            part("people", shares.people),
            part("gateway", shares.gateway),
            part("client's pause", shares.client),
        ];
        if shares.generator >= 0.0005 {
            parts.push(part("this generator", shares.generator));
        }
        page.paragraph(4, &format!("made them wait: {}", parts.join(", ")), 2);
    }
}

const fn words(link: Link) -> &'static str {
    match link {
        Link::PendingToNoticed => "asked, not yet noticed",
        Link::NoticedToApprove => "noticed to approve",
        Link::ApproveToAck => "approve to acknowledged",
        Link::AckToAttempt => "to the next attempt",
        Link::AttemptToSession => "attempt to session",
    }
}

/// A slice of the whole from `at` on; whatever is there is seen.
fn bar(at: f64, part: f64) -> String {
    let column = |share: f64| ((share * BAR as f64).round() as usize).min(BAR);
    let (from, to) = (column(at), column(at + part));
    if part > 0.0 && to <= from {
        return format!("{:1$}▏", "", from.min(BAR - 1));
    }
    format!("{:from$}{}", "", "█".repeat(to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_lie_one_after_the_other_and_none_is_wider_than_the_whole() {
        assert_eq!(bar(0.0, 0.5), "█".repeat(20));
        assert_eq!(bar(0.5, 0.5), format!("{}{}", " ".repeat(20), "█".repeat(20)));
        assert_eq!(bar(0.25, 0.001), format!("{}▏", " ".repeat(10)));
        assert_eq!(bar(1.0, 0.001), format!("{}▏", " ".repeat(39)));
        assert_eq!(bar(1.0, 0.0).trim(), "");
        for (at, part) in [(0.0, 1.0), (0.999, 0.001), (0.9, 0.2), (0.3, 0.0)] {
            assert!(bar(at, part).chars().count() <= BAR, "{at} {part}");
        }
    }
}
