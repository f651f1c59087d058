//! Scenarios unfolded: what a seed fixes, what `--clients` leaves alone, and that every shipped scenario holds together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scenario::{self, Scenario};

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut folders = vec![folder];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml")
                && !crate::verify::is_expected(&path)
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn load(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    scenario::load(&path, &[]).unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)))
}

fn plan(name: &str, overrides: &Overrides) -> Plan {
    unfold(&load(name), overrides).unwrap()
}

const SMALL: &str = r#"
name = "small"
seed = 7
duration = "20s"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.cli]
persona = "cli"
count = 4
arrivals.constant.rate = "2/s"
[cohort.phones]
persona = "ios"
count = 6
path = "proxy"
arrivals.poisson.rate = "3/s"
session.hold = "1s..2s"
[cohort.nodes]
persona = "node-host"
count = 2
arrivals.closed.concurrency = 1
[operator.owner]
serves = ["phones"]
[fault.update]
at = "2500ms"
restart = "SIGTERM"
[threshold]
mismatches = "== 0"
"#;

fn small() -> Scenario {
    scenario::parse("small.toml", SMALL, &[])
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)))
}

#[test]
fn every_shipped_scenario_unfolds() {
    let files = shipped();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let scenario = scenario::load(&path, &[])
            .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)));
        let shows = ["Shows: S", "Shows: F"].iter().any(|shows| scenario.about.contains(shows));
        assert!(shows, "{}: say which statements or failure modes it shows", path.display());
        assert!(scenario.about.contains("Takes about"), "{}: say how long it takes", path.display());
        let plan = unfold(&scenario, &Overrides::default()).unwrap();
        let last = plan.clients.iter().map(|client| client.intended).max().unwrap();
        let end = plan.duration.unwrap_or(plan.max_time);
        assert!(Duration::from_nanos(last) < end, "{}: someone arrives after the end", path.display());
        assert!(describe(&plan).contains(&scenario.name));
        assert!(describe(&plan).lines().all(|line| line == line.trim_end()));
    }
}

#[test]
fn the_smoke_scenario_has_two_thousand_clients_of_every_kind() {
    let plan = plan("smoke.toml", &Overrides::default());
    assert_eq!(plan.clients.len(), 2_000);
    let personas: BTreeSet<&str> = plan
        .cohorts
        .iter()
        .map(|cohort| persona::profile(cohort.connect.persona, plan.gateway.profile).name)
        .collect();
    assert_eq!(personas.len(), persona::NAMES.len());
    let restarts = plan.faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Restart { .. })).count();
    assert_eq!((plan.faults.len(), restarts), (3, 2));
    // A few hundred sessions are there to be brought back.
    let first_restart = plan.faults[0].at;
    let holding = |client: &&PlannedClient| {
        plan.cohorts[usize::from(client.cohort)].session.hold.is_none() && client.intended < first_restart
    };
    assert!((200..600).contains(&plan.clients.iter().filter(holding).count()));
    // The load is spread: no second has much more than its share of 2 000 over ten seconds.
    let mut by_second: BTreeMap<u64, u32> = BTreeMap::new();
    for client in &plan.clients {
        *by_second.entry(client.intended / 1_000_000_000).or_default() += 1;
    }
    assert!(by_second.values().all(|arrivals| *arrivals <= 330), "{by_second:?}");
    // The range is listed and is not the address of any proxy that is meant to be trusted.
    assert!(plan.gateway.trusted_proxies.iter().any(|proxy| proxy.contains('/')));
    for cohort in &plan.cohorts {
        // Every client has an end: none that is refused for good tries until the run is over.
        let held = cohort.session.hold.is_none();
        assert!(cohort.reconnect.attempts_max.is_some() || held, "{}", cohort.name);
    }
}

#[test]
fn a_seed_fixes_the_plan() {
    let scenario = small();
    let text = |seed| {
        let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
        format!("{:?}", unfold(&scenario, &overrides).unwrap())
    };
    assert_eq!(text(3), text(3));
    assert_ne!(text(3), text(4));
}

