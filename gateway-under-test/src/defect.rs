//! Deliberate faults, so that the harness can show that its checks catch them. Off unless named.
//!
//! Each is asked in exactly one place: the first two in [`crate::policy::pairing`], `forget-approval-on-restart` where
//! the store applies an approval, `shared-state-dir` where the state directory is locked.

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Silent approval forgets to look at locality: a remote client that is not paired gets a session.
    /// Must be caught by the oracle as a *false accept*.
    AcceptUnpaired,
    /// A `not-paired` refusal says `scope-upgrade`. Must be caught by the oracle as a *wrong reason*.
    WrongReason,
    /// An operator's approval works in memory and is acknowledged, but the device is left out of the file, so that a
    /// restart or a reload forgets it. Must be caught by the history checker as an acknowledged approval that was lost.
    ForgetApprovalOnRestart,
    /// Several gateways may hold one state directory; the last writer wins. Must be caught by the history checker as
    /// lost approvals.
    SharedStateDir,
}

impl Defect {
    /// Every defect.
    pub const ALL: [Self; 4] =
        [Self::AcceptUnpaired, Self::WrongReason, Self::ForgetApprovalOnRestart, Self::SharedStateDir];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcceptUnpaired => "accept-unpaired",
            Self::WrongReason => "wrong-reason",
            Self::ForgetApprovalOnRestart => "forget-approval-on-restart",
            Self::SharedStateDir => "shared-state-dir",
        }
    }

    /// The defect of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|defect| defect.name() == name)
    }

    /// The names of all defects, joined for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}
