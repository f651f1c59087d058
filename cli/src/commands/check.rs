//! `pairstorm check`: every error of every file, without running anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::plan::Overrides;
use harness::scenario::{self, Batch, Choices, Diagnostic};

use crate::args::CheckArguments;
use crate::printer;

pub(crate) fn check(arguments: &CheckArguments) -> ExitCode {
    let mut files = Vec::new();
    let mut wrong = 0;
    let mut found: Vec<Diagnostic> = Vec::new();
    for path in &arguments.paths {
        if let Err(message) = gather(path, &mut files) {
            wrong += 1;
            let name = path.display().to_string();
            found.push(Diagnostic::without_text("io", &name, message, None));
        }
    }
    let mut right = String::new();
    for file in &files {
        match checked(file, arguments) {
            Ok(what) => right.push_str(&format!("{}: ok, {what}\n", file.display())),
            Err(diagnostics) => {
                wrong += 1;
                found.extend(diagnostics);
            }
        }
    }
    let usage: ExitCode = harness::record::exit_code::ExitCode::Usage.into();
    let code = if wrong == 0 { ExitCode::SUCCESS } else { usage };
    if arguments.json {
        let list: Vec<serde_json::Value> = found.iter().map(as_json).collect();
        let whole = serde_json::json!({
            "schema_version": 1, "files": files.len(), "wrong": wrong, "diagnostics": list,
        });
        return printer::finish(&format!("{whole:#}\n"), code);
    }
    if !found.is_empty() {
        printer::note(scenario::render(&found, printer::stderr_has_colour()).trim_end());
    }
    let printed = printer::finish(&right, code);
    if wrong > 0 {
        printer::error(&format!("{wrong} of {} scenario files are wrong", files.len()));
    }
    printed
}

/// The files that a path names: itself, or all in the folder.
///
/// # Errors
/// What is wrong with the folder.
fn gather(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let before = files.len();
    super::scenario_files::collect(path, files)
        .map_err(|error| format!("the folder cannot be read: {error}"))?;
    if files.len() == before { Err("the folder holds no .toml file".to_owned()) } else { Ok(()) }
}

/// A diagnostic as editors read it; docs/reference/check.md describes it.
fn as_json(diagnostic: &Diagnostic) -> serde_json::Value {
    serde_json::json!({
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "end_line": diagnostic.end_line,
        "end_column": diagnostic.end_column,
        "severity": "error",
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}

/// What is in a file, in words.
fn checked(file: &Path, arguments: &CheckArguments) -> Result<String, Vec<Diagnostic>> {
    let choices = Choices { sets: arguments.sets.clone(), ..Choices::default() };
    let clients =
        |scenario| harness::plan::unfold(scenario, &Overrides::default()).map(|plan| plan.arriving().count());
    match scenario::load_batch(file, &choices)? {
        Batch::Single(scenario) => Ok(format!("{} clients", clients(&scenario)?)),
        Batch::Sweep(sweep) => {
            let mut most = 0;
            for combination in &sweep.combinations {
                most = most.max(clients(&combination.scenario)?);
            }
            Ok(format!("a sweep of {} combinations, up to {most} clients", sweep.combinations.len()))
        }
    }
}
