//! What a run showed, from its result and its history.

use std::collections::BTreeMap;

use crate::history::History;
use crate::oracle::{MismatchKind, class_of};
use crate::plan::Plan;
use crate::record::RunResult;
use crate::record::cohorts::CohortResult;
use crate::record::exit_code::RunVerdict;
use crate::vocabulary::ValidityBudget;

/// What a run showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The run's verdict.
    pub verdict: RunVerdict,
    /// Why it is that, if it is not `pass`; for people.
    pub why: Vec<String>,
    /// Mismatches by kind, those that occurred.
    pub mismatches: BTreeMap<String, u64>,
    /// The run had too little of the machine: what it shows may be the fault of what went on beside it.
    pub starved: bool,
    /// Of each cohort what its clients got.
    pub cohorts: BTreeMap<String, SeenCohort>,
}

/// What the clients of a cohort got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenCohort {
    /// How many there are.
    pub clients: u64,
    /// Of these, clients that held a session at least once.
    pub clients_in: u64,
    /// Attempts by class, those that occurred.
    pub classes: BTreeMap<String, u64>,
}

impl Seen {
    /// What a run showed whose history is read.
    #[must_use]
    pub fn of(result: &RunResult, plan: &Plan, history: &History) -> Self {
        let of_result = |cohort: &CohortResult| SeenCohort {
            clients: cohort.clients,
            clients_in: cohort.clients_with_session,
            classes: BTreeMap::new(),
        };
        let mut cohorts: BTreeMap<String, SeenCohort> =
            result.cohorts.iter().map(|cohort| (cohort.name.clone(), of_result(cohort))).collect();
        for attempt in &history.attempts {
            let cohort = plan.clients.get(attempt.client as usize).and_then(|client| {
                let cohort = plan.cohorts.get(usize::from(client.cohort))?;
                cohorts.get_mut(&cohort.name)
            });
            if let Some(cohort) = cohort {
                *cohort.classes.entry(class_of(&attempt.outcome)).or_default() += 1;
            }
        }
        let mismatches = MismatchKind::ALL.into_iter().filter_map(|kind| {
            let times = result.mismatches.get(kind);
            (times > 0).then(|| (kind.as_str().to_owned(), times))
        });
        Self {
            verdict: result.verdict,
            why: why(result),
            mismatches: mismatches.collect(),
            starved: starved(result),
            cohorts,
        }
    }
}

/// Whether the generator waited for a core longer than a run may whose figures count, whatever its scenario allows.
fn starved(result: &RunResult) -> bool {
    let waited = result.validity.scheduler_delay_share.unwrap_or_default();
    !result.validity.valid || waited > ValidityBudget::USUAL.scheduler_delay_share_max
}

/// Why a run did not pass, a line each.
fn why(result: &RunResult) -> Vec<String> {
    let mut lines: Vec<String> = result.failure.iter().cloned().collect();
    lines.extend(result.mismatch_groups.iter().take(5).map(|group| {
        format!(
            "{} x {} in {}: expected {}, saw {}: {}",
            group.count, group.kind, group.cohort, group.expected, group.observed, group.example_why
        )
    }));
    lines.extend(result.invariants.iter().filter(|invariant| invariant.is_surprise()).map(|invariant| {
        format!(
            "invariant {}: broken {} times: {}",
            invariant.invariant, invariant.count, invariant.example_why
        )
    }));
    lines.extend(result.validity.reasons.iter().map(|reason| reason.text.clone()));
    lines.extend(
        result
            .thresholds
            .iter()
            .filter(|threshold| !threshold.passed)
            .map(|threshold| format!("the threshold {} is not met", threshold.rule)),
    );
    lines
}
