//! A whole history on disk, read a share of the clients at a time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{Damage, End, Header, Kind};
use super::reader::{Break, Frames, OpenError, Reader};
use super::{History, Record};
use crate::vocabulary::{ClientId, Nanos};

/// Attempts that a shard should not exceed by much: some 50 MB with what judging adds.
pub const SHARD_ATTEMPTS: u64 = 50_000;

/// A history on disk that was read once from end to end.
///
/// It keeps the file open: a folder that is taken away during a run takes no evidence with it.
#[derive(Debug, Clone)]
pub struct Log {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) header: Header,
    /// Where records begin in the file, and where those that are sound end.
    pub(super) begin: u64,
    pub(super) sound: u64,
    pub(super) attempts: u64,
    /// Records that concern everybody.
    pub(super) shared: u64,
    pub(super) records: u64,
    pub(super) ended: Nanos,
    pub(super) end: Result<End, Break>,
}

impl Log {
    /// Reads a file from end to end and counts what is sound in it.
    ///
    /// # Errors
    /// [`OpenError`] when it is no history. One that breaks off is none the worse for it: [`Self::end`] says so.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::of(Arc::new(file), path)
    }

    /// The same with a file that is open already; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(file: Arc<File>, path: &Path) -> Result<Self, OpenError> {
        let from = |at| FileFrom { file: Arc::clone(&file), at };
        let mut reader = Reader::new(from(0), path)?;
        let begin = reader.at();
        let (mut attempts, mut shared, mut records) = (0, 0, 0);
        while let Some((client, kind)) = reader.next_with(|frame| Ok((frame.client()?, frame.kind))) {
            attempts += u64::from(kind == Kind::Attempt);
            shared += u64::from(client.is_none());
            records += 1;
        }
        let end = reader.end().cloned();
        let end = end.unwrap_or_else(|| Err(Break { at: reader.at(), damage: Damage::CutOff }));
        let ended = match &end {
            Ok(end) => end.ended,
            // What a file that was cut off knows of its end is the latest time in it.
            Err(_) => Reader::new(from(0), path)?.map(|record| record.at()).max().unwrap_or_default(),
        };
        let sound = end.as_ref().map_or_else(|broken| broken.at, |_| reader.at());
        Ok(Self {
            file: Arc::clone(&file),
            path: path.to_owned(),
            header: reader.header().clone(),
            begin,
            sound,
            attempts,
            shared,
            records,
            ended,
            end,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of its run.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Attempts in it.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Records in it, attempts included.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// When the run ended; of a history that breaks off, the latest time in it.
    #[must_use]
    pub const fn ended(&self) -> Nanos {
        self.ended
    }

    /// Its last words, or where it breaks off.
    ///
    /// # Errors
    /// [`Break`] when it does.
    pub fn end(&self) -> Result<&End, &Break> {
        self.end.as_ref()
    }

    /// Bytes of it that are sound.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.sound
    }

    /// Into how many shards to cut it so that each has about [`SHARD_ATTEMPTS`] attempts at most, or half as many as there are
    /// records that concern everybody. Each shard reads and holds all of these: with shards that are small beside them, ten times
    /// the operations would take a hundred times as long.
    #[must_use]
    pub fn shards(&self) -> u32 {
        let most = SHARD_ATTEMPTS.max(self.shared / 2);
        u32::try_from(self.attempts.div_ceil(most)).unwrap_or(u32::MAX).max(1)
    }

    /// Shard `shard` of `of`: what concerns the clients whose number leaves that remainder, and what concerns everybody
    /// (operations, notices, faults). Records of one kind stand in the order in which they were written.
    ///
    /// # Errors
    /// When the file cannot be read any more, or is not what it was.
    pub fn shard(&self, shard: u32, of: u32) -> io::Result<History> {
        self.select(|client| client % of.max(1) == shard)
    }

    /// Everything, in memory.
    ///
    /// # Errors
    /// As [`Self::shard`].
    pub fn whole(&self) -> io::Result<History> {
        self.select(|_| true)
    }

    /// What concerns the chosen clients, and what concerns everybody.
    ///
    /// # Errors
    /// As [`Self::shard`].
    pub fn select(&self, chosen: impl Fn(ClientId) -> bool) -> io::Result<History> {
        let file = FileFrom { file: Arc::clone(&self.file), at: self.begin };
        let mut frames = Frames::new(file, self.begin);
        let mut history = History { ended: self.ended, ..History::default() };
        let changed =
            |damage: Damage| io::Error::other(format!("it has changed since it was written: {damage}"));
        for _ in 0..self.records {
            let frame = frames.next().map_err(changed)?;
            // Checksums were looked at when the file was opened; those of others are not worth the time again.
            if frame.client().map_err(changed)?.is_none_or(&chosen) {
                frame.verify().map_err(changed)?;
                history.push(frame.record().map_err(changed)?);
            }
        }
        Ok(history)
    }
}

/// Reads a file from a place, without moving the place at which others read or write it.
#[derive(Debug)]
pub(super) struct FileFrom {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl Read for FileFrom {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Record {
    /// When it was complete, as far as it says.
    #[must_use]
    pub fn at(&self) -> Nanos {
        match self {
            Self::Attempt(attempt) => attempt.ended_at(),
            Self::SessionEnd(end) => end.at,
            Self::Notice(notice) => notice.at,
            Self::Operation(operation) => operation.end.at().unwrap_or(operation.invoked),
            Self::Fault(fault) => fault.ended.unwrap_or(fault.began),
            Self::Overheard(heard) => heard.at,
            Self::Call(call) => call.end.at(),
        }
    }
}
