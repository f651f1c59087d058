//! What a run's history lets anybody know who stood outside the gateway.
//!
//! Of the plan only that is taken which somebody could see: what clients sent, the gateway's configuration, and the entries that its
//! store held before the run. Whether a credential was meant to be wrong, a deviation or an expectation is not looked at.

use std::collections::HashMap;
use std::net::IpAddr;

use super::evidence::{
    Act, ActEnd, ActKind, Answer, Attempt, ClientEvidence, ConfigEvidence, CredentialKind, Entry, Forwarded,
    GatewayEvidence, RefusalSeen, TokenEntry,
};
use crate::history::{History, Operation, OperationEnd, OperationKind, StoreEdit};
use crate::observation::{CloseSeen, Fingerprint, Observation, Outcome, Refusal};
use crate::vocabulary::{
    AuthMode, ClientId, ConnectSpec, Credential, Deviation, FaultKind, ForwardedFor, Nanos, NetworkPath,
    Origin, Plan, PlannedClient, StoredMetadata, persona,
};

/// Attempts of a client that are kept at either end of a long row.
const KEPT_AT_AN_END: usize = 100;

/// What is known of the gateway of a run.
#[must_use]
pub fn gateway(plan: &Plan, history: &History) -> GatewayEvidence {
    let mut restarts: Vec<Nanos> = history
        .faults
        .iter()
        .filter(|fault| matches!(fault.kind, FaultKind::Restart { .. }))
        .filter_map(|fault| fault.restart.and_then(|stamps| stamps.port_open).or(fault.ended))
        .collect();
    restarts.sort_unstable();
    let auth_mode = match plan.gateway.auth {
        AuthMode::Token => "token",
        AuthMode::Password => "password",
        AuthMode::None => "none",
    };
    GatewayEvidence {
        release: Some(plan.gateway.profile),
        version: None,
        config: ConfigEvidence {
            trusted_proxies: Some(plan.gateway.trusted_proxies.clone()),
            allowed_origins: Some(plan.gateway.allowed_origins.clone()),
            auth_mode: Some(auth_mode.to_owned()),
            state_dir: None,
        },
        restarts,
        log: Vec::new(),
        ends: history.ended,
    }
}

/// What operators did, by client.
#[derive(Debug, Default)]
pub struct Acts<'a> {
    by_client: HashMap<ClientId, Vec<&'a Operation>>,
}

impl<'a> Acts<'a> {
    /// Sorts the operations of a history.
    #[must_use]
    pub fn new(history: &'a History) -> Self {
        let mut by_client: HashMap<ClientId, Vec<&Operation>> = HashMap::new();
        for operation in &history.operations {
            if let Some(client) = operation.client {
                by_client.entry(client).or_default().push(operation);
            }
        }
        for operations in by_client.values_mut() {
            operations.sort_by_key(|operation| operation.invoked);
        }
        Self { by_client }
    }

