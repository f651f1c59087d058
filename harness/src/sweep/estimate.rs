//! How long the runs of a sweep will take, before and while they do.

use std::time::Duration;

use crate::plan::Plan;

/// A run of the in-repo gateway beside its load: starting, stopping, judging.
const IN_REPO: Duration = Duration::from_millis(700);
/// A run of any other gateway: OpenClaw takes 8 to 12 s to start and up to 5 s to stop.
const OTHER: Duration = Duration::from_secs(15);
/// Each stored device: its key is made, its entry written, and read at every start.
const STORED_DEVICE: Duration = Duration::from_micros(40);

/// How long a run of this plan takes, roughly; one without a duration counts with its limit.
#[must_use]
pub fn run(plan: &Plan) -> Duration {
    let load = plan.duration.unwrap_or(plan.max_time);
    let beside = if plan.gateway.launch.is_in_repo() { IN_REPO } else { OTHER };
    let stored = plan.arriving().filter(|(_, client)| {
        plan.cohorts.get(usize::from(client.cohort)).is_some_and(|cohort| cohort.stored.is_some())
    });
    let devices = u32::try_from(stored.count()).unwrap_or(u32::MAX);
    load + beside + STORED_DEVICE * devices.saturating_add(plan.gateway.stored_bystanders)
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
