//! Counts and waiting times of each cohort.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::{ByClient, session_answered};
use super::histogram::{LatencyHistogram, LatencySummary};
use super::mismatches::MismatchCounts;
use super::outcomes::{AttemptCounts, SumError};
use super::phases::service_and_response;
use crate::history::History;
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, Plan};

/// What one cohort did and got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CohortResult {
    /// Name in the scenario.
    pub name: String,
    /// Its clients in the plan.
    pub clients: u64,
    /// Of these, clients that held a session at least once.
    pub clients_with_session: u64,
    /// Its attempts by outcome.
    pub attempts: AttemptCounts,
    /// Its mismatches by kind.
    pub mismatches: MismatchCounts,
    /// Its attempts that could not be judged.
    pub indeterminate: u64,
    /// Intended start -> answered, microseconds.
    pub response: LatencySummary,
}

/// Results of all cohorts, in the order of the scenario.
#[must_use]
pub fn cohorts(
    plan: &Plan,
    history: &History,
    judgement: &Judgement,
    by_client: &ByClient<'_>,
) -> Vec<CohortResult> {
    let mut results: Vec<CohortResult> = plan
        .cohorts
        .iter()
        .map(|cohort| CohortResult { name: cohort.name.clone(), ..CohortResult::default() })
        .collect();
    let mut responses = vec![LatencyHistogram::default(); results.len()];
    let cohort_of =
        |client: ClientId| plan.clients.get(client as usize).map(|client| usize::from(client.cohort));

    for (position, attempt) in history.attempts.iter().enumerate() {
        let Some(cohort) = cohort_of(attempt.client) else { continue };
        let (Some(result), Some(response)) = (results.get_mut(cohort), responses.get_mut(cohort)) else {
            continue;
        };
        result.attempts.count(&attempt.outcome);
        match judgement.attempts.get(position) {
            Some(Verdict::Match { .. }) => {}
            Some(Verdict::Mismatch(mismatch)) => result.mismatches.count(mismatch.kind),
            Some(Verdict::Indeterminate { .. }) | None => result.indeterminate += 1,
        }
        if let Some((_, waited)) = service_and_response(attempt) {
            response.record(waited);
        }
    }
    for finding in &judgement.session_ends {
        let client = history.session_ends.get(finding.session_end).map(|end| end.client);
        if let Some(result) = client.and_then(cohort_of).and_then(|cohort| results.get_mut(cohort)) {
            result.mismatches.count(MismatchKind::WrongClose);
        }
    }
    for breach in &judgement.breaches {
        if let Some(result) = cohort_of(breach.client).and_then(|cohort| results.get_mut(cohort)) {
            result.mismatches.count(breach.kind);
        }
    }
    for (position, client) in plan.clients.iter().enumerate() {
        let Some(result) = results.get_mut(usize::from(client.cohort)) else { continue };
        result.clients += 1;
        let Ok(id) = ClientId::try_from(position) else { continue };
        let held = by_client.attempts_of(id).any(|(_, attempt)| session_answered(attempt).is_some());
        result.clients_with_session += u64::from(held);
    }
    for (result, response) in results.iter_mut().zip(&responses) {
        result.response = response.summary();
    }
    results
}

/// Holds the sum over cohorts to the whole.
///
/// # Errors
/// [`SumError::Cohorts`] if an attempt belongs to no cohort.
pub fn check(cohorts: &[CohortResult], attempts: &AttemptCounts) -> Result<(), SumError> {
    let sum: u64 = cohorts.iter().map(|cohort| cohort.attempts.attempted).sum();
    if sum == attempts.attempted {
        Ok(())
    } else {
        Err(SumError::Cohorts { attempted: attempts.attempted, cohorts: sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{Story, mismatch, refusal, session};

    #[test]
    fn each_cohort_gets_its_own_figures() {
        let mut story = Story::new(&[("phones", 2), ("tabs", 2)]);
        story.attempt(0, 0).started(10).answered(20, refusal("not-paired")).expected("not-paired");
        story.attempt(0, 1).intended(100).started(101).answered(110, session()).expected("session");
        story.attempt(2, 0).started(10).answered(40, session()).verdict(mismatch(
            MismatchKind::FalseAccept,
            &["not-paired"],
            "session",
            "",
        ));
        story.attempt(3, 0).started(10).answered(20, refusal("not-paired")).indeterminate("");
        story.session_lost(2, 0, 90, "");
        let by_client = ByClient::new(&story.history);
        let [phones, tabs] = &cohorts(&story.plan, &story.history, &story.judgement, &by_client)[..] else {
            panic!("two cohorts")
        };
        assert_eq!((phones.name.as_str(), phones.clients, phones.clients_with_session), ("phones", 2, 1));
        assert_eq!((phones.attempts.attempted, phones.attempts.session, phones.attempts.refused), (2, 1, 1));
        assert_eq!((phones.response.count, phones.response.max), (2, Some(10_000)));
        assert_eq!(phones.mismatches, MismatchCounts::default());
        assert_eq!((tabs.clients, tabs.clients_with_session, tabs.indeterminate), (2, 1, 1));
        assert_eq!((tabs.mismatches.false_accept, tabs.mismatches.wrong_close), (1, 1));
        assert_eq!(tabs.response.max, Some(30_000));
    }

    #[test]
    fn an_attempt_of_nobody_breaks_the_sum() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).answered(20, session());
        story.attempt(9, 0).answered(20, session());
        let by_client = ByClient::new(&story.history);
        let results = cohorts(&story.plan, &story.history, &story.judgement, &by_client);
        let mut all = AttemptCounts::default();
        story.history.attempts.iter().for_each(|attempt| all.count(&attempt.outcome));
        assert_eq!(check(&results, &all), Err(SumError::Cohorts { attempted: 2, cohorts: 1 }));
    }
}
