//! What is done to the gateway's process: restarts, reloads, pauses.

use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::process::Signal;

use crate::clock::{Clock, nanos};
use crate::engine::dial;
use crate::gateway::{GatewayProcess, TargetAddress, TargetError};
use crate::history::{Fault, RestartStamps};
use crate::observation::Outcome;
use crate::plan::{FaultKind, Nanos, StopSignal};

/// How often the port is tried while the gateway restarts; the resolution of `port_closed` and `port_open`.
const PROBE_EVERY: Duration = Duration::from_millis(2);
/// Address that probes come from: no client's and no operator's.
const PROBE_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 1, 249, 1);

/// Does one thing to the gateway and notes its stages in `record`; returns when the gateway is itself again.
///
/// # Errors
/// [`TargetError`] when it does not come back.
pub async fn inflict(
    process: &mut GatewayProcess,
    record: &mut Fault,
    target: &TargetAddress,
    clock: Clock,
) -> Result<(), TargetError> {
    match record.kind {
        FaultKind::Restart { signal, down } => restart(process, record, (signal, down), target, clock).await,
        FaultKind::Reload => {
            process.signal(Signal::HUP)?;
            record.ended = Some(clock.now());
            Ok(())
        }
        FaultKind::Pause(length) => {
            pause(process, length).await?;
            record.ended = Some(clock.now());
            Ok(())
        }
        FaultKind::Stall { of, every, length } => {
            let ends = record.began.saturating_add(nanos(length));
            while clock.now() < ends {
                pause(process, of).await?;
                tokio::time::sleep(every.saturating_sub(of)).await;
            }
            record.ended = Some(clock.now());
            Ok(())
        }
        // The others are done to what is around the process.
        _ => Ok(()),
    }
}

async fn pause(process: &GatewayProcess, length: Duration) -> Result<(), TargetError> {
    process.signal(Signal::STOP)?;
    tokio::time::sleep(length).await;
    process.signal(Signal::CONT)
}

async fn restart(
    process: &mut GatewayProcess,
    record: &mut Fault,
    (signal, down): (StopSignal, Duration),
    target: &TargetAddress,
    clock: Clock,
) -> Result<(), TargetError> {
    let mut stamps = RestartStamps::default();
    process.signal(match signal {
        StopSignal::Sigterm => Signal::TERM,
        StopSignal::Sigkill => Signal::KILL,
    })?;
    let (port_closed, exited) =
        tokio::try_join!(async { Ok(until_port(target, false, clock).await) }, async {
            process.wait_after_signal(signal).await.map(|_| clock.now())
        })?;
    stamps.port_closed = Some(port_closed);
    stamps.exited = Some(exited);
    record.restart = Some(stamps);
    tokio::time::sleep(down).await;
    start_again(process, record, target, clock).await
}

/// Starts a gateway that has ended, and notes the rest of its restart.
///
/// # Errors
/// [`TargetError`] when it does not come.
pub(super) async fn start_again(
    process: &mut GatewayProcess,
    record: &mut Fault,
    target: &TargetAddress,
    clock: Clock,
) -> Result<(), TargetError> {
    let mut stamps = record.restart.unwrap_or_default();
    let mut spawned = None;
    let (port_open, ()) = tokio::try_join!(
        async { Ok(until_port(target, true, clock).await) },
        process.start_again(|| spawned = Some(clock.now()))
    )?;
    stamps.spawned = spawned;
    stamps.port_open = Some(port_open);
    record.restart = Some(stamps);
    record.ended = Some(clock.now());
    Ok(())
}

/// Dials until the port is open, or closed, and says when.
async fn until_port(target: &TargetAddress, open: bool, clock: Clock) -> Nanos {
    let source = target.is_loopback_v4().then_some(PROBE_SOURCE);
    loop {
        let dialling = tokio::time::timeout(Duration::from_secs(1), dial::dial(target.socket, source));
        // A dial that hangs says nothing: the process may just stand still.
        match dialling.await {
            Ok(Ok(_)) if open => return clock.now(),
            Ok(Err(Outcome::ConnectionRefused)) if !open => return clock.now(),
            _ => {}
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}
