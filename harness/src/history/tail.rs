//! A history that is still being written, read as far as it is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::Damage;
use super::log::{FileFrom, Log};
use super::reader::{Break, Frames, OpenError, Reader};
use super::{Header, History};
use crate::vocabulary::Nanos;

/// Follows a file that grows.
#[derive(Debug)]
pub struct Tail {
    file: Arc<File>,
    path: PathBuf,
    header: Header,
    begin: u64,
    at: u64,
    records: u64,
    attempts: u64,
    shared: u64,
}

impl Tail {
    /// Begins behind the header.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn new(file: Arc<File>, path: &Path) -> Result<Self, OpenError> {
        let reader = Reader::new(FileFrom { file: Arc::clone(&file), at: 0 }, path)?;
        let (begin, header) = (reader.at(), reader.header().clone());
        Ok(Self { file, path: path.to_owned(), header, begin, at: begin, records: 0, attempts: 0, shared: 0 })
    }

    /// What was written since the last time. Half a record at the end is left for the next time.
    pub fn read_on(&mut self) -> History {
        let mut frames = Frames::new(FileFrom { file: Arc::clone(&self.file), at: self.at }, self.at);
        let mut new = History::default();
        while let Ok(record) = frames.next().and_then(|frame| frame.verify().and_then(|()| frame.record())) {
            new.push(record);
            self.records += 1;
            self.at = frames.at();
        }
        self.attempts += new.attempts.len() as u64;
        self.shared += (new.notices.len() + new.operations.len() + new.faults.len()) as u64;
        new
    }

    /// Everything that was read until now, as if the run ended at `now`.
    #[must_use]
    pub fn so_far(&self, now: Nanos) -> Log {
        Log {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            header: self.header.clone(),
            begin: self.begin,
            sound: self.at,
            attempts: self.attempts,
            shared: self.shared,
            records: self.records,
            ended: now,
            end: Err(Break { at: self.at, damage: Damage::CutOff }),
        }
    }
}