#[test]
fn direct_clients_dial_from_their_own_range_and_remote_ones_through_the_proxy() {
    let plan = unfold(&small(), &Overrides::default()).unwrap();
    for client in &plan.clients {
        match plan.cohorts[usize::from(client.cohort)].connect.path {
            NetworkPath::Direct => {
                assert!(client.source.octets().starts_with(&[127, 1]));
                assert_eq!(client.forwarded, None);
            }
            NetworkPath::Proxy { from, .. } => {
                assert_eq!(client.source, from);
                assert_eq!(client.forwarded, Some(addresses::forwarded(client.index)));
            }
        }
    }
    assert_eq!(plan.clients[4].forwarded, Some(Ipv4Addr::new(203, 0, 113, 1)));
}

#[test]
fn more_clients_change_nobody_who_was_there_before() {
    let scenario = small();
    let before = unfold(&scenario, &Overrides::default()).unwrap();
    let overrides = Overrides { clients: Some(1_200), ..Overrides::default() };
    let after = unfold(&scenario, &overrides).unwrap();
    assert_eq!(after.clients.len(), 1_200);
    for client in &before.clients {
        let same = after
            .clients
            .iter()
            .find(|other| (other.cohort, other.index) == (client.cohort, client.index))
            .unwrap();
        // The key hangs on cohort and index, see `identity`; the addresses do as well.
        assert_eq!((same.source, same.forwarded), (client.source, client.forwarded));
    }
    let (Executor::Closed { concurrency: one, .. }, Executor::Closed { concurrency: many, .. }) =
        (&before.cohorts[2].executor, &after.cohorts[2].executor)
    else {
        panic!("no closed cohort")
    };
    assert_eq!((*one, *many), (1, 100));
}

#[test]
fn overrides_that_do_not_fit_are_all_named() {
    let overrides = Overrides {
        clients: Some(2),
        max_time: Some(Duration::ZERO),
        time_scale: Some(f64::NAN),
        ..Overrides::default()
    };
    let errors = unfold(&small(), &overrides).unwrap_err();
    insta::assert_snapshot!(scenario::render(&errors, false), @r"
    error[override]: --max-time 0 leaves no time to run
     |
     = note: on the command line

    error[override]: --time-scale NaN is out of range
     |
     = note: on the command line
     = help: from 0.001 to 1000

    error[override]: --clients 2 is too few: the scenario has 3 cohorts
     |
     = note: on the command line
     = help: at least 3, one for each cohort
    ");
}

/// A scenario of one cohort with these arrivals, unfolded with `--clients`.
fn multiplied(count: u32, arrivals: &str, clients: u64) -> Result<usize, String> {
    let text = format!(
        "name = \"f\"\nduration = \"60s\"\n[cohort.tabs]\npersona = \"cli\"\ncount = {count}\n\
         [cohort.tabs.arrivals.{arrivals}\n"
    );
    let scenario = scenario::parse("f.toml", &text, &[])
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)));
    unfold(&scenario, &Overrides { clients: Some(clients), ..Overrides::default() })
        .map(|plan| plan.clients.len())
        .map_err(|errors| errors.iter().map(|error| error.message.clone()).collect())
}

#[test]
fn clients_that_would_never_arrive_are_refused_not_left_out() {
    // 2.1 clients arrive: the third has begun to, and of thirty nine more have not.
    let spike = "spike]\nbase = \"0/s\"\npeak = \"2.1/s\"\nat = \"1s\"\nfor = \"1s\"";
    assert_eq!(multiplied(3, spike, 3), Ok(3));
    let said = "of 30 clients of `tabs` only 21 ever arrive: the rate falls to 0 before";
    assert_eq!(multiplied(3, spike, 30), Err(said.to_owned()));
    let ramp = "ramp]\nfrom = \"2.1/s\"\nto = \"0/s\"\nover = \"2s\"";
    assert_eq!(multiplied(3, ramp, 3), Ok(3));
    assert_eq!(multiplied(3, ramp, 30), Err(said.to_owned()));
    // Three arrive in whole, and so do thirty.
    assert_eq!(multiplied(3, &spike.replace("2.1", "3"), 30), Ok(30));
    assert_eq!(multiplied(3, &ramp.replace("2.1", "3").replace("over = \"2s\"", ""), 30), Ok(30));
}

