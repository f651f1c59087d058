//! Pending requests: what an ask makes of one that waits.

use protocol::pairing::PendingRequest;
use serde_json::{Map, Value};

use super::super::attempt::DeviceAttempt;
use super::super::{Fresh, Rules, device_proof, scopes};
use crate::defect::Defect;
use crate::profile::{MetadataRule, PendingAge, PendingMerge, Profile};

/// Key of the stored request that holds its latest ask, and is shown to nobody (9.6).
const REFRESHED_KEY: &str = "refreshedAtMs";

/// Whether a request is still there.
#[must_use]
pub fn is_waiting(rules: &Rules, request: &PendingRequest, now_ms: u64) -> bool {
    let age = now_ms.saturating_sub(aged_from(rules, request));
    match rules.profile.pending_age {
        PendingAge::FromTsExclusive => age < rules.pending_ttl_ms,
        PendingAge::FromTs | PendingAge::FromLatestAsk => age <= rules.pending_ttl_ms,
    }
}

/// When its time to live began, milliseconds.
#[must_use]
pub fn aged_from(rules: &Rules, request: &PendingRequest) -> u64 {
    match rules.profile.pending_age {
        PendingAge::FromTsExclusive | PendingAge::FromTs => request.ts,
        PendingAge::FromLatestAsk => {
            request.more.get(REFRESHED_KEY).and_then(Value::as_u64).unwrap_or(request.ts)
        }
    }
}

/// A request as operators see it.
#[must_use]
pub fn listed(request: &PendingRequest) -> PendingRequest {
    let mut shown = request.clone();
    shown.more.remove(REFRESHED_KEY);
    shown
}

/// The circumstances of an ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// Whether the device has an entry.
    pub(super) is_repair: bool,
    /// Whether it may be approved without an operator.
    pub(super) silent: bool,
    pub(super) now_ms: u64,
}

/// What an ask came to.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) request: PendingRequest,
    /// Whether it may be approved without an operator, all asks considered.
    pub(super) silent: bool,
    /// Whether the id is new.
    pub(super) created: bool,
    /// The id that it takes the place of.
    pub(super) superseded: Option<String>,
}

/// Records an ask beside the request that waits, if one does.
pub(super) fn ask(
    rules: &Rules,
    attempt: &DeviceAttempt,
    waiting: Option<&PendingRequest>,
    ask: Ask,
    fresh: &mut dyn Fresh,
) -> Asked {
    let rule = rules.profile.pending_merge;
    let is_same =
        |request: &PendingRequest| device_proof::normalized_key(&request.public_key) == attempt.public_key;
    let same_key = waiting.filter(|request| is_same(request) && rules.defect != Some(Defect::ChurnRequestId));
    let asked = new_request(rules.profile, attempt, ask);
    let Some(waiting) = same_key else {
        let superseded =
            waiting.filter(|_| rule == PendingMerge::NewIdIfWider).map(|request| request.request_id.clone());
        return created(asked, superseded, fresh);
    };
    let kept =
        |request: PendingRequest| Asked { silent: request.silent, request, created: false, superseded: None };
    match rule {
        PendingMerge::Frozen => kept(waiting.clone()),
        // Whoever watches a request that waited hears how it ended, but only what is asked now is approved.
        PendingMerge::Union if ask.silent => {
            kept(PendingRequest { request_id: waiting.request_id.clone(), ..asked })
        }
        PendingMerge::Union => kept(PendingRequest {
            request_id: waiting.request_id.clone(),
            roles: scopes::union(&waiting.roles, &asked.roles),
            scopes: grown(&waiting.scopes, &asked.scopes),
            more: waiting.more.clone(),
            ..asked
        }),
        PendingMerge::UnionFirstRole => {
            let mut merged = refreshed(waiting, &asked);
            merged.role = waiting.role.clone().or(asked.role);
            merged.roles = scopes::union(&all_roles(waiting), &asked.roles);
            merged.scopes = grown(&waiting.scopes, &asked.scopes);
            merged.ts = ask.now_ms;
            kept(merged)
        }
        PendingMerge::NewIdIfWider if is_covered(rules.profile, waiting, &asked) => {
            let mut same = refreshed(waiting, &asked);
            same.more.insert(REFRESHED_KEY.to_owned(), ask.now_ms.into());
            kept(same)
        }
        PendingMerge::NewIdIfWider => {
            let wider = PendingRequest {
                roles: scopes::union(&all_roles(waiting), &asked.roles),
                scopes: grown(&waiting.scopes, &asked.scopes),
                silent: asked.silent && waiting.silent,
                ..asked
            };
            created(wider, Some(waiting.request_id.clone()), fresh)
        }
    }
}

