//! What of a run's result goes into the table of a sweep.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::RunResult;
use crate::record::caught::Fates;
use crate::record::restarts::Restart;
use crate::record::store_times::StoreTimes;

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds, as a duration.
    Micros,
    /// A number with a digit behind the point.
    Number,
}

/// A figure of a run or of a restart. It has a median over repeats, and may grow with a size.
pub struct Figure<T: 'static> {
    /// Its key in `sweep.json`, as `result.json` has it.
    pub key: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// Its value; `None` = there is none.
    of: fn(&T) -> Option<f64>,
}

/// A number that is added up over repeats.
pub struct Count<T: 'static> {
    /// Its key in `sweep.json`.
    pub key: &'static str,
    of: fn(&T) -> u64,
}

fn micros(value: Option<u64>) -> Option<f64> {
    value.map(|micros| micros as f64)
}

macro_rules! micros {
    ($type:ty, $($key:literal => $($field:ident).+),+ $(,)?) => {
        [$(Figure::<$type> { key: $key, unit: Unit::Micros, of: |it| micros(it.$($field).+) }),+]
    };
}

/// Figures of a whole run.
pub const OF_RUN: [Figure<RunResult>; 4] = micros![RunResult,
    "response.p50" => phases.response.p50,
    "response.p99" => phases.response.p99,
    "approval_to_session.p50" => approval_to_session.headline.p50,
    "approval_to_session.p99" => approval_to_session.headline.p99,
];

/// Durations of a restart.
pub const OF_RESTART: [Figure<Restart>; 16] = micros![Restart,
    "port_closed" => port_closed,
    "exited" => exited,
    "port_open" => port_open,
    "store_loaded" => store_loaded,
    "ready" => ready,
    "first_session" => first_session,
    "back.p50" => back.p50,
    "back.p90" => back.p90,
    "back.p99" => back.p99,
    "back.all" => back.all,
    "handshakes.before.p50" => handshakes.before.p50,
    "handshakes.before.p99" => handshakes.before.p99,
    "handshakes.during.p50" => handshakes.during.p50,
    "handshakes.during.p99" => handshakes.during.p99,
    "handshakes.after.p50" => handshakes.after.p50,
    "handshakes.after.p99" => handshakes.after.p99,
];

/// What the gateway said of its store, before the restart and after it.
const OF_STORE: [OfStore; 9] = [
    OfStore::new("store.before.lock.mean", |it| before(it)?.lock.mean),
    OfStore::new("store.after.lock.mean", |it| after(it)?.lock.mean),
    OfStore::new("store.after.lock.sum", |it| Some(after(it)?.lock.sum)),
    OfStore::new("store.before.wait.mean", |it| before(it)?.wait.mean),
    OfStore::new("store.after.wait.mean", |it| after(it)?.wait.mean),
    OfStore::new("store.before.commit.mean", |it| before(it)?.commit.mean),
    OfStore::new("store.after.commit.mean", |it| after(it)?.commit.mean),
    OfStore::new("store.after.commit.sum", |it| Some(after(it)?.commit.sum)),
    OfStore::new("store.after.load", |it| after(it)?.load),
];

/// A figure of a store, µs.
struct OfStore {
    key: &'static str,
    of: fn(&Restart) -> Option<u64>,
}

impl OfStore {
    const fn new(key: &'static str, of: fn(&Restart) -> Option<u64>) -> Self {
        Self { key, of }
    }
}

fn before(restart: &Restart) -> Option<StoreTimes> {
    restart.store?.before
}

fn after(restart: &Restart) -> Option<StoreTimes> {
    restart.store?.after
}

/// Other figures of a restart.
pub const NUMBERS_OF_RESTART: [Figure<Restart>; 1] = [Figure {
    key: "attempts_per_recovered_client",
    unit: Unit::Number,
    of: |restart| restart.attempts_per_recovered_client,
}];

