//! What a client process says when it is done: one line of JSON that the drivers read.

use serde::{Deserialize, Serialize};

use crate::usage::Cost;

/// One client's run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientReport {
    /// Which client.
    pub client: String,
    /// Handshakes that ended as they should.
    pub good: u64,
    /// Others.
    pub bad: u64,
    /// What they cost.
    pub cost: Cost,
}

impl ClientReport {
    /// CPU time a handshake, microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> f64 {
        self.cost.cpu_seconds * 1e6 / self.handshakes()
    }

    /// Handshakes a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.handshakes() / self.cost.wall_seconds
    }

    fn handshakes(&self) -> f64 {
        (self.good + self.bad) as f64
    }
}

/// Sessions held, and handshakes made beside them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldReport {
    /// Sessions that were to be held.
    pub sessions: u64,
    /// Sessions held when the handshakes beside them were over.
    pub held_at_end: u64,
    /// Resident bytes before there was a plan.
    pub resident_empty: u64,
    /// … with the plan.
    pub resident_planned: u64,
    /// … with all sessions held.
    pub resident_holding: u64,
    /// The handshakes beside them.
    pub beside: ClientReport,
}
