//! Between the open port and the ready gateway (2026.9.6; reference, row 6).

use protocol::connect::ClientInfo;
use protocol::scope::ROLE_NODE;
use protocol::{Close, ErrorCode, ErrorDetails, ErrorShape, close};
use serde_json::Value;

use crate::policy::schema::{self, Params};
use crate::policy::{DeviceAttempt, DeviceEntry, Refusal};
use crate::profile::Profile;
use crate::store::State;

/// Whether a connect is refused before anything else is looked at: everybody's that is well-formed, but a node's.
pub(super) fn is_refused(profile: &Profile, params: &str) -> bool {
    let is_node = |params: &Value| {
        params.get("role").and_then(Value::as_str) == Some(ROLE_NODE)
            && params.pointer("/client/mode").and_then(Value::as_str) == Some(ROLE_NODE)
    };
    well_formed(profile, params).is_some_and(|params| !is_node(&params))
}

/// The parameters of a connect, if they are well-formed.
pub(super) fn well_formed(profile: &Profile, params: &str) -> Option<Value> {
    let params = serde_json::from_str::<Value>(params).ok()?;
    schema::validate(profile, Params::Connect, &params).is_ok().then_some(params)
}

/// Whether a device is a paired node, which is let in early.
pub(super) fn is_paired_node(state: &State, attempt: &DeviceAttempt) -> bool {
    let is_node = |entry: &DeviceEntry| {
        let ClientInfo { mode, .. } = &attempt.client;
        attempt.role == ROLE_NODE
            && mode.as_str() == ROLE_NODE
            && entry.public_key == attempt.public_key
            && entry.tokens.get(ROLE_NODE).is_some_and(|token| !token.is_revoked())
    };
    state.get(&attempt.device_id).is_some_and(|record| record.view().entry.is_some_and(is_node))
}

/// The answer.
pub(super) fn refusal(retry_after_ms: u64) -> Refusal {
    let mut error = ErrorShape::new(ErrorCode::Unavailable, "gateway starting; retry shortly").with_details(
        ErrorDetails { reason: Some("startup-sidecars".to_owned()), ..ErrorDetails::default() },
    );
    error.retryable = Some(true);
    error.retry_after_ms = Some(retry_after_ms);
    let mut refusal = Refusal::answered(error, "startup-sidecars-pending");
    refusal.close = Close::cut(close::code::TRY_AGAIN_LATER, "gateway starting");
    refusal
}
