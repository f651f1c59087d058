//! What a gateway should do, whatever its release does: the second axis of judgement (`docs/reference/invariants.md`).

use protocol::ProfileName;

/// One thing that a gateway should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// A client that comes from elsewhere gets a session only after somebody approved its device.
    ApprovedBeforeSession,
    /// A client on the gateway's own machine does so, too.
    NoSilentApproval,
    /// Who cannot be told to be local is not treated as local.
    UnattributedIsRemote,
    /// A session of an approved device may do no more than somebody approved.
    SessionWithinApproval,
    /// What an acknowledged approval, or an earlier session, allowed stays allowed until somebody takes it back.
    ApprovalIsKept,
    /// A revoked token lets nobody in.
    RevokedTokenIsDead,
    /// A revoked role gets no new token without an approval.
    RevocationHolds,
    /// Asking the same again gives the same request id.
    RequestIdIsStable,
    /// A request that an owner was shown does not grow.
    RequestDoesNotGrow,
    /// A device does not approve itself more than it holds.
    NoOwnApproval,
    /// A pairing refusal says why, and under which id it can be approved.
    PairingSaysWhy,
    /// A session ends when its device is removed or its token revoked.
    SessionEndsWithToken,
}

/// Every profile.
const ALL: &[ProfileName] = &ProfileName::ALL;
/// Every release.
const RELEASES: &[ProfileName] = &[
    ProfileName::V2026_2_19,
    ProfileName::V2026_2_21,
    ProfileName::V2026_2_22,
    ProfileName::V2026_3_13,
    ProfileName::V2026_9_6,
];
/// Every profile but 2026.2.19, whose requests stay as they were first made whatever else is asked under their id.
const WITHOUT_FROZEN: &[ProfileName] = &[
    ProfileName::Article,
    ProfileName::V2026_2_21,
    ProfileName::V2026_2_22,
    ProfileName::V2026_3_13,
    ProfileName::V2026_9_6,
];

impl Invariant {
    /// All, in the order of the reference page.
    pub const ALL: [Self; 12] = [
        Self::ApprovedBeforeSession,
        Self::NoSilentApproval,
        Self::UnattributedIsRemote,
        Self::SessionWithinApproval,
        Self::ApprovalIsKept,
        Self::RevokedTokenIsDead,
        Self::RevocationHolds,
        Self::RequestIdIsStable,
        Self::RequestDoesNotGrow,
        Self::NoOwnApproval,
        Self::PairingSaysWhy,
        Self::SessionEndsWithToken,
    ];

    /// Name in scenarios and results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApprovedBeforeSession => "approved-before-session",
            Self::NoSilentApproval => "no-silent-approval",
            Self::UnattributedIsRemote => "unattributed-is-remote",
            Self::SessionWithinApproval => "session-within-approval",
            Self::ApprovalIsKept => "approval-is-kept",
            Self::RevokedTokenIsDead => "revoked-token-is-dead",
            Self::RevocationHolds => "revocation-holds",
            Self::RequestIdIsStable => "request-id-is-stable",
            Self::RequestDoesNotGrow => "request-does-not-grow",
            Self::NoOwnApproval => "no-own-approval",
            Self::PairingSaysWhy => "pairing-says-why",
            Self::SessionEndsWithToken => "session-ends-with-token",
        }
    }

    /// The profiles that it is asked of. What the founding article calls right is not held against `article`.
    #[must_use]
    pub const fn asked_of(self) -> &'static [ProfileName] {
        match self {
            Self::NoSilentApproval | Self::SessionEndsWithToken | Self::RevocationHolds => RELEASES,
            Self::RequestDoesNotGrow => WITHOUT_FROZEN,
            _ => ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = Invariant::ALL.map(Invariant::as_str);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
