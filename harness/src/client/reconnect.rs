//! When a client tries again, and when it gives up.

use std::time::Duration;

use protocol::ErrorShape;
use rand::{Rng, RngExt as _};

use crate::observation::{Outcome, Refusal};
use crate::plan::{Backoff, DurationRange, GiveUp, ReconnectPolicy};

/// First pause of the official clients (reference, section 11).
const OFFICIAL_FIRST: Duration = Duration::from_secs(1);
/// Longest pause of the official clients.
const OFFICIAL_LONGEST: Duration = Duration::from_secs(30);

/// Longest `retryAfterMs` that is followed: a gateway that says more does not take a client out of the run.
const LONGEST_HINT: Duration = Duration::from_secs(3_600);
/// `recommendedNextStep` of what time cures; the other steps need a person.
const WAIT_THEN_RETRY: &str = "wait_then_retry";
/// `error.details.code` at which the official client of 2026.9.6 stops (reference, section 11).
const PAUSE_LIST: [&str; 15] = [
    "AUTH_TOKEN_MISSING",
    "AUTH_TOKEN_MISMATCH",
    "AUTH_BOOTSTRAP_TOKEN_INVALID",
    "AUTH_PASSWORD_MISSING",
    "AUTH_PASSWORD_MISMATCH",
    "AUTH_RATE_LIMITED",
    "AUTH_DEVICE_TOKEN_MISMATCH",
    "AUTH_SCOPE_MISMATCH",
    "AUTH_IDENTITY_HEADER_REQUIRED",
    "AUTH_VERIFIED_USER_REQUIRED",
    "CONTROL_UI_BUILD_MISMATCH",
    "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
    "DEVICE_IDENTITY_REQUIRED",
    "PROTOCOL_MISMATCH",
    "CLIENT_VERSION_MISMATCH",
];

/// What a client does after an attempt that gave no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It tries again after this pause.
    Retry(Duration),
    /// It waits until somebody tells it that it was approved.
    UntilTold,
    /// It gives up.
    GiveUp,
}

/// What an error says about trying again, beside `recommendedNextStep` ([`Refusal::next_step`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// `error.details.pauseReconnect`
    pub pause: Option<bool>,
    /// `error.retryable`
    pub retryable: Option<bool>,
    /// `error.retryAfterMs`
    pub retry_after: Option<Duration>,
}

impl Hints {
    /// The hints of an error.
    #[must_use]
    pub fn of(error: &ErrorShape) -> Self {
        let details = error.details.as_ref();
        Self {
            pause: details.and_then(|details| details.more.get("pauseReconnect")?.as_bool()),
            retryable: error.retryable,
            retry_after: error.retry_after_ms.map(Duration::from_millis).map(|after| after.min(LONGEST_HINT)),
        }
    }
}

/// Decides after an attempt without session. `failures` counts such attempts in a row, this one included.
pub fn after_failure(
    policy: &ReconnectPolicy,
    outcome: &Outcome,
    hints: Hints,
    failures: u32,
    time_scale: f64,
    rng: &mut impl Rng,
) -> Next {
    if policy.attempts_max.is_some_and(|max| failures >= max) {
        return Next::GiveUp;
    }
    let mut pause = || Next::Retry(pause(policy, failures, time_scale, rng));
    let Outcome::Refused(refusal) = outcome else {
        return if ends_script(policy, outcome) { Next::GiveUp } else { pause() };
    };
    if policy.gives_up_on_refusal == GiveUp::PauseList && is_on_pause_list(refusal) {
        return Next::GiveUp;
    }
    if policy.hints {
        let waits = refusal.next_step.as_deref() == Some(WAIT_THEN_RETRY) || hints.pause == Some(false);
        if let Some(after) = hints.retry_after {
            // The gateway's word, not a duration of the scenario: it is not scaled.
            return Next::Retry(after);
        }
        if waits {
            return pause();
        }
        if hints.retryable == Some(false) || refusal.next_step.is_some() {
            return Next::GiveUp;
        }
        if hints.pause == Some(true) {
            return if policy.told.is_some() { Next::UntilTold } else { Next::GiveUp };
        }
    }
    if policy.told.is_some() && is_pairing(refusal) {
        return Next::UntilTold;
    }
    if ends_script(policy, outcome) { Next::GiveUp } else { pause() }
}

