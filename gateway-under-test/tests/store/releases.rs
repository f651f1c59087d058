//! The stores of the releases: what another program changes is seen by the next operation, broken files, durability,
//! and what 2026.9.6 makes of older files.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use gateway_under_test::policy::{Caller, DeviceAttempt, PairingEvent, Place};
use gateway_under_test::profile::StoreKind;
use gateway_under_test::store::backend::{Backend, Changes, Contents, Probe, Standing};
use gateway_under_test::store::{
    Commit, Core, Load, LoadError, LoadWhen, Observer, State, Store, StoreError, backend,
};
use protocol::connect::AuthParams;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::fixture::{self, Counter, Nobody, rules};

/// A recent time, so that no request of these tests is too old for the real clock.
fn now_ms() -> u64 {
    gateway_under_test::clock::wall_ms()
}

fn load(kind: StoreKind, dir: &Path) -> Result<Core, LoadError> {
    let backend = backend::open(kind, dir)?;
    backend.prepare(true)?;
    Core::load(backend, rules(kind), Box::new(now_ms), Box::new(Counter::default()))
}

fn start(kind: StoreKind, dir: &Path) -> Store {
    Store::start(load(kind, dir).unwrap(), rules(kind), Nobody).unwrap()
}

fn attempt(device: &str, local: bool) -> Arc<DeviceAttempt> {
    let auth = AuthParams { token: Some("shared".to_owned()), ..AuthParams::default() };
    Arc::new(attempt_by(StoreKind::JsonLoaded, device, local, auth))
}

fn attempt_by(kind: StoreKind, device: &str, local: bool, auth: AuthParams) -> DeviceAttempt {
    let place = if local { Place::Local } else { Place::Remote };
    let mut attempt = fixture::attempt_by(&rules(kind), device, place, auth);
    attempt.kept_ip = (!local).then(|| "203.0.113.7".parse().unwrap());
    attempt
}

/// Whether a connect gets a session, or the id of its request.
async fn connect(store: &Store, device: &str, local: bool) -> Result<(), String> {
    let outcome = store.admit(attempt(device, local)).await.unwrap();
    outcome.map(|_| ()).map_err(|refusal| refusal.request_id().unwrap().to_owned())
}

fn paired(dir: &Path) -> std::path::PathBuf {
    dir.join("devices/paired.json")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("state/openclaw.sqlite")).unwrap()
}

