//! A reactor: one thread, one single-threaded runtime, a share of the clients.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use super::feed::{Feed, StopPhase};
use super::script::Client;
use crate::client::reconnect;
use crate::clock::{Clock, nanos};
use crate::history::Record;
use crate::observation::{DropReason, Observation, Outcome, Stamps, TranscriptLine};
use crate::plan::identity::Identities;
use crate::plan::{ClientId, CohortId, Executor, Nanos, Plan, stream};
use crate::target::TargetAddress;

/// Attempts of one client whose transcripts are kept; older ones are forgotten, so that a client in a tight loop cannot
/// fill the memory.
const TRANSCRIPTS_PER_CLIENT: usize = 16;

/// What every reactor is given.
#[derive(Clone)]
pub struct Assignment {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Identities of its clients.
    pub identities: Identities,
    /// Where the load goes.
    pub target: TargetAddress,
    /// The gateway's shared secret.
    pub secret: String,
    /// The run's clock.
    pub clock: Clock,
    /// Where records go.
    pub feed: Feed,
    /// When to stop.
    pub stop: watch::Receiver<StopPhase>,
    /// Number of reactors.
    pub reactors: usize,
    /// Dropped when the reactor's thread ends.
    pub alive: mpsc::Sender<()>,
}

/// A running reactor.
#[derive(Debug)]
pub struct Reactor {
    thread: JoinHandle<std::io::Result<ReactorOutput>>,
}

/// What a reactor kept to itself until it was done.
#[derive(Debug, Default)]
pub struct ReactorOutput {
    /// What passed in the kept attempts.
    pub transcripts: HashMap<(ClientId, u32), Vec<TranscriptLine>>,
    /// Secrets that the gateway issued, for redaction.
    pub secrets: HashSet<String>,
}

/// Why a reactor has no output.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    /// The thread or its runtime could not be made.
    #[error("a reactor could not start: {0}")]
    Start(#[from] std::io::Error),
    /// The thread panicked: a defect of the harness.
    #[error("a reactor panicked; this is a defect of pairstorm")]
    Panicked,
}

impl Reactor {
    /// Starts reactor `position` of `assignment.reactors`; it takes every open client whose
    /// id leaves that remainder, and every closed cohort whose position does.
    ///
    /// # Errors
    /// [`ReactorError::Start`] when the system has no thread to give.
    pub fn start(assignment: Assignment, position: usize) -> Result<Self, ReactorError> {
        let thread = std::thread::Builder::new()
            .name(format!("reactor-{position}"))
            .spawn(move || run_thread(&assignment, position))?;
        Ok(Self { thread })
    }

    /// Whether its clients have all ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for it.
    ///
    /// # Errors
    /// [`ReactorError`]
    pub fn join(self) -> Result<ReactorOutput, ReactorError> {
        Ok(self.thread.join().map_err(|_| ReactorError::Panicked)??)
    }
}

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

fn run_thread(assignment: &Assignment, position: usize) -> std::io::Result<ReactorOutput> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared {
        plan: Arc::clone(&assignment.plan),
        identities: assignment.identities.clone(),
        target: assignment.target.clone(),
        secret: assignment.secret.clone(),
        clock: assignment.clock,
        feed: assignment.feed.clone(),
        stop: assignment.stop.clone(),
        in_flight: Rc::new(Cell::new(0)),
        in_flight_max: (assignment.plan.in_flight_max / assignment.reactors).max(1),
        kept: RefCell::default(),
        secrets: RefCell::default(),
    });
    let local = LocalSet::new();
    local.block_on(&runtime, drive(&shared, position, assignment.reactors));
    let transcripts = shared
        .kept
        .take()
        .into_iter()
        .flat_map(|(client, attempts)| {
            attempts.into_iter().map(move |(attempt, lines)| ((client, attempt), lines))
        })
        .collect();
    Ok(ReactorOutput { transcripts, secrets: shared.secrets.take() })
}

async fn drive(shared: &Rc<Shared>, position: usize, reactors: usize) {
    let mut open = Vec::new();
    let mut closed: HashMap<CohortId, VecDeque<ClientId>> = HashMap::new();
    for (id, planned) in (0..).zip(&shared.plan.clients) {
        let executor = shared.plan.cohorts.get(usize::from(planned.cohort)).map(|cohort| &cohort.executor);
        match executor {
            // A closed cohort lives on one reactor: its slots share one queue of clients.
            Some(Executor::Closed { .. }) if usize::from(planned.cohort) % reactors == position => {
                closed.entry(planned.cohort).or_default().push_back(id);
            }
            Some(Executor::Open) if id as usize % reactors == position => open.push((planned.intended, id)),
            _ => {}
        }
    }
    open.sort_unstable();

    let mut tasks = JoinSet::new();
    for (cohort, waiting) in closed {
        start_slots(shared, &mut tasks, cohort, waiting);
    }
    let mut stop = shared.stop.clone();
    let mut due = open.into_iter();
    for (intended, id) in due.by_ref() {
        tokio::select! {
            biased;
            _ = stop.wait_for(|phase| *phase != StopPhase::Running) => {
                never_started(shared, id, intended);
                break;
            }
            () = tokio::time::sleep_until(shared.clock.instant(intended)) => {}
        }
        if let Some(client) = Client::new(shared, id) {
            tasks.spawn_local(client.run(intended));
        }
        // Clients that have ended are collected as we go, so that the set does not grow with the plan.
        while tasks.try_join_next().is_some() {}
    }
    for (intended, id) in due {
        never_started(shared, id, intended);
    }
    while tasks.join_next().await.is_some() {}
}

/// Closed executor: slots that each run one client after another.
fn start_slots(
    shared: &Rc<Shared>,
    tasks: &mut JoinSet<()>,
    cohort: CohortId,
    waiting: VecDeque<ClientId>,
) {
    let Some(Executor::Closed { concurrency, think }) =
        shared.plan.cohorts.get(usize::from(cohort)).map(|cohort| cohort.executor.clone())
    else {
        return;
    };
    let waiting = Rc::new(RefCell::new(waiting));
    for slot in 0..concurrency {
        let (shared, waiting) = (Rc::clone(shared), Rc::clone(&waiting));
        tasks.spawn_local(async move {
            let mut rng = stream(shared.plan.seed, "slot", &cohort.to_string(), slot);
            loop {
                let next = waiting.borrow_mut().pop_front();
                let Some(id) = next else { return };
                let earliest = shared.plan.clients.get(id as usize).map_or(0, |client| client.intended);
                let intended = shared.clock.now().max(earliest);
                let mut stop = shared.stop.clone();
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|phase| *phase != StopPhase::Running) => {
                        // A closed model promises no number of starts: what did not begin was not due.
                        return;
                    }
                    () = tokio::time::sleep_until(shared.clock.instant(intended)) => {}
                }
                let Some(client) = Client::new(&shared, id) else { return };
                client.run(intended).await;
                let pause = reconnect::draw(think, &mut rng).mul_f64(shared.plan.time_scale);
                tokio::time::sleep_until(shared.clock.instant(shared.clock.now() + nanos(pause))).await;
            }
        });
    }
}

/// An arrival that the end of the run forestalled is counted, not skipped.
fn never_started(shared: &Shared, client: ClientId, intended: Nanos) {
    if intended > shared.clock.now() {
        // It was not due yet.
        return;
    }
    shared.feed.push(Record::Attempt(Observation {
        client,
        attempt: 0,
        intended,
        stamps: Stamps::default(),
        presented_token: None,
        outcome: Outcome::Dropped(DropReason::RunEnded),
    }));
}
