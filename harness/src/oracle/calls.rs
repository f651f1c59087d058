//! What the gateway answered to calls over clients' sessions: by the scopes of the session (reference, section 8.7; `article`:
//! section 10 of its profile), and by what the scenario expects.
//!
//! What a session holds is what its connect asked. Where that depends on more, and of methods that the reference does not
//! name, only the scenario's expectations are judged.

use std::collections::HashMap;

use protocol::pairing::method;
use protocol::scope::{ADMIN, PAIRING, READ, ROLE_NODE, WRITE};

use super::conduct::{Rights, Sessions};
use super::expectation;
use super::explain::seconds;
use super::release::{Authority, Release};
use super::verdict::{Breach, MismatchKind};
use super::windows::Windows;
use crate::history::{Call, CallEnd, History, SessionEnd};
use crate::plan::{ClientId, Deed, Plan, ScriptCall, ScriptStep};

/// How a gateway says that a session may not call something.
const DENIALS: [&str; 2] = ["missing scope: ", "unauthorized role: "];
/// What every gateway says when it cannot do anything now.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// What is due to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// It is not refused for who asks.
    Permitted,
    /// It is, because the session lacks this scope.
    Lacks(&'static str),
    /// It is, because a node may not.
    NotForNodes,
}

/// The breaches in how calls of a shard's clients were answered.
pub(super) fn of_clients(plan: &Plan, shard: &History, windows: &Windows, by_profile: bool) -> Vec<Breach> {
    if shard.calls.is_empty() {
        return Vec::new();
    }
    let mut sessions = Sessions::default();
    sessions.add(plan, &shard.attempts);
    let ends: HashMap<(ClientId, u32), &SessionEnd> =
        shard.session_ends.iter().map(|end| ((end.client, end.attempt), end)).collect();
    let authority = Release::of(plan.gateway.profile).authority;
    let judge = |call: &Call| {
        let (step, method) = called(plan, call)?;
        let disturbed = windows.disturbed(call.sent, call.end.at());
        let by_rules = || {
            let rights = sessions.rights(call.client, call.attempt)?;
            let lost = ends.get(&(call.client, call.attempt)).is_some_and(|end| end.at <= call.end.at());
            wrong(due(authority, &rights, &method.method)?, authority, &call.end, lost || disturbed)
        };
        let (kind, expected, observed, why) = by_profile
            .then(by_rules)
            .flatten()
            .map(|(expected, why)| (MismatchKind::WrongAnswer, expected, observed(&call.end), why))
            .or_else(|| expectation::of_call(step.expect.as_ref()?, call, disturbed))?;
        let why = format!(
            "step {} of the script (line {}) called {} at {}: {why}",
            call.step + 1,
            step.line,
            super::form::quoted(&method.method),
            seconds(call.sent),
        );
        let (client, attempt, at) = (call.client, call.attempt, call.end.at());
        Some(Breach { kind, client, attempt, at, expected, observed, why })
    };
    shard.calls.iter().filter_map(judge).collect()
}

/// The step that a call belongs to, and what was called.
fn called<'p>(plan: &'p Plan, call: &Call) -> Option<(&'p ScriptStep, &'p ScriptCall)> {
    let client = plan.clients.get(usize::try_from(call.client).ok()?)?;
    let step = plan.cohorts.get(usize::from(client.cohort))?.script.get(usize::from(call.step))?;
    match &step.deed {
        Deed::Call(call) => Some((step, call)),
        _ => None,
    }
}

/// What a session with these rights is due; `None`: the reference does not say.
fn due(authority: Authority, rights: &Rights<'_>, name: &str) -> Option<Due> {
    let needed = match name {
        "health" if !authority.health_needs_read => return Some(Due::Permitted),
        "health" | "status" => READ,
        method::LIST
        | method::APPROVE
        | method::REJECT
        | method::REMOVE
        | method::ROTATE
        | method::REVOKE => PAIRING,
        _ => return None,
    };
    if rights.role == ROLE_NODE {
        return Some(Due::NotForNodes);
    }
    let implied = authority.admin_may_all && (rights.holds(ADMIN) || (needed == READ && rights.holds(WRITE)));
    Some(if implied || rights.holds(needed) { Due::Permitted } else { Due::Lacks(needed) })
}

