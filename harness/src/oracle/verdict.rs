//! What the oracle says of an attempt.

use crate::plan::{ClientId, Nanos};
use crate::vocabulary::invariant::Invariant;

/// Verdicts over a whole run.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// One verdict for each of `History::attempts`, in the same order.
    pub attempts: Vec<Verdict>,
    /// Sessions that ended although nobody said they should.
    pub session_ends: Vec<SessionEndFinding>,
    /// What else the gateway did that it may not.
    pub breaches: Vec<Breach>,
    /// The second axis: what it should not have done, whether or not its release does it. No mismatches.
    pub invariants: Vec<InvariantFinding>,
}

/// Something that a gateway should not have done, whether or not its release does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvariantFinding {
    /// What it broke.
    pub invariant: Invariant,
    /// With which client.
    pub client: ClientId,
    /// In which of its attempts.
    pub attempt: u32,
    /// One sentence for people.
    pub why: String,
}

/// Verdict on one attempt. Worst wins: mismatch over indeterminate over match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The outcome is one that the history allows.
    Match {
        /// Class of the outcome that was expected, for the table of expected against observed, for example
        /// `session`, `not-paired`, `AUTH_TOKEN_MISMATCH`, `1009`, `no_answer_in_fault`.
        expected: String,
    },
    /// It is not.
    Mismatch(Mismatch),
    /// The evidence does not suffice.
    Indeterminate {
        /// What is missing.
        why: String,
    },
}

/// An outcome that no order of the overlapping operations allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// How it is wrong.
    pub kind: MismatchKind,
    /// Classes of all outcomes that were allowed.
    pub expected: Vec<String>,
    /// Class of the outcome that was seen.
    pub observed: String,
    /// One sentence for people: the fact of the device's history that decides, for example "approval of request X was
    /// acknowledged at 3.2 s and lost by the restart at 5.0 s".
    pub why: String,
}

/// How an outcome is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MismatchKind {
    /// Someone got in who may not.
    FalseAccept,
    /// Someone was locked out who may get in.
    FalseReject,
    /// Rightly refused, for the wrong reason, with a wrong code or details.
    WrongReason,
    /// Rightly refused, with the wrong close code or reason, or none.
    WrongClose,
    /// Rightly accepted, with other role, scopes or token than allowed.
    WrongGrant,
    /// The gateway did not answer although nothing stood in its way.
    NoAnswer,
    /// A session heard an event that it may not hear.
    LeakedEvent,
    /// A gateway that had begun to stop let an upgrade through.
    LateUpgrade,
    /// An operation was carried out for somebody who may not ask for it, or refused to somebody who may.
    WrongAnswer,
}

impl MismatchKind {
    /// All kinds, worst first.
    pub const ALL: [Self; 9] = [
        Self::FalseAccept,
        Self::WrongAnswer,
        Self::LeakedEvent,
        Self::FalseReject,
        Self::WrongReason,
        Self::WrongClose,
        Self::WrongGrant,
        Self::NoAnswer,
        Self::LateUpgrade,
    ];

    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FalseAccept => "false_accept",
            Self::FalseReject => "false_reject",
            Self::WrongReason => "wrong_reason",
            Self::WrongClose => "wrong_close",
            Self::WrongGrant => "wrong_grant",
            Self::NoAnswer => "no_answer",
            Self::LeakedEvent => "leaked_event",
            Self::LateUpgrade => "late_upgrade",
            Self::WrongAnswer => "wrong_answer",
        }
    }
}

/// Something that a gateway may not do and that is no outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// How it is wrong.
    pub kind: MismatchKind,
    /// The client whose session or attempt shows it.
    pub client: ClientId,
    /// The attempt, or the attempt that opened the session.
    pub attempt: u32,
    /// When.
    pub at: Nanos,
    /// What was due, in a word or two.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// One sentence for people.
    pub why: String,
}

/// A session that the gateway ended outside every fault; counted as [`MismatchKind::WrongClose`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEndFinding {
    /// Position in `History::session_ends`.
    pub session_end: usize,
    /// One sentence for people.
    pub why: String,
}
