//! Before any load: whether this machine has what the plan needs.

use procfs::Current as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::Plan;
use crate::plan::needs::{Machine, Needs};

/// A plan that this machine cannot carry out.
#[derive(Debug, thiserror::Error)]
#[error("this machine cannot carry the load, so nothing was started{}", lines(.shortfalls))]
pub struct NotEnough {
    shortfalls: Vec<crate::plan::needs::Shortfall>,
}

fn lines(shortfalls: &[crate::plan::needs::Shortfall]) -> String {
    shortfalls.iter().map(|short| format!("\n  {}\n    {}", short.what, short.cure)).collect()
}

/// Takes as many descriptors as the hard limit allows, for this process and the gateway that it starts, and holds the plan
/// against what the machine has. Gives a warning for people, if there is one.
///
/// # Errors
/// [`NotEnough`], with every number that is needed, the number there is, and what to do.
pub fn check(plan: &Plan, on_loopback: bool) -> Result<Option<String>, NotEnough> {
    raise_descriptors();
    let needs = Needs::of(plan, !on_loopback);
    let shortfalls = needs.beyond(&machine());
    if shortfalls.is_empty() { Ok(needs.warning()) } else { Err(NotEnough { shortfalls }) }
}

/// Takes as many descriptors as the hard limit allows: every client is one. A child inherits it.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves what there is, which is then held against the plan.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// What this machine has, when the limit of descriptors has been raised.
#[must_use]
pub fn machine() -> Machine {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let memory = procfs::Meminfo::current().ok();
    Machine {
        descriptors: getrlimit(Resource::Nofile).maximum,
        ports: range.as_deref().and_then(ports_in),
        memory_bytes: memory.and_then(|memory| memory.mem_available),
    }
}

/// Ports from the first to the last of `32768 60999`.
fn ports_in(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    (last >= first).then(|| last - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_counted_with_its_ends() {
        assert_eq!(ports_in("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_in("5 4"), None);
        assert_eq!(ports_in("32768"), None);
    }

    #[test]
    fn this_machine_says_what_it_has() {
        let machine = machine();
        assert!(machine.ports.is_some_and(|ports| ports > 0), "{machine:?}");
        assert!(machine.memory_bytes.is_some_and(|bytes| bytes > 0), "{machine:?}");
    }
}
