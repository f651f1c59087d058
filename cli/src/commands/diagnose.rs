//! `pairstorm diagnose`: why clients of a run did not get in, and what ends it; or how often that is told right.

use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use harness::diagnosis::score::Score;
use harness::plan::{Overrides, Plan};
use harness::record::RunResult;
use harness::record::exit_code::ExitCode;
use harness::scenario::{self, Batch, Choices, Scenario};

use super::scenario_files::collect;
use crate::args::DiagnoseArguments;
use crate::printer;
use crate::progress::Display;

/// The least share of right answers with which a score passes.
const RIGHT_AT_LEAST: f64 = 0.95;

pub(crate) fn diagnose(arguments: &DiagnoseArguments) -> ProcessExitCode {
    match (&arguments.folder, &arguments.score) {
        (_, Some(scenarios)) => score(scenarios, arguments),
        (Some(folder), None) => of_run(folder, arguments.json),
        (None, None) => ExitCode::Usage.into(),
    }
}

/// From the history alone: what the run itself said is not asked.
fn of_run(folder: &Path, json: bool) -> ProcessExitCode {
    let analysis = match harness::run::analyze::analyze(folder, None) {
        Ok(analysis) => analysis,
        Err(error) => {
            printer::error(&error.to_string());
            return ExitCode::Usage.into();
        }
    };
    let text = if json {
        match serde_json::to_string_pretty(&analysis.result.diagnosis) {
            Ok(text) => format!("{text}\n"),
            Err(error) => {
                printer::error(&format!("the diagnosis cannot be written as JSON: {error}"));
                return ExitCode::Failed.into();
            }
        }
    } else {
        harness::report::text::diagnosis::report(&analysis.result)
    };
    let wrong = analysis.result.diagnosis.unmet().next().is_some();
    let exit = if wrong { ExitCode::Violated } else { ExitCode::Pass };
    let exit = printer::finish(&text, exit.into());
    for remark in &analysis.remarks {
        printer::note(&format!("note: {remark}"));
    }
    exit
}

/// Runs every scenario below a folder that says which causes are to be found, and counts what is found.
fn score(folder: &Path, arguments: &DiagnoseArguments) -> ProcessExitCode {
    let mut files = Vec::new();
    if let Err(error) = collect(folder, &mut files) {
        printer::error(&format!("cannot read {}: {error}", folder.display()));
        return ExitCode::Usage.into();
    }
    let out = arguments.out.clone().unwrap_or_else(|| super::run::default_folder("score"));
    let mut score = Score::default();
    for (number, file) in files.iter().enumerate() {
        let (scenario, plan) = match labelled(file) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(rendered) => {
                printer::note(&rendered);
                return ExitCode::Usage.into();
            }
        };
        let mut display = Display::new(true);
        let name = format!("{number}-{}", plan.name);
        let result = run(&scenario, plan, out.join(name), &mut display);
        let result = match result {
            Ok(result) => result,
            Err(why) => {
                printer::error(&format!("{}: {why}", file.display()));
                return ExitCode::Failed.into();
            }
        };
        for case in &result.diagnosis.expected {
            let found: Vec<String> =
                case.found.iter().map(|(cause, count)| format!("{count} x {cause}")).collect();
            let mark = if case.met == Some(true) { "" } else { "   <- not the same" };
            printer::note(&format!(
                "{}, {}: expected {}, found {}{mark}",
                file.display(),
                case.cohort,
                case.expected,
                found.join(", ")
            ));
            score.add_cohort(&format!("{}, {}", file.display(), case.cohort), &case.expected, &case.found);
        }
    }
    let Some(share) = score.share_right() else {
        printer::error(&format!("no scenario below {} says which cause is to be found", folder.display()));
        return ExitCode::Usage.into();
    };
    let exit = if share >= RIGHT_AT_LEAST { ExitCode::Pass } else { ExitCode::Threshold };
    printer::note(&format!("files: {}", out.display()));
    printer::finish(&score.markdown(), exit.into())
}

/// The scenario of a file, if it expects a cause of a cohort and is one run.
fn labelled(file: &Path) -> Result<Option<(Box<Scenario>, Plan)>, String> {
    let rendered = |diagnostics: Vec<scenario::Diagnostic>| scenario::render(&diagnostics, false);
    let Batch::Single(scenario) = scenario::load_batch(file, &Choices::default()).map_err(rendered)? else {
        return Ok(None);
    };
    let plan = harness::plan::unfold(&scenario, &Overrides::default()).map_err(rendered)?;
    let is_labelled =
        plan.cohorts.iter().any(|cohort| cohort.expect.as_ref().is_some_and(|expect| expect.cause.is_some()));
    // A real release is slow to start, and not everywhere.
    Ok((is_labelled && plan.gateway.launch.is_in_repo()).then_some((scenario, plan)))
}

fn run(scenario: &Scenario, plan: Plan, out: PathBuf, display: &mut Display) -> Result<RunResult, String> {
    let options = super::run::of_own_gateway(scenario, Choices::default(), Overrides::default(), plan, out)
        .map_err(|refusal| refusal.message)?;
    let outcome = super::run::drive(options, display).map_err(|error| format!("{error:#}"))?;
    let outcome = outcome.map_err(|error| error.to_string())?;
    match outcome.result.failure {
        Some(failure) => Err(failure),
        None => Ok(outcome.result),
    }
}
