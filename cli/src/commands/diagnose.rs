//! `pairstorm diagnose`: why clients of a run did not get in, and what ends it; or how often that is told right.

use std::path::Path;
use std::process::ExitCode as ProcessExitCode;

use harness::diagnosis::score::Score;
use harness::record::exit_code::ExitCode;

use crate::args::{DiagnoseArguments, VerifyArguments};
use crate::printer;

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
    let out = arguments.out.clone().unwrap_or_else(|| super::run::default_folder("score"));
    let runs = VerifyArguments {
        paths: vec![folder.to_owned()],
        jobs: arguments.jobs,
        // A scenario without an expected result is run as it stands.
        update: true,
        defect: None,
        out: None,
        json: true,
        quiet: false,
    };
    let runs = match super::verify::diagnosed(&runs, &out) {
        Ok(Some(runs)) => runs,
        Ok(None) => return ExitCode::Interrupted.into(),
        Err(why) => {
            printer::error(&why);
            return ExitCode::Failed.into();
        }
    };
    let mut score = Score::default();
    for run in &runs {
        for case in &run.expected {
            score.add_cohort(&format!("{}, {}", run.name, case.cohort), &case.expected, &case.found);
        }
    }
    let Some(share) = score.share_right() else {
        printer::error(&format!("no scenario below {} says which cause is to be found", folder.display()));
        return ExitCode::Usage.into();
    };
    let (well, said_so) = score.well();
    let enough = share >= RIGHT_AT_LEAST && said_so as f64 >= RIGHT_AT_LEAST * well as f64;
    let exit = if enough { ExitCode::Pass } else { ExitCode::Threshold };
    printer::note(&format!("files: {}", out.display()));
    printer::finish(&score.markdown(), exit.into())
}
