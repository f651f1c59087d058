//! Which address a client dials from and which one its proxy forwards.
//!
//! Both depend on the cohort and the index in it alone, so that `--clients` moves nobody.

use std::net::Ipv4Addr;

use protocol::ProfileName;

use super::limits::limits;
use super::{CohortId, ForwardedFor, NetworkPath};

/// Clients that share a direct source address. 500 sockets leave ample ports for reconnects while the kernel still
/// holds old ones in TIME_WAIT.
const CLIENTS_EACH: u32 = 500;
/// The same for a release that counts by address. 2026.9.6 refuses the 33rd socket without `connect`; half of that
/// leaves room for sockets whose end the gateway has not seen yet.
const CLIENTS_EACH_COUNTED: u32 = 16;
/// Sockets that one address can have to one port: the default `ip_local_port_range` has 28 232.
pub const PORTS_EACH: u64 = 28_000;

/// Usable addresses of 127.1.0.0/16: the last byte is neither 0 nor 255.
const DIRECT_ADDRESSES: u64 = 256 * 254;
/// The documentation ranges (RFC 5737); no real client has such an address.
const FORWARDED_NETS: [[u8; 3]; 3] = [[203, 0, 113], [198, 51, 100], [192, 0, 2]];
/// Usable addresses of the documentation ranges.
const DOCUMENTATION_ADDRESSES: u32 = 3 * 254;
/// Usable addresses of 198.18.0.0/15, the range for benchmarks (RFC 2544); no real client has such an address either.
const BENCHMARK_ADDRESSES: u64 = 512 * 254;

/// How many clients share an address at most, where the run chooses it.
#[must_use]
pub const fn clients_each(release: ProfileName) -> u32 {
    if limits(release).counts_by_address { CLIENTS_EACH_COUNTED } else { CLIENTS_EACH }
}

/// Source address of client `index` of a direct cohort, one of 127.1.0.0/16, when the scenario has `cohorts` cohorts.
///
/// Blocks of [`clients_each`] clients take turns through the cohorts.
#[must_use]
pub fn direct(release: ProfileName, cohort: CohortId, cohorts: usize, index: u32) -> Ipv4Addr {
    let number = u64::from(index / clients_each(release)) * cohorts as u64 + u64::from(cohort);
    let number = number % DIRECT_ADDRESSES;
    // Both quotients are below 256.
    Ipv4Addr::new(127, 1, (number / 254) as u8, (number % 254) as u8 + 1)
}

/// Address that a proxy forwards for client `index` of a cohort, when the scenario has `cohorts` cohorts.
///
/// For a release that counts by address no two clients have the same one, until both ranges are used up.
#[must_use]
pub fn forwarded_for(release: ProfileName, cohort: CohortId, cohorts: usize, index: u32) -> Ipv4Addr {
    if !limits(release).counts_by_address {
        return forwarded(index);
    }
    let number = number(cohort, cohorts, index);
    match u32::try_from(number) {
        Ok(number) if number < DOCUMENTATION_ADDRESSES => forwarded(number),
        _ => {
            let number = (number - u64::from(DOCUMENTATION_ADDRESSES)) % BENCHMARK_ADDRESSES;
            let net = number / 254;
            // 512 nets: the second byte is 18 or 19.
            Ipv4Addr::new(198, 18 + (net / 256) as u8, (net % 256) as u8, (number % 254) as u8 + 1)
        }
    }
}

/// Clients take turns through the cohorts.
fn number(cohort: CohortId, cohorts: usize, index: u32) -> u64 {
    u64::from(index) * cohorts as u64 + u64::from(cohort)
}

/// One of 762 documentation addresses, in turn.
#[must_use]
pub fn forwarded(index: u32) -> Ipv4Addr {
    let number = index % DOCUMENTATION_ADDRESSES;
    let [a, b, c] = FORWARDED_NETS.get((number / 254) as usize).copied().unwrap_or([203, 0, 113]);
    Ipv4Addr::new(a, b, c, (number % 254) as u8 + 1)
}

/// Clients of a cohort, and who chooses their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Direct clients.
    Direct(u32),
    /// Clients behind a proxy that forwards an address of its own for each.
    Forwarded(u32),
    /// Clients whose address the scenario sets.
    Set,
}

impl Crowd {
    /// So many clients that take `path`.
    #[must_use]
    pub const fn of(path: &NetworkPath, clients: u32) -> Self {
        match path {
            NetworkPath::Direct => Self::Direct(clients),
            NetworkPath::Proxy { forwarded_for: ForwardedFor::Own, .. } => Self::Forwarded(clients),
            NetworkPath::Proxy { .. } => Self::Set,
        }
    }
}

