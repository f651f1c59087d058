//! The device store: JSON files as OpenClaw 2026.2 writes them, owned by one thread.
//!
//! Connections read a published snapshot without waiting for anybody. Whatever must be durable is a job for the store's
//! thread: it takes all jobs that wait, runs each on the working state in turn, writes the files that changed once,
//! publishes the new snapshot, hands on the events, and only then answers. So changes that arrive together share one
//! fsync, judging and recording a connect are one step, and nobody sees or is told what a SIGKILL could undo.
//!
//! Jobs are at most one a connection, so that the queue needs no bound of its own.

mod core;
pub mod files;
pub mod state;
mod touches;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use arc_swap::ArcSwap;
use protocol::ErrorShape;
use protocol::pairing::{
    ApproveResult, PairList, RejectResult, RemoveResult, RevokeParams, RevokeResult, RotateParams,
    RotateResult,
};
use tokio::sync::oneshot;

pub use self::core::{Clock, Commit, Core};
pub use self::state::State;
pub use self::touches::Touched;
use self::touches::Touches;
use crate::clock::{OsFresh, Stopwatch, wall_ms};
use crate::policy::{Accepted, DeviceAttempt, PairingEvent, Refusal, Rules, pairing};

/// Jobs that share one commit at most.
const BATCH_MAX: usize = 4096;

/// Why the files cannot be used.
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
    /// Writing failed; memory went back to what it was.
    fn failed(&self, error: &StoreError);
}

type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(&mut Core) -> Acknowledge + Send>;

enum Job {
    Work(Work),
    Reload(oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Handle on the store, shared by all connections.
pub struct Store {
    rules: Arc<Rules>,
    snapshot: Arc<ArcSwap<State>>,
    touches: Arc<Touches>,
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
    pub fn start(core: Core, rules: Arc<Rules>, observer: impl Observer + 'static) -> std::io::Result<Self> {
        let snapshot = Arc::new(ArcSwap::from_pointee(core.state().clone()));
        let touches = Arc::new(Touches::default());
        let (jobs, inbox) = mpsc::channel();
        let worker = Worker {
            core,
            snapshot: Arc::clone(&snapshot),
            touches: Arc::clone(&touches),
            observer: Box::new(observer),
        };
        std::thread::Builder::new().name("store".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { rules, snapshot, touches, jobs })
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
            let result = work(core);
            // Nobody may be waiting any more: then the change stands and nobody is told.
            Box::new(move |committed| drop(answer.send(committed.map(|()| result))))
        });
        self.jobs.send(Job::Work(work)).map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Judges a connect. What needs no durable change is answered from the snapshot, at once.
    ///
    /// # Errors
    /// [`StoreError`] when a change that the answer depends on could not be made.
    pub async fn admit(&self, attempt: Arc<DeviceAttempt>) -> Result<Result<Accepted, Refusal>, StoreError> {
        let now_ms = wall_ms();
        let snapshot = self.snapshot.load();
        let record = snapshot.get(&attempt.device_id);
        let view = record.map(|record| record.view()).unwrap_or_default();
        let judged = pairing::admit(&self.rules, &attempt, &view, now_ms, &mut OsFresh);
        let (outcome, touch) = if judged.effects.is_durable() {
            drop(snapshot);
            let attempt = Arc::clone(&attempt);
            self.run(move |core| core.admit(&attempt)).await?
        } else {
            (judged.outcome, judged.effects.touch)
        };
        match (touch, &outcome) {
            (Some(pairing::Touch::TokenUsed), _) => {
                self.touches.token_used(&attempt.device_id, &attempt.role, now_ms);
            }
            (Some(pairing::Touch::AskedAgain), Err(refusal)) => {
                if let Some(request_id) = refusal.request_id() {
                    self.touches.asked_again(&attempt.device_id, request_id, now_ms);
                }
            }
            (Some(pairing::Touch::AskedAgain), Ok(_)) | (None, _) => {}
        }
        Ok(outcome)
    }

    /// `device.pair.list`: lazy notes are taken over first, so that refreshed requests are not missed.
    ///
    /// # Errors
    /// [`StoreError`] when the store has ended or could not write.
    pub async fn list(&self) -> Result<PairList, StoreError> {
        self.run(|_| ()).await?;
        let snapshot = self.snapshot();
        let rules = Arc::clone(&self.rules);
        let now_ms = wall_ms();
        // 100,000 devices take a while; the connections' thread must not stand still meanwhile.
        tokio::task::spawn_blocking(move || {
            let mut list = PairList { pending: Vec::new(), paired: Vec::new() };
            for (_, record) in snapshot.iter() {
                if let Some(request) = &record.pending
                    && pairing::is_waiting(&rules, request.value(), now_ms)
                {
                    list.pending.push(request.value().clone());
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
        request_id: String,
    ) -> Result<Result<ApproveResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.approve(&request_id)).await
    }

    /// `device.pair.reject`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn reject(
        &self,
        request_id: String,
    ) -> Result<Result<RejectResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.reject(&request_id)).await
    }

