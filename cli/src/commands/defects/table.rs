//! Which scenario is to show which defect, and by which check. The gateway does not know what it is judged by, and the
//! harness does not know what is wrong with a gateway: only here the two are put side by side.

use gateway_under_test::defect::Defect;
use harness::oracle::MismatchKind;
use harness::record::groups::MismatchGroup;

/// A defect, the scenario meant for it, and the check that must catch it there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The defect.
    pub(super) defect: Defect,
    /// Name of the scenario: its file without `.toml`.
    pub(super) scenario: &'static str,
    /// The check.
    pub(super) meant: Meant,
}

/// What kind of finding it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody's answer, or what became of his session.
    Mismatch(MismatchKind),
    /// What the gateway keeps when everyone has gone, which is nobody's in particular.
    AtRest,
    /// How its process ended, which is nobody's either.
    UncleanStop,
}

/// A finding of the harness, as precisely as the rule that is broken: another finding does not count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant {
    /// Its kind.
    pub(super) kind: Found,
    /// The cohort that the scenario has for it.
    pub(super) cohort: &'static str,
    /// What was due.
    pub(super) expected: &'static str,
    /// What was seen instead.
    pub(super) observed: &'static str,
}

impl Meant {
    /// The name of its kind.
    pub(super) const fn kind_name(&self) -> &'static str {
        match self.kind {
            Found::Mismatch(kind) => kind.as_str(),
            Found::AtRest => "at_rest",
            Found::UncleanStop => "unclean_stop",
        }
    }

    /// Whether a group of mismatches is this finding.
    pub(super) fn is(&self, group: &MismatchGroup) -> bool {
        matches!(self.kind, Found::Mismatch(_))
            && group.kind == self.kind_name()
            && group.cohort == self.cohort
            && group.expected == self.expected
            && group.observed == self.observed
    }
}

const fn case(
    defect: Defect,
    scenario: &'static str,
    kind: MismatchKind,
    cohort: &'static str,
    expected: &'static str,
    observed: &'static str,
) -> Case {
    Case { defect, scenario, meant: Meant { kind: Found::Mismatch(kind), cohort, expected, observed } }
}

const fn everybody(
    defect: Defect,
    scenario: &'static str,
    kind: Found,
    expected: &'static str,
    observed: &'static str,
) -> Case {
    Case { defect, scenario, meant: Meant { kind, cohort: "(everybody)", expected, observed } }
}

const DOORS: &str = "doors";
const APPROVALS: &str = "approvals";
const KILLED: &str = "killed";
const NOT_PAIRED: &str = "not-paired";
const SCOPE: &str = "scope-upgrade";
const SESSION: &str = "session";
const TOKEN: &str = "AUTH_DEVICE_TOKEN_MISMATCH";
const CONTROL_UI: &str = "CONTROL_UI_DEVICE_IDENTITY_REQUIRED";

