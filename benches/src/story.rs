//! A run that never took place: remote phones ask, are approved, and come back with a session.

use harness::history::{History, Operation, OperationEnd, OperationKind};
use harness::observation::{CloseSeen, Fingerprint, Grant, GrantAuth, Observation, Outcome, Refusal, Stamps};
use harness::plan::{ClientId, Nanos, Overrides, Plan, unfold};
use harness::scenario;

const MS: Nanos = 1_000_000;
const SCOPES: [&str; 2] = ["operator.read", "operator.write"];

const SCENARIO: &str = r#"
name  = "story"
about = "Phones behind a proxy, approved one by one."
[gateway]
profile = "article"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from          = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.phones]
persona = "ios"
count   = 10
path    = "proxy"
scopes  = ["operator.read", "operator.write"]
role    = "operator"
[cohort.phones.arrivals.herd]
at = "0s"
[operator.owner]
notices = "event"
think   = "10ms"
"#;

/// The plan of a story with so many clients.
pub fn plan(clients: u32) -> Plan {
    let overrides = Overrides { clients: Some(u64::from(clients)), ..Overrides::default() };
    match scenario::parse("story.toml", SCENARIO, &[]).and_then(|scenario| unfold(&scenario, &overrides)) {
        Ok(plan) => plan,
        Err(errors) => unreachable!("{errors:?}"),
    }
}

/// Each client is refused, approved 20 ms later, and has a session 20 ms after that; neighbours overlap.
pub fn history(clients: u32) -> History {
    let mut history = History::default();
    for client in 0..clients {
        let start = Nanos::from(client) * MS;
        let request_id = format!("00000000-0000-4000-8000-{client:012x}");
        history.attempts.push(observed(client, 0, start, not_paired(&request_id)));
        history.operations.push(Operation {
            operator: 0,
            client: Some(client),
            kind: OperationKind::Approve { request_id },
            caller: None,
            invoked: start + 20 * MS,
            end: OperationEnd::Done { at: start + 25 * MS, token: None },
        });
        history.attempts.push(observed(
            client,
            1,
            start + 40 * MS,
            session(3, &SCOPES, Fingerprint(u64::from(client))),
        ));
        history.ended = start + 100 * MS;
    }
    history
}

/// One attempt that began at `start`, its stages a millisecond apart.
#[must_use]
pub fn observed(client: ClientId, attempt: u32, start: Nanos, outcome: Outcome) -> Observation {
    let answered = matches!(outcome, Outcome::Session(_) | Outcome::Refused(_));
    let stamps = Stamps {
        started: Some(start),
        dialled: Some(start + MS),
        upgraded: Some(start + 2 * MS),
        challenged: Some(start + 3 * MS),
        sent: Some(start + 4 * MS),
        answered: answered.then_some(start + 5 * MS),
        ended: (!matches!(outcome, Outcome::Session(_))).then_some(start + 6 * MS),
    };
    Observation {
        client,
        attempt,
        ask: 0,
        step: None,
        intended: start,
        stamps,
        presented_token: None,
        outcome,
    }
}

/// hello-ok with these scopes.
#[must_use]
pub fn session(protocol: u32, scopes: &[&str], token: Fingerprint) -> Outcome {
    Outcome::Session(Grant {
        protocol,
        auth: Some(GrantAuth {
            role: "operator".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            token: Some(token),
        }),
    })
}

/// A refusal that closes with 1008.
#[must_use]
pub fn refused(code: &str, message: &str, detail_code: &str) -> Refusal {
    Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
        detail_code: Some(detail_code.to_owned()),
        reason: None,
        auth_reason: None,
        next_step: None,
        request_id: None,
        close: Some(CloseSeen::Frame { code: 1008, reason: message.to_owned() }),
    }
}

/// "pairing required", with the request that waits.
#[must_use]
pub fn not_paired(id: &str) -> Outcome {
    Outcome::Refused(Refusal {
        reason: Some("not-paired".to_owned()),
        request_id: Some(id.to_owned()),
        ..refused("NOT_PAIRED", "pairing required", "PAIRING_REQUIRED")
    })
}