/// What was due and how the answer differs; `None` if it does not. `excused`: there may be no answer.
fn wrong(due: Due, authority: Authority, end: &CallEnd, excused: bool) -> Option<(String, String)> {
    let denial = match due {
        Due::Permitted => None,
        Due::Lacks(scope) => Some(format!("missing scope: {scope}")),
        Due::NotForNodes => Some(format!("unauthorized role: {ROLE_NODE}")),
    };
    let expected = denial.clone().unwrap_or_else(|| "permitted".to_owned());
    let why = match (end, denial) {
        (CallEnd::NoAnswer { .. }, _) if excused => return None,
        (CallEnd::NoAnswer { .. }, _) => "no answer came, and nothing stood in its way".to_owned(),
        (CallEnd::Refused { code, .. }, _) if code == UNAVAILABLE => return None,
        (CallEnd::Done { .. }, None) => return None,
        (CallEnd::Done { .. }, Some(denial)) => format!("it was done, and {denial} was due"),
        (CallEnd::Refused { message, .. }, None) => {
            if !DENIALS.iter().any(|denial| message.starts_with(denial)) {
                return None;
            }
            format!("it was refused ({}) to a session that holds what it needs", super::form::quoted(message))
        }
        (CallEnd::Refused { code, message, .. }, Some(denial)) => {
            let forbidden = authority.forbids && matches!(due, Due::Lacks(_));
            let due_code = if forbidden { "FORBIDDEN" } else { "INVALID_REQUEST" };
            if *message == denial && code == due_code {
                return None;
            }
            format!(
                "it was refused with {} {}, and {due_code} {denial} was due",
                super::form::quoted(code),
                super::form::quoted(message)
            )
        }
    };
    Some((expected, why))
}

/// An answer in a word or two: texts of a gateway that nobody knows stay out of the tables.
fn observed(end: &CallEnd) -> String {
    match end {
        CallEnd::Refused { message, .. } => {
            let known = [READ, WRITE, ADMIN, PAIRING].map(|scope| format!("missing scope: {scope}"));
            let node = format!("unauthorized role: {ROLE_NODE}");
            known
                .into_iter()
                .chain([node])
                .find(|text| text == message)
                .unwrap_or_else(|| end.word().to_owned())
        }
        _ => end.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Authority = Authority {
        admin_may_all: false,
        approver_holds_asked: false,
        health_needs_read: false,
        forbids: false,
    };
    const NEWEST: Authority = Authority { admin_may_all: true, forbids: true, ..EXACT };

    fn due_to(authority: Authority, role: &str, scopes: &[&str], name: &str) -> Option<Due> {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        due(authority, &Rights { role, scopes: &scopes }, name)
    }

    #[test]
    fn which_scope_a_method_needs() {
        let oldest = Authority { admin_may_all: true, health_needs_read: true, ..EXACT };
        for (authority, role, scopes, name, expected) in [
            (EXACT, "operator", &[][..], "health", Some(Due::Permitted)),
            (EXACT, "node", &[], "health", Some(Due::Permitted)),
            (EXACT, "operator", &[READ], "status", Some(Due::Permitted)),
            (EXACT, "operator", &[ADMIN], "status", Some(Due::Lacks(READ))),
            (EXACT, "operator", &[READ], "device.pair.list", Some(Due::Lacks(PAIRING))),
            (EXACT, "node", &[PAIRING], "device.pair.list", Some(Due::NotForNodes)),
            (EXACT, "operator", &[READ], "no.such", None),
            (oldest, "operator", &[], "health", Some(Due::Lacks(READ))),
            (oldest, "operator", &[WRITE], "health", Some(Due::Permitted)),
            (NEWEST, "operator", &[ADMIN], "device.pair.list", Some(Due::Permitted)),
            (NEWEST, "operator", &[WRITE], "device.pair.list", Some(Due::Lacks(PAIRING))),
        ] {
            assert_eq!(due_to(authority, role, scopes, name), expected, "{role} {scopes:?} {name}");
        }
    }

    #[test]
    fn an_answer_is_held_to_what_is_due() {
        let refused = |code: &str, message: &str| CallEnd::Refused {
            at: 0,
            code: code.to_owned(),
            message: message.to_owned(),
            detail_code: None,
        };
        let lacks = Due::Lacks(PAIRING);
        let missing = "missing scope: operator.pairing";
        let is_wrong = |due, authority, end: &CallEnd| wrong(due, authority, end, false).is_some();
        assert!(is_wrong(lacks, EXACT, &CallEnd::Done { at: 0 }));
        assert!(!is_wrong(lacks, EXACT, &refused("INVALID_REQUEST", missing)));
        assert!(is_wrong(lacks, NEWEST, &refused("INVALID_REQUEST", missing)));
        assert!(!is_wrong(lacks, NEWEST, &refused("FORBIDDEN", missing)));
        assert!(is_wrong(lacks, EXACT, &refused("INVALID_REQUEST", "missing scope: operator.read")));
        assert!(is_wrong(Due::Permitted, EXACT, &refused("INVALID_REQUEST", missing)));
        // What else is wrong with a call is its caller's business.
        let params = refused("INVALID_REQUEST", "invalid device.pair.approve params: …");
        assert!(!is_wrong(Due::Permitted, EXACT, &params));
        assert!(!is_wrong(lacks, EXACT, &refused("UNAVAILABLE", "gateway starting; retry shortly")));
        assert!(is_wrong(Due::Permitted, EXACT, &CallEnd::NoAnswer { at: 0 }));
        assert!(wrong(Due::Permitted, EXACT, &CallEnd::NoAnswer { at: 0 }, true).is_none());
    }
}
