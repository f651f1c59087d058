//! Refusals by pairing reason and by `details.code`: how many were expected, how many were seen.

use std::collections::BTreeMap;

use protocol::{DetailCode, PairingReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_name::ByName;
use crate::observation::{Observation, Outcome};
use crate::oracle::{Release, Verdict, refusal};

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

/// Recorder of refusals. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct RefusalRecorder {
    /// First allowed class of attempts that got something else.
    due: ByName<u64>,
    reasons: ByName<u64>,
    detail_codes: ByName<u64>,
    without_detail_code: ByName<u64>,
}

impl RefusalRecorder {
    /// Counts one attempt.
    pub fn attempt(&mut self, attempt: &Observation, verdict: Option<&Verdict>) {
        match verdict {
            // What was due is counted as a match, once for both tables.
            Some(Verdict::Match { .. }) => {}
            Some(Verdict::Mismatch(mismatch)) => {
                if let Some(class) = mismatch.expected.first() {
                    self.due.change(class, |count| *count += 1);
                } else {
                    return;
                }
            }
            // What was not judged has nothing to be compared with.
            Some(Verdict::Indeterminate { .. }) | None => return,
        }
        let Outcome::Refused(refusal) = &attempt.outcome else { return };
        match refusal.detail_code.as_deref() {
            Some(code) => {
                self.detail_codes.change(code, |count| *count += 1);
                if code == PAIRING_REQUIRED {
                    let reason = refusal.reason.as_deref().unwrap_or("(none)");
                    self.reasons.change(reason, |count| *count += 1);
                }
            }
            None => self.without_detail_code.change(&refusal.code, |count| *count += 1),
        }
    }

    /// Adds what another recorder counted.
    pub fn merge(&mut self, other: Self) {
        self.due += other.due;
        self.reasons += other.reasons;
        self.detail_codes += other.detail_codes;
        self.without_detail_code += other.without_detail_code;
    }

    /// The refusals of a run of which so many attempts of each class got what was due of `release`.
    #[must_use]
    pub fn summary(&self, matches: &ByName<u64>, release: &Release) -> Refusals {
        let mut refusals = Refusals {
            by_reason: PairingReason::ALL
                .into_iter()
                .map(|reason| (reason.as_str().to_owned(), ExpectedAndObserved::default()))
                .collect(),
            without_detail_code: self.without_detail_code.clone().into_table(),
            ..Refusals::default()
        };
        for (reason, observed) in self.reasons.clone().into_table() {
            refusals.by_reason.entry(reason).or_default().observed += observed;
        }
        for (code, observed) in self.detail_codes.clone().into_table() {
            refusals.by_detail_code.entry(code).or_default().observed += observed;
        }
        let mut expected = self.due.clone();
        expected += matches.clone();
        for (class, expected) in expected.into_table() {
            if PairingReason::ALL.into_iter().any(|reason| reason.as_str() == class) {
                refusals.by_reason.entry(class).or_default().expected += expected;
                refusals.by_detail_code.entry(PAIRING_REQUIRED.to_owned()).or_default().expected += expected;
            } else if DetailCode::KNOWN.contains(&class.as_str()) {
                refusals.by_detail_code.entry(class).or_default().expected += expected;
            } else if let Some(code) = refusal::code_of_failed_proof(&class, release) {
                refusals.by_detail_code.entry(code.to_owned()).or_default().expected += expected;
            }
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use protocol::ProfileName;

    use super::ExpectedAndObserved;
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
            serde_json::to_value(story.result().refusals).expect("refusals"),
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

    /// Failed proofs are told apart by their reason, whatever code the release has for them.
    #[test]
    fn a_failed_proof_is_expected_under_the_code_of_its_release() {
        for (profile, code) in [
            (ProfileName::V2026_2_22, "DEVICE_AUTH_INVALID"),
            (ProfileName::V2026_9_6, "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        ] {
            let mut story = Story::new(&[("doors", 2)]);
            story.plan.gateway.profile = profile;
            let seen = || refusal_with("INVALID_REQUEST", Some(code), Some("device-id-mismatch"));
            story.attempt(0, 0).answered(5, seen()).expected("device-id-mismatch");
            story.attempt(1, 0).answered(5, session()).verdict(mismatch(
                MismatchKind::FalseAccept,
                &["device-id-mismatch"],
                "session",
                "",
            ));
            let counted = story.result().refusals.by_detail_code;
            assert_eq!(counted[code], ExpectedAndObserved { expected: 2, observed: 1 }, "{profile}");
            assert_eq!(counted.len(), 1, "{profile}");
        }
    }
}
