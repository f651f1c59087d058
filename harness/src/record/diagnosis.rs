//! Who did not get in, why, and what ends it: clients in the same trouble for the same cause form a group, from one device to a
//! whole population.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::ByClient;
use super::log_times::LogTimes;
use super::redact::Redactor;
use crate::diagnosis::judge::Found;
use crate::diagnosis::loops::{Gain, LOOP_ATTEMPTS, LogGain, a_minute};
use crate::diagnosis::of_run::{self, Acts};
use crate::diagnosis::{Cause, Diagnosis};
use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::plan::{ClientId, CohortId, Expectation, Nanos, Plan};
use crate::vocabulary::cause::ExpectedCause;

/// Groups that a result holds, the largest first.
pub const GROUPS_MAX: usize = 50;
/// Classes of answers that a group names.
const CLASSES_MAX: usize = 12;
/// Units of a rate that is added up: thousandths a minute, so that no order of adding changes the sum.
const MILLI: f64 = 1_000.0;

/// Who did not get in, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosisResult {
    /// Clients that had no session at the end, or were in a loop before.
    pub clients: u64,
    /// Of these, clients in a loop: three attempts in a row without a session, or more.
    pub looping: u64,
    /// What the gateway wrote into its log meanwhile; `null` = nobody looped, or its log is not there, or not whole.
    pub log: Option<LogGain>,
    /// Groups of clients in the same trouble, those in a loop that goes on first, then the largest; at most 50.
    pub groups: Vec<DiagnosisGroup>,
    /// What the scenario expects of cohorts, and what was found.
    pub expected: Vec<ExpectedDiagnosis>,
}

/// Clients of a cohort in the same trouble for the same cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosisGroup {
    /// Their cohort.
    pub cohort: String,
    /// How many they are.
    pub clients: u64,
    /// Of these, clients in a loop.
    pub looping: u64,
    /// They all had a session again.
    pub over: bool,
    /// Attempts in the trouble, of all of them.
    pub attempts: u64,
    /// Request ids that were told in it.
    pub request_ids: u64,
    /// What all of them together do to the gateway, a minute, while they loop.
    pub gain: Gain,
    /// What they were answered.
    pub classes: Vec<String>,
    /// The one whose trouble began first, to which the diagnosis belongs.
    pub example: String,
    /// Why, what shows it, and what ends it.
    pub diagnosis: Diagnosis,
}

/// What a scenario expects of a cohort's diagnosis, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedDiagnosis {
    /// The cohort.
    pub cohort: String,
    /// The cause that is expected, or by its label there; `none`: nobody may be in trouble at the end.
    pub expected: String,
    /// Clients by the cause that was found; `none`: nothing was wrong with them.
    pub found: BTreeMap<String, u64>,
    /// Whether that is as expected; `null` = nobody is held to a label, nor to anything in a run that did not come to its end.
    pub met: Option<bool>,
}

impl DiagnosisResult {
    /// Expectations that were not met.
    pub fn unmet(&self) -> impl Iterator<Item = &ExpectedDiagnosis> {
        self.expected.iter().filter(|expected| expected.met == Some(false))
    }

    /// Takes known secrets out of what peers may have had a hand in.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        for group in &mut self.groups {
            let diagnosis = &mut group.diagnosis;
            let texts = std::iter::once(&mut diagnosis.why)
                .chain(diagnosis.evidence.iter_mut().map(|exhibit| &mut exhibit.what))
                .chain(diagnosis.excluded.iter_mut().map(|excluded| &mut excluded.because))
                .chain(diagnosis.missing.iter_mut())
                .chain(diagnosis.cures.iter_mut().flat_map(|cure| cure.commands.iter_mut()))
                .chain(group.classes.iter_mut());
            for text in texts {
                *text = redactor.known(text);
            }
        }
    }
}

/// Recorder of it. Recorders of parts of a run merge, because a client is in one part only.
#[derive(Debug, Clone, Default)]
pub struct DiagnosisRecorder {
    groups: BTreeMap<Key, Group>,
    /// By cohort with an expectation: clients by what was found and whether it was over.
    found: BTreeMap<CohortId, BTreeMap<(Option<Cause>, bool), u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    cohort: CohortId,
    cause: Cause,
    over: bool,
}

#[derive(Debug, Clone)]
struct Group {
    clients: u64,
    looping: u64,
    attempts: u64,
    request_ids: u64,
    attempts_milli: u64,
    request_ids_milli: u64,
    /// First and last attempt of its loops.
    loops: Option<(Nanos, Nanos)>,
    classes: BTreeSet<String>,
    example: Example,
}

/// The client whose trouble began first.
#[derive(Debug, Clone)]
struct Example {
    place: (Nanos, ClientId),
    name: String,
    diagnosis: Diagnosis,
}

