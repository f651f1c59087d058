//! What 2026.9.6 makes of the JSON files of an older release that it finds when it makes its database (seen on the real
//! one).
//!
//! Rows of `paired.json` that are usable become rows of the database; the others are left out. Requests are **not** taken
//! over. Then the files are renamed to `….migrated`. A `paired.json` that does not parse, or is empty, stops the start, and
//! nothing is touched.
//!
//! Once there is a database, files that appear later (an older release ran on the directory meanwhile) are left where they
//! are, and the log says so.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::rows::{self, Kind};
use crate::store::LoadError;
use crate::store::disk::{Disk as _, FileSystem};
use crate::store::json::redacted;

/// Files that are put away after an import.
const FILES: [&str; 3] = ["paired.json", "pending.json", "bootstrap.json"];
/// Largest whole number that a JavaScript number holds exactly.
const SAFE: u64 = (1 << 53) - 1;

/// JSON files that wait to be taken over.
#[derive(Debug)]
pub(super) struct Legacy {
    pub(super) folder: PathBuf,
    /// Rows that are good enough, with every key that has a column.
    pub(super) paired: Vec<Map<String, Value>>,
}

impl Legacy {
    /// The files of a state directory whose database is to be made; `None` when it is there, or there are no files.
    pub(super) fn find(state_dir: &Path, database: &Path) -> Result<Option<Self>, LoadError> {
        let folder = state_dir.join("devices");
        if left(state_dir).is_empty() || has_tables(database) {
            return Ok(None);
        }
        let path = folder.join("paired.json");
        let paired = match std::fs::read(&path) {
            Ok(text) => serde_json::from_str(&String::from_utf8_lossy(&text))
                .map_err(|error| LoadError::Parse { path, message: redacted(&error) })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
            Err(source) => return Err(LoadError::Read { path, source }),
        };
        let paired = match paired {
            Value::Object(rows) => rows.into_iter().filter_map(|(key, row)| usable(&key, row)).collect(),
            // Some other JSON has no rows.
            _ => Vec::new(),
        };
        Ok(Some(Self { folder, paired }))
    }

    /// Renames the files. One that stays, or comes back, would bring removed devices back to an older release.
    pub(super) fn put_away(&self) -> std::io::Result<()> {
        for name in FILES {
            let _ = FileSystem.rename(&self.folder.join(name), &self.folder.join(format!("{name}.migrated")));
        }
        FileSystem.sync_folder(&self.folder)
    }
}

/// Files of an older release that are in a state directory.
pub(in crate::store) fn left(state_dir: &Path) -> Vec<PathBuf> {
    let paths = FILES.iter().map(|name| state_dir.join("devices").join(name));
    paths.filter(|path| path.exists()).collect()
}

/// Whether somebody has made a database of this file. What cannot be read is found out by who opens it.
fn has_tables(path: &Path) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let tables = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.query_row(
            "SELECT count(*) FROM sqlite_master WHERE name = 'device_pairing_paired'",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    tables.is_ok_and(|tables| tables > 0)
}

/// A row with what can stand in the table, or `None` if it lacks something that must.
fn usable(key: &str, row: Value) -> Option<Map<String, Value>> {
    let device_id = key.trim();
    let Value::Object(mut row) = row else { return None };
    let is_safe = |value: Option<&Value>| {
        value.is_some_and(|value| {
            value.as_i64().is_some_and(|number| number.unsigned_abs() <= SAFE)
                // 1.0 is the whole number 1 to JavaScript.
                || value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= SAFE as f64)
        })
    };
    let has_key = row.get("publicKey").and_then(Value::as_str).is_some_and(|key| !key.trim().is_empty());
    if device_id.is_empty()
        || !has_key
        || !is_safe(row.get("createdAtMs"))
        || !is_safe(row.get("approvedAtMs"))
    {
        return None;
    }
    row.insert("deviceId".to_owned(), device_id.into());
    for column in rows::PAIRED.columns {
        let fits = match (column.kind, row.get(column.key)) {
            (_, None) | (Kind::Json, _) => continue,
            (Kind::Text | Kind::ApprovedVia, Some(value)) => value.is_string(),
            (Kind::Whole, value @ Some(_)) => is_safe(value),
            (Kind::Flag, Some(value)) => value.is_boolean(),
        };
        if !fits {
            row.remove(column.key);
        } else if let Some(number) =
            row.get(column.key).and_then(Value::as_f64).filter(|_| column.kind == Kind::Whole)
        {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the safe range")]
            row.insert(column.key.to_owned(), (number as i64).into());
        }
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_usable_or_not_as_on_the_real_one() {
        let good = json!({"publicKey": "k", "createdAtMs": 1, "approvedAtMs": 2.0, "platform": "linux"});
        let with = |key: &str, value: Value| {
            let mut row = good.clone();
            row[key] = value;
            row
        };
        let without = |key: &str| {
            let mut row = good.clone();
            row.as_object_mut().unwrap().remove(key);
            row
        };
        for (key, row, is_usable) in [
            ("a", good.clone(), true),
            (" spaced ", good.clone(), true),
            (" ", good.clone(), false),
            ("a", Value::Null, false),
            ("a", json!("x"), false),
            ("a", json!([1]), false),
            ("a", without("publicKey"), false),
            ("a", with("publicKey", json!(" ")), false),
            ("a", with("publicKey", json!(5)), false),
            ("a", without("approvedAtMs"), false),
            ("a", with("createdAtMs", json!("1")), false),
            ("a", with("createdAtMs", json!(1.5)), false),
            ("a", with("createdAtMs", json!(9_007_199_254_740_992_u64)), false),
            ("a", with("tokens", json!("x")), true),
        ] {
            let usable = usable(key, row.clone());
            assert_eq!(usable.is_some(), is_usable, "{key}: {row}");
            if let Some(usable) = usable {
                assert_eq!(usable["deviceId"], key.trim());
                assert_eq!(usable["approvedAtMs"], 2);
            }
        }
        let odd = json!({"publicKey": "k", "createdAtMs": 1, "approvedAtMs": 2, "platform": 5, "displayName": null,
            "lastSeenAtMs": 1.5, "roles": "operator", "approvedVia": "bogus"});
        let usable = usable("a", odd).unwrap();
        for (key, value) in
            [("platform", None), ("displayName", None), ("lastSeenAtMs", None), ("roles", Some("operator"))]
        {
            assert_eq!(usable.get(key).and_then(Value::as_str), value, "{key}");
        }
    }
}
