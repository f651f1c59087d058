//! Whether the numbers of a run can be trusted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::micros;
use super::outcomes::SumError;
use super::restarts::FaultWindow;
use super::result::RunResult;
use super::thresholds::MissingMetric;
use crate::observation::DropReason;
use crate::plan::{Plan, ValidityBudget};

/// The generator's own error, against the scenario's budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// Whether the numbers can be trusted.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<InvalidReason>,
    /// p99 of how late attempts were started, µs; `null` = none was started.
    pub lag_p99: Option<u64>,
    /// Budget for it, µs.
    pub lag_p99_max: u64,
    /// Share of attempts that the generator could not start, those that the run's end forestalled left out; `null` =
    /// nothing was attempted.
    pub dropped_share: Option<f64>,
    /// Budget for it.
    pub dropped_share_max: f64,
    /// Dropped attempts by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Share of attempts that could not be judged; `null` = nothing was attempted.
    pub indeterminate_share: Option<f64>,
    /// Budget for it.
    pub indeterminate_share_max: f64,
    /// Latencies above one hour that count as an hour.
    pub saturated: u64,
    /// What does not make the run invalid, but has to be known to read its numbers.
    pub notes: Vec<String>,
}

/// One reason why a run is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvalidReason {
    /// What kind of reason.
    pub kind: InvalidKind,
    /// The same for people, with figures.
    pub text: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvalidKind {
    /// Nothing was attempted.
    NothingAttempted,
    /// Counts do not add up.
    Sums,
    /// The generator started attempts too late.
    Lag,
    /// The generator could not start too many attempts.
    Dropped,
    /// Too many attempts could not be judged.
    Indeterminate,
    /// The run's wall-clock limit ended it.
    MaxTime,
    /// A planned fault never happened, because every client had ended before.
    FaultMissing,
    /// A threshold's metric has no samples, or does not exist.
    ThresholdWithoutSamples,
}

/// Judges everything but the thresholds, which need the dropped share themselves. `dropped` counts dropped attempts by
/// [`DropReason::as_str`].
#[must_use]
pub fn validity(
    result: &RunResult,
    dropped: BTreeMap<String, u64>,
    budget: &ValidityBudget,
    max_time_hit: bool,
    sums: &[SumError],
) -> Validity {
    let attempted = result.attempts.attempted;
    let share = |count: u64| (attempted > 0).then(|| count as f64 / attempted as f64);
    let not_started: u64 = dropped
        .iter()
        .filter(|(reason, _)| *reason != DropReason::RunEnded.as_str())
        .map(|(_, count)| count)
        .sum();
    let mut validity = Validity {
        valid: true,
        reasons: Vec::new(),
        lag_p99: result.lag.p99,
        lag_p99_max: micros(u64::try_from(budget.lag_p99_max.as_nanos()).unwrap_or(u64::MAX)),
        dropped_share: share(not_started),
        dropped_share_max: budget.dropped_share_max,
        dropped,
        indeterminate_share: share(result.indeterminate),
        indeterminate_share_max: budget.indeterminate_share_max,
        saturated: result.phases.saturated()
            + result.lag.saturated
            + result.approval_to_session.headline.saturated,
        notes: notes(result),
    };
    if attempted == 0 {
        validity.add(InvalidKind::NothingAttempted, "nothing was attempted".to_owned());
    }
    for error in sums {
        validity.add(InvalidKind::Sums, error.to_string());
    }
    if let Some(lag) = validity.lag_p99.filter(|lag| *lag > validity.lag_p99_max) {
        let text = format!(
            "the generator was late: p99 of its lag is {}, the budget {}",
            time(lag),
            time(validity.lag_p99_max)
        );
        validity.add(InvalidKind::Lag, text);
    }
    if let Some(share) = validity.dropped_share.filter(|share| *share > validity.dropped_share_max) {
        let reasons: Vec<String> =
            validity.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let text = format!(
            "{} of the attempts could not be started ({}), the budget is {}",
            percent(share),
            reasons.join(", "),
            percent(validity.dropped_share_max)
        );
        validity.add(InvalidKind::Dropped, text);
    }
    if let Some(share) =
        validity.indeterminate_share.filter(|share| *share > validity.indeterminate_share_max)
    {
        let text = format!(
            "{} of the attempts could not be judged, the budget is {}",
            percent(share),
            percent(validity.indeterminate_share_max)
        );
        validity.add(InvalidKind::Indeterminate, text);
    }
    if max_time_hit {
        validity.add(InvalidKind::MaxTime, "the run's wall-clock limit (max_time) ended it".to_owned());
    }
    validity
}

impl Validity {
    /// Adds the thresholds whose metric has no figure.
    pub fn add_thresholds(&mut self, thresholds: &[super::thresholds::ThresholdResult]) {
        for threshold in thresholds {
            if let Some(missing @ (MissingMetric::NoSamples | MissingMetric::Unknown)) = threshold.note {
                let text = format!("threshold `{}`: {}", threshold.rule, missing.words());
                self.add(InvalidKind::ThresholdWithoutSamples, text);
            }
        }
    }