fn one<T: rusqlite::types::FromSql>(connection: &Connection, query: &str) -> T {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

/// A device that only an operator lets in, let in.
async fn paired_remote(store: &Store, device: &str) {
    let request = connect(store, device, false).await.unwrap_err();
    store.approve(Caller::owner(), request).await.unwrap().unwrap();
    connect(store, device, false).await.unwrap();
}

#[tokio::test]
async fn a_change_on_disk_is_seen_by_the_next_operation() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::JsonReread, dir.path());
    paired_remote(&store, "a").await;
    paired_remote(&store, "b").await;
    let good = text(&paired(dir.path()));
    // Renamed over, in place, removed, and put back.
    let mut fewer: Value = serde_json::from_str(&good).unwrap();
    fewer.as_object_mut().unwrap().remove("a");
    let aside = dir.path().join("aside");
    std::fs::write(&aside, fewer.to_string()).unwrap();
    std::fs::rename(&aside, paired(dir.path())).unwrap();
    assert!(connect(&store, "a", false).await.is_err());
    assert!(connect(&store, "b", false).await.is_ok());
    assert_eq!(store.list(Caller::owner()).await.unwrap().paired.len(), 1);
    std::fs::write(paired(dir.path()), &good).unwrap();
    assert!(connect(&store, "a", false).await.is_ok());
    std::fs::remove_file(paired(dir.path())).unwrap();
    assert_eq!(store.list(Caller::owner()).await.unwrap().paired.len(), 0);
    std::fs::write(paired(dir.path()), &good).unwrap();
    assert!(connect(&store, "a", false).await.is_ok());
    // A request is taken from under an operator.
    let request = connect(&store, "c", false).await.unwrap_err();
    std::fs::write(dir.path().join("devices/pending.json"), "{}").unwrap();
    assert_eq!(
        store.approve(Caller::owner(), request).await.unwrap().unwrap_err().message,
        "unknown requestId"
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn edits_of_the_same_size_within_a_tick_are_told_apart_by_the_inode() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::JsonReread, dir.path());
    paired_remote(&store, "a").await;
    let good = text(&paired(dir.path()));
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.size(), metadata.modified().unwrap())
    };
    let bad = good.replace("key of a", "yek of a");
    let before = stamp(&paired(dir.path()));
    let aside = dir.path().join("aside");
    std::fs::write(&aside, &bad).unwrap();
    std::fs::File::options().write(true).open(&aside).unwrap().set_modified(before.1).unwrap();
    std::fs::rename(&aside, paired(dir.path())).unwrap();
    assert_eq!(stamp(&paired(dir.path())), before, "only the inode is another one");
    assert!(connect(&store, "a", false).await.is_err());
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_parsed_is_empty_and_the_next_change_overwrites_it() {
    for broken in ["{\"a\": {\"publicKey\": \"key of a\", \"tok", "", "null", "[]", "\u{feff}{}", "{} {}"] {
        let dir = tempfile::tempdir().unwrap();
        let store = start(StoreKind::JsonReread, dir.path());
        paired_remote(&store, "a").await;
        let good = text(&paired(dir.path()));
        let first = connect(&store, "b", false).await.unwrap_err();
        std::fs::write(paired(dir.path()), broken).unwrap();
        assert_eq!(store.list(Caller::owner()).await.unwrap().paired.len(), 0, "{broken}");
        assert_eq!(text(&paired(dir.path())), broken, "looking at it leaves it");
        let again = connect(&store, "a", false).await.unwrap_err();
        assert_eq!(text(&paired(dir.path())), "{}", "{broken}: the pairings are lost");
        assert_eq!(connect(&store, "b", false).await.unwrap_err(), first, "requests are kept");
        std::fs::write(paired(dir.path()), good).unwrap();
        assert!(connect(&store, "a", false).await.is_ok(), "{again}");
        store.close().await.unwrap();
    }
    // At start the same.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("devices")).unwrap();
    std::fs::write(paired(dir.path()), "{\"cut").unwrap();
    assert_eq!(load(StoreKind::JsonReread, dir.path()).unwrap().state().devices(), 0);
    assert!(matches!(load(StoreKind::JsonLoaded, dir.path()), Err(LoadError::Parse { .. })));
}

#[tokio::test]
async fn rows_of_a_strange_shape_are_kept_and_the_others_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::JsonReread, dir.path());
    paired_remote(&store, "a").await;
    let mut rows: Value = serde_json::from_str(&text(&paired(dir.path()))).unwrap();
    rows["strange"] = json!({"publicKey": 5});
    rows["b"] = Value::Null;
    std::fs::write(paired(dir.path()), rows.to_string()).unwrap();
    assert!(connect(&store, "a", false).await.is_ok());
    paired_remote(&store, "b").await;
    let after: Value = serde_json::from_str(&text(&paired(dir.path()))).unwrap();
    assert_eq!(after["strange"], json!({"publicKey": 5}));
    assert_eq!(after["b"]["publicKey"], "key of b");
    assert_eq!(after.as_object().unwrap().len(), 3);
    store.close().await.unwrap();
}

