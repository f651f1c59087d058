//! Section 2, row by row. Texts are written out here, from the profile and from the transcripts named.

use super::fixture::*;
use crate::observation::{Outcome, Refusal};
use crate::oracle::table::{Ask, Expected, ROWS};
use crate::oracle::{Due, Facts, MismatchKind, Release, Verdict, locality};
use crate::plan::{
    AuthMode, ConnectSpec, Credential, Deviation, ForwardedFor, GatewayPlan, NetworkPath, Origin, Persona,
    StoredMetadata,
};
use std::net::Ipv4Addr;

const ORIGIN: &str = "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)";

/// What is due to the client of the fixture.
fn expected_static(spec: &ConnectSpec, gateway: &GatewayPlan, has_token: bool) -> Expected {
    let release = Release::of(gateway.profile);
    let facts = Facts::of(spec, gateway.auth, release, has_token);
    let place = locality::place(&spec.path, &Case::stranger().plan.clients[0], gateway);
    crate::oracle::expected_static(&Ask::new(&facts, place, gateway))
}

/// The row that decides, and the outcome that is due.
fn check(row: u8, outcome: Outcome, change: impl Fn(&mut ConnectSpec, &mut GatewayPlan)) {
    let mut case = Case::paired();
    change(&mut case.plan.cohorts[0].connect, &mut case.plan.gateway);
    let cohort = &case.plan.cohorts[0];
    let expected = expected_static(&cohort.connect, &case.plan.gateway, false);
    assert_eq!(expected.row, row, "{expected:?}");
    let class = crate::oracle::class_of(&outcome);
    assert_eq!(expected.due.class(), Some(class.as_str()));

    // Anything that is due matches; a session, or another refusal, does not.
    let case = case.attempt(12_000, 12_001, outcome.clone());
    assert_eq!(case.matched(), [class]);
    let mut other = case;
    other.history.attempts[0].outcome = Outcome::Refused(plain("something else"));
    assert!(matches!(other.judge().attempts[0], Verdict::Mismatch(_)));
    if !matches!(outcome, Outcome::Session(_)) {
        other.history.attempts[0].outcome = session(1);
        other.history.attempts[0].stamps.answered = other.history.attempts[0].stamps.ended;
        assert_eq!(other.kind(), MismatchKind::FalseAccept);
    }
}

fn deviation(deviation: Deviation) -> impl Fn(&mut ConnectSpec, &mut GatewayPlan) {
    move |spec, _| spec.deviation = deviation.clone()
}

#[test]
fn rows_1_to_3_close_without_a_frame() {
    // Transcript 2026.3.13/a08-framing.
    check(1, closed(1009, ""), deviation(Deviation::Oversized(65_537)));
    check(2, closed(1000, ""), deviation(Deviation::NotJson));
    check(3, closed(1008, "invalid request frame"), deviation(Deviation::NotARequest));
}

#[test]
fn row_4_wrong_method() {
    let refusal = Outcome::Refused(plain("invalid handshake: first request must be connect"));
    check(4, refusal, deviation(Deviation::WrongMethod));
}

#[test]
fn row_5_schema() {
    let refusal = || Outcome::Refused(plain("invalid connect params: at root: unexpected property 'x'"));
    check(5, refusal(), deviation(Deviation::UnknownKey));
    check(5, refusal(), deviation(Deviation::Oversized(65_536)));
    // Transcript 2026.3.13/a07-protocol-range, "min 0".
    let min = Outcome::Refused(plain("invalid connect params: at /minProtocol: must be >= 1"));
    check(5, min, deviation(Deviation::Protocol { min: 0, max: 3 }));
    check(5, refusal(), |spec, _| spec.role = Some(String::new()));
    check(5, refusal(), |spec, _| spec.scopes = Some(vec![String::new()]));
    // The close is cut to 120 bytes (transcript 2026.3.13/a08-framing).
    let long = format!("invalid connect params: {}", "must have required property; ".repeat(8));
    check(5, Outcome::Refused(plain(&long)), deviation(Deviation::UnknownKey));
}

#[test]
fn row_6_protocol() {
    // Transcript 2026.3.13/a07-protocol-range.
    let refusal = || {
        Outcome::Refused(Refusal {
            close: Some(frame(1002, "protocol mismatch")),
            ..plain("protocol mismatch")
        })
    };
    for (min, max) in [(1, 2), (4, 4), (5, 9), (4, 3)] {
        check(6, refusal(), deviation(Deviation::Protocol { min, max }));
    }
    check(6, refusal(), |spec, _| {
        spec.deviation = Deviation::Protocol { min: 4, max: 4 };
        spec.credential = Credential::WrongToken;
    });
    let case = Case::paired().with_spec(|spec| spec.deviation = Deviation::Protocol { min: 1, max: 99 });
    let token = case.stored_token("operator");
    assert_eq!(case.attempt(10, 12, session(token)).matched(), ["session"]);
}

