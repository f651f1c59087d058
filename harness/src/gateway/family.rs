//! The processes that a gateway starts: none of them may outlive it, or the harness.
//!
//! A gateway leads a process group of its own. An OpenClaw has helpers in it (2026.9.6 has a broker that starts others, and
//! readers of its database), and a build may be started by a package manager, which is then the process that we know.

use std::process::Stdio;
use std::time::Duration;

use procfs::process::all_processes;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

/// How often the group is looked at while it ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills a process group when this process ends, however it ends, or when dropped.
///
/// The parent-death signal reaches a child only, not what the child started. So a shell waits at a pipe whose other end is
/// ours: the kernel closes that end when we are gone, and the shell kills the group.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    /// Held open as long as the group may live.
    _pipe: Option<tokio::process::ChildStdin>,
}

impl Guard {
    /// A guard of the group that process `leader` leads.
    ///
    /// # Errors
    /// What the system says when it cannot start a shell.
    pub(super) fn of(leader: u32) -> std::io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            // `-s`: dash takes the `--` behind `-KILL` for a process.
            .args(["-c", "read -r _; kill -s KILL -- \"-$1\"", "guard", &leader.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is not meant for it.
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, _pipe: pipe })
    }

    /// Sends the guard home: the group has ended, and its number may become another's.
    pub(super) async fn dismiss(mut self) {
        // A guard that has ended already is none.
        let _ = self.shell.kill().await;
    }
}

/// Sends a signal to every process of the group.
///
/// # Errors
/// What the system says, for example that there is no such group.
pub(super) fn signal(leader: u32, signal: Signal) -> std::io::Result<()> {
    let group = i32::try_from(leader).ok().and_then(Pid::from_raw);
    let group = group.ok_or_else(|| std::io::Error::other("it has ended"))?;
    rustix::process::kill_process_group(group, signal).map_err(Into::into)
}

/// Waits until nobody of the group is left, at most `within`; then kills those who are.
pub(super) async fn end(leader: u32, within: Duration) {
    let ended = tokio::time::timeout(within, until_empty(leader)).await;
    if ended.is_err() {
        let _ = signal(leader, Signal::KILL);
        // Killed processes go at once; one that waits for a disk is beyond us.
        let _ = tokio::time::timeout(within, until_empty(leader)).await;
    }
}

async fn until_empty(leader: u32) {
    while has_members(leader) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether a process of the group lives. Those that have ended and wait for somebody to ask for their status do not.
fn has_members(leader: u32) -> bool {
    let Ok(processes) = all_processes() else { return false };
    processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .any(|stat| u32::try_from(stat.pgrp) == Ok(leader) && !matches!(stat.state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    #[tokio::test]
    async fn the_guard_kills_what_a_gateway_started_when_nobody_holds_its_pipe_any_more() {
        let mut leader = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & echo started; sleep 600"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let group = leader.id().unwrap();
        let guard = Guard::of(group).unwrap();
        let mut said = BufReader::new(leader.stdout.take().unwrap()).lines();
        assert_eq!(said.next_line().await.unwrap().as_deref(), Some("started"));
        // As the parent-death signal does it: only the process that is our child.
        leader.kill().await.unwrap();
        assert!(has_members(group), "what it started goes on");
        drop(guard);
        tokio::time::timeout(Duration::from_secs(60), until_empty(group)).await.unwrap();
    }
}
