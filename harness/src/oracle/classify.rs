//! The class of an outcome: one word for the table of expected against observed.
//!
//! Classes are a bounded set whatever a gateway sends: texts and codes that nobody knows fall into `…-other`.

use std::borrow::Cow;

use protocol::{DetailCode, PairingReason};

use crate::observation::{CloseSeen, Outcome, Refusal};

/// Class of an accepted connect.
pub const SESSION: &str = "session";

/// Class of a pairing refusal that does not say why.
pub(super) const PAIRING_WITHOUT_DETAILS: &str = "pairing-without-details";

/// Class of an upgrade that an HTTP status answered.
pub const UPGRADE_REFUSED: &str = "upgrade_refused";

/// Reasons of a failed device proof.
pub(super) const DEVICE_AUTH_REASONS: [&str; 5] = [
    "device-id-mismatch",
    "device-signature-stale",
    "device-nonce-missing",
    "device-nonce-mismatch",
    "device-signature",
];

/// Errors without `details.code`, known by how their message begins. Releases before 2026.2.22 never send one.
const BY_MESSAGE: [(&str, &str); 23] = [
    ("invalid handshake: first request must be connect", "first-request-not-connect"),
    ("invalid connect params: ", "schema"),
    ("protocol mismatch", "protocol"),
    ("invalid role", "invalid-role"),
    ("origin not allowed", "origin"),
    ("gateway starting", "starting"),
    ("connect unavailable during gateway restart", "restarting"),
    ("pairing required", PAIRING_WITHOUT_DETAILS),
    ("control ui requires ", "control-ui-without-device"),
    ("device identity required", "without-device"),
    ("device identity mismatch", "device-id-mismatch"),
    ("device signature expired", "device-signature-stale"),
    ("device nonce required", "device-nonce-missing"),
    ("device nonce mismatch", "device-nonce-mismatch"),
    ("device signature invalid", "device-signature"),
    ("unauthorized: device token mismatch", "device-token-mismatch"),
    ("unauthorized: gateway token missing", "token-missing"),
    ("unauthorized: gateway token mismatch", "token-mismatch"),
    ("unauthorized: gateway password missing", "password-missing"),
    ("unauthorized: gateway password mismatch", "password-mismatch"),
    ("unauthorized: too many failed", "rate-limited"),
    ("unauthorized: ", "unauthorized-without-details"),
    ("unauthorized", "unauthorized-without-details"),
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
    slug(refusal.detail_code.as_deref(), refusal.reason.as_deref(), &refusal.message)
}

/// The same, of the three that decide.
pub(super) fn slug(detail_code: Option<&str>, reason: Option<&str>, message: &str) -> &'static str {
    let reason = reason.unwrap_or_default();
    match detail_code {
        Some("PAIRING_REQUIRED") => pairing_reason(reason).map_or("pairing-other", PairingReason::as_str),
        Some(code) if code.starts_with("DEVICE_AUTH_") => {
            DEVICE_AUTH_REASONS.iter().find(|known| **known == reason).copied().unwrap_or("device-auth-other")
        }
        Some(code) => {
            DetailCode::KNOWN.iter().find(|known| **known == code).copied().unwrap_or("refused-other")
        }
        None => BY_MESSAGE
            .iter()
            .find(|(begin, _)| message.starts_with(begin))
            .map_or("refused-other", |(_, class)| class),
    }
}

/// Whether a class is that of a pairing refusal, with a reason or without.
pub(super) fn is_pairing(class: &str) -> bool {
    class == PAIRING_WITHOUT_DETAILS || pairing_reason(class).is_some()
}

pub(super) fn pairing_reason(text: &str) -> Option<PairingReason> {
    PairingReason::ALL.into_iter().find(|reason| reason.as_str() == text)
}
