//! What a process has used, with its children, and where it may run.

use std::time::Duration;

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Lets this thread, and whatever it starts from now on, run on one core only.
pub(super) fn pin_to(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .with_context(|| format!("cannot run on core {core}: client and gateway need one each"))
}

/// User and system time of a process and its descendants, those that have ended included.
pub(super) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is not there"))?;
    // The program's name stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = (11..15).filter_map(|field| fields.get(field)?.parse::<u64>().ok()).sum();
    let mut used = Duration::from_millis(ticks * 1000 / procfs::ticks_per_second().max(1));
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).context("threads of a gateway")?;
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            // One that has just ended is counted by its parent.
            used += cpu(child).unwrap_or_default();
        }
    }
    Ok(used)
}

/// Resident memory of a process, bytes.
pub(super) fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes = line.split_whitespace().next().unwrap_or_default();
    Ok(kilobytes.parse::<u64>()? * 1024)
}
