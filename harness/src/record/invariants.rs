//! What the gateway should not have done, whether or not its release does it: found, expected, and what that means for
//! the run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oracle::Judgement;
use crate::plan::Plan;
use crate::vocabulary::invariant::Invariant;

/// Findings on one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantResult {
    /// Its name, for example `approved-before-session`.
    pub invariant: String,
    /// How often it was broken.
    pub count: u64,
    /// Whether the scenario expects it to be; `null` = the scenario expects nothing of invariants.
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

/// Every invariant that was broken or expected to be, in the order of the reference page.
#[must_use]
pub fn invariants(plan: &Plan, judgement: &Judgement) -> Vec<InvariantResult> {
    let expected = plan.invariants.as_deref();
    let mut found: BTreeMap<Invariant, InvariantResult> = BTreeMap::new();
    let row = |invariant: Invariant| InvariantResult {
        invariant: invariant.as_str().to_owned(),
        count: 0,
        expected: expected.map(|expected| expected.contains(&invariant)),
        example: String::new(),
        example_attempt: 0,
        example_why: String::new(),
    };
    for invariant in expected.unwrap_or_default() {
        found.insert(*invariant, row(*invariant));
    }
    for finding in &judgement.invariants {
        let result = found.entry(finding.invariant).or_insert_with(|| row(finding.invariant));
        if result.count == 0 {
            result.example = name(plan, finding.client);
            result.example_attempt = finding.attempt;
            result.example_why.clone_from(&finding.why);
        }
        result.count += 1;
    }
    found.into_values().collect()
}

fn name(plan: &Plan, client: u32) -> String {
    let planned = usize::try_from(client).ok().and_then(|client| plan.clients.get(client));
    planned
        .and_then(|planned| Some((plan.cohorts.get(usize::from(planned.cohort))?, planned.index)))
        .map_or_else(|| format!("client {client}"), |(cohort, index)| format!("{}/{index}", cohort.name))
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
