//! A full, read-only or broken disk, at every step of every operation: an error is the answer, memory is not ahead of the
//! disk, and once the disk works the store does.

use std::sync::Arc;

use gateway_under_test::policy::{Caller, PairingEvent, Place, Refusal};
use gateway_under_test::profile::StoreKind;
use gateway_under_test::store::{Core, Observer, Store, StoreError};

use crate::fixture::{attempt, rules};
use crate::memory::{Fault, MemoryDisk, root, state_dir};
use crate::story::{Act, Contents, KINDS, contents, open, perform, story};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const STATES: usize = 200;

/// A store after so many operations of the story.
fn after(kind: StoreKind, acts: &[Act]) -> (Core, MemoryDisk) {
    let disk = MemoryDisk::new(&root());
    let mut core = open(kind, &disk).unwrap();
    for act in acts {
        assert!(perform(&mut core, kind, act).unwrap());
    }
    (core, disk)
}

/// What the next gateway would find after a power cut, in every state that the disk may be in.
fn after_power_cut(kind: StoreKind, disk: &MemoryDisk) -> Vec<Contents> {
    let images = disk.model().after_power_cut(STATES, 0);
    let found = |image| contents(&open(kind, &MemoryDisk::from_image(&root(), image)).unwrap());
    images.iter().map(found).collect()
}

/// One operation on a disk that refuses one call or all from there on. Gives whether anybody could notice.
fn refused(kind: StoreKind, before: &[Act], act: &Act, fault: Fault) -> bool {
    let (mut core, disk) = after(kind, before);
    let at_first = contents(&core);
    let wanted = {
        let (mut core, _) = after(kind, before);
        perform(&mut core, kind, act).unwrap();
        contents(&core)
    };
    disk.fail(Some(fault));
    let answer = perform(&mut core, kind, act);
    let is_hit = disk.calls() > fault.first;
    let case = format!("{kind:?} {act:?} {fault:?}");
    if answer.is_ok() {
        // Acknowledged though a call was refused: then it must stand all the same.
        assert_eq!(contents(&core), wanted, "{case}");
        disk.fail(None);
        assert!(after_power_cut(kind, &disk).iter().all(|found| *found == wanted), "{case}");
        return is_hit && !matches!(act, Act::Reload);
    }
    assert!(is_hit, "{case}: {answer:?}");
    // Lazy notes are no changes that anybody was told of.
    if !matches!(act, Act::Notes(_)) {
        assert_eq!(contents(&core), at_first, "{case}: memory is ahead of the disk");
    }
    assert_eq!(core.take_events(), [], "{case}: somebody was told");
    let half = Contents { paired: wanted.paired.clone(), pending: at_first.pending.clone() };
    for found in after_power_cut(kind, &disk) {
        assert!([&at_first, &half, &wanted].contains(&&found), "{case}: {found:?}");
    }
    disk.fail(None);
    // Whatever the policy says now, what the store then says it holds is what the disk holds.
    perform(&mut core, kind, act).unwrap_or_else(|error| panic!("{case}: it does not recover: {error}"));
    core.flush().unwrap();
    let holds = contents(&core);
    // A batch that was half done is asked for again as a whole, and what it asks for may be gone.
    if !matches!(act, Act::Batch(_)) {
        let ids = |contents: &Contents| {
            let devices: Vec<String> = contents.paired.keys().cloned().collect();
            let waiting: Vec<String> =
                contents.pending.values().map(|request| request["deviceId"].to_string()).collect();
            (devices, waiting)
        };
        assert_eq!(ids(&holds), ids(&wanted), "{case}: it was done again");
    }
    for found in after_power_cut(kind, &disk) {
        assert_eq!(found, holds, "{case}: after it was done again");
    }
    // One that could not be removed goes with the next change.
    perform(&mut core, kind, &Act::Ask("late")).unwrap();
    let left = disk.model().names(&state_dir().join("devices")).unwrap();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{case}: {left:?}");
    true
}

