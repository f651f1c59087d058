//! Is the credential the right one?

use super::Finding;
use crate::diagnosis::answer::Confidence::{Certain, Likely, Possible};
use crate::diagnosis::case::{Case, names_device_token, refusal};
use crate::diagnosis::evidence::{ActKind, Attempt, CredentialKind, RefusalSeen};
use crate::vocabulary::cause::Cause;

fn detail(refusal: &RefusalSeen) -> &str {
    refusal.detail_code.as_deref().unwrap_or_default()
}

/// The shared secret was wrong or missing.
fn of_shared(attempt: &Attempt) -> bool {
    let Some(refusal) = refusal(attempt) else { return false };
    let by_code = matches!(
        detail(refusal),
        "AUTH_TOKEN_MISMATCH"
            | "AUTH_TOKEN_MISSING"
            | "AUTH_TOKEN_NOT_CONFIGURED"
            | "AUTH_PASSWORD_MISMATCH"
            | "AUTH_PASSWORD_MISSING"
            | "AUTH_PASSWORD_NOT_CONFIGURED"
    );
    let said = ["gateway token m", "gateway password m", "unauthorized: token_m"];
    by_code
        || said.iter().any(|words| refusal.message.contains(words))
        // 2026.2.19 and 2026.2.21 say "device token" of a wrong shared one, too.
        || says_device_of_shared(attempt)
}

fn says_device_of_shared(attempt: &Attempt) -> bool {
    attempt.credential == Some(CredentialKind::Shared)
        && refusal(attempt).is_some_and(|refusal| {
            names_device_token(refusal) && detail(refusal) != "AUTH_DEVICE_TOKEN_MISMATCH"
        })
}

/// The device token was wrong.
fn of_device(attempt: &Attempt) -> bool {
    refusal(attempt).is_some_and(names_device_token)
}

fn is_limited(attempt: &Attempt) -> bool {
    refusal(attempt).is_some_and(|refusal| {
        detail(refusal) == "AUTH_RATE_LIMITED"
            || refusal.message.contains("too many failed authentication attempts")
    })
}

/// The client's own shared secret is refused; being locked out is what follows.
pub(super) fn token_drift(case: &Case<'_>) -> Option<Finding> {
    let own = |attempt: &Attempt| {
        of_shared(attempt) && !(of_device(attempt) && attempt.credential == Some(CredentialKind::DeviceToken))
    };
    let explains = case.all(|attempt| own(attempt) || is_limited(attempt));
    let began = case.client.attempts.iter().any(own);
    let shows_nothing = case.shows_nothing();
    if !(shows_nothing || explains && began) {
        return None;
    }
    let missing = shows_nothing || case.refusals().any(|refusal| refusal.message.contains("missing"));
    let why = if missing && case.credential() == Some(CredentialKind::Shared) {
        "the gateway wants a secret of another kind than the client presents: a token, or a password"
    } else if missing {
        "the client presents no token or password, and the gateway wants one"
    } else {
        "the token or password that the client presents is not the one that the gateway runs with"
    };
    let sure = if shows_nothing { Likely } else { Certain };
    let mut finding = Finding::new(Cause::TokenDrift, sure, why)
        .not(Cause::NotApproved, "credentials are looked at before devices, and approving changes none");
    if shows_nothing {
        finding = finding.shows(
            "the gateway names the device, which it does not show either; a token alone lets an operator in",
        );
    }
    if let Some(session) = case.session_before {
        finding = match case.restart_since(session.at) {
            Some(_) => finding
                .shows("it had a session until the gateway was started again: the gateway's secret changed"),
            None => finding.shows("it had a session with it before"),
        };
    }
    if case.recent.iter().any(|attempt| is_limited(attempt)) {
        finding = finding.not(
            Cause::RateLimitedNeighbour,
            "the client itself presented the wrong credential that the lock-out is about",
        );
    }
    Some(finding)
}

