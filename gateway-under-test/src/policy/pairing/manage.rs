//! What operators change: approve, reject, remove, rotate, revoke, rename.

use protocol::pairing::{
    ApproveResult, Decision, PendingRequest, RejectResult, RemoveResult, RenameParams, RenameResult,
    Resolved, RevokeParams, RevokeResult, RotateParams, RotateResult, TokenDelivery,
};
use protocol::scope::ROLE_OPERATOR;
use protocol::{ErrorCode, ErrorShape};

use super::super::authority::Caller;
use super::super::entry::{DeviceEntry, DeviceView};
use super::super::{Fresh, Rules, scopes};
use super::approval::{self, By};
use super::request::{self, is_waiting};
use super::{Change, Effects, PairingEvent, token};
use crate::defect::Defect;
use crate::profile::{IssueRule, ManagementRule, RemoveRule, RotateRule};

fn invalid(message: impl Into<String>) -> Box<ErrorShape> {
    Box::new(ErrorShape::new(ErrorCode::InvalidRequest, message))
}

fn unknown(what: &str) -> Box<ErrorShape> {
    invalid(format!("unknown {what}"))
}

/// Whether the caller's word is enough for what it asks (up to 3.13 `operator.pairing` always is).
fn is_trusted(rules: &Rules, caller: &Caller) -> bool {
    match rules.profile.management {
        ManagementRule::PairingScope | ManagementRule::RotatesWhatItHolds => true,
        ManagementRule::CoveredAndOwn => caller.is_admin(),
    }
}

/// Whether the caller came by the token of another device than this.
fn is_stranger(caller: &Caller, device_id: &str) -> bool {
    caller.own_device.as_deref().is_some_and(|own| own != device_id.trim())
}

/// Whether a listing shows this device to the caller.
#[must_use]
pub fn is_visible(rules: &Rules, caller: &Caller, device_id: &str) -> bool {
    is_trusted(rules, caller) || !is_stranger(caller, device_id)
}

/// Approves the device's waiting request, whose id the caller has looked up.
///
/// # Errors
/// `unknown requestId` when it is not waiting any more; from 9.6 on also that the caller may not.
pub fn approve(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    request_id: &str,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Result<(ApproveResult, Effects), Box<ErrorShape>> {
    let owner = Caller::owner();
    let caller = if rules.defect == Some(Defect::SelfApproval) { &owner } else { caller };
    let waiting = waiting_request(rules, view, request_id, now_ms);
    if !is_trusted(rules, caller) {
        let denied = waiting.is_none_or(|request| {
            is_stranger(caller, &request.device_id)
                || request::all_roles(request).iter().any(|role| role != ROLE_OPERATOR)
        });
        if denied {
            return Err(invalid("device pairing approval denied"));
        }
    }
    let request = waiting.ok_or_else(|| unknown("requestId"))?;
    let by = By::Operator { may_grant: &caller.scopes };
    let entry = approval::approve(rules, request, view.entry, by, now_ms, fresh)
        .map_err(|forbidden| invalid(forbidden.0))?;
    let result = ApproveResult { request_id: request_id.to_owned(), device: entry.listed() };
    Ok((
        result,
        Effects {
            entry: Change::Put(Box::new(entry)),
            pending: Change::Drop,
            events: vec![resolved(request, Decision::Approved, now_ms)],
            ..Effects::default()
        },
    ))
}

/// Rejects the device's waiting request.
///
/// # Errors
/// `unknown requestId` when it is not waiting any more; from 9.6 on also that the caller may not.
pub fn reject(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    request_id: &str,
    now_ms: u64,
) -> Result<(RejectResult, Effects), Box<ErrorShape>> {
    let waiting = waiting_request(rules, view, request_id, now_ms);
    if !is_trusted(rules, caller)
        && caller.own_device.is_some()
        && waiting.is_none_or(|request| is_stranger(caller, &request.device_id))
    {
        return Err(invalid("device pairing rejection denied"));
    }
    let request = waiting.ok_or_else(|| unknown("requestId"))?;
    let result = RejectResult { request_id: request_id.to_owned(), device_id: request.device_id.clone() };
    Ok((
        result,
        Effects {
            pending: Change::Drop,
            events: vec![resolved(request, Decision::Rejected, now_ms)],
            ..Effects::default()
        },
    ))
}

fn resolved(request: &PendingRequest, decision: Decision, now_ms: u64) -> PairingEvent {
    PairingEvent::Resolved(Resolved {
        request_id: request.request_id.clone(),
        device_id: request.device_id.clone(),
        decision,
        ts: now_ms,
    })
}

fn waiting_request<'a>(
    rules: &Rules,
    view: &DeviceView<'a>,
    request_id: &str,
    now_ms: u64,
) -> Option<&'a PendingRequest> {
    view.pending.filter(|request| request.request_id == request_id && is_waiting(rules, request, now_ms))
}

