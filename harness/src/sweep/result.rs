//! `sweep.json`: every run of a sweep, the medians of each combination, and how figures grow.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_profile::{ByProfile, SeenCohort, by_profile};
use super::figures::{self, Seen, SeenRestart};
use super::fit::{Exponent, NotEnough, median, power_law};
use super::names::Names;
use crate::record::RunResult;
use crate::record::exit_code::{ExitCode, RunVerdict};
use crate::record::result::ScenarioRef;

/// Version of the file. A change that readers must know of raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// Content of `sweep.json`. Durations of figures are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "pairstorm sweep")]
pub struct SweepResult {
    /// Always 1.
    pub schema_version: u32,
    /// Which scenario.
    pub scenario: ScenarioRef,
    /// Version of pairstorm.
    pub pairstorm: String,
    /// Start of the sweep, RFC 3339, UTC.
    pub started_at: String,
    /// A signal ended the sweep early; what was run until then is here.
    pub interrupted: bool,
    /// Exit code of the command: that of the worst run.
    pub exit_code: u8,
    /// How often each combination was to be run.
    pub repeat: u32,
    /// The variable that growth is fitted over.
    pub fit_over: Option<String>,
    /// Runs that were to be made.
    pub planned: u64,
    /// Runs that were made, in their order.
    pub runs: Vec<SweepRun>,
    /// Medians of each combination that was run, those of one growth together, by size.
    pub rows: Vec<Row>,
    /// How figures grow with `fit_over`.
    pub growth: Vec<Growth>,
    /// What each cohort got under each profile; `null` = there is one profile only.
    #[serde(default)]
    pub by_profile: Option<ByProfile>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepRun {
    /// Position among the runs, from 1.
    pub number: u64,
    /// Which time this combination was run, from 1.
    pub repeat: u32,
    /// What tells its combination from the others.
    pub names: Names,
    /// All values of variables that the combination sets.
    pub values: Names,
    /// Its folder, in that of the sweep.
    pub folder: String,
    /// How long it took with starting and judging, µs.
    pub took_us: u64,
    /// Its verdict; `null` = it has no result.
    pub verdict: Option<RunVerdict>,
    /// A signal ended it.
    pub interrupted: bool,
    /// Exit code that it would have had.
    pub exit_code: u8,
    /// Why it has no result, or why that is not to be trusted.
    pub why: Option<String>,
    /// Profile that the gateway was held to.
    pub profile: Option<String>,
    /// What was loaded.
    pub target: Option<String>,
    /// Figures of the whole run.
    pub run: Seen,
    /// Figures of each restart.
    pub restarts: Vec<SeenRestart>,
    /// What each cohort got.
    #[serde(default)]
    pub cohorts: Vec<SeenCohort>,
}

/// What became of a run.
pub enum Ended<'a> {
    /// It has a result.
    Result(&'a RunResult),
    /// It has none, and why.
    None {
        /// Why, for people.
        why: String,
        /// What the run alone would have exited with.
        exit: ExitCode,
    },
}

impl SweepRun {
    /// A run that has ended. What was measured comes from `ended`, everything else is the caller's to fill in.
    #[must_use]
    pub fn new(ended: &Ended<'_>) -> Self {
        let mut run = Self {
            number: 0,
            repeat: 1,
            names: Names::default(),
            values: Names::default(),
            folder: String::new(),
            took_us: 0,
            verdict: None,
            interrupted: false,
            exit_code: ExitCode::Failed.code(),
            why: None,
            profile: None,
            target: None,
            run: Seen::default(),
            restarts: Vec::new(),
            cohorts: Vec::new(),
        };
        match ended {
            Ended::Result(result) => {
                (run.run, run.restarts) = figures::of(result);
                let seen = |cohort| SeenCohort::of(cohort, &result.diagnosis);
                run.cohorts = result.cohorts.iter().map(seen).collect();
                run.verdict = Some(result.verdict);
                run.interrupted = result.interrupted;
                run.exit_code = result.exit_code;
                run.profile = Some(result.profile.clone());
                // The port says nothing that two runs have in common.
                run.target = result.target.split(" at ").next().map(str::to_owned);
                run.why = why(result);
            }
            Ended::None { why, exit } => {
                run.exit_code = exit.code();
                run.why = Some(why.clone());
            }
        }
        run
    }

