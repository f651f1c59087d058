//! Verdicts on the attempts of one device.

use std::collections::HashMap;

use super::alphabet::{Alphabet, Covering, Listed, ROLES_MAX, RoleSet};
use super::explain::{Story, answer, described, seconds, short};
use super::limits::Lock;
use super::locality::Seat;
use super::refusal::{self, Refused};
use super::rules::{AskRules, Texts, Variant};
use super::search::{CONFIGURATIONS_MAX, Finding, Question, Search};
use super::state::{
    Act, Claim, Connect, Edit, End, Entry, Granted, Ident, Mark, Model, Op, Out, Seen, SeenAuth, State, Token,
};
use super::table::{Due, DueClose};
use super::timeline::Device;
use super::verdict::{Mismatch, MismatchKind, Verdict};
use super::windows::{Windows, load_span};
use super::{CohortRules, MILLISECOND, NO_ANSWER_IN_FAULT, Neighbours, Oracle, classify, form};
use crate::history::{History, OperationEnd, OperationKind, StoreEdit};
use crate::observation::fingerprint;
use crate::observation::{CloseSeen, Fingerprint, GrantAuth, Observation, Outcome, Phase};
use crate::plan::{AuthMode, FaultKind, Nanos, PlannedClient, StopSignal, StoredEntry, StoredMetadata};
use protocol::scope::{ROLE_NODE, ROLE_OPERATOR};

/// Class of a match when a gateway that is not ready yet says so.
const STARTING: &str = "starting";

/// Judges device after device, keeping its buffers.
pub(super) struct DeviceJudge<'o, 'p, 'h> {
    oracle: &'o Oracle<'p>,
    history: &'h History,
    windows: &'o Windows,
    neighbours: &'o Neighbours,
    search: Search,
    sightings: Sightings<'h>,
    ops: Vec<Op>,
    peeks: Vec<Op>,
    connects: Vec<Pursued<'o, 'h>>,
    /// Operations of operators, by their position in `ops`.
    actions: Vec<(usize, Nanos, String)>,
}

/// An attempt whose answer depends on the device's state.
struct Pursued<'o, 'h> {
    /// In `History::attempts`.
    position: usize,
    observation: &'h Observation,
    /// What is sent.
    variant: &'o Variant,
    /// From where.
    seat: Seat,
    /// In `ops`, if it may have had an effect.
    op: Option<usize>,
    /// The steps before and after it, where they are operations of their own.
    steps: [Option<usize>; 2],
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
    pub(super) fn new(
        oracle: &'o Oracle<'p>,
        history: &'h History,
        windows: &'o Windows,
        neighbours: &'o Neighbours,
    ) -> Self {
        Self {
            oracle,
            history,
            windows,
            neighbours,
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
        let mut seats: Vec<(u16, Seat)> = Vec::new();
        for (position, observation) in device.attempts() {
            if matches!(observation.outcome, Outcome::Dropped(_)) {
                continue;
            }
            let Some(ask) = rules.ask(observation.ask) else {
                let why = format!("the plan has no connect {} of this cohort", observation.ask);
                put(position, Verdict::Indeterminate { why });
                continue;
            };
            let seat = match seats.iter().find(|(number, _)| *number == observation.ask) {
                Some((_, seat)) => *seat,
                None => {
                    let seat = oracle.seat(ask, client);
                    seats.push((observation.ask, seat));
                    seat
                }
            };
            let variant = ask.variant(observation.presented_token.is_some());
            if let Some(verdict) = self.judge_by_neighbours(position, observation, variant, seat) {
                put(position, verdict);
                continue;
            }
            match variant.expected(seat.place).narrowed(observation) {
                (Due::Device, _) | (_, Some(Due::Device)) => {
                    self.connects.push(Pursued {
                        position,
                        observation,
                        variant,
                        seat,
                        op: None,
                        steps: [None, None],
                        peek: None,
                    });
                }
                (due, or) => put(position, self.judge_static(observation, variant, due, or)),
            }
        }
        if self.connects.is_empty() {
            return;
        }
        let prepared = alphabet(rules, device).zip(texts(rules, device));
        let Some((alphabet, texts)) = prepared else {
            for connect in &self.connects {
                let why =
                    "the device's history names more roles, scopes or platforms than the oracle follows"
                        .to_owned();
                put(connect.position, Verdict::Indeterminate { why });
            }
            return;
        };

        self.see(rules, client, device);
        let start = self.start(rules, client, &alphabet, &texts);
        let covering = Covering::new(&alphabet, oracle.release.coverage);
        let claims = self.claims(&alphabet, &texts);
        let Some(usual) = claims.first().copied() else { return };
        let clocks = oracle.clocks;
        let model = Model {
            release: oracle.release,
            covering: &covering,
            operator: alphabet.role(ROLE_OPERATOR),
            node: alphabet.role(ROLE_NODE),
            usual,
            ttl: clocks.pending_ttl,
            tolerance: clocks.pending_tolerance,
        };
        self.ops.clear();
        self.peeks.clear();
        self.actions.clear();
        self.add_actions(device, &alphabet);
        if oracle.release.store_read_at_load {
            self.add_loads();
        }
        self.add_connects(&alphabet, &claims);
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
            let [before, after] = connect.steps;
            let steps = [before, connect.op, after];
            let worst = steps
                .into_iter()
                .flatten()
                .filter_map(|at| found.findings.get(at))
                .max_by_key(|finding| finding.badness());
            let finding = worst.unwrap_or(&Finding::Fits);
            put(connect.position, self.pursue(connect, finding, peeked, &story, &alphabet));
        }
    }

