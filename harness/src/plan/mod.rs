//! The plan: a scenario unfolded by its seed into numbered clients, arrivals and faults.
//!
//! Same scenario and seed, same plan. A client is known by its cohort's name and its index in it; `--clients`, the
//! number of reactors and other cohorts never change who it is ([`identity`]).

pub mod addresses;
mod describe;
pub mod identity;
pub mod model;
pub mod persona;
mod randomness;
mod schedule;
#[cfg(test)]
mod tests;
mod unfold;

pub use describe::describe;
pub use model::*;
pub use randomness::stream;
pub use unfold::{Overrides, unfold};
