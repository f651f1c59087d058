//! Latencies of the phases of an attempt, and how late the generator was.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::{LatencyHistogram, LatencySummary};
use crate::observation::{Observation, Outcome};
use crate::plan::Nanos;

/// Recorder of phase latencies: one value of each phase that an attempt completed. Recorders of parts of a run merge.
///
/// What is the sum of two series is not recorded, but added up when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct PhaseRecorder {
    dial: LatencyHistogram,
    upgrade: LatencyHistogram,
    challenge: LatencyHistogram,
    verdict: LatencyHistogram,
    close: LatencyHistogram,
    /// Of refusals; a session's is its service time.
    total_refused: LatencyHistogram,
    service_session: LatencyHistogram,
    service_refused: LatencyHistogram,
    response_session: LatencyHistogram,
    response_refused: LatencyHistogram,
    unanswered: LatencyHistogram,
    lag: LatencyHistogram,
}

/// Latencies of a run by phase, in microseconds.
///
/// Service and response time are taken over the same attempts, the answered ones, so that the one can be held against
/// the other; attempts without an answer have a series of their own, because a refused TCP connection is fast and a
/// time-out is slow, and neither says how long an answer takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// Socket created -> TCP connected.
    pub dial: LatencySummary,
    /// TCP connected -> 101.
    pub upgrade: LatencySummary,
    /// 101 -> challenge received.
    pub challenge: LatencySummary,
    /// `connect` sent -> hello-ok or error frame received.
    pub verdict: LatencySummary,
    /// Error frame -> close (refusals only).
    pub close: LatencySummary,
    /// Attempt started -> last thing seen of it, the close of a refusal included (answered attempts).
    pub total: LatencySummary,
    /// Attempt started -> answered.
    pub service: LatencySummary,
    /// The same, sessions only.
    pub service_session: LatencySummary,
    /// The same, refusals only.
    pub service_refused: LatencySummary,
    /// Intended start -> answered: what a user waits, the generator's own lateness included.
    pub response: LatencySummary,
    /// The same, sessions only.
    pub response_session: LatencySummary,
    /// The same, refusals only.
    pub response_refused: LatencySummary,
    /// Intended start -> end of an attempt that got no answer; of one that timed out, at least the time it had.
    pub unanswered: LatencySummary,
}

impl Phases {
    /// The series of this name; `None` = no such name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LatencySummary> {
        Some(match name {
            "dial" => &self.dial,
            "upgrade" => &self.upgrade,
            "challenge" => &self.challenge,
            "verdict" => &self.verdict,
            "close" => &self.close,
            "total" => &self.total,
            "service" => &self.service,
            "service_session" => &self.service_session,
            "service_refused" => &self.service_refused,
            "response" => &self.response,
            "response_session" => &self.response_session,
            "response_refused" => &self.response_refused,
            "unanswered" => &self.unanswered,
            _ => return None,
        })
    }

    /// Samples of all series that were cut to an hour.
    #[must_use]
    pub const fn saturated(&self) -> u64 {
        self.dial.saturated
            + self.upgrade.saturated
            + self.challenge.saturated
            + self.verdict.saturated
            + self.close.saturated
            + self.total.saturated
            + self.service.saturated
            + self.response.saturated
            + self.unanswered.saturated
    }
}

impl PhaseRecorder {
    /// Records one attempt; `attempt_timeout` is the plan's.
    pub fn record(&mut self, attempt: &Observation, attempt_timeout: Duration) {
        let stamps = &attempt.stamps;
        let Some(started) = stamps.started else { return };
        self.lag.record(started.saturating_sub(attempt.intended));
        span(&mut self.dial, stamps.started, stamps.dialled);
        span(&mut self.upgrade, stamps.dialled, stamps.upgraded);
        span(&mut self.challenge, stamps.upgraded, stamps.challenged);
        span(&mut self.verdict, stamps.sent, stamps.answered);
        let Some((service, response)) = service_and_response(attempt) else {
            if let Some(end) = end_of_attempt(attempt, attempt_timeout) {
                self.unanswered.record(end.saturating_sub(attempt.intended.min(started)));
            }
            return;
        };
        match attempt.outcome {
            Outcome::Session(_) => {
                self.service_session.record(service);
                self.response_session.record(response);
            }
            _ => {
                span(&mut self.close, stamps.answered, stamps.ended);
                self.total_refused.record(stamps.last().unwrap_or(started).saturating_sub(started));
                self.service_refused.record(service);
                self.response_refused.record(response);
            }
        }
    }

