//! The shards of one load put together again: one verdict, and the counts that can be added up.
//!
//! Percentiles cannot be added, and neither can times of processes that began at different moments: those stand in the
//! result of each shard.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exit_code::{ExitCode, RunVerdict};
use super::mismatches::MismatchCounts;
use super::outcomes::AttemptCounts;
use super::refusals::{ExpectedAndObserved, Refusals};
use super::result::{RunResult, SCHEMA_VERSION};
use crate::plan::Shard;

/// All shards of one load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Whole {
    /// The version of the results that it was made from.
    pub schema_version: u32,
    /// The worst of the shards.
    pub verdict: RunVerdict,
    /// A signal ended one of them early.
    pub interrupted: bool,
    /// Exit code of the command, as a run's.
    pub exit_code: u8,
    /// Name of the scenario.
    pub scenario: String,
    /// Its SHA-256, as in each result.
    pub sha256: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Profile that the gateway was held to.
    pub profile: String,
    /// The shards, in their order.
    pub shards: Vec<ShardOfWhole>,
    /// Attempts by outcome.
    pub attempts: AttemptCounts,
    /// Outcomes that nothing allows, by kind.
    pub mismatches: MismatchCounts,
    /// Attempts that evidence did not suffice for.
    pub indeterminate: u64,
    /// Refusals by reason and code.
    pub refusals: Refusals,
    /// Each cohort, in the order of the scenario.
    pub cohorts: Vec<CohortOfWhole>,
}

/// What one shard came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardOfWhole {
    /// `2/4`
    pub shard: String,
    /// Its folder, as typed.
    pub folder: String,
    /// What it loaded.
    pub target: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_at: String,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Its exit code.
    pub exit_code: u8,
    /// Its clients in the plan.
    pub clients: u64,
    /// Its attempts.
    pub attempted: u64,
    /// Those that became sessions.
    pub session: u64,
    /// Outcomes that nothing allows.
    pub mismatches: u64,
}

/// What one cohort did and got in all shards together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CohortOfWhole {
    /// Name in the scenario.
    pub name: String,
    /// Its clients in the plan.
    pub clients: u64,
    /// Of these, clients that held a session at least once.
    pub clients_with_session: u64,
    /// Its attempts by outcome.
    pub attempts: AttemptCounts,
    /// Its refusals by answer, as in a result.
    pub refusals: BTreeMap<String, u64>,
    /// Its mismatches by kind.
    pub mismatches: MismatchCounts,
    /// Its attempts that could not be judged.
    pub indeterminate: u64,
}

/// Results that are not all shards of one load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWhole {
    /// There is none.
    #[error("name the folders of all shards")]
    Nothing,
    /// A result of another version.
    #[error("{folder}: its result is of version {version}; this pairstorm reads version {SCHEMA_VERSION}")]
    Version {
        /// Its folder.
        folder: String,
        /// Its version.
        version: u32,
    },
    /// A run of all clients.
    #[error("{folder} is no shard: it was run without --shard")]
    NoShard {
        /// Its folder.
        folder: String,
    },
    /// A shard of something else.
    #[error("{folder} is no part of the same load as {first}: {what} is another")]
    Other {
        /// Its folder.
        folder: String,
        /// The folder that it was compared with.
        first: String,
        /// What differs.
        what: &'static str,
    },
    /// A shard that is there more than once.
    #[error("{folder} and {first} are both shard {shard}")]
    Twice {
        /// Its folder.
        folder: String,
        /// The other one's.
        first: String,
        /// Which.
        shard: String,
    },
    /// Shards that are not there. What they would have shown is not known, and neither is the verdict.
    #[error("the load is not whole: shard {} is missing", .shards.join(", "))]
    Missing {
        /// Which.
        shards: Vec<String>,
    },
    /// The clients of a cohort are not divided as shards of one load divide them.
    #[error(
        "the shards are not of the same load: {cohort} has {clients} clients in {folder}, and {due} are its share of {all}"
    )]
    Share {
        /// The cohort.
        cohort: String,
        /// A folder.
        folder: String,
        /// Its clients there.
        clients: u64,
        /// Its share.
        due: u64,
        /// All clients together.
        all: u64,
    },
}