    /// The verdict on an attempt that others of its address decide about; `None`: it is judged by itself.
    fn judge_by_neighbours(
        &self,
        position: usize,
        observation: &Observation,
        variant: &Variant,
        seat: Seat,
    ) -> Option<Verdict> {
        let class = classify::class(&observation.outcome);
        if let (Some(most), Outcome::UpgradeRefused { status: 503, .. }, Some(address)) =
            (self.oracle.release.sockets_max, &observation.outcome, seat.address)
        {
            let stamps = observation.stamps;
            let (from, until) = (stamps.started?, stamps.last()?);
            let open = self.neighbours.sockets.at_most(address, from, until);
            return (open > most as usize).then(|| Verdict::Match { expected: class.into_owned() });
        }
        if self.oracle.release.starting_phase
            && class == STARTING
            && self.windows.starting(observation)
            && let Outcome::Refused(refusal) = &observation.outcome
        {
            let due = refusal::due(Refused::Starting, self.oracle.release);
            return Some(match form::refusal(&due, refusal, false) {
                Ok(()) => Verdict::Match { expected: class.into_owned() },
                Err((kind, why)) => Verdict::Mismatch(Mismatch {
                    kind,
                    expected: vec![due.class.to_owned()],
                    observed: class.into_owned(),
                    why,
                }),
            });
        }
        // What is decided before the credential is looked at, no lock-out changes.
        let credential_decides = match variant.expected(seat.place).due {
            Due::Device | Due::AcceptWithoutDevice { .. } => true,
            Due::Refuse(refusal) => refusal.class == variant.bad_token.class,
            Due::Upgrade(_) | Due::Close(_) => false,
        };
        let lock = self.neighbours.locks.get(&position).copied().unwrap_or_default();
        let due = variant.locked_out;
        match &observation.outcome {
            Outcome::Refused(refusal) if class == due.class && lock != Lock::Open && credential_decides => {
                let may_miss = self.windows.restarted_during(observation);
                Some(match form::refusal(&due, refusal, may_miss) {
                    Ok(()) => Verdict::Match { expected: class.into_owned() },
                    Err((kind, why)) => Verdict::Mismatch(Mismatch {
                        kind,
                        expected: vec![due.class.to_owned()],
                        observed: class.into_owned(),
                        why,
                    }),
                })
            }
            Outcome::Session(_) | Outcome::Refused(_) if lock == Lock::Locked && credential_decides => {
                let is_session = matches!(observation.outcome, Outcome::Session(_));
                Some(Verdict::Mismatch(Mismatch {
                    kind: if is_session { MismatchKind::FalseAccept } else { MismatchKind::WrongReason },
                    expected: vec![due.class.to_owned()],
                    observed: class.into_owned(),
                    why: "the client's address is locked out after too many failed credentials".to_owned(),
                }))
            }
            _ => None,
        }
    }

