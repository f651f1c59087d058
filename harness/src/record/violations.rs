//! `violations.jsonl`: one line a mismatch, with everything that is known of the device.

use std::collections::HashMap;
use std::io::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::ByClient;
use super::histogram::micros;
use super::mismatches::{SESSION_HELD, client_name, cohort_name, session_end_class};
use super::redact::Redactor;
use super::restarts::signal_name;
use crate::history::{
    EndedBy, Fault, History, Notice, Operation, OperationEnd, OperationKind, STEPS, SessionEnd, StoreEdit,
};
use crate::observation::{CloseSeen, Direction, Observation, Outcome, TranscriptLine};
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, FaultKind, Nanos, Plan};

/// Events of a device that one line holds: the first [`EVENTS_FIRST`] and those around the mismatch.
pub const EVENTS_MAX: usize = 300;
/// Of these, events kept from the start of the device's history.
pub const EVENTS_FIRST: usize = 50;
/// Longest text of a peer in one event, in characters.
const PEER_TEXT_CHARS_MAX: usize = 400;

/// One line of what a client saw and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptEntry {
    /// When, µs since the run's start.
    pub at_us: u64,
    /// `in` from the gateway, `out` to it, `note` a remark of the harness.
    pub direction: String,
    /// The frame or the remark.
    pub text: String,
}

/// The transcript of one attempt, if the run kept it.
pub type Transcripts<'a> = dyn Fn(ClientId, u32) -> Option<Vec<TranscriptLine>> + 'a;

/// Violations that are written with the history of their device, whatever their cause; see [`DETAILED_A_CAUSE`].
pub const DETAILED_MAX: u64 = 1_000;
/// Violations of each kind and cohort that are written with it even beyond that.
pub const DETAILED_A_CAUSE: u64 = 10;

/// One line of `violations.jsonl`. Times are microseconds since the run's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// `cohort/index`.
    pub client: String,
    /// Attempt of that client, counted from 0.
    pub attempt: u32,
    /// Kind of mismatch.
    pub kind: String,
    /// Classes of the allowed outcomes.
    pub expected: Vec<String>,
    /// Class of the outcome that was seen.
    pub observed: String,
    /// The deciding fact.
    pub why: String,
    /// When things happened in this attempt.
    pub times: AttemptTimes,
    /// What happened to the device, in order, in words.
    pub history: Vec<HistoryLine>,
    /// Events of the device that were left out of `history`; `null` = all of them, because this is one of very many
    /// violations.
    pub history_left_out: Option<u64>,
    /// What the client saw and sent in this attempt; `null` = not kept.
    pub transcript: Option<Vec<TranscriptEntry>>,
}

/// Stamps of an attempt, µs since the run's start; `null` = never reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptTimes {
    /// When it was to start.
    pub intended_us: Option<u64>,
    /// It started.
    pub started_us: Option<u64>,
    /// TCP connected.
    pub dialled_us: Option<u64>,
    /// 101 received.
    pub upgraded_us: Option<u64>,
    /// Challenge received.
    pub challenged_us: Option<u64>,
    /// `connect` sent.
    pub sent_us: Option<u64>,
    /// Answer received.
    pub answered_us: Option<u64>,
    /// Close or end of the session.
    pub ended_us: Option<u64>,
}

/// One event of a device's history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct HistoryLine {
    /// When it began, µs since the run's start.
    pub at_us: u64,
    /// What happened.
    pub what: String,
}

/// The violations of a run, made one at a time while they are written: there may be very many.
pub struct Violations<'a> {
    device_history: DeviceHistory<'a>,
    judgement: &'a Judgement,
    transcripts: &'a Transcripts<'a>,
    redactor: Redactor,
}

impl std::fmt::Debug for Violations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Violations").field("redactor", &self.redactor).finish_non_exhaustive()
    }
}

