//! Whether the numbers of a run can be trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::RunFacts;
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
    /// Attempts that were started `late_after` or more after their intended start.
    pub late: u64,
    /// From when on a start is late, µs.
    pub late_after: u64,
    /// Share of started attempts that were late; `null` = none was started.
    pub late_share: Option<f64>,
    /// Budget for it; 1 = none.
    pub late_share_max: f64,
    /// Share of attempts that the generator could not start, those that the run's end forestalled left out; `null` =
    /// nothing was attempted.
    pub dropped_share: Option<f64>,
    /// Budget for it.
    pub dropped_share_max: f64,
    /// Dropped attempts by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Share of the load's time in which the busiest reactor ran; `null` = the system did not say.
    pub reactor_cpu_share: Option<f64>,
    /// Budget for it.
    pub reactor_cpu_share_max: f64,
    /// Share of the load's time in which the reactor that waited most could have run, but had no core; `null` = the system did
    /// not say.
    pub scheduler_delay_share: Option<f64>,
    /// Budget for it.
    pub scheduler_delay_share_max: f64,
    /// How long a reactor waited for a core on average, each time it had something to do, µs; `null` = the system did not say.
    pub scheduler_delay_mean: Option<u64>,
    /// The most descriptors that the generator had open; `null` = the system did not say.
    pub descriptors_high: Option<u64>,
    /// What it may open; `null` = as many as it likes, or the system did not say.
    pub descriptors_limit: Option<u64>,
    /// Budget for the share of them that it had open.
    pub descriptors_share_max: f64,
    /// The most TCP sockets that the machine had open, other processes' included; `null` = the system did not say. An attempt
    /// that finds no port is dropped, with the reason `ports`.
    pub sockets_high: Option<u64>,
    /// The most that were in TIME_WAIT.
    pub time_wait_high: Option<u64>,
    /// Share of the reactors' time that went into waiting for the disk that the history is written to; `null` = there was no
    /// time.
    pub history_wait_share: Option<f64>,
    /// Budget for it.
    pub history_wait_share_max: f64,
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
    /// The generator started too many attempts late.
    Late,
    /// The generator could not start too many attempts.
    Dropped,
    /// A reactor had no time to spare.
    ReactorCpu,
    /// A reactor waited for a core too long.
    SchedulerDelay,
    /// The generator had next to no descriptors left.
    Descriptors,
    /// The generator waited too long for the disk that its history is written to.
    HistoryWait,
    /// Too many attempts could not be judged.
    Indeterminate,
    /// The run's wall-clock limit ended it.
    MaxTime,
    /// A planned fault never happened, because every client had ended before.
    FaultMissing,
    /// A threshold's metric has no samples, or does not exist.
    ThresholdWithoutSamples,
}

/// One figure of the generator's own error, and what it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// What is measured, for people.
    pub name: &'static str,
    /// `None` = it could not be measured, or there was nothing to measure.
    pub measured: Option<Figure>,
    /// The largest that leaves the run valid.
    pub max: Figure,
    /// Why the run is invalid, if it is larger.
    complaint: String,
    kind: InvalidKind,
}

/// A time or a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Microseconds.
    Micros(u64),
    /// 0 to 1.
    Share(f64),
}

impl Budget {
    /// Whether the figure makes the run invalid. One that is not known does not; the result says that it is not.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        match (self.measured, self.max) {
            (Some(Figure::Micros(measured)), Figure::Micros(max)) => measured > max,
            (Some(Figure::Share(measured)), Figure::Share(max)) => measured > max,
            _ => false,
        }
    }
}

/// Share of all reactors' time that went into waiting for the disk.
fn history_wait_share(facts: &RunFacts) -> Option<f64> {
    let time = facts.run_duration_ns as f64 * f64::from(facts.reactors);
    let waited = facts.written.backpressure.waited;
    (time > 0.0).then(|| waited.as_nanos() as f64 / time)
}

