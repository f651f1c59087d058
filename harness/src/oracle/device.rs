//! Verdicts on the attempts of one device.

use std::collections::HashMap;

use super::alphabet::{Alphabet, Listed, ROLES_MAX, RoleSet};
use super::credential::Sent;
use super::explain::{Story, answer, described, seconds, short};
use super::search::{CONFIGURATIONS_MAX, Finding, Question, Search};
use super::state::{
    Act, Claim, Connect, End, Entry, Ident, Mark, Metadata, Model, Op, Out, Seen, State, Token,
};
use super::table::{self, Due, DueClose};
use super::timeline::Device;
use super::verdict::{Mismatch, MismatchKind, Verdict};
use super::windows::{Windows, load_span};
use super::{CohortRules, MILLISECOND, NO_ANSWER_IN_FAULT, Oracle, classify, form, locality};
use crate::history::{History, OperationEnd, OperationKind, StoreEdit};
use crate::observation::fingerprint;
use crate::observation::{CloseSeen, Fingerprint, Observation, Outcome, Phase};
use crate::plan::{AuthMode, FaultKind, Nanos, PlannedClient, StopSignal, StoredEntry, StoredMetadata};
use protocol::device::normalized_metadata;
use protocol::scope::ROLE_NODE;

/// Judges device after device, keeping its buffers.
pub(super) struct DeviceJudge<'o, 'p, 'h> {
    oracle: &'o Oracle<'p>,
    history: &'h History,
    windows: &'o Windows,
    search: Search,
    sightings: Sightings<'h>,
    ops: Vec<Op>,
    peeks: Vec<Op>,
    connects: Vec<Pursued<'h>>,
    /// Operations of operators, by their position in `ops`.
    actions: Vec<(usize, Nanos, String)>,
}

/// An attempt whose answer depends on the device's state.
struct Pursued<'h> {
    /// In `History::attempts`.
    position: usize,
    observation: &'h Observation,
    /// In `ops`, if it may have had an effect.
    op: Option<usize>,
    /// In `peeks`, if the answer is missing without excuse.
    peek: Option<usize>,
}

/// When tokens and request ids of one device were first seen.
#[derive(Default)]
struct Sightings<'h> {
    ids: HashMap<&'h str, Mark>,
    names: Vec<&'h str>,
    tokens: HashMap<Fingerprint, Nanos>,
}

impl<'h> Sightings<'h> {
    fn clear(&mut self) {
        self.ids.clear();
        self.names.clear();
        self.tokens.clear();
    }

    fn id(&mut self, id: &'h str, at: Nanos) {
        let next = self.names.len();
        let mark = self.ids.entry(id).or_insert_with(|| Mark { value: next as u64, first: at });
        mark.first = mark.first.min(at);
        if mark.value == next as u64 {
            self.names.push(id);
        }
    }

    fn token(&mut self, token: Fingerprint, at: Nanos) {
        let first = self.tokens.entry(token).or_insert(at);
        *first = at.min(*first);
    }

    fn id_mark(&self, id: &str) -> Option<Mark> {
        self.ids.get(id).copied()
    }

    fn token_mark(&self, token: Fingerprint) -> Option<Mark> {
        self.tokens.get(&token).map(|first| Mark { value: token.0, first: *first })
    }

    fn id_name(&self, value: u64) -> Option<&'h str> {
        self.names.get(usize::try_from(value).ok()?).copied()
    }
}

