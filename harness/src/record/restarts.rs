//! Restarts as timelines, and the windows of all faults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::{ByClient, session_answered};
use super::handshakes::{BEFORE, Handshakes, Slots};
use super::histogram::micros;
use super::store_times::StoreAround;
use crate::history::{EndedBy, Fault, History, OperationEnd, OperationKind, SessionEnd};
use crate::observation::Outcome;
use crate::plan::{ClientId, FaultKind, Nanos, StopSignal};

/// A fault and its window, microseconds since the run's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultWindow {
    /// Name in the scenario.
    pub name: String,
    /// `restart`, `reload` or `pause`.
    pub kind: String,
    /// When it began, µs.
    pub began: u64,
    /// When the gateway was itself again, µs; `null` = not before the run's end.
    pub ended: Option<u64>,
}

/// Timeline of one restart. All times but `at` are microseconds from the signal; `null` = not reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Restart {
    /// Name of the fault in the scenario.
    pub name: String,
    /// `SIGTERM` or `SIGKILL`.
    pub signal: String,
    /// When the signal was sent, µs since the run's start.
    pub at: u64,
    /// First dial that the port did not accept.
    pub port_closed: Option<u64>,
    /// The process was gone.
    pub exited: Option<u64>,
    /// The new process was started.
    pub spawned: Option<u64>,
    /// First dial that the port accepted again.
    pub port_open: Option<u64>,
    /// The new process had read its store: when it was started and the time that its own `/metrics` gives for reading. A gateway
    /// that does not say is taken to have read it when it is ready.
    #[serde(default)]
    pub store_loaded: Option<u64>,
    /// It was ready: it said so, or answered a handshake.
    #[serde(default)]
    pub ready: Option<u64>,
    /// First hello-ok of the new process, whoever got it.
    pub first_session: Option<u64>,
    /// Clients that held a session at the signal.
    pub population: u64,
    /// Of these, clients that left by themselves afterwards; nobody waits for them.
    pub left: u64,
    /// Of these, clients whose session the gateway ended.
    pub sessions_lost: u64,
    /// When shares of the population (without those that left) held a session again.
    pub back: Back,
    /// Clients of the population that held a session again.
    pub recovered: u64,
    /// Attempts that a recovered client made until it held a session again, the successful one included, on average.
    pub attempts_per_recovered_client: Option<f64>,
    /// Approvals that had been sent, but not answered, at the signal.
    pub approvals_in_flight: ApprovalsInFlight,
    /// Handshakes of all clients around it.
    #[serde(default)]
    pub handshakes: Handshakes,
    /// What the gateway said of its store; `null` = it says nothing, as a real one.
    #[serde(default)]
    pub store: Option<StoreAround>,
}

/// When shares of a population were back, microseconds from the signal; `null` = not before the run's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Back {
    /// Half.
    pub p50: Option<u64>,
    /// 90 %.
    pub p90: Option<u64>,
    /// 99 %.
    pub p99: Option<u64>,
    /// Everyone.
    pub all: Option<u64>,
}

/// What became of approvals that a signal caught in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalsInFlight {
    /// Acknowledged after the signal.
    pub acknowledged: u64,
    /// Refused after the signal.
    pub refused: u64,
    /// Never answered.
    pub unknown: u64,
}

/// Windows of all faults, in the order of the history.
#[must_use]
pub fn fault_windows(history: &History) -> Vec<FaultWindow> {
    let back = |name: &str| {
        let mut ends =
            history.faults.iter().filter(|fault| matches!(fault.kind, FaultKind::StoreBack { .. }));
        ends.find(|fault| fault.name == name).and_then(|fault| fault.ended)
    };
    history
        .faults
        .iter()
        .filter(|fault| !matches!(fault.kind, FaultKind::StoreBack { .. }))
        .map(|fault| FaultWindow {
            name: fault.name.clone(),
            kind: fault.kind.word().to_owned(),
            began: micros(fault.began),
            ended: match fault.kind {
                // What was done took a moment; it is over when it was undone.
                FaultKind::Store(damage) if !damage.forbids_writing() => back(&fault.name).map(micros),
                _ => fault.ended.map(micros),
            },
        })
        .collect()
}

/// What the faults and operations of a run tell of its restarts without its attempts. Every shard of a run holds all of
/// them.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    /// In the order of their signals.
    timelines: Vec<Timeline>,
}

#[derive(Debug, Clone)]
struct Timeline {
    began: Nanos,
    /// From when on a session can only be the new process's.
    new_from: Option<Nanos>,
    /// Everything but what clients did.
    restart: Restart,
}

