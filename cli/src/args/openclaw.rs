//! What can be typed behind `pairstorm openclaw`.

use clap::{Args, Subcommand};

use super::{CacheArguments, exit_codes};

/// Real OpenClaw gateways: fetch releases from npm, list those that are there
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct OpenClawArguments {
    #[command(subcommand)]
    pub(crate) command: OpenClawCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OpenClawCommand {
    /// Fetch releases from npm, with the node they run on, and start each once
    ///
    /// Needs `npm` on PATH, the npm registry, and about 1 GB a release. What is there already is left alone.
    Install {
        /// Exact versions on npm, for example 2026.9.6 [default: the newest release that a profile is called after]
        #[arg(value_name = "VERSION")]
        versions: Vec<String>,
        #[command(flatten)]
        cache: CacheArguments,
    },
    /// List the releases that are there
    List {
        #[command(flatten)]
        cache: CacheArguments,
    },
}