/// The violations of a run: one a mismatch, attempts first, then lost sessions, then what else was done. `secrets` are taken out of everything
/// that came from outside.
#[must_use]
pub fn violations<'a>(
    plan: &'a Plan,
    history: &'a History,
    judgement: &'a Judgement,
    transcripts: &'a Transcripts<'a>,
    secrets: &[String],
) -> Violations<'a> {
    Violations {
        device_history: DeviceHistory::new(plan, history),
        judgement,
        transcripts,
        redactor: Redactor::new(secrets.iter().cloned()),
    }
}

impl Violations<'_> {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.judgement.session_ends.is_empty()
            && self.judgement.breaches.is_empty()
            && !self.judgement.attempts.iter().any(|verdict| matches!(verdict, Verdict::Mismatch(_)))
    }

    /// What takes the secrets of this run out of texts.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Writes a line of JSON each, and gives their number.
    ///
    /// # Errors
    /// If `to` refuses, or a line cannot be encoded.
    pub fn write(&self, to: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        let mut detailed = Detailed::default();
        self.each(&mut detailed, &mut |violation| {
            written += 1;
            serde_json::to_writer(&mut *to, &violation).map_err(io::Error::other)?;
            to.write_all(b"\n")
        })?;
        Ok(written)
    }

    fn each(
        &self,
        detailed: &mut Detailed,
        take: &mut dyn FnMut(Violation) -> io::Result<()>,
    ) -> io::Result<()> {
        let history = self.device_history.history;
        for (attempt, verdict) in history.attempts.iter().zip(&self.judgement.attempts) {
            let Verdict::Mismatch(mismatch) = verdict else { continue };
            let with_details =
                detailed.next(mismatch.kind, cohort_name(self.device_history.plan, attempt.client));
            let violation = Violation {
                kind: mismatch.kind.as_str().to_owned(),
                expected: mismatch.expected.clone(),
                observed: mismatch.observed.clone(),
                why: mismatch.why.clone(),
                times: times(attempt),
                ..self.about(attempt.client, attempt.attempt, focus(attempt), with_details)
            };
            take(clean(violation, &self.redactor))?;
        }
        for finding in &self.judgement.session_ends {
            let end = history.session_ends.get(finding.session_end);
            let (client, attempt) = end.map_or((ClientId::MAX, 0), |end| (end.client, end.attempt));
            let opened =
                self.device_history.by_client.attempts_of(client).find(|(_, seen)| seen.attempt == attempt);
            let kind = MismatchKind::WrongClose;
            let with_details = detailed.next(kind, cohort_name(self.device_history.plan, client));
            let mut violation = Violation {
                kind: kind.as_str().to_owned(),
                expected: vec![SESSION_HELD.to_owned()],
                observed: session_end_class(end.map(|end| &end.by)),
                why: finding.why.clone(),
                times: opened.map(|(_, seen)| times(seen)).unwrap_or_default(),
                ..self.about(client, attempt, end.map_or(0, |end| end.at), with_details)
            };
            violation.times.ended_us = end.map(|end| micros(end.at));
            take(clean(violation, &self.redactor))?;
        }
        for breach in &self.judgement.breaches {
            let opened = (self.device_history.by_client.attempts_of(breach.client))
                .find(|(_, seen)| seen.attempt == breach.attempt);
            let with_details =
                detailed.next(breach.kind, cohort_name(self.device_history.plan, breach.client));
            let violation = Violation {
                kind: breach.kind.as_str().to_owned(),
                expected: vec![breach.expected.clone()],
                observed: breach.observed.clone(),
                why: breach.why.clone(),
                times: opened.map(|(_, seen)| times(seen)).unwrap_or_default(),
                ..self.about(breach.client, breach.attempt, breach.at, with_details)
            };
            take(clean(violation, &self.redactor))?;
        }
        Ok(())
    }

    /// A violation of this client with its history around `focus`; what it violates is left to the caller.
    fn about(&self, client: ClientId, attempt: u32, focus: Nanos, with_details: bool) -> Violation {
        let (history, history_left_out) =
            if with_details { self.device_history.lines(client, focus) } else { (Vec::new(), None) };
        let transcript = if with_details { (self.transcripts)(client, attempt) } else { None };
        let entry = |line: TranscriptLine| TranscriptEntry {
            at_us: micros(line.at),
            direction: match line.direction {
                Direction::In => "in",
                Direction::Out => "out",
                Direction::Note => "note",
            }
            .to_owned(),
            text: line.text,
        };
        Violation {
            client: client_name(self.device_history.plan, client),
            attempt,
            kind: String::new(),
            expected: Vec::new(),
            observed: String::new(),
            why: String::new(),
            times: AttemptTimes::default(),
            history,
            history_left_out,
            transcript: transcript.map(|lines| lines.into_iter().map(entry).collect()),
        }
    }
}

