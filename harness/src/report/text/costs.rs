//! What the load took of the machine.

use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::{bytes, duration, plural};

pub(super) fn costs(page: &mut Page, result: &RunResult) {
    let environment = &result.environment;
    page.heading("Costs");
    let per_attempt = environment
        .own_cpu_us
        .checked_div(result.attempts.attempted)
        .map_or_else(String::new, |cpu| format!(" ({} an attempt)", duration(cpu)));
    let mut costs = format!(
        "  {} on {}, CPU {}{per_attempt}, {}",
        plural(environment.reactors.into(), "reactor"),
        plural(environment.cores.into(), "core"),
        duration(environment.own_cpu_us),
        bytes(environment.own_rss_max_bytes)
    );
    if let (Some(cpu), Some(rss)) = (environment.gateway_cpu_us, environment.gateway_rss_max_bytes) {
        costs.push_str(&format!("; gateway CPU {}, {}", duration(cpu), bytes(rss)));
    }
    page.line(&costs);
    if environment.history_waits > 0 {
        page.line(&format!(
            "  waited {} for the disk, {} in all",
            plural(environment.history_waits, "time"),
            duration(environment.history_waited_us)
        ));
    }
    if let (Some(open), Some(waiting)) = (result.validity.sockets_high, result.validity.time_wait_high) {
        page.line(&format!("  at most {open} TCP sockets open on this machine, {waiting} in TIME_WAIT"));
    }
}