    fn of(&self, client: ClientId) -> &[&'a Operation] {
        self.by_client.get(&client).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What is known of one client; `attempts` are its own, in order.
#[must_use]
pub fn client<'a>(
    plan: &Plan,
    number: ClientId,
    attempts: impl Iterator<Item = &'a Observation>,
    acts: &Acts<'_>,
) -> Option<ClientEvidence> {
    let planned = plan.clients.get(usize::try_from(number).ok()?)?;
    let cohort = plan.cohorts.get(usize::from(planned.cohort))?;
    let operations = acts.of(number);
    let tokens = Tokens::new(operations);
    let mut seen: Vec<&Observation> =
        attempts.filter(|attempt| !matches!(attempt.outcome, Outcome::Dropped(_))).collect();
    let mut left_out = 0;
    if seen.len() > 2 * KEPT_AT_AN_END {
        let to = seen.len() - KEPT_AT_AN_END;
        left_out = (to - KEPT_AT_AN_END) as u64;
        seen.drain(KEPT_AT_AN_END..to);
    }
    let mut newest: Option<(Nanos, Fingerprint)> = None;
    let attempts = seen
        .into_iter()
        .filter_map(|seen| {
            let spec = cohort.ask(seen.ask)?;
            let at = seen.stamps.started.unwrap_or(seen.intended);
            let handed_out = tokens.newest_before(at).max(newest);
            let attempt = attempt(plan, planned, spec, seen, at, handed_out.map(|(_, token)| token));
            if let Outcome::Session(grant) = &seen.outcome
                && let Some(token) = grant.auth.as_ref().and_then(|auth| auth.token)
            {
                newest = Some((seen.ended_at(), token));
            }
            Some(attempt)
        })
        .collect();
    let entry = cohort.stored.as_ref().map(|stored| {
        let (platform, device_family) = match &stored.metadata {
            StoredMetadata::Same => {
                (Some(cohort.connect.platform.clone()), cohort.connect.device_family.clone())
            }
            StoredMetadata::Legacy => (None, None),
            StoredMetadata::Other { platform, device_family } => {
                (Some(platform.clone()), device_family.clone())
            }
        };
        let token = |role: &String| TokenEntry { role: role.clone(), scopes: None, revoked: false };
        Some(Entry {
            at: 0,
            roles: Some(stored.roles.clone()),
            scopes: Some(stored.scopes.clone()),
            platform: Some(platform),
            device_family: Some(device_family),
            tokens: stored.tokens.then(|| stored.roles.iter().map(token).collect()),
        })
    });
    Some(ClientEvidence {
        name: if planned.life > 0 {
            format!("{}/{}~{}", cohort.name, planned.index, planned.life)
        } else {
            format!("{}/{}", cohort.name, planned.index)
        },
        device_id: None,
        attempts,
        left_out,
        acts: operations.iter().map(|operation| act(operation)).collect(),
        entry,
        pending: None,
        log: Vec::new(),
    })
}

/// Tokens that rotations gave out, in order.
struct Tokens(Vec<(Nanos, Fingerprint)>);

impl Tokens {
    fn new(operations: &[&Operation]) -> Self {
        let rotated = operations.iter().filter_map(|operation| match (&operation.kind, &operation.end) {
            (OperationKind::Rotate { .. }, OperationEnd::Done { at, token: Some(token) }) => {
                Some((*at, *token))
            }
            _ => None,
        });
        Self(rotated.collect())
    }