/// Pause before attempt number `failures + 1` after a session or a failure; `failures` is 1 after a lost session.
pub fn pause(policy: &ReconnectPolicy, failures: u32, time_scale: f64, rng: &mut impl Rng) -> Duration {
    let unscaled = match policy.backoff {
        Backoff::Tight => Duration::ZERO,
        Backoff::Fixed(range) => draw(range, rng),
        Backoff::Official { jitter } => {
            let doublings = failures.saturating_sub(1).min(5);
            let full = (OFFICIAL_FIRST * 2_u32.pow(doublings)).min(OFFICIAL_LONGEST);
            full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) * rng.random::<f64>())
        }
    };
    unscaled.mul_f64(time_scale)
}

/// Draws from a range.
pub fn draw(range: DurationRange, rng: &mut impl Rng) -> Duration {
    if range.max <= range.min {
        return range.min;
    }
    range.min + (range.max - range.min).mul_f64(rng.random::<f64>())
}

fn ends_script(policy: &ReconnectPolicy, outcome: &Outcome) -> bool {
    match policy.gives_up_on_refusal {
        GiveUp::Never => false,
        // What is on it was looked for before.
        GiveUp::PauseList => false,
        GiveUp::Always => matches!(outcome, Outcome::Refused(_) | Outcome::UpgradeRefused { .. }),
        GiveUp::UnlessPairing => {
            matches!(outcome, Outcome::Refused(refusal) if !is_pairing(refusal) && !is_temporary(refusal))
        }
    }
}

/// Whether the official client of 2026.9.6 stops at it. Pairing required stands on its list, too, but is not final. An
/// `AUTH_TOKEN_MISMATCH` it may try again once with a device token; a client here keeps to its credential.
fn is_on_pause_list(refusal: &Refusal) -> bool {
    refusal.detail_code.as_deref().is_some_and(|code| PAUSE_LIST.contains(&code))
}

/// Whether time cures it: a gateway that starts or drains says `UNAVAILABLE`.
fn is_temporary(refusal: &Refusal) -> bool {
    refusal.code == "UNAVAILABLE"
}

