//! The store of `article`: shapes, durability, rollback, scale.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gateway_under_test::policy::{Caller, DeviceAttempt, DeviceEntry, PairingEvent, Place, Rules};
use gateway_under_test::profile::ARTICLE;
use gateway_under_test::store::backend;
use gateway_under_test::store::{Core, LoadError, Observer, Store, StoreError, Touched};
use serde_json::{Value, json};

use crate::fixture::{self, Counter, Nobody};

const PAIRED: &str = include_str!("../fixtures/paired.json");
const PENDING: &str = include_str!("../fixtures/pending.json");
/// Between the times in the fixtures and the age at which their request is gone.
const NOW: u64 = 1_795_415_215_297 + 1_000;

fn rules() -> Arc<Rules> {
    fixture::rules_of(&ARTICLE)
}

fn load_at(dir: &Path, now_ms: u64) -> Result<Core, LoadError> {
    let backend = backend::open(ARTICLE.store, dir)?;
    backend.prepare(true).unwrap();
    Core::load(backend, rules(), Box::new(move || now_ms), Box::new(Counter::default()))
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(dir.join("devices")).unwrap();
    std::fs::write(dir.join("devices").join(name), text).unwrap();
}

fn read(dir: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("devices").join(name)).unwrap()).unwrap()
}

fn attempt(device: &str, local: bool) -> DeviceAttempt {
    fixture::attempt(&rules(), device, if local { Place::Local } else { Place::Remote })
}

#[test]
fn real_files_survive_a_round_trip_with_keys_nobody_knows() {
    let dir = tempfile::tempdir().unwrap();
    let mut paired: Value = serde_json::from_str(PAIRED).unwrap();
    let mut pending: Value = serde_json::from_str(PENDING).unwrap();
    for entry in paired.as_object_mut().unwrap().values_mut() {
        entry["approvedVia"] = json!("owner");
        entry["tokens"]["operator"]["more"] = json!([1, {"x": null}]);
    }
    for request in pending.as_object_mut().unwrap().values_mut() {
        request["browserOrigin"] = json!("https://x");
    }
    write(dir.path(), "paired.json", &paired.to_string());
    write(dir.path(), "pending.json", &pending.to_string());
    let mut core = load_at(dir.path(), NOW).unwrap();
    assert_eq!((core.state().devices(), core.state().pending()), (1, 1));
    // A change of another device rewrites both files.
    core.admit(&attempt("a", false)).0.unwrap_err();
    core.admit(&attempt("b", true)).0.unwrap();
    core.commit().unwrap();
    let (after_paired, after_pending) = (read(dir.path(), "paired.json"), read(dir.path(), "pending.json"));
    assert_eq!((after_paired.as_object().unwrap().len(), after_pending.as_object().unwrap().len()), (2, 2));
    for (before, after) in [(&paired, &after_paired), (&pending, &after_pending)] {
        for (key, value) in before.as_object().unwrap() {
            assert_eq!(&after[key], value);
        }
    }
    let text = std::fs::read_to_string(dir.path().join("devices/paired.json")).unwrap();
    assert_eq!(text, format!("{}\n", serde_json::to_string_pretty(&as_written(&text)).unwrap()));
}

/// The file as a value that keeps the order of its keys.
fn as_written(text: &str) -> Box<serde_json::value::RawValue> {
    serde_json::from_str(text.trim_end()).unwrap()
}

#[test]
fn a_request_of_the_fixture_can_be_approved() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "paired.json", PAIRED);
    write(dir.path(), "pending.json", PENDING);
    let pending: Value = serde_json::from_str(PENDING).unwrap();
    let (request_id, request) = pending.as_object().unwrap().iter().next().unwrap();
    let device_id = request["deviceId"].as_str().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    let result = core.approve(&Caller::owner(), request_id).unwrap();
    assert_eq!(result.device.device_id, device_id);
    core.commit().unwrap();
    let stored = &read(dir.path(), "paired.json")[device_id];
    for key in [
        "publicKey",
        "displayName",
        "platform",
        "deviceFamily",
        "clientId",
        "clientMode",
        "role",
        "roles",
        "scopes",
        "remoteIp",
    ] {
        assert_eq!(stored[key], request[key], "{key}");
    }
    assert_eq!(stored["tokens"]["operator"]["scopes"], request["scopes"]);
    assert_eq!(read(dir.path(), "pending.json"), json!({}));
    // Five minutes after it was made it would have been gone.
    write(dir.path(), "pending.json", PENDING);
    let mut late = load_at(dir.path(), request["ts"].as_u64().unwrap() + 300_000).unwrap();
    assert_eq!(late.approve(&Caller::owner(), request_id).unwrap_err().message, "unknown requestId");
    late.expire();
    assert_eq!(late.state().pending(), 0);
}

