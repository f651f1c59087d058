//! One counter of failed credentials, as far as answers show what became of it.

use std::collections::VecDeque;

use super::counted::Effect;
use super::{Lock, Of};
use crate::oracle::MILLISECOND;
use crate::oracle::lockouts::RateLimit;
use crate::plan::Nanos;

/// How far the counters of gateway and harness may differ.
const TOLERANCE: Nanos = 200 * MILLISECOND;

/// From when until when something was under way.
pub(super) type Span = (Nanos, Nanos);

/// What locks, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// So many failures...
    most: usize,
    /// ... within so long...
    window: Nanos,
    /// ... lock for so long.
    lockout: Nanos,
    /// The same two, if the gateway scales its durations.
    scaled: (Nanos, Nanos),
}

impl Limit {
    pub(super) fn new(limit: RateLimit, scale: f64) -> Self {
        // The cast saturates: a senseless scale makes senseless verdicts, never a panic.
        let scaled = |ms: u64| (ms as f64 * 1e6 * scale.clamp(0.0, 1.0)) as Nanos;
        let exact = |ms: u64| ms.saturating_mul(MILLISECOND);
        Self {
            most: usize::try_from(limit.failures.max(1)).unwrap_or(usize::MAX),
            window: exact(limit.window_ms),
            lockout: exact(limit.lockout_ms),
            scaled: (scaled(limit.window_ms), scaled(limit.lockout_ms)),
        }
    }
}

/// A lock-out that there may have been.
#[derive(Debug, Clone, Copy)]
struct Possible {
    span: Span,
    /// Whose failure may have begun it: a gateway that counts one answers it first.
    by: Of,
    /// From when another one's may have.
    again: Option<Nanos>,
}

/// A counter. Attempts are to be noted in the order in which they were sent.
///
/// A lock-out ends with all that led to it forgotten, so that failures make a sure one only together with others of which it
/// is sure that they were counted since.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The latest failures that may have been counted and not forgotten; no more than lock.
    possible: VecDeque<Span>,
    /// Those of which it is sure; no more than lock.
    sure: VecDeque<Span>,
    /// Until when something may have made the counter begin again.
    reset_until: Option<Nanos>,
    /// Lock-outs that there may have been, apart from each other and in order.
    maybe: Vec<Possible>,
    /// Those that there were, and the failures that led to each.
    locked: Vec<(Span, VecDeque<Span>)>,
}

impl Book {
    /// How sure it is that an attempt came to a lock-out, which was judged between the two.
    pub(super) fn lock(&self, of: Of, (from, until): Span) -> Lock {
        let before = self.locked.partition_point(|(span, _)| span.0 < from);
        let is_sure = before.checked_sub(1).and_then(|last| self.locked.get(last));
        if is_sure.is_some_and(|(span, _)| until.saturating_add(TOLERANCE) < span.1) {
            return Lock::Locked;
        }
        let begun = self.maybe.partition_point(|possible| possible.span.0 <= until);
        let last = begun.checked_sub(1).and_then(|last| self.maybe.get(last));
        let may = last.is_some_and(|possible| {
            let begun_by_another = possible.by != of || possible.again.is_some_and(|again| again <= until);
            from <= possible.span.1 && begun_by_another
        });
        if may { Lock::Either } else { Lock::Open }
    }

    /// A process was gone, and with it all that it had counted.
    pub(super) fn restart(&mut self, exit: Nanos) {
        self.possible.clear();
        self.sure.clear();
        self.reset_until = None;
        if let Some(last) = self.maybe.last_mut() {
            last.span.1 = last.span.1.min(exit);
        }
        if let Some((span, _)) = self.locked.last_mut() {
            span.1 = span.1.min(exit);
        }
    }

