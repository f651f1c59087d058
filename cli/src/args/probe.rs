//! What can be typed behind `pairstorm probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

/// Look at one live gateway, say why a client does not get in, and what to do; no load
///
/// Looks before it connects: port, TLS, HTTP, challenge. Connects only with what it is pointed at (a shared secret, an identity with
/// its device token), asks for no more than the device holds, approves nothing, and opens at most five connections. It stops at the
/// first cause, in the order in which people should look, and says in the end what it left behind. The gateway may be remote, and
/// behind `wss://`.
#[derive(Debug, Args)]
#[command(
    after_help = exit_codes(),
    after_long_help = format!(
        "Examples:\n  \
         pairstorm probe ws://127.0.0.1:18789\n      is a gateway there?\n  \
         pairstorm probe --state-dir ~/.openclaw\n      the local client and gateway: all that can be known\n  \
         pairstorm probe --state-dir ~/.openclaw --asks operator.write\n      why is it refused when it writes?\n  \
         pairstorm probe wss://gw.example.com --token-env OPENCLAW_GATEWAY_TOKEN --identity ~/.openclaw\n      a gateway elsewhere\n  \
         pairstorm probe wss://10.0.0.5:18789 --fingerprint AB:CD:…\n      a certificate that nobody issued\n  \
         pairstorm probe ws://127.0.0.1:18789 --token-file token --new-device\n      what becomes of a device that is new?\n  \
         pairstorm probe wss://gw.example.com --origin https://gw.example.com\n      may the browser's page connect?\n\n{}",
        exit_codes()
    )
)]
pub(crate) struct ProbeArguments {
    /// The gateway: ws://HOST:PORT or wss://HOST [default: what openclaw.json in --state-dir says]
    #[arg(value_name = "URL", required_unless_present = "state_dir")]
    pub(crate) url: Option<String>,
    /// OpenClaw's state directory, for example ~/.openclaw: its configuration, the client's identity and, if the gateway runs here,
    /// its store; all are only read
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The client's identity: device.json with device-auth.json beside it, the folder of both, or a state directory
    #[arg(long, value_name = "FILE OR DIR", conflicts_with = "new_device")]
    pub(crate) identity: Option<PathBuf>,
    /// Environment variable that holds the shared token or password
    #[arg(long, value_name = "VARIABLE", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    /// File whose first line is the shared token or password
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The shared secret is a password
    #[arg(long)]
    pub(crate) password: bool,
    /// A scope that the client asks for, as the gateway's log has it in `scopesTo`; may be repeated. The probe does not ask for it
    #[arg(long, value_name = "SCOPE")]
    pub(crate) asks: Vec<String>,
    /// The role that the client asks for
    #[arg(long, value_name = "ROLE", default_value = "operator", value_parser = ["operator", "node"])]
    pub(crate) role: String,
    /// The platform that the client claims [default: the entry's in the store, else this machine's]
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// The device family that the client claims
    #[arg(long, value_name = "NAME")]
    pub(crate) device_family: Option<String>,
    /// The name that the client goes by, which gateways take from each connect [default: the entry's in the store, else none]
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// Ask as a browser does that loaded the control UI from this origin, for example `https://gw.example.com`
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Show the gateway a device that it has never seen. A local gateway pairs it, another one keeps its request for five minutes
    #[arg(long)]
    pub(crate) new_device: bool,
    /// Send secrets over ws:// to another machine, too, where whoever is on the way can read them
    #[arg(long)]
    pub(crate) allow_plaintext: bool,
    /// Trust the certificates in this PEM file, and no others [default: whom this machine trusts]
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust the one certificate with this SHA-256, whoever issued it
    #[arg(long, value_name = "SHA-256")]
    pub(crate) fingerprint: Option<String>,
    /// How long each phase of each connection may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(crate) patience: Duration,
    /// Print the report as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

fn exit_codes() -> String {
    format!("Exit codes:\n{}", harness::probe::exit_code::help_table())
}
