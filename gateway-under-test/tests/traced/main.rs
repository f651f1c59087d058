//! The real binary under `strace`: in which order it writes, syncs and answers, what a power cut leaves of what it wrote, and
//! what it says when a system call fails.
//!
//! Not run by `cargo test`, since it needs strace: `cargo test -p gateway-under-test --test traced`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod faults;
mod loss;
mod order;
mod tracer;

#[path = "../power/model.rs"]
mod model;
#[allow(dead_code, unused_imports, reason = "these tests need a part of it")]
#[path = "../gateway/support/mod.rs"]
mod support;
