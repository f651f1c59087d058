//! Asks the in-repo gateway about its store while the load goes on, so that each of its processes has said something before it
//! is stopped.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::gateway::metrics;
use crate::record::store_times::ProcessMetrics;

/// How often: rare enough to cost the gateway nothing, and often enough to know most of what a process did.
const EVERY: Duration = Duration::from_millis(500);
/// Processes that are remembered: a run may restart its gateway a thousand times.
const PROCESSES_MAX: usize = 2_000;
/// What tells one process from the next.
const STARTED: &str = "process_start_time_seconds ";

/// Asks until `stop`, and once more then. Gives the last answer of each process.
pub(super) async fn watch(port: u16, clock: Clock, mut stop: watch::Receiver<bool>) -> Vec<ProcessMetrics> {
    let mut processes: Vec<ProcessMetrics> = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_over = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => true,
            _ = ticks.tick() => false,
        };
        if let Some(text) = metrics::read(port).await {
            add(&mut processes, clock.now(), text);
        }
        if is_over {
            return processes;
        }
    }
}

fn add(processes: &mut Vec<ProcessMetrics>, at: u64, text: String) {
    let known = processes.len();
    match processes.last_mut() {
        Some(last) if started(&last.text) == started(&text) => {
            last.at = at;
            last.text = text;
        }
        _ if known < PROCESSES_MAX => processes.push(ProcessMetrics { first_at: at, at, text }),
        _ => {}
    }
}

fn started(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix(STARTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_of_each_process_is_kept() {
        let mut processes = Vec::new();
        for (at, started, rest) in [(1, 100, "a"), (2, 100, "b"), (3, 200, "c"), (4, 200, "d")] {
            add(&mut processes, at, format!("{STARTED}{started}\n{rest}"));
        }
        let kept: Vec<_> =
            processes.iter().map(|it| (it.first_at, it.at, it.text.lines().last().unwrap_or(""))).collect();
        assert_eq!(kept, [(1, 2, "b"), (3, 4, "d")]);
    }
}
