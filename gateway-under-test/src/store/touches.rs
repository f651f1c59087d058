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

    /// Notes that the token of a role was used. Gives whether it is the first note since they were last taken.
    pub(super) fn token_used(&self, device_id: &str, role: &str, now_ms: u64) -> bool {
        self.with(|notes| {
            let is_first = notes.is_empty();
            note_token(notes, device_id, role, now_ms);
            is_first
        })
    }

    /// Notes that a device was let in, and by the token of `by_token` if that is named. In one go: were the notes taken in
    /// between, the second would be a first one that nobody is told of. Gives what [`Touches::token_used`] gives.
    pub(super) fn seen(&self, device_id: &str, by_token: Option<&str>, now_ms: u64) -> bool {
        self.with(|notes| {
            let is_first = notes.is_empty();
            match notes.get_mut(device_id) {
                Some(touched) => touched.seen = touched.seen.max(Some(now_ms)),
                None => {
                    notes.insert(device_id.into(), Touched { seen: Some(now_ms), ..Touched::default() });
                }
            }
            if let Some(role) = by_token {
                note_token(notes, device_id, role, now_ms);
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

fn note_token(notes: &mut HashMap<Arc<str>, Touched>, device_id: &str, role: &str, now_ms: u64) {
    // A device that comes back and back is noted without making anything.
    if let Some(last) = notes.get_mut(device_id).and_then(|touched| touched.tokens.get_mut(role)) {
        *last = now_ms.max(*last);
    } else {
        notes.entry(device_id.into()).or_default().tokens.insert(role.to_owned(), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn whoever_makes_the_first_note_is_told_so() {
        let touches = Touches::default();
        assert!(touches.seen("a", Some("operator"), 1));
        assert!(!touches.seen("b", None, 2));
        assert!(!touches.token_used("a", "node", 3));
        let notes = touches.take();
        let tokens = BTreeMap::from([("operator".to_owned(), 1), ("node".to_owned(), 3)]);
        assert_eq!(notes["a"], Touched { tokens, asked: None, seen: Some(1) });
        assert_eq!(notes["b"], Touched { seen: Some(2), ..Touched::default() });
        assert!(touches.asked_again("a", "r", 4));
    }

    #[test]
    fn every_heap_of_notes_has_a_first_one_though_they_are_taken_at_any_moment() {
        let touches = Touches::default();
        let is_over = AtomicBool::new(false);
        let (firsts, heaps) = std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut heaps = 0;
                loop {
                    let is_last = is_over.load(Ordering::Acquire);
                    heaps += usize::from(!touches.take().is_empty());
                    if is_last {
                        return heaps;
                    }
                }
            });
            let firsts = (0..200_000).filter(|now_ms| touches.seen("a", Some("operator"), *now_ms)).count();
            is_over.store(true, Ordering::Release);
            (firsts, taker.join().unwrap())
        });
        assert_eq!(firsts, heaps);
    }
}
