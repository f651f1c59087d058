//! Latencies of the phases of a handshake, and from approval to session.

use crate::record::histogram::LatencySummary;
use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::{maybe, plural};

pub(super) fn latencies(page: &mut Page, result: &RunResult) {
    let phases = &result.phases;
    let approval = &result.approval_to_session;
    let rows = [
        ("response, session", phases.response_session),
        ("response, refused", phases.response_refused),
        ("service, session", phases.service_session),
        ("service, refused", phases.service_refused),
        ("  dial", phases.dial),
        ("  upgrade", phases.upgrade),
        ("  challenge", phases.challenge),
        ("  verdict", phases.verdict),
        ("  close", phases.close),
        ("without an answer", phases.unanswered),
        ("approval to session", approval.headline),
    ];
    if rows.iter().all(|(_, row)| row.count == 0) {
        return;
    }
    page.heading(&format!(
        "{:<28}{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "Latency", "count", "p50", "p90", "p99", "p99.9", "max"
    ));
    for (name, row) in rows.iter().filter(|(_, row)| row.count > 0) {
        page.line(&format!("  {name:<26}{}", figures(row)));
    }
    let counts = &approval.counts;
    if counts.approvals > counts.acknowledged || counts.without_session > 0 {
        page.line(&format!(
            "  {}: {} acknowledged, {} refused, {} unknown; {} without a session afterwards",
            plural(counts.approvals, "approval"),
            counts.acknowledged,
            counts.refused,
            counts.unknown,
            counts.without_session
        ));
    }
}

fn figures(row: &LatencySummary) -> String {
    format!(
        "{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
        row.count,
        maybe(row.p50),
        maybe(row.p90),
        maybe(row.p99),
        maybe(row.p999),
        maybe(row.max)
    )
}
