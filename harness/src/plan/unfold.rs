//! A scenario and a seed to a plan.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use protocol::ProfileName;
use serde::{Deserialize, Serialize};

use super::addresses::{self, Crowd};
use super::faults;
use super::{
    ClientId, Cohort, CohortId, Executor, ForwardedFor, NetworkPath, OperatorPlan, Plan, PlannedClient,
    Shard, Upkeep, schedule,
};
use crate::scenario::{COMMAND_LINE, COUNT_MAX, CohortSpec, Diagnostic, Scenario};

/// What the command line changes about a scenario. `None` leaves the scenario's own value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    /// `--seed`
    pub seed: Option<u64>,
    /// `--clients`: the number of all clients together. Cohorts keep their proportions and have at least one client
    /// each; rates, sizes of herds and concurrency grow alike, so that arrivals and faults stay at their times.
    pub clients: Option<u64>,
    /// Deliberate fault of the gateway, by name.
    pub defect: Option<String>,
    /// `--max-time`
    pub max_time: Option<Duration>,
    /// `--time-scale`
    pub time_scale: Option<f64>,
    /// `--shard`: only these clients. Who they are and when they come does not change: all shards together are the whole.
    #[serde(default)]
    pub shard: Option<Shard>,
}

/// Unfolds a scenario into numbered clients with an arrival each.
///
/// Pure: the same scenario and overrides always give the same plan.
///
/// # Errors
/// Every override that does not fit the scenario; also every cohort that has too many clients for its rate of arrivals.
pub fn unfold(scenario: &Scenario, overrides: &Overrides) -> Result<Plan, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut refuse = |message: String, help: Option<String>| {
        errors.push(Diagnostic::without_text("override", COMMAND_LINE, message, help));
    };
    let seed = overrides.seed.unwrap_or(scenario.seed);
    let mut gateway = scenario.gateway.clone();
    gateway.defect.clone_from(&overrides.defect);
    let max_time = overrides.max_time.unwrap_or(scenario.max_time);
    // Shorter than the scenario's duration is the user's choice here: the run is cut there, kept and marked invalid.
    if max_time.is_zero() {
        refuse("--max-time 0 leaves no time to run".to_owned(), None);
    }
    let time_scale = overrides.time_scale.unwrap_or(scenario.time_scale);
    if !(0.001..=1000.0).contains(&time_scale) {
        refuse(format!("--time-scale {time_scale} is out of range"), Some("from 0.001 to 1000".to_owned()));
    }
    if !gateway.launch.is_in_repo() {
        if time_scale != 1.0 {
            refuse(
                "a time scale other than 1 shortens the time-outs of the in-repo gateway; another one keeps its own".to_owned(),
                Some("leave --time-scale out".to_owned()),
            );
        }
        if gateway.defect.is_some() {
            let message = "--defect switches a fault of the in-repo gateway on; another one has only its own";
            refuse(message.to_owned(), Some("leave --defect or --gateway out".to_owned()));
        }
    }
    let counts = match overrides.clients {
        None => scenario.cohorts.iter().map(|spec| spec.count).collect(),
        Some(_) if !scenario.steps.is_empty() => {
            let help = "the steps name their clients; leave --clients away";
            refuse("a scenario with steps cannot be scaled".to_owned(), Some(help.to_owned()));
            Vec::new()
        }
        Some(clients) => match scaled(&scenario.cohorts, clients) {
            Ok(counts) => counts,
            Err((message, help)) => {
                refuse(message, Some(help));
                Vec::new()
            }
        },
    };
    if let Some((message, help)) = crowded(gateway.profile, &scenario.cohorts, &counts) {
        refuse(message, Some(help));
    }
    if let Some(shard) = overrides.shard {
        if !scenario.steps.is_empty() {
            let help = "a story has an order, which several processes do not share; leave --shard away";
            refuse("a scenario with steps cannot be cut into shards".to_owned(), Some(help.to_owned()));
        } else if counts.iter().all(|count| shard.part(*count) == 0) {
            let most = counts.iter().max().copied().unwrap_or_default();
            let help = format!("the largest cohort has {most} clients: use that many shards at most");
            refuse(format!("--shard {shard} has no clients"), Some(help));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }

    let mut clients = Vec::with_capacity(counts.iter().map(|count| *count as usize).sum());
    let mut cohorts = Vec::with_capacity(scenario.cohorts.len());
    // A scenario has at most a thousand cohorts, so no position is cut off.
    for ((position, spec), count) in (0..CohortId::MAX).zip(&scenario.cohorts).zip(counts) {
        let times = schedule::times(&spec.arrivals, &spec.cohort.name, seed, spec.count, count);
        if times.len() < count as usize {
            errors.push(never_all_arrive(&spec.cohort.name, count, times.len()));
            continue;
        }
        let of_shard = |(index, _): &(u32, _)| overrides.shard.is_none_or(|shard| shard.has(*index));
        for (index, intended) in (0..).zip(times).filter(of_shard) {
            let (source, forwarded) =
                route(gateway.profile, &spec.cohort.connect.path, position, scenario.cohorts.len(), index);
            let (life, next_life) = (0, None);
            clients.push(PlannedClient {
                cohort: position,
                index,
                intended,
                source,
                forwarded,
                life,
                next_life,
            });
        }
        let mut cohort = spec.cohort.clone();
        if let Executor::Closed { concurrency, .. } = &mut cohort.executor {
            *concurrency = proportional(*concurrency, spec.count, count);
            if let Some(shard) = overrides.shard {
                *concurrency = shard.part(*concurrency).max(1);
            }
        }
        cohorts.push(cohort);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if let Err(devices) = add_lives(&cohorts, &mut clients) {
        let message = format!("{devices} devices, those of lost keys counted, are more than {DEVICES_MAX}");
        let help = "lower --clients, or let the scripts lose fewer keys";
        return Err(vec![Diagnostic::without_text("override", COMMAND_LINE, message, Some(help.to_owned()))]);
    }
    Ok(Plan {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        seed,
        shard: overrides.shard,
        oracle: scenario.oracle,
        gateway,
        cohorts,
        clients,
        operators: scenario.operators.iter().map(|operator| in_shard(operator, overrides.shard)).collect(),
        faults: faults::unfold(&scenario.faults, seed),
        steps: scenario.steps.clone(),
        invariants: scenario.invariants.clone(),
        thresholds: scenario.thresholds.clone(),
        duration: scenario.duration,
        after_faults: scenario.after_faults,
        max_time,
        attempt_timeout: scenario.attempt_timeout,
        in_flight_max: scenario.in_flight_max,
        time_scale,
        validity: scenario.validity.clone(),
    })
}

/// Most devices of a plan. A client that loses its key is another one.
const DEVICES_MAX: usize = 4 * COUNT_MAX as usize;

/// Appends the devices that clients become when they lose their key; an error is how many there would be.
fn add_lives(cohorts: &[Cohort], clients: &mut Vec<PlannedClient>) -> Result<(), usize> {
    let lives = |client: &PlannedClient| cohorts.get(usize::from(client.cohort)).map_or(1, Cohort::lives);
    let devices: usize = clients.iter().map(|client| usize::from(lives(client))).sum();
    if devices > DEVICES_MAX {
        return Err(devices);
    }
    for first in 0..clients.len() {
        let Some(mut born) = clients.get(first).cloned() else { continue };
        let mut before = first;
        for life in 1..lives(&born) {
            let id = clients.len();
            if let Some(before) = clients.get_mut(before) {
                before.next_life = ClientId::try_from(id).ok();
            }
            born = PlannedClient { life, next_life: None, ..born };
            clients.push(born.clone());
            before = id;
        }
    }
    Ok(())
}

/// An operator as a shard has it: it decides about the shard's clients, and all shards together do not work faster than one.
fn in_shard(operator: &OperatorPlan, shard: Option<Shard>) -> OperatorPlan {
    let Some(shard) = shard else { return operator.clone() };
    let part = |rate: Option<f64>| rate.map(|rate| shard.part_of_rate(rate));
    let Upkeep { rotate, revoke, remove } = operator.upkeep;
    OperatorPlan {
        rate_max: part(operator.rate_max),
        upkeep: Upkeep { rotate: part(rotate), revoke: part(revoke), remove: part(remove) },
        ..operator.clone()
    }
}

/// A rate that falls to 0 may let a fraction more than the scripted clients arrive, so that the scenario is right and a
/// multiple of them is not.
fn never_all_arrive(cohort: &str, count: u32, arrive: usize) -> Diagnostic {
    let message =
        format!("of {count} clients of `{cohort}` only {arrive} ever arrive: the rate falls to 0 before");
    let help = "lower --clients, or let a rate of the cohort's arrivals stay above 0, or last longer";
    Diagnostic::without_text("override", COMMAND_LINE, message, Some(help.to_owned()))
}

/// Address from which client `index` of a cohort dials when it takes `path`, and the one that is forwarded for it, when
/// the scenario has `cohorts` cohorts and the gateway is held to `release`.
#[must_use]
pub fn route(
    release: ProfileName,
    path: &NetworkPath,
    cohort: CohortId,
    cohorts: usize,
    index: u32,
) -> (Ipv4Addr, Option<Ipv4Addr>) {
    match path {
        NetworkPath::Direct => (addresses::direct(release, cohort, cohorts, index), None),
        NetworkPath::Proxy { from, forwarded_for, .. } => {
            let own = matches!(forwarded_for, ForwardedFor::Own);
            (*from, own.then(|| addresses::forwarded_for(release, cohort, cohorts, index)))
        }
    }
}

/// `value` times `count / scripted`, rounded, at least 1.
fn proportional(value: u32, scripted: u32, count: u32) -> u32 {
    let scripted = u64::from(scripted.max(1));
    let scaled = (u64::from(value) * u64::from(count) + scripted / 2) / scripted;
    u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
}

/// Shares `clients` out in the proportions of the cohorts by largest remainder, at least one each.
fn scaled(cohorts: &[CohortSpec], clients: u64) -> Result<Vec<u32>, (String, String)> {
    if clients < cohorts.len() as u64 {
        return Err((
            format!("--clients {clients} is too few: the scenario has {} cohorts", cohorts.len()),
            format!("at least {}, one for each cohort", cohorts.len()),
        ));
    }
    if clients > u64::from(COUNT_MAX) {
        return Err((format!("--clients {clients} is too many"), format!("at most {COUNT_MAX}")));
    }
    let scripted: u64 = cohorts.iter().map(|spec| u64::from(spec.count)).sum();
    let scripted = scripted.max(1);
    // Both factors are at most a million, so products fit.
    let exact: Vec<u64> = cohorts.iter().map(|spec| u64::from(spec.count) * clients).collect();
    let mut counts: Vec<u64> = exact.iter().map(|exact| (exact / scripted).max(1)).collect();
    let mut total: u64 = counts.iter().sum();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&at| std::cmp::Reverse(exact.get(at).map_or(0, |exact| exact % scripted)));
    for at in by_remainder {
        // Those lifted to 1 already have more than their share.
        let lifted = exact.get(at).is_none_or(|exact| *exact < scripted);
        if let (true, Some(count)) = (total < clients && !lifted, counts.get_mut(at)) {
            *count += 1;
            total += 1;
        }
    }
    // Lifting small cohorts to 1 is paid for by the largest.
    while total > clients {
        match counts.iter_mut().max() {
            Some(largest) if *largest > 1 => *largest -= 1,
            _ => break,
        }
        total -= 1;
    }
    // Cannot be short after the rounds above unless every cohort was lifted; the largest then takes the rest.
    if let Some(largest) = counts.iter_mut().max() {
        *largest += clients.saturating_sub(total);
    }
    Ok(counts.into_iter().map(|count| u32::try_from(count).unwrap_or(u32::MAX)).collect())
}

