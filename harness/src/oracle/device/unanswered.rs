//! Attempts without answer.

use super::DeviceJudge;
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::oracle::explain::answer;
use crate::oracle::verdict::{Mismatch, MismatchKind, Verdict};
use crate::oracle::{NO_ANSWER_IN_FAULT, classify};

impl DeviceJudge<'_, '_, '_> {
    pub(super) fn is_explained(&self, observation: &Observation) -> bool {
        self.excused(observation).is_some()
    }

    /// The verdict on an attempt without answer, if there is a reason for it.
    pub(super) fn excused(&self, observation: &Observation) -> Option<Verdict> {
        if self.windows.excuse(observation) {
            return Some(Verdict::Match { expected: NO_ANSWER_IN_FAULT.to_owned() });
        }
        match &observation.outcome {
            // Section 1: the client let the time for its connect pass.
            Outcome::Closed(closed)
                if closed.close == (CloseSeen::Frame { code: 1000, reason: String::new() })
                    && self.windows.client_was_late(observation)
                    && self.windows.outlasted_handshake(observation) =>
            {
                Some(Verdict::Match { expected: "close-1000".to_owned() })
            }
            _ => None,
        }
    }
}

/// The verdict on an attempt without answer and without excuse.
pub(super) fn without_excuse(observation: &Observation, expected: Vec<String>) -> Verdict {
    let session_due = expected.iter().any(|class| class == classify::SESSION);
    let only_session = session_due && expected.len() == 1;
    let seen = answer(&observation.outcome);
    let due = if expected.is_empty() { "an answer".to_owned() } else { expected.join(" or ") };
    let (kind, why) = match &observation.outcome {
        Outcome::Closed(closed) if says_no(&closed.close) && only_session => {
            (MismatchKind::FalseReject, format!("{seen} came; {due} is due"))
        }
        Outcome::Closed(closed) if says_no(&closed.close) => {
            (MismatchKind::WrongClose, format!("{seen} came without an error frame; {due} is due"))
        }
        _ => (MismatchKind::NoAnswer, format!("{seen}, and no fault was under way; {due} is due")),
    };
    let observed = classify::class_of(&observation.outcome);
    Verdict::Mismatch(Mismatch { kind, expected, observed, why })
}

/// Whether a close is a refusal, rather than a connection that went away.
fn says_no(close: &CloseSeen) -> bool {
    matches!(close, CloseSeen::Frame { code: 1002 | 1003 | 1007..=1010 | 1013 | 4000..=4999, .. })
}
