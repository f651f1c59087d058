//! A port for the gateway: free now, and below the range that outgoing connections draw from.
//!
//! A gateway that is down must not find its port taken by one of our own clients when it comes back, so the port lies
//! below `ip_local_port_range`; it stays the same over restarts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use super::TargetError;

const FIRST: u16 = 18_000;
const LAST_WITHOUT_RANGE: u16 = 32_000;
/// Ports that runs of this process have been given or found taken. Several may go on at once, and a port is free while a gateway
/// restarts: whoever looks next begins behind it.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// Finds a free port on 127.0.0.1, starting at a place that depends on this process so that parallel runs rarely meet.
///
/// # Errors
/// [`TargetError::NoPort`] when every port of the range is taken.
pub fn free() -> Result<u16, TargetError> {
    let last = ephemeral_first().map_or(LAST_WITHOUT_RANGE, |first| first.saturating_sub(1).max(FIRST + 1));
    let count = u32::from(last - FIRST) + 1;
    let start = std::process::id().wrapping_mul(37) % count;
    (0..count)
        .map(|_| TRIED.fetch_add(1, Ordering::Relaxed) % count)
        .filter_map(|step| u16::try_from(u32::from(FIRST) + (start + step * 7) % count).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or(TargetError::NoPort { from: FIRST, to: last })
}

fn ephemeral_first() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_port_lies_below_the_ephemeral_range_and_can_be_bound() {
        let port = super::free().unwrap();
        assert!(super::ephemeral_first().is_none_or(|first| port < first), "{port}");
    }

    #[test]
    fn a_port_is_given_once_although_it_is_free_again() {
        let given: std::collections::BTreeSet<u16> = (0..50).map(|_| super::free().unwrap()).collect();
        assert_eq!(given.len(), 50);
    }
}
