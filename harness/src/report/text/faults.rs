//! Restarts and other faults, and what they cost.

use crate::record::restarts::Restart;
use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::{duration, maybe, plural};

use super::ROWS_SHOWN;

pub(super) fn restarts(page: &mut Page, result: &RunResult) {
    for restart in result.restarts.iter().take(ROWS_SHOWN) {
        one_restart(page, restart);
    }
    page.more(result.restarts.len(), ROWS_SHOWN, "restart");
    let caught = &result.approvals_at_restarts;
    // What is acknowledged and kept is what everybody expects.
    if caught.acknowledged.refused + caught.unknown.all > 0 {
        page.heading("Approvals and the restart after each, by what the device met next");
        for (what, fates) in [("acknowledged", &caught.acknowledged), ("never answered", &caught.unknown)] {
            page.line(&format!(
                "  {:>6} {what}: {} let in, {} asked for an approval, {} approved again, {} not seen",
                fates.all, fates.let_in, fates.refused, fates.approved_again, fates.not_seen
            ));
        }
    }
}

fn one_restart(page: &mut Page, restart: &Restart) {
    page.heading(&format!("Restart `{}` by {} at {}", restart.name, restart.signal, duration(restart.at)));
    page.paragraph(
        2,
        &format!(
            "port closed {}, exited {}, new process {}, port open {}, first session {}",
            maybe(restart.port_closed),
            maybe(restart.exited),
            maybe(restart.spawned),
            maybe(restart.port_open),
            maybe(restart.first_session)
        ),
        2,
    );
    let back = &restart.back;
    let attempts = restart
        .attempts_per_recovered_client
        .map_or_else(String::new, |attempts| format!("; {attempts:.1} attempts each"));
    page.paragraph(
        2,
        &format!(
            "{} held a session, {} lost it; back: 50 % {}, 90 % {}, 99 % {}, all {}{attempts}",
            plural(restart.population, "client"),
            restart.sessions_lost,
            maybe(back.p50),
            maybe(back.p90),
            maybe(back.p99),
            maybe(back.all)
        ),
        2,
    );
    let in_flight = &restart.approvals_in_flight;
    if in_flight.acknowledged + in_flight.refused + in_flight.unknown > 0 {
        page.line(&format!(
            "  approvals in flight at the signal: {} acknowledged, {} refused, {} unknown",
            in_flight.acknowledged, in_flight.refused, in_flight.unknown
        ));
    }
}

pub(super) fn other_faults(page: &mut Page, result: &RunResult) {
    let faults: Vec<_> = result.faults.iter().filter(|fault| fault.kind != "restart").collect();
    if faults.is_empty() {
        return;
    }
    page.heading("Other faults");
    for fault in faults.iter().take(ROWS_SHOWN) {
        let end = fault.ended.map_or_else(
            || "not over before the run's end".to_owned(),
            |ended| format!("over after {}", duration(ended.saturating_sub(fault.began))),
        );
        page.line(&format!("  {} `{}` at {}, {end}", fault.kind, fault.name, duration(fault.began)));
    }
    page.more(faults.len(), ROWS_SHOWN, "fault");
}
