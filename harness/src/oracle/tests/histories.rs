//! Histories that the profile allows: each transition of sections 6 to 8, and each race either way.

use super::fixture::*;
use crate::history::{OperationEnd, OperationKind};
use crate::observation::{Outcome, Phase};
use crate::plan::{
    AuthMode, Credential, FaultKind, NetworkPath, SignatureVersion, StopSignal, StoredMetadata,
};

const FIVE_MINUTES: u64 = 300_000;

/// Asks for `operator.read` with the device token it has, if any.
fn by_token(case: Case) -> Case {
    case.with_spec(|spec| spec.credential = Credential::DeviceToken)
}

#[test]
fn a_stranger_is_refused_under_one_request_until_it_is_approved() {
    // Transcript 2026.3.13/b01-remote-not-paired-lifecycle and b02-upgrades-remote.
    let case = Case::stranger()
        .attempt(100, 110, pairing("not-paired", "R1"))
        .attempt(200, 210, pairing("not-paired", "R1"))
        .approve("R1", 300, 310)
        .attempt(400, 410, session(1))
        .attempt(500, 510, session(1));
    assert_eq!(case.matched(), ["not-paired", "not-paired", "session", "session"]);
}

#[test]
fn a_local_stranger_is_approved_at_once() {
    let case = Case::stranger()
        .with_spec(|spec| spec.path = NetworkPath::Direct)
        .attempt(100, 110, session(1))
        .attempt(200, 210, session(1))
        .done(OperationKind::Remove, 300, 310)
        .attempt(400, 410, session(2));
    assert_eq!(case.matched(), ["session", "session", "session"]);
}

#[test]
fn silence_covers_no_upgrade() {
    for (entry, reason) in [
        (stored(&["operator"], &[WRITE], StoredMetadata::Same), "scope-upgrade"),
        (stored(&["node"], &[READ], StoredMetadata::Same), "role-upgrade"),
        (stored(&["operator"], &[READ], StoredMetadata::Legacy), "metadata-upgrade"),
        (stored(&["node"], &[], other("macos", None)), "metadata-upgrade"),
    ] {
        let case = Case::new(spec(), Some(entry)).with_spec(|spec| spec.path = NetworkPath::Direct).attempt(
            100,
            110,
            pairing(reason, "R"),
        );
        assert_eq!(case.matched(), [reason]);
    }
}

fn other(platform: &str, device_family: Option<&str>) -> StoredMetadata {
    StoredMetadata::Other { platform: platform.to_owned(), device_family: device_family.map(str::to_owned) }
}

#[test]
fn metadata_is_compared_trimmed_and_lowered_and_only_if_stored() {
    let case = |metadata, family: Option<&str>| {
        Case::new(spec(), Some(stored(&["operator"], &[READ], metadata)))
            .with_spec(|spec| spec.device_family = family.map(str::to_owned))
    };
    let token = Case::paired().stored_token("operator");
    let accepted = [
        (other(" LINUX ", None), None),
        (other("linux", None), Some("pc")),
        (other("linux", Some("PC")), Some("pc")),
    ];
    for (metadata, family) in accepted {
        assert_eq!(case(metadata, family).attempt(10, 12, session(token)).matched(), ["session"]);
    }
    for (metadata, family) in [(other("macos", None), None), (other("linux", Some("pc")), None)] {
        let case = case(metadata, family).attempt(10, 12, pairing("metadata-upgrade", "R"));
        assert_eq!(case.matched(), ["metadata-upgrade"]);
    }
}

#[test]
fn an_upgrade_widens_the_entry_and_replaces_the_token() {
    let wide = session_as("operator", &[READ, WRITE], 2);
    let old = Case::new(spec(), Some(stored(&["operator"], &[WRITE], StoredMetadata::Same)));
    let token = old.stored_token("operator");
    let case = by_token(old)
        .presenting(Some(token), 50, 60, token_refused())
        .attempt(100, 110, pairing("scope-upgrade", "R1"))
        .approve("R1", 200, 210)
        .presenting(Some(token), 250, 260, token_refused())
        .attempt(300, 310, wide.clone())
        .presenting(Some(2), 400, 410, wide);
    assert_eq!(
        case.matched(),
        ["AUTH_DEVICE_TOKEN_MISMATCH", "scope-upgrade", "AUTH_DEVICE_TOKEN_MISMATCH", "session", "session"]
    );
}

