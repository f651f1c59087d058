//! The second axis: what a gateway should do, whatever its release does.
//!
//! Rules on the history alone. They do not ask the decision table or the device's model, so that a release that does
//! what it does and thereby breaks one is conformant *and* violates. Where the evidence is open (an operation without
//! answer, a stored entry that says nothing) nothing is found.

use std::collections::{HashMap, HashSet};

use protocol::scope::{ADMIN, READ, ROLE_NODE, ROLE_OPERATOR, WRITE};

use super::classify;
use super::explain::seconds;
use super::facts::effective_role;
use super::form::quoted;
use super::locality::{self, Place, TrustedProxies, Wire};
use super::release::{Hop, Locality, Release};
use super::timeline::{Device, Timelines};
use super::verdict::InvariantFinding;
use super::windows::Windows;
use crate::history::{Caller, History, Operation, OperationEnd, OperationKind, StoreEdit};
use crate::observation::{Fingerprint, Observation, Outcome};
use crate::plan::{AuthMode, Cohort, ConnectSpec, Deviation, Nanos, Plan, PlannedClient};
use crate::vocabulary::invariant::Invariant;

const SECOND: Nanos = 1_000_000_000;
/// How long a gateway may take to end a session.
const ENDING: Nanos = 2 * SECOND;
/// Only headers of a proxy that is trusted tell where a client is, and what the proxy itself saw is the last entry.
const HONEST: Locality =
    Locality { hop: Hop::RightmostUntrusted, real_ip: false, ranges: true, attributes: true };

/// Everything that a history breaks, by client and time.
pub(super) fn broken(
    plan: &Plan,
    history: &History,
    timelines: &Timelines<'_>,
    windows: &Windows,
) -> Vec<InvariantFinding> {
    let proxies = TrustedProxies::new(&plan.gateway.trusted_proxies, HONEST);
    let mut found = Vec::new();
    for device in timelines.devices() {
        let Some((client, cohort)) = client_of(plan, device.client) else { continue };
        let done = device.operations().filter_map(|operation| {
            let (from, until) = span(operation)?;
            Some((operation, from, until))
        });
        let mut life = Life {
            plan,
            cohort,
            client,
            device: &device,
            proxies: &proxies,
            windows,
            done: done.collect(),
            held: None,
            strangers: Vec::new(),
            found: &mut found,
        };
        life.sessions();
        life.requests();
        life.refusals();
        life.own_approvals();
    }
    outlived(plan, history, &mut found);
    found.retain(|finding: &InvariantFinding| finding.invariant.asked_of().contains(&plan.gateway.profile));
    found.sort_by_key(|finding| (finding.client, finding.attempt, finding.invariant));
    found
}

fn client_of(plan: &Plan, client: u32) -> Option<(&PlannedClient, &Cohort)> {
    let client = plan.clients.get(usize::try_from(client).ok()?)?;
    Some((client, plan.cohorts.get(usize::from(client.cohort))?))
}