    /// Whether its figures may be held against others: it ran to its end, and they can be trusted.
    #[must_use]
    pub fn counts(&self) -> bool {
        let trusted = [RunVerdict::Pass, RunVerdict::Threshold, RunVerdict::Violated];
        !self.interrupted && self.verdict.is_some_and(|verdict| trusted.contains(&verdict))
    }

    /// `pass`, `invalid`, `interrupted`, `no result`.
    #[must_use]
    pub const fn ended(&self) -> &'static str {
        match (self.interrupted, self.verdict) {
            (true, _) => "interrupted",
            (false, Some(verdict)) => verdict.as_str(),
            (false, None) => "no result",
        }
    }
}

fn why(result: &RunResult) -> Option<String> {
    let first_mismatch = || {
        let group = result.mismatch_groups.first()?;
        Some(format!("{} outcomes are not allowed: {}", result.mismatches.total, group.example_why))
    };
    match result.verdict {
        RunVerdict::Pass => None,
        RunVerdict::Failed => result.failure.clone(),
        RunVerdict::Violated => first_mismatch().or_else(|| {
            let invariant = result.invariants.iter().find(|invariant| invariant.is_surprise())?;
            Some(format!("invariant {}", invariant.invariant))
        }),
        RunVerdict::Invalid => result.validity.reasons.first().map(|reason| reason.text.clone()),
        RunVerdict::Threshold => result
            .thresholds
            .iter()
            .find(|threshold| !threshold.passed)
            .map(|threshold| format!("{} is not met", threshold.rule)),
    }
}

/// A combination: medians of its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// What tells it from the others.
    pub names: Names,
    /// Profile that the gateway was held to.
    pub profile: Option<String>,
    /// What was loaded.
    pub target: Option<String>,
    /// How its runs ended, by verdict.
    pub ended: BTreeMap<String, u64>,
    /// Exit code of the worst of them.
    #[serde(default)]
    pub exit_code: u8,
    /// Runs whose figures count: neither failed nor invalid nor interrupted.
    pub counted: u64,
    /// Medians of figures and sums of counts over the runs that count.
    pub run: Seen,
    /// The same of restarts, by name and signal, over all restarts of that name in the runs that count.
    pub restarts: Vec<RowRestart>,
}

/// Restarts of one name in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowRestart {
    /// Name of the fault in the scenario.
    pub name: String,
    /// `SIGTERM` or `SIGKILL`.
    pub signal: String,
    /// How many there were.
    pub occurrences: u64,
    /// Medians and sums.
    #[serde(flatten)]
    pub seen: Seen,
}

/// How a figure grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Growth {
    /// What tells these combinations from others, without the size.
    pub names: Names,
    /// Name of the restart; `null` = a figure of the whole run.
    pub restart: Option<String>,
    /// Key of the figure.
    pub figure: String,
    /// Sizes and medians.
    pub points: Vec<(f64, f64)>,
    /// The exponent, if there is one.
    pub fitted: Option<Exponent>,
    /// Why there is none.
    pub not_enough: Option<NotEnough>,
}

impl SweepResult {
    /// Makes rows and growth anew from the runs, and the exit code.
    pub fn sum_up(&mut self) {
        self.rows = rows(&self.runs, self.fit_over.as_deref());
        self.growth = self.fit_over.as_deref().map(|over| growth(&self.rows, over)).unwrap_or_default();
        self.by_profile = by_profile(&self.runs);
        self.exit_code = self.exit().code();
    }

    /// The exit code as a type.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        exit_of(self.runs.iter(), self.interrupted)
    }
}

/// The worst of all runs, in the order in which verdicts win.
fn exit_of<'r>(runs: impl Iterator<Item = &'r SweepRun> + Clone, interrupted: bool) -> ExitCode {
    if interrupted || runs.clone().any(|run| run.interrupted) {
        return ExitCode::Interrupted;
    }
    let order =
        [ExitCode::Usage, ExitCode::Failed, ExitCode::Violated, ExitCode::Invalid, ExitCode::Threshold];
    order
        .into_iter()
        .find(|code| runs.clone().any(|run| run.exit_code == code.code()))
        .unwrap_or(ExitCode::Pass)
}