#[test]
fn only_files_that_change_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    core.admit(&attempt("a", false)).0.unwrap_err();
    let commit = core.commit().unwrap();
    assert_eq!((commit.paired, commit.pending), (false, true));
    core.admit(&attempt("b", true)).0.unwrap();
    let commit = core.commit().unwrap();
    assert_eq!((commit.paired, commit.pending), (true, false));
    core.admit(&attempt("b", true)).0.unwrap();
    assert!(!core.is_dirty(), "an accepted connect with a good token changes nothing");
    let leftovers: Vec<_> = std::fs::read_dir(dir.path().join("devices"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(leftovers, [""; 0]);
}

#[test]
fn a_failed_commit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    let request_id = core.admit(&attempt("a", false)).0.unwrap_err().request_id().unwrap().to_owned();
    core.commit().unwrap();
    core.take_events();
    let (from, to) = (dir.path().join("devices"), dir.path().join("elsewhere"));
    std::fs::rename(&from, &to).unwrap();
    core.approve(&Caller::owner(), &request_id).unwrap();
    assert!(matches!(core.commit(), Err(StoreError::Write { .. })));
    assert_eq!((core.state().devices(), core.state().pending()), (0, 1));
    assert_eq!(core.take_events(), []);
    std::fs::rename(&to, &from).unwrap();
    core.approve(&Caller::owner(), &request_id).unwrap();
    let commit = core.commit().unwrap();
    assert!(commit.paired && commit.pending);
    assert_eq!(read(dir.path(), "pending.json"), json!({}));
}

#[test]
fn a_flush_takes_a_failed_change_off_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    let request_id = core.admit(&attempt("a", false)).0.unwrap_err().request_id().unwrap().to_owned();
    core.commit().unwrap();
    // `paired.json` is replaced, and then `pending.json` cannot be.
    let pending = dir.path().join("devices/pending.json");
    std::fs::remove_file(&pending).unwrap();
    std::fs::create_dir(&pending).unwrap();
    core.approve(&Caller::owner(), &request_id).unwrap();
    assert!(matches!(core.commit(), Err(StoreError::Write { .. })));
    assert_eq!(read(dir.path(), "paired.json").as_object().unwrap().len(), 1);
    std::fs::remove_dir(&pending).unwrap();
    let commit = core.flush().unwrap();
    assert!(commit.paired && commit.pending);
    let again = load_at(dir.path(), NOW).unwrap();
    assert_eq!((again.state().devices(), again.state().pending()), (0, 1));
    assert_eq!(core.flush().unwrap(), Default::default(), "once is enough");
}

#[test]
fn a_failed_commit_keeps_what_was_noted_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    let request_id = core.admit(&attempt("a", false)).0.unwrap_err().request_id().unwrap().to_owned();
    core.commit().unwrap();
    let asked = Touched { asked: Some((request_id.clone(), NOW + 5)), ..Touched::default() };
    core.touch([("a".into(), asked)]);
    let (from, to) = (dir.path().join("devices"), dir.path().join("elsewhere"));
    std::fs::rename(&from, &to).unwrap();
    core.approve(&Caller::owner(), &request_id).unwrap();
    core.commit().unwrap_err();
    std::fs::rename(&to, &from).unwrap();
    let waiting = |core: &Core| core.state().get("a").unwrap().pending.as_ref().unwrap().value().ts;
    assert_eq!(waiting(&core), NOW + 5);
    assert_eq!(core.state().devices(), 0);
    core.flush().unwrap();
    assert_eq!(waiting(&load_at(dir.path(), NOW).unwrap()), NOW + 5);
}

