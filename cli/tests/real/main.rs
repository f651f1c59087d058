//! Held against real gateways. Not part of `cargo test --workspace`: a release has a gigabyte and takes seconds to start.
//!
//!     PAIRSTORM_CACHE=DIR cargo test -p pairstorm --test real
//!
//! `DIR` is a cache that `pairstorm openclaw install` has filled. Asked for without one, every test fails.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod client;
mod differential;
mod gateways;
mod interop;
mod runs;
#[path = "../shared/until.rs"]
mod until;
