//! `devices`: verbs, flags and output of `openclaw devices`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use protocol::pairing::{
    ApproveResult, DeviceIdParams, PairList, PairedDevice, PendingRequest, RejectResult, RemoveResult,
    RequestIdParams, RevokeParams, RevokeResult, RotateParams, method,
};
use protocol::scope::{ADMIN, READ, WRITE};
use serde::Serialize;
use serde_json::json;

use super::client::{Client, Refused};
use super::complain;
use super::identity::Identity;
use crate::clock::wall_ms;
use crate::config::{AuthConfig, Config, Secret};
use crate::profile::{self, CliRefused, LatestRule, Profile};
use crate::server::log::clean;
use crate::{server, state_dir};

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

/// What the command has to say, and with which code it exits.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    out: String,
    err: String,
    code: u8,
}

impl From<String> for Said {
    fn from(out: String) -> Self {
        Self { out, ..Self::default() }
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    // The command line comes with the gateway that it manages, and has its ways.
    let profile = state_dir::running(&args.state_dir)
        .and_then(|running| running.profile)
        .and_then(|name| profile::find(&name))
        .unwrap_or(&profile::ARTICLE);
    let said = match perform(args, profile) {
        Ok(said) => said,
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) => refused_text(profile.cli_refused, refused, args.prints_json(), &error),
            None => return complain(&format!("{error:#}"), 1),
        },
    };
    let printed = std::io::stdout()
        .lock()
        .write_all(said.out.as_bytes())
        .and_then(|()| std::io::stdout().flush())
        .and_then(|()| std::io::stderr().lock().write_all(said.err.as_bytes()));
    match printed {
        Ok(()) => said.code.into(),
        Err(error) => complain(&error.to_string(), 1),
    }
}

/// What a release's command line says when the gateway says no.
fn refused_text(style: CliRefused, refused: &Refused, json: bool, error: &anyhow::Error) -> Said {
    let message = &refused.message;
    let failed_to_start = |kind: &str| {
        let err = match &refused.close {
            Some((code, reason)) => format!(
                "gateway connect failed: {kind}: {message}\n[openclaw] Failed to start CLI: Error: gateway closed \
                 ({code}): {reason}\n"
            ),
            None => format!("[openclaw] Failed to start CLI: {kind}: {message}\n"),
        };
        Said { out: String::new(), err, code: 1 }
    };
    match style {
        CliRefused::Plain => Said { out: String::new(), err: format!("error: {error:#}\n"), code: 1 },
        CliRefused::Error => failed_to_start("Error"),
        CliRefused::RequestError => failed_to_start("GatewayClientRequestError"),
        CliRefused::Report => {
            let report = json!({"ok": false, "error": {"type": "cli_error", "message": message}});
            Said {
                out: if json { format!("{report:#}\n") } else { String::new() },
                err: format!(
                    "[openclaw] The CLI command failed.\n[openclaw] Reason: {message}\n[openclaw] Debug: set \
                     OPENCLAW_DEBUG=1 to include the stack trace.\n[openclaw] Try: openclaw doctor\n[openclaw] \
                     Help: openclaw --help\n"
                ),
                code: 1,
            }
        }
    }
}

impl Args {
    fn prints_json(&self) -> bool {
        self.json || matches!(self.verb, Verb::Rotate { .. } | Verb::Revoke { .. })
    }
}

fn perform(args: &Args, profile: &Profile) -> anyhow::Result<Said> {
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
    let mut client = Client::connect(&url, profile, auth.as_ref(), &identity)?;
    let said = match &args.verb {
        Verb::Approve { request_id: None, latest: _ } if profile.latest == LatestRule::Preview => {
            preview(&client.call(method::LIST, &json!({}))?)
        }
        _ => call(&mut client, args, profile.latest).map(Said::from),
    };
    client.close();
    said
}

