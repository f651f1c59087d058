//! Clients that have something in common, and what a store holds for them.

use std::net::Ipv4Addr;

use super::{
    ClientId, CohortId, ConnectSpec, DurationRange, Expectation, Nanos, ReconnectPolicy, ScriptStep,
    SessionScript,
};

/// What all clients of a cohort have in common.
#[derive(Debug, Clone)]
pub struct Cohort {
    /// Name in the scenario file.
    pub name: String,
    /// What its clients send.
    pub connect: ConnectSpec,
    /// What they send in later steps of a script; see [`Cohort::ask`].
    pub variants: Vec<ConnectSpec>,
    /// Entry that the store holds for each client before the run.
    pub stored: Option<StoredEntry>,
    /// How arrivals were scripted; the times are in [`PlannedClient::intended`].
    pub executor: Executor,
    /// What a client does between attempts.
    pub reconnect: ReconnectPolicy,
    /// What a client does once it holds a session, if it has no script.
    pub session: SessionScript,
    /// What each client does, step by step; empty = it connects, holds its session and leaves.
    pub script: Vec<ScriptStep>,
    /// What the scenario expects beside the oracle.
    pub expect: Option<Expectation>,
}

impl Cohort {
    /// The connect that an attempt made: 0 is [`Cohort::connect`], `n` the variant `n - 1`; `None` if there is none.
    #[must_use]
    pub fn ask(&self, number: u16) -> Option<&ConnectSpec> {
        match number.checked_sub(1) {
            None => Some(&self.connect),
            Some(variant) => self.variants.get(usize::from(variant)),
        }
    }
}

/// What the store holds for a client before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Approved roles.
    pub roles: Vec<String>,
    /// Approved scopes.
    pub scopes: Vec<String>,
    /// Pinned platform and family, or a legacy entry with neither.
    pub metadata: StoredMetadata,
    /// Whether each approved role has a token, known to the client.
    pub tokens: bool,
    /// What does not stand in it at all, as in those of older builds.
    pub absent: AbsentParts,
}

/// What an entry lacks, which is not the same as holding none of it. The oracle knows no such entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AbsentParts {
    /// `role` and `roles`.
    pub roles: bool,
    /// `scopes` and `approvedScopes`.
    pub scopes: bool,
}

impl AbsentParts {
    /// Whether anything is absent.
    #[must_use]
    pub const fn any(self) -> bool {
        self.roles || self.scopes
    }
}

/// Platform and device family of a stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredMetadata {
    /// What the client claims.
    Same,
    /// Neither (a legacy entry).
    Legacy,
    /// Something else than the client claims.
    Other {
        /// Stored platform.
        platform: String,
        /// Stored family.
        device_family: Option<String>,
    },
}

/// How clients of a cohort arrive.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// Starts come from the schedule, whatever the gateway does.
    Open,
    /// At most this many clients are active; the next one starts when one has ended its script.
    Closed {
        /// Active clients.
        concurrency: u32,
        /// Pause before the next one starts.
        think: DurationRange,
    },
    /// Its clients do what the plan's steps say, when they say so.
    Steps,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedClient {
    /// Its cohort.
    pub cohort: CohortId,
    /// Its index in the cohort.
    pub index: u32,
    /// When its first attempt is to start (open executor), or the earliest time it may (closed).
    pub intended: Nanos,
    /// Address it dials from.
    pub source: Ipv4Addr,
    /// Address a proxy forwards for it.
    pub forwarded: Option<Ipv4Addr>,
    /// Which of its device keys it has, counted from 0: whoever loses its key is another device.
    pub life: u16,
    /// The device that it becomes when it loses its key.
    pub next_life: Option<ClientId>,
}
