//! The smallest scenario that still shows what a run showed: which cohorts, how many clients of each, which faults, steps and
//! operators.
//!
//! Pure: [`search`] proposes, whoever calls it runs the candidates and says what they showed.

pub mod candidate;
pub mod search;

pub use candidate::{Parts, WHOLE, text};
pub use search::{Shown, smallest};
