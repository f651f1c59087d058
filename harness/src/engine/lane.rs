//! The way into the history for one thread that has many records.

use std::cell::Cell;
use std::marker::PhantomData;

use super::feed::{Counted, Feed};
use crate::history::{AttemptRef, Record};

/// Takes the records of one thread, which may be another than the one that asked for it. Everything that was pushed is
/// handed over at the latest when it is flushed or dropped.
#[derive(Debug)]
pub struct Lane {
    feed: Feed,
    one_thread: PhantomData<Cell<()>>,
}

impl Lane {
    pub(super) const fn new(feed: Feed) -> Self {
        Self { feed, one_thread: PhantomData }
    }

    /// Counts a record and takes it.
    pub fn push(&self, record: &Record) {
        self.feed.push(record.clone());
    }

    /// Counts an attempt and takes it, without a copy of its texts.
    pub fn attempt(&self, attempt: &AttemptRef<'_>) {
        self.feed.progress().count(&attempt.stamps, Counted::of_borrowed(&attempt.outcome));
        self.feed.hand_over(Record::Attempt(attempt.to_observation()));
    }

    /// Hands over what was taken. To be called when there is nothing else to do, and at least every 100 ms.
    pub fn flush(&self) {}
}
