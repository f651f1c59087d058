//! The codec as a whole: properties, and tungstenite as another opinion.

mod frames;
mod properties;
mod tungstenite;

use super::{Event, FrameError, Next, Reader};

/// Longest message in these tests: beyond 65 535 bytes a length takes 64 bits.
const MESSAGE_BYTES_MAX: usize = 66_000;

/// An event that is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Said {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Event::Close(close) => Self::Close(close.code, close.reason.to_owned()),
        }
    }
}

/// Reads what comes in these chunks, as a caller with a buffer does: all events, and why it ended if it did. Holds the reader
/// to what it says about how much it needs.
fn read<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<Said>, Option<FrameError>) {
    let mut reader = Reader::new();
    let mut buffer = Vec::new();
    let mut said = Vec::new();
    let mut missing = 0;
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        let enough = chunk.len() >= missing;
        let mut still = missing.saturating_sub(chunk.len());
        loop {
            match reader.next(&buffer, MESSAGE_BYTES_MAX) {
                Ok(Next::Event { event, consumed }) => {
                    assert!(enough, "{event:?} came of fewer bytes than were needed");
                    said.push(event.into());
                    buffer.drain(..consumed);
                }
                Ok(Next::More { consumed, needed }) => {
                    assert!(needed > 0 && needed <= MESSAGE_BYTES_MAX + 10, "{needed}");
                    if !enough {
                        assert_eq!(consumed, 0, "something came of fewer bytes than were needed");
                        assert!(needed >= still, "{needed} are needed, and before it was {still}");
                    }
                    buffer.drain(..consumed);
                    still = needed;
                    break;
                }
                Err(error) => return (said, Some(error)),
            }
        }
        missing = still;
    }
    (said, None)
}
