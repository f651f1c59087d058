//! The figures of a run, added up shard by shard.
//!
//! A run may have more attempts than fit into memory. Its history is therefore read in shards by client: each holds all
//! operations, notices and faults of the run, and the attempts, ends of sessions and overheard events of some of its
//! clients. Between shards a [`Tally`] keeps what does not grow with the number of attempts: counts, histograms, the
//! values of each second, a few bytes a client, and a bounded number of violations.

use std::collections::BTreeMap;

use super::amplification::AmplificationRecorder;
use super::approvals::{ApprovalRecorder, ApprovalToSession, Approvals, chains};
use super::by_client::ByClient;
use super::caught::ApprovalsAtRestarts;
use super::cohorts::{self, CohortRecorder};
use super::devices::DeviceRecorder;
use super::diagnosis::DiagnosisRecorder;
use super::exit_code::{ExitCode, RunVerdict};
use super::facts::RunFacts;
use super::histogram::micros;
use super::intervals::{IntervalRecorder, IntervalSamples, Series};
use super::invariants::InvariantRecorder;
use super::listing::Listing;
use super::mismatches::MismatchRecorder;
use super::operators::{OperatorResult, operators};
use super::outcomes::{AttemptCounts, SumError};
use super::phases::PhaseRecorder;
use super::refusals::RefusalRecorder;
use super::restarts::{FaultWindow, RestartRecorder, Restarts, fault_windows};
use super::result::{EndedBy, Environment, RunResult, SCHEMA_VERSION, ScenarioRef};
use super::thresholds::evaluate;
use super::validity::{Validity, validity};
use super::waterfall::WaterfallRecorder;
use crate::history::History;
use crate::observation::Outcome;
use crate::oracle::{Judgement, Release};
use crate::plan::{OracleMode, Plan};

/// The figures of the parts of a run that were added so far.
///
/// All parts must be of one run, and no client may be in two of them; then neither their number nor their order changes
/// anything.
#[derive(Debug, Clone)]
pub struct Tally<'p> {
    plan: &'p Plan,
    /// What every part tells, taken from the first.
    common: Option<Common>,
    verdicts: u64,
    repeated: u64,
    attempts: AttemptCounts,
    /// By reason.
    dropped: BTreeMap<&'static str, u64>,
    phases: PhaseRecorder,
    cohorts: CohortRecorder,
    mismatches: MismatchRecorder,
    refusals: RefusalRecorder,
    invariants: InvariantRecorder,
    devices: DeviceRecorder,
    approvals: ApprovalRecorder,
    waterfalls: WaterfallRecorder,
    restarts: RestartRecorder,
    caught: ApprovalsAtRestarts,
    amplification: AmplificationRecorder,
    intervals: IntervalRecorder,
    samples: IntervalSamples,
    listing: Listing,
    diagnosis: DiagnosisRecorder,
}

/// What follows from operations, notices and faults alone.
#[derive(Debug, Clone, Default)]
struct Common {
    faults: Vec<FaultWindow>,
    approvals: Approvals,
    restarts: Restarts,
    operators: Vec<OperatorResult>,
}

impl Common {
    fn new(plan: &Plan, history: &History) -> Self {
        Self {
            faults: fault_windows(history),
            approvals: Approvals::new(history),
            restarts: Restarts::new(history),
            operators: operators(plan, history),
        }
    }
}

