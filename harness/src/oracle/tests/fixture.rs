//! Plans and histories by hand. Times are milliseconds.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::history::{Fault, History, Notice, Operation, OperationEnd, OperationKind, RestartStamps};
use crate::observation::{
    CloseSeen, Closed, Fingerprint, Grant, GrantAuth, Observation, Outcome, Phase, Refusal, Stamps,
};
use crate::oracle::{self, Judgement, Mismatch, MismatchKind, Verdict};
use crate::plan::identity::Identities;
use crate::plan::{
    AbsentParts, AuthMode, Backoff, Cohort, ConnectSpec, Credential, Deviation, DurationRange, Executor,
    Expectation, FaultKind, ForwardedFor, GatewayPlan, GiveUp, Nanos, NetworkPath, OracleMode, Persona, Plan,
    PlannedClient, ReconnectPolicy, SessionScript, SignatureVersion, StopSignal, StoredEntry, StoredMetadata,
    ValidityBudget,
};

pub(super) const READ: &str = "operator.read";
pub(super) const WRITE: &str = "operator.write";

pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const fn at(ms: u64) -> Nanos {
    ms * 1_000_000
}

/// A remote command line that asks for `operator.read` with the shared token.
pub(in crate::oracle) fn spec() -> ConnectSpec {
    ConnectSpec {
        persona: Persona::Cli,
        role: None,
        scopes: Some(owned(&[READ])),
        platform: "linux".to_owned(),
        device_family: None,
        credential: Credential::SharedToken,
        path: NetworkPath::Proxy {
            from: Ipv4Addr::new(127, 2, 0, 1),
            forwarded_for: ForwardedFor::Own,
            host: None,
        },
        origin: None,
        deviation: Deviation::None,
        signature: SignatureVersion::V3,
    }
}

pub(super) fn stored(roles: &[&str], scopes: &[&str], metadata: StoredMetadata) -> StoredEntry {
    StoredEntry {
        roles: owned(roles),
        scopes: owned(scopes),
        metadata,
        tokens: true,
        absent: AbsentParts::default(),
    }
}

pub(in crate::oracle) fn gateway() -> GatewayPlan {
    GatewayPlan {
        profile: protocol::ProfileName::Article,
        launch: crate::plan::LaunchPlan::InRepo,
        config: json!({}),
        auth: AuthMode::Token,
        trusted_proxies: owned(&["127.2.0.1"]),
        allowed_origins: Vec::new(),
        allow_real_ip_fallback: false,
        stored_bystanders: 0,
        defect: None,
    }
}

/// One client, its plan and what happens to it.
pub(in crate::oracle) struct Case {
    pub(in crate::oracle) plan: Plan,
    pub(super) history: History,
}

impl Case {
    pub(super) fn new(connect: ConnectSpec, stored: Option<StoredEntry>) -> Self {
        let pause = DurationRange { min: Duration::ZERO, max: Duration::ZERO };
        let cohort = Cohort {
            name: "phones".to_owned(),
            connect,
            variants: Vec::new(),
            stored,
            executor: Executor::Open,
            reconnect: ReconnectPolicy {
                backoff: Backoff::Fixed(pause),
                attempts_max: None,
                gives_up_on_refusal: GiveUp::Never,
                hints: false,
                told: None,
            },
            session: SessionScript { hold: None, reconnects: 0 },
            script: Vec::new(),
            expect: None,
        };
        let plan = Plan {
            name: "case".to_owned(),
            about: String::new(),
            seed: 7,
            shard: None,
            oracle: OracleMode::Profile,
            gateway: gateway(),
            cohorts: vec![cohort],
            clients: vec![PlannedClient {
                cohort: 0,
                index: 0,
                intended: 0,
                source: Ipv4Addr::new(127, 1, 0, 1),
                forwarded: Some(Ipv4Addr::new(203, 0, 113, 7)),
                life: 0,
                next_life: None,
            }],
            operators: Vec::new(),
            faults: Vec::new(),
            steps: Vec::new(),
            invariants: None,
            thresholds: Vec::new(),
            duration: None,
            after_faults: None,
            max_time: Duration::from_secs(3600),
            attempt_timeout: Duration::from_secs(20),
            in_flight_max: 100,
            time_scale: 1.0,
            validity: ValidityBudget {
                lag_p99_max: Duration::from_millis(50),
                dropped_share_max: 0.0,
                indeterminate_share_max: 0.0,
                ..ValidityBudget::USUAL
            },
        };
        Self { plan, history: History { ended: at(1_000_000), ..History::default() } }
    }

    /// A remote client that nobody knows.
    pub(in crate::oracle) fn stranger() -> Self {
        Self::new(spec(), None)
    }

