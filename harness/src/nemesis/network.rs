//! A network of the run's own, in which packets can be late or lost.
//!
//! The whole run moves into a network namespace: its loopback is nobody else's, so that nothing of the machine is altered, all
//! addresses keep their meaning, and the kernel takes it down with the last process of the run, however that ends. It takes
//! root, `ip` and `tc`; delay and loss take the kernel's `netem`.

use std::process::Stdio;

use tokio::process::Command;

use crate::gateway::TargetError;
use crate::plan::{FaultKind, Plan};

/// Packets that may be on their way at a time: as many as a herd sends.
const PACKETS: &str = "200000";

/// Whether the plan has a fault that needs a network of its own.
fn needed(plan: &Plan) -> bool {
    plan.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Network { .. } | FaultKind::Partition))
}

/// Moves this thread, and all threads and processes that it starts from now on, into a network of their own, if the plan needs it.
///
/// # Errors
/// What is missing on this machine, for people.
pub(super) async fn enter(plan: &Plan) -> Result<(), String> {
    if !needed(plan) {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err("needs a network namespace of its own, which takes root".to_owned());
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("needs a network namespace of its own: {error}"))?;
    run("ip", &["link", "set", "lo", "up"]).await?;
    for fault in &plan.faults {
        if matches!(fault.kind, FaultKind::Network { .. } | FaultKind::Partition) {
            // What the kernel cannot do is known before anything was measured.
            shape(fault.kind).await.map_err(|why| format!("`{}`: {why}", fault.name))?;
            restore().await?;
        }
    }
    Ok(())
}

async fn shape(kind: FaultKind) -> Result<(), String> {
    match kind {
        FaultKind::Network { delay, loss_ppm } => {
            let delay = format!("{}us", delay.as_micros());
            let loss = format!("{}%", f64::from(loss_ppm) / 10_000.0);
            let netem = ["qdisc", "replace", "dev", "lo", "root", "netem", "limit", PACKETS, "delay"];
            let arguments: Vec<&str> =
                netem.into_iter().chain([delay.as_str(), "loss", loss.as_str()]).collect();
            run("tc", &arguments).await.map_err(|why| {
                format!("{why}; delay and loss take a kernel with netem (CONFIG_NET_SCH_NETEM)")
            })
        }
        _ => run("tc", &["qdisc", "replace", "dev", "lo", "root", "blackhole"]).await,
    }
}

async fn restore() -> Result<(), String> {
    run("tc", &["qdisc", "del", "dev", "lo", "root"]).await
}

/// Begins a fault of the network.
///
/// # Errors
/// [`TargetError::Fault`] when the system refuses.
pub(super) async fn begin(kind: FaultKind) -> Result<(), TargetError> {
    shape(kind).await.map_err(failed)
}

/// Ends it.
///
/// # Errors
/// [`TargetError::Fault`] when the system refuses.
pub(super) async fn end() -> Result<(), TargetError> {
    restore().await.map_err(failed)
}

fn failed(why: String) -> TargetError {
    TargetError::Fault {
        what: "the network cannot be altered".to_owned(),
        source: std::io::Error::other(why),
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("needs `{program}` (package iproute2): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}`: {}", arguments.join(" "), said.trim().lines().next().unwrap_or("failed")))
}
