//! What a gateway did beside answering connects.

use super::fixture::{
    Case, READ, WRITE, approve, cut_off, owned, pairing, refused_operation, session, session_as, spec,
};
use crate::history::{Caller, EndedBy, HeardEvent, Operation, OperationEnd, Overheard, SessionEnd};
use crate::observation::CloseSeen;
use crate::oracle::MismatchKind;
use crate::plan::StopSignal;
use protocol::ProfileName;

const MS: u64 = 1_000_000;
const PAIRING: &str = "operator.pairing";
const ADMIN: &str = "operator.admin";

fn breaches(case: &Case) -> Vec<(MismatchKind, String)> {
    case.judge().breaches.into_iter().map(|breach| (breach.kind, breach.why)).collect()
}

fn kinds(case: &Case) -> Vec<MismatchKind> {
    breaches(case).into_iter().map(|(kind, _)| kind).collect()
}

fn heard(mut case: Case) -> Case {
    case.history.overheard.push(Overheard {
        client: 0,
        attempt: 0,
        event: HeardEvent::Requested,
        at: 20 * MS,
    });
    case
}

#[test]
fn pairing_events_are_for_operators_with_the_scope() {
    let node = Case::stranger()
        .with_spec(|spec| {
            spec.role = Some("node".to_owned());
            spec.scopes = Some(owned(&[PAIRING]));
        })
        .attempt(10, 11, session_as("node", &[], 1));
    insta::assert_snapshot!(
        breaches(&heard(node)).pop().unwrap().1,
        @"a session of role node without operator.pairing heard device.pair.requested at 0.02 s"
    );
    let reader = Case::stranger().attempt(10, 11, session(1));
    assert_eq!(kinds(&heard(reader)), [MismatchKind::LeakedEvent]);
    for scope in [PAIRING, ADMIN] {
        let entitled = Case::stranger().with_spec(|spec| spec.scopes = Some(owned(&[READ, scope]))).attempt(
            10,
            11,
            session(1),
        );
        assert_eq!(kinds(&heard(entitled)), [], "{scope}");
    }
}

/// A stop from 100 to 200 ms that closes a session with 1012 at 110 ms, and an attempt that was upgraded meanwhile.
fn upgraded_while_stopping(signal: StopSignal, sent: u64) -> Case {
    let mut case = Case::paired()
        .attempt(10, 11, session(1))
        .attempt(sent, sent + 1, cut_off())
        .restart(signal, 100, 200, 400);
    let close = CloseSeen::Frame { code: 1012, reason: "service restart".to_owned() };
    case.history.session_ends.push(SessionEnd {
        client: 0,
        attempt: 0,
        at: 110 * MS,
        by: EndedBy::Gateway(close),
    });
    case
}

#[test]
fn a_stopping_gateway_lets_no_upgrade_through() {
    insta::assert_snapshot!(
        breaches(&upgraded_while_stopping(StopSignal::Sigterm, 120)).pop().unwrap().1,
        @"the gateway told a session at 0.11 s that it stops, and let an upgrade through that began at 0.118 s"
    );
    // Begun before anybody was told; by the next process; of a killed one, which tells nobody.
    assert_eq!(kinds(&upgraded_while_stopping(StopSignal::Sigterm, 111)), []);
    assert_eq!(kinds(&upgraded_while_stopping(StopSignal::Sigterm, 420)), []);
    assert_eq!(kinds(&upgraded_while_stopping(StopSignal::Sigkill, 120)), []);
}

/// The client asks for admin, and a session of its own approves that.
fn self_approval(profile: ProfileName, held: &[&str], end: OperationEnd) -> Case {
    let mut case = Case::stranger()
        .with_spec(|spec| spec.scopes = Some(owned(held)))
        .with_gateway(|gateway| gateway.profile = profile)
        .attempt(10, 11, session(1))
        .attempt(20, 21, pairing("scope-upgrade", "r1"));
    case.plan.cohorts[0].variants.push(crate::plan::ConnectSpec { scopes: Some(owned(&[ADMIN])), ..spec() });
    case.history.attempts[1].ask = 1;
    case.history.operations.push(Operation {
        operator: crate::history::STEPS,
        client: Some(0),
        kind: approve("r1"),
        caller: Some(Caller { client: 0, attempt: 0 }),
        invoked: 30 * MS,
        end,
    });
    case
}

