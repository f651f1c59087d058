//! The WebSocket protocol (RFC 6455) as a client speaks it, without sockets: bytes in, events out, and events in, bytes out.
//!
//! [`UpgradeRequest`] and [`read_answer`] open a connection, a [`Reader`] cuts what comes into [`Event`]s, and `write_*` append
//! masked frames to a buffer. No extension and no subprotocol is ever asked for.
//!
//! Our own instead of a library because a load generator holds a reader for each connection and pays for each frame: a
//! [`Reader`] at rest has 16 bytes and no heap, an unfragmented message is borrowed from the caller's buffer, and the caller
//! owns that buffer, so that a hundred thousand idle connections can share one. It is strict: what the RFC says a client must
//! not accept is an error, since the peer is what is under test. Conformance replays, readiness and the in-repo gateway keep
//! tungstenite, so that the two codecs judge each other
//! (`tests`).

mod close;
mod frame;
mod mask;
mod reader;
mod upgrade;
mod writer;

#[cfg(test)]
mod tests;

pub use close::Close;
pub use frame::{Control, FrameError};
pub use reader::{Event, Next, Reader};
pub use upgrade::{
    Answer, BODY_MAX, HEAD_MAX, HEADERS_MAX, InvalidHeader, Nonce, UpgradeError, UpgradeRequest, read_answer,
};
pub use writer::{write_binary, write_close, write_ping, write_pong, write_text};
