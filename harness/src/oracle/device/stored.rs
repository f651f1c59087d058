//! The device's state before the run.

use crate::observation::{Fingerprint, fingerprint};
use crate::oracle::alphabet::{Alphabet, ROLES_MAX, RoleSet};
use crate::oracle::rules::Texts;
use crate::oracle::state::{Away, Entry, Ident, State, Token};
use crate::oracle::{CohortRules, Oracle};
use crate::plan::{PlannedClient, StoredEntry, StoredMetadata};
use protocol::scope::ROLE_NODE;

/// The device's state before the run; `tokens` are those of [`tokens`].
pub(super) fn start(
    rules: &CohortRules<'_>,
    client: &PlannedClient,
    tokens: &[(&str, Fingerprint)],
    alphabet: &Alphabet<'_>,
    texts: &Texts,
) -> State {
    let nothing = State { entry: None, pending: None, edited: None, away: Away::default() };
    // The store knows nobody who has lost a key since.
    let known = rules.cohort.stored.as_ref().filter(|_| client.life == 0);
    let (Some(stored), Some(ask)) = (known, rules.ask(0)) else { return nothing };
    let scopes = alphabet.set(stored.scopes.iter().map(String::as_str));
    let roles =
        stored.roles.iter().filter_map(|role| alphabet.role(role)).fold(RoleSet::default(), RoleSet::with);
    let number =
        |text: Option<&str>| text.and_then(|text| texts.number(&protocol::device::normalized_metadata(text)));
    let (platform, family) = metadata(rules, stored);
    let mut entry = Entry {
        roles,
        scopes,
        approved: Some(scopes),
        platform: number(platform),
        family: number(family),
        repairable: false,
        browser: ask.variant(false).facts.is_browser(),
        tokens: [None; ROLES_MAX],
    };
    for &(role, token) in tokens {
        let Some(number) = alphabet.role(role) else { continue };
        let scopes = if role == ROLE_NODE { alphabet.set([]) } else { scopes };
        let secret = Ident::Seen(token.0);
        entry.set_token(number, Token { secret, scopes, revoked: false, bound: false });
    }
    State { entry: Some(entry), ..nothing }
}

/// Role and fingerprint of the tokens that the store fixture gives to the client: one for each approved role.
pub(super) fn tokens<'a>(
    oracle: &'a Oracle<'_>,
    rules: &CohortRules<'a>,
    client: &'a PlannedClient,
) -> impl Iterator<Item = (&'a str, Fingerprint)> {
    let cohort = rules.cohort;
    let stored = cohort.stored.as_ref().filter(|stored| stored.tokens && client.life == 0);
    stored.into_iter().flat_map(|stored| &stored.roles).map(move |role| {
        let token = oracle.identities.stored_token(&cohort.name, client.index, role);
        (role.as_str(), fingerprint(&token))
    })
}

/// Stored platform and family of a fixture.
pub(super) fn metadata<'a>(
    rules: &'a CohortRules<'_>,
    stored: &'a StoredEntry,
) -> (Option<&'a str>, Option<&'a str>) {
    match &stored.metadata {
        StoredMetadata::Same => {
            let spec = &rules.cohort.connect;
            (Some(spec.platform.as_str()), spec.device_family.as_deref())
        }
        StoredMetadata::Legacy => (None, None),
        StoredMetadata::Other { platform, device_family } => {
            (Some(platform.as_str()), device_family.as_deref())
        }
    }
}
