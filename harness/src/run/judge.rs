//! From a history on disk to figures: judged and added up shard by shard, so that memory stays flat however long the run
//! was.

use std::io;

use crate::history::{History, Log};
use crate::observation::Observation;
use crate::operator::session::describe;
use crate::oracle::{DeviceVerdict, Judgement, Oracle, Verdict};
use crate::plan::identity::Identities;
use crate::plan::{ConnectSpec, Credential, Nanos, NetworkPath, Plan};
use crate::record::Tally;

/// What cannot be judged, beside what the oracle itself finds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doubts {
    /// The scenario does not declare the gateway's configuration; whether its owner gave the secret.
    pub undeclared: Option<SecretKnown>,
    /// Records did not reach the disk: what seems to be wrong may be explained by one of them.
    pub incomplete: bool,
}

/// Whether the owner of a foreign gateway gave its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretKnown(pub bool);

/// What came of judging a history.
#[derive(Debug)]
pub struct Judged<'p> {
    /// The figures.
    pub tally: Tally<'p>,
    /// Attempts that were not judged because the configuration is not declared.
    pub undeclared: u64,
    /// Who was there.
    pub answers: Answers,
    /// Why the rest of the history could not be read. The figures then lack attempts, which makes the run invalid.
    pub unread: Option<io::Error>,
}

/// Whether the target spoke as a gateway does.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Attempts that were started.
    pub started: u64,
    /// One of them was challenged.
    pub challenged: bool,
    /// How the first of them ended: start, client and attempt, in words.
    first: Option<((Nanos, u32, u32), String)>,
}

impl Answers {
    /// How the attempt that was started first ended.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.first.as_ref().map(|(_, words)| words.as_str())
    }

    fn add(&mut self, attempt: &Observation) {
        let Some(started) = attempt.stamps.started else { return };
        self.started += 1;
        self.challenged |= attempt.stamps.challenged.is_some();
        let key = (started, attempt.client, attempt.attempt);
        if self.first.as_ref().is_none_or(|(first, _)| key < *first) {
            self.first = Some((key, describe(&attempt.outcome)));
        }
    }
}

/// Judges a history and adds up its figures.
#[must_use]
pub fn judge<'p>(plan: &'p Plan, identities: &Identities, log: &Log, doubts: Doubts) -> Judged<'p> {
    judge_in(log.shards(), plan, identities, log, doubts)
}

/// The same in so many shards.
fn judge_in<'p>(
    shards: u32,
    plan: &'p Plan,
    identities: &Identities,
    log: &Log,
    doubts: Doubts,
) -> Judged<'p> {
    let mut judged =
        Judged { tally: Tally::new(plan), undeclared: 0, answers: Answers::default(), unread: None };
    judged.unread = add_shards(&mut judged, shards, plan, identities, log, doubts).err();
    judged
}

fn add_shards(
    judged: &mut Judged<'_>,
    shards: u32,
    plan: &Plan,
    identities: &Identities,
    log: &Log,
    doubts: Doubts,
) -> io::Result<()> {
    let oracle = Oracle::new(plan, identities);
    if shards == 1 {
        let history = log.whole()?;
        let judgement = oracle.judge(&history);
        judged.add(plan, &history, judgement, doubts);
        return Ok(());
    }
    let shared = log.select(|_| false)?;
    let mut survey = oracle.survey();
    if oracle.needs_survey(&shared) {
        for number in 0..shards {
            survey.add(&log.shard(number, shards)?);
        }
    }
    let surveyed = survey.finish(&shared);
    drop(shared);
    for number in 0..shards {
        let history = log.shard(number, shards)?;
        let mut judgement = oracle.judge_shard(&history, &surveyed);
        // They belong to no shard; here each is beside the history of its device.
        let breaches = surveyed.breaches().iter().filter(|breach| breach.client % shards == number);
        judgement.breaches.extend(breaches.cloned());
        judged.add(plan, &history, judgement, doubts);
    }
    Ok(())
}

