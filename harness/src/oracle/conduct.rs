//! What a gateway did beside answering connects: whom it told of pairing, whom it let in while it stopped, and whose word it
//! took.
//!
//! General rules on what the history shows, whatever the state of a device is. They are lenient where the evidence is: a
//! session whose rights cannot be told from what it asked breaks none of them.

use std::collections::{HashMap, HashSet};

use protocol::scope::{ADMIN, PAIRING, ROLE_NODE, ROLE_OPERATOR, WRITE};

use super::explain::seconds;
use super::facts::effective_role;
use super::release::{Authority, Release};
use super::verdict::{Breach, MismatchKind};
use crate::history::{Caller, Fault, History, Operation, OperationEnd, OperationKind};
use crate::observation::{Observation, Outcome};
use crate::plan::{ClientId, ConnectSpec, Deviation, FaultKind, Nanos, Plan};

/// The breaches that the records of a shard's clients show; `stops`: from when a stopping gateway had told so until its
/// process was gone.
pub(super) fn of_clients(plan: &Plan, shard: &History, stops: &[(Nanos, Nanos)]) -> Vec<Breach> {
    let mut found = leaks(plan, shard);
    found.extend(late_upgrades(&shard.attempts, stops));
    found
}

/// A second gateway that was let in to a state directory that is held. It is nobody's doing; the first client stands for all.
pub(super) fn of_faults(faults: &[Fault]) -> Vec<Breach> {
    faults
        .iter()
        .filter(|fault| fault.kind == FaultKind::SecondGateway { served: true })
        .map(|fault| Breach {
            kind: MismatchKind::WrongAnswer,
            client: 0,
            attempt: 0,
            at: fault.began,
            expected: "refused".to_owned(),
            observed: "second gateway".to_owned(),
            why: format!(
                "a second gateway was started on the same state directory at {} and served, so that either loses what the other writes",
                seconds(fault.began)
            ),
        })
        .collect()
}

/// Sessions by who opened them, and what was refused under each request id.
#[derive(Default)]
pub(super) struct Sessions<'p> {
    opened: HashMap<(ClientId, u32), &'p ConnectSpec>,
    asked: HashMap<(ClientId, String), Vec<(Nanos, &'p ConnectSpec)>>,
}

/// What a session may do, as far as its connect tells.
pub(super) struct Rights<'a> {
    pub(super) role: &'a str,
    pub(super) scopes: &'a [String],
}

impl<'p> Sessions<'p> {
    /// Takes in what these attempts opened and asked.
    pub(super) fn add(&mut self, plan: &'p Plan, attempts: &[Observation]) {
        for attempt in attempts {
            match &attempt.outcome {
                Outcome::Session(_) => self.open(plan, attempt),
                Outcome::Refused(refusal) => {
                    let id = refusal.request_id.as_ref().zip(attempt.stamps.answered);
                    if let (Some((id, answered)), Some(spec)) = (id, spec(plan, attempt)) {
                        self.asked.entry((attempt.client, id.clone())).or_default().push((answered, spec));
                    }
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, plan: &'p Plan, attempt: &Observation) {
        if let Some(spec) = spec(plan, attempt) {
            self.opened.insert((attempt.client, attempt.attempt), spec);
        }
    }

    /// `None` if the session is not one of these, or its scopes depend on more than what it asked.
    pub(super) fn rights(&self, client: ClientId, attempt: u32) -> Option<Rights<'p>> {
        let spec = self.opened.get(&(client, attempt))?;
        let role = effective_role(spec);
        if spec.deviation == Deviation::NoDevice && role == ROLE_OPERATOR {
            return None;
        }
        Some(Rights { role, scopes: spec.scopes.as_deref().unwrap_or_default() })
    }

    /// What a client had asked under a request id by then.
    fn asked<'s>(
        &'s self,
        client: Option<ClientId>,
        id: &str,
        by: Nanos,
    ) -> impl Iterator<Item = &'p ConnectSpec> + use<'s, 'p> {
        let asks = client.and_then(|client| self.asked.get(&(client, id.to_owned())));
        asks.into_iter().flatten().filter(move |(answered, _)| *answered <= by).map(|(_, spec)| *spec)
    }
}

fn spec<'a>(plan: &'a Plan, attempt: &Observation) -> Option<&'a ConnectSpec> {
    let client = plan.clients.get(usize::try_from(attempt.client).ok()?)?;
    plan.cohorts.get(usize::from(client.cohort))?.ask(attempt.ask)
}

impl Rights<'_> {
    pub(super) fn holds(&self, scope: &str) -> bool {
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
fn leaks(plan: &Plan, shard: &History) -> Vec<Breach> {
    // Few sessions of any run hear of pairing at all.
    let heard: HashSet<(ClientId, u32)> =
        shard.overheard.iter().map(|heard| (heard.client, heard.attempt)).collect();
    if heard.is_empty() {
        return Vec::new();
    }
    let mut sessions = Sessions::default();
    for attempt in &shard.attempts {
        if matches!(attempt.outcome, Outcome::Session(_))
            && heard.contains(&(attempt.client, attempt.attempt))
        {
            sessions.open(plan, attempt);
        }
    }
    let leaked = |rights: &Rights<'_>| !rights.manages(true);
    shard
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
fn late_upgrades(attempts: &[Observation], stops: &[(Nanos, Nanos)]) -> Vec<Breach> {
    if stops.is_empty() {
        return Vec::new();
    }
    attempts
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

/// Operations that were carried out for somebody who may not ask for them, and refusals of somebody who may. `sessions`
/// are those of all shards.
pub(super) fn of_operations(plan: &Plan, operations: &[Operation], sessions: &Sessions<'_>) -> Vec<Breach> {
    let authority = Release::of(plan.gateway.profile).authority;
    operations
        .iter()
        .filter(|operation| !matches!(operation.kind, OperationKind::Edit(_)))
        .filter_map(|operation| {
            let (client, attempt, observed, why) = match (&operation.caller, &operation.end) {
                (Some(Caller { client, attempt }), OperationEnd::Done { at, .. }) => {
                    let rights = sessions.rights(*client, *attempt)?;
                    let lack = lack(sessions, authority, operation, &rights)?;
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
    sessions: &Sessions<'_>,
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
    for spec in sessions.asked(operation.client, request_id, operation.invoked) {
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
