//! What the clients of one reactor share: the plan, where things go, and a bound on attempts in progress.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::assignment::{Assignment, ReactorOutput};
use super::feed::{Feed, StopPhase};
use crate::clock::Clock;
use crate::gateway::TargetAddress;
use crate::observation::TranscriptLine;
use crate::plan::identity::Identities;
use crate::plan::{ClientId, Plan};

/// Attempts of one client whose transcripts are kept; older ones are forgotten, so that a client in a tight loop cannot
/// fill the memory.
const TRANSCRIPTS_PER_CLIENT: usize = 16;

/// What the clients of one reactor share. Not shared with other reactors.
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) identities: Identities,
    pub(super) target: TargetAddress,
    pub(super) secret: String,
    pub(super) clock: Clock,
    pub(super) feed: Feed,
    pub(super) stop: watch::Receiver<StopPhase>,
    in_flight: Rc<Cell<usize>>,
    in_flight_max: usize,
    kept: RefCell<HashMap<ClientId, VecDeque<KeptAttempt>>>,
    secrets: RefCell<HashSet<String>>,
}

/// An attempt's number and what passed in it.
type KeptAttempt = (u32, Vec<TranscriptLine>);

/// A place among the attempts in progress, given back when dropped.
pub(super) struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Shared {
    pub(super) fn new(assignment: &Assignment) -> Self {
        Self {
            plan: Arc::clone(&assignment.plan),
            identities: assignment.identities.clone(),
            target: assignment.target.clone(),
            secret: assignment.secret.clone(),
            clock: assignment.clock,
            feed: assignment.feed.clone(),
            stop: assignment.stop.clone(),
            in_flight: Rc::default(),
            in_flight_max: (assignment.plan.in_flight_max / assignment.reactors).max(1),
            kept: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// What was kept for the end of the run; nothing is left.
    pub(super) fn take_output(&self) -> ReactorOutput {
        let kept = self.kept.take().into_iter();
        let transcripts = kept
            .flat_map(|(client, attempts)| {
                attempts.into_iter().map(move |(attempt, lines)| ((client, attempt), lines))
            })
            .collect();
        ReactorOutput { transcripts, secrets: self.secrets.take() }
    }

    /// Takes a place among the attempts in progress, if there is one.
    pub(super) fn enter(&self) -> Option<Place> {
        if self.in_flight.get() >= self.in_flight_max {
            return None;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        Some(Place(Rc::clone(&self.in_flight)))
    }

    pub(super) fn keep_transcript(&self, client: ClientId, attempt: u32, lines: Vec<TranscriptLine>) {
        let mut kept = self.kept.borrow_mut();
        let attempts = kept.entry(client).or_default();
        if attempts.len() >= TRANSCRIPTS_PER_CLIENT {
            attempts.pop_front();
        }
        attempts.push_back((attempt, lines));
    }

    pub(super) fn learn_secret(&self, secret: &str) {
        let mut secrets = self.secrets.borrow_mut();
        if !secrets.contains(secret) {
            secrets.insert(secret.to_owned());
        }
    }
}
