//! Pairing: the four reasons, pending requests, silent approval, device tokens, and what operators change (article
//! profile, sections 6 and 7).
//!
//! Every function takes what is known of one device and gives what to answer and what to change ([`Effects`]); nothing
//! is changed here.

use protocol::hello::HelloAuth;
use protocol::pairing::{
    ApproveResult, Decision, PendingRequest, RejectResult, RemoveResult, Resolved, RevokeParams,
    RevokeResult, RotateParams, RotateResult,
};
use protocol::scope::ROLE_NODE;
use protocol::{DetailCode, ErrorCode, ErrorDetails, ErrorShape, PairingReason};
use serde_json::Map;

use super::attempt::DeviceAttempt;
use super::credential::{self, Method};
use super::entry::{DeviceEntry, DeviceView, TokenEntry, stored};
use super::refusal::Refusal;
use super::{Fresh, Rules, device_proof, scopes};
use crate::defect::Defect;
use crate::profile::MetadataRule;

/// What becomes of a stored value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this.
    Put(Box<T>),
    /// It goes.
    Drop,
}

impl<T> Change<T> {
    /// Whether anything changes.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// What to broadcast once a change is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum PairingEvent {
    /// `device.pair.requested`.
    Requested(Box<PendingRequest>),
    /// `device.pair.resolved`.
    Resolved(Resolved),
}

/// Something that is only written with the next change or on drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The token of the attempt's role was used.
    TokenUsed,
    /// The waiting request was asked again.
    AskedAgain,
}

/// Changes to one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// To its entry.
    pub entry: Change<DeviceEntry>,
    /// To its pending request.
    pub pending: Change<PendingRequest>,
    /// To broadcast, in order.
    pub events: Vec<PairingEvent>,
    /// To write lazily; nothing else changes then.
    pub touch: Option<Touch>,
}

impl Effects {
    /// Whether anything must be durable before it is answered.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        !self.entry.is_keep() || !self.pending.is_keep()
    }
}

/// An accepted connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Role of the session.
    pub role: String,
    /// Scopes of the session: those asked.
    pub scopes: Vec<String>,
    /// `hello.auth`.
    pub auth: HelloAuth,
    /// How the client showed that it may ask.
    pub method: Method,
}

/// What an attempt gets, and what it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// A session or a refusal.
    pub outcome: Result<Accepted, Refusal>,
    /// What changes.
    pub effects: Effects,
}

impl From<Refusal> for Admission {
    fn from(refusal: Refusal) -> Self {
        Self { outcome: Err(refusal), effects: Effects::default() }
    }
}

/// Whether a request is still there (section 6: 300 000 ms old or older is gone).
#[must_use]
pub fn is_waiting(rules: &Rules, request: &PendingRequest, now_ms: u64) -> bool {
    now_ms.saturating_sub(request.ts) < rules.pending_ttl_ms
}

