//! What is done to the files of the gateway's store, and how it is undone.
//!
//! A file is never changed in place: the damaged one takes its place by a rename, as an editor's or a backup's copy does, and
//! the original waits beside it. So a gateway that holds its database open goes on with what it has, until it is started again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags};

use crate::gateway::TargetError;
use crate::gateway::stamp::Stamp;
use crate::gateway::state_dir::forbid_writing;
use crate::plan::StoreDamage;

/// Folder beside the store in which the original waits.
const ASIDE: &str = ".pairstorm-aside";
/// What takes the room of a full disk.
const FILLER: &str = ".pairstorm-filler";
/// SQLite keeps these beside a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];
/// How long a lock of the gateway's is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// A store that something was done to.
#[derive(Debug)]
pub(super) struct Damaged {
    damage: StoreDamage,
    file: PathBuf,
    /// The file that took the original's place, as it was then.
    placed: Option<Stamp>,
    /// There was an original.
    had_original: bool,
}

/// The file that devices are kept in.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    let database = state_dir.join("state/openclaw.sqlite");
    if database.exists() { database } else { state_dir.join("devices/paired.json") }
}

/// Whether that is a database.
pub(super) fn is_database(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "sqlite")
}

fn refused(path: &Path) -> impl FnOnce(std::io::Error) -> TargetError {
    let path = path.to_owned();
    move |source| TargetError::State { path, source }
}

fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or_else(|| Path::new("")).join(name)
}

fn aside(file: &Path) -> PathBuf {
    beside(file, ASIDE).join(file.file_name().unwrap_or_default())
}

fn companion(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Does it.
///
/// # Errors
/// [`TargetError::State`] when the system refuses.
pub(super) fn damage(state_dir: &Path, damage: StoreDamage) -> Result<Damaged, TargetError> {
    let file = file(state_dir);
    match damage {
        StoreDamage::Full => fill(&file).map_err(refused(&file))?,
        StoreDamage::ReadOnly => lock_folder(&file, true).map_err(refused(&file))?,
        _ => return replace(&file, damage).map_err(refused(&file)),
    }
    Ok(Damaged { damage, file, placed: None, had_original: true })
}

fn replace(file: &Path, damage: StoreDamage) -> std::io::Result<Damaged> {
    let original = aside(file);
    if let Some(folder) = original.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // What an earlier fault left there is nobody's any more.
    let _ = std::fs::remove_file(&original);
    let content = std::fs::read(file);
    let had_original = content.is_ok();
    let content = content.unwrap_or_default();
    if damage == StoreDamage::Deleted {
        if had_original {
            std::fs::rename(file, &original)?;
        }
        companions_to(file, &original);
        return Ok(Damaged { damage, file: file.to_owned(), placed: None, had_original });
    }
    let (half, _) = content.split_at(content.len() / 2);
    let new: &[u8] = match damage {
        StoreDamage::Truncated => half,
        StoreDamage::Array => b"[]",
        _ => b"",
    };
    let mut fresh = tempfile::NamedTempFile::new_in(original.parent().unwrap_or(file))?;
    fresh.write_all(new)?;
    if had_original {
        std::fs::hard_link(file, &original)?;
    }
    companions_to(file, &original);
    let placed = fresh.persist(file).map_err(|error| error.error)?;
    drop(placed);
    Ok(Damaged { damage, file: file.to_owned(), placed: Some(Stamp::of(file)?), had_original })
}

/// What SQLite keeps beside a database goes where the database goes. It may not be there.
fn companions_to(from: &Path, to: &Path) {
    for ending in COMPANIONS {
        let _ = std::fs::rename(companion(from, ending), companion(to, ending));
    }
}

impl Damaged {
    /// Whether it keeps the gateway from starting as long as it lasts.
    pub(super) const fn may_stop_a_start(&self) -> bool {
        !self.damage.forbids_writing()
    }

    /// Undoes it, if it is still there: what the gateway has written over it since is the gateway's. Says whether it was.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub(super) fn put_back(self) -> Result<bool, TargetError> {
        match self.damage {
            StoreDamage::Full => {
                std::fs::remove_file(beside(&self.file, FILLER)).map_err(refused(&self.file))?;
                Ok(true)
            }
            StoreDamage::ReadOnly => {
                lock_folder(&self.file, false).map_err(refused(&self.file))?;
                Ok(true)
            }
            _ => self.original_back().map_err(refused(&self.file)),
        }
    }

    fn original_back(&self) -> std::io::Result<bool> {
        let original = aside(&self.file);
        if !self.had_original {
            let untouched = self.placed.is_some() && Stamp::of(&self.file).ok() == self.placed;
            return if untouched { std::fs::remove_file(&self.file).map(|()| true) } else { Ok(false) };
        }
        let Some(placed) = self.placed else {
            // Whatever came into its place meanwhile stays.
            let back = rustix::fs::renameat_with(CWD, &original, CWD, &self.file, RenameFlags::NOREPLACE);
            if back.is_err() {
                return Ok(false);
            }
            companions_to(&original, &self.file);
            return Ok(true);
        };
        // SQLite keeps what it writes beside the file at first: who has opened that one has made it the gateway's.
        let opened = COMPANIONS.iter().any(|ending| companion(&self.file, ending).exists());
        if opened || Stamp::of(&self.file).ok() != Some(placed) {
            return Ok(false);
        }
        let exchange = || rustix::fs::renameat_with(CWD, &original, CWD, &self.file, RenameFlags::EXCHANGE);
        exchange()?;
        if Stamp::of(&original).ok() != Some(placed) {
            // The gateway wrote in the very moment.
            exchange()?;
            return Ok(false);
        }
        companions_to(&original, &self.file);
        Ok(true)
    }
}

