//! What can be typed behind `pairstorm record`.

use std::path::PathBuf;

use clap::Args;

use super::exit_codes;

/// Record what passes between any client and any gateway, for `conform`
///
/// A proxy listens, passes everything on, and writes it down without secrets. Ctrl-C ends the recording. Lines on stdin say what
/// happens: `step NAME` in front of a connection; `action terminate`, `action kill`, `action start`, `action drop-entry DEVICE`,
/// `action set-scopes DEVICE SCOPE…` when it was done to the gateway.
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(crate) struct RecordArguments {
    /// Folder to write; a case of the same name is replaced, others stay
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Where clients connect; port 0 = a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// The gateway
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) to: String,
    /// Name of the case
    #[arg(long, value_name = "NAME")]
    pub(crate) case: String,
    /// Release of the gateway, for example 2026.2.22
    #[arg(long, value_name = "VERSION")]
    pub(crate) release: String,
    /// The gateway section of its openclaw.json, so that a replay can be given the same
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    pub(crate) config: Option<String>,
    /// The same, from a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// What the case is about
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// Listen on an address that is not loopback
    #[arg(long)]
    pub(crate) allow_remote_clients: bool,
    /// Allow this host although it is not a loopback address; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_remote_target: Vec<String>,
}
