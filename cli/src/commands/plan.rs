//! `pairstorm plan`: what a run would do.

use std::process::ExitCode;

use crate::args::PlanArguments;
use crate::printer;

pub(crate) fn plan(arguments: &PlanArguments) -> ExitCode {
    let Some((_, plan)) = super::load::load(&arguments.scenario) else {
        return harness::record::exit_code::ExitCode::Usage.into();
    };
    printer::finish(&harness::plan::describe(&plan), ExitCode::SUCCESS)
}
