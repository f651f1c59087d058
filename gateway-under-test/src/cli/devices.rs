//! `devices`: verbs, flags and output of `openclaw devices`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use protocol::pairing::{
    ApproveResult, DeviceIdParams, PairList, PairedDevice, PendingRequest, RejectResult, RemoveResult,
    RequestIdParams, RevokeParams, RevokeResult, RotateParams, RotateResult, method,
};
use serde::Serialize;
use serde_json::json;

use super::client::Client;
use super::complain;
use super::identity::Identity;
use crate::clock::wall_ms;
use crate::config::{AuthConfig, Config, Secret};
use crate::server;
use crate::server::log::clean;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The gateway's address and credential come from the state directory. The command is a client like any other: its own
device (<STATE_DIR>/identity/device.json) pairs by itself when it is local to the gateway.
Exit codes: 0 done; 1 refused, with the gateway's message.")]
pub(super) struct Args {
    /// State directory of the gateway
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Address of the gateway [default: where the state directory's gateway listens]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// Shared token or password [default: that of openclaw.json]
    #[arg(
        long,
        value_name = "SECRET",
        global = true,
        env = "OPENCLAW_GATEWAY_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Print the gateway's answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show waiting requests and paired devices
    List,
    /// Approve a waiting request
    Approve {
        /// Request to approve; without it, the one that waits
        #[arg(conflicts_with = "latest")]
        request_id: Option<String>,
        /// Approve the one that waits; an error that lists them if there are several
        #[arg(long)]
        latest: bool,
    },
    /// Reject a waiting request
    Reject {
        /// Request to reject
        request_id: String,
    },
    /// Forget a device and its waiting request
    Remove {
        /// Device to forget
        device_id: String,
    },
    /// Issue a new token for a role; the old one becomes void
    Rotate {
        /// Device
        #[arg(long, value_name = "ID")]
        device: String,
        /// Role of the token
        #[arg(long)]
        role: String,
        /// Scope of the new token; repeat it for more [default: those of the old one]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// Void the token of a role
    Revoke {
        /// Device
        #[arg(long, value_name = "ID")]
        device: String,
        /// Role of the token
        #[arg(long)]
        role: String,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    let printed = perform(args).and_then(|text| {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error:#}"), 1),
    }
}

fn perform(args: &Args) -> anyhow::Result<String> {
    // Without this, a mistyped path would be made into a state directory, and somebody else's port be asked.
    if !args.state_dir.join("openclaw.json").is_file() && args.url.is_none() {
        bail!(
            "{} holds no openclaw.json: no gateway has its state there; name another --state-dir, or --url",
            args.state_dir.display()
        );
    }
    let config = Config::load(&args.state_dir)?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => format!("ws://{}", server::address_of(&args.state_dir, &config)),
    };
    let auth = match (&args.token, &config.auth) {
        (Some(secret), Ok(AuthConfig::Password(_))) => Some(AuthConfig::Password(Secret::new(secret))),
        (Some(secret), _) => Some(AuthConfig::Token(Secret::new(secret))),
        (None, Ok(auth)) => Some(auth.clone()),
        // Another gateway's state directory: it will say what it wants.
        (None, Err(_)) => None,
    };
    let identity = Identity::load_or_create(&args.state_dir)?;
    let mut client = Client::connect(&url, auth.as_ref(), &identity)?;
    let text = call(&mut client, args);
    client.close();
    text
}

fn call(client: &mut Client, args: &Args) -> anyhow::Result<String> {
    let json = args.json;
    match &args.verb {
        Verb::List => {
            let list: PairList = client.call(method::LIST, &json!({}))?;
            print(json, &list, || list_text(&list, wall_ms()))
        }
        Verb::Approve { request_id, latest: _ } => {
            let request_id = match request_id {
                Some(request_id) => request_id.clone(),
                None => only_waiting(&client.call(method::LIST, &json!({}))?, wall_ms())?,
            };
            let result: ApproveResult = client.call(method::APPROVE, &RequestIdParams { request_id })?;
            print(json, &result, || {
                format!(
                    "Approved {} ({})\n",
                    clean(Some(&result.device.device_id)),
                    clean(Some(&result.request_id))
                )
            })
        }
        Verb::Reject { request_id } => {
            let params = RequestIdParams { request_id: request_id.clone() };
            let result: RejectResult = client.call(method::REJECT, &params)?;
            print(json, &result, || {
                format!("Rejected {} ({})\n", clean(Some(&result.device_id)), clean(Some(&result.request_id)))
            })
        }
        Verb::Remove { device_id } => {
            let params = DeviceIdParams { device_id: device_id.clone() };
            let result: RemoveResult = client.call(method::REMOVE, &params)?;
            print(json, &result, || format!("Removed {}\n", clean(Some(&result.device_id))))
        }
        Verb::Rotate { device, role, scopes } => {
            let params = RotateParams {
                device_id: device.clone(),
                role: role.clone(),
                scopes: (!scopes.is_empty()).then(|| scopes.clone()),
            };
            let result: RotateResult = client.call(method::ROTATE, &params)?;
            // As OpenClaw prints it, whether asked for JSON or not: the token is what the caller came for.
            print(true, &result, String::new)
        }
        Verb::Revoke { device, role } => {
            let params = RevokeParams { device_id: device.clone(), role: role.clone() };
            let result: RevokeResult = client.call(method::REVOKE, &params)?;
            print(true, &result, String::new)
        }
    }
}

fn print(json: bool, result: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<String> {
    Ok(if json { serde_json::to_string_pretty(result)? + "\n" } else { text() })
}

/// The one request that waits.
fn only_waiting(list: &PairList, now_ms: u64) -> anyhow::Result<String> {
    match list.pending.as_slice() {
        [] => bail!("No pending device pairing requests to approve"),
        [only] => Ok(only.request_id.clone()),
        several => bail!(
            "{} requests wait; nothing was approved. Name one:\n{}",
            several.len(),
            pending_table(several, now_ms)
        ),
    }
}

fn list_text(list: &PairList, now_ms: u64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if list.pending.is_empty() && list.paired.is_empty() {
        return "No device pairing entries.\n".to_owned();
    }
    if !list.pending.is_empty() {
        let _ = writeln!(text, "Pending ({})\n{}", list.pending.len(), pending_table(&list.pending, now_ms));
    }
    if !list.paired.is_empty() {
        let _ = write!(text, "Paired ({})\n{}", list.paired.len(), paired_table(&list.paired));
    }
    text
}

fn pending_table(pending: &[PendingRequest], now_ms: u64) -> String {
    table(
        &["Request", "Device", "Name", "Roles", "Scopes", "IP", "Age", "Flags"],
        pending.iter().map(|request| {
            vec![
                request.request_id.clone(),
                request.device_id.clone(),
                request.display_name.clone().unwrap_or_default(),
                request.roles.join(","),
                request.scopes.join(","),
                request.remote_ip.clone().unwrap_or_default(),
                format!("{} s", now_ms.saturating_sub(request.ts) / 1000),
                if request.is_repair { "repair".to_owned() } else { String::new() },
            ]
        }),
    )
}

fn paired_table(paired: &[PairedDevice]) -> String {
    table(
        &["Device", "Name", "Roles", "Scopes", "Tokens", "IP"],
        paired.iter().map(|device| {
            let tokens: Vec<String> = device
                .tokens
                .iter()
                .map(|token| {
                    if token.revoked_at_ms.is_some() {
                        format!("{} (revoked)", token.role)
                    } else {
                        token.role.clone()
                    }
                })
                .collect();
            vec![
                device.device_id.clone(),
                device.display_name.clone().unwrap_or_default(),
                device.roles.join(","),
                device.scopes.join(","),
                tokens.join(","),
                device.remote_ip.clone().unwrap_or_default(),
            ]
        }),
    )
}

/// Columns padded to their widest cell; what peers named is made harmless first.
fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head)
        .chain(rows.map(|row| row.iter().map(|cell| clean(Some(cell))).collect()))
        .collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, name: &str) -> PendingRequest {
        serde_json::from_value(json!({
            "requestId": id, "deviceId": "d1", "publicKey": "k", "displayName": name, "role": "operator",
            "roles": ["operator"], "scopes": ["operator.read"], "remoteIp": "203.0.113.7", "ts": 1_000,
        }))
        .unwrap()
    }

    #[test]
    fn a_list_reads_well_and_is_harmless() {
        let paired: PairedDevice = serde_json::from_value(json!({
            "deviceId": "d2", "publicKey": "k", "roles": ["operator", "node"], "scopes": ["operator.admin"],
            "tokens": [{"role": "operator", "scopes": [], "createdAtMs": 1},
                       {"role": "node", "scopes": [], "createdAtMs": 1, "revokedAtMs": 2}],
            "createdAtMs": 1, "approvedAtMs": 1,
        }))
        .unwrap();
        let list = PairList { pending: vec![request("r1", "Box\u{1b}[2J")], paired: vec![paired] };
        insta::assert_snapshot!(list_text(&list, 61_000), @r"
        Pending (1)
        Request  Device  Name          Roles     Scopes         IP           Age   Flags
        r1       d1      Box\u{1b}[2J  operator  operator.read  203.0.113.7  60 s

        Paired (1)
        Device  Name  Roles          Scopes          Tokens                   IP
        d2            operator,node  operator.admin  operator,node (revoked)
        ");
    }

    #[test]
    fn latest_is_clear_only_when_one_waits() {
        let list = |pending| PairList { pending, paired: Vec::new() };
        assert_eq!(only_waiting(&list(vec![request("r1", "a")]), 0).unwrap(), "r1");
        insta::assert_snapshot!(only_waiting(&list(Vec::new()), 0).unwrap_err(), @"No pending device pairing requests to approve");
        let several =
            only_waiting(&list(vec![request("r1", "a"), request("r2", "b")]), 0).unwrap_err().to_string();
        assert!(several.contains("2 requests wait") && several.contains("r1") && several.contains("r2"));
    }
}