impl Judged<'_> {
    fn add(&mut self, plan: &Plan, history: &History, mut judgement: Judgement, doubts: Doubts) {
        if let Some(SecretKnown(knows_secret)) = doubts.undeclared {
            self.undeclared += without_declared_configuration(plan, history, &mut judgement, knows_secret);
        }
        if doubts.incomplete {
            without_all_records(&mut judgement);
        }
        // Asked only while there is doubt: a challenge settles it.
        if !self.answers.challenged {
            history.attempts.iter().for_each(|attempt| self.answers.add(attempt));
        }
        self.tally.add(history, &judgement);
    }
}

/// A foreign gateway whose configuration the scenario does not declare may have any secret, proxies and origins: what
/// depends on them is not judged (ARCHITECTURE.md, "Gateways not ours to write to").
///
/// Gives the number of attempts concerned.
fn without_declared_configuration(
    plan: &Plan,
    history: &History,
    judgement: &mut Judgement,
    knows_secret: bool,
) -> u64 {
    let cohorts: Vec<bool> =
        plan.cohorts.iter().map(|cohort| depends_on_configuration(&cohort.connect, knows_secret)).collect();
    for device in &mut judgement.devices {
        let cohort = plan.clients.get(device.client as usize).map(|client| usize::from(client.cohort));
        if cohort.and_then(|cohort| cohorts.get(cohort)).is_some_and(|depends| *depends) {
            device.verdict = DeviceVerdict::Unknown { why: UNDECLARED.to_owned() };
        }
    }
    let mut left_out = 0;
    for (attempt, verdict) in history.attempts.iter().zip(&mut judgement.attempts) {
        let cohort = plan.clients.get(attempt.client as usize).map(|client| usize::from(client.cohort));
        if cohort.and_then(|cohort| cohorts.get(cohort)).is_some_and(|depends| *depends) {
            left_out += 1;
            *verdict = Verdict::Indeterminate { why: UNDECLARED.to_owned() };
        }
    }
    left_out
}

const UNDECLARED: &str = "it depends on the gateway's configuration, which the scenario does not declare";

fn depends_on_configuration(spec: &ConnectSpec, knows_secret: bool) -> bool {
    !matches!(spec.path, NetworkPath::Direct)
        || spec.origin.is_some()
        || match spec.credential {
            // The owner gave the secret that is presented.
            Credential::SharedToken | Credential::DeviceToken | Credential::FirstDeviceToken => !knows_secret,
            Credential::ForgedDeviceToken => false,
            Credential::Missing
            | Credential::WrongPassword
            | Credential::Password
            | Credential::WrongToken => true,
        }
}

