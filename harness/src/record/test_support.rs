//! Builders of hand-made runs for the tests of this module and of the reports. Times are milliseconds unless a name
//! says otherwise.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::facts::{Descriptors, GeneratorFacts, ReactorLoad, RunFacts, Sockets};
use super::result::RunResult;
use super::tally::Tally;
use crate::history::{
    EndedBy, Fault, History, Notice, Operation, OperationEnd, OperationKind, RestartStamps, SessionEnd,
};
use crate::observation::{
    CloseSeen, Closed, DropReason, Fingerprint, Grant, GrantAuth, Observation, Outcome, Phase, Refusal,
    Stamps,
};
use crate::oracle::verdict::InvariantFinding;
use crate::oracle::{Breach, Judgement, Mismatch, MismatchKind, SessionEndFinding, Verdict};
use crate::plan::{
    Approves, AuthMode, Backoff, By, ClientId, Cohort, ConnectSpec, Credential, Deviation, DurationRange,
    Executor, FaultKind, GatewayPlan, GiveUp, Nanos, NetworkPath, Notices, OperatorPlan, OracleMode, Persona,
    Plan, PlannedClient, ReconnectPolicy, SessionScript, SignatureVersion, StopSignal, Think, Upkeep,
    ValidityBudget,
};
use crate::vocabulary::invariant::Invariant;

/// Numbers that follow from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// Nanoseconds in a millisecond.
pub(crate) const MS: Nanos = 1_000_000;

/// A run under construction.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) history: History,
    pub(crate) judgement: Judgement,
    pub(crate) facts: RunFacts,
}

/// An attempt under construction; it expects its own class until a verdict is given.
pub(crate) struct AttemptBuilder<'a> {
    attempt: &'a mut Observation,
    verdict: &'a mut Verdict,
}

impl Story {
    /// A run of these cohorts with two operators, without attempts.
    pub(crate) fn new(cohorts: &[(&str, u32)]) -> Self {
        let mut clients = Vec::new();
        for (position, (_, count)) in cohorts.iter().enumerate() {
            for index in 0..*count {
                clients.push(PlannedClient {
                    cohort: position as u16,
                    index,
                    intended: 0,
                    source: Ipv4Addr::new(127, 1, 0, 1),
                    forwarded: None,
                    life: 0,
                    next_life: None,
                });
            }
        }
        Self {
            plan: plan(cohorts.iter().map(|(name, _)| cohort(name)).collect(), clients),
            history: History::default(),
            judgement: Judgement::default(),
            facts: facts(),
        }
    }

    pub(crate) fn result(&self) -> RunResult {
        self.tally().finish(&self.facts)
    }

