//! What can be typed behind `pairstorm plan`.

use clap::Args;

use super::ScenarioArguments;

/// Print what a scenario would do: clients, arrivals, faults, sockets needed
///
/// Starts nothing. Says who arrives when, what happens to the gateway, how long it takes, and what it needs of this machine beside
/// what the machine has; of a sweep the same of every combination.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    pairstorm plan scenarios/smoke.toml\n  \
    pairstorm plan scenarios/smoke.toml --clients 20000      would it fit this machine?\n  \
    pairstorm plan scenarios/smoke.toml --shard 2/4          what the second of four processes would do\n  \
    pairstorm plan scenarios/smoke.toml --json               the same as figures")]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArguments,
    /// Print the figures as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}