impl<'o, 'p, 'h> DeviceJudge<'o, 'p, 'h> {
    pub(super) fn new(oracle: &'o Oracle<'p>, history: &'h History, windows: &'o Windows) -> Self {
        Self {
            oracle,
            history,
            windows,
            search: Search::default(),
            sightings: Sightings::default(),
            ops: Vec::new(),
            peeks: Vec::new(),
            connects: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Writes the verdict on each of the device's attempts; dropped ones are left alone.
    pub(super) fn judge(&mut self, device: &Device<'_, 'h>, verdicts: &mut [Option<Verdict>]) {
        let oracle = self.oracle;
        let Some(client) = usize::try_from(device.client).ok().and_then(|at| oracle.plan.clients.get(at))
        else {
            return;
        };
        let Some(rules) = oracle.cohorts.get(usize::from(client.cohort)) else { return };
        let mut put = |position: usize, verdict: Verdict| {
            if let Some(slot) = verdicts.get_mut(position) {
                *slot = Some(verdict);
            }
        };

        self.connects.clear();
        for (position, observation) in device.attempts() {
            if matches!(observation.outcome, Outcome::Dropped(_)) {
                continue;
            }
            match rules.expected(observation).narrowed(observation) {
                (Due::Device, _) | (_, Some(Due::Device)) => {
                    self.connects.push(Pursued { position, observation, op: None, peek: None });
                }
                (due, or) => put(position, self.judge_static(observation, due, or)),
            }
        }
        if self.connects.is_empty() {
            return;
        }
        let Some(alphabet) = alphabet(rules, device) else {
            for connect in &self.connects {
                let why =
                    "the device's history names more roles or scopes than the oracle follows".to_owned();
                put(connect.position, Verdict::Indeterminate { why });
            }
            return;
        };

        self.see(rules, client, device);
        let start = self.start(rules, client, &alphabet);
        let clocks = oracle.clocks;
        let model = Model {
            claim: claim(rules, client, &alphabet, oracle),
            ttl: clocks.pending_ttl,
            tolerance: clocks.pending_tolerance,
        };
        self.ops.clear();
        self.peeks.clear();
        self.actions.clear();
        self.add_connects(rules, &alphabet);
        self.add_actions(device, &alphabet);
        self.add_loads();
        let question = Question { model, start, ops: &self.ops, peeks: &self.peeks };
        let found = self.search.run(&question);

        let anomalies: Vec<(Nanos, String)> = self
            .actions
            .iter()
            .filter(|(op, ..)| matches!(found.findings.get(*op), Some(Finding::Wrong(_))))
            .map(|(_, at, sentence)| (*at, sentence.clone()))
            .collect();
        let story = Story { device, history: self.history, anomalies: &anomalies };
        for connect in &self.connects {
            let nothing = Vec::new();
            let peeked = connect.peek.and_then(|at| found.peeked.get(at)).unwrap_or(&nothing);
            let finding = connect.op.and_then(|at| found.findings.get(at)).unwrap_or(&Finding::Fits);
            put(connect.position, self.pursue(connect.observation, finding, peeked, &story, &alphabet));
        }
    }

    /// Notes every token and request id that the history shows.
    fn see(&mut self, rules: &CohortRules<'_>, client: &PlannedClient, device: &Device<'_, 'h>) {
        self.sightings.clear();
        for (_, token) in stored_tokens(self.oracle, rules, client) {
            self.sightings.token(token, 0);
        }
        for (_, observation) in device.attempts() {
            let at = observation.stamps.answered.or_else(|| observation.stamps.last()).unwrap_or_default();
            match &observation.outcome {
                Outcome::Session(grant) => {
                    if let Some(token) = grant.auth.as_ref().and_then(|auth| auth.token) {
                        self.sightings.token(token, at);
                    }
                }
                Outcome::Refused(refusal) => {
                    if let Some(id) = refusal.request_id.as_deref() {
                        self.sightings.id(id, at);
                    }
                }
                _ => {}
            }
        }
        for (id, at) in device.noticed() {
            self.sightings.id(id, at);
        }
        for operation in device.operations() {
            match (&operation.kind, &operation.end) {
                (OperationKind::Approve { request_id } | OperationKind::Reject { request_id }, _) => {
                    self.sightings.id(request_id, operation.invoked);
                }
                (OperationKind::Rotate { .. }, OperationEnd::Done { at, token: Some(token) }) => {
                    self.sightings.token(*token, *at);
                }
                _ => {}
            }
        }
    }

    /// The device's state before the run.
    fn start(&self, rules: &CohortRules<'_>, client: &PlannedClient, alphabet: &Alphabet<'_>) -> State {
        let Some(stored) = rules.cohort.stored.as_ref() else { return State { entry: None, pending: None } };
        let scopes = alphabet.set(stored.scopes.iter().map(String::as_str));
        let roles = stored
            .roles
            .iter()
            .filter_map(|role| alphabet.role(role))
            .fold(RoleSet::default(), RoleSet::with);
        let metadata = stored_metadata(rules, stored);
        let mut entry = Entry { roles, scopes, metadata, tokens: [None; ROLES_MAX] };
        for (role, token) in stored_tokens(self.oracle, rules, client) {
            let Some(number) = alphabet.role(role) else { continue };
            let scopes = if role == ROLE_NODE { alphabet.set([]) } else { scopes };
            entry.set_token(number, Token { secret: Ident::Seen(token.0), scopes, revoked: false });
        }
        State { entry: Some(entry), pending: None }
    }

    fn add_connects(&mut self, rules: &CohortRules<'_>, alphabet: &Alphabet<'_>) {
        let auth = self.oracle.plan.gateway.auth;
        let credential = rules.cohort.connect.credential;
        let mut connects = std::mem::take(&mut self.connects);
        for connect in &mut connects {
            let observation = connect.observation;
            let stamps = observation.stamps;
            let sent = Sent::of(credential, auth, observation.presented_token.is_some());
            let presented = observation
                .presented_token
                .filter(|_| sent == Sent::DeviceToken && auth != AuthMode::None)
                .map(|token| token.0);
            let may_be_stale = rules.expected(observation).narrowed(observation).1.is_some();
            let seen = seen(observation, rules, alphabet, &self.sightings);
            let act = Act::Connect(Connect { presented, may_be_stale, seen });
            let answered = matches!(observation.outcome, Outcome::Session(_) | Outcome::Refused(_));
            let gave_up = self.windows.gave_up(observation);
            if answered {
                let until = stamps.answered.or_else(|| stamps.last()).unwrap_or(observation.intended);
                // An answer without a question is no answer to it; then only the order of the attempts is known.
                let from = stamps.sent.or(stamps.started).unwrap_or(until).min(until);
                connect.op = Some(self.ops.len());
                self.ops.push(Op { act, from, until, optional: false });
            } else {
                let begin = stamps.sent.or(stamps.started).unwrap_or(observation.intended);
                if stamps.sent.is_some() {
                    let until = self.windows.effect_until(begin, gave_up, self.history.ended);
                    connect.op = Some(self.ops.len());
                    self.ops.push(Op { act, from: begin, until, optional: true });
                }
                if !self.is_explained(observation) {
                    connect.peek = Some(self.peeks.len());
                    self.peeks.push(Op { act, from: begin, until: gave_up.unwrap_or(begin), optional: true });
                }
            }
        }
        self.connects = connects;
    }

    fn add_actions(&mut self, device: &Device<'_, 'h>, alphabet: &Alphabet<'_>) {
        for operation in device.operations() {
            let (end, token, until, optional) = match &operation.end {
                OperationEnd::Done { at, token } => (End::Done, *token, *at, false),
                OperationEnd::Refused { at, message, .. } if message.starts_with("unknown ") => {
                    // An unknown method is a fault of the gateway, and changes nothing either.
                    if !["unknown requestId", "unknown deviceId"].iter().any(|text| message.starts_with(text))
                    {
                        continue;
                    }
                    (End::UnknownId, None, *at, false)
                }
                // Refused for lack of a scope, and the like: it never reached the device.
                OperationEnd::Refused { .. } => continue,
                OperationEnd::Unknown => {
                    let until = self.windows.effect_until(operation.invoked, None, self.history.ended);
                    (End::Open, None, until, true)
                }
            };
            let act = match &operation.kind {
                OperationKind::Approve { request_id } => {
                    let Some(id) = self.sightings.id_mark(request_id) else { continue };
                    Act::Approve { id, end }
                }
                OperationKind::Reject { request_id } => {
                    let Some(id) = self.sightings.id_mark(request_id) else { continue };
                    Act::Reject { id, end }
                }
                OperationKind::Remove => Act::Remove { end },
                OperationKind::Rotate { role, scopes } => {
                    let Some(role) = alphabet.role(role) else { continue };
                    let scopes =
                        scopes.as_ref().map(|scopes| alphabet.set(scopes.iter().map(String::as_str)));
                    let token = token.and_then(|token| self.sightings.token_mark(token));
                    Act::Rotate { role, scopes, token, end }
                }
                OperationKind::Revoke { role } => {
                    let Some(role) = alphabet.role(role) else { continue };
                    Act::Revoke { role, end }
                }
                // `article` reads its store at start and on reload only; no scenario can edit it yet.
                OperationKind::Edit(_) => continue,
            };
            if end != End::Open {
                let how = if end == End::Done { "acknowledged" } else { "refused as unknown" };
                let sentence = format!(
                    "{} was {how} at {}, which nothing before explains",
                    described(operation),
                    seconds(until)
                );
                self.actions.push((self.ops.len(), until, sentence));
            }
            self.ops.push(Op { act, from: operation.invoked, until: until.max(operation.invoked), optional });
        }
    }

    fn add_loads(&mut self) {
        for fault in &self.history.faults {
            let Some((from, until)) = load_span(fault) else { continue };
            // SIGTERM flushes what is written lazily; a kill and a reload do not.
            let lossy = !matches!(fault.kind, FaultKind::Restart { signal: StopSignal::Sigterm, .. });
            self.ops.push(Op {
                act: Act::Load { lossy },
                from,
                until: until.unwrap_or(self.history.ended).max(from),
                // A gateway that never came back may never have read anything.
                optional: until.is_none(),
            });
        }
    }

    /// The verdict on an attempt whose answer depends on the device's state.
    fn pursue(
        &self,
        observation: &Observation,
        finding: &Finding,
        peeked: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        match &observation.outcome {
            Outcome::Session(_) | Outcome::Refused(_) => {}
            _ => {
                return self.excused(observation).unwrap_or_else(|| unanswered(observation, classes(peeked)));
            }
        }
        match finding {
            Finding::Fits => self.form(observation, story),
            Finding::GaveUp => Verdict::Indeterminate {
                why: format!(
                    "more than {CONFIGURATIONS_MAX} states of the device explain its history: too many operations overlap"
                ),
            },
            Finding::Details(outs) => self.details(observation, outs, story, alphabet),
            Finding::Wrong(outs) => {
                let expected = classes(outs);
                let observed = classify::class(&observation.outcome);
                let is_session = matches!(observation.outcome, Outcome::Session(_));
                let session_due = expected.iter().any(|class| class == classify::SESSION);
                let refusal_due = expected.iter().any(|class| class != classify::SESSION);
                let (kind, why) = if is_session {
                    (MismatchKind::FalseAccept, story.of_false_accept(observation, &expected))
                } else if session_due && !refusal_due {
                    (MismatchKind::FalseReject, story.of_false_reject(observation, &observed))
                } else {
                    (MismatchKind::WrongReason, story.of_wrong_reason(observation, &expected, &observed))
                };
                Verdict::Mismatch(Mismatch { kind, expected, observed: observed.into_owned(), why })
            }
        }
    }

    /// The class of the answer is one that the device's history allows: is its form right?
    fn form(&self, observation: &Observation, story: &Story<'_, '_, 'h>) -> Verdict {
        let class = classify::class(&observation.outcome);
        let fault = match &observation.outcome {
            Outcome::Session(grant) => form::protocol(grant),
            Outcome::Refused(refusal) => {
                let may_miss = self.windows.restarted_during(observation);
                due_of_class(&class).map_or(Ok(()), |due| form::refusal(due, refusal, may_miss))
            }
            _ => Ok(()),
        };
        match fault {
            Ok(()) => Verdict::Match { expected: class.into_owned() },
            Err((kind, why)) => Verdict::Mismatch(Mismatch {
                kind,
                expected: vec![class.clone().into_owned()],
                observed: class.into_owned(),
                why: story.with_anomaly(why, observation),
            }),
        }
    }

    /// The class is right; token, scopes or request id are not.
    fn details(
        &self,
        observation: &Observation,
        outs: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        let (kind, why) = match &observation.outcome {
            Outcome::Session(_) => self.grant_fault(observation, outs, alphabet),
            Outcome::Refused(refusal) => {
                let why = match (refusal.request_id.as_deref(), outs) {
                    (None | Some(""), _) => "error.details.requestId is absent".to_owned(),
                    (Some(seen), [Out::Pairing { id: Ident::Seen(due), .. }, ..]) => format!(
                        "the request id is {} although request {} of this device still waits",
                        short(seen),
                        short(self.sightings.id_name(*due).unwrap_or_default())
                    ),
                    (Some(seen), _) => {
                        format!("request id {} was known before this request can have been made", short(seen))
                    }
                };
                (MismatchKind::WrongReason, why)
            }
            _ => (MismatchKind::WrongReason, String::new()),
        };
        let observed = classify::class(&observation.outcome).into_owned();
        Verdict::Mismatch(Mismatch {
            kind,
            expected: classes(outs),
            observed,
            why: story.with_anomaly(why, observation),
        })
    }

    fn grant_fault(
        &self,
        observation: &Observation,
        outs: &[Out],
        alphabet: &Alphabet<'_>,
    ) -> (MismatchKind, String) {
        let due = outs.iter().find_map(|out| match out {
            Out::Session { scopes, secret } => Some((*scopes, *secret)),
            _ => None,
        });
        let auth = match &observation.outcome {
            Outcome::Session(grant) => grant.auth.as_ref(),
            _ => None,
        };
        let (Some((due_scopes, due_secret)), Some(auth)) = (due, auth) else {
            return (MismatchKind::WrongGrant, "hello.auth is absent".to_owned());
        };
        let within =
            |seen| outs.iter().any(|out| matches!(out, Out::Session { scopes, .. } if scopes.covers(seen)));
        let due_text = alphabet.text(due_scopes);
        match alphabet.listed(&auth.scopes) {
            Listed::Foreign => {
                let foreign =
                    auth.scopes.iter().find(|scope| alphabet.set([scope.as_str()]) == alphabet.set([]));
                return (
                    MismatchKind::FalseAccept,
                    format!(
                        "hello.auth grants {}, which nobody asked for; {due_text} is due",
                        form::quoted(foreign.map_or("", String::as_str))
                    ),
                );
            }
            Listed::Sorted(seen) | Listed::Unsorted(seen) if !within(seen) => {
                return (
                    MismatchKind::FalseAccept,
                    format!(
                        "hello.auth grants {}, more than the {due_text} that is due",
                        alphabet.text(seen)
                    ),
                );
            }
            Listed::Sorted(seen) if seen != due_scopes => {
                return (
                    MismatchKind::WrongGrant,
                    format!("hello.auth grants {}, not the {due_text} that is due", alphabet.text(seen)),
                );
            }
            Listed::Unsorted(_) => {
                return (
                    MismatchKind::WrongGrant,
                    "the scopes in hello.auth are not sorted and free of repeats".to_owned(),
                );
            }
            Listed::Sorted(_) => {}
        }
        let why = match (auth.token, due_secret) {
            (None, _) => "hello.auth carries no device token".to_owned(),
            (Some(token), Ident::Seen(due)) if token.0 != due => {
                "hello.auth carries another device token than the stored one, which nothing replaced"
                    .to_owned()
            }
            (Some(token), Ident::Unseen { since })
                if self.sightings.token_mark(token).is_some_and(|mark| mark.first < since) =>
            {
                format!(
                    "hello.auth carries an old device token; it had to be replaced after {}",
                    seconds(since)
                )
            }
            _ => format!("hello.auth names role {}", form::quoted(&auth.role)),
        };
        (MismatchKind::WrongGrant, why)
    }

    /// The verdict on an attempt whose answer does not depend on the device's state.
    fn judge_static(&self, observation: &Observation, due: Due, or: Option<Due>) -> Verdict {
        let dues = [Some(due), or];
        let dues = || dues.iter().flatten();
        let expected = || dues().filter_map(|due| due.class().map(str::to_owned)).collect::<Vec<_>>();
        let observed = classify::class(&observation.outcome);
        let sentence = || format!("{} is due, whatever the device's state", expected().join(" or "));
        let session_due = dues().any(|due| *due == Due::AcceptWithoutDevice);
        let mismatch = |kind, why| {
            Verdict::Mismatch(Mismatch {
                kind,
                expected: expected(),
                observed: classify::class_of(&observation.outcome),
                why,
            })
        };
        let formed = |form: Result<(), form::Fault>| match form {
            Ok(()) => Verdict::Match { expected: classify::class_of(&observation.outcome) },
            Err((kind, why)) => mismatch(kind, why),
        };
        match &observation.outcome {
            Outcome::Session(grant) if session_due => formed(form::grant_without_device(grant)),
            Outcome::Session(_) => mismatch(MismatchKind::FalseAccept, sentence()),
            Outcome::Refused(refusal) => {
                let same = dues().find_map(|due| match due {
                    Due::Refuse(due) if due.class == observed => Some(due),
                    _ => None,
                });
                match same {
                    Some(due) => {
                        formed(form::refusal(due, refusal, self.windows.restarted_during(observation)))
                    }
                    None if session_due => mismatch(MismatchKind::FalseReject, sentence()),
                    None => mismatch(MismatchKind::WrongReason, sentence()),
                }
            }
            _ => {
                let close = dues().find_map(|due| match due {
                    Due::Close(close) => Some(*close),
                    _ => None,
                });
                match close.and_then(|close| self.judge_close(observation, close)) {
                    Some(Ok(())) => Verdict::Match { expected: observed.into_owned() },
                    Some(Err(why)) => mismatch(MismatchKind::WrongClose, why),
                    None => self.excused(observation).unwrap_or_else(|| unanswered(observation, expected())),
                }
            }
        }
    }

    /// An attempt without answer, where a close is due. `None`: what was seen says nothing about the close.
    fn judge_close(&self, observation: &Observation, due: DueClose) -> Option<Result<(), String>> {
        match &observation.outcome {
            Outcome::Closed(closed) if closed.phase >= Phase::Challenge => match &closed.close {
                CloseSeen::Frame { code, reason } if *code == due.code && reason == due.reason => {
                    if due.after_handshake_time && !self.windows.outlasted_handshake(observation) {
                        return Some(Err(format!(
                            "the gateway closed before the {} that a client has for its connect",
                            seconds(self.oracle.clocks.handshake)
                        )));
                    }
                    Some(Ok(()))
                }
                _ if self.windows.excuse(observation) => None,
                seen => Some(Err(format!(
                    "{} came, not close {} `{}`",
                    super::explain::close(seen),
                    due.code,
                    due.reason
                ))),
            },
            // A client that waits no longer than the gateway cannot see the gateway's patience end.
            Outcome::TimedOut { phase: Phase::Verdict } if due.after_handshake_time => {
                let clocks = self.oracle.clocks;
                (clocks.attempt <= clocks.handshake.saturating_add(100 * MILLISECOND)).then_some(Ok(()))
            }
            _ => None,
        }
    }

    fn is_explained(&self, observation: &Observation) -> bool {
        self.excused(observation).is_some()
    }

    /// The verdict on an attempt without answer, if there is a reason for it.
    fn excused(&self, observation: &Observation) -> Option<Verdict> {
        if self.windows.excuse(observation) {
            return Some(Verdict::Match { expected: NO_ANSWER_IN_FAULT.to_owned() });
        }
        match &observation.outcome {
            // Section 1: the client let the time for its connect pass.
            Outcome::Closed(closed)
                if closed.close == (CloseSeen::Frame { code: 1000, reason: String::new() })
                    && self.windows.client_was_late(observation)
                    && self.windows.outlasted_handshake(observation) =>
            {
                Some(Verdict::Match { expected: "close-1000".to_owned() })
            }
            _ => None,
        }
    }
}

/// The verdict on an attempt without answer and without excuse.
fn unanswered(observation: &Observation, expected: Vec<String>) -> Verdict {
    let session_due = expected.iter().any(|class| class == classify::SESSION);
    let only_session = session_due && expected.len() == 1;
    let seen = answer(&observation.outcome);
    let due = if expected.is_empty() { "an answer".to_owned() } else { expected.join(" or ") };
    let (kind, why) = match &observation.outcome {
        Outcome::Closed(closed) if says_no(&closed.close) && only_session => {
            (MismatchKind::FalseReject, format!("{seen} came; {due} is due"))
        }
        Outcome::Closed(closed) if says_no(&closed.close) => {
            (MismatchKind::WrongClose, format!("{seen} came without an error frame; {due} is due"))
        }
        _ => (MismatchKind::NoAnswer, format!("{seen}, and no fault was under way; {due} is due")),
    };
    let observed = classify::class_of(&observation.outcome);
    Verdict::Mismatch(Mismatch { kind, expected, observed, why })
}

/// Whether a close is a refusal, rather than a connection that went away.
fn says_no(close: &CloseSeen) -> bool {
    matches!(close, CloseSeen::Frame { code: 1002 | 1003 | 1007..=1010 | 1013 | 4000..=4999, .. })
}

fn classes(outs: &[Out]) -> Vec<String> {
    let mut classes: Vec<&'static str> = outs.iter().filter_map(out_class).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.into_iter().map(str::to_owned).collect()
}

fn out_class(out: &Out) -> Option<&'static str> {
    match out {
        Out::Session { .. } => Some(classify::SESSION),
        Out::Pairing { reason, .. } => Some(reason.as_str()),
        Out::TokenRefused => Some(table::DEVICE_TOKEN_MISMATCH.class),
        Out::Stale => Some(table::STALE.class),
        Out::Done => None,
    }
}

fn due_of_class(class: &str) -> Option<&'static table::DueRefusal> {
    match classify::pairing_reason(class) {
        Some(reason) => Some(table::pairing_refusal(reason)),
        None => [&table::DEVICE_TOKEN_MISMATCH, &table::STALE].into_iter().find(|due| due.class == class),
    }
}

