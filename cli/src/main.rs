//! The `pairstorm` command.

mod args;
mod commands;
mod printer;
mod progress;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return commands::usage(&error),
    };
    match arguments.command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Check(arguments) => commands::check::check(&arguments),
        Command::Schema => {
            printer::finish(&format!("{:#}\n", harness::scenario::schema()), ExitCode::SUCCESS)
        }
        Command::Verify(arguments) => commands::verify::verify(&arguments),
        Command::Plan(arguments) => commands::plan::plan(&arguments),
        Command::Diagnose(arguments) => commands::diagnose::diagnose(&arguments),
        Command::Merge(arguments) => commands::merge::merge(&arguments),
        Command::Analyze(arguments) => commands::analyze::analyze(&arguments),
        Command::Shrink(arguments) => commands::shrink::shrink(&arguments),
        Command::Differential(arguments) => commands::differential::run(&arguments),
        Command::Import(arguments) => commands::import::import(&arguments),
        Command::Probe(arguments) => commands::probe::probe(&arguments),
        Command::Record(arguments) => commands::record::record(&arguments),
        Command::Conform(arguments) => commands::conform::conform(&arguments),
        Command::OpenClaw(arguments) => commands::openclaw::openclaw(&arguments.command),
        Command::Defects(arguments) => commands::defects::run(&arguments),
        Command::Gateway(arguments) => gateway_under_test::cli::run(arguments),
        Command::Completions(arguments) => commands::completions::completions(&arguments),
        Command::Man(arguments) => commands::man::man(&arguments),
    }
}
