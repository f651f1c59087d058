//! What can be typed behind `pairstorm analyze`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Judge the history of a run that is over again, and compare with what the run said
///
/// Reads `history.bin` and `run.json` in the folder, unfolds the same plan, judges every attempt, device and invariant from the
/// history alone, and prints what `pairstorm run` printed. Then it says whether `result.json` says the same. The exit code is that
/// of the run. Nothing in the folder is changed.
///
/// A run that was killed, or whose history was cut off, can be analyzed, too: what is there is judged, nothing is held against the
/// gateway, devices are unknown, and the exit code is 4 (invalid).
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run scenarios/defects/killed.toml --defect forget-approval-on-restart --out lost     exit code 1\n  \
         pairstorm analyze lost                   the same verdicts, from the history: exit code 1\n  \
         pairstorm analyze lost --out again       and the files: timelines of devices in again/checker/; exit code 1\n  \
         pairstorm analyze lost --json            for a program: `devices` says what became of each; exit code 1\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct AnalyzeArguments {
    /// Folder of a run, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER")]
    pub(crate) folder: PathBuf,
    /// Write result, summary, violations and timelines of devices here; must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}
