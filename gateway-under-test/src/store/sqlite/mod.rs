//! `state/openclaw.sqlite` as 2026.9.6 keeps it: WAL, synchronous FULL, its table and column names.
//!
//! A batch is one transaction that holds the write lock from before its first operation is judged, so that what another
//! process wrote in between is never lost; rows are read again when SQLite's `data_version` says that somebody else has
//! committed. Only rows of devices that changed are written.
//!
//! A database made here holds the device tables alone, with `user_version` 0: the real gateway adds its other tables and
//! its version when it opens one. A database that it made is used as it is. Files of an older release are looked at when a
//! database is made, and never again.

pub(super) mod import;
mod rows;
mod schema;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::{Map, Value};

use super::backend::{Backend, Changes, Contents, Probe, Standing};
use super::disk::{self, FileSystem};
use super::state::{Record, State};
use super::{Commit, LoadError, StoreError};

/// How long a write of another process is waited for, as the releases do.
const BUSY: Duration = Duration::from_secs(5);

/// The database of a state directory.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    /// `data_version` of what memory agrees with; `None` when it agrees with nothing.
    seen: Option<i64>,
    probe: Arc<DataVersion>,
}

/// Why the database did not do what it was told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A JSON column holds no JSON. The text says which, never what.
    #[error("{0}")]
    Column(String),
    /// A later release made it.
    #[error("its version {version} is later than {newest}, that of 2026.9.6")]
    TooNew { version: i64, newest: i64 },
}

impl Failure {
    fn loading(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    LoadError::Parse { path, message: error.to_string() }
                }
                _ => LoadError::Read { path, source: std::io::Error::other(error) },
            },
            Self::TooNew { .. } => LoadError::Parse { path, message: self.to_string() },
            Self::Column(message) => LoadError::Row { path, message },
        }
    }

    fn storing(self, path: &Path) -> StoreError {
        StoreError::Write { path: path.to_owned(), message: self.to_string() }
    }
}

impl Database {
    /// Opens the database. If it is missing it is made, and takes over `devices/paired.json` if that is there.
    ///
    /// # Errors
    /// [`LoadError`]: the database is none, a later release made it, or `paired.json` does not parse (both are left as
    /// they are), or the system refuses.
    pub(super) fn open(state_dir: &Path) -> Result<Self, LoadError> {
        let folder = state_dir.join("state");
        let path = folder.join("openclaw.sqlite");
        let legacy = import::Legacy::find(state_dir, &path)?;
        let system = |source| LoadError::Read { path: path.clone(), source };
        disk::make_folders(&FileSystem, &folder, 0o700).map_err(system)?;
        // SQLite gives its other files the mode of this one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(system)?;
        let old = legacy.as_ref().map(|legacy| &legacy.paired[..]).unwrap_or_default();
        let (connection, probe) = connections(&path, old).map_err(|failure| failure.loading(&path))?;
        let database = Self {
            probe: Arc::new(DataVersion { connection: Mutex::new(probe), published: Mutex::default() }),
            path,
            connection,
            seen: None,
        };
        if let Some(legacy) = legacy {
            legacy.put_away().map_err(|source| LoadError::Read { path: legacy.folder.clone(), source })?;
        }
        Ok(database)
    }

