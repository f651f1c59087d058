//! All that a log tells: clients, what happened to each, and restarts.

use std::collections::BTreeMap;

use super::said::Facts;
use super::why::Why;

/// How many lines there were, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// All.
    pub all: u64,
    /// Lines of a gateway.
    pub gateway: u64,
    /// Lines of others, stack traces among them.
    pub foreign: u64,
    /// Lines that begin like a gateway's and are none.
    pub broken: u64,
    /// The first bad ones: file, line (from 1) and why.
    pub named: Vec<(String, u64, &'static str)>,
}

/// What happened to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It was refused.
    Refused(Why),
    /// It was approved, by an operator or by the gateway itself.
    Approved {
        /// By the gateway itself.
        silent: bool,
    },
    /// It got a session.
    Session,
    /// A session ended after so many milliseconds.
    Left(i64),
    /// An operator `removed`, `rejected`, `rotated` or `revoked` it.
    Changed(&'static str),
}

/// What happened, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Milliseconds since 1970.
    pub at: i64,
    /// What.
    pub what: What,
    /// How long the gateway took over it, milliseconds; 0 if the log does not say.
    pub took: u32,
}

/// A client, as far as the log tells one from another.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// What is known of it. Its connection and request are the first ones.
    pub facts: Facts,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Its proxy is not trusted.
    pub untrusted: bool,
    /// No line ties its approval to it: it is the one whose refusals end there.
    pub guessed: bool,
}

/// A restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// When it began, milliseconds since 1970.
    pub at: i64,
    /// Until the port was open again, milliseconds.
    pub down: i64,
    /// Nothing said that it was told to stop.
    pub crash: bool,
}

/// Which family of gateways wrote a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generation {
    /// OpenClaw before it named peers and phases (2026.2).
    #[default]
    Old,
    /// OpenClaw with peers and phases (2026.9).
    New,
    /// The gateway of this repository.
    InRepo,
}

/// All that a log tells.
#[derive(Debug, Clone, Default)]
pub struct Rebuilt {
    /// First and last moment, milliseconds since 1970 (without a date, since some midnight).
    pub span: Option<(i64, i64)>,
    /// Who wrote it.
    pub generation: Generation,
    /// The release or profile that it names.
    pub release: Option<String>,
    /// Who came.
    pub clients: Vec<Client>,
    /// Restarts.
    pub restarts: Vec<Restart>,
    /// Lines.
    pub lines: Lines,
    /// Approvals of devices that no line ties to a client.
    pub unlinked: u64,
    /// What was beyond a bound.
    pub beyond: u64,
    /// Times have no milliseconds: a terminal's form.
    pub coarse: bool,
}

impl Rebuilt {
    /// Refusals by the word that a result has for each.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for client in &self.clients {
            for event in &client.events {
                if let What::Refused(why) = event.what {
                    *counts.entry(why.word()).or_default() += 1;
                }
            }
        }
        counts
    }
}
