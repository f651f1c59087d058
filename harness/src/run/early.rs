//! `--fail-fast`: looks at the history while the load goes on, and says when it holds a mismatch.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock, nanos};
use crate::engine::{Feed, Look};
use crate::history::{History, Log};
use crate::observation::Observation;
use crate::oracle::{Oracle, Verdict};
use crate::plan::Nanos;

/// How often to call [`EarlyJudge::look`].
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time between the end of one look and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(400);
/// The pause is at least this many times as long as the look was: judging must not take the load's core.
const SHARE: u64 = 10;

/// Judges what a load has so far.
pub struct EarlyJudge<'p> {
    oracle: Oracle<'p>,
    file: Arc<File>,
    path: PathBuf,
    next: Nanos,
    judged: u64,
    stage: Stage,
}

/// How far a look has come.
enum Stage {
    Idle,
    /// Reactors hand over what they have.
    Asked(Look),
    /// What they handed over is being written.
    Told(Look, oneshot::Receiver<()>),
}

impl<'p> EarlyJudge<'p> {
    /// For the history that is being written to `file`.
    #[must_use]
    pub const fn new(oracle: Oracle<'p>, file: Arc<File>, path: PathBuf) -> Self {
        Self { oracle, file, path, next: 0, judged: 0, stage: Stage::Idle }
    }

    /// Whether there is a mismatch. Most calls do nothing: a look begins when there are new attempts and the last one is
    /// long enough ago, and ends when everything that had been seen when it began has reached the disk.
    pub fn look(&mut self, feed: &Feed, clock: &Clock) -> bool {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => {
                let attempted = feed.progress().attempted.load(Ordering::Relaxed);
                if clock.now() >= self.next && attempted > self.judged {
                    self.judged = attempted;
                    self.stage = Stage::Asked(feed.look(clock.now()));
                }
                false
            }
            Stage::Asked(look) if look.is_told() => {
                self.stage = Stage::Told(look, feed.settled());
                false
            }
            Stage::Told(look, mut settled) => match settled.try_recv() {
                Ok(()) => self.judge(&look, clock),
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.stage = Stage::Told(look, settled);
                    false
                }
                // There was too much on its way to the disk to ask.
                Err(oneshot::error::TryRecvError::Closed) => {
                    self.stage = Stage::Asked(look);
                    false
                }
            },
            asked => {
                self.stage = asked;
                false
            }
        }
    }

    fn judge(&mut self, look: &Look, clock: &Clock) -> bool {
        let began = clock.now();
        // A file that cannot be read now is judged when the load has ended.
        let history = Log::of(Arc::clone(&self.file), &self.path).ok().and_then(|log| log.whole().ok());
        let found =
            history.is_some_and(|history| has_mismatch(&self.oracle, &history, look.complete_until()));
        let ended = clock.now();
        self.next = ended + nanos(PAUSE).max((ended - began) * SHARE);
        found
    }
}

/// Whether the history has a mismatch already. What ended after `complete_until` cannot be judged yet: the operation or
/// fault that explains it may have no record.
fn has_mismatch(oracle: &Oracle<'_>, history: &History, complete_until: Nanos) -> bool {
    let judgement = oracle.judge(history);
    let ended_early = |attempt: &Observation| attempt.stamps.last().is_some_and(|last| last < complete_until);
    let session_lost = judgement
        .session_ends
        .iter()
        .filter_map(|finding| history.session_ends.get(finding.session_end))
        .any(|end| end.at < complete_until);
    let breached = judgement.breaches.iter().any(|breach| breach.at < complete_until);
    session_lost
        || breached
        || history
            .attempts
            .iter()
            .zip(&judgement.attempts)
            .any(|(attempt, verdict)| matches!(verdict, Verdict::Mismatch(_)) && ended_early(attempt))
}
