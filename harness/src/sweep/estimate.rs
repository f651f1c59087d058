//! How long the runs of a sweep will take, before and while they do.

use std::time::Duration;

use crate::plan::{Deed, FaultKind, Plan, PlannedFault, Step};

/// A run of the in-repo gateway beside its load: starting, stopping, judging.
const IN_REPO: Duration = Duration::from_millis(700);
/// A run of any other gateway: OpenClaw takes 8 to 12 s to start and up to 5 s to stop.
const OTHER: Duration = Duration::from_secs(15);
/// A step of a story.
const STEP: Duration = Duration::from_millis(20);
/// Each stored device: its key is made, its entry written, and read at every start.
const STORED_DEVICE: Duration = Duration::from_micros(40);

/// How long a run of this plan takes, roughly.
#[must_use]
pub fn run(plan: &Plan) -> Duration {
    let load = load(plan).min(plan.max_time);
    let beside = if plan.gateway.launch.is_in_repo() { IN_REPO } else { OTHER };
    let stored = plan.arriving().filter(|(_, client)| {
        plan.cohorts.get(usize::from(client.cohort)).is_some_and(|cohort| cohort.stored.is_some())
    });
    let devices = u32::try_from(stored.count()).unwrap_or(u32::MAX);
    load + beside + STORED_DEVICE * devices.saturating_add(plan.gateway.stored_bystanders)
}

/// How long the load takes. What nobody can know (when the last client gives up) is taken for nothing.
fn load(plan: &Plan) -> Duration {
    if let Some(duration) = plan.duration {
        return duration;
    }
    let ends = |fault: &PlannedFault| Duration::from_nanos(fault.at) + lasts(fault.kind);
    let last_fault = plan.faults.iter().map(ends).max();
    // Those that wait for approvals happen one after the other.
    let waiting: Duration = plan
        .faults
        .iter()
        .filter(|fault| fault.trigger.is_some())
        .map(|fault| lasts(fault.kind))
        .fold(Duration::ZERO, Duration::saturating_add);
    let last_fault = last_fault.map(|last| last.max(waiting));
    if let (Some(after), Some(last)) = (plan.after_faults, last_fault) {
        return last + after;
    }
    let steps: Duration = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::Wait(pause) => pause.mul_f64(plan.time_scale),
            Step::Fault(kind) => lasts(*kind),
            _ => STEP,
        })
        .sum();
    let clients = plan.arriving().filter_map(|(_, client)| {
        let cohort = plan.cohorts.get(usize::from(client.cohort))?;
        let sessions = cohort.session.reconnects.saturating_add(1);
        let held = cohort.session.hold.map_or(Duration::ZERO, |hold| hold.max.saturating_mul(sessions));
        let script: Duration = cohort
            .script
            .iter()
            .map(|step| match &step.deed {
                Deed::Hold(Some(pause)) | Deed::Think(pause) => pause.max.mul_f64(plan.time_scale),
                _ => Duration::ZERO,
            })
            .sum();
        Some(Duration::from_nanos(client.intended).saturating_add(held).saturating_add(script))
    });
    clients.max().unwrap_or_default().max(last_fault.unwrap_or_default()).saturating_add(steps)
}

fn lasts(kind: FaultKind) -> Duration {
    match kind {
        FaultKind::Restart { down, .. } => down + IN_REPO,
        FaultKind::Pause(pause) => pause,
        FaultKind::Stall { length, .. } => length,
        _ => Duration::ZERO,
    }
}

/// What is left: the estimates of the runs to come, corrected by how wrong those of the runs before were.
#[must_use]
pub fn left(took: Duration, estimated: Duration, to_come: Duration) -> Duration {
    if estimated.is_zero() {
        return to_come;
    }
    to_come.mul_f64((took.as_secs_f64() / estimated.as_secs_f64()).clamp(0.01, 100.0))
}

/// `45 s`, `12 min`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=90 => format!("{seconds} s"),
        seconds @ 91..=5_400 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, unfold};

    #[test]
    fn a_run_without_a_duration_takes_as_long_as_what_is_planned() {
        let seconds = |lines: &str| {
            let text = format!(
                "name = \"x\"\n{lines}\n[cohort.c]\npersona = \"cli\"\ncount = 11\narrivals.constant.rate = \"1/s\"\n\
                 session = {{ hold = \"2s\", reconnects = 1 }}\n"
            );
            let scenario = crate::scenario::parse("x.toml", &text, &[]).unwrap();
            run(&unfold(&scenario, &Overrides::default()).unwrap()).as_secs_f64()
        };
        // The last one comes after 10 s and holds two sessions of 2 s.
        assert_eq!(seconds(""), 14.7);
        assert_eq!(seconds("duration = \"12s\""), 12.7);
        assert_eq!(seconds("max_time = \"12s\""), 12.7);
        let kills = "after_faults = \"5s\"\nfault.f = { during = \"approval\", restart = \"SIGKILL\", times = 20 }\n\
            operator.o = {}\ncohort.p = { persona = \"ios\", count = 1, path = \"p\", arrivals.herd = {} }\n\
            path.p = { from = \"127.2.0.1\" }\ngateway.config.gateway.trustedProxies = [\"127.2.0.1\"]";
        assert_eq!(seconds(kills), 23.7);
        assert_eq!(seconds("after_faults = \"5s\"\nfault.f = { at = \"20s\", pause = \"2s\" }"), 27.7);
    }

    #[test]
    fn what_is_left_learns_from_what_was() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(0), seconds(0), seconds(60)), seconds(60));
        assert_eq!(left(seconds(20), seconds(10), seconds(60)), seconds(120));
        assert_eq!(left(seconds(5), seconds(10), seconds(60)), seconds(30));
    }

    #[test]
    fn times_have_words() {
        let words = [0, 90, 91, 5_400, 5_401].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(words, ["0 s", "90 s", "2 min", "90 min", "1.5 h"]);
    }
}
