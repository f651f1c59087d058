//! `--fail-fast`: looks at the history while the load goes on, and says when it holds a mismatch.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock, nanos};
use crate::engine::{Feed, Look};
use crate::history::{History, Tail};
use crate::observation::Observation;
use crate::oracle::{Judgement, Oracle, Survey, Verdict};
use crate::plan::{ClientId, Nanos};

/// How often to call [`EarlyJudge::look`].
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time between the end of one look and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(400);
/// The pause is at least this many times as long as the look was: judging must not take the load's core.
const SHARE: u64 = 20;

/// Judges what a load has so far: at each look the devices that have new records, each with all it ever did.
pub struct EarlyJudge<'o, 'p> {
    oracle: &'o Oracle<'p>,
    survey: Survey<'o, 'p>,
    tail: Tail,
    /// Operations, notices and faults so far.
    shared: History,
    /// Devices with records that could not be judged at the last look, because they were too young.
    young: HashSet<ClientId>,
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

impl<'o, 'p> EarlyJudge<'o, 'p> {
    /// For the history that `tail` follows.
    #[must_use]
    pub fn new(oracle: &'o Oracle<'p>, tail: Tail) -> Self {
        Self {
            oracle,
            survey: oracle.survey(),
            tail,
            shared: History::default(),
            young: HashSet::new(),
            next: 0,
            judged: 0,
            stage: Stage::Idle,
        }
    }

    /// Whether there is a mismatch. Most calls do nothing: a look begins when there are new attempts and the last one is
    /// long enough ago, and ends when everything that had been seen when it began has reached the disk.
    pub fn look(&mut self, feed: &Feed, clock: &Clock) -> bool {
        feed.flush();
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
                Ok(()) => {
                    let began = clock.now();
                    let found = self.judge(look.complete_until(), began);
                    let ended = clock.now();
                    self.next = ended + nanos(PAUSE).max((ended - began) * SHARE);
                    found
                }
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
            asked @ Stage::Asked(_) => {
                self.stage = asked;
                false
            }
        }
    }

    fn judge(&mut self, complete_until: Nanos, now: Nanos) -> bool {
        let new = self.tail.read_on();
        self.survey.add(&new);
        let mut concerned: HashSet<ClientId> = std::mem::take(&mut self.young);
        for (client, at) in records(&new) {
            concerned.insert(client);
            if at >= complete_until {
                self.young.insert(client);
            }
        }
        self.shared.operations.extend(new.operations);
        self.shared.notices.extend(new.notices);
        self.shared.faults.extend(new.faults);
        self.shared.ended = now;
        let surveyed = self.survey.finish(&self.shared);
        if surveyed.breaches().iter().any(|breach| breach.at < complete_until) {
            return true;
        }
        let log = self.tail.so_far(now);
        // Clients that come back for ever have a part in everything: no more of it in memory at a time than at the end.
        let shards = log.shards();
        (0..shards).any(|shard| {
            // A file that cannot be read now is judged when the load has ended.
            let history = log.select(|client| client % shards == shard && concerned.contains(&client));
            history.is_ok_and(|history| {
                has_mismatch(&self.oracle.judge_shard(&history, &surveyed), &history, complete_until)
            })
        })
    }
}

/// Whose records there are, each with its time.
fn records(history: &History) -> impl Iterator<Item = (ClientId, Nanos)> {
    let attempts = history.attempts.iter().map(|attempt| (attempt.client, attempt.ended_at()));
    let ends = history.session_ends.iter().map(|end| (end.client, end.at));
    let heard = history.overheard.iter().map(|heard| (heard.client, heard.at));
    let calls = history.calls.iter().map(|call| (call.client, call.end.at()));
    attempts.chain(ends).chain(heard).chain(calls)
}

/// Whether there is a mismatch. What ended after `complete_until` cannot be judged yet: the operation or fault that
/// explains it may have no record.
fn has_mismatch(judgement: &Judgement, history: &History, complete_until: Nanos) -> bool {
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
