//! The power is cut after every system call of the real binary, and a gateway started on what the disk may then hold.
//!
//! What is found must be something that the store has held since it last answered: all that was answered is in it, and
//! nothing is half there. Lazy notes are looked through, since nobody's answer waits for them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use gateway_under_test::clock::{OsFresh, wall_ms};
use gateway_under_test::config::{AuthConfig, Secret};
use gateway_under_test::policy::Rules;
use gateway_under_test::profile;
use gateway_under_test::store::{Core, backend};
use protocol::ProfileName;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::model::{Image, Model, Step};
use crate::support::{Connection, Device, State, Way};
use crate::tracer::{Did, Trace, Traced};

/// States of the disk that are looked at for one moment, at most.
const STATES: usize = 48;
const PROFILES: [ProfileName; 3] = [ProfileName::Article, ProfileName::V2026_3_13, ProfileName::V2026_9_6];

/// What is in a store: devices and requests, without what is written lazily.
#[derive(Debug, Clone, Default, PartialEq)]
struct Contents {
    paired: Value,
    pending: Value,
}

fn contents(core: &Core) -> Contents {
    let without = |mut value: Value, keys: &[&str]| {
        for key in keys {
            value.as_object_mut().unwrap().remove(*key);
        }
        value
    };
    let mut contents = Contents { paired: json!({}), pending: json!({}) };
    for (device, record) in core.state().iter() {
        if let Some(entry) = &record.entry {
            let mut entry = without(json!(entry.value()), &["lastSeenAtMs", "lastSeenReason"]);
            if let Some(tokens) = entry["tokens"].as_object_mut() {
                tokens
                    .values_mut()
                    .for_each(|token| drop(token.as_object_mut().unwrap().remove("lastUsedAtMs")));
            }
            contents.paired[&**device] = entry;
        }
        if let Some(request) = &record.pending {
            contents.pending[&**device] = without(json!(request.value()), &["ts", "refreshedAtMs"]);
        }
    }
    contents
}

/// What gateways find on disks; each disk is looked at once.
struct Finder {
    profile: ProfileName,
    known: HashMap<u64, Result<Contents, String>>,
}

impl Finder {
    fn find(&mut self, trace: &Trace, image: &Image) -> Result<Contents, String> {
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        let profile = self.profile;
        self.known.entry(hasher.finish()).or_insert_with(|| start(profile, trace, image)).clone()
    }
}

/// Starts a gateway's store on a disk.
fn start(profile: ProfileName, trace: &Trace, image: &Image) -> Result<Contents, String> {
    // Where syncs cost nothing, if there is such a place.
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    image.write_below(&trace.root, dir.path());
    for name in ["paired.json", "pending.json"] {
        if let Some(text) = image.files.get(&trace.root.join("devices").join(name)) {
            serde_json::from_slice::<serde_json::Map<_, _>>(text)
                .map_err(|error| format!("{name} does not parse: {error}"))?;
        }
    }
    let profile = profile::ALL.iter().copied().find(|known| known.name == profile).unwrap();
    let rules = Arc::new(Rules::of(profile, AuthConfig::Token(Secret::new("x"))));
    let open = || {
        let backend = backend::open(profile.store, dir.path())?;
        let core = Core::load(backend, rules, Box::new(wall_ms), Box::new(OsFresh))?;
        core.prepare(true)?;
        Ok(contents(&core))
    };
    open().map_err(|error: gateway_under_test::store::LoadError| error.to_string())
}

/// Something that an answer says of a device.
#[derive(Debug, Clone, Copy)]
enum Fact {
    Waits,
    Paired,
    /// Neither waiting nor paired.
    Gone,
    Rotated,
    Revoked,
}

impl Fact {
    fn holds(self, contents: &Contents, device: &str) -> bool {
        let (paired, pending) = (&contents.paired[device], &contents.pending[device]);
        let token = |key: &str| !paired["tokens"]["operator"][key].is_null();
        match self {
            Self::Waits => !pending.is_null(),
            Self::Paired => !paired.is_null() && pending.is_null(),
            Self::Gone => paired.is_null() && pending.is_null(),
            Self::Rotated => token("rotatedAtMs"),
            Self::Revoked => token("revokedAtMs"),
        }
    }
}

/// A fact, the device that it is of, and what is in the message that says it.
type Said = (String, Fact, String);

/// What came of a power cut at every moment: how many states were looked at, or the first that breaks a promise.
fn hold(finder: &mut Finder, trace: &Trace, said: &[Said]) -> Result<usize, String> {
    let sent: Vec<usize> = said.iter().map(|(_, _, message)| trace.sent(message)).collect();
    let mut model = Model::from_image(&trace.root, &trace.at_start);
    let mut states = 0;
    let mut since_answer = vec![finder.find(trace, &model.all_kept())?];
    for (at, did) in trace.did.iter().enumerate() {
        let now = match did {
            Did::Step(step) => {
                model.apply(step).unwrap();
                finder.find(trace, &model.all_kept())?
            }
            Did::Send(_) if did.sends("\"type\":\"res\"") => {
                since_answer.drain(..since_answer.len() - 1);
                since_answer.last().unwrap().clone()
            }
            Did::Send(_) => continue,
        };
        if since_answer.last() != Some(&now) {
            since_answer.push(now);
        }
        for image in model.after_power_cut(STATES, at as u64) {
            states += 1;
            let broken = match finder.find(trace, &image) {
                Ok(found) if since_answer.contains(&found) => {
                    let lacks = said
                        .iter()
                        .zip(&sent)
                        .find(|((device, fact, _), sent)| **sent == at && !fact.holds(&found, device));
                    match lacks {
                        None => continue,
                        Some(((device, fact, _), _)) => format!("{device} is not {fact:?}: {found:?}"),
                    }
                }
                Ok(found) => format!("{found:?} is none of {since_answer:?}"),
                Err(error) => error,
            };
            return Err(format!("{}: cut at {at}, {}: {broken}", finder.profile, brief(did)));
        }
    }
    Ok(states)
}

