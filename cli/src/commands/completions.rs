//! `pairstorm completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Arguments, CompletionsArguments};
use crate::printer;

pub(crate) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "pairstorm", &mut script);
    printer::finish(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
}