    /// Begins a transaction that may write, unless one is open.
    fn begin(&self) -> Result<(), Failure> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    fn end(&self) {
        if !self.connection.is_autocommit() {
            // It can only fail if SQLite has rolled back already.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn read_all(&mut self) -> Result<Contents, Failure> {
        let was_inside = !self.connection.is_autocommit();
        self.begin()?;
        let read = rows::PAIRED.select(&self.connection).and_then(|paired| {
            let pending = rows::PENDING.select(&self.connection)?;
            Ok((Contents { paired, pending }, data_version(&self.connection)?))
        });
        if !was_inside || read.is_err() {
            self.end();
        }
        let (contents, version) = read?;
        self.seen = Some(version);
        Ok(contents)
    }

    fn write_rows(&self, changes: &Changes<'_>, state: &State) -> Result<Commit, Failure> {
        self.begin()?;
        let record =
            |device_id: &str| state.get(device_id).map(|record| Record::clone(record)).unwrap_or_default();
        let mut commit = Commit::default();
        let mut paired = rows::PAIRED.writer(&self.connection, rows::Taken::Replace)?;
        for device_id in changes.must.paired.union(&changes.may.paired) {
            let record = record(device_id);
            match record.entry.filter(|_| !record.unwritten) {
                Some(entry) => paired.put(entry.value())?,
                None => paired.delete(device_id)?,
            }
            commit.paired = true;
        }
        let mut pending = rows::PENDING.writer(&self.connection, rows::Taken::Replace)?;
        for device_id in changes.must.pending.union(&changes.may.pending) {
            // One request a device, whatever ids it had before.
            pending.delete(device_id)?;
            if let Some(request) = record(device_id).pending {
                pending.put(request.value())?;
            }
            commit.pending = true;
        }
        drop((paired, pending));
        self.connection.execute_batch("COMMIT")?;
        Ok(commit)
    }
}

/// The connection that reads and writes, and the one that only looks. `old` = devices that a new database begins with.
fn connections(path: &Path, old: &[Map<String, Value>]) -> Result<(Connection, Connection), Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    schema::prepare(&mut connection, old)?;
    let probe = Connection::open_with_flags(path, flags)?;
    probe.busy_timeout(BUSY)?;
    Ok((connection, probe))
}

/// Differs from an earlier one of the same connection if another connection has committed since.
fn data_version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

impl Backend for Database {
    fn prepare(&self, _: bool) -> Result<(), LoadError> {
        Ok(())
    }

    fn read(&mut self) -> Result<Contents, LoadError> {
        self.read_all().map_err(|failure| failure.loading(&self.path))
    }

    fn enter(&mut self) -> Result<Standing, StoreError> {
        let looked = self.begin().and_then(|()| Ok(data_version(&self.connection)?));
        match looked {
            Ok(version) if self.seen == Some(version) => Ok(Standing::Same),
            Ok(_) => Ok(Standing::Changed),
            Err(failure) => {
                self.end();
                Err(failure.storing(&self.path))
            }
        }
    }

    fn write(&mut self, changes: &Changes<'_>, state: &State) -> Result<Commit, StoreError> {
        self.write_rows(changes, state).map_err(|failure| {
            self.end();
            // Whether a COMMIT that failed has happened is for the next reader to see.
            self.seen = None;
            failure.storing(&self.path)
        })
    }

    fn leave(&mut self) {
        self.end();
    }

    fn probe(&self) -> Option<Arc<dyn Probe>> {
        Some(Arc::clone(&self.probe) as Arc<dyn Probe>)
    }

    /// The probe's version is taken first: if then nobody else has committed as this connection sees it, the probe's
    /// version is that of what was read or written here.
    fn vouch(&mut self) {
        let version = self.probe.version();
        let is_ours = data_version(&self.connection).is_ok_and(|version| self.seen == Some(version));
        *self.probe.published.lock().unwrap_or_else(PoisonError::into_inner) = version.filter(|_| is_ours);
    }
}

/// Asks SQLite whether anybody has committed. A connection of its own: the other one belongs to the store's thread.
#[derive(Debug)]
struct DataVersion {
    connection: Mutex<Connection>,
    published: Mutex<Option<i64>>,
}

impl DataVersion {
    fn version(&self) -> Option<i64> {
        data_version(&self.connection.lock().unwrap_or_else(PoisonError::into_inner)).ok()
    }
}

impl Probe for DataVersion {
    fn is_current(&self) -> bool {
        // The version first: what is published later than it was taken is no less current.
        let version = self.version();
        let published = *self.published.lock().unwrap_or_else(PoisonError::into_inner);
        version.is_some() && version == published
    }
}