fn rows(runs: &[SweepRun], over: Option<&str>) -> Vec<Row> {
    // In the order in which combinations came first, so that an interrupted sweep has the rows of a whole one.
    let mut combinations: Vec<(&Names, Vec<&SweepRun>)> = Vec::new();
    for run in runs {
        match combinations.iter_mut().find(|(names, _)| **names == run.names) {
            Some((_, runs)) => runs.push(run),
            None => combinations.push((&run.names, vec![run])),
        }
    }
    let mut rows: Vec<Row> = combinations.into_iter().map(|(names, runs)| row(names, &runs)).collect();
    if let Some(over) = over {
        let mut others: Vec<Names> = Vec::new();
        for row in &rows {
            let without = row.names.without(over);
            if !others.contains(&without) {
                others.push(without);
            }
        }
        let mut placed: Vec<(usize, f64, Row)> = rows
            .into_iter()
            .map(|row| {
                let without = row.names.without(over);
                let group = others.iter().position(|names| *names == without).unwrap_or(others.len());
                (group, size(&row.names, over).unwrap_or_default(), row)
            })
            .collect();
        placed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        rows = placed.into_iter().map(|(.., row)| row).collect();
    }
    rows
}

fn row(names: &Names, runs: &[&SweepRun]) -> Row {
    let mut ended = BTreeMap::new();
    for run in runs {
        *ended.entry(run.ended().to_owned()).or_default() += 1;
    }
    let counted: Vec<&SweepRun> = runs.iter().copied().filter(|run| run.counts()).collect();
    let mut restarts: Vec<((&str, &str), Vec<&Seen>)> = Vec::new();
    for restart in counted.iter().flat_map(|run| &run.restarts) {
        let key = (restart.name.as_str(), restart.signal.as_str());
        match restarts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, seen)) => seen.push(&restart.seen),
            None => restarts.push((key, vec![&restart.seen])),
        }
    }
    Row {
        names: names.clone(),
        profile: runs.iter().find_map(|run| run.profile.clone()),
        target: runs.iter().find_map(|run| run.target.clone()),
        ended,
        exit_code: exit_of(runs.iter().copied(), false).code(),
        counted: counted.len() as u64,
        run: together(&counted.iter().map(|run| &run.run).collect::<Vec<_>>()),
        restarts: restarts
            .into_iter()
            .map(|((name, signal), seen)| RowRestart {
                name: name.to_owned(),
                signal: signal.to_owned(),
                occurrences: seen.len() as u64,
                seen: together(&seen),
            })
            .collect(),
    }
}

/// Medians of the figures, sums of the counts. A figure that one of them did not reach has no median: what is there would
/// look better than it was.
fn together(all: &[&Seen]) -> Seen {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seen in all {
        for (key, value) in &seen.figures {
            values.entry(key).or_default().push(*value);
        }
        for (key, count) in &seen.counts {
            *counts.entry(key.clone()).or_default() += count;
        }
    }
    let figures = values
        .into_iter()
        .filter(|(_, values)| values.len() == all.len())
        .filter_map(|(key, values)| Some((key.to_owned(), median(values)?)))
        .collect();
    Seen { figures, counts }
}

/// Those of one growth stand together in `rows`.
fn growth(rows: &[Row], over: &str) -> Vec<Growth> {
    let mut grown: Vec<Growth> = Vec::new();
    let mut first = 0;
    let mut add = |names: Names, restart: Option<&str>, seen: &Seen, size: f64| {
        if grown.last().is_some_and(|last| last.names != names) {
            first = grown.len();
        }
        for (figure, value) in &seen.figures {
            // A sweep may have a thousand combinations, and all is summed up again after each of its runs.
            let of_these = grown.get_mut(first..).unwrap_or_default();
            let known = of_these
                .iter_mut()
                .find(|growth| growth.figure == *figure && growth.restart.as_deref() == restart);
            match known {
                Some(growth) => growth.points.push((size, *value)),
                None => grown.push(Growth {
                    names: names.clone(),
                    restart: restart.map(str::to_owned),
                    figure: figure.clone(),
                    points: vec![(size, *value)],
                    fitted: None,
                    not_enough: None,
                }),
            }
        }
    };
    for row in rows {
        let Some(size) = size(&row.names, over) else { continue };
        let names = row.names.without(over);
        add(names.clone(), None, &row.run, size);
        for restart in &row.restarts {
            add(names.clone(), Some(&restart.name), &restart.seen, size);
        }
    }
    for growth in &mut grown {
        match power_law(&growth.points) {
            Ok(exponent) => growth.fitted = Some(exponent),
            Err(why) => growth.not_enough = Some(why),
        }
    }
    grown
}

fn size(names: &Names, over: &str) -> Option<f64> {
    names.get(over).and_then(serde_json::Value::as_f64)
}

/// The schema, as `docs/reference/sweep.schema.json` holds it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(SweepResult).to_value()
}
