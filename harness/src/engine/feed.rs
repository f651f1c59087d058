//! What reactors, operators and the nemesis share with the run: where records go, and when to stop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{oneshot, watch};

use super::lane::{Buffer, Lane, Looks, Pace, SharedBuffer, lock};
use crate::history::writer::{self, Intake, Outlet};
use crate::history::{OutcomeRef, Record, Secret};
use crate::observation::{Outcome, Stamps};
use crate::plan::Nanos;

/// Where records go. Cloned freely. Who has many takes a [`Lane`]; the few of others are handed over one by one, and none of
/// them waits for the disk.
#[derive(Debug, Clone)]
pub struct Feed {
    intake: Intake,
    shared: SharedBuffer,
    lanes: Arc<Mutex<Vec<Arc<AtomicU64>>>>,
    looks: Arc<Looks>,
    secret: Arc<OnceLock<Secret>>,
    progress: Arc<Progress>,
    open: Arc<OpenRecords>,
    approvals: Arc<watch::Sender<Nanos>>,
    clock_step: Arc<AtomicI64>,
    secret_now: Arc<Mutex<Option<String>>>,
}

/// When operations and faults began that have no record yet, each with a number to tell them apart.
#[derive(Debug, Default)]
struct OpenRecords {
    began: Mutex<BTreeSet<(Nanos, u64)>>,
    next: AtomicU64,
}

/// Says that an operation or a fault is under way; dropped when its record has been handed over.
#[derive(Debug)]
pub struct Underway {
    open: Arc<OpenRecords>,
    key: (Nanos, u64),
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.open.began.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Somebody wants to look at the history so far.
#[derive(Debug)]
pub struct Look {
    number: u64,
    lanes: Vec<Arc<AtomicU64>>,
    complete_until: Nanos,
}

impl Look {
    /// Whether everything that was pushed before the look was asked for has been handed over.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.lanes.iter().all(|told| told.load(Ordering::Acquire) >= self.number)
    }

    /// Until when the records that were pushed before tell everything.
    #[must_use]
    pub const fn complete_until(&self) -> Nanos {
        self.complete_until
    }
}

impl Feed {
    /// A feed, and the end at which its records come out.
    #[must_use]
    pub fn new() -> (Self, Outlet) {
        let (intake, outlet) = writer::channel();
        let (progress, looks, secret) = (Arc::default(), Arc::default(), Arc::default());
        let shared = Buffer::new(
            Pace::AtOnce,
            intake.clone(),
            Arc::clone(&progress),
            Arc::clone(&looks),
            Arc::clone(&secret),
        );
        let lanes = Arc::new(Mutex::new(vec![shared.told()]));
        let feed = Self {
            intake,
            shared: Arc::new(Mutex::new(shared)),
            lanes,
            looks,
            secret,
            progress,
            open: Arc::default(),
            approvals: Arc::new(watch::channel(0).0),
            clock_step: Arc::default(),
            secret_now: Arc::default(),
        };
        (feed, outlet)
    }

    /// Counts a record and hands it over at once, or when the disk has room again ([`Self::flush`]). A run that has stopped
    /// listening loses it on purpose.
    pub fn push(&self, record: Record) {
        lock(&self.shared).push(&record);
    }

    /// Hands over what [`Self::push`] had to keep, if there is room for it now. To be called now and then.
    pub fn flush(&self) {
        lock(&self.shared).flush();
    }

    /// Hands over what [`Self::push`] had to keep, however long the disk takes. To be called when nothing else goes on.
    pub fn flush_waiting(&self) {
        lock(&self.shared).flush_waiting();
    }

    /// Keeps a secret out of every record from now on, should the gateway send it back.
    pub fn keep_out(&self, secret: &str) {
        if let Some(secret) = Secret::new(secret) {
            // A run has one.
            let _ = self.secret.set(secret);
        }
    }

    /// A way in for one thread that has many records.
    #[must_use]
    pub fn lane(&self) -> Lane {
        let buffer = Buffer::new(
            Pace::Full,
            self.intake.clone(),
            Arc::clone(&self.progress),
            Arc::clone(&self.looks),
            Arc::clone(&self.secret),
        );
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(buffer.told());
        Lane::own(buffer)
    }

    /// A way in for a thread that has few records, each of which may be the last for long: what [`Self::push`] does.
    #[must_use]
    pub fn lane_at_once(&self) -> Lane {
        Lane::shared(Arc::clone(&self.shared))
    }