impl Restarts {
    /// Looks at all faults and operations of a run.
    #[must_use]
    pub fn new(history: &History) -> Self {
        let mut faults: Vec<(&Fault, StopSignal)> = history
            .faults
            .iter()
            .filter_map(|fault| match fault.kind {
                FaultKind::Restart { signal, .. } => Some((fault, signal)),
                _ => None,
            })
            .collect();
        faults.sort_by_key(|(fault, _)| fault.began);
        let mut earlier = None;
        let mut timelines = Vec::with_capacity(faults.len());
        for (fault, signal) in faults {
            let began = fault.began;
            let stamps = fault.restart.unwrap_or_default();
            let since = |stamp: Option<Nanos>| stamp.map(|at| micros(at.saturating_sub(began)));
            timelines.push(Timeline {
                began,
                new_from: stamps.spawned.or(stamps.port_open),
                restart: Restart {
                    name: fault.name.clone(),
                    signal: signal.name().to_owned(),
                    at: micros(began),
                    port_closed: since(stamps.port_closed),
                    exited: since(stamps.exited),
                    spawned: since(stamps.spawned),
                    port_open: since(stamps.port_open),
                    ready: since(fault.ended),
                    approvals_in_flight: approvals_in_flight(history, earlier, began),
                    ..Restart::default()
                },
            });
            earlier = Some(began);
        }
        Self { timelines }
    }
}

/// Recorder of what clients did at each restart. Recorders of parts of a run merge, because a client is in one part only.
#[derive(Debug, Clone, Default)]
pub struct RestartRecorder {
    /// By position in [`Restarts`].
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    first_session: Option<Nanos>,
    population: u64,
    left: u64,
    sessions_lost: u64,
    /// When each recovered client was back, microseconds from the signal: 8 bytes a client that held a session.
    back: Vec<u64>,
    /// Attempts of all recovered clients.
    attempts: u64,
    handshakes: Slots,
}

/// A session of a client.
struct Session {
    client: ClientId,
    attempt: u32,
    opened: Nanos,
    /// Its first end, and whether it was the client's.
    ended: Option<(Nanos, bool)>,
}

impl RestartRecorder {
    /// Adds the clients of one part of a run.
    pub fn add(&mut self, history: &History, by_client: &ByClient<'_>, restarts: &Restarts) {
        if restarts.timelines.is_empty() {
            return;
        }
        self.seen.resize_with(restarts.timelines.len(), Seen::default);
        let sessions = sessions(history, by_client);
        for (seen, timeline) in self.seen.iter_mut().zip(&restarts.timelines) {
            seen.add(&sessions, by_client, timeline);
        }
        for attempt in &history.attempts {
            let next = restarts.timelines.partition_point(|timeline| timeline.began <= attempt.intended);
            let mut add = |position: usize| {
                if let (Some(seen), Some(timeline)) =
                    (self.seen.get_mut(position), restarts.timelines.get(position))
                {
                    seen.handshakes.add(attempt, timeline.began);
                }
            };
            if let Some(last) = next.checked_sub(1) {
                add(last);
            }
            // It may come after one restart and just before the next.
            let is_before = |timeline: &Timeline| timeline.began <= attempt.intended.saturating_add(BEFORE);
            if restarts.timelines.get(next).is_some_and(is_before) {
                add(next);
            }
        }
    }

    /// Adds what another recorder of the same run saw.
    pub fn merge(&mut self, other: Self) {
        if self.seen.len() < other.seen.len() {
            self.seen.resize_with(other.seen.len(), Seen::default);
        }
        for (mine, theirs) in self.seen.iter_mut().zip(other.seen) {
            mine.first_session = [mine.first_session, theirs.first_session].into_iter().flatten().min();
            mine.population += theirs.population;
            mine.left += theirs.left;
            mine.sessions_lost += theirs.sessions_lost;
            mine.back.extend(theirs.back);
            mine.attempts += theirs.attempts;
            mine.handshakes.merge(&theirs.handshakes);
        }
    }

    /// Timelines of all restarts, in the order of their signals.
    #[must_use]
    pub fn summary(&self, restarts: &Restarts) -> Vec<Restart> {
        let nobody = Seen::default();
        let seen = self.seen.iter().chain(std::iter::repeat(&nobody));
        restarts.timelines.iter().zip(seen).map(|(timeline, seen)| seen.restart(timeline)).collect()
    }
}

