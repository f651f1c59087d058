//! Runs that never took place, as the oracle meets them: regulars that come back and back, and a mix of everybody.

use benches::story::{not_paired, observed, refused, session};
use harness::history::{Fault, History, Operation, OperationEnd, OperationKind, RestartStamps};
use harness::observation::{
    CloseSeen, Closed, Fingerprint, Observation, Outcome, Phase, Refusal, fingerprint,
};
use harness::plan::identity::Identities;
use harness::plan::{ClientId, FaultKind, Nanos, Overrides, Plan, StopSignal, unfold};
use harness::scenario;

const MS: Nanos = 1_000_000;

/// Phones that were approved before the run and present the token of their entry.
const REGULARS: &str = r#"
name  = "regulars"
about = "Phones that come with the token they were given."
[gateway]
profile = "PROFILE"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from          = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.phones]
persona    = "ios"
count      = COUNT
path       = "proxy"
scopes     = ["operator.read", "operator.write"]
role       = "operator"
credential = "device-token"
[cohort.phones.stored]
[cohort.phones.arrivals.herd]
at = "0s"
"#;

/// A fourth each of local tools, of phones that are approved, of phones that nobody serves, and of wrong secrets.
const MIX: &str = r#"
name  = "mix"
about = "Refusals, approvals and restarts."
[gateway]
profile = "PROFILE"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from          = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.tools]
persona = "cli"
count   = COUNT
scopes  = ["operator.read"]
[cohort.tools.arrivals.herd]
at = "0s"
[cohort.phones]
persona = "ios"
count   = COUNT
path    = "proxy"
scopes  = ["operator.read", "operator.write"]
role    = "operator"
[cohort.phones.arrivals.herd]
at = "0s"
[cohort.forgotten]
persona = "android"
count   = COUNT
path    = "proxy"
scopes  = ["operator.read", "operator.write"]
role    = "operator"
[cohort.forgotten.arrivals.herd]
at = "0s"
[cohort.wrong]
persona    = "cli"
count      = COUNT
path       = "proxy"
credential = "wrong-token"
scopes     = ["operator.read"]
[cohort.wrong.arrivals.herd]
at = "0s"
[operator.owner]
notices = "event"
think   = "10ms"
"#;

fn plan(text: &str, profile: &str, count: u32) -> Plan {
    let text = text.replace("PROFILE", profile).replace("COUNT", &count.to_string());
    let parsed = scenario::parse("lives.toml", &text, &[]);
    match parsed.and_then(|scenario| unfold(&scenario, &Overrides::default())) {
        Ok(plan) => plan,
        Err(errors) => unreachable!("{errors:?}"),
    }
}

/// `clients` phones that connect `attempts` times each, one a millisecond over all of them.
pub(crate) fn regulars(profile: &str, clients: u32, attempts: u32) -> (Plan, History) {
    let plan = plan(REGULARS, profile, clients);
    let identities = Identities::reproducible(plan.seed);
    let protocol = if profile == "2026.9.6" { 4 } else { 3 };
    let tokens: Vec<Fingerprint> = (0..clients)
        .map(|client| fingerprint(&identities.stored_token("phones", client, "operator")))
        .collect();
    let mut history = History::default();
    for attempt in 0..attempts {
        for (client, token) in (0..).zip(&tokens) {
            let start = (Nanos::from(attempt) * Nanos::from(clients.max(10)) + Nanos::from(client)) * MS;
            let outcome = session(protocol, &["operator.read", "operator.write"], *token);
            let seen = observed(client, attempt, start, outcome);
            history.attempts.push(Observation { presented_token: Some(*token), ..seen });
            history.ended = start + 100 * MS;
        }
    }
    (plan, history)
}

/// `each` clients of each kind, over ten seconds with two restarts.
pub(crate) fn mix(each: u32) -> (Plan, History) {
    let plan = plan(MIX, "article", each);
    let mut history = History { ended: 20_000 * MS, ..History::default() };
    for (at, signal) in [(5_000, StopSignal::Sigterm), (9_000, StopSignal::Sigkill)] {
        history.faults.push(Fault {
            name: "update".to_owned(),
            kind: FaultKind::Restart { signal, down: std::time::Duration::ZERO },
            began: at * MS,
            ended: Some((at + 300) * MS),
            restart: Some(RestartStamps {
                port_closed: Some((at + 20) * MS),
                exited: Some((at + 50) * MS),
                spawned: Some((at + 60) * MS),
                port_open: Some((at + 300) * MS),
            }),
        });
    }
    let (read, both) = (["operator.read"], ["operator.read", "operator.write"]);
    for index in 0..each {
        let begin = Nanos::from(index) * 4_000 / Nanos::from(each) * MS;
        let id = |kind: u32| format!("00000000-0000-4000-800{kind}-{index:012x}");
        let (tool, phone, forgotten, wrong) = (index, each + index, 2 * each + index, 3 * each + index);
        let mut at = |client: ClientId, attempt: u32, ms: Nanos, outcome: Outcome| {
            history.attempts.push(observed(client, attempt, ms * MS + begin, outcome));
        };
        for (attempt, ms) in [(0, 10), (1, 500), (2, 10_000)] {
            at(tool, attempt, ms, session(3, &read, Fingerprint(u64::from(tool))));
        }
        at(phone, 0, 20, not_paired(&id(0)));
        at(phone, 1, 60, session(3, &both, Fingerprint(u64::from(phone))));
        for attempt in 0..4 {
            at(forgotten, attempt, 30 + 100 * Nanos::from(attempt), not_paired(&id(1)));
            at(wrong, attempt, 35 + 100 * Nanos::from(attempt), wrong_token());
        }
        history.operations.push(Operation {
            operator: 0,
            client: Some(phone),
            kind: OperationKind::Approve { request_id: id(0) },
            caller: None,
            invoked: begin + 30 * MS,
            end: OperationEnd::Done { at: begin + 35 * MS, token: None },
        });
        // Cut by the restart, and back after it.
        let cut = Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Verdict });
        history.attempts.push(observed(phone, 2, 5_030 * MS, cut));
        let token = Fingerprint(u64::from(phone));
        history.attempts.push(observed(phone, 3, 10_000 * MS + begin, session(3, &both, token)));
    }
    (plan, history)
}

fn wrong_token() -> Outcome {
    let message = "unauthorized: gateway token mismatch (provide gateway auth token)";
    Outcome::Refused(Refusal {
        auth_reason: Some("token_mismatch".to_owned()),
        ..refused("INVALID_REQUEST", message, "AUTH_TOKEN_MISMATCH")
    })
}
