//! `pairstorm merge`: the shards of one load together.

use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;

use harness::record::RunResult;
use harness::record::exit_code::ExitCode;
use harness::record::whole::{Whole, whole};
use harness::report::files;

use crate::args::MergeArguments;
use crate::printer;

pub(crate) fn merge(arguments: &MergeArguments) -> ProcessExitCode {
    match added_up(arguments) {
        Ok((whole, text)) => {
            printer::finish(&text, ExitCode::of_run(whole.verdict, whole.interrupted).into())
        }
        Err(why) => {
            printer::error(&why);
            ExitCode::Usage.into()
        }
    }
}

fn added_up(arguments: &MergeArguments) -> Result<(Whole, String), String> {
    let read = |folder: &PathBuf| {
        let result = files::read_result(folder).map_err(|error| error.to_string())?;
        Ok((folder.display().to_string(), result))
    };
    let runs: Vec<(String, RunResult)> = arguments.folders.iter().map(read).collect::<Result<_, String>>()?;
    let whole = whole(&runs).map_err(|error| error.to_string())?;
    let text = if arguments.json {
        let text = serde_json::to_string_pretty(&whole);
        text.map(|text| format!("{text}\n"))
            .map_err(|error| format!("the sums cannot be written as JSON: {error}"))?
    } else {
        harness::report::text::whole::report(&whole)
    };
    Ok((whole, text))
}
