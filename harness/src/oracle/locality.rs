//! Section 3: local or remote?

use std::net::{IpAddr, SocketAddr};

use crate::plan::{ForwardedFor, GatewayPlan, NetworkPath, PlannedClient};

/// `gateway.trustedProxies`, as far as it can match anything.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpAddr>);

impl TrustedProxies {
    /// Keeps the entries that are addresses. One in CIDR notation never matches, silently (article).
    #[must_use]
    pub fn new(entries: &[String]) -> Self {
        Self(entries.iter().filter_map(|entry| entry.trim().parse::<IpAddr>().ok()).map(canonical).collect())
    }

    /// Whether `address` is listed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
    }
}

/// Whether the gateway takes the client for a local one.
#[must_use]
pub fn is_local(path: &NetworkPath, client: &PlannedClient, gateway: &GatewayPlan) -> bool {
    decide(path, client, &TrustedProxies::new(&gateway.trusted_proxies))
}

pub(super) fn decide(path: &NetworkPath, client: &PlannedClient, proxies: &TrustedProxies) -> bool {
    let (peer, forwarded, host) = match path {
        NetworkPath::Direct => (client.source, None, None),
        NetworkPath::Proxy { from, forwarded_for, host } => {
            let own;
            let text = match forwarded_for {
                ForwardedFor::Own => {
                    own = client.forwarded.map(|address| address.to_string());
                    own
                }
                ForwardedFor::Fixed(text) => Some(text.clone()),
                ForwardedFor::Absent => None,
            };
            (*from, text, host.as_deref())
        }
    };
    let peer = IpAddr::V4(peer);
    let trusted = proxies.contains(peer);
    // `X-Real-IP` is sent by no client here, so `allowRealIpFallback` cannot change the address.
    let address = if trusted {
        forwarded.as_deref().and_then(|text| rightmost_untrusted(text, proxies))
    } else {
        Some(peer)
    };
    address.is_some_and(|address| canonical(address).is_loopback())
        && host_is_local(host)
        && (forwarded.is_none() || trusted)
}

/// The rightmost entry that is not itself a trusted proxy. One that is no address at all is no proxy either, so it is
/// the answer, and a useless one.
fn rightmost_untrusted(text: &str, proxies: &TrustedProxies) -> Option<IpAddr> {
    text.rsplit(',').map(hop).find(|hop| !hop.is_some_and(|address| proxies.contains(address))).flatten()
}

/// One entry of `X-Forwarded-For`; a port is stripped.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(canonical)
}

/// Whether a `Host` header names this machine; `None` = the loopback address dialled, with its port.
fn host_is_local(host: Option<&str>) -> bool {
    let Some(host) = host else { return true };
    let name = host_name(host).to_ascii_lowercase();
    is_loopback_name(&name) || name.strip_suffix(".ts.net").is_some_and(|label| !label.is_empty())
}

/// The name in a `Host` header, without port and brackets.
pub(super) fn host_name(host: &str) -> &str {
    let host = host.trim();
    if let Some((name, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return name;
    }
    match host.split_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => host,
        Some((name, _)) => name,
        None => host,
    }
}

/// `localhost`, 127.0.0.0/8 or ::1; `name` in lower case.
pub(super) fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| canonical(address).is_loopback())
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn proxied(from: [u8; 4], forwarded_for: ForwardedFor, host: Option<&str>) -> NetworkPath {
        NetworkPath::Proxy { from: Ipv4Addr::from(from), forwarded_for, host: host.map(str::to_owned) }
    }

    fn local(path: &NetworkPath, trusted: &[&str]) -> bool {
        let client = PlannedClient {
            cohort: 0,
            index: 0,
            intended: 0,
            source: Ipv4Addr::new(127, 1, 0, 1),
            forwarded: Some(Ipv4Addr::new(203, 0, 113, 7)),
        };
        let entries: Vec<String> = trusted.iter().map(|entry| (*entry).to_owned()).collect();
        decide(path, &client, &TrustedProxies::new(&entries))
    }

    fn fixed(text: &str) -> ForwardedFor {
        ForwardedFor::Fixed(text.to_owned())
    }

    #[test]
    fn a_direct_client_is_local_unless_its_address_is_listed_as_a_proxy() {
        assert!(local(&NetworkPath::Direct, &[]));
        assert!(local(&NetworkPath::Direct, &["127.2.0.1"]));
        // 2026.3.13, case g01-trusted-proxy-loopback: a listed peer without headers is remote.
        assert!(!local(&NetworkPath::Direct, &["127.1.0.1"]));
    }

    #[test]
    fn a_proxy_makes_remote_what_it_forwards_from_elsewhere() {
        assert!(!local(&proxied([127, 2, 0, 1], ForwardedFor::Own, None), &["127.2.0.1"]));
        assert!(!local(&proxied([127, 2, 0, 1], ForwardedFor::Absent, None), &["127.2.0.1"]));
        assert!(!local(&proxied([127, 3, 0, 1], ForwardedFor::Own, None), &["127.2.0.1"]));
        assert!(!local(&proxied([127, 3, 0, 1], fixed("127.0.0.1"), None), &["127.2.0.1"]));
        assert!(local(&proxied([127, 3, 0, 1], ForwardedFor::Absent, None), &["127.2.0.1"]));
    }

    #[test]
    fn the_rightmost_untrusted_entry_counts() {
        // Reference 5.2, observed on 2026.2.21 and 2026.3.13.
        let path = |text| proxied([127, 2, 0, 1], fixed(text), None);
        assert!(!local(&path("127.0.0.1, 203.0.113.7"), &["127.2.0.1"]));
        assert!(local(&path("203.0.113.7, 127.0.0.1"), &["127.2.0.1"]));
        assert!(local(&path("127.0.0.1, 127.2.0.1"), &["127.2.0.1"]));
        assert!(!local(&path("127.2.0.1"), &["127.2.0.1"]));
        assert!(local(&path("127.0.0.1:5555"), &["127.2.0.1"]));
        assert!(local(&path("[::1]:5555"), &["127.2.0.1"]));
        assert!(local(&path("::1"), &["127.2.0.1"]));
        assert!(!local(&path("unknown"), &["127.2.0.1"]));
        assert!(!local(&path(""), &["127.2.0.1"]));
    }

    #[test]
    fn an_entry_in_cidr_notation_never_matches() {
        // Trusted by the entry, this client would be local; as it is, the header of an untrusted peer makes it remote.
        let path = proxied([127, 2, 0, 1], fixed("127.0.0.1"), None);
        assert!(local(&path, &["127.2.0.1"]));
        assert!(!local(&path, &["127.2.0.1/32"]));
        assert!(!local(&path, &["127.2.0.0/16"]));
    }

    #[test]
    fn the_host_header_must_name_this_machine() {
        let path = |host| proxied([127, 2, 0, 1], fixed("127.0.0.1"), Some(host));
        let trusted = ["127.2.0.1"];
        for host in [
            "localhost",
            "LOCALHOST:18789",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "::1",
            "a.tail1.ts.net:443",
        ] {
            assert!(local(&path(host), &trusted), "{host}");
        }
        for host in [
            "172.17.0.2:18789",
            "gw.example.com",
            "ts.net",
            ".ts.net",
            "",
            "localhost.example.com",
            "evilts.net",
        ] {
            assert!(!local(&path(host), &trusted), "{host}");
        }
    }
}