/// What an answer says about the device's state.
fn seen(
    observation: &Observation,
    rules: &CohortRules<'_>,
    alphabet: &Alphabet<'_>,
    sightings: &Sightings<'_>,
) -> Seen {
    match &observation.outcome {
        Outcome::Session(grant) => match &grant.auth {
            Some(auth) => Seen::Session {
                role_fits: auth.role == table::effective_role(&rules.cohort.connect),
                scopes: alphabet.listed(&auth.scopes),
                token: auth.token.and_then(|token| sightings.token_mark(token)),
            },
            None => Seen::Session { role_fits: false, scopes: Listed::Foreign, token: None },
        },
        Outcome::Refused(refusal) => {
            let class = classify::refusal_class(refusal);
            match classify::pairing_reason(class) {
                Some(reason) => Seen::Pairing {
                    reason,
                    id: (refusal.request_id.as_deref())
                        .filter(|id| !id.is_empty())
                        .and_then(|id| sightings.id_mark(id)),
                },
                None if class == table::DEVICE_TOKEN_MISMATCH.class => Seen::TokenRefused,
                None if class == table::STALE.class => Seen::Stale,
                None => Seen::Foreign,
            }
        }
        _ => Seen::Open,
    }
}

fn claim(
    rules: &CohortRules<'_>,
    client: &PlannedClient,
    alphabet: &Alphabet<'_>,
    oracle: &Oracle<'_>,
) -> Claim {
    let spec = &rules.cohort.connect;
    let role = table::effective_role(spec);
    Claim {
        // The alphabet holds the role that is asked.
        role: alphabet.role(role).unwrap_or_default(),
        is_node: role == ROLE_NODE,
        scopes: alphabet.set(spec.scopes.iter().flatten().map(String::as_str)),
        local: locality::decide(&spec.path, client, &oracle.proxies),
    }
}

