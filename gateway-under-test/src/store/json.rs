//! `devices/paired.json` and `devices/pending.json`, in two ways of reading.
//!
//! - *Loaded* (article): read at start and on SIGHUP. A file that does not parse is refused; only what changed is written.
//! - *Reread* (2026.2.19 to 2026.3.13): a change on disk is seen by the next operation. Those releases parse both files
//!   before every operation; here they are parsed when device, inode, size or modification time of one of them differ
//!   from what was last read or written, which comes to the same with one exception: two edits *in place* that keep the
//!   size and fall into one tick of the file system's clock look like one (a rename makes a new inode, and since Linux
//!   6.13 a tick is as fine as it has to be). Whatever cannot be read or parsed is empty, without an error, and every
//!   change writes both files: so a truncated `paired.json` is overwritten by the next pairing request, and with it go
//!   all pairings. That is what those releases do. Single rows of a strange shape are no devices, and are kept.
//!
//! Another program's edit between reading and renaming is lost, as it is there: nothing locks the files.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::backend::{Backend, Changes, Contents, Probe, Standing};
use super::disk::{self, Disk, NewFile, Stamp};
use super::state::State;
use super::{Commit, LoadError, StoreError};

/// When the files are read, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// At start and on SIGHUP.
    Loaded,
    /// Before every operation, if they have changed.
    Reread,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Paired,
    Pending,
}

impl Which {
    const fn name(self) -> &'static str {
        match self {
            Self::Paired => "paired.json",
            Self::Pending => "pending.json",
        }
    }
}

/// Stamps of both files; `None` = it is missing, or cannot be looked at, which reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamps {
    paired: Option<Stamp>,
    pending: Option<Stamp>,
}

/// Rows that are no devices or requests, by their keys.
type Odd = BTreeMap<String, Box<RawValue>>;

/// What a file holds.
struct Rows<T> {
    good: BTreeMap<String, T>,
    odd: Odd,
    stamp: Option<Stamp>,
}

/// The two files of a state directory.
#[derive(Debug)]
pub(super) struct JsonFiles {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    reading: Reading,
    /// A name may stand in the folder that a power cut would take back.
    unsynced: bool,
    /// What memory agrees with; `None` after a write that failed half-way.
    known: Option<Stamps>,
    odd_paired: Odd,
    odd_pending: Odd,
    watched: Arc<Watched>,
}

#[derive(Debug)]
struct Watched {
    disk: Arc<dyn Disk>,
    paired: PathBuf,
    pending: PathBuf,
    published: Mutex<Option<Stamps>>,
}

impl Watched {
    fn on_disk(&self) -> Stamps {
        Stamps { paired: self.disk.stamp(&self.paired).ok(), pending: self.disk.stamp(&self.pending).ok() }
    }
}

impl Probe for Watched {
    fn is_current(&self) -> bool {
        let published = *self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published == Some(self.on_disk())
    }
}

impl JsonFiles {
    /// The files of a state directory; nothing is touched.
    #[must_use]
    pub(super) fn new(disk: Arc<dyn Disk>, state_dir: &Path, reading: Reading) -> Self {
        let folder = state_dir.join("devices");
        let watched = Watched {
            disk: Arc::clone(&disk),
            paired: folder.join(Which::Paired.name()),
            pending: folder.join(Which::Pending.name()),
            published: Mutex::default(),
        };
        Self {
            disk,
            folder,
            reading,
            unsynced: false,
            known: None,
            odd_paired: Odd::new(),
            odd_pending: Odd::new(),
            watched: Arc::new(watched),
        }
    }

    fn path(&self, which: Which) -> &Path {
        match which {
            Which::Paired => &self.watched.paired,
            Which::Pending => &self.watched.pending,
        }
    }

