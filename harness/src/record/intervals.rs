//! The run second by second: counts for the timeline, and samples for the interval log.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::{MICROS_MAX, micros};
use super::phases::{end_of_attempt, service_and_response};
use super::waterfall::Link;
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

/// Recorder of the counts of every second from 0 to the last one in which something happened. Recorders of parts of a run
/// merge.
#[derive(Debug, Clone, Default)]
pub struct IntervalRecorder {
    rows: Vec<Interval>,
}

impl IntervalRecorder {
    /// Counts one attempt of a run that ended at `run_ended`, 0 if that is not known; `attempt_timeout` is the plan's.
    pub fn attempt(&mut self, attempt: &Observation, attempt_timeout: Duration, run_ended: Nanos) {
        if matches!(attempt.outcome, Outcome::Dropped(_)) {
            self.row(attempt.intended, |row| row.dropped += 1);
            return;
        }
        if let Some(started) = attempt.stamps.started {
            self.row(started, |row| row.started += 1);
        }
        match (&attempt.outcome, attempt.stamps.answered) {
            (Outcome::Session(_), Some(answered)) => return self.row(answered, |row| row.session += 1),
            (Outcome::Refused(_), Some(answered)) => return self.row(answered, |row| row.refused += 1),
            _ => {}
        }
        // The time-out of an attempt that the run's end cut short lies behind that end.
        let end = end_of_attempt(attempt, attempt_timeout);
        let end = end.map(|end| if run_ended > 0 { end.min(run_ended.max(last_seen(attempt))) } else { end });
        self.row(end.unwrap_or(attempt.intended), |row| match attempt.outcome {
            Outcome::Session(_) => row.session += 1,
            Outcome::Refused(_) => row.refused += 1,
            _ => row.no_answer += 1,
        });
    }

    /// Adds what another recorder counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(last) = other.rows.last() {
            self.reach(last.second);
        }
        for (mine, theirs) in self.rows.iter_mut().zip(&other.rows) {
            mine.started += theirs.started;
            mine.session += theirs.session;
            mine.refused += theirs.refused;
            mine.no_answer += theirs.no_answer;
            mine.dropped += theirs.dropped;
        }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Interval] {
        &self.rows
    }

    fn row(&mut self, at: Nanos, change: impl FnOnce(&mut Interval)) {
        let second = second_of(at);
        self.reach(second);
        if let Some(row) = self.rows.get_mut(second as usize) {
            change(row);
        }
    }

    fn reach(&mut self, second: u32) {
        while self.rows.len() <= second as usize {
            let next = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
            self.rows.push(Interval { second: next, ..Interval::default() });
        }
    }
}

fn last_seen(attempt: &Observation) -> Nanos {
    attempt.stamps.last().unwrap_or_default()
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
    /// Request -> hello-ok, of the approvals of this place ([`super::waterfall::Pairs`]), in the second of the session.
    Wait(u16),
    /// A link of the chain, of the approvals of this place, in the second in which it ended.
    Link(u16, Link),
}

impl Series {
    /// Series that every run has; the others follow, six a place.
    const FIXED: [Self; 4] = [Self::Response, Self::Service, Self::ApprovalToSession, Self::Lag];
    const A_PLACE: u64 = 1 + Link::ALL.len() as u64;

    /// Its number: where it stands in the log.
    fn number(self) -> u64 {
        let place =
            |slot: u16, within: u64| Self::FIXED.len() as u64 + u64::from(slot) * Self::A_PLACE + within;
        match self {
            Self::Response => 0,
            Self::Service => 1,
            Self::ApprovalToSession => 2,
            Self::Lag => 3,
            Self::Wait(slot) => place(slot, 0),
            Self::Link(slot, link) => place(slot, 1 + link as u64),
        }
    }

    fn of(number: u64) -> Option<Self> {
        let Some(beyond) = number.checked_sub(Self::FIXED.len() as u64) else {
            return Self::FIXED.get(usize::try_from(number).ok()?).copied();
        };
        let slot = u16::try_from(beyond / Self::A_PLACE).ok()?;
        match (beyond % Self::A_PLACE).checked_sub(1) {
            None => Some(Self::Wait(slot)),
            Some(link) => Some(Self::Link(slot, *Link::ALL.get(usize::try_from(link).ok()?)?)),
        }
    }
}