/// Every role and scope that the device's history can bring up.
fn alphabet<'a>(rules: &CohortRules<'a>, device: &Device<'_, 'a>) -> Option<Alphabet<'a>> {
    let spec = &rules.cohort.connect;
    let stored = rules.cohort.stored.as_ref();
    let mut roles: Vec<&'a str> = vec![table::effective_role(spec)];
    roles.extend(stored.iter().flat_map(|stored| &stored.roles).map(String::as_str));
    let mut scopes: Vec<&'a str> = spec.scopes.iter().flatten().map(String::as_str).collect();
    scopes.extend(stored.iter().flat_map(|stored| &stored.scopes).map(String::as_str));
    for operation in device.operations() {
        match &operation.kind {
            OperationKind::Rotate { role, scopes: given } => {
                roles.push(role);
                scopes.extend(given.iter().flatten().map(String::as_str));
            }
            OperationKind::Revoke { role } => roles.push(role),
            OperationKind::Edit(StoreEdit::SetScopes(given)) => {
                scopes.extend(given.iter().map(String::as_str));
            }
            OperationKind::Approve { .. }
            | OperationKind::Reject { .. }
            | OperationKind::Remove
            | OperationKind::Edit(StoreEdit::DropEntry) => {}
        }
    }
    Alphabet::new(roles, scopes)
}

