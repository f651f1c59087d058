//! What came of each step of a cohort's script.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_name::ByName;
use super::histogram::{LatencyHistogram, LatencySummary};
use super::phases::service_and_response;
use crate::history::Call;
use crate::observation::{Observation, Outcome};
use crate::oracle::class_of;
use crate::plan::{Cohort, Deed};

/// What came of one step of a cohort's script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// Its number, counted from 1.
    pub step: u32,
    /// Its line in the scenario file.
    pub line: u32,
    /// What a client does in it.
    pub does: String,
    /// Attempts made in it, or calls. In a step that does not connect, attempts are those for a session that was lost.
    pub attempts: u64,
    /// How many of them ended how: class of an attempt's outcome, `ok`, `refused` or `no_answer` of a call.
    pub outcomes: BTreeMap<String, u64>,
    /// Intended start -> answered of attempts, sent -> answered of calls, microseconds.
    pub response: LatencySummary,
}

/// Recorder of the steps of one cohort. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct ScriptRecorder(Vec<StepFigures>);

#[derive(Debug, Clone, Default)]
struct StepFigures {
    outcomes: ByName<Count>,
    response: LatencyHistogram,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count(u64);

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl ScriptRecorder {
    /// A recorder of a cohort's script.
    #[must_use]
    pub fn new(cohort: &Cohort) -> Self {
        Self(vec![StepFigures::default(); cohort.script.len()])
    }

    /// Counts one attempt, if a step of the script made it.
    pub fn attempt(&mut self, attempt: &Observation) {
        let place = attempt.step.filter(|_| !matches!(attempt.outcome, Outcome::Dropped(_)));
        let Some(figures) = place.and_then(|place| self.0.get_mut(usize::from(place.step))) else { return };
        figures.outcomes.change(&class_of(&attempt.outcome), |count| count.0 += 1);
        if let Some((_, waited)) = service_and_response(attempt) {
            figures.response.record(waited);
        }
    }

    /// Counts one call.
    pub fn call(&mut self, call: &Call) {
        let Some(figures) = self.0.get_mut(usize::from(call.step)) else { return };
        figures.outcomes.change(call.end.word(), |count| count.0 += 1);
        figures.response.record(call.end.at().saturating_sub(call.sent));
    }

    /// Adds what another recorder of the same cohort counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.outcomes += theirs.outcomes.clone();
            mine.response.merge(&theirs.response);
        }
    }

    /// Results of all steps, in their order.
    #[must_use]
    pub fn summary(&self, cohort: &Cohort) -> Vec<StepResult> {
        let steps = (1..).zip(&cohort.script).zip(&self.0);
        steps
            .map(|((number, step), figures)| {
                let outcomes: BTreeMap<String, u64> = figures
                    .outcomes
                    .clone()
                    .into_table()
                    .into_iter()
                    .map(|(class, count)| (class, count.0))
                    .collect();
                StepResult {
                    step: number,
                    line: step.line,
                    does: match &step.deed {
                        Deed::Call(call) => format!("call {}", call.method),
                        Deed::Lose(loss) => format!("lose {}", loss.word()),
                        deed => deed.word().to_owned(),
                    },
                    attempts: outcomes.values().sum(),
                    outcomes,
                    response: figures.response.summary(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::CallEnd;
    use crate::observation::ScriptPlace;
    use crate::plan::{ScriptCall, ScriptStep};
    use crate::record::test_support::{Story, refusal, session};

    #[test]
    fn attempts_and_calls_are_counted_under_the_step_that_made_them() {
        let mut story = Story::new(&[("phones", 2)]);
        let step = |deed, line| ScriptStep { deed, expect: None, line };
        let status = ScriptCall { method: "status".to_owned(), params: None };
        story.plan.cohorts[0].script = vec![
            step(Deed::Connect { ask: 0, refused: false }, 7),
            step(Deed::Call(status), 8),
            step(Deed::Drop, 9),
        ];
        story.attempt(0, 0).started(10).answered(20, refusal("not-paired"));
        story.attempt(0, 1).intended(100).started(101).answered(110, session());
        story.attempt(1, 0).started(10).answered(40, session());
        for attempt in &mut story.history.attempts {
            attempt.step = Some(ScriptPlace { step: 0, last: false });
        }
        for (client, end) in [(0, CallEnd::Done { at: 9_000 }), (1, CallEnd::NoAnswer { at: 20_000 })] {
            story.history.calls.push(Call { client, attempt: 1, step: 1, sent: 5_000, end });
        }
        let result = story.result();
        let [connect, call, drop] = &result.cohorts[0].script[..] else { panic!("three steps") };
        let counts = |step: &StepResult| step.outcomes.clone().into_iter().collect::<Vec<_>>();
        let named = |name: &str, count| (name.to_owned(), count);
        assert_eq!(
            (connect.step, connect.line, connect.does.as_str(), connect.attempts),
            (1, 7, "connect", 3)
        );
        assert_eq!(counts(connect), [named("not-paired", 1), named("session", 2)]);
        assert_eq!(connect.response.count, 3);
        assert_eq!((call.does.as_str(), call.attempts, call.response.max), ("call status", 2, Some(15)));
        assert_eq!(counts(call), [named("no_answer", 1), named("ok", 1)]);
        assert_eq!((drop.attempts, drop.response.count), (0, 0));
        let shards = (0..2).map(|number| story.shard(number, 2)).collect::<Vec<_>>();
        let mut sum = ScriptRecorder::new(&story.plan.cohorts[0]);
        for (history, _) in &shards {
            let mut part = ScriptRecorder::new(&story.plan.cohorts[0]);
            history.attempts.iter().for_each(|attempt| part.attempt(attempt));
            history.calls.iter().for_each(|call| part.call(call));
            sum.merge(&part);
        }
        assert_eq!(sum.summary(&story.plan.cohorts[0]), result.cohorts[0].script);
    }
}
