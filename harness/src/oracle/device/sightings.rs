//! When tokens and request ids of one device were first seen.

use std::collections::HashMap;
use std::hash::Hash;

use super::DeviceJudge;
use crate::history::{OperationEnd, OperationKind};
use crate::observation::{Fingerprint, Outcome};
use crate::oracle::state::Mark;
use crate::oracle::timeline::Device;
use crate::plan::Nanos;

/// When tokens and request ids of one device were first seen.
#[derive(Default)]
pub(super) struct Sightings<'h> {
    /// The number of an id is its position.
    ids: Firsts<&'h str>,
    tokens: Firsts<Fingerprint>,
}

impl<'h> Sightings<'h> {
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.tokens.clear();
    }

    pub(super) fn id(&mut self, id: &'h str, at: Nanos) {
        self.ids.note(id, at);
    }

    pub(super) fn token(&mut self, token: Fingerprint, at: Nanos) {
        self.tokens.note(token, at);
    }

    pub(super) fn id_mark(&self, id: &str) -> Option<Mark> {
        let position = self.ids.position(&id)?;
        let (_, first) = self.ids.all.get(position)?;
        Some(Mark { value: position as u64, first: *first })
    }

    pub(super) fn token_mark(&self, token: Fingerprint) -> Option<Mark> {
        let (_, first) = self.tokens.all.get(self.tokens.position(&token)?)?;
        Some(Mark { value: token.0, first: *first })
    }

    pub(super) fn id_name(&self, value: u64) -> Option<&'h str> {
        self.ids.all.get(usize::try_from(value).ok()?).map(|(id, _)| *id)
    }
}

/// Things in the order in which they were noted, each with the earliest time. Most devices have one or two of a kind,
/// which are found faster without a table.
struct Firsts<K> {
    all: Vec<(K, Nanos)>,
    /// Positions in `all`, once there are more than a few.
    positions: HashMap<K, usize>,
}

impl<K> Default for Firsts<K> {
    fn default() -> Self {
        Self { all: Vec::new(), positions: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Firsts<K> {
    const FEW: usize = 8;

    fn clear(&mut self) {
        self.all.clear();
        self.positions.clear();
    }

    fn position(&self, thing: &K) -> Option<usize> {
        if self.all.len() > Self::FEW {
            self.positions.get(thing).copied()
        } else {
            // The latest is asked for most.
            self.all.iter().rposition(|(known, _)| known == thing)
        }
    }

    fn note(&mut self, thing: K, at: Nanos) {
        if let Some((_, first)) = self.position(&thing).and_then(|position| self.all.get_mut(position)) {
            *first = at.min(*first);
            return;
        }
        self.all.push((thing, at));
        if self.all.len() > Self::FEW {
            let unlisted = self.positions.len();
            self.positions.extend(
                self.all.iter().enumerate().skip(unlisted).map(|(position, (thing, _))| (*thing, position)),
            );
        }
    }
}

impl<'h> DeviceJudge<'_, '_, 'h> {
    /// Notes every token and request id that the history shows.
    pub(super) fn see(&mut self, stored: &[(&str, Fingerprint)], device: &Device<'_, 'h>) {
        self.sightings.clear();
        for (_, token) in stored {
            self.sightings.token(*token, 0);
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
}
