//! The second axis: each invariant broken and kept.

use super::fixture::{
    Case, READ, WRITE, owned, pairing, pairing_refusal, revoke, session, session_as, spec, stored,
};
use crate::history::{Caller, EndedBy, Operation, OperationEnd, OperationKind, SessionEnd};
use crate::observation::{Outcome, Refusal};
use crate::oracle::Verdict;
use crate::plan::{ForwardedFor, NetworkPath, SignatureVersion, StoredMetadata};
use crate::vocabulary::invariant::Invariant;
use protocol::ProfileName;

fn broken(case: &Case) -> Vec<Invariant> {
    case.judge().invariants.into_iter().map(|finding| finding.invariant).collect()
}

fn on(profile: ProfileName, case: Case) -> Case {
    case.with_gateway(|gateway| gateway.profile = profile)
        .with_spec(|spec| spec.signature = SignatureVersion::V2)
}

#[test]
fn a_remote_client_needs_an_approval() {
    let let_in = Case::stranger().attempt(10, 12, session(1));
    assert_eq!(broken(&let_in), [Invariant::ApprovedBeforeSession]);
    let approved = Case::stranger().attempt(10, 12, pairing("not-paired", "R")).approve("R", 20, 22).attempt(
        30,
        32,
        session(1),
    );
    assert_eq!(broken(&approved), []);
    assert_eq!(broken(&Case::paired().attempt(10, 12, session(1))), []);
}

#[test]
fn a_release_that_skips_pairing_conforms_and_violates() {
    // 2026.2.22 lets an operator with the shared secret in without asking anybody, and gives no token.
    let unasked = Outcome::Session(crate::observation::Grant { protocol: 3, auth: None });
    let case = on(ProfileName::V2026_2_22, Case::stranger().attempt(10, 12, unasked));
    let judgement = case.judge();
    assert_eq!(judgement.attempts, [Verdict::Match { expected: "session".to_owned() }]);
    assert_eq!(broken(&case), [Invariant::ApprovedBeforeSession]);
}

#[test]
fn silent_approvals_are_named_where_they_are_asked_for() {
    let local =
        || Case::stranger().with_spec(|spec| spec.path = NetworkPath::Direct).attempt(10, 12, session(1));
    assert_eq!(broken(&local()), []);
    assert_eq!(broken(&on(ProfileName::V2026_2_19, local())), [Invariant::NoSilentApproval]);
}

#[test]
fn the_leftmost_address_is_nobody_s_word() {
    let spoofed = Case::stranger()
        .with_spec(|spec| {
            spec.path = NetworkPath::Proxy {
                from: "127.2.0.1".parse().unwrap(),
                forwarded_for: ForwardedFor::Fixed("127.0.0.1, 203.0.113.7".to_owned()),
                host: None,
            };
        })
        .attempt(10, 12, session(1));
    let case = on(ProfileName::V2026_2_19, spoofed);
    assert_eq!(case.judge().attempts, [Verdict::Match { expected: "session".to_owned() }]);
    assert_eq!(broken(&case), [Invariant::UnattributedIsRemote]);
}

#[test]
fn a_session_does_no_more_than_was_approved() {
    let asks_both = |case: Case| case.with_spec(|spec| spec.scopes = Some(owned(&[READ, WRITE])));
    let entry = || stored(&["operator"], &[READ], StoredMetadata::Same);
    let case = asks_both(Case::new(spec(), Some(entry()))).attempt(10, 12, session(1));
    assert_eq!(broken(&case), [Invariant::SessionWithinApproval]);
    let upgraded = asks_both(Case::new(spec(), Some(entry())))
        .attempt(10, 12, pairing("scope-upgrade", "R"))
        .approve("R", 20, 22)
        .attempt(30, 32, session(1));
    assert_eq!(broken(&upgraded), []);
}

#[test]
fn what_was_allowed_stays_allowed() {
    let approved = || Case::stranger().attempt(10, 12, pairing("not-paired", "R")).approve("R", 20, 22);
    let lost = approved().attempt(30, 32, pairing("not-paired", "S"));
    assert_eq!(broken(&lost), [Invariant::ApprovalIsKept]);
    let later = approved().attempt(30, 32, session(1)).attempt(40, 42, pairing("scope-upgrade", "S"));
    assert_eq!(broken(&later), [Invariant::ApprovalIsKept]);
    let removed = approved().attempt(30, 32, session(1)).done(OperationKind::Remove, 35, 37).attempt(
        40,
        42,
        pairing("not-paired", "S"),
    );
    assert_eq!(broken(&removed), []);
    // Asked while the approval was under way: either may be right.
    let raced = approved().attempt(21, 23, pairing("not-paired", "S"));
    assert!(!broken(&raced).contains(&Invariant::ApprovalIsKept));
}

