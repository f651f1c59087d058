//! What can be typed behind `pairstorm differential`.

use std::path::PathBuf;

use clap::Args;

use super::{CacheArguments, exit_codes};

/// Tell stories drawn from a seed to the in-repo gateway, and to a real one, and compare
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct DifferentialArguments {
    /// Whom the in-repo gateway stands in for, and what the oracle holds every gateway to
    #[arg(long, value_name = "NAME", default_value = "article")]
    pub(crate) profile: String,
    /// Seed of the stories
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Steps in all, or a few more
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub(crate) steps: usize,
    /// Switch a deliberate fault of the in-repo gateway on, to see it found
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Tell the same to a real gateway and compare: `openclaw`, the release the profile is called after, or `openclaw@VERSION`
    #[arg(long, value_name = "GATEWAY")]
    pub(crate) real: Option<String>,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Differences that are cut down to what shows them; the others are most likely the same
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) cut_down: usize,
    /// Where the scenarios are written [default: results/runs/<utc>-differential/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}
