//! What a process and its reactors have used: CPU time, waiting for a core, memory, descriptors, from /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use procfs::process::Process;
use rustix::process::{Pid, Resource, getrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::record::facts::{Descriptors, ReactorLoad, Sockets};

/// What the names of the reactors' threads begin with.
const REACTOR_NAME: &str = "reactor-";

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

/// What the generator's reactors used and waited for, and the most descriptors and sockets that there were, sampled while the
/// load goes on.
#[derive(Debug, Default)]
pub struct ReactorUsage {
    /// By thread: the CPU's time and the time in which it could have run, but had no core.
    threads: BTreeMap<i32, Scheduled>,
    /// The same when the load began: making the clients is no part of it.
    before: BTreeMap<i32, Scheduled>,
    descriptors_high: Option<u64>,
    sockets: Option<Sockets>,
    /// Cores that reactors may run on, and that the gateway may.
    own_cores: BTreeSet<usize>,
    gateway: Option<(u32, BTreeSet<usize>)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Scheduled {
    ran: Duration,
    waited: Duration,
    /// Times it was given a core.
    turns: u64,
}

impl Scheduled {
    const fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
            turns: self.turns.saturating_sub(before.turns),
        }
    }
}

impl ReactorUsage {
    /// The load begins: what reactors used until now was its preparation.
    pub fn begin(&mut self, gateway: u32) {
        self.sample(gateway);
        self.before = self.threads.clone();
    }

    /// Looks at this process, and at the gateway's (0 = it is not ours or not there). What a reactor used after the last look
    /// before its end is missing.
    pub fn sample(&mut self, gateway: u32) {
        if gateway > 0 && self.gateway.as_ref().is_none_or(|(known, _)| *known != gateway) {
            let cores = i32::try_from(gateway).ok().and_then(cores_of);
            self.gateway = cores.map(|cores| (gateway, cores)).or_else(|| self.gateway.take());
        }
        let Ok(process) = Process::myself() else { return };
        let open = process.fd_count().ok().and_then(|open| u64::try_from(open).ok());
        self.descriptors_high = self.descriptors_high.max(open);
        self.sockets = match (self.sockets, sockets()) {
            (Some(before), Some(now)) => Some(before.max(now)),
            (before, now) => before.or(now),
        };
        let Ok(tasks) = process.tasks() else { return };
        for task in tasks.flatten() {
            let known = self.threads.contains_key(&task.tid);
            if !known && !task.stat().is_ok_and(|stat| stat.comm.starts_with(REACTOR_NAME)) {
                continue;
            }
            if !known {
                self.own_cores.extend(cores_of(task.tid).unwrap_or_default());
            }
            // A kernel may have been built without it; then what it would say stays unknown.
            if let Ok(schedstat) = task.schedstat() {
                let scheduled = Scheduled {
                    ran: Duration::from_nanos(schedstat.sum_exec_runtime),
                    waited: Duration::from_nanos(schedstat.run_delay),
                    turns: schedstat.pcount,
                };
                self.threads.insert(task.tid, scheduled);
            }
        }
    }

    /// Of the reactor that was busiest, and of the one that waited most, in a load that lasted `load`; `None` = the system
    /// did not say.
    #[must_use]
    pub fn reactors(&self, load: Duration) -> Option<ReactorLoad> {
        let seconds = load.as_secs_f64();
        if self.threads.is_empty() || seconds <= 0.0 {
            return None;
        }
        let used: Vec<Scheduled> = self
            .threads
            .iter()
            .map(|(thread, now)| now.since(self.before.get(thread).copied().unwrap_or_default()))
            .collect();
        let share = |of: fn(&Scheduled) -> Duration| {
            used.iter().map(|scheduled| of(scheduled).as_secs_f64() / seconds).fold(0.0, f64::max)
        };
        let waited: Duration = used.iter().map(|scheduled| scheduled.waited).sum();
        let turns: u64 = used.iter().map(|scheduled| scheduled.turns).sum();
        Some(ReactorLoad {
            cpu_share: share(|scheduled| scheduled.ran),
            wait_share: share(|scheduled| scheduled.waited),
            wait_mean: waited.checked_div(u32::try_from(turns).unwrap_or(u32::MAX)).unwrap_or_default(),
        })
    }

