//! What a reactor is given, and what it gives back beside the records.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::feed::{Feed, StopPhase};
use super::told::Told;
use super::transcripts::Transcripts;
use crate::clock::Clock;
use crate::gateway::TargetAddress;
use crate::plan::Plan;
use crate::plan::identity::Identities;

/// What every reactor is given.
#[derive(Clone)]
pub struct Assignment {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Identities of its clients.
    pub identities: Identities,
    /// Where the load goes.
    pub target: TargetAddress,
    /// The gateway's shared secret.
    pub secret: String,
    /// The run's clock.
    pub clock: Clock,
    /// Where records go.
    pub feed: Feed,
    /// Where operators say whom they approved.
    pub told: Told,
    /// When to stop.
    pub stop: watch::Receiver<StopPhase>,
    /// Number of reactors.
    pub reactors: usize,
    /// Dropped when the reactor's thread ends.
    pub alive: mpsc::Sender<()>,
}

/// What a reactor kept to itself until it was done.
#[derive(Debug, Default)]
pub struct ReactorOutput {
    /// What passed in the kept attempts.
    pub transcripts: Vec<Transcripts>,
    /// Secrets that the gateway issued, for redaction.
    pub secrets: HashSet<String>,
}
