//! The device store, owned by one thread, on a back end that the profile names: JSON files or SQLite.
//!
//! Connections read a published snapshot without waiting for anybody. Whatever must be durable is a job for the store's
//! thread: it takes all jobs that wait, looks whether somebody else has changed what is kept and then reads it again,
//! runs each job on the working state in turn, writes what changed once, publishes the new snapshot, hands on the events,
//! and only then answers. So changes that arrive together share one fsync, judging and recording a connect are one step,
//! and nobody sees or is told what a SIGKILL could undo.
//!
//! Where the profile says that a change from outside is seen by the next operation, a connection asks the back end's
//! probe before it trusts the snapshot, and makes its connect a job if the probe does not vouch for it.
//!
//! Jobs are at most one a connection, so that the queue needs no bound of its own.

pub mod backend;
mod core;
pub mod disk;
mod json;
mod sqlite;
pub mod state;
mod touches;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use arc_swap::ArcSwap;
use protocol::ErrorShape;
use protocol::pairing::{
    ApproveResult, PairList, RejectResult, RemoveResult, RenameParams, RenameResult, RevokeParams,
    RevokeResult, RotateParams, RotateResult,
};
use serde_json::Value;
use tokio::sync::oneshot;

use self::backend::Probe;
pub use self::core::{Clock, Commit, Core, Entered};
pub use self::state::State;
pub use self::touches::Touched;
use self::touches::Touches;
use crate::clock::{OsFresh, Stopwatch, wall_ms};
use crate::policy::{Accepted, Caller, DeviceAttempt, PairingEvent, Refusal, Rules, pairing};
use crate::profile::{AdmissionSteps, StoreKind};

/// Jobs that share one commit at most.
const BATCH_MAX: usize = 4096;
/// How soon lazy notes are written where releases write them with every connect.
const NOTES_WAIT: Duration = Duration::from_millis(50);
/// How soon notes are tried again that could not be written: each try may be a line in the log.
const NOTES_RETRY: Duration = Duration::from_secs(1);
/// Writing notes may take one part in so many of the store's time.
const NOTES_SHARE: u32 = 20;

/// Why what is kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system refuses.
    #[error("{path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It does not parse. The file is left as it is.
    #[error("{path} cannot be used: {message}; repair it or move it away")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and how; never its content.
        message: String,
    },
    /// A row cannot be read. A gateway starts with it, and every operation fails until somebody repairs the row (2026.9.6).
    #[error("{path} holds a row that cannot be read: {message}")]
    Row {
        /// The database.
        path: PathBuf,
        /// Which column; never its content.
        message: String,
    },
}

/// Why a change was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A file could not be written.
    #[error("cannot write {path}: {message}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// The files could not be read again.
    #[error("{0}")]
    Load(Arc<LoadError>),
    /// The store's thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl From<LoadError> for StoreError {
    fn from(error: LoadError) -> Self {
        Self::Load(Arc::new(error))
    }
}

/// What the store tells the rest of the gateway. Called on the store's thread; must not block.
pub trait Observer: Send {
    /// Events of a commit, in order.
    fn events(&self, events: Vec<PairingEvent>);
    /// Files were written for `batch` jobs, in so many seconds.
    fn committed(&self, batch: usize, seconds: f64);
    /// A batch begins: how long it took to have the store for itself, and how long each of its jobs has waited until now.
    fn began(&self, lock: Duration, waits: &[Duration]) {
        let _ = (lock, waits);
    }
    /// What is kept was read while the gateway runs.
    fn loaded(&self, load: &Load) {
        let _ = load;
    }
    /// Writing failed; memory went back to what it was.
    fn failed(&self, error: &StoreError);
}

/// One reading of everything that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Why it was read.
    pub when: LoadWhen,
    /// Until it could be used: at the start from opening the store on, later from the first byte that is read.
    pub took: Duration,
    /// Devices that were there.
    pub devices: usize,
}

/// Why what is kept was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadWhen {
    /// The gateway starts.
    Start,
    /// Somebody asked for it (SIGHUP).
    Reload,
    /// Somebody else had changed it.
    Changed,
}

impl LoadWhen {
    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Changed => "changed",
        }
    }
}

type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(Result<&mut Core, &StoreError>) -> Acknowledge + Send>;

