//! Scenario files: TOML text to a validated [`Scenario`].
//!
//! Everything that is wrong with a file is reported at once, each error with its place, the offending text and what
//! to do about it; only a file that is no TOML stops early. `scenarios/README.md` describes the language.
//!
//! A word that means the same in the file and in the plan (a persona, a credential, a deviation) has the plan's type,
//! because [`crate::vocabulary`] is the vocabulary of the harness and holds no logic.
//!
//! | module | holds |
//! |---|---|
//! | `document` | TOML as a tree that knows where everything stands |
//! | `extend` | what a file inherits from another one |
//! | `variables` | `[vars]`, `"{name}"`, `--set` |
//! | `reader`, `quantity`, `names` | reading a table key by key; durations, rates, shares; suggestions |
//! | `gateway`, `launch`, `network`, `cohort`, `arrivals`, `script`, `operator`, `fault`, `step`, `metric` | one table each |
//! | `sweep` | the same scenario with many combinations of values |
//! | `pace`, `replay`, `sources` | a rate that changes over time; lists of arrivals; the files that make up a scenario |
//! | `schema` | JSON Schema of the language, for editors |
//! | `check` | what several tables together get wrong |
//! | `diagnostic` | errors and how they are shown |

mod arrivals;
mod check;
mod cohort;
mod diagnostic;
mod document;
mod extend;
mod fault;
mod gateway;
mod launch;
mod metric;
mod names;
mod network;
mod operator;
mod pace;
mod quantity;
mod reader;
mod reconnect;
mod replay;
mod schema;
mod script;
mod sources;
mod step;
mod sweep;
#[cfg(test)]
mod tests;
mod variables;

use std::path::Path;
use std::time::Duration;

pub use arrivals::{Arrivals, HerdRepeat};
pub use cohort::CohortSpec;
pub(crate) use diagnostic::COMMAND_LINE;
pub use diagnostic::{Diagnostic, render};
pub use fault::{FaultSchedule, FaultSpec};
pub use gateway::PROFILES;
pub use launch::{Choices, is_version};
pub use metric::{Unit, metrics};
pub(crate) use quantity::show as show_duration;
pub use quantity::{Malformed, duration};
pub use reconnect::official;
pub use schema::schema;
pub use sweep::{Batch, Combination, RUNS_MAX, Sweep, label, word as value_word};

use crate::vocabulary::invariant::Invariant;
use crate::vocabulary::limits::limits;
use crate::vocabulary::{
    DurationRange, GatewayPlan, OperatorPlan, OracleMode, Step, Threshold, ValidityBudget,
};
use diagnostic::Sink;
use document::{Span, Table, Value};
use reader::{Fields, count, number, plain_text, positive_duration, share, text, whole, word};
pub use sources::Texts;
use sources::{ReadNamed, Sources};

/// Most clients a scenario may have, in a cohort and in all.
pub const COUNT_MAX: u32 = 1_000_000;
/// Most cohorts, operators or faults.
const TABLES_MAX: usize = 1_000;
/// Largest scenario file, bytes: a program wrote a larger one.
const FILE_MAX: u64 = 1024 * 1024;
const NO_PAUSE: DurationRange = DurationRange { min: Duration::ZERO, max: Duration::ZERO };