/// Adds up all shards of one load, each with its folder.
///
/// # Errors
/// [`NoWhole`] when they are not exactly that.
pub fn whole(runs: &[(String, RunResult)]) -> Result<Whole, NoWhole> {
    let (first_folder, first) = runs.first().ok_or(NoWhole::Nothing)?;
    let mut shards: BTreeMap<u32, (Shard, &str, &RunResult)> = BTreeMap::new();
    let mut of = None;
    for (folder, result) in runs {
        if result.schema_version != SCHEMA_VERSION {
            return Err(NoWhole::Version { folder: folder.clone(), version: result.schema_version });
        }
        let shard: Option<Shard> = result.scenario.shard.as_deref().and_then(|text| text.parse().ok());
        let shard = shard.ok_or_else(|| NoWhole::NoShard { folder: folder.clone() })?;
        let other = |what| NoWhole::Other { folder: folder.clone(), first: first_folder.clone(), what };
        let count = shard.of();
        if *of.get_or_insert(count) != count {
            return Err(other("the number of shards"));
        }
        if let Some(what) = difference(first, result) {
            return Err(other(what));
        }
        if let Some((_, first, _)) = shards.insert(shard.number(), (shard, folder.as_str(), result)) {
            let (folder, first) = (folder.clone(), first.to_owned());
            return Err(NoWhole::Twice { folder, first, shard: shard.to_string() });
        }
    }
    let all = 1..=of.unwrap_or_default();
    let missing: Vec<String> = all
        .filter_map(|number| Shard::new(number, of?))
        .filter(|shard| !shards.contains_key(&shard.number()))
        .map(|shard| shard.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(NoWhole::Missing { shards: missing });
    }
    let mut sum = sum(shards.values().map(|(_, _, result)| *result));
    share(&sum.cohorts, &shards)?;
    sum.shards = shards.values().map(|(shard, folder, result)| part(*shard, folder, result)).collect();
    sum.exit_code = ExitCode::of_run(sum.verdict, sum.interrupted).code();
    Ok(sum)
}

/// What is not the same in two results that are to be of one load.
fn difference(one: &RunResult, other: &RunResult) -> Option<&'static str> {
    let (here, there) = (&one.environment, &other.environment);
    let names = |result: &RunResult| -> Vec<String> {
        result.cohorts.iter().map(|cohort| cohort.name.clone()).collect()
    };
    [
        (one.scenario.sha256 == other.scenario.sha256, "the scenario"),
        (one.seed == other.seed, "the seed"),
        (one.profile == other.profile, "the profile"),
        (here.oracle == there.oracle, "what judges"),
        (here.defect == there.defect, "the defect"),
        (here.time_scale.total_cmp(&there.time_scale).is_eq(), "the time scale"),
        (names(one) == names(other), "the list of cohorts"),
    ]
    .into_iter()
    .find(|(same, _)| !same)
    .map(|(_, what)| what)
}

fn sum<'r>(results: impl Iterator<Item = &'r RunResult>) -> Whole {
    let mut whole = Whole {
        schema_version: SCHEMA_VERSION,
        verdict: RunVerdict::Pass,
        interrupted: false,
        exit_code: 0,
        scenario: String::new(),
        sha256: String::new(),
        seed: 0,
        profile: String::new(),
        shards: Vec::new(),
        attempts: AttemptCounts::default(),
        mismatches: MismatchCounts::default(),
        indeterminate: 0,
        refusals: Refusals::default(),
        cohorts: Vec::new(),
    };
    for result in results {
        whole.verdict = whole.verdict.min(result.verdict);
        whole.interrupted |= result.interrupted;
        whole.scenario.clone_from(&result.scenario.name);
        whole.sha256.clone_from(&result.scenario.sha256);
        whole.seed = result.seed;
        whole.profile.clone_from(&result.profile);
        whole.attempts.merge(&result.attempts);
        whole.mismatches.merge(&result.mismatches);
        whole.indeterminate += result.indeterminate;
        add_refusals(&mut whole.refusals, &result.refusals);
        whole.cohorts.resize_with(result.cohorts.len(), CohortOfWhole::default);
        for (sum, cohort) in whole.cohorts.iter_mut().zip(&result.cohorts) {
            sum.name.clone_from(&cohort.name);
            sum.clients += cohort.clients;
            sum.clients_with_session += cohort.clients_with_session;
            sum.attempts.merge(&cohort.attempts);
            sum.mismatches.merge(&cohort.mismatches);
            sum.indeterminate += cohort.indeterminate;
            for (answer, count) in &cohort.refusals {
                *sum.refusals.entry(answer.clone()).or_default() += count;
            }
        }
    }
    whole
}

fn add_refusals(sum: &mut Refusals, more: &Refusals) {
    let add = |sum: &mut BTreeMap<String, ExpectedAndObserved>,
               more: &BTreeMap<String, ExpectedAndObserved>| {
        for (name, counts) in more {
            let sum = sum.entry(name.clone()).or_default();
            sum.expected += counts.expected;
            sum.observed += counts.observed;
        }
    };
    add(&mut sum.by_reason, &more.by_reason);
    add(&mut sum.by_detail_code, &more.by_detail_code);
    for (code, count) in &more.without_detail_code {
        *sum.without_detail_code.entry(code.clone()).or_default() += count;
    }
}

