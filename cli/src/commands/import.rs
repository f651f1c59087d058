//! `pairstorm import`: a real gateway's log to a scenario that does the same.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use harness::import::{self, Options, Rebuilder, Written};
use harness::record::exit_code::ExitCode;

use crate::args::ImportArguments;
use crate::printer;

/// Lines at the start of a file in which its first time is looked for.
const FIRST_LINES: usize = 200;

pub(crate) fn import(arguments: &ImportArguments) -> ProcessExitCode {
    match imported(arguments) {
        Ok(text) => printer::finish(&text, ProcessExitCode::SUCCESS),
        Err((message, exit)) => {
            printer::error(&message);
            exit.into()
        }
    }
}

fn imported(arguments: &ImportArguments) -> Result<String, (String, ExitCode)> {
    let usage = |message: String| (message, ExitCode::Usage);
    let profile = arguments.profile.as_deref().map(import::profile).transpose().map_err(usage)?;
    let out = arguments.out.clone().unwrap_or_else(|| super::run::default_folder("import"));
    if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
        return Err(usage(format!("{} is there already; give --out another folder", out.display())));
    }
    let mut rebuilder = Rebuilder::new();
    for log in in_order(&arguments.logs).map_err(usage)? {
        let unread = |error: std::io::Error| usage(format!("cannot read {}: {error}", log.display()));
        let file = File::open(&log).map_err(unread)?;
        rebuilder.file(&name_of(&log), BufReader::new(file)).map_err(unread)?;
    }
    let rebuilt = rebuilder.finish();
    let options = Options { name: arguments.name.clone(), profile, within: arguments.within };
    let written = import::write(&rebuilt, &options);
    let mut text = import::summary(&rebuilt, written.as_ref());
    let Some(written) = written else {
        let lines = &rebuilt.lines;
        let why = if lines.gateway == 0 {
            format!(
                "none of its {} lines is a gateway's. `pairstorm import` reads the gateway's log file \
                 (/tmp/openclaw/openclaw-DATE.log, or `logging.file`), or what it prints",
                lines.all
            )
        } else {
            "nobody connects in it".to_owned()
        };
        printer::note(text.trim_end());
        return Err(usage(format!("no scenario can be made of this log: {why}")));
    };
    let scenario = put(&out, &options.name, &written)
        .map_err(|error| (format!("cannot write below {}: {error}", out.display()), ExitCode::Failed))?;
    // A file that this program would not read helps nobody.
    if let Err(diagnostics) = harness::scenario::load(&scenario, &[])
        .and_then(|scenario| harness::plan::unfold(&scenario, &harness::plan::Overrides::default()))
    {
        printer::note(harness::scenario::render(&diagnostics, printer::stderr_has_colour()).trim_end());
        return Err((format!("{} was written, and is no scenario", scenario.display()), ExitCode::Failed));
    }
    text.push_str("\nWhat keeps them out\n");
    for (clients, name, diagnosis) in import::causes(&rebuilt, written.profile) {
        text.push_str(&format!("\n  {} x {}, of them {name}:\n", clients, diagnosis.cause));
        for line in harness::report::text::diagnosis::text(&diagnosis).lines() {
            text.push_str(format!("    {line}").trim_end());
            text.push('\n');
        }
    }
    text.push_str(&format!(
        "\nheld to {}\nscenario: {}\nrun it:   pairstorm run {}\n",
        written.profile.as_str(),
        scenario.display(),
        scenario.display()
    ));
    Ok(text)
}

/// The logs, oldest first: a rotated log is given in any order.
fn in_order(logs: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut dated = Vec::with_capacity(logs.len());
    for log in logs {
        let unread = |error: std::io::Error| format!("cannot read {}: {error}", log.display());
        let file = File::open(log).map_err(unread)?;
        if file.metadata().map_err(unread)?.is_dir() {
            return Err(format!("{} is a folder; name the logs in it", log.display()));
        }
        let mut first = i64::MAX;
        for line in BufReader::new(file).take_lines(FIRST_LINES) {
            if let Ok(import::line::Line { stamp: import::line::Stamp::At(at), .. }) =
                import::line::read(&line)
            {
                first = at;
                break;
            }
        }
        dated.push((first, log.clone()));
    }
    // Those without a date stay in the order in which they were given.
    dated.sort_by_key(|(first, _)| *first);
    Ok(dated.into_iter().map(|(_, log)| log).collect())
}

trait TakeLines {
    fn take_lines(self, count: usize) -> Vec<Vec<u8>>;
}

impl TakeLines for BufReader<File> {
    /// The first lines, as far as they lie in the first part of the file.
    fn take_lines(self, count: usize) -> Vec<Vec<u8>> {
        use std::io::Read as _;
        self.take(1 << 20).split(b'\n').take(count).map_while(Result::ok).collect()
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Writes the scenario and its lists; gives the scenario's path.
fn put(out: &Path, name: &str, written: &Written) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(out)?;
    for list in &written.lists {
        let path = out.join(&list.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &list.text)?;
    }
    let scenario = out.join(format!("{name}.toml"));
    std::fs::write(&scenario, &written.scenario)?;
    Ok(scenario)
}
