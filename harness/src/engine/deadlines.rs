//! When a reactor has to do something next.
//!
//! Starts and ends of sessions come at any time and lie in a heap. Time limits of connections are always "so long from now":
//! each kind is a queue in which a new one goes to the back, so that a limit that is never reached, as nearly all are, costs
//! no more than a push and a pop.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::plan::Nanos;

/// Something that is due at a time. `serial` tells whether it still concerns whom it was set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// When.
    pub(super) at: Nanos,
    /// Whom it concerns.
    pub(super) key: usize,
    /// Changed since, it concerns nobody.
    pub(super) serial: u32,
}

/// Times in any order.
#[derive(Debug, Default)]
pub(super) struct Appointments(BinaryHeap<Reverse<Due>>);

impl Appointments {
    pub(super) fn add(&mut self, due: Due) {
        self.0.push(Reverse(due));
    }

    pub(super) fn next(&self) -> Option<Nanos> {
        self.0.peek().map(|Reverse(due)| due.at)
    }

    /// Takes the earliest, if it is due.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}

/// Times that are all equally far from when they were set.
#[derive(Debug, Default)]
pub(super) struct Limits(VecDeque<Due>);

impl Limits {
    pub(super) fn add(&mut self, due: Due) {
        self.0.push_back(due);
    }

    pub(super) fn next(&self) -> Option<Nanos> {
        self.0.front().map(|due| due.at)
    }

    /// Takes the oldest, if it is due, or concerns nobody any more.
    pub(super) fn take(&mut self, now: Nanos, concerns: impl Fn(&Due) -> bool) -> Option<Due> {
        while let Some(front) = self.0.front() {
            if !concerns(front) {
                self.0.pop_front();
            } else if front.at <= now {
                return self.0.pop_front();
            } else {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn due(at: Nanos, key: usize) -> Due {
        Due { at, key, serial: 0 }
    }

    #[test]
    fn appointments_come_in_order_of_time() {
        let mut appointments = Appointments::default();
        for at in [5, 1, 3] {
            appointments.add(due(at, 0));
        }
        assert_eq!(appointments.next(), Some(1));
        assert_eq!(appointments.take(0), None);
        assert_eq!(appointments.take(4).map(|due| due.at), Some(1));
        assert_eq!(appointments.take(4).map(|due| due.at), Some(3));
        assert_eq!(appointments.take(4), None);
        assert_eq!(appointments.next(), Some(5));
    }

    #[test]
    fn limits_that_concern_nobody_are_passed_over() {
        let mut limits = Limits::default();
        for (at, key) in [(1, 1), (2, 2), (3, 1)] {
            limits.add(due(at, key));
        }
        assert_eq!(limits.take(9, |due| due.key == 2), Some(due(2, 2)));
        assert_eq!(limits.take(2, |_| true), None);
        assert_eq!(limits.next(), Some(3));
        assert_eq!(limits.take(3, |_| false), None);
        assert_eq!(limits.next(), None);
    }
}
