//! When faults excuse an attempt that got no answer.

use super::{Clocks, MILLISECOND};
use crate::history::Fault;
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{FaultKind, Nanos};

/// Before a fault: stamps of two threads are compared.
const SLACK_BEFORE: Nanos = 50 * MILLISECOND;
/// After it: the port is open again, but the backlog of what piled up is still being served.
const SLACK_AFTER: Nanos = 500 * MILLISECOND;
/// How long a gateway may work on what a connection left behind when it ended: a commit that was under way.
pub(super) const AFTERMATH: Nanos = 5_000 * MILLISECOND;

/// `error.code` of a gateway that cannot do what it would.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// Faults as spans of time.
#[derive(Debug)]
pub(super) struct Windows {
    restarts: Vec<(Nanos, Nanos)>,
    pauses: Vec<(Nanos, Nanos)>,
    /// When nothing could be written to the store.
    unwritable: Vec<(Nanos, Nanos)>,
    /// When a process was seen to be gone, sorted.
    exits: Vec<Nanos>,
    /// From when a process may have been started until it was seen to be ready.
    starts: Vec<(Nanos, Nanos)>,
    clocks: Clocks,
}

impl Windows {
    pub(super) fn new(faults: &[Fault], clocks: Clocks) -> Self {
        let mut windows = Self {
            restarts: Vec::new(),
            pauses: Vec::new(),
            unwritable: Vec::new(),
            exits: Vec::new(),
            starts: Vec::new(),
            clocks,
        };
        for fault in faults {
            let window = (
                fault.began.saturating_sub(SLACK_BEFORE),
                fault.ended.map_or(Nanos::MAX, |ended| ended.saturating_add(SLACK_AFTER)),
            );
            match fault.kind {
                FaultKind::Restart { .. } => {
                    windows.restarts.push(window);
                    windows.exits.extend(fault.restart.and_then(|stamps| stamps.exited));
                    // On a busy machine a process may have answered before the harness notes that it was started, but never
                    // before the one before it was gone. Its restart ends when it is seen to be ready.
                    let exited = fault.restart.and_then(|stamps| stamps.exited).unwrap_or(fault.began);
                    windows.starts.push((exited, window.1));
                }
                FaultKind::Pause(_) | FaultKind::Stall { .. } => windows.pauses.push(window),
                // A gateway that gets too little is slow for as long as it has to make up for it, and TCP tries again later and
                // later what was lost.
                FaultKind::Cpu { .. }
                | FaultKind::Memory { .. }
                | FaultKind::Network { .. }
                | FaultKind::Partition => {
                    let length = fault.ended.map_or(0, |ended| ended.saturating_sub(fault.began));
                    windows.pauses.push((window.0, window.1.saturating_add(length)));
                }
                FaultKind::Store(damage) if damage.forbids_writing() => windows.unwritable.push(window),
                // No reason to leave anybody without an answer.
                _ => {}
            }
        }
        windows.exits.sort_unstable();
        windows
    }

    /// When a process was seen to be gone, sorted.
    pub(super) fn exits(&self) -> &[Nanos] {
        &self.exits
    }

    /// Whether the attempt came so soon after a start that the gateway may not have been ready.
    pub(super) fn starting(&self, observation: &Observation) -> bool {
        self.interval(observation).is_some_and(|(from, until)| {
            self.starts.iter().any(|(start, ready)| from <= *ready && *start <= until)
        })
    }

    /// Whether the attempt was refused because the gateway could not write, while it could not.
    pub(super) fn store_failed(&self, observation: &Observation) -> bool {
        let Outcome::Refused(refusal) = &observation.outcome else { return false };
        refusal.code == UNAVAILABLE
            && self.interval(observation).is_some_and(|(from, until)| overlaps(&self.unwritable, from, until))
    }

    /// Whether nothing could be written at some time between the two.
    pub(super) fn unwritable(&self, from: Nanos, until: Nanos) -> bool {
        overlaps(&self.unwritable, from, until)
    }

    /// Whether a restart was under way at some time between the two.
    pub(super) fn restarting(&self, from: Nanos, until: Nanos) -> bool {
        overlaps(&self.restarts, from, until)
    }

    /// Whether the gateway was restarted, or stood still, at some time between the two.
    pub(super) fn disturbed(&self, from: Nanos, until: Nanos) -> bool {
        self.restarting(from, until)
            || self.pauses.iter().any(|(began, ended)| *began <= until && from <= *ended)
    }

    /// Whether the attempt met a restart; then its close may be missing too.
    pub(super) fn restarted_during(&self, observation: &Observation) -> bool {
        self.interval(observation).is_some_and(|(from, until)| self.restarting(from, until))
    }

