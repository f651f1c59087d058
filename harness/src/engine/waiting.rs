//! Clients that pause until they are told of their approval.

use std::collections::HashMap;
use std::rc::Rc;

use super::event_loop::EventLoop;
use super::feed::StopPhase;
use super::script::State;
use super::told::Inbox;
use crate::client::reconnect;
use crate::clock::nanos;
use crate::plan::{ClientId, Nanos};

/// Who waits, and what operators have said.
pub(super) struct Waiting {
    inbox: Inbox,
    /// Places of their scripts.
    clients: HashMap<ClientId, usize>,
    /// Latest approval of each client. Word may come before the client has read that it must wait for it.
    approved: HashMap<ClientId, Nanos>,
}

impl Waiting {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self { inbox, clients: HashMap::new(), approved: HashMap::new() }
    }

    pub(super) fn forget(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }
}

impl EventLoop {
    /// The client of script `key` waits to be told of an approval after `since`, when its attempt was started.
    pub(super) fn until_told(&mut self, key: usize, since: Nanos) {
        if self.phase != StopPhase::Running {
            return self.finish(key);
        }
        let Some(script) = self.scripts.get_mut(key) else { return };
        script.enter(State::Pausing);
        let client = script.client.id();
        match self.waiting.approved.get(&client).copied().filter(|at| *at >= since) {
            Some(at) => self.tell(key, at),
            None => {
                self.waiting.clients.insert(client, key);
            }
        }
    }

    /// Reads what operators have said.
    pub(super) fn read_inbox(&mut self) {
        for (client, at) in self.waiting.inbox.take() {
            self.waiting.approved.insert(client, at);
            if let Some(key) = self.waiting.clients.remove(&client) {
                self.tell(key, at);
            }
        }
    }

    /// Whoever approved at `at` sets out to start the client again.
    fn tell(&mut self, key: usize, at: Nanos) {
        let shared = Rc::clone(&self.shared);
        let Some(script) = self.scripts.get_mut(key) else { return };
        let cohort = shared.plan.cohorts.get(usize::from(script.client.planned().cohort));
        let walk = cohort.and_then(|cohort| cohort.reconnect.told);
        let walk = walk.map(|walk| reconnect::draw(walk, &mut script.rng).mul_f64(shared.plan.time_scale));
        self.pause_until(key, at + walk.map_or(0, nanos));
    }
}
