//! The plan as JSON: what `pairstorm plan --json` prints of it.

use serde_json::{Value, json};

use super::describe::fault_text;
use super::needs::{Machine, Needs};
use super::{Executor, Nanos, Plan, persona};

/// Clients by cohort, arrivals by second, faults, and what the run needs beside what `machine` has. Pure. Times are microseconds
/// since the run's start.
#[must_use]
pub fn figures(plan: &Plan, machine: &Machine) -> Value {
    let needs = Needs::of(plan, false);
    let short = needs.beyond(machine);
    let faults = plan.faults.iter().map(|fault| {
        json!({
            "name": fault.name,
            "at_us": fault.at / 1_000,
            "waits_for_approval": fault.trigger.is_some(),
            "what": fault_text(fault.kind),
            "lasts_us": fault.lasts.map(|lasts| lasts.as_micros() as u64),
        })
    });
    json!({
        "name": plan.name,
        "seed": plan.seed,
        "shard": plan.shard.map(|shard| shard.to_string()),
        "profile": plan.gateway.profile.as_str(),
        "clients": plan.arriving().count(),
        "cohorts": cohorts(plan),
        "arrivals_by_second": by_second(plan),
        "operators": plan.operators.iter().map(|operator| operator.name.as_str()).collect::<Vec<_>>(),
        "faults": faults.collect::<Vec<_>>(),
        "steps": plan.steps.len(),
        "duration_us": plan.duration.map(|duration| duration.as_micros() as u64),
        "max_time_us": plan.max_time.as_micros() as u64,
        "time_scale": plan.time_scale,
        "needs": {
            "sockets": needs.sockets,
            "descriptors": needs.descriptors,
            "addresses": needs.addresses,
            "ports_on_busiest_address": needs.busiest.map(|(_, ports)| ports),
            "busiest_address": needs.busiest.map(|(address, _)| address.to_string()),
            "memory_bytes": needs.memory_bytes,
        },
        "machine": {
            "descriptors": machine.descriptors,
            "ports": machine.ports,
            "memory_bytes": machine.memory_bytes,
        },
        "not_enough": short
            .iter()
            .map(|short| json!({ "what": short.what, "cure": short.cure }))
            .collect::<Vec<_>>(),
        "warning": needs.warning(),
    })
}

fn cohorts(plan: &Plan) -> Vec<Value> {
    let mut times: Vec<Vec<Nanos>> = vec![Vec::new(); plan.cohorts.len()];
    for (_, client) in plan.arriving() {
        if let Some(times) = times.get_mut(usize::from(client.cohort)) {
            times.push(client.intended);
        }
    }
    let each = plan.cohorts.iter().zip(times).map(|(cohort, times)| {
        // Nobody knows when clients of a closed cohort or of steps begin.
        let known = matches!(cohort.executor, Executor::Open);
        let at = |nanos: Option<&Nanos>| nanos.filter(|_| known).map(|nanos| nanos / 1_000);
        json!({
            "name": cohort.name,
            "clients": times.len(),
            "persona": persona::profile(cohort.connect.persona, plan.gateway.profile).name,
            "first_arrival_us": at(times.iter().min()),
            "last_arrival_us": at(times.iter().max()),
        })
    });
    each.collect()
}

/// Clients of open cohorts whose first attempt is in each second.
fn by_second(plan: &Plan) -> Vec<u64> {
    let mut seconds = Vec::new();
    for (_, client) in plan.arriving() {
        let cohort = plan.cohorts.get(usize::from(client.cohort));
        if !cohort.is_some_and(|cohort| matches!(cohort.executor, Executor::Open)) {
            continue;
        }
        // At most a day.
        let second = usize::try_from(client.intended / 1_000_000_000).unwrap_or_default();
        if seconds.len() <= second {
            seconds.resize(second + 1, 0_u64);
        }
        if let Some(count) = seconds.get_mut(second) {
            *count += 1;
        }
    }
    seconds
}