/// Writes until nothing more fits.
fn fill(file: &Path) -> std::io::Result<()> {
    let mut filler = std::fs::File::create(beside(file, FILLER))?;
    let block = vec![0_u8; 1 << 20];
    let mut size = block.len();
    while size > 0 {
        match filler.write_all(block.get(..size).unwrap_or_default()) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => size /= 16,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the folder of the store such that nothing in it can be made, renamed or removed; or lets it be.
fn lock_folder(file: &Path, lock: bool) -> std::io::Result<()> {
    forbid_writing(file.parent().unwrap_or_else(|| Path::new("")), lock)
}

/// Why the folder of a store cannot be made read-only on this machine by this user, if it cannot: where state directories are made.
pub(super) fn missing() -> Option<String> {
    let tried = || -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        forbid_writing(folder.path(), true)?;
        forbid_writing(folder.path(), false)
    };
    let refused = tried().err()?;
    Some(format!(
        "makes a folder in {} immutable, which the system refuses ({refused})",
        std::env::temp_dir().display()
    ))
}

/// Reads the store and writes it back as it was, as a second program does that changes something of its own. Between the two lies
/// `gap`. A database takes it in one transaction.
///
/// # Errors
/// [`TargetError::State`] when the system refuses.
pub(super) async fn write_beside(state_dir: &Path, gap: Duration) -> Result<(), TargetError> {
    let file = file(state_dir);
    if is_database(&file) {
        return touch_database(&file).map_err(|error| TargetError::State {
            path: file.clone(),
            source: std::io::Error::other(error),
        });
    }
    let Ok(text) = std::fs::read(&file) else { return Ok(()) };
    // Half of a file is not written back: a careful program is a second writer, too.
    let Ok(entries) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text) else {
        return Ok(());
    };
    if !gap.is_zero() {
        tokio::time::sleep(gap).await;
    }
    let written = || -> std::io::Result<()> {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        fresh.write_all(format!("{:#}", serde_json::Value::Object(entries)).as_bytes())?;
        fresh.persist(&file)?;
        Ok(())
    };
    written().map_err(refused(&file))
}

/// A commit that leaves every row as it is.
fn touch_database(file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("UPDATE device_pairing_paired SET device_id = device_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("devices")).unwrap();
        let file = folder.path().join("devices/paired.json");
        std::fs::write(&file, content).unwrap();
        (folder, file)
    }

    #[test]
    fn what_nobody_wrote_over_is_put_back() {
        for (kind, seen) in [
            (StoreDamage::Truncated, Some("{\"a")),
            (StoreDamage::Emptied, Some("")),
            (StoreDamage::Array, Some("[]")),
            (StoreDamage::Deleted, None),
        ] {
            let (folder, file) = store("{\"a\":1}");
            let damaged = damage(folder.path(), kind).unwrap();
            assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), seen, "{kind:?}");
            assert!(damaged.put_back().unwrap(), "{kind:?}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"a\":1}", "{kind:?}");
        }
    }

    #[test]
    fn what_the_gateway_wrote_since_stays() {
        for kind in [StoreDamage::Truncated, StoreDamage::Emptied, StoreDamage::Array, StoreDamage::Deleted] {
            let (folder, file) = store("{\"a\":1}");
            let damaged = damage(folder.path(), kind).unwrap();
            std::fs::write(folder.path().join("devices/fresh"), "{\"b\":2}").unwrap();
            std::fs::rename(folder.path().join("devices/fresh"), &file).unwrap();
            assert!(!damaged.put_back().unwrap(), "{kind:?}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"b\":2}", "{kind:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_can_be_again() {
        let (folder, file) = store("{}");
        let damaged = damage(folder.path(), StoreDamage::ReadOnly);
        assert_eq!(damaged.is_err(), missing().is_some(), "{damaged:?}");
        // Root in a container may not: then it is refused before anything is started.
        let Ok(damaged) = damaged else { return };
        let fresh = file.with_file_name("fresh");
        let forbidden = std::fs::write(&fresh, "x");
        assert!(damaged.put_back().unwrap());
        assert!(forbidden.is_err());
        std::fs::write(&fresh, "x").unwrap();
    }

    #[test]
    fn a_database_in_use_goes_on_beside_its_successor_and_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let file = folder.path().join("state/openclaw.sqlite");
        let gateway = Connection::open(&file).unwrap();
        gateway
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1);")
            .unwrap();
        let damaged = damage(folder.path(), StoreDamage::Truncated).unwrap();
        gateway.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert!(damaged.put_back().unwrap());
        drop(gateway);
        let again = Connection::open(&file).unwrap();
        let rows: i64 = again.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
    }
}
