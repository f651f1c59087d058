//! The scripted people who approve devices: they hold a session with `operator.pairing`, learn of requests, think, decide.
//!
//! [`decision`], [`latest`], [`upkeep`] and [`asking`] are pure; [`session`] speaks to the gateway; [`desk`] is one operator
//! at work.

pub mod asking;
pub mod decision;
pub mod desk;
pub mod latest;
pub mod session;
#[cfg(test)]
mod tests;
pub mod upkeep;

pub use desk::{Desk, DeskError};

use protocol::{ErrorCode, Frame};

use crate::client::handshake::bounded;
use crate::history::OperationEnd;
use crate::plan::Nanos;

/// How an operation ended whose response frame arrived at `at`.
#[must_use]
pub fn end_of(response: &[u8], at: Nanos) -> OperationEnd {
    match Frame::decode(response) {
        Ok(Frame::Response(response)) => end_of_response(response.ok, response.error.as_ref(), at),
        _ => OperationEnd::Unknown,
    }
}

fn end_of_response(ok: bool, error: Option<&protocol::ErrorShape>, at: Nanos) -> OperationEnd {
    match error {
        None if ok => OperationEnd::Done { at, token: None },
        // It could not be carried out to its end; part of it may stand.
        Some(error) if error.code == ErrorCode::Unavailable => OperationEnd::Unknown,
        error => OperationEnd::Refused {
            at,
            code: error.map_or_else(String::new, |error| bounded(error.code.as_str())),
            message: error.map_or_else(String::new, |error| bounded(&error.message)),
        },
    }
}
