//! Counts and waiting times of each cohort.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::{ClientSet, session_answered};
use super::by_name::ByName;
use super::histogram::{LatencyHistogram, LatencySummary};
use super::mismatches::MismatchCounts;
use super::outcomes::{AttemptCounts, SumError};
use super::phases::service_and_response;
use super::scripts::{ScriptRecorder, StepResult};
use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, CohortId, Plan};

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
    /// Its refusals by answer: `error.code` and, behind a space, `details.reason`, or `details.code` where there is none.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// Its mismatches by kind.
    pub mismatches: MismatchCounts,
    /// Its attempts that could not be judged.
    pub indeterminate: u64,
    /// Intended start -> answered, microseconds.
    pub response: LatencySummary,
    /// What came of each step of its script; absent without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<StepResult>,
}

/// Recorder of what each cohort did. Recorders of parts of a run merge.
#[derive(Debug, Clone)]
pub struct CohortRecorder {
    /// Cohort of each client: a hundredth of what the plan holds of it, because every attempt asks.
    cohort_of: Vec<CohortId>,
    figures: Vec<Figures>,
    with_session: ClientSet,
    /// The name of an answer while it is counted.
    answer: String,
}

#[derive(Debug, Clone, Default)]
struct Figures {
    attempts: AttemptCounts,
    refusals: ByName<u64>,
    mismatches: MismatchCounts,
    indeterminate: u64,
    response: LatencyHistogram,
    script: ScriptRecorder,
}

impl CohortRecorder {
    /// A recorder of a plan's cohorts.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            cohort_of: plan.clients.iter().map(|client| client.cohort).collect(),
            figures: plan
                .cohorts
                .iter()
                .map(|cohort| Figures { script: ScriptRecorder::new(cohort), ..Figures::default() })
                .collect(),
            with_session: ClientSet::default(),
            answer: String::new(),
        }
    }

    /// Counts one attempt and the verdict on it. One of a client that the plan does not know belongs to no cohort.
    pub fn attempt(&mut self, attempt: &Observation, verdict: Option<&Verdict>) {
        let cohort = self.cohort_of.get(attempt.client as usize).copied().map(usize::from);
        let Some(figures) = cohort.and_then(|cohort| self.figures.get_mut(cohort)) else { return };
        figures.attempts.count(&attempt.outcome);
        figures.script.attempt(attempt);
        if let Outcome::Refused(refusal) = &attempt.outcome {
            self.answer.clear();
            self.answer.push_str(&refusal.code);
            if let Some(detail) = refusal.reason.as_deref().or(refusal.detail_code.as_deref()) {
                self.answer.push(' ');
                self.answer.push_str(detail);
            }
            figures.refusals.change(&self.answer, |count| *count += 1);
        }
        match verdict {
            Some(Verdict::Match { .. }) => {}
            Some(Verdict::Mismatch(mismatch)) => figures.mismatches.count(mismatch.kind),
            Some(Verdict::Indeterminate { .. }) | None => figures.indeterminate += 1,
        }
        if let Some((_, waited)) = service_and_response(attempt) {
            figures.response.record(waited);
        }
        if session_answered(attempt).is_some() {
            self.with_session.insert(attempt.client);
        }
    }

    /// Counts what a judgement holds beside the verdicts on attempts.
    pub fn beside_attempts(&mut self, history: &History, judgement: &Judgement) {
        let ends = judgement.session_ends.iter().filter_map(|finding| {
            let end = history.session_ends.get(finding.session_end)?;
            Some((end.client, MismatchKind::WrongClose))
        });
        for call in &history.calls {
            if let Some(figures) = self.figures_of(call.client) {
                figures.script.call(call);
            }
        }
        let breaches = judgement.breaches.iter().map(|breach| (breach.client, breach.kind));
        for (client, kind) in ends.chain(breaches) {
            if let Some(figures) = self.figures_of(client) {
                figures.mismatches.count(kind);
            }
        }
    }

    /// Adds what another recorder of the same plan counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.figures.iter_mut().zip(&other.figures) {
            mine.attempts.merge(&theirs.attempts);
            mine.refusals += theirs.refusals.clone();
            mine.mismatches.merge(&theirs.mismatches);
            mine.indeterminate += theirs.indeterminate;
            mine.response.merge(&theirs.response);
            mine.script.merge(&theirs.script);
        }
        self.with_session.merge(&other.with_session);
    }

    /// Results of all cohorts, in the order of the scenario.
    #[must_use]
    pub fn summary(&self, plan: &Plan) -> Vec<CohortResult> {
        let mut results: Vec<CohortResult> = plan
            .cohorts
            .iter()
            .zip(&self.figures)
            .map(|(cohort, figures)| CohortResult {
                name: cohort.name.clone(),
                attempts: figures.attempts,
                refusals: figures.refusals.clone().into_table(),
                mismatches: figures.mismatches,
                indeterminate: figures.indeterminate,
                response: figures.response.summary(),
                script: figures.script.summary(cohort),
                ..CohortResult::default()
            })
            .collect();
        for (client, planned) in plan.arriving() {
            if let Some(result) = results.get_mut(usize::from(planned.cohort)) {
                result.clients += 1;
                result.clients_with_session += u64::from(self.has_had_session(plan, client));
            }
        }
        results
    }

    /// With any of the keys that it has had.
    fn has_had_session(&self, plan: &Plan, client: ClientId) -> bool {
        let next = |client: &ClientId| plan.clients.get(*client as usize)?.next_life;
        std::iter::successors(Some(client), next).any(|client| self.with_session.contains(client))
    }

    fn figures_of(&mut self, client: ClientId) -> Option<&mut Figures> {
        let cohort = self.cohort_of.get(client as usize)?;
        self.figures.get_mut(usize::from(*cohort))
    }
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
        let [phones, tabs] = &story.result().cohorts[..] else { panic!("two cohorts") };
        assert_eq!((phones.name.as_str(), phones.clients, phones.clients_with_session), ("phones", 2, 1));
        assert_eq!((phones.attempts.attempted, phones.attempts.session, phones.attempts.refused), (2, 1, 1));
        assert_eq!((phones.response.count, phones.response.max), (2, Some(10_000)));
        assert_eq!(phones.refusals.iter().collect::<Vec<_>>(), [(&"NOT_PAIRED not-paired".to_owned(), &1)]);
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
        let result = story.result();
        assert_eq!(
            check(&result.cohorts, &result.attempts),
            Err(SumError::Cohorts { attempted: 2, cohorts: 1 })
        );
    }
}