#[test]
fn a_revocation_is_heeded() {
    let revoked = || Case::paired().attempt(10, 12, session(1)).done(revoke(), 20, 22);
    let undone = on(ProfileName::V2026_2_19, revoked().attempt(30, 32, session(2)));
    assert_eq!(broken(&undone), [Invariant::RevocationHolds]);
    let dead = revoked().presenting(Some(1), 30, 32, session(1));
    assert_eq!(broken(&dead), [Invariant::RevokedTokenIsDead]);
}

#[test]
fn request_ids_are_stable_and_do_not_grow() {
    let churn = Case::stranger().attempt(10, 12, pairing("not-paired", "R")).attempt(
        20,
        22,
        pairing("not-paired", "S"),
    );
    assert_eq!(broken(&churn), [Invariant::RequestIdIsStable]);
    let rejected = Case::stranger()
        .attempt(10, 12, pairing("not-paired", "R"))
        .done(super::fixture::reject("R"), 13, 14)
        .attempt(20, 22, pairing("not-paired", "S"));
    assert_eq!(broken(&rejected), []);

    let wider = || {
        let mut case = Case::stranger();
        let mut both = spec();
        both.signature = SignatureVersion::V2;
        both.scopes = Some(owned(&[READ, WRITE]));
        case.plan.cohorts[0].variants.push(both);
        let mut case =
            case.attempt(10, 12, pairing("not-paired", "R")).attempt(20, 22, pairing("not-paired", "R"));
        case.history.attempts[1].ask = 1;
        case
    };
    let grown = on(ProfileName::V2026_3_13, wider());
    assert!(matches!(grown.judge().attempts[..], [Verdict::Match { .. }, Verdict::Match { .. }]));
    assert_eq!(broken(&grown), [Invariant::RequestDoesNotGrow]);
    // There the request stays as it was.
    assert_eq!(broken(&on(ProfileName::V2026_2_19, wider())), []);
}

#[test]
fn a_pairing_refusal_says_why_and_under_which_id() {
    let bare = Refusal { detail_code: None, reason: None, ..pairing_refusal("not-paired", "R") };
    let case = on(ProfileName::V2026_2_19, Case::stranger().attempt(10, 12, Outcome::Refused(bare)));
    assert_eq!(case.judge().attempts, [Verdict::Match { expected: "pairing-without-details".to_owned() }]);
    assert_eq!(broken(&case), [Invariant::PairingSaysWhy]);
}

#[test]
fn nobody_approves_himself() {
    let mut case = Case::paired();
    let mut admin = spec();
    admin.scopes = Some(owned(&["operator.admin"]));
    case.plan.cohorts[0].variants.push(admin);
    let mut case =
        case.attempt(10, 12, session(1)).attempt(20, 22, pairing("scope-upgrade", "R")).approve("R", 30, 32);
    case.history.attempts[1].ask = 1;
    assert_eq!(broken(&case), []);
    case.history.operations[0] =
        Operation { caller: Some(Caller { client: 0, attempt: 0 }), ..case.history.operations[0].clone() };
    assert_eq!(broken(&case), [Invariant::NoOwnApproval]);
    case.history.operations[0].end = OperationEnd::Unknown;
    assert_eq!(broken(&case), []);
}

#[test]
fn a_session_ends_with_its_token() {
    const MS: u64 = 1_000_000;
    let outlived = |until: u64| {
        let mut case =
            Case::paired().attempt(10, 12, session_as("operator", &[READ], 1)).done(revoke(), 20, 22);
        let end = SessionEnd { client: 0, attempt: 0, at: until * MS, by: EndedBy::Client };
        case.history.session_ends.push(end);
        broken(&on(ProfileName::V2026_2_22, case))
    };
    assert_eq!(outlived(9_000), [Invariant::SessionEndsWithToken]);
    assert_eq!(outlived(100), []);
}
