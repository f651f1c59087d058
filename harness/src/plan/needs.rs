//! What a plan needs of the machine, and whether a machine has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{Cohort, CohortId, Executor, Plan};

/// Descriptors beside the clients' sockets: standard streams, the store's files, the reactors' own, results.
const DESCRIPTORS_BESIDE: u64 = 64;
/// Sockets on one address to one port beyond which the kernel takes longer and longer to find a port: `connect` prefers one
/// half of the range, and searches when that is full. Measured: 41 µs a connect with 14,000 held, 303 µs with 19,900.
pub const QUICK_PORTS_EACH: u64 = 12_000;
/// Memory of a client that holds a session, bytes: socket, script, its part of the kernel's tables left out.
const SESSION_BYTES: u64 = 4 << 10;
/// Memory of a client in the plan, with its key and what is recorded of it, bytes.
const CLIENT_BYTES: u64 = 1 << 10;
/// Memory of everything else: transcripts, buffers on their way to the disk, a shard that is judged, bytes.
const REST_BYTES: u64 = 128 << 20;

/// What a plan needs, at most, at any one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Sockets of clients and operators.
    pub sockets: u64,
    /// Descriptors of the generator. The gateway needs as many in a process of its own.
    pub descriptors: u64,
    /// Share of the descriptors that the process may open beyond which the run would be invalid.
    pub descriptors_share_max: f64,
    /// Source addresses on loopback.
    pub addresses: usize,
    /// The address with the most sockets, and how many.
    pub busiest: Option<(Ipv4Addr, u64)>,
    /// Memory of the generator, bytes; a rough figure.
    pub memory_bytes: u64,
}

/// What a machine has; `None` = it does not say, or there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// Descriptors that a process may open.
    pub descriptors: Option<u64>,
    /// Ports that outgoing connections of one address may take.
    pub ports: Option<u64>,
    /// Memory that can be had without swapping, bytes.
    pub memory_bytes: Option<u64>,
}

/// Something that a machine has too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// How much is needed of what, and how much there is.
    pub what: String,
    /// What to do about it.
    pub cure: &'static str,
}

impl Needs {
    /// What `plan` needs. `from_one_address`: clients do not dial from the addresses of the plan but from the machine's own,
    /// because the gateway is not on loopback.
    #[must_use]
    pub fn of(plan: &Plan, from_one_address: bool) -> Self {
        let sockets = sockets_at_most(plan);
        let by_source = sockets_by_source(plan);
        let busiest = by_source.iter().max_by_key(|(_, sockets)| **sockets);
        let busiest = busiest.map(|(address, sockets)| (*address, *sockets));
        let clients = plan.clients.len() as u64;
        Self {
            sockets,
            descriptors: sockets + DESCRIPTORS_BESIDE,
            descriptors_share_max: plan.validity.descriptors_share_max,
            addresses: if from_one_address { 1 } else { by_source.len() },
            busiest: if from_one_address { Some((Ipv4Addr::UNSPECIFIED, sockets)) } else { busiest },
            memory_bytes: sockets * SESSION_BYTES + clients * CLIENT_BYTES + REST_BYTES,
        }
    }

    /// Everything that `machine` has too little of.
    #[must_use]
    pub fn beyond(&self, machine: &Machine) -> Vec<Shortfall> {
        let mut short = Vec::new();
        let descriptors = machine.descriptors.and_then(|there| self.descriptors_beyond(there));
        if let Some(what) = descriptors {
            short.push(Shortfall {
                what,
                cure: "raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or lower --clients or `in_flight_max`",
            });
        }
        if let (Some((address, needed)), Some(there)) = (self.busiest, machine.ports)
            && needed > there
        {
            short.push(Shortfall {
                what: format!("{needed} ports are needed {}, which has {there}", place(address)),
                cure: "widen net.ipv4.ip_local_port_range, spread the clients over several [path.NAME], or lower --clients",
            });
        }
        if let Some(there) = machine.memory_bytes.filter(|there| *there < self.memory_bytes) {
            short.push(Shortfall {
                what: format!(
                    "about {} MB of memory are needed, and {} MB can be had",
                    self.memory_bytes / 1_000_000,
                    there / 1_000_000
                ),
                cure: "lower --clients, or end what else is running",
            });
        }
        short
    }

