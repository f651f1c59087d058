//! Was the device approved, where, and does its client know?

use super::Finding;
use crate::diagnosis::answer::Confidence::{Certain, Likely, Possible};
use crate::diagnosis::case::{Case, Pairing, Reason, names_device_token, refusal};
use crate::diagnosis::evidence::{Act, ActEnd, ActKind, CredentialKind, RefusalSeen};
use crate::vocabulary::Nanos;
use crate::vocabulary::cause::Cause;

/// Silence after an approval that is no pause of somebody who tries again by himself, ns.
const SILENCE: Nanos = 3_000_000_000;

/// Refused for pairing, approved since, and not one attempt more.
pub(super) fn paused_client(case: &Case<'_>) -> Option<Finding> {
    if case.row.over {
        return None;
    }
    let last = case.client.attempts.last()?;
    if !refusal(last).is_some_and(RefusalSeen::is_pairing) {
        return None;
    }
    let approved = case.client.acts.iter().rev().find(|act| {
        act.end == ActEnd::Done && matches!(act.kind, ActKind::Approve { .. }) && act.told_at() >= last.at
    })?;
    let pauses = case.client.attempts.iter().zip(case.client.attempts.iter().skip(1));
    let longest = pauses.map(|(one, next)| next.at.saturating_sub(one.at)).max().unwrap_or_default();
    let silent = case.gateway.ends.saturating_sub(approved.told_at());
    (silent >= SILENCE && silent > longest.saturating_mul(2)).then(|| {
        let why = format!(
            "the device was approved {:.1} s before the end of what is known, and its client has not tried since: it waits \
             to be started again",
            silent as f64 / 1e9
        );
        let sure = if longest > 0 { Likely } else { Certain };
        Finding::new(Cause::PausedClient, sure, why)
            .not(Cause::NotApproved, "somebody approved it")
            .not(Cause::ApprovedElsewhere, "no attempt after the approval was refused")
    })
}

/// Never approved, never known, and no proxy in between that would explain it.
pub(super) fn not_approved(case: &Case<'_>) -> Option<Finding> {
    let token_was_removed = case.token_was_removed();
    let said = match pairing_of_nobody(case) {
        Some(pairing) => pairing.said,
        None if token_was_removed => true,
        None => return None,
    };
    if case.approval().is_some() || foreign_request(case).is_some() || case.untrusted_proxy().is_some() {
        return None;
    }
    let ends = case.done().rfind(|act| matches!(act.kind, ActKind::Remove | ActKind::Reject));
    if ends.is_none() && (case.was_known().is_some() || dropped(case)) {
        return None;
    }
    let mut finding = match ends {
        Some(Act { kind: ActKind::Reject, .. }) => {
            Finding::new(Cause::NotApproved, Certain, "somebody rejected the device's request")
        }
        Some(_) => Finding::new(
            Cause::NotApproved,
            Certain,
            "somebody removed the device, and nobody approved it since",
        ),
        None if said => {
            Finding::new(Cause::NotApproved, Certain, "the device waits to be approved, and nobody has")
        }
        None => Finding::new(
            Cause::NotApproved,
            Likely,
            "the device waits to be approved, as it seems, and nobody has",
        )
        .lacks("the reason, which this release writes into its log only"),
    };
    if case.row.request_ids > 1 {
        finding = finding.shows(format!(
            "{} request ids were told: an id that is approved too late is unknown by then (F10, F11)",
            case.row.request_ids
        ));
    }
    if token_was_removed {
        finding =
            finding.not(Cause::StaleDeviceToken, "the token went with the entry, and none takes its place");
    }
    if ends.is_none() {
        finding = finding.not(Cause::LostStore, "the gateway has not known the device before");
    }
    Some(finding.not(Cause::ApprovedElsewhere, "no approval of this device was acknowledged"))
}

