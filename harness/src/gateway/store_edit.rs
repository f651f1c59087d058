//! Edits of a gateway's store behind its back, as an owner makes them with an editor or with sqlite3 (reference, section 9).

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Map, Value, json};

use super::TargetError;
use super::stamp::Stamp;
use crate::vocabulary::StoreEdit;

/// How long a lock of the gateway's is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// How often an edit is begun anew because the gateway wrote meanwhile.
const TRIES: usize = 20;

/// What became of an edit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Of each device, whether the store had an entry of it.
    pub found: Vec<bool>,
    /// The gateway wrote in the very moment, and what it wrote was replaced by what had been read before.
    pub overwrote: bool,
}

/// Applies an edit to the entry of a device in the state directory; false if the store has no such entry.
///
/// # Errors
/// As [`apply_all`].
pub fn apply(state_dir: &Path, device_id: &str, edit: &StoreEdit) -> Result<bool, TargetError> {
    Ok(apply_all(state_dir, &[device_id], edit)?.found.contains(&true))
}

/// Applies an edit to the entries of devices, all at once.
///
/// The store is the one that is there: `state/openclaw.sqlite` (2026.9.6), or else `devices/paired.json`.
///
/// # Errors
/// [`TargetError::State`] when the store cannot be read or written, or is none.
pub fn apply_all(state_dir: &Path, device_ids: &[&str], edit: &StoreEdit) -> Result<Edited, TargetError> {
    let database = state_dir.join("state/openclaw.sqlite");
    if database.exists() {
        return in_database(&database, device_ids, edit)
            .map_err(|error| TargetError::State { path: database, source: std::io::Error::other(error) });
    }
    let file = state_dir.join("devices/paired.json");
    in_json(&file, device_ids, edit).map_err(|source| TargetError::State { path: file, source })
}

fn in_database(database: &Path, device_ids: &[&str], edit: &StoreEdit) -> rusqlite::Result<Edited> {
    let mut connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut found = Vec::with_capacity(device_ids.len());
    for device_id in device_ids {
        let changed = match edit {
            StoreEdit::SetScopes(scopes) => transaction.execute(
                "UPDATE device_pairing_paired SET scopes_json = ?2, approved_scopes_json = ?2 WHERE device_id = ?1",
                params![device_id, json!(scopes).to_string()],
            )?,
            StoreEdit::DropEntry => transaction
                .execute("DELETE FROM device_pairing_paired WHERE device_id = ?1", params![device_id])?,
        };
        found.push(changed > 0);
    }
    transaction.commit()?;
    Ok(Edited { found, overwrote: false })
}

fn in_json(file: &Path, device_ids: &[&str], edit: &StoreEdit) -> std::io::Result<Edited> {
    let mut tries = TRIES;
    loop {
        let mut original = match File::open(file) {
            Ok(original) => original,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Edited { found: vec![false; device_ids.len()], overwrote: false });
            }
            Err(error) => return Err(error),
        };
        let read = Stamp::from(&original.metadata()?);
        let mut text = Vec::new();
        original.read_to_end(&mut text)?;
        let mut entries: Map<String, Value> = serde_json::from_slice(&text)?;
        let found: Vec<bool> =
            device_ids.iter().map(|device_id| edit_entry(&mut entries, device_id, edit)).collect();
        if !found.contains(&true) {
            return Ok(Edited { found, overwrote: false });
        }
        tries -= 1;
        let text = format!("{:#}\n", Value::Object(entries));
        if let Some(overwrote) = replace(file, text.as_bytes(), read, tries == 0)? {
            return Ok(Edited { found, overwrote });
        }
    }
}

/// Whether there is such an entry.
fn edit_entry(entries: &mut Map<String, Value>, device_id: &str, edit: &StoreEdit) -> bool {
    let scopes = match edit {
        StoreEdit::SetScopes(scopes) => scopes,
        StoreEdit::DropEntry => return entries.remove(device_id).is_some(),
    };
    let Some(entry) = entries.get_mut(device_id).and_then(Value::as_object_mut) else { return false };
    entry.insert("scopes".to_owned(), json!(scopes));
    // From 2026.2.21 on the approval stands beside what is in force.
    if let Some(approved) = entry.get_mut("approvedScopes") {
        *approved = json!(scopes);
    }
    true
}