#[test]
fn nodes_get_tokens_without_scopes() {
    let case = Case::stranger()
        .with_spec(|spec| {
            spec.role = Some("node".to_owned());
            spec.scopes = None;
        })
        .attempt(100, 110, pairing("not-paired", "R"))
        .approve("R", 200, 210)
        .attempt(300, 310, session_as("node", &[], 4));
    assert_eq!(case.matched(), ["not-paired", "session"]);
    let both = Case::new(spec(), Some(stored(&["operator", "node"], &[READ], StoredMetadata::Same)))
        .with_spec(|spec| {
            spec.role = Some("node".to_owned());
            spec.scopes = None;
        });
    let token = both.stored_token("node");
    assert_eq!(both.attempt(10, 12, session_as("node", &[], token)).matched(), ["session"]);
}

#[test]
fn an_entry_without_tokens_gets_one_of_the_requested_scopes() {
    let mut entry = stored(&["operator"], &[READ, WRITE], StoredMetadata::Same);
    entry.tokens = false;
    let case = Case::new(spec(), Some(entry)).attempt(10, 12, session(5)).attempt(20, 22, session(5));
    assert_eq!(case.matched(), ["session", "session"]);
}

#[test]
fn a_rejected_or_removed_device_asks_anew() {
    let case = Case::stranger()
        .attempt(100, 110, pairing("not-paired", "R1"))
        .done(reject("R1"), 200, 210)
        .attempt(300, 310, pairing("not-paired", "R2"))
        .approve("R2", 400, 410)
        .attempt(500, 510, session(1))
        .done(OperationKind::Remove, 600, 610)
        .attempt(700, 710, pairing("not-paired", "R3"));
    assert_eq!(case.matched(), ["not-paired", "not-paired", "session", "not-paired"]);
}

#[test]
fn operations_on_unknown_ids_are_refused_and_change_nothing() {
    let case = Case::stranger()
        .operation(OperationKind::Remove, 10, refused_operation("unknown deviceId", 20))
        .operation(revoke(), 30, refused_operation("unknown deviceId/role", 40))
        .attempt(100, 110, pairing("not-paired", "R1"))
        .approve("R1", 200, 210)
        .operation(approve("R1"), 220, refused_operation("unknown requestId", 230))
        .operation(reject("R1"), 240, refused_operation("missing scope: operator.pairing", 250))
        .attempt(300, 310, session(1));
    assert_eq!(case.matched(), ["not-paired", "session"]);
}

#[test]
fn revocation_voids_the_token_and_the_shared_secret_gets_a_new_one() {
    let case = by_token(Case::paired());
    let token = case.stored_token("operator");
    let case = case
        .presenting(Some(token), 100, 110, session(token))
        .done(revoke(), 200, 210)
        .presenting(Some(token), 300, 310, token_refused())
        .attempt(400, 410, session(9))
        .presenting(Some(9), 500, 510, session(9));
    assert_eq!(case.matched(), ["session", "AUTH_DEVICE_TOKEN_MISMATCH", "session", "session"]);
}

#[test]
fn rotation_beyond_the_entry_cures_a_scope_upgrade() {
    // Reference 13b: the article's cure, as on 2026.2.19.
    let both = owned(&[READ, WRITE]);
    let case = Case::paired()
        .with_spec(|spec| spec.scopes = Some(both))
        .attempt(100, 110, pairing("scope-upgrade", "R"))
        .rotate(Some(&[WRITE, READ]), 200, 210, 77)
        .attempt(300, 310, session_as("operator", &[READ, WRITE], 77));
    assert_eq!(case.matched(), ["scope-upgrade", "session"]);
    let kept = Case::paired().rotate(None, 200, 210, 78).attempt(300, 310, session(78));
    assert_eq!(kept.matched(), ["session"]);
}

#[test]
fn a_narrower_token_is_widened_to_what_is_asked() {
    let case = Case::new(spec(), Some(stored(&["operator"], &[READ, WRITE], StoredMetadata::Same)))
        .rotate(Some(&[WRITE]), 10, 20, 6)
        .attempt(100, 110, session_as("operator", &[READ, WRITE], 7));
    assert_eq!(case.matched(), ["session"]);
}

#[test]
fn without_authentication_any_device_may_ask() {
    let case = Case::stranger()
        .with_gateway(|gateway| gateway.auth = AuthMode::None)
        .with_spec(|spec| spec.credential = Credential::ForgedDeviceToken)
        .presenting(Some(1), 100, 110, pairing("not-paired", "R"));
    assert_eq!(case.matched(), ["not-paired"]);
    let known = Case::paired()
        .with_gateway(|gateway| gateway.auth = AuthMode::None)
        .with_spec(|spec| spec.credential = Credential::DeviceToken);
    let token = known.stored_token("operator");
    assert_eq!(known.presenting(Some(3), 10, 12, session(token)).matched(), ["session"]);
}