    /// `device.pair.remove`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn remove(
        &self,
        device_id: String,
    ) -> Result<Result<RemoveResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.remove(&device_id)).await
    }

    /// `device.token.rotate`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn rotate(
        &self,
        params: RotateParams,
    ) -> Result<Result<RotateResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.rotate(&params)).await
    }

    /// `device.token.revoke`.
    ///
    /// # Errors
    /// Outer: could not be written. Inner: what the policy says.
    pub async fn revoke(
        &self,
        params: RevokeParams,
    ) -> Result<Result<RevokeResult, Box<ErrorShape>>, StoreError> {
        self.run(move |core| core.revoke(&params)).await
    }

    /// Replaces memory with the files (SIGHUP).
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be used; memory then stays.
    pub async fn reload(&self) -> Result<(), StoreError> {
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
}

impl Worker {
    fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        while let Ok(first) = inbox.recv() {
            let mut batch: Vec<Work> = Vec::new();
            let mut last = None;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Work(work) => batch.push(work),
                    // What came before a reload or the end is written and answered first.
                    other => {
                        last = Some(other);
                        break;
                    }
                }
                next = if batch.len() < BATCH_MAX { inbox.try_recv().ok() } else { None };
            }
            self.work(batch, matches!(last, Some(Job::Close(_))));
            match last {
                Some(Job::Reload(done)) => {
                    let reloaded = self.core.reload().map_err(StoreError::from);
                    if reloaded.is_ok() {
                        drop(self.touches.take());
                        self.publish();
                    }
                    let _ = done.send(reloaded);
                }
                Some(Job::Close(done)) => {
                    let flushed = self.core.flush();
                    if let Err(error) = &flushed {
                        self.observer.failed(error);
                    }
                    let _ = done.send(flushed.map(|_| ()));
                    return;
                }
                Some(Job::Work(_)) | None => {}
            }
        }
    }

    fn work(&mut self, batch: Vec<Work>, closing: bool) {
        if batch.is_empty() && !closing {
            return;
        }
        self.core.touch(self.touches.take());
        self.core.expire();
        let size = batch.len();
        let acknowledgements: Vec<Acknowledge> = batch.into_iter().map(|work| work(&mut self.core)).collect();
        let watch = Stopwatch::start();
        let committed = self.core.commit();
        match &committed {
            Ok(commit) => {
                if commit.paired || commit.pending {
                    self.observer.committed(size, watch.elapsed().as_secs_f64());
                }
                self.publish();
                let events = self.core.take_events();
                if !events.is_empty() {
                    self.observer.events(events);
                }
            }
            Err(error) => self.observer.failed(error),
        }
        let committed = committed.map(|_| ());
        for acknowledge in acknowledgements {
            acknowledge(committed.clone());
        }
    }

    fn publish(&self) {
        self.snapshot.store(Arc::new(self.core.state().clone()));
    }
}