#[test]
fn a_refusing_disk_gives_an_error_and_the_store_recovers_with_it() {
    for kind in KINDS {
        let acts = story();
        let mut noticed = 0;
        for (at, act) in acts.iter().enumerate() {
            let calls = {
                let (mut core, disk) = after(kind, &acts[..at]);
                disk.fail(None);
                perform(&mut core, kind, act).unwrap();
                disk.calls()
            };
            for first in 0..calls {
                for (lasts, errno) in [(false, EIO), (true, ENOSPC), (true, EROFS)] {
                    let is_noticed = refused(kind, &acts[..at], act, Fault { first, lasts, errno });
                    assert!(
                        is_noticed,
                        "{kind:?} {act:?}: call {first} of {calls} was refused and nobody noticed"
                    );
                    noticed += 1;
                }
            }
        }
        println!("{kind:?}: {noticed} refusals");
        assert!(noticed > 100, "{noticed}");
    }
}

#[test]
fn a_start_that_cannot_make_its_folders_durable_is_none() {
    for kind in KINDS {
        let disk = MemoryDisk::new(&root());
        open(kind, &disk).unwrap();
        let calls = disk.calls();
        assert!(calls >= 4, "{calls}");
        for first in 0..calls {
            let disk = MemoryDisk::new(&root());
            disk.fail(Some(Fault { first, lasts: false, errno: EIO }));
            assert!(open(kind, &disk).is_err(), "{kind:?}: call {first} of {calls}");
            disk.fail(None);
            assert_eq!(contents(&open(kind, &disk).unwrap()), Contents::default());
        }
    }
}

/// Counts what is announced.
#[derive(Clone, Default)]
struct Announced(Arc<std::sync::Mutex<Vec<&'static str>>>);

impl Observer for Announced {
    fn events(&self, events: Vec<PairingEvent>) {
        self.0.lock().unwrap().extend(events.iter().map(|_| "event"));
    }

    fn committed(&self, _: usize, _: f64) {
        self.0.lock().unwrap().push("commit");
    }

    fn failed(&self, _: &StoreError) {
        self.0.lock().unwrap().push("failure");
    }
}

async fn connect(store: &Store, kind: StoreKind, device: &str) -> Result<(), Box<Refusal>> {
    let attempt = Arc::new(attempt(&rules(kind), device, Place::Remote));
    store.admit(attempt).await.unwrap().map(|_| ()).map_err(Box::new)
}

/// The same with the store's thread between: whoever asks is told.
#[tokio::test]
async fn an_approval_on_a_full_disk_is_answered_by_an_error_and_lets_nobody_in() {
    for kind in KINDS {
        for errno in [ENOSPC, EROFS, EIO] {
            let disk = MemoryDisk::new(&root());
            let announced = Announced::default();
            let core = open(kind, &disk).unwrap();
            let store = Store::start(core, rules(kind), announced.clone()).unwrap();
            let request = connect(&store, kind, "a").await.unwrap_err().request_id().unwrap().to_owned();
            announced.0.lock().unwrap().clear();
            disk.fail(Some(Fault { first: 0, lasts: true, errno }));
            let answer = store.approve(Caller::owner(), request.clone()).await;
            assert!(matches!(answer, Err(StoreError::Write { .. })), "{answer:?}");
            assert_eq!(*announced.0.lock().unwrap(), ["failure"]);
            // Its request waits as before; a stranger's cannot be noted.
            let again = connect(&store, kind, "a").await.unwrap_err();
            assert_eq!(again.request_id(), Some(request.as_str()));
            let stranger = Arc::new(attempt(&rules(kind), "b", Place::Remote));
            assert!(matches!(store.admit(stranger).await, Err(StoreError::Write { .. })));
            disk.fail(None);
            store.approve(Caller::owner(), request).await.unwrap().unwrap();
            connect(&store, kind, "a").await.unwrap();
            store.close().await.unwrap();
            let found = after_power_cut(kind, &disk);
            assert!(found.iter().all(|found| found.paired.contains_key("a")), "{found:?}");
        }
    }
}

#[test]
fn a_reload_that_cannot_read_keeps_what_there_was() {
    let kind = StoreKind::JsonLoaded;
    let (mut core, disk) = after(kind, &story()[..3]);
    let before = contents(&core);
    // Somebody else puts garbage there; nothing of the store refuses.
    let mut garbage = disk.model().all_kept();
    garbage.files.insert(state_dir().join("devices/paired.json"), b"{\"cut".to_vec());
    let broken = MemoryDisk::from_image(&root(), &garbage);
    assert!(open(kind, &broken).is_err());
    disk.replace(&garbage);
    assert!(core.reload().is_err());
    assert_eq!(contents(&core), before);
}
