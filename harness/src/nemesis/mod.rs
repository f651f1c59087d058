//! The nemesis: does to the gateway what the plan says, when it says so, and notes what became of it.
//!
//! | module | holds |
//! |---|---|
//! | `queue` | which fault is next, and which ones wait for something |
//! | `process` | restarts, reloads and pauses |

mod process;
mod queue;

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, nanos};
use crate::engine::Feed;
use crate::gateway::{GatewayProcess, TargetAddress, TargetError};
use crate::history::{Fault, Record};
use crate::plan::{Nanos, PlannedFault, Trigger};
pub use process::inflict;
use queue::Queue;

/// A timer of the runtime is as coarse as a millisecond. The last of it is waited for by giving way to others, so that an
/// instant that was drawn is one.
const COARSE: Duration = Duration::from_millis(2);

/// What the nemesis needs to know of the run.
pub struct Scene<'a> {
    /// Where the gateway is.
    pub target: &'a TargetAddress,
    /// The run's clock.
    pub clock: Clock,
    /// Where records go, and operators say what they send.
    pub feed: &'a Feed,
    /// When it becomes true, the run is over.
    pub stop: watch::Receiver<bool>,
    /// Is told when the last fault is over.
    pub over: &'a watch::Sender<bool>,
}

/// What the nemesis waits for.
enum Next {
    /// The run is over.
    Stop,
    /// Somebody's time has come.
    Due,
    /// An approval was sent at this time.
    Approval(Nanos),
}

/// Carries out the faults until the run is over, and guards the process meanwhile. `restarted` is told after every fault,
/// because the process may then be another one.
///
/// # Errors
/// [`TargetError::Died`] when the gateway ends unasked; what a restart meets when the gateway does not come back.
pub async fn run(
    process: &mut GatewayProcess,
    faults: &[PlannedFault],
    mut scene: Scene<'_>,
    restarted: impl Fn(&GatewayProcess),
) -> Result<(), TargetError> {
    let mut queue = Queue::new(faults);
    let mut approvals = scene.feed.approvals();
    while !queue.is_empty() {
        // Only what is sent from now on counts: an approval that was sent while the last fault went on met that one.
        approvals.mark_unchanged();
        let fault = match next(process, &queue, &mut scene, &mut approvals).await? {
            Next::Stop => return Ok(()),
            Next::Due => queue.due(),
            Next::Approval(sent) => {
                let fault = queue.triggered();
                if let Some(Trigger::Approval { after }) = fault.and_then(|fault| fault.trigger) {
                    until(scene.clock, sent.saturating_add(nanos(after))).await;
                }
                fault
            }
        };
        let Some(fault) = fault else { continue };
        let began = scene.clock.now();
        let _underway = scene.feed.begin(began);
        let mut record =
            Fault { name: fault.name.clone(), kind: fault.kind, began, ended: None, restart: None };
        // A fault that has begun is carried to its end even when the run stops: a half-restarted gateway is no evidence.
        let done = inflict(process, &mut record, scene.target, scene.clock).await;
        scene.feed.push(Record::Fault(record));
        done?;
        restarted(process);
    }
    scene.over.send_replace(true);
    tokio::select! {
        biased;
        _ = scene.stop.wait_for(|stop| *stop) => Ok(()),
        status = process.wait() => Err(process.died(status?)),
    }
}

async fn next(
    process: &mut GatewayProcess,
    queue: &Queue<'_>,
    scene: &mut Scene<'_>,
    approvals: &mut watch::Receiver<Nanos>,
) -> Result<Next, TargetError> {
    let clock = scene.clock;
    let due = async {
        match queue.next_at() {
            Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
            None => std::future::pending().await,
        }
    };
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
        () = due => Ok(Next::Due),
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