impl Seen {
    fn add(&mut self, sessions: &[Session], by_client: &ByClient<'_>, timeline: &Timeline) {
        let began = timeline.began;
        if let Some(new_from) = timeline.new_from {
            let first = sessions.iter().map(|session| session.opened).filter(|opened| *opened >= new_from);
            self.first_session = first.chain(self.first_session).min();
        }
        for sessions in sessions.chunk_by(|a, b| a.client == b.client) {
            let held = |session: &&Session| {
                session.opened <= began && session.ended.is_none_or(|(ended, _)| ended >= began)
            };
            let Some(held) = sessions.iter().rfind(held) else { continue };
            self.population += 1;
            match held.ended {
                Some((_, true)) => {
                    self.left += 1;
                    continue;
                }
                Some((_, false)) => self.sessions_lost += 1,
                None => {}
            }
            let later = |session: &&Session| session.attempt > held.attempt && session.opened > began;
            let Some(recovered) = sessions.iter().find(later) else { continue };
            self.back.push(micros(recovered.opened.saturating_sub(began)));
            let attempts = by_client
                .attempts_of(held.client)
                .filter(|a| a.attempt > held.attempt && a.attempt <= recovered.attempt)
                .filter(|a| !matches!(a.outcome, Outcome::Dropped(_)));
            self.attempts += attempts.count() as u64;
        }
    }

    fn restart(&self, timeline: &Timeline) -> Restart {
        let recovered = self.back.len() as u64;
        let awaited = self.population - self.left;
        let back = shares_back(self.back.clone(), awaited);
        let over = if awaited > 0 { back.all } else { timeline.restart.ready };
        Restart {
            first_session: self.first_session.map(|at| micros(at.saturating_sub(timeline.began))),
            population: self.population,
            left: self.left,
            sessions_lost: self.sessions_lost,
            back,
            handshakes: self.handshakes.windows(over),
            recovered,
            attempts_per_recovered_client: (recovered > 0).then(|| self.attempts as f64 / recovered as f64),
            ..timeline.restart.clone()
        }
    }
}

/// Sessions by client and attempt, each with its first end.
fn sessions(history: &History, by_client: &ByClient<'_>) -> Vec<Session> {
    let mut ends: Vec<&SessionEnd> = history.session_ends.iter().collect();
    ends.sort_by_key(|end| (end.client, end.attempt, end.at));
    let mut ends = ends.into_iter().peekable();
    let mut sessions: Vec<Session> = Vec::new();
    for attempt in by_client.attempts() {
        let Some(opened) = session_answered(attempt) else { continue };
        let key = (attempt.client, attempt.attempt);
        while ends.peek().is_some_and(|end| (end.client, end.attempt) < key) {
            ends.next();
        }
        let ended = ends
            .peek()
            .filter(|end| (end.client, end.attempt) == key)
            .map(|end| (end.at, matches!(end.by, EndedBy::Client)));
        sessions.push(Session { client: attempt.client, attempt: attempt.attempt, opened, ended });
    }
    sessions
}

/// `back` in microseconds.
fn shares_back(mut back: Vec<u64>, awaited: u64) -> Back {
    back.sort_unstable();
    let at_share = |percent: u64| {
        // The share is reached when at least that many, rounded up, are back.
        let needed = (awaited * percent).div_ceil(100);
        let position = usize::try_from(needed.checked_sub(1)?).ok()?;
        back.get(position).copied()
    };
    Back { p50: at_share(50), p90: at_share(90), p99: at_share(99), all: at_share(100) }
}