impl DiagnosisRecorder {
    /// Adds the clients of one part of a run.
    pub fn add(&mut self, plan: &Plan, history: &History, by_client: &ByClient<'_>) {
        let mut part = Part { plan, history, known: None };
        let mut seen: Vec<&Observation> = Vec::new();
        for attempt in by_client.attempts() {
            if seen.first().is_some_and(|first| first.client != attempt.client) {
                self.client(&mut part, &seen);
                seen.clear();
            }
            seen.push(attempt);
        }
        self.client(&mut part, &seen);
    }

    fn client<'a>(&mut self, part: &mut Part<'a>, attempts: &[&'a Observation]) {
        let Some(number) = attempts.first().map(|attempt| attempt.client) else { return };
        let Some(planned) = part.plan.clients.get(number as usize) else { return };
        let Some(cohort) = part.plan.cohorts.get(usize::from(planned.cohort)) else { return };
        let is_expected = cohort.expect.as_ref().and_then(expectation).is_some();
        let in_trouble = in_trouble(attempts);
        if !in_trouble && !is_expected {
            return;
        }
        let found = in_trouble.then(|| self.trouble(part, number, planned.cohort, attempts)).flatten();
        if is_expected && attempts.iter().any(|attempt| !is_dropped(attempt)) {
            let found = found.map_or((None, false), |(cause, over)| (Some(cause), over));
            *self.found.entry(planned.cohort).or_default().entry(found).or_default() += 1;
        }
    }

    /// The cause, and whether the trouble is over, or nobody has tried since what made it is.
    fn trouble<'a>(
        &mut self,
        part: &mut Part<'a>,
        number: ClientId,
        cohort: CohortId,
        attempts: &[&'a Observation],
    ) -> Option<(Cause, bool)> {
        let (plan, history) = (part.plan, part.history);
        let (gateway, acts) =
            part.known.get_or_insert_with(|| (of_run::gateway(plan, history), Acts::new(history)));
        let client = of_run::client(plan, number, attempts.iter().copied(), acts)?;
        let found = Found::of(gateway, &client)?;
        let row = found.row().clone();
        let (cause, over) = (found.cause(), row.over);
        let no_trouble = over || found.is_outage_over();
        let from = client.attempts.get(row.first).map_or(0, |attempt| attempt.at);
        let gain = row.gain();
        let new = Group {
            clients: 1,
            looping: u64::from(row.is_loop()),
            attempts: row.attempts,
            request_ids: row.request_ids,
            attempts_milli: if row.is_loop() { milli(gain.attempts) } else { 0 },
            request_ids_milli: if row.is_loop() { milli(gain.request_ids) } else { 0 },
            loops: row.is_loop().then_some((from, from + row.took)),
            classes: row.classes,
            example: Example {
                place: (from, number),
                name: client.name.clone(),
                diagnosis: Diagnosis {
                    cause,
                    confidence: crate::diagnosis::Confidence::Possible,
                    why: String::new(),
                    evidence: Vec::new(),
                    excluded: Vec::new(),
                    missing: Vec::new(),
                    cures: Vec::new(),
                },
            },
        };
        match self.groups.entry(Key { cohort, cause, over }) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                let group = entry.insert(new);
                group.example.diagnosis = found.explain();
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let group = entry.into_mut();
                let earlier = new.example.place < group.example.place;
                group.merge(new);
                if earlier {
                    group.example.diagnosis = found.explain();
                }
            }
        }
        Some((cause, no_trouble))
    }

    /// Adds what another recorder of the same plan found.
    pub fn merge(&mut self, other: Self) {
        for (key, group) in other.groups {
            match self.groups.entry(key) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(group);
                }
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut().merge(group),
            }
        }
        for (cohort, found) in other.found {
            let to = self.found.entry(cohort).or_default();
            for (what, count) in found {
                *to.entry(what).or_default() += count;
            }
        }
    }

    /// What a result holds of it. `whole`: the run came to its end, so that expectations can be held.
    #[must_use]
    pub fn summary(&self, plan: &Plan, whole: bool, log: Option<&LogTimes>) -> DiagnosisResult {
        let name = |cohort: CohortId| {
            plan.cohorts.get(usize::from(cohort)).map_or_else(|| "?".to_owned(), |cohort| cohort.name.clone())
        };
        let mut groups: Vec<(&Key, &Group)> = self.groups.iter().collect();
        groups.sort_by_key(|(key, group)| {
            (key.over || group.looping == 0, key.over, std::cmp::Reverse(group.clients), **key)
        });
        DiagnosisResult {
            clients: self.groups.values().map(|group| group.clients).sum(),
            looping: self.groups.values().map(|group| group.looping).sum(),
            log: log.and_then(|log| self.log_gain(log)),
            groups: groups.into_iter().take(GROUPS_MAX).map(|(key, group)| group.shown(key, &name)).collect(),
            expected: self.expected(plan, whole),
        }
    }

    fn log_gain(&self, log: &LogTimes) -> Option<LogGain> {
        let (from, to) = self.groups.values().filter_map(|group| group.loops).reduce(both)?;
        let lines = log.between(from, to)?;
        Some(LogGain { lines, a_minute: a_minute(lines, to - from) })
    }

    fn expected(&self, plan: &Plan, whole: bool) -> Vec<ExpectedDiagnosis> {
        let cohorts = plan.cohorts.iter().enumerate();
        cohorts
            .filter_map(|(position, cohort)| {
                let (expected, is_held) = expectation(cohort.expect.as_ref()?)?;
                let found = u16::try_from(position).ok().and_then(|position| self.found.get(&position));
                let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
                for ((cause, over), count) in found.into_iter().flatten() {
                    // What is over is no trouble where none is expected.
                    let none = expected == ExpectedCause::Nothing && *over;
                    let name = cause.filter(|_| !none).map_or(ExpectedCause::NOTHING, Cause::as_str);
                    *by_name.entry(name.to_owned()).or_default() += count;
                }
                let all = !by_name.is_empty() && by_name.keys().all(|name| name == expected.as_str());
                Some(ExpectedDiagnosis {
                    cohort: cohort.name.clone(),
                    expected: expected.as_str().to_owned(),
                    found: by_name,
                    met: (whole && is_held).then_some(all),
                })
            })
            .collect()
    }
}

