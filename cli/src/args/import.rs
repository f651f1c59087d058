//! What can be typed behind `pairstorm import`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{duration, exit_codes};

/// Read a real gateway's log, and write a scenario that does the same
///
/// Reads the log file of OpenClaw (lines of JSON), what it prints (any console style, also behind the prefixes of journalctl and
/// docker), of old and new releases, and the in-repo gateway's `gateway.log`. Several files of one gateway go together: a
/// connection that stands in two of them counts once, and the log file says more than the console.
///
/// The scenario has the log's clients, grouped by what they did, with their counts, times, approvals and restarts. It has none of
/// its addresses, names, origins and secrets. What the log does not say stands in its first lines.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm import harness/tests/fixtures/logs/2026.9.6/file.log --out loop   one that a real 2026.9.6 wrote\n  \
         pairstorm plan loop/imported.toml\n  \
         pairstorm import harness/tests/fixtures/logs/2026.2.19/console-json.log --within 20s --name short --out short\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct ImportArguments {
    /// Logs of one gateway, in any order; not compressed
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// Folder to write; must not exist, or be empty [default: results/runs/<utc>-import/]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Name of the scenario and its file
    #[arg(long, value_name = "NAME", default_value = "imported", value_parser = file_name)]
    pub(crate) name: String,
    /// Hold the gateway to this profile [default: that of the release that wrote the log]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// A longer log is told faster, so that the run takes this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(crate) within: Duration,
}

fn file_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("up to 64 letters, digits, `-` and `_`".to_owned()) }
}