#[test]
fn a_defect_and_a_time_scale_reach_the_plan() {
    let overrides = Overrides {
        defect: Some("lose-approvals".to_owned()),
        time_scale: Some(0.1),
        max_time: Some(Duration::from_secs(99)),
        ..Overrides::default()
    };
    let plan = unfold(&small(), &overrides).unwrap();
    assert_eq!(plan.gateway.defect.as_deref(), Some("lose-approvals"));
    assert!((plan.time_scale - 0.1).abs() < f64::EPSILON);
    assert_eq!(plan.max_time, Duration::from_secs(99));
}

#[test]
fn all_shards_together_are_the_whole() {
    let text = SMALL
        .replace("serves = [\"phones\"]", "serves = [\"phones\"]\nrate = \"3/s\"\nrevoke = \"6/m\"")
        .replace("count = 2\narrivals.closed.concurrency = 1", "count = 20\narrivals.closed.concurrency = 7");
    let scenario = scenario::parse("small.toml", &text, &[]).unwrap();
    let of = |shard: Option<Shard>| unfold(&scenario, &Overrides { shard, ..Overrides::default() }).unwrap();
    let who = |plan: &Plan| -> Vec<(CohortId, u32, Nanos, Ipv4Addr, Option<Ipv4Addr>)> {
        let clients = plan.clients.iter();
        clients.map(|one| (one.cohort, one.index, one.intended, one.source, one.forwarded)).collect()
    };
    let concurrency = |plan: &Plan| match plan.cohorts[2].executor {
        Executor::Closed { concurrency, .. } => concurrency,
        _ => 0,
    };
    let whole = of(None);
    for shards in [1, 3, 4] {
        let parts: Vec<Plan> = (1..=shards).map(|number| of(Shard::new(number, shards))).collect();
        let mut joined: Vec<_> = parts.iter().flat_map(who).collect();
        joined.sort_unstable();
        let mut all = who(&whole);
        all.sort_unstable();
        assert_eq!(joined, all, "{shards}");
        assert_eq!(parts.iter().map(concurrency).sum::<u32>(), 7);
        let rate =
            |plan: &Plan| plan.operators[0].rate_max.unwrap() + plan.operators[0].upkeep.revoke.unwrap();
        assert!((parts.iter().map(rate).sum::<f64>() - rate(&whole)).abs() < 1e-9);
        // What happens to the gateway happens to each one's own.
        assert!(parts.iter().all(|part| part.faults == whole.faults && part.cohorts.len() == 3));
    }
    let beyond = Overrides { shard: Shard::new(21, 21), ..Overrides::default() };
    assert!(unfold(&scenario, &beyond).unwrap_err()[0].message.contains("--shard 21/21 has no clients"));
    let story = Overrides { shard: Shard::new(1, 2), ..Overrides::default() };
    let refused = unfold(&load("sequence/scope-ladder.toml"), &story).unwrap_err();
    assert_eq!(refused[0].message, "a scenario with steps cannot be cut into shards");
}

#[test]
fn faults_stand_on_a_time_line() {
    let text = SMALL.replace(
        "[threshold]",
        "[fault.slow]\nat = \"8s\"\nstall = { of = \"10ms\", every = \"20ms\" }\nfor = \"4s\"\n\
         [fault.kill]\nduring = \"approval\"\nat = \"10s\"\nrestart = \"SIGKILL\"\ntimes = 2\n\
         [fault.full]\nat = \"15s\"\nstore = \"full\"\n\
         [fault.again]\nevery = \"4s\"\nat = \"14s\"\ntimes = 2\nreload = true\n[threshold]",
    );
    let scenario = scenario::parse("small.toml", &text, &[])
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)));
    let told = describe(&unfold(&scenario, &Overrides::default()).unwrap());
    let (_, told) = told.split_once("\nfaults from").unwrap();
    let (line, _) = told.split_once("\n\n").unwrap();
    insta::assert_snapshot!("faults_on_a_time_line", line);
}

