//! The client's address, and whether it is local (article profile, section 3).

use std::net::IpAddr;

use super::attempt::HttpFacts;
use crate::profile::{CidrEntries, ForwardedChoice, Profile};

/// `gateway.trustedProxies`, parsed once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpAddr>);

impl TrustedProxies {
    /// Keeps what the profile can match; the rest is ignored without a word.
    #[must_use]
    pub fn parse(profile: &Profile, entries: &[String]) -> Self {
        match profile.cidr {
            // `IpAddr` does not parse a prefix length, so that an entry in CIDR notation drops out here.
            CidrEntries::NeverMatch | CidrEntries::MatchV4 | CidrEntries::Match => {
                Self(entries.iter().filter_map(|entry| ip(entry)).collect())
            }
        }
    }

    /// Whether the address is listed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
    }
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locality {
    /// Its address; `None` when a trusted proxy forwarded none that can be used.
    pub client_ip: Option<IpAddr>,
    /// Whether it is local.
    pub local: bool,
    /// A peer that is no trusted proxy sent forwarding headers; the gateway logs that.
    pub untrusted_forwarder: bool,
}

/// Places a client.
#[must_use]
pub fn locate(
    profile: &Profile,
    proxies: &TrustedProxies,
    real_ip_fallback: bool,
    http: &HttpFacts,
) -> Locality {
    let peer = canonical(http.peer);
    let trusted = proxies.contains(peer);
    let forwarded = http.forwarded_for.is_some() || http.real_ip.is_some() || http.forwarded_host.is_some();
    let client_ip = if trusted {
        http.forwarded_for
            .as_deref()
            .and_then(|chain| forwarded_client(profile, proxies, chain))
            .or_else(|| http.real_ip.as_deref().filter(|_| real_ip_fallback).and_then(ip))
    } else {
        Some(peer)
    };
    let local = client_ip.is_some_and(|address| address.is_loopback())
        && http.host.as_deref().is_some_and(is_local_host)
        && (trusted || !forwarded);
    Locality { client_ip, local, untrusted_forwarder: forwarded && !trusted }
}

fn forwarded_client(profile: &Profile, proxies: &TrustedProxies, chain: &str) -> Option<IpAddr> {
    let entries = || chain.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    match profile.forwarded {
        ForwardedChoice::Leftmost => ip(chain.split(',').next()?),
        ForwardedChoice::RightmostUntrusted => {
            for entry in entries().rev() {
                // An entry that is no address cannot be attributed, and what stands left of it was written by
                // somebody unknown: the client is unknown.
                let address = ip(entry)?;
                if !proxies.contains(address) {
                    return Some(address);
                }
            }
            None
        }
        ForwardedChoice::RightmostUntrustedAddress => {
            entries().rev().filter_map(ip).find(|address| !proxies.contains(*address))
        }
        ForwardedChoice::RightmostUntrustedRemote => entries()
            .rev()
            .filter_map(ip)
            .find(|address| !address.is_loopback() && !proxies.contains(*address)),
    }
}

/// An address, with port and brackets stripped; IPv4 written as IPv6 is IPv4.
#[must_use]
pub fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        if !after.is_empty() && !is_port(after.strip_prefix(':')?) {
            return None;
        }
        address
    } else {
        match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                if !is_port(port) {
                    return None;
                }
                address
            }
            _ => text,
        }
    };
    bare.parse::<IpAddr>().ok().map(canonical)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether a `Host` header names this machine: `localhost`, 127.0.0.0/8, `::1` or `*.ts.net`.
#[must_use]
pub fn is_local_host(host: &str) -> bool {
    let name = host_name(host);
    is_loopback_name(&name) || name.ends_with(".ts.net")
}

/// Whether a host name, lower case and without port, is a loopback name or address.
#[must_use]
pub fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| canonical(address).is_loopback())
}