/// The client's device token is refused.
pub(super) fn stale_device_token(case: &Case<'_>) -> Option<Finding> {
    // A repair takes turns with it: "pairing required", approved, and the old token again (F19, F21).
    let turns = |attempt: &Attempt| refusal(attempt).is_some_and(RefusalSeen::is_pairing);
    let of_own = |attempt: &Attempt| of_device(attempt) && !says_device_of_shared(attempt);
    let explains = case.all(|attempt| of_own(attempt) || is_limited(attempt) || turns(attempt));
    let some_are = case.recent.iter().any(|attempt| of_own(attempt));
    // Another token would not help whom the device's scopes, its removal or a lost store keep out.
    let is_other =
        rotated_narrow(case) || case.token_is_too_narrow() || case.token_was_removed() || lost(case);
    if !(explains && some_are) || is_other {
        return None;
    }
    let taken = case.done().rfind(|act| {
        matches!(
            act.kind,
            ActKind::Rotate { .. } | ActKind::Revoke { .. } | ActKind::Remove | ActKind::Approve { .. }
        )
    });
    let why = "the client presents a device token that is not the one that the gateway holds for it";
    let mut finding = match taken {
        Some(act) => Finding::new(Cause::StaleDeviceToken, Certain, why).shows(format!("before that, {act}")),
        None => Finding::new(Cause::StaleDeviceToken, Likely, why)
            .lacks("whether somebody rotated, revoked or removed it, or the client's key is new"),
    };
    if case.last().and_then(|attempt| attempt.newest_token) == Some(false) {
        finding = finding.shows("a newer token was handed out than the client presents");
    }
    Some(finding.not(Cause::TokenDrift, "the gateway names the device token, not the shared one"))
}

/// The last rotation gave the token fewer scopes than the client asks, and the client presents that token.
pub(super) fn rotated_narrow(case: &Case<'_>) -> bool {
    let Some(lacking) = rotation_lacks(case) else { return false };
    !lacking.is_empty() && case.last().and_then(|attempt| attempt.newest_token) != Some(false)
}

/// Scopes that the client asks and the last rotation left out; `None` = none was rotated to scopes of its own.
pub(super) fn rotation_lacks(case: &Case<'_>) -> Option<Vec<String>> {
    let last = case.done().rfind(|act| {
        matches!(
            act.kind,
            ActKind::Rotate { .. } | ActKind::Edit { .. } | ActKind::Approve { .. } | ActKind::Remove
        )
    })?;
    let ActKind::Rotate { scopes: Some(scopes), .. } = &last.kind else { return None };
    let asked = case.asked_scopes()?;
    let covered = |asked: &&String| super::super::release::covers(case.gateway.release, scopes, asked);
    Some(asked.iter().filter(|asked| !covered(asked)).cloned().collect())
}

/// A restart, and nobody took the token back: the gateway no longer knows the device.
fn lost(case: &Case<'_>) -> bool {
    let Some((known, _)) = case.was_known() else { return false };
    let taken = case.done().any(|act| {
        act.at >= known
            && matches!(
                act.kind,
                ActKind::Rotate { .. } | ActKind::Revoke { .. } | ActKind::Remove | ActKind::Approve { .. }
            )
    });
    let dropped = case.done().any(|act| matches!(act.kind, ActKind::Edit { scopes: None }));
    dropped || (!taken && case.lost_by_restart(known).is_some() && case.session_before.is_some())
}

pub(super) fn bootstrap_spent(case: &Case<'_>) -> Option<Finding> {
    case.all_refused(|refusal| {
        detail(refusal) == "AUTH_BOOTSTRAP_TOKEN_INVALID"
            || refusal.message.contains("bootstrap token invalid")
            || refusal.message.contains("bootstrap_token_invalid")
            || refusal.message.contains("setup code invalid")
    })
    .then(|| {
        let why = "the setup code works once and for ten minutes, and this one was used or has expired";
        Finding::new(Cause::BootstrapSpent, Certain, why)
            .not(Cause::TokenDrift, "the gateway names the setup code, not the shared token")
    })
}

/// Locked out without having presented anything wrong.
pub(super) fn rate_limited_neighbour(case: &Case<'_>) -> Option<Finding> {
    if !case.all(is_limited) {
        return None;
    }
    let why = "the address is locked out, and this client presented nothing wrong: somebody else who comes from it did";
    let whole = case.client.left_out == 0;
    let finding = Finding::new(Cause::RateLimitedNeighbour, if whole { Likely } else { Possible }, why)
        .not(Cause::TokenDrift, "none of this client's attempts was told that its own credential is wrong")
        .lacks("who else comes from this address, and what they present");
    Some(finding)
}