#[tokio::test]
async fn files_look_as_the_releases_write_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::JsonReread, dir.path());
    connect(&store, "a", false).await.unwrap_err();
    // Both are written by every change, and end with the brace.
    assert_eq!(text(&paired(dir.path())), "{}");
    paired_remote(&store, "a").await;
    for name in ["paired.json", "pending.json"] {
        let path = dir.path().join("devices").join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!text(&path).ends_with('\n'));
    }
    let as_written: Box<serde_json::value::RawValue> =
        serde_json::from_str(&text(&paired(dir.path()))).unwrap();
    assert_eq!(text(&paired(dir.path())), serde_json::to_string_pretty(&as_written).unwrap());
    // The folder is made again if it has gone.
    std::fs::remove_dir_all(dir.path().join("devices")).unwrap();
    connect(&store, "b", false).await.unwrap_err();
    assert_eq!(text(&paired(dir.path())), "{}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn lazy_notes_are_written_soon_and_survive_another_programs_edit() {
    for kind in [StoreKind::JsonReread, StoreKind::Sqlite] {
        let dir = tempfile::tempdir().unwrap();
        let mut core = load(kind, dir.path()).unwrap();
        core.enter().unwrap();
        let request = core.admit(&attempt("a", false)).0.unwrap_err().request_id().unwrap().to_owned();
        core.commit().unwrap();
        core.enter().unwrap();
        core.approve(&Caller::owner(), &request).unwrap();
        core.commit().unwrap();
        let used = gateway_under_test::store::Touched {
            tokens: [("operator".to_owned(), 7)].into(),
            ..Default::default()
        };
        core.touch([("a".into(), used)]);
        edit_scopes(kind, dir.path(), "a", "operator.write");
        assert!(core.enter().unwrap().read_again.is_some(), "the edit is seen");
        core.flush().unwrap();
        let again = load(kind, dir.path()).unwrap();
        let record = again.state().get("a").unwrap();
        let entry = record.entry.as_ref().unwrap().value();
        assert_eq!(entry.scopes(), ["operator.write"]);
        assert_eq!(entry.tokens["operator"].last_used_at_ms, Some(7));
    }
}

/// A database that refuses as often as it is told to, and says when it has written.
#[derive(Debug)]
struct Refusing {
    database: Box<dyn Backend>,
    refusals: Arc<AtomicUsize>,
    wrote: mpsc::Sender<()>,
}

impl Backend for Refusing {
    fn prepare(&self, alone: bool) -> Result<(), LoadError> {
        self.database.prepare(alone)
    }

    fn read(&mut self) -> Result<Contents, LoadError> {
        self.database.read()
    }

    fn enter(&mut self) -> Result<Standing, StoreError> {
        let less = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Err(StoreError::Write { path: "x".into(), message: "no".to_owned() });
        }
        self.database.enter()
    }

    fn write(&mut self, changes: &Changes<'_>, state: &State) -> Result<Commit, StoreError> {
        let commit = self.database.write(changes, state)?;
        self.wrote.send(()).unwrap();
        Ok(commit)
    }

    fn leave(&mut self) {
        self.database.leave();
    }

    fn probe(&self) -> Option<Arc<dyn Probe>> {
        self.database.probe()
    }

    fn vouch(&mut self) {
        self.database.vouch();
    }
}

#[tokio::test]
async fn lazy_notes_are_tried_again_without_anything_else_to_write() {
    let dir = tempfile::tempdir().unwrap();
    seen_long_ago(dir.path()).await;
    let refusals = Arc::new(AtomicUsize::new(0));
    let (wrote, written) = mpsc::channel();
    let database = backend::open(StoreKind::Sqlite, dir.path()).unwrap();
    let backend = Refusing { database, refusals: Arc::clone(&refusals), wrote };
    let rules = rules(StoreKind::Sqlite);
    let core =
        Core::load(Box::new(backend), Arc::clone(&rules), Box::new(now_ms), Box::new(Counter::default()))
            .unwrap();
    let store = Store::start(core, rules, Nobody).unwrap();
    refusals.store(1, Ordering::Relaxed);
    connect(&store, "a", false).await.unwrap();
    written.recv_timeout(Duration::from_secs(60)).expect("the note is never written");
    assert_eq!(refusals.load(Ordering::Relaxed), 0, "nothing was refused");
    assert!(one::<i64>(&self::database(dir.path()), "SELECT last_seen_at_ms FROM device_pairing_paired") > 1);
    store.close().await.unwrap();
}

/// Replaces the scopes of a device behind the gateway's back.
fn edit_scopes(kind: StoreKind, dir: &Path, device: &str, scope: &str) {
    if kind == StoreKind::Sqlite {
        let sql =
            "UPDATE device_pairing_paired SET scopes_json = ?, approved_scopes_json = ? WHERE device_id = ?";
        let scopes = json!([scope]).to_string();
        assert_eq!(database(dir).execute(sql, [&scopes, &scopes, device]).unwrap(), 1);
    } else {
        let mut rows: Value = serde_json::from_str(&text(&paired(dir))).unwrap();
        rows[device]["scopes"] = json!([scope]);
        rows[device]["approvedScopes"] = json!([scope]);
        std::fs::write(paired(dir), rows.to_string()).unwrap();
    }
}

