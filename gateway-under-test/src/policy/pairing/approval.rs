//! What an approval makes of a request and the device's entry.

use std::collections::BTreeMap;

use protocol::pairing::PendingRequest;
use protocol::scope::{ROLE_NODE, ROLE_OPERATOR};

use super::super::attempt::DeviceAttempt;
use super::super::entry::{DeviceEntry, TokenEntry};
use super::super::{Fresh, Rules, scopes};
use super::{request, token};
use crate::profile::{ApprovalRule, RefreshRule};

/// Who approves.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// An operator, with these scopes.
    Operator { may_grant: &'a [String] },
    /// The gateway itself, for the device that is connecting.
    Silently { may_grant: &'a [String], attempt: &'a DeviceAttempt },
}

/// Why an approval is forbidden; holds the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden(pub(super) String);

/// The entry after `request` is approved.
pub(super) fn approve(
    rules: &Rules,
    request: &PendingRequest,
    old: Option<&DeviceEntry>,
    by: By<'_>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Result<DeviceEntry, Forbidden> {
    let rule = rules.profile.approval;
    let asked_roles = request::all_roles(request);
    let old_tokens = old.map(|old| old.tokens.clone()).unwrap_or_default();
    let held = match rule {
        ApprovalRule::RequestedScopes => old.and_then(|old| old.scopes.as_deref()),
        _ => old.and_then(DeviceEntry::scope_baseline),
    };
    let all = scopes::union(held.unwrap_or_default(), &request.scopes);
    let (scopes, approved_scopes) = match rule {
        ApprovalRule::TokenPerRoleAllScopes => {
            // Two lists, each with its own past.
            let plain = old.map(DeviceEntry::scopes).unwrap_or_default();
            (Some(scopes::union(plain, &request.scopes)), Some(all))
        }
        ApprovalRule::TokenPerRoleDelta => (Some(all.clone()), Some(all)),
        ApprovalRule::RequestedScopes => (some(all), None),
        ApprovalRule::RequestedScopesKept | ApprovalRule::RequestedOrHeldScopes => {
            (some(all.clone()), some(all))
        }
    };
    let mut entry = DeviceEntry {
        device_id: request.device_id.clone(),
        public_key: request.public_key.clone(),
        display_name: request.display_name.clone(),
        platform: request.platform.clone(),
        device_family: request.device_family.clone(),
        client_id: request.client_id.clone(),
        client_mode: request.client_mode.clone(),
        role: request.role.clone().or_else(|| old.and_then(|old| old.role.clone())),
        roles: Some(scopes::union(&old.map(DeviceEntry::approved_roles).unwrap_or_default(), &asked_roles)),
        scopes,
        approved_scopes,
        remote_ip: request.remote_ip.clone(),
        operator_label: old.and_then(|old| old.operator_label.clone()),
        browser_origin: request
            .more
            .get("browserOrigin")
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned),
        approved_via: None,
        last_seen_at_ms: old.and_then(|old| old.last_seen_at_ms),
        last_seen_reason: old.and_then(|old| old.last_seen_reason.clone()),
        tokens: old_tokens,
        created_at_ms: old.map_or(now_ms, |old| old.created_at_ms),
        approved_at_ms: now_ms,
        more: old.map(|old| old.more.clone()).unwrap_or_default(),
    };
    if rules.profile.refresh == RefreshRule::LastSeen {
        entry.approved_via = Some(approved_via(old, by));
        if let By::Silently { attempt, .. } = by {
            entry.display_name = attempt.client.display_name.clone().or(entry.display_name);
            entry.last_seen_at_ms = Some(now_ms);
            entry.last_seen_reason = Some("connect".to_owned());
        }
    }
    let issued = tokens(rules, request, &asked_roles, old, &entry, by)?;
    for (role, token_scopes) in issued {
        let held = entry.tokens.get(&role);
        let mut token = token::issue(&role, token_scopes, held, now_ms, fresh);
        token.bind(held.and_then(TokenEntry::issuer).map(str::to_owned));
        entry.tokens.insert(role, token);
    }
    Ok(entry)
}

fn some(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}

