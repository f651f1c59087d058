//! From the history of a run and its verdicts to figures: the content of `result.json`, of `latency.hlog` and of
//! `violations.jsonl`. Everything here is pure.
//!
//! | module | gives |
//! |---|---|
//! | [`facts`] | what only the run itself knows |
//! | [`tally`] | all of the following, added up shard by shard |
//! | [`outcomes`], [`mismatches`], [`groups`], [`refusals`], [`cohorts`], [`operators`], [`amplification`] | counts |
//! | [`at_rest`] | what the gateway kept when everyone had gone |
//! | [`devices`] | verdicts on devices, and what shows them |
//! | [`diagnosis`], [`log_times`] | who did not get in, why, and what ends it; what the gateway wrote meanwhile |
//! | [`histogram`], [`phases`], [`approvals`], [`waterfall`], [`restarts`], [`handshakes`], [`store_times`], [`intervals`] | times |
//! | [`hlog`] | the interval log |
//! | [`thresholds`], [`validity`], [`exit_code`] | judgement on the figures |
//! | [`result`], [`schema`] | the whole, and its JSON Schema |
//! | [`whole`] | all shards of one load together |
//! | [`listing`], [`device_history`], [`violations`], [`redact`] | mismatches with their device's history, without secrets |

pub mod amplification;
pub mod approvals;
pub mod at_rest;
pub mod by_client;
pub mod by_name;
pub mod caught;
pub mod cohorts;
pub mod device_history;
pub mod devices;
pub mod diagnosis;
pub mod exit_code;
pub mod facts;
pub mod groups;
pub mod handshakes;
pub mod histogram;
pub mod hlog;
pub mod intervals;
pub mod invariants;
pub mod listing;
pub mod log_times;
pub mod mismatches;
pub mod operators;
pub mod outcomes;
pub mod phases;
pub mod redact;
pub mod refusals;
pub mod restarts;
pub mod result;
mod scan;
pub mod schema;
pub mod scripts;
pub mod store_times;
pub mod tally;
#[cfg(test)]
pub(crate) mod test_support;
pub mod thresholds;
pub mod validity;
pub mod violations;
pub mod waterfall;
pub mod whole;

pub use exit_code::{ExitCode, RunVerdict};
pub use facts::RunFacts;
pub use hlog::{HlogError, write_hlog};
pub use intervals::IntervalSamples;
pub use listing::Listing;
pub use redact::Redactor;
pub use result::RunResult;
pub use schema::result_schema;
pub use tally::Tally;
pub use violations::{Transcripts, Violation, Violations};
