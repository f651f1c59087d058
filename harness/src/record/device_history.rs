//! What happened to one device, in words.

use std::collections::{HashMap, HashSet};

use super::by_client::ByClient;
use super::histogram::micros;
use super::violations::HistoryLine;
use crate::history::{
    EndedBy, Fault, History, Notice, Operation, OperationEnd, OperationKind, STEPS, SessionEnd, StoreEdit,
};
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{ClientId, FaultKind, Nanos, Plan};

/// Events of a device that one line holds: the first [`EVENTS_FIRST`] and those around the mismatch.
pub const EVENTS_MAX: usize = 300;
/// Of these, events kept from the start of the device's history.
pub const EVENTS_FIRST: usize = 50;
/// Longest text of a peer in one event, in characters.
const PEER_TEXT_CHARS_MAX: usize = 400;

/// The histories of the devices of one part of a run.
pub(super) struct DeviceHistory<'a> {
    plan: &'a Plan,
    history: &'a History,
    by_client: &'a ByClient<'a>,
    notices: HashMap<ClientId, Vec<&'a Notice>>,
    operations: HashMap<ClientId, Vec<&'a Operation>>,
    session_ends: HashMap<ClientId, Vec<&'a SessionEnd>>,
}

impl<'a> DeviceHistory<'a> {
    /// Sorts operations, notices and ends of sessions by these devices.
    pub(super) fn new(
        plan: &'a Plan,
        history: &'a History,
        by_client: &'a ByClient<'a>,
        clients: &HashSet<ClientId>,
    ) -> Self {
        let of = |client: Option<ClientId>| client.filter(|client| clients.contains(client));
        let mut notices: HashMap<ClientId, Vec<&Notice>> = HashMap::new();
        for notice in &history.notices {
            if let Some(client) = of(notice.client) {
                notices.entry(client).or_default().push(notice);
            }
        }
        let mut operations: HashMap<ClientId, Vec<&Operation>> = HashMap::new();
        for operation in &history.operations {
            if let Some(client) = of(operation.client) {
                operations.entry(client).or_default().push(operation);
            }
        }
        let mut session_ends: HashMap<ClientId, Vec<&SessionEnd>> = HashMap::new();
        for end in &history.session_ends {
            if let Some(client) = of(Some(end.client)) {
                session_ends.entry(client).or_default().push(end);
            }
        }
        Self { plan, history, by_client, notices, operations, session_ends }
    }

