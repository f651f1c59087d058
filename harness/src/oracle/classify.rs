//! The class of an outcome: one word for the table of expected against observed.
//!
//! Classes are a bounded set whatever a gateway sends: texts and codes that nobody knows fall into `…-other`.

use std::borrow::Cow;

use protocol::{DetailCode, PairingReason};

use crate::observation::{CloseSeen, Outcome, Refusal};

/// Class of an accepted connect.
pub const SESSION: &str = "session";

/// Reasons of `DEVICE_AUTH_INVALID`.
pub(super) const DEVICE_AUTH_REASONS: [&str; 5] = [
    "device-id-mismatch",
    "device-signature-stale",
    "device-nonce-missing",
    "device-nonce-mismatch",
    "device-signature",
];

/// Errors without `details.code`, known by how their message begins.
const BY_MESSAGE: [(&str, &str); 7] = [
    ("invalid handshake: first request must be connect", "first-request-not-connect"),
    ("invalid connect params: ", "schema"),
    ("protocol mismatch", "protocol"),
    ("invalid role", "invalid-role"),
    ("origin not allowed", "origin"),
    // Releases before 2026.2.22 send no `details.code`.
    ("pairing required", "pairing-without-details"),
    ("unauthorized: ", "unauthorized-without-details"),
];

/// Class of an outcome: `session`; a pairing reason (`not-paired`); `details.code` (`AUTH_TOKEN_MISMATCH`), but the
/// reason of a `DEVICE_AUTH_INVALID` (`device-signature`); a slug for errors without code (`origin`, `protocol`,
/// `schema`, `invalid-role`, `first-request-not-connect`); `close-1009` and the like for a close frame without error
/// frame; else the word of the outcome.
#[must_use]
pub fn class_of(outcome: &Outcome) -> String {
    class(outcome).into_owned()
}

pub(super) fn class(outcome: &Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Session(_) => Cow::Borrowed(SESSION),
        Outcome::Refused(refusal) => Cow::Borrowed(refusal_class(refusal)),
        Outcome::Closed(closed) => match &closed.close {
            CloseSeen::Frame { code: 1000, .. } => Cow::Borrowed("close-1000"),
            CloseSeen::Frame { code: 1009, .. } => Cow::Borrowed("close-1009"),
            CloseSeen::Frame { code: 1008, reason }
                if reason == protocol::close::reason::INVALID_REQUEST_FRAME =>
            {
                Cow::Borrowed("close-1008-invalid-frame")
            }
            CloseSeen::Frame { code, .. } => Cow::Owned(format!("close-{code}")),
            CloseSeen::Abrupt => Cow::Borrowed(outcome.word()),
        },
        other => Cow::Borrowed(other.word()),
    }
}

/// Class of a refusal; see [`class_of`].
#[must_use]
pub fn refusal_class(refusal: &Refusal) -> &'static str {
    let reason = refusal.reason.as_deref().unwrap_or_default();
    match refusal.detail_code.as_deref() {
        Some("PAIRING_REQUIRED") => pairing_reason(reason).map_or("pairing-other", PairingReason::as_str),
        Some("DEVICE_AUTH_INVALID") => {
            DEVICE_AUTH_REASONS.iter().find(|known| **known == reason).copied().unwrap_or("device-auth-other")
        }
        Some(code) => {
            DetailCode::KNOWN.iter().find(|known| **known == code).copied().unwrap_or("refused-other")
        }
        None => BY_MESSAGE
            .iter()
            .find(|(begin, _)| refusal.message.starts_with(begin))
            .map_or("refused-other", |(_, class)| class),
    }
}

pub(super) fn pairing_reason(text: &str) -> Option<PairingReason> {
    PairingReason::ALL.into_iter().find(|reason| reason.as_str() == text)
}