/// Approvals sent no later than the signal and not answered by then. One without an answer belongs to the first restart
/// after it was sent: `earlier` is the signal of the restart before.
fn approvals_in_flight(history: &History, earlier: Option<Nanos>, began: Nanos) -> ApprovalsInFlight {
    let mut in_flight = ApprovalsInFlight::default();
    for operation in &history.operations {
        if !matches!(operation.kind, OperationKind::Approve { .. }) || operation.invoked > began {
            continue;
        }
        match operation.end {
            OperationEnd::Done { at, .. } => in_flight.acknowledged += u64::from(at > began),
            OperationEnd::Refused { at, .. } => in_flight.refused += u64::from(at > began),
            OperationEnd::Unknown => {
                in_flight.unknown += u64::from(earlier.is_none_or(|earlier| operation.invoked > earlier));
            }
        }
    }
    in_flight
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::RestartStamps;
    use crate::record::test_support::{MS, Story, session};

    fn timelines(story: &Story) -> Vec<Restart> {
        story.result().restarts
    }

    /// Ten clients hold a session; the gateway is killed at 1 s and the new one is there at 1.2 s.
    fn herd() -> Story {
        let mut story = Story::new(&[("phones", 12)]);
        for client in 0..10 {
            story.attempt(client, 0).started(10).answered(20, session());
        }
        story.restart(
            1_000,
            RestartStamps {
                port_closed: Some(1_002 * MS),
                exited: Some(1_003 * MS),
                spawned: Some(1_103 * MS),
                port_open: Some(1_200 * MS),
            },
        );
        story
    }

    #[test]
    fn the_timeline_counts_from_the_signal() {
        let mut story = herd();
        for client in 0..10 {
            story.session_ended_by_gateway(client, 0, 1_001);
            story.attempt(client, 1).started(1_050).ended(1_051, Outcome::ConnectionRefused);
            story.attempt(client, 2).started(1_250).answered(1_300 + 100 * u64::from(client), session());
        }
        // A stranger to the population: it had no session before.
        story.attempt(11, 0).started(1_201).answered(1_210, session());
        let restart = timelines(&story).remove(0);
        assert_eq!(
            Restart { handshakes: Handshakes::default(), ..restart },
            Restart {
                name: "update".to_owned(),
                signal: "SIGKILL".to_owned(),
                at: 1_000_000,
                port_closed: Some(2_000),
                exited: Some(3_000),
                spawned: Some(103_000),
                port_open: Some(200_000),
                store_loaded: Some(200_000),
                ready: Some(200_000),
                first_session: Some(210_000),
                population: 10,
                left: 0,
                sessions_lost: 10,
                back: Back {
                    p50: Some(700_000),
                    p90: Some(1_100_000),
                    p99: Some(1_200_000),
                    all: Some(1_200_000)
                },
                recovered: 10,
                attempts_per_recovered_client: Some(2.0),
                approvals_in_flight: ApprovalsInFlight::default(),
                handshakes: Handshakes::default(),
                store: None,
            }
        );
    }

    #[test]
    fn who_never_comes_back_keeps_the_shares_open() {
        let mut story = herd();
        for client in 0..10 {
            story.session_ended_by_gateway(client, 0, 1_001);
            if client < 9 {
                story.attempt(client, 1).started(1_250).answered(1_300, session());
            }
        }
        let restart = timelines(&story).remove(0);
        assert_eq!(restart.back, Back { p50: Some(300_000), p90: Some(300_000), p99: None, all: None });
        assert_eq!((restart.recovered, restart.sessions_lost), (9, 10));
    }

    #[test]
    fn clients_that_had_left_or_leave_by_themselves_are_not_awaited() {
        let mut story = herd();
        story.session_left(0, 0, 500);
        story.session_left(1, 0, 1_001);
        for client in 2..10 {
            story.session_ended_by_gateway(client, 0, 1_001);
            story.attempt(client, 1).started(1_250).answered(1_300, session());
        }
        let restart = timelines(&story).remove(0);
        assert_eq!((restart.population, restart.left, restart.sessions_lost), (9, 1, 8));
        assert_eq!(restart.back.all, Some(300_000));
    }

    #[test]
    fn a_gateway_that_does_not_come_back_reaches_nothing() {
        let mut story = herd();
        story.history.faults[0].restart =
            Some(RestartStamps { port_closed: Some(1_002 * MS), ..RestartStamps::default() });
        let restart = timelines(&story).remove(0);
        assert_eq!(
            (restart.port_closed, restart.port_open, restart.first_session),
            (Some(2_000), None, None)
        );
        assert_eq!(restart.back, Back::default());
        assert_eq!(restart.attempts_per_recovered_client, None);
    }

    #[test]
    fn an_approval_in_flight_belongs_to_the_first_restart_after_it() {
        let mut story = herd();
        story.restart(5_000, RestartStamps::default());
        story.approve(0, 0, "answered before", 900, Some(950));
        story.approve(0, 1, "acknowledged late", 990, Some(1_001));
        story.approve(0, 2, "unknown", 990, None);
        story.operation_refused(0, 3, "refused late", 999, 1_002);
        story.approve(0, 4, "unknown at the second", 4_990, None);
        story.approve(0, 5, "after both", 6_000, None);
        let [first, second] = &timelines(&story)[..] else { panic!("two restarts") };
        assert_eq!(first.approvals_in_flight, ApprovalsInFlight { acknowledged: 1, refused: 1, unknown: 1 });
        assert_eq!(second.approvals_in_flight, ApprovalsInFlight { acknowledged: 0, refused: 0, unknown: 1 });
    }

    #[test]
    fn reloads_and_pauses_are_windows_and_no_restarts() {
        let mut story = Story::new(&[("phones", 1)]);
        story.fault("store", FaultKind::Reload, 10, Some(12));
        story.fault("freeze", FaultKind::Pause(Duration::from_secs(1)), 20, None);
        assert_eq!(timelines(&story), []);
        let windows: Vec<_> =
            fault_windows(&story.history).into_iter().map(|w| (w.name, w.kind, w.began, w.ended)).collect();
        assert_eq!(
            windows,
            [
                ("store".to_owned(), "reload".to_owned(), 10_000, Some(12_000)),
                ("freeze".to_owned(), "pause".to_owned(), 20_000, None)
            ]
        );
    }
}
