//! The oracle: which outcomes a device's history allows, written from the reference and from nothing of the gateway's.

pub mod verdict;

pub use verdict::{Judgement, Mismatch, MismatchKind, SessionEndFinding, Verdict};
