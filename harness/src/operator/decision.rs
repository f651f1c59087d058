//! What an operator decides about a device: drawn from the seed and the device, not from when it asked.

use std::time::Duration;

use rand::RngExt as _;

use crate::client::reconnect::draw;
use crate::plan::{ClientId, Cohort, OperatorPlan, Plan, PlannedClient, stream};

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
    let think = draw(operator.think, &mut thinking).mul_f64(plan.time_scale);
    if lot < operator.reject_share {
        Decision::Reject(think)
    } else if lot < operator.reject_share + operator.ignore_share {
        Decision::Ignore
    } else {
        Decision::Approve(think)
    }
}

fn who(plan: &Plan, client: ClientId) -> Option<(&PlannedClient, &Cohort)> {
    let planned = plan.clients.get(client as usize)?;
    Some((planned, plan.cohorts.get(usize::from(planned.cohort))?))
}