/// Makes a database with one device that was let in long ago; gives its token.
async fn seen_long_ago(dir: &Path) -> String {
    let store = start(StoreKind::Sqlite, dir);
    let request = connect(&store, "a", false).await.unwrap_err();
    store.approve(Caller::owner(), request).await.unwrap().unwrap();
    let accepted = store.admit(attempt("a", false)).await.unwrap().unwrap();
    // What is noted is written first.
    store.close().await.unwrap();
    let sql = "UPDATE device_pairing_paired SET last_seen_at_ms = 1, last_seen_reason = 'x'";
    assert_eq!(database(dir).execute(sql, []).unwrap(), 1);
    accepted.auth.unwrap().device_token.unwrap()
}

#[tokio::test]
async fn who_comes_again_unchanged_is_written_down_lazily() {
    let dir = tempfile::tempdir().unwrap();
    let token = seen_long_ago(dir.path()).await;
    let store = start(StoreKind::Sqlite, dir.path());
    let before = store.list(Caller::owner()).await.unwrap();
    assert_eq!(before.paired[0].more["lastSeenAtMs"], 1);
    let from_ms = now_ms();
    let by_token = AuthParams { device_token: Some(token), ..AuthParams::default() };
    let by_token = Arc::new(attempt_by(StoreKind::Sqlite, "a", false, by_token));
    for _ in 0..2 {
        store.admit(Arc::clone(&by_token)).await.unwrap().unwrap();
    }
    let listed = store.list(Caller::owner()).await.unwrap();
    let seen_ms = listed.paired[0].more["lastSeenAtMs"].as_u64().unwrap();
    assert!((from_ms..=now_ms()).contains(&seen_ms), "{seen_ms} is not since {from_ms}");
    assert_eq!(listed.paired[0].more["lastSeenReason"], "connect");
    store.close().await.unwrap();
    let database = database(dir.path());
    let query = "SELECT last_seen_at_ms FROM device_pairing_paired";
    assert_eq!(one::<i64>(&database, query), i64::try_from(seen_ms).unwrap());
    assert_eq!(one::<String>(&database, "SELECT last_seen_reason FROM device_pairing_paired"), "connect");
    let tokens: Value =
        serde_json::from_str(&one::<String>(&database, "SELECT tokens_json FROM device_pairing_paired"))
            .unwrap();
    assert_eq!(tokens["operator"]["lastUsedAtMs"], seen_ms);
}