enum Job {
    Work(Queued),
    /// The first lazy note has been made.
    Noted,
    Reload(oneshot::Sender<Result<Load, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Work, and since when it waits.
struct Queued {
    work: Work,
    since: Stopwatch,
}

/// Handle on the store, shared by all connections.
pub struct Store {
    rules: Arc<Rules>,
    snapshot: Arc<ArcSwap<State>>,
    touches: Arc<Touches>,
    probe: Option<Arc<dyn Probe>>,
    jobs: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("devices", &self.snapshot().devices()).finish_non_exhaustive()
    }
}

impl Store {
    /// Starts the store's thread on a loaded state.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        mut core: Core,
        rules: Arc<Rules>,
        observer: impl Observer + 'static,
    ) -> std::io::Result<Self> {
        let probe = core.probe();
        let snapshot = Arc::new(ArcSwap::from_pointee(core.state().clone()));
        let touches = Arc::new(Touches::default());
        core.vouch();
        let (jobs, inbox) = mpsc::channel();
        let worker = Worker {
            core,
            snapshot: Arc::clone(&snapshot),
            touches: Arc::clone(&touches),
            observer: Box::new(observer),
            notes_due: None,
            last_write: Duration::ZERO,
        };
        std::thread::Builder::new().name("store".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { rules, snapshot, touches, probe, jobs })
    }

    /// Whether the snapshot, loaded after this, is what is kept.
    fn is_current(&self) -> bool {
        self.probe.as_ref().is_none_or(|probe| probe.is_current())
    }

    /// The published state: everything in it is durable, but for lazy notes.
    #[must_use]
    pub fn snapshot(&self) -> Arc<State> {
        self.snapshot.load_full()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |core| {
            // Nobody may be waiting any more: then the change stands and nobody is told.
            match core {
                Ok(core) => {
                    let result = work(core);
                    Box::new(move |committed| drop(answer.send(committed.map(|()| result))))
                }
                Err(error) => {
                    let error = error.clone();
                    Box::new(move |_| drop(answer.send(Err(error))))
                }
            }
        });
        let queued = Queued { work, since: Stopwatch::start() };
        self.jobs.send(Job::Work(queued)).map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Judges a connect. What needs no durable change is answered from the snapshot, at once.
    ///
    /// # Errors
    /// [`StoreError`] when a change that the answer depends on could not be made.
    pub async fn admit(&self, attempt: Arc<DeviceAttempt>) -> Result<Result<Accepted, Refusal>, StoreError> {
        let now_ms = wall_ms();
        // In this order: a snapshot that is loaded later is no older.
        let is_current = self.is_current();
        let snapshot = self.snapshot.load();
        let record = snapshot.get(&attempt.device_id);
        let view = record.map(|record| record.view()).unwrap_or_default();
        let judged = pairing::admit(&self.rules, &attempt, &view, now_ms, &mut OsFresh);
        let (outcome, touch) = if judged.effects.is_durable() || !is_current {
            // What was judged on a store that somebody else has changed was not judged at all.
            let record = record
                .cloned()
                .filter(|_| is_current && self.rules.profile.admission != AdmissionSteps::Atomic);
            drop(snapshot);
            let attempt = Arc::clone(&attempt);
            self.run(move |core| match record {
                Some(judged) => core.record_admission(&attempt, Some(&judged)),
                None => core.admit(&attempt),
            })
            .await?
        } else {
            (judged.outcome, judged.effects.touch)
        };
        let is_first = match (touch, &outcome) {
            (Some(pairing::Touch::TokenUsed), _) => {
                self.touches.token_used(&attempt.device_id, &attempt.role, now_ms)
            }
            (Some(pairing::Touch::AskedAgain), Err(refusal)) => refusal
                .request_id()
                .is_some_and(|request_id| self.touches.asked_again(&attempt.device_id, request_id, now_ms)),
            (Some(pairing::Touch::Seen { token_used }), _) => {
                let by_token = token_used.then_some(attempt.role.as_str());
                self.touches.seen(&attempt.device_id, by_token, now_ms)
            }
            (Some(pairing::Touch::AskedAgain), Ok(_)) | (None, _) => false,
        };
        if is_first && self.rules.profile.store != StoreKind::JsonLoaded {
            // It fails when the store is closing, which writes them too.
            let _ = self.jobs.send(Job::Noted);
        }
        Ok(outcome)
    }

