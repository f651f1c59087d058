//! Between SIGTERM and the end of the sockets that have not said hello (2026.9.6, seen).

use protocol::{Close, ErrorCode, ErrorDetails, ErrorShape, close};
use serde_json::{Map, json};

use super::{Gateway, startup};
use crate::policy::Refusal;
use crate::profile::StopRule;

/// How soon a client may try again, milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// Whether a connect is refused before anything else is looked at: one that is well-formed, and comes while the gateway
/// stops. One that came before is judged to its end.
pub(super) fn is_refused(gateway: &Gateway, params: &str) -> bool {
    let profile = gateway.rules.profile;
    matches!(profile.stop, StopRule::ClosesHandshakes { .. })
        && gateway.is_stopping()
        && startup::well_formed(profile, params).is_some()
}

/// The answer.
pub(super) fn refusal() -> Refusal {
    let details = ErrorDetails {
        reason: Some("gateway-restarting".to_owned()),
        more: Map::from_iter([
            ("method".to_owned(), json!(protocol::connect::METHOD)),
            ("phase".to_owned(), json!("accepting")),
        ]),
        ..ErrorDetails::default()
    };
    let text = "connect unavailable during gateway restart";
    let mut error = ErrorShape::new(ErrorCode::Unavailable, text).with_details(details);
    error.retryable = Some(true);
    error.retry_after_ms = Some(RETRY_AFTER_MS);
    let mut refusal = Refusal::answered(error, "gateway-restarting");
    refusal.close = Close::cut(close::code::TRY_AGAIN_LATER, "gateway restart in progress");
    refusal
}
