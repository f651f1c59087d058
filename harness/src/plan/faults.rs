//! Faults of a scenario to faults at their times.

use std::time::Duration;

use rand::RngExt as _;

use super::{DurationRange, Nanos, PlannedFault, Trigger, randomness};
use crate::scenario::{FaultSchedule, FaultSpec};

/// Every single fault, sorted by time. What is drawn depends on the seed, the fault's name and how many of it came before.
pub(super) fn unfold(specs: &[FaultSpec], seed: u64) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    for spec in specs {
        let times = spec.schedule.times();
        for index in 0..times {
            let (at, trigger) = instant(spec, seed, index);
            let name = if times == 1 { spec.name.clone() } else { format!("{}/{}", spec.name, index + 1) };
            faults.push(PlannedFault {
                name,
                at,
                trigger,
                kind: spec.kind,
                lasts: spec.lasts,
                change: spec.change,
                edit: spec.edit.clone(),
            });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

fn instant(spec: &FaultSpec, seed: u64, index: u32) -> (Nanos, Option<Trigger>) {
    let drawn = |range: DurationRange| {
        if range.min == range.max {
            return range.min;
        }
        randomness::stream(seed, "fault", &spec.name, index).random_range(range.min..=range.max)
    };
    match spec.schedule {
        FaultSchedule::Every { first, every, .. } => {
            (nanos(first.saturating_add(every.saturating_mul(index))), None)
        }
        FaultSchedule::Within { range, .. } => (nanos(drawn(range)), None),
        FaultSchedule::Approval { from, after, .. } => {
            (nanos(from), Some(Trigger::Approval { after: drawn(after) }))
        }
    }
}
