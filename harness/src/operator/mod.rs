//! The scripted people who approve devices: they hold a session with `operator.pairing`, learn of requests, think, decide.
//!
//! [`decision`] is pure; [`session`] speaks to the gateway; [`desk`] is one operator at work.

pub mod decision;
pub mod desk;
pub mod session;

pub use desk::{Desk, DeskError};
