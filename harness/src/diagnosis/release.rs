//! What a diagnosis has to know of releases. It is what users find in release notes and documentation, written down for this
//! purpose; neither the gateway's policy nor the oracle is asked.

use std::net::{IpAddr, Ipv4Addr};

use protocol::ProfileName;

use crate::vocabulary::Nanos;

/// Whether it understands ranges in `trustedProxies`. Releases up to 2026.2.1 (#8552) and the founding article's do not.
pub(crate) fn honours_ranges(release: Option<ProfileName>, version: Option<&str>) -> Option<bool> {
    match (release, version.and_then(numbers)) {
        (Some(ProfileName::Article), _) => Some(false),
        (_, Some(version)) => Some(version >= [2026, 2, 2]),
        (release, None) => release.map(|_| true),
    }
}

/// `[2026, 2, 19]` of `2026.2.19-1`.
pub(crate) fn numbers(version: &str) -> Option<[u32; 3]> {
    let bare = version.split(['-', '+']).next()?;
    let mut parts = bare.split('.').map(|part| part.parse::<u32>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// The shortest time that a release waits for `connect`, ns, less what a busy machine takes off it.
pub(super) const WAITS_AT_LEAST: Nanos = 2_500_000_000;

/// Whether rotating a token to other scopes gives the device itself these scopes. Later releases refuse to widen, and what a rotation
/// leaves out of a token stays approved.
pub(crate) const fn rotation_replaces(release: Option<ProfileName>) -> bool {
    matches!(release, Some(ProfileName::Article | ProfileName::V2026_2_19))
}

/// Whether scopes that a device holds cover one that is asked; where the release is not known, as the strictest has it.
pub(crate) fn covers(release: Option<ProfileName>, held: &[String], asked: &str) -> bool {
    let holds = |scope: &str| held.iter().any(|held| held == scope);
    if holds(asked) {
        return true;
    }
    let reads = asked == "operator.read";
    match release {
        None | Some(ProfileName::Article | ProfileName::V2026_2_19) => false,
        Some(ProfileName::V2026_2_21) => reads && (holds("operator.write") || holds("operator.admin")),
        Some(release) => {
            let sessions = ["operator.talk", "operator.sessions.read", "operator.sessions.write"];
            let by_write = reads || (release == ProfileName::V2026_9_6 && sessions.contains(&asked));
            (asked.starts_with("operator.") && holds("operator.admin"))
                || (by_write && holds("operator.write"))
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
    fn scopes_cover_what_the_release_says() {
        use ProfileName as P;
        let covers = |release, held: &str, asked| covers(release, &[held.to_owned()], asked);
        for (held, asked, by) in [
            ("operator.read", "operator.read", [true; 7]),
            ("operator.admin", "operator.write", [false, false, false, false, true, true, true]),
            ("operator.write", "operator.read", [false, false, false, true, true, true, true]),
            ("operator.write", "operator.talk", [false, false, false, false, false, false, true]),
            ("operator.read", "operator.write", [false; 7]),
        ] {
            let releases = [
                None,
                Some(P::Article),
                Some(P::V2026_2_19),
                Some(P::V2026_2_21),
                Some(P::V2026_2_22),
                Some(P::V2026_3_13),
                Some(P::V2026_9_6),
            ];
            assert_eq!(releases.map(|release| covers(release, held, asked)), by, "{held} {asked}");
        }
    }

    #[test]
    fn ranges_are_read_from_2026_2_2_on() {
        assert_eq!(honours_ranges(None, None), None);
        assert_eq!(honours_ranges(Some(ProfileName::Article), Some("0.1.0+article")), Some(false));
        assert_eq!(honours_ranges(None, Some("2026.2.1")), Some(false));
        assert_eq!(honours_ranges(Some(ProfileName::V2026_2_19), Some("2026.2.19-2")), Some(true));
        assert_eq!(honours_ranges(Some(ProfileName::V2026_2_19), Some("dev")), Some(true));
    }

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
