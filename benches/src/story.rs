//! A run that never took place: remote phones ask, are approved, and come back with a session.

use harness::history::{History, Operation, OperationEnd, OperationKind};
use harness::observation::{CloseSeen, Fingerprint, Grant, GrantAuth, Observation, Outcome, Refusal, Stamps};
use harness::plan::{ClientId, Nanos, Overrides, Plan, unfold};
use harness::scenario;

const MS: Nanos = 1_000_000;

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
        history.attempts.push(attempt(client, 0, start, refused(&request_id)));
        history.operations.push(Operation {
            operator: 0,
            client: Some(client),
            kind: OperationKind::Approve { request_id },
            caller: None,
            invoked: start + 20 * MS,
            end: OperationEnd::Done { at: start + 25 * MS, token: None },
        });
        history.attempts.push(attempt(client, 1, start + 40 * MS, session(client)));
        history.ended = start + 100 * MS;
    }
    history
}

fn attempt(client: ClientId, attempt: u32, start: Nanos, outcome: Outcome) -> Observation {
    let ended = matches!(outcome, Outcome::Refused(_)).then_some(start + 6 * MS);
    let stamps = Stamps {
        started: Some(start),
        dialled: Some(start + MS),
        upgraded: Some(start + 2 * MS),
        challenged: Some(start + 3 * MS),
        sent: Some(start + 4 * MS),
        answered: Some(start + 5 * MS),
        ended,
    };
    Observation { client, attempt, ask: 0, intended: start, stamps, presented_token: None, outcome }
}

fn refused(request_id: &str) -> Outcome {
    let text = |text: &str| Some(text.to_owned());
    Outcome::Refused(Refusal {
        code: "NOT_PAIRED".to_owned(),
        message: "pairing required".to_owned(),
        detail_code: text("PAIRING_REQUIRED"),
        reason: text("not-paired"),
        auth_reason: None,
        next_step: None,
        request_id: text(request_id),
        close: Some(CloseSeen::Frame { code: 1008, reason: "pairing required".to_owned() }),
    })
}

fn session(client: ClientId) -> Outcome {
    Outcome::Session(Grant {
        protocol: 3,
        auth: Some(GrantAuth {
            role: "operator".to_owned(),
            scopes: vec!["operator.read".to_owned(), "operator.write".to_owned()],
            token: Some(Fingerprint(u64::from(client))),
        }),
    })
}