    /// The whole run, recorded in one part.
    pub(crate) fn tally(&self) -> Tally<'_> {
        let mut tally = Tally::new(&self.plan);
        tally.add(&self.history, &self.judgement);
        tally
    }

    /// The part of the run that has every `of`-th client, from client `number` on.
    pub(crate) fn shard(&self, number: u32, of: u32) -> (History, Judgement) {
        let here = |client: ClientId| client % of == number;
        let mut history = History { attempts: Vec::new(), session_ends: Vec::new(), ..self.history.clone() };
        history.overheard.retain(|heard| here(heard.client));
        history.calls.retain(|call| here(call.client));
        let mut judgement = Judgement::default();
        for (attempt, verdict) in self.history.attempts.iter().zip(&self.judgement.attempts) {
            if here(attempt.client) {
                history.attempts.push(attempt.clone());
                judgement.attempts.push(verdict.clone());
            }
        }
        for (position, end) in self.history.session_ends.iter().enumerate() {
            if here(end.client) {
                let findings = self.judgement.session_ends.iter().filter(|f| f.session_end == position);
                judgement.session_ends.extend(findings.map(|finding| SessionEndFinding {
                    session_end: history.session_ends.len(),
                    why: finding.why.clone(),
                }));
                history.session_ends.push(end.clone());
            }
        }
        judgement.breaches = self.judgement.breaches.iter().filter(|b| here(b.client)).cloned().collect();
        judgement.invariants = self.judgement.invariants.iter().filter(|f| here(f.client)).cloned().collect();
        judgement.devices = self.judgement.devices.iter().filter(|d| here(d.client)).cloned().collect();
        (history, judgement)
    }

    /// A run of `events` events that `seed` draws: whatever a history can hold, in no sensible order.
    pub(crate) fn drawn(seed: u64, events: usize) -> Self {
        let mut draw = Draw(seed);
        let clients = 1 + draw.below(12) as u32;
        let mut story = Self::new(&[("phones", clients), ("tabs", 5)]);
        let clients = clients + 5;
        let mut attempts = vec![0_u32; clients as usize];
        for _ in 0..events {
            let client = draw.below(u64::from(clients)) as u32;
            let made = attempts[client as usize];
            let earlier = draw.below(u64::from(made) + 1) as u32;
            let (at, took) = (draw.below(12_000), draw.below(3_000));
            let request = format!("r{}", draw.below(6));
            match draw.below(16) {
                0 => story.approve(draw.below(2) as u16, client, &request, at, Some(at + took)),
                1 => match draw.below(3) {
                    0 => story.operation_refused(0, client, &request, at, at + took),
                    1 => story.approve(0, client, &request, at, None),
                    _ => {
                        story.approve(0, client, &request, at, Some(at + took));
                        story.history.operations.last_mut().expect("just pushed").client = None;
                    }
                },
                2 => story.notice(draw.below(2) as u16, client, &request, at),
                3 => story.session_left(client, earlier, at),
                4 => story.session_ended_by_gateway(client, earlier, at),
                5 => story.session_lost(client, earlier, at, &format!("nothing happened at {at} ms")),
                6 if draw.below(4) == 0 => {
                    let stamps = RestartStamps {
                        port_closed: Some((at + 1) * MS),
                        exited: None,
                        spawned: (draw.below(2) == 0).then_some((at + 100) * MS),
                        port_open: (draw.below(2) == 0).then_some((at + 200) * MS),
                    };
                    story.restart(at, stamps);
                }
                7 => story.judgement.breaches.push(Breach {
                    kind: MismatchKind::LeakedEvent,
                    client,
                    attempt: earlier,
                    at: at * MS,
                    expected: "nothing".to_owned(),
                    observed: request,
                    why: format!("it was heard at {at} ms"),
                }),
                8 => story.judgement.invariants.push(InvariantFinding {
                    invariant: Invariant::ApprovalIsKept,
                    client,
                    attempt: earlier,
                    why: format!("it was lost at {at} ms"),
                }),
                _ => {
                    let outcome = match draw.below(12) {
                        0..4 => session(),
                        4..7 => refusal_for(&request),
                        pick => outcomes().swap_remove(pick as usize - 3),
                    };
                    // Rarely the same attempt twice.
                    let number = if draw.below(40) == 0 { earlier } else { made };
                    attempts[client as usize] = made.max(number + 1);
                    let builder = story.any_attempt(client, number, at, took, outcome);
                    let kind = MismatchKind::ALL[draw.below(9) as usize];
                    match draw.below(6) {
                        0 => builder.verdict(mismatch(
                            kind,
                            &[["session", "not-paired"][draw.below(2) as usize]],
                            ["1009", "(nobody)", &request][draw.below(3) as usize],
                            &format!("client {client} was late by {took} ms"),
                        )),
                        1 => builder.indeterminate("a gap"),
                        _ => builder,
                    };
                }
            }
        }
        story.judgement.invariants.sort_by_key(|finding| (finding.client, finding.attempt));
        story.history.ended = 14_000 * MS;
        story
    }

    /// An attempt that was to start, and started, at 0 and connected to nothing.
    pub(crate) fn attempt(&mut self, client: ClientId, attempt: u32) -> AttemptBuilder<'_> {
        let stamps = Stamps { started: Some(0), ..Stamps::default() };
        self.history.attempts.push(Observation {
            client,
            attempt,
            ask: 0,
            step: None,
            intended: 0,
            stamps,
            presented_token: None,
            outcome: Outcome::ConnectionRefused,
        });
        self.judgement.attempts.push(Verdict::Match { expected: "connection_refused".to_owned() });
        AttemptBuilder {
            attempt: self.history.attempts.last_mut().expect("just pushed"),
            verdict: self.judgement.attempts.last_mut().expect("just pushed"),
        }
    }

    /// An attempt with this outcome whatever it is, `took` ms long.
    pub(crate) fn any_attempt(
        &mut self,
        client: ClientId,
        attempt: u32,
        start: u64,
        took: u64,
        outcome: Outcome,
    ) -> AttemptBuilder<'_> {
        let builder = self.attempt(client, attempt).started(start);
        match outcome {
            Outcome::Session(_) | Outcome::Refused(_) => builder.answered(start + took, outcome),
            Outcome::Dropped(reason) => builder.dropped(start, reason),
            other => builder.ended(start + took, other),
        }
    }

    pub(crate) fn notice(&mut self, operator: u16, client: ClientId, request: &str, at: u64) {
        self.history.notices.push(Notice {
            operator,
            client: Some(client),
            request_id: request.to_owned(),
            at: at * MS,
        });
    }

    /// An approval; without acknowledgement its end is unknown.
    pub(crate) fn approve(
        &mut self,
        operator: u16,
        client: ClientId,
        request: &str,
        invoked: u64,
        ack: Option<u64>,
    ) {
        self.approve_ns(operator, client, request, invoked * MS, ack.map(|ack| ack * MS));
    }

    pub(crate) fn approve_ns(
        &mut self,
        operator: u16,
        client: ClientId,
        request: &str,
        invoked: Nanos,
        ack: Option<Nanos>,
    ) {
        let end = ack.map_or(OperationEnd::Unknown, |at| OperationEnd::Done { at, token: None });
        self.operation(
            operator,
            client,
            OperationKind::Approve { request_id: request.to_owned() },
            invoked,
            end,
        );
    }

    pub(crate) fn operation(
        &mut self,
        operator: u16,
        client: ClientId,
        kind: OperationKind,
        invoked: Nanos,
        end: OperationEnd,
    ) {
        self.history.operations.push(Operation {
            operator,
            client: Some(client),
            kind,
            caller: None,
            invoked,
            end,
        });
    }

    /// An approval that the gateway refused.
    pub(crate) fn operation_refused(
        &mut self,
        operator: u16,
        client: ClientId,
        request: &str,
        invoked: u64,
        at: u64,
    ) {
        let end = OperationEnd::Refused {
            at: at * MS,
            code: "INVALID_REQUEST".to_owned(),
            message: "unknown requestId".to_owned(),
        };
        self.operation(
            operator,
            client,
            OperationKind::Approve { request_id: request.to_owned() },
            invoked * MS,
            end,
        );
    }

    /// A session that the gateway ended without a close frame.
    pub(crate) fn session_ended_by_gateway(&mut self, client: ClientId, attempt: u32, at: u64) {
        let by = EndedBy::Gateway(CloseSeen::Abrupt);
        self.history.session_ends.push(SessionEnd { client, attempt, at: at * MS, by });
    }

    /// A session that its client ended.
    pub(crate) fn session_left(&mut self, client: ClientId, attempt: u32, at: u64) {
        self.history.session_ends.push(SessionEnd { client, attempt, at: at * MS, by: EndedBy::Client });
    }

    /// A session that the gateway ended although nobody said it should.
    pub(crate) fn session_lost(&mut self, client: ClientId, attempt: u32, at: u64, why: &str) {
        self.session_ended_by_gateway(client, attempt, at);
        self.judgement.session_ends.push(SessionEndFinding {
            session_end: self.history.session_ends.len() - 1,
            why: why.to_owned(),
        });
    }

    /// A restart by SIGKILL called `update`; its window ends when the port is open.
    pub(crate) fn restart(&mut self, at: u64, stamps: RestartStamps) {
        let kind = FaultKind::Restart { signal: StopSignal::Sigkill, down: Duration::from_millis(100) };
        self.history.faults.push(Fault {
            name: "update".to_owned(),
            kind,
            began: at * MS,
            ended: stamps.port_open,
            restart: Some(stamps),
        });
    }

    pub(crate) fn fault(&mut self, name: &str, kind: FaultKind, began: u64, ended: Option<u64>) {
        self.history.faults.push(Fault {
            name: name.to_owned(),
            kind,
            began: began * MS,
            ended: ended.map(|at| at * MS),
            restart: None,
        });
    }
}

