//! The store on real files: that of `article`, those of the releases, and one directory under one after the other.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod article;
mod fixture;
mod releases;
mod upgrades;
