//! What the releases tell their sessions when somebody connects (reference, sections 2 and 8.10).
//!
//! Old releases send a fresh `health` to everybody after every connect; connects that come while one is being made share
//! it. 2026.9.6 tells readers who is there, and everybody `health` at most once a minute.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Gateway, rpc};
use crate::clock::{Stopwatch, wall_ms};
use crate::profile::Announces;

/// Least time between two announcements: a release takes about as long to make one, and ours would otherwise cost the
/// square of the number of clients in a rush.
const PAUSE: Duration = Duration::from_millis(50);
/// Least time between two `health` events of 2026.9.6.
const HEALTH_EVERY: Duration = Duration::from_secs(60);
/// Nodes whose wish is remembered.
const NODES_MAX: usize = 10_000;

/// Wakes whoever announces.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    connected: Notify,
}

impl Announcer {
    /// Somebody connected.
    pub(super) fn connected(&self) {
        self.connected.notify_one();
    }
}

/// Announces for as long as it is polled.
pub(super) async fn run(gateway: &Gateway) {
    let announces = gateway.rules.profile.announces;
    let mut told_health: Option<Stopwatch> = None;
    loop {
        gateway.announcer.connected.notified().await;
        match announces {
            Announces::Nothing => continue,
            Announces::Health => gateway.sessions.announce_health(&rpc::health(gateway)),
            Announces::PresenceAndNodes => {
                gateway.sessions.announce_presence(wall_ms());
                if told_health.is_none_or(|told| told.elapsed() >= HEALTH_EVERY) {
                    told_health = Some(Stopwatch::start());
                    gateway.sessions.announce_health(&rpc::health(gateway));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Nodes whose wish to have their commands approved was told already.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    told: Mutex<HashSet<String>>,
}

impl Nodes {
    /// Whether the operators have to be told of this node: once, until it is removed.
    pub(super) fn is_new(&self, device_id: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < NODES_MAX && told.insert(device_id.to_owned())
    }

    /// The device was removed: its next connect is a new node's.
    pub(super) fn forget(&self, device_id: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(device_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_of_once_until_it_is_removed() {
        let nodes = Nodes::default();
        assert!(nodes.is_new("a"));
        assert!(!nodes.is_new("a"));
        assert!(nodes.is_new("b"));
        nodes.forget("a");
        assert!(nodes.is_new("a"));
    }
}
