//! A real gateway's log, read into who came when, and written as a scenario that does the same.
//!
//! | module | does |
//! |---|---|
//! | [`mod@line`] | one line: the log file's JSON, the console's text and JSON, of either generation, and the in-repo gateway's |
//! | [`mod@why`] | why a line says that somebody was refused |
//! | [`mod@said`] | what a line says about connections, devices and the gateway |
//! | [`mod@rebuild`] | all lines together |
//! | [`mod@rebuilt`] | what they tell: clients, what happened to each, restarts |
//! | `link` | approvals that no line ties to a client |
//! | `parts` | clients cut into parts that a cohort can do |
//! | `likeness`, `cohorts` | what clients have in common, and those that have it all, together |
//! | [`mod@write`] | the scenario: its head, `notes` on what the log does not say, `gateway`, one `cohort` after the other |
//! | `evidence` | what the log knows of its clients, for [`crate::diagnosis`] |
//! | `summary` | what was read, for a terminal |
//!
//! A log is untrusted: lines are bounded, what is kept of them is bounded, and what cannot be read is counted.

mod cohorts;
mod evidence;
mod likeness;
pub mod line;
mod link;
mod parts;
pub mod rebuild;
pub mod rebuilt;
pub mod said;
mod summary;
pub mod why;
pub mod write;

pub use evidence::causes;
pub use rebuild::Rebuilder;
pub use rebuilt::{Client, Event, Generation, Rebuilt, Restart, What};
pub use said::Facts;
pub use summary::summary;
pub use why::Why;
pub use write::{File, Options, Written, WrittenCohort, profile, write};