#[test]
fn row_7_role() {
    check(7, Outcome::Refused(plain("invalid role")), |spec, _| spec.role = Some("admin".to_owned()));
}

#[test]
fn row_8_origin() {
    let refusal = || Outcome::Refused(plain(ORIGIN));
    for persona in [Persona::ControlUi, Persona::Webchat] {
        for origin in [None, Some("null"), Some("https://evil.example"), Some("no origin")] {
            check(8, refusal(), |spec, _| {
                spec.persona = persona;
                spec.origin = origin.map(|text| Origin::Fixed(text.to_owned()));
            });
        }
    }
    // A loopback origin counts only on a loopback host.
    check(8, refusal(), |spec, _| {
        spec.persona = Persona::ControlUi;
        spec.path = proxied("gw.example.com");
        spec.origin = Some(Origin::Fixed("http://localhost:5173".to_owned()));
    });
    check(8, refusal(), |spec, _| {
        spec.persona = Persona::ControlUi;
        spec.path = proxied("gw.example.com:8080");
        spec.origin = Some(Origin::Fixed("http://gw.example.com:8081".to_owned()));
    });
}

#[test]
fn row_8_passes_listed_own_and_loopback_origins_and_those_of_other_clients() {
    let passes = |persona, path: NetworkPath, origin: Option<Origin>, listed: &[&str]| {
        let mut spec = ConnectSpec { persona, path, origin, ..spec() };
        spec.scopes = None;
        let gateway = GatewayPlan { allowed_origins: owned(listed), ..gateway() };
        let expected = expected_static(&spec, &gateway, false);
        assert_eq!((expected.row, expected.due), (17, Due::Device), "{spec:?}");
    };
    let fixed = |text: &str| Some(Origin::Fixed(text.to_owned()));
    passes(Persona::ControlUi, NetworkPath::Direct, Some(Origin::SameHost), &[]);
    passes(Persona::ControlUi, NetworkPath::Direct, fixed("http://localhost:5173"), &[]);
    passes(Persona::Webchat, NetworkPath::Direct, fixed("http://[::1]:1"), &[]);
    passes(Persona::Webchat, proxied("gw.example.com"), Some(Origin::SameHost), &[]);
    passes(Persona::Webchat, proxied("GW.example.com"), fixed("https://gw.example.com"), &[]);
    passes(
        Persona::ControlUi,
        proxied("gw.example.com"),
        fixed("https://ui.example"),
        &["https://ui.example"],
    );
    passes(Persona::Cli, NetworkPath::Direct, fixed("https://evil.example"), &[]);
}

fn proxied(host: &str) -> NetworkPath {
    NetworkPath::Proxy {
        from: Ipv4Addr::new(127, 2, 0, 1),
        forwarded_for: ForwardedFor::Own,
        host: Some(host.to_owned()),
    }
}

#[test]
fn rows_9_to_11_without_device() {
    let control_ui = Outcome::Refused(Refusal {
        detail_code: Some("CONTROL_UI_DEVICE_IDENTITY_REQUIRED".to_owned()),
        ..plain("control ui requires device identity (use HTTPS or localhost secure context)")
    });
    check(9, control_ui, |spec, _| {
        spec.deviation = Deviation::NoDevice;
        spec.persona = Persona::ControlUi;
        spec.origin = Some(Origin::SameHost);
        spec.credential = Credential::WrongToken;
    });
    // Transcript 2026.3.13/a05-token-problems, "no device, wrong token" and "no device, no auth".
    let hint = "(set gateway.remote.token to match gateway.auth.token)";
    let mismatch = unauthorized(
        &format!("unauthorized: gateway token mismatch {hint}"),
        "AUTH_TOKEN_MISMATCH",
        "token_mismatch",
    );
    for role in [None, Some("node".to_owned())] {
        check(10, mismatch.clone(), |spec, _| {
            spec.deviation = Deviation::NoDevice;
            spec.credential = Credential::WrongToken;
            spec.role = role.clone();
        });
    }
    let identity = || {
        Outcome::Refused(Refusal {
            code: "NOT_PAIRED".to_owned(),
            detail_code: Some("DEVICE_IDENTITY_REQUIRED".to_owned()),
            ..plain("device identity required")
        })
    };
    for credential in [Credential::Missing, Credential::ForgedDeviceToken] {
        check(11, identity(), |spec, _| {
            spec.deviation = Deviation::NoDevice;
            spec.credential = credential;
        });
    }
    check(11, identity(), |spec, _| {
        spec.deviation = Deviation::NoDevice;
        spec.role = Some("node".to_owned());
    });
    check(11, identity(), |spec, gateway| {
        spec.deviation = Deviation::NoDevice;
        spec.credential = Credential::WrongToken;
        gateway.auth = AuthMode::None;
    });
    check(11, session_without_device(), |spec, _| spec.deviation = Deviation::NoDevice);
}

