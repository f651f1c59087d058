//! Who starts next, and when: arrivals of an open model from the schedule, clients of a closed one when a slot is free.

use std::collections::{HashMap, VecDeque};

use rand_chacha::ChaCha8Rng;

use super::client::Client;
use super::shared::Shared;
use crate::client::reconnect;
use crate::clock::nanos;
use crate::plan::{ClientId, CohortId, DurationRange, Executor, Nanos, stream};

/// Clients whose keys are made before the run, a reactor. Making one takes some 10 µs, which a start should not have to wait
/// for; holding it takes half a kilobyte. Beyond this number clients are made when they are due.
const MADE_AHEAD: usize = 100_000;

/// The clients of one reactor that have not started.
pub(super) struct Starts {
    /// In order of time.
    arrivals: std::iter::Peekable<std::vec::IntoIter<(Nanos, ClientId)>>,
    waiting: HashMap<CohortId, VecDeque<ClientId>>,
    slots: Vec<Slot>,
    made: HashMap<ClientId, Client>,
}

/// A place of a closed model: one client after the other.
struct Slot {
    cohort: CohortId,
    think: DurationRange,
    rng: ChaCha8Rng,
    /// Nobody starts before.
    earliest: Nanos,
}

impl Starts {
    /// The clients of reactor `position` of `reactors`: every open one whose id leaves that remainder, and every closed
    /// cohort whose position does, because its slots share one queue.
    pub(super) fn new(shared: &Shared, position: usize, reactors: usize) -> Self {
        let plan = &shared.plan;
        let mut arrivals = Vec::new();
        let mut waiting: HashMap<CohortId, VecDeque<ClientId>> = HashMap::new();
        for (id, planned) in plan.arriving() {
            let executor = plan.cohorts.get(usize::from(planned.cohort)).map(|cohort| &cohort.executor);
            match executor {
                Some(Executor::Closed { .. }) if usize::from(planned.cohort) % reactors == position => {
                    waiting.entry(planned.cohort).or_default().push_back(id);
                }
                Some(Executor::Open) if id as usize % reactors == position => {
                    arrivals.push((planned.intended, id));
                }
                _ => {}
            }
        }
        arrivals.sort_unstable();
        let mut slots = Vec::new();
        for &cohort in waiting.keys() {
            let Some(Executor::Closed { concurrency, think }) =
                plan.cohorts.get(usize::from(cohort)).map(|cohort| cohort.executor.clone())
            else {
                continue;
            };
            slots.extend((0..concurrency).map(|slot| Slot {
                cohort,
                think,
                rng: stream(plan.seed, "slot", &cohort.to_string(), slot),
                earliest: 0,
            }));
        }
        let early = arrivals.iter().map(|(_, id)| *id).chain(waiting.values().flatten().copied());
        let made = early
            .take(MADE_AHEAD)
            .filter_map(|id| Client::new(shared, id).map(|client| (id, client)))
            .collect();
        Self { arrivals: arrivals.into_iter().peekable(), waiting, slots, made }
    }

    /// Number of slots; each is to be filled when the run begins.
    pub(super) const fn slots(&self) -> usize {
        self.slots.len()
    }

    /// When the next arrival is due.
    pub(super) fn next_arrival(&mut self) -> Option<Nanos> {
        self.arrivals.peek().map(|(intended, _)| *intended)
    }

    /// Takes the next arrival, if it is due.
    pub(super) fn arrive(&mut self, now: Nanos) -> Option<(Nanos, ClientId)> {
        self.arrivals.next_if(|(intended, _)| *intended <= now)
    }

    /// The client that fills `slot` next, and when it starts; `None` when nobody is left.
    pub(super) fn fill(&mut self, slot: usize, shared: &Shared, now: Nanos) -> Option<(Nanos, Client)> {
        loop {
            let slot = self.slots.get(slot)?;
            let earliest = slot.earliest;
            let id = self.waiting.get_mut(&slot.cohort)?.pop_front()?;
            let intended = shared.plan.clients.get(id as usize).map_or(0, |client| client.intended);
            if let Some(client) = self.make(id, shared) {
                return Some((now.max(intended).max(earliest), client));
            }
        }
    }

    /// The client in `slot` has ended its script at `now`: the next one thinks first.
    pub(super) fn free(&mut self, slot: usize, shared: &Shared, now: Nanos) {
        if let Some(slot) = self.slots.get_mut(slot) {
            let pause = reconnect::draw(slot.think, &mut slot.rng).mul_f64(shared.plan.time_scale);
            slot.earliest = now + nanos(pause);
        }
    }

    /// A client, made before or now.
    pub(super) fn make(&mut self, id: ClientId, shared: &Shared) -> Option<Client> {
        self.made.remove(&id).or_else(|| Client::new(shared, id))
    }

    /// Nobody starts any more. Gives the arrivals that were due by `now`: they are counted, not skipped. A closed model
    /// promises no number of starts; what did not begin there was not due.
    pub(super) fn stop(&mut self, now: Nanos) -> Vec<(Nanos, ClientId)> {
        self.waiting.clear();
        self.made.clear();
        let left: Vec<(Nanos, ClientId)> = self.arrivals.by_ref().collect();
        left.into_iter().filter(|(intended, _)| *intended <= now).collect()
    }
}
