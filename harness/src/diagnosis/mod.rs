//! Why a client does not get in, and what ends it: from what can be seen from outside to the first cause that explains all of it.
//!
//! [`evidence`] says what may be known; a run, a log and a probe fill it. [`diagnose`] asks the rules in the founding article's
//! order. Everything here is pure, and nothing knows the oracle, a scenario's labels or what a client was meant to do wrong.

pub mod answer;
pub mod evidence;

pub use answer::{Confidence, Cure, Diagnosis, Excluded, Exhibit};
pub use evidence::{ClientEvidence, Evidence, GatewayEvidence};

pub use crate::vocabulary::cause::Cause;