    /// Notes what an attempt did that was judged between the two.
    pub(super) fn note(&mut self, effect: Effect, of: Of, span: Span, limit: Limit) {
        match effect {
            Effect::Nothing => {}
            Effect::Failed { sure } => self.failed(of, span, sure, limit),
            Effect::Reset { sure } => self.reset(span, sure),
            Effect::Either => {
                self.failed(of, span, false, limit);
                self.reset(span, false);
            }
        }
    }

    fn reset(&mut self, (from, until): Span, sure: bool) {
        // One that was judged before the lock-out began may have ended it.
        while let Some((_, failures)) = self.locked.pop_if(|(span, _)| span.0 >= from) {
            self.possible = failures;
        }
        if sure {
            self.possible.retain(|failure| failure.1 >= from);
        }
        self.sure.clear();
        self.reset_until = self.reset_until.max(Some(until));
    }

    fn failed(&mut self, of: Of, failure: Span, sure: bool, limit: Limit) {
        // What is judged while it locks is not counted.
        if self.locked.last().is_some_and(|(span, _)| failure.0 < span.1) {
            return;
        }
        push(&mut self.possible, failure, limit.most);
        if sure && self.reset_until.is_none_or(|reset| reset < failure.0) {
            push(&mut self.sure, failure, limit.most);
        }
        let until = |failures: &VecDeque<Span>| failures.iter().map(|failure| failure.1).max();
        let first = |failures: &VecDeque<Span>| failures.front().copied().unwrap_or(failure);
        if self.possible.len() >= limit.most
            && failure.0.saturating_sub(first(&self.possible).1) <= limit.window.saturating_add(TOLERANCE)
        {
            let last = until(&self.possible).unwrap_or(failure.1);
            let end = last.saturating_add(limit.lockout).saturating_add(TOLERANCE);
            match self.maybe.last_mut().filter(|before| failure.0 <= before.span.1) {
                Some(before) => {
                    before.span.1 = before.span.1.max(end);
                    before.again.get_or_insert(failure.0);
                }
                None => self.maybe.push(Possible { span: (failure.0, end), by: of, again: None }),
            }
            let last = until(&self.sure).unwrap_or(failure.1);
            let took = last.saturating_sub(first(&self.sure).0).saturating_add(TOLERANCE);
            if self.sure.len() >= limit.most && took <= limit.scaled.0 {
                let span = (last, failure.0.saturating_add(limit.scaled.1));
                self.locked.push((span, std::mem::take(&mut self.sure)));
                self.possible.clear();
            }
            // If it did lock, none of them counts towards the next lock-out.
            self.sure.clear();
        }
    }
}

