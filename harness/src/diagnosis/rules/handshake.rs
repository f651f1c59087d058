//! Does the client do its part of the handshake?

use super::Finding;
use crate::diagnosis::answer::Confidence::{Certain, Likely};
use crate::diagnosis::case::Case;
use crate::diagnosis::evidence::{Answer, Attempt, RefusalSeen};
use crate::diagnosis::release::WAITS_AT_LEAST;
use crate::vocabulary::cause::Cause;

const NOT_PAIRING: &str = "the gateway looks at the handshake before it looks at devices";

fn says(refusal: &RefusalSeen, code: &str, words: &str) -> bool {
    refusal.detail_code.as_deref() == Some(code) || refusal.message.contains(words)
}

pub(super) fn protocol_mismatch(case: &Case<'_>) -> Option<Finding> {
    let differs = |answer: &Answer| match answer {
        Answer::Refused(refusal) => says(refusal, "PROTOCOL_MISMATCH", "protocol mismatch"),
        Answer::Closed { code: 1002, .. } => true,
        _ => false,
    };
    case.all(|attempt| differs(&attempt.answer)).then(|| {
        let why = "client and gateway speak no common version of the protocol: one of them is older";
        Finding::new(Cause::ProtocolMismatch, Certain, why).not(Cause::NotApproved, NOT_PAIRING)
    })
}

pub(super) fn clock_skew(case: &Case<'_>) -> Option<Finding> {
    case.all_refused(|refusal| says(refusal, "DEVICE_AUTH_SIGNATURE_EXPIRED", "device signature expired"))
        .then(|| {
            let why = "the client signs with a time that is too far from the gateway's: its clock is wrong";
            Finding::new(Cause::ClockSkew, Certain, why)
                .not(Cause::StaleDeviceToken, "the gateway did not come to look at the token")
        })
}

/// Nonce, signature, parameters, first message, device: what a client builds wrong.
pub(super) fn broken_handshake(case: &Case<'_>) -> Option<Finding> {
    const WORDS: [&str; 9] = [
        "device nonce",
        "device signature invalid",
        "device identity mismatch",
        "device public key",
        "invalid connect params",
        "invalid handshake",
        "invalid request frame",
        "invalid role",
        "device identity required",
    ];
    let broken = |refusal: &RefusalSeen| {
        // A control UI without a device is a matter of the page that it runs in.
        let page = refusal.detail_code.as_deref() == Some("CONTROL_UI_DEVICE_IDENTITY_REQUIRED")
            || refusal.message.starts_with("control ui");
        let code = refusal.detail_code.as_deref().unwrap_or_default();
        !page
            && (WORDS.iter().any(|word| refusal.message.contains(word))
                || code.starts_with("DEVICE_AUTH_")
                || code == "DEVICE_IDENTITY_REQUIRED")
    };
    if case.all_refused(broken) && !case.shows_nothing() {
        let said = case.refusals().last().map_or("", |refusal| refusal.message.as_str());
        let why = format!("the client does not do its part of the handshake; the gateway says: {said}");
        return Some(Finding::new(Cause::BrokenHandshake, Certain, why).not(Cause::NotApproved, NOT_PAIRING));
    }
    // No answer at all to a first message that is none.
    let unread = |attempt: &Attempt| match &attempt.answer {
        Answer::Closed { code: 1009, .. } => true,
        Answer::Closed { code: 1008, reason, .. } => reason.contains("invalid request frame"),
        // Nobody's time is up so soon: it is about what was sent.
        Answer::Closed { code: 1000, reason, upgraded: true } => {
            let waited = attempt.ended.map(|ended| ended.saturating_sub(attempt.at));
            reason.is_empty()
                && attempt.sent == Some(true)
                && waited.is_some_and(|waited| waited < WAITS_AT_LEAST)
        }
        _ => false,
    };
    case.all(unread).then(|| {
        let why = "the gateway cannot read the client's first message: it is none, or too large";
        Finding::new(Cause::BrokenHandshake, Likely, why).not(Cause::NotApproved, NOT_PAIRING)
    })
}
