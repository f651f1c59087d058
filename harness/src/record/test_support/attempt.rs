//! An attempt, piece by piece.

use super::MS;
use crate::observation::{DropReason, Observation, Outcome, Stamps};
use crate::oracle::Verdict;
use crate::plan::Nanos;
use crate::record::outcomes::outcome_class;

/// An attempt under construction; it expects its own class until a verdict is given.
pub(crate) struct AttemptBuilder<'a> {
    pub(super) attempt: &'a mut Observation,
    pub(super) verdict: &'a mut Verdict,
}

impl AttemptBuilder<'_> {
    /// When it was to start.
    pub(crate) fn intended(self, at: u64) -> Self {
        self.attempt.intended = at * MS;
        self
    }

    /// When it started; without [`AttemptBuilder::intended`] also when it was to start.
    pub(crate) fn started(self, at: u64) -> Self {
        self.started_ns(at * MS)
    }

    pub(crate) fn started_ns(self, at: Nanos) -> Self {
        if self.attempt.intended == 0 {
            self.attempt.intended = at;
        }
        self.attempt.stamps.started = Some(at);
        self
    }

    /// The answer to `connect`; the stages before take no time, a refusal is followed by its close 1 ms later.
    pub(crate) fn answered(self, at: u64, outcome: Outcome) -> Self {
        self.answered_ns(at * MS, outcome)
    }

    pub(crate) fn answered_ns(self, at: Nanos, outcome: Outcome) -> Self {
        let stamps = &mut self.attempt.stamps;
        let started = stamps.started;
        (stamps.dialled, stamps.upgraded, stamps.challenged, stamps.sent) =
            (started, started, started, started);
        stamps.answered = Some(at);
        if matches!(outcome, Outcome::Refused(_)) {
            stamps.ended = Some(at.saturating_add(MS));
        }
        self.with(outcome)
    }

    /// An end without an answer.
    pub(crate) fn ended(self, at: u64, outcome: Outcome) -> Self {
        self.attempt.stamps.ended = Some(at * MS);
        self.with(outcome)
    }

    /// Never started.
    pub(crate) fn dropped(self, intended: u64, reason: DropReason) -> Self {
        self.attempt.intended = intended * MS;
        self.attempt.stamps = Stamps::default();
        self.with(Outcome::Dropped(reason))
    }

    pub(crate) fn expected(self, class: &str) -> Self {
        self.verdict(Verdict::Match { expected: class.to_owned() })
    }

    pub(crate) fn indeterminate(self, why: &str) -> Self {
        self.verdict(Verdict::Indeterminate { why: why.to_owned() })
    }

    pub(crate) fn verdict(self, verdict: Verdict) -> Self {
        *self.verdict = verdict;
        self
    }

    fn with(self, outcome: Outcome) -> Self {
        *self.verdict = Verdict::Match { expected: outcome_class(&outcome).into_owned() };
        self.attempt.outcome = outcome;
        self
    }
}