/// Approved, acknowledged, and refused as if it were not.
pub(super) fn approved_elsewhere(case: &Case<'_>) -> Option<Finding> {
    pairing_of_nobody(case)?;
    if let Some(approval) = case.approval() {
        // What a restart lost was in the gateway's own store.
        if case.lost_by_restart(approval.told_at()).is_some() {
            return None;
        }
        // A connect that was under way when the approval was given may be refused.
        let after = case.streak.iter().filter(|attempt| attempt.at > approval.told_at()).count();
        if after == 0 {
            return None;
        }
        let other = match (&approval.state_dir, &case.gateway.config.state_dir) {
            (Some(to), Some(of)) if to != of => {
                Some(format!("the approval went to {to}, the gateway's state is in {of}"))
            }
            _ => None,
        };
        let why = "an approval of this device was acknowledged, and the gateway goes on as if there were none: it was written \
                   to another state directory than the gateway reads";
        let sure = if other.is_some() || after > 1 { Certain } else { Likely };
        let mut finding = Finding::new(Cause::ApprovedElsewhere, sure, why)
            .not(Cause::NotApproved, "somebody approved it, and was told that it was done")
            .not(Cause::LostStore, "no restart of the gateway came between approval and refusal");
        if let Some(other) = other {
            finding = finding.shows(other);
        }
        return Some(finding);
    }
    let in_vain = approvals_in_vain(case);
    if in_vain >= 2 {
        let why = "the device was approved again and again, and after each approval the gateway knew nothing of it: it reads another \
                   state directory, or one that somebody else writes";
        return Some(
            Finding::new(Cause::ApprovedElsewhere, Likely, why)
                .shows(format!(
                    "{in_vain} approvals were acknowledged, and a refusal as not paired followed each"
                ))
                .not(Cause::NotApproved, "somebody approved it, and was told that it was done")
                .lacks("who else writes to the gateway's state directory"),
        );
    }
    let act = foreign_request(case)?;
    let why = "the request that the gateway names is unknown where it was to be approved, before and while the gateway names \
               it: the command looked into another state directory";
    let finding = Finding::new(Cause::ApprovedElsewhere, Likely, why)
        .shows(act.to_string())
        .not(Cause::NotApproved, "somebody tried to approve the very request that the gateway still names")
        .lacks("which state directory the command used");
    Some(finding)
}

/// The gateway knew it, and says that it does not.
pub(super) fn lost_store(case: &Case<'_>) -> Option<Finding> {
    let pairing = pairing_of_nobody(case);
    // Who presents a device token of an entry that is gone is told of the token, not of pairing.
    let by_token = case.all_refused(names_device_token) && case.credential() != Some(CredentialKind::Shared);
    if pairing.is_none() && !by_token {
        return None;
    }
    let approval = case.done().rfind(|act| matches!(act.kind, ActKind::Approve { .. }));
    let approval = approval.map(|approval| (approval.told_at(), "somebody approved it"));
    let (known, how) = case.was_known().max(approval)?;
    let removed = case.done().any(|act| act.at >= known && matches!(act.kind, ActKind::Remove));
    if removed {
        return None;
    }
    let restart = case.lost_by_restart(known);
    let why = "the gateway knew this device and no longer does: what it kept of it is gone";
    let mut finding = match (restart, dropped(case)) {
        (Some(_), _) => Finding::new(Cause::LostStore, if by_token { Likely } else { Certain }, why)
            .shows(format!("{how}, then the gateway was started again, and then it was unknown")),
        (None, true) => {
            Finding::new(Cause::LostStore, Certain, why).shows("its entry was taken out of the store by hand")
        }
        (None, false) => Finding::new(Cause::LostStore, if by_token { Possible } else { Likely }, why)
            .shows(format!("{how}, and later it was unknown"))
            .lacks("whether somebody removed the device"),
    };
    finding = finding.not(Cause::NotApproved, format!("{how} before"));
    Some(finding)
}

/// A refusal as of a device that the gateway does not know.
fn pairing_of_nobody(case: &Case<'_>) -> Option<Pairing> {
    case.pairing().filter(|pairing| pairing.reason == Reason::NotPaired)
}

/// Approvals that were acknowledged and followed by a refusal before the next one, of a device that nobody removed and that never got
/// in, without a restart.
fn approvals_in_vain(case: &Case<'_>) -> usize {
    let approvals: Vec<Nanos> =
        case.done().filter(|act| matches!(act.kind, ActKind::Approve { .. })).map(Act::told_at).collect();
    let undone = case.done().any(|act| matches!(act.kind, ActKind::Remove | ActKind::Reject));
    let Some(first) = approvals.first() else { return 0 };
    if undone || case.was_known().is_some() || case.restart_since(*first).is_some() {
        return 0;
    }
    let until = approvals.iter().skip(1).copied().chain([Nanos::MAX]);
    let spans = approvals.iter().copied().zip(until);
    spans
        .filter(|(told, next)| case.streak.iter().any(|attempt| attempt.at > *told && attempt.at < *next))
        .count()
}

/// The entry was taken out by hand.
fn dropped(case: &Case<'_>) -> bool {
    case.done().any(|act| matches!(act.kind, ActKind::Edit { scopes: None }))
}

/// Somebody could not approve a request that the gateway named before and after, because it was unknown there.
fn foreign_request<'a>(case: &Case<'a>) -> Option<&'a Act> {
    case.client.acts.iter().rev().find(|act| {
        let ActKind::Approve { request_id: Some(id) } = &act.kind else { return false };
        let ActEnd::Refused(text) = &act.end else { return false };
        let named = |attempt: &&&crate::diagnosis::evidence::Attempt| {
            refusal(attempt).is_some_and(|refusal| refusal.request_id.as_ref() == Some(id))
        };
        let before = case.streak.iter().filter(named).any(|attempt| attempt.at <= act.at);
        let after = case.streak.iter().filter(named).any(|attempt| attempt.at >= act.told_at());
        text.contains("unknown requestId") && before && after
    })
}