/// Whether a caller that manages only its own device may not touch this one.
fn is_denied(rules: &Rules, caller: &Caller, view: &DeviceView<'_>, device_id: &str) -> bool {
    !is_trusted(rules, caller)
        && (is_stranger(caller, device_id)
            || (caller.own_device.is_some() && view.entry.is_some_and(has_other_role)))
}

/// Whether an entry has a role beside `operator`.
fn has_other_role(entry: &DeviceEntry) -> bool {
    entry.approved_roles().iter().any(|role| role != ROLE_OPERATOR)
        || entry.tokens.values().any(|token| token.role != ROLE_OPERATOR)
}

/// Drops the device's entry, and on some releases its request.
///
/// # Errors
/// `unknown deviceId` when it has no entry; from 9.6 on also that the caller may not.
pub fn remove(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    device_id: &str,
) -> Result<(RemoveResult, Effects), Box<ErrorShape>> {
    if is_denied(rules, caller, view, device_id) {
        return Err(invalid("device pairing removal denied"));
    }
    if view.entry.is_none() {
        return Err(unknown("deviceId"));
    }
    let pending = match rules.profile.remove {
        RemoveRule::EntryAndRequest if view.pending.is_some() => Change::Drop,
        RemoveRule::EntryAndRequest | RemoveRule::EntryOnly => Change::Keep,
    };
    Ok((
        RemoveResult { device_id: device_id.to_owned() },
        Effects { entry: Change::Drop, pending, ..Effects::default() },
    ))
}

/// Gives the device a name of the operator's (9.6).
///
/// # Errors
/// `unknown deviceId` when it has no entry, `label required` when the name is blank, or that the caller may not.
pub fn rename(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    params: &RenameParams,
) -> Result<(RenameResult, Effects), Box<ErrorShape>> {
    let label = params.label.trim();
    if label.is_empty() {
        return Err(invalid("label required"));
    }
    if is_denied(rules, caller, view, &params.device_id) {
        return Err(invalid("device pairing rename denied"));
    }
    let mut entry = view.entry.ok_or_else(|| unknown("deviceId"))?.clone();
    entry.operator_label = Some(label.to_owned());
    Ok((
        RenameResult { device_id: params.device_id.clone(), label: label.to_owned() },
        Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() },
    ))
}

/// Whether a caller may not manage the token of this role of this device.
fn is_token_denied(rules: &Rules, caller: &Caller, device_id: &str, role: &str) -> bool {
    !is_trusted(rules, caller) && (is_stranger(caller, device_id) || role.trim() != ROLE_OPERATOR)
}

/// The first scope of a token that the caller does not hold itself; admins hold all.
fn exceeds(rules: &Rules, caller: &Caller, role: &str, token_scopes: &[String]) -> bool {
    match rules.profile.management {
        ManagementRule::PairingScope | ManagementRule::RotatesWhatItHolds => false,
        ManagementRule::CoveredAndOwn => {
            role == ROLE_OPERATOR
                && !scopes::covers(rules.profile.coverage, role, &caller.scopes, token_scopes)
        }
    }
}

