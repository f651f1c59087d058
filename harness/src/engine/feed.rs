//! What reactors, operators and the nemesis share with the run: where records go, and when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::history::Record;
use crate::observation::Outcome;

/// Where records go. Cloned freely; never blocks. The channel is not bounded: every record is kept in the history anyway,
/// so a bound would only move the memory.
#[derive(Debug, Clone)]
pub struct Feed {
    records: mpsc::UnboundedSender<Record>,
    progress: Arc<Progress>,
}

impl Feed {
    /// A feed and the end at which its records come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Record>) {
        let (records, receiver) = mpsc::unbounded_channel();
        (Self { records, progress: Arc::new(Progress::default()) }, receiver)
    }

    /// Counts a record and hands it over. A run that has stopped listening loses it on purpose.
    pub fn push(&self, record: Record) {
        if let Record::Attempt(attempt) = &record {
            self.progress.count(&attempt.outcome);
        }
        let _ = self.records.send(record);
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
    /// Sessions held now.
    pub held: AtomicU64,
    /// Clients whose script has ended.
    pub finished: AtomicU64,
}

impl Progress {
    fn count(&self, outcome: &Outcome) {
        self.attempted.fetch_add(1, Ordering::Relaxed);
        let counter = match outcome {
            Outcome::Session(_) => &self.sessions,
            Outcome::Refused(_) => &self.refused,
            _ => &self.others,
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
