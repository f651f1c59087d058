//! A real gateway's log, read into who came when, and written as a scenario that does the same.
//!
//! | module | does |
//! |---|---|
//! | [`mod@line`] | one line: the log file's JSON, the console's text and JSON, of either generation, and the in-repo gateway's |
//! | [`mod@why`] | why a line says that somebody was refused |
//! | [`mod@said`] | what a line says about connections, devices and the gateway |
//! | [`mod@rebuild`] | all lines together: clients, and what happened to each |
//! | `parts`, `cohorts` | clients cut into parts that a cohort can do, and grouped |
//! | [`mod@write`] | the scenario |
//! | `evidence` | what the log knows of its clients, for [`crate::diagnosis`] |
//! | `summary` | what was read, for a terminal |
//!
//! A log is untrusted: lines are bounded, what is kept of them is bounded, and what cannot be read is counted.

mod cohorts;
mod evidence;
pub mod line;
mod parts;
pub mod rebuild;
pub mod said;
mod summary;
pub mod why;
pub mod write;

pub use evidence::causes;
pub use rebuild::{Client, Event, Generation, Rebuilder, Rebuilt, Restart, What};
pub use said::Facts;
pub use summary::summary;
pub use why::Why;
pub use write::{File, Options, Written, WrittenCohort, profile, write};