#[test]
fn the_plan_reads_well() {
    insta::assert_snapshot!(describe(&unfold(&small(), &Overrides::default()).unwrap()), @r"
    small: 12 clients in 3 cohorts, seed 7
    duration   20s; killed after 10m
    judged by  profile `article`

    cohort  clients  persona    arrive                 path           special
    cli           4  cli        0.0s to 1.5s           direct
    phones        6  ios        0.5s to 2.9s           via 127.2.0.1  stays 1s..2s
    nodes         2  node-host  1 at a time from 0.0s  direct

    operator owner: on event, thinks 20ms..200ms; serves phones

    first arrivals a second (each client's first attempt; later ones follow from what happens)
        0s      4 ##################################################
        1s      4 ##################################################
        2s      2 ######################### <- update at 2.5s: SIGTERM, start again 200ms after the exit
      and 2 clients of closed cohorts, as places become free

    faults from 0 to 20.0s (x at once, = as long as it lasts, ~ waits for an approval)
      update |       x                                                    | 2.5s

    threshold mismatches == 0

    needs of the machine, at most
      sockets      12 (attempts in progress are limited to 1024)
      descriptors  76 here, as many sockets again in the gateway
      addresses    3 source addresses on loopback
      ports        6 on 127.2.0.1, the busiest address
      memory       about 134 MB here
    ");
}

#[test]
fn a_release_that_counts_by_address_gets_more_of_them() {
    let text = SMALL.replace("[gateway.config", "[gateway]\nprofile = \"2026.9.6\"\n[gateway.config");
    let text = format!("{text}[path.office]\nfrom = \"127.2.0.1\"\nforwarded_for = \"203.0.113.200\"\n")
        .replace("[cohort.nodes]", "[cohort.nodes]\npath = \"office\"");
    let scenario = scenario::parse("small.toml", &text, &[])
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, false)));
    let overrides = Overrides { clients: Some(600), ..Overrides::default() };
    let plan = unfold(&scenario, &overrides).unwrap();
    let mut direct: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    let mut forwarded = BTreeSet::new();
    for client in &plan.clients {
        match plan.cohorts[usize::from(client.cohort)].name.as_str() {
            "cli" => *direct.entry(client.source).or_default() += 1,
            "phones" => assert!(forwarded.insert(client.forwarded.unwrap()), "its own"),
            _ => assert_eq!(client.forwarded, None, "the text stands for all"),
        }
    }
    assert_eq!((direct.len(), direct.values().max()), (13, Some(&16)));
    assert_eq!(forwarded.len(), 300);
    let told = describe(&plan);
    let (_, told) = told.split_once("\nrelease ").unwrap();
    insta::assert_snapshot!(told, @r"
    2026.9.6 counts sockets without connect, and refused credentials, by address
          16  clients share an address at most, where the run chooses it
         100  clients are forwarded for 203.0.113.200, as the scenario has it
    ");
}

proptest! {
    #[test]
    fn a_rate_that_falls_to_0_leaves_nobody_out_in_silence(
        tenths in 1_u32..600, clients in 1_u64..400, falling in prop_oneof![Just("spike"), Just("ramp")],
    ) {
        // So many tenths of a client arrive, and the scenario has as many as that lets begin to.
        let count = tenths.div_ceil(10);
        let rate = f64::from(tenths) / 10.0;
        let arrivals = match falling {
            "spike" => format!("spike]\nbase = \"0/s\"\npeak = \"{rate}/s\"\nat = \"1s\"\nfor = \"1s\""),
            _ => format!("ramp]\nfrom = \"{rate}/s\"\nto = \"0/s\"\nover = \"2s\""),
        };
        match multiplied(count, &arrivals, clients) {
            Ok(planned) => prop_assert_eq!(planned as u64, clients),
            Err(said) => prop_assert!(
                tenths % 10 != 0 && said.starts_with(&format!("of {clients} clients of `tabs` only ")), "{said}"
            ),
        }
    }

    #[test]
    fn any_number_of_clients_is_shared_out_exactly(
        counts in proptest::collection::vec(1_u32..1_000, 1..20), clients in 0_u64..5_000,
    ) {
        let mut text = "name = \"p\"\n".to_owned();
        for (at, count) in counts.iter().enumerate() {
            text += &format!("[cohort.c{at}]\npersona = \"cli\"\ncount = {count}\narrivals.herd = {{}}\n");
        }
        let scenario = scenario::parse("p.toml", &text, &[]).unwrap();
        let overrides = Overrides { clients: Some(clients), ..Overrides::default() };
        match unfold(&scenario, &overrides) {
            Ok(plan) => {
                prop_assert_eq!(plan.clients.len() as u64, clients);
                let total: u32 = counts.iter().sum();
                for (at, count) in counts.iter().enumerate() {
                    let got = plan.clients.iter().filter(|client| usize::from(client.cohort) == at).count();
                    let exact = f64::from(*count) * clients as f64 / f64::from(total);
                    prop_assert!(got >= 1);
                    // Within one of its share, but for what lifting others to 1 costs.
                    let lifted = counts.len() as f64;
                    prop_assert!(got as f64 <= exact.max(1.0) + 1.0 && got as f64 >= exact - 1.0 - lifted);
                }
            }
            Err(_) => prop_assert!(clients < counts.len() as u64),
        }
    }
}