    /// Adds what another recorder saw.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.series_mut().into_iter().zip(other.series()) {
            mine.merge(theirs);
        }
    }

    /// Figures of all phases.
    #[must_use]
    pub fn summary(&self) -> Phases {
        Phases {
            dial: self.dial.summary(),
            upgrade: self.upgrade.summary(),
            challenge: self.challenge.summary(),
            verdict: self.verdict.summary(),
            close: self.close.summary(),
            total: both(&self.service_session, &self.total_refused),
            service: both(&self.service_session, &self.service_refused),
            service_session: self.service_session.summary(),
            service_refused: self.service_refused.summary(),
            response: both(&self.response_session, &self.response_refused),
            response_session: self.response_session.summary(),
            response_refused: self.response_refused.summary(),
            unanswered: self.unanswered.summary(),
        }
    }

    /// Intended start -> real start of every attempt that was started: the generator's own lateness.
    #[must_use]
    pub fn lag(&self) -> LatencySummary {
        self.lag.summary()
    }

    /// Attempts that were started this long after their intended start, or longer.
    #[must_use]
    pub fn late(&self, after: Duration) -> u64 {
        self.lag.count_from(u64::try_from(after.as_micros()).unwrap_or(u64::MAX))
    }

    const fn series(&self) -> [&LatencyHistogram; 12] {
        [
            &self.dial,
            &self.upgrade,
            &self.challenge,
            &self.verdict,
            &self.close,
            &self.total_refused,
            &self.service_session,
            &self.service_refused,
            &self.response_session,
            &self.response_refused,
            &self.unanswered,
            &self.lag,
        ]
    }

    const fn series_mut(&mut self) -> [&mut LatencyHistogram; 12] {
        [
            &mut self.dial,
            &mut self.upgrade,
            &mut self.challenge,
            &mut self.verdict,
            &mut self.close,
            &mut self.total_refused,
            &mut self.service_session,
            &mut self.service_refused,
            &mut self.response_session,
            &mut self.response_refused,
            &mut self.unanswered,
            &mut self.lag,
        ]
    }
}

/// Service and response time of an answered attempt, nanoseconds; `None` if it was not answered or never started.
///
/// An attempt that starts before its intended time (a timer that fires early) counts from its start, so that response
/// time is never shorter than service time.
#[must_use]
pub fn service_and_response(attempt: &Observation) -> Option<(Nanos, Nanos)> {
    if !matches!(attempt.outcome, Outcome::Session(_) | Outcome::Refused(_)) {
        return None;
    }
    let (started, answered) = (attempt.stamps.started?, attempt.stamps.answered?);
    Some((answered.saturating_sub(started), answered.saturating_sub(started.min(attempt.intended))))
}

/// When an attempt was over: the last thing seen of it, and for one that timed out no earlier than its time was up.
#[must_use]
pub fn end_of_attempt(attempt: &Observation, attempt_timeout: Duration) -> Option<Nanos> {
    let last = attempt.stamps.last()?;
    let Outcome::TimedOut { .. } = attempt.outcome else { return Some(last) };
    let timeout = u64::try_from(attempt_timeout.as_nanos()).unwrap_or(u64::MAX);
    Some(last.max(attempt.stamps.started?.saturating_add(timeout)))
}

fn both(one: &LatencyHistogram, other: &LatencyHistogram) -> LatencySummary {
    let mut sum = one.clone();
    sum.merge(other);
    sum.summary()
}

