//! `pairstorm defects`: shows that the checks can fail. Every deliberate fault of the in-repo gateway is put before the
//! scenario meant for it, and must be caught by the check meant for it; without a defect nothing may be reported.

mod matrix;
mod table;
mod trial;

use std::collections::BTreeMap;
use std::process::ExitCode as ProcessExitCode;

use gateway_under_test::defect::Defect;
use harness::record::exit_code::ExitCode;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::matrix::{Clean, Matrix, Row};
use self::table::{CASES, Case};
use self::trial::{Laboratory, Trial};
use super::event_loop::{self, until, watch_signals};
use super::run::default_folder;
use crate::args::DefectsArguments;
use crate::printer;
use crate::progress::Display;

pub(crate) fn run(arguments: &DefectsArguments) -> ProcessExitCode {
    if arguments.list {
        return printer::finish(&matrix::list(), ExitCode::Pass.into());
    }
    let cases = match chosen(&arguments.only) {
        Ok(cases) => cases,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    let laboratory = Laboratory {
        scenarios: arguments.scenarios.clone(),
        out: arguments.out.clone().unwrap_or_else(|| default_folder("defects")),
    };
    if let Err(error) = harness::report::files::check_folder(&laboratory.out) {
        printer::error(&error.to_string());
        return ExitCode::Usage.into();
    }
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    let mut display = Display::new(arguments.quiet || arguments.json);
    let mut matrix = Matrix::default();
    let printed = runtime.block_on(fill(&mut matrix, &cases, &laboratory, arguments, &mut display));
    display.clear();
    let finished = if arguments.json { matrix.json() } else { matrix.ending(&laboratory.out) };
    match printed.and_then(|()| printer::out(&finished)) {
        Ok(()) => matrix.exit().into(),
        Err(error) => {
            printer::error(&format!("the table could not be printed: {error}"));
            ExitCode::Failed.into()
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<Case>, String> {
    for name in names {
        if Defect::find(name).is_none() {
            return Err(format!("there is no defect `{name}`; known: {}", Defect::names()));
        }
    }
    let is_chosen = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.defect.name());
    Ok(CASES.iter().filter(is_chosen).copied().collect())
}

/// Runs every case, each scenario first without a defect; rows are printed as they come, so that an interrupted matrix
/// shows what it has.
async fn fill(
    matrix: &mut Matrix,
    cases: &[Case],
    laboratory: &Laboratory,
    arguments: &DefectsArguments,
    display: &mut Display,
) -> std::io::Result<()> {
    let mut watching = JoinSet::new();
    let stopped = watch_signals(&mut watching);
    let print = |display: &Display, line: String| -> std::io::Result<()> {
        if arguments.json { Ok(()) } else { display.suspend(|| printer::out(&line)) }
    };
    print(display, matrix::heading())?;
    let mut clean: BTreeMap<&str, bool> = BTreeMap::new();
    for (number, case) in (1..).zip(cases) {
        display.prefix(format!("{number}/{} {}", cases.len(), case.defect.name()));
        if !clean.contains_key(case.scenario) {
            let ran = laboratory.run(case.scenario, None, display, until(&stopped)).await;
            if was_interrupted(&ran, &stopped) {
                matrix.interrupted = true;
                break;
            }
            let line = Clean::new(case.scenario, ran);
            clean.insert(case.scenario, line.passed);
            print(display, line.text())?;
            matrix.clean.push(line);
        }
        let ran = laboratory.run(case.scenario, Some(case.defect), display, until(&stopped)).await;
        if was_interrupted(&ran, &stopped) {
            matrix.interrupted = true;
            break;
        }
        let row = Row::new(case, ran);
        print(display, row.text())?;
        matrix.rows.push(row);
    }
    if arguments.full && !matrix.interrupted {
        matrix.interrupted = !fill_others(matrix, cases, laboratory, display, &stopped).await;
    }
    watching.shutdown().await;
    Ok(())
}

/// Every defect against every scenario that is meant for another one; false when it was interrupted.
async fn fill_others(
    matrix: &mut Matrix,
    cases: &[Case],
    laboratory: &Laboratory,
    display: &mut Display,
    stopped: &watch::Receiver<bool>,
) -> bool {
    let mut scenarios: Vec<&'static str> = cases.iter().map(|case| case.scenario).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    for (number, case) in (1..).zip(cases) {
        for scenario in scenarios.iter().copied().filter(|scenario| *scenario != case.scenario) {
            display.prefix(format!("{number}/{} {} on {scenario}", cases.len(), case.defect.name()));
            let ran = laboratory.run(scenario, Some(case.defect), display, until(stopped)).await;
            if was_interrupted(&ran, stopped) {
                return false;
            }
            matrix.others.insert((case.defect.name(), scenario), ran.map(|trial| trial.counts.total));
        }
    }
    true
}

fn was_interrupted(ran: &Result<Trial, String>, stopped: &watch::Receiver<bool>) -> bool {
    *stopped.borrow() || ran.as_ref().is_ok_and(|trial| trial.interrupted)
}
