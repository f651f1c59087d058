//! Do the scopes, the role and the metadata that the device holds suffice?

use super::Finding;
use super::credential::{rotated_narrow, rotation_lacks};
use crate::diagnosis::answer::Confidence::{Certain, Likely, Possible};
use crate::diagnosis::case::{Case, Reason, names_device_token};
use crate::diagnosis::evidence::{ActKind, Answer};
use crate::vocabulary::cause::Cause;

const READ: &str = "operator.read";

/// A refusal about scopes, and whether it says so itself.
fn of_scopes(case: &Case<'_>) -> Option<bool> {
    if let Some(pairing) = case.pairing() {
        return match pairing.reason {
            Reason::Scopes => Some(pairing.said),
            // The gateway looks at the role first, and of such an entry it could say the same of the scopes.
            Reason::Role if case.entry_is_bare() => Some(false),
            _ => None,
        };
    }
    if case.token_is_too_narrow() {
        return Some(false);
    }
    case.all_refused(|refusal| {
        refusal.detail_code.as_deref() == Some("AUTH_SCOPE_MISMATCH")
            || refusal.message.contains("device token scope mismatch")
    })
    .then_some(true)
}

/// A rotation left the token narrower than what is asked.
pub(super) fn narrow_rotation(case: &Case<'_>) -> Option<Finding> {
    let by_token = case.all_refused(names_device_token);
    let said = of_scopes(case);
    if (said.is_none() && !by_token) || !rotated_narrow(case) {
        return None;
    }
    let lacking = rotation_lacks(case)?;
    let why =
        format!("the last rotation left the token without {}, which the client asks", lacking.join(", "));
    let sure = if said == Some(true) { Certain } else { Likely };
    let finding = Finding::new(Cause::NarrowRotation, sure, why)
        .not(Cause::ScopeLadder, "before the rotation its scopes sufficed, as far as is known");
    Some(
        finding.not(
            Cause::StaleDeviceToken,
            "the client presents the newest token there is, or the shared secret",
        ),
    )
}

/// Something that only reads was the first to pair the device, which holds `operator.read` alone since.
pub(super) fn read_only_poisoned(case: &Case<'_>) -> Option<Finding> {
    let said = of_scopes(case)?;
    let (_, says) = case.held_scopes().filter(|(held, _)| only_reads(held))?;
    // Somebody may have approved just that: what tells is a session of a probe.
    if !case.began_with(READ) || case.done().any(|act| matches!(act.kind, ActKind::Rotate { .. })) {
        return None;
    }
    let why = "the device holds operator.read and nothing else: something that only reads was the first to pair it, and now its \
               client has to do more";
    let finding = Finding::new(Cause::ReadOnlyPoisoned, if said { Certain } else { Likely }, why)
        .shows(format!("it holds {READ} alone; {says}"))
        .shows(format!("its first session asked for {READ} alone"))
        .not(Cause::ScopeLadder, "it never held more than a probe asks")
        .not(Cause::NotApproved, "the gateway knows the device");
    Some(finding)
}

/// The client asks for more than the device holds.
pub(super) fn scope_ladder(case: &Case<'_>) -> Option<Finding> {
    let said = of_scopes(case)?;
    let lacking = case.scopes_lacking().filter(|lacking| !lacking.is_empty());
    let approvals = case.done().filter(|act| matches!(act.kind, ActKind::Approve { .. })).count();
    let why = match &lacking {
        Some(lacking) => {
            format!("the client asks for {}, which the device does not hold", lacking.join(", "))
        }
        None => "the client asks for more scopes than the device holds".to_owned(),
    };
    let sure = match (said, &lacking) {
        (true, _) => Certain,
        (false, Some(_)) => Likely,
        (false, None) => Possible,
    };
    let mut finding = Finding::new(Cause::ScopeLadder, sure, why)
        .not(Cause::NotApproved, "the gateway knows the device: it asks for an upgrade")
        .not(Cause::NarrowRotation, "no rotation that is known of took a scope away");
    match case.held_scopes() {
        _ if case.entry_is_bare() => {
            finding =
                finding.shows("its entry has neither roles nor scopes, as older builds wrote them (F02)");
        }
        Some((held, says)) => {
            if only_reads(&held) {
                finding = finding.lacks(
                    "whether something that only reads was the first to pair it (read-only-poisoned; what ends it is the same)",
                );
            }
            finding = finding.shows(format!("it holds {}; {says}", held.join(", ")));
        }
        None => finding = finding.lacks("which scopes the device holds (`openclaw devices list --json`)"),
    }
    if approvals > 0 {
        finding = finding.shows(format!("{approvals} approvals before did not suffice"));
    }
    Some(finding)
}

fn only_reads(held: &[String]) -> bool {
    held.iter().eq([READ])
}

pub(super) fn role(case: &Case<'_>) -> Option<Finding> {
    let pairing = case.pairing().filter(|pairing| pairing.reason == Reason::Role)?;
    if case.entry_is_bare() {
        return None;
    }
    let asked = case.last().and_then(|attempt| attempt.role.as_deref()).unwrap_or("operator");
    let why = format!("the client asks for the role {asked}, which the device does not hold");
    let mut finding = Finding::new(Cause::Role, if pairing.said { Certain } else { Likely }, why)
        .not(Cause::NotApproved, "the gateway knows the device: it asks for an upgrade")
        .not(Cause::ScopeLadder, "the gateway names the role");
    if let Some(revoked) = case.done().rfind(|act| matches!(act.kind, ActKind::Revoke { .. })) {
        finding = finding.shows(format!("before that, {revoked}"));
    }
    Some(finding)
}

pub(super) fn metadata_pin(case: &Case<'_>) -> Option<Finding> {
    case.pairing().filter(|pairing| pairing.reason == Reason::Metadata)?;
    let why = "the platform or family that the client claims is not the one that the gateway has pinned for the device";
    let mut finding = Finding::new(Cause::MetadataPin, Certain, why)
        .not(Cause::NotApproved, "the gateway knows the device")
        .not(Cause::LostStore, "the gateway knows the device");
    let claimed = case.last().and_then(|attempt| attempt.platform.as_deref());
    let pinned = case.entry().and_then(|entry| entry.platform.as_ref());
    if let (Some(claimed), Some(Some(pinned))) = (claimed, pinned) {
        finding = finding.shows(format!("the client claims `{claimed}`, the entry has `{pinned}`"));
    }
    let before = case.session_before.map(|session| (session.platform.as_deref(), &session.answer));
    if let (Some((Some(was), Answer::Session { .. })), Some(now)) = (before, claimed)
        && was != now
    {
        finding = finding.shows(format!("its last session claimed `{was}`, now it is `{now}`"));
    }
    Some(finding)
}
