//! What a process has used, with its children.

use std::time::Duration;

use anyhow::Context as _;

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
