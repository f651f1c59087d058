//! How attempts ended, counted, and the proof that nothing fell between two words.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::observation::{CloseSeen, Outcome};

/// Number of attempts by outcome. `attempted` is counted on its own; [`AttemptCounts::check`] holds the sum to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptCounts {
    /// All attempts, dropped ones included.
    pub attempted: u64,
    /// hello-ok.
    pub session: u64,
    /// The gateway answered no.
    pub refused: u64,
    /// An HTTP status instead of 101.
    pub upgrade_refused: u64,
    /// The connection ended without an answer to `connect`.
    pub closed: u64,
    /// Nothing came in time.
    pub timed_out: u64,
    /// TCP said no.
    pub connection_refused: u64,
    /// No route, or another error of the network.
    pub unreachable: u64,
    /// Something answered that does not speak the protocol.
    pub not_a_gateway: u64,
    /// The generator could not start the attempt.
    pub dropped: u64,
}

/// Counts that do not add up: evidence is missing, so the run is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SumError {
    /// The outcomes do not sum up to the attempts.
    #[error("{attempted} attempts, but {counted} outcomes")]
    Outcomes {
        /// Attempts.
        attempted: u64,
        /// Sum of the outcomes.
        counted: u64,
    },
    /// The engine counted another number of attempts than the history holds.
    #[error("the engine counted {booked} attempts, the history holds {recorded}")]
    Booked {
        /// Counted by the engine.
        booked: u64,
        /// Held by the history.
        recorded: u64,
    },
    /// An attempt has no verdict, or a verdict no attempt.
    #[error("{attempts} attempts, but {verdicts} verdicts")]
    Verdicts {
        /// Attempts.
        attempts: u64,
        /// Verdicts.
        verdicts: u64,
    },
    /// The cohorts do not sum up to the whole.
    #[error("{attempted} attempts, but {cohorts} in all cohorts together")]
    Cohorts {
        /// Attempts.
        attempted: u64,
        /// Sum over cohorts.
        cohorts: u64,
    },
    /// Records of the history did not reach the disk.
    #[error("{lost} records of the history were lost")]
    Lost {
        /// How many.
        lost: u64,
    },
    /// The history has no end, or could not be read up to it.
    #[error("the history is incomplete: {why}")]
    Broken {
        /// Where it breaks off, or what the system said.
        why: String,
    },
    /// An attempt stands in the history twice.
    #[error("{repeated} attempts stand in the history more than once")]
    Repeated {
        /// How many.
        repeated: u64,
    },
}

impl AttemptCounts {
    /// Counts one attempt.
    pub fn count(&mut self, outcome: &Outcome) {
        self.attempted += 1;
        *match outcome {
            Outcome::Session(_) => &mut self.session,
            Outcome::Refused(_) => &mut self.refused,
            Outcome::UpgradeRefused { .. } => &mut self.upgrade_refused,
            Outcome::Closed(_) => &mut self.closed,
            Outcome::TimedOut { .. } => &mut self.timed_out,
            Outcome::ConnectionRefused => &mut self.connection_refused,
            Outcome::Unreachable { .. } => &mut self.unreachable,
            Outcome::NotAGateway { .. } => &mut self.not_a_gateway,
            Outcome::Dropped(_) => &mut self.dropped,
        } += 1;
    }

    /// Adds the counts of another part of the run.
    pub fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.session += other.session;
        self.refused += other.refused;
        self.upgrade_refused += other.upgrade_refused;
        self.closed += other.closed;
        self.timed_out += other.timed_out;
        self.connection_refused += other.connection_refused;
        self.unreachable += other.unreachable;
        self.not_a_gateway += other.not_a_gateway;
        self.dropped += other.dropped;
    }

    /// Counts by [`Outcome::word`], in the order of [`Outcome::WORDS`].
    #[must_use]
    pub const fn by_word(&self) -> [(&'static str, u64); 9] {
        [
            ("session", self.session),
            ("refused", self.refused),
            ("upgrade_refused", self.upgrade_refused),
            ("closed", self.closed),
            ("timed_out", self.timed_out),
            ("connection_refused", self.connection_refused),
            ("unreachable", self.unreachable),
            ("not_a_gateway", self.not_a_gateway),
            ("dropped", self.dropped),
        ]
    }

    /// The count of this word, or of `attempted`; `None` = no such word.
    #[must_use]
    pub fn get(&self, word: &str) -> Option<u64> {
        if word == "attempted" {
            return Some(self.attempted);
        }
        self.by_word().into_iter().find(|(known, _)| *known == word).map(|(_, count)| count)
    }

    /// Attempts that ended without an answer to `connect`, dropped ones left out.
    #[must_use]
    pub const fn unanswered(&self) -> u64 {
        self.upgrade_refused
            + self.closed
            + self.timed_out
            + self.connection_refused
            + self.unreachable
            + self.not_a_gateway
    }

    /// Holds the sum of the outcomes to `attempted`.
    ///
    /// # Errors
    /// [`SumError::Outcomes`] if they differ.
    pub fn check(&self) -> Result<(), SumError> {
        let counted = self.by_word().into_iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
        if counted == self.attempted {
            Ok(())
        } else {
            Err(SumError::Outcomes { attempted: self.attempted, counted })
        }
    }
}

