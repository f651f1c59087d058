//! From what was seen of an attempt to its record.

use super::attempt::Who;
use super::lane::Lane;
use crate::client::Hello;
use crate::history::{AttemptRef, GrantAuthRef, GrantRef, OutcomeRef, Record};
use crate::observation::{Fingerprint, Observation, Outcome, ScriptPlace, Stamps};
use crate::plan::Nanos;

/// What an attempt was made for.
#[derive(Clone, Copy)]
pub(super) struct Made {
    /// Which of the cohort's connects.
    pub(super) ask: u16,
    /// In which step of its client's script.
    pub(super) step: Option<ScriptPlace>,
    /// When it was to start.
    pub(super) intended: Nanos,
}

/// Scopes of a grant that are written without a list on the heap; releases have seven.
const SCOPES_INLINE: usize = 16;

/// Writes that an attempt ended with a session, straight from the hello-ok. `presented` and `issued` are device tokens.
pub(super) fn session(
    lane: &Lane,
    who: Who,
    Made { ask, step, intended }: Made,
    stamps: Stamps,
    presented: Option<Fingerprint>,
    hello: &Hello<'_>,
    issued: Option<Fingerprint>,
) {
    let mut inline = [""; SCOPES_INLINE];
    let listed: Vec<&str>;
    let auth = match &hello.auth {
        None => None,
        Some(auth) => {
            let scopes = if let Some(room) = inline.get_mut(..auth.scopes.len()) {
                for (to, from) in room.iter_mut().zip(&auth.scopes) {
                    *to = from;
                }
                &*room
            } else {
                listed = auth.scopes.iter().map(|scope| &**scope).collect();
                listed.as_slice()
            };
            Some(GrantAuthRef { role: &auth.role, scopes, token: issued })
        }
    };
    lane.attempt(&AttemptRef {
        client: who.0,
        attempt: who.1,
        ask,
        step,
        intended,
        stamps,
        presented_token: presented,
        outcome: OutcomeRef::Session(GrantRef { protocol: hello.protocol, auth }),
    });
}

/// Writes that an attempt ended otherwise.
pub(super) fn ended(
    lane: &Lane,
    who: Who,
    Made { ask, step, intended }: Made,
    stamps: Stamps,
    presented_token: Option<Fingerprint>,
    outcome: &Outcome,
) {
    lane.push(&Record::Attempt(Observation {
        client: who.0,
        attempt: who.1,
        ask,
        step,
        intended,
        stamps,
        presented_token,
        outcome: outcome.clone(),
    }));
}