    /// The rows of a file, the strange ones apart, and its stamp, which is older than what was read.
    fn rows<T: DeserializeOwned>(&self, which: Which) -> Result<Rows<T>, LoadError> {
        let path = self.path(which);
        let (text, stamp) = match (self.disk.read(path), self.reading) {
            (Ok((text, stamp)), _) => (text, Some(stamp)),
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
            (Err(source), Reading::Loaded) => return Err(LoadError::Read { path: path.to_owned(), source }),
            // It exists and cannot be read: it is looked at again when it changes.
            (Err(_), Reading::Reread) => (Vec::new(), self.disk.stamp(path).ok()),
        };
        let (rows, odd) = match self.reading {
            Reading::Loaded => (strict(path, &text)?, Odd::new()),
            Reading::Reread => lenient(&text),
        };
        Ok(Rows { good: rows, odd, stamp })
    }

    /// Replaces one file durably: temporary file in the same folder, fsync, rename, fsync of the folder. Gives the stamp
    /// of the new one.
    fn replace(&mut self, which: Which, state: &State) -> Result<Stamp, StoreError> {
        let path = self.path(which).to_owned();
        let temporary = self.folder.join(format!(".{}.{}.tmp", which.name(), std::process::id()));
        let written = self.write_new(&temporary, which, state).and_then(|stamp| {
            self.unsynced = true;
            self.disk.rename(&temporary, &path)?;
            self.sync_names()?;
            Ok(stamp)
        });
        written.map_err(|source| {
            let _ = self.disk.remove(&temporary);
            StoreError::Write { path, message: source.to_string() }
        })
    }

    fn sync_names(&mut self) -> std::io::Result<()> {
        self.disk.sync_folder(&self.folder)?;
        self.unsynced = false;
        Ok(())
    }

    fn write_new(&self, path: &Path, which: Which, state: &State) -> std::io::Result<Stamp> {
        let file = self.disk.create(path)?;
        let mut rows = RowWriter { out: BufWriter::with_capacity(256 * 1024, file), empty: true };
        for (device_id, record) in state.iter() {
            match which {
                Which::Paired => {
                    if let Some(entry) = record.entry.as_ref().filter(|_| !record.unwritten) {
                        rows.put(device_id, entry.json()?)?;
                    }
                }
                Which::Pending => {
                    if let Some(request) = &record.pending {
                        rows.put(&request.value().request_id, request.json()?)?;
                    }
                }
            }
        }
        let odd = match which {
            Which::Paired => &self.odd_paired,
            Which::Pending => &self.odd_pending,
        };
        for (key, value) in odd {
            let is_taken = which == Which::Paired
                && state.get(key).is_some_and(|record| record.entry.is_some() && !record.unwritten);
            if !is_taken {
                rows.put(key, value.get())?;
            }
        }
        // The releases write no line break behind the last brace.
        let mut file = rows.finish(self.reading == Reading::Loaded)?;
        file.sync()?;
        file.stamp()
    }
}

