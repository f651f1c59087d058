//! What a gateway did beside answering connects: whom it told of pairing, whom it let in while it stopped, and whose word it
//! took.
//!
//! General rules on what the history shows, whatever the state of a device is. They are lenient where the evidence is: a
//! session whose rights cannot be told from what it asked breaks none of them.

use std::collections::HashMap;

use protocol::scope::{ADMIN, PAIRING, ROLE_NODE, ROLE_OPERATOR, WRITE};

use super::explain::seconds;
use super::facts::effective_role;
use super::release::{Authority, Release};
use super::verdict::{Breach, MismatchKind};
use crate::history::{Caller, EndedBy, Fault, History, Operation, OperationEnd, OperationKind};
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{ClientId, ConnectSpec, Deviation, FaultKind, Nanos, Plan, StopSignal};

/// Every breach of a history.
pub(super) fn breaches(plan: &Plan, history: &History) -> Vec<Breach> {
    let sessions = Sessions::new(plan, history);
    let mut found = leaks(history, &sessions);
    found.extend(late_upgrades(history));
    found.extend(wrong_answers(plan, history, &sessions));
    found
}

/// The sessions of a history, by who opened them.
struct Sessions<'a> {
    opened: HashMap<(ClientId, u32), &'a ConnectSpec>,
}

/// What a session may do, as far as its connect tells.
struct Rights<'a> {
    role: &'a str,
    scopes: &'a [String],
}

impl<'a> Sessions<'a> {
    fn new(plan: &'a Plan, history: &History) -> Self {
        let opened = history
            .attempts
            .iter()
            .filter(|attempt| matches!(attempt.outcome, Outcome::Session(_)))
            .filter_map(|attempt| Some(((attempt.client, attempt.attempt), spec(plan, attempt)?)))
            .collect();
        Self { opened }
    }

    /// `None` if the session is not one of the history's, or its scopes depend on more than what it asked.
    fn rights(&self, client: ClientId, attempt: u32) -> Option<Rights<'a>> {
        let spec = self.opened.get(&(client, attempt))?;
        let role = effective_role(spec);
        if spec.deviation == Deviation::NoDevice && role == ROLE_OPERATOR {
            return None;
        }
        Some(Rights { role, scopes: spec.scopes.as_deref().unwrap_or_default() })
    }
}

fn spec<'a>(plan: &'a Plan, attempt: &Observation) -> Option<&'a ConnectSpec> {
    let client = plan.clients.get(usize::try_from(attempt.client).ok()?)?;
    plan.cohorts.get(usize::from(client.cohort))?.ask(attempt.ask)
}

impl Rights<'_> {
    fn holds(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// Whether it may see to pairing.
    fn manages(&self, admin_may_all: bool) -> bool {
        self.role == ROLE_OPERATOR && (self.holds(PAIRING) || (admin_may_all && self.holds(ADMIN)))
    }

    /// Whether it holds, in the widest reading of any release, what `asked` asks for.
    fn covers(&self, asked: &str) -> bool {
        let of_write =
            || ["operator.read", "operator.talk", "operator.sessions"].iter().any(|it| asked.starts_with(it));
        self.holds(asked)
            || (self.holds(ADMIN) && asked.starts_with("operator."))
            || (self.holds(WRITE) && of_write())
    }
}

/// Pairing events on sessions that may not see to pairing.
fn leaks(history: &History, sessions: &Sessions<'_>) -> Vec<Breach> {
    let leaked = |rights: &Rights<'_>| !rights.manages(true);
    history
        .overheard
        .iter()
        .filter_map(|heard| {
            let rights = sessions.rights(heard.client, heard.attempt).filter(leaked)?;
            Some(Breach {
                kind: MismatchKind::LeakedEvent,
                client: heard.client,
                attempt: heard.attempt,
                at: heard.at,
                expected: "no pairing event".to_owned(),
                observed: heard.event.as_str().to_owned(),
                why: format!(
                    "a session of role {} without {PAIRING} heard {} at {}",
                    rights.role,
                    heard.event.as_str(),
                    seconds(heard.at)
                ),
            })
        })
        .collect()
}

/// Connections that were let through to WebSocket by a gateway that had begun to stop: they began after it had told a
/// session that it goes, and the process was still the same when they were upgraded.
fn late_upgrades(history: &History) -> Vec<Breach> {
    let stops: Vec<(Nanos, Nanos)> =
        history.faults.iter().filter_map(|fault| stopping(fault, history)).collect();
    if stops.is_empty() {
        return Vec::new();
    }
    history
        .attempts
        .iter()
        .filter_map(|attempt| {
            let (started, upgraded) = attempt.stamps.started.zip(attempt.stamps.upgraded)?;
            let (told, _) = stops.iter().find(|(told, exited)| *told < started && upgraded < *exited)?;
            Some(Breach {
                kind: MismatchKind::LateUpgrade,
                client: attempt.client,
                attempt: attempt.attempt,
                at: upgraded,
                expected: "upgrade_refused".to_owned(),
                observed: "upgraded".to_owned(),
                why: format!(
                    "the gateway told a session at {} that it stops, and let an upgrade through that began at {}",
                    seconds(*told),
                    seconds(started)
                ),
            })
        })
        .collect()
}