/// The name of a `Host` header: lower case, without port and brackets.
#[must_use]
pub fn host_name(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default().to_owned();
    }
    match host.rsplit_once(':') {
        // More than one colon without brackets: a bare IPv6 address.
        Some((name, _)) if !name.contains(':') => name.to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ARTICLE;
    use proptest::prelude::*;

    fn facts(peer: &str, host: &str, forwarded_for: Option<&str>) -> HttpFacts {
        HttpFacts {
            host: Some(host.to_owned()),
            forwarded_for: forwarded_for.map(str::to_owned),
            ..HttpFacts::from_peer(peer.parse().unwrap())
        }
    }

    fn proxies(entries: &[&str]) -> TrustedProxies {
        TrustedProxies::parse(&ARTICLE, &entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    fn place(trusted: &[&str], http: &HttpFacts) -> Locality {
        locate(&ARTICLE, &proxies(trusted), false, http)
    }

    #[test]
    fn table_of_places() {
        // trusted, peer, host, X-Forwarded-For -> address, local
        type Row = (
            &'static [&'static str],
            &'static str,
            &'static str,
            Option<&'static str>,
            Option<&'static str>,
            bool,
        );
        let rows: &[Row] = &[
            (&[], "127.0.0.1", "127.0.0.1:18789", None, Some("127.0.0.1"), true),
            (&[], "127.1.0.9", "localhost", None, Some("127.1.0.9"), true),
            (&[], "::1", "[::1]:18789", None, Some("::1"), true),
            (&[], "::ffff:127.0.0.1", "localhost", None, Some("127.0.0.1"), true),
            (&[], "127.0.0.1", "box.tail1234.ts.net", None, Some("127.0.0.1"), true),
            (&[], "127.0.0.1", "127.2.0.1:1", None, Some("127.0.0.1"), true),
            (&[], "127.0.0.1", "172.17.0.2", None, Some("127.0.0.1"), false),
            (&[], "127.0.0.1", "localhost.example.com", None, Some("127.0.0.1"), false),
            (&[], "192.0.2.1", "localhost", None, Some("192.0.2.1"), false),
            // An untrusted forwarder is remote whatever it says.
            (&[], "127.0.0.1", "localhost", Some("127.0.0.1"), Some("127.0.0.1"), false),
            // Through a trusted proxy.
            (&["127.2.0.1"], "127.2.0.1", "localhost", Some("203.0.113.7"), Some("203.0.113.7"), false),
            (
                &["127.2.0.1"],
                "127.2.0.1",
                "localhost",
                Some("127.0.0.1, 203.0.113.7"),
                Some("203.0.113.7"),
                false,
            ),
            (
                &["127.2.0.1"],
                "127.2.0.1",
                "localhost",
                Some("203.0.113.7, 127.0.0.1"),
                Some("127.0.0.1"),
                true,
            ),
            (
                &["127.2.0.1"],
                "127.2.0.1",
                "localhost",
                Some("203.0.113.7:99, 127.2.0.1"),
                Some("203.0.113.7"),
                false,
            ),
            (&["127.2.0.1"], "127.2.0.1", "localhost", Some("[2001:db8::1]:5"), Some("2001:db8::1"), false),
            (&["127.2.0.1"], "127.2.0.1", "localhost", Some("127.0.0.1, unknown"), None, false),
            (&["127.2.0.1"], "127.2.0.1", "localhost", Some("127.2.0.1"), None, false),
            (&["127.2.0.1"], "127.2.0.1", "localhost", None, None, false),
            // CIDR never matches, so the proxy is an untrusted forwarder.
            (&["127.2.0.0/16"], "127.2.0.1", "localhost", Some("203.0.113.7"), Some("127.2.0.1"), false),
            (&["127.2.0.1/32"], "127.2.0.1", "localhost", None, Some("127.2.0.1"), true),
        ];
        for (trusted, peer, host, chain, address, local) in rows {
            let placed = place(trusted, &facts(peer, host, *chain));
            let context = format!("{trusted:?} {peer} {host} {chain:?}");
            assert_eq!(placed.client_ip.map(|ip| ip.to_string()).as_deref(), *address, "{context}");
            assert_eq!(placed.local, *local, "{context}");
        }
    }

    #[test]
    fn real_ip_counts_only_when_allowed() {
        let mut http = facts("127.2.0.1", "localhost", None);
        http.real_ip = Some("203.0.113.9".to_owned());
        assert_eq!(place(&["127.2.0.1"], &http).client_ip, None);
        let placed = locate(&ARTICLE, &proxies(&["127.2.0.1"]), true, &http);
        assert_eq!(placed.client_ip, Some("203.0.113.9".parse().unwrap()));
        http.forwarded_for = Some("203.0.113.7".to_owned());
        let placed = locate(&ARTICLE, &proxies(&["127.2.0.1"]), true, &http);
        assert_eq!(placed.client_ip, Some("203.0.113.7".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn an_untrusted_forwarder_is_never_local(chain in "[0-9a-f.:, \\[\\]]{1,40}", last in 1_u8..255) {
            let peer = format!("127.3.0.{last}");
            let placed = place(&["127.2.0.1"], &facts(&peer, "localhost", Some(&chain)));
            prop_assert!(!placed.local);
            prop_assert!(placed.untrusted_forwarder);
        }

        #[test]
        fn local_means_loopback_address(chain in "\\PC{0,40}", host in "\\PC{0,20}") {
            let placed = place(&["127.2.0.1"], &facts("127.2.0.1", &host, Some(&chain)));
            if placed.local {
                prop_assert!(placed.client_ip.unwrap().is_loopback());
            }
        }

        #[test]
        fn addresses_never_panic(text in "\\PC{0,60}") {
            let _ = ip(&text);
            let _ = host_name(&text);
        }
    }
}
