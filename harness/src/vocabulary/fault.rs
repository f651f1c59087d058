//! What a nemesis can do to a gateway, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Nanos;

/// A fault and when it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFault {
    /// Name in the scenario file; of a fault that happens several times, followed by `/` and a number from 1 on.
    pub name: String,
    /// When; with a trigger, when it begins to be waited for.
    pub at: Nanos,
    /// What it waits for from then on.
    pub trigger: Option<Trigger>,
    /// What.
    pub kind: FaultKind,
}

/// Something that a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// An operator has sent an approval, whatever became of it.
    Approval {
        /// Time from the sending to the fault.
        after: Duration,
    },
}

/// What a fault does to the gateway's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Signal, wait for the exit, start again with the same port and state directory after `down`.
    Restart {
        /// How it is stopped.
        signal: StopSignal,
        /// Pause between exit and start.
        down: Duration,
    },
    /// SIGHUP: read the store again.
    Reload,
    /// SIGSTOP, then SIGCONT after this long.
    Pause(Duration),
}

/// Signal that stops the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// Drain and exit.
    Sigterm,
    /// Die at once.
    Sigkill,
}