fn span(series: &mut LatencyHistogram, from: Option<Nanos>, to: Option<Nanos>) {
    if let (Some(from), Some(to)) = (from, to) {
        series.record(to.saturating_sub(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Phase, Stamps};
    use crate::record::test_support::{MS, refusal, session};

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn attempt(outcome: Outcome, intended_us: u64, stamps_us: [u64; 7]) -> Observation {
        let stamp = |us: u64| (us > 0).then_some(us * 1_000);
        let [started, dialled, upgraded, challenged, sent, answered, ended] = stamps_us.map(stamp);
        Observation {
            client: 0,
            attempt: 0,
            ask: 0,
            step: None,
            intended: intended_us * 1_000,
            stamps: Stamps { started, dialled, upgraded, challenged, sent, answered, ended },
            presented_token: None,
            outcome,
        }
    }

    #[test]
    fn a_session_and_a_refusal_give_the_figures_of_their_stamps() {
        let mut recorder = PhaseRecorder::default();
        recorder.record(&attempt(session(), 100, [150, 160, 180, 210, 250, 350, 0]), TIMEOUT);
        recorder.record(
            &attempt(refusal("not-paired"), 1_000, [1_001, 1_003, 1_006, 1_010, 1_015, 1_021, 1_028]),
            TIMEOUT,
        );
        let phases = recorder.summary();
        let pair = |summary: LatencySummary| (summary.count, summary.p50, summary.max);
        assert_eq!(pair(phases.dial), (2, Some(2), Some(10)));
        assert_eq!(pair(phases.upgrade), (2, Some(3), Some(20)));
        assert_eq!(pair(phases.challenge), (2, Some(4), Some(30)));
        assert_eq!(pair(phases.verdict), (2, Some(6), Some(100)));
        assert_eq!(pair(phases.close), (1, Some(7), Some(7)));
        assert_eq!(pair(phases.total), (2, Some(27), Some(200)));
        assert_eq!(pair(phases.service), (2, Some(20), Some(200)));
        assert_eq!(pair(phases.service_session), (1, Some(200), Some(200)));
        assert_eq!(pair(phases.service_refused), (1, Some(20), Some(20)));
        assert_eq!(pair(phases.response), (2, Some(21), Some(250)));
        assert_eq!(pair(phases.response_session), (1, Some(250), Some(250)));
        assert_eq!(pair(phases.response_refused), (1, Some(21), Some(21)));
        assert_eq!(pair(phases.unanswered), (0, None, None));
        assert_eq!(pair(recorder.lag()), (2, Some(1), Some(50)));
    }

    #[test]
    fn a_time_out_counts_with_all_the_time_it_had() {
        let mut recorder = PhaseRecorder::default();
        let timed_out = Outcome::TimedOut { phase: Phase::Challenge };
        recorder.record(&attempt(timed_out, 500, [700, 800, 900, 0, 0, 0, 0]), TIMEOUT);
        let phases = recorder.summary();
        assert_eq!(phases.unanswered.max, Some(10_000_200));
        assert_eq!(phases.service.count, 0);
        assert_eq!((phases.dial.max, phases.upgrade.max, phases.challenge.count), (Some(100), Some(100), 0));
    }

    #[test]
    fn an_early_timer_never_makes_response_shorter_than_service() {
        let early = attempt(session(), 200, [190, 191, 192, 193, 194, 195, 0]);
        assert_eq!(service_and_response(&early), Some((5_000, 5_000)));
    }

    #[test]
    fn a_dropped_attempt_has_no_latency() {
        let mut recorder = PhaseRecorder::default();
        let dropped = Outcome::Dropped(crate::observation::DropReason::Ports);
        recorder.record(&attempt(dropped, MS, [0; 7]), TIMEOUT);
        assert_eq!(recorder.summary(), Phases::default());
        assert_eq!(recorder.lag().count, 0);
    }

    #[test]
    fn recorders_of_parts_merge_into_the_recorder_of_the_whole() {
        let attempts = [
            attempt(session(), 100, [150, 160, 180, 210, 250, 350, 0]),
            attempt(refusal("not-paired"), 1_000, [1_001, 1_003, 1_006, 1_010, 1_015, 1_021, 1_028]),
            attempt(Outcome::ConnectionRefused, 50, [60, 0, 0, 0, 0, 0, 70]),
        ];
        let mut whole = PhaseRecorder::default();
        let mut merged = PhaseRecorder::default();
        for one in &attempts {
            whole.record(one, TIMEOUT);
            let mut part = PhaseRecorder::default();
            part.record(one, TIMEOUT);
            merged.merge(&part);
        }
        assert_eq!(merged.summary(), whole.summary());
        assert_eq!(merged.lag(), whole.lag());
        assert_eq!(whole.summary().unanswered.max, Some(20));
    }

    #[test]
    fn every_series_is_found_by_its_name() {
        let value = serde_json::to_value(Phases::default()).expect("phases");
        for name in value.as_object().expect("an object").keys() {
            assert!(Phases::default().get(name).is_some(), "{name}");
        }
        assert!(Phases::default().get("handshake").is_none());
    }
}
