//! The plan: a scenario unfolded by its seed into numbered clients, arrivals and faults.
//!
//! Same scenario and seed, same plan. A client is known by its cohort's name and its index in it; `--clients`, the
//! number of reactors and other cohorts never change who it is ([`identity`]).

mod behaviour;
mod describe;
mod faults;
mod figures;
pub mod identity;
mod narrate;
pub mod needs;
mod randomness;
mod schedule;
#[cfg(test)]
mod tests;
mod timeline;
mod unfold;

pub use crate::vocabulary::*;
pub use behaviour::{describe_operator, describe_reconnect};
pub use describe::describe;
pub use figures::figures;
pub use narrate::narrate;
pub use randomness::stream;
pub use unfold::{Overrides, route, unfold};