#[test]
fn restart_and_reconnect_repair_a_legacy_entry_and_reconnecting_alone_does_not() {
    let legacy = || Case::new(spec(), Some(stored(&["operator"], &[READ], StoredMetadata::Legacy)));
    let token = legacy().stored_token("operator");
    let refused = || pairing("metadata-upgrade", "R1");
    let waiting = || legacy().attempt(100, 110, refused()).attempt(200, 210, refused());
    let kill = |case: Case| case.restart(StopSignal::Sigkill, 1_000, 1_010, 2_000);
    assert_eq!(
        kill(waiting()).attempt(3_000, 3_010, session(token)).attempt(4_000, 4_010, session(token)).matched(),
        ["metadata-upgrade", "metadata-upgrade", "session", "session"]
    );
    // SIGHUP is not acknowledged: for a while either.
    let reload = || waiting().fault(FaultKind::Reload, 1_000, None);
    assert_eq!(reload().attempt(3_000, 3_010, session(token)).matched().len(), 3);
    assert_eq!(reload().attempt(3_000, 3_010, refused()).matched().len(), 3);
    assert_eq!(reload().attempt(9_000, 9_010, session(token)).matched().len(), 3);
    assert_eq!(reload().attempt(9_000, 9_010, refused()).kind(), crate::oracle::MismatchKind::FalseReject);
    // A restart while nothing waits repairs nothing.
    let case = kill(legacy()).attempt(3_000, 3_010, refused());
    assert_eq!(case.matched(), ["metadata-upgrade"]);
    // A repair does not approve: checking goes on, under a new request.
    let wider =
        kill(Case::new(spec(), Some(stored(&["operator"], &[WRITE], StoredMetadata::Legacy))).attempt(
            100,
            110,
            refused(),
        ))
        .attempt(3_000, 3_010, pairing("scope-upgrade", "R2"));
    assert_eq!(wider.matched(), ["metadata-upgrade", "scope-upgrade"]);
}

#[test]
fn a_request_lives_five_minutes_since_its_last_refresh() {
    let first = || Case::stranger().attempt(100, 110, pairing("not-paired", "R1"));
    let ask =
        |case: Case, when: u64, id| case.attempt(when, when + 10, pairing("not-paired", id)).matched().len();
    assert_eq!(ask(first(), FIVE_MINUTES - 5_000, "R1"), 2);
    assert_eq!(ask(first(), FIVE_MINUTES + 5_000, "R2"), 2);
    // Within the tolerance, either.
    assert_eq!(ask(first(), FIVE_MINUTES + 100, "R1"), 2);
    assert_eq!(ask(first(), FIVE_MINUTES + 100, "R2"), 2);
    // A refresh extends its life, unless a kill loses the refresh.
    let refreshed = || first().attempt(200_000, 200_010, pairing("not-paired", "R1"));
    assert_eq!(ask(refreshed(), 400_000, "R1"), 3);
    let killed = |signal| refreshed().restart(signal, 250_000, 250_010, 250_100);
    assert_eq!(ask(killed(StopSignal::Sigkill), 400_000, "R1"), 3);
    assert_eq!(ask(killed(StopSignal::Sigkill), 400_000, "R2"), 3);
    assert_eq!(ask(killed(StopSignal::Sigterm), 400_000, "R1"), 3);
    // Scaled with the run's time.
    let mut scaled = first().attempt(4_000, 4_010, pairing("not-paired", "R2"));
    scaled.plan.time_scale = 0.01;
    assert_eq!(scaled.matched().len(), 2);
    // An approval of what is gone is refused as unknown.
    let late = first()
        .operation(approve("R1"), 310_000, refused_operation("unknown requestId", 310_010))
        .attempt(320_000, 320_010, pairing("not-paired", "R2"));
    assert_eq!(late.matched().len(), 2);
}

#[test]
fn a_connect_that_races_its_approval_may_go_either_way() {
    let race = || Case::stranger().attempt(100, 110, pairing("not-paired", "R1")).approve("R1", 200, 300);
    assert_eq!(race().attempt(210, 220, session(1)).matched().len(), 2);
    // Refused before the approval took effect: same request, which the approval then answers.
    let refused = race().attempt(210, 220, pairing("not-paired", "R1")).attempt(400, 410, session(1));
    assert_eq!(refused.matched().len(), 3);
}

#[test]
fn an_approval_without_answer_may_or_may_not_have_happened() {
    let unknown = || {
        Case::stranger()
            .attempt(100, 110, pairing("not-paired", "R1"))
            .operation(approve("R1"), 200, OperationEnd::Unknown)
            .restart(StopSignal::Sigkill, 210, 220, 400)
    };
    assert_eq!(unknown().attempt(500, 510, session(1)).attempt(600, 610, session(1)).matched().len(), 3);
    let refused = || unknown().attempt(500, 510, pairing("not-paired", "R1"));
    assert_eq!(refused().matched().len(), 2);
    // The process that read it is gone: what has not happened by now never will.
    assert_eq!(refused().attempt(600, 610, session(1)).kind(), crate::oracle::MismatchKind::FalseAccept);
}

