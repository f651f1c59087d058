//! What can be typed behind `pairstorm conform`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{CacheArguments, duration, exit_codes};

/// Replay recorded sessions against a gateway and compare field by field
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct ConformArguments {
    /// Folder of recordings: index.json and a file of lines a case
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Hold the in-repo gateway under this profile against the recordings [default: the recorded release's]
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub(crate) profile: Option<String>,
    /// Start another gateway: `in-repo`, `openclaw` (the recorded release of each case) or `openclaw@VERSION`; real ones run one
    /// at a time
    #[arg(long, value_name = "GATEWAY", default_value = "in-repo", conflicts_with = "target")]
    pub(crate) gateway: String,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Replay against a gateway that is already there; signals and store edits are then not replayed
    #[arg(long, value_name = "ws://HOST:PORT/")]
    pub(crate) target: Option<String>,
    /// Only cases whose name matches; * and ? as in a shell
    #[arg(long = "case", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Switch a deliberate fault of the in-repo gateway on, to see the comparison catch it
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub(crate) defect: Option<String>,
    /// Leave out cases whose recorded pauses add up to more than this
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub(crate) longest: Duration,
    /// List of known differences, `case | step | field | reason` a line; they are shown and counted, and do not
    /// fail; one that does not occur does
    #[arg(long, value_name = "FILE")]
    pub(crate) except: Option<PathBuf>,
    /// How long an answer may be late, beyond what it took in the recording; events a third of it
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3s")]
    pub(crate) patience: Duration,
    /// Name each step to a `pairstorm record` behind --target, which passes the rest on
    #[arg(long, requires = "target")]
    pub(crate) name_steps: bool,
    /// Cases at the same time, each with a gateway of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) at_once: u16,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
