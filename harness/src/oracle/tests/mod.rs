//! Tests of the oracle as a whole: plans and histories made by hand, and the search against brute force.

mod brute_force;
mod conduct;
mod devices;
pub(super) mod fixture;
mod histories;
mod invariants;
mod lockouts;
mod mismatches;
mod recorded;
mod shards;
mod silence;
mod static_rows;
mod store_faults;
