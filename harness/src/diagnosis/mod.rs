//! Why a client does not get in, and what ends it: from what can be seen from outside to the first cause that explains all of it.
//!
//! | module | holds |
//! |---|---|
//! | [`evidence`] | what may be known; a run, a log and a probe fill it |
//! | [`of_run`] | what a run's history knows, as evidence |
//! | [`loops`] | the same client refused again and again, and how much work that makes |
//! | `case` | one client in trouble, as the rules look at it |
//! | `rules` | the causes, a file a family, in the founding article's order |
//! | [`judge`] | the first rule that explains everything; [`diagnose`] |
//! | [`cures`] | commands that end it, by release |
//! | [`answer`] | what a diagnosis says |
//! | [`score`] | how often the first answer is the right one |
//!
//! Everything here is pure, and nothing knows the oracle, a scenario's labels or what a client was meant to do wrong.

pub mod answer;
mod case;
pub mod cures;
pub mod evidence;
pub mod judge;
pub mod loops;
pub mod of_run;
pub(crate) mod release;
mod rules;
pub mod score;
#[cfg(test)]
mod tests;

pub use answer::{Confidence, Cure, Diagnosis, Excluded, Exhibit};
pub use evidence::{ClientEvidence, Evidence, GatewayEvidence};
pub use judge::{cause_of, diagnose};

pub use crate::vocabulary::cause::Cause;
