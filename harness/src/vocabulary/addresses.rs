//! Which address a client dials from and which one its proxy forwards.
//!
//! Both depend on the cohort and the index in it alone, so that `--clients` moves nobody.

use std::net::Ipv4Addr;

use super::CohortId;

/// Clients that share a direct source address. 500 sockets leave ample ports for reconnects while the kernel still
/// holds old ones in TIME_WAIT.
pub const CLIENTS_EACH: u32 = 500;
/// Sockets that one address can have to one port: the default `ip_local_port_range` has 28 232.
pub const PORTS_EACH: u64 = 28_000;

/// Usable addresses of 127.1.0.0/16: the last byte is neither 0 nor 255.
const DIRECT_ADDRESSES: u64 = 256 * 254;
/// The documentation ranges (RFC 5737); no real client has such an address.
const FORWARDED_NETS: [[u8; 3]; 3] = [[203, 0, 113], [198, 51, 100], [192, 0, 2]];

/// Source address of client `index` of a direct cohort, one of 127.1.0.0/16, when the scenario has `cohorts` cohorts.
///
/// Blocks of [`CLIENTS_EACH`] clients take turns through the cohorts.
#[must_use]
pub fn direct(cohort: CohortId, cohorts: usize, index: u32) -> Ipv4Addr {
    let number = u64::from(index / CLIENTS_EACH) * cohorts as u64 + u64::from(cohort);
    let number = number % DIRECT_ADDRESSES;
    // Both quotients are below 256.
    Ipv4Addr::new(127, 1, (number / 254) as u8, (number % 254) as u8 + 1)
}

/// Address that a proxy forwards for client `index`: 762 documentation addresses in turn.
#[must_use]
pub fn forwarded(index: u32) -> Ipv4Addr {
    let number = index % (3 * 254);
    let [a, b, c] = FORWARDED_NETS.get((number / 254) as usize).copied().unwrap_or([203, 0, 113]);
    Ipv4Addr::new(a, b, c, (number % 254) as u8 + 1)
}

/// Checks that so many direct clients, by cohort (0 for cohorts behind proxies), have addresses enough.
///
/// # Errors
/// The position of the first cohort whose clients have not.
pub fn check(clients: impl ExactSizeIterator<Item = u32>) -> Result<(), usize> {
    let cohorts = clients.len() as u64;
    for (cohort, clients) in clients.enumerate() {
        let Some(last) = clients.checked_sub(1) else { continue };
        if u64::from(last / CLIENTS_EACH) * cohorts + cohort as u64 >= DIRECT_ADDRESSES {
            return Err(cohort);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn direct_addresses_are_shared_by_few_and_never_across_cohorts() {
        let mut users: HashMap<Ipv4Addr, Vec<(u16, u32)>> = HashMap::new();
        for cohort in 0..3_u16 {
            for index in 0..1_200 {
                users.entry(direct(cohort, 3, index)).or_default().push((cohort, index));
            }
        }
        assert_eq!(users.len(), 9);
        for (address, clients) in users {
            assert!(address.octets().starts_with(&[127, 1]));
            assert!(!matches!(address.octets()[3], 0 | 255));
            assert!(clients.len() <= CLIENTS_EACH as usize);
            assert!(clients.iter().all(|(cohort, _)| *cohort == clients[0].0));
        }
    }

    #[test]
    fn too_many_direct_clients_are_noticed() {
        assert_eq!(check([1_000_000, 0].into_iter()), Ok(()));
        let crowded = vec![1_000_000; 40];
        assert_eq!(check(crowded.into_iter()), Err(0));
        assert_eq!(check(vec![0; 1000].into_iter()), Ok(()));
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