#[test]
fn an_approver_must_hold_what_is_asked_where_the_release_says_so() {
    let done = || OperationEnd::Done { at: 31 * MS, token: None };
    let wrong = self_approval(ProfileName::V2026_9_6, &[PAIRING], done());
    insta::assert_snapshot!(
        breaches(&wrong).pop().unwrap().1,
        @"an approval was acknowledged at 0.031 s to a session that does not hold `operator.admin` itself"
    );
    assert_eq!(kinds(&self_approval(ProfileName::V2026_9_6, &[PAIRING, ADMIN], done())), []);
    assert_eq!(kinds(&self_approval(ProfileName::V2026_3_13, &[PAIRING], done())), []);
    let refused = refused_operation("missing scope: operator.admin", 31);
    assert_eq!(kinds(&self_approval(ProfileName::V2026_9_6, &[PAIRING], refused)), []);
    // Without the scope for it nobody approves anything, anywhere.
    assert_eq!(kinds(&self_approval(ProfileName::Article, &[READ], done())), [MismatchKind::WrongAnswer]);
    assert_eq!(kinds(&self_approval(ProfileName::V2026_3_13, &[ADMIN], done())), []);
    assert_eq!(kinds(&self_approval(ProfileName::Article, &[ADMIN], done())), [MismatchKind::WrongAnswer]);
}

#[test]
fn an_operator_with_every_scope_is_not_denied() {
    let case = |message: &str| {
        Case::stranger().attempt(10, 11, pairing("not-paired", "r1")).operation(
            approve("r1"),
            20,
            refused_operation(message, 21),
        )
    };
    assert_eq!(kinds(&case("missing scope: operator.pairing")), [MismatchKind::WrongAnswer]);
    assert_eq!(kinds(&case("unknown requestId")), []);
}

/// The widest reading of any release (reference, section 8.3): admin holds every scope of operators, write holds reading.
#[test]
fn what_an_approver_holds_covers_what_is_asked() {
    let rows = [
        (READ, READ, true),
        (WRITE, READ, true),
        (WRITE, "operator.talk", true),
        (WRITE, "operator.approvals", false),
        (WRITE, ADMIN, false),
        (READ, WRITE, false),
        (ADMIN, WRITE, true),
        (ADMIN, "operator.unheard-of", true),
        (ADMIN, "node.exec", false),
    ];
    for (held, asked, covers) in rows {
        let done = OperationEnd::Done { at: 31 * MS, token: None };
        let mut case = self_approval(ProfileName::V2026_9_6, &[PAIRING, held], done);
        case.plan.cohorts[0].variants[0].scopes = Some(owned(&[asked]));
        assert_eq!(kinds(&case).is_empty(), covers, "{held} for {asked}");
    }
}

#[test]
fn a_wrong_answer_names_what_was_due_and_what_was_seen() {
    let words = |case: &Case| {
        let breach = case.judge().breaches.pop().unwrap();
        (breach.expected, breach.observed)
    };
    let done = OperationEnd::Done { at: 31 * MS, token: None };
    let taken = self_approval(ProfileName::V2026_9_6, &[PAIRING], done);
    assert_eq!(words(&taken), ("refused".to_owned(), "done".to_owned()));
    let denied = Case::stranger().attempt(10, 11, pairing("not-paired", "r1")).operation(
        approve("r1"),
        20,
        refused_operation("missing scope: operator.pairing", 21),
    );
    assert_eq!(words(&denied), ("done".to_owned(), "refused".to_owned()));
}