    /// `device.pair.list`: lazy notes are taken over first, so that refreshed requests are not missed.
    ///
    /// # Errors
    /// [`StoreError`] when the store has ended or could not write.
    pub async fn list(&self, caller: Caller) -> Result<PairList, StoreError> {
        self.run(|_| ()).await?;
        let snapshot = self.snapshot();
        let rules = Arc::clone(&self.rules);
        let now_ms = wall_ms();
        // 100,000 devices take a while; the connections' thread must not stand still meanwhile.
        tokio::task::spawn_blocking(move || {
            let mut list = PairList { pending: Vec::new(), paired: Vec::new() };
            for (device_id, record) in snapshot.iter() {
                if !pairing::is_visible(&rules, &caller, device_id) {
                    continue;
                }
                if let Some(request) = &record.pending
                    && pairing::is_waiting(&rules, request.value(), now_ms)
                {
                    list.pending.push(pairing::listed(request.value()));
                }
                if let Some(entry) = &record.entry {
                    list.paired.push(entry.value().listed());
                }
            }
            // Newest first, as OpenClaw lists both.
            list.pending.sort_by_key(|request| std::cmp::Reverse(request.ts));
            list.paired.sort_by_key(|device| std::cmp::Reverse(device.approved_at_ms));
            list
        })
        .await
        .map_err(|_| StoreError::Closed)
    }

    /// `device.pair.approve`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn approve(
        &self,
        caller: Caller,
        request_id: String,
    ) -> Result<Result<ApproveResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.approve(&caller, &request_id)).await
    }

    /// `device.pair.reject`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn reject(
        &self,
        caller: Caller,
        request_id: String,
    ) -> Result<Result<RejectResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.reject(&caller, &request_id)).await
    }

    /// `device.pair.remove`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn remove(
        &self,
        caller: Caller,
        device_id: String,
    ) -> Result<Result<RemoveResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.remove(&caller, &device_id)).await
    }

    /// `device.token.rotate`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn rotate(
        &self,
        caller: Caller,
        params: RotateParams,
    ) -> Result<Result<RotateResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.rotate(&caller, &params)).await
    }

    /// `device.token.revoke`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn revoke(
        &self,
        caller: Caller,
        params: RevokeParams,
    ) -> Result<Result<RevokeResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.revoke(&caller, &params)).await
    }

    /// Notes what a node says that it can do, for an operator to approve; whether it is new.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written.
    pub async fn note_node(&self, device_id: String, surface: Value) -> Result<bool, StoreError> {
        self.run(move |core| core.note_node(&device_id, surface)).await
    }

    /// `device.pair.rename`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn rename(
        &self,
        caller: Caller,
        params: RenameParams,
    ) -> Result<Result<RenameResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.rename(&caller, &params)).await
    }

    /// Replaces memory with the files (SIGHUP).
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be used; memory then stays.
    pub async fn reload(&self) -> Result<Load, StoreError> {
        let (done, reloaded) = oneshot::channel();
        self.jobs.send(Job::Reload(done)).map_err(|_| StoreError::Closed)?;
        reloaded.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes what is lazy and ends the thread. Jobs that came before are still done.
    ///
    /// # Errors
    /// [`StoreError`] when the last write failed.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (done, closed) = oneshot::channel();
        self.jobs.send(Job::Close(done)).map_err(|_| StoreError::Closed)?;
        closed.await.map_err(|_| StoreError::Closed)?
    }
}

struct Worker {
    core: Core,
    snapshot: Arc<ArcSwap<State>>,
    touches: Arc<Touches>,
    observer: Box<dyn Observer>,
    /// Since when lazy notes wait, and how long they may.
    notes_due: Option<(Stopwatch, Duration)>,
    last_write: Duration,
}