/// Which violations are written with all details: a run in which everything is wrong must not fill the disk.
#[derive(Default)]
struct Detailed {
    all: u64,
    by_cause: HashMap<(MismatchKind, String), u64>,
}

impl Detailed {
    fn next(&mut self, kind: MismatchKind, cohort: &str) -> bool {
        let of_cause = self.by_cause.entry((kind, cohort.to_owned())).or_default();
        if self.all >= DETAILED_MAX && *of_cause >= DETAILED_A_CAUSE {
            return false;
        }
        self.all += 1;
        *of_cause += 1;
        true
    }
}

/// The fields that hold text from outside, redacted. Names of the plan stay.
fn clean(mut violation: Violation, redactor: &Redactor) -> Violation {
    let texts = std::iter::once(&mut violation.observed)
        .chain(std::iter::once(&mut violation.why))
        .chain(violation.expected.iter_mut())
        .chain(violation.history.iter_mut().map(|line| &mut line.what))
        .chain(violation.transcript.iter_mut().flatten().map(|line| &mut line.text));
    for text in texts {
        *text = redactor.text(text);
    }
    violation
}

fn times(attempt: &Observation) -> AttemptTimes {
    let stamps = &attempt.stamps;
    AttemptTimes {
        intended_us: Some(micros(attempt.intended)),
        started_us: stamps.started.map(micros),
        dialled_us: stamps.dialled.map(micros),
        upgraded_us: stamps.upgraded.map(micros),
        challenged_us: stamps.challenged.map(micros),
        sent_us: stamps.sent.map(micros),
        answered_us: stamps.answered.map(micros),
        ended_us: stamps.ended.map(micros),
    }
}

/// The moment of an attempt that a mismatch is about.
fn focus(attempt: &Observation) -> Nanos {
    attempt.stamps.last().unwrap_or(attempt.intended)
}

struct DeviceHistory<'a> {
    plan: &'a Plan,
    history: &'a History,
    by_client: ByClient<'a>,
    notices: HashMap<ClientId, Vec<&'a Notice>>,
    operations: HashMap<ClientId, Vec<&'a Operation>>,
    session_ends: HashMap<ClientId, Vec<&'a SessionEnd>>,
}

impl<'a> DeviceHistory<'a> {
    fn new(plan: &'a Plan, history: &'a History) -> Self {
        let mut notices: HashMap<ClientId, Vec<&Notice>> = HashMap::new();
        for notice in &history.notices {
            if let Some(client) = notice.client {
                notices.entry(client).or_default().push(notice);
            }
        }
        let mut operations: HashMap<ClientId, Vec<&Operation>> = HashMap::new();
        for operation in &history.operations {
            if let Some(client) = operation.client {
                operations.entry(client).or_default().push(operation);
            }
        }
        let mut session_ends: HashMap<ClientId, Vec<&SessionEnd>> = HashMap::new();
        for end in &history.session_ends {
            session_ends.entry(end.client).or_default().push(end);
        }
        Self { plan, history, by_client: ByClient::new(history), notices, operations, session_ends }
    }