/// Whether scaled cohorts outgrow their addresses; the scenario's own counts have been checked.
fn crowded(release: ProfileName, cohorts: &[CohortSpec], counts: &[u32]) -> Option<(String, String)> {
    let crowds: Vec<Crowd> = cohorts
        .iter()
        .zip(counts)
        .map(|(spec, count)| Crowd::of(&spec.cohort.connect.path, *count))
        .collect();
    let mut behind: BTreeMap<Ipv4Addr, u64> = BTreeMap::new();
    for (spec, count) in cohorts.iter().zip(counts) {
        match &spec.cohort.connect.path {
            NetworkPath::Direct => {}
            NetworkPath::Proxy { from, .. } => {
                let at_a_time = match spec.cohort.executor {
                    Executor::Open | Executor::Steps => *count,
                    Executor::Closed { concurrency, .. } => proportional(concurrency, spec.count, *count),
                };
                *behind.entry(*from).or_default() += u64::from(at_a_time);
            }
        }
    }
    if let Err(beyond) = addresses::check(release, crowds.iter().copied()) {
        let range = match crowds.get(beyond) {
            Some(Crowd::Direct(_)) => "127.1.0.0/16 has not enough addresses for so many direct clients",
            _ => "there are not enough addresses to forward for so many clients behind proxies",
        };
        return Some((range.to_owned(), "lower --clients".to_owned()));
    }
    let (from, clients) = behind.into_iter().find(|(_, clients)| *clients > addresses::PORTS_EACH)?;
    Some((
        format!("{clients} clients behind {from}, which has ports for {}", addresses::PORTS_EACH),
        "lower --clients, or spread the cohorts over several [path.NAME] with different `from`".to_owned(),
    ))
}
