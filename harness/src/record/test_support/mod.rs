//! Builders of hand-made runs for the tests of this module and of the reports. Times are milliseconds unless a name
//! says otherwise.

mod attempt;
mod busy;
mod drawn;
mod outcomes;
mod plan;

use std::net::Ipv4Addr;
use std::time::Duration;

use super::facts::RunFacts;
use super::result::RunResult;
use super::tally::Tally;
use crate::history::{
    EndedBy, Fault, History, Notice, Operation, OperationEnd, OperationKind, RestartStamps, SessionEnd,
};
use crate::observation::{CloseSeen, Observation, Outcome, Stamps};
use crate::oracle::{Judgement, SessionEndFinding, Verdict};
use crate::plan::{ClientId, FaultKind, Nanos, Plan, PlannedClient, StopSignal};
use plan::{cohort, facts};

pub(crate) use attempt::AttemptBuilder;
pub(crate) use busy::busy_story;
pub(crate) use outcomes::{mismatch, outcomes, refusal, refusal_for, refusal_with, session};
pub(crate) use plan::{generator, threshold};

/// Nanoseconds in a millisecond.
pub(crate) const MS: Nanos = 1_000_000;

/// A run under construction.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) history: History,
    pub(crate) judgement: Judgement,
    pub(crate) facts: RunFacts,
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
            plan: plan::plan(cohorts.iter().map(|(name, _)| cohort(name)).collect(), clients),
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
