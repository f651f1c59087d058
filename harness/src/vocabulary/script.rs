//! What the clients of a cohort do, step by step, each at its own pace.

use std::time::Duration;

use super::{ClientId, Cohort, Comparison, DurationRange, Expectation, Plan, PlannedClient};

/// One step of a client's script. It begins when the one before has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStep {
    /// What the client does.
    pub deed: Deed,
    /// What the scenario expects of it beside the oracle; only a connect and a call have an outcome.
    pub expect: Option<Expectation>,
    /// Line of the scenario file, counted from 1.
    pub line: u32,
}

/// What a client does in a step of its script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It connects, again and again as its cohort's [`super::ReconnectPolicy`] says, until it holds a session.
    Connect {
        /// With which of its cohort's connects ([`Cohort::ask`]).
        ask: u16,
        /// It is to be refused: one attempt, and the script goes on after it whatever came of it.
        refused: bool,
    },
    /// It keeps its session for so long; `None` = until the run ends.
    Hold(Option<DurationRange>),
    /// Nothing, for so long, with a session or without.
    Think(DurationRange),
    /// It calls a method over its session.
    Call(ScriptCall),
    /// What its later connects ask is another thing from here on.
    Change,
    /// It leaves its session.
    Drop,
    /// It loses what it has stored.
    Lose(Loss),
}

/// A call over a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptCall {
    /// The method.
    pub method: String,
    /// `params`; `None` leaves the key out.
    pub params: Option<serde_json::Value>,
}

/// Methods that only look.
const LOOKS: [&str; 3] = ["health", "status", protocol::pairing::method::LIST];

impl ScriptCall {
    /// Whether nothing but looking can come of it; of a method that nobody here knows, anything may.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        LOOKS.contains(&self.method.as_str())
    }
}

/// What a client loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its device key: it is another device from here on, and still has the tokens of the one that it was.
    Key,
    /// Its device tokens.
    Token,
    /// Both, as with a folder that is gone.
    Both,
}

impl Loss {
    /// Whether the key goes.
    #[must_use]
    pub const fn key(self) -> bool {
        matches!(self, Self::Key | Self::Both)
    }

    /// Whether the tokens go.
    #[must_use]
    pub const fn token(self) -> bool {
        matches!(self, Self::Token | Self::Both)
    }

    /// Its word in a scenario.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::Both => "both",
        }
    }
}

/// How long something may take, from when it was to start until its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyLimit {
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub limit: Duration,
}

impl std::fmt::Display for LatencyLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.comparison.sign(), self.limit)
    }
}

impl LatencyLimit {
    /// Whether something that took so long keeps within it.
    #[must_use]
    pub fn allows(self, took: Duration) -> bool {
        match self.comparison {
            Comparison::Less => took < self.limit,
            Comparison::LessOrEqual => took <= self.limit,
            Comparison::Greater => took > self.limit,
            Comparison::GreaterOrEqual => took >= self.limit,
            Comparison::Equal => took == self.limit,
            Comparison::NotEqual => took != self.limit,
        }
    }
}

impl Deed {
    /// The key that a scenario names it by.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Hold(_) => "hold",
            Self::Think(_) => "think",
            Self::Call(_) => "call",
            Self::Change => "change",
            Self::Drop => "drop",
            Self::Lose(_) => "lose",
        }
    }
}

impl Cohort {
    /// How many device keys each of its clients has had when its script is over.
    #[must_use]
    pub fn lives(&self) -> u16 {
        let losses = self.script.iter().filter(|step| matches!(step.deed, Deed::Lose(loss) if loss.key()));
        u16::try_from(losses.count()).unwrap_or(u16::MAX - 1) + 1
    }
}

impl Plan {
    /// A method that a script calls and that may change something.
    #[must_use]
    pub fn calls_that_change(&self) -> Option<&str> {
        let steps = self.cohorts.iter().flat_map(|cohort| &cohort.script);
        let calls = steps.filter_map(|step| match &step.deed {
            Deed::Call(call) if !call.only_looks() => Some(call.method.as_str()),
            _ => None,
        });
        calls.into_iter().next()
    }

    /// Clients as they arrive. The rest of [`Plan::clients`] is what some of them become when they lose their key.
    pub fn arriving(&self) -> impl Iterator<Item = (ClientId, &PlannedClient)> {
        (0..).zip(&self.clients).take_while(|(_, client)| client.life == 0)
    }
}
