//! What a process has used: CPU time and largest resident set, from /proc.

use std::time::Duration;

use procfs::process::Process;

/// What a process had used when it was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Largest resident set so far, bytes.
    pub rss_max_bytes: u64,
}

/// Usage of this process.
#[must_use]
pub fn own() -> Usage {
    Process::myself().ok().and_then(|process| usage(&process)).unwrap_or_default()
}

/// Usage of process `pid`, if it is there.
#[must_use]
pub fn of(pid: u32) -> Option<Usage> {
    usage(&Process::new(i32::try_from(pid).ok()?).ok()?)
}

fn usage(process: &Process) -> Option<Usage> {
    let stat = process.stat().ok()?;
    let ticks = stat.utime + stat.stime;
    let ticks_per_second = procfs::ticks_per_second().max(1);
    let rss = process.status().ok()?.vmhwm.unwrap_or_default() * 1024;
    Some(Usage {
        cpu: Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second),
        rss_max_bytes: rss,
    })
}

/// Sums the usage of a gateway over its restarts: each process is sampled until it is gone.
#[derive(Debug, Default)]
pub struct GatewayUsage {
    ended: Duration,
    current: Option<(u32, Usage)>,
    rss_max_bytes: u64,
}

impl GatewayUsage {
    /// Looks at process `pid`, the gateway's at this moment.
    pub fn sample(&mut self, pid: u32) {
        let Some(usage) = of(pid) else { return };
        if let Some((before, last)) = self.current
            && before != pid
        {
            self.ended += last.cpu;
        }
        self.current = Some((pid, usage));
        self.rss_max_bytes = self.rss_max_bytes.max(usage.rss_max_bytes);
    }

    /// Everything sampled; `None` when nothing was. What a process used after its last sample is missing.
    #[must_use]
    pub fn total(&self) -> Option<Usage> {
        let (_, last) = self.current?;
        Some(Usage { cpu: self.ended + last.cpu, rss_max_bytes: self.rss_max_bytes })
    }
}
