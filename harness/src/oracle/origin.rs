//! Section 4: the origin of browsers.

use super::locality::{host_name, is_loopback_name};
use crate::plan::{ConnectSpec, GatewayPlan, NetworkPath, Origin, Persona};

/// Whether the gateway checks the origin of this client: it is the control UI, or its mode is `webchat`.
#[must_use]
pub const fn is_checked(persona: Persona) -> bool {
    matches!(persona, Persona::ControlUi | Persona::Webchat)
}

/// Whether an origin that is checked passes.
#[must_use]
pub fn is_accepted(spec: &ConnectSpec, gateway: &GatewayPlan) -> bool {
    let host = match &spec.path {
        NetworkPath::Direct => None,
        NetworkPath::Proxy { host, .. } => host.as_deref(),
    };
    let text = match (&spec.origin, host) {
        (None, _) => return false,
        // `http://` and the dialled loopback address with its port, which are those of the `Host` header.
        (Some(Origin::SameHost), None) => return true,
        (Some(Origin::SameHost), Some(host)) => format!("http://{host}"),
        (Some(Origin::Fixed(text)), _) => text.clone(),
    };
    let Some(origin) = WebOrigin::parse(&text) else { return false };
    let listed = |entry: &String| {
        entry.trim().eq_ignore_ascii_case(text.trim()) || WebOrigin::parse(entry).as_ref() == Some(&origin)
    };
    if gateway.allowed_origins.iter().any(listed) {
        return true;
    }
    match host {
        None => is_loopback_name(&origin.host),
        Some(host) => {
            let same = WebOrigin::parse(&format!("{}://{}", origin.scheme, host.trim()))
                .is_some_and(|named| (named.host, named.port) == (origin.host.clone(), origin.port));
            same || (is_loopback_name(&origin.host)
                && is_loopback_name(&host_name(host).to_ascii_lowercase()))
        }
    }
}

/// Scheme, host and port, in lower case; the port is that of the scheme if none is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WebOrigin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl WebOrigin {
    /// `None` for `null` and for whatever is no origin.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
            return None;
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host_name(authority).to_ascii_lowercase();
        if host.is_empty()
            || host.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '<' | '>' | '|' | '^' | '%'))
        {
            return None;
        }
        let written =
            authority.rsplit(']').next().and_then(|tail| tail.rsplit_once(':')).map(|(_, port)| port);
        let port = match (written, scheme.as_str()) {
            (Some(port), _) if !port.is_empty() => Some(port.parse::<u16>().ok()?),
            (_, "http" | "ws") => Some(80),
            (_, "https" | "wss") => Some(443),
            _ => None,
        };
        Some(Self { scheme, host, port })
    }
}
