//! Reads what a person pointed at: a state directory, an identity, a token. Nothing is written, locked or made.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use super::configuration::Configuration;
use super::identity::Identity;
use super::secret::Secret;
use super::store::{Store, StoreForm};

/// No file that is read here is longer, unless something is wrong.
const BYTES_MAX: u64 = 64 << 20;

/// Why something that was pointed at cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}", path = path.display())]
pub struct FileError {
    /// What.
    pub path: PathBuf,
    /// Why, without anything that it holds.
    pub why: String,
}

impl FileError {
    fn new(path: &Path, why: impl ToString) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

/// The configuration of a state directory; `None` if it has none.
///
/// # Errors
/// [`FileError`]
pub fn configuration(state_dir: &Path) -> Result<Option<Configuration>, FileError> {
    let path = state_dir.join("openclaw.json");
    let Some(text) = read(&path)? else { return Ok(None) };
    let variable = |name: &str| std::env::var(name).ok();
    Configuration::parse(&text, &variable).map(Some).map_err(|error| FileError::new(&path, error))
}

/// The identity of a state directory, with its device tokens; `None` if it has none.
///
/// # Errors
/// [`FileError`]
pub fn identity_of_state(state_dir: &Path) -> Result<Option<Identity>, FileError> {
    let database = database(state_dir);
    if database.exists()
        && let Some(identity) =
            identity_in(&database).map_err(|error| FileError::new(&database, sqlite(&error)))?
    {
        return identity.map(Some).map_err(|error| FileError::new(&database, error));
    }
    let path = state_dir.join("identity/device.json");
    if path.exists() { identity(&path).map(Some) } else { Ok(None) }
}

/// An identity that was named: `device.json`, the folder that holds it, or a state directory.
///
/// # Errors
/// [`FileError`]
pub fn identity(path: &Path) -> Result<Identity, FileError> {
    if path.is_dir() {
        let inside = path.join("device.json");
        if inside.exists() {
            return identity(&inside);
        }
        let missing =
            || FileError::new(path, "there is no device.json, no identity/device.json and no database in it");
        return identity_of_state(path)?.ok_or_else(missing);
    }
    let text = read(path)?.ok_or_else(|| FileError::new(path, "there is no such file"))?;
    let mut identity = Identity::parse(&text).map_err(|error| FileError::new(path, error))?;
    let tokens = path.with_file_name("device-auth.json");
    if let Some(text) = read(&tokens)? {
        identity.add_tokens(&text);
    }
    Ok(identity)
}

/// What the store of a state directory says of a device; `None` if the directory holds no store.
///
/// # Errors
/// [`FileError`] when it may not be read.
pub fn store(state_dir: &Path, device_id: Option<&str>, now_ms: u64) -> Result<Option<Store>, FileError> {
    let database = database(state_dir);
    if database.exists() {
        return Ok(Some(match rows(&database, device_id, now_ms) {
            Ok(store) => Store { form: StoreForm::Database, ..store },
            Err(error) => Store { form: StoreForm::Database, ..Store::broken(&sqlite(&error)) },
        }));
    }
    let folder = state_dir.join("devices");
    if !folder.is_dir() {
        return Ok(None);
    }
    let paired = read(&folder.join("paired.json"))?;
    let pending = read(&folder.join("pending.json"))?;
    Ok(Some(Store::of_json(paired.as_deref(), pending.as_deref(), device_id, now_ms)))
}

/// The first line of a file that holds a secret.
///
/// # Errors
/// [`FileError`]
pub fn secret(path: &Path) -> Result<Secret, FileError> {
    let text = read(path)?.ok_or_else(|| FileError::new(path, "there is no such file"))?;
    let secret = Secret::new(text.lines().next().unwrap_or_default());
    if secret.reveal().is_empty() { Err(FileError::new(path, "its first line is empty")) } else { Ok(secret) }
}

/// A file of certificates in PEM.
///
/// # Errors
/// [`FileError`]
pub fn certificates(path: &Path) -> Result<Vec<u8>, FileError> {
    read(path)?.map(String::into_bytes).ok_or_else(|| FileError::new(path, "there is no such file"))
}

fn database(state_dir: &Path) -> PathBuf {
    state_dir.join("state/openclaw.sqlite")
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new(path, error)),
    };
    // A pipe is fine: `--token-file <(pass show gateway)`.
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(FileError::new(path, "it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| FileError::new(path, error))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(FileError::new(path, "it is too long for what it should be"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| FileError::new(path, "it is no text"))
}

/// What SQLite says may hold a value of the row; its kind does not.
fn sqlite(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(code) => format!("the database cannot be read ({code:?})"),
        None => "the database has not the tables of a gateway".to_owned(),
    }
}

/// Opened for reading only. A reader of a database with a journal beside it shares the journal's memory with the gateway; without
/// one nobody writes, and `immutable` keeps SQLite from making one.
fn open(database: &Path) -> rusqlite::Result<Connection> {
    let journal = database.with_extension("sqlite-wal");
    let mut name = String::from("file:");
    for byte in database.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' | b'?' | b'#' | 0x80.. => name.push_str(&format!("%{byte:02x}")),
            byte => name.push(char::from(*byte)),
        }
    }
    name.push_str(if journal.exists() { "?mode=ro" } else { "?mode=ro&immutable=1" });
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

type OfIdentity = Result<Identity, super::identity::IdentityError>;