const FAULTS: &str = r#"
name = "faults"
duration = "30s"
[cohort.a]
persona = "cli"
count = 1
arrivals.constant.rate = "1/s"
[fault.once]
at = "6s"
reload = true
[fault.beat]
every = "5s"
until = "20s"
pause = "100ms"
[fault.drawn]
within = "10s..20s"
times = 3
restart = "SIGTERM"
[fault.kill]
during = "approval"
after = "0ms..3ms"
times = 2
restart = "SIGKILL"
"#;

#[test]
fn schedules_of_faults_unfold_by_the_seed() {
    let scenario = scenario::parse("faults.toml", FAULTS, &[]).unwrap();
    let faults =
        |seed| unfold(&scenario, &Overrides { seed: Some(seed), ..Overrides::default() }).unwrap().faults;
    let one = faults(1);
    assert_eq!(one, faults(1));
    assert!(one.is_sorted_by_key(|fault| fault.at));
    let times = |name: &str| -> Vec<u64> {
        let of = one.iter().filter(|fault| fault.name.split('/').next() == Some(name));
        of.map(|fault| fault.at / 1_000_000).collect()
    };
    assert_eq!(times("once"), [6_000]);
    assert_eq!(times("beat"), [5_000, 10_000, 15_000, 20_000]);
    assert!(times("drawn").iter().all(|at| (10_000..=20_000).contains(at)), "{:?}", times("drawn"));
    assert_ne!(times("drawn")[0], times("drawn")[1]);
    assert_eq!(times("kill"), [0, 0]);
    let after = |faults: &[PlannedFault]| -> Vec<Duration> {
        let triggers = faults.iter().filter_map(|fault| fault.trigger);
        triggers.map(|Trigger::Approval { after }| after).collect()
    };
    assert!(after(&one).iter().all(|after| *after <= Duration::from_millis(3)));
    assert_ne!(after(&one)[0], after(&one)[1]);
    assert_ne!(after(&one), after(&faults(2)));
    let text = describe(&unfold(&scenario, &Overrides::default()).unwrap());
    assert!(text.contains("kill/1 from 0.0s on: SIGKILL"), "{text}");
}

#[test]
fn who_loses_a_key_becomes_devices_behind_all_clients() {
    let source = r#"
name = "x"
duration = "9s"
[cohort.forgetful]
persona = "cli"
count = 2
arrivals.herd.at = "0s"
script = [
    { connect = true }, { drop = true },
    { lose = "key" }, { connect = true }, { drop = true },
    { lose = "both" }, { connect = true, expect = { outcome = "session", latency = "< 2s" } }, { hold = "1s..2s" },
]
[cohort.tabs]
persona = "control-ui"
count = 1
arrivals.herd.at = "0s"
"#;
    let plan = unfold(&scenario::parse("x.toml", source, &[]).unwrap(), &Overrides::default()).unwrap();
    let clients: Vec<_> = plan
        .clients
        .iter()
        .map(|client| (client.cohort, client.index, client.life, client.next_life))
        .collect();
    assert_eq!(
        clients,
        [
            (0, 0, 0, Some(3)),
            (0, 1, 0, Some(5)),
            (1, 0, 0, None),
            (0, 0, 1, Some(4)),
            (0, 0, 2, None),
            (0, 1, 1, Some(6)),
            (0, 1, 2, None),
        ]
    );
    assert_eq!(plan.arriving().map(|(id, _)| id).collect::<Vec<_>>(), [0, 1, 2]);
    let text = describe(&plan);
    assert!(text.starts_with("x: 3 clients in 2 cohorts"), "{text}");
    let script = text.split("\n\n").find(|part| part.starts_with("script of")).unwrap();
    insta::assert_snapshot!(script);
}
