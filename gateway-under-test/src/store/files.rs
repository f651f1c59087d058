//! `devices/paired.json` and `devices/pending.json`: reading both, and replacing one durably.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::pairing::PendingRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Record, State, Stored};
use super::{LoadError, StoreError};
use crate::policy::{DeviceEntry, Rules, pairing};

/// The two files of a state directory.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `paired.json`.
    Paired,
    /// `pending.json`.
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

impl Files {
    /// The files of a state directory; nothing is touched.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("devices") }
    }

    /// Where a file stands.
    #[must_use]
    pub fn path(&self, which: Which) -> PathBuf {
        self.folder.join(which.name())
    }

    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the system refuses.
    pub fn create_folder(&self) -> Result<(), LoadError> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|source| LoadError::Read { path: self.folder.clone(), source })
    }

    /// Removes temporary files that a killed gateway left behind. Errors are of no consequence.
    pub fn remove_leftovers(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".paired.json.") || name.starts_with(".pending.json.") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Reads both files. A missing or blank one is empty, as OpenClaw reads it.
    ///
    /// # Errors
    /// [`LoadError`] when one cannot be read or does not parse; the files are left as they are.
    pub fn read(&self, rules: &Rules, now_ms: u64) -> Result<State, LoadError> {
        let paired: BTreeMap<String, DeviceEntry> = self.read_one(Which::Paired)?;
        let pending: BTreeMap<String, PendingRequest> = self.read_one(Which::Pending)?;
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for (device_id, mut entry) in paired {
            // The key of the map is what connects look up; a hand edit may have forgotten the copy inside.
            entry.device_id.clone_from(&device_id);
            records.entry(device_id).or_default().entry = Some(Arc::new(Stored::new(entry)));
        }
        for (request_id, mut request) in pending {
            request.request_id = request_id;
            let record = records.entry(request.device_id.clone()).or_default();
            // One request a device: of several, which only another program can have written, the newest counts.
            if record.pending.as_ref().is_none_or(|other| other.value().ts <= request.ts) {
                record.pending = Some(Arc::new(Stored::new(request)));
            }
        }
        let mut state = State::default();
        for (device_id, mut record) in records {
            record.repairable = record.entry.as_ref().is_some_and(|entry| entry.value().is_legacy())
                && record
                    .pending
                    .as_ref()
                    .is_some_and(|request| pairing::is_waiting(rules, request.value(), now_ms));
            state.put(&device_id, record);
        }
        Ok(state)
    }

    fn read_one<T: DeserializeOwned>(&self, which: Which) -> Result<BTreeMap<String, T>, LoadError> {
        let path = self.path(which);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(LoadError::Read { path, source }),
        };
        if text.trim_ascii().is_empty() {
            return Ok(BTreeMap::new());
        }
        serde_json::from_slice(&text).map_err(|error| LoadError::Parse { path, message: redacted(&error) })
    }

    /// Replaces one file durably: temporary file in the same folder, fsync, rename, fsync of the folder.
    ///
    /// # Errors
    /// [`StoreError`] when the system refuses; the old file then still stands, or the new one does.
    pub fn replace(&self, which: Which, state: &State) -> Result<(), StoreError> {
        let path = self.path(which);
        let temporary = self.folder.join(format!(".{}.{}.tmp", which.name(), std::process::id()));
        let written = write_new(&temporary, which, state)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        written.map_err(|source| {
            let _ = std::fs::remove_file(&temporary);
            StoreError::Write { path, message: source.to_string() }
        })
    }
}

/// serde's messages repeat strings they did not expect, and those may be tokens.
fn redacted(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a value has another shape than a device store's",
        serde_json::error::Category::Io => "it cannot be read",
    };
    format!("{kind}, line {} column {}", error.line(), error.column())
}

fn write_new(path: &Path, which: Which, state: &State) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(256 * 1024, file);
    let mut separator = "\n  ";
    out.write_all(b"{")?;
    for (device_id, record) in state.iter() {
        let (key, json) = match which {
            Which::Paired => match &record.entry {
                Some(entry) if !record.unwritten => (&**device_id, entry.json()?),
                _ => continue,
            },
            Which::Pending => match &record.pending {
                Some(request) => (request.value().request_id.as_str(), request.json()?),
                None => continue,
            },
        };
        out.write_all(separator.as_bytes())?;
        separator = ",\n  ";
        key.serialize(&mut serde_json::Serializer::new(&mut out))?;
        out.write_all(b": ")?;
        out.write_all(json.as_bytes())?;
    }
    out.write_all(if separator.starts_with(',') { b"\n}\n" } else { b"}\n" })?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()
}
