//! The result of a run: the content of `result.json`.
//!
//! Every latency and duration is a whole number of microseconds unless its name says otherwise; sizes are bytes, shares
//! are 0 to 1, and `null` means that there is no such figure. `docs/reference/result.md` describes the keys for users.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amplification::Amplification;
use super::approvals::ApprovalToSession;
use super::at_rest::AtRest;
use super::caught::ApprovalsAtRestarts;
use super::cohorts::CohortResult;
use super::devices::DeviceResults;
use super::diagnosis::DiagnosisResult;
use super::exit_code::RunVerdict;
use super::groups::MismatchGroup;
use super::histogram::LatencySummary;
use super::intervals::Interval;
use super::invariants::InvariantResult;
use super::mismatches::{ExpectedObserved, MismatchCounts};
use super::operators::OperatorResult;
use super::outcomes::AttemptCounts;
use super::phases::Phases;
use super::redact::Redactor;
use super::refusals::Refusals;
use super::restarts::{FaultWindow, Restart};
use super::thresholds::ThresholdResult;
use super::validity::Validity;

/// Version of the result's schema. A change that readers must know of raises it.
pub const SCHEMA_VERSION: u32 = 2;

/// Result of a run. All times in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "pairstorm result")]
pub struct RunResult {
    /// Always 2.
    pub schema_version: u32,
    /// Verdict on what was measured.
    pub verdict: RunVerdict,
    /// A signal ended the run early; the verdict is on what was measured until then.
    pub interrupted: bool,
    /// Exit code of the command: 0 pass, 1 violated, 2 threshold, 3 failed, 4 invalid, 130 interrupted.
    pub exit_code: u8,
    /// Why the gateway could not be started or reached, if the verdict is `failed`.
    pub failure: Option<String>,
    /// What ended the run.
    pub ended_by: EndedBy,
    /// Seed of every random choice.
    pub seed: u64,
    /// Which scenario.
    pub scenario: ScenarioRef,
    /// What was loaded.
    pub target: String,
    /// Profile that the gateway was held to.
    pub profile: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_at: String,
    /// How long the run took, µs.
    pub duration_us: u64,
    /// Attempts by outcome. The outcomes sum up to `attempted`.
    pub attempts: AttemptCounts,
    /// Outcomes that nothing allows, by kind.
    pub mismatches: MismatchCounts,
    /// Attempts that evidence did not suffice for.
    pub indeterminate: u64,
    /// Expected class -> observed class -> attempts.
    pub expected_observed: ExpectedObserved,
    /// Mismatches by cause, the worst kind first.
    pub mismatch_groups: Vec<MismatchGroup>,
    /// Invariants that were broken or expected to be, whatever the profile does.
    pub invariants: Vec<InvariantResult>,
    /// Whether one order of its operations explains each device; `null` = not asked, the scenario's expectations judge alone.
    #[serde(default)]
    pub devices: Option<DeviceResults>,
    /// Refusals by reason and code.
    pub refusals: Refusals,
    /// Results of each cohort, in the order of the scenario.
    pub cohorts: Vec<CohortResult>,
    /// What each operator did, in the order of the scenario.
    #[serde(default)]
    pub operators: Vec<OperatorResult>,
    /// Latencies by phase.
    pub phases: Phases,
    /// From an approval to the session it allows.
    pub approval_to_session: ApprovalToSession,
    /// How late the generator started attempts.
    pub lag: LatencySummary,
    /// Timelines of restarts.
    pub restarts: Vec<Restart>,
    /// What restarts made of approvals; older files lack it.
    #[serde(default)]
    pub approvals_at_restarts: ApprovalsAtRestarts,
    /// How often clients that do what answers say tried again; older files lack it.
    #[serde(default)]
    pub amplification: Amplification,
    /// Who did not get in, why, and what ends it; older files lack it.
    #[serde(default)]
    pub diagnosis: DiagnosisResult,
    /// What the gateway still had under way after the last client and operator had gone; `null` = it was not asked, or is not
    /// ours to ask.
    #[serde(default)]
    pub at_rest: Option<AtRest>,
    /// Stops of our own gateway that ended otherwise than those of one without a fault; older files lack it.
    #[serde(default)]
    pub unclean_stops: Vec<String>,
    /// Windows of all faults.
    pub faults: Vec<FaultWindow>,
    /// Results of the scenario's pass rules.
    pub thresholds: Vec<ThresholdResult>,
    /// Whether the numbers can be trusted.
    pub validity: Validity,
    /// What the run ran on and what it cost.
    pub environment: Environment,
    /// Counts second by second.
    pub intervals: Vec<Interval>,
}

/// Which scenario was run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioRef {
    /// Its name.
    pub name: String,
    /// Its file, as typed.
    pub file: String,
    /// Lowercase hex SHA-256 of the file's text, followed by those that it extends and the lists that it names.
    pub sha256: String,
    /// The part of its clients that was run, `2/4`; `null` = all.
    #[serde(default)]
    pub shard: Option<String>,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The scenario: its duration, or the end of all scripts.
    Scenario,
    /// The gateway could not be started or reached.
    Failure,
    /// A signal.
    Interrupt,
    /// The run's wall-clock limit.
    MaxTime,
    /// The first mismatch, as asked.
    FailFast,
}

