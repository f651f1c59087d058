//! One state directory under one profile after the other, up and back down: what each takes over of the one before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gateway_under_test::clock::{OsFresh, wall_ms};
use gateway_under_test::policy::{Caller, Place, Rules};
use gateway_under_test::profile;
use gateway_under_test::store::{Core, backend};
use protocol::ProfileName::{self, Article, V2026_2_19, V2026_3_13, V2026_9_6};
use serde_json::{Value, json};

use crate::fixture;

/// A release that runs on the directory until it is dropped.
struct Release {
    core: Core,
    rules: Arc<Rules>,
}

impl Release {
    fn start(name: ProfileName, dir: &Path) -> Self {
        let profile = profile::ALL.iter().copied().find(|profile| profile.name == name).unwrap();
        let rules = fixture::rules_of(profile);
        let backend = backend::open(profile.store, dir).unwrap();
        let core = Core::load(backend, Arc::clone(&rules), Box::new(wall_ms), Box::new(OsFresh)).unwrap();
        core.prepare(true).unwrap();
        Self { core, rules }
    }

    /// A remote device connects; gives the id of the request that it is left with, or `None` if it is let in.
    fn connect(&mut self, device: &str) -> Option<String> {
        let attempt = fixture::attempt(&self.rules, device, Place::Remote);
        self.core.enter().unwrap();
        let (outcome, _) = self.core.admit(&attempt);
        self.core.commit().unwrap();
        outcome.err().map(|refusal| refusal.request_id().unwrap().to_owned())
    }

    fn approve(&mut self, request: &str) {
        self.core.enter().unwrap();
        self.core.approve(&Caller::owner(), request).unwrap();
        self.core.commit().unwrap();
    }

    /// A device that asks and is approved.
    fn pair(&mut self, device: &str) {
        let request = self.connect(device).unwrap();
        self.approve(&request);
        assert_eq!(self.connect(device), None);
    }

    fn remove(&mut self, device: &str) {
        self.core.enter().unwrap();
        self.core.remove(&Caller::owner(), device).unwrap();
        self.core.commit().unwrap();
    }

    /// Devices and their tokens.
    fn tokens(&self) -> BTreeMap<String, Value> {
        let entries = self.core.state().iter().filter_map(|(device, record)| {
            let entry = json!(record.entry.as_ref()?.value());
            Some((device.to_string(), entry["tokens"]["operator"]["token"].clone()))
        });
        entries.collect()
    }

    fn devices(&self) -> Vec<String> {
        self.tokens().into_keys().collect()
    }
}

/// What is in `devices/`.
fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("devices")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_goes_up_to_the_newest_release_and_back_down() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // The same two files, so that nothing is lost on the way, requests included.
    let mut article = Release::start(Article, dir);
    article.pair("a");
    let waiting = article.connect("b").unwrap();
    let tokens = article.tokens();
    drop(article);
    let mut older = Release::start(V2026_2_19, dir);
    assert_eq!((older.tokens(), older.connect("a")), (tokens, None));
    assert_eq!(older.connect("b").as_ref(), Some(&waiting));
    older.approve(&waiting);
    let (tokens, waiting) = (older.tokens(), older.connect("c").unwrap());
    drop(older);
    let mut newer = Release::start(V2026_3_13, dir);
    assert_eq!((newer.tokens(), newer.connect("b")), (tokens.clone(), None));
    assert_eq!(newer.connect("c").as_ref(), Some(&waiting));
    drop(newer);

    // To the database: devices and tokens are taken over, requests are not, and the files are put away.
    let mut newest = Release::start(V2026_9_6, dir);
    assert_eq!(newest.tokens(), tokens);
    assert_eq!(newest.core.state().pending(), 0);
    assert_eq!(files(dir), ["paired.json.migrated", "pending.json.migrated"]);
    assert_ne!(newest.connect("c"), Some(waiting));
    newest.remove("a");
    newest.pair("d");
    let tokens = newest.tokens();
    assert_eq!(newest.devices(), ["b", "d"]);
    drop(newest);

    // Back down: the older release looks for files that are not there any more, and knows nobody.
    let mut back = Release::start(V2026_3_13, dir);
    assert_eq!((back.devices(), back.core.state().pending()), (Vec::new(), 0));
    assert!(back.connect("d").is_some());
    back.pair("b");
    back.pair("e");
    assert_ne!(back.tokens()["b"], tokens["b"]);
    drop(back);
    let mut bottom = Release::start(Article, dir);
    assert_eq!((bottom.devices(), bottom.connect("e")), (vec!["b".to_owned(), "e".to_owned()], None));
    drop(bottom);

    // And up again: the database is as it was, and what was paired meanwhile is known to nobody.
    let mut again = Release::start(V2026_9_6, dir);
    assert_eq!(again.tokens(), tokens);
    assert!(again.connect("e").is_some());
    let both = ["paired.json", "paired.json.migrated", "pending.json", "pending.json.migrated"];
    assert_eq!(files(dir), both, "files of that time are left where they are");
}

/// The way back that an operator has: the files that were put away, as they were at the upgrade.
#[test]
fn files_that_were_put_away_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut older = Release::start(V2026_3_13, dir);
    older.pair("a");
    let tokens = older.tokens();
    drop(older);
    let mut newest = Release::start(V2026_9_6, dir);
    newest.pair("b");
    drop(newest);
    for name in ["paired.json", "pending.json"] {
        let path = dir.join("devices").join(name);
        std::fs::rename(path.with_extension("json.migrated"), path).unwrap();
    }
    let mut back = Release::start(V2026_3_13, dir);
    assert_eq!(back.tokens(), tokens);
    assert_eq!(back.connect("a"), None);
    assert!(back.connect("b").is_some(), "it was paired after the upgrade");
}