    /// Adds the planned faults that never happened in a run that came to its own end: what it was to show, it did not.
    pub fn add_missing_faults(&mut self, plan: &Plan, happened: &[FaultWindow]) {
        for fault in &plan.faults {
            if !happened.iter().any(|happened| happened.name == fault.name) {
                let text = format!(
                    "fault `{}`, planned at {}, did not happen: every client had ended before",
                    fault.name,
                    time(micros(fault.at))
                );
                self.add(InvalidKind::FaultMissing, text);
            }
        }
    }

    fn add(&mut self, kind: InvalidKind, text: String) {
        self.valid = false;
        self.reasons.push(InvalidReason { kind, text });
    }
}

fn notes(result: &RunResult) -> Vec<String> {
    let mut notes = Vec::new();
    if result.environment.cores_shared {
        notes.push("gateway and generator shared their cores: each slowed the other".to_owned());
    }
    if result.environment.time_scale != 1.0 {
        notes.push(format!(
            "durations of gateway and clients were scaled by {}: latencies are not those of real time",
            result.environment.time_scale
        ));
    }
    if let Some(defect) = &result.environment.defect {
        notes.push(format!("the gateway ran with the deliberate defect `{defect}`"));
    }
    notes
}

fn time(micros: u64) -> String {
    if micros < 1_000_000 {
        format!("{:.1} ms", micros as f64 / 1e3)
    } else {
        format!("{:.1} s", micros as f64 / 1e6)
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Comparison, Threshold};
    use crate::record::exit_code::RunVerdict;
    use crate::record::test_support::{Story, session};

    fn kinds(result: &RunResult) -> Vec<InvalidKind> {
        result.validity.reasons.iter().map(|reason| reason.kind).collect()
    }

    fn plain() -> Story {
        let mut story = Story::new(&[("phones", 10)]);
        for client in 0..10 {
            story.attempt(client, 0).intended(10).started(11).answered(20, session()).expected("session");
        }
        story
    }

    #[test]
    fn a_plain_run_is_valid() {
        let result = plain().result();
        assert!(result.validity.valid, "{:?}", result.validity.reasons);
        assert_eq!(result.verdict, RunVerdict::Pass);
        assert_eq!((result.validity.lag_p99, result.validity.dropped_share), (Some(1_000), Some(0.0)));
    }

    #[test]
    fn lag_and_drops_and_doubts_over_budget_are_reasons() {
        let mut story = plain();
        story.attempt(0, 1).intended(100).started(900).answered(950, session()).indeterminate("gap");
        story.attempt(1, 1).dropped(100, DropReason::Descriptors).expected("dropped");
        let result = story.result();
        assert_eq!(kinds(&result), [InvalidKind::Lag, InvalidKind::Dropped, InvalidKind::Indeterminate]);
        let texts: Vec<_> = result.validity.reasons.iter().map(|reason| reason.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "the generator was late: p99 of its lag is 800.0 ms, the budget 50.0 ms",
                "8.3 % of the attempts could not be started (descriptors 1), the budget is 1.0 %",
                "8.3 % of the attempts could not be judged, the budget is 5.0 %",
            ]
        );
        assert_eq!(result.verdict, RunVerdict::Invalid);
    }

    #[test]
    fn attempts_that_the_runs_end_forestalled_are_no_ones_fault() {
        let mut story = plain();
        for client in 0..5 {
            story.attempt(client, 1).dropped(1_000, DropReason::RunEnded).expected("dropped");
        }
        let result = story.result();
        assert!(result.validity.valid);
        assert_eq!(result.validity.dropped.get("run_ended"), Some(&5));
        assert_eq!(result.validity.dropped_share, Some(0.0));
    }

    #[test]
    fn missing_evidence_is_a_reason() {
        let mut story = plain();
        story.judgement.attempts.pop();
        story.facts.attempts_booked = Some(11);
        story.facts.max_time_hit = true;
        let result = story.result();
        assert_eq!(
            kinds(&result),
            [InvalidKind::Sums, InvalidKind::Sums, InvalidKind::Indeterminate, InvalidKind::MaxTime]
        );
        assert_eq!(result.validity.reasons[0].text, "the engine counted 11 attempts, the history holds 10");
        assert_eq!(result.validity.reasons[1].text, "10 attempts, but 9 verdicts");
    }

    #[test]
    fn a_run_without_attempts_proves_nothing() {
        let result = Story::new(&[("phones", 1)]).result();
        assert_eq!(kinds(&result), [InvalidKind::NothingAttempted]);
        assert_eq!(result.verdict, RunVerdict::Invalid);
    }

    #[test]
    fn a_threshold_without_samples_is_a_reason_and_an_unmet_one_is_not() {
        let mut story = plain();
        for (metric, limit) in [("approval_to_session.p99", 1.0), ("phases.service.max", 1.0)] {
            story.plan.thresholds.push(Threshold {
                metric: metric.to_owned(),
                comparison: Comparison::Less,
                limit,
                text: format!("{metric} < 1us"),
            });
        }
        let result = story.result();
        assert_eq!(kinds(&result), [InvalidKind::ThresholdWithoutSamples]);
        assert_eq!(result.validity.reasons[0].text, "threshold `approval_to_session.p99 < 1us`: no samples");
        assert!(result.thresholds.iter().all(|threshold| !threshold.passed));
        story.plan.thresholds.remove(0);
        assert_eq!(story.result().verdict, RunVerdict::Threshold);
    }
}
