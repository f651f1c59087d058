//! Counters, and their Prometheus text at `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::{Load, LoadWhen};

/// Upper bounds of the buckets, seconds.
const BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A sum with a count and buckets.
#[derive(Debug, Default, Clone)]
struct Latency {
    buckets: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
}

impl Latency {
    fn add(&mut self, seconds: f64) {
        self.sum += seconds;
        self.count += 1;
        for (bucket, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// Suffixes and values of its samples; `label` is empty or `name="value"`.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are floats")]
    fn samples(&self, label: &str) -> Vec<(String, f64)> {
        let (comma, braced) =
            if label.is_empty() { ("", String::new()) } else { (",", format!("{{{label}}}")) };
        let mut samples: Vec<_> = self
            .buckets
            .iter()
            .zip(BUCKETS)
            .map(|(count, bound)| (format!("_bucket{{{label}{comma}le=\"{bound}\"}}"), *count as f64))
            .collect();
        samples.push((format!("_bucket{{{label}{comma}le=\"+Inf\"}}"), self.count as f64));
        samples.push((format!("_sum{braced}"), self.sum));
        samples.push((format!("_count{braced}"), self.count as f64));
        samples
    }
}

/// How the store's thread spends its time.
#[derive(Debug, Default, Clone)]
struct StoreTimes {
    wait: Latency,
    lock: Latency,
    commit: Latency,
    load: BTreeMap<LoadWhen, (Latency, usize)>,
}

/// All counters of a gateway. Gauges that live elsewhere are given to [`Metrics::text`].
#[derive(Debug)]
pub struct Metrics {
    started_ms: u64,
    handshakes: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    store: Mutex<StoreTimes>,
    batch_jobs: AtomicU64,
    batch_max: AtomicU64,
    commit_failures: AtomicU64,
    reloads: AtomicU64,
    reload_failures: AtomicU64,
    in_progress: AtomicU64,
}

/// Numbers that live elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Gauges {
    /// Open sessions.
    pub sessions: usize,
    /// Paired devices.
    pub devices: usize,
    /// Pending requests, those too old included.
    pub pending: usize,
    /// Log lines dropped.
    pub log_dropped: u64,
}

impl Metrics {
    /// Zeroes, for a process that started at `started_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn new(started_ms: u64) -> Self {
        Self {
            started_ms,
            handshakes: Mutex::default(),
            store: Mutex::default(),
            batch_jobs: AtomicU64::new(0),
            batch_max: AtomicU64::new(0),
            commit_failures: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            reload_failures: AtomicU64::new(0),
            in_progress: AtomicU64::new(0),
        }
    }

    /// When the process started, milliseconds since the Unix epoch.
    #[must_use]
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// A handshake ended.
    pub fn handshake(&self, result: &'static str, cause: &'static str) {
        let mut handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        *handshakes.entry((result, cause)).or_default() += 1;
    }

