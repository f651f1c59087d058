//! Scripted operators.

use std::time::Duration;

use super::{CohortId, DurationRange};

/// A scripted operator.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorPlan {
    /// Name in the scenario file.
    pub name: String,
    /// Positions of the cohorts it serves; `None` = all.
    pub serves: Option<Vec<CohortId>>,
    /// How it learns of requests.
    pub notices: Notices,
    /// Time from noticing to deciding.
    pub think: Think,
    /// Share of devices it rejects, 0.0 to 1.0; which ones is drawn from the seed and the device.
    pub reject_share: f64,
    /// Share of devices it never answers.
    pub ignore_share: f64,
    /// Which request it approves when it has decided to approve one.
    pub approves: Approves,
    /// Decisions a second at most.
    pub rate_max: Option<f64>,
    /// How it does what it does.
    pub by: By,
    /// Which state directory its commands go to.
    pub state: OperatorState,
    /// What else it does to paired devices.
    pub upkeep: Upkeep,
}

/// Whose state directory an operator's commands go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OperatorState {
    /// That of the gateway.
    #[default]
    Gateway,
    /// That of a second gateway, which no client knows: as of somebody who types on the host what belongs into the container.
    Elsewhere,
}

/// How long somebody thinks: from a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Think {
    /// Every time of a range is as likely as another.
    Uniform(DurationRange),
    /// Most are quick and few take very long, as people are.
    LogNormal {
        /// Half think longer.
        median: Duration,
        /// One of a hundred thinks longer.
        p99: Duration,
    },
    /// Without memory: whoever has thought for long is no nearer to an end.
    Exponential {
        /// Mean.
        mean: Duration,
    },
}

/// Which request somebody approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approves {
    /// The one that it has thought about.
    Each,
    /// Whatever `devices approve --latest` of the release would.
    Latest,
}

/// How an operator does what it does. It always learns of requests through a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By calls over its session.
    Session,
    /// By the gateway's own `devices` commands, a process each, one after the other.
    CommandLine,
}

/// Things done to paired devices of the cohorts that an operator serves, a second; which ones is drawn from the seed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Upkeep {
    /// Tokens rotated.
    pub rotate: Option<f64>,
    /// Tokens revoked.
    pub revoke: Option<f64>,
    /// Devices removed.
    pub remove: Option<f64>,
}

/// How an operator learns of pending requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// By the `device.pair.requested` event.
    Event,
    /// By listing every so often.
    List(Duration),
}