/// One device's part of the history, and what is found in it.
struct Life<'a, 'd, 'h> {
    plan: &'a Plan,
    cohort: &'a Cohort,
    client: &'a PlannedClient,
    device: &'d Device<'d, 'h>,
    proxies: &'a TrustedProxies,
    windows: &'a Windows,
    /// Operations that were not refused, sorted by the earliest time, with that and the latest.
    done: Vec<(&'h Operation, Nanos, Nanos)>,
    /// Scopes that were stored, or may have been approved or set, after so many of `done`.
    held: Option<(usize, Vec<&'a str>)>,
    /// What a session breaks that nobody approved, by the connect that it made.
    strangers: Vec<(u16, (Invariant, &'static str))>,
    found: &'a mut Vec<InvariantFinding>,
}

/// When something may have happened at the earliest, and surely had at the latest.
fn span(operation: &Operation) -> Option<(Nanos, Nanos)> {
    match operation.end {
        OperationEnd::Done { at, .. } => Some((operation.invoked, at)),
        OperationEnd::Unknown => Some((operation.invoked, Nanos::MAX)),
        OperationEnd::Refused { .. } => None,
    }
}

fn sent(observation: &Observation) -> Nanos {
    observation.stamps.sent.or(observation.stamps.started).unwrap_or(observation.intended)
}

fn answered(observation: &Observation) -> Nanos {
    observation.stamps.answered.or_else(|| observation.stamps.last()).unwrap_or(observation.intended)
}

impl<'a, 'h: 'a> Life<'a, '_, 'h> {
    fn spec(&self, observation: &Observation) -> Option<&'a ConnectSpec> {
        self.cohort.ask(observation.ask)
    }

    fn is_asked(&self, invariant: Invariant) -> bool {
        invariant.asked_of().contains(&self.plan.gateway.profile)
    }

    /// `why` is put into words only if the profile is asked.
    fn tell(&mut self, invariant: Invariant, attempt: u32, why: impl FnOnce() -> String) {
        if self.is_asked(invariant) {
            let client = self.device.client;
            self.found.push(InvariantFinding { invariant, client, attempt, why: why() });
        }
    }

    /// What may have been done to the device, sorted by the earliest time.
    fn operations(&self) -> impl Iterator<Item = (&'h Operation, Nanos, Nanos)> + use<'_, 'a, 'h> {
        self.done.iter().copied()
    }

    /// Whether somebody may have approved the device by then.
    fn may_be_approved(&self, by: Nanos) -> bool {
        self.operations().any(|(operation, from, _)| {
            from <= by && matches!(operation.kind, OperationKind::Approve { .. } | OperationKind::Edit(_))
        })
    }

    /// Whether something that takes rights back may have happened between the two.
    fn may_be_taken(&self, from: Nanos, until: Nanos) -> bool {
        self.operations().any(|(operation, begun, over)| {
            let takes = !matches!(operation.kind, OperationKind::Approve { .. });
            takes && begun <= until && from <= over
        })
    }

    fn sessions(&mut self) {
        // Rights of sessions before: by connect, with the time of the latest.
        let mut held: Vec<(u16, Nanos)> = Vec::new();
        // Role and time of the first session that showed a token.
        let mut tokens: HashMap<Fingerprint, (&'h str, Nanos)> = HashMap::new();
        for (_, observation) in self.device.attempts() {
            let Some(spec) = self.spec(observation) else { continue };
            match &observation.outcome {
                Outcome::Session(grant) => {
                    if spec.deviation != Deviation::NoDevice {
                        self.approved(observation, spec);
                        self.revoked(observation, spec, &tokens);
                    }
                    match held.iter_mut().find(|(ask, _)| *ask == observation.ask) {
                        Some((_, at)) => *at = answered(observation),
                        None => held.push((observation.ask, answered(observation))),
                    }
                    // Only a revocation asks for them.
                    if self.done.is_empty() {
                        continue;
                    }
                    if let Some(auth) = &grant.auth
                        && let Some(token) = auth.token
                    {
                        tokens.entry(token).or_insert_with(|| (auth.role.as_str(), answered(observation)));
                    }
                }
                Outcome::Refused(refusal) if classify::is_pairing(classify::refusal_class(refusal)) => {
                    self.kept(observation, &held);
                }
                _ => {}
            }
        }
    }

    /// Nobody is let in, and nobody may do more, than somebody approved.
    fn approved(&mut self, observation: &Observation, spec: &ConnectSpec) {
        let at = answered(observation);
        if self.cohort.stored.is_some() || self.may_be_approved(at) {
            self.within(observation, spec);
            return;
        }
        let (invariant, whom) = self.stranger(observation.ask, spec);
        let why =
            || format!("{whom} got a session at {} although nobody had approved its device", seconds(at));
        self.tell(invariant, observation.attempt, why);
    }

    /// What a session of a device that nobody approved breaks, and whose it is; the same for each of its asks.
    fn stranger(&mut self, ask: u16, spec: &ConnectSpec) -> (Invariant, &'static str) {
        if let Some((_, known)) = self.strangers.iter().find(|(of, _)| *of == ask) {
            return *known;
        }
        let gateway = &self.plan.gateway;
        let wire = Wire::of(&spec.path, self.client);
        let honest = locality::seat(&wire, self.proxies, HONEST, gateway.allow_real_ip_fallback).place;
        let seen = locality::place(&spec.path, self.client, gateway);
        let stranger = match (honest, seen) {
            (Place::Local, _) => (Invariant::NoSilentApproval, "a local client"),
            (_, Place::Local) => {
                (Invariant::UnattributedIsRemote, "a client that only says that it is local")
            }
            _ => (Invariant::ApprovedBeforeSession, "a client from elsewhere"),
        };
        self.strangers.push((ask, stranger));
        stranger
    }

    /// A session of an approved device that asks for more than all that was ever approved or stored.
    fn within(&mut self, observation: &Observation, spec: &ConnectSpec) {
        if effective_role(spec) != ROLE_OPERATOR {
            return;
        }
        let at = answered(observation);
        let held = self.held_by(at);
        let beyond = spec.scopes.iter().flatten().find(|scope| !is_held(held, scope));
        if let Some(beyond) = beyond {
            let why = || {
                format!(
                    "a session was granted at {} for {}, which nobody had approved for this device",
                    seconds(at),
                    quoted(beyond)
                )
            };
            self.tell(Invariant::SessionWithinApproval, observation.attempt, why);
        }
    }

    /// Scopes that were stored, or may have been approved or set by then.
    fn held_by(&mut self, at: Nanos) -> &[&'a str] {
        let count = self.done.partition_point(|(_, from, _)| *from <= at);
        if self.held.as_ref().is_none_or(|(of, _)| *of != count) {
            self.held = Some((count, self.held_after(count)));
        }
        self.held.as_ref().map_or(&[], |(_, held)| held)
    }

    /// The same, after so many operations.
    fn held_after(&self, count: usize) -> Vec<&'a str> {
        let stored = self.cohort.stored.iter().flat_map(|stored| &stored.scopes);
        let mut held: Vec<&'a str> = stored.map(String::as_str).collect();
        let mut latest_approval = None;
        for (operation, from, _) in self.done.iter().take(count) {
            match &operation.kind {
                OperationKind::Approve { .. } => latest_approval = Some(*from),
                OperationKind::Rotate { scopes: Some(scopes), .. }
                | OperationKind::Edit(StoreEdit::SetScopes(scopes)) => {
                    held.extend(scopes.iter().map(String::as_str));
                }
                _ => {}
            }
        }
        // Whatever was asked before an approval may be what it approved.
        let Some(approval) = latest_approval else { return held };
        for (_, earlier) in self.device.attempts().filter(|(_, earlier)| sent(earlier) <= approval) {
            let scopes = self.spec(earlier).and_then(|spec| spec.scopes.as_ref());
            for scope in scopes.into_iter().flatten() {
                if !held.contains(&scope.as_str()) {
                    held.push(scope);
                }
            }
        }
        held
    }

    fn revoked(
        &mut self,
        observation: &Observation,
        spec: &ConnectSpec,
        tokens: &HashMap<Fingerprint, (&str, Nanos)>,
    ) {
        let role = effective_role(spec);
        let begun = sent(observation);
        let last = self
            .operations()
            .filter(|(operation, _, over)| {
                *over < begun && matches!(&operation.kind, OperationKind::Revoke { role: of } if of == role)
            })
            .map(|(_, from, _)| from)
            .max();
        let Some(revoked) = last else { return };
        let presented = (observation.presented_token.and_then(|token| tokens.get(&token)))
            .filter(|(of, _)| *of == role)
            .map(|(_, since)| *since);
        if presented.is_some_and(|since| since < revoked) && self.plan.gateway.auth != AuthMode::None {
            let why = || format!("a token that was revoked at {} let its device in", seconds(revoked));
            self.tell(Invariant::RevokedTokenIsDead, observation.attempt, why);
        }
        let again = self.operations().any(|(operation, _, over)| {
            over >= revoked
                && matches!(
                    operation.kind,
                    OperationKind::Approve { .. } | OperationKind::Rotate { .. } | OperationKind::Edit(_)
                )
        });
        if !again {
            let why = || {
                format!(
                    "the {role} token was revoked at {}; the device got a session at {} without a new approval",
                    seconds(revoked),
                    seconds(answered(observation))
                )
            };
            self.tell(Invariant::RevocationHolds, observation.attempt, why);
        }
    }

    /// A refusal of what an earlier session was granted, with nothing taken back in between.
    fn kept(&mut self, observation: &Observation, held: &[(u16, Nanos)]) {
        let now = answered(observation);
        let since = held.iter().find(|(ask, _)| *ask == observation.ask).map(|(_, at)| *at);
        let of_session = since.filter(|since| !self.may_be_taken(*since, now));
        let class = classify::class(&observation.outcome);
        // Under this reason nothing at all is known of the device.
        let of_approval = (class == "not-paired")
            .then(|| {
                self.operations()
                    .filter(|(operation, _, over)| {
                        matches!(operation.kind, OperationKind::Approve { .. }) && *over < sent(observation)
                    })
                    .map(|(_, from, over)| (from, over))
                    .max()
            })
            .flatten()
            .filter(|(from, _)| !self.may_be_taken(*from, now))
            .map(|(_, over)| over);
        let why = match (of_approval, of_session) {
            (Some(at), _) => format!("an approval was acknowledged at {} and is gone", seconds(at)),
            (None, Some(at)) => {
                format!(
                    "the same connect got a session at {} and is refused now, with nothing taken back",
                    seconds(at)
                )
            }
            (None, None) => return,
        };
        self.tell(Invariant::ApprovalIsKept, observation.attempt, || why);
    }

    /// Request ids: the same ask has the same id, and one id does not come to mean more.
    fn requests(&mut self) {
        let ttl = (300.0 * self.plan.time_scale * SECOND as f64) as Nanos;
        let mut last: Option<(&'h Observation, &'h str)> = None;
        let mut asked: HashMap<&'h str, (Vec<&'a str>, Vec<&'a str>)> = HashMap::new();
        for (_, observation) in self.device.attempts() {
            let Outcome::Refused(refusal) = &observation.outcome else { continue };
            let (true, Some(id)) =
                (classify::is_pairing(classify::refusal_class(refusal)), refusal.request_id.as_deref())
            else {
                continue;
            };
            let Some(spec) = self.spec(observation) else { continue };
            if last.is_some_and(|(before, other)| other == id && before.ask == observation.ask) {
                // The same again.
                last = Some((observation, id));
                continue;
            }
            if let Some((before, other)) = last
                && other != id
                && before.ask == observation.ask
                && answered(before) < sent(observation)
                && answered(observation).saturating_sub(sent(before)) < ttl - ttl / 10
                && !self.touched(sent(before), answered(observation))
            {
                let why = || {
                    format!(
                        "the same was asked at {} and at {}, and nobody answered, but the request id is another",
                        seconds(sent(before)),
                        seconds(sent(observation))
                    )
                };
                self.tell(Invariant::RequestIdIsStable, observation.attempt, why);
            }
            last = Some((observation, id));
            let role = effective_role(spec);
            let scopes = || spec.scopes.iter().flatten().map(String::as_str);
            match asked.get_mut(id) {
                None => {
                    asked.insert(id, (vec![role], scopes().collect()));
                }
                Some((roles, known)) => {
                    let wider = || scopes().find(|scope| !is_held(known, scope)).map(str::to_owned);
                    let beyond = if roles.contains(&role) { wider() } else { Some(format!("role {role}")) };
                    if let Some(beyond) = beyond {
                        let why = || {
                            format!(
                                "request {} was first made without {}; it is asked under the same id at {}",
                                super::explain::short(id),
                                quoted(&beyond),
                                seconds(sent(observation))
                            )
                        };
                        self.tell(Invariant::RequestDoesNotGrow, observation.attempt, why);
                        roles.push(role);
                        known.extend(scopes());
                    }
                }
            }
        }
    }

    /// Whether an operator or a restart may have had a hand in a request between the two.
    fn touched(&self, from: Nanos, until: Nanos) -> bool {
        self.operations().any(|(_, begun, over)| begun <= until && from <= over)
            || (Release::of(self.plan.gateway.profile).store_read_at_load
                && self.windows.restarting(from, until))
    }

    fn refusals(&mut self) {
        for (_, observation) in self.device.attempts() {
            let Outcome::Refused(refusal) = &observation.outcome else { continue };
            if !classify::is_pairing(classify::refusal_class(refusal)) {
                continue;
            }
            let lacks = match (&refusal.reason, &refusal.request_id) {
                (None, _) => "a reason",
                (_, None) => "a request id",
                _ => continue,
            };
            let why =
                || format!("pairing was required at {} without {lacks}", seconds(answered(observation)));
            self.tell(Invariant::PairingSaysWhy, observation.attempt, why);
        }
    }

    /// A device that approved, through a session of its own, what that session did not hold.
    fn own_approvals(&mut self) {
        let device = self.device;
        for operation in device.operations() {
            let from = operation.invoked;
            let (OperationKind::Approve { request_id }, Some(Caller { client, attempt })) =
                (&operation.kind, operation.caller)
            else {
                continue;
            };
            if client != self.device.client || !matches!(operation.end, OperationEnd::Done { .. }) {
                continue;
            }
            let own = device
                .attempts()
                .find(|(_, opened)| opened.attempt == attempt)
                .and_then(|(_, opened)| self.spec(opened))
                .map(|spec| spec.scopes.clone().unwrap_or_default())
                .unwrap_or_default();
            let held: Vec<&str> = own.iter().map(String::as_str).collect();
            let beyond = self
                .device
                .attempts()
                .filter(|(_, ask)| {
                    matches!(&ask.outcome, Outcome::Refused(refusal) if refusal.request_id.as_ref() == Some(request_id))
                })
                .filter_map(|(_, ask)| {
                    let spec = self.spec(ask)?;
                    if effective_role(spec) == ROLE_NODE && !is_held(&held, ADMIN) {
                        return Some("role node".to_owned());
                    }
                    spec.scopes.iter().flatten().find(|scope| !is_held(&held, scope)).cloned()
                })
                .next();
            if let Some(beyond) = beyond {
                let why = || {
                    format!(
                        "the device approved its own request for {} at {}, which its session did not hold",
                        quoted(&beyond),
                        seconds(from)
                    )
                };
                self.tell(Invariant::NoOwnApproval, attempt, why);
            }
        }
    }
}

/// Whether a scope is held, in the widest reading of any release.
fn is_held(held: &[&str], scope: &str) -> bool {
    let has = |name: &str| held.contains(&name);
    let of_write = || [READ, "operator.talk", "operator.sessions"].iter().any(|it| scope.starts_with(it));
    has(scope) || (has(ADMIN) && scope.starts_with("operator.")) || (has(WRITE) && of_write())
}

/// Sessions that outlived their device's removal or the revocation of its token.
fn outlived(plan: &Plan, history: &History, found: &mut Vec<InvariantFinding>) {
    // Of most clients nobody takes anything back.
    let concerned: HashSet<u32> = history
        .operations
        .iter()
        .filter(|operation| matches!(operation.kind, OperationKind::Remove | OperationKind::Revoke { .. }))
        .filter_map(|operation| operation.client)
        .collect();
    if concerned.is_empty() {
        return;
    }
    let mut ends: HashMap<u32, Vec<(Nanos, Nanos, u32)>> = HashMap::new();
    let opened: HashMap<(u32, u32), &Observation> = history
        .attempts
        .iter()
        .filter(|attempt| concerned.contains(&attempt.client))
        .map(|attempt| ((attempt.client, attempt.attempt), attempt))
        .collect();
    for end in &history.session_ends {
        if let Some(attempt) = opened.get(&(end.client, end.attempt)) {
            ends.entry(end.client).or_default().push((answered(attempt), end.at, end.attempt));
        }
    }
    for operation in &history.operations {
        let (Some(client), OperationEnd::Done { at, .. }) = (operation.client, &operation.end) else {
            continue;
        };
        let role = match &operation.kind {
            OperationKind::Remove => None,
            OperationKind::Revoke { role } => Some(role.as_str()),
            _ => continue,
        };
        for (from, until, attempt) in ends.get(&client).into_iter().flatten() {
            let concerned = opened
                .get(&(client, *attempt))
                .and_then(|opened| client_of(plan, client)?.1.ask(opened.ask))
                .is_some_and(|spec| {
                    spec.deviation != Deviation::NoDevice
                        && role.is_none_or(|role| role == effective_role(spec))
                });
            if concerned && *from < operation.invoked && *until > at.saturating_add(ENDING) {
                found.push(InvariantFinding {
                    invariant: Invariant::SessionEndsWithToken,
                    client,
                    attempt: *attempt,
                    why: format!(
                        "the session went on until {} although its device lost its rights at {}",
                        seconds(*until),
                        seconds(*at)
                    ),
                });
            }
        }
    }
}