    /// What is wrong if a process may open so many descriptors.
    fn descriptors_beyond(&self, there: u64) -> Option<String> {
        let needed = format!(
            "{} descriptors are needed (a socket a client, and {DESCRIPTORS_BESIDE} more)",
            self.descriptors
        );
        if self.descriptors > there {
            return Some(format!("{needed}, and a process may open {there}"));
        }
        // As the run's validity reckons: what it would call invalid is not worth beginning.
        let share = self.descriptors as f64 / there as f64;
        (share > self.descriptors_share_max).then(|| {
            format!(
                "{needed}, and of the {there} that a process may open the budget `descriptors_share_max` ({:.1} %) leaves {:.0}",
                100.0 * self.descriptors_share_max,
                (self.descriptors_share_max * there as f64).floor()
            )
        })
    }

    /// What will work, but slowly; for people.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (address, needed) = self.busiest.filter(|(_, needed)| *needed > QUICK_PORTS_EACH)?;
        Some(format!(
            "{needed} sockets {}: beyond {QUICK_PORTS_EACH} on one address the kernel takes longer and longer to find a \
             port, and that is in the figures; spread the clients over several [path.NAME]",
            place(address)
        ))
    }

    /// Needs beside what `machine` has, a line each, for people.
    #[must_use]
    pub fn against(&self, machine: &Machine) -> String {
        let said =
            |figure: Option<u64>| figure.map_or_else(|| "no limit known".to_owned(), |n| n.to_string());
        let mut text = String::from("\nthis machine has\n");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  descriptors  {} a process; needed: {}",
            said(machine.descriptors),
            self.descriptors
        );
        let ports = self.busiest.map_or(0, |(_, ports)| ports);
        let _ = writeln!(text, "  ports        {} an address; needed: {ports}", said(machine.ports));
        let memory = said(machine.memory_bytes.map(|bytes| bytes / 1_000_000));
        let _ = writeln!(
            text,
            "  memory       {memory} MB that can be had; needed: about {}",
            self.memory_bytes / 1_000_000
        );
        let short = self.beyond(machine);
        for shortfall in &short {
            let _ = writeln!(text, "NOT ENOUGH: {}\n  {}", shortfall.what, shortfall.cure);
        }
        if let Some(warning) = self.warning() {
            let _ = writeln!(text, "warning: {warning}");
        }
        if short.is_empty() {
            text.push_str("and that is enough\n");
        }
        text
    }
}

fn place(address: Ipv4Addr) -> String {
    if address.is_unspecified() {
        "on this machine's own address".to_owned()
    } else {
        format!("on {address}")
    }
}

/// Sockets of clients that stay, and of those that leave at once and have one only while an attempt is in progress.
#[derive(Default)]
struct Crowd {
    staying: u64,
    passing: u64,
}

impl Crowd {
    /// Adds what `clients` of a cohort have at most: one each, and together no more than are active.
    fn add(&mut self, cohort: &Cohort, clients: u64) {
        let at_a_time = match cohort.executor {
            Executor::Open => clients,
            Executor::Closed { concurrency, .. } => clients.min(u64::from(concurrency)),
            Executor::Steps => clients.min(1),
        };
        match cohort.session.hold {
            Some(hold) if hold.max.is_zero() && cohort.script.is_empty() => self.passing += at_a_time,
            _ => self.staying += at_a_time,
        }
    }

    fn sockets(&self, plan: &Plan) -> u64 {
        self.staying + self.passing.min(plan.in_flight_max as u64)
    }
}

/// All sockets, those of operators among them.
fn sockets_at_most(plan: &Plan) -> u64 {
    let mut clients = vec![0_u64; plan.cohorts.len()];
    for (_, client) in plan.arriving() {
        if let Some(count) = clients.get_mut(usize::from(client.cohort)) {
            *count += 1;
        }
    }
    let mut crowd = Crowd::default();
    for (cohort, clients) in plan.cohorts.iter().zip(clients) {
        crowd.add(cohort, clients);
    }
    crowd.sockets(plan) + plan.operators.len() as u64
}

