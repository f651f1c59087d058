//! The origin of browsers (reference, section 6).

use std::net::IpAddr;

use super::facts::{Facts, SentOrigin};
use super::locality::{Place, host_name, is_loopback_name};
use super::release::{OriginRule, Release};

/// Why an origin is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginFault {
    /// Absent, `null`, or no origin at all.
    Missing,
    /// Foreign.
    Foreign,
}

/// Whether the gateway looks at the origin of this client.
#[must_use]
pub fn is_checked(facts: &Facts, release: &Release) -> bool {
    facts.is_browser() || (release.origin != OriginRule::SameHost && facts.has_origin())
}

/// What is wrong with an origin that is checked; `None` = it passes.
#[must_use]
pub fn fault(facts: &Facts, release: &Release, place: Place, allowed: &[String]) -> Option<OriginFault> {
    let host = facts.host.as_deref();
    let dialled;
    let text = match &facts.origin {
        SentOrigin::Absent => return Some(OriginFault::Missing),
        SentOrigin::Text(text) => text.as_str(),
        // The dialled address with its port is that of the `Host` header, whatever the port is.
        SentOrigin::SameHost => {
            dialled = format!("http://{}", host.unwrap_or(DIALLED));
            dialled.as_str()
        }
    };
    let Some(origin) = WebOrigin::parse(text) else { return Some(OriginFault::Missing) };
    let any = release.origin != OriginRule::SameHost;
    let listed = |entry: &String| {
        (any && entry.trim() == "*")
            || entry.trim().eq_ignore_ascii_case(text.trim())
            || WebOrigin::parse(entry).as_ref() == Some(&origin)
    };
    if allowed.iter().any(listed) {
        return None;
    }
    let host = host.unwrap_or(DIALLED).trim();
    let name = host_name(host).to_ascii_lowercase();
    let same = WebOrigin::parse(&format!("{}://{host}", origin.scheme))
        .is_some_and(|named| (named.host, named.port) == (origin.host.clone(), origin.port));
    let loopback = is_loopback_name(&origin.host);
    let local = place == Place::Local;
    let passes = match release.origin {
        OriginRule::SameHost => same || (loopback && is_loopback_name(&name)),
        OriginRule::LocalLoopback => local && loopback,
        OriginRule::PrivateSameHost => (local && loopback) || (same && is_private(&name, local)),
    };
    (!passes).then_some(OriginFault::Foreign)
}

/// Stands for the loopback address and port that the client dialled.
const DIALLED: &str = "127.0.0.1:18789";

/// A name that cannot be anybody else's machine.
fn is_private(name: &str, local: bool) -> bool {
    if is_loopback_name(name) {
        return local;
    }
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        Err(_) => name.ends_with(".local") || name.ends_with(".ts.net"),
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
