//! What this process, or another, has used: time by the clock, CPU time, memory.

use std::io;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Runs from its start.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
    split: Split,
}

/// CPU time in ticks of 10 ms: good for its proportion only.
#[derive(Debug, Clone, Copy, Default)]
struct Split {
    user: u64,
    system: u64,
}

/// What a load has cost.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Cost {
    /// By the clock.
    pub wall_seconds: f64,
    /// User and system time of all threads: what `getrusage` gives as their sum, in nanoseconds instead of ticks.
    pub cpu_seconds: f64,
    /// Share of the CPU time spent in the kernel.
    pub system_share: f64,
}

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "measuring needs a clock, and this is the one place that reads it"
    )]
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu(), split: split().unwrap_or_default() }
    }

    /// What has been used since.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let wall = self.wall.elapsed();
        let cpu = cpu().saturating_sub(self.cpu);
        let now = split().unwrap_or_default();
        let (user, system) = (now.user - self.split.user, now.system - self.split.system);
        Cost {
            wall_seconds: wall.as_secs_f64(),
            cpu_seconds: cpu.as_secs_f64(),
            system_share: system as f64 / (user + system).max(1) as f64,
        }
    }

    /// Time by the clock since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.wall.elapsed()
    }
}

/// CPU time of this process. Linux keeps `utime` and `stime` of `getrusage` so that their sum is this clock.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn split() -> Option<Split> {
    let stat = Process::myself().ok()?.stat().ok()?;
    Some(Split { user: stat.utime, system: stat.stime })
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// When /proc does not say.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let missing = || io::Error::other(format!("/proc does not say how much memory process {pid} has"));
    let process = Process::new(i32::try_from(pid).map_err(io::Error::other)?).map_err(io::Error::other)?;
    let status = process.status().map_err(io::Error::other)?;
    status.vmrss.map(|kilobytes| kilobytes * 1_024).ok_or_else(missing)
}
