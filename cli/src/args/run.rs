//! What can be typed behind `pairstorm run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{duration, exit_codes, name_and_value};

/// Scenario file and what of it is overridden; common to `run` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArguments {
    /// Scenario file
    #[arg(value_name = "SCENARIO.TOML")]
    pub(crate) scenario: PathBuf,
    /// Seed of every random choice; same scenario and seed, same plan [default: the file's, or 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Scale the file to this many clients in all, cohorts in proportion
    #[arg(long, value_name = "N")]
    pub(crate) clients: Option<u64>,
    /// Give a variable of the file's [vars] another value; of a list of its [sweep], one value or several: 'NAME=[VALUE, VALUE]';
    /// may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Hold the gateway to another profile than the file's
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Launch another gateway than the file's: `in-repo`, `openclaw` (the profile's release) or `openclaw@VERSION`, which is
    /// then the profile as well
    #[arg(long, value_name = "GATEWAY")]
    pub(crate) gateway: Option<String>,
    /// Switch a deliberate fault of the in-repo gateway on, to see the oracle catch it
    #[arg(long, value_name = "NAME")]
    pub(crate) defect: Option<String>,
    /// Wall-clock limit of the run, for example 90s [default: the file's, or 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_time: Option<Duration>,
    /// Factor on time-outs, back-offs and think times of clients and the in-repo gateway
    #[arg(long, value_name = "FACTOR")]
    pub(crate) time_scale: Option<f64>,
    /// Only every N-th client of each cohort, from the I-th on: several processes share one load
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<harness::plan::Shard>,
}

/// Run a scenario: start a gateway, load it, judge it, report; one with [sweep] once for every combination of values
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArguments,
    /// Run folder, or that of a sweep; must not exist, or be empty [default: results/runs/<utc>-<scenario>/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Load a gateway that is already there instead of starting one
    #[arg(long, value_name = "ws://HOST:PORT/", conflicts_with = "gateway")]
    pub(crate) target: Option<String>,
    /// With --target: allow a load on this host although it is not a loopback address; may be repeated
    #[arg(long, value_name = "HOST", requires = "target")]
    pub(crate) allow_remote_target: Vec<String>,
    /// With --target: the gateway's owner agrees that the run pairs devices there, and removes them again
    #[arg(long, requires = "target")]
    pub(crate) allow_store_writes: bool,
    /// With --target: environment variable that holds the gateway's shared token or password
    #[arg(long, value_name = "VARIABLE", requires = "target", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    /// With --target: file that holds the gateway's shared token or password
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
    /// Stop at the first mismatch
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Print result.json, of a sweep sweep.json, on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    /// Threads that drive clients [default: half the cores, at least one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) reactors: Option<u16>,
    /// No progress line
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Where releases of OpenClaw are kept.
#[derive(Debug, Args)]
pub(crate) struct CacheArguments {
    /// Folder that releases of OpenClaw are kept in [default: pairstorm/ in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR", env = "PAIRSTORM_CACHE")]
    pub(crate) cache: Option<PathBuf>,
}