/// Nothing is held against a gateway whose operators' or nemesis's records may be among the missing.
fn without_all_records(judgement: &mut Judgement) {
    for verdict in &mut judgement.attempts {
        if let Verdict::Mismatch(mismatch) = verdict {
            let why =
                format!("records of the history were lost, so that this cannot be held: {}", mismatch.why);
            *verdict = Verdict::Indeterminate { why };
        }
    }
    for device in &mut judgement.devices {
        let why = match &device.verdict {
            DeviceVerdict::Valid => {
                "records of the history were lost: what is there is explained, what is missing may not be"
                    .to_owned()
            }
            DeviceVerdict::Invalid(invalid) => {
                format!("records of the history were lost, which may explain this: {}", invalid.why)
            }
            DeviceVerdict::Unknown { why } => why.clone(),
        };
        device.verdict = DeviceVerdict::Unknown { why };
    }
    judgement.session_ends.clear();
    judgement.breaches.clear();
    judgement.invariants.clear();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::Record;
    use crate::history::format::{self, End, Header};
    use crate::observation::Outcome;
    use crate::record::exit_code::RunVerdict;
    use crate::record::test_support::{Story, busy_story};
    use crate::record::{RunResult, Violations};
    use crate::vocabulary::invariant::Invariant;

    /// The history of a story on disk.
    fn on_disk(story: &Story) -> (tempfile::NamedTempFile, Log) {
        let header = Header {
            scenario: story.plan.name.clone(),
            scenario_sha256: String::new(),
            seed: story.plan.seed,
            clients: story.plan.clients.len() as u32,
            started_at: 0,
            pairstorm: "0.1.0".to_owned(),
        };
        let mut bytes = Vec::new();
        format::append_header(&mut bytes, &header).expect("a header");
        let history = story.history.clone();
        let records = (history.attempts.into_iter().map(Record::Attempt))
            .chain(history.session_ends.into_iter().map(Record::SessionEnd))
            .chain(history.notices.into_iter().map(Record::Notice))
            .chain(history.operations.into_iter().map(Record::Operation))
            .chain(history.faults.into_iter().map(Record::Fault));
        let mut count = 0;
        for record in records {
            format::append(&mut bytes, &record, None).expect("a record");
            count += 1;
        }
        let end = End { ended: history.ended, records: count, waits: 0, waited: 0 };
        format::append_end(&mut bytes, &end).expect("an end");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        let log = Log::open(file.path()).expect("a history");
        (file, log)
    }

    fn figures(story: &Story, log: &Log, shards: u32, doubts: Doubts) -> (RunResult, String) {
        let identities = Identities::reproducible(story.plan.seed);
        let judged = judge_in(shards, &story.plan, &identities, log, doubts);
        assert!(judged.unread.is_none(), "{:?}", judged.unread);
        let mut lines = Vec::new();
        Violations::new(judged.tally.listing(), &|_, _| None, &[]).write(&mut lines).expect("written");
        (judged.tally.finish(&story.facts), String::from_utf8(lines).expect("UTF-8"))
    }

    #[test]
    fn a_history_is_judged_the_same_in_however_many_shards() {
        let story = busy_story();
        let (_file, log) = on_disk(&story);
        let whole = figures(&story, &log, 1, Doubts::default());
        assert!(whole.0.mismatches.total > 0 && whole.0.attempts.attempted > 100);
        for shards in [2, 5, 60] {
            assert_eq!(figures(&story, &log, shards, Doubts::default()), whole, "{shards}");
        }
    }

    #[test]
    fn what_lost_records_may_explain_is_held_against_nobody() {
        let mut story = busy_story();
        story.plan.invariants = Some(vec![Invariant::ApprovalIsKept]);
        let (_file, log) = on_disk(&story);
        let doubts = Doubts { incomplete: true, ..Doubts::default() };
        story.facts.written.lost = 3;
        let (result, lines) = figures(&story, &log, 2, doubts);
        assert_eq!((result.mismatches.total, lines.as_str()), (0, ""));
        assert!(result.indeterminate > 0);
        assert_eq!(result.verdict, RunVerdict::Invalid, "an expected breach may be among what was lost");
        let reasons: Vec<_> = result.validity.reasons.iter().map(|reason| reason.text.as_str()).collect();
        assert!(reasons.contains(&"3 records of the history were lost"), "{reasons:?}");
    }

    #[test]
    fn what_depends_on_an_undeclared_configuration_is_not_judged() {
        let story = busy_story();
        let (_file, log) = on_disk(&story);
        let identities = Identities::reproducible(story.plan.seed);
        for (known, left_out) in [(true, 0), (false, story.history.attempts.len() as u64)] {
            let doubts = Doubts { undeclared: Some(SecretKnown(known)), ..Doubts::default() };
            let judged = judge_in(3, &story.plan, &identities, &log, doubts);
            assert_eq!(judged.undeclared, left_out);
        }
    }

    #[test]
    fn nobody_there_is_told_by_the_first_attempt() {
        let mut story = Story::new(&[("phones", 4)]);
        story.attempt(2, 0).started(20).ended(21, Outcome::Unreachable { error: "no route".to_owned() });
        story.attempt(1, 0).started(10).ended(12, Outcome::ConnectionRefused);
        let (_file, log) = on_disk(&story);
        let identities = Identities::reproducible(story.plan.seed);
        for shards in [1, 2] {
            let answers = judge_in(shards, &story.plan, &identities, &log, Doubts::default()).answers;
            assert_eq!((answers.started, answers.challenged), (2, false));
            assert_eq!(answers.first(), Some(describe(&Outcome::ConnectionRefused).as_str()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn whatever_happened_is_judged_the_same_in_shards(seed in any::<u64>(), events in 0_usize..120) {
            let story = Story::drawn(seed, events);
            let (_file, log) = on_disk(&story);
            let whole = figures(&story, &log, 1, Doubts::default());
            for shards in [2, 5] {
                prop_assert_eq!(&figures(&story, &log, shards, Doubts::default()), &whole, "{}", shards);
            }
        }
    }
}