/// Counts of a whole run.
pub const COUNTS_OF_RUN: [Count<RunResult>; 13] = [
    Count { key: "attempted", of: |run| run.attempts.attempted },
    Count { key: "session", of: |run| run.attempts.session },
    Count { key: "refused", of: |run| run.attempts.refused },
    Count { key: "mismatches", of: |run| run.mismatches.total },
    Count { key: "indeterminate", of: |run| run.indeterminate },
    Count { key: "approvals.acknowledged.all", of: |run| run.approvals_at_restarts.acknowledged.all },
    Count { key: "approvals.acknowledged.let_in", of: |run| run.approvals_at_restarts.acknowledged.let_in },
    Count { key: "approvals.acknowledged.refused", of: |run| run.approvals_at_restarts.acknowledged.refused },
    Count {
        key: "approvals.acknowledged.not_known",
        of: |run| not_known(&run.approvals_at_restarts.acknowledged),
    },
    Count { key: "approvals.unknown.all", of: |run| run.approvals_at_restarts.unknown.all },
    Count { key: "approvals.unknown.let_in", of: |run| run.approvals_at_restarts.unknown.let_in },
    Count { key: "approvals.unknown.refused", of: |run| run.approvals_at_restarts.unknown.refused },
    Count { key: "approvals.unknown.not_known", of: |run| not_known(&run.approvals_at_restarts.unknown) },
];

/// Nobody can say: approved again before it came, or not seen.
const fn not_known(fates: &Fates) -> u64 {
    fates.approved_again + fates.not_seen
}

/// Counts of a restart.
pub const COUNTS_OF_RESTART: [Count<Restart>; 8] = [
    Count { key: "population", of: |restart| restart.population },
    Count { key: "left", of: |restart| restart.left },
    Count { key: "sessions_lost", of: |restart| restart.sessions_lost },
    Count { key: "recovered", of: |restart| restart.recovered },
    Count { key: "unanswered", of: |restart| restart.handshakes.during.unanswered },
    Count { key: "in_flight.acknowledged", of: |restart| restart.approvals_in_flight.acknowledged },
    Count { key: "in_flight.refused", of: |restart| restart.approvals_in_flight.refused },
    Count { key: "in_flight.unknown", of: |restart| restart.approvals_in_flight.unknown },
];

/// Figures and counts of one run, or of one restart of it. Durations are microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// By key; what is missing was not there.
    pub figures: BTreeMap<String, f64>,
    /// By key.
    pub counts: BTreeMap<String, u64>,
}

/// A restart as a table shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeenRestart {
    /// Name of the fault in the scenario.
    pub name: String,
    /// `SIGTERM` or `SIGKILL`.
    pub signal: String,
    /// What it was.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What of a result goes into the table.
#[must_use]
pub fn of(result: &RunResult) -> (Seen, Vec<SeenRestart>) {
    let run = Seen { figures: values(&OF_RUN, result), counts: counted(&COUNTS_OF_RUN, result) };
    let restarts = result.restarts.iter().map(|restart| {
        let mut figures = values(&OF_RESTART, restart);
        figures.extend(values(&NUMBERS_OF_RESTART, restart));
        let of_store = OF_STORE.iter().filter_map(|figure| Some((figure.key, (figure.of)(restart)?)));
        figures.extend(of_store.map(|(key, micros)| (key.to_owned(), micros as f64)));
        SeenRestart {
            name: fault_of(&restart.name).to_owned(),
            signal: restart.signal.clone(),
            seen: Seen { figures, counts: counted(&COUNTS_OF_RESTART, restart) },
        }
    });
    (run, restarts.collect())
}

/// A fault that happens several times is called `kill/1`, `kill/2`, …; a name in a scenario has no `/`.
fn fault_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(fault, _)| fault)
}

fn values<T>(figures: &[Figure<T>], of: &T) -> BTreeMap<String, f64> {
    figures.iter().filter_map(|figure| Some((figure.key.to_owned(), (figure.of)(of)?))).collect()
}

fn counted<T>(counts: &[Count<T>], of: &T) -> BTreeMap<String, u64> {
    counts.iter().map(|count| (count.key.to_owned(), (count.of)(of))).collect()
}

/// How the figure of this key is written.
#[must_use]
pub fn unit(key: &str) -> Unit {
    let number = NUMBERS_OF_RESTART.iter().any(|figure| figure.key == key);
    if number { Unit::Number } else { Unit::Micros }
}