/// How a device is said to have been approved: an owner's word stays.
fn approved_via(old: Option<&DeviceEntry>, by: By<'_>) -> String {
    let incoming = match by {
        By::Operator { .. } => return "owner".to_owned(),
        By::Silently { .. } => "silent",
    };
    match old.map(|old| old.approved_via.as_deref()) {
        Some(Some(kept @ ("owner" | "bootstrap"))) => kept.to_owned(),
        // An entry of an older release was an owner's to approve.
        Some(None) => "owner".to_owned(),
        Some(Some(_)) | None => incoming.to_owned(),
    }
}

/// Scopes of the tokens that an approval issues, by role.
fn tokens(
    rules: &Rules,
    request: &PendingRequest,
    asked_roles: &[String],
    old: Option<&DeviceEntry>,
    entry: &DeviceEntry,
    by: By<'_>,
) -> Result<BTreeMap<String, Vec<String>>, Forbidden> {
    let of_request = || {
        let role = request.role.as_deref().map(str::trim).filter(|role| !role.is_empty());
        role.map(str::to_owned)
    };
    Ok(match rules.profile.approval {
        ApprovalRule::TokenPerRoleAllScopes => asked_roles
            .iter()
            .map(|role| {
                let all = if role == ROLE_NODE { &[] } else { entry.scopes() };
                (role.clone(), scopes::sorted(all))
            })
            .collect(),
        ApprovalRule::RequestedScopes | ApprovalRule::RequestedScopesKept => {
            of_request().map(|role| (role, scopes::sorted(&request.scopes))).into_iter().collect()
        }
        ApprovalRule::RequestedOrHeldScopes => of_request()
            .map(|role| {
                let held = old.and_then(|old| old.tokens.get(&role)).map(|token| token.scopes.as_slice());
                let wanted = match request.scopes.as_slice() {
                    [] => held.or(entry.approved_scopes.as_deref()).unwrap_or_default(),
                    asked => asked,
                };
                let wanted = scopes::sorted(wanted);
                (role, wanted)
            })
            .into_iter()
            .collect(),
        ApprovalRule::TokenPerRoleDelta => deltas(rules, request, asked_roles, old, entry, by)?,
    })
}

/// As 2026.9.6 does: each role's token keeps its scopes and gets what is new of its own.
fn deltas(
    rules: &Rules,
    request: &PendingRequest,
    asked_roles: &[String],
    old: Option<&DeviceEntry>,
    entry: &DeviceEntry,
    by: By<'_>,
) -> Result<BTreeMap<String, Vec<String>>, Forbidden> {
    let wanted = scopes::sorted_with_implied(&request.scopes);
    let is_anyones = |scope: &&String| !asked_roles.iter().any(|role| scopes::belongs_to(scope, role));
    if let Some(outside) = wanted.iter().find(is_anyones) {
        return Err(Forbidden(format!("invalid scope for requested roles: {outside}")));
    }
    let mut issued = BTreeMap::new();
    for role in asked_roles {
        let own = |list: &[String]| role_scopes(role, list);
        let held = old.and_then(|old| old.tokens.get(role)).map(|token| token.scopes.as_slice());
        let baseline = own(old.and_then(DeviceEntry::scope_baseline).unwrap_or_default());
        let pending = own(&request.scopes);
        let next = if pending.is_empty() {
            own(held.or(entry.approved_scopes.as_deref()).unwrap_or_default())
        } else {
            let new: Vec<String> = pending
                .iter()
                .filter(|scope| held.is_none() || baseline.is_empty() || !baseline.contains(scope))
                .cloned()
                .collect();
            match held {
                Some(held) if new.is_empty() => own(held),
                held => own(&scopes::union(held.unwrap_or_default(), &new)),
            }
        };
        if role == ROLE_OPERATOR && !next.is_empty() {
            let granted = scopes::union(&pending, &next);
            let (By::Operator { may_grant } | By::Silently { may_grant, .. }) = by;
            if let Some(missing) = scopes::first_missing(rules.profile.coverage, role, may_grant, &granted) {
                return Err(Forbidden(format!("missing scope: {missing}")));
            }
        }
        issued.insert(role.clone(), next);
    }
    Ok(issued)
}

/// The scopes of a list that a role's token may hold, with what they imply.
fn role_scopes(role: &str, list: &[String]) -> Vec<String> {
    let mut all = scopes::sorted_with_implied(list);
    all.retain(|scope| scopes::belongs_to(scope, ROLE_OPERATOR) == (role == ROLE_OPERATOR));
    all
}