#[tokio::test]
async fn the_database_has_the_real_shape() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::Sqlite, dir.path());
    paired_remote(&store, "a").await;
    connect(&store, "b", false).await.unwrap_err();
    let connection = database(dir.path());
    assert_eq!(one::<String>(&connection, "PRAGMA journal_mode"), "wal");
    assert_eq!(one::<i64>(&connection, "PRAGMA auto_vacuum"), 2);
    for (query, value) in [
        ("SELECT public_key FROM device_pairing_paired", "key of a"),
        ("SELECT roles_json FROM device_pairing_paired", "[\"operator\"]"),
        ("SELECT scopes_json FROM device_pairing_paired", "[\"operator.read\"]"),
        ("SELECT remote_ip FROM device_pairing_paired", "203.0.113.7"),
        ("SELECT device_id FROM device_pairing_pending", "b"),
        ("SELECT platform FROM device_pairing_pending", "linux"),
    ] {
        assert_eq!(one::<String>(&connection, query), value, "{query}");
    }
    let tokens: Value =
        serde_json::from_str(&one::<String>(&connection, "SELECT tokens_json FROM device_pairing_paired"))
            .unwrap();
    assert_eq!(tokens["operator"]["role"], "operator");
    assert_eq!(one::<i64>(&connection, "SELECT silent + is_repair FROM device_pairing_pending"), 0);
    for (path, mode) in
        [("state", 0o700), ("state/openclaw.sqlite", 0o600), ("state/openclaw.sqlite-wal", 0o600)]
    {
        let held = std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(held, mode, "{path}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_row_that_another_process_changes_is_seen_by_the_next_operation() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::Sqlite, dir.path());
    paired_remote(&store, "a").await;
    paired_remote(&store, "b").await;
    let other = database(dir.path());
    for _ in 0..3 {
        let row = "CREATE TEMP TABLE kept AS SELECT * FROM device_pairing_paired WHERE device_id = 'a'";
        other.execute_batch(row).unwrap();
        other.execute("DELETE FROM device_pairing_paired WHERE device_id = 'a'", []).unwrap();
        assert!(connect(&store, "a", false).await.is_err());
        assert!(connect(&store, "b", false).await.is_ok());
        other.execute_batch("INSERT INTO device_pairing_paired SELECT * FROM kept; DROP TABLE kept").unwrap();
        assert!(connect(&store, "a", false).await.is_ok());
    }
    // Nor is what it writes lost by a change of ours to another device.
    edit_scopes(StoreKind::Sqlite, dir.path(), "a", "operator.write");
    connect(&store, "c", false).await.unwrap_err();
    let scopes = "SELECT scopes_json FROM device_pairing_paired WHERE device_id = 'a'";
    assert_eq!(one::<String>(&other, scopes), "[\"operator.write\"]");
    // A stray file of an older release is ignored while it runs.
    std::fs::create_dir_all(dir.path().join("devices")).unwrap();
    std::fs::write(paired(dir.path()), "{\"cut").unwrap();
    assert!(connect(&store, "b", false).await.is_ok());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_column_that_holds_no_json_fails_operations_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(StoreKind::Sqlite, dir.path());
    paired_remote(&store, "a").await;
    let other = database(dir.path());
    let scopes: String = one(&other, "SELECT scopes_json FROM device_pairing_paired");
    other.execute("UPDATE device_pairing_paired SET scopes_json = '[\"secr'", []).unwrap();
    let again = start(StoreKind::Sqlite, dir.path());
    for store in [&store, &again] {
        let error = store.admit(attempt("a", false)).await.unwrap_err();
        assert!(matches!(error, StoreError::Load(_)), "{error}");
        assert!(!error.to_string().contains("secr"), "{error}");
    }
    other.execute("UPDATE device_pairing_paired SET scopes_json = ?", [scopes]).unwrap();
    assert!(connect(&store, "a", false).await.is_ok());
    assert!(connect(&again, "a", false).await.is_ok());
    again.close().await.unwrap();
    store.close().await.unwrap();
}

/// A device as 2026.2.19 writes it.
fn old_device(device: &str) -> Value {
    json!({
        "deviceId": device, "publicKey": format!("key of {device}"), "platform": "linux", "clientId": "cli",
        "clientMode": "cli", "role": "operator", "roles": ["operator"], "scopes": ["operator.read"],
        "tokens": {"operator": {"token": "old token", "role": "operator", "scopes": ["operator.read"], "createdAtMs": 1}},
        "createdAtMs": 1, "approvedAtMs": 1,
    })
}

fn older(dir: &Path, paired_text: &str) {
    std::fs::create_dir_all(dir.join("devices")).unwrap();
    std::fs::write(paired(dir), paired_text).unwrap();
    let request = json!({"r": {"requestId": "r", "deviceId": "c", "publicKey": "key of c", "ts": now_ms()}});
    std::fs::write(dir.join("devices/pending.json"), request.to_string()).unwrap();
}

#[test]
fn an_older_releases_devices_are_taken_over_and_its_requests_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let rows = json!({"a": old_device("a"), "nothing": null, "bad": {"publicKey": "k"}});
    older(dir.path(), &rows.to_string());
    let core = load(StoreKind::Sqlite, dir.path()).unwrap();
    let token = |device: &str| {
        let entry = core.state().get(device)?.entry.clone()?;
        Some(entry.value().tokens.get("operator")?.token.clone())
    };
    assert_eq!(token("a").as_deref(), Some("old token"));
    assert_eq!((core.state().devices(), core.state().pending()), (1, 0));
    let mut names: Vec<_> = std::fs::read_dir(dir.path().join("devices"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["paired.json.migrated", "pending.json.migrated"]);
    drop(core);
    assert_eq!(load(StoreKind::Sqlite, dir.path()).unwrap().state().devices(), 1);
    // Later ones, of whatever form, are left where they are.
    for later in [json!({"a": old_device("b"), "c": old_device("c")}).to_string(), "{\"cut".to_owned()] {
        older(dir.path(), &later);
        let core = load(StoreKind::Sqlite, dir.path()).unwrap();
        assert_eq!((core.state().devices(), core.state().pending()), (1, 0));
        assert_eq!(text(&paired(dir.path())), later);
        assert_eq!(backend::ignored_files(StoreKind::Sqlite, dir.path()).len(), 2);
        assert_eq!(backend::ignored_files(StoreKind::JsonReread, dir.path()).len(), 0);
    }
}

#[test]
fn what_cannot_be_taken_over_stops_the_start_and_is_not_touched() {
    for broken in ["{\"a\": {\"publicKey\": \"secr", "", " \n"] {
        let dir = tempfile::tempdir().unwrap();
        older(dir.path(), broken);
        let error = load(StoreKind::Sqlite, dir.path()).unwrap_err();
        assert!(matches!(error, LoadError::Parse { .. }), "{error}");
        assert!(!error.to_string().contains("secr"), "{error}");
        assert_eq!(text(&paired(dir.path())), broken);
        assert!(dir.path().join("devices/pending.json").exists() && !dir.path().join("state").exists());
    }
    for other in ["[]", "null"] {
        let dir = tempfile::tempdir().unwrap();
        older(dir.path(), other);
        assert_eq!(load(StoreKind::Sqlite, dir.path()).unwrap().state().devices(), 0);
        assert!(!paired(dir.path()).exists());
    }
    let garbage =
        "this is no database, and long enough to be taken for the header of one by nobody ".repeat(20);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/openclaw.sqlite"), &garbage).unwrap();
    older(dir.path(), &json!({"a": old_device("a")}).to_string());
    let error = load(StoreKind::Sqlite, dir.path()).unwrap_err();
    assert!(matches!(error, LoadError::Parse { .. }), "{error}");
    assert_eq!(text(&dir.path().join("state/openclaw.sqlite")), garbage);
    assert!(paired(dir.path()).exists());
    assert_eq!(std::fs::read_dir(dir.path().join("state")).unwrap().count(), 1);
    // Of a later release.
    let dir = tempfile::tempdir().unwrap();
    drop(load(StoreKind::Sqlite, dir.path()).unwrap());
    database(dir.path()).execute_batch("PRAGMA user_version = 19").unwrap();
    assert!(matches!(load(StoreKind::Sqlite, dir.path()), Err(LoadError::Parse { .. })));
}

#[test]
fn a_commit_that_fails_changes_nothing_in_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load(StoreKind::Sqlite, dir.path()).unwrap();
    core.enter().unwrap();
    let request = core.admit(&attempt("a", false)).0.unwrap_err().request_id().unwrap().to_owned();
    core.commit().unwrap();
    // Somebody forbids what is to be written.
    let other = database(dir.path());
    let forbid =
        "CREATE TRIGGER no BEFORE DELETE ON device_pairing_pending BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(forbid).unwrap();
    core.enter().unwrap();
    core.approve(&Caller::owner(), &request).unwrap();
    assert!(matches!(core.commit(), Err(StoreError::Write { .. })));
    assert_eq!((core.state().devices(), core.state().pending()), (0, 1));
    assert_eq!(one::<i64>(&other, "SELECT count(*) FROM device_pairing_paired"), 0);
    other.execute_batch("DROP TRIGGER no").unwrap();
    core.enter().unwrap();
    core.approve(&Caller::owner(), &request).unwrap();
    core.commit().unwrap();
    assert_eq!(one::<i64>(&other, "SELECT count(*) FROM device_pairing_paired"), 1);
    assert_eq!(one::<i64>(&other, "SELECT count(*) FROM device_pairing_pending"), 0);
}

