//! What a held session hears that not every session may.

use std::rc::Rc;

use protocol::Frame;

use super::shared::Shared;
use crate::history::{HeardEvent, Overheard, Record};
use crate::plan::ClientId;

/// Most such events noted of one session: a gateway that floods has no end.
const NOTED_MAX: u16 = 64;

/// Listens on one session.
pub(super) struct Ears {
    shared: Rc<Shared>,
    client: ClientId,
    attempt: u32,
    noted: u16,
}

impl Ears {
    /// For the session that `attempt` of `client` opened.
    pub(super) fn new(shared: &Rc<Shared>, client: ClientId, attempt: u32) -> Self {
        Self { shared: Rc::clone(shared), client, attempt, noted: 0 }
    }

    /// Notes a message if it is an event about pairing.
    pub(super) fn hear(&mut self, message: &[u8]) {
        let Ok(Frame::Event(event)) = Frame::decode(message) else { return };
        let Some(event) = HeardEvent::find(&event.event) else { return };
        if self.noted >= NOTED_MAX {
            return;
        }
        self.noted += 1;
        self.shared.feed.push(Record::Overheard(Overheard {
            client: self.client,
            attempt: self.attempt,
            event,
            at: self.shared.clock.now(),
        }));
    }
}