/// Writes a file whole, so that no reader sees half of it, in place of the one that was `read`. `None`: there is another one by now,
/// and it was left, unless `anyway`. Nothing locks the file; the exchange says whether another one came between that look and itself.
fn replace(file: &Path, content: &[u8], read: Stamp, anyway: bool) -> std::io::Result<Option<bool>> {
    let folder: PathBuf = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(content)?;
    if !anyway && Stamp::of(file)? != read {
        return Ok(None);
    }
    renameat_with(CWD, fresh.path(), CWD, file, RenameFlags::EXCHANGE)?;
    // What was there is removed with the name.
    Ok(Some(Stamp::of(fresh.path())? != read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(folder: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("devices/paired.json")).unwrap()).unwrap()
    }

    #[test]
    fn a_json_store_is_edited_entry_by_entry() {
        let folder = tempfile::tempdir().unwrap();
        let edit = StoreEdit::SetScopes(vec!["operator.read".to_owned()]);
        assert!(!apply(folder.path(), "a", &edit).unwrap(), "no store, no entry");
        std::fs::create_dir(folder.path().join("devices")).unwrap();
        let store = json!({
            "a": {"scopes": [], "approvedScopes": [], "platform": "linux"},
            "b": {"scopes": ["x"]},
        });
        std::fs::write(folder.path().join("devices/paired.json"), store.to_string()).unwrap();
        assert!(apply(folder.path(), "a", &edit).unwrap());
        assert!(apply(folder.path(), "b", &edit).unwrap());
        assert!(!apply(folder.path(), "c", &edit).unwrap());
        let scopes = json!(["operator.read"]);
        assert_eq!(
            paired(folder.path()),
            json!({
                "a": {"scopes": scopes, "approvedScopes": scopes, "platform": "linux"},
                "b": {"scopes": scopes},
            }),
            "a release without approvedScopes gets none"
        );
        assert!(apply(folder.path(), "a", &StoreEdit::DropEntry).unwrap());
        assert_eq!(paired(folder.path()), json!({"b": {"scopes": scopes}}));
        std::fs::write(folder.path().join("devices/paired.json"), "{").unwrap();
        assert!(apply(folder.path(), "b", &edit).is_err(), "a broken store is left alone");
    }

    #[test]
    fn what_came_since_it_was_read_is_left_or_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paired.json");
        let write = |text: &str| {
            let fresh = folder.path().join("fresh");
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(&fresh, &file).unwrap();
            Stamp::of(&file).unwrap()
        };
        let read = write("read");
        assert_eq!(replace(&file, b"edit", read, false).unwrap(), Some(false));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "edit");
        write("the gateway's");
        assert_eq!(replace(&file, b"edit", read, false).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "the gateway's");
        assert_eq!(replace(&file, b"edit", read, true).unwrap(), Some(true));
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["paired.json"], "nothing is left behind");
    }

    #[test]
    fn many_entries_are_edited_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("devices")).unwrap();
        std::fs::write(folder.path().join("devices/paired.json"), r#"{"a":{},"b":{},"c":{}}"#).unwrap();
        let edited = apply_all(folder.path(), &["a", "x", "c"], &StoreEdit::DropEntry).unwrap();
        assert_eq!(edited, Edited { found: vec![true, false, true], overwrote: false });
        assert_eq!(paired(folder.path()), json!({"b": {}}));
    }

    #[test]
    fn a_database_is_preferred_and_edited_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let database = Connection::open(folder.path().join("state/openclaw.sqlite")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE device_pairing_paired (device_id TEXT PRIMARY KEY, scopes_json TEXT, approved_scopes_json TEXT);
                 INSERT INTO device_pairing_paired VALUES ('a', '[]', '[]'), ('b', '[]', '[]');",
            )
            .unwrap();
        let scopes = || -> Vec<(String, String, String)> {
            let mut rows = database.prepare("SELECT * FROM device_pairing_paired ORDER BY 1").unwrap();
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let edit = StoreEdit::SetScopes(vec!["operator.read".to_owned()]);
        assert!(apply(folder.path(), "a", &edit).unwrap());
        assert!(!apply(folder.path(), "c", &edit).unwrap());
        let row = |id: &str, scopes: &str| (id.to_owned(), scopes.to_owned(), scopes.to_owned());
        assert_eq!(scopes(), [row("a", "[\"operator.read\"]"), row("b", "[]")]);
        assert!(apply(folder.path(), "b", &StoreEdit::DropEntry).unwrap());
        assert_eq!(scopes(), [row("a", "[\"operator.read\"]")]);
    }
}
