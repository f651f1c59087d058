//! From records to the operations of the search.

use super::decide::Source;
use super::{DeviceJudge, Pursued, answer};
use crate::history::{OperationEnd, OperationKind, StoreEdit};
use crate::observation::{Observation, Outcome};
use crate::oracle::alphabet::Alphabet;
use crate::oracle::explain::{described, seconds};
use crate::oracle::state::{Act, Claim, Connect, Edit, End, Op, Seen};
use crate::oracle::timeline::Device;
use crate::oracle::windows::load_span;
use crate::plan::{FaultKind, Nanos, StopSignal};

impl<'h> DeviceJudge<'_, '_, 'h> {
    pub(super) fn add_connects(&mut self, alphabet: &Alphabet<'_>, claims: &[Claim]) {
        let auth = self.oracle.plan.gateway.auth;
        let mut connects = std::mem::take(&mut self.connects);
        // Only these releases care whether a connect is alone.
        let cares = self.oracle.release.two_steps || self.oracle.release.live_grant;
        let mut spans: Vec<(Nanos, Nanos)> = Vec::new();
        if cares {
            spans.extend(self.ops.iter().map(|op| (op.from, op.until)));
            spans.extend(connects.iter().map(|connect| self.span(connect.observation)));
        }
        let overlaps = Overlaps::new(spans);
        for (connect, claim) in connects.iter_mut().zip(claims) {
            let observation = connect.observation;
            let stamps = observation.stamps;
            let presented = observation
                .presented_token
                .filter(|_| answer::decides_by_token(connect, auth))
                .map(|token| token.0);
            let place = connect.seat.place;
            let may_be_stale = connect.variant.expected(place).narrowed(observation).1.is_some();
            let seen = answer::seen(observation, connect.variant, claim, alphabet, &self.sightings);
            let (from, until) = self.span(observation);
            let raced = cares && overlaps.is_shared(from, until);
            let whole = Connect { claim: *claim, presented, may_be_stale, records_later: false, raced, seen };
            let answered = matches!(observation.outcome, Outcome::Session(_) | Outcome::Refused(_));
            if answered {
                self.add_steps(connect, whole, from, until);
            } else {
                let op = Op { act: Act::Connect(whole), from, until, optional: true, after: None };
                if stamps.sent.is_some() {
                    connect.op = Some(self.push(op, Source::Attempt(observation)));
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
    fn add_steps(&mut self, connect: &mut Pursued<'_, 'h>, whole: Connect, from: Nanos, until: Nanos) {
        let refused = matches!(whole.seen, Seen::Pairing { .. });
        let looked_up = whole.raced
            && self.oracle.release.two_steps
            && whole.presented.is_some()
            && (refused || matches!(whole.seen, Seen::Session(_)));
        let records_later = whole.raced && self.oracle.release.two_steps && refused;
        let source = Source::Attempt(connect.observation);
        let step = |act, after| Op { act, from, until, optional: false, after };
        let release = &self.oracle.release;
        let let_in = matches!(whole.seen, Seen::Session(_)) && whole.presented.is_none();
        if whole.raced && release.live_grant && !release.two_steps && let_in {
            // An operator may have seen its request, and approved it, before it was looked at again.
            self.push(Op { optional: true, ..step(Act::Ask(whole), None) }, source);
        }
        let mut after = None;
        let mut judged = Connect { records_later, ..whole };
        if looked_up {
            after = Some(self.push(step(Act::Verify(whole), None), source));
            judged.presented = None;
        }
        let [before, behind] = &mut connect.steps;
        *before = after;
        connect.op = Some(self.push(step(Act::Connect(judged), after), source));
        if records_later {
            *behind = Some(self.push(step(Act::Record(whole), connect.op), source));
        }
    }

    /// Adds an operation and gives its position.
    pub(super) fn push(&mut self, op: Op, source: Source<'h>) -> usize {
        self.ops.push(op);
        self.sources.push(source);
        self.ops.len() - 1
    }

    pub(super) fn add_actions(&mut self, device: &Device<'_, 'h>, alphabet: &Alphabet<'_>) {
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
            self.push(
                Op { act, from, until: until.max(from), optional, after: None },
                Source::Operation(operation),
            );
        }
    }

    pub(super) fn add_loads(&mut self) {
        for fault in &self.history.faults {
            let Some((from, until)) = load_span(fault) else { continue };
            // SIGTERM flushes what is written lazily; a kill and a reload do not.
            let lossy = !matches!(fault.kind, FaultKind::Restart { signal: StopSignal::Sigterm, .. })
                || self.windows.unwritable(fault.began, from);
            let op = Op {
                act: Act::Load { lossy },
                from,
                until: until.unwrap_or(self.history.ended).max(from),
                // A gateway that never came back may never have read anything.
                optional: until.is_none(),
                after: None,
            };
            self.push(op, Source::Load(fault));
        }
    }
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