    fn newest_before(&self, at: Nanos) -> Option<(Nanos, Fingerprint)> {
        self.0.iter().rev().find(|(given, _)| *given <= at).copied()
    }
}

fn attempt(
    plan: &Plan,
    planned: &PlannedClient,
    spec: &ConnectSpec,
    seen: &Observation,
    at: Nanos,
    newest: Option<Fingerprint>,
) -> Attempt {
    let (peer, forwarded) = route(spec, planned);
    let profile = persona::profile(spec.persona, plan.gateway.profile);
    let credential = match (seen.presented_token, spec.credential) {
        (Some(_), _) | (None, Credential::ForgedDeviceToken) => CredentialKind::DeviceToken,
        (None, Credential::Missing) => CredentialKind::Missing,
        (None, _) => CredentialKind::Shared,
    };
    let host = match &spec.path {
        NetworkPath::Proxy { host: Some(host), .. } => host.clone(),
        _ => "the gateway's own host".to_owned(),
    };
    Attempt {
        at,
        ended: seen.stamps.last(),
        peer: Some(peer),
        forwarded: Some(forwarded),
        origin: Some(spec.origin.as_ref().map(|origin| match origin {
            Origin::SameHost => format!("http://{host}"),
            Origin::Fixed(text) => text.clone(),
        })),
        client_id: Some(profile.client_id.as_str().to_owned()),
        client_mode: Some(profile.mode.as_str().to_owned()),
        role: spec.role.clone(),
        scopes: Some(spec.scopes.clone().unwrap_or_default()),
        platform: Some(spec.platform.clone()),
        device_family: Some(spec.device_family.clone()),
        // Whether a connect shows a device is plain to see; what is wrong with it is not.
        device: Some(!matches!(spec.deviation, Deviation::NoDevice)),
        sent: Some(seen.stamps.sent.is_some()),
        credential: Some(credential),
        newest_token: seen.presented_token.zip(newest).map(|(presented, newest)| presented == newest),
        answer: answer(&seen.outcome, seen.stamps.dialled.is_some(), seen.stamps.upgraded.is_some()),
    }
}

fn route(spec: &ConnectSpec, planned: &PlannedClient) -> (IpAddr, Forwarded) {
    let present = |text: &str| Forwarded::Present(text.to_owned());
    match &spec.path {
        NetworkPath::Direct => (planned.source.into(), Forwarded::Absent),
        NetworkPath::Proxy { from, forwarded_for, .. } => {
            let forwarded = match forwarded_for {
                ForwardedFor::Own => {
                    planned.forwarded.map_or_else(|| present(""), |address| present(&address.to_string()))
                }
                ForwardedFor::Fixed(text) => present(text),
                ForwardedFor::Absent => Forwarded::Absent,
            };
            ((*from).into(), forwarded)
        }
    }
}

/// An outcome as its client saw it.
#[must_use]
pub fn answer(outcome: &Outcome, dialled: bool, upgraded: bool) -> Answer {
    match outcome {
        Outcome::Session(grant) => {
            Answer::Session { scopes: grant.auth.as_ref().map(|auth| auth.scopes.clone()) }
        }
        Outcome::Refused(refusal) => Answer::Refused(Box::new(refused(refusal))),
        Outcome::UpgradeRefused { status, body } => Answer::Http { status: *status, body: body.clone() },
        Outcome::Closed(closed) => {
            let (code, reason) = close(&closed.close);
            Answer::Closed { code, reason: reason.to_owned(), upgraded }
        }
        Outcome::TimedOut { .. } => Answer::TimedOut { dialled },
        Outcome::ConnectionRefused => Answer::ConnectionRefused,
        Outcome::Unreachable { error } => Answer::Unreachable(error.clone()),
        Outcome::NotAGateway { what } => Answer::NotAGateway(what.clone()),
        Outcome::Dropped(_) => Answer::Unknown,
    }
}

fn refused(refusal: &Refusal) -> RefusalSeen {
    RefusalSeen {
        code: Some(refusal.code.clone()),
        message: refusal.message.clone(),
        detail_code: refusal.detail_code.clone(),
        reason: refusal.reason.clone(),
        auth_reason: refusal.auth_reason.clone(),
        request_id: refusal.request_id.clone(),
        next_step: refusal.next_step.clone(),
        close: refusal.close.as_ref().map(|seen| close(seen).0),
        ..RefusalSeen::default()
    }
}

fn close(seen: &CloseSeen) -> (u16, &str) {
    match seen {
        CloseSeen::Frame { code, reason } => (*code, reason),
        CloseSeen::Abrupt => (protocol::close::code::ABNORMAL, ""),
    }
}

fn act(operation: &Operation) -> Act {
    let kind = match &operation.kind {
        OperationKind::Approve { request_id } => ActKind::Approve { request_id: Some(request_id.clone()) },
        OperationKind::Reject { .. } => ActKind::Reject,
        OperationKind::Remove => ActKind::Remove,
        OperationKind::Rotate { role, scopes } => {
            ActKind::Rotate { role: Some(role.clone()), scopes: scopes.clone() }
        }
        OperationKind::Revoke { role } => ActKind::Revoke { role: Some(role.clone()) },
        OperationKind::Edit(StoreEdit::SetScopes(scopes)) => ActKind::Edit { scopes: Some(scopes.clone()) },
        OperationKind::Edit(StoreEdit::DropEntry) => ActKind::Edit { scopes: None },
    };
    let end = match &operation.end {
        OperationEnd::Done { .. } => ActEnd::Done,
        OperationEnd::Refused { message, .. } => ActEnd::Refused(message.clone()),
        OperationEnd::Unknown => ActEnd::Unknown,
    };
    Act { at: operation.invoked, ended: operation.end.at(), kind, end, state_dir: None }
}
