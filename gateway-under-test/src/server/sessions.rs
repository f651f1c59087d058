//! Open sessions, and what is broadcast to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::frame::{Event, StateVersion};
use protocol::pairing::event;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::defect::Defect;
use crate::policy::{PairingEvent, authority};
use crate::profile::{Announces, EventSeq, LiveSessions, Profile};

/// Sessions that a presence event names at most; OpenClaw keeps 200.
const PRESENT_MAX: usize = 200;
/// The profile that the owner's sessions belong to (2026.9.6), as JSON.
const OWNER: &str = "\"gateway-owner\"";
/// What a gateway calls its machine; the real ones tell its name.
pub(super) const HOST: &str = "gateway-under-test";

/// Who hears an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Every session.
    All,
    /// Sessions that may approve.
    Pairing,
    /// Sessions that may read.
    Readers,
}

/// Why a session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not take what it is sent.
    Slow,
    /// Its device was removed, or its token changed.
    Removed,
}

/// Whose session it is, and what the others are told of it.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) role: String,
    pub(super) scopes: Vec<String>,
    /// `None` without device.
    pub(super) device_id: Option<String>,
    /// Entry of presence events, where sessions are told of one another.
    pub(super) presence: Option<Arc<RawValue>>,
}

/// Who is there, an entry each.
#[derive(Debug, Default)]
pub(super) struct Presence(Vec<Arc<RawValue>>);

impl Serialize for Presence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AsRef::<RawValue>::as_ref))
    }
}

/// The gateway's own entry.
#[derive(Serialize)]
struct Own<'a> {
    host: &'a str,
    mode: &'a str,
    platform: &'a str,
    reason: &'a str,
    text: &'a str,
    ts: u64,
    version: &'a str,
}

/// A session's entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    pub(super) client_id: protocol::ClientId,
    pub(super) device_id: Option<&'a str>,
    pub(super) host: protocol::ClientId,
    pub(super) mode: protocol::ClientMode,
    pub(super) online_since: u64,
    pub(super) platform: &'a str,
    pub(super) reason: &'a str,
    pub(super) roles: [&'a str; 1],
    pub(super) scopes: &'a [String],
    pub(super) text: &'a str,
    pub(super) ts: u64,
    pub(super) version: &'a str,
}

/// Payload of a `presence` event.
#[derive(Serialize)]
struct Present {
    presence: Presence,
}

/// The broadcasting end of one session. Its queue is bounded in bytes.
#[derive(Debug)]
pub(super) struct Outlet {
    who: Who,
    hears_pairing: bool,
    hears_presence: bool,
    /// Events sent, where each session counts its own.
    seq: AtomicU64,
    queue: mpsc::UnboundedSender<Utf8Bytes>,
    queued_bytes: AtomicUsize,
    /// 0, or an [`Ending`].
    ending: AtomicU8,
    /// Wakes the session when it must end.
    ends: Notify,
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
    /// Waits until the session must end. Cancel safe.
    pub(super) async fn ends(&self) -> Ending {
        loop {
            match self.ending() {
                Some(ending) => return ending,
                None => self.ends.notified().await,
            }
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self.ending.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ending::Slow),
            _ => Some(Ending::Removed),
        }
    }

    fn end(&self, ending: Ending) {
        let code = match ending {
            Ending::Slow => 1,
            Ending::Removed => 2,
        };
        // The first reason stands.
        let _ = self.ending.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.ends.notify_one();
    }

    fn hears(&self, audience: Audience) -> bool {
        match audience {
            Audience::All => true,
            Audience::Pairing => self.hears_pairing,
            Audience::Readers => self.hears_presence,
        }
    }

    fn push(&self, text: Utf8Bytes, bytes_max: usize) {
        let bytes = text.len();
        if self.queued_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > bytes_max {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.end(Ending::Slow);
        } else {
            // It fails when the session is just ending.
            let _ = self.queue.send(text);
        }
    }
}