/// When a stopping gateway was first seen to close a session with 1012, and when its process was gone.
fn stopping(fault: &Fault, history: &History) -> Option<(Nanos, Nanos)> {
    if !matches!(fault.kind, FaultKind::Restart { signal: StopSignal::Sigterm, .. }) {
        return None;
    }
    let exited = fault.restart?.exited?;
    let told = history
        .session_ends
        .iter()
        .filter(|end| {
            matches!(
                end.by,
                EndedBy::Gateway(CloseSeen::Frame { code: protocol::close::code::SERVICE_RESTART, .. })
            )
        })
        .map(|end| end.at)
        .filter(|at| (fault.began..exited).contains(at))
        .min()?;
    Some((told, exited))
}

/// Operations that were carried out for somebody who may not ask for them, and refusals of somebody who may.
fn wrong_answers(plan: &Plan, history: &History, sessions: &Sessions<'_>) -> Vec<Breach> {
    let authority = Release::of(plan.gateway.profile).authority;
    history
        .operations
        .iter()
        .filter(|operation| !matches!(operation.kind, OperationKind::Edit(_)))
        .filter_map(|operation| {
            let (client, attempt, observed, why) = match (&operation.caller, &operation.end) {
                (Some(Caller { client, attempt }), OperationEnd::Done { at, .. }) => {
                    let rights = sessions.rights(*client, *attempt)?;
                    let lack = lack(plan, history, authority, operation, &rights)?;
                    let name = name(&operation.kind);
                    let why = format!("{name} was acknowledged at {} to {lack}", seconds(*at));
                    (*client, *attempt, "done", why)
                }
                // An operator of the run's own holds every scope.
                (None, OperationEnd::Refused { at, message, .. }) if denies(message) => {
                    let name = name(&operation.kind);
                    let why = format!(
                        "{name} was refused at {} to an operator with every scope: {}",
                        seconds(*at),
                        super::form::quoted(message)
                    );
                    (operation.client.unwrap_or(ClientId::MAX), 0, "refused", why)
                }
                _ => return None,
            };
            Some(Breach {
                kind: MismatchKind::WrongAnswer,
                client,
                attempt,
                at: operation.invoked,
                expected: if observed == "done" { "refused" } else { "done" }.to_owned(),
                observed: observed.to_owned(),
                why,
            })
        })
        .collect()
}

fn denies(message: &str) -> bool {
    ["missing scope", "unauthorized role", "device pairing approval denied"]
        .iter()
        .any(|text| message.starts_with(text))
}

/// What a caller lacks for an operation, in words; `None` if nothing.
fn lack(
    plan: &Plan,
    history: &History,
    authority: Authority,
    operation: &Operation,
    rights: &Rights<'_>,
) -> Option<String> {
    if !rights.manages(authority.admin_may_all) {
        return Some(format!("a session of role {} without {PAIRING}", rights.role));
    }
    let OperationKind::Approve { request_id } = &operation.kind else { return None };
    if !authority.approver_holds_asked {
        return None;
    }
    let asks = history.attempts.iter().filter(|attempt| {
        Some(attempt.client) == operation.client
            && attempt.stamps.answered.is_some_and(|answered| answered <= operation.invoked)
            && matches!(&attempt.outcome, Outcome::Refused(refusal) if refusal.request_id.as_ref() == Some(request_id))
    });
    for spec in asks.filter_map(|ask| spec(plan, ask)) {
        if effective_role(spec) == ROLE_NODE && !rights.holds(ADMIN) {
            return Some(format!("a session without {ADMIN}, for a node"));
        }
        if let Some(beyond) = spec.scopes.iter().flatten().find(|scope| !rights.covers(scope)) {
            return Some(format!("a session that does not hold {} itself", super::form::quoted(beyond)));
        }
    }
    None
}

const fn name(kind: &OperationKind) -> &'static str {
    match kind {
        OperationKind::Approve { .. } => "an approval",
        OperationKind::Reject { .. } => "a rejection",
        OperationKind::Remove => "a removal",
        OperationKind::Rotate { .. } => "a rotation",
        OperationKind::Revoke { .. } => "a revocation",
        OperationKind::Edit(_) => "an edit",
    }
}
