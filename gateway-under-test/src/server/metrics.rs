//! Counters, and their Prometheus text at `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Upper bounds of the commit latency buckets, seconds.
const COMMIT_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A sum with a count and buckets.
#[derive(Debug, Default, Clone)]
struct Latency {
    buckets: [u64; COMMIT_BUCKETS.len()],
    sum: f64,
    count: u64,
}

/// All counters of a gateway. Gauges that live elsewhere are given to [`Metrics::text`].
#[derive(Debug)]
pub struct Metrics {
    started_ms: u64,
    handshakes: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    commits: Mutex<Latency>,
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
            commits: Mutex::default(),
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
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.sum += seconds;
        commits.count += 1;
        for (bucket, bound) in commits.buckets.iter_mut().zip(COMMIT_BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
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
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut samples: Vec<_> = commits
            .buckets
            .iter()
            .zip(COMMIT_BUCKETS)
            .map(|(count, bound)| (format!("_bucket{{le=\"{bound}\"}}"), float(*count)))
            .collect();
        samples.push(("_bucket{le=\"+Inf\"}".to_owned(), float(commits.count)));
        samples.push(("_sum".to_owned(), commits.sum));
        samples.push(("_count".to_owned(), float(commits.count)));
        family("gateway_store_commit_seconds", "histogram", "Time to write and fsync one commit.", &samples);
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
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} not in\n{text}");
        }
    }
}