/// Whether an operator could cure the refusal. Releases before 2026.2.22 send no details, only the code and the text.
fn is_pairing(refusal: &Refusal) -> bool {
    refusal.detail_code.as_deref() == Some("PAIRING_REQUIRED")
        || (refusal.code == "NOT_PAIRED" && refusal.message.starts_with("pairing required"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn policy(backoff: Backoff) -> ReconnectPolicy {
        ReconnectPolicy {
            backoff,
            attempts_max: Some(3),
            gives_up_on_refusal: GiveUp::UnlessPairing,
            hints: false,
            told: None,
        }
    }

    /// What a client does after an error of this JSON, which never gave up because of the number of its attempts.
    fn after(policy: &ReconnectPolicy, error: &str) -> Next {
        let error: ErrorShape = serde_json::from_str(error).unwrap();
        let hints = Hints::of(&error);
        let outcome = Outcome::Refused(crate::client::handshake::refusal(error));
        after_failure(policy, &outcome, hints, 1, 1.0, &mut ChaCha8Rng::seed_from_u64(1))
    }

    /// As a real 2026.9.6 said it to a node host, to a control UI, while it started, and to somebody who was locked out.
    const NODE: &str = r#"{"code":"NOT_PAIRED","message":"pairing required: device is not approved yet","details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"r"}}"#;
    const CONTROL_UI: &str = r#"{"code":"NOT_PAIRED","message":"pairing required: device is not approved yet","details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"r","remediationHint":"Approve this device from the pending pairing requests.","recommendedNextStep":"wait_then_retry","retryable":true,"pauseReconnect":false}}"#;
    const STARTING: &str = r#"{"code":"UNAVAILABLE","message":"gateway starting; retry shortly","retryable":true,"retryAfterMs":500,"details":{"reason":"startup-sidecars"}}"#;
    const LOCKED: &str = r#"{"code":"INVALID_REQUEST","message":"unauthorized","retryable":true,"retryAfterMs":300000,"details":{"code":"AUTH_RATE_LIMITED","recommendedNextStep":"wait_then_retry"}}"#;
    const WRONG_TOKEN: &str = r#"{"code":"INVALID_REQUEST","message":"unauthorized","details":{"code":"AUTH_TOKEN_MISMATCH","recommendedNextStep":"update_auth_credentials"}}"#;

    #[test]
    fn a_client_that_honours_hints_does_what_the_answer_says() {
        let walk = DurationRange { min: Duration::ZERO, max: Duration::ZERO };
        let hints = ReconnectPolicy { hints: true, told: Some(walk), ..policy(Backoff::Tight) };
        assert_eq!(after(&hints, NODE), Next::UntilTold);
        assert_eq!(after(&hints, CONTROL_UI), Next::Retry(Duration::ZERO));
        assert_eq!(after(&hints, STARTING), Next::Retry(Duration::from_millis(500)));
        assert_eq!(after(&hints, LOCKED), Next::Retry(Duration::from_secs(300)));
        assert_eq!(after(&hints, WRONG_TOKEN), Next::GiveUp);
        let pauses = NODE.replace(r#""requestId""#, r#""pauseReconnect":true,"requestId""#);
        assert_eq!(after(&hints, &pauses), Next::UntilTold);
        let endless = STARTING.replace("500", "18446744073709551615");
        assert_eq!(after(&hints, &endless), Next::Retry(LONGEST_HINT));
        assert_eq!(after(&ReconnectPolicy { told: None, ..hints }, &pauses), Next::GiveUp);
        let deaf = policy(Backoff::Tight);
        for error in [NODE, CONTROL_UI, STARTING, &pauses] {
            assert_eq!(after(&deaf, error), Next::Retry(Duration::ZERO), "{error}");
        }
    }

    #[test]
    fn official_clients_do_what_they_were_seen_to_do() {
        use crate::plan::Persona;
        use crate::scenario::official;
        use protocol::ProfileName::{Article, V2026_2_19, V2026_9_6};
        let node = official(Persona::NodeHost, V2026_9_6);
        assert_eq!(after(&node, NODE), Next::UntilTold, "it pauses; approval alone does not wake it");
        assert_eq!(after(&node, STARTING), Next::Retry(Duration::from_millis(500)));
        assert_eq!(after(&node, LOCKED), Next::GiveUp, "it is on the list, whatever it recommends");
        assert_eq!(after(&node, WRONG_TOKEN), Next::GiveUp);
        assert_eq!(after(&official(Persona::ControlUi, V2026_9_6), CONTROL_UI), Next::Retry(OFFICIAL_FIRST));
        for persona in [Persona::NodeHost, Persona::Cli] {
            assert_eq!(after(&official(persona, V2026_2_19), NODE), Next::GiveUp, "it exits");
        }
        assert_eq!(after(&official(Persona::Ios, V2026_2_19), NODE), Next::Retry(OFFICIAL_FIRST));
        assert_eq!(after(&official(Persona::NodeHost, Article), NODE), Next::Retry(OFFICIAL_FIRST));
    }

    fn refusal(detail: &str) -> Outcome {
        Outcome::Refused(Refusal {
            code: "INVALID_REQUEST".to_owned(),
            message: String::new(),
            detail_code: Some(detail.to_owned()),
            reason: None,
            auth_reason: None,
            next_step: None,
            request_id: None,
            close: None,
        })
    }

    #[test]
    fn the_official_pause_doubles_to_thirty_seconds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let policy = policy(Backoff::Official { jitter: 0.0 });
        let pauses: Vec<u64> = (1..=8).map(|n| pause(&policy, n, 1.0, &mut rng).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_client_gives_up_on_what_waiting_cannot_cure() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let policy = policy(Backoff::Tight);
        let mut after = |outcome: &Outcome, failures| {
            after_failure(&policy, outcome, Hints::default(), failures, 1.0, &mut rng)
        };
        assert_eq!(after(&refusal("AUTH_TOKEN_MISMATCH"), 1), Next::GiveUp);
        assert_eq!(after(&refusal("PAIRING_REQUIRED"), 1), Next::Retry(Duration::ZERO));
        assert_eq!(after(&refusal("PAIRING_REQUIRED"), 3), Next::GiveUp);
        assert_eq!(after(&Outcome::ConnectionRefused, 2), Next::Retry(Duration::ZERO));
        let Outcome::Refused(refused) = refusal("") else { return };
        let starting = Outcome::Refused(Refusal { code: "UNAVAILABLE".to_owned(), ..refused });
        assert_eq!(after(&starting, 1), Next::Retry(Duration::ZERO), "it will have started");
    }
}
