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
    /// A verdict on each device that made an attempt, by client; empty where the profile is not asked.
    pub devices: Vec<DeviceJudgement>,
}

/// The verdict on the history of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceJudgement {
    /// Whose.
    pub client: ClientId,
    /// What.
    pub verdict: DeviceVerdict,
}

/// Whether one order of a device's operations explains everything that was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceVerdict {
    /// One does.
    Valid,
    /// None does.
    Invalid(Box<Invalid>),
    /// The evidence does not suffice.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// Why no order explains a device's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// One sentence for people.
    pub why: String,
    /// The shortest sub-history that shows it; `None` beyond [`SHOWN_MAX`] devices of one judgement.
    pub shown: Option<SubHistory>,
}

/// Devices of one judgement whose contradiction is looked for: a run in which everything is wrong must not take forever.
pub const SHOWN_MAX: usize = 100;
/// Most operations of a sub-history that are kept, and most of those around it.
pub const MOMENTS_MAX: usize = 40;

/// Operations that contradict each other, whatever became of all others of the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubHistory {
    /// In time: those that contradict each other and, around them, the latest of those that were left open.
    pub moments: Vec<Moment>,
    /// None can be spared: with any of them left open, the rest is explained.
    pub shortest: bool,
    /// How many contradict each other.
    pub decisive: usize,
    /// How many others there were until then, which may have happened or not.
    pub open: usize,
}

/// Something that happened to a device, somewhere between two times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Who did it.
    pub by: Actor,
    /// Not before.
    pub from: Nanos,
    /// Not after.
    pub until: Nanos,
    /// Nobody saw its end: it may have happened or not.
    pub unanswered: bool,
    /// It belongs to what contradicts itself.
    pub decisive: bool,
    /// What, in words.
    pub what: String,
}

/// Who did something to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The device, by a connect.
    Device,
    /// An operator, or a step.
    Operator,
    /// Somebody with an editor.
    Editor,
    /// The gateway, when it read its store.
    Gateway,
}

impl Actor {
    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Gateway => "gateway",
        }
    }
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
    /// An operation or a call was carried out for somebody who may not ask for it, or refused to somebody who may.
    WrongAnswer,
    /// It took longer, or not as long, as the scenario expects.
    WrongLatency,
}

impl MismatchKind {
    /// All kinds, worst first.
    pub const ALL: [Self; 10] = [
        Self::FalseAccept,
        Self::WrongAnswer,
        Self::LeakedEvent,
        Self::FalseReject,
        Self::WrongReason,
        Self::WrongClose,
        Self::WrongGrant,
        Self::NoAnswer,
        Self::LateUpgrade,
        Self::WrongLatency,
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
            Self::WrongLatency => "wrong_latency",
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