/// A scenario that holds together: every name in it resolves and every number is within limits.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file as it was named.
    pub file: String,
    /// Lowercase hex SHA-256 of its text followed by the files that it extends, the nearest first, and the lists of arrivals that
    /// they name, in the order of the text, so that a result can be matched with the files it came from.
    pub sha256: String,
    /// These texts.
    pub texts: Texts,
    /// `name`
    pub name: String,
    /// `about`
    pub about: String,
    /// `seed`
    pub seed: u64,
    /// `oracle`
    pub oracle: OracleMode,
    /// `[gateway]`
    pub gateway: GatewayPlan,
    /// `[cohort.NAME]`, in file order.
    pub cohorts: Vec<CohortSpec>,
    /// `[operator.NAME]`, in file order; they refer to positions in `cohorts`.
    pub operators: Vec<OperatorPlan>,
    /// `[fault.NAME]`, in file order.
    pub faults: Vec<FaultSpec>,
    /// `[[step]]`, in the order of the file; they refer to clients by their position, cohort after cohort.
    pub steps: Vec<Step>,
    /// `[invariants]`: those that the run is expected to break; `None` = none is asked for.
    pub invariants: Option<Vec<Invariant>>,
    /// `[threshold]`
    pub thresholds: Vec<Threshold>,
    /// `[validity]`
    pub validity: ValidityBudget,
    /// `duration`; `None` = until all scripts have ended.
    pub duration: Option<Duration>,
    /// `after_faults`: how long after the last fault the run ends; then there is no `duration`.
    pub after_faults: Option<Duration>,
    /// `max_time`
    pub max_time: Duration,
    /// `attempt_timeout`
    pub attempt_timeout: Duration,
    /// `in_flight_max`
    pub in_flight_max: usize,
    /// `time_scale`
    pub time_scale: f64,
}

/// Reads and validates a scenario file. `sets` are `--set name=value` pairs and replace the values of `[vars]`.
///
/// # Errors
/// As [`load_with`].
pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Scenario, Vec<Diagnostic>> {
    load_with(path, &Choices { sets: sets.to_vec(), ..Choices::default() })
}

/// Reads and validates a scenario file, with what the command line chooses of it.
///
/// # Errors
/// Everything that is wrong, in the order of the file; also when the file cannot be read, is no UTF-8 or has more than
/// 1 MiB.
pub fn load_with(path: &Path, choices: &Choices) -> Result<Scenario, Vec<Diagnostic>> {
    let (name, text) = read_file(path)?;
    parse_among(&name, &text, choices, &beside(path))
}

/// Reads and validates a scenario file that may hold a `[sweep]`, and then every combination of it.
///
/// # Errors
/// As [`load_with`]; of a sweep, what is wrong with `[sweep]` itself, or with the first combination that is wrong.
pub fn load_batch(path: &Path, choices: &Choices) -> Result<Batch, Vec<Diagnostic>> {
    let (name, text) = read_file(path)?;
    parse_batch_among(&name, &text, choices, &beside(path))
}

/// Reads the files that a scenario names.
fn beside(scenario: &Path) -> impl Fn(&str, u64) -> std::io::Result<Vec<u8>> + use<> {
    let folder = scenario.parent().unwrap_or_else(|| Path::new("")).to_owned();
    move |named, bytes_max| read_bounded(&folder.join(named), bytes_max)
}

