//! The nemesis: does to the gateway what the plan says, when it says so, and notes what became of it.
//!
//! | module | holds |
//! |---|---|
//! | `queue` | which fault is next, and which ones wait for something |
//! | `process` | restarts, reloads, pauses and stalls |
//! | `edit` | edits of stored entries |
//! | `altered` | what is altered for a while, and put right again |
//! | `store`, `limits`, `network` | how: the store's files, control groups, a network of the run's own |

mod altered;
mod edit;
mod limits;
mod network;
mod process;
mod queue;
mod store;

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, nanos};
use crate::engine::Feed;
use crate::gateway::{GatewayProcess, StateDir, TargetAddress, TargetError};
use crate::history::{Fault, Record};
use crate::plan::{Change, FaultKind, Nanos, Plan, PlannedFault, StoreDamage, Trigger};
use altered::Altered;
pub use edit::Edits;
pub use process::inflict;
use queue::Queue;

/// A timer of the runtime is as coarse as a millisecond. The last of it is waited for by giving way to others, so that an
/// instant that was drawn is one.
const COARSE: Duration = Duration::from_millis(2);
/// How soon a gateway that would not start with a damaged store is started again once that is put right.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// What the nemesis needs to know of the run.
pub struct Scene<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where the gateway is.
    pub target: &'a TargetAddress,
    /// Whose entries are edited.
    pub edits: &'a Edits,
    /// The run's clock.
    pub clock: Clock,
    /// Where records go, and operators say what they send.
    pub feed: &'a Feed,
    /// When it becomes true, the run is over.
    pub stop: watch::Receiver<bool>,
    /// Is told when the last fault is over.
    pub over: &'a watch::Sender<bool>,
}

/// A plan with faults that this machine cannot do.
#[derive(Debug, thiserror::Error)]
#[error("fault `{name}` {why}, so nothing was started; leave the fault out, or run it where that is given")]
pub struct Unable {
    name: String,
    why: String,
}

/// Holds the faults of a plan against what this machine and this user can do, and moves the run into a network of its own
/// if one is to be altered. To be called on the thread that starts everything else, before it does. Removes what runs left that were
/// killed.
///
/// # Errors
/// [`Unable`] for the first fault that cannot be done.
pub async fn prepare(plan: &Plan) -> Result<(), Unable> {
    limits::sweep();
    for fault in &plan.faults {
        let why = match fault.kind {
            FaultKind::Store(StoreDamage::Full) if !rustix::process::geteuid().is_root() => {
                Some("fills a small disk of its own, which takes root to mount".to_owned())
            }
            FaultKind::Store(StoreDamage::ReadOnly) => store::missing(),
            kind => limits::missing(kind),
        };
        if let Some(why) = why {
            return Err(Unable { name: fault.name.clone(), why });
        }
    }
    let network = plan
        .faults
        .iter()
        .find(|fault| matches!(fault.kind, FaultKind::Network { .. } | FaultKind::Partition));
    match (network::enter(plan).await, network) {
        (Err(why), Some(fault)) => Err(Unable { name: fault.name.clone(), why }),
        _ => Ok(()),
    }
}

/// Whether the store must lie on a disk that can be filled.
#[must_use]
pub fn needs_small_disk(plan: &Plan) -> bool {
    plan.faults.iter().any(|fault| fault.kind == FaultKind::Store(StoreDamage::Full))
}

/// What the nemesis waits for.
enum Next {
    /// The run is over.
    Stop,
    /// A fault's time has come.
    Due,
    /// Something that is altered wants to be looked after.
    Altered(usize),
    /// An approval was sent at this time.
    Approval(Nanos),
}

/// Carries out the faults until the run is over, and guards the process meanwhile. `restarted` is told after every fault,
/// because the process may then be another one. Whatever was altered is put right before this returns.
///
/// # Errors
/// [`TargetError::Died`] when the gateway ends unasked; what a restart meets when the gateway does not come back.
pub async fn run(
    process: &mut GatewayProcess,
    mut scene: Scene<'_>,
    restarted: impl Fn(&GatewayProcess),
) -> Result<(), TargetError> {
    let mut altered = Vec::new();
    let done = faults(process, &mut scene, &mut altered, restarted).await;
    let mut ended = Ok(());
    for altered in altered {
        ended = ended.and(altered.end(scene.feed, scene.clock).await);
    }
    done.and(ended)
}

