//! Where devices and requests are kept. One trait, and a back end a kind of store; which one is the profile's to say.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::pairing::PendingRequest;

use super::disk::{Disk, FileSystem};
use super::json::{JsonFiles, Reading};
use super::sqlite::{Database, import};
use super::state::State;
use super::{Commit, LoadError, StoreError};
use crate::policy::DeviceEntry;
use crate::profile::StoreKind;

/// Everything that is kept, without what is not of a shape that the policy can judge: that stays where it is.
#[derive(Debug, Default)]
pub struct Contents {
    /// Devices, their ids in [`DeviceEntry::device_id`].
    pub paired: Vec<DeviceEntry>,
    /// Requests, their ids in [`PendingRequest::request_id`].
    pub pending: Vec<PendingRequest>,
}

/// Devices whose entry, or whose request, differs from what is kept.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// By their entry.
    pub paired: HashSet<Arc<str>>,
    /// By their request.
    pub pending: HashSet<Arc<str>>,
}

impl Marks {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paired.is_empty() && self.pending.is_empty()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.paired.extend(other.paired.iter().cloned());
        self.pending.extend(other.pending.iter().cloned());
    }
}

/// What a write is about.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Must be durable when the write returns.
    pub must: &'a Marks,
    /// Is written along where that costs nothing.
    pub may: &'a Marks,
}

/// Whether what was last read or written here is still what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Same,
    /// Somebody else has changed it.
    Changed,
}

/// A kind of store. Used by one thread; [`Backend::probe`] is for all others.
pub trait Backend: Send + std::fmt::Debug {
    /// Makes what writing needs. `alone` = nobody else uses the directory, so that what a killed gateway left half written
    /// may go.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the system refuses.
    fn prepare(&self, alone: bool) -> Result<(), LoadError>;

    /// Reads everything.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be used; nothing is touched.
    fn read(&mut self) -> Result<Contents, LoadError>;

    /// Begins a batch of operations. If the kind of store can, it keeps others from writing until [`Backend::write`] or
    /// [`Backend::leave`].
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be looked at; no batch has begun then.
    fn enter(&mut self) -> Result<Standing, StoreError>;

    /// Makes changes durable and ends the batch.
    ///
    /// # Errors
    /// [`StoreError`]; what is kept is then what it was, or what `state` says, or for two files one of each.
    fn write(&mut self, changes: &Changes<'_>, state: &State) -> Result<Commit, StoreError>;

    /// Ends a batch in which nothing is to be written.
    fn leave(&mut self);

    /// What tells other threads whether the published state may be used; `None` when it always may.
    fn probe(&self) -> Option<Arc<dyn Probe>>;

    /// Lets the probe say yes: what was last read or written has been published.
    fn vouch(&mut self);
}

/// Answers for connections, before each operation.
pub trait Probe: Send + Sync {
    /// Whether the published state is what is kept. When in doubt it is not, and the store's thread looks closer.
    fn is_current(&self) -> bool;
}

/// The back end of a kind of store in a state directory. A SQLite database is made if it is missing, and takes over the
/// JSON files that it finds.
///
/// # Errors
/// [`LoadError`] when what is there cannot be used; it is left as it is.
pub fn open(kind: StoreKind, state_dir: &Path) -> Result<Box<dyn Backend>, LoadError> {
    open_on(Arc::new(FileSystem), kind, state_dir)
}

/// Files of an older release that this kind of store does not look at, once it is open.
#[must_use]
pub fn ignored_files(kind: StoreKind, state_dir: &Path) -> Vec<PathBuf> {
    match kind {
        StoreKind::Sqlite => import::left(state_dir),
        StoreKind::JsonLoaded | StoreKind::JsonReread => Vec::new(),
    }
}

/// The same as [`open`], with JSON files on this file system. SQLite does its own file operations.
///
/// # Errors
/// As [`open`].
pub fn open_on(
    disk: Arc<dyn Disk>,
    kind: StoreKind,
    state_dir: &Path,
) -> Result<Box<dyn Backend>, LoadError> {
    Ok(match kind {
        StoreKind::JsonLoaded => Box::new(JsonFiles::new(disk, state_dir, Reading::Loaded)),
        StoreKind::JsonReread => Box::new(JsonFiles::new(disk, state_dir, Reading::Reread)),
        StoreKind::Sqlite => Box::new(Database::open(state_dir)?),
    })
}