#[test]
fn rows_12_to_15_device_proof() {
    check(
        12,
        device_auth("device identity mismatch", "device-id-mismatch"),
        deviation(Deviation::ForeignDeviceId),
    );
    for skew in [180_000, -180_000] {
        let stale = device_auth("device signature expired", "device-signature-stale");
        check(13, stale, deviation(Deviation::ClockSkew(skew)));
    }
    check(14, device_auth("device nonce required", "device-nonce-missing"), deviation(Deviation::BlankNonce));
    check(
        14,
        device_auth("device nonce mismatch", "device-nonce-mismatch"),
        deviation(Deviation::WrongNonce),
    );
    for wrong in [Deviation::BadSignature, Deviation::SignatureV1] {
        check(15, device_auth("device signature invalid", "device-signature"), |spec, _| {
            spec.deviation = wrong.clone();
            // A bad signature comes before a bad token.
            spec.credential = Credential::WrongToken;
        });
    }
}

#[test]
fn row_13_near_its_limit_depends_on_the_time_the_attempt_took() {
    let stale = || device_auth("device signature expired", "device-signature-stale");
    let case = |skew| Case::paired().with_spec(|spec| spec.deviation = Deviation::ClockSkew(skew));
    let token = Case::paired().stored_token("operator");
    // 110 s were accepted by 2026.2.22 (reference 1.1).
    assert_eq!(case(110_000).attempt(100, 110, session(token)).matched(), ["session"]);
    assert_eq!(case(-119_000).attempt(100, 110, session(token)).matched(), ["session"]);
    assert_eq!(case(-119_000).attempt(100, 110, stale()).kind(), MismatchKind::FalseReject);
    // Signed 119 s ago, and judged up to 2 s later: either.
    assert_eq!(case(-119_000).attempt(100, 2_100, session(token)).matched(), ["session"]);
    assert_eq!(case(-119_000).attempt(100, 2_100, stale()).matched(), ["device-signature-stale"]);
    // Signed 121 s ahead: waiting helps.
    assert_eq!(case(121_000).attempt(100, 2_100, session(token)).matched(), ["session"]);
    assert_eq!(case(121_000).attempt(100, 110, session(token)).kind(), MismatchKind::FalseAccept);
    assert_eq!(case(-121_000).attempt(100, 2_100, session(token)).kind(), MismatchKind::FalseAccept);
    // The credential is judged after the clock.
    let wrong = case(-120_000).with_spec(|spec| spec.credential = Credential::Missing);
    assert_eq!(wrong.attempt(100, 110, stale()).matched(), ["device-signature-stale"]);
}

