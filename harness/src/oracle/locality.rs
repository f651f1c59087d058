//! Local or remote, and at which address (reference, section 5)?

use std::net::{IpAddr, SocketAddr};

use super::release::{Hop, Locality, Release};
use crate::plan::{ForwardedFor, GatewayPlan, NetworkPath, PlannedClient};

/// `gateway.trustedProxies`, as far as a release makes something of it.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

/// The addresses that share their first `bits` bits with `first`.
#[derive(Debug, Clone, Copy)]
struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(entry: &str, ranges: bool) -> Option<Self> {
        let entry = entry.trim();
        let Some((address, prefix)) = entry.split_once('/') else {
            let first = canonical(entry.parse().ok()?);
            return Some(Self { first, bits: width(first) });
        };
        let first = address.trim().parse::<IpAddr>().ok().filter(|_| ranges)?;
        let bits = prefix.trim().parse::<u32>().ok().filter(|bits| *bits <= width(first))?;
        Some(Self { first, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let shift = width(self.first).saturating_sub(self.bits);
        let head = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()).checked_shr(shift).unwrap_or(0),
            IpAddr::V6(v6) => v6.to_bits().checked_shr(shift).unwrap_or(0),
        };
        self.first.is_ipv4() == address.is_ipv4() && head(self.first) == head(address)
    }
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl TrustedProxies {
    /// Keeps the entries that a release understands; others never match, silently.
    #[must_use]
    pub fn new(entries: &[String], rule: Locality) -> Self {
        Self(entries.iter().filter_map(|entry| Network::parse(entry, rule.ranges)).collect())
    }

    /// Whether `address` is listed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.iter().any(|network| network.contains(address))
    }
}

/// What of an upgrade request says where it comes from.
#[derive(Debug, Clone)]
pub struct Wire {
    /// Address of the peer.
    pub peer: IpAddr,
    /// `X-Forwarded-For`, repeated headers joined by a comma.
    pub forwarded_for: Option<String>,
    /// `X-Real-IP`
    pub real_ip: Option<String>,
    /// Whether `X-Forwarded-Host` is there.
    pub forwarded_host: bool,
    /// Whether another `X-Forwarded-…` or `Forwarded` is there.
    pub other_forwarding: bool,
    /// `Host`; `None` = the loopback address dialled, with its port.
    pub host: Option<String>,
}

impl Wire {
    /// What a planned client sends.
    #[must_use]
    pub fn of(path: &NetworkPath, client: &PlannedClient) -> Self {
        let (peer, forwarded_for, host) = match path {
            NetworkPath::Direct => (client.source, None, None),
            NetworkPath::Proxy { from, forwarded_for, host } => {
                let text = match forwarded_for {
                    ForwardedFor::Own => client.forwarded.map(|address| address.to_string()),
                    ForwardedFor::Fixed(text) => Some(text.clone()),
                    ForwardedFor::Absent => None,
                };
                (*from, text, host.clone())
            }
        };
        Self {
            peer: IpAddr::V4(peer),
            forwarded_for,
            real_ip: None,
            forwarded_host: false,
            other_forwarding: false,
            host,
        }
    }
}

/// How a gateway places a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// On this machine.
    Local,
    /// Elsewhere.
    Remote,
    /// Nobody can be held to its forwarding headers: HTTP 403.
    Unattributable,
}

impl Place {
    /// All of them; [`Place::number`] is the position.
    pub const ALL: [Self; 3] = [Self::Local, Self::Remote, Self::Unattributable];

    /// Position in [`Place::ALL`].
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Local => 0,
            Self::Remote => 1,
            Self::Unattributable => 2,
        }
    }
}

/// Where a client is, and the address that its failures count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Where.
    pub place: Place,
    /// `None` = unknown.
    pub address: Option<IpAddr>,
}

/// Where a release sees a planned client.
#[must_use]
pub fn place(path: &NetworkPath, client: &PlannedClient, gateway: &GatewayPlan) -> Place {
    let rule = Release::of(gateway.profile).locality;
    let proxies = TrustedProxies::new(&gateway.trusted_proxies, rule);
    seat(&Wire::of(path, client), &proxies, rule, gateway.allow_real_ip_fallback).place
}

/// Where a release sees whoever sends this.
#[must_use]
pub fn seat(wire: &Wire, proxies: &TrustedProxies, rule: Locality, real_ip_fallback: bool) -> Seat {
    let trusted = proxies.contains(wire.peer);
    let peer = canonical(wire.peer);
    let forwarded = || {
        let chained = wire.forwarded_for.as_deref().and_then(|text| named(text, rule.hop, proxies));
        let real_ip = || wire.real_ip.as_deref().and_then(hop).filter(|_| rule.real_ip || real_ip_fallback);
        chained.or_else(real_ip)
    };
    if rule.attributes {
        return attributed(wire, peer, trusted, forwarded);
    }
    let address = if trusted { forwarded() } else { Some(peer) };
    let headers = wire.forwarded_for.is_some() || wire.real_ip.is_some() || wire.forwarded_host;
    let local = address.is_some_and(|address| address.is_loopback())
        && host_is_local(wire.host.as_deref())
        && (!headers || trusted);
    Seat { place: if local { Place::Local } else { Place::Remote }, address }
}

