//! What the judgement of one shard has to know of all the others.
//!
//! A run is judged shard by shard: all records of some clients at a time, so that memory stays flat however long the run
//! was. Nearly everything is local to a client. What is not is collected here, in a pass of its own over all shards:
//!
//! | rule | looks across clients at | kept |
//! |---|---|---|
//! | lock-outs, sockets (`limits`) | all attempts of an address | 32 bytes an attempt, where the gateway counts by address |
//! | late upgrades (`conduct`) | when a stopping gateway first told a session | 8 bytes for each session closed with 1012 |
//! | operators' answers (`conduct`) | the caller's session, and what it approved | what a story's clients asked |
//!
//! Faults are in every shard ([`Windows`]). Invariants and ends of sessions look at a client's own attempts and at the
//! operations on its device, which are in every shard too.

use std::collections::HashMap;

use super::conduct::{self, Sessions};
use super::limits::{Addresses, Answer, Counted, Neighbours, Who};
use super::verdict::Breach;
use super::windows::Windows;
use super::{CohortRules, Oracle};
use crate::history::{EndedBy, Fault, History};
use crate::observation::{CloseSeen, Observation};
use crate::plan::{ClientId, FaultKind, Nanos, OracleMode, StopSignal};

/// Collects what crosses the borders of shards; made by [`Oracle::survey`].
pub struct Survey<'o, 'p> {
    oracle: &'o Oracle<'p>,
    addresses: Addresses,
    /// When sessions were told that the gateway restarts.
    told: Vec<Nanos>,
    sessions: Sessions<'p>,
}

/// What crosses the borders of shards, ready to be asked. [`Oracle::judge_shard`] takes it.
#[derive(Default)]
pub struct Surveyed {
    pub(super) neighbours: Neighbours,
    /// From when a stopping gateway had told so until its process was gone.
    pub(super) stops: Vec<(Nanos, Nanos)>,
    breaches: Vec<Breach>,
}

impl Surveyed {
    /// Breaches in how operators' operations were answered. An operation is in every shard, so that no shard's judgement
    /// has them: they belong into the run's judgement once.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    pub(super) fn take_breaches(&mut self) -> Vec<Breach> {
        std::mem::take(&mut self.breaches)
    }
}

impl<'p> Oracle<'p> {
    /// Begins to collect what the judgement of a shard has to know of all the others.
    #[must_use]
    pub fn survey(&self) -> Survey<'_, 'p> {
        Survey {
            oracle: self,
            addresses: Addresses::default(),
            told: Vec::new(),
            sessions: Sessions::default(),
        }
    }

    /// Whether [`Survey::add`] has anything to collect in a run with the operations and faults of `shared`. If not, the
    /// pass over all attempts can be left out, and [`Survey::finish`] asked at once.
    #[must_use]
    pub fn needs_survey(&self, shared: &History) -> bool {
        self.plan.oracle == OracleMode::Profile
            && (self.counts_by_address()
                || shared.faults.iter().any(|fault| stopped(fault).is_some())
                || shared.operations.iter().any(|operation| operation.caller.is_some()))
    }

    fn counts_by_address(&self) -> bool {
        self.release.sockets_max.is_some()
            || self.rate_limits.addresses.is_some()
            || (self.rate_limits.pages.is_some() && self.cohorts.iter().any(CohortRules::sends_origin))
    }
}

impl Survey<'_, '_> {
    /// Takes in the attempts and ends of sessions of `shard`, which must not have been added before.
    ///
    /// While a run goes on, records may be added as they come, in any order: but for sessions through which operators
    /// ask, only a plan with steps has those, nothing here depends on what else is in the shard.
    pub fn add(&mut self, shard: &History) {
        if self.oracle.plan.oracle != OracleMode::Profile {
            return;
        }
        if self.oracle.counts_by_address() {
            self.add_addresses(&shard.attempts);
        }
        let is_told = |by: &EndedBy| {
            matches!(
                by,
                EndedBy::Gateway(CloseSeen::Frame { code: protocol::close::code::SERVICE_RESTART, .. })
            )
        };
        self.told.extend(shard.session_ends.iter().filter(|end| is_told(&end.by)).map(|end| end.at));
        let through_sessions = || shard.operations.iter().any(|operation| operation.caller.is_some());
        if !self.oracle.plan.steps.is_empty() || through_sessions() {
            self.sessions.add(self.oracle.plan, &shard.attempts);
        }
    }

    /// What was collected, with the operations and faults of `shared` (those of any shard, or of a history without
    /// attempts). More may be added afterwards, and this asked again.
    pub fn finish(&mut self, shared: &History) -> Surveyed {
        let oracle = self.oracle;
        if oracle.plan.oracle != OracleMode::Profile {
            return Surveyed::default();
        }
        let windows = Windows::new(&shared.faults, oracle.clocks);
        self.told.sort_unstable();
        Surveyed {
            neighbours: self.addresses.neighbours(
                oracle.release.sockets_max,
                oracle.rate_limits,
                oracle.plan.time_scale,
                windows.exits(),
            ),
            stops: shared.faults.iter().filter_map(|fault| self.stopping(fault)).collect(),
            breaches: {
                let mut breaches = conduct::of_operations(oracle.plan, &shared.operations, &self.sessions);
                breaches.extend(conduct::of_faults(&shared.faults));
                breaches
            },
        }
    }

    /// When a stopping gateway was first seen to close a session with 1012, and when its process was gone.
    fn stopping(&self, fault: &Fault) -> Option<(Nanos, Nanos)> {
        let exited = stopped(fault)?;
        let first = self.told.partition_point(|at| *at < fault.began);
        let told = self.told.get(first).filter(|at| **at < exited)?;
        Some((*told, exited))
    }

    fn add_addresses(&mut self, attempts: &[Observation]) {
        let oracle = self.oracle;
        // A client's connects come from the same place each time.
        let mut known: HashMap<(ClientId, u16, bool), Option<u32>> = HashMap::new();
        for observation in attempts {
            let Some(ask) = oracle.rules_of(observation).and_then(|rules| rules.ask(observation.ask)) else {
                continue;
            };
            let has_token = observation.presented_token.is_some();
            let variant = ask.variant(has_token);
            let addresses = &mut self.addresses;
            let place = *known.entry((observation.client, observation.ask, has_token)).or_insert_with(|| {
                let seat = oracle.seat(ask, oracle.client_of(observation)?);
                let address = seat.address?;
                let counted = Counted::of(variant, seat.place, oracle.plan.gateway.auth);
                let who = || Who::of(&variant.facts, address, &oracle.release.lockouts);
                addresses.place(address, counted.map(|counted| (who(), counted)))
            });
            if let Some(place) = place {
                self.addresses.add(observation, place, Answer::of(&observation.outcome, variant));
            }
        }
    }
}

/// When the process of a gateway that was told to stop was gone.
fn stopped(fault: &Fault) -> Option<Nanos> {
    match fault.kind {
        FaultKind::Restart { signal: StopSignal::Sigterm, .. } => fault.restart?.exited,
        _ => None,
    }
}