    /// A remote client whose entry allows what it asks.
    pub(super) fn paired() -> Self {
        Self::new(spec(), Some(stored(&["operator"], &[READ], StoredMetadata::Same)))
    }

    pub(super) fn with_spec(mut self, change: impl FnOnce(&mut ConnectSpec)) -> Self {
        change(&mut self.plan.cohorts[0].connect);
        self
    }

    pub(super) fn with_gateway(mut self, change: impl FnOnce(&mut GatewayPlan)) -> Self {
        change(&mut self.plan.gateway);
        self
    }

    pub(super) fn expecting(mut self, expect: Expectation, mode: OracleMode) -> Self {
        self.plan.cohorts[0].expect = Some(expect);
        self.plan.oracle = mode;
        self
    }

    pub(super) fn identities(&self) -> Identities {
        Identities::reproducible(self.plan.seed)
    }

    /// The token that the store fixture gives for `role`.
    pub(super) fn stored_token(&self, role: &str) -> u64 {
        crate::observation::fingerprint(&self.identities().stored_token("phones", 0, role)).0
    }

    /// Appends an attempt that started 2 ms before `sent` and ended 1 ms after `until`.
    pub(super) fn attempt(self, sent: u64, until: u64, outcome: Outcome) -> Self {
        self.presenting(None, sent, until, outcome)
    }

    /// The same, presenting a device token.
    pub(super) fn presenting(mut self, token: Option<u64>, sent: u64, until: u64, outcome: Outcome) -> Self {
        let answered = matches!(outcome, Outcome::Session(_) | Outcome::Refused(_));
        self.history.attempts.push(Observation {
            client: 0,
            attempt: u32::try_from(self.history.attempts.len()).unwrap(),
            ask: 0,
            step: None,
            intended: at(sent - 2),
            stamps: Stamps {
                started: Some(at(sent - 2)),
                dialled: Some(at(sent - 1)),
                upgraded: Some(at(sent - 1)),
                challenged: Some(at(sent - 1)),
                sent: Some(at(sent)),
                answered: answered.then(|| at(until)),
                ended: matches!(outcome, Outcome::Refused(_) | Outcome::Closed(_)).then(|| at(until + 1)),
            },
            presented_token: token.map(Fingerprint),
            outcome,
        });
        self
    }

    /// Appends an attempt that got no further than dialling.
    pub(super) fn dial(mut self, started: u64, outcome: Outcome) -> Self {
        let attempt = u32::try_from(self.history.attempts.len()).unwrap();
        self.history.attempts.push(Observation {
            client: 0,
            attempt,
            ask: 0,
            step: None,
            intended: at(started),
            stamps: Stamps { started: Some(at(started)), ended: Some(at(started + 1)), ..Stamps::default() },
            presented_token: None,
            outcome,
        });
        self
    }

    pub(super) fn operation(mut self, kind: OperationKind, invoked: u64, end: OperationEnd) -> Self {
        self.history.operations.push(Operation {
            operator: 0,
            client: Some(0),
            kind,
            caller: None,
            invoked: at(invoked),
            end,
        });
        self
    }

    pub(super) fn approve(self, id: &str, invoked: u64, done: u64) -> Self {
        self.operation(approve(id), invoked, OperationEnd::Done { at: at(done), token: None })
    }

    pub(super) fn done(self, kind: OperationKind, invoked: u64, done: u64) -> Self {
        self.operation(kind, invoked, OperationEnd::Done { at: at(done), token: None })
    }

    pub(super) fn rotate(self, scopes: Option<&[&str]>, invoked: u64, done: u64, token: u64) -> Self {
        let kind = OperationKind::Rotate { role: "operator".to_owned(), scopes: scopes.map(owned) };
        self.operation(kind, invoked, OperationEnd::Done { at: at(done), token: Some(Fingerprint(token)) })
    }

    pub(super) fn notice(mut self, id: &str, when: u64) -> Self {
        self.history.notices.push(Notice {
            operator: 0,
            client: Some(0),
            request_id: id.to_owned(),
            at: at(when),
        });
        self
    }

    pub(super) fn restart(mut self, signal: StopSignal, began: u64, exited: u64, ended: u64) -> Self {
        self.history.faults.push(Fault {
            name: "update".to_owned(),
            kind: FaultKind::Restart { signal, down: Duration::ZERO },
            began: at(began),
            ended: Some(at(ended)),
            restart: Some(RestartStamps {
                port_closed: Some(at(began)),
                exited: Some(at(exited)),
                spawned: Some(at(exited)),
                port_open: Some(at(ended)),
            }),
        });
        self
    }