/// Role and fingerprint of the tokens that the store fixture gives to the client: one for each approved role.
fn stored_tokens<'a>(
    oracle: &'a Oracle<'_>,
    rules: &CohortRules<'a>,
    client: &'a PlannedClient,
) -> impl Iterator<Item = (&'a str, Fingerprint)> {
    let cohort = rules.cohort;
    let stored = cohort.stored.as_ref().filter(|stored| stored.tokens);
    stored.into_iter().flat_map(|stored| &stored.roles).map(move |role| {
        let token = oracle.identities.stored_token(&cohort.name, client.index, role);
        (role.as_str(), fingerprint(&token))
    })
}

/// Section 6, check 2: trimmed and lowered; a value that is stored but not claimed differs, one that is not stored is
/// not compared.
fn stored_metadata(rules: &CohortRules<'_>, stored: &StoredEntry) -> Metadata {
    let spec = &rules.cohort.connect;
    match &stored.metadata {
        StoredMetadata::Same => Metadata::Agrees,
        StoredMetadata::Legacy => Metadata::Legacy { repairable: false },
        StoredMetadata::Other { platform, device_family } => {
            let agrees = |stored: &str, claimed: Option<&str>| {
                claimed.is_some_and(|claimed| normalized_metadata(stored) == normalized_metadata(claimed))
            };
            let family = device_family.as_deref();
            if agrees(platform, Some(&spec.platform))
                && family.is_none_or(|family| agrees(family, spec.device_family.as_deref()))
            {
                Metadata::Agrees
            } else {
                Metadata::Differs
            }
        }
    }
}