/// A part of a run, and what is known to all its clients, once one of them is in trouble.
struct Part<'a> {
    plan: &'a Plan,
    history: &'a History,
    known: Option<(crate::diagnosis::GatewayEvidence, Acts<'a>)>,
}

impl Group {
    fn merge(&mut self, other: Self) {
        self.clients += other.clients;
        self.looping += other.looping;
        self.attempts += other.attempts;
        self.request_ids += other.request_ids;
        self.attempts_milli += other.attempts_milli;
        self.request_ids_milli += other.request_ids_milli;
        self.loops = self.loops.into_iter().chain(other.loops).reduce(both);
        self.classes.extend(other.classes);
        while self.classes.len() > CLASSES_MAX {
            self.classes.pop_last();
        }
        if other.example.place < self.example.place {
            self.example = other.example;
        }
    }

    fn shown(&self, key: &Key, name: &impl Fn(CohortId) -> String) -> DiagnosisGroup {
        DiagnosisGroup {
            cohort: name(key.cohort),
            clients: self.clients,
            looping: self.looping,
            over: key.over,
            attempts: self.attempts,
            request_ids: self.request_ids,
            gain: Gain {
                attempts: self.attempts_milli as f64 / MILLI,
                request_ids: self.request_ids_milli as f64 / MILLI,
            },
            classes: self.classes.iter().cloned().collect(),
            example: self.example.name.clone(),
            diagnosis: self.example.diagnosis.clone(),
        }
    }
}

/// What a cohort's diagnosis is compared with, and whether it is held to that.
fn expectation(expect: &Expectation) -> Option<(ExpectedCause, bool)> {
    expect.cause.map(|cause| (cause, true)).or_else(|| Some((expect.label?, false)))
}

/// From the first of two stretches to the last.
fn both(one: (Nanos, Nanos), other: (Nanos, Nanos)) -> (Nanos, Nanos) {
    (one.0.min(other.0), one.1.max(other.1))
}

fn milli(rate: f64) -> u64 {
    (rate * MILLI).round() as u64
}

const fn is_dropped(attempt: &Observation) -> bool {
    matches!(attempt.outcome, Outcome::Dropped(_))
}

