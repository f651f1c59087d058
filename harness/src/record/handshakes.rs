//! Handshakes before, during and after a restart, by their intended start.
//!
//! When everyone is back is known only when all parts of a run have been added. So answers are kept by slots of time from the
//! signal, each a few counts of values of two digits, and become windows at the end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::micros;
use crate::observation::{Observation, Outcome};
use crate::plan::Nanos;

/// How long before the signal handshakes are looked at, nanoseconds.
pub(super) const BEFORE: Nanos = 1_000_000_000;
/// Length of a slot: the resolution of where a window ends.
const SLOT: Nanos = 250_000_000;
/// Slots beyond count as the last one.
const SLOTS_MAX: u32 = 4_000;

/// Handshakes around a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handshakes {
    /// In the second before the signal.
    pub before: Window,
    /// From the signal until everyone was back, or, where nobody held a session, until the gateway was ready.
    pub during: Window,
    /// From then to the next signal, or to the run's end.
    pub after: Window,
}

/// Attempts of any client whose intended start lay in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Attempts that were answered.
    pub answered: u64,
    /// Attempts that were not: nobody listened, or the connection ended.
    pub unanswered: u64,
    /// Intended start to answer, median, µs, to two digits; `null` = nothing was answered.
    pub p50: Option<u64>,
    /// 99th percentile, µs, to two digits.
    pub p99: Option<u64>,
}

/// Values of two digits, and how often each was there.
#[derive(Debug, Clone, Default)]
struct Counts {
    values: BTreeMap<u64, u64>,
    unanswered: u64,
}

impl Counts {
    fn add(&mut self, attempt: &Observation) {
        match attempt.stamps.answered {
            Some(answered) => {
                let value = two_digits(micros(answered.saturating_sub(attempt.intended)));
                *self.values.entry(value).or_default() += 1;
            }
            None => self.unanswered += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        for (value, count) in &other.values {
            *self.values.entry(*value).or_default() += count;
        }
        self.unanswered += other.unanswered;
    }

    fn window(&self) -> Window {
        let answered: u64 = self.values.values().sum();
        let at = |percent: u64| {
            let mut needed = (answered * percent).div_ceil(100);
            self.values.iter().find_map(|(value, count)| {
                let reached = *count >= needed;
                needed = needed.saturating_sub(*count);
                reached.then_some(*value)
            })
        };
        let (p50, p99) = if answered == 0 { (None, None) } else { (at(50), at(99)) };
        Window { answered, unanswered: self.unanswered, p50, p99 }
    }
}

/// The value with its eight highest bits: less than 1 % below it.
const fn two_digits(value: u64) -> u64 {
    let bits = u64::BITS - value.leading_zeros();
    let cut = bits.saturating_sub(8);
    value >> cut << cut
}

/// Handshakes around one restart, slot by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    before: Counts,
    from_signal: BTreeMap<u32, Counts>,
}

impl Slots {
    /// Adds an attempt that was to start no earlier than [`BEFORE`] this signal and before the next one.
    pub(super) fn add(&mut self, attempt: &Observation, signal: Nanos) {
        if matches!(attempt.outcome, Outcome::Dropped(_)) {
            return;
        }
        match attempt.intended.checked_sub(signal) {
            None => self.before.add(attempt),
            Some(since) => self.from_signal.entry(slot(since)).or_default().add(attempt),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.before.merge(&other.before);
        for (slot, counts) in &other.from_signal {
            self.from_signal.entry(*slot).or_default().merge(counts);
        }
    }

    /// The windows, when the restart was over after so many microseconds; `None` = not before the next one or the run's end.
    pub(super) fn windows(&self, over: Option<u64>) -> Handshakes {
        let last = over.map(|over| slot(over.saturating_mul(1_000)));
        let (mut during, mut after) = (Counts::default(), Counts::default());
        for (slot, counts) in &self.from_signal {
            let is_after = last.is_some_and(|last| *slot > last);
            (if is_after { &mut after } else { &mut during }).merge(counts);
        }
        Handshakes { before: self.before.window(), during: during.window(), after: after.window() }
    }
}

fn slot(since: Nanos) -> u32 {
    u32::try_from(since / SLOT).unwrap_or(u32::MAX).min(SLOTS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::RestartStamps;
    use crate::record::test_support::{MS, Story, session};

    proptest! {
        #[test]
        fn two_digits_are_less_than_a_hundredth_below(value in 0_u64..u64::MAX / 2) {
            let kept = two_digits(value);
            prop_assert!(kept <= value && (value - kept) as f64 <= value as f64 / 128.0);
        }
    }

    #[test]
    fn windows_go_by_intended_start_and_end_when_everyone_is_back() {
        let mut story = Story::new(&[("phones", 9)]);
        // Of the population; comes back 1.3 s after the signal at 2 s.
        story.attempt(0, 0).started(10).answered(20, session());
        story.session_ended_by_gateway(0, 0, 2_001);
        story.attempt(0, 1).intended(3_200).started(3_200).answered(3_300, session());
        story.session_left(0, 1, 9_000);
        let stamps = RestartStamps { spawned: Some(2_010 * MS), ..RestartStamps::default() };
        story.restart(2_000, stamps);
        // Too early to be looked at; before; during, once without an answer; after, however late it starts.
        story.attempt(1, 0).intended(900).started(900).answered(990, session());
        story.attempt(2, 0).intended(1_500).started(1_500).answered(1_512, session());
        story.attempt(3, 0).intended(2_100).started(2_900).answered(2_900, session());
        story.attempt(4, 0).intended(2_200).started(2_200).ended(2_201, Outcome::ConnectionRefused);
        story.attempt(5, 0).intended(3_600).started(3_600).answered(3_632, session());
        for client in 1..6 {
            story.session_left(client, 0, 5_000);
        }
        for client in [1, 2] {
            story.history.session_ends.retain(|end| end.client != client);
            story.session_left(client, 0, 1_600);
        }
        let restart = story.result().restarts.remove(0);
        assert_eq!(restart.back.all, Some(1_300_000));
        let window = |answered, unanswered, p50, p99| Window { answered, unanswered, p50, p99 };
        assert_eq!(
            restart.handshakes,
            Handshakes {
                before: window(1, 0, Some(two_digits(12_000)), Some(two_digits(12_000))),
                during: window(2, 1, Some(two_digits(100_000)), Some(two_digits(800_000))),
                after: window(1, 0, Some(two_digits(32_000)), Some(two_digits(32_000))),
            }
        );
    }
}
