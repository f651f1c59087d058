//! What a held session hears that not every session may.

use std::rc::Rc;

use memchr::memmem;
use protocol::Frame;

use super::shared::Shared;
use crate::history::{HeardEvent, Overheard, Record};
use crate::plan::ClientId;

/// Most such events noted of one session: a gateway that floods has no end.
const NOTED_MAX: u16 = 64;
/// In the name of every event that is listened for.
const ABOUT_PAIRING: &[u8] = b"device.pair.";

/// Listens on one session.
#[derive(Debug, Default)]
pub(super) struct Ears {
    noted: u16,
}

impl Ears {
    /// Notes a message on the session that `attempt` of `client` opened, if it is an event about pairing.
    pub(super) fn hear(&mut self, shared: &Shared, client: ClientId, attempt: u32, message: &[u8]) {
        if self.noted >= NOTED_MAX || memmem::find(message, ABOUT_PAIRING).is_none() {
            return;
        }
        let Ok(Frame::Event(event)) = Frame::decode(message) else { return };
        let Some(event) = HeardEvent::find(&event.event) else { return };
        self.noted += 1;
        let at = shared.clock.now();
        shared.lane.push(&Record::Overheard(Overheard { client, attempt, event, at }));
    }
}

/// Listens on one session for somebody who keeps it himself.
pub(super) struct Listener {
    pub(super) shared: Rc<Shared>,
    pub(super) client: ClientId,
    pub(super) attempt: u32,
    pub(super) ears: Ears,
}

impl Listener {
    /// Notes a message if it is an event about pairing.
    pub(super) fn hear(&mut self, message: &[u8]) {
        self.ears.hear(&self.shared, self.client, self.attempt, message);
    }
}
