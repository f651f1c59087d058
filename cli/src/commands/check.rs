//! `pairstorm check`: every error of every file, without running anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::plan::Overrides;
use harness::scenario::{self, Batch, Choices, Diagnostic};

use crate::args::CheckArguments;
use crate::printer;

pub(crate) fn check(arguments: &CheckArguments) -> ExitCode {
    let usage: ExitCode = harness::record::exit_code::ExitCode::Usage.into();
    let mut files = Vec::new();
    for path in &arguments.paths {
        if path.is_dir() {
            let before = files.len();
            if let Err(error) = collect(path, &mut files) {
                printer::error(&format!("cannot read {}: {error}", path.display()));
                return usage;
            }
            if files.len() == before {
                printer::error(&format!("{} holds no .toml file", path.display()));
                return usage;
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut wrong = 0;
    let mut right = String::new();
    for file in &files {
        match checked(file, arguments) {
            Ok(what) => right.push_str(&format!("{}: ok, {what}\n", file.display())),
            Err(diagnostics) => {
                wrong += 1;
                let text = scenario::render(&diagnostics, printer::stderr_has_colour());
                printer::note(text.trim_end());
            }
        }
    }
    let code = printer::finish(&right, ExitCode::SUCCESS);
    if wrong == 0 {
        return code;
    }
    printer::error(&format!("{wrong} of {} scenario files are wrong", files.len()));
    usage
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

/// All `.toml` files below a folder, sorted, so that the output does not depend on the file system.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        // A link to a folder above would never end.
        if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "toml") {
            files.push(entry);
        }
    }
    Ok(())
}
