//! The attempts of a history by client, in the order in which each client made them.

use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::plan::{ClientId, Nanos};

/// Index over the attempts of a history.
#[derive(Debug)]
pub struct ByClient<'a> {
    history: &'a History,
    /// Positions in `History::attempts`, sorted by client and attempt.
    positions: Vec<usize>,
}

impl<'a> ByClient<'a> {
    /// Sorts the attempts of a history by client and attempt.
    #[must_use]
    pub fn new(history: &'a History) -> Self {
        let mut positions: Vec<usize> = (0..history.attempts.len()).collect();
        positions.sort_by_key(|position| {
            history.attempts.get(*position).map(|attempt| (attempt.client, attempt.attempt))
        });
        Self { history, positions }
    }

    /// The attempts of a client with their positions in the history, first attempt first.
    pub fn attempts_of(&self, client: ClientId) -> impl Iterator<Item = (usize, &'a Observation)> {
        let from = self.positions.partition_point(|position| self.client_at(*position) < Some(client));
        self.positions
            .iter()
            .skip(from)
            .filter_map(|position| Some((*position, self.history.attempts.get(*position)?)))
            .take_while(move |(_, attempt)| attempt.client == client)
    }

    /// The session of a client that was answered first after `after`, with the moment of the answer.
    #[must_use]
    pub fn first_session_after(&self, client: ClientId, after: Nanos) -> Option<(&'a Observation, Nanos)> {
        self.attempts_of(client)
            .filter_map(|(_, attempt)| Some((attempt, session_answered(attempt)?)))
            .filter(|(_, answered)| *answered > after)
            .min_by_key(|(_, answered)| *answered)
    }

    /// Attempts that stand in the history more than once, counted without their first occurrence.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        let keys = || {
            self.positions.iter().filter_map(|p| self.history.attempts.get(*p)).map(|a| (a.client, a.attempt))
        };
        keys().zip(keys().skip(1)).filter(|(one, next)| one == next).count() as u64
    }

    fn client_at(&self, position: usize) -> Option<ClientId> {
        self.history.attempts.get(position).map(|attempt| attempt.client)
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
        let of = |client| by_client.attempts_of(client).map(|(p, a)| (p, a.attempt)).collect::<Vec<_>>();
        assert_eq!(of(0), [(3, 0), (1, 1)]);
        assert_eq!(of(1), []);
        assert_eq!(of(2), [(2, 0), (0, 1)]);
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
}
