//! The client's address, and whether it is local (reference, section 5; article profile, section 3).

use std::net::IpAddr;

use super::http_facts::HttpFacts;
use crate::profile::{CidrEntries, ForwardedChoice, KeptAddress, LocalityRule, Profile, RealIpRule};

/// `gateway.trustedProxies`, parsed once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// An address, or those that share its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// Leading bits that must agree.
    bits: u32,
}

impl Network {
    fn one(address: IpAddr) -> Self {
        Self { address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let whole = Self::one(ip(address)?);
        let bits = bits.trim().parse().ok()?;
        (bits <= whole.bits).then_some(Self { bits, ..whole })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl TrustedProxies {
    /// Keeps what the profile can match; the rest is ignored without a word.
    #[must_use]
    pub fn parse(profile: &Profile, entries: &[String]) -> Self {
        let network = |entry: &String| match profile.cidr {
            // An entry in CIDR notation is no address, and drops out here.
            CidrEntries::NeverMatch => ip(entry).map(Network::one),
            CidrEntries::MatchV4 => ip(entry)
                .map(Network::one)
                .or_else(|| Network::parse(entry).filter(|network| network.address.is_ipv4())),
            CidrEntries::TooWide => ip(entry).map(Network::one).or_else(|| {
                Network::parse(entry).map(|network| Network { bits: network.bits.min(16), ..network })
            }),
            CidrEntries::Match => ip(entry).map(Network::one).or_else(|| Network::parse(entry)),
        };
        Self(entries.iter().filter_map(network).collect())
    }

    /// Whether the address is listed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locality {
    /// Its address; `None` when a trusted proxy forwarded none that can be used.
    pub client_ip: Option<IpAddr>,
    /// Whether it is local.
    pub local: bool,
    /// The address that is kept with its requests, if any.
    pub kept_ip: Option<IpAddr>,
    /// A peer that is no trusted proxy sent forwarding headers; the gateway logs that.
    pub untrusted_forwarder: bool,
    /// Forwarding headers that cannot be attributed to a client: refused with HTTP 403 instead of an upgrade (9.6).
    pub unattributable: bool,
}

impl Locality {
    /// A client that connected without a proxy.
    #[must_use]
    pub fn direct(peer: IpAddr, local: bool) -> Self {
        let client_ip = Some(canonical(peer));
        Self {
            client_ip,
            local,
            kept_ip: client_ip.filter(|_| !local),
            untrusted_forwarder: false,
            unattributable: false,
        }
    }
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
    let client_ip =
        if trusted { forwarded_client(profile, proxies, real_ip_fallback, http) } else { Some(peer) };
    let forwarded = http.forwarded_for.is_some() || http.real_ip.is_some() || http.forwarded_host.is_some();
    let is_loopback = client_ip.is_some_and(|address| address.is_loopback());
    let by_host = |is_local_host: fn(&str) -> bool| {
        is_loopback && http.host.as_deref().is_some_and(is_local_host) && (trusted || !forwarded)
    };
    let (local, unattributable) = match profile.locality {
        LocalityRule::NamedHost => (by_host(is_named_local_host), false),
        LocalityRule::LoopbackHost => (by_host(is_local_host), false),
        LocalityRule::DirectOrAttributed => {
            let shaped = http.is_proxy_shaped();
            if peer.is_loopback() && !shaped {
                return Locality::direct(peer, true);
            }
            (false, if trusted { client_ip.is_none_or(|ip| ip.is_loopback()) } else { shaped })
        }
    };
    let kept_ip = match profile.kept_address {
        KeptAddress::NotLocal => client_ip.filter(|_| !local),
        KeptAddress::NotLoopback => {
            let untrusted = !trusted && (http.forwarded_for.is_some() || http.real_ip.is_some());
            client_ip.filter(|address| !local && !untrusted && !address.is_loopback())
        }
    };
    Locality { client_ip, local, kept_ip, untrusted_forwarder: forwarded && !trusted, unattributable }
}

/// The client that a trusted proxy names.
fn forwarded_client(
    profile: &Profile,
    proxies: &TrustedProxies,
    real_ip_fallback: bool,
    http: &HttpFacts,
) -> Option<IpAddr> {
    let chain = http.forwarded_for.as_deref().unwrap_or_default();
    let entries = || chain.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let named = match profile.forwarded {
        ForwardedChoice::Leftmost => match chain.split(',').next().map(str::trim).unwrap_or_default() {
            "" => None,
            // What is written there names the client, even if it is no address: then nobody is named.
            leftmost => return ip(leftmost),
        },
        ForwardedChoice::RightmostUntrusted => entries()
            .rev()
            .map(ip)
            // An entry that is no address cannot be attributed, and what stands left of it was written by somebody
            // unknown: the client is unknown.
            .find(|address| address.is_none_or(|address| !proxies.contains(address)))
            .flatten(),
        ForwardedChoice::RightmostUntrustedAddress => {
            entries().rev().filter_map(ip).find(|address| !proxies.contains(*address))
        }
        ForwardedChoice::RightmostUntrustedRemote => entries()
            .rev()
            .filter_map(ip)
            .find(|address| !address.is_loopback() && !proxies.contains(*address)),
    };
    let counts = match profile.real_ip {
        RealIpRule::Always => true,
        RealIpRule::WhenAllowed => real_ip_fallback,
    };
    named.or_else(|| http.real_ip.as_deref().filter(|_| counts).and_then(ip))
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

/// Likewise, but of 127.0.0.0/8 only 127.0.0.1.
fn is_named_local_host(host: &str) -> bool {
    let name = host_name(host);
    ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()) || name.ends_with(".ts.net")
}

/// Whether an address is private or loopback: RFC 1918, link-local, unique local, CGNAT.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
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
    use crate::profile::{ALL, ARTICLE, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};
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

    /// What each release makes of the same request: address, and whether it is local (`403` = not upgraded).
    #[test]
    fn table_of_releases() {
        const PROXY: &[&str] = &["127.0.0.2"];
        type Row =
            (&'static [&'static str], &'static str, &'static str, Option<&'static str>, [&'static str; 5]);
        let rows: &[Row] = &[
            // Cases a04 and b01 to b04; section 5.
            (&[], "127.0.0.1", "127.0.0.1:1", None, ["127.0.0.1 local"; 5]),
            (
                &[],
                "127.0.0.1",
                "172.17.0.2",
                None,
                ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1 local"],
            ),
            (
                &[],
                "127.0.0.1",
                "127.0.0.9",
                None,
                ["127.0.0.1", "127.0.0.1", "127.0.0.1 local", "127.0.0.1 local", "127.0.0.1 local"],
            ),
            (
                &[],
                "127.0.0.1",
                "localhost",
                Some("127.0.0.1"),
                ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "403"],
            ),
            (PROXY, "127.0.0.2", "localhost", Some("203.0.113.7"), ["203.0.113.7"; 5]),
            (
                PROXY,
                "127.0.0.2",
                "localhost",
                Some("127.0.0.1, 203.0.113.7"),
                ["127.0.0.1 local", "203.0.113.7", "203.0.113.7", "203.0.113.7", "203.0.113.7"],
            ),
            (
                PROXY,
                "127.0.0.2",
                "localhost",
                Some("203.0.113.7, 127.0.0.1"),
                ["203.0.113.7", "127.0.0.1 local", "127.0.0.1 local", "127.0.0.1 local", "203.0.113.7"],
            ),
            (PROXY, "127.0.0.2", "localhost", Some("203.0.113.7, nonsense"), ["203.0.113.7"; 5]),
            (PROXY, "127.0.0.2", "localhost", Some("nonsense"), ["?", "?", "?", "?", "403"]),
            (
                PROXY,
                "127.0.0.2",
                "localhost",
                Some("127.0.0.1"),
                ["127.0.0.1 local", "127.0.0.1 local", "127.0.0.1 local", "127.0.0.1 local", "403"],
            ),
            (PROXY, "127.0.0.2", "localhost", None, ["?", "?", "?", "?", "127.0.0.2 local"]),
            (&["127.0.0.1"], "127.0.0.1", "localhost", None, ["?", "?", "?", "?", "127.0.0.1 local"]),
            (PROXY, "127.0.0.2", "localhost", Some("203.0.113.7:5555"), ["203.0.113.7"; 5]),
            (&["127.0.0.2/31"], "127.0.0.3", "localhost", Some("203.0.113.7"), ["203.0.113.7"; 5]),
            (
                &["127.0.0.2/31"],
                "127.0.0.4",
                "localhost",
                Some("203.0.113.7"),
                ["127.0.0.4", "127.0.0.4", "127.0.0.4", "127.0.0.4", "403"],
            ),
            (&[], "192.0.2.1", "localhost", None, ["192.0.2.1"; 5]),
        ];
        let releases = [&V2026_2_19, &V2026_2_21, &V2026_2_22, &V2026_3_13, &V2026_9_6];
        for (trusted, peer, host, chain, expected) in rows {
            for (profile, expected) in releases.iter().zip(expected) {
                let entries: Vec<String> = trusted.iter().map(|entry| (*entry).to_owned()).collect();
                let proxies = TrustedProxies::parse(profile, &entries);
                let placed = locate(profile, &proxies, false, &facts(peer, host, *chain));
                let said = if placed.unattributable {
                    "403".to_owned()
                } else {
                    let address = placed.client_ip.map_or_else(|| "?".to_owned(), |ip| ip.to_string());
                    if placed.local { format!("{address} local") } else { address }
                };
                assert_eq!(said, *expected, "{}: {trusted:?} {peer} {host} {chain:?}", profile.name);
            }
        }
    }

    #[test]
    fn networks_of_every_length() {
        let parse = |text: &str| Network::parse(text).unwrap();
        let v4 = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(parse("0.0.0.0/0").contains(v4("203.0.113.7")));
        assert!(parse("203.0.113.7/32").contains(v4("203.0.113.7")));
        assert!(!parse("203.0.113.7/32").contains(v4("203.0.113.6")));
        assert!(parse("2001:db8::/32").contains(v4("2001:db8:1::1")));
        assert!(parse("::/0").contains(v4("::1")));
        assert!(!parse("::/0").contains(v4("127.0.0.1")));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
        let v6 = ["2001:db8::/32".to_owned()];
        assert!(!TrustedProxies::parse(&V2026_2_22, &v6).contains(v4("2001:db8::1")));
        assert!(TrustedProxies::parse(&V2026_3_13, &v6).contains(v4("2001:db8::1")));
    }

    #[test]
    fn an_address_is_kept_only_where_it_says_something() {
        let kept = |profile: &Profile, peer: &str, host: &str, chain| {
            let proxies = TrustedProxies::parse(profile, &["127.0.0.2".to_owned()]);
            locate(profile, &proxies, false, &facts(peer, host, chain)).kept_ip.map(|ip| ip.to_string())
        };
        for profile in [&V2026_2_19, &V2026_3_13, &V2026_9_6] {
            assert_eq!(
                kept(profile, "127.0.0.2", "localhost", Some("203.0.113.7")).as_deref(),
                Some("203.0.113.7")
            );
            assert_eq!(kept(profile, "127.0.0.1", "localhost", None), None);
        }
        assert_eq!(kept(&V2026_3_13, "127.0.0.1", "172.17.0.2", None), None, "loopback");
        assert_eq!(kept(&V2026_3_13, "192.0.2.1", "x", Some("203.0.113.7")), None, "not to be trusted");
        assert_eq!(kept(&ARTICLE, "127.0.0.1", "172.17.0.2", None).as_deref(), Some("127.0.0.1"));
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
            for profile in ALL {
                let proxies = TrustedProxies::parse(profile, &["127.2.0.1".to_owned()]);
                let placed = locate(profile, &proxies, false, &facts(&peer, "localhost", Some(&chain)));
                prop_assert!(!placed.local);
                prop_assert!(placed.untrusted_forwarder);
            }
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