/// All open sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    profile: &'static Profile,
    /// Deliberate fault.
    defect: Option<Defect>,
    outlets: Mutex<HashMap<u64, Arc<Outlet>>>,
    next_id: AtomicU64,
    /// Running number of events, where the gateway counts for all.
    seq: AtomicU64,
    presence_version: AtomicU64,
    health_version: AtomicU64,
    queued_bytes_max: usize,
    /// Wakes who waits for the last session to go.
    left: Notify,
}

/// The text of an event frame; `None` if it cannot be serialised.
fn encode(name: &str, payload: &RawValue, seq: Option<u64>, more: Extra<'_>) -> Option<Utf8Bytes> {
    let frame = protocol::Frame::Event(Event {
        event: name.into(),
        payload: Some(payload),
        seq,
        state_version: more.state_version,
        recipient_profile_id: more.recipient.and_then(|name| serde_json::from_str(name).ok()),
    });
    frame.encode().ok().map(Utf8Bytes::from)
}

#[derive(Debug, Clone, Copy, Default)]
struct Extra<'a> {
    state_version: Option<StateVersion>,
    recipient: Option<&'a str>,
}

impl Sessions {
    /// None open; a session that owes more than `queued_bytes_max` is too slow.
    #[must_use]
    pub(super) fn new(profile: &'static Profile, queued_bytes_max: usize, defect: Option<Defect>) -> Self {
        Self {
            profile,
            defect,
            outlets: Mutex::default(),
            next_id: AtomicU64::new(0),
            seq: AtomicU64::new(0),
            presence_version: AtomicU64::new(1),
            health_version: AtomicU64::new(1),
            queued_bytes_max,
            left: Notify::new(),
        }
    }

    fn outlets(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outlet>>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.outlets().len()
    }

    /// Whether none is open.
    #[must_use]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a device has a session.
    #[must_use]
    pub(super) fn has_device(&self, device_id: &str) -> bool {
        self.outlets().values().any(|outlet| outlet.who.device_id.as_deref() == Some(device_id))
    }

    /// `stateVersion` of hello.
    #[must_use]
    pub(super) fn state_version(&self) -> StateVersion {
        StateVersion {
            presence: self.presence_version.load(Ordering::Relaxed),
            health: self.health_version.load(Ordering::Relaxed),
        }
    }

    /// Who is there, for hello and presence events: the gateway itself, and sessions where the profile tells of them.
    #[must_use]
    pub(super) fn presence(&self, now_ms: u64) -> Presence {
        let profile = self.profile;
        let mut present = Presence::default();
        if profile.announces == Announces::Nothing {
            return present;
        }
        let text = format!("Gateway: {HOST} · app {} · mode gateway · reason self", profile.version);
        let own = Own {
            host: HOST,
            mode: "gateway",
            platform: std::env::consts::OS,
            reason: "self",
            text: &text,
            ts: now_ms,
            version: profile.version,
        };
        present.0.extend(to_raw_value(&own).ok().map(Arc::from));
        if profile.announces == Announces::PresenceAndNodes {
            let outlets = self.outlets();
            let sessions = outlets.values().take(PRESENT_MAX);
            present.0.extend(sessions.filter_map(|outlet| outlet.who.presence.clone()));
        }
        present
    }

