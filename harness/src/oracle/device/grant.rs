//! What is wrong with a `hello.auth`.

use super::DeviceJudge;
use crate::observation::{GrantAuth, Observation, Outcome};
use crate::oracle::alphabet::{Alphabet, Listed};
use crate::oracle::explain::seconds;
use crate::oracle::form;
use crate::oracle::rules::Variant;
use crate::oracle::state::{Granted, Ident, Out};
use crate::oracle::verdict::MismatchKind;

impl DeviceJudge<'_, '_, '_> {
    /// What is wrong with a `hello.auth` that says what the connection may do.
    fn live_fault(&self, auth: &GrantAuth, variant: &Variant, due: Option<Ident>) -> (MismatchKind, String) {
        let asked = &variant.facts.scopes;
        if let Some(foreign) = auth.scopes.iter().find(|scope| !asked.contains(scope)) {
            let why = format!("hello.auth grants {}, which was not asked for", form::quoted(foreign));
            return (MismatchKind::FalseAccept, why);
        }
        let why = match (due, auth.token) {
            _ if auth.scopes != variant.distinct_scopes => {
                "hello.auth does not grant what was asked, in that order".to_owned()
            }
            (Some(_), None) => "hello.auth carries no device token".to_owned(),
            (None, Some(_)) => "hello.auth carries a device token, and none is due".to_owned(),
            (Some(Ident::Seen(due)), Some(token)) if token.0 != due => {
                "hello.auth carries another device token than the stored one, which nothing replaced"
                    .to_owned()
            }
            (Some(Ident::Unseen { since }), Some(token))
                if self.sightings.token_mark(token).is_some_and(|mark| mark.first < since) =>
            {
                format!(
                    "hello.auth carries an old device token; it had to be replaced after {}",
                    seconds(since)
                )
            }
            _ => format!("hello.auth names role {}", form::quoted(&auth.role)),
        };
        (MismatchKind::WrongGrant, why)
    }

    pub(super) fn grant_fault(
        &self,
        observation: &Observation,
        variant: &Variant,
        outs: &[Out],
        alphabet: &Alphabet<'_>,
    ) -> (MismatchKind, String) {
        let due = outs.iter().find_map(|out| match out {
            Out::Session(granted) => Some(*granted),
            _ => None,
        });
        let auth = match &observation.outcome {
            Outcome::Session(grant) => grant.auth.as_ref(),
            _ => None,
        };
        let (due_scopes, due_secret) = match (due, auth) {
            (Some(Granted::Absent), Some(_)) => {
                return (MismatchKind::WrongGrant, "hello.auth must be absent: no token is due".to_owned());
            }
            (Some(Granted::Live { secret }), Some(auth)) => {
                return self.live_fault(auth, variant, secret);
            }
            (Some(Granted::Token { scopes, secret }), Some(_)) => (scopes, secret),
            _ => return (MismatchKind::WrongGrant, "hello.auth is absent".to_owned()),
        };
        let Some(auth) = auth else { return (MismatchKind::WrongGrant, "hello.auth is absent".to_owned()) };
        let within = |seen| {
            outs.iter()
                .any(|out| matches!(out, Out::Session(Granted::Token { scopes, .. }) if scopes.covers(seen)))
        };
        let due_text = alphabet.text(due_scopes);
        match alphabet.listed(&auth.scopes) {
            Listed::Foreign => {
                let foreign =
                    auth.scopes.iter().find(|scope| alphabet.set([scope.as_str()]) == alphabet.set([]));
                return (
                    MismatchKind::FalseAccept,
                    format!(
                        "hello.auth grants {}, which nobody asked for; {due_text} is due",
                        form::quoted(foreign.map_or("", String::as_str))
                    ),
                );
            }
            Listed::Sorted(seen) | Listed::Unsorted(seen) if !within(seen) => {
                return (
                    MismatchKind::FalseAccept,
                    format!(
                        "hello.auth grants {}, more than the {due_text} that is due",
                        alphabet.text(seen)
                    ),
                );
            }
            Listed::Sorted(seen) if seen != due_scopes => {
                return (
                    MismatchKind::WrongGrant,
                    format!("hello.auth grants {}, not the {due_text} that is due", alphabet.text(seen)),
                );
            }
            Listed::Unsorted(_) => {
                return (
                    MismatchKind::WrongGrant,
                    "the scopes in hello.auth are not sorted and free of repeats".to_owned(),
                );
            }
            Listed::Sorted(_) => {}
        }
        let why = match (auth.token, due_secret) {
            (None, _) => "hello.auth carries no device token".to_owned(),
            (Some(token), Ident::Seen(due)) if token.0 != due => {
                "hello.auth carries another device token than the stored one, which nothing replaced"
                    .to_owned()
            }
            (Some(token), Ident::Unseen { since })
                if self.sightings.token_mark(token).is_some_and(|mark| mark.first < since) =>
            {
                format!(
                    "hello.auth carries an old device token; it had to be replaced after {}",
                    seconds(since)
                )
            }
            _ => format!("hello.auth names role {}", form::quoted(&auth.role)),
        };
        (MismatchKind::WrongGrant, why)
    }
}
