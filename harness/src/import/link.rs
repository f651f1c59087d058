//! Approvals that no line ties to a client, given to whom they fit.

use std::collections::HashSet;

use super::rebuilt::{Event, Rebuilt, What};

/// An approval that no line ties to a client belongs to one that was refused at most so long ago, milliseconds: a request lives
/// five minutes.
const REQUEST_MS: i64 = 300_000;

/// Gives approvals of devices that nothing else is known of to those whose refusals end with them: the short form of the old
/// generation's console names no device.
pub(super) fn link(rebuilt: &mut Rebuilt) {
    let mut approvals = Vec::new();
    for (position, client) in rebuilt.clients.iter().enumerate() {
        let only_approved =
            client.events.iter().all(|event| matches!(event.what, What::Approved { silent: false }));
        if only_approved && let Some(first) = client.events.first() {
            approvals.push((first.at, position));
        }
    }
    approvals.sort_unstable();
    let mut gone = HashSet::new();
    for (at, approved) in approvals {
        let is_node =
            rebuilt.clients.get(approved).is_some_and(|client| client.facts.role.as_deref() == Some("node"));
        let waiting = rebuilt.clients.iter().enumerate().filter(|(_, client)| {
            // No page is a node.
            client.facts.device.is_none()
                && !client.guessed
                && !(is_node && client.facts.origin.is_some())
                && client.events.iter().all(|event| {
                    // Times without milliseconds put an approval and a refusal of the same second in either order.
                    event.at <= at + 1000 && matches!(event.what, What::Refused(why) if why.is_pairing())
                })
                && client.events.last().is_some_and(|last| at - last.at <= REQUEST_MS)
        });
        let Some((waiting, _)) = waiting.max_by_key(|(_, client)| client.events.last().map(|last| last.at))
        else {
            rebuilt.unlinked += 1;
            continue;
        };
        let facts = rebuilt.clients.get(approved).map(|client| client.facts.clone()).unwrap_or_default();
        let event = Event { at, what: What::Approved { silent: false }, took: 0 };
        if let Some(client) = rebuilt.clients.get_mut(waiting) {
            client.facts.learn(facts);
            client.events.push(event);
            client.guessed = true;
            gone.insert(approved);
        }
    }
    let mut position = 0;
    rebuilt.clients.retain(|_| {
        position += 1;
        !gone.contains(&(position - 1))
    });
}
