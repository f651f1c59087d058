//! What a diagnosis has to know of releases. It is what users find in release notes and documentation, written down for this
//! purpose; neither the gateway's policy nor the oracle is asked.

use std::net::{IpAddr, Ipv4Addr};

use protocol::ProfileName;

/// Whether the release understands ranges in `trustedProxies`. The article's does not; every release from 2026.2.19 on does.
pub(super) const fn honours_ranges(release: Option<ProfileName>) -> Option<bool> {
    match release {
        None => None,
        Some(ProfileName::Article) => Some(false),
        Some(_) => Some(true),
    }
}

/// Whether scopes that a device holds cover one that is asked.
pub(super) fn covers(release: Option<ProfileName>, held: &[String], asked: &str) -> bool {
    let holds = |scope: &str| held.iter().any(|held| held == scope);
    if holds(asked) {
        return true;
    }
    let reads = asked == "operator.read";
    match release {
        Some(ProfileName::Article | ProfileName::V2026_2_19) => false,
        Some(ProfileName::V2026_2_21) => reads && (holds("operator.write") || holds("operator.admin")),
        _ => {
            (asked.starts_with("operator.") && holds("operator.admin")) || (reads && holds("operator.write"))
        }
    }
}

/// How an entry of `trustedProxies` names a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By its exact address.
    Exactly,
    /// By a range that holds it.
    InRange,
}

/// How the entries name an address; `None` = they do not.
pub(super) fn named(entries: &[String], peer: IpAddr) -> Option<Names> {
    if entries.iter().any(|entry| entry.trim().parse() == Ok(peer)) {
        return Some(Names::Exactly);
    }
    entries.iter().any(|entry| in_range(entry.trim(), peer)).then_some(Names::InRange)
}

/// Whether an entry is a range that holds an address.
fn in_range(entry: &str, peer: IpAddr) -> bool {
    let Some((base, bits)) = entry.split_once('/') else { return false };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (base, peer) {
        (IpAddr::V4(base), IpAddr::V4(peer)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let number = |address: Ipv4Addr| u32::from(address) & mask;
            number(base) == number(peer)
        }
        (IpAddr::V6(base), IpAddr::V6(peer)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(base) & mask == u128::from(peer) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_hold() {
        let peer: IpAddr = "172.17.0.1".parse().unwrap();
        let named = |entry: &str| named(&[entry.to_owned()], peer);
        assert_eq!(named("172.17.0.1"), Some(Names::Exactly));
        for entry in ["172.17.0.0/16", "172.17.0.1/32", "0.0.0.0/0"] {
            assert_eq!(named(entry), Some(Names::InRange), "{entry}");
        }
        for entry in ["172.18.0.0/16", "172.17.0.2", "172.17.0.0/33", "::/0", "x/8", ""] {
            assert_eq!(named(entry), None, "{entry}");
        }
    }
}