impl AttemptBuilder<'_> {
    /// When it was to start.
    pub(crate) fn intended(self, at: u64) -> Self {
        self.attempt.intended = at * MS;
        self
    }

    /// When it started; without [`AttemptBuilder::intended`] also when it was to start.
    pub(crate) fn started(self, at: u64) -> Self {
        self.started_ns(at * MS)
    }

    pub(crate) fn started_ns(self, at: Nanos) -> Self {
        if self.attempt.intended == 0 {
            self.attempt.intended = at;
        }
        self.attempt.stamps.started = Some(at);
        self
    }

    /// The answer to `connect`; the stages before take no time, a refusal is followed by its close 1 ms later.
    pub(crate) fn answered(self, at: u64, outcome: Outcome) -> Self {
        self.answered_ns(at * MS, outcome)
    }

    pub(crate) fn answered_ns(self, at: Nanos, outcome: Outcome) -> Self {
        let stamps = &mut self.attempt.stamps;
        let started = stamps.started;
        (stamps.dialled, stamps.upgraded, stamps.challenged, stamps.sent) =
            (started, started, started, started);
        stamps.answered = Some(at);
        if matches!(outcome, Outcome::Refused(_)) {
            stamps.ended = Some(at.saturating_add(MS));
        }
        self.with(outcome)
    }

    /// An end without an answer.
    pub(crate) fn ended(self, at: u64, outcome: Outcome) -> Self {
        self.attempt.stamps.ended = Some(at * MS);
        self.with(outcome)
    }

    /// Never started.
    pub(crate) fn dropped(self, intended: u64, reason: DropReason) -> Self {
        self.attempt.intended = intended * MS;
        self.attempt.stamps = Stamps::default();
        self.with(Outcome::Dropped(reason))
    }

    pub(crate) fn expected(self, class: &str) -> Self {
        self.verdict(Verdict::Match { expected: class.to_owned() })
    }

    pub(crate) fn indeterminate(self, why: &str) -> Self {
        self.verdict(Verdict::Indeterminate { why: why.to_owned() })
    }

    pub(crate) fn verdict(self, verdict: Verdict) -> Self {
        *self.verdict = verdict;
        self
    }

    fn with(self, outcome: Outcome) -> Self {
        *self.verdict = Verdict::Match { expected: super::outcomes::outcome_class(&outcome).into_owned() };
        self.attempt.outcome = outcome;
        self
    }
}

