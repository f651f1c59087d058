//! One look at a live gateway for a person: `pairstorm probe`. No load.
//!
//! It looks before it connects, connects only with what it was pointed at, asks for no more than the device holds, and opens at
//! most [`budget::CONNECTIONS_MAX`] connections. `course` says what is looked at next, `conclusion` what it means, by the rules of a
//! diagnosis where an answer is evidence for them (`answered`). [`files`],
//! [`tls`], [`wire`] and [`mod@run`] do IO, everything else is pure.

pub mod address;
mod answered;
pub mod budget;
pub mod conclusion;
pub mod configuration;
pub mod course;
mod cures;
pub mod exit_code;
pub mod files;
mod holdings;
pub mod http;
pub mod identity;
pub mod pointed;
pub mod release;
pub mod report;
pub mod request;
pub mod run;
pub mod secret;
pub mod seen;
pub mod store;
pub mod tls;
pub mod wire;

pub use pointed::{Credential, Pointed};
pub use report::Report;
pub use run::run;