fn identity_in(database: &Path) -> rusqlite::Result<Option<OfIdentity>> {
    let connection = open(database)?;
    if !has_table(&connection, "device_identities")? {
        return Ok(None);
    }
    let found = connection
        .query_row(
            "SELECT device_id, private_key_pem FROM device_identities ORDER BY updated_at_ms DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    let Some((device_id, pem)) = found else { return Ok(None) };
    let mut identity = match Identity::of_pem(&pem, Some(&device_id)) {
        Ok(identity) => identity,
        Err(error) => return Ok(Some(Err(error))),
    };
    if has_table(&connection, "device_auth_tokens")? {
        let mut statement = connection
            .prepare("SELECT role, token, scopes_json FROM device_auth_tokens WHERE device_id = ?1")?;
        let mut rows = statement.query(params![device_id])?;
        while let Some(row) = rows.next()? {
            let (role, token, scopes): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            identity.add_token(&role, &token, serde_json::from_str(&scopes).unwrap_or_default());
        }
    }
    Ok(Some(Ok(identity)))
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)",
        [name],
        |row| row.get(0),
    )
}

/// The rows of one device, put into the form of the JSON files.
fn rows(database: &Path, device_id: Option<&str>, now_ms: u64) -> rusqlite::Result<Store> {
    let connection = open(database)?;
    let devices: i64 =
        connection.query_row("SELECT count(*) FROM device_pairing_paired", [], |row| row.get(0))?;
    let device_id = device_id.unwrap_or_default();
    let mut paired = Map::new();
    let row = connection
        .query_row(
            "SELECT public_key, display_name, platform, device_family, client_id, client_mode, role, roles_json, scopes_json,
                    approved_scopes_json, tokens_json
             FROM device_pairing_paired WHERE device_id = ?1",
            [device_id],
            |row| {
                let text = |at: usize| row.get::<_, Option<String>>(at);
                Ok(json!({
                    "publicKey": text(0)?, "displayName": text(1)?, "platform": text(2)?, "deviceFamily": text(3)?,
                    "clientId": text(4)?, "clientMode": text(5)?, "role": text(6)?, "roles": parsed(text(7)?),
                    "scopes": parsed(text(8)?), "approvedScopes": parsed(text(9)?), "tokens": parsed(text(10)?),
                }))
            },
        )
        .optional()?;
    if let Some(Value::Object(mut row)) = row {
        row.retain(|_, value| !value.is_null());
        paired.insert(device_id.to_owned(), Value::Object(row));
    }
    let mut pending = Map::new();
    let mut statement = connection.prepare(
        "SELECT request_id, role, scopes_json, platform, device_family, ts, refreshed_at_ms
         FROM device_pairing_pending WHERE device_id = ?1",
    )?;
    let mut waiting = statement.query([device_id])?;
    while let Some(row) = waiting.next()? {
        let request_id: String = row.get(0)?;
        let request = json!({
            "requestId": request_id, "deviceId": device_id, "role": row.get::<_, Option<String>>(1)?,
            "scopes": parsed(row.get(2)?), "platform": row.get::<_, Option<String>>(3)?,
            "deviceFamily": row.get::<_, Option<String>>(4)?, "ts": row.get::<_, Option<i64>>(5)?,
            "refreshedAtMs": row.get::<_, Option<i64>>(6)?,
        });
        pending.insert(request_id, request);
    }
    let (paired, pending) = (Value::Object(paired).to_string(), Value::Object(pending).to_string());
    let store = Store::of_json(Some(&paired), Some(&pending), Some(device_id), now_ms);
    Ok(Store { devices: usize::try_from(devices).unwrap_or_default(), ..store })
}

fn parsed(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_says_what_the_files_say() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(store(folder.path(), Some("d"), 0).unwrap(), None, "no store is not an empty one");
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let database = Connection::open(folder.path().join("state/openclaw.sqlite")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE device_pairing_paired (device_id, public_key, display_name, platform, device_family, client_id,
                     client_mode, role, roles_json, scopes_json, approved_scopes_json, tokens_json);
                 CREATE TABLE device_pairing_pending (request_id, device_id, role, scopes_json, platform, device_family, ts,
                     refreshed_at_ms);
                 INSERT INTO device_pairing_paired VALUES ('d', 'AA', NULL, 'linux', NULL, 'cli', 'cli', 'operator',
                     '[\"operator\"]', '[\"operator.read\"]', '[\"operator.read\"]',
                     '{\"operator\":{\"token\":\"hunter2\",\"role\":\"operator\",\"scopes\":[\"operator.read\"]}}'),
                     ('e', 'AA', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
                 INSERT INTO device_pairing_pending VALUES ('r', 'd', 'operator', '[\"operator.write\"]', 'linux', NULL, 5, 9);",
            )
            .unwrap();
        let found = store(folder.path(), Some("d"), 10).unwrap().unwrap();
        assert_eq!((found.form, found.devices, found.waiting.len()), (StoreForm::Database, 2, 1));
        let entry = found.entry.unwrap();
        assert_eq!(entry.surely_holds("operator"), ["operator.read"]);
        assert_eq!(entry.platform.as_deref(), Some("linux"));
        assert!(store(folder.path(), Some("x"), 10).unwrap().unwrap().entry.is_none());
        std::fs::write(folder.path().join("state/openclaw.sqlite"), "nope").unwrap();
        assert!(store(folder.path(), Some("d"), 10).unwrap().unwrap().broken.is_some());
    }

    #[test]
    fn a_token_file_has_a_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\nmore\n").unwrap();
        assert_eq!(secret(&path).unwrap().reveal(), "hunter2");
        std::fs::write(&path, "\nhunter2").unwrap();
        assert!(!secret(&path).unwrap_err().to_string().contains("hunter2"));
        assert!(identity(&path).is_err() && identity(folder.path()).is_err());
    }
}
