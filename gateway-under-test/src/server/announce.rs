//! What the releases tell their sessions when somebody connects (reference, sections 2 and 8.10).
//!
//! Old releases send a fresh `health` to everybody after every connect; connects that come while one is being made share
//! it. 2026.9.6 tells readers who is there, and everybody `health` at most once a minute.

use std::time::Duration;

use tokio::sync::Notify;

use super::{Gateway, rpc};
use crate::clock::{Stopwatch, wall_ms};
use crate::profile::Announces;

/// Least time between two announcements: a release takes about as long to make one, and ours would otherwise cost the
/// square of the number of clients in a rush.
const PAUSE: Duration = Duration::from_millis(50);
/// Announcing may take one part in so many of the time: to tell thousands of sessions who is there takes longer than the pause.
const SHARE: u32 = 10;
/// Least time between two `health` events of 2026.9.6.
const HEALTH_EVERY: Duration = Duration::from_secs(60);

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
        let watch = Stopwatch::start();
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
        tokio::time::sleep(PAUSE.max(watch.elapsed().saturating_mul(SHARE))).await;
    }
}
