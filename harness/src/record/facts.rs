//! What only the run itself knows: its target, its own costs and how it came to its end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::at_rest::AtRest;
use super::log_times::LogTimes;
use super::redact::Redactor;
use super::store_times::ProcessMetrics;
use crate::history::Written;
use crate::plan::Nanos;

/// What the generator's reactors did with their time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ReactorLoad {
    /// Share of the load's time in which the busiest reactor ran.
    pub cpu_share: f64,
    /// Share of the load's time in which the reactor that waited most could have run, but had no core.
    pub wait_share: f64,
    /// How long a reactor waited for a core on average, each time it had something to do.
    pub wait_mean: Duration,
}

/// Descriptors of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// The most that were open.
    pub high: u64,
    /// What it may open; `None` = as many as it likes.
    pub limit: Option<u64>,
}

/// TCP sockets of this machine, those of other processes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// Open.
    pub open: u64,
    /// In TIME_WAIT, on whichever side.
    pub time_wait: u64,
}

impl Sockets {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { open: self.open.max(other.open), time_wait: self.time_wait.max(other.time_wait) }
    }
}

/// What the generator itself took and met; `None` = the system did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorFacts {
    /// What its reactors did with their time.
    pub reactors: Option<ReactorLoad>,
    /// The most descriptors it had open.
    pub descriptors: Option<Descriptors>,
    /// The most sockets that the machine had.
    pub sockets: Option<Sockets>,
}

/// Facts of one run, filled in by the module that ran it. Holds no secrets: the target is a URL without credentials.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunFacts {
    /// Wall-clock anchor: the moment that nanosecond 0 of the history stands for.
    #[serde(with = "timestamp")]
    pub started_at: jiff::Timestamp,
    /// Name of the scenario file, as typed.
    pub scenario_file: String,
    /// Lowercase hex SHA-256 of the file's text.
    pub scenario_sha256: String,
    /// Version of pairstorm.
    pub pairstorm_version: String,
    /// What was loaded, for people: `in-repo gateway at ws://127.0.0.1:18789`, or a URL.
    pub target: String,
    /// The run started the gateway itself.
    pub own_gateway: bool,
    /// Profile that the gateway was held to.
    pub profile: String,
    /// Reactors that drove clients.
    pub reactors: u32,
    /// Cores that this process may use.
    pub cores: u32,
    /// Gateway and generator ran on the same cores, so that each slows the other.
    pub cores_shared: bool,
    /// What the reactors and the system said of the load.
    pub generator: GeneratorFacts,
    /// User and system time of this process during the run.
    pub own_cpu: Duration,
    /// Largest resident set of this process, bytes.
    pub own_rss_max_bytes: u64,
    /// User and system time of the gateway during the run; `None` = not ours to see.
    pub gateway_cpu: Option<Duration>,
    /// Largest resident set of the gateway, bytes; `None` = not ours to see.
    pub gateway_rss_max: Option<u64>,
    /// Attempts that the engine counted by itself, dropped ones included; `None` = it does not count. A history with
    /// another number of attempts has lost evidence, and the run is invalid.
    pub attempts_booked: Option<u64>,
    /// What writing the history came to. What of it was lost makes the run invalid.
    pub written: Written,
    /// Where the history breaks off, or why it could not be read to its end, if so. The run is then invalid.
    pub broken: Option<String>,
    /// A signal ended the run early.
    pub interrupted: bool,
    /// The run's wall-clock limit ended it.
    pub max_time_hit: bool,
    /// Why the gateway could not be started or reached, if so.
    pub failed: Option<String>,
    /// The run stopped at the first mismatch, as asked.
    pub fail_fast_hit: bool,
    /// How long the run took, nanoseconds.
    pub run_duration_ns: Nanos,
    /// What each process of the gateway said of itself; empty of one that is not ours.
    pub processes: Vec<ProcessMetrics>,
    /// What the gateway said once everyone had gone; `None` = it is not ours, or was not there to be asked.
    #[serde(default)]
    pub at_rest: Option<AtRest>,
    /// The log of a gateway that is ours.
    #[serde(skip)]
    pub gateway_log: Option<LogTimes>,
    /// Stops of our own gateway that ended otherwise than those of one without a fault.
    #[serde(default)]
    pub unclean_stops: Vec<String>,
    /// Knows the run's secrets. A gateway may send back what it was sent, so names and texts of the peer are cleaned
    /// before they become part of the result.
    #[serde(skip)]
    pub redactor: Redactor,
}

/// A moment as RFC 3339.
mod timestamp {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(moment: &jiff::Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(moment)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl RunFacts {
    /// Whether the history lacks something: nothing follows from what is not in it.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.written.lost > 0 || self.broken.is_some()
    }
}