/// Runs of one file with other `--clients` or `--set` show here.
fn share(
    cohorts: &[CohortOfWhole],
    shards: &BTreeMap<u32, (Shard, &str, &RunResult)>,
) -> Result<(), NoWhole> {
    for (position, cohort) in cohorts.iter().enumerate() {
        for (shard, folder, result) in shards.values() {
            let clients = result.cohorts.get(position).map_or(0, |cohort| cohort.clients);
            let due = u64::from(shard.part(u32::try_from(cohort.clients).unwrap_or(u32::MAX)));
            if clients != due {
                let (cohort, all) = (cohort.name.clone(), cohort.clients);
                return Err(NoWhole::Share { cohort, folder: (*folder).to_owned(), clients, due, all });
            }
        }
    }
    Ok(())
}

fn part(shard: Shard, folder: &str, result: &RunResult) -> ShardOfWhole {
    ShardOfWhole {
        shard: shard.to_string(),
        folder: folder.to_owned(),
        target: result.target.clone(),
        started_at: result.started_at.clone(),
        verdict: result.verdict,
        exit_code: result.exit_code,
        clients: result.cohorts.iter().map(|cohort| cohort.clients).sum(),
        attempted: result.attempts.attempted,
        session: result.attempts.session,
        mismatches: result.mismatches.total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::test_support::{Story, mismatch, refusal, session};

    /// Shard `number` of two of three phones, of which the first is refused.
    fn shard(number: u32) -> (String, RunResult) {
        let mut story = Story::new(&[("phones", if number == 1 { 2 } else { 1 })]);
        if number == 1 {
            story.attempt(0, 0).answered(5, refusal("not-paired")).verdict(mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                "",
            ));
            story.attempt(1, 0).answered(5, session());
        } else {
            story.attempt(0, 0).answered(7, session());
        }
        let mut result = story.result();
        result.scenario.shard = Some(format!("{number}/2"));
        (format!("run-{number}"), result)
    }

    #[test]
    fn shards_add_up_and_the_worst_verdict_wins() {
        let both = [shard(2), shard(1)];
        let whole = whole(&both).unwrap();
        assert_eq!((whole.verdict, whole.exit_code), (RunVerdict::Violated, 1));
        assert_eq!((both[0].1.verdict, both[1].1.verdict), (RunVerdict::Pass, RunVerdict::Violated));
        assert_eq!((whole.attempts.attempted, whole.attempts.session, whole.attempts.refused), (3, 2, 1));
        assert_eq!((whole.mismatches.total, whole.mismatches.false_reject), (1, 1));
        assert_eq!(whole.refusals.by_reason["not-paired"], ExpectedAndObserved { expected: 0, observed: 1 });
        let phones = &whole.cohorts[0];
        assert_eq!((phones.name.as_str(), phones.clients, phones.clients_with_session), ("phones", 3, 2));
        let order: Vec<&str> = whole.shards.iter().map(|shard| shard.folder.as_str()).collect();
        assert_eq!(order, ["run-1", "run-2"]);
    }

    #[test]
    fn what_is_not_all_of_one_load_has_no_verdict() {
        assert_eq!(whole(&[]), Err(NoWhole::Nothing));
        assert_eq!(whole(&[shard(2)]), Err(NoWhole::Missing { shards: vec!["1/2".to_owned()] }));
        assert!(matches!(whole(&[shard(1), shard(1)]), Err(NoWhole::Twice { .. })));
        let changed = |change: fn(&mut RunResult)| {
            let mut other = shard(2);
            change(&mut other.1);
            whole(&[shard(1), other])
        };
        assert!(matches!(changed(|result| result.schema_version = 1), Err(NoWhole::Version { .. })));
        assert!(matches!(changed(|result| result.scenario.shard = None), Err(NoWhole::NoShard { .. })));
        for (change, what) in [
            ((|result| result.seed += 1) as fn(&mut RunResult), "the seed"),
            (|result| result.scenario.sha256 = "0".to_owned(), "the scenario"),
            (|result| result.profile = "2026.9.6".to_owned(), "the profile"),
            (|result| result.scenario.shard = Some("2/3".to_owned()), "the number of shards"),
        ] {
            match changed(change) {
                Err(NoWhole::Other { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{what}: {other:?}"),
            }
        }
        // The same file with other `--clients`.
        match changed(|result| result.cohorts[0].clients = 4) {
            Err(NoWhole::Share { clients, due, all, .. }) => assert_eq!((clients, due, all), (2, 3, 6)),
            other => panic!("{other:?}"),
        }
    }
}
