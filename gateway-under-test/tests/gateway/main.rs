//! The real binary, driven over real sockets.
//!
//! Addresses carry meaning: 127.0.0.1 dials as a local client, 127.2.0.1 is the trusted proxy, 127.3.0.1 one that is not
//! trusted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod decisions;
mod devices;
mod lifecycle;
mod process;
mod releases;
mod stores;
mod support;
mod transport;