    /// A connection was accepted and is not a session yet; it counts until the guard is dropped.
    pub fn begin(self: &std::sync::Arc<Self>) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        InProgress(std::sync::Arc::clone(self))
    }

    /// The store wrote for `batch` jobs.
    pub fn committed(&self, batch: usize, seconds: f64) {
        let batch = batch as u64;
        self.batch_jobs.fetch_add(batch, Ordering::Relaxed);
        self.batch_max.fetch_max(batch, Ordering::Relaxed);
        self.with_store(|times| times.commit.add(seconds));
    }

    /// The store's thread began a batch: how long the store was waited for, and each of the jobs.
    pub fn began(&self, lock: Duration, waits: &[Duration]) {
        self.with_store(|times| {
            times.lock.add(lock.as_secs_f64());
            waits.iter().for_each(|wait| times.wait.add(wait.as_secs_f64()));
        });
    }

    /// Everything that is kept was read.
    pub fn loaded(&self, load: &Load) {
        self.with_store(|times| {
            let (latency, devices) = times.load.entry(load.when).or_default();
            latency.add(load.took.as_secs_f64());
            *devices = load.devices;
        });
    }

    fn with_store<T>(&self, look: impl FnOnce(&mut StoreTimes) -> T) -> T {
        look(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store could not write.
    pub fn commit_failed(&self) {
        self.commit_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A reload ended.
    pub fn reloaded(&self, worked: bool) {
        let counter = if worked { &self.reloads } else { &self.reload_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Prometheus text exposition format 0.0.4.
    #[must_use]
    pub fn text(&self, gauges: Gauges) -> String {
        let mut out = String::with_capacity(2048);
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, value) in samples {
                let _ = writeln!(out, "{name}{suffix} {value}");
            }
        };
        let one = |value: f64| [(String::new(), value)];
        #[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are floats")]
        let float = |value: u64| value as f64;
        let load = |counter: &AtomicU64| float(counter.load(Ordering::Relaxed));

        family(
            "process_start_time_seconds",
            "gauge",
            "When the process started, seconds since the Unix epoch.",
            &one(float(self.started_ms) / 1000.0),
        );
        let handshakes: Vec<_> = self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|((result, cause), count)| {
                (format!("{{result=\"{result}\",cause=\"{cause}\"}}"), float(*count))
            })
            .collect();
        family(
            "gateway_handshakes_total",
            "counter",
            "Handshakes that ended, by result and cause.",
            &handshakes,
        );
        family(
            "gateway_handshakes_in_progress",
            "gauge",
            "Connections that are not sessions yet.",
            &one(load(&self.in_progress)),
        );
        family("gateway_sessions", "gauge", "Open sessions.", &one(float(gauges.sessions as u64)));
        family("gateway_store_devices", "gauge", "Paired devices.", &one(float(gauges.devices as u64)));
        family("gateway_store_pending", "gauge", "Pending requests.", &one(float(gauges.pending as u64)));
        let times = self.with_store(|times| times.clone());
        family(
            "gateway_store_wait_seconds",
            "histogram",
            "From when a job was handed to the store's thread until it began.",
            &times.wait.samples(""),
        );
        family(
            "gateway_store_lock_seconds",
            "histogram",
            "Until a batch had the store for itself; part of the wait of its jobs.",
            &times.lock.samples(""),
        );
        family(
            "gateway_store_commit_seconds",
            "histogram",
            "Time to write and fsync one commit.",
            &times.commit.samples(""),
        );
        let label = |when: &LoadWhen| format!("when=\"{}\"", when.as_str());
        family(
            "gateway_store_load_seconds",
            "histogram",
            "Time to read everything that is kept, by why it was read.",
            &times.load.iter().flat_map(|(when, (load, _))| load.samples(&label(when))).collect::<Vec<_>>(),
        );
        let devices = |(when, (_, devices)): (&LoadWhen, &(Latency, usize))| {
            (format!("{{{}}}", label(when)), float(*devices as u64))
        };
        family(
            "gateway_store_loaded_devices",
            "gauge",
            "Devices that the last reading found, by why it was read.",
            &times.load.iter().map(devices).collect::<Vec<_>>(),
        );
        family(
            "gateway_store_commit_jobs_total",
            "counter",
            "Jobs that shared commits; divide by the number of commits for the mean batch.",
            &one(load(&self.batch_jobs)),
        );
        family(
            "gateway_store_commit_jobs_max",
            "gauge",
            "Largest batch so far.",
            &one(load(&self.batch_max)),
        );
        family(
            "gateway_store_commit_failures_total",
            "counter",
            "Commits that could not be written.",
            &one(load(&self.commit_failures)),
        );
        family(
            "gateway_store_reloads_total",
            "counter",
            "Reloads by result.",
            &[
                ("{result=\"ok\"}".to_owned(), load(&self.reloads)),
                ("{result=\"failed\"}".to_owned(), load(&self.reload_failures)),
            ],
        );
        family(
            "gateway_log_lines_dropped_total",
            "counter",
            "Log lines that found the writer busy.",
            &one(float(gauges.log_dropped)),
        );
        out
    }
}

/// Counts a connection as in progress.
#[derive(Debug)]
pub struct InProgress(std::sync::Arc<Metrics>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_a_family() {
        let metrics = std::sync::Arc::new(Metrics::new(1_500));
        metrics.handshake("refused", "pairing-required");
        metrics.handshake("refused", "pairing-required");
        metrics.committed(3, 0.004);
        metrics.began(Duration::from_millis(2), &[Duration::from_millis(3), Duration::from_millis(30)]);
        for (when, took, devices) in
            [(LoadWhen::Start, 40, 9), (LoadWhen::Reload, 20, 8), (LoadWhen::Reload, 5, 7)]
        {
            metrics.loaded(&Load { when, took: Duration::from_millis(took), devices });
        }
        let _guard = metrics.begin();
        let text = metrics.text(Gauges { sessions: 2, devices: 7, pending: 1, log_dropped: 0 });
        for expected in [
            "process_start_time_seconds 1.5",
            "gateway_handshakes_total{result=\"refused\",cause=\"pairing-required\"} 2",
            "gateway_handshakes_in_progress 1",
            "gateway_sessions 2",
            "gateway_store_devices 7",
            "gateway_store_commit_seconds_bucket{le=\"0.0025\"} 0",
            "gateway_store_commit_seconds_bucket{le=\"0.005\"} 1",
            "gateway_store_commit_seconds_count 1",
            "gateway_store_commit_jobs_total 3",
            "gateway_store_wait_seconds_bucket{le=\"0.005\"} 1",
            "gateway_store_wait_seconds_count 2",
            "gateway_store_lock_seconds_sum 0.002",
            "gateway_store_load_seconds_bucket{when=\"reload\",le=\"0.01\"} 1",
            "gateway_store_load_seconds_sum{when=\"start\"} 0.04",
            "gateway_store_load_seconds_count{when=\"reload\"} 2",
            "gateway_store_loaded_devices{when=\"reload\"} 7",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} not in\n{text}");
        }
    }
}
