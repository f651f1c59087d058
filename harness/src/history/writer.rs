//! Writes the history while the load goes on.
//!
//! Whoever has records fills buffers of its own ([`Intake`]) and hands them over a bounded channel to one thread that
//! writes them; empty buffers come back. Where the disk is slower than the load, the channel is full and who has records
//! waits: that is counted, because it is time in which nothing was driven. A disk that refuses does not end the run:
//! what follows is counted as lost.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::format::{self, End, Header};
use super::reader::Frames;
use crate::vocabulary::Nanos;

/// Bytes at which a buffer is full.
pub const BUFFER_BYTES: usize = 64 << 10;
/// Room beyond that for the record that fills it.
const BUFFER_ROOM: usize = 4 << 10;
/// Full buffers that may wait for the disk. With those that are being filled they are all the memory that writing takes.
pub const BUFFERS_WAITING: usize = 32;

/// Where the bytes go.
pub trait Sink: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// What the system says. Some of them may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// What the system says.
    fn finish(&mut self) -> io::Result<()>;
}

impl Sink for Arc<File> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.as_ref().write_all(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// How often who had records waited for the disk, and how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backpressure {
    /// Times.
    pub waits: u64,
    /// Added up over all threads.
    pub waited: Duration,
}

/// Whole records, on their way.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: u64,
}

impl Batch {
    /// Appends a record as `append` frames it ([`format::append`]); false if it cannot be framed.
    pub fn add(&mut self, append: impl FnOnce(&mut Vec<u8>) -> Result<(), format::EncodeError>) -> bool {
        // Not `u64::from(added)`: where that is inlined before a branch on `added`, rustc 1.95.0 drops the assignment of
        // `added`, and with it the count (its pass JumpThreading; seen in `--emit=mir` of a release build, 2026-11-26).
        if append(&mut self.bytes).is_err() {
            return false;
        }
        self.records += 1;
        true
    }

    /// Whether it should be handed over.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes.len() >= BUFFER_BYTES
    }

    /// How long it is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
    }
}

enum Message {
    Batch(Batch),
    /// Answered when everything before it was written.
    Settle(oneshot::Sender<()>),
    /// `None` = without last words: the run came to no end of its own.
    Stop(Option<Nanos>),
}

#[derive(Debug, Default)]
struct Shared {
    empty: Mutex<Vec<Batch>>,
    waits: AtomicU64,
    waited: AtomicU64,
    lost: AtomicU64,
}

/// The way in. Cloned freely.
#[derive(Debug, Clone)]
pub struct Intake {
    channel: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// The other end of [`Intake`], until it is started.
#[derive(Debug)]
pub struct Outlet {
    channel: Receiver<Message>,
    intake: Intake,
}

/// Makes a way in and its other end. Up to [`BUFFERS_WAITING`] batches wait for it to be started.
#[must_use]
pub fn channel() -> (Intake, Outlet) {
    let (sender, receiver) = sync_channel(BUFFERS_WAITING);
    let intake = Intake { channel: sender, shared: Arc::default() };
    (intake.clone(), Outlet { channel: receiver, intake })
}

impl Intake {
    /// An empty batch: one that came back from the disk, or a new one.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let back = self.shared.empty.lock().unwrap_or_else(PoisonError::into_inner).pop();
        back.unwrap_or_else(|| Batch { bytes: Vec::with_capacity(BUFFER_BYTES + BUFFER_ROOM), records: 0 })
    }

    /// Hands a batch over. Waits, and counts it, while as many are on their way as may be.
    pub fn hand_over(&self, batch: Batch) {
        let refused = match self.channel.try_send(Message::Batch(batch)) {
            Ok(()) => return,
            Err(TrySendError::Full(message)) => self.wait(message),
            Err(TrySendError::Disconnected(message)) => Some(message),
        };
        if let Some(Message::Batch(batch)) = refused {
            self.lose(batch.records);
        }
    }

    /// Hands a batch over if there is room for it now, and gives it back if not.
    #[must_use]
    pub fn try_hand_over(&self, batch: Batch) -> Option<Batch> {
        match self.channel.try_send(Message::Batch(batch)) {
            Err(TrySendError::Full(Message::Batch(batch))) => Some(batch),
            Err(TrySendError::Disconnected(Message::Batch(batch))) => {
                self.lose(batch.records);
                None
            }
            _ => None,
        }
    }