/// Sockets of clients on each address that they dial from. The gateway closes TCP first, after a refusal as after a session,
/// so that no port waits on the client's side.
fn sockets_by_source(plan: &Plan) -> BTreeMap<Ipv4Addr, u64> {
    let mut clients: BTreeMap<(Ipv4Addr, CohortId), u64> = BTreeMap::new();
    for (_, client) in plan.arriving() {
        *clients.entry((client.source, client.cohort)).or_default() += 1;
    }
    let mut crowds: BTreeMap<Ipv4Addr, Crowd> = BTreeMap::new();
    for ((source, cohort), clients) in clients {
        if let Some(cohort) = plan.cohorts.get(usize::from(cohort)) {
            crowds.entry(source).or_default().add(cohort, clients);
        }
    }
    crowds.into_iter().map(|(source, crowd)| (source, crowd.sockets(plan))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::{Overrides, unfold};
    use crate::scenario;

    fn needs(lines: &str) -> Needs {
        let text = format!("name = \"x\"\nduration = \"60s\"\n{lines}");
        let scenario = scenario::parse("x.toml", &text, &[]).expect("right");
        Needs::of(&unfold(&scenario, &Overrides::default()).expect("right"), false)
    }

    const CROWD: &str = "[path.proxy]\nfrom = \"127.3.0.1\"\n[cohort.c]\npersona = \"cli\"\ncount = 20_000\n\
        path = \"proxy\"\narrivals.herd = {}\nsession.hold = \"until-end\"\n";

    #[test]
    fn who_stays_counts_and_who_passes_counts_while_in_progress() {
        let passing = "[cohort.p]\npersona = \"cli\"\ncount = 5000\narrivals.herd = {}\n";
        assert_eq!(needs(passing).sockets, 1_024);
        let both = format!(
            "{passing}[cohort.s]\npersona = \"cli\"\ncount = 300\narrivals.herd = {{}}\nsession.hold = \"1s\"\n"
        );
        let both = needs(&both);
        assert_eq!((both.sockets, both.descriptors), (1_324, 1_388));
        assert_eq!(both.busiest.map(|(_, ports)| ports), Some(500));
    }

    #[test]
    fn what_a_machine_lacks_is_named_with_both_numbers() {
        let needs = needs(CROWD);
        let enough = Machine { descriptors: Some(20_474), ports: Some(20_000), memory_bytes: Some(1 << 30) };
        assert_eq!(needs.beyond(&enough), []);
        assert_eq!(needs.beyond(&Machine::default()), []);
        let short = Machine { descriptors: Some(20_063), ports: Some(19_999), memory_bytes: Some(1 << 20) };
        let said: Vec<String> = needs.beyond(&short).into_iter().map(|short| short.what).collect();
        assert_eq!(
            said,
            [
                "20064 descriptors are needed (a socket a client, and 64 more), and a process may open 20063",
                "20000 ports are needed on 127.3.0.1, which has 19999",
                "about 236 MB of memory are needed, and 1 MB can be had",
            ]
        );
        assert!(needs.against(&short).contains("NOT ENOUGH: 20064 descriptors"));
        assert!(needs.warning().is_some_and(|warning| warning.contains("20000 sockets on 127.3.0.1")));
        assert!(needs.against(&enough).ends_with("and that is enough\n"));
    }

    #[test]
    fn what_the_budget_of_the_run_would_call_invalid_is_refused_before() {
        let machine = |descriptors| Machine { descriptors: Some(descriptors), ..Machine::default() };
        let said = |needs: &Needs, there| -> Vec<String> {
            needs.beyond(&machine(there)).into_iter().map(|short| short.what).collect()
        };
        let usual = needs(CROWD);
        assert_eq!(said(&usual, 20_474), [""; 0]);
        assert_eq!(
            said(&usual, 20_473),
            [
                "20064 descriptors are needed (a socket a client, and 64 more), and of the 20473 that a process may open \
                 the budget `descriptors_share_max` (98.0 %) leaves 20063"
            ]
        );
        // To the last one, if the scenario says so.
        let budget = |share: &str| needs(&format!("{CROWD}[validity]\ndescriptors_share_max = {share}\n"));
        assert_eq!(said(&budget("1.0"), 20_064), [""; 0]);
        assert_eq!(said(&budget("0.5"), 40_128), [""; 0]);
        assert!(said(&budget("0.5"), 40_127)[0].ends_with("(50.0 %) leaves 20063"));
    }

    #[test]
    fn nineteen_thousand_sessions_fit_a_limit_of_twenty_thousand() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/capacity/hold-19000.toml");
        let scenario = scenario::load(&file, &[]).expect("right");
        let needs = Needs::of(&unfold(&scenario, &Overrides::default()).expect("right"), false);
        let machine = Machine { descriptors: Some(20_000), ports: Some(28_232), memory_bytes: Some(1 << 30) };
        assert_eq!(needs.beyond(&machine), []);
    }

    #[test]
    fn an_address_has_the_sockets_of_those_who_are_active_on_it() {
        let closed = |hold: &str| {
            format!(
                "[path.proxy]\nfrom = \"127.3.0.1\"\n[cohort.in-turn]\npersona = \"cli\"\ncount = 100_000\n\
                 path = \"proxy\"\narrivals.closed.concurrency = 256\nsession.hold = \"{hold}\"\n"
            )
        };
        let staying = "[cohort.stay]\npersona = \"cli\"\ncount = 30_000\narrivals.herd = {}\n\
            session.hold = \"until-end\"\n";
        let proxy = Ipv4Addr::new(127, 3, 0, 1);
        for hold in ["0s", "5s"] {
            let needs = needs(&format!("{}{staying}", closed(hold)));
            assert_eq!(needs.sockets, 30_256);
            // Sixty addresses of 500 each, and the proxy's.
            assert_eq!((needs.addresses, needs.busiest.map(|(_, sockets)| sockets)), (61, Some(500)));
            assert_eq!(self::needs(&closed(hold)).busiest, Some((proxy, 256)));
        }
        // Who passes has as many sockets on one address as everywhere, beside those who stay there.
        let passing = closed("0s").replace("arrivals.closed.concurrency = 256", "arrivals.herd = {}");
        let both = format!("{passing}{}", staying.replace("count = 30_000", "count = 700\npath = \"proxy\""));
        assert_eq!(needs(&both.replace("100_000", "15_000")).busiest, Some((proxy, 1_724)));
    }

    #[test]
    fn a_gateway_elsewhere_is_dialled_from_one_address() {
        let text = format!("name = \"x\"\nduration = \"60s\"\n{}", CROWD.replace("20_000", "600"));
        let scenario = scenario::parse("x.toml", &text, &[]).expect("right");
        let plan = unfold(&scenario, &Overrides::default()).expect("right");
        let needs = Needs::of(&plan, true);
        assert_eq!((needs.addresses, needs.busiest), (1, Some((Ipv4Addr::UNSPECIFIED, 600))));
        assert_eq!(needs.warning(), None);
    }

    #[test]
    fn no_direct_address_has_more_sockets_than_the_kernel_finds_quickly() {
        for (cohorts, count) in [(1, 19_000), (1, 1_000_000), (40, 25_000), (1_000, 1_000)] {
            let text: String = (0..cohorts)
                .map(|at| {
                    format!(
                        "[cohort.c{at}]\npersona = \"cli\"\ncount = {count}\narrivals.herd = {{}}\n\
                         session.hold = \"until-end\"\n"
                    )
                })
                .collect();
            let needs = needs(&text);
            let (_, most) = needs.busiest.expect("somebody");
            assert!(most <= QUICK_PORTS_EACH && needs.warning().is_none(), "{cohorts} x {count}: {most}");
            assert_eq!(needs.sockets, cohorts * count);
        }
    }
}