    pub(super) fn fault(mut self, kind: FaultKind, began: u64, ended: Option<u64>) -> Self {
        self.history.faults.push(Fault {
            name: "fault".to_owned(),
            kind,
            began: at(began),
            ended: ended.map(at),
            restart: None,
        });
        self
    }

    pub(super) fn judge(&self) -> Judgement {
        oracle::judge(&self.plan, &self.identities(), &self.history)
    }

    /// The classes that were matched; anything else fails the test.
    pub(super) fn matched(&self) -> Vec<String> {
        self.judge()
            .attempts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Match { expected } => expected,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// One line for each attempt.
    pub(super) fn lines(&self) -> String {
        let lines: Vec<String> = self.judge().attempts.iter().map(line).collect();
        lines.join("\n")
    }

    /// The verdict on the last attempt, which must be a mismatch.
    pub(super) fn mismatch(&self) -> Mismatch {
        match self.judge().attempts.pop() {
            Some(Verdict::Mismatch(mismatch)) => mismatch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn kind(&self) -> MismatchKind {
        self.mismatch().kind
    }
}

fn line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Match { expected } => format!("match {expected}"),
        Verdict::Indeterminate { why } => format!("indeterminate: {why}"),
        Verdict::Mismatch(Mismatch { kind, expected, observed, why }) => {
            format!("{}: {} seen, {} due: {why}", kind.as_str(), observed, expected.join(" or "))
        }
    }
}

pub(super) fn approve(id: &str) -> OperationKind {
    OperationKind::Approve { request_id: id.to_owned() }
}

pub(super) fn reject(id: &str) -> OperationKind {
    OperationKind::Reject { request_id: id.to_owned() }
}

pub(super) fn revoke() -> OperationKind {
    OperationKind::Revoke { role: "operator".to_owned() }
}

pub(super) fn refused_operation(message: &str, when: u64) -> OperationEnd {
    OperationEnd::Refused { at: at(when), code: "INVALID_REQUEST".to_owned(), message: message.to_owned() }
}

pub(super) fn session_as(role: &str, scopes: &[&str], token: u64) -> Outcome {
    Outcome::Session(Grant {
        protocol: 3,
        auth: Some(GrantAuth {
            role: role.to_owned(),
            scopes: owned(scopes),
            token: Some(Fingerprint(token)),
        }),
    })
}

pub(super) fn session(token: u64) -> Outcome {
    session_as("operator", &[READ], token)
}

pub(super) fn session_without_device() -> Outcome {
    Outcome::Session(Grant { protocol: 3, auth: None })
}

pub(super) fn closed(code: u16, reason: &str) -> Outcome {
    Outcome::Closed(Closed { close: frame(code, reason), phase: Phase::Verdict })
}

pub(super) fn cut_off() -> Outcome {
    Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Verdict })
}

pub(super) fn frame(code: u16, reason: &str) -> CloseSeen {
    CloseSeen::Frame { code, reason: reason.to_owned() }
}

/// A refusal without details, followed by close 1008 with its message.
pub(super) fn plain(message: &str) -> Refusal {
    Refusal {
        code: "INVALID_REQUEST".to_owned(),
        message: message.to_owned(),
        detail_code: None,
        reason: None,
        auth_reason: None,
        next_step: None,
        request_id: None,
        close: Some(frame(1008, &message[..message.len().min(120)])),
    }
}

/// As 2026.3.13 sends it: transcript b02-upgrades-remote.
pub(super) fn pairing_refusal(reason: &str, id: &str) -> Refusal {
    Refusal {
        code: "NOT_PAIRED".to_owned(),
        detail_code: Some("PAIRING_REQUIRED".to_owned()),
        reason: Some(reason.to_owned()),
        request_id: Some(id.to_owned()),
        ..plain("pairing required")
    }
}

pub(super) fn pairing(reason: &str, id: &str) -> Outcome {
    Outcome::Refused(pairing_refusal(reason, id))
}

pub(super) fn unauthorized(message: &str, detail_code: &str, auth_reason: &str) -> Outcome {
    Outcome::Refused(Refusal {
        detail_code: Some(detail_code.to_owned()),
        auth_reason: Some(auth_reason.to_owned()),
        ..plain(message)
    })
}

/// As 2026.3.13 sends it: transcript a05-token-problems.
pub(super) fn token_refused() -> Outcome {
    unauthorized(
        "unauthorized: device token mismatch (rotate/reissue device token)",
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "device_token_mismatch",
    )
}

pub(super) fn device_auth(message: &str, reason: &str) -> Outcome {
    Outcome::Refused(Refusal {
        detail_code: Some("DEVICE_AUTH_INVALID".to_owned()),
        reason: Some(reason.to_owned()),
        ..plain(message)
    })
}