/// The file as it is to be named, and its text.
fn read_file(path: &Path) -> Result<(String, String), Vec<Diagnostic>> {
    let name = path.display().to_string();
    let unreadable = |message: String, help: Option<String>| {
        Err(vec![Diagnostic::without_text("io", &name, message, help)])
    };
    let bytes = match read_bounded(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let help = Some("scenarios that come with the project lie in `scenarios/`".to_owned());
            return unreadable("there is no such file".to_owned(), help);
        }
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
            return unreadable(
                "this is a directory, not a scenario".to_owned(),
                Some("name a file in it".to_owned()),
            );
        }
        Err(error) => return unreadable(format!("the file cannot be read: {error}"), None),
    };
    if bytes.len() as u64 > FILE_MAX {
        return unreadable("the file has more than 1 MiB".to_owned(), None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            unreadable(format!("the file is not UTF-8 (byte {at})"), Some("save it as UTF-8".to_owned()))
        }
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long; a device or pipe cannot fill the memory.
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Validates the text of a scenario. `file_name` is only shown.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn parse(file_name: &str, source: &str, sets: &[(String, String)]) -> Result<Scenario, Vec<Diagnostic>> {
    parse_with(file_name, source, &Choices { sets: sets.to_vec(), ..Choices::default() })
}

/// Validates the text of a scenario, with what the command line chooses of it. `file_name` is only shown.
///
/// # Errors
/// Everything that is wrong, in the order of the text; also a list of arrivals that it names, because a text alone has no
/// files beside it.
pub fn parse_with(file_name: &str, source: &str, choices: &Choices) -> Result<Scenario, Vec<Diagnostic>> {
    let nothing_beside = |_: &str, _| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    parse_among(file_name, source, choices, &nothing_beside)
}

/// Validates the text of a scenario that may hold a `[sweep]`. `file_name` is only shown.
///
/// # Errors
/// As [`load_batch`].
pub fn parse_batch(file_name: &str, source: &str, choices: &Choices) -> Result<Batch, Vec<Diagnostic>> {
    let nothing_beside = |_: &str, _| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    parse_batch_among(file_name, source, choices, &nothing_beside)
}

/// Validates a scenario that was read before, from the texts that were kept of it.
///
/// # Errors
/// As [`load_with`]; there are none if it is read as it was then, by a pairstorm that knows the same language.
pub fn parse_kept(file_name: &str, texts: &Texts, choices: &Choices) -> Result<Scenario, Vec<Diagnostic>> {
    parse_among(file_name, &texts.scenario, choices, &|named, _| texts.named(named))
}

/// Validates the text of a scenario whose other files `beside` reads. What `[sweep]` says is left aside: the variables have
/// the values of `[vars]`.
fn parse_among(
    file_name: &str,
    source: &str,
    choices: &Choices,
    beside: &ReadNamed<'_>,
) -> Result<Scenario, Vec<Diagnostic>> {
    let sink = Sink::new(file_name, source);
    let sources = Sources::new(source, beside);
    match extend::document(source, &sink, &sources) {
        Some(mut document) => {
            variables::substitute(&mut document, &choices.sets, &sink);
            read_filled(&document, choices, sources, sink)
        }
        None => Err(sink.into_diagnostics()),
    }
}

/// Reads a file in which no variable is left.
fn read_filled(
    document: &Table,
    choices: &Choices,
    sources: Sources<'_>,
    sink: Sink,
) -> Result<Scenario, Vec<Diagnostic>> {
    match read(Fields::new(document, String::new(), 0..0, &sink), choices, &sources) {
        Some(scenario) if sink.is_empty() => {
            let (sha256, texts) = sources.finish();
            Ok(Scenario { sha256, texts, ..scenario })
        }
        _ => Err(sink.into_diagnostics()),
    }
}

fn parse_batch_among(
    file_name: &str,
    source: &str,
    choices: &Choices,
    beside: &ReadNamed<'_>,
) -> Result<Batch, Vec<Diagnostic>> {
    let sink = Sink::new(file_name, source);
    let sources = Sources::new(source, beside);
    let Some(mut document) = extend::document(source, &sink, &sources) else {
        return Err(sink.into_diagnostics());
    };
    let Some(position) = document.entries.iter().position(|entry| entry.key == "sweep") else {
        variables::substitute(&mut document, &choices.sets, &sink);
        return read_filled(&document, choices, sources, sink)
            .map(|scenario| Batch::Single(Box::new(scenario)));
    };
    let entry = document.entries.remove(position);
    let mut variables = variables::take(&mut document, &sink);
    let swept = sweep::variables(&entry);
    let (of_lists, others): (Vec<_>, Vec<_>) =
        choices.sets.iter().cloned().partition(|(name, _)| swept.contains(name));
    // Before the lists are read: `repeat` may be a variable.
    variables::set(&mut variables, &others, &sink);
    let Some(spec) = sweep::read(entry, &variables, &of_lists, &sink) else {
        return Err(sink.into_diagnostics());
    };
    let chosen = spec.choices();
    let mut combinations = Vec::with_capacity(chosen.len());
    for (number, choice) in (1..).zip(&chosen) {
        let sink = sink.again();
        let mut document = document.clone();
        variables::fill(&mut document, &choice.applied(&variables), &sink);
        match read_filled(&document, choices, sources.clone(), sink) {
            Ok(scenario) => combinations.push(Combination {
                names: choice.names.clone(),
                values: choice.plain_values(),
                scenario,
            }),
            Err(mut diagnostics) => {
                diagnostics.push(sweep::concerned(file_name, number, chosen.len(), choice));
                return Err(diagnostics);
            }
        }
    }
    Ok(Batch::Sweep(Sweep { repeat: spec.repeat, fit_over: spec.fit_over, combinations }))
}

/// Where things stand that `check` may have to point at.
struct Places {
    duration: Span,
    after_faults: Span,
    max_time: Span,
    attempt_timeout: Span,
    time_scale: Span,
    profile: Span,
    /// By cohort: its name, its count, its arrivals, its session.
    cohorts: Vec<CohortPlaces>,
    operators: Vec<Span>,
    faults: Vec<Span>,
}

struct CohortPlaces {
    name: Span,
    count: Span,
    arrivals: Span,
    session: Span,
    reconnect: Span,
}

fn read(fields: Fields<'_>, choices: &Choices, sources: &Sources<'_>) -> Option<Scenario> {
    let sink = fields.sink;
    let name = fields.required("name", "a short name, for example name = \"first-contact\"", plain_text);
    let about = fields.read("about", text).unwrap_or_default();
    let seed = fields.read("seed", whole(0, i64::MAX)).and_then(|seed| u64::try_from(seed).ok());
    let oracle = fields.read(
        "oracle",
        word(&[("profile", OracleMode::Profile), ("expectations", OracleMode::Expectations)]),
    );
    let duration = fields.read("duration", positive_duration);
    let after_faults = fields.read("after_faults", reader::duration);
    let max_time = fields.read("max_time", positive_duration);
    let attempt_timeout = fields.read("attempt_timeout", positive_duration);
    let in_flight_max = fields.read("in_flight_max", count(1, 100_000));
    let time_scale = fields.read("time_scale", number(0.001, 1000.0));

    let gateway = gateway::read(&fields, choices);
    let paths = network::read(&fields);

    let with_steps = fields.entry("step").is_some();
    let tables = bounded(fields.named_tables("cohort"), "cohorts", sink);
    let names: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
    let mut cohorts = Vec::new();
    let mut places = Places {
        duration: fields.span("duration"),
        after_faults: fields.span("after_faults"),
        max_time: fields.span("max_time"),
        attempt_timeout: fields.span("attempt_timeout"),
        time_scale: fields.span("time_scale"),
        profile: fields.table("gateway").map_or(0..0, |gateway| gateway.span("profile")),
        cohorts: Vec::new(),
        operators: Vec::new(),
        faults: Vec::new(),
    };
    for (name, table) in tables {
        let at = CohortPlaces {
            name: table.at.clone(),
            count: table.span("count"),
            arrivals: table.entry("arrivals").map_or_else(|| table.at.clone(), |entry| entry.at.clone()),
            session: table.entry("session").map_or_else(|| table.at.clone(), |entry| entry.at.clone()),
            reconnect: table.entry("reconnect").map_or_else(|| table.at.clone(), |entry| entry.at.clone()),
        };
        if let Some(cohort) = cohort::read(name, table, &paths, with_steps, gateway.profile, sources) {
            cohorts.push(cohort);
            places.cohorts.push(at);
        }
    }
    // A `cohort` that is no table has been reported as such.
    let no_table = fields.entry("cohort").is_none_or(|entry| matches!(entry.node.value, Value::Table(_)));
    if names.is_empty() && no_table {
        fields.missing("cohort", "a scenario needs clients: [cohort.NAME] with persona, count and arrivals");
    }
    let steps = step::read(&fields, &mut cohorts, &names, &paths, gateway.profile);

    let mut operators = Vec::new();
    for (name, table) in bounded(fields.named_tables("operator"), "operators", sink) {
        places.operators.push(table.at.clone());
        operators.push(operator::read(name, table, &names));
    }
    let mut faults = Vec::new();
    for (name, table) in bounded(fields.named_tables("fault"), "faults", sink) {
        let at = ["at", "within", "every"].into_iter().find(|key| table.entry(key).is_some());
        let at = at.map_or_else(|| table.at.clone(), |key| table.span(key));
        if let Some(fault) = fault::read(name, table, &names) {
            faults.push(fault);
            places.faults.push(at);
        }
    }
    let invariants = expected_invariants(&fields);
    let thresholds = metric::read(&fields, &names);
    let validity = validity(&fields);
    // These have been taken out by now; they stay known names.
    for taken in ["vars", "sweep", "extend", "remove"] {
        fields.entry(taken);
    }
    fields.finish();

    let all_read = cohorts.len() == names.len();
    // Longer than any release waits for a client that says nothing.
    let patience = limits(gateway.profile).handshake + Duration::from_secs(5);
    let attempt_timeout = attempt_timeout.unwrap_or_else(|| patience.max(Duration::from_secs(15)));
    let scenario = Scenario {
        file: sink.file(),
        sha256: String::new(),
        texts: Texts::default(),
        name: name.unwrap_or_default(),
        about,
        seed: seed.unwrap_or(1),
        oracle: oracle.unwrap_or(OracleMode::Profile),
        gateway,
        cohorts,
        operators,
        faults,
        steps,
        invariants,
        thresholds,
        validity,
        duration,
        after_faults,
        max_time: max_time.unwrap_or(Duration::from_secs(600)),
        attempt_timeout,
        in_flight_max: in_flight_max.map_or(1024, |max| max as usize),
        time_scale: time_scale.unwrap_or(1.0),
    };
    check::check(&scenario, &places, all_read, sink);
    Some(scenario)
}

fn bounded<'a>(
    mut tables: Vec<(&'a str, Fields<'a>)>,
    what: &str,
    sink: &Sink,
) -> Vec<(&'a str, Fields<'a>)> {
    if let Some((_, first_beyond)) = tables.get(TABLES_MAX) {
        sink.report("limit", &first_beyond.at, format!("more than {TABLES_MAX} {what}"), None);
        tables.truncate(TABLES_MAX);
    }
    tables
}