/// The samples of a run by second and series; what the interval log is written from. Samples of parts of a run merge.
///
/// What is kept is bounded by the run's seconds and not by its attempts: of each second and series the values that
/// occurred, at the log's precision, with how often. That is 8 bytes a value that is different within three digits, of
/// which there can be 23,552; a histogram for each second and series would always take 180 KB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntervalSamples {
    /// By second and series.
    groups: BTreeMap<u32, Vec<Count>>,
    /// Samples that are not in `groups` yet: sorting many at once is cheaper than finding the place of each.
    waiting: Vec<u64>,
    /// Names of operator and cohort of each place.
    places: Vec<(String, String)>,
}

/// How often values of one bucket occurred in one second and series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    bucket: u16,
    /// How often; there are fewer than 2^32 attempts in a second.
    pub(super) times: u32,
}

impl Count {
    /// Lowest value of the bucket, microseconds.
    pub(super) fn micros(self) -> u64 {
        let bucket = u64::from(self.bucket);
        match (bucket / HALF).checked_sub(1) {
            Some(shift @ 1..) => (bucket - shift * HALF) << shift,
            _ => bucket,
        }
    }
}

/// Half the sub-buckets of a histogram of three digits: below 2048 each value has its own bucket, above each power of two
/// has 1024.
const HALF: u64 = 1_024;

/// Bucket of a value of at most [`MICROS_MAX`]; the same for all values that a histogram of three digits does not tell
/// apart.
const fn bucket_of(micros: u64) -> u64 {
    let shift = (u64::BITS - (micros | 1).leading_zeros()).saturating_sub(HALF.ilog2() + 1) as u64;
    shift * HALF + (micros >> shift)
}

/// Samples that wait before they are sorted in: 2 MB.
const WAITING_MAX: usize = 1 << 18;
const BUCKET_BITS: u32 = 16;
const SERIES_BITS: u32 = 10;

impl IntervalSamples {
    /// No samples yet, of a run whose places have these names of operator and cohort.
    #[must_use]
    pub fn with_chains(places: Vec<(String, String)>) -> Self {
        Self { places, ..Self::default() }
    }

    /// Tag of a series in the log.
    #[must_use]
    pub fn tag(&self, series: Series) -> String {
        let place = |slot: u16, what: &str| match self.places.get(usize::from(slot)) {
            Some((operator, cohort)) => format!("wait.{operator}.{cohort}.{what}"),
            None => format!("wait.{slot}.{what}"),
        };
        match series {
            Series::Response => "response".to_owned(),
            Series::Service => "service".to_owned(),
            Series::ApprovalToSession => "approval_to_session".to_owned(),
            Series::Lag => "lag".to_owned(),
            Series::Wait(slot) => place(slot, "whole"),
            Series::Link(slot, link) => place(slot, link.name()),
        }
    }

    /// Adds the samples of an attempt.
    pub fn attempt(&mut self, attempt: &Observation) {
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

    /// Adds one sample.
    pub fn push(&mut self, series: Series, at: Nanos, value: Nanos) {
        let bucket = bucket_of(micros(value).min(MICROS_MAX));
        let group = u64::from(second_of(at)) << SERIES_BITS | series.number();
        self.waiting.push(group << BUCKET_BITS | bucket);
        if self.waiting.len() >= WAITING_MAX {
            self.settle();
        }
    }

    /// Adds the samples of another part of the run.
    pub fn merge(&mut self, mut other: Self) {
        other.settle();
        for (group, counts) in other.groups {
            merge_counts(self.groups.entry(group).or_default(), counts);
        }
    }

    /// Sorts in what waits. After this, `groups` has everything.
    pub fn settle(&mut self) {
        self.waiting.sort_unstable();
        for group in self.waiting.chunk_by(|a, b| a >> BUCKET_BITS == b >> BUCKET_BITS) {
            let Some(first) = group.first() else { continue };
            let counts = group
                .chunk_by(|a, b| a == b)
                .filter_map(|same| {
                    Some(Count {
                        bucket: u16::try_from(same.first()? & 0xFFFF).ok()?,
                        times: u32::try_from(same.len()).ok()?,
                    })
                })
                .collect();
            let group = u32::try_from(first >> BUCKET_BITS).unwrap_or(u32::MAX);
            merge_counts(self.groups.entry(group).or_default(), counts);
        }
        self.waiting.clear();
    }

    /// Values and counts of one second and series each, in the order of seconds and then of series.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u32, Series, &[Count])> {
        debug_assert!(self.waiting.is_empty(), "settled");
        self.groups.iter().filter_map(|(group, counts)| {
            let series = Series::of(u64::from(group & ((1 << SERIES_BITS) - 1)))?;
            Some((group >> SERIES_BITS, series, counts.as_slice()))
        })
    }
}

