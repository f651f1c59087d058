//! Attempts without answer, and faults that excuse them; the scenario's own expectations.

use std::time::Duration;

use super::fixture::*;
use crate::history::{EndedBy, OperationEnd, OperationKind, SessionEnd};
use crate::observation::{CloseSeen, Closed, DropReason, Outcome, Phase, Refusal};
use crate::oracle::MismatchKind;
use crate::plan::{Deviation, Expectation, FaultKind, OracleMode, StopSignal};
use protocol::ProfileName;

fn no_answers() -> Vec<Outcome> {
    vec![
        cut_off(),
        closed(1012, "service restart"),
        Outcome::ConnectionRefused,
        Outcome::TimedOut { phase: Phase::Verdict },
        Outcome::UpgradeRefused { status: 503, body: "Service Unavailable".to_owned() },
        Outcome::Unreachable { error: "no route to host".to_owned() },
    ]
}

#[test]
fn a_restart_excuses_attempts_that_got_no_answer_and_nothing_else_does() {
    for outcome in no_answers() {
        let case = |began| {
            Case::paired().restart(StopSignal::Sigterm, began, began + 50, began + 500).attempt(
                60_000,
                60_100,
                outcome.clone(),
            )
        };
        assert_eq!(case(60_050).matched(), ["no_answer_in_fault"], "{outcome:?}");
        assert_eq!(case(59_600).matched(), ["no_answer_in_fault"], "{outcome:?}");
        assert_eq!(case(20_000).kind(), MismatchKind::NoAnswer, "{outcome:?}");
        assert_eq!(case(90_000).kind(), MismatchKind::NoAnswer, "{outcome:?}");
    }
    let other = Outcome::UpgradeRefused { status: 500, body: String::new() };
    let case = Case::paired().restart(StopSignal::Sigterm, 10, 20, 100).attempt(30, 40, other);
    assert_eq!(case.kind(), MismatchKind::NoAnswer);
}

#[test]
fn only_the_newest_says_that_it_restarts_and_only_while_it_does() {
    let text = "connect unavailable during gateway restart";
    let restarting = Outcome::Refused(Refusal {
        code: "UNAVAILABLE".to_owned(),
        reason: Some("gateway-restarting".to_owned()),
        close: Some(frame(1013, "gateway restart in progress")),
        ..plain(text)
    });
    let case = |began: u64, profile| {
        let case = Case::paired().with_gateway(|gateway| gateway.profile = profile);
        case.restart(StopSignal::Sigterm, began, began + 50, began + 500).attempt(
            60_000,
            60_100,
            restarting.clone(),
        )
    };
    let newest = ProfileName::V2026_9_6;
    assert_eq!(case(60_000, newest).matched(), ["restarting"]);
    assert_eq!(case(20_000, newest).kind(), MismatchKind::FalseReject);
    assert_eq!(case(60_000, ProfileName::V2026_3_13).kind(), MismatchKind::FalseReject);
    let mut other_close = case(60_000, newest);
    if let Outcome::Refused(refusal) = &mut other_close.history.attempts[0].outcome {
        refusal.close = Some(frame(1008, text));
    }
    assert_eq!(other_close.kind(), MismatchKind::WrongClose);
}

/// On a busy machine the harness notes that it started a process when that has answered already.
#[test]
fn the_newest_may_be_starting_from_the_moment_the_process_before_it_was_gone() {
    let starting = Outcome::Refused(Refusal {
        code: "UNAVAILABLE".to_owned(),
        reason: Some("startup-sidecars".to_owned()),
        close: Some(frame(1013, "gateway starting")),
        ..plain("gateway starting; retry shortly")
    });
    let case = |sent: u64| {
        let case = Case::stranger().with_gateway(|gateway| gateway.profile = ProfileName::V2026_9_6);
        let mut case = case.restart(StopSignal::Sigkill, 10_000, 10_020, 10_900);
        if let Some(stamps) = &mut case.history.faults[0].restart {
            stamps.spawned = Some(10_400_000_000);
        }
        case.attempt(sent, sent + 50, starting.clone())
    };
    assert_eq!(case(10_200).matched(), ["starting"]);
    assert_eq!(case(11_300).matched(), ["starting"]);
    // The process before it is not gone yet, and it was seen to be ready.
    assert_eq!(case(9_900).kind(), MismatchKind::WrongReason);
    assert_eq!(case(12_000).kind(), MismatchKind::WrongReason);
}

