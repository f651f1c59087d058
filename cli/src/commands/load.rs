//! Reads a scenario and unfolds it, for `run` and `plan`.

use harness::plan::{Overrides, Plan};
use harness::scenario::{self, Choices, Scenario};

use crate::args::ScenarioArguments;
use crate::printer;

/// A scenario and its plan; on errors prints every one of them and gives `None`.
pub(crate) fn load(arguments: &ScenarioArguments) -> Option<(Scenario, Plan)> {
    let choices = Choices {
        sets: arguments.sets.clone(),
        profile: arguments.profile.clone(),
        gateway: arguments.gateway.clone(),
    };
    let loaded = scenario::load_with(&arguments.scenario, &choices).and_then(|scenario| {
        let overrides = Overrides {
            seed: arguments.seed,
            clients: arguments.clients,
            defect: arguments.defect.clone(),
            max_time: arguments.max_time,
            time_scale: arguments.time_scale,
        };
        harness::plan::unfold(&scenario, &overrides).map(|plan| (scenario, plan))
    });
    match loaded {
        Ok(loaded) => Some(loaded),
        Err(diagnostics) => {
            printer::note(scenario::render(&diagnostics, printer::stderr_has_colour()).trim_end());
            None
        }
    }
}