/// Rows 16 and 17. `now_ms` is the gateway's clock, milliseconds since the Unix epoch.
#[must_use]
pub fn admit(
    rules: &Rules,
    attempt: &DeviceAttempt,
    view: &DeviceView<'_>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Admission {
    let method = match credential::check(rules, attempt, view) {
        Ok(method) => method,
        Err(refusal) => return refusal.into(),
    };
    let waiting = view.pending.filter(|request| is_waiting(rules, request, now_ms));
    let mut effects = Effects::default();

    // A repair changes the entry before the other checks look at it.
    let repaired =
        view.entry.filter(|entry| needs_repair(rules, attempt, entry, view.repairable)).map(|entry| {
            let mut entry = entry.clone();
            entry.platform = Some(attempt.client.platform.clone());
            entry.device_family.clone_from(&attempt.client.device_family);
            entry
        });
    let waiting = if let Some(entry) = &repaired {
        effects.entry = Change::Put(Box::new(entry.clone()));
        if view.pending.is_some() {
            effects.pending = Change::Drop;
        }
        None
    } else {
        waiting
    };
    let entry = repaired.as_ref().or(view.entry);

    match first_reason(rules, attempt, entry) {
        None => {
            // `first_reason` answers `not-paired` when there is no entry.
            let Some(entry) = entry else {
                return refuse(
                    rules,
                    attempt,
                    None,
                    waiting,
                    PairingReason::NotPaired,
                    effects,
                    now_ms,
                    fresh,
                );
            };
            let outcome = Ok(accept(rules, attempt, entry, method, &mut effects, now_ms, fresh));
            Admission { outcome, effects }
        }
        Some(reason) if is_silent(rules, attempt, reason) => {
            let mut request = new_request(attempt, view.entry.is_some(), true, now_ms, fresh);
            // Whoever watches a request that waited hears how it ended.
            if let Some(waiting) = waiting {
                request.request_id.clone_from(&waiting.request_id);
            }
            let approved = approved_entry(&request, view.entry, now_ms, fresh);
            effects.events.push(PairingEvent::Resolved(Resolved {
                request_id: request.request_id,
                device_id: attempt.device_id.clone(),
                decision: Decision::Approved,
                ts: now_ms,
            }));
            if view.pending.is_some() {
                effects.pending = Change::Drop;
            }
            effects.entry = Change::Put(Box::new(approved.clone()));
            let outcome = Ok(accept(rules, attempt, &approved, method, &mut effects, now_ms, fresh));
            Admission { outcome, effects }
        }
        Some(reason) => refuse(rules, attempt, entry, waiting, reason, effects, now_ms, fresh),
    }
}

/// The first of the four reasons that applies.
fn first_reason(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: Option<&DeviceEntry>,
) -> Option<PairingReason> {
    let Some(entry) = entry.filter(|entry| same_key(attempt, entry)) else {
        return Some(PairingReason::NotPaired);
    };
    if !metadata_matches(rules, attempt, entry) {
        return Some(PairingReason::MetadataUpgrade);
    }
    if !entry.has_role(&attempt.role) {
        return Some(PairingReason::RoleUpgrade);
    }
    if !scopes::covers(rules.profile.coverage, entry.scopes(), &attempt.scopes) {
        return Some(PairingReason::ScopeUpgrade);
    }
    None
}

fn same_key(attempt: &DeviceAttempt, entry: &DeviceEntry) -> bool {
    device_proof::normalized_key(&entry.public_key) == attempt.public_key
}

fn needs_repair(rules: &Rules, attempt: &DeviceAttempt, entry: &DeviceEntry, repairable: bool) -> bool {
    match rules.profile.metadata {
        MetadataRule::Overwritten | MetadataRule::Pinned | MetadataRule::PinnedWithAliases => false,
        MetadataRule::PinnedLegacyRepairedByLoad => {
            repairable && entry.is_legacy() && same_key(attempt, entry)
        }
    }
}

fn metadata_matches(rules: &Rules, attempt: &DeviceAttempt, entry: &DeviceEntry) -> bool {
    match rules.profile.metadata {
        MetadataRule::Overwritten => true,
        MetadataRule::PinnedLegacyRepairedByLoad | MetadataRule::Pinned | MetadataRule::PinnedWithAliases => {
            let agrees = |held: Option<&str>, claimed: Option<&str>| {
                stored(held).is_none_or(|held| {
                    claimed.is_some_and(|claimed| {
                        protocol::device::normalized_metadata(held)
                            == protocol::device::normalized_metadata(claimed)
                    })
                })
            };
            let pins = rules.profile.metadata == MetadataRule::PinnedLegacyRepairedByLoad;
            !(pins && entry.is_legacy())
                && agrees(entry.platform.as_deref(), Some(&attempt.client.platform))
                && agrees(entry.device_family.as_deref(), attempt.client.device_family.as_deref())
        }
    }
}

fn is_silent(rules: &Rules, attempt: &DeviceAttempt, reason: PairingReason) -> bool {
    let local = attempt.local || rules.defect == Some(Defect::AcceptUnpaired);
    local && reason == PairingReason::NotPaired
}