impl Worker {
    fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        while let Some(first) = self.wait(inbox) {
            let mut batch: Vec<Queued> = Vec::new();
            let mut last = None;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Work(queued) => batch.push(queued),
                    Job::Noted => self.write_notes_after(NOTES_WAIT),
                    // What came before a reload or the end is written and answered first.
                    other => {
                        last = Some(other);
                        break;
                    }
                }
                next = if batch.len() < BATCH_MAX { inbox.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.work(batch);
            }
            match last {
                Some(Job::Reload(done)) => {
                    let _ = done.send(self.reload());
                }
                Some(Job::Close(done)) => {
                    let _ = done.send(self.write_notes());
                    return;
                }
                Some(Job::Work(_) | Job::Noted) | None => {}
            }
        }
    }

    /// The next job; notes that are due are written meanwhile. `None` when there will be none.
    fn wait(&mut self, inbox: &mpsc::Receiver<Job>) -> Option<Job> {
        while let Some((since, wait)) = self.notes_due {
            match inbox.recv_timeout(wait.saturating_sub(since.elapsed())) {
                Ok(job) => return Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // What could not be written is tried again, and rides along with the next change.
                    let _ = self.write_notes();
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        }
        inbox.recv().ok()
    }

    fn reload(&mut self) -> Result<Load, StoreError> {
        let watch = Stopwatch::start();
        self.core.reload()?;
        let load =
            Load { when: LoadWhen::Reload, took: watch.elapsed(), devices: self.core.state().devices() };
        self.observer.loaded(&load);
        drop(self.touches.take());
        self.publish();
        Ok(load)
    }

    fn enter(&mut self) -> Result<Entered, StoreError> {
        let entered = self.core.enter()?;
        if let Some(took) = entered.read_again {
            let devices = self.core.state().devices();
            self.observer.loaded(&Load { when: LoadWhen::Changed, took, devices });
        }
        Ok(entered)
    }

    fn work(&mut self, batch: Vec<Queued>) {
        let entered = match self.enter() {
            Ok(entered) => {
                let waits: Vec<Duration> = batch.iter().map(|queued| queued.since.elapsed()).collect();
                self.observer.began(entered.lock, &waits);
                self.core.touch(self.touches.take());
                self.core.expire();
                Ok(())
            }
            Err(error) => {
                self.observer.failed(&error);
                Err(error)
            }
        };
        let size = batch.len();
        let mut acknowledgements: Vec<Acknowledge> = match &entered {
            Ok(()) => batch.into_iter().map(|queued| (queued.work)(Ok(&mut self.core))).collect(),
            Err(error) => batch.into_iter().map(|queued| (queued.work)(Err(error))).collect(),
        };
        if self.core.acknowledges_early() {
            self.publish();
            acknowledgements.drain(..).for_each(|acknowledge| acknowledge(Ok(())));
            std::thread::sleep(Duration::from_secs(1));
        }
        let committed = entered.and_then(|()| {
            let watch = Stopwatch::start();
            let commit = self.core.commit().inspect_err(|error| self.observer.failed(error))?;
            if commit.paired || commit.pending {
                self.wrote(watch);
                self.observer.committed(size, watch.elapsed().as_secs_f64());
            }
            self.publish();
            let events = self.core.take_events();
            if !events.is_empty() {
                self.observer.events(events);
            }
            Ok(())
        });
        for acknowledge in acknowledgements {
            acknowledge(committed.clone());
        }
    }

    /// Writes lazy notes, and what a failed commit may have left.
    fn write_notes(&mut self) -> Result<(), StoreError> {
        self.notes_due = None;
        let written = self.enter().and_then(|_| {
            self.core.touch(self.touches.take());
            self.core.expire();
            let watch = Stopwatch::start();
            self.core.flush()?;
            self.wrote(watch);
            Ok(())
        });
        if let Err(error) = &written {
            self.observer.failed(error);
            // Notes that lie there already announce nothing: no connect would have them written.
            self.write_notes_after(NOTES_RETRY);
        }
        self.publish();
        written
    }

    /// Has lazy notes written after this time, or later if writing takes long; unless they will be already.
    fn write_notes_after(&mut self, least: Duration) {
        let wait = least.max(self.last_write.saturating_mul(NOTES_SHARE));
        self.notes_due.get_or_insert_with(|| (Stopwatch::start(), wait));
    }

    fn wrote(&mut self, watch: Stopwatch) {
        self.last_write = watch.elapsed();
        if !self.core.has_notes() {
            self.notes_due = None;
        }
    }

    fn publish(&mut self) {
        self.snapshot.store(Arc::new(self.core.state().clone()));
        self.core.vouch();
    }
}