/// Adds counts to others; both are in the order of their buckets.
fn merge_counts(into: &mut Vec<Count>, more: Vec<Count>) {
    if into.is_empty() {
        *into = more;
        into.shrink_to_fit();
        return;
    }
    let mut merged: Vec<Count> = Vec::with_capacity(into.len() + more.len());
    let (mut mine, mut theirs) = (into.iter().peekable(), more.iter().peekable());
    loop {
        let next = match (mine.peek(), theirs.peek()) {
            (Some(a), Some(b)) if a.bucket <= b.bucket => mine.next(),
            (_, Some(_)) => theirs.next(),
            (_, None) => mine.next(),
        };
        let Some(next) = next else { break };
        match merged.last_mut().filter(|last| last.bucket == next.bucket) {
            Some(last) => last.times = last.times.saturating_add(next.times),
            None => merged.push(*next),
        }
    }
    merged.shrink_to_fit();
    *into = merged;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::{DropReason, Phase};
    use crate::record::histogram::empty_histogram;
    use crate::record::test_support::{Story, refusal, session};
    use crate::record::waterfall::PAIRS_MAX;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn rows(story: &Story) -> Vec<Interval> {
        let mut recorder = IntervalRecorder::default();
        for attempt in &story.history.attempts {
            recorder.attempt(attempt, TIMEOUT, story.history.ended);
        }
        recorder.rows
    }

    #[test]
    fn every_attempt_counts_in_its_second() {
        let mut story = Story::new(&[("phones", 6)]);
        story.attempt(0, 0).started(100).answered(900, session());
        story.attempt(1, 0).started(900).answered(1_100, refusal("not-paired"));
        story.attempt(2, 0).started(1_500).ended(1_600, Outcome::TimedOut { phase: Phase::Verdict });
        story.attempt(3, 0).started(1_999).ended(2_000, Outcome::ConnectionRefused);
        story.attempt(4, 0).dropped(3_100, DropReason::InFlightLimit);
        let rows = rows(&story);
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
        let rows = rows(&story);
        assert_eq!(rows.len(), SECONDS_MAX as usize);
        assert_eq!(rows.last().map(|row| (row.started, row.session)), Some((1, 1)));
        let mut samples = IntervalSamples::default();
        samples.attempt(&story.history.attempts[0]);
        samples.settle();
        assert_eq!(samples.groups().count(), 3);
    }

    #[test]
    fn a_value_stays_small() {
        assert_eq!(size_of::<Count>(), 8);
        assert!(bucket_of(MICROS_MAX) < 23_552);
        assert!(u64::from(SECONDS_MAX) << SERIES_BITS < u64::from(u32::MAX));
        let last = Series::Link(u16::try_from(PAIRS_MAX).expect("few"), Link::AttemptToSession).number();
        assert!(last < 1 << SERIES_BITS);
        let all: Vec<Series> = (0..=last).map(|number| Series::of(number).expect("a series")).collect();
        assert!(all.iter().enumerate().all(|(position, series)| position as u64 == series.number()));
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_the_histogram(one in 0_u64..=MICROS_MAX, bits in 0_u32..32) {
            let histogram = empty_histogram();
            for value in [one, one >> bits, (1 << bits) - 1] {
                let bucket = u16::try_from(bucket_of(value)).expect("16 bits");
                prop_assert_eq!(Count { bucket, times: 1 }.micros(), histogram.lowest_equivalent(value));
            }
        }

        #[test]
        fn samples_of_parts_merge_into_those_of_the_whole(
            values in prop::collection::vec((0_u64..3, 0_u64..3_000_000), 0..200), cut in any::<prop::sample::Index>()
        ) {
            let gather = |values: &[(u64, u64)]| {
                let mut samples = IntervalSamples::default();
                for (second, value) in values {
                    samples.push(Series::Lag, second * NANOS_A_SECOND, value * 1_000);
                }
                samples
            };
            let (left, right) = values.split_at(cut.index(values.len() + 1));
            let (mut whole, mut merged) = (gather(&values), gather(right));
            whole.settle();
            merged.merge(gather(left));
            merged.settle();
            prop_assert_eq!(merged.groups, whole.groups);
        }
    }
}