    /// Puts a session into the list, from now on it hears events. It leaves with `Open`.
    pub(super) fn open(self: &Arc<Self>, who: Who) -> (Open, Inlet) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let outlet = Arc::new(Outlet {
            hears_pairing: authority::hears_pairing(self.profile, &who.role, &who.scopes)
                || (who.role == protocol::scope::ROLE_NODE && self.defect == Some(Defect::LeakEvents)),
            hears_presence: authority::hears_presence(self.profile, &who.role, &who.scopes),
            who,
            seq: AtomicU64::new(0),
            queue,
            queued_bytes: AtomicUsize::new(0),
            ending: AtomicU8::new(0),
            ends: Notify::new(),
        });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.outlets().insert(id, Arc::clone(&outlet));
        (Open { sessions: Arc::clone(self), id }, Inlet { outlet, queue: receiver })
    }

    /// Ends the sessions of a device, of one role or of all, where the profile does so.
    pub(super) fn remove_device(&self, device_id: &str, role: Option<&str>) {
        if self.profile.live_sessions == LiveSessions::StayOpen {
            return;
        }
        for outlet in self.outlets().values() {
            let who = &outlet.who;
            if who.device_id.as_deref() == Some(device_id) && role.is_none_or(|role| who.role == role) {
                outlet.end(Ending::Removed);
            }
        }
    }

    /// Sends pairing events, in order, to those that hear them.
    pub(super) fn pairing(&self, events: Vec<PairingEvent>) {
        for event in events {
            match event {
                PairingEvent::Requested(request) => {
                    self.broadcast(event::REQUESTED, &*request, Audience::Pairing);
                }
                PairingEvent::Resolved(resolved) => {
                    self.broadcast(event::RESOLVED, &resolved, Audience::Pairing);
                }
            }
        }
    }

    /// Sends `presence` to readers.
    pub(super) fn announce_presence(&self, now_ms: u64) {
        self.presence_version.fetch_add(1, Ordering::Relaxed);
        let payload = Present { presence: self.presence(now_ms) };
        self.send("presence", &payload, Audience::Readers, Some(self.state_version()));
    }

    /// Sends `health` to all.
    pub(super) fn announce_health(&self, health: &impl Serialize) {
        self.health_version.fetch_add(1, Ordering::Relaxed);
        self.send(event::HEALTH, health, Audience::All, Some(self.state_version()));
    }

    /// Sends one event to those that hear it.
    pub(super) fn broadcast(&self, name: &str, payload: &impl Serialize, audience: Audience) {
        self.send(name, payload, audience, None);
    }

    fn send(
        &self,
        name: &str,
        payload: &impl Serialize,
        audience: Audience,
        state_version: Option<StateVersion>,
    ) {
        let outlets = self.outlets();
        let mut hearers = outlets.values().filter(|outlet| outlet.hears(audience)).peekable();
        if hearers.peek().is_none() {
            return;
        }
        let Ok(payload) = to_raw_value(payload) else { return };
        let extra = Extra { state_version, recipient: None };
        match self.profile.event_seq {
            EventSeq::Gateway => {
                let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
                let Some(text) = encode(name, &payload, Some(seq), extra) else { return };
                for outlet in hearers {
                    outlet.push(text.clone(), self.queued_bytes_max);
                }
            }
            EventSeq::Session => {
                for outlet in hearers {
                    if let Some(text) = own_event(outlet, name, &payload, extra) {
                        outlet.push(text, self.queued_bytes_max);
                    }
                }
            }
        }
    }

    /// The text of an event frame for this session alone, with its next number.
    pub(super) fn event(&self, outlet: &Outlet, name: &str, payload: &impl Serialize) -> Option<Utf8Bytes> {
        let payload = to_raw_value(payload).ok()?;
        match self.profile.event_seq {
            EventSeq::Gateway => {
                let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
                encode(name, &payload, Some(seq), Extra::default())
            }
            EventSeq::Session => own_event(outlet, name, &payload, Extra::default()),
        }
    }
}

fn own_event(outlet: &Outlet, name: &str, payload: &RawValue, extra: Extra<'_>) -> Option<Utf8Bytes> {
    let seq = outlet.seq.fetch_add(1, Ordering::Relaxed) + 1;
    let recipient = (outlet.who.role != protocol::scope::ROLE_NODE).then_some(OWNER);
    encode(name, payload, Some(seq), Extra { recipient, ..extra })
}

/// The text of an event that answers a connect and has no number.
pub(super) fn unnumbered(name: &str, payload: &impl Serialize) -> Option<Utf8Bytes> {
    encode(name, &to_raw_value(payload).ok()?, None, Extra::default())
}