/// What a run ran on and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of pairstorm.
    pub pairstorm: String,
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// What judged outcomes: `profile` or `expectations`.
    pub oracle: String,
    /// The run started the gateway itself.
    pub own_gateway: bool,
    /// Deliberate defect of the gateway.
    pub defect: Option<String>,
    /// Factor on the durations of gateway and clients.
    pub time_scale: f64,
    /// Clients in the plan.
    pub clients: u64,
    /// Reactors that drove them.
    pub reactors: u32,
    /// Cores that the generator may use.
    pub cores: u32,
    /// Gateway and generator shared their cores.
    pub cores_shared: bool,
    /// CPU time of the generator, µs.
    pub own_cpu_us: u64,
    /// Largest resident set of the generator, bytes.
    pub own_rss_max_bytes: u64,
    /// How often the generator waited for the disk to take the history.
    #[serde(default)]
    pub history_waits: u64,
    /// How long it waited, µs, added up over its threads: time in which nothing was driven.
    #[serde(default)]
    pub history_waited_us: u64,
    /// CPU time of the gateway, µs; `null` = unknown.
    pub gateway_cpu_us: Option<u64>,
    /// Largest resident set of the gateway, bytes; `null` = unknown.
    pub gateway_rss_max_bytes: Option<u64>,
}

impl RunResult {
    /// Takes known secrets out of everything that a peer may have had a hand in.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        let texts = self
            .failure
            .iter_mut()
            .chain(std::iter::once(&mut self.target))
            .chain(self.validity.reasons.iter_mut().map(|reason| &mut reason.text))
            .chain(self.mismatch_groups.iter_mut().flat_map(|group| {
                [&mut group.expected, &mut group.observed, &mut group.why, &mut group.example_why]
            }))
            .chain(self.invariants.iter_mut().map(|invariant| &mut invariant.example_why));
        for text in texts {
            *text = redactor.known(text);
        }
        if let Some(devices) = &mut self.devices {
            devices.redact(redactor);
        }
        self.diagnosis.redact(redactor);
        for row in self.expected_observed.values_mut() {
            *row = clean_names(std::mem::take(row), redactor, |sum, count| *sum += count);
        }
        self.expected_observed =
            clean_names(std::mem::take(&mut self.expected_observed), redactor, |row, other| {
                for (name, count) in other {
                    *row.entry(name).or_default() += count;
                }
            });
        let refusals = &mut self.refusals;
        for table in [&mut refusals.by_reason, &mut refusals.by_detail_code] {
            *table = clean_names(std::mem::take(table), redactor, |sum, other| {
                sum.expected += other.expected;
                sum.observed += other.observed;
            });
        }
        for cohort in &mut self.cohorts {
            cohort.refusals =
                clean_names(std::mem::take(&mut cohort.refusals), redactor, |sum, count| *sum += count);
        }
        refusals.without_detail_code =
            clean_names(std::mem::take(&mut refusals.without_detail_code), redactor, |sum, count| {
                *sum += count;
            });
    }

    /// The verdict that the other figures give: `failed` over `violated` over `invalid` over `threshold` over `pass`.
    #[must_use]
    pub fn judge(&self) -> RunVerdict {
        if self.failure.is_some() {
            RunVerdict::Failed
        } else if self.mismatches.total > 0
            || self.devices.as_ref().is_some_and(|devices| devices.invalid > 0)
            || self.invariants.iter().any(InvariantResult::is_surprise)
            || self.at_rest.is_some_and(|at_rest| at_rest.is_busy())
            || !self.unclean_stops.is_empty()
            || self.diagnosis.unmet().next().is_some()
        {
            RunVerdict::Violated
        } else if !self.validity.valid {
            RunVerdict::Invalid
        } else if self.thresholds.iter().any(|threshold| !threshold.passed) {
            RunVerdict::Threshold
        } else {
            RunVerdict::Pass
        }
    }
}