    /// Whether the attempt got no answer, and a fault is the reason.
    pub(super) fn excuse(&self, observation: &Observation) -> bool {
        let Some((from, until)) = self.interval(observation) else { return false };
        let restart = || overlaps(&self.restarts, from, until);
        let pause = || overlaps(&self.pauses, from, until);
        match &observation.outcome {
            Outcome::TimedOut { .. } => restart() || pause(),
            Outcome::ConnectionRefused | Outcome::Unreachable { .. } => restart(),
            Outcome::UpgradeRefused { status, .. } => *status == 503 && restart(),
            Outcome::Closed(closed) => match &closed.close {
                CloseSeen::Abrupt => restart(),
                CloseSeen::Frame { code: 1006 | 1012, .. } => restart(),
                // The gateway's handshake timer goes on while the process is stopped.
                CloseSeen::Frame { code: 1000, reason } if reason.is_empty() => {
                    pause() && self.outlasted_handshake(observation)
                }
                CloseSeen::Frame { .. } => false,
            },
            Outcome::Session(_) | Outcome::Refused(_) | Outcome::NotAGateway { .. } | Outcome::Dropped(_) => {
                false
            }
        }
    }

    /// Whether the attempt lasted as long as a gateway waits for an accepted connect. Counted from the start of the
    /// attempt, which is before the gateway's timer; one percent and 5 ms for its granularity.
    pub(super) fn outlasted_handshake(&self, observation: &Observation) -> bool {
        let limit = self.clocks.handshake;
        self.interval(observation).is_some_and(|(from, until)| {
            until.saturating_sub(from) >= limit.saturating_sub(limit / 100 + 5 * MILLISECOND)
        })
    }

    /// Whether the client itself let (nearly) all of the gateway's handshake time pass before it sent its connect.
    pub(super) fn client_was_late(&self, observation: &Observation) -> bool {
        let stamps = observation.stamps;
        let limit = self.clocks.handshake;
        match (stamps.started, stamps.sent) {
            (Some(started), Some(sent)) => sent.saturating_sub(started) >= limit - limit / 10,
            // The challenge came, the connect was never sent: the generator did not get to it.
            (Some(_), None) => stamps.challenged.is_some(),
            (None, _) => false,
        }
    }

    /// Until when a connect or an operation without answer may still take effect, if it began at `from` and its client
    /// gave up at `until` (`None`: nobody knows when).
    ///
    /// Not after the process that read it was gone: whatever was sent before that moment went to that process. Without
    /// an exit a gateway may still finish what it had begun, and one that was stopped may begin only when it goes on.
    pub(super) fn effect_until(&self, from: Nanos, until: Option<Nanos>, run_ended: Nanos) -> Nanos {
        let open = match until {
            None => run_ended.max(from),
            Some(until) => {
                let pauses = self.pauses.iter().filter(|pause| pause.0 <= until && from <= pause.1);
                until.max(pauses.map(|pause| pause.1).max().unwrap_or(0)).saturating_add(AFTERMATH)
            }
        };
        let exit = self.exits.partition_point(|exit| *exit < from);
        self.exits.get(exit).map_or(open, |exit| open.min(*exit))
    }

    fn interval(&self, observation: &Observation) -> Option<(Nanos, Nanos)> {
        let started = observation.stamps.started?;
        let last = observation.stamps.last().unwrap_or(started);
        let until = match observation.outcome {
            // Nothing stamps the moment at which the client stopped waiting.
            Outcome::TimedOut { .. } => last.max(started.saturating_add(self.clocks.attempt)),
            _ => last,
        };
        Some((started, until))
    }

    /// When the client of an attempt without answer had stopped waiting.
    pub(super) fn gave_up(&self, observation: &Observation) -> Option<Nanos> {
        self.interval(observation).map(|(_, until)| until)
    }
}

fn overlaps(windows: &[(Nanos, Nanos)], from: Nanos, until: Nanos) -> bool {
    windows.iter().any(|(began, ended)| *began <= until && from <= *ended)
}

/// When the store was read, at the earliest and the latest; the latest is `None` if nobody saw the gateway again.
pub(super) fn load_span(fault: &Fault) -> Option<(Nanos, Option<Nanos>)> {
    match fault.kind {
        FaultKind::Restart { .. } => {
            let exited = fault.restart.and_then(|stamps| stamps.exited);
            Some((exited.unwrap_or(fault.began).max(fault.began), fault.ended))
        }
        // Nothing acknowledges SIGHUP.
        FaultKind::Reload => {
            let generous = fault.began.saturating_add(AFTERMATH);
            Some((fault.began, Some(fault.ended.map_or(generous, |ended| ended.max(generous)))))
        }
        _ => None,
    }
}