fn call(client: &mut Client, args: &Args, latest: LatestRule) -> anyhow::Result<String> {
    let json = args.json;
    match &args.verb {
        Verb::List => {
            let list: PairList = client.call(method::LIST, &json!({}))?;
            print(json, &list, || list_text(&list, wall_ms()))
        }
        Verb::Approve { request_id, latest: _ } => {
            let request_id = match request_id {
                Some(request_id) => request_id.clone(),
                None => chosen(&client.call(method::LIST, &json!({}))?, latest, wall_ms())?,
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
            // Its keys depend on the release.
            let result: serde_json::Value = client.call(method::ROTATE, &params)?;
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

const NONE_WAITS: &str = "No pending device pairing requests to approve";

/// The request that `approve` means when none is named.
fn chosen(list: &PairList, latest: LatestRule, now_ms: u64) -> anyhow::Result<String> {
    let newest = list.pending.iter().max_by_key(|request| request.ts);
    match (newest, latest) {
        (None, _) => bail!(NONE_WAITS),
        (Some(only), LatestRule::OnlyOne) if list.pending.len() == 1 => Ok(only.request_id.clone()),
        (Some(newest), LatestRule::Newest | LatestRule::Preview) => Ok(newest.request_id.clone()),
        (Some(_), LatestRule::OnlyOne) => bail!(
            "{} requests wait; nothing was approved. Name one:\n{}",
            list.pending.len(),
            pending_table(&list.pending, now_ms)
        ),
    }
}

/// Shows the newest request, and how to approve it.
fn preview(list: &PairList) -> anyhow::Result<Said> {
    let Some(request) = list.pending.iter().max_by_key(|request| request.ts) else { bail!(NONE_WAITS) };
    let entry = list.paired.iter().find(|device| device.device_id == request.device_id);
    let id = clean(Some(&request.request_id));
    let access = |roles: &[String], scopes: &[String]| {
        let named = |names: &[String]| {
            if names.is_empty() { "none".to_owned() } else { clean(Some(&names.join(", "))) }
        };
        format!("roles: {}; scopes: {}", named(roles), named(scopes))
    };
    let mut out = format!("Selected pending device request {id}\n");
    // Writing to a String cannot fail.
    let device = request.display_name.as_ref().unwrap_or(&request.device_id);
    let _ = writeln!(out, "  Device: {}", clean(Some(device)));
    let _ = writeln!(out, "  Requested: {}", access(&request.roles, &sorted_with_implied(&request.scopes)));
    if let Some(entry) = entry {
        let _ = writeln!(
            out,
            "  Approved: {}",
            access(&entry.roles, &sorted_with_implied(entry.scopes.as_deref().unwrap_or_default()))
        );
    }
    if let Some(ip) = &request.remote_ip {
        let _ = writeln!(out, "  IP:     {}", clean(Some(ip)));
    }
    let note = match entry {
        None => "First-time device pairing request.",
        Some(entry) if request.roles.iter().any(|role| !entry.roles.contains(role)) => {
            "Already paired. Requested role exceeds the current approval, so reconnect stays blocked until you approve \
             this upgrade."
        }
        Some(entry) if is_wider(&request.scopes, entry.scopes.as_deref().unwrap_or_default()) => {
            "Already paired. Requested scopes exceed the current approval, so reconnect stays blocked until you approve \
             this upgrade."
        }
        Some(_) => {
            "Already paired. Approval-bound device details changed, so OpenClaw created a fresh request instead of \
             silently reusing the old approval."
        }
    };
    let _ = writeln!(out, "  Note:   {note}");
    Ok(Said {
        out,
        err: format!("Approve this exact request with: openclaw devices approve {id}\n"),
        code: 1,
    })
}

fn is_wider(asked: &[String], held: &[String]) -> bool {
    let held = sorted_with_implied(held);
    sorted_with_implied(asked).iter().any(|scope| !held.contains(scope))
}

/// Sorted, without repeats; admin and write with what they imply.
fn sorted_with_implied(scopes: &[String]) -> Vec<String> {
    let has = |name: &str| scopes.iter().any(|scope| scope == name);
    let implied = [(has(ADMIN), WRITE), (has(ADMIN) || has(WRITE), READ)];
    let implied = implied.into_iter().filter(|(is_implied, _)| *is_implied).map(|(_, name)| name.to_owned());
    let all: BTreeSet<String> = scopes.iter().cloned().chain(implied).collect();
    all.into_iter().collect()
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
                device.scopes.as_deref().unwrap_or_default().join(","),
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
    fn latest_is_as_the_release_has_it() {
        let list = |pending| PairList { pending, paired: Vec::new() };
        let one = list(vec![request("r1", "a")]);
        let two = list(vec![request("r1", "a"), PendingRequest { ts: 2_000, ..request("r2", "b") }]);
        assert_eq!(chosen(&one, LatestRule::OnlyOne, 0).unwrap(), "r1");
        insta::assert_snapshot!(chosen(&list(Vec::new()), LatestRule::OnlyOne, 0).unwrap_err(), @"No pending device pairing requests to approve");
        let several = chosen(&two, LatestRule::OnlyOne, 0).unwrap_err().to_string();
        assert!(several.contains("2 requests wait") && several.contains("r1") && several.contains("r2"));
        assert_eq!(chosen(&two, LatestRule::Newest, 0).unwrap(), "r2");
        assert!(preview(&list(Vec::new())).is_err());
        // Case r06-cli of 2026.9.6.
        let said = preview(&list(vec![request("r1", "CLI target")])).unwrap();
        assert_eq!(said.code, 1);
        insta::assert_snapshot!(said.out, @r"
        Selected pending device request r1
          Device: CLI target
          Requested: roles: operator; scopes: operator.read
          IP:     203.0.113.7
          Note:   First-time device pairing request.
        ");
        assert_eq!(said.err, "Approve this exact request with: openclaw devices approve r1\n");
    }

    #[test]
    fn a_preview_says_what_is_approved_already() {
        let paired: PairedDevice = serde_json::from_value(json!({
            "deviceId": "d1", "publicKey": "k", "roles": ["operator"], "scopes": ["operator.read"],
            "tokens": [], "createdAtMs": 1, "approvedAtMs": 1,
        }))
        .unwrap();
        let note = |change: &dyn Fn(&mut PendingRequest)| {
            let mut asked = request("r1", "a");
            change(&mut asked);
            let said = preview(&PairList { pending: vec![asked], paired: vec![paired.clone()] }).unwrap();
            assert!(
                said.out.contains("  Approved: roles: operator; scopes: operator.read\n"),
                "{}",
                said.out
            );
            said.out.lines().last().unwrap().to_owned()
        };
        assert!(note(&|asked| asked.roles = vec!["node".to_owned()]).contains("Requested role exceeds"));
        assert!(
            note(&|asked| asked.scopes = vec!["operator.write".to_owned()])
                .contains("Requested scopes exceed")
        );
        assert!(note(&|_| ()).contains("Approval-bound device details changed"));
        assert_eq!(
            sorted_with_implied(&["operator.admin".to_owned()]),
            ["operator.admin", "operator.read", "operator.write"]
        );
    }
}
