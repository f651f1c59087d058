//! What can be typed behind `pairstorm verify`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Run scenarios at a small size and hold each to the expected result that lies beside it
///
/// Beside NAME.toml lies NAME.expected.toml: the size (`clients`, `seed`, `set`), the verdict, and for each cohort what its attempts
/// must and may come to; of a scenario with [sweep] that for every combination. A scenario without one is an error, unless the file
/// says why it is not run: skip = "needs a real gateway". Every run starts an in-repo gateway of its own; several go on at once, and one
/// that differs and had too little of the machine is run again by itself, unless it shows a mismatch that this does not explain. Ctrl-C
/// keeps what there is.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm verify scenarios/sequence                            a folder; CI does all of scenarios/\n  \
         pairstorm verify scenarios/sequence --update                   writes what is missing or wrong: read it before you keep it\n  \
         pairstorm verify scenarios/sequence --defect accept-unpaired   a gateway with a fault: exit code 1\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct VerifyArguments {
    /// Scenario files, or folders to search for them
    #[arg(required = true, value_name = "FILE OR FOLDER")]
    pub(crate) paths: Vec<PathBuf>,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Write what was seen as what is expected, where nothing is yet or where it differs; a person must read it before it is kept
    #[arg(long, conflicts_with = "defect")]
    pub(crate) update: bool,
    /// Switch a deliberate fault of the in-repo gateway on in every run in whose profile it is one, to see the differences
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Folder of the runs, each in its own; must not exist, or be empty [default: results/runs/<utc>-verify/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}