#[tokio::test]
async fn everything_acknowledged_is_there_for_whoever_reads_it() {
    for kind in [StoreKind::JsonReread, StoreKind::Sqlite] {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(start(kind, dir.path()));
        let mut asks = tokio::task::JoinSet::new();
        for number in 0..32 {
            let (store, dir) = (Arc::clone(&store), dir.path().to_owned());
            asks.spawn(async move {
                let device = format!("{number:02x}");
                let request = connect(&store, &device, false).await.unwrap_err();
                store.approve(Caller::owner(), request).await.unwrap().unwrap();
                // Another reader, as after a SIGKILL at this moment.
                let is_there = if kind == StoreKind::Sqlite {
                    let query =
                        format!("SELECT count(*) FROM device_pairing_paired WHERE device_id = '{device}'");
                    one::<i64>(&database(&dir), &query) == 1
                } else {
                    serde_json::from_str::<Value>(&text(&paired(&dir))).unwrap().get(&device).is_some()
                };
                assert!(is_there, "{kind:?} {device}");
            });
        }
        while let Some(asked) = asks.join_next().await {
            asked.unwrap();
        }
        store.close().await.unwrap();
        assert_eq!(load(kind, dir.path()).unwrap().state().devices(), 32);
    }
}

/// Keeps what it is told of batches and loads.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<(Vec<Duration>, Vec<Load>)>>);

