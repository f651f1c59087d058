//! What to type, for the release at hand: what ends the cause ([`crate::diagnosis::cures`]), and what only a probe knows to say.

use protocol::ProfileName;
use protocol::scope::{READ, WRITE};

use super::holdings;
use super::pointed::Pointed;
use super::release::Told;
use super::seen::{Look, Seen};
use super::store::StoreForm;
use crate::diagnosis::Cure;
use crate::diagnosis::cures::{self, Facts};
use crate::observation::Outcome;
use crate::vocabulary::cause::Cause;

fn cure(what: &str, command: &str) -> Cure {
    Cure { what: what.to_owned(), commands: vec![command.to_owned()] }
}

/// What ends a cause.
pub(super) fn of(cause: Cause, pointed: &Pointed, seen: &Seen, told: &Told) -> Vec<Cure> {
    let is_refused = seen.certificate.as_ref().is_some_and(|shown| shown.refused.is_some());
    if cause == Cause::CannotTell && is_refused {
        return vec![cure(
            "On the gateway's machine, see whether the fingerprint is that of its certificate.",
            "openssl x509 -in <CERTIFICATE> -noout -fingerprint -sha256",
        )];
    }
    let mut cures = cures::of(cause, &facts(pointed, seen, told));
    if matches!(cause, Cause::NarrowRotation | Cause::ReadOnlyPoisoned | Cause::ScopeLadder) {
        cures.extend(by_hand(pointed, told));
    }
    cures
}

fn facts(pointed: &Pointed, seen: &Seen, told: &Told) -> Facts {
    let mut wanted = holdings::held(pointed, seen).unwrap_or_default();
    wanted.extend(holdings::asked(pointed).unwrap_or_else(|| vec![READ.to_owned(), WRITE.to_owned()]));
    let entry = pointed.store.as_ref().and_then(|store| store.entry.as_ref());
    let are_approved = entry.is_some_and(|entry| {
        let approved = entry.approved_scopes.as_ref().unwrap_or(&entry.scopes);
        wanted.iter().all(|scope| approved.contains(scope))
    });
    Facts {
        release: told.profile,
        device: pointed.device_id().map(str::to_owned),
        request: request_id(pointed, seen),
        role: Some(pointed.role.clone()),
        wanted,
        are_approved,
        origin: pointed.origin.clone(),
        ..Facts::default()
    }
}

/// The id of the request that this device has waiting, from the answer or the store.
fn request_id(pointed: &Pointed, seen: &Seen) -> Option<String> {
    let told = seen.answers().into_iter().find_map(|(look, answer)| {
        match &answer.as_ref()?.as_ref().ok()?.outcome {
            Outcome::Refused(refusal) if matches!(look, Look::Device | Look::NewDevice) => {
                refusal.request_id.clone()
            }
            _ => None,
        }
    });
    let waiting = || pointed.store.as_ref()?.waiting.first().map(|waiting| waiting.request_id.clone());
    told.or_else(waiting)
}

/// Where the command line itself is the device that is too narrow, nobody is left to approve it. Tried on a real 2026.2.19.
fn by_hand(pointed: &Pointed, told: &Told) -> Option<Cure> {
    let in_files = match &pointed.store {
        Some(store) => store.form == StoreForm::Json,
        None => told.profile.is_some_and(|profile| profile != ProfileName::V2026_9_6),
    };
    in_files.then(|| {
        cure(
            "If `openclaw devices` is refused as well, break the glass: add the scopes to `scopes` of this device's entry (and to \
             `approvedScopes`, where it is there) in devices/paired.json, keep a copy, and let the gateway read it.",
            "openclaw gateway restart",
        )
    })
}