    /// The most that were open at a look, and what this process may open; `None` = the system did not say.
    #[must_use]
    pub fn descriptors(&self) -> Option<Descriptors> {
        let high = self.descriptors_high?;
        Some(Descriptors { high, limit: getrlimit(Resource::Nofile).current })
    }

    /// Whether the gateway may run on a core that a reactor may run on; `None` = it is not ours, or the system did not say.
    #[must_use]
    pub fn shares_cores(&self) -> Option<bool> {
        let (_, gateway) = self.gateway.as_ref()?;
        (!self.own_cores.is_empty()).then(|| !self.own_cores.is_disjoint(gateway))
    }

    /// The most TCP sockets that this machine had open, and in TIME_WAIT, at a look.
    #[must_use]
    pub const fn sockets(&self) -> Option<Sockets> {
        self.sockets
    }
}

/// Cores that a thread, or the main thread of a process, may run on.
fn cores_of(id: i32) -> Option<BTreeSet<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(id)).ok()?;
    Some((0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
}

/// TCP sockets of this network namespace: the line `TCP: inuse 5 orphan 0 tw 0 alloc 6 mem 1` of sockstat.
fn sockets() -> Option<Sockets> {
    sockets_of(&std::fs::read_to_string("/proc/net/sockstat").ok()?)
}

fn sockets_of(sockstat: &str) -> Option<Sockets> {
    let words: Vec<&str> =
        sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?.split_whitespace().collect();
    let (pairs, _) = words.as_chunks::<2>();
    let value = |name: &str| pairs.iter().find(|[key, _]| *key == name)?.last()?.parse().ok();
    Some(Sockets { open: value("inuse")?, time_wait: value("tw")? })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_reactor_that_is_busy_is_seen_and_another_thread_is_not() {
        let (done, until) = channel::<()>();
        let (ready, is_ready) = channel::<()>();
        let busy = std::thread::Builder::new().name(format!("{REACTOR_NAME}7")).spawn(move || {
            let mut sum = 0_u64;
            while until.try_recv().is_err() {
                sum = (0..200_000).fold(sum, |sum: u64, n| sum.rotate_left(3) ^ n);
                let _ = ready.send(());
            }
            sum
        });
        let mut usage = ReactorUsage::default();
        // Some turns of work, whatever the machine does.
        for _ in 0..20 {
            is_ready.recv().expect("it works");
        }
        usage.sample(std::process::id());
        done.send(()).expect("it listens");
        busy.expect("a thread").join().expect("it ends");
        let tasks = Process::myself().and_then(|process| process.tasks()).expect("tasks").count();
        assert!((1..tasks + 1).contains(&usage.threads.len()), "{usage:?}");
        let reactors = usage.reactors(Duration::from_millis(1)).expect("a reactor");
        assert!(reactors.cpu_share > 0.0, "{reactors:?}");
        // This process stands in for a gateway: it may run wherever its thread may.
        assert_eq!(usage.shares_cores(), Some(true));
        let descriptors = usage.descriptors().expect("a count");
        let limit = descriptors.limit.unwrap_or(u64::MAX);
        assert!((3..=limit).contains(&descriptors.high), "{descriptors:?}");
    }

    #[test]
    fn sockets_are_read_where_they_stand() {
        let sockstat = "sockets: used 290\nTCP: inuse 5 orphan 0 tw 71 alloc 6 mem 1\nUDP: inuse 2 mem 0\n";
        assert_eq!(sockets_of(sockstat), Some(Sockets { open: 5, time_wait: 71 }));
        assert_eq!(sockets_of("UDP: inuse 2 mem 0\n"), None);
        assert_eq!(sockets_of("TCP: inuse"), None);
    }

    #[test]
    fn nothing_sampled_is_nothing_known() {
        let usage = ReactorUsage::default();
        assert_eq!((usage.reactors(Duration::from_secs(1)), usage.descriptors()), (None, None));
        assert_eq!((usage.sockets(), usage.shares_cores()), (None, None));
    }
}
