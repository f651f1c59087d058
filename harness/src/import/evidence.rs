//! What a log knows of its clients, as evidence for a diagnosis.

use protocol::ProfileName;

use super::rebuilt::{Client, Event, Rebuilt, What};
use super::why::Why;
use crate::diagnosis::evidence::{
    Act, ActEnd, ActKind, Answer, Attempt, CredentialKind, Entry, Forwarded, RefusalSeen,
};
use crate::diagnosis::{ClientEvidence, Diagnosis, Evidence, GatewayEvidence, diagnose};
use crate::vocabulary::Nanos;

/// Attempts of one client that a diagnosis is given; of more, the first and the last.
const ATTEMPTS_MAX: usize = 2_000;

/// The evidence of a log of a gateway that is held to `release`. Clients stand in the log's order.
fn evidence(rebuilt: &Rebuilt, release: ProfileName) -> Evidence {
    let (from, until) = rebuilt.span.unwrap_or_default();
    let since = |at: i64| nanos(at - from);
    let gateway = GatewayEvidence {
        release: Some(release),
        version: rebuilt.release.clone(),
        restarts: rebuilt.restarts.iter().map(|restart| since(restart.at + restart.down)).collect(),
        ends: since(until),
        ..GatewayEvidence::default()
    };
    let clients = rebuilt.clients.iter().map(|client| of_client(client, &since)).collect();
    Evidence { gateway, clients }
}

/// What keeps clients of a log out: each cause with how many clients it keeps out, and the client that was refused most, told whole.
/// The most frequent cause comes first.
#[must_use]
pub fn causes(rebuilt: &Rebuilt, release: ProfileName) -> Vec<(usize, String, Diagnosis)> {
    let evidence = evidence(rebuilt, release);
    let mut found: Vec<(usize, usize, String, Diagnosis)> = Vec::new();
    for (client, seen) in evidence.clients.iter().zip(&rebuilt.clients) {
        // A session has no line of its own: whoever is not refused after an approval is taken to have come in.
        if matches!(
            seen.events.last(),
            Some(Event { what: What::Approved { .. } | What::Session | What::Left(_), .. })
        ) {
            continue;
        }
        let Some(diagnosis) = diagnose(&evidence.gateway, client) else { continue };
        let weight = client.attempts.len();
        match found.iter_mut().find(|(.., known)| known.cause == diagnosis.cause) {
            Some((count, heaviest, name, known)) => {
                *count += 1;
                if weight > *heaviest {
                    (*heaviest, *name, *known) = (weight, client.name.clone(), diagnosis);
                }
            }
            None => found.push((1, weight, client.name.clone(), diagnosis)),
        }
    }
    found.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    found.into_iter().map(|(count, _, name, diagnosis)| (count, name, diagnosis)).collect()
}

fn nanos(ms: i64) -> Nanos {
    Nanos::try_from(ms.max(0)).unwrap_or_default().saturating_mul(1_000_000)
}

fn of_client(client: &Client, since: &dyn Fn(i64) -> Nanos) -> ClientEvidence {
    let facts = &client.facts;
    let mut attempts: Vec<Attempt> =
        client.events.iter().filter_map(|event| attempt(client, event, since)).collect();
    let left_out = attempts.len().saturating_sub(ATTEMPTS_MAX);
    if left_out > 0 {
        attempts.drain(ATTEMPTS_MAX / 2..ATTEMPTS_MAX / 2 + left_out);
    }
    // What an audit line shows of the store is the entry as it was then.
    let held =
        facts.stored_roles.is_some() || facts.stored_scopes.is_some() || facts.stored_platform.is_some();
    let entry = held.then(|| {
        Some(Entry {
            at: client.events.first().map_or(0, |event| since(event.at)),
            roles: facts.stored_roles.clone(),
            scopes: facts.stored_scopes.clone(),
            platform: facts.stored_platform.clone().map(Some),
            device_family: facts.stored_family.clone().map(Some),
            tokens: None,
        })
    });
    ClientEvidence {
        name: name(client),
        device_id: facts.device.clone(),
        attempts,
        left_out: left_out as u64,
        acts: client.events.iter().filter_map(|event| act(event, since)).collect(),
        entry,
        ..ClientEvidence::default()
    }
}

