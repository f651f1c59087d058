//! One file a command; each turns typed arguments into a call of the library and its answer into text and an exit code.

pub(crate) mod analyze;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod conform;
pub(crate) mod defects;
pub(crate) mod diagnose;
pub(crate) mod differential;
pub(crate) mod event_loop;
pub(crate) mod import;
pub(crate) mod load;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod openclaw;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod scenario_files;
pub(crate) mod shrink;
pub(crate) mod sweep;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::printer;

/// Answers what clap refused or printed: help and version are no errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            printer::finish(&error.render().to_string(), ExitCode::SUCCESS)
        }
        _ => {
            printer::note(error.render().to_string().trim_end());
            harness::record::exit_code::ExitCode::Usage.into()
        }
    }
}
