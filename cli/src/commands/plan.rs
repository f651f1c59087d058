//! `pairstorm plan`: what a run would do.

use std::process::ExitCode;

use harness::plan::needs::Needs;
use harness::sweep::estimate;

use super::load::Loaded;
use crate::args::PlanArguments;
use crate::printer;

pub(crate) fn plan(arguments: &PlanArguments) -> ExitCode {
    let plan = match super::load::load(&arguments.scenario) {
        Some(Loaded::Single(_, plan)) => plan,
        Some(Loaded::Sweep(sweep)) => return super::sweep::plan(&sweep, arguments),
        None => return harness::record::exit_code::ExitCode::Usage.into(),
    };
    let machine = harness::run::preflight::machine();
    let takes = estimate::run(&plan);
    if arguments.json {
        let mut figures = harness::plan::figures(&plan, &machine);
        if let Some(object) = figures.as_object_mut() {
            let micros = u64::try_from(takes.as_micros()).unwrap_or(u64::MAX);
            object.insert("takes_us".to_owned(), micros.into());
        }
        return printer::finish(&format!("{figures:#}\n"), ExitCode::SUCCESS);
    }
    let mut text = harness::plan::describe(&plan);
    text.push_str(&Needs::of(&plan, false).against(&machine));
    text.push_str(&format!(
        "\ntakes roughly {}, with starting, stopping and judging\n",
        estimate::in_words(takes)
    ));
    printer::finish(&text, ExitCode::SUCCESS)
}
