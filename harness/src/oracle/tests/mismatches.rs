//! Histories that the profile does not allow, the kind of each mismatch, and the sentence that goes with it.

use super::fixture::*;
use crate::history::OperationKind;
use crate::observation::{Grant, Outcome};
use crate::oracle::{MismatchKind, Verdict};
use crate::plan::{Credential, NetworkPath, StopSignal, StoredMetadata};

fn approved() -> Case {
    Case::stranger().attempt(100, 110, pairing("not-paired", "R1")).approve("R1", 3_190, 3_200)
}

#[test]
fn a_lost_approval_is_named() {
    let lost = approved()
        .attempt(4_000, 4_010, session(1))
        .restart(StopSignal::Sigkill, 5_000, 5_010, 6_000)
        .attempt(7_000, 7_010, pairing("not-paired", "R2"));
    insta::assert_snapshot!(lost.lines(), @r"
    match not-paired
    match session
    false_reject: not-paired seen, session due: approval of request R1 was acknowledged at 3.2 s and lost by the restart at 5.0 s
    ");
    // The gateway's new request can be approved, and all is well again: one loss, one mismatch.
    let cured = lost.approve("R2", 8_000, 8_010).attempt(9_000, 9_010, session(2));
    let bad = cured.judge().attempts.iter().filter(|verdict| matches!(verdict, Verdict::Mismatch(_))).count();
    assert_eq!(bad, 1, "{}", cured.lines());
}

#[test]
fn a_lost_silent_approval_is_named() {
    let lost = Case::new(spec(), None)
        .with_spec(|spec| spec.path = NetworkPath::Direct)
        .attempt(100, 110, session(1))
        .restart(StopSignal::Sigterm, 1_000, 1_010, 2_000)
        .attempt(3_000, 3_010, session(2));
    insta::assert_snapshot!(lost.lines(), @r"
    match session
    wrong_grant: session seen, session due: hello.auth carries another device token than the stored one, which nothing replaced
    ");
}

#[test]
fn a_refusal_in_spite_of_an_approval_is_a_false_reject() {
    insta::assert_snapshot!(approved().attempt(4_000, 4_010, pairing("not-paired", "R1")).lines(), @r"
    match not-paired
    false_reject: not-paired seen, session due: approval of request R1 was acknowledged at 3.2 s and covers what the client asked at 4.0 s
    ");
    let stored = Case::paired().attempt(10, 20, pairing("scope-upgrade", "R"));
    insta::assert_snapshot!(stored.lines(), @"false_reject: scope-upgrade seen, session due: the device's stored entry covers what the client asked");
    let local = Case::stranger().with_spec(|spec| spec.path = NetworkPath::Direct);
    assert_eq!(local.attempt(10, 20, pairing("not-paired", "R")).kind(), MismatchKind::FalseReject);
    let credential = Case::paired().attempt(
        10,
        20,
        unauthorized("unauthorized: x", "AUTH_TOKEN_MISMATCH", "token_mismatch"),
    );
    insta::assert_snapshot!(credential.lines(), @"false_reject: AUTH_TOKEN_MISMATCH seen, session due: the credential is good and the device is approved: AUTH_TOKEN_MISMATCH does not apply");
}

#[test]
fn an_unpaired_device_that_gets_in_is_a_false_accept() {
    insta::assert_snapshot!(Case::stranger().attempt(10, 20, session(1)).lines(), @"false_accept: session seen, not-paired due: nothing in the device's history lets it in: not-paired is due");
    let removed = Case::paired().done(OperationKind::Remove, 100, 110).attempt(200, 210, session(1));
    insta::assert_snapshot!(removed.lines(), @"false_accept: session seen, not-paired due: removal of the device was acknowledged at 0.11 s, and nothing has let the device in since");
    let rejected = Case::stranger()
        .attempt(10, 20, pairing("not-paired", "R1"))
        .done(reject("R1"), 100, 110)
        .attempt(200, 210, session(1));
    assert_eq!(rejected.kind(), MismatchKind::FalseAccept);
    // Before the approval was even sent.
    let early = Case::stranger()
        .attempt(10, 20, pairing("not-paired", "R1"))
        .attempt(30, 40, session(1))
        .approve("R1", 50, 60);
    assert_eq!(early.kind(), MismatchKind::FalseAccept);
    let admin = Case::new(spec(), Some(stored(&["operator"], &["operator.admin"], StoredMetadata::Same)));
    let token = admin.stored_token("operator");
    assert_eq!(admin.attempt(10, 20, session(token)).kind(), MismatchKind::FalseAccept);
}

#[test]
fn a_stale_token_that_is_accepted_is_a_false_accept() {
    let revoked = || {
        let case = Case::paired().with_spec(|spec| spec.credential = Credential::FirstDeviceToken);
        let token = case.stored_token("operator");
        (case.done(revoke(), 100, 110), token)
    };
    let (case, token) = revoked();
    insta::assert_snapshot!(case.presenting(Some(token), 200, 210, session(token)).lines(), @"false_accept: session seen, AUTH_DEVICE_TOKEN_MISMATCH due: the device token that was presented is not good: revocation of the operator token was acknowledged at 0.11 s");
    let rotated = Case::paired().with_spec(|spec| spec.credential = Credential::FirstDeviceToken);
    let token = rotated.stored_token("operator");
    let rotated = rotated.rotate(None, 100, 110, 5).presenting(Some(token), 200, 210, session(5));
    assert_eq!(rotated.kind(), MismatchKind::FalseAccept);
    let (case, token) = revoked();
    let refused = case.presenting(Some(token), 200, 210, pairing("not-paired", "R"));
    insta::assert_snapshot!(refused.lines(), @"wrong_reason: not-paired seen, AUTH_DEVICE_TOKEN_MISMATCH due: the device's history calls for AUTH_DEVICE_TOKEN_MISMATCH, not for not-paired");
}

#[test]
fn wrong_reasons() {
    insta::assert_snapshot!(Case::stranger().attempt(10, 20, pairing("scope-upgrade", "R")).lines(), @"wrong_reason: scope-upgrade seen, not-paired due: the device's history calls for not-paired, not for scope-upgrade");
    // Metadata come before role and scopes (section 6).
    let entry = stored(&["node"], &[], StoredMetadata::Legacy);
    let case = Case::new(spec(), Some(entry)).attempt(10, 20, pairing("role-upgrade", "R"));
    assert_eq!(case.kind(), MismatchKind::WrongReason);
}

#[test]
fn request_ids_are_stable_while_they_wait_and_new_afterwards() {
    let first = || Case::stranger().attempt(10, 20, pairing("not-paired", "R1"));
    let unstable =
        first().attempt(30, 40, pairing("not-paired", "R2")).attempt(50, 60, pairing("not-paired", "R2"));
    // One change, one mismatch.
    insta::assert_snapshot!(unstable.lines(), @r"
    match not-paired
    wrong_reason: not-paired seen, not-paired due: the request id is R2 although request R1 of this device still waits
    match not-paired
    ");
    let reused = first().done(reject("R1"), 100, 110).attempt(200, 210, pairing("not-paired", "R1"));
    insta::assert_snapshot!(reused.lines(), @r"
    match not-paired
    wrong_reason: not-paired seen, not-paired due: request id R1 was known before this request can have been made
    ");
    let mut absent = pairing_refusal("not-paired", "");
    absent.request_id = None;
    insta::assert_snapshot!(first().attempt(30, 40, Outcome::Refused(absent)).lines(), @r"
    match not-paired
    wrong_reason: not-paired seen, not-paired due: error.details.requestId is absent
    ");
}

#[test]
fn wrong_grants() {
    let token = Case::paired().stored_token("operator");
    let line = |outcome| Case::paired().attempt(10, 20, outcome).lines();
    insta::assert_snapshot!(line(session(1)), @"wrong_grant: session seen, session due: hello.auth carries another device token than the stored one, which nothing replaced");
    insta::assert_snapshot!(line(session_as("node", &[READ], token)), @"wrong_grant: session seen, session due: hello.auth names role `node`");
    insta::assert_snapshot!(line(session_as("operator", &[], token)), @"wrong_grant: session seen, session due: hello.auth grants [], not the [operator.read] that is due");
    insta::assert_snapshot!(line(session_as("operator", &[READ, WRITE], token)), @"false_accept: session seen, session due: hello.auth grants `operator.write`, which nobody asked for; [operator.read] is due");
    insta::assert_snapshot!(line(session_as("operator", &[READ, READ], token)), @"wrong_grant: session seen, session due: the scopes in hello.auth are not sorted and free of repeats");
    insta::assert_snapshot!(line(session_without_device()), @"wrong_grant: session seen, session due: hello.auth is absent");
    let Outcome::Session(grant) = session(token) else { unreachable!() };
    insta::assert_snapshot!(line(Outcome::Session(Grant { protocol: 4, ..grant })), @"wrong_grant: session seen, session due: hello-ok speaks protocol 4, not 3");
    // Wider than the token may be, though the entry would allow it.
    let mut entry = stored(&["operator"], &[READ, WRITE], StoredMetadata::Same);
    entry.tokens = false;
    let wide = Case::new(spec(), Some(entry)).attempt(10, 20, session_as("operator", &[READ, WRITE], 1));
    insta::assert_snapshot!(wide.lines(), @"false_accept: session seen, session due: hello.auth grants [operator.read, operator.write], more than the [operator.read] that is due");
}

#[test]
fn an_approval_that_leaves_the_old_token_in_place_is_a_wrong_grant() {
    let case = Case::new(spec(), Some(stored(&["operator"], &[WRITE], StoredMetadata::Same)));
    let token = case.stored_token("operator");
    let case = case
        .attempt(10, 20, pairing("scope-upgrade", "R"))
        .approve("R", 100, 110)
        .attempt(200, 210, session_as("operator", &[READ, WRITE], token))
        .attempt(300, 310, session_as("operator", &[READ, WRITE], token));
    // The token that the gateway sticks to is taken over: one defect, one mismatch.
    insta::assert_snapshot!(case.lines(), @r"
    match scope-upgrade
    wrong_grant: session seen, session due: hello.auth carries an old device token; it had to be replaced after 0.1 s
    match session
    ");
}

#[test]
fn an_acknowledgement_that_makes_no_sense_is_named_with_what_follows_from_it() {
    let case = Case::stranger().attempt(10, 20, pairing("not-paired", "R1")).approve("R9", 100, 110).attempt(
        200,
        210,
        pairing("not-paired", "R1"),
    );
    insta::assert_snapshot!(case.lines(), @r"
    match not-paired
    false_reject: not-paired seen, session due: approval of request R9 was acknowledged at 0.11 s and covers what the client asked at 0.2 s; before that, approval of request R9 was acknowledged at 0.11 s, which nothing before explains
    ");
}

#[test]
fn a_repair_without_a_load_is_a_false_accept() {
    let case = Case::new(spec(), Some(stored(&["operator"], &[READ], StoredMetadata::Legacy)));
    let token = case.stored_token("operator");
    let case = case.attempt(10, 20, pairing("metadata-upgrade", "R")).attempt(30, 40, session(token));
    assert_eq!(case.kind(), MismatchKind::FalseAccept);
}

#[test]
fn texts_that_a_peer_chose_are_cut() {
    let long = "x".repeat(100_000);
    let case = Case::stranger().attempt(10, 20, pairing("not-paired", "R1")).attempt(
        30,
        40,
        pairing("not-paired", &long),
    );
    assert!(case.mismatch().why.len() < 300);
    let mut refusal = pairing_refusal("not-paired", "R1");
    refusal.message = long;
    assert!(Case::stranger().attempt(10, 20, Outcome::Refused(refusal)).mismatch().why.len() < 600);
}

#[test]
fn too_many_overlapping_operations_are_indeterminate() {
    let mut case = Case::stranger();
    for operation in 0..70 {
        case = case.operation(approve(&format!("R{operation}")), 10, crate::history::OperationEnd::Unknown);
    }
    let case = case.attempt(100, 110, pairing("not-paired", "R1"));
    assert!(matches!(case.judge().attempts.as_slice(), [Verdict::Indeterminate { .. }]));
}

#[test]
fn a_false_reject_names_the_latest_session_before_it() {
    let token = Case::paired().stored_token("operator");
    let case = Case::paired().attempt(10, 20, session(token)).attempt(30, 40, session(token)).attempt(
        100,
        110,
        pairing("not-paired", "R1"),
    );
    insta::assert_snapshot!(case.mismatch().why, @"the device was let in at 0.04 s, and nothing took that back");
    let later = case.attempt(200, 210, session(token));
    let Some(Verdict::Mismatch(mismatch)) = later.judge().attempts.into_iter().nth(2) else { panic!() };
    insta::assert_snapshot!(mismatch.why, @"the device was let in at 0.04 s, and nothing took that back");
}

#[test]
fn an_id_that_is_unknown_although_it_waits_is_named_with_what_follows_from_it() {
    let case = Case::stranger()
        .attempt(10, 20, pairing("not-paired", "R1"))
        .operation(approve("R1"), 100, refused_operation("unknown requestId", 110))
        .attempt(200, 210, session(1));
    assert!(case.mismatch().why.contains("before that, approval of request R1"), "{}", case.lines());
    // For lack of a scope it was never looked up.
    let case = Case::stranger()
        .attempt(10, 20, pairing("not-paired", "R1"))
        .operation(approve("R1"), 100, refused_operation("missing scope: operator.pairing", 110))
        .attempt(200, 210, session(1));
    assert!(!case.mismatch().why.contains("before that"), "{}", case.lines());
}

/// Reference, section 2.2: on the newest release `auth.scopes` are those of the connection, in the requested order.
#[test]
fn wrong_grants_of_the_newest_release() {
    let case = |scopes: &[&str], token| {
        let case = Case::new(spec(), Some(stored(&["operator"], &[READ, WRITE], StoredMetadata::Same)))
            .with_gateway(|gateway| gateway.profile = protocol::ProfileName::V2026_9_6)
            .with_spec(|spec| spec.scopes = Some(owned(&[WRITE, READ])));
        let Outcome::Session(grant) = session_as("operator", scopes, token) else { unreachable!() };
        case.attempt(10, 20, Outcome::Session(Grant { protocol: 4, ..grant }))
    };
    let token = case(&[], 0).stored_token("operator");
    assert_eq!(case(&[WRITE, READ], token).matched(), ["session"]);
    for scopes in [&[READ, WRITE][..], &[WRITE], &[]] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(case(scopes, token).mismatch().why, @"hello.auth does not grant what was asked, in that order");
        }
    }
    assert_eq!(case(&[WRITE, READ, "operator.admin"], token).kind(), MismatchKind::FalseAccept);
}
