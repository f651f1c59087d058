//! What a diagnosis says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vocabulary::cause::Cause;

/// Why a client has no session, what shows it and what ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// The first cause, in the founding article's order, that explains all that is known.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, in a sentence.
    pub why: String,
    /// What shows it, in order of time.
    pub evidence: Vec<Exhibit>,
    /// Other causes that come to mind, each with what speaks against it.
    pub excluded: Vec<Excluded>,
    /// What is not known and would make it surer, or, if nothing can be told, would tell.
    pub missing: Vec<String>,
    /// What ends it, the least intrusive first.
    pub cures: Vec<Cure>,
}

/// How sure a diagnosis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// It fits, and something else that would fit as well cannot be excluded.
    Possible,
    /// It fits, and the others do not; something that would confirm it is missing.
    Likely,
    /// The gateway's own words, or a chain of events without a gap, say so.
    Certain,
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exhibit {
    /// When, µs since the evidence begins; `null` = it has no time, as a configuration.
    pub at_us: Option<u64>,
    /// What, in words, or the line of a log.
    pub what: String,
}

/// A cause that it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excluded {
    /// Which.
    pub cause: Cause,
    /// What speaks against it.
    pub because: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cure {
    /// What it does, in a sentence.
    pub what: String,
    /// What to type, in order. Words in capitals in angle brackets are to be filled in.
    pub commands: Vec<String>,
}