fn brief(did: &Did) -> String {
    format!("{did:?}").chars().take(80).collect()
}

/// A call that must succeed, by an id of its own.
fn call(operator: &mut Connection, id: &str, method: &str, params: Value) {
    operator.send(json!({"type": "req", "id": id, "method": method, "params": params}).to_string());
    let answer = operator.response();
    assert_eq!((&answer["id"], &answer["ok"]), (&json!(id), &json!(true)), "{answer}");
}

/// Every operation once, and a clean end, which for SQLite is a checkpoint.
fn story(profile: ProfileName) -> (Trace, Vec<Said>) {
    let mut state = State::of(profile);
    let traced = Traced::start(&mut state, None, &[]);
    let mut said: Vec<Said> = Vec::new();
    let device = |seed| Device::new(seed).of(profile);
    let mut operator = traced.gateway.operator_of(profile);
    said.push((device(250).id(), Fact::Paired, "\"hello-ok\"".to_owned()));
    let ask = |said: &mut Vec<Said>, seed| {
        let (error, _) = traced.gateway.refused(&Way::remote("203.0.113.7"), &device(seed));
        let request = error["details"]["requestId"].as_str().unwrap().to_owned();
        said.push((device(seed).id(), Fact::Waits, request.clone()));
        json!({"requestId": request})
    };
    let mut act = |said: &mut Vec<Said>, seed, fact, method: &str, params| {
        let id = format!("act-{}", said.len());
        call(&mut operator, &id, method, params);
        said.push((device(seed).id(), fact, format!("\"id\":\"{id}\"")));
    };
    let token = |seed| json!({"deviceId": device(seed).id(), "role": "operator"});
    let (first, second, third) = (ask(&mut said, 1), ask(&mut said, 2), ask(&mut said, 3));
    act(&mut said, 1, Fact::Paired, "device.pair.approve", first);
    act(&mut said, 2, Fact::Gone, "device.pair.reject", second);
    act(&mut said, 3, Fact::Paired, "device.pair.approve", third);
    act(&mut said, 1, Fact::Rotated, "device.token.rotate", token(1));
    act(&mut said, 3, Fact::Revoked, "device.token.revoke", token(3));
    act(&mut said, 1, Fact::Gone, "device.pair.remove", json!({"deviceId": device(1).id()}));
    act(&mut said, 3, Fact::Revoked, "device.pair.list", json!({}));
    (traced.end(Signal::TERM), said)
}

/// The same, on a disk that does not do some of what it was told.
fn without(trace: &Trace, is_skipped: impl Fn(usize, &Did) -> bool) -> Trace {
    let did = trace.did.iter().enumerate().filter(|(at, did)| !is_skipped(*at, did));
    Trace { did: did.map(|(_, did)| did.clone()).collect(), ..trace.clone() }
}

#[test]
fn what_was_answered_survives_a_power_cut_and_a_skipped_sync_does_not() {
    for profile in PROFILES {
        let (trace, said) = story(profile);
        let mut finder = Finder { profile, known: HashMap::new() };
        let states = hold(&mut finder, &trace, &said).unwrap();
        assert!(states > 100, "{profile}: {states}");
        let (first, last) = (trace.sent(&said[0].2), trace.sent(&said[said.len() - 1].2));
        let mut found = 0;
        for (skipped, did) in trace.did.iter().enumerate() {
            if !did.is_sync() || !(first..last).contains(&skipped) {
                continue;
            }
            // What the JSON files may lose without anybody's noticing is in `tests/power`.
            let must_be_found = matches!(did, Did::Step(Step::SyncFile(_)));
            let looked = hold(&mut finder, &without(&trace, |at, _| at == skipped), &said);
            assert!(looked.is_err() || !must_be_found, "{profile}: nobody misses {did:?} at {skipped}");
            found += usize::from(looked.is_err());
        }
        println!(
            "{profile}: {states} states, {} disks, {found} syncs each of which is missed",
            finder.known.len()
        );
        assert!(found >= 8, "{profile}: {found}");
    }
}

/// A device of an older release comes in with the new database, or the next start brings it in; and once it is removed it
/// stays so, though its file may be back.
#[test]
fn what_an_older_release_left_comes_in_and_does_not_come_back() {
    let (old, new) = (ProfileName::V2026_3_13, ProfileName::V2026_9_6);
    let device = Device::new(1);
    let older = State::of(old);
    let gateway = older.start();
    gateway.session(&Way::local(), &device.clone().of(old));
    gateway.kill();
    let mut state = State::of(new);
    state.write("devices/paired.json", &older.json("devices/paired.json").to_string());
    let traced = Traced::start(&mut state, None, &[]);
    let mut operator = traced.gateway.operator_of(new);
    call(&mut operator, "the-removal", "device.pair.remove", json!({"deviceId": device.id()}));
    let trace = traced.end(Signal::KILL);
    let said = [
        (device.id(), Fact::Paired, "\"hello-ok\"".to_owned()),
        (device.id(), Fact::Gone, "\"id\":\"the-removal\"".to_owned()),
    ];
    let mut finder = Finder { profile: new, known: HashMap::new() };
    hold(&mut finder, &trace, &said).unwrap();
    let forgetful = without(&trace, |_, did| matches!(did, Did::Step(Step::SyncFile(_))));
    hold(&mut finder, &forgetful, &said).unwrap_err();
}
