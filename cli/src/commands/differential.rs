//! `pairstorm differential`: stories that nobody thought of, told to two gateways.

use std::process::ExitCode as ProcessExitCode;

use harness::record::exit_code::ExitCode;
use harness::run::RunTarget;
use harness::run::differential::{self, Comparison, DifferentialOptions};
use harness::scenario::PROFILES;

use crate::args::DifferentialArguments;
use crate::commands::event_loop;
use crate::commands::run::{Refusal, default_folder, known_defect, openclaw, own_gateway};
use crate::printer;
use crate::progress::Display;

pub(crate) fn run(arguments: &DifferentialArguments) -> ProcessExitCode {
    let options = match options(arguments) {
        Ok(options) => options,
        Err((message, exit)) => {
            printer::error(&message);
            return exit.into();
        }
    };
    let mut display = Display::new(arguments.quiet);
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    let compared = runtime.block_on(differential::run(&options, &mut display));
    display.clear();
    match compared {
        Ok(comparison) => {
            let exit = exit_of(&comparison);
            printer::finish(&text(&options, &comparison), exit.into())
        }
        Err(error) => {
            printer::error(&format!("seed {}: {error}", options.seed));
            ExitCode::Failed.into()
        }
    }
}

fn options(arguments: &DifferentialArguments) -> Result<DifferentialOptions, (String, ExitCode)> {
    let Some(profile) = PROFILES.into_iter().find(|profile| profile.as_str() == arguments.profile) else {
        let known: Vec<&str> = PROFILES.iter().map(|profile| profile.as_str()).collect();
        let message = format!("there is no profile `{}`; known: {}", arguments.profile, known.join(", "));
        return Err((message, ExitCode::Usage));
    };
    if let Some(name) = &arguments.defect {
        known_defect(name).map_err(|message| (message, ExitCode::Usage))?;
    }
    let refused = |refusal: Refusal| (refusal.message, refusal.exit);
    let ours = own_gateway().map_err(refused)?;
    let real = match &arguments.real {
        None => None,
        Some(what) => {
            let version = match what.split_once('@') {
                None if what == "openclaw" => profile.as_str(),
                Some(("openclaw", version)) => version,
                _ => {
                    let message =
                        format!("`{what}` is no real gateway; expected openclaw or openclaw@VERSION");
                    return Err((message, ExitCode::Usage));
                }
            };
            if !PROFILES.iter().any(|profile| profile.as_str() == version) {
                let message = format!("`{version}` cannot be a release of OpenClaw that a profile describes");
                return Err((message, ExitCode::Usage));
            }
            Some(RunTarget::Own(openclaw(version, &arguments.cache).map_err(refused)?))
        }
    };
    Ok(DifferentialOptions {
        profile,
        seed: arguments.seed,
        steps: arguments.steps,
        defect: arguments.defect.clone(),
        cut_down: arguments.cut_down,
        ours: RunTarget::Own(ours.into()),
        real,
        out: arguments.out.clone().unwrap_or_else(|| default_folder("differential")),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn exit_of(comparison: &Comparison) -> ExitCode {
    if !comparison.found.is_empty() {
        ExitCode::Violated
    } else if comparison.not_judged > 0 || comparison.connects == 0 {
        ExitCode::Invalid
    } else {
        ExitCode::Pass
    }
}

/// Differences that are printed; the files have all of them.
const SHOWN_MAX: usize = 20;

fn text(options: &DifferentialOptions, comparison: &Comparison) -> String {
    let Comparison { tales, steps, connects, sessions, not_judged, real, found, cut_down } = comparison;
    let whom = if *real { "the in-repo gateway and a real one" } else { "the in-repo gateway" };
    let mut text = format!(
        "differential {} (seed {}): {steps} steps in {tales} tales, told to {whom}\n{connects} connects, {sessions} gave a \
         session; {not_judged} could not be judged; {} differences\n",
        options.profile.as_str(),
        options.seed,
        found.len(),
    );
    for difference in found.iter().take(SHOWN_MAX) {
        text.push_str(&format!("\n  {difference}\n"));
    }
    if found.len() > SHOWN_MAX {
        text.push_str(&format!("\n  and {} more\n", found.len() - SHOWN_MAX));
    }
    for cut in cut_down {
        text.push_str(&format!("\nCut down to {} steps: {}\n", cut.steps.len(), cut.what));
        for (number, step) in (1..).zip(&cut.steps) {
            text.push_str(&format!("  {number:>3}  {step}\n"));
        }
        text.push_str(&format!("  reproduce with: pairstorm run {}\n", cut.file.display()));
    }
    text.push_str(&format!("files: {}\n", options.out.display()));
    text
}
