//! What clients of a cohort have in common: who they are, how they came, why they were refused, and how often.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::parts::Part;
use super::rebuilt::Client;
use super::why::Why;

/// How a client reached the gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    /// Local, and without a proxy.
    Direct,
    /// Behind a proxy that is trusted.
    Trusted,
    /// Behind one that is not.
    Untrusted,
    /// On loopback under another name than the machine's own.
    ByName,
    /// Behind a trusted proxy, at the address number so many of those that several clients share.
    Shared(u32),
}

/// The `Origin` of a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// That of the gateway itself.
    Same,
    /// None.
    Absent,
    /// The one number so many of the log.
    Number(u32),
}

/// What the store holds of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stored {
    pub(super) roles: Option<Vec<String>>,
    pub(super) scopes: Option<Vec<String>>,
    /// Platform and device family; `Some((None, _))` = from before platforms were stored.
    pub(super) metadata: Option<(Option<String>, Option<String>)>,
}

/// What clients of a cohort have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Likeness {
    pub(super) persona: &'static str,
    /// The log says which client it is.
    pub(super) named: bool,
    pub(super) why: Option<Why>,
    pub(super) role: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) platform: Option<String>,
    pub(super) family: Option<String>,
    pub(super) by_device_token: bool,
    pub(super) route: Route,
    pub(super) page: Option<Page>,
    pub(super) stored: Option<Stored>,
    pub(super) approved: bool,
    pub(super) sessions: u32,
    /// Refusals, or a class of counts.
    pub(super) refusals: u32,
    /// Class of how long approvals, or pauses, took.
    pace: i64,
    hold: i64,
}

/// What a client has in common with others in this part; `roughness`: how closely counts and times are looked at, 0 is as they are.
pub(super) fn like(
    client: &Client,
    part: &Part,
    page: Option<Page>,
    shared: &BTreeMap<String, u32>,
    roughness: u8,
) -> Likeness {
    let facts = &client.facts;
    let (persona, named) = persona(client);
    let why = part.why;
    let metadata = why == Some(Why::MetadataUpgrade);
    let stored = match why {
        Some(Why::ScopeUpgrade | Why::RoleUpgrade) => Some(Stored {
            roles: facts.stored_roles.clone().map(clean_all),
            // Scopes are an operator's.
            scopes: facts.stored_scopes.clone().map(clean_all).filter(|_| why == Some(Why::ScopeUpgrade)),
            metadata: None,
        }),
        Some(Why::MetadataUpgrade) => Some(Stored {
            metadata: Some((
                facts.stored_platform.as_deref().and_then(clean),
                facts.stored_family.as_deref().and_then(clean),
            )),
            ..Stored::default()
        }),
        Some(Why::DeviceTokenMismatch) => Some(Stored::default()),
        None if part.known => Some(Stored::default()),
        _ => None,
    };
    let refusals = match roughness {
        0 => part.refusals,
        1 => part.refusals.checked_next_power_of_two().unwrap_or(u32::MAX),
        _ => 0,
    };
    let pace = match (part.delay(), part.pause()) {
        _ if roughness > 0 => 0,
        // Within a class the approval falls between the same two attempts of everyone.
        (Some(delay), _) => class(delay, 0.3 / f64::from(part.refusals.max(1))),
        (None, Some(pause)) => class(pause, 0.3),
        (None, None) => 0,
    };
    Likeness {
        persona,
        named,
        why,
        role: facts
            .role
            .as_deref()
            .and_then(clean)
            .filter(|role| matches!(role.as_str(), "operator" | "node")),
        scopes: facts.scopes.clone().map(clean_all),
        platform: facts.platform.as_deref().and_then(clean).filter(|_| metadata),
        family: facts.family.as_deref().and_then(clean).filter(|_| metadata),
        by_device_token: facts.auth.as_deref() == Some("device-token") && (part.known || stored.is_some()),
        route: route(client, part, shared),
        page,
        stored,
        approved: part.approved.is_some(),
        sessions: if roughness == 0 { part.sessions } else { part.sessions.min(1) },
        refusals,
        pace,
        hold: part.held.map_or(0, |held| class(held, 0.5)),
    }
}

/// The class of a time, so that two of the same class differ by a factor of at most `1 + width`.
fn class(time: i64, width: f64) -> i64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a class, not a time")]
    let class = ((time.max(1) as f64).ln() / (1.0 + width).ln()).floor() as i64;
    class
}

/// A name that may stand in a scenario: it came from a peer.
fn clean(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '(' | ')' | ':'));
    fits.then(|| text.to_owned())
}

fn clean_all(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().filter_map(|text| clean(&text)).collect()
}

/// The persona that stands for a client, and whether the log names it.
fn persona(client: &Client) -> (&'static str, bool) {
    let facts = &client.facts;
    let by_name = match facts.client.as_deref() {
        Some("cli" | "openclaw-cli") => Some("cli"),
        Some("openclaw-ios") => Some("ios"),
        Some("openclaw-android") => Some("android"),
        Some("openclaw-macos") => Some("macos-app"),
        Some("openclaw-control-ui") => Some("control-ui"),
        Some("webchat" | "webchat-ui") => Some("webchat"),
        Some("node-host") => Some("node-host"),
        Some("gateway-client") => Some("backend"),
        _ => None,
    };
    let by_mode = match facts.mode.as_deref() {
        Some("cli") => Some("cli"),
        Some("node") => Some("node-host"),
        Some("ui") => Some("macos-app"),
        Some("webchat") => Some("control-ui"),
        Some("backend") => Some("backend"),
        _ => None,
    };
    if let Some(persona) = by_name.or(by_mode) {
        return (persona, true);
    }
    let agent = facts.agent.as_deref().unwrap_or_default();
    let guess = if facts.origin.is_some() || facts.why == Some(Why::Origin) || agent.starts_with("Mozilla/") {
        "control-ui"
    } else if agent.contains("Android") {
        "android"
    } else if facts.role.as_deref() == Some("node") {
        "node-host"
    } else {
        "cli"
    };
    (guess, false)
}

fn route(client: &Client, part: &Part, shared: &BTreeMap<String, u32>) -> Route {
    let facts = &client.facts;
    if let Some(address) = &facts.forwarded {
        return match shared.get(address) {
            Some(number) => Route::Shared(*number),
            None if client.untrusted => Route::Untrusted,
            None => Route::Trusted,
        };
    }
    match &facts.remote {
        Some(remote) => {
            let local = remote.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            if !local {
                return Route::Trusted;
            }
            let host = facts.host.as_deref().unwrap_or("localhost");
            // Whoever waited for a person was not taken for local, whatever the address.
            let asked = part.approved.is_some() && matches!(part.why, Some(Why::NotPaired | Why::Unsaid));
            match (is_local_name(host), asked) {
                (true, false) => Route::Direct,
                (true, true) => Route::Trusted,
                (false, _) => Route::ByName,
            }
        }
        None if part.approved.is_some() => Route::Trusted,
        None => Route::Direct,
    }
}

fn is_local_name(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or_else(|| host.split_once(':').map_or(host, |(name, _)| name), |(address, _)| address);
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
