//! A reactor: one thread, one single-threaded runtime, a share of the clients.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::thread::JoinHandle;

use tokio::task::{JoinSet, LocalSet};

use super::assignment::{Assignment, ReactorOutput};
use super::feed::StopPhase;
use super::script::Client;
use super::shared::Shared;
use crate::client::reconnect;
use crate::clock::nanos;
use crate::history::Record;
use crate::observation::{DropReason, Observation, Outcome, Stamps};
use crate::plan::{ClientId, CohortId, Executor, Nanos, stream};

/// A running reactor.
#[derive(Debug)]
pub struct Reactor {
    thread: JoinHandle<std::io::Result<ReactorOutput>>,
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

fn run_thread(assignment: &Assignment, position: usize) -> std::io::Result<ReactorOutput> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared::new(assignment));
    let local = LocalSet::new();
    local.block_on(&runtime, drive(&shared, position, assignment.reactors));
    Ok(shared.take_output())
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
fn start_slots(shared: &Rc<Shared>, tasks: &mut JoinSet<()>, cohort: CohortId, waiting: VecDeque<ClientId>) {
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
            // Thinking ends early when the run does, like every other wait.
            let mut earliest_next = 0;
            loop {
                let next = waiting.borrow_mut().pop_front();
                let Some(id) = next else { return };
                let earliest = shared.plan.clients.get(id as usize).map_or(0, |client| client.intended);
                let intended = shared.clock.now().max(earliest).max(earliest_next);
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
                earliest_next = shared.clock.now() + nanos(pause);
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
        ask: 0,
        intended,
        stamps: Stamps::default(),
        presented_token: None,
        outcome: Outcome::Dropped(DropReason::RunEnded),
    }));
}
