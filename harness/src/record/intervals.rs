//! The run second by second: counts for the timeline, and samples for the interval log.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approvals::chains;
use super::by_client::ByClient;
use super::histogram::{MICROS_MAX, micros};
use super::phases::{end_of_attempt, service_and_response};
use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::plan::Nanos;

/// Seconds that have a row of their own: a day. What happens later counts in the last row.
pub const SECONDS_MAX: u32 = 86_400;
const NANOS_A_SECOND: Nanos = 1_000_000_000;

/// What happened in one second of the run. Every attempt counts once as `started` or `dropped`, in the second of its
/// start, and once by its end, in the second of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Whole seconds since the run's start.
    pub second: u32,
    /// Attempts started.
    pub started: u64,
    /// Sessions opened.
    pub session: u64,
    /// Attempts refused.
    pub refused: u64,
    /// Attempts that ended without an answer.
    pub no_answer: u64,
    /// Attempts that could not be started, by their intended second.
    pub dropped: u64,
}

/// Counts of every second from 0 to the last one in which something happened.
#[must_use]
pub fn intervals(history: &History, attempt_timeout: Duration) -> Vec<Interval> {
    let mut rows = Vec::new();
    for attempt in &history.attempts {
        if matches!(attempt.outcome, Outcome::Dropped(_)) {
            with_row(&mut rows, attempt.intended, |row| row.dropped += 1);
            continue;
        }
        if let Some(started) = attempt.stamps.started {
            with_row(&mut rows, started, |row| row.started += 1);
        }
        // The time-out of an attempt that the run's end cut short lies behind that end.
        let end = end_of_attempt(attempt, attempt_timeout);
        let end = end
            .map(|end| if history.ended > 0 { end.min(history.ended.max(last_seen(attempt))) } else { end });
        let answered = attempt.stamps.answered.or(end).unwrap_or(attempt.intended);
        match attempt.outcome {
            Outcome::Session(_) => with_row(&mut rows, answered, |row| row.session += 1),
            Outcome::Refused(_) => with_row(&mut rows, answered, |row| row.refused += 1),
            _ => with_row(&mut rows, end.unwrap_or(attempt.intended), |row| row.no_answer += 1),
        }
    }
    rows
}

fn last_seen(attempt: &Observation) -> Nanos {
    attempt.stamps.last().unwrap_or_default()
}

fn with_row(rows: &mut Vec<Interval>, at: Nanos, change: impl FnOnce(&mut Interval)) {
    let second = second_of(at);
    while rows.len() <= second as usize {
        let next = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        rows.push(Interval { second: next, ..Interval::default() });
    }
    if let Some(row) = rows.get_mut(second as usize) {
        change(row);
    }
}

fn second_of(at: Nanos) -> u32 {
    u32::try_from(at / NANOS_A_SECOND).unwrap_or(u32::MAX).min(SECONDS_MAX - 1)
}

/// A series of the interval log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Series {
    /// Intended start -> answered, in the second of the answer.
    Response,
    /// Started -> answered, in the second of the answer.
    Service,
    /// Approval sent -> hello-ok, in the second of the session.
    ApprovalToSession,
    /// Intended -> real start, in the second of the start.
    Lag,
}

impl Series {
    /// All series.
    pub const ALL: [Self; 4] = [Self::Response, Self::Service, Self::ApprovalToSession, Self::Lag];

    /// Tag in the log.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::ApprovalToSession => "approval_to_session",
            Self::Lag => "lag",
        }
    }
}

/// One sample: 12 bytes, because a run has millions. A histogram for each second and series would take 180 KB each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sample {
    pub(super) second: u32,
    pub(super) series: Series,
    /// Whole microseconds, at most [`MICROS_MAX`], which fits.
    pub(super) micros: u32,
}

/// The samples of a run by second and series; what the interval log is written from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntervalSamples {
    samples: Vec<Sample>,
}

impl IntervalSamples {
    /// Gathers the samples of a run.
    #[must_use]
    pub fn gather(history: &History) -> Self {
        let chains = chains(history, &ByClient::new(history));
        let mut samples = Self { samples: Vec::with_capacity(history.attempts.len() * 3 + chains.len()) };
        for attempt in &history.attempts {
            samples.attempt(attempt);
        }
        for chain in &chains {
            if let (Some(session), Some(value)) = (chain.session, chain.approval_to_session()) {
                samples.push(Series::ApprovalToSession, session, value);
            }
        }
        samples.samples.sort_unstable();
        samples
    }

    /// Number of samples.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Samples of one second and series each, in the order of seconds and then of series.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[Sample]> {
        self.samples.chunk_by(|a, b| (a.second, a.series) == (b.second, b.series))
    }

    fn attempt(&mut self, attempt: &Observation) {
        if let Some(started) = attempt.stamps.started {
            self.push(Series::Lag, started, started.saturating_sub(attempt.intended));
        }
        if let (Some((service, response)), Some(answered)) =
            (service_and_response(attempt), attempt.stamps.answered)
        {
            self.push(Series::Service, answered, service);
            self.push(Series::Response, answered, response);
        }
    }

    fn push(&mut self, series: Series, at: Nanos, value: Nanos) {
        let value = micros(value).min(MICROS_MAX);
        self.samples.push(Sample {
            second: second_of(at),
            series,
            micros: u32::try_from(value).unwrap_or(u32::MAX),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{DropReason, Phase};
    use crate::record::test_support::{Story, refusal, session};

    const TIMEOUT: Duration = Duration::from_secs(2);

    #[test]
    fn every_attempt_counts_in_its_second() {
        let mut story = Story::new(&[("phones", 6)]);
        story.attempt(0, 0).started(100).answered(900, session());
        story.attempt(1, 0).started(900).answered(1_100, refusal("not-paired"));
        story.attempt(2, 0).started(1_500).ended(1_600, Outcome::TimedOut { phase: Phase::Verdict });
        story.attempt(3, 0).started(1_999).ended(2_000, Outcome::ConnectionRefused);
        story.attempt(4, 0).dropped(3_100, DropReason::InFlightLimit);
        let rows = intervals(&story.history, TIMEOUT);
        let row = |second, started, session, refused, no_answer, dropped| Interval {
            second,
            started,
            session,
            refused,
            no_answer,
            dropped,
        };
        assert_eq!(
            rows,
            [row(0, 2, 1, 0, 0, 0), row(1, 2, 0, 1, 0, 0), row(2, 0, 0, 0, 1, 0), row(3, 0, 0, 0, 1, 1)]
        );
    }

    #[test]
    fn the_end_of_time_has_no_row_of_its_own() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started_ns(u64::MAX - 5).answered_ns(u64::MAX, session());
        let rows = intervals(&story.history, TIMEOUT);
        assert_eq!(rows.len(), SECONDS_MAX as usize);
        assert_eq!(rows.last().map(|row| (row.started, row.session)), Some((1, 1)));
        assert_eq!(IntervalSamples::gather(&story.history).len(), 3);
    }

    #[test]
    fn a_sample_stays_small() {
        assert_eq!(size_of::<Sample>(), 12);
        assert!(u32::try_from(MICROS_MAX).is_ok());
    }
}