/// The table with clean names; rows whose names become the same are added up.
fn clean_names<T: Default>(
    table: BTreeMap<String, T>,
    redactor: &Redactor,
    add: impl Fn(&mut T, T),
) -> BTreeMap<String, T> {
    let mut clean = BTreeMap::new();
    for (name, value) in table {
        add(clean.entry(redactor.known(&name)).or_default(), value);
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::test_support::{Story, busy_story, mismatch, outcomes, refusal_with};

    #[test]
    fn verdicts_have_their_precedence() {
        let mut story = busy_story();
        story.facts.failed = Some("no answer".to_owned());
        story.facts.max_time_hit = true;
        let mut result = story.result();
        assert_eq!((result.verdict, result.exit_code), (RunVerdict::Failed, 3));
        result.failure = None;
        assert_eq!(result.judge(), RunVerdict::Violated);
        result.mismatches = MismatchCounts::default();
        assert!(!result.validity.valid);
        assert_eq!(result.judge(), RunVerdict::Invalid);
        result.validity.valid = true;
        assert!(result.thresholds.iter().any(|threshold| !threshold.passed));
        assert_eq!(result.judge(), RunVerdict::Threshold);
        result.thresholds.clear();
        assert_eq!(result.judge(), RunVerdict::Pass);
    }

    #[test]
    fn an_interrupted_run_keeps_its_verdict_beside_its_exit_code() {
        let mut story = busy_story();
        story.facts.interrupted = true;
        let result = story.result();
        assert_eq!((result.verdict, result.exit_code), (RunVerdict::Violated, 130));
        assert_eq!(result.ended_by, EndedBy::Interrupt);
    }

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let result = busy_story().result();
        let text = serde_json::to_string(&result).expect("json");
        let read: RunResult = serde_json::from_str(&text).expect("a result");
        assert_eq!(read, result);
    }

    #[test]
    fn the_promised_keys_are_there() {
        let value = serde_json::to_value(busy_story().result()).expect("json");
        for key in [
            "schema_version",
            "verdict",
            "interrupted",
            "exit_code",
            "seed",
            "scenario",
            "target",
            "profile",
            "started_at",
            "duration_us",
            "attempts",
            "mismatches",
            "indeterminate",
            "expected_observed",
            "refusals",
            "cohorts",
            "phases",
            "approval_to_session",
            "lag",
            "restarts",
            "faults",
            "thresholds",
            "validity",
            "environment",
            "intervals",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert_eq!(value["schema_version"], 2);
        for key in ["count", "p50", "p90", "p99", "p999", "max", "links", "without_session"] {
            assert!(value["approval_to_session"].get(key).is_some(), "{key}");
        }
        assert_eq!(value["started_at"], "2026-11-23T12:00:00Z");
    }

    #[test]
    fn a_secret_that_the_gateway_sends_back_is_not_in_the_result() {
        const SECRET: &str = "gateway-secret-4711";
        let mut story = Story::new(&[("phones", 1)]);
        story.facts.redactor = Redactor::new([SECRET.to_owned()]);
        story.facts.target = format!("ws://h/?token={SECRET}");
        story.facts.failed = Some(format!("it said {SECRET}"));
        for (attempt, (code, detail_code, reason)) in [
            (SECRET, None, None),
            ("NOT_PAIRED", Some("PAIRING_REQUIRED"), Some(SECRET)),
            ("NOT_PAIRED", Some(SECRET), None),
        ]
        .into_iter()
        .enumerate()
        {
            let verdict =
                mismatch(MismatchKind::WrongReason, &["session"], SECRET, &format!("it said {SECRET}"));
            story
                .attempt(0, attempt as u32)
                .answered(5, refusal_with(code, detail_code, reason))
                .verdict(verdict);
        }
        let result = story.result();
        let text = serde_json::to_string(&result).expect("json");
        assert!(!text.contains(SECRET), "{text}");
        assert_eq!(result.expected_observed["session"]["<redacted>"], 3);
        assert_eq!(result.refusals.by_detail_code["<redacted>"].observed, 1);
        assert_eq!(result.failure.as_deref(), Some("it said <redacted>"));
        assert_eq!(result.mismatch_groups[0].example_why, "it said <redacted>");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_happened_the_sums_add_up(
            events in prop::collection::vec((0_u32..5, 0_usize..9, 0_u64..4_000, 0_u64..2_000), 0..120)
        ) {
            let kinds = outcomes();
            let mut story = Story::new(&[("phones", 3), ("tabs", 2)]);
            for (attempt, (client, pick, start, took)) in events.iter().enumerate() {
                let outcome = kinds[*pick].clone();
                story.any_attempt(*client, attempt as u32, *start, *took, outcome).expected("x");
            }
            let result = story.result();
            let attempted = events.len() as u64;
            prop_assert_eq!(result.attempts.attempted, attempted);
            prop_assert_eq!(result.attempts.check(), Ok(()));
            prop_assert_eq!(result.cohorts.iter().map(|c| c.attempts.attempted).sum::<u64>(), attempted);
            let table: u64 = result.expected_observed.values().flat_map(|row| row.values()).sum();
            prop_assert_eq!(table, attempted);
            let answered = result.attempts.session + result.attempts.refused;
            prop_assert_eq!(result.phases.response.count, answered);
            prop_assert_eq!(result.phases.service.count, answered);
            prop_assert_eq!(result.phases.unanswered.count, result.attempts.unanswered());
            prop_assert_eq!(result.lag.count, attempted - result.attempts.dropped);
            let rows = result.intervals.iter();
            let sums = rows.fold((0, 0, 0, 0, 0), |s, r| {
                (s.0 + r.started, s.1 + r.session, s.2 + r.refused, s.3 + r.no_answer, s.4 + r.dropped)
            });
            prop_assert_eq!(
                sums,
                (
                    attempted - result.attempts.dropped,
                    result.attempts.session,
                    result.attempts.refused,
                    result.attempts.unanswered(),
                    result.attempts.dropped,
                )
            );
        }
    }
}