fn created(mut request: PendingRequest, superseded: Option<String>, fresh: &mut dyn Fresh) -> Asked {
    request.request_id = fresh.request_id();
    Asked { silent: request.silent, request, created: true, superseded }
}

/// The waiting request with what the newest ask says of its client.
fn refreshed(waiting: &PendingRequest, asked: &PendingRequest) -> PendingRequest {
    let newest = |asked: &Option<String>, waiting: &Option<String>| asked.clone().or_else(|| waiting.clone());
    PendingRequest {
        display_name: newest(&asked.display_name, &waiting.display_name),
        platform: newest(&asked.platform, &waiting.platform),
        device_family: newest(&asked.device_family, &waiting.device_family),
        client_id: newest(&asked.client_id, &waiting.client_id),
        client_mode: newest(&asked.client_mode, &waiting.client_mode),
        remote_ip: newest(&asked.remote_ip, &waiting.remote_ip),
        silent: waiting.silent && asked.silent,
        is_repair: waiting.is_repair || asked.is_repair,
        ..waiting.clone()
    }
}

/// Every role that a request asks.
pub(super) fn all_roles(request: &PendingRequest) -> Vec<String> {
    let latest: Vec<String> = request.role.iter().cloned().collect();
    scopes::union(&request.roles, &latest)
}

/// Whether approving what waits would grant what is asked now (9.6).
fn is_covered(profile: &Profile, waiting: &PendingRequest, asked: &PendingRequest) -> bool {
    let origin = |request: &PendingRequest| request.more.get("browserOrigin").cloned();
    let held_roles = all_roles(waiting);
    let asked_roles = all_roles(asked);
    let held = scopes::sorted_with_implied(&waiting.scopes);
    let wanted = scopes::sorted_with_implied(&asked.scopes);
    let same_set = || held == wanted && scopes::sorted(&held_roles) == scopes::sorted(&asked_roles);
    let covers = |scope: &String| {
        let scope = std::slice::from_ref(scope);
        asked_roles.iter().any(|role| scopes::covers(profile.coverage, role, &held, scope))
    };
    waiting.role == asked.role
        && origin(waiting) == origin(asked)
        && (same_set()
            || (asked_roles.iter().all(|role| held_roles.contains(role)) && wanted.iter().all(covers)))
}

fn new_request(profile: &Profile, attempt: &DeviceAttempt, ask: Ask) -> PendingRequest {
    let client = &attempt.client;
    let keeps_family = profile.metadata != MetadataRule::Overwritten;
    PendingRequest {
        request_id: String::new(),
        device_id: attempt.device_id.clone(),
        public_key: attempt.public_key.clone(),
        display_name: client.display_name.clone(),
        platform: Some(client.platform.clone()),
        device_family: client.device_family.clone().filter(|_| keeps_family),
        client_id: Some(client.id.as_str().to_owned()),
        client_mode: Some(client.mode.as_str().to_owned()),
        role: Some(attempt.role.clone()),
        roles: vec![attempt.role.clone()],
        // What is approved at once never waits, so that it needs no bound.
        scopes: if ask.silent { scopes::union(&attempt.scopes, &[]) } else { grown(&[], &attempt.scopes) },
        remote_ip: attempt.kept_ip.map(|ip| ip.to_string()),
        silent: ask.silent,
        is_repair: ask.is_repair,
        ts: ask.now_ms,
        more: Map::new(),
    }
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