/// What people call it: its device, or where it comes from.
fn name(client: &Client) -> String {
    let facts = &client.facts;
    let device = facts.device.as_deref().and_then(|device| device.get(..12));
    device.or(facts.forwarded.as_deref()).or(facts.remote.as_deref()).unwrap_or("unnamed").to_owned()
}

fn attempt(client: &Client, event: &Event, since: &dyn Fn(i64) -> Nanos) -> Option<Attempt> {
    let facts = &client.facts;
    let answer = match event.what {
        What::Refused(Why::Left) => Answer::Closed { code: 1006, reason: String::new(), upgraded: true },
        What::Refused(Why::Timeout) => {
            Answer::Closed { code: 1008, reason: "handshake timeout".to_owned(), upgraded: true }
        }
        What::Refused(why) => Answer::Refused(Box::new(refusal(client, why))),
        What::Session | What::Approved { silent: true } => Answer::Session { scopes: None },
        What::Approved { silent: false } | What::Left(_) | What::Changed(_) => return None,
    };
    // A silent approval and the session that follows are one connect.
    let doubled = event.what == What::Session
        && client.events.iter().any(|other| {
            other.what == What::Approved { silent: true } && (0..=2_000).contains(&(event.at - other.at))
        });
    if doubled {
        return None;
    }
    Some(Attempt {
        at: since(event.at - i64::from(event.took)),
        ended: Some(since(event.at)),
        peer: facts.remote.as_deref().and_then(|remote| remote.parse().ok()),
        forwarded: facts
            .forwarded
            .clone()
            .map(Forwarded::Present)
            .or_else(|| facts.remote.as_ref().map(|_| Forwarded::Absent)),
        origin: facts.remote.as_ref().map(|_| facts.origin.clone()),
        client_id: facts.client.clone(),
        client_mode: facts.mode.clone(),
        role: facts.role.clone(),
        scopes: facts.scopes.clone(),
        platform: facts.platform.clone(),
        device_family: facts.family.clone().map(Some),
        device: facts.device.is_some().then_some(true),
        credential: match facts.auth.as_deref() {
            Some("none") => Some(CredentialKind::Missing),
            Some("token" | "password") => Some(CredentialKind::Shared),
            Some("device-token") => Some(CredentialKind::DeviceToken),
            Some("bootstrap-token") => Some(CredentialKind::Bootstrap),
            _ => None,
        },
        answer,
        ..Attempt::default()
    })
}

fn refusal(client: &Client, why: Why) -> RefusalSeen {
    let facts = &client.facts;
    let is_pairing = why.is_pairing();
    let reason = match why {
        // The old console says no more than that it closed with 1008.
        Why::Unsaid => None,
        why if is_pairing => Some(why.word().to_owned()),
        _ => None,
    };
    RefusalSeen {
        code: is_pairing.then(|| "NOT_PAIRED".to_owned()),
        message: why.word().to_owned(),
        detail_code: if is_pairing {
            Some("PAIRING_REQUIRED".to_owned())
        } else {
            Some(why.word().to_owned())
        },
        reason,
        request_id: facts.request.clone().filter(|_| is_pairing),
        close: facts.code,
        ..RefusalSeen::default()
    }
}

fn act(event: &Event, since: &dyn Fn(i64) -> Nanos) -> Option<Act> {
    let kind = match event.what {
        What::Approved { silent: false } => ActKind::Approve { request_id: None },
        What::Changed("rejected") => ActKind::Reject,
        What::Changed("removed") => ActKind::Remove,
        What::Changed("rotated") => ActKind::Rotate { role: None, scopes: None },
        What::Changed("revoked") => ActKind::Revoke { role: None },
        _ => return None,
    };
    Some(Act { at: since(event.at), kind, end: ActEnd::Done, ended: Some(since(event.at)), state_dir: None })
}
