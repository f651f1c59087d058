//! What a session may call and hear (reference, sections 8.7 and 8.10).

use protocol::error::DetailCode;
use protocol::pairing::method;
use protocol::scope::{ADMIN, PAIRING, READ, ROLE_NODE, WRITE};
use protocol::{ErrorCode, ErrorDetails, ErrorShape};
use serde_json::json;

use crate::profile::{AuthorityRule, ManagementRule, Profile};

/// `health`.
pub const HEALTH: &str = "health";
/// `status`.
pub const STATUS: &str = "status";
/// `{deviceId, label}` -> the same (2026.9.6).
pub const RENAME: &str = method::RENAME;

/// Methods that every profile serves.
const METHODS: [&str; 8] = [
    HEALTH,
    STATUS,
    method::LIST,
    method::APPROVE,
    method::REJECT,
    method::REMOVE,
    method::ROTATE,
    method::REVOKE,
];

/// Every method served, as hello lists them.
pub fn methods(profile: &Profile) -> impl Iterator<Item = &'static str> {
    METHODS.into_iter().chain(serves_rename(profile).then_some(RENAME))
}

fn serves_rename(profile: &Profile) -> bool {
    profile.management == ManagementRule::CoveredAndOwn
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Role of its session.
    pub role: String,
    /// Scopes of its session.
    pub scopes: Vec<String>,
    /// Its device, if it came by that device's token.
    pub own_device: Option<String>,
}

impl Caller {
    /// Somebody who may do everything.
    #[must_use]
    pub fn owner() -> Self {
        Self {
            role: protocol::scope::ROLE_OPERATOR.to_owned(),
            scopes: protocol::scope::ALL.map(str::to_owned).to_vec(),
            own_device: None,
        }
    }

    /// Whether it holds `operator.admin`.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        holds(&self.scopes, ADMIN)
    }
}

/// What a call needs.
enum Need {
    Scope(&'static str),
    /// Nobody holds what it needs.
    Refused(String),
}

fn invalid(message: impl Into<String>) -> Box<ErrorShape> {
    Box::new(ErrorShape::new(ErrorCode::InvalidRequest, message))
}

/// Whether a session of this role with these scopes may call the method.
///
/// # Errors
/// `INVALID_REQUEST` or `FORBIDDEN` with OpenClaw's text.
pub fn authorize(
    profile: &Profile,
    role: &str,
    scopes: &[String],
    name: &str,
) -> Result<(), Box<ErrorShape>> {
    let rule = profile.authority;
    let health_is_free = rule != AuthorityRule::AdminAllHealthScoped;
    if name == HEALTH && health_is_free {
        return Ok(());
    }
    if rule == AuthorityRule::Exact && name == protocol::connect::METHOD {
        return Err(second_connect());
    }
    if role == ROLE_NODE {
        return Err(invalid("unauthorized role: node"));
    }
    let unknown = || format!("unknown method: {name}");
    let need = match name {
        HEALTH | STATUS => Need::Scope(READ),
        method::LIST
        | method::APPROVE
        | method::REJECT
        | method::REMOVE
        | method::ROTATE
        | method::REVOKE => Need::Scope(PAIRING),
        RENAME if serves_rename(profile) => Need::Scope(PAIRING),
        // Up to here `connect` was refused for everybody.
        _ if rule == AuthorityRule::Exact => Need::Refused(unknown()),
        // A method without a scope of its own is the admin's, and only an admin learns that there is none.
        _ if !holds(scopes, ADMIN) => Need::Scope(ADMIN),
        protocol::connect::METHOD => return Err(second_connect()),
        _ => Need::Refused(unknown()),
    };
    match need {
        Need::Scope(scope) if satisfies(rule, scopes, scope) => Ok(()),
        Need::Scope(scope) => Err(missing(rule, scope)),
        Need::Refused(message) => Err(invalid(message)),
    }
}

fn second_connect() -> Box<ErrorShape> {
    invalid("connect is only valid as the first request")
}

fn holds(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|held| held == scope)
}

fn satisfies(rule: AuthorityRule, scopes: &[String], needed: &str) -> bool {
    if holds(scopes, needed) {
        return true;
    }
    match rule {
        AuthorityRule::Exact => false,
        AuthorityRule::AdminAllHealthScoped | AuthorityRule::AdminAll | AuthorityRule::AdminAllForbidden => {
            holds(scopes, ADMIN) || (needed == READ && holds(scopes, WRITE))
        }
    }
}

/// The answer to a call whose scope the session lacks.
#[must_use]
pub fn missing(rule: AuthorityRule, scope: &str) -> Box<ErrorShape> {
    let message = format!("missing scope: {scope}");
    if rule != AuthorityRule::AdminAllForbidden {
        return invalid(message);
    }
    let more = [("missingScope", json!(scope)), ("requiredScopes", json!([scope]))];
    let details = ErrorDetails {
        code: Some(DetailCode::MissingScope),
        more: more.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        ..ErrorDetails::default()
    };
    Box::new(ErrorShape::new(ErrorCode::Forbidden, message).with_details(details))
}