/// Checks that the clients of all cohorts have addresses enough.
///
/// # Errors
/// The position of the first cohort whose clients have not.
pub fn check(release: ProfileName, crowds: impl ExactSizeIterator<Item = Crowd>) -> Result<(), usize> {
    let cohorts = crowds.len() as u64;
    let each = clients_each(release);
    for (cohort, crowd) in crowds.enumerate() {
        let (clients, addresses, each) = match crowd {
            Crowd::Direct(clients) => (clients, DIRECT_ADDRESSES, each),
            Crowd::Forwarded(clients) if limits(release).counts_by_address => {
                (clients, BENCHMARK_ADDRESSES * u64::from(each), 1)
            }
            Crowd::Forwarded(_) | Crowd::Set => continue,
        };
        let Some(last) = clients.checked_sub(1) else { continue };
        if u64::from(last / each) * cohorts + cohort as u64 >= addresses {
            return Err(cohort);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    type Choice = fn(ProfileName, CohortId, usize, u32) -> Ipv4Addr;

    /// Who has which address, of three cohorts of 1200 clients.
    fn users(release: ProfileName, choice: Choice) -> HashMap<Ipv4Addr, Vec<(CohortId, u32)>> {
        let mut users: HashMap<Ipv4Addr, Vec<(CohortId, u32)>> = HashMap::new();
        for cohort in 0..3 {
            for index in 0..1_200 {
                users.entry(choice(release, cohort, 3, index)).or_default().push((cohort, index));
            }
        }
        users
    }

    #[test]
    fn direct_addresses_are_shared_by_few_and_never_across_cohorts() {
        for (release, addresses, most) in [
            (ProfileName::Article, 9, 500),
            (ProfileName::V2026_3_13, 9, 500),
            (ProfileName::V2026_9_6, 3 * 1_200 / 16, 16),
        ] {
            let users = users(release, direct);
            assert_eq!(users.len(), addresses);
            for (address, clients) in users {
                assert!(address.octets().starts_with(&[127, 1]));
                assert!(!matches!(address.octets()[3], 0 | 255));
                assert!(clients.len() <= most);
                assert!(clients.iter().all(|(cohort, _)| *cohort == clients[0].0));
            }
        }
    }

    #[test]
    fn what_is_fixed_for_the_article_stays_fixed() {
        let of = |cohort, index| direct(ProfileName::Article, cohort, 3, index);
        assert_eq!(of(0, 0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(of(2, 499), Ipv4Addr::new(127, 1, 0, 3));
        assert_eq!(of(2, 500), Ipv4Addr::new(127, 1, 0, 6));
        let of = |cohort, index| forwarded_for(ProfileName::Article, cohort, 3, index);
        assert_eq!(of(0, 17), of(2, 17));
        assert_eq!(of(1, 1_100), forwarded(1_100));
    }

    #[test]
    fn clients_behind_a_proxy_have_addresses_of_their_own_where_they_are_counted() {
        let users = users(ProfileName::V2026_9_6, forwarded_for);
        assert_eq!(users.len(), 3_600);
        for address in users.keys() {
            let [a, b, ..] = address.octets();
            assert!(address.is_documentation() || (a == 198 && matches!(b, 18 | 19)), "{address}");
            assert!(!matches!(address.octets()[3], 0 | 255));
        }
        let last = |number| forwarded_for(ProfileName::V2026_9_6, 0, 1, number);
        assert_eq!(last(762 + 512 * 254 - 1), Ipv4Addr::new(198, 19, 255, 254));
        assert_eq!(last(762 + 512 * 254), last(762));
    }

    #[test]
    fn too_many_clients_are_noticed() {
        let direct = |release, counts: Vec<u32>| check(release, counts.into_iter().map(Crowd::Direct));
        let article = ProfileName::Article;
        assert_eq!(direct(article, vec![1_000_000, 0]), Ok(()));
        assert_eq!(direct(article, vec![1_000_000; 40]), Err(0));
        assert_eq!(direct(article, vec![0; 1000]), Ok(()));
        assert_eq!(direct(ProfileName::V2026_9_6, vec![1, 10_000]), Ok(()));
        assert_eq!(direct(ProfileName::V2026_9_6, vec![1, 1_000_000]), Err(1));
        let forwarded = |release, counts: Vec<u32>| check(release, counts.into_iter().map(Crowd::Forwarded));
        assert_eq!(forwarded(article, vec![1_000_000; 40]), Ok(()));
        assert_eq!(forwarded(ProfileName::V2026_9_6, vec![1_000_000, 1_000_000]), Ok(()));
        assert_eq!(forwarded(ProfileName::V2026_9_6, vec![1, 1, 1_000_000]), Err(2));
        assert_eq!(check(ProfileName::V2026_9_6, [Crowd::Set].into_iter()), Ok(()));
    }

    #[test]
    fn forwarded_addresses_are_documentation_addresses() {
        assert_eq!(forwarded(0), Ipv4Addr::new(203, 0, 113, 1));
        assert_eq!(forwarded(254), Ipv4Addr::new(198, 51, 100, 1));
        assert_eq!(forwarded(761), Ipv4Addr::new(192, 0, 2, 254));
        assert_eq!(forwarded(762), forwarded(0));
        assert!((0..762).all(|index| forwarded(index).is_documentation()));
    }
}
