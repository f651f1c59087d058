//! The JSON store on a disk that loses power, or refuses: what SIGKILL cannot show, since the page cache outlives a process.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod faults;
mod loss;
mod memory;
mod model;
mod story;

#[allow(dead_code, reason = "these tests need a part of it")]
#[path = "../store/fixture.rs"]
mod fixture;
