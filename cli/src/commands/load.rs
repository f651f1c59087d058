//! Reads a scenario and unfolds it, for `run` and `plan`.

use std::process::ExitCode;

use harness::plan::{Overrides, Plan};
use harness::scenario::{self, Batch, Choices, Diagnostic, Scenario, Sweep};

use crate::args::ScenarioArguments;
use crate::printer;

/// What a scenario file holds.
pub(crate) enum Loaded {
    /// One run.
    Single(Box<Scenario>, Box<Plan>),
    /// Many.
    Sweep(Sweep),
}

/// A scenario and its plan, or a sweep; on errors prints every one of them and gives `None`.
pub(crate) fn load(arguments: &ScenarioArguments) -> Option<Loaded> {
    let loaded =
        scenario::load_batch(&arguments.scenario, &choices(arguments)).and_then(|batch| match batch {
            Batch::Single(scenario) => harness::plan::unfold(&scenario, &overrides(arguments))
                .map(|plan| Loaded::Single(scenario, Box::new(plan))),
            Batch::Sweep(sweep) => Ok(Loaded::Sweep(sweep)),
        });
    match loaded {
        Ok(loaded) => Some(loaded),
        Err(diagnostics) => {
            complain(&diagnostics);
            None
        }
    }
}

/// What the arguments choose of a scenario's file.
pub(crate) fn choices(arguments: &ScenarioArguments) -> Choices {
    Choices {
        sets: arguments.sets.clone(),
        profile: arguments.profile.clone(),
        gateway: arguments.gateway.clone(),
    }
}

/// What the arguments change about a scenario.
pub(crate) fn overrides(arguments: &ScenarioArguments) -> Overrides {
    Overrides {
        seed: arguments.seed,
        clients: arguments.clients,
        defect: arguments.defect.clone(),
        max_time: arguments.max_time,
        time_scale: arguments.time_scale,
        shard: arguments.shard,
    }
}

/// Prints what is wrong; gives the exit code for that.
pub(crate) fn complain(diagnostics: &[Diagnostic]) -> ExitCode {
    printer::note(scenario::render(diagnostics, printer::stderr_has_colour()).trim_end());
    harness::record::exit_code::ExitCode::Usage.into()
}
