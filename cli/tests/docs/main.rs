//! The documentation, held to what it speaks of: links lead somewhere, and commands do what the page says.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected must stop; clippy exempts test functions, not their helpers"
)]

mod commands;
mod help;
mod links;
mod manual;
mod output;
mod page;
mod paths;
mod shell;
mod summary;