/// Class of an outcome as the oracle names them, for outcomes that it did not name: `session`, the pairing reason, else
/// `details.code`, else `error.code`, the close code, the HTTP status, or the outcome's word.
#[must_use]
pub fn outcome_class(outcome: &Outcome) -> Cow<'_, str> {
    match outcome {
        Outcome::Refused(refusal) => {
            let pairing = refusal.detail_code.as_deref() == Some("PAIRING_REQUIRED");
            Cow::Borrowed(match (&refusal.reason, &refusal.detail_code) {
                (Some(reason), _) if pairing => reason,
                (_, Some(detail_code)) => detail_code,
                _ => &refusal.code,
            })
        }
        Outcome::UpgradeRefused { status, .. } => Cow::Owned(format!("HTTP {status}")),
        Outcome::Closed(closed) => Cow::Owned(close_code(&closed.close).to_string()),
        other => Cow::Borrowed(other.word()),
    }
}

/// Close code as seen; 1006 for a stream that ended without a close frame.
#[must_use]
pub const fn close_code(close: &CloseSeen) -> u16 {
    match close {
        CloseSeen::Frame { code, .. } => *code,
        CloseSeen::Abrupt => 1006,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::test_support::{outcomes, refusal, session};

    #[test]
    fn every_word_has_its_counter() {
        let mut counts = AttemptCounts::default();
        for outcome in outcomes() {
            counts.count(&outcome);
            assert_eq!(counts.get(outcome.word()), Some(1), "{}", outcome.word());
        }
        assert_eq!(counts.by_word().map(|(word, _)| word), Outcome::WORDS);
        assert_eq!(counts.attempted, 9);
        assert_eq!(counts.unanswered(), 6);
        assert_eq!(counts.get("attempted"), Some(9));
        assert_eq!(counts.get("accepted"), None);
    }

    #[test]
    fn a_lost_outcome_is_an_error() {
        let mut counts = AttemptCounts::default();
        counts.count(&session());
        counts.attempted += 1;
        assert_eq!(counts.check(), Err(SumError::Outcomes { attempted: 2, counted: 1 }));
    }

    #[test]
    fn classes_are_the_most_telling_name() {
        assert_eq!(outcome_class(&session()), "session");
        assert_eq!(outcome_class(&refusal("not-paired")), "not-paired");
        let outcomes = outcomes();
        let words: Vec<_> = outcomes.iter().map(outcome_class).collect();
        assert_eq!(
            words,
            [
                "session",
                "not-paired",
                "HTTP 503",
                "1009",
                "timed_out",
                "connection_refused",
                "unreachable",
                "not_a_gateway",
                "dropped"
            ]
        );
    }

    proptest! {
        #[test]
        fn counts_always_add_up(picks in prop::collection::vec(0_usize..9, 0..200), cut in 0_usize..200) {
            let kinds = outcomes();
            let (mut left, mut right) = (AttemptCounts::default(), AttemptCounts::default());
            for (position, pick) in picks.iter().enumerate() {
                if position < cut { left.count(&kinds[*pick]) } else { right.count(&kinds[*pick]) }
            }
            left.merge(&right);
            prop_assert_eq!(left.check(), Ok(()));
            prop_assert_eq!(left.attempted, picks.len() as u64);
            prop_assert_eq!(left.session + left.refused + left.unanswered() + left.dropped, left.attempted);
        }
    }
}