#[test]
fn row_16_credentials_that_no_device_token_can_save() {
    // Hints from transcripts 2026.3.13/a05-token-problems and d01-password-mode.
    let token_hint = "(set gateway.remote.token to match gateway.auth.token)";
    let password_hint = "(set gateway.remote.password to match gateway.auth.password)";
    let missing = |what: &str, hint, code, reason| {
        unauthorized(&format!("unauthorized: gateway {what} {hint}"), code, reason)
    };
    let rows = [
        (
            AuthMode::Token,
            Credential::Missing,
            missing("token missing", token_hint, "AUTH_TOKEN_MISSING", "token_missing"),
        ),
        (
            AuthMode::Token,
            Credential::Password,
            missing("token missing", token_hint, "AUTH_TOKEN_MISSING", "token_missing"),
        ),
        (
            AuthMode::Token,
            Credential::WrongPassword,
            missing("token missing", token_hint, "AUTH_TOKEN_MISSING", "token_missing"),
        ),
        (
            AuthMode::Token,
            Credential::WrongToken,
            missing("token mismatch", token_hint, "AUTH_TOKEN_MISMATCH", "token_mismatch"),
        ),
        (
            AuthMode::Password,
            Credential::Missing,
            missing("password missing", password_hint, "AUTH_PASSWORD_MISSING", "password_missing"),
        ),
        (
            AuthMode::Password,
            Credential::SharedToken,
            missing("password missing", password_hint, "AUTH_PASSWORD_MISSING", "password_missing"),
        ),
        (
            AuthMode::Password,
            Credential::WrongToken,
            missing("password missing", password_hint, "AUTH_PASSWORD_MISSING", "password_missing"),
        ),
        (
            AuthMode::Password,
            Credential::WrongPassword,
            missing("password mismatch", password_hint, "AUTH_PASSWORD_MISMATCH", "password_mismatch"),
        ),
        (AuthMode::Token, Credential::ForgedDeviceToken, token_refused()),
        (AuthMode::Password, Credential::ForgedDeviceToken, token_refused()),
    ];
    for (mode, credential, outcome) in rows {
        check(16, outcome, |spec, gateway| {
            spec.credential = credential;
            gateway.auth = mode;
        });
    }
}

#[test]
fn what_no_row_decides_depends_on_the_device() {
    let due = |credential, mode, has_token| {
        let gateway = GatewayPlan { auth: mode, ..gateway() };
        let spec = ConnectSpec { credential, ..spec() };
        expected_static(&spec, &gateway, has_token).due
    };
    assert_eq!(due(Credential::SharedToken, AuthMode::Token, false), Due::Device);
    assert_eq!(due(Credential::Password, AuthMode::Password, false), Due::Device);
    for credential in [Credential::DeviceToken, Credential::FirstDeviceToken] {
        for mode in [AuthMode::Token, AuthMode::Password, AuthMode::None] {
            for has_token in [true, false] {
                assert_eq!(due(credential, mode, has_token), Due::Device);
            }
        }
    }
    for credential in [Credential::Missing, Credential::WrongToken, Credential::ForgedDeviceToken] {
        assert_eq!(due(credential, AuthMode::None, false), Due::Device);
    }
}

#[test]
fn the_table_stands_in_the_order_of_the_profile() {
    assert!(ROWS.is_sorted_by_key(|row| row.number));
    assert!(ROWS.iter().all(|row| !row.condition.is_empty()));
}

#[test]
fn a_session_without_device_carries_neither_scopes_nor_token() {
    let case = |outcome| {
        Case::stranger().with_spec(|spec| spec.deviation = Deviation::NoDevice).attempt(10, 12, outcome)
    };
    assert_eq!(case(session_without_device()).matched(), ["session"]);
    assert_eq!(case(session(1)).kind(), MismatchKind::FalseAccept);
    let Outcome::Session(mut grant) = session_as("operator", &[], 1) else { unreachable!() };
    if let Some(auth) = grant.auth.as_mut() {
        auth.token = None;
    }
    assert_eq!(case(Outcome::Session(grant)).kind(), MismatchKind::WrongGrant);
    assert_eq!(case(pairing("not-paired", "R")).kind(), MismatchKind::FalseReject);
}

#[test]
fn a_refusal_is_held_to_every_field() {
    let case = |change: fn(&mut Refusal)| {
        let mut refusal = pairing_refusal("not-paired", "R");
        change(&mut refusal);
        Case::new(spec(), None).attempt(10, 12, Outcome::Refused(refusal))
    };
    assert_eq!(case(|_| {}).matched(), ["not-paired"]);
    assert_eq!(case(|refusal| refusal.code = "INVALID_REQUEST".to_owned()).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.message = "pairing".to_owned()).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.auth_reason = Some("x".to_owned())).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.request_id = None).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.request_id = Some(String::new())).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.detail_code = None).kind(), MismatchKind::WrongReason);
    assert_eq!(case(|refusal| refusal.close = None).kind(), MismatchKind::WrongClose);
    assert_eq!(case(|refusal| refusal.close = Some(frame(1008, ""))).kind(), MismatchKind::WrongClose);
    assert_eq!(
        case(|refusal| refusal.close = Some(frame(1000, "pairing required"))).kind(),
        MismatchKind::WrongClose
    );
    let metadata = Case::new(spec(), Some(stored(&["operator"], &[READ], StoredMetadata::Legacy)));
    let case = metadata.attempt(10, 12, pairing("metadata-upgrade", "R"));
    assert_eq!(case.matched(), ["metadata-upgrade"]);
}