/// hello-ok for an operator.
pub(crate) fn session() -> Outcome {
    Outcome::Session(Grant {
        protocol: 3,
        auth: Some(GrantAuth {
            role: "operator".to_owned(),
            scopes: vec!["operator.read".to_owned()],
            token: Some(Fingerprint(7)),
        }),
    })
}

/// A pairing refusal for this reason.
pub(crate) fn refusal(reason: &str) -> Outcome {
    refusal_with("NOT_PAIRED", Some("PAIRING_REQUIRED"), Some(reason))
}

/// A `not-paired` refusal that names this request.
pub(crate) fn refusal_for(request: &str) -> Outcome {
    let Outcome::Refused(mut refused) = refusal("not-paired") else { unreachable!("a refusal") };
    refused.request_id = Some(request.to_owned());
    Outcome::Refused(refused)
}

pub(crate) fn refusal_with(code: &str, detail_code: Option<&str>, reason: Option<&str>) -> Outcome {
    let message = if code == "NOT_PAIRED" { "pairing required" } else { "unauthorized" };
    Outcome::Refused(Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
        detail_code: detail_code.map(str::to_owned),
        reason: reason.map(str::to_owned),
        auth_reason: None,
        next_step: None,
        request_id: None,
        close: Some(CloseSeen::Frame { code: 1008, reason: message.to_owned() }),
    })
}

