//! When tokens and request ids of one device were first seen.

use std::collections::HashMap;

use super::{DeviceJudge, stored};
use crate::history::{OperationEnd, OperationKind};
use crate::observation::{Fingerprint, Outcome};
use crate::oracle::CohortRules;
use crate::oracle::state::Mark;
use crate::oracle::timeline::Device;
use crate::plan::{Nanos, PlannedClient};

/// When tokens and request ids of one device were first seen.
#[derive(Default)]
pub(super) struct Sightings<'h> {
    ids: HashMap<&'h str, Mark>,
    names: Vec<&'h str>,
    tokens: HashMap<Fingerprint, Nanos>,
}

impl<'h> Sightings<'h> {
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.names.clear();
        self.tokens.clear();
    }

    pub(super) fn id(&mut self, id: &'h str, at: Nanos) {
        let next = self.names.len();
        let mark = self.ids.entry(id).or_insert_with(|| Mark { value: next as u64, first: at });
        mark.first = mark.first.min(at);
        if mark.value == next as u64 {
            self.names.push(id);
        }
    }

    pub(super) fn token(&mut self, token: Fingerprint, at: Nanos) {
        let first = self.tokens.entry(token).or_insert(at);
        *first = at.min(*first);
    }

    pub(super) fn id_mark(&self, id: &str) -> Option<Mark> {
        self.ids.get(id).copied()
    }

    pub(super) fn token_mark(&self, token: Fingerprint) -> Option<Mark> {
        self.tokens.get(&token).map(|first| Mark { value: token.0, first: *first })
    }

    pub(super) fn id_name(&self, value: u64) -> Option<&'h str> {
        self.names.get(usize::try_from(value).ok()?).copied()
    }
}

impl<'h> DeviceJudge<'_, '_, 'h> {
    /// Notes every token and request id that the history shows.
    pub(super) fn see(&mut self, rules: &CohortRules<'_>, client: &PlannedClient, device: &Device<'_, 'h>) {
        self.sightings.clear();
        for (_, token) in stored::tokens(self.oracle, rules, client) {
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
}
