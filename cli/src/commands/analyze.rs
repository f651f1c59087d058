//! `pairstorm analyze`: a run that is over, judged again.

use std::process::ExitCode as ProcessExitCode;

use harness::record::exit_code::ExitCode;
use harness::report::files::FilesError;
use harness::run::analyze::{Analysis, AnalyzeError, Compared};

use crate::args::AnalyzeArguments;
use crate::printer;

pub(crate) fn analyze(arguments: &AnalyzeArguments) -> ProcessExitCode {
    match harness::run::analyze::analyze(&arguments.folder, arguments.out.as_deref()) {
        Ok(analysis) => report(arguments, &analysis),
        Err(error) => {
            printer::error(&error.to_string());
            exit_of(&error).into()
        }
    }
}

fn report(arguments: &AnalyzeArguments, analysis: &Analysis) -> ProcessExitCode {
    let text = if arguments.json {
        match harness::report::json::text(&analysis.result) {
            Ok(text) => text,
            Err(error) => {
                printer::error(&format!("the result cannot be written as JSON: {error}"));
                return ExitCode::Failed.into();
            }
        }
    } else {
        let mut text = analysis.summary.clone();
        if let Some(out) = &arguments.out {
            text.push_str(&format!("files: {}\n", out.display()));
        }
        text
    };
    let exit = printer::finish(&text, analysis.exit.into());
    for remark in &analysis.remarks {
        printer::note(&format!("note: {remark}"));
    }
    printer::note(&match &analysis.compared {
        Compared::Same => "result.json of the run says the same".to_owned(),
        Compared::Nothing => "the run left no result.json to compare with".to_owned(),
        Compared::Differs(keys) => format!("result.json of the run says otherwise in: {}", keys.join(", ")),
    });
    exit
}

fn exit_of(error: &AnalyzeError) -> ExitCode {
    match error {
        AnalyzeError::Files(FilesError::Io { .. }) => ExitCode::Failed,
        _ => ExitCode::Usage,
    }
}
