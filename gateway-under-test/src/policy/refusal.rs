//! Answers to a refused handshake: an error frame or none, then a close frame.

use protocol::close::{code, reason};
use protocol::{Close, ErrorCode, ErrorDetails, ErrorShape, PairingReason};

use super::rate_limit::Note;

/// A refused handshake.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The `error` of the response; `None` = no frame.
    pub error: Option<Box<ErrorShape>>,
    /// The close frame after it.
    pub close: Close,
    /// Short constant name for log and metrics, for example `pairing-required`.
    pub cause: &'static str,
    /// For a pairing refusal: which reason, for the log. A defect may answer another one.
    pub pairing: Option<PairingReason>,
    /// What it does to the counters of the rate limit, and so to the time that the answer waits.
    pub notes: Vec<Note>,
}

impl Refusal {
    /// No frame, only a close.
    #[must_use]
    pub fn silent(code: u16, reason: &str, cause: &'static str) -> Self {
        Self { error: None, close: Close::cut(code, reason), cause, pairing: None, notes: Vec::new() }
    }

    /// An error frame, then close 1008 with its message, cut.
    #[must_use]
    pub fn answered(error: ErrorShape, cause: &'static str) -> Self {
        let close = Close::cut(code::POLICY, &error.message);
        Self { error: Some(Box::new(error)), close, cause, pairing: None, notes: Vec::new() }
    }

    /// As [`Refusal::answered`] with `INVALID_REQUEST` and no details.
    #[must_use]
    pub fn invalid(message: impl Into<String>, cause: &'static str) -> Self {
        Self::answered(ErrorShape::new(ErrorCode::InvalidRequest, message), cause)
    }

    /// The first message is above the limit (row 1).
    #[must_use]
    pub fn too_big() -> Self {
        Self::silent(code::TOO_BIG, "", "message-too-big")
    }

    /// The first message is not JSON (row 2).
    #[must_use]
    pub fn not_json() -> Self {
        Self::silent(code::NORMAL, "", "not-json")
    }

    /// The first message is JSON, but no request frame (row 3).
    #[must_use]
    pub fn not_a_request() -> Self {
        Self::silent(code::POLICY, reason::INVALID_REQUEST_FRAME, "invalid-request-frame")
    }

    /// The first request is not `connect` (row 4).
    #[must_use]
    pub fn not_connect() -> Self {
        Self::invalid("invalid handshake: first request must be connect", "invalid-handshake")
    }

    /// No `connect` was accepted in time.
    #[must_use]
    pub fn timeout() -> Self {
        Self::silent(code::NORMAL, "", "handshake-timeout")
    }

    /// The store could not write; the caller may try again.
    #[must_use]
    pub fn store_failed() -> Self {
        let mut error = ErrorShape::new(ErrorCode::Unavailable, "device store unavailable");
        error.retryable = Some(true);
        // 1011: RFC 6455, "the server encountered an unexpected condition".
        let close = Close::cut(1011, &error.message);
        Self {
            error: Some(Box::new(error)),
            close,
            cause: "store-unavailable",
            pairing: None,
            notes: Vec::new(),
        }
    }

    /// The same refusal with this close code.
    #[must_use]
    pub(super) fn closing_with(mut self, code: u16) -> Self {
        self.close.code = code;
        self
    }

    /// The same refusal, which also does this to the rate limit.
    #[must_use]
    pub(super) fn noting(mut self, notes: &[Note]) -> Self {
        self.notes.extend_from_slice(notes);
        self
    }

    /// The same refusal with these details.
    #[must_use]
    pub(super) fn detailed(mut self, details: ErrorDetails) -> Self {
        if let Some(error) = &mut self.error {
            error.details = Some(details);
        }
        self
    }

    /// `details.requestId`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.error.as_ref()?.details.as_ref()?.request_id.as_deref()
    }
}