impl Observer for Times {
    fn events(&self, _: Vec<PairingEvent>) {}

    fn committed(&self, _: usize, _: f64) {}

    fn began(&self, lock: Duration, waits: &[Duration]) {
        assert!(waits.iter().all(|wait| *wait >= lock), "the lock is part of each wait");
        self.0.lock().unwrap().0.extend(waits);
    }

    fn loaded(&self, load: &Load) {
        self.0.lock().unwrap().1.push(*load);
    }

    fn failed(&self, _: &StoreError) {}
}

#[tokio::test]
async fn a_job_waits_for_a_writer_beside_it_and_reading_again_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let times = Times::default();
    let core = load(StoreKind::Sqlite, dir.path()).unwrap();
    let store = Store::start(core, rules(StoreKind::Sqlite), times.clone()).unwrap();
    paired_remote(&store, "a").await;
    times.0.lock().unwrap().0.clear();
    let other = database(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut listed = std::pin::pin!(store.list(Caller::owner()));
    // Polled once, the job is with the store's thread, which cannot begin until the other writer is done.
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(listed.as_mut().poll(&mut nobody).is_pending());
    let watch = gateway_under_test::clock::Stopwatch::start();
    for label in 0..100 {
        other.execute("UPDATE device_pairing_paired SET operator_label = ?", [label.to_string()]).unwrap();
    }
    let held = watch.elapsed();
    other.execute_batch("COMMIT").unwrap();
    listed.await.unwrap();
    store.reload().await.unwrap();
    let (waits, loads) = times.0.lock().unwrap().clone();
    assert_eq!(waits.len(), 1);
    assert!(waits[0] >= held, "{waits:?} {held:?}");
    let seen: Vec<_> = loads.iter().map(|load| (load.when, load.devices)).collect();
    assert_eq!(seen, [(LoadWhen::Changed, 1), (LoadWhen::Reload, 1)]);
    store.close().await.unwrap();
}

#[test]
fn a_request_that_is_asked_again_outlives_its_first_ask() {
    let dir = tempfile::tempdir().unwrap();
    let time = Arc::new(AtomicU64::new(now_ms()));
    let clock = Arc::clone(&time);
    let backend = backend::open(StoreKind::Sqlite, dir.path()).unwrap();
    backend.prepare(true).unwrap();
    let clock = Box::new(move || clock.load(Ordering::Relaxed));
    let mut core =
        Core::load(backend, rules(StoreKind::Sqlite), clock, Box::new(Counter::default())).unwrap();
    let mut ask = |device: &str, later_ms: u64| {
        time.fetch_add(later_ms, Ordering::Relaxed);
        let auth = AuthParams { token: Some("shared".to_owned()), ..AuthParams::default() };
        core.expire();
        let refusal = core.admit(&attempt_by(StoreKind::Sqlite, device, false, auth)).0.unwrap_err();
        refusal.request_id().unwrap().to_owned()
    };
    let (first, once) = (ask("a", 0), ask("b", 0));
    assert_eq!(ask("a", 200_000), first);
    // Six and a half minutes after the first ask, three after the latest.
    assert_eq!(ask("a", 190_000), first);
    assert_ne!(ask("b", 0), once, "who asked once is gone");
}