#[test]
fn a_connect_without_answer_may_have_left_its_request() {
    let cut = || {
        Case::stranger()
            .restart(StopSignal::Sigkill, 105, 106, 200)
            .attempt(100, 106, cut_off())
            .notice("R1", 104)
    };
    assert_eq!(
        cut().attempt(300, 310, pairing("not-paired", "R1")).matched(),
        ["no_answer_in_fault", "not-paired"]
    );
    assert_eq!(
        cut().attempt(300, 310, pairing("not-paired", "R2")).matched(),
        ["no_answer_in_fault", "not-paired"]
    );
    assert_eq!(cut().approve("R1", 300, 310).attempt(400, 410, session(1)).matched().len(), 2);
    // A token that was issued and never seen is replaced by none: the next hello shows it.
    let local = cut().with_spec(|spec| spec.path = NetworkPath::Direct).attempt(400, 410, session(3));
    assert_eq!(local.matched().len(), 2);
}

#[test]
fn a_connect_that_timed_out_in_a_pause_may_be_judged_when_it_is_over() {
    let pause = FaultKind::Pause(std::time::Duration::from_secs(30));
    let case = Case::new(spec(), Some(stored(&["operator"], &[WRITE], StoredMetadata::Same)))
        .fault(pause, 1_000, Some(40_000))
        .attempt(2_000, 3_000, Outcome::TimedOut { phase: Phase::Verdict })
        .notice("R1", 40_001)
        .attempt(41_000, 41_010, pairing("scope-upgrade", "R1"));
    assert_eq!(case.matched(), ["no_answer_in_fault", "scope-upgrade"]);
}

#[test]
fn thousands_of_attempts_are_judged_in_one_go() {
    let mut case = Case::stranger();
    for attempt in 0..5_000_u64 {
        let start = 1_000 + attempt * 50;
        case = if attempt % 10 == 9 {
            case.attempt(start, start + 10, cut_off()).restart(
                StopSignal::Sigkill,
                start + 5,
                start + 6,
                start + 9,
            )
        } else {
            case.attempt(start, start + 10, pairing("not-paired", "R1"))
        };
    }
    let judgement = case.judge();
    assert_eq!(judgement.attempts.len(), 5_000);
    assert!(judgement.attempts.iter().all(|verdict| matches!(verdict, crate::oracle::Verdict::Match { .. })));
}

/// Reference, section 8.6, "race approve/connect": a connect that overlaps its approval is judged before it and recorded
/// behind it on older releases, which leaves a fresh request.
#[test]
fn a_connect_that_races_its_approval_may_leave_a_fresh_request_on_older_releases() {
    let race = |profile, from: u64, until: u64| {
        Case::stranger()
            .with_gateway(|gateway| gateway.profile = profile)
            .with_spec(|spec| spec.signature = SignatureVersion::V2)
            .attempt(100, 110, older("R1"))
            .approve("R1", 200, 300)
            .attempt(from, until, older("R2"))
    };
    // Before the releases had reasons, an answer held the id and nothing else.
    fn older(id: &str) -> Outcome {
        let mut refusal = pairing_refusal("not-paired", id);
        (refusal.detail_code, refusal.reason) = (None, None);
        Outcome::Refused(refusal)
    }
    let profile = protocol::ProfileName::V2026_2_19;
    assert_eq!(race(profile, 210, 310).matched().len(), 2);
    // Alone, before or behind the approval, it leaves none.
    assert_eq!(race(profile, 120, 190).kind(), crate::oracle::MismatchKind::WrongReason);
    assert_eq!(race(profile, 310, 320).kind(), crate::oracle::MismatchKind::FalseReject);
}

/// Reference, section 8.2 (read in 9.6): an app may come with another version of its own system, and with no other system.
#[test]
fn an_app_may_update_its_system_on_the_newest_release() {
    let stored_as = |platform: &str| {
        let entry = stored(&["operator"], &[READ], other(platform, None));
        let case = Case::new(spec(), Some(entry))
            .with_gateway(|gateway| gateway.profile = protocol::ProfileName::V2026_9_6)
            .with_spec(|spec| {
                spec.persona = crate::plan::Persona::Ios;
                spec.platform = "iOS 18.1".to_owned();
            });
        let Outcome::Session(grant) = session(case.stored_token("operator")) else { unreachable!() };
        case.attempt(10, 20, Outcome::Session(crate::observation::Grant { protocol: 4, ..grant }))
    };
    assert_eq!(stored_as("iOS 18.1").matched(), ["session"]);
    assert_eq!(stored_as("iOS 18.0").matched(), ["session"]);
    assert_eq!(stored_as("android 15").kind(), crate::oracle::MismatchKind::FalseAccept);
}