#[test]
fn a_pause_excuses_waiting_only_and_a_reload_nothing() {
    let pause = FaultKind::Pause(Duration::from_secs(5));
    let case = |kind, outcome| Case::paired().fault(kind, 1_000, Some(6_000)).attempt(1_100, 1_200, outcome);
    let timed_out = || Outcome::TimedOut { phase: Phase::Challenge };
    assert_eq!(case(pause, timed_out()).matched(), ["no_answer_in_fault"]);
    assert_eq!(case(pause, cut_off()).kind(), MismatchKind::NoAnswer);
    assert_eq!(case(pause, closed(1000, "")).kind(), MismatchKind::NoAnswer);
    assert_eq!(case(FaultKind::Reload, timed_out()).kind(), MismatchKind::NoAnswer);
    let long = Case::paired().fault(FaultKind::Pause(Duration::from_secs(12)), 1_000, Some(13_000)).attempt(
        1_100,
        13_001,
        closed(1000, ""),
    );
    assert_eq!(long.matched(), ["no_answer_in_fault"]);
}

#[test]
fn a_gateway_that_never_comes_back_excuses_to_the_end() {
    let kind = FaultKind::Restart { signal: StopSignal::Sigkill, down: Duration::ZERO };
    let case = Case::paired().fault(kind, 1_000, None).dial(500_000, Outcome::ConnectionRefused);
    assert_eq!(case.matched(), ["no_answer_in_fault"]);
}

#[test]
fn what_is_due_is_named_where_no_answer_came() {
    insta::assert_snapshot!(
        Case::stranger().dial(10, Outcome::ConnectionRefused).lines(),
        @"no_answer: connection_refused seen, not-paired due: a refused TCP connection, and no fault was under way; not-paired is due"
    );
    insta::assert_snapshot!(
        Case::paired().attempt(10, 20, closed(1008, "pairing required")).lines(),
        @"false_reject: close-1008 seen, session due: close 1008 `pairing required` while waiting for the verdict came; session is due"
    );
    insta::assert_snapshot!(
        Case::stranger().attempt(10, 20, closed(1008, "pairing required")).lines(),
        @"wrong_close: close-1008 seen, not-paired due: close 1008 `pairing required` while waiting for the verdict came without an error frame; not-paired is due"
    );
    let other = Outcome::NotAGateway { what: "HTTP/1.1 200 OK".to_owned() };
    assert_eq!(Case::stranger().attempt(10, 20, other).kind(), MismatchKind::NoAnswer);
}

#[test]
fn silence_is_closed_after_ten_seconds_and_not_before() {
    // Transcript 2026.3.13/a12-handshake-timeout: close 1000, empty reason, no frame. 10 s by the profile.
    let case = |until, outcome| {
        let mut case = Case::stranger()
            .with_spec(|spec| spec.deviation = Deviation::Silent)
            .attempt(100, until, outcome);
        case.history.attempts[0].stamps.sent = None;
        case
    };
    assert_eq!(case(10_100, closed(1000, "")).matched(), ["close-1000"]);
    assert_eq!(case(3_100, closed(1000, "")).kind(), MismatchKind::WrongClose);
    assert_eq!(case(10_100, closed(1008, "")).kind(), MismatchKind::WrongClose);
    assert_eq!(case(10_100, cut_off()).kind(), MismatchKind::WrongClose);
    let waited = || Outcome::TimedOut { phase: Phase::Verdict };
    assert_eq!(case(20_100, waited()).kind(), MismatchKind::NoAnswer);
    let mut short = case(5_000, waited());
    short.plan.attempt_timeout = Duration::from_secs(5);
    assert_eq!(short.matched(), ["timed_out"]);
    let mut scaled = case(1_100, closed(1000, ""));
    scaled.plan.time_scale = 0.1;
    assert_eq!(scaled.matched(), ["close-1000"]);
}

