//! What a scenario holds a run to beside the oracle: expectations, thresholds, and limits of the generator's own error.

use std::ops::Range;
use std::time::Duration;

use super::{LatencyLimit, cause};

/// What a scenario expects of a cohort's outcomes, beside the oracle or instead of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Word of the outcome, for example `session` or `refused` ([`crate::observation::Outcome::word`]).
    pub outcome: Option<String>,
    /// `error.code`.
    pub code: Option<String>,
    /// `error.details.code`.
    pub detail_code: Option<String>,
    /// `error.details.reason`.
    pub reason: Option<String>,
    /// Close code.
    pub close: Option<u16>,
    /// How long it may take from its intended start to its answer, or to its end without one.
    pub latency: Option<LatencyLimit>,
    /// Which attempts of a client are meant, counted from 0; `None` = all.
    pub attempts: Option<Range<u32>>,
    /// What the diagnosis of each client is to say, after the run. It is about all attempts of a client.
    pub cause: Option<cause::ExpectedCause>,
    /// The cause that is really there, where nobody holds the diagnosis to it: it counts in a score alone.
    pub label: Option<cause::ExpectedCause>,
}

/// A pass rule on a measured figure, for example `approval_to_session.p99 < 6s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Path of the metric as in the scenario file.
    pub metric: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// Limit in the metric's own unit: microseconds for latencies, a count for counts, a share for shares.
    pub limit: f64,
    /// The rule as written, for the report.
    pub text: String,
}

/// Comparison of a measured figure with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Its sign in a scenario.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// Limits of the generator's own error.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidityBudget {
    /// p99 of how late the generator started attempts.
    pub lag_p99_max: Duration,
    /// An attempt that is started this long after its intended start, or longer, is late.
    pub late_after: Duration,
    /// Share of started attempts that were late; 1 = any.
    pub late_share_max: f64,
    /// Share of arrivals that could not be started.
    pub dropped_share_max: f64,
    /// Share of the load's time in which the busiest reactor ran.
    pub reactor_cpu_share_max: f64,
    /// Share of the load's time in which a reactor could have run, but had no core.
    pub scheduler_delay_share_max: f64,
    /// Share of the descriptors that this process may open.
    pub descriptors_share_max: f64,
    /// Share of the reactors' time in which they waited for the disk that the history is written to.
    pub history_wait_share_max: f64,
    /// Share of verdicts that evidence did not suffice for.
    pub indeterminate_share_max: f64,
}

impl ValidityBudget {
    /// The budgets of a scenario that says nothing about them. A machine that does much else at the same time keeps within
    /// them with a load that it can carry; `scenarios/README.md` says why each is what it is.
    pub const USUAL: Self = Self {
        lag_p99_max: Duration::from_millis(100),
        late_after: Duration::from_millis(10),
        late_share_max: 1.0,
        dropped_share_max: 0.0,
        reactor_cpu_share_max: 0.9,
        scheduler_delay_share_max: 0.3,
        descriptors_share_max: 0.98,
        history_wait_share_max: 0.05,
        indeterminate_share_max: 0.02,
    };
}
