//! What the in-repo gateway says of its store before and after a restart: lock, waiting, commits and loading, from `/metrics`
//! (docs/reference/conduct.md).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::micros;
use super::restarts::Restart;
use crate::plan::Nanos;

/// What one process said of itself, last looked at before its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMetrics {
    /// When it was asked first, nanoseconds of the run.
    pub first_at: Nanos,
    /// When this was its answer.
    pub at: Nanos,
    /// Its answer, Prometheus text.
    pub text: String,
}

/// Two processes, with a restart between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreAround {
    /// Of the process that was stopped, from its start to half a second before the signal at most; `null` = it did not say.
    pub before: Option<StoreTimes>,
    /// Of the new process, to the next signal or the run's end.
    pub after: Option<StoreTimes>,
}

/// How the thread of a store spent its time since its process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreTimes {
    /// Until a batch of jobs had the store for itself.
    pub lock: TimeSum,
    /// From when a job was handed to the store until it began, the lock included.
    pub wait: TimeSum,
    /// Writing and fsync of a commit.
    pub commit: TimeSum,
    /// Reading everything at the start, µs.
    pub load: Option<u64>,
    /// Devices that it found.
    pub loaded_devices: Option<u64>,
}

/// Times that were added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSum {
    /// How many.
    pub count: u64,
    /// All of them, µs.
    pub sum: u64,
    /// Mean, µs; `null` = there were none.
    pub mean: Option<u64>,
    /// Upper bound of the bucket in which the 99th percentile lies, µs; `null` = none, or beyond the last bucket.
    pub p99_at_most: Option<u64>,
}

impl StoreTimes {
    /// Reads what a gateway answers at `/metrics`; `None` if it says nothing of a store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let samples = samples(text);
        samples.get("gateway_store_lock_seconds_count")?;
        let start = "{when=\"start\"}";
        let of = |name: String| samples.get(name.as_str()).copied();
        Some(Self {
            lock: time_sum(&samples, "gateway_store_lock_seconds"),
            wait: time_sum(&samples, "gateway_store_wait_seconds"),
            commit: time_sum(&samples, "gateway_store_commit_seconds"),
            load: of(format!("gateway_store_load_seconds_sum{start}")).map(in_micros),
            loaded_devices: of(format!("gateway_store_loaded_devices{start}")).map(whole),
        })
    }
}

/// The samples of a Prometheus text by name and labels.
pub(super) fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name, value.parse().ok()?))
        })
        .collect()
}

fn time_sum(samples: &BTreeMap<&str, f64>, family: &str) -> TimeSum {
    let of = |suffix: &str| samples.get(format!("{family}{suffix}").as_str()).copied();
    let count = of("_count").map_or(0, whole);
    let sum = of("_sum").map_or(0, in_micros);
    let needed = (count * 99).div_ceil(100);
    let bucket = format!("{family}_bucket{{le=\"");
    let bounds = samples.iter().filter_map(|(name, reached)| {
        let bound: f64 = name.strip_prefix(bucket.as_str())?.strip_suffix("\"}")?.parse().ok()?;
        (bound.is_finite() && count > 0 && whole(*reached) >= needed).then(|| in_micros(bound))
    });
    TimeSum { count, sum, mean: sum.checked_div(count), p99_at_most: bounds.min() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
pub(super) fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

fn in_micros(seconds: f64) -> u64 {
    whole(seconds * 1e6)
}

/// Gives each restart what the processes before and after it said, and when the store of the new one was loaded.
pub fn attach(restarts: &mut [Restart], processes: &[ProcessMetrics]) {
    let signals: Vec<u64> = restarts.iter().map(|restart| restart.at).collect();
    let mut started = 0;
    for (position, restart) in restarts.iter_mut().enumerate() {
        let next = signals.get(position + 1).copied().unwrap_or(u64::MAX);
        let spawned = restart.spawned.map(|spawned| restart.at + spawned);
        let within = |from: u64, to: u64| {
            let of = processes.iter().find(|it| micros(it.first_at) >= from && micros(it.at) <= to)?;
            StoreTimes::parse(&of.text)
        };
        let around = StoreAround {
            before: within(started, restart.at),
            after: spawned.and_then(|spawned| within(spawned, next)),
        };
        // A store is read as soon as its process runs. A gateway that does not say how long has read it when it is ready.
        let load = around.after.and_then(|after| after.load);
        let loaded = restart.spawned.zip(load).map(|(spawned, load)| spawned + load);
        restart.store_loaded = loaded.or(restart.ready);
        if around != StoreAround::default() {
            restart.store = Some(around);
        }
        started = spawned.unwrap_or(restart.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP x\n\
        gateway_store_lock_seconds_bucket{le=\"0.0001\"} 90\n\
        gateway_store_lock_seconds_bucket{le=\"0.001\"} 99\n\
        gateway_store_lock_seconds_bucket{le=\"10\"} 100\n\
        gateway_store_lock_seconds_bucket{le=\"+Inf\"} 100\n\
        gateway_store_lock_seconds_sum 0.05\n\
        gateway_store_lock_seconds_count 100\n\
        gateway_store_commit_seconds_bucket{le=\"10\"} 0\n\
        gateway_store_commit_seconds_sum 0\n\
        gateway_store_commit_seconds_count 0\n\
        gateway_store_load_seconds_sum{when=\"start\"} 0.25\n\
        gateway_store_loaded_devices{when=\"start\"} 100\n";

    #[test]
    fn the_text_of_a_gateway_is_read() {
        let times = StoreTimes::parse(TEXT).unwrap();
        let lock = TimeSum { count: 100, sum: 50_000, mean: Some(500), p99_at_most: Some(1_000) };
        assert_eq!((times.lock, times.commit), (lock, TimeSum::default()));
        assert_eq!((times.load, times.loaded_devices), (Some(250_000), Some(100)));
        assert_eq!(StoreTimes::parse("<html>control ui</html>"), None);
    }

    #[test]
    fn each_restart_has_the_process_before_and_the_one_after() {
        let restart = |at, spawned| Restart {
            at,
            spawned: Some(spawned),
            ready: Some(spawned + 400_000),
            ..Restart::default()
        };
        let said = |first: u64, at: u64, devices: u32| ProcessMetrics {
            first_at: first * 1_000,
            at: at * 1_000,
            text: TEXT.replace("} 100\n", &format!("}} {devices}\n")),
        };
        let mut restarts =
            [restart(1_000_000, 10_000), restart(3_000_000, 10_000), restart(5_000_000, 10_000)];
        attach(&mut restarts, &[said(100_000, 900_000, 1), said(1_500_000, 2_900_000, 2)]);
        let devices = |restart: &Restart| {
            let store = restart.store.unwrap_or_default();
            [store.before, store.after].map(|times| times.and_then(|times| times.loaded_devices))
        };
        assert_eq!(
            restarts.each_ref().map(devices),
            [[Some(1), Some(2)], [Some(2), None], [None, None]],
            "a process that was not asked is null, and not its neighbour"
        );
        assert_eq!(
            restarts.each_ref().map(|restart| restart.store_loaded),
            [Some(260_000), Some(410_000), Some(410_000)]
        );
        assert_eq!(restarts[2].store, None);
    }
}
