//! `pairing required`, in the words of each release, and the one refusal that comes after pairing.

use protocol::error::DetailCode;
use protocol::pairing::PendingRequest;
use protocol::scope::ROLE_OPERATOR;
use protocol::{Close, ErrorCode, ErrorDetails, ErrorShape, PairingReason, close};
use serde_json::{Map, Value};

use super::super::attempt::DeviceAttempt;
use super::super::entry::DeviceEntry;
use super::super::refusal::Refusal;
use super::super::{Rules, scopes};
use super::checks;
use crate::defect::Defect;
use crate::profile::DetailLevel;

/// What is missing, and what an operator should do about it.
const fn words(reason: PairingReason) -> (&'static str, &'static str) {
    match reason {
        PairingReason::NotPaired => {
            ("device is not approved yet", "Approve this device from the pending pairing requests.")
        }
        PairingReason::RoleUpgrade => (
            "device is asking for a higher role than currently approved",
            "Review the requested role upgrade, then approve the pending request.",
        ),
        PairingReason::ScopeUpgrade => (
            "device is asking for more scopes than currently approved",
            "Review the requested scopes, then approve the pending upgrade.",
        ),
        PairingReason::MetadataUpgrade => (
            "device identity changed and must be re-approved",
            "Review the refreshed device details, then approve the pending request.",
        ),
    }
}

/// The answer to an attempt that an operator has to approve. `entry` is what it was judged by.
pub(super) fn pairing_required(
    rules: &Rules,
    attempt: &DeviceAttempt,
    waiting: Option<&PendingRequest>,
    entry: Option<&DeviceEntry>,
    reason: PairingReason,
) -> Refusal {
    let said = match (rules.defect, reason) {
        (Some(Defect::WrongReason), PairingReason::NotPaired) => PairingReason::ScopeUpgrade,
        _ => reason,
    };
    let request_id = waiting.map(|request| request.request_id.clone());
    let mut details = ErrorDetails { request_id: request_id.clone(), ..ErrorDetails::default() };
    if rules.profile.details >= DetailLevel::Codes {
        details.code = Some(DetailCode::PairingRequired);
        details.reason = Some(said.as_str().to_owned());
    }
    let plain = close::reason::PAIRING_REQUIRED;
    let mut refusal = if rules.profile.details == DetailLevel::Hints {
        let (requirement, hint) = words(said);
        details.more = hints(rules, attempt, entry, hint, request_id.is_some());
        let message = format!("{plain}: {requirement}");
        if request_id.is_some() && details.more.contains_key("retryable") {
            details.recommended_next_step = Some("wait_then_retry".to_owned());
        }
        let reason = match &request_id {
            Some(request_id) => format!("{message} (requestId: {request_id})"),
            None => message.clone(),
        };
        let mut refusal =
            Refusal::answered(ErrorShape::new(ErrorCode::NotPaired, message), "pairing-required");
        refusal.close = Close::cut(refusal.close.code, &reason);
        refusal
    } else {
        Refusal::answered(ErrorShape::new(ErrorCode::NotPaired, plain), "pairing-required")
    };
    refusal.pairing = Some(reason);
    refusal.detailed(details)
}

fn hints(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: Option<&DeviceEntry>,
    hint: &str,
    waits: bool,
) -> Map<String, Value> {
    let mut more = Map::new();
    let mut put = |key: &str, value: Value| drop(more.insert(key.to_owned(), value));
    put("remediationHint", hint.into());
    put("deviceId", attempt.device_id.as_str().into());
    put("requestedRole", attempt.role.as_str().into());
    let trimmed = |list: &[String]| -> Vec<String> {
        list.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let mut put_list = |key: &str, list: Vec<String>| {
        if !list.is_empty() {
            put(key, list.into());
        }
    };
    put_list("requestedScopes", trimmed(&attempt.scopes));
    if let Some(entry) = entry.filter(|entry| checks::same_key(attempt, entry)) {
        put_list("approvedRoles", entry.approved_roles());
        put_list("approvedScopes", scopes::sorted(entry.scope_baseline().unwrap_or_default()));
    }
    if waits && attempt.role == ROLE_OPERATOR && attempt.is_control_ui(rules.profile) {
        put("retryable", true.into());
        put("pauseReconnect", false.into());
    }
    more
}

/// The page of a control UI is not of the gateway's build (9.6).
pub(super) fn reload_required(ours: &str) -> Refusal {
    let mut error = ErrorShape::new(
        ErrorCode::Unavailable,
        "protocol mismatch: Control UI updated; reload this page to continue",
    );
    error.retryable = Some(false);
    Refusal::answered(error, "control-ui-build-mismatch").detailed(ErrorDetails {
        code: Some(DetailCode::ProtocolMismatch),
        more: Map::from_iter([
            ("gatewayBuildId".to_owned(), ours.into()),
            ("reloadRequired".to_owned(), true.into()),
        ]),
        ..ErrorDetails::default()
    })
}