impl<'p> Tally<'p> {
    /// The figures of nothing yet.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let waterfalls = WaterfallRecorder::new(plan);
        Self {
            plan,
            common: None,
            verdicts: 0,
            repeated: 0,
            attempts: AttemptCounts::default(),
            dropped: BTreeMap::new(),
            phases: PhaseRecorder::default(),
            cohorts: CohortRecorder::new(plan),
            mismatches: MismatchRecorder::default(),
            refusals: RefusalRecorder::default(),
            invariants: InvariantRecorder::default(),
            devices: DeviceRecorder::default(),
            approvals: ApprovalRecorder::default(),
            restarts: RestartRecorder::default(),
            caught: ApprovalsAtRestarts::default(),
            amplification: AmplificationRecorder::new(plan),
            intervals: IntervalRecorder::default(),
            samples: IntervalSamples::with_chains(waterfalls.pairs().names(plan)),
            waterfalls,
            listing: Listing::default(),
            diagnosis: DiagnosisRecorder::default(),
        }
    }

    /// Adds one part of the run: a history with some of the clients, and the judgement on it.
    pub fn add(&mut self, history: &History, judgement: &Judgement) {
        let plan = self.plan;
        let common = self.common.get_or_insert_with(|| Common::new(plan, history));
        let by_client = ByClient::new(history);
        for (position, attempt) in history.attempts.iter().enumerate() {
            let verdict = judgement.attempts.get(position);
            self.attempts.count(&attempt.outcome);
            if let Outcome::Dropped(reason) = attempt.outcome {
                *self.dropped.entry(reason.as_str()).or_default() += 1;
            }
            self.phases.record(attempt, plan.attempt_timeout);
            self.cohorts.attempt(attempt, verdict);
            self.mismatches.attempt(plan, attempt, verdict);
            self.refusals.attempt(attempt, verdict);
            self.intervals.attempt(attempt, plan.attempt_timeout, history.ended);
            self.samples.attempt(attempt);
        }
        self.verdicts += judgement.attempts.len() as u64;
        self.repeated += by_client.repeated();
        self.cohorts.beside_attempts(history, judgement);
        self.mismatches.beside_attempts(plan, history, judgement);
        for finding in &judgement.invariants {
            self.invariants.finding(finding);
        }
        for device in &judgement.devices {
            self.devices.device(device);
        }
        for chain in chains(history, &by_client, &common.approvals) {
            self.approvals.chain(&chain);
            if let (Some(session), Some(value)) = (chain.session, chain.approval_to_session()) {
                self.samples.push(Series::ApprovalToSession, session, value);
            }
            if let Some((slot, wait)) = self.waterfalls.chain(plan, &chain) {
                for (link, at, took) in wait.ends() {
                    self.samples.push(Series::Link(slot, link), at, took);
                }
                self.samples.push(Series::Wait(slot), wait.to, wait.whole());
            }
        }
        self.restarts.add(history, &by_client, &common.restarts);
        self.caught.add(history, &by_client);
        self.amplification.add(plan, &by_client);
        self.samples.settle();
        self.listing.add(plan, history, judgement, &by_client);
        self.diagnosis.add(plan, history, &by_client);
    }

    /// Adds the figures of other parts of the same run, without loss.
    pub fn merge(&mut self, other: Self) {
        self.common = self.common.take().or(other.common);
        self.verdicts += other.verdicts;
        self.repeated += other.repeated;
        self.attempts.merge(&other.attempts);
        for (reason, count) in other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        self.phases.merge(&other.phases);
        self.cohorts.merge(&other.cohorts);
        self.mismatches.merge(other.mismatches);
        self.refusals.merge(other.refusals);
        self.invariants.merge(other.invariants);
        self.devices.merge(other.devices);
        self.approvals.merge(&other.approvals);
        self.waterfalls.merge(&other.waterfalls);
        self.restarts.merge(other.restarts);
        self.caught.merge(&other.caught);
        self.amplification.merge(&other.amplification);
        self.intervals.merge(&other.intervals);
        self.samples.merge(other.samples);
        self.listing.merge(other.listing);
        self.diagnosis.merge(other.diagnosis);
    }

    /// What the interval log is written from.
    #[must_use]
    pub const fn samples(&self) -> &IntervalSamples {
        &self.samples
    }

    /// The violations to be listed.
    #[must_use]
    pub const fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The result of the run, when all its parts were added. Pure: same parts and facts, same result.
    #[must_use]
    pub fn finish(&self, facts: &RunFacts) -> RunResult {
        let nothing = Common::default();
        let common = self.common.as_ref().unwrap_or(&nothing);
        let mismatches = self.mismatches.summary();
        let mut result = RunResult {
            schema_version: SCHEMA_VERSION,
            verdict: RunVerdict::Pass,
            interrupted: facts.interrupted,
            exit_code: ExitCode::Pass.code(),
            failure: facts.failed.clone(),
            ended_by: ended_by(facts),
            seed: self.plan.seed,
            scenario: ScenarioRef {
                name: self.plan.name.clone(),
                file: facts.scenario_file.clone(),
                sha256: facts.scenario_sha256.clone(),
                shard: self.plan.shard.map(|shard| shard.to_string()),
            },
            target: facts.target.clone(),
            profile: facts.profile.clone(),
            started_at: facts.started_at.to_string(),
            duration_us: micros(facts.run_duration_ns),
            attempts: self.attempts,
            mismatches: mismatches.counts,
            indeterminate: mismatches.indeterminate,
            expected_observed: mismatches.expected_observed,
            mismatch_groups: mismatches.groups,
            invariants: self.invariants.summary(self.plan, facts.is_incomplete()),
            devices: (self.plan.oracle == OracleMode::Profile).then(|| self.devices.summary(self.plan)),
            refusals: self
                .refusals
                .summary(self.mismatches.matches(), Release::of(self.plan.gateway.profile)),
            cohorts: self.cohorts.summary(self.plan),
            operators: common.operators.clone(),
            phases: self.phases.summary(),
            approval_to_session: ApprovalToSession {
                waterfalls: self.waterfalls.summary(self.plan),
                ..self.approvals.summary(&common.approvals)
            },
            lag: self.phases.lag(),
            restarts: self.restarts.summary(&common.restarts),
            approvals_at_restarts: self.caught,
            amplification: self.amplification.summary(),
            diagnosis: self.diagnosis.summary(
                self.plan,
                ended_by(facts) == EndedBy::Scenario && !facts.is_incomplete(),
                facts.gateway_log.as_ref(),
            ),
            at_rest: facts.at_rest,
            unclean_stops: facts.unclean_stops.clone(),
            faults: common.faults.clone(),
            thresholds: Vec::new(),
            validity: Validity::default(),
            environment: environment(self.plan, facts),
            intervals: self.intervals.rows().to_vec(),
        };
        let dropped = self.dropped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        let sums = self.sums(facts, &result);
        let late = self.phases.late(self.plan.validity.late_after);
        result.validity = validity(&result, dropped, &self.plan.validity, late, facts, &sums);
        if result.ended_by == EndedBy::Scenario {
            result.validity.add_missing_faults(self.plan, &common.faults);
        }
        super::store_times::attach(&mut result.restarts, &facts.processes);
        result.thresholds = evaluate(&self.plan.thresholds, &result);
        result.validity.add_thresholds(&result.thresholds);
        result.verdict = result.judge();
        result.exit_code = ExitCode::of_run(result.verdict, result.interrupted).code();
        result.redact(&facts.redactor);
        result
    }

    /// What does not add up.
    fn sums(&self, facts: &RunFacts, result: &RunResult) -> Vec<SumError> {
        let (recorded, verdicts, repeated) = (self.attempts.attempted, self.verdicts, self.repeated);
        let booked = facts.attempts_booked.filter(|booked| *booked != recorded);
        [
            result.attempts.check().err(),
            booked.map(|booked| SumError::Booked { booked, recorded }),
            (verdicts != recorded).then_some(SumError::Verdicts { attempts: recorded, verdicts }),
            cohorts::check(&result.cohorts, &result.attempts).err(),
            (facts.written.lost > 0).then_some(SumError::Lost { lost: facts.written.lost }),
            facts.broken.clone().map(|why| SumError::Broken { why }),
            (repeated > 0).then_some(SumError::Repeated { repeated }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

const fn ended_by(facts: &RunFacts) -> EndedBy {
    if facts.failed.is_some() {
        EndedBy::Failure
    } else if facts.interrupted {
        EndedBy::Interrupt
    } else if facts.max_time_hit {
        EndedBy::MaxTime
    } else if facts.fail_fast_hit {
        EndedBy::FailFast
    } else {
        EndedBy::Scenario
    }
}

fn environment(plan: &Plan, facts: &RunFacts) -> Environment {
    let micros_of = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Environment {
        pairstorm: facts.pairstorm_version.clone(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        oracle: match plan.oracle {
            OracleMode::Profile => "profile",
            OracleMode::Expectations => "expectations",
        }
        .to_owned(),
        own_gateway: facts.own_gateway,
        defect: plan.gateway.defect.clone(),
        time_scale: plan.time_scale,
        clients: plan.arriving().count() as u64,
        reactors: facts.reactors,
        cores: facts.cores,
        cores_shared: facts.cores_shared,
        own_cpu_us: micros_of(facts.own_cpu),
        own_rss_max_bytes: facts.own_rss_max_bytes,
        history_waits: facts.written.backpressure.waits,
        history_waited_us: micros_of(facts.written.backpressure.waited),
        gateway_cpu_us: facts.gateway_cpu.map(micros_of),
        gateway_rss_max_bytes: facts.gateway_rss_max,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::Violations;
    use crate::record::listing::{DETAILED_A_CAUSE, LISTED_MAX};
    use crate::record::test_support::{Story, busy_story, mismatch};

    /// Everything that the files of a run are written from.
    fn written(story: &Story, tally: &Tally<'_>) -> (RunResult, IntervalSamples, String) {
        let mut lines = Vec::new();
        Violations::new(tally.listing(), &|_, _| None, &[]).write(&mut lines).expect("written");
        (tally.finish(&story.facts), tally.samples().clone(), String::from_utf8(lines).expect("UTF-8"))
    }

    /// The run in so many parts, the first `rotated` of them last.
    fn in_parts(story: &Story, of: u32, rotated: u32) -> Tally<'_> {
        let mut tally = Tally::new(&story.plan);
        for number in (0..of).map(|number| (number + rotated) % of).rev() {
            let (history, judgement) = story.shard(number, of);
            tally.add(&history, &judgement);
        }
        tally
    }

    fn merged(story: &Story, of: u32) -> Tally<'_> {
        let mut tally = Tally::new(&story.plan);
        for number in 0..of {
            let (history, judgement) = story.shard(number, of);
            let mut part = Tally::new(&story.plan);
            part.add(&history, &judgement);
            tally.merge(part);
        }
        tally
    }

    #[test]
    fn a_busy_run_is_the_same_in_parts() {
        let story = busy_story();
        let whole = written(&story, &story.tally());
        for of in [2, 5, 50, 80] {
            assert_eq!(written(&story, &in_parts(&story, of, of / 2)), whole, "{of}");
            assert_eq!(written(&story, &merged(&story, of)), whole, "{of}");
        }
    }

    #[test]
    fn a_run_in_which_everything_is_wrong_is_the_same_in_parts() {
        let mut story = Story::new(&[("phones", 12_000), ("tabs", 30)]);
        for client in 0..12_030 {
            let verdict = mismatch(
                MismatchKind::NoAnswer,
                &["session"],
                &format!("class {}", client % 700),
                &format!("because of {}", letters(client % 2_500)),
            );
            // Those of the other cohort come last.
            let at = if client < 12_000 { 20_000 - 3 * u64::from(client % 5_000) } else { 30_000 };
            story.attempt(client, 0).started(at).ended(at + 1, Outcome::ConnectionRefused).verdict(verdict);
        }
        let whole = written(&story, &story.tally());
        assert_eq!(whole.2.lines().count(), LISTED_MAX + DETAILED_A_CAUSE);
        assert_eq!(whole.0.mismatches.total, 12_030);
        assert_eq!(written(&story, &in_parts(&story, 2, 1)), whole);
        assert_eq!(written(&story, &merged(&story, 7)), whole);
    }

    /// A word for a number, without digits: those are left out of a cause.
    fn letters(mut number: u32) -> String {
        let mut word = String::new();
        for _ in 0..3 {
            word.push((b'a' + (number % 26) as u8) as char);
            number /= 26;
        }
        word
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn neither_parts_nor_their_order_change_anything(seed in any::<u64>(), events in 0_usize..250, rotated in 0_u32..5) {
            let story = Story::drawn(seed, events);
            let whole = written(&story, &story.tally());
            for of in [1, 2, 5] {
                prop_assert_eq!(&written(&story, &in_parts(&story, of, rotated % of)), &whole, "{}", of);
                prop_assert_eq!(&written(&story, &merged(&story, of)), &whole, "{}", of);
            }
        }
    }
}