#[test]
fn a_client_that_is_late_by_itself_is_closed_rightly() {
    let mut case = Case::paired().attempt(12_000, 12_001, closed(1000, ""));
    assert_eq!(case.kind(), MismatchKind::NoAnswer);
    case.history.attempts[0].stamps.started = Some(1_000_000);
    assert_eq!(case.matched(), ["close-1000"]);
}

#[test]
fn a_refusal_may_lose_its_close_to_a_restart() {
    let mut refusal = pairing_refusal("not-paired", "R");
    refusal.close = Some(CloseSeen::Abrupt);
    let case = Case::stranger().attempt(1_000, 1_010, Outcome::Refused(refusal));
    assert_eq!(case.kind(), MismatchKind::WrongClose);
    assert_eq!(case.restart(StopSignal::Sigkill, 1_005, 1_006, 1_100).matched(), ["not-paired"]);
}

#[test]
fn attempts_that_never_started_are_no_matches() {
    let case = |reason| Case::stranger().dial(10, Outcome::Dropped(reason));
    assert_eq!(case(DropReason::RunEnded).matched(), ["not_started"]);
    insta::assert_snapshot!(case(DropReason::InFlightLimit).lines(), @"indeterminate: never started: in_flight_limit");
    let mut unknown = case(DropReason::RunEnded).attempt(20, 30, session(1));
    unknown.history.attempts[1].client = 9;
    insta::assert_snapshot!(unknown.lines(), @r"
    match not_started
    indeterminate: the plan has no client 9
    ");
}

#[test]
fn sessions_end_by_the_gateway_only_in_restarts() {
    let end = |at: u64, by| {
        let mut case = Case::paired().restart(StopSignal::Sigterm, 5_000, 5_050, 6_000);
        case.history.session_ends.push(SessionEnd { client: 0, attempt: 0, at: at * 1_000_000, by });
        case.judge().session_ends
    };
    assert!(end(5_010, EndedBy::Gateway(frame(1012, "service restart"))).is_empty());
    assert!(end(1_000, EndedBy::Client).is_empty());
    let found = end(1_000, EndedBy::Gateway(frame(4001, "device removed")));
    insta::assert_snapshot!(found[0].why, @"the gateway ended the session of client 0, attempt 0, at 1.0 s with close 4001 `device removed` outside every restart");
    assert_eq!(found[0].session_end, 0);
}

#[test]
fn expectations_are_judged_beside_the_profile_or_instead_of_it() {
    let expect = |outcome: &str, reason: Option<&str>| Expectation {
        outcome: Some(outcome.to_owned()),
        reason: reason.map(str::to_owned),
        attempts: Some(0..1),
        ..Expectation::default()
    };
    let refused = || Case::stranger().attempt(10, 12, pairing("not-paired", "R"));
    let both = OracleMode::Profile;
    let only = OracleMode::Expectations;
    assert_eq!(refused().expecting(expect("refused", Some("not-paired")), both).matched(), ["not-paired"]);
    assert_eq!(refused().expecting(expect("session", None), both).kind(), MismatchKind::FalseReject);
    assert_eq!(
        refused().expecting(expect("refused", Some("scope-upgrade")), only).kind(),
        MismatchKind::WrongReason
    );
    // The profile would call this a false accept; only the expectation is asked.
    let accepted = || Case::stranger().attempt(10, 12, session(1));
    assert_eq!(accepted().expecting(expect("session", None), only).matched(), ["session"]);
    assert_eq!(accepted().expecting(expect("session", None), both).kind(), MismatchKind::FalseAccept);
    assert_eq!(accepted().expecting(expect("refused", None), only).kind(), MismatchKind::FalseAccept);
    // Other attempts are not meant.
    let second = refused().attempt(20, 22, session(1)).expecting(expect("refused", None), only);
    assert_eq!(second.matched(), ["not-paired", "anything"]);
    let mut nothing = refused();
    nothing.plan.oracle = only;
    assert_eq!(nothing.matched(), ["anything"]);
    // No answer satisfies in a restart, and nowhere else.
    let silent = || Case::paired().attempt(10, 12, cut_off()).expecting(expect("session", None), only);
    assert_eq!(silent().kind(), MismatchKind::NoAnswer);
    assert_eq!(silent().restart(StopSignal::Sigkill, 11, 12, 20).matched(), ["no_answer_in_fault"]);
    let close = Expectation { close: Some(1013), ..Expectation::default() };
    assert_eq!(refused().expecting(close.clone(), only).kind(), MismatchKind::WrongClose);
    insta::assert_snapshot!(refused().expecting(close, only).lines(), @"wrong_close: not-paired seen, close-1013 due: the scenario expects close 1013 of attempt 0; it was 1008");
}

/// Reference, section 8.7: the newest release closes what a removed, rotated or revoked device holds open; others do not.
#[test]
fn a_retired_device_loses_its_sessions_on_the_newest_release_only() {
    let ends = |profile, kind, end, at: u64, code| {
        let mut case =
            Case::paired().with_gateway(|gateway| gateway.profile = profile).operation(kind, 100, end);
        let by = EndedBy::Gateway(frame(code, "device removed"));
        case.history.session_ends.push(SessionEnd { client: 0, attempt: 0, at: at * 1_000_000, by });
        case.judge().session_ends.len()
    };
    let done = || OperationEnd::Done { at: 110_000_000, token: None };
    let newest = ProfileName::V2026_9_6;
    let rotate = || OperationKind::Rotate { role: "operator".to_owned(), scopes: None };
    for kind in [OperationKind::Remove, rotate(), revoke(), approve("R")] {
        assert_eq!(ends(newest, kind.clone(), done(), 105, 4001), 0, "{kind:?}");
        assert_eq!(ends(newest, kind.clone(), OperationEnd::Unknown, 60_000, 4001), 0, "{kind:?}");
        assert_eq!(ends(newest, kind.clone(), done(), 99, 4001), 1, "before it: {kind:?}");
        assert_eq!(ends(newest, kind.clone(), done(), 5_111, 4001), 1, "long after it: {kind:?}");
        assert_eq!(ends(newest, kind.clone(), done(), 105, 1008), 1, "another code: {kind:?}");
        let refused = refused_operation("unknown deviceId", 110);
        assert_eq!(ends(newest, kind.clone(), refused, 105, 4001), 1, "refused: {kind:?}");
        assert_eq!(ends(ProfileName::V2026_3_13, kind.clone(), done(), 105, 4001), 1, "older: {kind:?}");
    }
    assert_eq!(ends(newest, reject("R"), done(), 105, 4001), 1, "a rejection retires nobody");
}

#[test]
fn a_connection_that_ends_before_it_speaks_websocket_is_no_close() {
    let ended = |phase, close| {
        let outcome = Outcome::Closed(Closed { close, phase });
        Case::stranger().with_spec(|spec| spec.deviation = Deviation::NotJson).attempt(10, 20, outcome)
    };
    assert_eq!(ended(Phase::Verdict, frame(1000, "")).matched(), ["close-1000"]);
    assert_eq!(ended(Phase::Verdict, CloseSeen::Abrupt).kind(), MismatchKind::WrongClose);
    assert_eq!(ended(Phase::Upgrade, CloseSeen::Abrupt).kind(), MismatchKind::NoAnswer);
}
