//! Refusals by pairing reason and by `details.code`: how many were expected, how many were seen.

use std::collections::BTreeMap;

use protocol::{DetailCode, PairingReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mismatches::bounded;
use crate::history::History;
use crate::observation::Outcome;
use crate::oracle::{Judgement, Verdict};

/// `details.code` of the four pairing reasons.
const PAIRING_REQUIRED: &str = "PAIRING_REQUIRED";

/// Refusals of one reason or code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedAndObserved {
    /// Attempts for which the oracle expected it; the first allowed class counts where several were. Attempts that
    /// could not be judged have no expectation.
    pub expected: u64,
    /// Attempts that ended so.
    pub observed: u64,
}

/// Refusals of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusals {
    /// By `details.reason` of a pairing refusal. The four known reasons are always there.
    pub by_reason: BTreeMap<String, ExpectedAndObserved>,
    /// By `details.code`.
    pub by_detail_code: BTreeMap<String, ExpectedAndObserved>,
    /// Refusals that carried no `details.code`, by `error.code`: number seen.
    pub without_detail_code: BTreeMap<String, u64>,
}

/// Counts the refusals of a run.
#[must_use]
pub fn refusals(history: &History, judgement: &Judgement) -> Refusals {
    let mut refusals = Refusals {
        by_reason: PairingReason::ALL
            .into_iter()
            .map(|reason| (reason.as_str().to_owned(), ExpectedAndObserved::default()))
            .collect(),
        ..Refusals::default()
    };
    for (position, attempt) in history.attempts.iter().enumerate() {
        let expected = match judgement.attempts.get(position) {
            Some(Verdict::Match { expected }) => Some(expected.as_str()),
            Some(Verdict::Mismatch(mismatch)) => mismatch.expected.first().map(String::as_str),
            Some(Verdict::Indeterminate { .. }) | None => None,
        };
        if let Some(class) = expected {
            if PairingReason::ALL.into_iter().any(|reason| reason.as_str() == class) {
                entry(&mut refusals.by_reason, class).expected += 1;
                entry(&mut refusals.by_detail_code, PAIRING_REQUIRED).expected += 1;
            } else if DetailCode::KNOWN.contains(&class) {
                entry(&mut refusals.by_detail_code, class).expected += 1;
            }
        }
        // What was not judged has nothing to be compared with.
        if expected.is_none() {
            continue;
        }
        let Outcome::Refused(refusal) = &attempt.outcome else { continue };
        match refusal.detail_code.as_deref() {
            Some(code) => {
                entry(&mut refusals.by_detail_code, code).observed += 1;
                if code == PAIRING_REQUIRED {
                    let reason = refusal.reason.as_deref().unwrap_or("(none)");
                    entry(&mut refusals.by_reason, reason).observed += 1;
                }
            }
            None => *entry(&mut refusals.without_detail_code, &refusal.code) += 1,
        }
    }
    refusals
}

fn entry<'a, T: Default>(table: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let name = bounded(name, |name| table.contains_key(name), table.len());
    table.entry(name).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::MismatchKind;
    use crate::record::test_support::{Story, mismatch, refusal, refusal_with, session};

    #[test]
    fn expected_and_observed_are_counted_apart() {
        let mut story = Story::new(&[("phones", 4)]);
        story.attempt(0, 0).answered(5, refusal("not-paired")).expected("not-paired");
        story.attempt(1, 0).answered(5, refusal("scope-upgrade")).verdict(mismatch(
            MismatchKind::WrongReason,
            &["not-paired", "role-upgrade"],
            "scope-upgrade",
            "",
        ));
        story
            .attempt(2, 0)
            .answered(5, refusal_with("INVALID_REQUEST", Some("AUTH_TOKEN_MISMATCH"), None))
            .expected("AUTH_TOKEN_MISMATCH");
        story
            .attempt(3, 0)
            .answered(5, refusal_with("INVALID_REQUEST", None, None))
            .indeterminate("no profile");
        story.attempt(3, 1).answered(5, session()).expected("session");
        assert_eq!(
            serde_json::to_value(refusals(&story.history, &story.judgement)).expect("refusals"),
            serde_json::json!({
                "by_reason": {
                    "not-paired": {"expected": 2, "observed": 1},
                    "metadata-upgrade": {"expected": 0, "observed": 0},
                    "role-upgrade": {"expected": 0, "observed": 0},
                    "scope-upgrade": {"expected": 0, "observed": 1},
                },
                "by_detail_code": {
                    "AUTH_TOKEN_MISMATCH": {"expected": 1, "observed": 1},
                    "PAIRING_REQUIRED": {"expected": 2, "observed": 2},
                },
                // The refusal that could not be judged is not compared.
                "without_detail_code": {},
            })
        );
    }
}