fn validity(scenario: &Fields<'_>) -> ValidityBudget {
    let mut budget = ValidityBudget::USUAL;
    if let Some(fields) = scenario.table("validity") {
        for (key, limit) in [("lag_p99_max", &mut budget.lag_p99_max), ("late_after", &mut budget.late_after)]
        {
            *limit = fields.read(key, positive_duration).unwrap_or(*limit);
        }
        for (key, limit) in [
            ("late_share_max", &mut budget.late_share_max),
            ("dropped_share_max", &mut budget.dropped_share_max),
            ("reactor_cpu_share_max", &mut budget.reactor_cpu_share_max),
            ("scheduler_delay_share_max", &mut budget.scheduler_delay_share_max),
            ("descriptors_share_max", &mut budget.descriptors_share_max),
            ("history_wait_share_max", &mut budget.history_wait_share_max),
            ("indeterminate_share_max", &mut budget.indeterminate_share_max),
        ] {
            *limit = fields.read(key, share).unwrap_or(*limit);
        }
        fields.finish();
    }
    budget
}

/// `[invariants]`: the ones that the run is expected to break, and no others.
fn expected_invariants(scenario: &Fields<'_>) -> Option<Vec<Invariant>> {
    let fields = scenario.table("invariants")?;
    let words = Invariant::ALL.map(|invariant| (invariant.as_str(), invariant));
    let expected = fields.read("expected", |node| match &node.value {
        Value::Array(items) => items.iter().map(word(&words)).collect::<Result<Vec<_>, _>>(),
        _ => word(&words)(node).map(|invariant| vec![invariant]),
    });
    fields.finish();
    Some(expected.unwrap_or_default())
}