    /// Events of a device in order, and how many were left out. Only the kept ones are put into words, because a loop
    /// can have thousands.
    fn lines(&self, client: ClientId, focus: Nanos) -> (Vec<HistoryLine>, Option<u64>) {
        let mut events: Vec<(Nanos, Event<'_>)> = Vec::new();
        events.extend(self.by_client.attempts_of(client).map(|(_, attempt)| {
            (attempt.stamps.started.unwrap_or(attempt.intended), Event::Attempt(attempt))
        }));
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
        (events.into_iter().map(line).collect(), Some(left_out))
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
        FaultKind::Restart { signal, .. } => format!("restart by {}", signal_name(signal)),
        FaultKind::Reload => "reload of the store".to_owned(),
        FaultKind::Pause(_) => "pause".to_owned(),
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
    use crate::history::RestartStamps;
    use crate::observation::Phase;
    use crate::record::test_support::{MS, Story, mismatch, outcomes, refusal_for, session};

    const SECRET: &str = "kJ3-9dQw4w9WgXcQ_8sT2uVbN5mLpO7iUyTrEwQaSdF";

    fn lines(story: &Story, transcripts: &Transcripts<'_>) -> Vec<Violation> {
        let mut out = Vec::new();
        let violations =
            violations(&story.plan, &story.history, &story.judgement, transcripts, &[SECRET.to_owned()]);
        let written = violations.write(&mut out).expect("written");
        assert_eq!(violations.is_empty(), written == 0);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'));
        assert!(!text.contains(SECRET));
        let read: Vec<Violation> =
            text.lines().map(|line| serde_json::from_str(line).expect("a violation")).collect();
        assert_eq!(read.len() as u64, written);
        read
    }

    fn approved_and_refused() -> Story {
        let mut story = Story::new(&[("phones", 20)]);
        story.attempt(17, 0).started(90).answered(100, refusal_for("r1"));
        story.notice(0, 17, "r1", 104);
        story.approve(0, 17, "r1", 500, Some(512));
        story.attempt(17, 1).started(1_000).answered(1_004, session());
        story.session_ended_by_gateway(17, 1, 2_001);
        story.restart(2_000, RestartStamps { port_open: Some(2_300 * MS), ..RestartStamps::default() });
        story.attempt(17, 2).intended(2_500).started(2_501).answered(2_505, refusal_for("r2")).verdict(
            mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                "approval of request r1 was acknowledged at 0.512 s and lost by the restart at 2.000 s",
            ),
        );
        // Another device's history is none of this one's.
        story.approve(0, 3, "r9", 700, Some(710));
        story
    }

    #[test]
    fn a_violation_tells_the_whole_story_of_its_device() {
        let violations = lines(&approved_and_refused(), &|_, _| None);
        assert_eq!(violations.len(), 1);
        let violation = &violations[0];
        assert_eq!((violation.client.as_str(), violation.attempt), ("phones/17", 2));
        assert_eq!((violation.kind.as_str(), violation.observed.as_str()), ("false_reject", "not-paired"));
        assert_eq!(violation.times.intended_us, Some(2_500_000));
        assert_eq!(violation.times.answered_us, Some(2_505_000));
        let told: Vec<String> =
            violation.history.iter().map(|line| format!("{} {}", line.at_us, line.what)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        90000 attempt 0: refused NOT_PAIRED "pairing required", code PAIRING_REQUIRED, reason not-paired, requestId r1; close 1008 "pairing required", after 10.000 ms
        104000 operator `owner` noticed request r1
        500000 operator `owner` approved request r1: acknowledged after 12.000 ms
        1000000 attempt 1: session as operator with token scopes [operator.read], after 4.000 ms
        2000000 fault `update`: restart by SIGKILL, over after 300.000 ms
        2001000 the session of attempt 1 was ended by the gateway: no close frame (1006)
        2501000 attempt 2: refused NOT_PAIRED "pairing required", code PAIRING_REQUIRED, reason not-paired, requestId r2; close 1008 "pairing required", after 4.000 ms
        "#);
        assert_eq!(violation.history_left_out, Some(0));
    }

    #[test]
    fn the_transcript_is_there_and_has_no_secrets() {
        let transcripts = |client: ClientId, attempt: u32| {
            (client == 17 && attempt == 2).then(|| {
                vec![
                    TranscriptLine {
                        at: 1_000,
                        direction: Direction::Note,
                        text: "TCP connected".to_owned(),
                    },
                    TranscriptLine {
                        at: 2_000,
                        direction: Direction::Out,
                        text: format!(r#"{{"auth":{{"token":"other","deviceToken":"{SECRET}"}},"x":1}}"#),
                    },
                    TranscriptLine { at: 3_000, direction: Direction::In, text: format!("bad {SECRET}") },
                ]
            })
        };
        let violations = lines(&approved_and_refused(), &transcripts);
        let texts: Vec<_> =
            violations[0].transcript.iter().flatten().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "TCP connected",
                r#"{"auth":{"token":"<redacted>","deviceToken":"<redacted>"},"x":1}"#,
                "bad <redacted>"
            ]
        );
    }

    #[test]
    fn a_secret_in_the_peers_words_is_removed() {
        let mut story = Story::new(&[("phones", 1)]);
        let body = format!("your token={SECRET}\nis bad");
        story.attempt(0, 0).ended(5, Outcome::UpgradeRefused { status: 500, body }).verdict(mismatch(
            MismatchKind::NoAnswer,
            &["session"],
            "HTTP 500",
            &format!("it said {SECRET}"),
        ));
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations[0].why, "it said <redacted>");
        assert!(
            violations[0].history[0].what.contains("token=<redacted> is bad"),
            "{:?}",
            violations[0].history
        );
    }

