//! What the gateway should not have done, whether or not its release does it: found, expected, and what that means for
//! the run.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mismatches::client_name;
use crate::oracle::verdict::InvariantFinding;
use crate::plan::Plan;
use crate::vocabulary::invariant::Invariant;

/// Findings on one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantResult {
    /// Its name, for example `approved-before-session`.
    pub invariant: String,
    /// How often it was broken.
    pub count: u64,
    /// Whether the scenario expects it to be; `null` = the scenario expects nothing of
    /// invariants, or the history is incomplete, so that one that was not seen broken may have been.
    pub expected: Option<bool>,
    /// One of the clients, as `cohort/index`; empty if it was not broken.
    pub example: String,
    /// The attempt of that client.
    pub example_attempt: u32,
    /// What happened to it, in a sentence.
    pub example_why: String,
}

impl InvariantResult {
    /// Whether the scenario is contradicted: broken and not expected, or expected and not broken.
    #[must_use]
    pub fn is_surprise(&self) -> bool {
        self.expected.is_some_and(|expected| expected != (self.count > 0))
    }
}

/// Recorder of findings. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct InvariantRecorder {
    found: BTreeMap<Invariant, Found>,
}

#[derive(Debug, Clone)]
struct Found {
    count: u64,
    /// The one of the lowest client and attempt, whatever the order of the parts.
    example: InvariantFinding,
}

impl InvariantRecorder {
    /// Counts one finding.
    pub fn finding(&mut self, finding: &InvariantFinding) {
        match self.found.entry(finding.invariant) {
            Entry::Occupied(mut known) => known.get_mut().add(1, finding),
            Entry::Vacant(new) => {
                new.insert(Found { count: 1, example: finding.clone() });
            }
        }
    }

    /// Adds what another recorder counted.
    pub fn merge(&mut self, other: Self) {
        for (invariant, found) in other.found {
            match self.found.entry(invariant) {
                Entry::Occupied(mut known) => known.get_mut().add(found.count, &found.example),
                Entry::Vacant(new) => {
                    new.insert(found);
                }
            }
        }
    }

    /// Every invariant that was broken or expected to be, in the order of the reference page. Of an `incomplete` history
    /// nobody can say that it holds no breach.
    #[must_use]
    pub fn summary(&self, plan: &Plan, incomplete: bool) -> Vec<InvariantResult> {
        let expected = plan.invariants.as_deref();
        let all: BTreeSet<Invariant> =
            self.found.keys().chain(expected.unwrap_or_default()).copied().collect();
        let row = |invariant: Invariant| {
            let found = self.found.get(&invariant);
            InvariantResult {
                invariant: invariant.as_str().to_owned(),
                count: found.map_or(0, |found| found.count),
                expected: expected
                    .filter(|_| found.is_some() || !incomplete)
                    .map(|expected| expected.contains(&invariant)),
                example: found.map(|found| client_name(plan, found.example.client)).unwrap_or_default(),
                example_attempt: found.map_or(0, |found| found.example.attempt),
                example_why: found.map(|found| found.example.why.clone()).unwrap_or_default(),
            }
        };
        all.into_iter().map(row).collect()
    }
}

impl Found {
    fn add(&mut self, count: u64, example: &InvariantFinding) {
        self.count += count;
        if (example.client, example.attempt) < (self.example.client, self.example.attempt) {
            self.example = example.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::verdict::InvariantFinding;
    use crate::record::exit_code::RunVerdict;
    use crate::record::test_support::Story;

    fn judged(found: &[Invariant], expected: Option<&[Invariant]>) -> (RunVerdict, Vec<InvariantResult>) {
        let mut story = Story::new(&[("phones", 1)]);
        story.plan.invariants = expected.map(<[Invariant]>::to_vec);
        story.judgement.invariants = found
            .iter()
            .map(|invariant| InvariantFinding {
                invariant: *invariant,
                client: 0,
                attempt: 3,
                why: "because".to_owned(),
            })
            .collect();
        let result = story.result();
        (result.verdict, result.invariants)
    }

    #[test]
    fn what_an_incomplete_history_does_not_show_is_no_surprise() {
        let (kept, ids) = (Invariant::ApprovalIsKept, Invariant::RequestIdIsStable);
        let mut story = Story::new(&[("phones", 1)]);
        story.plan.invariants = Some(vec![kept]);
        story.facts.broken = Some("it breaks off at byte 9: the file ends there".to_owned());
        let result = story.result();
        assert_eq!((result.verdict, result.invariants[0].expected), (RunVerdict::Invalid, None));
        // What was seen was seen.
        let why = "because".to_owned();
        story.judgement.invariants = vec![InvariantFinding { invariant: ids, client: 0, attempt: 3, why }];
        let result = story.result();
        assert_eq!((result.verdict, result.invariants[1].expected), (RunVerdict::Violated, Some(false)));
    }

    #[test]
    fn a_run_passes_if_exactly_the_expected_ones_are_broken() {
        let (kept, ids) = (Invariant::ApprovalIsKept, Invariant::RequestIdIsStable);
        let violated = |found: &[Invariant], expected: Option<&[Invariant]>| {
            judged(found, expected).0 == RunVerdict::Violated
        };
        assert!(!violated(&[kept], None));
        assert!(!violated(&[kept, kept], Some(&[kept])));
        assert!(violated(&[kept], Some(&[])));
        assert!(violated(&[], Some(&[kept])));
        assert!(violated(&[kept, ids], Some(&[kept])));
        let rows = judged(&[kept, kept], Some(&[kept, ids])).1;
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].count, rows[0].expected, rows[0].example.as_str()), (2, Some(true), "phones/0"));
        assert_eq!((rows[1].count, rows[1].is_surprise()), (0, true));
    }
}
