//! `pairstorm plan`: what a run would do.

use std::process::ExitCode;

use harness::plan::needs::Needs;

use super::load::Loaded;
use crate::args::PlanArguments;
use crate::printer;

pub(crate) fn plan(arguments: &PlanArguments) -> ExitCode {
    let plan = match super::load::load(&arguments.scenario) {
        Some(Loaded::Single(_, plan)) => plan,
        Some(Loaded::Sweep(sweep)) => return super::sweep::plan(&sweep, &arguments.scenario),
        None => return harness::record::exit_code::ExitCode::Usage.into(),
    };
    let mut text = harness::plan::describe(&plan);
    text.push_str(&Needs::of(&plan, false).against(&harness::run::preflight::machine()));
    printer::finish(&text, ExitCode::SUCCESS)
}