    /// Asks all lanes to hand over what they have; they do when they are flushed next. `now` is the run's time.
    #[must_use]
    pub fn look(&self, now: Nanos) -> Look {
        // In this order: what ended before the answer was pushed before the lanes were asked.
        let complete_until = self.complete_until().min(now);
        let number = self.looks.ask();
        self.flush();
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Look { number, lanes, complete_until }
    }

    /// Resolves when everything that was handed over is in the file, with an error when that cannot be said now.
    #[must_use]
    pub fn settled(&self) -> oneshot::Receiver<()> {
        self.intake.settled()
    }

    /// Notes that something began at `at` whose record comes later. To be called before the gateway can notice it.
    #[must_use]
    pub fn begin(&self, at: Nanos) -> Underway {
        let key = (at, self.open.next.fetch_add(1, Ordering::Relaxed));
        self.open.began.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Underway { open: Arc::clone(&self.open), key }
    }

    /// Until when the records that were handed over tell everything: the start of the oldest thing under way.
    #[must_use]
    pub fn complete_until(&self) -> Nanos {
        let began = self.open.began.lock().unwrap_or_else(PoisonError::into_inner);
        began.first().map_or(Nanos::MAX, |(at, _)| *at)
    }

    /// Clients' clocks are off by so many milliseconds from now on.
    pub fn step_clock(&self, step_ms: i64) {
        self.clock_step.store(step_ms, Ordering::SeqCst);
    }

    /// By how many milliseconds clients' clocks are off.
    #[must_use]
    pub fn clock_step(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.clock_step)
    }

    /// The gateway has another shared secret from now on, which operators are told.
    pub fn change_secret(&self, secret: String) {
        *self.secret_now.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    }

    /// The gateway's shared secret, if it is not the one that the run began with.
    #[must_use]
    pub fn changed_secret(&self) -> Option<String> {
        self.secret_now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that an operator hands an approval to the kernel now.
    pub fn approval_sent(&self, at: Nanos) {
        self.approvals.send_replace(at);
    }

    /// When approvals were sent: the latest, and a change with each.
    #[must_use]
    pub fn approvals(&self) -> watch::Receiver<Nanos> {
        self.approvals.subscribe()
    }

    /// Counters for a progress display.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

/// Counters of a run in progress. Read without order: they are for people.
#[derive(Debug, Default)]
pub struct Progress {
    /// Attempts that ended.
    pub attempted: AtomicU64,
    /// … with a session.
    pub sessions: AtomicU64,
    /// … with a refusal.
    pub refused: AtomicU64,
    /// … otherwise.
    pub others: AtomicU64,
    /// Attempts that the gateway challenged.
    pub challenged: AtomicU64,
    /// Sessions held now.
    pub held: AtomicU64,
    /// Clients whose script has ended.
    pub finished: AtomicU64,
}

/// What the display tells apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    Session,
    Refused,
    Other,
}

impl Counted {
    pub(super) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Session(_) => Self::Session,
            Outcome::Refused(_) => Self::Refused,
            _ => Self::Other,
        }
    }

    pub(super) const fn of_borrowed(outcome: &OutcomeRef<'_>) -> Self {
        match outcome {
            OutcomeRef::Session(_) => Self::Session,
            OutcomeRef::Refused(_) => Self::Refused,
            _ => Self::Other,
        }
    }
}

impl Progress {
    pub(super) fn count(&self, stamps: &Stamps, outcome: Counted) {
        self.attempted.fetch_add(1, Ordering::Relaxed);
        if stamps.challenged.is_some() {
            self.challenged.fetch_add(1, Ordering::Relaxed);
        }
        let counter = match outcome {
            Counted::Session => &self.sessions,
            Counted::Refused => &self.refused,
            Counted::Other => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How far a run has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopPhase {
    /// Go on.
    Running,
    /// Start no further attempt, leave sessions, let attempts in progress end.
    Leaving,
    /// Cut everything now.
    Cut,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_tell_everything_until_the_oldest_thing_under_way() {
        let (feed, _outlet) = Feed::new();
        assert_eq!(feed.complete_until(), Nanos::MAX);
        let (late, early) = (feed.begin(7), feed.begin(3));
        let twin = feed.begin(3);
        assert_eq!(feed.complete_until(), 3);
        drop(early);
        assert_eq!(feed.complete_until(), 3, "its twin goes on");
        drop(twin);
        assert_eq!(feed.complete_until(), 7);
        drop(late);
        assert_eq!(feed.complete_until(), Nanos::MAX);
    }
}
