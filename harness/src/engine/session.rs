//! A session after its hello-ok: what the gateway says on it, without sockets.

use super::attempt::{answer_close, close_seen};
use super::workbench::Workbench;
use crate::observation::CloseSeen;
use crate::websocket::{self, Event, Next, Reader};

/// What came of some bytes.
#[derive(Debug)]
pub struct Heard {
    /// So many of them are used up.
    pub consumed: usize,
    /// The end of the session, if the gateway ended it.
    pub end: Option<SessionOver>,
}

/// The gateway ended a session.
#[derive(Debug)]
pub struct SessionOver {
    /// How.
    pub close: CloseSeen,
    /// Whether its close frame was answered, so that the end of the stream is still to come.
    pub answered: bool,
}

/// Bytes arrived on a session; `ended` says that none will follow. Answers go to `bench.out`, messages to `hear`, which says
/// whether to read on.
pub fn listen(
    reader: &mut Reader,
    bench: &mut Workbench,
    bytes: &[u8],
    ended: bool,
    message_bytes_max: usize,
    hear: &mut dyn FnMut(&[u8]) -> bool,
) -> Heard {
    let mut consumed = 0;
    loop {
        let rest = bytes.get(consumed..).unwrap_or_default();
        let (event, used) = match reader.next(rest, message_bytes_max) {
            Ok(Next::Event { event, consumed }) => (event, consumed),
            Ok(Next::More { consumed: used, .. }) => {
                let end = ended.then_some(SessionOver { close: CloseSeen::Abrupt, answered: false });
                return Heard { consumed: consumed + used, end };
            }
            // Who breaks the protocol has left it.
            Err(_) => {
                let end = Some(SessionOver { close: CloseSeen::Abrupt, answered: false });
                return Heard { consumed: bytes.len(), end };
            }
        };
        consumed += used;
        let go_on = match event {
            Event::Text(text) => hear(text.as_bytes()),
            Event::Binary(message) => hear(message),
            Event::Ping(payload) => {
                let mask = bench.mask();
                websocket::write_pong(payload, mask, &mut bench.out);
                true
            }
            Event::Pong(_) => true,
            Event::Close(close) => {
                answer_close(&close, bench);
                let end = Some(SessionOver { close: close_seen(&close), answered: true });
                return Heard { consumed, end };
            }
        };
        if !go_on {
            return Heard { consumed, end: None };
        }
    }
}