    #[test]
    fn a_lost_session_is_a_violation_too() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(10).answered(20, session());
        story.session_lost(0, 0, 90, "nothing was under way at 0.090 s");
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].kind, "wrong_close");
        assert_eq!(violations[0].expected, ["session held"]);
        assert_eq!(violations[0].observed, "session ended: 1006");
        assert_eq!(
            (violations[0].times.started_us, violations[0].times.ended_us),
            (Some(10_000), Some(90_000))
        );
        assert_eq!(violations[0].history.len(), 2);
    }

    #[test]
    fn a_loops_history_is_cut_around_the_mismatch() {
        let mut story = Story::new(&[("phones", 1)]);
        for attempt in 0..1_000 {
            let at = u64::from(attempt) * 10;
            let builder = story.attempt(0, attempt).started(at).answered(at + 5, refusal_for("r1"));
            if attempt == 600 {
                builder.verdict(mismatch(MismatchKind::FalseReject, &["session"], "not-paired", ""));
            }
        }
        let violation = lines(&story, &|_, _| None).remove(0);
        assert_eq!(violation.history.len(), EVENTS_MAX);
        assert_eq!(violation.history_left_out, Some(700));
        let has =
            |attempt: u32| violation.history.iter().any(|line| line.at_us == u64::from(attempt) * 10_000);
        assert!(has(0) && has(49) && !has(50));
        assert!(has(600) && has(650) && has(450) && !has(700));
    }

    #[test]
    fn a_run_in_which_everything_is_wrong_does_not_fill_the_disk() {
        let mut story = Story::new(&[("phones", 1_200), ("tabs", 20)]);
        for client in 0..1_220 {
            story.attempt(client, 0).answered(10, session()).verdict(mismatch(
                MismatchKind::FalseAccept,
                &["not-paired"],
                "session",
                "",
            ));
        }
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations.len(), 1_220);
        let detailed = |cohort: &str| {
            violations.iter().filter(|v| v.client.starts_with(cohort) && v.history_left_out.is_some()).count()
        };
        assert_eq!((detailed("phones/"), detailed("tabs/")), (1_000, 10));
        assert_eq!(violations[1_219].why, "");
        assert_eq!(violations[1_219].observed, "session");
    }

    #[test]
    fn every_outcome_and_fault_has_words() {
        let mut words: Vec<String> = outcomes().iter().map(outcome_words).collect();
        words.push(outcome_words(&Outcome::Closed(crate::observation::Closed {
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