/// Every defect, in the order of [`Defect::ALL`].
#[rustfmt::skip]
pub(super) const CASES: &[Case] = {
    use Defect as D;
    use MismatchKind::{
        FalseAccept, FalseReject, LateUpgrade, LeakedEvent, WrongAnswer, WrongClose, WrongGrant, WrongReason,
    };
    &[
        case(D::AcceptUnpaired, DOORS, FalseAccept, "strangers", NOT_PAIRED, SESSION),
        case(D::PairRejected, APPROVALS, FalseAccept, "rejected", NOT_PAIRED, SESSION),
        case(D::SilentScopeUpgrade, DOORS, FalseAccept, "local-upgrade", SCOPE, SESSION),
        case(D::AdminImpliesAll, DOORS, FalseAccept, "remote-admin", SCOPE, SESSION),
        case(D::SkipScopeCheck, DOORS, FalseAccept, "remote-upgrade", SCOPE, SESSION),
        case(D::SkipRoleCheck, DOORS, FalseAccept, "other-role", "role-upgrade", SESSION),
        case(D::SkipMetadataCheck, DOORS, FalseAccept, "other-metadata", "metadata-upgrade", SESSION),
        case(D::ForeignDeviceId, DOORS, FalseAccept, "foreign-device-id", "device-id-mismatch", SESSION),
        case(D::IgnoreClockSkew, DOORS, FalseAccept, "slow-clock", "device-signature-stale", SESSION),
        case(D::StaleNonce, DOORS, FalseAccept, "own-nonce", "device-nonce-mismatch", SESSION),
        case(D::AcceptBadSignature, DOORS, FalseAccept, "bad-signature", "device-signature", SESSION),
        case(D::AnySharedSecret, DOORS, FalseAccept, "wrong-token", "AUTH_TOKEN_MISMATCH", SESSION),
        case(D::AnyDeviceToken, DOORS, FalseAccept, "made-up-device-token", TOKEN, SESSION),
        case(D::RevokedToken, APPROVALS, FalseAccept, "revoked", TOKEN, SESSION),
        case(D::OldTokenAfterRotation, APPROVALS, FalseAccept, "rotated", TOKEN, SESSION),
        case(D::TokenOfAnotherRole, DOORS, WrongReason, "token-of-another-role", TOKEN, "role-upgrade"),
        case(D::RateLimitOff, "locked-out", WrongReason, "guesser", "AUTH_RATE_LIMITED", "AUTH_TOKEN_MISMATCH"),
        case(D::LeftmostForwarded, DOORS, FalseAccept, "spoofers", NOT_PAIRED, SESSION),
        case(D::CidrTooWide, DOORS, FalseAccept, "neighbours", NOT_PAIRED, SESSION),
        case(D::IgnoreOrigin, DOORS, FalseAccept, "foreign-page", "origin", SESSION),
        case(D::IgnoreProtocol, DOORS, FalseAccept, "protocol-5", "protocol", SESSION),
        case(D::DevicelessControlUi, DOORS, FalseAccept, "ui-without-device", CONTROL_UI, SESSION),
        case(D::WrongReason, DOORS, WrongReason, "strangers", NOT_PAIRED, SCOPE),
        case(D::NoDetailCode, DOORS, WrongReason, "strangers", NOT_PAIRED, "pairing-without-details"),
        case(D::NoRequestId, DOORS, WrongReason, "strangers", NOT_PAIRED, NOT_PAIRED),
        case(D::CloseNormally, DOORS, WrongClose, "strangers", NOT_PAIRED, NOT_PAIRED),
        case(D::NoErrorFrame, DOORS, WrongClose, "strangers", NOT_PAIRED, "close-1008"),
        case(D::ChurnRequestId, APPROVALS, WrongReason, "asker", NOT_PAIRED, NOT_PAIRED),
        case(D::RequestsNeverExpire, "expired", WrongReason, "laptop", NOT_PAIRED, NOT_PAIRED),
        case(D::HelloScopesWider, DOORS, FalseAccept, "paired", SESSION, SESSION),
        case(D::ChurnToken, DOORS, WrongGrant, "paired", SESSION, SESSION),
        case(D::LeakEvents, APPROVALS, LeakedEvent, "bystander", "no pairing event", "device.pair.requested"),
        case(D::CallsUnchecked, "calls", WrongAnswer, "reader", "missing scope: operator.pairing", "ok"),
        case(D::SelfApproval, "self-approval", WrongAnswer, "climber", "refused", "done"),
        case(D::ForgetApprovalOnRestart, KILLED, FalseReject, "by-the-book", SESSION, NOT_PAIRED),
        case(D::EarlyAcknowledgement, KILLED, FalseReject, "at-once", SESSION, NOT_PAIRED),
        case(D::ReloadDropsRows, "reloaded", FalseReject, "laptop", SESSION, NOT_PAIRED),
        everybody(D::KeepRefused, DOORS, Found::AtRest, "nothing left", "handshakes"),
        case(D::DrainAccepts, "drained", LateUpgrade, "tabs", "upgrade_refused", "upgraded"),
        everybody(D::PanicInDrain, "drained", Found::UncleanStop, "a stop in order", "a panic"),
        case(D::SharedStateDir, "shared", WrongAnswer, "tools", "refused", "second gateway"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_a_case() {
        let cases: Vec<Defect> = CASES.iter().map(|case| case.defect).collect();
        assert_eq!(cases, Defect::ALL);
        assert!(cases.len() >= 25);
    }
}