/// Whether a client has no session at the end, or was in a loop. A quick look that spares the many who are well.
fn in_trouble(attempts: &[&Observation]) -> bool {
    let (mut row, mut longest, mut ends_well) = (0, 0, true);
    for attempt in attempts.iter().filter(|attempt| !is_dropped(attempt)) {
        ends_well = matches!(attempt.outcome, Outcome::Session(_));
        row = if ends_well { 0 } else { row + 1 };
        longest = longest.max(row);
    }
    !ends_well || longest >= LOOP_ATTEMPTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RestartStamps;
    use crate::record::exit_code::RunVerdict;
    use crate::record::test_support::{Story, refusal, session};

    /// Two phones that nobody approves, one that is, and a tab with the wrong secret.
    fn story() -> Story {
        let mut story = Story::new(&[("phones", 3), ("tabs", 1)]);
        for client in 0..2 {
            for number in 0..4 {
                let at = 1_000 * u64::from(number) + u64::from(client);
                story.attempt(client, number).started(at).answered(at + 5, refusal("not-paired"));
            }
        }
        story.attempt(2, 0).started(10).answered(15, refusal("not-paired"));
        story.attempt(2, 1).started(500).answered(510, session());
        let drift =
            || super::super::test_support::refusal_with("INVALID_REQUEST", Some("AUTH_TOKEN_MISMATCH"), None);
        for number in 0..3 {
            let at = 100 * u64::from(number);
            story.attempt(3, number).started(at).answered(at + 1, drift());
        }
        story
    }

    #[test]
    fn clients_in_the_same_trouble_form_a_group() {
        let result = story().result().diagnosis;
        assert_eq!((result.clients, result.looping), (3, 3));
        let groups: Vec<_> = result
            .groups
            .iter()
            .map(|group| (group.cohort.as_str(), group.clients, group.attempts, group.diagnosis.cause))
            .collect();
        assert_eq!(groups, [("phones", 2, 8, Cause::NotApproved), ("tabs", 1, 3, Cause::TokenDrift)]);
        // Three pauses of a second each, twice.
        assert!((result.groups[0].gain.attempts - 120.0).abs() < 0.01, "{:?}", result.groups[0].gain);
        assert_eq!(result.groups[0].example, "phones/0");
    }

    #[test]
    fn lines_of_the_log_are_counted_from_the_first_attempt_of_a_loop_to_the_last() {
        let mut story = story();
        assert_eq!(story.result().diagnosis.log, None, "there is no log");
        let log = "2026-11-23T11:59:59.000Z ready\n2026-11-23T12:00:01.000Z refused\n2026-11-23T12:00:02.999Z refused\n\
                   2026-11-23T12:00:09.000Z stopped\n";
        story.facts.gateway_log = Some(LogTimes::read(log, story.facts.started_at));
        let gain = story.result().diagnosis.log.unwrap();
        assert_eq!(gain.lines, 2);
        assert!((gain.a_minute - 2.0 * 60.0 / 3.001).abs() < 1e-9, "{gain:?}");
    }

    #[test]
    fn who_has_not_tried_since_an_outage_is_no_trouble_that_a_scenario_does_not_expect() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(10).answered(15, session());
        for number in 1..4 {
            let at = 1_000 + 100 * u64::from(number);
            story.attempt(0, number).started(at).ended(at + 1, Outcome::ConnectionRefused);
        }
        let expect = Some(ExpectedCause::Nothing);
        story.plan.cohorts[0].expect = Some(Expectation { cause: expect, ..Expectation::default() });
        let found = |story: &Story| story.result().diagnosis.expected[0].found.clone();
        assert_eq!(found(&story)["wrong-url"], 1, "the gateway never came back");
        let back = RestartStamps { port_open: Some(1_500_000_000), ..RestartStamps::default() };
        story.restart(1_000, back);
        assert_eq!(found(&story)["none"], 1);
        assert_eq!(story.result().diagnosis.groups[0].diagnosis.cause, Cause::GatewayStarting);
    }

    #[test]
    fn a_wrong_diagnosis_violates_what_the_scenario_expects() {
        let mut story = story();
        let expect = |cause| Some(Expectation { cause: Some(cause), ..Expectation::default() });
        story.plan.cohorts[1].expect = expect(ExpectedCause::Is(Cause::TokenDrift));
        assert_eq!(story.result().diagnosis.expected[0].met, Some(true));
        assert_eq!(story.result().verdict, RunVerdict::Pass);
        for wrong in [ExpectedCause::Is(Cause::Origin), ExpectedCause::Nothing] {
            story.plan.cohorts[1].expect = expect(wrong);
            let result = story.result();
            assert_eq!(result.diagnosis.expected[0].met, Some(false));
            assert_eq!(result.verdict, RunVerdict::Violated);
            assert_eq!(result.diagnosis.expected[0].found["token-drift"], 1);
        }
        let label = Some(ExpectedCause::Is(Cause::Origin));
        story.plan.cohorts[1].expect = Some(Expectation { label, ..Expectation::default() });
        let result = story.result();
        assert_eq!((result.verdict, result.diagnosis.expected[0].met), (RunVerdict::Pass, None));
        assert_eq!(result.diagnosis.expected[0].found["token-drift"], 1, "a label is counted, and not held");
        // One of the phones got in, and is no case of what is expected of all.
        story.plan.cohorts[1].expect = None;
        story.plan.cohorts[0].expect = expect(ExpectedCause::Is(Cause::NotApproved));
        let result = story.result();
        assert_eq!(result.diagnosis.expected[0].found["none"], 1);
        assert_eq!(result.verdict, RunVerdict::Violated);
        story.facts.interrupted = true;
        assert_eq!(story.result().diagnosis.expected[0].met, None);
    }
}
