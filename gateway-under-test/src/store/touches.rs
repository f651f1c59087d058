//! Notes of what is written lazily: last use of tokens, last sight of devices and refreshed requests. At most one a device, so that they are
//! bounded by the store and not by the traffic.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What happened to one device since the notes were last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Latest use of each role's token, milliseconds since the Unix epoch.
    pub tokens: BTreeMap<String, u64>,
    /// Latest ask of the waiting request: its id, and milliseconds since the Unix epoch.
    pub asked: Option<(String, u64)>,
    /// When it was last let in, milliseconds since the Unix epoch (9.6).
    pub seen: Option<u64>,
}

impl Touched {
    /// Adds later notes.
    pub(super) fn add(&mut self, later: &Self) {
        for (role, used_ms) in &later.tokens {
            let last = self.tokens.entry(role.clone()).or_default();
            *last = (*used_ms).max(*last);
        }
        if later.asked.is_some() {
            self.asked.clone_from(&later.asked);
        }
        self.seen = self.seen.max(later.seen);
    }
}

/// The notes; shared between connections, which write, and the store's thread, which takes.
#[derive(Debug, Default)]
pub(super) struct Touches(Mutex<HashMap<Arc<str>, Touched>>);

impl Touches {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<Arc<str>, Touched>) -> T) -> T {
        // The map is valid after every statement, so that a panic elsewhere does not make it worthless.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives whether it is the first note since they were last taken.
    pub(super) fn token_used(&self, device_id: &str, role: &str, now_ms: u64) -> bool {
        self.with(|notes| {
            let is_first = notes.is_empty();
            // A device that comes back and back is noted without making anything.
            if let Some(last) = notes.get_mut(device_id).and_then(|touched| touched.tokens.get_mut(role)) {
                *last = now_ms.max(*last);
            } else {
                notes.entry(device_id.into()).or_default().tokens.insert(role.to_owned(), now_ms);
            }
            is_first
        })
    }

    /// As [`Touches::token_used`].
    pub(super) fn seen(&self, device_id: &str, now_ms: u64) -> bool {
        self.with(|notes| {
            let is_first = notes.is_empty();
            match notes.get_mut(device_id) {
                Some(touched) => touched.seen = touched.seen.max(Some(now_ms)),
                None => {
                    notes.insert(device_id.into(), Touched { seen: Some(now_ms), ..Touched::default() });
                }
            }
            is_first
        })
    }

    /// As [`Touches::token_used`].
    pub(super) fn asked_again(&self, device_id: &str, request_id: &str, now_ms: u64) -> bool {
        self.with(|notes| {
            let is_first = notes.is_empty();
            notes.entry(device_id.into()).or_default().asked = Some((request_id.to_owned(), now_ms));
            is_first
        })
    }

    pub(super) fn take(&self) -> HashMap<Arc<str>, Touched> {
        self.with(std::mem::take)
    }
}
