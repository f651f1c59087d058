//! A story with every operation of a store, and what is in the store after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_under_test::policy::{Caller, Place};
use gateway_under_test::profile::StoreKind;
use gateway_under_test::store::disk::make_folders;
use gateway_under_test::store::{Core, LoadError, StoreError, Touched, backend};
use protocol::pairing::{RevokeParams, RotateParams};
use serde_json::{Value, json};

use crate::fixture::{Counter, attempt, rules};
use crate::memory::{MemoryDisk, state_dir};

pub(crate) const NOW: u64 = 1_795_415_215_297;
pub(crate) const KINDS: [StoreKind; 2] = [StoreKind::JsonLoaded, StoreKind::JsonReread];

/// Starts on a disk, as the gateway does.
pub(crate) fn open(kind: StoreKind, disk: &MemoryDisk) -> Result<Core, LoadError> {
    let system = |source| LoadError::Read { path: state_dir(), source };
    make_folders(disk, &state_dir(), 0o777).map_err(system)?;
    let backend = backend::open_on(Arc::new(disk.clone()), kind, &state_dir())?;
    let core = Core::load(backend, rules(kind), Box::new(|| NOW), Box::new(Counter::default()))?;
    core.prepare(true)?;
    Ok(core)
}

/// What is in a store, by device and by request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) paired: BTreeMap<String, Value>,
    pub(crate) pending: BTreeMap<String, Value>,
}

pub(crate) fn contents(core: &Core) -> Contents {
    let mut contents = Contents::default();
    for (device, record) in core.state().iter() {
        if let Some(entry) = &record.entry {
            contents.paired.insert(device.to_string(), json!(entry.value()));
        }
        if let Some(request) = &record.pending {
            contents.pending.insert(request.value().request_id.clone(), json!(request.value()));
        }
    }
    contents
}

/// One thing that somebody does. Those in a batch share a commit.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A remote device that nobody knows connects.
    Ask(&'static str),
    /// A local device connects, and is approved silently.
    Silent(&'static str),
    Approve(&'static str),
    Reject(&'static str),
    Remove(&'static str),
    Rotate(&'static str),
    Revoke(&'static str),
    /// Lazy notes are written by themselves.
    Notes(&'static str),
    Reload,
    Batch(Vec<Self>),
}

/// Everything that a store is asked for.
pub(crate) fn story() -> Vec<Act> {
    use Act::{Approve, Ask, Batch, Notes, Reject, Reload, Remove, Revoke, Rotate, Silent};
    vec![
        Ask("a"),
        Approve("a"),
        Batch(vec![Ask("b"), Ask("c"), Silent("d")]),
        Reject("b"),
        Silent("e"),
        Rotate("a"),
        Batch(vec![Approve("c"), Rotate("d"), Ask("f")]),
        Notes("a"),
        Reload,
        Revoke("a"),
        Remove("d"),
        Approve("f"),
    ]
}

/// Does it, without a commit. `false` = the policy says no.
fn apply(core: &mut Core, kind: StoreKind, act: &Act) -> bool {
    let owner = Caller::owner();
    let role = || "operator".to_owned();
    let request = |core: &Core, device: &str| {
        core.with_view(device, |view| view.pending.map(|request| request.request_id.clone()))
    };
    match act {
        Act::Ask(device) => core
            .admit(&attempt(&rules(kind), device, Place::Remote))
            .0
            .is_err_and(|refusal| refusal.request_id().is_some()),
        Act::Silent(device) => core.admit(&attempt(&rules(kind), device, Place::Local)).0.is_ok(),
        Act::Approve(device) => {
            request(core, device).is_some_and(|request| core.approve(&owner, &request).is_ok())
        }
        Act::Reject(device) => {
            request(core, device).is_some_and(|request| core.reject(&owner, &request).is_ok())
        }
        Act::Remove(device) => core.remove(&owner, device).is_ok(),
        Act::Rotate(device) => {
            let params = RotateParams { device_id: (*device).to_owned(), role: role(), scopes: None };
            core.rotate(&owner, &params).is_ok()
        }
        Act::Revoke(device) => {
            core.revoke(&owner, &RevokeParams { device_id: (*device).to_owned(), role: role() }).is_ok()
        }
        Act::Notes(device) => {
            let tokens = [(role(), NOW + 1)].into();
            core.touch([((*device).into(), Touched { tokens, ..Touched::default() })]);
            true
        }
        Act::Reload => true,
        Act::Batch(acts) => acts.iter().all(|act| apply(core, kind, act)),
    }
}

/// Does it and makes it durable, as the store's thread does. `Ok` = it is acknowledged; with `false` the policy said no.
pub(crate) fn perform(core: &mut Core, kind: StoreKind, act: &Act) -> Result<bool, StoreError> {
    core.enter()?;
    let done = apply(core, kind, act);
    match act {
        Act::Notes(_) => core.flush()?,
        _ => core.commit()?,
    };
    if matches!(act, Act::Reload) {
        core.reload()?;
    }
    Ok(done)
}

/// One operation of a story that was told, and the steps that it took on the disk.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) what: String,
    pub(crate) begin: usize,
    pub(crate) end: usize,
    pub(crate) before: Contents,
    pub(crate) after: Contents,
}

/// Tells the story on a disk that works.
pub(crate) fn tell(kind: StoreKind, disk: &MemoryDisk) -> Vec<Told> {
    let mut core = open(kind, disk).unwrap();
    let nothing = Contents::default();
    let started = Told {
        what: "start".to_owned(),
        begin: 0,
        end: disk.steps(),
        before: nothing.clone(),
        after: nothing.clone(),
    };
    let mut told = vec![started];
    let mut before = nothing;
    for act in story() {
        let begin = disk.steps();
        assert!(perform(&mut core, kind, &act).unwrap(), "{act:?}");
        let after = contents(&core);
        let what = format!("{act:?}");
        told.push(Told { what, begin, end: disk.steps(), before, after: after.clone() });
        before = after;
    }
    told
}
