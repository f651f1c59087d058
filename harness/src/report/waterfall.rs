//! The wait of approved people, drawn: a bar for each link, one under the other.

use super::page::Page;
use super::units::{duration, maybe, share, short};
use crate::record::operators::{Ends, OperatorResult};
use crate::record::result::RunResult;
use crate::record::waterfall::{Link, WaitShares, Waterfall};

/// Waterfalls drawn if there are no more: each has a dozen lines, and a run of many cohorts must still fit a terminal.
const DRAWN: usize = 3;
/// If there are more: lines of what most people waited for, beside the one that is drawn.
const TOLD: usize = 4;
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
        let name = format!("{}, {kind}", short(&operator.name, 26));
        page.line(&format!("  {name:<40}{:>13}{:>10}{:>10}", ends.acknowledged, ends.refused, ends.unknown));
    }
    page.more(rows.len(), OPERATOR_ROWS, "row");
}

/// Draws the waterfalls of a run: if there are too many, the one in which most people waited, and a line for each of the next.
pub(super) fn waterfalls(page: &mut Page, result: &RunResult) {
    let all = &result.approval_to_session.waterfalls;
    if all.is_empty() {
        return;
    }
    page.heading(&format!("{:<28}{:>9}{:>10}{:>9}", "From request to session", "p50", "p99", "share"));
    let mut sorted: Vec<&Waterfall> = all.iter().collect();
    let mut drawn = sorted.len();
    if drawn > DRAWN {
        sorted.sort_by_key(|waterfall| std::cmp::Reverse(waterfall.whole.count));
        drawn = 1;
    }
    for waterfall in sorted.iter().take(drawn) {
        one(page, waterfall);
    }
    for waterfall in sorted.iter().skip(drawn).take(TOLD) {
        page.paragraph(2, &in_short(waterfall), 2);
    }
    page.more(all.len(), drawn + TOLD, "waterfall");
}

/// A waterfall in a line: how long, and for whom.
fn in_short(waterfall: &Waterfall) -> String {
    let who = format!("{}, by {}", waterfall.cohort, waterfall.operator);
    let incomplete = incomplete(waterfall);
    let Some(shares) = &waterfall.shares else { return format!("{who}: nobody got a session{incomplete}") };
    format!(
        "{who}: {} waited {} on average{incomplete}: {}",
        waterfall.whole.count,
        maybe(waterfall.whole.mean),
        divided(shares, |name, of| format!("{name} {}", share(of)))
    )
}

/// Who made them wait, each as `part` writes it; this generator only if it did.
fn divided(shares: &WaitShares, part: impl Fn(&str, f64) -> String) -> String {
    let mut parts = vec![
        part("people", shares.people),
        part("gateway", shares.gateway),
        part("client's pause", shares.client),
    ];
    if shares.generator >= 0.0005 {
        parts.push(part("this generator", shares.generator));
    }
    parts.join(", ")
}

fn incomplete(waterfall: &Waterfall) -> String {
    match waterfall.incomplete {
        0 => String::new(),
        count => format!("; {count} more approved, without a session afterwards"),
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
    let incomplete = incomplete(waterfall);
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
        let parts = divided(shares, |name, of| {
            format!("{name} {} ({})", share(of), waterfall.part(of).map_or_else(|| "-".to_owned(), duration))
        });
        page.paragraph(4, &format!("made them wait: {parts}"), 2);
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
    use crate::record::test_support::{Story, refusal_for, session};

    /// As many people of each cohort wait for the same operator.
    fn waiters(cohorts: &[(&str, u32)]) -> RunResult {
        let mut story = Story::new(cohorts);
        for client in 0..cohorts.iter().map(|(_, count)| count).sum() {
            let request = format!("r{client}");
            story.attempt(client, 0).started(1).answered(5, refusal_for(&request));
            story.notice(0, client, &request, 6);
            story.approve(0, client, &request, 7, Some(8));
            story.attempt(client, 1).started(10).answered(12, session());
        }
        story.result()
    }

    fn drawn(result: &RunResult) -> (Vec<String>, String) {
        let mut page = Page::default();
        waterfalls(&mut page, result);
        let text = page.finish();
        let begins = |line: &&str| line.contains(" (tries again");
        let cohorts = text.lines().filter(begins).filter_map(|line| line.split_whitespace().next());
        (cohorts.map(str::to_owned).collect(), text.clone())
    }

    #[test]
    fn of_many_waterfalls_that_of_most_waiters_is_drawn_and_the_next_are_told() {
        let few = waiters(&[("a", 1), ("b", 3), ("c", 2)]);
        let (cohorts, text) = drawn(&few);
        assert_eq!(cohorts, ["a", "b", "c"], "as in the scenario: {text}");
        assert!(!text.contains("more"), "{text}");
        let many = waiters(&[("a", 1), ("b", 3), ("c", 2), ("d", 5), ("e", 3)]);
        let (cohorts, text) = drawn(&many);
        assert_eq!(cohorts, ["d"], "{text}");
        let told: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().split_once(", by "))
            .map(|(cohort, _)| cohort)
            .collect();
        assert_eq!(told, ["b", "e", "c", "a"], "{text}");
        assert!(!text.contains("more"), "{text}");
        let (_, text) =
            drawn(&waiters(&[("a", 1), ("b", 3), ("c", 2), ("d", 5), ("e", 3), ("f", 1), ("g", 1)]));
        assert!(text.ends_with("  and 2 more waterfalls, see result.json\n"), "{text}");
        assert!(text.contains("\n  b, by owner: 3 waited 7.00 ms on average: people "), "{text}");
    }

    #[test]
    fn a_long_name_does_not_push_the_table_of_operators_apart() {
        let mut result = waiters(&[("a", 1)]);
        result.operators[0].name = "x".repeat(60);
        result.operators[0].rejections.acknowledged = 1;
        let mut page = Page::default();
        operators(&mut page, &result);
        let text = page.finish();
        let widths: Vec<usize> = text.lines().skip(1).map(|line| line.chars().count()).collect();
        assert_eq!(widths, [75, 75, 75], "{text}");
    }

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