fn micros_of(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Judges everything but the thresholds, which need the dropped share themselves. `dropped` counts dropped attempts by
/// [`DropReason::as_str`]; `late` attempts were started later than the budget allows.
#[must_use]
pub fn validity(
    result: &RunResult,
    dropped: BTreeMap<String, u64>,
    budget: &ValidityBudget,
    late: u64,
    facts: &RunFacts,
    sums: &[SumError],
) -> Validity {
    let attempted = result.attempts.attempted;
    let share = |count: u64| (attempted > 0).then(|| count as f64 / attempted as f64);
    let not_started: u64 = dropped
        .iter()
        .filter(|(reason, _)| *reason != DropReason::RunEnded.as_str())
        .map(|(_, count)| count)
        .sum();
    let generator = &facts.generator;
    let mut validity = Validity {
        valid: true,
        reasons: Vec::new(),
        lag_p99: result.lag.p99,
        lag_p99_max: micros_of(budget.lag_p99_max),
        late,
        late_after: micros_of(budget.late_after),
        late_share: (result.lag.count > 0).then(|| late as f64 / result.lag.count as f64),
        late_share_max: budget.late_share_max,
        dropped_share: share(not_started),
        dropped_share_max: budget.dropped_share_max,
        dropped,
        reactor_cpu_share: generator.reactors.map(|reactors| reactors.cpu_share),
        reactor_cpu_share_max: budget.reactor_cpu_share_max,
        scheduler_delay_share: generator.reactors.map(|reactors| reactors.wait_share),
        scheduler_delay_share_max: budget.scheduler_delay_share_max,
        scheduler_delay_mean: generator.reactors.map(|reactors| micros_of(reactors.wait_mean)),
        descriptors_high: generator.descriptors.map(|descriptors| descriptors.high),
        descriptors_limit: generator.descriptors.and_then(|descriptors| descriptors.limit),
        descriptors_share_max: budget.descriptors_share_max,
        sockets_high: generator.sockets.map(|sockets| sockets.open),
        time_wait_high: generator.sockets.map(|sockets| sockets.time_wait),
        history_wait_share: history_wait_share(facts),
        history_wait_share_max: budget.history_wait_share_max,
        indeterminate_share: share(result.indeterminate),
        indeterminate_share_max: budget.indeterminate_share_max,
        saturated: result.phases.saturated()
            + result.lag.saturated
            + result.approval_to_session.headline.saturated,
        notes: notes(result),
    };
    validity.notes.extend(validity.unknown_note());
    if attempted == 0 {
        validity.add(InvalidKind::NothingAttempted, "nothing was attempted".to_owned());
    }
    for error in sums {
        validity.add(InvalidKind::Sums, error.to_string());
    }
    for budget in validity.budgets() {
        if budget.is_broken() {
            validity.add(budget.kind, budget.complaint);
        }
    }
    if facts.max_time_hit {
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

    /// The generator's own error, figure by figure, each beside its budget, in the order of the report.
    #[must_use]
    pub fn budgets(&self) -> Vec<Budget> {
        let shares = |name: &'static str, kind, measured: Option<f64>, max: f64, complaint: String| Budget {
            name,
            measured: measured.map(Figure::Share),
            max: Figure::Share(max),
            complaint: format!("{complaint}, the budget is {}", percent(max)),
            kind,
        };
        let said = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
        let dropped: Vec<String> =
            self.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let limit = self.descriptors_limit.filter(|limit| *limit > 0);
        let descriptors =
            self.descriptors_high.map(|high| limit.map_or(0.0, |limit| high as f64 / limit as f64));
        vec![
            Budget {
                name: "lag p99",
                measured: self.lag_p99.map(Figure::Micros),
                max: Figure::Micros(self.lag_p99_max),
                complaint: format!(
                    "the generator was late: p99 of its lag is {}, the budget {}",
                    time(self.lag_p99.unwrap_or_default()),
                    time(self.lag_p99_max)
                ),
                kind: InvalidKind::Lag,
            },
            shares(
                "late starts",
                InvalidKind::Late,
                self.late_share,
                self.late_share_max,
                format!(
                    "{} of the attempts started {} or more after their time",
                    said(self.late_share),
                    time(self.late_after)
                ),
            ),
            shares(
                "dropped starts",
                InvalidKind::Dropped,
                self.dropped_share,
                self.dropped_share_max,
                format!(
                    "{} of the attempts could not be started ({})",
                    said(self.dropped_share),
                    dropped.join(", ")
                ),
            ),
            shares(
                "CPU of the busiest reactor",
                InvalidKind::ReactorCpu,
                self.reactor_cpu_share,
                self.reactor_cpu_share_max,
                format!(
                    "the generator was at its limit: its busiest reactor ran {} of the time",
                    said(self.reactor_cpu_share)
                ),
            ),
            shares(
                "reactor without a core",
                InvalidKind::SchedulerDelay,
                self.scheduler_delay_share,
                self.scheduler_delay_share_max,
                format!(
                    "other processes kept the generator from its cores: a reactor that could have run waited {} of the \
                     time, {} on average",
                    said(self.scheduler_delay_share),
                    time(self.scheduler_delay_mean.unwrap_or_default())
                ),
            ),
            shares(
                "descriptors in use",
                InvalidKind::Descriptors,
                descriptors,
                self.descriptors_share_max,
                format!(
                    "the generator had {} descriptors open, of {}",
                    self.descriptors_high.unwrap_or_default(),
                    limit.unwrap_or_default()
                ),
            ),
            shares(
                "waiting for the history",
                InvalidKind::HistoryWait,
                self.history_wait_share,
                self.history_wait_share_max,
                format!(
                    "the generator waited {} of its time for the disk that the history is written to",
                    said(self.history_wait_share)
                ),
            ),
            shares(
                "not judged",
                InvalidKind::Indeterminate,
                self.indeterminate_share,
                self.indeterminate_share_max,
                format!("{} of the attempts could not be judged", said(self.indeterminate_share)),
            ),
        ]
    }

    /// Names what the system did not say: a budget that could not be looked at must not pass for one that was kept.
    fn unknown_note(&self) -> Option<String> {
        let unknown: Vec<&str> = [
            ("CPU of the reactors", self.reactor_cpu_share.is_none()),
            ("their waiting for a core", self.scheduler_delay_share.is_none()),
            ("descriptors", self.descriptors_high.is_none()),
            ("sockets", self.sockets_high.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, unknown)| unknown.then_some(name))
        .collect();
        (!unknown.is_empty())
            .then(|| format!("not measured, so no budget was held against it: {}", unknown.join(", ")))
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
    use crate::history::Backpressure;
    use crate::plan::{Comparison, Threshold};
    use crate::record::exit_code::RunVerdict;
    use crate::record::facts::{Descriptors, GeneratorFacts, ReactorLoad};
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
    fn a_late_start_counts_from_its_very_moment() {
        let mut story = plain();
        story.plan.validity.late_share_max = 0.1;
        for (client, lag) in [(0, 9_999), (1, 10_000), (2, 20_000)] {
            let builder = story.attempt(client, 1).intended(100).started_ns(100_000_000 + lag * 1_000);
            builder.answered(150, session()).expected("session");
        }
        let result = story.result();
        assert_eq!((result.validity.late, result.validity.late_after), (2, 10_000));
        assert_eq!(result.validity.late_share, Some(2.0 / 13.0));
        assert_eq!(kinds(&result), [InvalidKind::Late]);
        assert_eq!(
            result.validity.reasons[0].text,
            "15.4 % of the attempts started 10.0 ms or more after their time, the budget is 10.0 %"
        );
        story.plan.validity.late_share_max = 0.16;
        assert!(story.result().validity.valid);
        story.plan.validity.late_after = Duration::from_millis(21);
        assert_eq!(story.result().validity.late, 0);
    }

    #[test]
    fn a_generator_at_its_limit_is_a_reason_whatever_the_limit() {
        let mut story = plain();
        story.facts.run_duration_ns = 1_000_000_000;
        let usual = story.facts.generator;
        let mut with = |generator: GeneratorFacts| {
            story.facts.generator = generator;
            let result = story.result();
            let texts = result.validity.reasons.iter().map(|reason| reason.text.clone());
            (kinds(&result), texts.collect::<Vec<_>>(), result.verdict)
        };
        let reactors = usual.reactors.expect("known");
        let (found, texts, verdict) =
            with(GeneratorFacts { reactors: Some(ReactorLoad { cpu_share: 0.94, ..reactors }), ..usual });
        assert_eq!((found, verdict), (vec![InvalidKind::ReactorCpu], RunVerdict::Invalid));
        assert_eq!(
            texts,
            [
                "the generator was at its limit: its busiest reactor ran 94.0 % of the time, the budget is 90.0 %"
            ]
        );
        let waiting = ReactorLoad { wait_share: 0.5, wait_mean: Duration::from_millis(4), ..reactors };
        let (found, texts, _) = with(GeneratorFacts { reactors: Some(waiting), ..usual });
        assert_eq!(found, [InvalidKind::SchedulerDelay]);
        assert_eq!(
            texts,
            [
                "other processes kept the generator from its cores: a reactor that could have run waited 50.0 % of the time, \
              4.0 ms on average, the budget is 30.0 %"
            ]
        );
        let full = Descriptors { high: 1_020, limit: Some(1_024) };
        let (found, texts, _) = with(GeneratorFacts { descriptors: Some(full), ..usual });
        assert_eq!(found, [InvalidKind::Descriptors]);
        assert_eq!(texts, ["the generator had 1020 descriptors open, of 1024, the budget is 98.0 %"]);
        // No limit, no share of it.
        let endless = Descriptors { high: 1_000_000, limit: None };
        assert_eq!(with(GeneratorFacts { descriptors: Some(endless), ..usual }).0, []);

        story.facts.generator = usual;
        story.facts.written.backpressure = Backpressure { waits: 3, waited: Duration::from_millis(51) };
        let result = story.result();
        assert_eq!(kinds(&result), [InvalidKind::HistoryWait]);
        assert_eq!(
            result.validity.reasons[0].text,
            "the generator waited 5.1 % of its time for the disk that the history is written to, the budget is 5.0 %"
        );
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let mut story = plain();
        story.facts.generator = GeneratorFacts::default();
        let result = story.result();
        assert!(result.validity.valid);
        let unknown = "not measured, so no budget was held against it: CPU of the reactors, their waiting for a core, \
                       descriptors, sockets";
        assert!(result.validity.notes.iter().any(|note| note == unknown), "{:?}", result.validity.notes);
        assert!(!plain().result().validity.notes.iter().any(|note| note.contains("not measured")));
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
