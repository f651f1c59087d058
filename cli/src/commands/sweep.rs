//! `pairstorm run` and `pairstorm plan` of a scenario with `[sweep]`: every combination is a run of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;
use std::time::{Duration, Instant};

use harness::plan::needs::Needs;
use harness::plan::{Overrides, Plan};
use harness::record::exit_code::ExitCode;
use harness::record::result::ScenarioRef;
use harness::scenario::{Combination, Diagnostic, Sweep};
use harness::sweep::estimate;
use harness::sweep::names::Names;
use harness::sweep::result::{Ended, SCHEMA_VERSION};
use harness::sweep::{SweepResult, SweepRun, table};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::event_loop::{self, until, watch_signals};
use super::run::{Refusal, default_folder, exit_of, options};
use crate::args::{PlanArguments, RunArguments, ScenarioArguments};
use crate::printer;
use crate::progress::Display;

/// Name of the sweep's own result, in its folder.
const RESULT: &str = "sweep.json";
/// Name of its tables.
const TABLES: &str = "sweep.md";

/// A run that is to be made.
struct Planned<'s> {
    combination: &'s Combination,
    /// From 1.
    repeat: u32,
    seed: u64,
    estimate: Duration,
}

/// The runs of a sweep in their order: all combinations once, then again, so that an interrupted sweep has something of
/// everything.
///
/// # Errors
/// What the options do not fit.
fn planned<'s>(sweep: &'s Sweep, arguments: &ScenarioArguments) -> Result<Vec<Planned<'s>>, Vec<Diagnostic>> {
    let mut estimates = Vec::with_capacity(sweep.combinations.len());
    for combination in &sweep.combinations {
        let plan = unfold(combination, arguments, None)?;
        estimates.push((combination, plan.seed, estimate::run(&plan)));
    }
    let of_repeat = |repeat: u32| {
        estimates.iter().map(move |(combination, seed, estimate)| Planned {
            combination,
            repeat,
            // Repeats differ as runs do; the same sweep has the same ones.
            seed: seed.wrapping_add(u64::from(repeat - 1)),
            estimate: *estimate,
        })
    };
    Ok((1..=sweep.repeat).flat_map(of_repeat).collect())
}

fn unfold(
    combination: &Combination,
    arguments: &ScenarioArguments,
    seed: Option<u64>,
) -> Result<Plan, Vec<Diagnostic>> {
    let overrides = Overrides { seed: seed.or(arguments.seed), ..super::load::overrides(arguments) };
    harness::plan::unfold(&combination.scenario, &overrides)
}