/// Adds a failure to the latest `most`.
fn push(failures: &mut VecDeque<Span>, failure: Span, most: usize) {
    if failures.len() >= most {
        failures.pop_front();
    }
    failures.push_back(failure);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Of = (0, 0);
    const OTHER: Of = (1, 0);

    const FAILED: Effect = Effect::Failed { sure: true };

    fn limit() -> Limit {
        let limit = RateLimit { failures: 3, window_ms: 60_000, lockout_ms: 4_000, exempt_loopback: true };
        Limit::new(limit, 1.0)
    }

    fn span(at: u64) -> Span {
        (at * MILLISECOND, (at + 10) * MILLISECOND)
    }

    fn book(effects: &[(u64, Effect)]) -> Book {
        let mut book = Book::default();
        for (at, effect) in effects {
            book.note(*effect, ONE, span(*at), limit());
        }
        book
    }

    const THREE: [(u64, Effect); 3] = [(100, FAILED), (200, FAILED), (300, FAILED)];

    #[test]
    fn what_comes_after_the_third_failure_is_locked_out_until_the_time_is_over() {
        // Transcript 2026.2.19/f01-rate-limit-configured.
        let book = book(&THREE);
        let seen = [50, 305, 400, 4_200, 4_350, 5_000].map(|at| book.lock(OTHER, span(at)));
        assert_eq!(seen, [Lock::Open, Lock::Either, Lock::Locked, Lock::Either, Lock::Either, Lock::Open]);
    }

    #[test]
    fn failures_that_locked_do_not_lock_again() {
        let mut book = book(&THREE);
        for at in [5_000, 5_100] {
            book.note(FAILED, ONE, span(at), limit());
        }
        assert_eq!(book.lock(OTHER, span(5_200)), Lock::Open);
        book.note(FAILED, ONE, span(5_200), limit());
        assert_eq!(book.lock(OTHER, span(5_300)), Lock::Locked);
    }

    #[test]
    fn what_may_not_have_been_counted_locks_nobody_for_sure() {
        let doubted = Effect::Failed { sure: false };
        for effects in [
            [(100, FAILED), (200, doubted), (300, FAILED)],
            [(100, FAILED), (205, FAILED), (300, Effect::Either)],
        ] {
            let mut book = book(&effects);
            assert_eq!(book.lock(OTHER, span(400)), Lock::Either, "{effects:?}");
            // If the three did not lock, this is the third sure one; if they did, it is the first.
            book.note(FAILED, ONE, span(4_800), limit());
            assert_eq!(book.lock(OTHER, span(5_000)), Lock::Either, "{effects:?}");
        }
    }

    #[test]
    fn a_success_and_a_restart_forgive() {
        let reset = Effect::Reset { sure: true };
        let two = [(100, FAILED), (200, FAILED)];
        let mut forgiven = book(&two);
        forgiven.note(reset, ONE, span(250), limit());
        forgiven.note(FAILED, ONE, span(300), limit());
        assert_eq!(forgiven.lock(OTHER, span(400)), Lock::Open);
        let mut in_doubt = book(&two);
        in_doubt.note(Effect::Reset { sure: false }, ONE, span(250), limit());
        in_doubt.note(FAILED, ONE, span(300), limit());
        assert_eq!(in_doubt.lock(OTHER, span(400)), Lock::Either);
        let mut restarted = book(&THREE);
        restarted.restart(450 * MILLISECOND);
        assert_eq!(restarted.lock(OTHER, span(460)), Lock::Open);
        restarted.note(FAILED, ONE, span(500), limit());
        assert_eq!(restarted.lock(OTHER, span(600)), Lock::Open);
    }

    #[test]
    fn a_success_that_was_under_way_may_have_ended_the_lock_out() {
        let mut book = Book::default();
        for at in [100, 101, 102] {
            book.note(FAILED, ONE, span(at), limit());
        }
        assert_eq!(book.lock(OTHER, span(120)), Lock::Locked);
        book.note(Effect::Reset { sure: true }, ONE, span(103), limit());
        assert_eq!(book.lock(OTHER, span(120)), Lock::Either);
    }

    #[test]
    fn failures_far_apart_do_not_lock() {
        let book = book(&[(0, FAILED), (30_000, FAILED), (61_000, FAILED)]);
        assert_eq!(book.lock(OTHER, span(61_100)), Lock::Open);
    }

    /// Those who come together may all be judged before one of them is counted.
    #[test]
    fn of_those_who_come_together_any_may_be_locked_out() {
        let mut book = Book::default();
        for at in [100, 101, 102] {
            book.note(FAILED, ONE, (at * MILLISECOND, 150 * MILLISECOND), limit());
        }
        assert_eq!(book.lock(OTHER, (99 * MILLISECOND, 150 * MILLISECOND)), Lock::Either);
    }

    /// The failure that locks is told of before the counter locks.
    #[test]
    fn nobody_is_locked_out_by_his_own_failure() {
        let doubted = Effect::Failed { sure: false };
        let mut book = book(&[(100, FAILED), (200, FAILED), (300, doubted)]);
        assert_eq!(book.lock(ONE, span(300)), Lock::Open);
        book.note(doubted, OTHER, span(305), limit());
        assert_eq!(book.lock(ONE, span(300)), Lock::Either);
    }
}