#[tokio::test]
async fn a_failed_reload_keeps_lazy_notes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start(load_at(dir.path(), NOW).unwrap(), rules(), Nobody).unwrap();
    let asks = Arc::new(attempt("a", true));
    store.admit(Arc::clone(&asks)).await.unwrap().unwrap();
    store.admit(asks).await.unwrap().unwrap();
    let good = std::fs::read_to_string(dir.path().join("devices/paired.json")).unwrap();
    write(dir.path(), "paired.json", "{\"cut");
    assert!(matches!(store.reload().await, Err(StoreError::Load(_))));
    write(dir.path(), "paired.json", &good);
    store.close().await.unwrap();
    assert!(read(dir.path(), "paired.json")["a"]["tokens"]["operator"]["lastUsedAtMs"].is_u64());
}

#[test]
fn broken_files_are_refused_and_their_content_not_repeated() {
    for (name, text) in [
        ("paired.json", "{\"a\": {\"publicKey\": \"k\", \"tokens\": {\"operator\": {\"token\": \"secr"),
        ("paired.json", "{\"a\": {\"publicKey\": 5, \"tokens\": \"secret\"}}"),
        ("paired.json", "[\"secret\"]"),
        ("pending.json", "{\"a\": \"secret\"}"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), name, text);
        let error = load_at(dir.path(), NOW).unwrap_err();
        assert!(matches!(error, LoadError::Parse { .. }), "{error}");
        assert!(!error.to_string().contains("secr"), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "paired.json", " \n");
    assert_eq!(load_at(dir.path(), NOW).unwrap().state().devices(), 0);
}

/// Keeps what the store says, and what was on disk when it said so.
struct Watcher {
    dir: std::path::PathBuf,
    seen: Arc<Mutex<Vec<(PairingEvent, Value)>>>,
}

impl Observer for Watcher {
    fn events(&self, events: Vec<PairingEvent>) {
        let disk = read(&self.dir, "paired.json");
        self.seen.lock().unwrap().extend(events.into_iter().map(|event| (event, disk.clone())));
    }

    fn committed(&self, _: usize, _: f64) {}

    fn failed(&self, _: &StoreError) {}
}

#[tokio::test]
async fn nobody_is_told_before_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let core = load_at(dir.path(), NOW).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watcher = Watcher { dir: dir.path().to_owned(), seen: Arc::clone(&seen) };
    let store = Arc::new(Store::start(core, rules(), watcher).unwrap());
    // Many at once: they share commits, and each finds itself on disk and in the snapshot when it is answered.
    let mut asks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let (store, dir) = (Arc::clone(&store), dir.path().to_owned());
        asks.spawn(async move {
            let device = format!("{number:02x}");
            let accepted = store.admit(Arc::new(attempt(&device, true))).await.unwrap().unwrap();
            let stored = &read(&dir, "paired.json")[&device];
            assert_eq!(stored["tokens"]["operator"]["token"], accepted.auth.unwrap().device_token.unwrap());
            assert!(store.snapshot().get(&device).unwrap().entry.is_some());
        });
    }
    while let Some(asked) = asks.join_next().await {
        asked.unwrap();
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), 64);
    for (event, disk) in seen {
        let PairingEvent::Resolved(resolved) = event else { panic!("{event:?}") };
        assert!(disk.get(&resolved.device_id).is_some(), "an event before its change was on disk");
    }
    store.close().await.unwrap();
    assert!(matches!(store.list(Caller::owner()).await, Err(StoreError::Closed)));
}

#[test]
fn many_devices_are_loaded_and_a_snapshot_stays_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = load_at(dir.path(), NOW).unwrap();
    for number in 0..5_000_u32 {
        let entry: DeviceEntry = serde_json::from_value(json!({
            "deviceId": format!("{:08x}", number.wrapping_mul(2_654_435_761)), "publicKey": "k", "platform": "linux",
        }))
        .unwrap();
        core.seed(entry);
    }
    core.commit().unwrap();
    let snapshot = core.state().clone();
    core.remove(&Caller::owner(), "00000000").unwrap();
    assert_eq!((snapshot.devices(), core.state().devices()), (5_000, 4_999));
    assert!(snapshot.get("00000000").is_some() && core.state().get("00000000").is_none());
    let again = load_at(dir.path(), NOW).unwrap();
    let ids = |core: &gateway_under_test::store::State| {
        core.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(again.state()), ids(&snapshot));
    assert!(ids(&snapshot).is_sorted());
}