/// `pairstorm plan`: what would be run, and how long it takes.
pub(crate) fn plan(sweep: &Sweep, arguments: &PlanArguments) -> ProcessExitCode {
    let as_json = arguments.json;
    let arguments = &arguments.scenario;
    let runs = match planned(sweep, arguments) {
        Ok(runs) => runs,
        Err(diagnostics) => return super::load::complain(&diagnostics),
    };
    if as_json {
        return printer::finish(&plan_as_json(sweep, &runs, arguments), ProcessExitCode::SUCCESS);
    }
    let total: Duration = runs.iter().map(|run| run.estimate).sum();
    let mut text = String::new();
    if let Some(first) = sweep.combinations.first() {
        text.push_str(&format!(
            "{}: a sweep of {} combinations",
            first.scenario.name,
            sweep.combinations.len()
        ));
        text.push_str(&format!(", {} runs, roughly {}\n", runs.len(), estimate::in_words(total)));
        for line in first.scenario.about.trim().lines() {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
    }
    if let Some(over) = &sweep.fit_over {
        text.push_str(&format!("growth is fitted over `{over}`\n"));
    }
    text.push('\n');
    let machine = harness::run::preflight::machine();
    let mut short = 0;
    for (number, run) in (1..).zip(runs.iter().take(sweep.combinations.len())) {
        let Ok(plan) = unfold(run.combination, arguments, None) else { continue };
        let fits = harness::run::preflight::check(&plan, true).is_ok();
        short += u32::from(!fits);
        text.push_str(&format!(
            "{number:>5}  {:<60} {:>7} clients, {} x {}{}\n",
            run.combination.label(),
            plan.arriving().count(),
            sweep.repeat,
            estimate::in_words(run.estimate),
            if fits { "" } else { ", MORE THAN THIS MACHINE HAS" },
        ));
    }
    let largest = sweep
        .combinations
        .iter()
        .filter_map(|combination| unfold(combination, arguments, None).ok())
        .max_by_key(|plan| plan.arriving().count());
    if let Some(plan) = largest {
        text.push_str("\nthe largest of them:\n");
        text.push_str(&Needs::of(&plan, false).against(&machine));
    }
    if short > 0 {
        text.push_str("\nleave out what does not fit: --set 'name=[value, value]'\n");
    }
    printer::finish(&text, ProcessExitCode::SUCCESS)
}

/// The figures of every combination, in their order.
fn plan_as_json(sweep: &Sweep, runs: &[Planned<'_>], arguments: &ScenarioArguments) -> String {
    let machine = harness::run::preflight::machine();
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let each = runs.iter().take(sweep.combinations.len()).filter_map(|run| {
        let plan = unfold(run.combination, arguments, None).ok()?;
        let mut figures = harness::plan::figures(&plan, &machine);
        if let Some(object) = figures.as_object_mut() {
            object.insert("takes_us".to_owned(), micros(run.estimate).into());
            object.insert("values".to_owned(), run.combination.values.iter().cloned().collect());
        }
        Some(figures)
    });
    let whole = serde_json::json!({
        "repeat": sweep.repeat,
        "fit_over": sweep.fit_over,
        "runs": runs.len(),
        "takes_us": micros(runs.iter().map(|run| run.estimate).sum()),
        "combinations": each.collect::<Vec<_>>(),
    });
    format!("{whole:#}\n")
}

/// `pairstorm run`: all of them, one after the other.
pub(crate) fn run(sweep: &Sweep, arguments: &RunArguments) -> ProcessExitCode {
    if arguments.target.is_some() {
        printer::error(
            "a sweep starts a gateway for each run; leave --target away, or run one combination: a scenario without [sweep]",
        );
        return ExitCode::Usage.into();
    }
    let runs = match planned(sweep, &arguments.scenario) {
        Ok(runs) => runs,
        Err(diagnostics) => return super::load::complain(&diagnostics),
    };
    if let Err(refusal) = prepare(sweep, arguments) {
        return refusal.say();
    }
    let Some(first) = sweep.combinations.first() else { return ExitCode::Usage.into() };
    let folder = arguments.out.clone().unwrap_or_else(|| default_folder(&first.scenario.name));
    if let Err(error) = harness::report::files::check_folder(&folder) {
        printer::error(&error.to_string());
        return ExitCode::Usage.into();
    }
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    let mut result = SweepResult {
        schema_version: SCHEMA_VERSION,
        scenario: ScenarioRef {
            name: first.scenario.name.clone(),
            file: arguments.scenario.scenario.display().to_string(),
            sha256: first.scenario.sha256.clone(),
            shard: arguments.scenario.shard.map(|shard| shard.to_string()),
        },
        pairstorm: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: harness::clock::utc_text(),
        interrupted: false,
        exit_code: ExitCode::Pass.code(),
        repeat: sweep.repeat,
        fit_over: sweep.fit_over.clone(),
        planned: runs.len() as u64,
        runs: Vec::new(),
        rows: Vec::new(),
        growth: Vec::new(),
        by_profile: None,
    };
    let mut display = Display::new(arguments.quiet || arguments.json);
    let written = runtime.block_on(make(&mut result, &runs, &folder, arguments, &mut display));
    display.clear();
    finish(&result, &folder, arguments, written)
}

/// Refuses before the first run what would fail in all.
fn prepare(sweep: &Sweep, arguments: &RunArguments) -> Result<(), Refusal> {
    for (number, combination) in (1..).zip(&sweep.combinations) {
        let Ok(plan) = unfold(combination, &arguments.scenario, None) else { continue };
        let of = |message: String| {
            let of = sweep.combinations.len();
            format!("combination {number} of {of}, {}: {message}", combination.label())
        };
        harness::run::preflight::check(&plan, true)
            .map_err(|error| Refusal { message: of(error.to_string()), exit: ExitCode::Failed })?;
        options(arguments, &combination.scenario, plan, PathBuf::new())
            .map_err(|refusal| Refusal { message: of(refusal.message), ..refusal })?;
    }
    Ok(())
}

/// Makes the runs, and writes after each what there is.
async fn make(
    result: &mut SweepResult,
    runs: &[Planned<'_>],
    folder: &Path,
    arguments: &RunArguments,
    display: &mut Display,
) -> Result<(), String> {
    let mut watching = JoinSet::new();
    let stopped = watch_signals(&mut watching);
    let mut written = Ok(());
    let (mut took, mut estimated) = (Duration::ZERO, Duration::ZERO);
    let mut to_come: Duration = runs.iter().map(|run| run.estimate).sum();
    for (number, run) in (1..).zip(runs) {
        let left = estimate::in_words(estimate::left(took, estimated, to_come));
        display.prefix(format!("{number} of {}, {left} left, {}", runs.len(), run.combination.label()));
        #[expect(clippy::disallowed_methods, reason = "how long runs take is the sweep's own clock")]
        let began = Instant::now();
        let mut line = one(run, &folder.join(name(number, run)), arguments, display, &stopped).await;
        let spent = began.elapsed();
        took += spent;
        estimated += run.estimate;
        to_come = to_come.saturating_sub(run.estimate);
        line.number = number;
        line.repeat = run.repeat;
        line.names = Names(run.combination.names.clone());
        line.values = Names(run.combination.values.clone());
        line.folder = name(number, run);
        line.took_us = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        if !arguments.json {
            let text = told(&line, runs.len());
            let _ = display.suspend(|| printer::out(&text));
        }
        result.runs.push(line);
        result.interrupted = *stopped.borrow();
        result.sum_up();
        written = write(result, folder);
        if result.interrupted || written.is_err() {
            break;
        }
    }
    watching.shutdown().await;
    written
}

/// `007-1000-sqlite-SIGTERM-2`
fn name(number: u64, run: &Planned<'_>) -> String {
    let mut name = format!("{number:03}");
    for (_, value) in &run.combination.names {
        let word = harness::scenario::value_word(value);
        let plain: String = word
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .take(24)
            .collect();
        name.push('-');
        name.push_str(plain.trim_matches(['-', '.']));
    }
    format!("{name}-{}", run.repeat)
}

async fn one(
    planned: &Planned<'_>,
    folder: &Path,
    arguments: &RunArguments,
    display: &mut Display,
    stopped: &watch::Receiver<bool>,
) -> SweepRun {
    let none = |why: String, exit: ExitCode| SweepRun::new(&Ended::None { why, exit });
    let plan = match unfold(planned.combination, &arguments.scenario, Some(planned.seed)) {
        Ok(plan) => plan,
        Err(diagnostics) => {
            let why = diagnostics.first().map(ToString::to_string).unwrap_or_default();
            return none(why, ExitCode::Usage);
        }
    };
    let mut options = match options(arguments, &planned.combination.scenario, plan, folder.to_owned()) {
        Ok(options) => options,
        Err(refusal) => return none(refusal.message, refusal.exit),
    };
    if let Some(origin) = &mut options.origin {
        origin.choices = planned.combination.chosen(&origin.choices);
    }
    match harness::run::run(options, display, until(stopped)).await {
        Ok(outcome) => SweepRun::new(&Ended::Result(&outcome.result)),
        Err(error) => none(error.to_string(), exit_of(&error)),
    }
}

/// A line about a run that has ended.
fn told(run: &SweepRun, of: usize) -> String {
    let figure = |key: &str| {
        run.restarts
            .iter()
            .map(|restart| {
                restart
                    .seen
                    .figures
                    .get(key)
                    .map_or_else(|| "never".to_owned(), |value| table::written(key, *value))
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    // A run may have a thousand restarts.
    let restarts = match run.restarts.len() {
        0 => String::new(),
        1..=3 => format!("  port open {}, all back {}", figure("port_open"), figure("back.all")),
        many => format!("  {many} restarts"),
    };
    let why = run
        .why
        .as_deref()
        .map_or_else(String::new, |why| format!("\n         {}", why.lines().next().unwrap_or_default()));
    let label = harness::scenario::label(&run.names.0);
    format!("{:>4}/{of}  {:<10} {label} #{}{restarts}{why}\n", run.number, run.ended(), run.repeat)
}

/// Writes what there is so far.
fn write(result: &SweepResult, folder: &Path) -> Result<(), String> {
    let json = json(result)?;
    harness::report::files::replace(folder, TABLES, &table::markdown(result))
        .and_then(|()| harness::report::files::replace(folder, RESULT, &json))
        .map_err(|error| error.to_string())
}

fn json(result: &SweepResult) -> Result<String, String> {
    harness::sweep::json::text(result)
        .map_err(|error| format!("the sweep cannot be written as JSON: {error}"))
}

fn finish(
    result: &SweepResult,
    folder: &Path,
    arguments: &RunArguments,
    written: Result<(), String>,
) -> ProcessExitCode {
    let text = if arguments.json {
        json(result)
    } else {
        Ok(format!("\n{}\nfiles: {}\n", table::markdown(result), folder.display()))
    };
    printer::conclude(written.and(text), result.exit())
}
