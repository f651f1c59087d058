//! Words that every step of the harness uses: what a scenario can say and a plan holds. Types and tables, no logic.
//!
//! Times are nanoseconds and count from the run's start.

pub mod addresses;
pub mod cause;
mod cohort;
mod connect;
mod fault;
mod gateway;
pub mod invariant;
pub mod limits;
mod operator;
pub mod persona;
mod reconnect;
mod rules;
mod script;
mod shard;
mod step;

use std::time::Duration;

pub use cohort::{AbsentParts, Cohort, Executor, PlannedClient, StoredEntry, StoredMetadata};
pub use connect::{
    ConnectSpec, Credential, Deviation, ForwardedFor, NetworkPath, Origin, Persona, SignatureVersion,
};
pub use fault::{Change, FaultKind, PlannedFault, StopSignal, StoreDamage, Trigger};
pub use gateway::{AuthMode, GatewayPlan, LaunchPlan, Readiness};
pub use operator::{Approves, By, Notices, OperatorPlan, OperatorState, Think, Upkeep};
pub use reconnect::{Backoff, GiveUp, ReconnectPolicy, SessionScript};
pub use rules::{Comparison, Expectation, Threshold, ValidityBudget};
pub use script::{Deed, LatencyLimit, Loss, ScriptCall, ScriptStep};
pub use shard::{NoShard, Shard};
pub use step::{Action, Request, Step, StepConnect, StoreEdit};

/// Nanoseconds since the run's start on the monotonic clock.
pub type Nanos = u64;

/// Everything a run is going to do, fixed before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the scenario.
    pub name: String,
    /// What it shows, for people.
    pub about: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The part of the scenario's clients that this run has; `None` = all.
    pub shard: Option<Shard>,
    /// Which verdicts are asked for.
    pub oracle: OracleMode,
    /// The gateway to start, or to hold a foreign one to.
    pub gateway: GatewayPlan,
    /// Cohorts in file order; [`CohortId`] indexes them.
    pub cohorts: Vec<Cohort>,
    /// Clients by cohort, then index; behind them all, in the same order, the devices that some become when they lose their
    /// key ([`PlannedClient::life`]). [`ClientId`] indexes them.
    pub clients: Vec<PlannedClient>,
    /// Operators in file order.
    pub operators: Vec<OperatorPlan>,
    /// Faults sorted by time.
    pub faults: Vec<PlannedFault>,
    /// Steps of a story, carried out one after the other; faults and steps exclude each other.
    pub steps: Vec<Step>,
    /// Invariants that the run is expected to break, and no others; `None` = none of them decides about the run.
    pub invariants: Option<Vec<invariant::Invariant>>,
    /// Pass rules beside the oracle.
    pub thresholds: Vec<Threshold>,
    /// When clients stop starting attempts and leave; `None` = when all scripts have ended.
    pub duration: Option<Duration>,
    /// How long after the end of the last fault they do so, if that is what ends the run.
    pub after_faults: Option<Duration>,
    /// Wall-clock limit of the whole run.
    pub max_time: Duration,
    /// How long one attempt may take before it counts as timed out.
    pub attempt_timeout: Duration,
    /// Largest number of attempts in progress; an arrival beyond it is dropped, with the reason.
    pub in_flight_max: usize,
    /// Factor applied to client and gateway durations (TTL, back-off, think time); 1.0 = real time.
    pub time_scale: f64,
    /// Budgets beyond which the run's numbers are not trusted (exit code 4).
    pub validity: ValidityBudget,
}

impl Plan {
    /// Whether the operator of that position does what it does to another gateway than the clients' one.
    #[must_use]
    pub fn acts_elsewhere(&self, operator: u16) -> bool {
        let operator = self.operators.get(usize::from(operator));
        operator.is_some_and(|operator| operator.state == OperatorState::Elsewhere)
    }
}

/// Position of a cohort in [`Plan::cohorts`].
pub type CohortId = u16;
/// Position of a client in [`Plan::clients`].
pub type ClientId = u32;

/// Which verdicts a scenario asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OracleMode {
    /// The oracle judges every outcome by the gateway's profile.
    Profile,
    /// Only the scenario's own expectations are judged, and nothing but the handshake is asked of the target.
    Expectations,
}

/// A duration drawn uniformly from a range; equal ends = constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationRange {
    /// Shortest.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
}
