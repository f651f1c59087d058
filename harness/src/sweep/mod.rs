//! A sweep: many runs of one scenario, put side by side. Pure.
//!
//! | module | holds |
//! |---|---|
//! | [`by_profile`] | what differs from one profile to the next |
//! | [`figures`] | what of a run's result goes into the table |
//! | [`fit`] | how a figure grows with a size |
//! | [`names`] | names of variables with their values, in order |
//! | [`result`] | `sweep.json`: runs, medians of each combination, growth |
//! | [`json`] | its text |
//! | [`table`] | `sweep.md` |
//! | [`estimate`] | how long runs will take |

pub mod by_profile;
pub mod estimate;
pub mod figures;
pub mod fit;
pub mod json;
pub mod names;
pub mod result;
pub mod table;

pub use result::{SweepResult, SweepRun};
