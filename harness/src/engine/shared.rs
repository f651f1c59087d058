//! What the clients of one reactor share: the plan, where things go, and a bound on attempts in progress.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::assignment::{Assignment, ReactorOutput};
use super::feed::{Feed, StopPhase};
use super::lane::Lane;
use super::opening::Opening;
use super::transcripts::{PAGES_BYTES, Transcripts};
use super::workbench::Workbench;
use crate::client::{AuthKey, Template, upgrade};
use crate::clock::Clock;
use crate::gateway::TargetAddress;
use crate::plan::identity::Identities;
use crate::plan::{Cohort, CohortId, ConnectSpec, ForwardedFor, NetworkPath, Plan};
use crate::vocabulary::persona::{self, PersonaProfile};
use crate::websocket::InvalidHeader;

/// What the clients of one reactor share. Not shared with other reactors.
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) identities: Identities,
    pub(super) target: TargetAddress,
    pub(super) secret: String,
    pub(super) clock: Clock,
    pub(super) feed: Feed,
    pub(super) lane: Lane,
    pub(super) stop: watch::Receiver<StopPhase>,
    pub(super) bench: RefCell<Workbench>,
    cohorts: Vec<Vec<PreparedAsk>>,
    in_flight: Rc<Cell<usize>>,
    in_flight_max: usize,
    secrets: RefCell<HashSet<Rc<str>>>,
}

/// One connect of a cohort, with everything made that its clients have in common.
pub(super) struct PreparedAsk {
    pub(super) traits: &'static PersonaProfile,
    templates: [OnceCell<Option<Template>>; AuthKey::ALL.len()],
    opening: OnceCell<Result<Rc<Opening>, InvalidHeader>>,
    /// Each client has headers of its own.
    pub(super) opens_by_itself: bool,
}

impl PreparedAsk {
    fn new(plan: &Plan, spec: &ConnectSpec) -> Self {
        Self {
            traits: persona::profile(spec.persona, plan.gateway.profile),
            templates: Default::default(),
            opening: OnceCell::new(),
            opens_by_itself: matches!(spec.path, NetworkPath::Proxy { forwarded_for: ForwardedFor::Own, .. }),
        }
    }

    /// The request with holes for a credential under `key`, where there can be one.
    pub(super) fn template(&self, spec: &ConnectSpec, key: AuthKey) -> Option<&Template> {
        let position = AuthKey::ALL.iter().position(|known| *known == key)?;
        let cell = self.templates.get(position)?;
        cell.get_or_init(|| Template::new(spec, self.traits, key)).as_ref()
    }

    /// The opening that all clients of the cohort share.
    pub(super) fn opening(
        &self,
        spec: &ConnectSpec,
        target: &TargetAddress,
    ) -> Result<Rc<Opening>, InvalidHeader> {
        let opening = self.opening.get_or_init(|| {
            let headers = upgrade::headers(spec, &target.host, None, self.traits.headers);
            Opening::new(target, &headers).map(Rc::new)
        });
        opening.clone()
    }
}

/// A place among the attempts in progress, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Shared {
    pub(super) fn new(assignment: &Assignment) -> Self {
        Self::with(assignment, assignment.feed.lane())
    }

    /// Shared by clients whose records go into `lane`.
    pub(super) fn with(assignment: &Assignment, lane: Lane) -> Self {
        let plan = &assignment.plan;
        let cohorts = plan
            .cohorts
            .iter()
            .map(|cohort| {
                let asks = std::iter::once(&cohort.connect).chain(&cohort.variants);
                asks.map(|spec| PreparedAsk::new(plan, spec)).collect()
            })
            .collect();
        Self {
            plan: Arc::clone(plan),
            identities: assignment.identities.clone(),
            target: assignment.target.clone(),
            secret: assignment.secret.clone(),
            clock: assignment.clock,
            feed: assignment.feed.clone(),
            lane,
            stop: assignment.stop.clone(),
            bench: RefCell::new(
                Workbench::new(assignment.clock, Some(Transcripts::new(PAGES_BYTES)))
                    .with_clock_step(assignment.feed.clock_step()),
            ),
            cohorts,
            in_flight: Rc::default(),
            in_flight_max: (plan.in_flight_max / assignment.reactors).max(1),
            secrets: RefCell::default(),
        }
    }

    /// The clock of the run, which starts after everything has been prepared.
    pub(super) fn start_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.bench.get_mut().clock = clock;
    }

    /// Connect `ask` of a cohort.
    pub(super) fn ask(&self, cohort: CohortId, ask: u16) -> Option<(&Cohort, &ConnectSpec, &PreparedAsk)> {
        let planned = self.plan.cohorts.get(usize::from(cohort))?;
        let prepared = self.cohorts.get(usize::from(cohort))?.get(usize::from(ask))?;
        Some((planned, planned.ask(ask)?, prepared))
    }

    /// What was kept for the end of the run.
    pub(super) fn take_output(&self) -> ReactorOutput {
        self.lane.flush();
        let transcripts = self.bench.borrow_mut().transcripts.take();
        ReactorOutput {
            transcripts: transcripts.into_iter().collect(),
            secrets: self.secrets.take().iter().map(|secret| secret.as_ref().to_owned()).collect(),
        }
    }

    /// Takes a place among the attempts in progress, if there is one.
    pub(super) fn enter(&self) -> Option<Place> {
        if self.in_flight.get() >= self.in_flight_max {
            return None;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        Some(Place(Rc::clone(&self.in_flight)))
    }

    /// A secret that the gateway gave out, to be kept from every file.
    pub(super) fn learn_secret(&self, secret: &Rc<str>) {
        self.secrets.borrow_mut().insert(Rc::clone(secret));
    }
}