/// Section 7: the stored token if it is good enough, else a new one.
fn accept(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: &DeviceEntry,
    method: Method,
    effects: &mut Effects,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Accepted {
    let held = entry.tokens.get(&attempt.role);
    let valid = held.filter(|token| !token.is_revoked());
    let token = match valid {
        Some(token) if scopes::covers(rules.profile.coverage, &token.scopes, &attempt.scopes) => {
            // A token that this very step issued is not a used one.
            if !effects.is_durable() {
                effects.touch = Some(Touch::TokenUsed);
            }
            token.clone()
        }
        _ => {
            let widened = scopes::union(valid.map_or(&[], |token| &token.scopes), &attempt.scopes);
            let token = issue(&attempt.role, &widened, held, now_ms, fresh);
            let mut entry = entry.clone();
            entry.tokens.insert(attempt.role.clone(), token.clone());
            effects.entry = Change::Put(Box::new(entry));
            token
        }
    };
    Accepted {
        role: attempt.role.clone(),
        scopes: attempt.scopes.clone(),
        auth: HelloAuth {
            issued_at_ms: Some(token.issued_at_ms()),
            scopes: scopes::sorted(&token.scopes),
            device_token: Some(token.token),
            role: attempt.role.clone(),
            more: Map::new(),
        },
        method,
    }
}

/// A new token in place of `held`, if there was one.
fn issue(
    role: &str,
    token_scopes: &[String],
    held: Option<&TokenEntry>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> TokenEntry {
    TokenEntry {
        token: fresh.token(),
        role: role.to_owned(),
        scopes: scopes::sorted(token_scopes),
        created_at_ms: held.map_or(now_ms, |held| held.created_at_ms),
        rotated_at_ms: held.map(|_| now_ms),
        revoked_at_ms: None,
        last_used_at_ms: held.and_then(|held| held.last_used_at_ms),
        more: held.map(|held| held.more.clone()).unwrap_or_default(),
    }
}

fn new_request(
    attempt: &DeviceAttempt,
    is_repair: bool,
    silent: bool,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> PendingRequest {
    let client = &attempt.client;
    PendingRequest {
        request_id: fresh.request_id(),
        device_id: attempt.device_id.clone(),
        public_key: attempt.public_key.clone(),
        display_name: client.display_name.clone(),
        platform: Some(client.platform.clone()),
        device_family: client.device_family.clone(),
        client_id: Some(client.id.as_str().to_owned()),
        client_mode: Some(client.mode.as_str().to_owned()),
        role: Some(attempt.role.clone()),
        roles: vec![attempt.role.clone()],
        scopes: scopes::union(&attempt.scopes, &[]),
        remote_ip: attempt.client_ip.filter(|_| !attempt.local).map(|ip| ip.to_string()),
        silent,
        is_repair,
        ts: now_ms,
        more: Map::new(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of `admit`, split off for its length")]
fn refuse(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: Option<&DeviceEntry>,
    waiting: Option<&PendingRequest>,
    reason: PairingReason,
    mut effects: Effects,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Admission {
    let mut asked = new_request(attempt, entry.is_some(), false, now_ms, fresh);
    let same_key_waits =
        waiting.filter(|request| device_proof::normalized_key(&request.public_key) == attempt.public_key);
    let request_id = if let Some(request) = same_key_waits {
        let merged = PendingRequest {
            request_id: request.request_id.clone(),
            roles: scopes::union(&request.roles, &asked.roles),
            scopes: grown(&request.scopes, &asked.scopes),
            more: request.more.clone(),
            ..asked
        };
        let request_id = merged.request_id.clone();
        if (PendingRequest { ts: request.ts, ..merged.clone() }) == *request {
            effects.touch = Some(Touch::AskedAgain);
        } else {
            effects.pending = Change::Put(Box::new(merged));
        }
        request_id
    } else {
        let request_id = asked.request_id.clone();
        asked.scopes = grown(&[], &asked.scopes);
        effects.events.push(PairingEvent::Requested(Box::new(asked.clone())));
        effects.pending = Change::Put(Box::new(asked));
        request_id
    };
    let said = match (rules.defect, reason) {
        (Some(Defect::WrongReason), PairingReason::NotPaired) => PairingReason::ScopeUpgrade,
        _ => reason,
    };
    let details = ErrorDetails {
        code: Some(DetailCode::PairingRequired),
        request_id: Some(request_id),
        reason: Some(said.as_str().to_owned()),
        ..ErrorDetails::default()
    };
    let error = ErrorShape::new(ErrorCode::NotPaired, protocol::close::reason::PAIRING_REQUIRED);
    let mut refusal = Refusal::answered(error, "pairing-required").detailed(details);
    refusal.pairing = Some(reason);
    Admission { outcome: Err(refusal), effects }
}

/// The entry after `request` is approved: new tokens for every role asked, old and asked roles and scopes.
fn approved_entry(
    request: &PendingRequest,
    old: Option<&DeviceEntry>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> DeviceEntry {
    let mut asked_roles = request.roles.clone();
    asked_roles.extend(request.role.clone());
    let asked_roles = scopes::union(&asked_roles, &[]);
    let mut entry = DeviceEntry {
        device_id: request.device_id.clone(),
        public_key: request.public_key.clone(),
        display_name: request.display_name.clone(),
        platform: request.platform.clone(),
        device_family: request.device_family.clone(),
        client_id: request.client_id.clone(),
        client_mode: request.client_mode.clone(),
        role: request.role.clone().or_else(|| old.and_then(|old| old.role.clone())),
        roles: Some(scopes::union(&old.map(DeviceEntry::roles).unwrap_or_default(), &asked_roles)),
        scopes: old.and_then(|old| old.scopes.clone()),
        approved_scopes: old.and_then(|old| old.approved_scopes.clone()),
        remote_ip: request.remote_ip.clone(),
        tokens: old.map(|old| old.tokens.clone()).unwrap_or_default(),
        created_at_ms: old.map_or(now_ms, |old| old.created_at_ms),
        approved_at_ms: now_ms,
        more: old.map(|old| old.more.clone()).unwrap_or_default(),
    };
    entry.add_scopes(&request.scopes);
    for role in asked_roles {
        let token_scopes = if role == ROLE_NODE { &[] } else { entry.scopes() };
        let token = issue(&role, token_scopes, entry.tokens.get(&role), now_ms, fresh);
        entry.tokens.insert(role, token);
    }
    entry
}

fn unknown(what: &str) -> Box<ErrorShape> {
    Box::new(ErrorShape::new(ErrorCode::InvalidRequest, format!("unknown {what}")))
}

/// Approves the device's waiting request, whose id the caller has looked up.
///
/// # Errors
/// `unknown requestId` when it is not waiting any more.
pub fn approve(
    rules: &Rules,
    view: &DeviceView<'_>,
    request_id: &str,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Result<(ApproveResult, Effects), Box<ErrorShape>> {
    let request = waiting_request(rules, view, request_id, now_ms)?;
    let entry = approved_entry(request, view.entry, now_ms, fresh);
    let result = ApproveResult { request_id: request_id.to_owned(), device: entry.listed() };
    Ok((
        result,
        Effects {
            entry: Change::Put(Box::new(entry)),
            pending: Change::Drop,
            events: vec![resolved(request, Decision::Approved, now_ms)],
            touch: None,
        },
    ))
}

/// Rejects the device's waiting request.
///
/// # Errors
/// `unknown requestId` when it is not waiting any more.
pub fn reject(
    rules: &Rules,
    view: &DeviceView<'_>,
    request_id: &str,
    now_ms: u64,
) -> Result<(RejectResult, Effects), Box<ErrorShape>> {
    let request = waiting_request(rules, view, request_id, now_ms)?;
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
) -> Result<&'a PendingRequest, Box<ErrorShape>> {
    view.pending
        .filter(|request| request.request_id == request_id && is_waiting(rules, request, now_ms))
        .ok_or_else(|| unknown("requestId"))
}

/// Drops the device's entry, and its request if there is one.
///
/// # Errors
/// `unknown deviceId` when it has no entry.
pub fn remove(view: &DeviceView<'_>, device_id: &str) -> Result<(RemoveResult, Effects), Box<ErrorShape>> {
    if view.entry.is_none() {
        return Err(unknown("deviceId"));
    }
    let pending = if view.pending.is_some() { Change::Drop } else { Change::Keep };
    Ok((
        RemoveResult { device_id: device_id.to_owned() },
        Effects { entry: Change::Drop, pending, ..Effects::default() },
    ))
}

/// Replaces the token of a role, or issues the first one. Scopes beyond the entry's are added to it.
///
/// # Errors
/// `unknown deviceId/role` when the device has no entry.
pub fn rotate(
    rules: &Rules,
    view: &DeviceView<'_>,
    params: &RotateParams,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Result<(RotateResult, Effects), Box<ErrorShape>> {
    let old = view.entry.ok_or_else(|| unknown("deviceId/role"))?;
    let mut entry = old.clone();
    let held = old.tokens.get(&params.role);
    let wanted = match (&params.scopes, held) {
        (Some(scopes), _) => scopes,
        (None, Some(held)) => held.scopes.as_slice(),
        (None, None) => old.scopes(),
    };
    if !scopes::covers(rules.profile.coverage, old.scopes(), wanted) {
        entry.add_scopes(wanted);
    }
    let mut token = issue(&params.role, wanted, held, now_ms, fresh);
    token.rotated_at_ms = Some(now_ms);
    let result = RotateResult {
        device_id: params.device_id.clone(),
        role: params.role.clone(),
        token: token.token.clone(),
        scopes: token.scopes.clone(),
        rotated_at_ms: now_ms,
    };
    entry.tokens.insert(params.role.clone(), token);
    Ok((result, Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() }))
}

/// Voids the token of a role.
///
/// # Errors
/// `unknown deviceId/role` when the device has no entry or no token for the role.
pub fn revoke(
    view: &DeviceView<'_>,
    params: &RevokeParams,
    now_ms: u64,
) -> Result<(RevokeResult, Effects), Box<ErrorShape>> {
    let mut entry = view.entry.ok_or_else(|| unknown("deviceId/role"))?.clone();
    let token = entry.tokens.get_mut(&params.role).ok_or_else(|| unknown("deviceId/role"))?;
    token.revoked_at_ms = Some(now_ms);
    let result = RevokeResult {
        device_id: params.device_id.clone(),
        role: params.role.clone(),
        revoked_at_ms: now_ms,
    };
    Ok((result, Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() }))
}

/// Scopes that one waiting request holds at most. What is asked beyond is not added: a device that asks for other scopes
/// at every attempt must not grow the store without bound (ours).
const PENDING_SCOPES_MAX: usize = 4_096;
/// Bytes of scopes that one waiting request holds at most (ours).
const PENDING_SCOPES_BYTES_MAX: usize = 256 * 1024;

/// What a request that waits with the scopes `held` holds when `asked` are asked: the union, as far as it may grow. What
/// is too much is left out; what an older gateway already let in stays.
fn grown(held: &[String], asked: &[String]) -> Vec<String> {
    let held_count = scopes::union(held, &[]).len();
    let mut all = scopes::union(held, asked);
    let (mut count, mut bytes) = (0_usize, 0_usize);
    all.retain(|scope| {
        let is_held = count < held_count;
        let fits = count < PENDING_SCOPES_MAX && bytes + scope.len() <= PENDING_SCOPES_BYTES_MAX;
        if is_held || fits {
            count += 1;
            bytes += scope.len();
        }
        is_held || fits
    });
    all
}

#[cfg(test)]
#[path = "pairing_tests.rs"]
mod tests;