impl Backend for JsonFiles {
    fn prepare(&self, alone: bool) -> Result<(), LoadError> {
        let system = |source| LoadError::Read { path: self.folder.clone(), source };
        disk::make_folders(&*self.disk, &self.folder, 0o777).map_err(system)?;
        // What a killed gateway renamed may not be durable, and from here on it counts.
        self.disk.sync_folder(&self.folder).map_err(system)?;
        if !alone {
            return Ok(());
        }
        for name in self.disk.names(&self.folder).unwrap_or_default() {
            let text = name.to_string_lossy();
            if text.starts_with(".paired.json.") || text.starts_with(".pending.json.") {
                // One that stays is of no consequence.
                let _ = self.disk.remove(&self.folder.join(&name));
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Contents, LoadError> {
        if self.unsynced {
            // What a failed write has left counts once it is read.
            let synced = self.sync_names();
            synced.map_err(|source| LoadError::Read { path: self.folder.clone(), source })?;
        }
        let paired = self.rows::<crate::policy::DeviceEntry>(Which::Paired)?;
        let pending = self.rows::<protocol::pairing::PendingRequest>(Which::Pending)?;
        self.known = Some(Stamps { paired: paired.stamp, pending: pending.stamp });
        (self.odd_paired, self.odd_pending) = (paired.odd, pending.odd);
        Ok(Contents {
            // The key of the map is what connects look up; a hand edit may have forgotten the copy inside.
            paired: paired
                .good
                .into_iter()
                .map(|(device_id, entry)| crate::policy::DeviceEntry { device_id, ..entry })
                .collect(),
            pending: pending
                .good
                .into_iter()
                .map(|(request_id, request)| protocol::pairing::PendingRequest { request_id, ..request })
                .collect(),
        })
    }

    fn enter(&mut self) -> Result<Standing, StoreError> {
        let same = self.reading == Reading::Loaded || self.known == Some(self.watched.on_disk());
        Ok(if same { Standing::Same } else { Standing::Changed })
    }

    /// `paired.json` goes first: after a crash between the two, an approved request may still be listed, but no approval
    /// is lost.
    fn write(&mut self, changes: &Changes<'_>, state: &State) -> Result<Commit, StoreError> {
        let both = self.reading == Reading::Reread;
        let commit = Commit {
            paired: both || !changes.must.paired.is_empty(),
            pending: both || !changes.must.pending.is_empty(),
        };
        if both && self.disk.stamp(&self.folder).is_err() {
            // They make it again if it has gone.
            disk::make_folders(&*self.disk, &self.folder, 0o777).map_err(|source| StoreError::Write {
                path: self.folder.clone(),
                message: source.to_string(),
            })?;
        }
        let mut known = self.known.take().unwrap_or(Stamps { paired: None, pending: None });
        if commit.paired {
            known.paired = Some(self.replace(Which::Paired, state)?);
        }
        if commit.pending {
            known.pending = Some(self.replace(Which::Pending, state)?);
        }
        self.known = Some(known);
        Ok(commit)
    }

    fn leave(&mut self) {}

    fn probe(&self) -> Option<Arc<dyn Probe>> {
        match self.reading {
            Reading::Loaded => None,
            Reading::Reread => Some(Arc::clone(&self.watched) as Arc<dyn Probe>),
        }
    }

    fn vouch(&mut self) {
        *self.watched.published.lock().unwrap_or_else(PoisonError::into_inner) = self.known;
    }
}

/// The rows of a file of which every one must be as expected; blank is empty.
fn strict<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<BTreeMap<String, T>, LoadError> {
    if text.trim_ascii().is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_slice(text)
        .map_err(|error| LoadError::Parse { path: path.to_owned(), message: redacted(&error) })
}

/// The rows of a file as far as they are as expected, and the others.
fn lenient<T: DeserializeOwned>(text: &[u8]) -> (BTreeMap<String, T>, Odd) {
    if let Ok(rows) = serde_json::from_slice(text) {
        return (rows, Odd::new());
    }
    // Bytes that are no UTF-8 are replaced, as reading a text does there.
    let Ok(all) = serde_json::from_str::<Odd>(&String::from_utf8_lossy(text)) else {
        return (BTreeMap::new(), Odd::new());
    };
    let mut rows = BTreeMap::new();
    let mut odd = Odd::new();
    for (key, value) in all {
        match serde_json::from_str(value.get()) {
            Ok(row) => drop(rows.insert(key, row)),
            Err(_) => drop(odd.insert(key, value)),
        }
    }
    (rows, odd)
}

/// serde's messages repeat strings they did not expect, and those may be tokens.
pub(super) fn redacted(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a value has another shape than a device store's",
        serde_json::error::Category::Io => "it cannot be read",
    };
    format!("{kind}, line {} column {}", error.line(), error.column())
}

/// An object that is written row by row, indented by two as `JSON.stringify(value, null, 2)` does.
struct RowWriter {
    out: BufWriter<Box<dyn NewFile>>,
    empty: bool,
}

impl RowWriter {
    fn put(&mut self, key: &str, json: &str) -> std::io::Result<()> {
        self.out.write_all(if self.empty { b"{\n  " } else { b",\n  " })?;
        self.empty = false;
        key.serialize(&mut serde_json::Serializer::new(&mut self.out))?;
        self.out.write_all(b": ")?;
        self.out.write_all(json.as_bytes())
    }

    fn finish(mut self, line_break: bool) -> std::io::Result<Box<dyn NewFile>> {
        self.out.write_all(if self.empty { b"{}" } else { b"\n}" })?;
        if line_break {
            self.out.write_all(b"\n")?;
        }
        self.out.into_inner().map_err(std::io::IntoInnerError::into_error)
    }
}