    /// What each of the pursued connects claims.
    fn claims(&self, alphabet: &Alphabet<'_>, texts: &Texts) -> Vec<Claim> {
        let gateway = &self.oracle.plan.gateway;
        let mut known: Vec<(*const Variant, Claim)> = Vec::new();
        self.connects
            .iter()
            .map(|connect| {
                let variant: *const Variant = connect.variant;
                if let Some((_, claim)) = known.iter().find(|(known, _)| std::ptr::eq(*known, variant)) {
                    return *claim;
                }
                let by_token = decides_by_token(connect, gateway.auth);
                let claim = connect.variant.claim(connect.seat.place, gateway, by_token, alphabet, texts);
                known.push((variant, claim));
                claim
            })
            .collect()
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
    fn start(
        &self,
        rules: &CohortRules<'_>,
        client: &PlannedClient,
        alphabet: &Alphabet<'_>,
        texts: &Texts,
    ) -> State {
        let nothing = State { entry: None, pending: None, edited: None };
        let (Some(stored), Some(ask)) = (rules.cohort.stored.as_ref(), rules.ask(0)) else { return nothing };
        let scopes = alphabet.set(stored.scopes.iter().map(String::as_str));
        let roles = stored
            .roles
            .iter()
            .filter_map(|role| alphabet.role(role))
            .fold(RoleSet::default(), RoleSet::with);
        let number = |text: Option<&str>| {
            text.and_then(|text| texts.number(&protocol::device::normalized_metadata(text)))
        };
        let (platform, family) = stored_metadata(rules, stored);
        let mut entry = Entry {
            roles,
            scopes,
            approved: Some(scopes),
            platform: number(platform),
            family: number(family),
            repairable: false,
            browser: ask.variant(false).facts.is_browser(),
            tokens: [None; ROLES_MAX],
        };
        for (role, token) in stored_tokens(self.oracle, rules, client) {
            let Some(number) = alphabet.role(role) else { continue };
            let scopes = if role == ROLE_NODE { alphabet.set([]) } else { scopes };
            let secret = Ident::Seen(token.0);
            entry.set_token(number, Token { secret, scopes, revoked: false, bound: false });
        }
        State { entry: Some(entry), ..nothing }
    }

    fn add_connects(&mut self, alphabet: &Alphabet<'_>, claims: &[Claim]) {
        let auth = self.oracle.plan.gateway.auth;
        let mut connects = std::mem::take(&mut self.connects);
        let mut spans: Vec<(Nanos, Nanos)> = self.ops.iter().map(|op| (op.from, op.until)).collect();
        spans.extend(connects.iter().map(|connect| self.span(connect.observation)));
        let overlaps = Overlaps::new(spans);
        for (connect, claim) in connects.iter_mut().zip(claims) {
            let observation = connect.observation;
            let stamps = observation.stamps;
            let presented =
                observation.presented_token.filter(|_| decides_by_token(connect, auth)).map(|token| token.0);
            let place = connect.seat.place;
            let may_be_stale = connect.variant.expected(place).narrowed(observation).1.is_some();
            let seen = seen(observation, connect.variant, alphabet, &self.sightings);
            let (from, until) = self.span(observation);
            let raced = overlaps.is_shared(from, until);
            let whole = Connect { claim: *claim, presented, may_be_stale, records_later: false, raced, seen };
            let answered = matches!(observation.outcome, Outcome::Session(_) | Outcome::Refused(_));
            if answered {
                self.add_steps(connect, whole, from, until);
            } else {
                let op = Op { act: Act::Connect(whole), from, until, optional: true, after: None };
                if stamps.sent.is_some() {
                    connect.op = Some(self.ops.len());
                    self.ops.push(op);
                }
                if !self.is_explained(observation) {
                    let until = self.windows.gave_up(observation).unwrap_or(from);
                    connect.peek = Some(self.peeks.len());
                    self.peeks.push(Op { until, ..op });
                }
            }
        }
        self.connects = connects;
    }

    /// Between which times a connect was judged.
    fn span(&self, observation: &Observation) -> (Nanos, Nanos) {
        let stamps = observation.stamps;
        if matches!(observation.outcome, Outcome::Session(_) | Outcome::Refused(_)) {
            let until = stamps.answered.or_else(|| stamps.last()).unwrap_or(observation.intended);
            // An answer without a question is no answer to it; then only the order of the attempts is known.
            (stamps.sent.or(stamps.started).unwrap_or(until).min(until), until)
        } else {
            let begin = stamps.sent.or(stamps.started).unwrap_or(observation.intended);
            let gave_up = self.windows.gave_up(observation);
            (begin, self.windows.effect_until(begin, gave_up, self.history.ended))
        }
    }

    /// Adds a connect that was answered; in as many steps as the release takes, where others may come between.
    fn add_steps(&mut self, connect: &mut Pursued<'_, '_>, whole: Connect, from: Nanos, until: Nanos) {
        let refused = matches!(whole.seen, Seen::Pairing { .. });
        let looked_up = whole.raced
            && self.oracle.release.two_steps
            && whole.presented.is_some()
            && (refused || matches!(whole.seen, Seen::Session(_)));
        let records_later = whole.raced && self.oracle.release.two_steps && refused;
        let step = |act, after| Op { act, from, until, optional: false, after };
        let mut after = None;
        let mut judged = Connect { records_later, ..whole };
        if looked_up {
            after = Some(self.ops.len());
            self.ops.push(step(Act::Verify(whole), None));
            judged.presented = None;
        }
        let [before, behind] = &mut connect.steps;
        *before = after;
        connect.op = Some(self.ops.len());
        self.ops.push(step(Act::Connect(judged), after));
        if records_later {
            *behind = Some(self.ops.len());
            self.ops.push(step(Act::Record(whole), connect.op));
        }
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
                OperationKind::Edit(StoreEdit::DropEntry) => Act::Edit(Edit::Drop),
                OperationKind::Edit(StoreEdit::SetScopes(scopes)) => {
                    Act::Edit(Edit::Scopes(alphabet.set(scopes.iter().map(String::as_str))))
                }
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
            let from = operation.invoked;
            self.ops.push(Op { act, from, until: until.max(from), optional, after: None });
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
                after: None,
            });
        }
    }

    /// The verdict on an attempt whose answer depends on the device's state.
    fn pursue(
        &self,
        connect: &Pursued<'_, 'h>,
        finding: &Finding,
        peeked: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        let observation = connect.observation;
        match &observation.outcome {
            Outcome::Session(_) | Outcome::Refused(_) => {}
            _ => {
                return self
                    .excused(observation)
                    .unwrap_or_else(|| unanswered(observation, classes(peeked, connect.variant)));
            }
        }
        match finding {
            Finding::Fits => self.form(observation, connect.variant, story),
            Finding::GaveUp => Verdict::Indeterminate {
                why: format!(
                    "more than {CONFIGURATIONS_MAX} states of the device explain its history: too many operations overlap"
                ),
            },
            Finding::Details(outs) => self.details(observation, connect.variant, outs, story, alphabet),
            Finding::Wrong(outs) => {
                let expected = classes(outs, connect.variant);
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
    fn form(&self, observation: &Observation, variant: &Variant, story: &Story<'_, '_, 'h>) -> Verdict {
        let class = classify::class(&observation.outcome);
        let fault = match &observation.outcome {
            Outcome::Session(grant) => form::protocol(grant, self.oracle.release),
            Outcome::Refused(refusal) => {
                let may_miss = self.windows.restarted_during(observation);
                variant.due_of_class(&class).map_or(Ok(()), |due| form::refusal(&due, refusal, may_miss))
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
        variant: &Variant,
        outs: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        let (kind, why) = match &observation.outcome {
            Outcome::Session(_) => self.grant_fault(observation, variant, outs, alphabet),
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
            expected: match &observation.outcome {
                Outcome::Session(_) => classes(outs, variant),
                _ => vec![observed.clone()],
            },
            observed,
            why: story.with_anomaly(why, observation),
        })
    }

    /// What is wrong with a `hello.auth` that says what the connection may do.
    fn live_fault(&self, auth: &GrantAuth, variant: &Variant, due: Option<Ident>) -> (MismatchKind, String) {
        let asked = &variant.facts.scopes;
        if let Some(foreign) = auth.scopes.iter().find(|scope| !asked.contains(scope)) {
            let why = format!("hello.auth grants {}, which was not asked for", form::quoted(foreign));
            return (MismatchKind::FalseAccept, why);
        }
        let why = match (due, auth.token) {
            _ if auth.scopes != variant.facts.distinct_scopes() => {
                "hello.auth does not grant what was asked, in that order".to_owned()
            }
            (Some(_), None) => "hello.auth carries no device token".to_owned(),
            (None, Some(_)) => "hello.auth carries a device token, and none is due".to_owned(),
            (Some(Ident::Seen(due)), Some(token)) if token.0 != due => {
                "hello.auth carries another device token than the stored one, which nothing replaced"
                    .to_owned()
            }
            (Some(Ident::Unseen { since }), Some(token))
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

    fn grant_fault(
        &self,
        observation: &Observation,
        variant: &Variant,
        outs: &[Out],
        alphabet: &Alphabet<'_>,
    ) -> (MismatchKind, String) {
        let due = outs.iter().find_map(|out| match out {
            Out::Session(granted) => Some(*granted),
            _ => None,
        });
        let auth = match &observation.outcome {
            Outcome::Session(grant) => grant.auth.as_ref(),
            _ => None,
        };
        let (due_scopes, due_secret) = match (due, auth) {
            (Some(Granted::Absent), Some(_)) => {
                return (MismatchKind::WrongGrant, "hello.auth must be absent: no token is due".to_owned());
            }
            (Some(Granted::Live { secret }), Some(auth)) => {
                return self.live_fault(auth, variant, secret);
            }
            (Some(Granted::Token { scopes, secret }), Some(_)) => (scopes, secret),
            _ => return (MismatchKind::WrongGrant, "hello.auth is absent".to_owned()),
        };
        let Some(auth) = auth else { return (MismatchKind::WrongGrant, "hello.auth is absent".to_owned()) };
        let within = |seen| {
            outs.iter()
                .any(|out| matches!(out, Out::Session(Granted::Token { scopes, .. }) if scopes.covers(seen)))
        };
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
    fn judge_static(
        &self,
        observation: &Observation,
        variant: &Variant,
        due: Due,
        or: Option<Due>,
    ) -> Verdict {
        let dues = [Some(due), or];
        let dues = || dues.iter().flatten();
        let expected = || dues().filter_map(|due| due.class().map(str::to_owned)).collect::<Vec<_>>();
        let observed = classify::class(&observation.outcome);
        let sentence = || format!("{} is due, whatever the device's state", expected().join(" or "));
        let keeps_scopes = dues().find_map(|due| match due {
            Due::AcceptWithoutDevice { keeps_scopes } => Some(*keeps_scopes),
            _ => None,
        });
        let session_due = keeps_scopes.is_some();
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
            Outcome::Session(grant) if session_due => {
                let keeps = keeps_scopes.unwrap_or_default();
                formed(form::grant_without_device(grant, &variant.facts, keeps, self.oracle.release))
            }
            Outcome::UpgradeRefused { status, .. } if dues().any(|due| *due == Due::Upgrade(*status)) => {
                Verdict::Match { expected: observed.into_owned() }
            }
            Outcome::Session(_) => mismatch(MismatchKind::FalseAccept, sentence()),
            Outcome::Refused(refusal) => {
                let same = dues().find_map(|due| match due {
                    Due::Refuse(due) if due.class == observed => Some(*due),
                    _ => None,
                });
                match same {
                    Some(due) => {
                        formed(form::refusal(&due, refusal, self.windows.restarted_during(observation)))
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

fn classes(outs: &[Out], variant: &Variant) -> Vec<String> {
    let mut classes: Vec<&'static str> = outs.iter().filter_map(|out| out_class(out, variant)).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.into_iter().map(str::to_owned).collect()
}

fn out_class(out: &Out, variant: &Variant) -> Option<&'static str> {
    match out {
        Out::Session(_) => Some(classify::SESSION),
        Out::Pairing { reason, .. } => Some(variant.pairing(*reason).class),
        Out::TokenRefused { narrow: false } => Some(variant.bad_token.class),
        Out::TokenRefused { narrow: true } => Some(variant.narrow_token.class),
        Out::Stale => Some(variant.stale().class),
        Out::Done => None,
    }
}

/// Whether a device token decides about the credential: it was presented, and nothing else is good.
fn decides_by_token(connect: &Pursued<'_, '_>, auth: AuthMode) -> bool {
    let facts = &connect.variant.facts;
    let shared = facts.sent.is_good_shared(auth, connect.variant.release);
    connect.observation.presented_token.is_some()
        && facts.sent.candidate() == super::Secret::Issued
        && auth != AuthMode::None
        && !shared
}

/// What an answer says about the device's state.
fn seen(
    observation: &Observation,
    variant: &Variant,
    alphabet: &Alphabet<'_>,
    sightings: &Sightings<'_>,
) -> Seen {
    match &observation.outcome {
        Outcome::Session(grant) => Seen::Session(grant.auth.as_ref().map(|auth| SeenAuth {
            role_fits: auth.role == variant.facts.role,
            scopes: alphabet.listed(&auth.scopes),
            as_asked: auth.scopes == variant.facts.distinct_scopes(),
            token: auth.token.and_then(|token| sightings.token_mark(token)),
        })),
        Outcome::Refused(refusal) => {
            let class = classify::refusal_class(refusal);
            let id = || {
                (refusal.request_id.as_deref())
                    .filter(|id| !id.is_empty())
                    .and_then(|id| sightings.id_mark(id))
            };
            match classify::pairing_reason(class) {
                Some(reason) => Seen::Pairing { reason: Some(reason), id: id() },
                None if classify::is_pairing(class) && variant.due_of_class(class).is_some() => {
                    Seen::Pairing { reason: None, id: id() }
                }
                None if class == variant.bad_token.class => Seen::TokenRefused { narrow: false },
                None if class == variant.narrow_token.class => Seen::TokenRefused { narrow: true },
                None if class == variant.stale().class => Seen::Stale,
                None => Seen::Foreign,
            }
        }
        _ => Seen::Open,
    }
}

/// The connects that the device's attempts made.
fn asks<'r, 'p>(rules: &'r CohortRules<'p>, device: &Device<'_, '_>) -> Vec<&'r AskRules<'p>> {
    let mut numbers: Vec<u16> = device.attempts().map(|(_, attempt)| attempt.ask).collect();
    // A stored entry is the first connect's.
    numbers.push(0);
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().filter_map(|number| rules.ask(number)).collect()
}

/// Every platform and family that the device's history can bring up; `None` if there are too many.
fn texts(rules: &CohortRules<'_>, device: &Device<'_, '_>) -> Option<Texts> {
    let stored = rules.cohort.stored.as_ref().map(|stored| stored_metadata(rules, stored));
    let claimed = asks(rules, device)
        .into_iter()
        .flat_map(|ask| [Some(ask.spec.platform.as_str()), ask.spec.device_family.as_deref()]);
    let stored = stored.into_iter().flat_map(|(platform, family)| [platform, family]);
    Texts::new(claimed.chain(stored).flatten())
}

/// Which operations are not alone.
struct Overlaps {
    starts: Vec<Nanos>,
    ends: Vec<Nanos>,
}

impl Overlaps {
    fn new(spans: Vec<(Nanos, Nanos)>) -> Self {
        let (mut starts, mut ends): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        starts.sort_unstable();
        ends.sort_unstable();
        Self { starts, ends }
    }

    /// Whether more than one operation, which is this one, touches the time between the two.
    fn is_shared(&self, from: Nanos, until: Nanos) -> bool {
        let begun = self.starts.partition_point(|start| *start <= until);
        let ended = self.ends.partition_point(|end| *end < from);
        begun.saturating_sub(ended) > 1
    }
}

/// Every role and scope that the device's history can bring up.
fn alphabet<'a>(rules: &CohortRules<'a>, device: &Device<'_, 'a>) -> Option<Alphabet<'a>> {
    let asks = asks(rules, device);
    let stored = rules.cohort.stored.as_ref();
    let mut roles: Vec<&'a str> =
        asks.iter().map(|ask| ask.spec.role.as_deref().unwrap_or(ROLE_OPERATOR)).collect();
    roles.extend(stored.iter().flat_map(|stored| &stored.roles).map(String::as_str));
    let mut scopes: Vec<&'a str> =
        asks.iter().flat_map(|ask| ask.spec.scopes.iter().flatten()).map(String::as_str).collect();
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

/// Stored platform and family of a fixture.
fn stored_metadata<'a>(
    rules: &'a CohortRules<'_>,
    stored: &'a StoredEntry,
) -> (Option<&'a str>, Option<&'a str>) {
    match &stored.metadata {
        StoredMetadata::Same => {
            let spec = &rules.cohort.connect;
            (Some(spec.platform.as_str()), spec.device_family.as_deref())
        }
        StoredMetadata::Legacy => (None, None),
        StoredMetadata::Other { platform, device_family } => {
            (Some(platform.as_str()), device_family.as_deref())
        }
    }
}
