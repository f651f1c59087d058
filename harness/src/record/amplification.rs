//! How often clients that do what answers say tried again: what a gateway's hints amount to.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::ByClient;
use crate::plan::{CohortId, Nanos, Plan};

const MINUTE: Nanos = 60_000_000_000;

/// Attempts of clients that follow hints or pause until they are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amplification {
    /// Such clients that made an attempt.
    pub clients: u64,
    /// The most attempts that one of them started within a minute; `null` = there are none.
    pub attempts_a_minute_max: Option<u64>,
}

/// Recorder of it. Recorders of parts of a run merge, because a client is in one part only.
#[derive(Debug, Clone, Default)]
pub struct AmplificationRecorder {
    /// By cohort: whether its clients do what answers say.
    heeds: Vec<bool>,
    clients: u64,
    most: u64,
}

impl AmplificationRecorder {
    /// A recorder of a plan's cohorts.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let heeds =
            plan.cohorts.iter().map(|cohort| cohort.reconnect.hints || cohort.reconnect.told.is_some());
        Self { heeds: heeds.collect(), ..Self::default() }
    }

    /// Adds the clients of one part of a run.
    pub fn add(&mut self, plan: &Plan, by_client: &ByClient<'_>) {
        if !self.heeds.contains(&true) {
            return;
        }
        let heeds = |cohort: CohortId| self.heeds.get(usize::from(cohort)).copied().unwrap_or_default();
        let (mut of, mut is_one) = (None, false);
        // Starts within a minute of the latest.
        let mut window: VecDeque<Nanos> = VecDeque::new();
        let started =
            by_client.attempts().filter_map(|attempt| Some((attempt.client, attempt.stamps.started?)));
        for (client, started) in started {
            if of != Some(client) {
                of = Some(client);
                window.clear();
                is_one = plan.clients.get(client as usize).is_some_and(|client| heeds(client.cohort));
                self.clients += u64::from(is_one);
            }
            if is_one {
                while window.front().is_some_and(|first| first.saturating_add(MINUTE) <= started) {
                    window.pop_front();
                }
                window.push_back(started);
                self.most = self.most.max(window.len() as u64);
            }
        }
    }

    /// Adds what another recorder of the same plan counted.
    pub const fn merge(&mut self, other: &Self) {
        self.clients += other.clients;
        if other.most > self.most {
            self.most = other.most;
        }
    }

    /// The figures.
    #[must_use]
    pub fn summary(&self) -> Amplification {
        Amplification {
            clients: self.clients,
            attempts_a_minute_max: (self.clients > 0).then_some(self.most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::DurationRange;
    use crate::record::test_support::{Story, refusal};
    use std::time::Duration;

    #[test]
    fn the_busiest_minute_of_clients_that_heed_answers_counts() {
        let mut story = Story::new(&[("hasty", 1), ("hinted", 2), ("paused", 1)]);
        story.plan.cohorts[1].reconnect.hints = true;
        story.plan.cohorts[2].reconnect.told =
            Some(DurationRange { min: Duration::ZERO, max: Duration::ZERO });
        let mut tries = |client, starts: &[u64]| {
            for (number, start) in (0..).zip(starts) {
                story.attempt(client, number).started(*start).answered(start + 5, refusal("not-paired"));
            }
        };
        tries(0, &[1, 2, 3, 4, 5, 6]);
        // A minute later to the millisecond is not within it.
        tries(1, &[1_000, 2_000, 61_000, 61_999, 121_000]);
        tries(3, &[5_000]);
        let result = story.result();
        assert_eq!(result.amplification, Amplification { clients: 2, attempts_a_minute_max: Some(3) });
        story.plan.cohorts[1].reconnect.hints = false;
        story.plan.cohorts[2].reconnect.told = None;
        assert_eq!(story.result().amplification, Amplification::default());
    }
}