/// Whether a session hears pairing events.
#[must_use]
pub fn hears_pairing(profile: &Profile, role: &str, scopes: &[String]) -> bool {
    role != ROLE_NODE && satisfies(profile.authority, scopes, PAIRING)
}

/// Whether a session hears who is there (2026.9.6).
#[must_use]
pub fn hears_presence(profile: &Profile, role: &str, scopes: &[String]) -> bool {
    role != ROLE_NODE && satisfies(profile.authority, scopes, READ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ALL, ARTICLE, V2026_2_19, V2026_2_22, V2026_9_6};

    fn said(profile: &Profile, role: &str, scopes: &[&str], name: &str) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        authorize(profile, role, &scopes, name)
            .err()
            .map(|error| format!("{} {}", error.code, error.message))
            .unwrap_or_default()
    }

    #[test]
    fn table_of_calls() {
        const NO_READ: &str = "INVALID_REQUEST missing scope: operator.read";
        const NO_PAIRING: &str = "INVALID_REQUEST missing scope: operator.pairing";
        const NO_ADMIN: &str = "INVALID_REQUEST missing scope: operator.admin";
        const SECOND: &str = "INVALID_REQUEST connect is only valid as the first request";
        const NODE: &str = "INVALID_REQUEST unauthorized role: node";
        let rows: &[(&Profile, &str, &[&str], &str, &str)] = &[
            (&ARTICLE, "operator", &[], HEALTH, ""),
            (&ARTICLE, "node", &[], HEALTH, ""),
            (&ARTICLE, "operator", &[READ], STATUS, ""),
            (&ARTICLE, "operator", &[ADMIN], STATUS, NO_READ),
            (&ARTICLE, "operator", &[ADMIN], method::LIST, NO_PAIRING),
            (&ARTICLE, "operator", &[PAIRING], method::APPROVE, ""),
            (&ARTICLE, "node", &[PAIRING], method::APPROVE, NODE),
            (&ARTICLE, "operator", &[PAIRING], "no.such", "INVALID_REQUEST unknown method: no.such"),
            (&ARTICLE, "operator", &[], "connect", SECOND),
            (&ARTICLE, "node", &[], "connect", SECOND),
            (&V2026_2_19, "operator", &[], HEALTH, NO_READ),
            (&V2026_2_19, "operator", &[WRITE], HEALTH, ""),
            (&V2026_2_19, "node", &[], HEALTH, NODE),
            (&V2026_2_22, "operator", &[], HEALTH, ""),
            (&V2026_2_22, "node", &[], HEALTH, ""),
            (&V2026_2_22, "operator", &[ADMIN], method::LIST, ""),
            (&V2026_2_22, "operator", &[READ], method::LIST, NO_PAIRING),
            (&V2026_2_22, "operator", &[READ], "no.such", NO_ADMIN),
            (&V2026_2_22, "operator", &[READ], "connect", NO_ADMIN),
            (&V2026_2_22, "operator", &[ADMIN], "connect", SECOND),
            (&V2026_2_22, "operator", &[ADMIN], "no.such", "INVALID_REQUEST unknown method: no.such"),
            (&V2026_2_22, "node", &[], "no.such", NODE),
            (&V2026_2_22, "operator", &[ADMIN], RENAME, "INVALID_REQUEST unknown method: device.pair.rename"),
            (&V2026_9_6, "operator", &[PAIRING], RENAME, ""),
            (&V2026_9_6, "operator", &[READ], method::LIST, "FORBIDDEN missing scope: operator.pairing"),
            (&V2026_9_6, "operator", &[], "no.such", "FORBIDDEN missing scope: operator.admin"),
        ];
        for (profile, role, scopes, name, message) in rows {
            assert_eq!(said(profile, role, scopes, name), *message, "{} {role} {name}", profile.name);
        }
        for profile in ALL {
            for name in methods(profile) {
                assert_eq!(said(profile, "operator", &protocol::scope::ALL, name), "", "{name} is listed");
            }
        }
    }

    #[test]
    fn a_missing_scope_is_named_twice_by_the_newest() {
        let error = missing(V2026_9_6.authority, PAIRING);
        assert_eq!(
            serde_json::to_value(error.details).unwrap(),
            json!({"code": "MISSING_SCOPE", "missingScope": PAIRING, "requiredScopes": [PAIRING]})
        );
        assert_eq!(missing(ARTICLE.authority, PAIRING).details, None);
    }

    #[test]
    fn only_operators_that_may_approve_hear_of_requests() {
        let scopes = |name: &str| vec![name.to_owned()];
        assert!(hears_pairing(&ARTICLE, "operator", &scopes(PAIRING)));
        assert!(!hears_pairing(&ARTICLE, "operator", &scopes(ADMIN)));
        assert!(hears_pairing(&V2026_2_19, "operator", &scopes(ADMIN)));
        for profile in ALL {
            assert!(!hears_pairing(profile, "node", &scopes(PAIRING)));
            assert!(!hears_pairing(profile, "operator", &scopes(READ)));
        }
    }
}