    /// Events of a device in order, and how many were left out. Only the kept ones are put into words, because a loop
    /// can have thousands.
    pub(super) fn lines(&self, client: ClientId, focus: Nanos) -> (Vec<HistoryLine>, u64) {
        let mut events: Vec<(Nanos, Event<'_>)> = Vec::new();
        events.extend(
            self.by_client
                .attempts_of(client)
                .map(|attempt| (attempt.stamps.started.unwrap_or(attempt.intended), Event::Attempt(attempt))),
        );
        events.extend(of(&self.notices, client).map(|notice| (notice.at, Event::Notice(notice))));
        events.extend(
            of(&self.operations, client).map(|operation| (operation.invoked, Event::Operation(operation))),
        );
        events.extend(of(&self.session_ends, client).map(|end| (end.at, Event::SessionEnd(end))));
        // Faults that reach into the time in which the device took part.
        let first = events.iter().map(|(at, _)| *at).min().unwrap_or(focus);
        let faults = self.history.faults.iter();
        let overlapping =
            faults.filter(|fault| fault.began <= focus && fault.ended.is_none_or(|ended| ended >= first));
        events.extend(overlapping.map(|fault| (fault.began, Event::Fault(fault))));
        events.sort_by_key(|(at, _)| *at);

        let all = events.len();
        if all > EVENTS_MAX {
            let around = EVENTS_MAX - EVENTS_FIRST;
            let focus_at = events.partition_point(|(at, _)| *at <= focus);
            // Three quarters of the window before the mismatch, a quarter after it.
            let to = (focus_at + around / 4).clamp(EVENTS_MAX, all);
            events.truncate(to);
            events.drain(EVENTS_FIRST..to - around);
        }
        let left_out = (all - events.len()) as u64;
        let line = |(at, event)| HistoryLine { at_us: micros(at), what: self.words(&event) };
        (events.into_iter().map(line).collect(), left_out)
    }

    fn words(&self, event: &Event<'_>) -> String {
        match event {
            Event::Attempt(attempt) => attempt_words(attempt),
            Event::Notice(notice) => {
                format!("operator `{}` noticed request {}", self.operator(notice.operator), notice.request_id)
            }
            Event::Operation(operation) => self.operation_words(operation),
            Event::SessionEnd(end) => match &end.by {
                EndedBy::Client => format!("the client left the session of attempt {}", end.attempt),
                EndedBy::Gateway(close) => {
                    format!(
                        "the session of attempt {} was ended by the gateway: {}",
                        end.attempt,
                        close_words(close)
                    )
                }
            },
            Event::Fault(fault) => fault_words(fault),
        }
    }

    fn operator(&self, position: u16) -> &str {
        self.plan.operators.get(usize::from(position)).map_or("?", |operator| operator.name.as_str())
    }

    fn operation_words(&self, operation: &Operation) -> String {
        let what = match &operation.kind {
            OperationKind::Approve { request_id } => format!("approved request {request_id}"),
            OperationKind::Reject { request_id } => format!("rejected request {request_id}"),
            OperationKind::Remove => "removed the device".to_owned(),
            OperationKind::Rotate { role, scopes: None } => format!("rotated the token of role {role}"),
            OperationKind::Rotate { role, scopes: Some(scopes) } => {
                format!("rotated the token of role {role} to scopes [{}]", scopes.join(", "))
            }
            OperationKind::Revoke { role } => format!("revoked the token of role {role}"),
            OperationKind::Edit(StoreEdit::SetScopes(scopes)) => {
                format!("set the stored scopes to [{}]", scopes.join(", "))
            }
            OperationKind::Edit(StoreEdit::DropEntry) => "deleted the stored entry".to_owned(),
        };
        let took = |at: Nanos| time(at.saturating_sub(operation.invoked));
        let end = match &operation.end {
            OperationEnd::Done { at, .. } => format!("acknowledged after {}", took(*at)),
            OperationEnd::Refused { at, code, message } => {
                format!("refused after {}: {} {}", took(*at), cut(code), cut(message))
            }
            OperationEnd::Unknown => "never answered, it may have happened or not".to_owned(),
        };
        match &operation.kind {
            OperationKind::Edit(_) => format!("somebody {what}: {end}"),
            _ if operation.operator == STEPS => format!("a step {what}: {end}"),
            _ => format!("operator `{}` {what}: {end}", self.operator(operation.operator)),
        }
    }
}

enum Event<'a> {
    Attempt(&'a Observation),
    Notice(&'a Notice),
    Operation(&'a Operation),
    SessionEnd(&'a SessionEnd),
    Fault(&'a Fault),
}

fn of<'m, T>(by_client: &'m HashMap<ClientId, Vec<&'m T>>, client: ClientId) -> impl Iterator<Item = &'m T> {
    by_client.get(&client).into_iter().flatten().copied()
}

fn attempt_words(attempt: &Observation) -> String {
    let number = attempt.attempt;
    let Some(started) = attempt.stamps.started else {
        return format!("attempt {number} was not started: {}", outcome_words(&attempt.outcome));
    };
    let mut words = format!("attempt {number}: {}", outcome_words(&attempt.outcome));
    if let Some(last) = attempt.stamps.answered.or_else(|| attempt.stamps.last()) {
        words.push_str(&format!(", after {}", time(last.saturating_sub(started))));
    }
    words
}

/// An outcome in words.
fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Session(grant) => match &grant.auth {
            Some(auth) => {
                format!("session as {} with token scopes [{}]", cut(&auth.role), cut(&auth.scopes.join(", ")))
            }
            None => "session without a token".to_owned(),
        },
        Outcome::Refused(refusal) => {
            let mut words = format!("refused {} \"{}\"", cut(&refusal.code), cut(&refusal.message));
            for (name, value) in [
                ("code", &refusal.detail_code),
                ("reason", &refusal.reason),
                ("authReason", &refusal.auth_reason),
                ("requestId", &refusal.request_id),
            ] {
                if let Some(value) = value {
                    words.push_str(&format!(", {name} {}", cut(value)));
                }
            }
            match &refusal.close {
                Some(close) => words.push_str(&format!("; {}", close_words(close))),
                None => words.push_str("; no close"),
            }
            words
        }
        Outcome::UpgradeRefused { status, body } => {
            format!("upgrade refused with HTTP {status} \"{}\"", cut(body))
        }
        Outcome::Closed(closed) => {
            format!("ended while waiting for the {}: {}", closed.phase.as_str(), close_words(&closed.close))
        }
        Outcome::TimedOut { phase } => format!("timed out while waiting for the {}", phase.as_str()),
        Outcome::ConnectionRefused => "TCP connection refused".to_owned(),
        Outcome::Unreachable { error } => format!("unreachable: {}", cut(error)),
        Outcome::NotAGateway { what } => format!("not a gateway: {}", cut(what)),
        Outcome::Dropped(reason) => reason.as_str().replace('_', " "),
    }
}

fn close_words(close: &CloseSeen) -> String {
    match close {
        CloseSeen::Frame { code, reason } => format!("close {code} \"{}\"", cut(reason)),
        CloseSeen::Abrupt => "no close frame (1006)".to_owned(),
    }
}

fn fault_words(fault: &Fault) -> String {
    let what = match fault.kind {
        FaultKind::Restart { signal, .. } => format!("restart by {}", signal.name()),
        FaultKind::Reload => "reload of the store".to_owned(),
        kind => kind.word().to_owned(),
    };
    let end = fault.ended.map_or_else(
        || "not over before the run's end".to_owned(),
        |ended| format!("over after {}", time(ended.saturating_sub(fault.began))),
    );
    format!("fault `{}`: {what}, {end}", fault.name)
}

/// Nanoseconds as milliseconds.
fn time(nanos: Nanos) -> String {
    format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000)
}

/// Text of the peer, cut, on one line.
fn cut(text: &str) -> String {
    let mut cut: String =
        text.chars().take(PEER_TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observation::{Closed, Phase};
    use crate::record::test_support::outcomes;

    #[test]
    fn every_outcome_and_fault_has_words() {
        let mut words: Vec<String> = outcomes().iter().map(outcome_words).collect();
        words.push(outcome_words(&Outcome::Closed(Closed {
            close: CloseSeen::Abrupt,
            phase: Phase::Challenge,
        })));
        words.push(fault_words(&Fault {
            name: "freeze".to_owned(),
            kind: FaultKind::Pause(Duration::from_secs(1)),
            began: 5,
            ended: Some(1_500_005),
            restart: None,
        }));
        insta::assert_snapshot!(words.join("\n"), @r#"
        session as operator with token scopes [operator.read]
        refused NOT_PAIRED "pairing required", code PAIRING_REQUIRED, reason not-paired; close 1008 "pairing required"
        upgrade refused with HTTP 503 "Service Unavailable"
        ended while waiting for the verdict: close 1009 ""
        timed out while waiting for the upgrade
        TCP connection refused
        unreachable: no route to host
        not a gateway: sent HTML
        in flight limit
        ended while waiting for the challenge: no close frame (1006)
        fault `freeze`: pause, over after 1.500 ms
        "#);
    }
}