/// One outcome of each word, in the order of [`Outcome::WORDS`].
pub(crate) fn outcomes() -> Vec<Outcome> {
    vec![
        session(),
        refusal("not-paired"),
        Outcome::UpgradeRefused { status: 503, body: "Service Unavailable".to_owned() },
        Outcome::Closed(Closed {
            close: CloseSeen::Frame { code: 1009, reason: String::new() },
            phase: Phase::Verdict,
        }),
        Outcome::TimedOut { phase: Phase::Upgrade },
        Outcome::ConnectionRefused,
        Outcome::Unreachable { error: "no route to host".to_owned() },
        Outcome::NotAGateway { what: "sent HTML".to_owned() },
        Outcome::Dropped(DropReason::InFlightLimit),
    ]
}

pub(crate) fn mismatch(kind: MismatchKind, expected: &[&str], observed: &str, why: &str) -> Verdict {
    Verdict::Mismatch(Mismatch {
        kind,
        expected: expected.iter().map(|class| (*class).to_owned()).collect(),
        observed: observed.to_owned(),
        why: why.to_owned(),
    })
}

/// A run in which everything that a result can show happens at least once: 40 phones that are approved and restarted,
/// 10 tabs that are refused, mismatches, doubts, drops, and thresholds that are met and missed.
pub(crate) fn busy_story() -> Story {
    let mut story = Story::new(&[("phones", 40), ("tabs", 10)]);
    story.plan.name = "smoke".to_owned();
    story.plan.thresholds = vec![
        threshold("mismatches == 0", "mismatches", crate::plan::Comparison::Equal, 0.0),
        threshold(
            "approval_to_session.p99 < 6s",
            "approval_to_session.p99",
            crate::plan::Comparison::Less,
            6_000_000.0,
        ),
    ];
    for client in 0..40 {
        let at = 20 * u64::from(client);
        let request = format!("request-{client}");
        story.attempt(client, 0).intended(at).started(at + 1).answered(at + 9, refusal_for(&request));
        story.notice(0, client, &request, at + 11);
        story.approve(0, client, &request, at + 311, Some(at + 315));
        story.attempt(client, 1).intended(at + 1_009).started(at + 1_010).answered(at + 1_016, session());
    }
    for client in 40..50 {
        let at = 100 * u64::from(client - 40);
        let refused = refusal_with("INVALID_REQUEST", Some("AUTH_TOKEN_MISMATCH"), None);
        story.attempt(client, 0).intended(at).started(at).answered(at + 3, refused);
    }
    story.restart(
        3_000,
        RestartStamps {
            port_closed: Some(3_002 * MS),
            exited: Some(3_004 * MS),
            spawned: Some(3_104 * MS),
            port_open: Some(3_180 * MS),
        },
    );
    for client in 0..40 {
        story.session_ended_by_gateway(client, 1, 3_001);
        story.attempt(client, 2).intended(3_011).started(3_012).ended(3_013, Outcome::ConnectionRefused);
        let at = 4_000 + 10 * u64::from(client);
        story.attempt(client, 3).intended(at).started(at + 2).answered(at + 12, session());
    }
    story.attempt(40, 1).intended(5_000).started(5_000).answered(5_004, session()).verdict(mismatch(
        MismatchKind::FalseAccept,
        &["AUTH_TOKEN_MISMATCH"],
        "session",
        "the client sent a token that is not the gateway's",
    ));
    for client in 0..3 {
        story
            .attempt(client, 4)
            .intended(6_000)
            .started(6_000)
            .answered(6_004, refusal("not-paired"))
            .verdict(mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                &format!(
                    "approval of request-{client} was acknowledged at 0.3{client} s and nothing took it back"
                ),
            ));
    }
    story
        .attempt(41, 1)
        .intended(6_000)
        .started(6_000)
        .ended(6_500, Outcome::TimedOut { phase: Phase::Verdict })
        .indeterminate("the history ends before the answer");
    story.attempt(42, 1).dropped(6_000, DropReason::Descriptors);
    story.history.ended = 17_000 * MS;
    story.facts.run_duration_ns = 17_000 * MS;
    story
}

