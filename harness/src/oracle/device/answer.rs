//! What an answer says about the device's state.

use super::Pursued;
use super::sightings::Sightings;
use crate::observation::{Observation, Outcome};
use crate::oracle::alphabet::{Alphabet, Listed};
use crate::oracle::rules::Variant;
use crate::oracle::state::{Claim, Seen, SeenAuth};
use crate::oracle::{Secret, classify};
use crate::plan::AuthMode;

/// Whether a device token decides about the credential: it was presented, and nothing else is good.
pub(super) fn decides_by_token(connect: &Pursued<'_, '_>, auth: AuthMode) -> bool {
    let facts = &connect.variant.facts;
    let shared = facts.sent.is_good_shared(auth, connect.variant.release);
    connect.observation.presented_token.is_some()
        && facts.sent.candidate() == Secret::Issued
        && auth != AuthMode::None
        && !shared
}

/// What an answer says about the device's state.
pub(super) fn seen(
    observation: &Observation,
    variant: &Variant,
    claim: &Claim,
    alphabet: &Alphabet<'_>,
    sightings: &Sightings<'_>,
) -> Seen {
    match &observation.outcome {
        Outcome::Session(grant) => Seen::Session(grant.auth.as_ref().map(|auth| {
            let as_asked = auth.scopes == variant.distinct_scopes;
            SeenAuth {
                role_fits: auth.role == variant.facts.role,
                scopes: if as_asked && variant.asks_in_order {
                    Listed::Sorted(claim.scopes)
                } else {
                    alphabet.listed(&auth.scopes)
                },
                as_asked,
                token: auth.token.and_then(|token| sightings.token_mark(token)),
            }
        })),
        Outcome::Refused(refusal) => {
            let class = classify::refusal_class(refusal);
            let id = || {
                (refusal.request_id.as_deref())
                    .filter(|id| !id.is_empty())
                    .and_then(|id| sightings.id_mark(id))
            };
            match classify::pairing_reason(class) {
                Some(reason) => Seen::Pairing { reason: Some(reason), id: id() },
                None if classify::is_pairing(class) && variant.due_of_class(class).is_some() => {
                    Seen::Pairing { reason: None, id: id() }
                }
                None if class == variant.bad_token.class => Seen::TokenRefused { narrow: false },
                None if class == variant.narrow_token.class => Seen::TokenRefused { narrow: true },
                None if class == variant.stale().class => Seen::Stale,
                None => Seen::Foreign,
            }
        }
        _ => Seen::Open,
    }
}
