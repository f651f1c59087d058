//! Edits of a gateway's store behind its back, as an owner makes them with an editor or with sqlite3 (reference, section 9).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Map, Value, json};

use super::TargetError;
use crate::vocabulary::StoreEdit;

/// How long a lock of the gateway's is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// Applies an edit to the entry of a device in the state directory; false if the store has no such entry.
///
/// The store is the one that is there: `state/openclaw.sqlite` (2026.9.6), or else `devices/paired.json`.
///
/// # Errors
/// [`TargetError::State`] when the store cannot be read or written, or is none.
pub fn apply(state_dir: &Path, device_id: &str, edit: &StoreEdit) -> Result<bool, TargetError> {
    let database = state_dir.join("state/openclaw.sqlite");
    if database.exists() {
        return in_database(&database, device_id, edit)
            .map_err(|error| TargetError::State { path: database, source: std::io::Error::other(error) });
    }
    let file = state_dir.join("devices/paired.json");
    in_json(&file, device_id, edit).map_err(|source| TargetError::State { path: file, source })
}

fn in_database(database: &Path, device_id: &str, edit: &StoreEdit) -> rusqlite::Result<bool> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    let changed = match edit {
        StoreEdit::SetScopes(scopes) => connection.execute(
            "UPDATE device_pairing_paired SET scopes_json = ?2, approved_scopes_json = ?2 WHERE device_id = ?1",
            params![device_id, json!(scopes).to_string()],
        )?,
        StoreEdit::DropEntry => {
            connection.execute("DELETE FROM device_pairing_paired WHERE device_id = ?1", params![device_id])?
        }
    };
    Ok(changed > 0)
}

fn in_json(file: &Path, device_id: &str, edit: &StoreEdit) -> std::io::Result<bool> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut entries: Map<String, Value> = serde_json::from_slice(&text)?;
    let Some(entry) = entries.get_mut(device_id).and_then(Value::as_object_mut) else { return Ok(false) };
    match edit {
        StoreEdit::SetScopes(scopes) => {
            entry.insert("scopes".to_owned(), json!(scopes));
            // From 2026.2.21 on the approval stands beside what is in force.
            if let Some(approved) = entry.get_mut("approvedScopes") {
                *approved = json!(scopes);
            }
        }
        StoreEdit::DropEntry => {
            entries.remove(device_id);
        }
    }
    replace(file, format!("{:#}\n", Value::Object(entries)).as_bytes())?;
    Ok(true)
}

/// Writes a file whole: no reader sees half of it.
fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder: PathBuf = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(content)?;
    fresh.persist(file)?;
    Ok(())
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
