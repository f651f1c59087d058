//! End-to-end tests: the real `pairstorm` binary, the real gateway as another process, real sockets on free ports.
//!
//! One test binary, so that the workspace is linked once for all of them.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected must stop; clippy exempts test functions, not their helpers"
)]

mod analyze;
mod approvals;
mod bad_input;
mod common;
mod conform;
mod defects;
mod diagnose;
mod differential;
mod foreign;
mod gateway;
mod import;
mod main_job;
mod nemesis;
mod preflight;
mod probe;
mod process;
mod profiles;
mod scripts;
mod shrink;
mod steps;
mod sweep;
#[path = "../shared/until.rs"]
mod until;
mod validity;
mod verify;
