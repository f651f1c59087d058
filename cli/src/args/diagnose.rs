//! What can be typed behind `pairstorm diagnose`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Say why clients of a run did not get in, what shows it, and which commands end it
///
/// Reads the history of a run as `analyze` does, puts clients in the same trouble for the same cause together, and names the first
/// cause, in the order in which one looks for it, that explains all that could be seen from outside: what clients sent and were
/// answered, what operators did, the gateway's configuration and its restarts. With its confidence, what speaks against other causes, and
/// what is missing. docs/reference/diagnosis.md lists the causes.
///
/// With --score it runs the scenarios of a folder that say which cause is to be found (`[cohort.NAME.expect] cause`), and counts how
/// often the first answer is that one.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run scenarios/loops/role.toml --out loop\n  \
         pairstorm diagnose loop                  the loop, its cause, and what ends it\n  \
         pairstorm diagnose loop --json\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct DiagnoseArguments {
    /// Folder of a run, as `pairstorm run` prints it behind `files:`
    #[arg(value_name = "RUN-FOLDER", required_unless_present = "score", conflicts_with = "score")]
    pub(crate) folder: Option<PathBuf>,
    /// Run the scenarios below this folder, and count right and wrong answers; exit code 2 if fewer than 95 % are right
    #[arg(long, value_name = "FOLDER")]
    pub(crate) score: Option<PathBuf>,
    /// With --score: folder of the runs; must not exist, or be empty [default: results/runs/<utc>-score/]
    #[arg(long, value_name = "DIR", requires = "score")]
    pub(crate) out: Option<PathBuf>,
    /// With --score: runs at the same time
    #[arg(long, value_name = "N", default_value_t = 6, requires = "score", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Print the `diagnosis` of result.json on stdout, and nothing else there
    #[arg(long, conflicts_with = "score")]
    pub(crate) json: bool,
}
