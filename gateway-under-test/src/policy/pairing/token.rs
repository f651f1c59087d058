//! Device tokens: when the stored one is good enough, what a new one holds, and what hello says of it.

use protocol::hello::HelloAuth;
use protocol::scope::ROLE_OPERATOR;
use serde_json::{Map, Value, json};

use super::super::attempt::DeviceAttempt;
use super::super::credential::{self, Method};
use super::super::entry::{DeviceEntry, TokenEntry};
use super::super::{Fresh, Rules, scopes};
use crate::defect::Defect;
use crate::profile::{HelloAuthRule, IssueRule, Profile, TokenBinding};

/// What a session's token is.
pub(super) enum Due<'a> {
    /// There is none.
    Nothing,
    /// The stored one.
    Stored(&'a TokenEntry),
    /// A new one with these scopes.
    New(Vec<String>),
}

/// Whether the stored token does, or which one is due. `issuer` names what a new one is bound to.
pub(super) fn due<'a>(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: &'a DeviceEntry,
    issuer: Option<&str>,
) -> Due<'a> {
    let profile = rules.profile;
    let role = attempt.role.as_str();
    let covers = |held: &[String], asked: &[String]| scopes::covers(profile.coverage, role, held, asked);
    let valid = entry.tokens.get(role).filter(|token| !token.is_revoked());
    let asked = match profile.issue {
        IssueRule::WithinApprovedRole => scopes::sorted_with_implied(&attempt.scopes),
        _ => scopes::sorted(&attempt.scopes),
    };
    let is_approved = |list: &[String]| entry.scope_baseline().is_some_and(|approved| covers(approved, list));
    let is_bound = |token: &TokenEntry| {
        profile.token_binding != TokenBinding::DeviceRoleIssuer || token.issuer() == issuer
    };
    let (may_have, is_good): (bool, bool) = match profile.issue {
        IssueRule::AlwaysUnited | IssueRule::AlwaysAsked => {
            (true, valid.is_some_and(|token| covers(&token.scopes, &asked)))
        }
        IssueRule::WithinApproved | IssueRule::WithinApprovedRole => (
            is_approved(&asked)
                && (profile.issue == IssueRule::WithinApproved
                    || entry.approved_roles().iter().any(|approved| approved == role)),
            valid.is_some_and(|token| {
                is_approved(&token.scopes) && is_bound(token) && covers(&token.scopes, &asked)
            }),
        ),
    };
    match (may_have, valid) {
        (false, _) => Due::Nothing,
        (true, Some(token)) if is_good && rules.defect != Some(Defect::ChurnToken) => Due::Stored(token),
        (true, valid) if profile.issue == IssueRule::AlwaysUnited => {
            let held = valid.map_or(&[][..], |token| token.scopes.as_slice());
            Due::New(scopes::sorted(&scopes::union(held, &attempt.scopes)))
        }
        (true, _) => Due::New(asked),
    }
}

/// A new token in place of `held`, if there was one; `token_scopes` are sorted.
pub(super) fn issue(
    role: &str,
    token_scopes: Vec<String>,
    held: Option<&TokenEntry>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> TokenEntry {
    TokenEntry {
        token: fresh.token(),
        role: role.to_owned(),
        scopes: token_scopes,
        created_at_ms: held.map_or(now_ms, |held| held.created_at_ms),
        rotated_at_ms: held.map(|_| now_ms),
        revoked_at_ms: None,
        last_used_at_ms: held.and_then(|held| held.last_used_at_ms),
        more: held.map(|held| held.more.clone()).unwrap_or_default(),
    }
}

/// The scopes of a session: those asked, on the newest release without repeats and within what a header allows.
pub(in super::super) fn session_scopes(
    profile: &Profile,
    asked: &[String],
    cap: Option<&[String]>,
) -> Vec<String> {
    match profile.hello_auth {
        HelloAuthRule::DeviceToken => asked.to_vec(),
        HelloAuthRule::Session => {
            let mut scopes = scopes::union(asked, &[]);
            if let Some(cap) = cap {
                scopes.retain(|scope| cap.contains(scope));
            }
            scopes
        }
    }
}

/// `hello.auth` of a session with these scopes and this token.
pub(in super::super) fn hello_auth(
    rules: &Rules,
    role: &str,
    session: &[String],
    method: Method,
    device_id: Option<&str>,
    token: Option<&TokenEntry>,
    user: Option<&str>,
) -> Option<HelloAuth> {
    let with = |scopes: Vec<String>, more: Map<String, Value>| HelloAuth {
        device_token: token.map(|token| token.token.clone()),
        role: role.to_owned(),
        scopes,
        issued_at_ms: token.map(TokenEntry::issued_at_ms),
        more,
    };
    match rules.profile.hello_auth {
        HelloAuthRule::DeviceToken => token.map(|token| with(token.scopes.clone(), Map::new())),
        HelloAuthRule::Session => {
            let mut more = Map::from_iter([("method".to_owned(), Value::from(method.as_str()))]);
            if role == ROLE_OPERATOR {
                let device = device_id.unwrap_or_default();
                let is_shared = method.is_shared_secret() || method == Method::TrustedProxy;
                let material = match (user, token, credential::generation(rules).filter(|_| is_shared)) {
                    (Some(user), _, _) => Some(json!(["principal", user, device])),
                    (None, Some(token), _) => Some(json!(["device-token", token.token])),
                    (None, None, Some(generation)) => Some(json!(["shared-auth", generation, device])),
                    (None, None, None) => device_id.map(|device| json!(["device", device])),
                };
                if let Some(material) = material {
                    let scope = credential::digest(&material.to_string());
                    more.insert("recoveryScope".to_owned(), scope.into());
                }
                if user.is_none() && token.is_some() {
                    more.insert("recoveryMigrationAllowed".to_owned(), true.into());
                }
            }
            Some(with(session.to_vec(), more))
        }
    }
}
