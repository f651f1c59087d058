//! Open sessions, and what is broadcast to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::frame::Event;
use protocol::pairing::event;
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::policy::{PairingEvent, authority};

/// The broadcasting end of one session. Its queue is bounded in bytes.
#[derive(Debug)]
pub(super) struct Outlet {
    /// Whether it hears pairing events.
    hears_pairing: bool,
    queue: mpsc::UnboundedSender<Utf8Bytes>,
    queued_bytes: AtomicUsize,
    is_slow: AtomicBool,
    /// Wakes the session when it has become too slow.
    slow: Notify,
}

/// The session's own end.
#[derive(Debug)]
pub(super) struct Inlet {
    outlet: Arc<Outlet>,
    queue: mpsc::UnboundedReceiver<Utf8Bytes>,
}

impl Inlet {
    /// The next event. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        let text = self.queue.recv().await;
        self.taken(text.as_ref());
        text
    }

    /// The next event, if one waits.
    pub(super) fn try_next(&mut self) -> Option<Utf8Bytes> {
        let text = self.queue.try_recv().ok();
        self.taken(text.as_ref());
        text
    }

    fn taken(&self, text: Option<&Utf8Bytes>) {
        if let Some(text) = text {
            self.outlet.queued_bytes.fetch_sub(text.len(), Ordering::AcqRel);
        }
    }

    /// The other end.
    pub(super) fn outlet(&self) -> Arc<Outlet> {
        Arc::clone(&self.outlet)
    }
}

impl Outlet {
    /// Waits until more was queued than the session may owe. Cancel safe.
    pub(super) async fn slow(&self) {
        while !self.is_slow.load(Ordering::Acquire) {
            self.slow.notified().await;
        }
    }
}

/// All open sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    outlets: Mutex<HashMap<u64, Arc<Outlet>>>,
    next_id: AtomicU64,
    /// Running number of events, gateway-wide as on 2.19.
    seq: AtomicU64,
    queued_bytes_max: usize,
    /// Wakes who waits for the last session to go.
    left: Notify,
}

impl Sessions {
    /// None open; a session that owes more than `queued_bytes_max` is too slow.
    #[must_use]
    pub(super) fn new(queued_bytes_max: usize) -> Self {
        Self {
            outlets: Mutex::default(),
            next_id: AtomicU64::new(0),
            seq: AtomicU64::new(0),
            queued_bytes_max,
            left: Notify::new(),
        }
    }

    /// Waits until none is open.
    pub(super) async fn wait_empty(&self) {
        while !self.is_empty() {
            self.left.notified().await;
        }
    }

    /// Number of open sessions.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is open.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens one; it is closed when the guard is dropped.
    pub(super) fn open(self: &Arc<Self>, role: &str, scopes: &[String]) -> (Open, Inlet) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let outlet = Arc::new(Outlet {
            hears_pairing: authority::hears_pairing(role, scopes),
            queue: sender,
            queued_bytes: AtomicUsize::new(0),
            is_slow: AtomicBool::new(false),
            slow: Notify::new(),
        });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&outlet));
        (Open { sessions: Arc::clone(self), id }, Inlet { outlet, queue: receiver })
    }

    /// Sends pairing events, in order, to those that hear them.
    pub(super) fn pairing(&self, events: Vec<PairingEvent>) {
        for event in events {
            match event {
                PairingEvent::Requested(request) => self.broadcast(event::REQUESTED, &*request, true),
                PairingEvent::Resolved(resolved) => self.broadcast(event::RESOLVED, &resolved, true),
            }
        }
    }

    /// Sends one event to all, or to those that hear pairing events.
    pub(super) fn broadcast(&self, name: &str, payload: &impl Serialize, pairing_only: bool) {
        let outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hearers = outlets.values().filter(|outlet| !pairing_only || outlet.hears_pairing).peekable();
        if hearers.peek().is_none() {
            return;
        }
        let Some(text) = self.event(name, payload) else { return };
        for outlet in hearers {
            let queued = outlet.queued_bytes.fetch_add(text.len(), Ordering::AcqRel) + text.len();
            if queued > self.queued_bytes_max {
                outlet.queued_bytes.fetch_sub(text.len(), Ordering::AcqRel);
                outlet.is_slow.store(true, Ordering::Release);
                outlet.slow.notify_one();
            } else {
                // It fails when the session is just ending.
                let _ = outlet.queue.send(text.clone());
            }
        }
    }

    /// The text of an event frame with the next number; `None` if it cannot be serialised.
    pub(super) fn event(&self, name: &str, payload: &impl Serialize) -> Option<Utf8Bytes> {
        let payload = to_raw_value(payload).ok()?;
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let frame = protocol::Frame::Event(Event {
            event: name.into(),
            payload: Some(&payload),
            seq: Some(seq),
            state_version: None,
            recipient_profile_id: None,
        });
        frame.encode().ok().map(Utf8Bytes::from)
    }
}

/// Keeps a session in the list.
#[derive(Debug)]
pub(super) struct Open {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sessions.outlets.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.sessions.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scopes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_pairing_operators_hear_pairing_events() {
        let sessions = Arc::new(Sessions::new(1_000));
        let (_a, mut hears) = sessions.open("operator", &scopes(&["operator.pairing"]));
        let (_b, mut reads) = sessions.open("operator", &scopes(&["operator.read"]));
        let (_c, mut node) = sessions.open("node", &scopes(&["operator.pairing"]));
        sessions.broadcast("device.pair.requested", &json!({"x": 1}), true);
        sessions.broadcast("tick", &json!({}), false);
        assert!(hears.try_next().unwrap().contains("device.pair.requested"));
        for inlet in [&mut hears, &mut reads, &mut node] {
            let tick = inlet.try_next().unwrap();
            assert!(tick.contains("\"tick\"") && tick.contains("\"seq\":2"), "{tick}");
            assert!(inlet.try_next().is_none());
        }
    }

    #[test]
    fn a_slow_session_is_marked_and_its_queue_stays_bounded() {
        let sessions = Arc::new(Sessions::new(200));
        let (_open, mut inlet) = sessions.open("operator", &[]);
        for _ in 0..100 {
            sessions.broadcast("tick", &json!({"pad": "xxxxxxxxxxxxxxxx"}), false);
        }
        assert!(inlet.outlet.is_slow.load(Ordering::Acquire));
        let mut bytes = 0;
        while let Some(text) = inlet.try_next() {
            bytes += text.len();
        }
        assert!(bytes > 0 && bytes <= 200);
        assert_eq!(inlet.outlet.queued_bytes.load(Ordering::Acquire), 0);
    }
}