pub(crate) fn threshold(
    text: &str,
    metric: &str,
    comparison: crate::plan::Comparison,
    limit: f64,
) -> crate::plan::Threshold {
    crate::plan::Threshold { metric: metric.to_owned(), comparison, limit, text: text.to_owned() }
}

pub(crate) fn generator() -> GeneratorFacts {
    GeneratorFacts {
        reactors: Some(ReactorLoad {
            cpu_share: 0.068,
            wait_share: 0.004,
            wait_mean: Duration::from_micros(31),
        }),
        descriptors: Some(Descriptors { high: 212, limit: Some(20_000) }),
        sockets: Some(Sockets { open: 417, time_wait: 35 }),
    }
}

fn facts() -> RunFacts {
    RunFacts {
        started_at: "2026-11-23T12:00:00Z".parse().expect("a time"),
        scenario_file: "scenarios/smoke.toml".to_owned(),
        scenario_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        pairstorm_version: "0.1.0".to_owned(),
        target: "in-repo gateway at ws://127.0.0.1:18789".to_owned(),
        own_gateway: true,
        profile: "article".to_owned(),
        reactors: 1,
        cores: 2,
        cores_shared: true,
        own_cpu: Duration::from_millis(840),
        own_rss_max_bytes: 31_000_000,
        gateway_cpu: Some(Duration::from_millis(1_310)),
        gateway_rss_max: Some(24_000_000),
        run_duration_ns: 12_345 * MS,
        generator: generator(),
        ..RunFacts::default()
    }
}

fn plan(cohorts: Vec<Cohort>, clients: Vec<PlannedClient>) -> Plan {
    let operator = |name: &str| OperatorPlan {
        name: name.to_owned(),
        serves: None,
        notices: Notices::Event,
        think: Think::Uniform(DurationRange { min: Duration::ZERO, max: Duration::ZERO }),
        reject_share: 0.0,
        ignore_share: 0.0,
        approves: Approves::Each,
        rate_max: None,
        by: By::Session,
        state: crate::vocabulary::OperatorState::Gateway,
        upkeep: Upkeep::default(),
    };
    Plan {
        name: "hand-made".to_owned(),
        about: String::new(),
        seed: 7,
        shard: None,
        oracle: OracleMode::Profile,
        gateway: GatewayPlan {
            profile: protocol::ProfileName::Article,
            launch: crate::plan::LaunchPlan::InRepo,
            config: serde_json::Value::Null,
            auth: AuthMode::Token,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            allow_real_ip_fallback: false,
            stored_bystanders: 0,
            defect: None,
        },
        cohorts,
        clients,
        operators: vec![operator("owner"), operator("deputy")],
        faults: Vec::new(),
        steps: Vec::new(),
        invariants: None,
        thresholds: Vec::new(),
        duration: None,
        after_faults: None,
        max_time: Duration::from_secs(60),
        attempt_timeout: Duration::from_secs(10),
        in_flight_max: 100,
        time_scale: 1.0,
        validity: ValidityBudget {
            lag_p99_max: Duration::from_millis(50),
            dropped_share_max: 0.01,
            indeterminate_share_max: 0.05,
            ..ValidityBudget::USUAL
        },
    }
}

fn cohort(name: &str) -> Cohort {
    Cohort {
        name: name.to_owned(),
        connect: ConnectSpec {
            persona: Persona::Cli,
            role: None,
            scopes: None,
            platform: "linux".to_owned(),
            device_family: None,
            credential: Credential::SharedToken,
            path: NetworkPath::Direct,
            origin: None,
            deviation: Deviation::None,
            signature: SignatureVersion::V3,
        },
        variants: Vec::new(),
        stored: None,
        executor: Executor::Open,
        reconnect: ReconnectPolicy {
            backoff: Backoff::Tight,
            attempts_max: None,
            gives_up_on_refusal: GiveUp::Never,
            hints: false,
            told: None,
        },
        session: SessionScript { hold: None, reconnects: 0 },
        script: Vec::new(),
        expect: None,
    }
}
