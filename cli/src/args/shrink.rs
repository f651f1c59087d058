//! What can be typed behind `pairstorm shrink`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{duration, exit_codes};

/// Cut the scenario of a run down to the smallest that still shows the violation or the loop
///
/// Looks for the mismatch that occurred most often (the same kind in the same cohort, with the same answer due and the same one
/// seen) or, of a run without one, for the loop that most clients are in at its end (the same cause in the same cohort); --of names
/// another. Leaves out cohorts, faults, operators and steps and lowers numbers of clients, with the run's seed, defect and profile, as
/// long as it still shows, twice of two times. What is left is written as a file that extends the whole one. Ctrl-C ends the search
/// and keeps the best so far.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run harness/tests/fixtures/shrink/herd.toml --defect forget-approval-on-restart --out failed   exit code 1\n  \
         pairstorm shrink failed --max-runs 6 --out small\n  \
         pairstorm shrink failed --of false_reject/phones --max-runs 6 --out phones\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct ShrinkArguments {
    /// Folder of a run against the in-repo gateway, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER")]
    pub(crate) folder: PathBuf,
    /// What is to be shown: a kind of mismatch or the cause of a loop, and the cohort, for example `false_reject/phones` or
    /// `narrow-rotation/laptops` [default: the most frequent mismatch; without one, the loop that most clients are in]
    #[arg(long, value_name = "WHAT/COHORT")]
    pub(crate) of: Option<String>,
    /// Folder to write; must not exist, or be empty [default: results/runs/<utc>-shrink/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Runs at most
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) max_runs: u32,
    /// Time at most; the run that is under way is ended first
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30m")]
    pub(crate) max_time: Duration,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}
