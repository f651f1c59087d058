//! What an operator decides about a device: drawn from the seed and the device, not from when it asked.

use std::time::Duration;

use rand::{Rng, RngExt as _};
use rand_distr::{Exp1, StandardNormal};

use crate::client::reconnect::draw;
use crate::plan::{ClientId, Cohort, OperatorPlan, Plan, PlannedClient, Think, stream};

/// The 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874_040_841;
/// Nobody thinks longer; the language knows no longer duration either.
const LONGEST_THOUGHT: f64 = 24.0 * 3_600.0;

/// What is done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Approve after thinking this long.
    Approve(Duration),
    /// Reject after thinking this long.
    Reject(Duration),
    /// Never answer.
    Ignore,
}

/// Decides about a request of `client`. Asked again about the same device, the answer is the same kind; the time to
/// think is drawn anew from `request`, the number of requests this operator has seen of the device.
#[must_use]
pub fn decide(plan: &Plan, operator: &OperatorPlan, client: ClientId, request: u32) -> Decision {
    let Some((planned, cohort)) = who(plan, client) else { return Decision::Ignore };
    if operator.serves.as_ref().is_some_and(|served| !served.contains(&planned.cohort)) {
        return Decision::Ignore;
    }
    let mut device = stream(plan.seed, &format!("operator {}", operator.name), &cohort.name, planned.index);
    let lot: f64 = device.random();
    let mut thinking = stream(
        plan.seed,
        &format!("operator {} thinks {request}", operator.name),
        &cohort.name,
        planned.index,
    );
    let think = thought(operator.think, &mut thinking).mul_f64(plan.time_scale);
    if lot < operator.reject_share {
        Decision::Reject(think)
    } else if lot < operator.reject_share + operator.ignore_share {
        Decision::Ignore
    } else {
        Decision::Approve(think)
    }
}

/// Draws how long somebody thinks.
pub fn thought(think: Think, rng: &mut impl Rng) -> Duration {
    let seconds = match think {
        Think::Uniform(range) => return draw(range, rng),
        Think::LogNormal { median, p99 } => {
            let sigma = (p99.as_secs_f64() / median.as_secs_f64()).ln() / NORMAL_P99;
            let normal: f64 = rng.sample(StandardNormal);
            median.as_secs_f64() * (sigma * normal).exp()
        }
        Think::Exponential { mean } => {
            let unit: f64 = rng.sample(Exp1);
            mean.as_secs_f64() * unit
        }
    };
    Duration::from_secs_f64(if seconds.is_finite() {
        seconds.clamp(0.0, LONGEST_THOUGHT)
    } else {
        LONGEST_THOUGHT
    })
}

fn who(plan: &Plan, client: ClientId) -> Option<(&PlannedClient, &Cohort)> {
    let planned = plan.clients.get(client as usize)?;
    Some((planned, plan.cohorts.get(usize::from(planned.cohort))?))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::plan::DurationRange;

    /// Percentiles of 20,000 thoughts, in milliseconds.
    fn percentiles(think: Think) -> (f64, f64, f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut drawn: Vec<f64> = (0..20_000).map(|_| thought(think, &mut rng).as_secs_f64() * 1e3).collect();
        drawn.sort_by(f64::total_cmp);
        (drawn[10_000], drawn[19_800], drawn.iter().sum::<f64>() / 20_000.0)
    }

    #[test]
    fn thoughts_are_distributed_as_the_scenario_says() {
        let near = |seen: f64, wanted: f64| (seen / wanted - 1.0).abs() < 0.1;
        let (median, p99, _) =
            percentiles(Think::LogNormal { median: Duration::from_millis(500), p99: Duration::from_secs(6) });
        assert!(near(median, 500.0) && near(p99, 6_000.0), "{median} {p99}");
        let (_, p99, mean) = percentiles(Think::Exponential { mean: Duration::from_millis(500) });
        assert!(near(mean, 500.0) && near(p99, 2_303.0), "{mean} {p99}");
        let range = DurationRange { min: Duration::from_millis(10), max: Duration::from_millis(30) };
        let (median, p99, _) = percentiles(Think::Uniform(range));
        assert!(near(median, 20.0) && p99 < 30.0, "{median} {p99}");
    }
}
