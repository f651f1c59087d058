//! What can be typed behind `pairstorm defects`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Show that the checks can fail: every deliberate fault of the in-repo gateway must be caught
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct DefectsArguments {
    /// Try only this defect; may be repeated
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Folder of the scenarios meant for the defects
    #[arg(long, value_name = "FOLDER", default_value = "scenarios/defects")]
    pub(crate) scenarios: PathBuf,
    /// Also run every defect against the scenarios meant for others (half an hour)
    #[arg(long)]
    pub(crate) full: bool,
    /// List the defects and what must catch them, as Markdown, and try none
    #[arg(long)]
    pub(crate) list: bool,
    /// Folder of the runs, each in its own; must not exist, or be empty [default: results/runs/<utc>-defects/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the matrix as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}