async fn faults(
    process: &mut GatewayProcess,
    scene: &mut Scene<'_>,
    altered: &mut Vec<Altered>,
    restarted: impl Fn(&GatewayProcess),
) -> Result<(), TargetError> {
    let mut queue = Queue::new(&scene.plan.faults);
    let mut approvals = scene.feed.approvals();
    loop {
        // What lasts until the run's end is over as far as anybody can wait for it.
        if queue.is_empty() && altered.iter().all(|altered| altered.ends.is_none()) {
            scene.over.send_replace(true);
        }
        // Only what is sent from now on counts: an approval that was sent while the last fault went on met that one.
        approvals.mark_unchanged();
        let fault = match next(process, &queue, altered, scene, &mut approvals).await? {
            Next::Stop => return Ok(()),
            Next::Due => queue.due(),
            Next::Altered(position) => {
                look_after(altered, position, scene).await?;
                None
            }
            Next::Approval(sent) => {
                let fault = queue.triggered();
                if let Some(Trigger::Approval { after }) = fault.and_then(|fault| fault.trigger) {
                    tokio::select! {
                        biased;
                        _ = scene.stop.wait_for(|stop| *stop) => return Ok(()),
                        // What was to be killed must not have died by itself.
                        status = process.wait() => return Err(process.died(status?)),
                        () = until(scene.clock, sent.saturating_add(nanos(after))) => {}
                    }
                }
                fault
            }
        };
        let Some(fault) = fault else { continue };
        // Times that were drawn may fall on each other.
        if let Some(other) = altered.iter().find(|altered| altered.place() == fault.kind.place()) {
            // Of what has no end nobody waits for it: such a scenario is refused.
            if let Some(until) = other.ends {
                queue.hold(fault, until);
            }
            continue;
        }
        if scene.edits.make(fault, process, scene.feed, scene.clock)? {
            continue;
        }
        if let Some(begun) = altered::begin(fault, process, scene.feed, scene.clock).await? {
            altered.push(begun);
            continue;
        }
        one(process, fault, scene, altered).await?;
        for altered in altered.iter() {
            altered.moved(process)?;
        }
        restarted(process);
    }
}

async fn look_after(
    altered: &mut Vec<Altered>,
    position: usize,
    scene: &Scene<'_>,
) -> Result<(), TargetError> {
    let Some(one) = altered.get_mut(position) else { return Ok(()) };
    if one.ends.is_some_and(|ends| ends <= scene.clock.now()) {
        return altered.swap_remove(position).end(scene.feed, scene.clock).await;
    }
    one.tend(scene.clock).await
}

/// Does one thing to the process. A fault that has begun is carried to its end even when the run stops: a half-restarted gateway is
/// no evidence.
async fn one(
    process: &mut GatewayProcess,
    fault: &PlannedFault,
    scene: &Scene<'_>,
    altered: &mut Vec<Altered>,
) -> Result<(), TargetError> {
    let (target, clock, feed) = (scene.target, scene.clock, scene.feed);
    let changed = match fault.change {
        None => None,
        Some(Change::Profile(profile)) => {
            process.set_profile(profile.as_str());
            Some(FaultKind::ProfileChanged)
        }
        Some(Change::Secret) => {
            let secret = changed_secret(scene.plan);
            StateDir::change_secret(process.state_dir(), &secret)?;
            feed.change_secret(secret);
            Some(FaultKind::SecretChanged)
        }
    };
    let began = clock.now();
    let _underway = feed.begin(began);
    let mut record = Fault { name: fault.name.clone(), kind: fault.kind, began, ended: None, restart: None };
    let mut done = inflict(process, &mut record, target, clock).await;
    let position = altered.iter().position(|altered| altered.may_stop_a_start() && altered.ends.is_some());
    if let (Err(TargetError::DiedAtStart { .. }), Some(position)) = (&done, position) {
        // It is right not to start with a store that it cannot read: whoever keeps it running tries again when the store is back.
        let damaged = altered.swap_remove(position);
        until(clock, damaged.ends.unwrap_or_default()).await;
        damaged.end(feed, clock).await?;
        tokio::time::sleep(AGAIN_AFTER).await;
        done = process::start_again(process, &mut record, target, clock).await;
    }
    if let Some(kind) = changed {
        feed.push(Record::Fault(Fault { kind, ..record.clone() }));
    }
    feed.push(Record::Fault(record));
    done
}

/// The shared secret that takes the place of the run's.
fn changed_secret(plan: &Plan) -> String {
    let own = crate::plan::identity::Identities::reproducible(plan.seed.wrapping_add(1));
    format!("changed-{}", own.shared_secret())
}

async fn next(
    process: &mut GatewayProcess,
    queue: &Queue<'_>,
    altered: &[Altered],
    scene: &mut Scene<'_>,
    approvals: &mut watch::Receiver<Nanos>,
) -> Result<Next, TargetError> {
    let clock = scene.clock;
    let at = |at: Option<Nanos>| async move {
        match at {
            Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
            None => std::future::pending().await,
        }
    };
    let wanted = altered.iter().enumerate().filter_map(|(position, one)| Some((one.next_at()?, position)));
    let wanted = wanted.min();
    let approval = async {
        // It lasts as long as the feed does.
        match approvals.changed().await {
            Ok(()) => *approvals.borrow_and_update(),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = scene.stop.wait_for(|stop| *stop) => Ok(Next::Stop),
        status = process.wait() => Err(process.died(status?)),
        () = at(wanted.map(|(at, _)| at)) => Ok(Next::Altered(wanted.map_or(0, |(_, position)| position))),
        () = at(queue.next_at()) => Ok(Next::Due),
        sent = approval, if queue.is_armed() => Ok(Next::Approval(sent)),
    }
}

/// Waits until a time of the run, more exactly than a timer does.
async fn until(clock: Clock, at: Nanos) {
    let coarse = at.saturating_sub(nanos(COARSE));
    if clock.now() < coarse {
        tokio::time::sleep_until(clock.instant(coarse)).await;
    }
    while clock.now() < at {
        tokio::task::yield_now().await;
    }
}