/// Keeps a session in the list.
#[derive(Debug)]
pub(super) struct Open {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sessions.outlets().remove(&self.id);
        self.sessions.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ARTICLE, V2026_2_19, V2026_9_6};
    use serde_json::json;

    fn who(role: &str, scopes: &[&str], device_id: &str) -> Who {
        Who {
            role: role.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            device_id: Some(device_id.to_owned()),
            presence: None,
        }
    }

    #[test]
    fn only_pairing_operators_hear_pairing_events() {
        let sessions = Arc::new(Sessions::new(&ARTICLE, 1_000, None));
        let (_a, mut hears) = sessions.open(who("operator", &["operator.pairing"], "a"));
        let (_b, mut reads) = sessions.open(who("operator", &["operator.read"], "b"));
        let (_c, mut node) = sessions.open(who("node", &["operator.pairing"], "c"));
        sessions.broadcast("device.pair.requested", &json!({"x": 1}), Audience::Pairing);
        sessions.broadcast("tick", &json!({}), Audience::All);
        assert!(hears.try_next().unwrap().contains("device.pair.requested"));
        for inlet in [&mut hears, &mut reads, &mut node] {
            let tick = inlet.try_next().unwrap();
            assert!(tick.contains("\"tick\"") && tick.contains("\"seq\":2"), "{tick}");
            assert!(inlet.try_next().is_none());
        }
    }

    #[test]
    fn events_are_numbered_for_all_or_for_each() {
        for (profile, second, recipient) in
            [(&V2026_2_19, "\"seq\":2", false), (&V2026_9_6, "\"seq\":1", true)]
        {
            let sessions = Arc::new(Sessions::new(profile, 1_000, None));
            let (_a, mut first) = sessions.open(who("operator", &["operator.pairing"], "a"));
            let (_b, mut other) = sessions.open(who("operator", &["operator.read"], "b"));
            sessions.broadcast("device.pair.resolved", &json!({}), Audience::Pairing);
            sessions.broadcast("tick", &json!({}), Audience::All);
            assert!(first.try_next().unwrap().contains("\"seq\":1"));
            assert!(first.try_next().unwrap().contains("\"seq\":2"));
            let tick = other.try_next().unwrap();
            assert!(tick.contains(second), "{}: {tick}", profile.name);
            assert_eq!(tick.contains("\"recipientProfileId\":\"gateway-owner\""), recipient);
        }
    }

    #[test]
    fn a_slow_session_is_marked_and_its_queue_stays_bounded() {
        let sessions = Arc::new(Sessions::new(&ARTICLE, 200, None));
        let (_open, mut inlet) = sessions.open(who("operator", &[], "a"));
        for _ in 0..100 {
            sessions.broadcast("tick", &json!({"pad": "xxxxxxxxxxxxxxxx"}), Audience::All);
        }
        assert_eq!(inlet.outlet.ending(), Some(Ending::Slow));
        let mut bytes = 0;
        while let Some(text) = inlet.try_next() {
            bytes += text.len();
        }
        assert!(bytes > 0 && bytes <= 200);
        assert_eq!(inlet.outlet.queued_bytes.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_removed_device_loses_its_sessions_of_that_role() {
        let sessions = Arc::new(Sessions::new(&V2026_9_6, 1_000, None));
        let (_a, operator) = sessions.open(who("operator", &[], "a"));
        let (_b, node) = sessions.open(who("node", &[], "a"));
        let (_c, other) = sessions.open(who("node", &[], "b"));
        sessions.remove_device("a", Some("node"));
        assert_eq!(node.outlet.ending(), Some(Ending::Removed));
        assert_eq!((operator.outlet.ending(), other.outlet.ending()), (None, None));
        sessions.remove_device("a", None);
        assert_eq!(operator.outlet.ending(), Some(Ending::Removed));

        let sessions = Arc::new(Sessions::new(&V2026_2_19, 1_000, None));
        let (_a, stays) = sessions.open(who("operator", &[], "a"));
        sessions.remove_device("a", None);
        assert_eq!(stays.outlet.ending(), None);
    }
}