/// Section 5.3.
fn attributed(wire: &Wire, peer: IpAddr, trusted: bool, forwarded: impl Fn() -> Option<IpAddr>) -> Seat {
    let headers = wire.forwarded_for.is_some()
        || wire.real_ip.is_some()
        || wire.forwarded_host
        || wire.other_forwarding;
    if peer.is_loopback() && !headers {
        return Seat { place: Place::Local, address: Some(peer) };
    }
    if trusted {
        return match forwarded().filter(|address| !address.is_loopback()) {
            Some(address) => Seat { place: Place::Remote, address: Some(address) },
            None => Seat { place: Place::Unattributable, address: None },
        };
    }
    if headers {
        return Seat { place: Place::Unattributable, address: None };
    }
    Seat { place: Place::Remote, address: Some(peer) }
}

/// Whom a chain of forwarded addresses names. What is no address is passed over by the releases that walk from the right
/// (read in 2026.2.21, 2026.2.22, 2026.3.13 and 2026.9.6), and so is a loopback hop by 2026.9.6 (seen; the reference's
/// 5.3 has it as a refusal, which it is only if nothing else is left).
fn named(chain: &str, which: Hop, proxies: &TrustedProxies) -> Option<IpAddr> {
    let from_the_right = || chain.rsplit(',').map(hop);
    let untrusted = |hop: &IpAddr| !proxies.contains(*hop);
    match which {
        Hop::Leftmost => chain.split(',').next().and_then(hop),
        Hop::RightmostUntrusted => from_the_right().find(|hop| hop.as_ref().is_none_or(untrusted)).flatten(),
        Hop::RightmostAddress => from_the_right().flatten().find(untrusted),
        Hop::RightmostRemote => from_the_right().flatten().find(|hop| untrusted(hop) && !hop.is_loopback()),
    }
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
            life: 0,
            next_life: None,
        };
        let entries: Vec<String> = trusted.iter().map(|entry| (*entry).to_owned()).collect();
        let gateway = GatewayPlan { trusted_proxies: entries, ..crate::oracle::tests::fixture::gateway() };
        place(path, &client, &gateway) == Place::Local
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
    fn what_a_release_makes_of_a_chain() {
        use Hop::{Leftmost, RightmostAddress, RightmostRemote, RightmostUntrusted};
        let proxies = TrustedProxies::new(
            &["127.2.0.1".to_owned()],
            Locality { hop: Leftmost, real_ip: false, ranges: true, attributes: false },
        );
        // chain, then who is named by each rule in this order
        let rules = [Leftmost, RightmostUntrusted, RightmostAddress, RightmostRemote];
        for (chain, due) in [
            ("203.0.113.7", ["203.0.113.7"; 4]),
            ("127.0.0.1, 203.0.113.7", ["127.0.0.1", "203.0.113.7", "203.0.113.7", "203.0.113.7"]),
            ("203.0.113.7, 127.0.0.1", ["203.0.113.7", "127.0.0.1", "127.0.0.1", "203.0.113.7"]),
            ("203.0.113.7, 127.0.0.1, 127.2.0.1", ["203.0.113.7", "127.0.0.1", "127.0.0.1", "203.0.113.7"]),
            ("203.0.113.7, ::1", ["203.0.113.7", "::1", "::1", "203.0.113.7"]),
            ("203.0.113.7, unknown", ["203.0.113.7", "?", "203.0.113.7", "203.0.113.7"]),
            ("127.0.0.1", ["127.0.0.1", "127.0.0.1", "127.0.0.1", "?"]),
            ("127.0.0.1, 127.2.0.1", ["127.0.0.1", "127.0.0.1", "127.0.0.1", "?"]),
            ("unknown, 203.0.113.7", ["?", "203.0.113.7", "203.0.113.7", "203.0.113.7"]),
            (", 203.0.113.7", ["?", "203.0.113.7", "203.0.113.7", "203.0.113.7"]),
            ("unknown", ["?"; 4]),
            ("", ["?"; 4]),
        ] {
            for (rule, due) in rules.iter().zip(due) {
                let said = named(chain, *rule, &proxies).map_or_else(|| "?".to_owned(), |ip| ip.to_string());
                assert_eq!(said, due, "{rule:?}: {chain}");
            }
        }
    }

    /// Reference, sections 5.1 and 5.2: `X-Real-IP` of a trusted proxy counts on 2.19, later only with the setting.
    #[test]
    fn x_real_ip_counts_where_the_release_or_the_setting_says_so() {
        use protocol::ProfileName::{V2026_2_19, V2026_2_21, V2026_3_13};
        let client = &crate::oracle::tests::fixture::Case::stranger().plan.clients[0];
        for (profile, fallback, due) in [
            (V2026_2_19, false, Place::Local),
            (V2026_2_19, true, Place::Local),
            (V2026_2_21, false, Place::Remote),
            (V2026_2_21, true, Place::Local),
            (V2026_3_13, false, Place::Remote),
            (V2026_3_13, true, Place::Local),
        ] {
            let rule = Release::of(profile).locality;
            let proxies = TrustedProxies::new(&["127.2.0.1".to_owned()], rule);
            let mut wire = Wire::of(&proxied([127, 2, 0, 1], ForwardedFor::Absent, None), client);
            wire.real_ip = Some("127.0.0.1".to_owned());
            assert_eq!(seat(&wire, &proxies, rule, fallback).place, due, "{profile:?} {fallback}");
        }
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
