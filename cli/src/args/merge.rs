//! What can be typed behind `pairstorm merge`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Put the shards of one load together: one verdict, one report
///
/// Reads `result.json` of each folder. The verdict is the worst of the shards; counts are added up. Percentiles and times cannot be:
/// they stand in the result of each shard. Folders that are not all shards of one load (one is missing or there twice; another
/// scenario, seed, size or profile) have no verdict, and exit code 64.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm run scenarios/refusals.toml --shard 1/2 --out first\n  \
         pairstorm run scenarios/refusals.toml --shard 2/2 --out second\n  \
         pairstorm merge first second             one verdict on both\n  \
         pairstorm merge first second --json      for a program\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct MergeArguments {
    /// Folders of runs with --shard, in any order
    #[arg(value_name = "RUN-FOLDER", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Print the sums as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}