/// Replaces the token of a role, or issues the first one. What becomes of scopes beyond the entry's is the profile's.
///
/// # Errors
/// `unknown deviceId/role` when the device has no entry, or the scopes may not be; `device token rotation denied` instead
/// from 9.6 on.
pub fn rotate(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    params: &RotateParams,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Result<(RotateResult, Effects), Box<ErrorShape>> {
    let rule = rules.profile.rotate;
    let refused = || match rule {
        RotateRule::Denied => invalid("device token rotation denied"),
        RotateRule::Widens | RotateRule::Replaces | RotateRule::RefusedExpanded | RotateRule::Refused => {
            unknown("deviceId/role")
        }
    };
    if is_token_denied(rules, caller, &params.device_id, &params.role) {
        return Err(refused());
    }
    let old = view.entry.ok_or_else(refused)?;
    let role = params.role.trim();
    if role.is_empty() || !knows_role(rules, old, role) {
        return Err(refused());
    }
    let mut entry = old.clone();
    let held = old.tokens.get(role);
    let wanted = match (&params.scopes, held) {
        (Some(scopes), _) => scopes,
        (None, Some(held)) => held.scopes.as_slice(),
        (None, None) => old.scopes(),
    };
    let wanted = match rules.profile.issue {
        IssueRule::WithinApprovedRole => scopes::sorted_with_implied(wanted),
        _ => scopes::sorted(wanted),
    };
    if rules.profile.management == ManagementRule::RotatesWhatItHolds
        && let Some(missing) = scopes::first_missing(rules.profile.coverage, role, &caller.scopes, &wanted)
    {
        return Err(invalid(format!("missing scope: {missing}")));
    }
    let is_within = |approved: Option<&[String]>| {
        approved.is_some_and(|approved| scopes::covers(rules.profile.coverage, role, approved, &wanted))
    };
    match rule {
        RotateRule::Widens => {
            if !scopes::covers(rules.profile.coverage, role, old.scopes(), &wanted) {
                let asked = params.scopes.as_deref().unwrap_or(&wanted);
                entry.add_scopes(asked);
            }
        }
        RotateRule::Replaces => {
            if params.scopes.is_some() {
                entry.scopes = Some(wanted.clone());
            }
        }
        RotateRule::RefusedExpanded => {
            let approved = old.scope_baseline().or_else(|| held.map(|held| held.scopes.as_slice()));
            let is_within = wanted.is_empty()
                || approved.is_some_and(|approved| {
                    !approved.is_empty() && scopes::covers_unfolded(approved, &wanted)
                });
            if !is_within {
                return Err(refused());
            }
        }
        RotateRule::Refused | RotateRule::Denied => {
            if !is_within(old.scope_baseline()) || exceeds(rules, caller, role, &wanted) {
                return Err(refused());
            }
        }
    }
    let mut token = token::issue(role, wanted, held, now_ms, fresh);
    token.rotated_at_ms = Some(now_ms);
    let in_band = match rules.profile.management {
        ManagementRule::PairingScope | ManagementRule::RotatesWhatItHolds => None,
        ManagementRule::CoveredAndOwn => Some(caller.own_device.as_deref() == Some(params.device_id.trim())),
    };
    let result = RotateResult {
        device_id: params.device_id.clone(),
        role: role.to_owned(),
        token: Some(token.token.clone()).filter(|_| in_band != Some(false)),
        scopes: token.scopes.clone(),
        rotated_at_ms: now_ms,
        token_delivery: in_band
            .map(|in_band| if in_band { TokenDelivery::InBand } else { TokenDelivery::WithheldCrossDevice }),
    };
    entry.tokens.insert(role.to_owned(), token);
    Ok((result, Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() }))
}

/// Whether a token of this role may be managed at all: from 9.6 on the role must be an approved one.
fn knows_role(rules: &Rules, entry: &DeviceEntry, role: &str) -> bool {
    match rules.profile.issue {
        IssueRule::WithinApprovedRole => entry.approved_roles().iter().any(|approved| approved == role),
        IssueRule::AlwaysUnited | IssueRule::AlwaysAsked | IssueRule::WithinApproved => true,
    }
}

/// Voids the token of a role.
///
/// # Errors
/// `unknown deviceId/role` when the device has no entry or no token for the role; `device token revocation denied` from
/// 9.6 on.
pub fn revoke(
    rules: &Rules,
    caller: &Caller,
    view: &DeviceView<'_>,
    params: &RevokeParams,
    now_ms: u64,
) -> Result<(RevokeResult, Effects), Box<ErrorShape>> {
    let refused = || match rules.profile.management {
        ManagementRule::PairingScope | ManagementRule::RotatesWhatItHolds => unknown("deviceId/role"),
        ManagementRule::CoveredAndOwn => invalid("device token revocation denied"),
    };
    if is_token_denied(rules, caller, &params.device_id, &params.role) {
        return Err(refused());
    }
    let role = params.role.trim();
    let mut entry = view.entry.filter(|entry| knows_role(rules, entry, role)).ok_or_else(refused)?.clone();
    let token = entry.tokens.get_mut(role).ok_or_else(refused)?;
    if exceeds(rules, caller, role, &token.scopes) {
        return Err(refused());
    }
    token.revoked_at_ms = Some(now_ms);
    let result =
        RevokeResult { device_id: params.device_id.clone(), role: role.to_owned(), revoked_at_ms: now_ms };
    Ok((result, Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() }))
}