    /// Gives a message back that nobody takes any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "time that the load lost by waiting here is a figure of the run"
    )]
    fn wait(&self, message: Message) -> Option<Message> {
        self.shared.waits.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let sent = self.channel.send(message);
        let waited = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.waited.fetch_add(waited, Ordering::Relaxed);
        sent.err().map(|refused| refused.0)
    }

    /// Counts records that will not be in the history.
    pub fn lose(&self, records: u64) {
        self.shared.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Resolves when everything that was handed over before is on its way to the disk; at once an error when there is
    /// too much of it to ask now, or nobody who writes.
    pub fn settled(&self) -> oneshot::Receiver<()> {
        let (answer, settled) = oneshot::channel();
        // A message that is refused takes the answer with it, and who waits for it learns that.
        let _ = self.channel.try_send(Message::Settle(answer));
        settled
    }

    /// How often and how long anybody waited.
    #[must_use]
    pub fn backpressure(&self) -> Backpressure {
        Backpressure {
            waits: self.shared.waits.load(Ordering::Relaxed),
            waited: Duration::from_nanos(self.shared.waited.load(Ordering::Relaxed)),
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    intake: Intake,
    thread: Option<JoinHandle<Progress>>,
}

/// What a history came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Records in the file.
    pub records: u64,
    /// Records that are not.
    pub lost: u64,
    /// Why records were lost, or are not safe on the disk.
    pub failure: Option<Failure>,
    /// What writing cost the load.
    pub backpressure: Backpressure,
}

/// Writing failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The time of the first record that may be missing; `None` = none is, but the disk may not have them for good.
    pub from: Option<Nanos>,
    /// What the system said.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => {
                let from = Duration::from_nanos(from).as_secs_f64();
                write!(formatter, "incomplete from {from:.1} s on: {}", self.why)
            }
            None => write!(formatter, "not safe on the disk: {}", self.why),
        }
    }
}

impl Outlet {
    /// Writes the header, and starts the thread that writes the rest.
    ///
    /// # Errors
    /// What the system says when the header cannot be written or the thread not be started.
    pub fn start(self, mut sink: impl Sink + 'static, header: &Header) -> io::Result<Writer> {
        let mut bytes = Vec::new();
        format::append_header(&mut bytes, header).map_err(io::Error::other)?;
        sink.append(&bytes)?;
        let Self { channel, intake } = self;
        let shared = Arc::clone(&intake.shared);
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write(&channel, &mut sink, &shared))?;
        Ok(Writer { intake, thread: Some(thread) })
    }
}

impl Writer {
    /// Writes what was handed over, and then the end. What comes later is lost.
    #[must_use]
    pub fn finish(mut self, ended: Nanos) -> Written {
        let progress = self.stop(Some(ended));
        let Progress { records, failure } = progress.unwrap_or_else(|| Progress {
            records: 0,
            failure: Some(Failure { from: Some(0), why: "the thread that writes it is gone".to_owned() }),
        });
        Written { records, lost: self.intake.lost(), failure, backpressure: self.intake.backpressure() }
    }

    fn stop(&mut self, ended: Option<Nanos>) -> Option<Progress> {
        let thread = self.thread.take()?;
        // A thread that is gone has an outcome all the same.
        let _ = self.intake.channel.send(Message::Stop(ended));
        thread.join().ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop(None);
    }
}

#[derive(Debug, Default)]
struct Progress {
    records: u64,
    failure: Option<Failure>,
}

fn write(channel: &Receiver<Message>, sink: &mut dyn Sink, shared: &Shared) -> Progress {
    let mut progress = Progress::default();
    while let Ok(message) = channel.recv() {
        match message {
            Message::Batch(mut batch) => {
                progress.take(&batch, sink, shared);
                // One that a long record made large is not kept.
                if batch.bytes.capacity() <= 2 * BUFFER_BYTES {
                    batch.clear();
                    shared.empty.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
                }
            }
            Message::Settle(answer) => {
                // Who asked may have stopped waiting.
                let _ = answer.send(());
            }
            Message::Stop(ended) => {
                if let Some(ended) = ended {
                    progress.end(ended, sink, shared);
                }
                break;
            }
        }
    }
    progress
}

impl Progress {
    fn take(&mut self, batch: &Batch, sink: &mut dyn Sink, shared: &Shared) {
        // After a failure the file may end in half a record: nothing more would be read there.
        if self.failure.is_none() {
            match sink.append(&batch.bytes) {
                Ok(()) => {
                    self.records += batch.records;
                    return;
                }
                Err(error) => {
                    self.failure = Some(Failure { from: first_time(&batch.bytes), why: error.to_string() });
                }
            }
        }
        shared.lost.fetch_add(batch.records, Ordering::Relaxed);
    }

    fn end(&mut self, ended: Nanos, sink: &mut dyn Sink, shared: &Shared) {
        if self.failure.is_some() {
            return;
        }
        let end = End {
            ended,
            records: self.records,
            waits: shared.waits.load(Ordering::Relaxed),
            waited: shared.waited.load(Ordering::Relaxed),
        };
        let mut bytes = Vec::new();
        let written = format::append_end(&mut bytes, &end)
            .map_err(io::Error::other)
            .and_then(|()| sink.append(&bytes))
            .and_then(|()| sink.finish());
        if let Err(error) = written {
            self.failure = Some(Failure { from: None, why: error.to_string() });
        }
    }
}

/// The time of the first record.
fn first_time(batch: &[u8]) -> Option<Nanos> {
    let mut frames = Frames::new(batch, 0);
    frames.next().and_then(|frame| frame.record()).ok().map(|record| record.at())
}
