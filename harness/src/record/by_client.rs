//! The attempts of a history by client, in the order in which each client made them.

use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::plan::{ClientId, Nanos};

/// Index over the attempts of a history.
#[derive(Debug)]
pub struct ByClient<'a> {
    history: &'a History,
    /// Sorted. The key stands beside the position, so that a look-up does not walk through the attempts.
    places: Vec<Place>,
    /// A bit a client: asked for every operation of a run, of which a shard has few clients.
    present: ClientSet,
}

/// Clients above this are searched for: no plan is so large, and a wrong number must not cost memory.
const CLIENTS_WITH_A_BIT: ClientId = 1 << 26;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    client: ClientId,
    attempt: u32,
    /// In `History::attempts`.
    position: usize,
}

impl<'a> ByClient<'a> {
    /// Sorts the attempts of a history by client and attempt.
    #[must_use]
    pub fn new(history: &'a History) -> Self {
        let mut present = ClientSet::default();
        let mut places: Vec<Place> = history
            .attempts
            .iter()
            .enumerate()
            .map(|(position, attempt)| Place { client: attempt.client, attempt: attempt.attempt, position })
            .collect();
        places.sort_unstable();
        for place in places.iter().take_while(|place| place.client < CLIENTS_WITH_A_BIT) {
            present.insert(place.client);
        }
        Self { history, places, present }
    }

    /// Whether a client made an attempt.
    #[must_use]
    pub fn knows(&self, client: ClientId) -> bool {
        if client < CLIENTS_WITH_A_BIT {
            self.present.contains(client)
        } else {
            self.places.binary_search_by_key(&client, |place| place.client).is_ok()
        }
    }

    /// The attempts of a client, first attempt first.
    pub fn attempts_of(&self, client: ClientId) -> impl Iterator<Item = &'a Observation> {
        let from = if self.knows(client) {
            self.places.partition_point(|place| place.client < client)
        } else {
            self.places.len()
        };
        self.places
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |place| place.client == client)
            .filter_map(|place| self.history.attempts.get(place.position))
    }

    /// All attempts, by client and then by attempt.
    pub fn attempts(&self) -> impl Iterator<Item = &'a Observation> {
        self.places.iter().filter_map(|place| self.history.attempts.get(place.position))
    }

    /// The session of a client that was answered first after `after`, with the moment of the answer.
    #[must_use]
    pub fn first_session_after(&self, client: ClientId, after: Nanos) -> Option<(&'a Observation, Nanos)> {
        self.attempts_of(client)
            .filter_map(|attempt| Some((attempt, session_answered(attempt)?)))
            .filter(|(_, answered)| *answered > after)
            .min_by_key(|(_, answered)| *answered)
    }

    /// Attempts that stand in the history more than once, counted without their first occurrence.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        let keys = || self.places.iter().map(|place| (place.client, place.attempt));
        keys().zip(keys().skip(1)).filter(|(one, next)| one == next).count() as u64
    }
}

/// A set of clients, a bit each up to the largest.
#[derive(Debug, Clone, Default)]
pub struct ClientSet {
    words: Vec<u64>,
}

impl ClientSet {
    /// Adds a client.
    pub fn insert(&mut self, client: ClientId) {
        let (word, bit) = Self::place(client);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether a client is in it.
    #[must_use]
    pub fn contains(&self, client: ClientId) -> bool {
        let (word, bit) = Self::place(client);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds the clients of another set.
    pub fn merge(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    const fn place(client: ClientId) -> (usize, u64) {
        ((client / u64::BITS) as usize, 1 << (client % u64::BITS))
    }
}

/// When an attempt opened a session; `None` if it did not.
#[must_use]
pub fn session_answered(attempt: &Observation) -> Option<Nanos> {
    if matches!(attempt.outcome, Outcome::Session(_)) { attempt.stamps.answered } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{MS, Story, refusal, session};

    #[test]
    fn attempts_come_in_order_whatever_the_order_of_the_history() {
        let mut story = Story::new(&[("phones", 3)]);
        story.attempt(2, 1).answered(90, session());
        story.attempt(0, 1).answered(50, session());
        story.attempt(2, 0).answered(20, refusal("not-paired"));
        story.attempt(0, 0).answered(10, session());
        let by_client = ByClient::new(&story.history);
        let of = |client| by_client.attempts_of(client).map(|a| (a.client, a.attempt)).collect::<Vec<_>>();
        assert_eq!(of(0), [(0, 0), (0, 1)]);
        assert_eq!(of(1), []);
        assert_eq!(of(2), [(2, 0), (2, 1)]);
        assert_eq!(
            (0..4).map(|client| by_client.knows(client)).collect::<Vec<_>>(),
            [true, false, true, false]
        );
        let all: Vec<_> = by_client.attempts().map(|a| (a.client, a.attempt)).collect();
        assert_eq!(all, [(0, 0), (0, 1), (2, 0), (2, 1)]);
        assert_eq!(
            by_client.first_session_after(0, 10 * MS).map(|(a, at)| (a.attempt, at)),
            Some((1, 50 * MS))
        );
        assert!(by_client.first_session_after(0, 50 * MS).is_none());
        assert_eq!(by_client.repeated(), 0);
    }

    #[test]
    fn a_repeated_attempt_is_noticed() {
        let mut story = Story::new(&[("phones", 1)]);
        for _ in 0..3 {
            story.attempt(0, 7).answered(10, session());
        }
        assert_eq!(ByClient::new(&story.history).repeated(), 2);
    }

    #[test]
    fn a_client_that_no_plan_has_is_found_and_costs_no_memory() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(ClientId::MAX, 0).answered(10, session());
        let by_client = ByClient::new(&story.history);
        assert!(by_client.knows(ClientId::MAX) && !by_client.knows(ClientId::MAX - 1));
        assert_eq!(by_client.attempts_of(ClientId::MAX).count(), 1);
    }
}
