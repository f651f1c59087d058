//! A WebSocket over a TCP stream: tungstenite's sans-IO state machine between two buffers, and one future that moves
//! bytes both ways.
//!
//! tokio-tungstenite's stream is not used, because its limits cannot be changed once it is made, and a gateway takes
//! 64 KiB before hello and 25 MiB after it.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use protocol::Close;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// Bytes read from the TCP stream at once.
const READ_BYTES: usize = 8 * 1024;
/// Bytes that the state machine has for what it was given, and keeps as long as the session lasts: a `connect` fits, larger
/// messages come in pieces or get more.
const MACHINE_BYTES: usize = 1024;
/// Bytes waiting to be sent above which nothing more is read or taken from queues.
const BACKLOG_MAX: usize = 64 * 1024;
/// Largest single message sent; a list of 100,000 devices has about 80 MB.
const WRITE_BYTES_MAX: usize = 512 << 20;

/// What tungstenite reads from and writes to.
#[derive(Debug, Default)]
struct Pipe {
    inbound: Vec<u8>,
    read: usize,
    outbound: Vec<u8>,
    sent: usize,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = self.inbound.get(self.read..).unwrap_or_default();
        if waiting.is_empty() {
            return if self.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let count = (&mut &*waiting).read(buffer)?;
        self.read += count;
        if self.read == self.inbound.len() {
            // Nearly all the time a session is silent, and then it holds nothing.
            self.inbound = Vec::new();
            self.read = 0;
        }
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A peer that always leaves something unsent would otherwise make what was sent grow for ever.
        if self.sent > BACKLOG_MAX {
            self.outbound = self.outbound.split_off(self.sent);
            self.sent = 0;
        }
        self.outbound.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn backlog(&self) -> &[u8] {
        self.outbound.get(self.sent..).unwrap_or_default()
    }

    /// Frees what was sent, once that is everything: neither a list of all devices nor hello must hold its memory as long as
    /// the session.
    fn let_go(&mut self) {
        if self.sent == self.outbound.len() {
            self.outbound = Vec::new();
            self.sent = 0;
        }
    }
}

/// What a peer sent, or did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A text or binary message.
    Message(Bytes),
    /// A close frame; `None` when it carried no code.
    Close(Option<(u16, String)>),
    /// The connection ended without one.
    Ended,
    /// A message above the limit.
    TooBig,
    /// Something that is not WebSocket; the code says what RFC 6455 calls it.
    Broken(u16),
    /// Nothing came, but the socket is no longer backlogged: queues that were left alone may be emptied into it again.
    CaughtUp,
}

/// One end of a WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    ws: WebSocket<Pipe>,
    /// The state machine has met an error and must not be read any more.
    failed: bool,
}

impl Socket {
    /// Takes over a stream after the upgrade; `unsent` goes out before anything else, `leftover` are bytes that came behind
    /// the request.
    pub(super) fn new(stream: TcpStream, unsent: Vec<u8>, leftover: &[u8], message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(MACHINE_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let pipe = Pipe { inbound: leftover.to_vec(), outbound: unsent, ..Pipe::default() };
        Self { stream, ws: WebSocket::from_raw_socket(pipe, Role::Server, Some(config)), failed: false }
    }

    /// Changes the size limit of messages.
    pub(super) fn set_message_bytes_max(&mut self, bytes: usize) {
        self.ws.set_config(|config| {
            config.max_message_size = Some(bytes);
            config.max_frame_size = Some(bytes);
        });
    }

    /// Queues a text message. Nothing is sent until [`Socket::next`], [`Socket::flush`] or [`Socket::close`] runs.
    pub(super) fn send(&mut self, text: impl Into<Utf8Bytes>) {
        // A message that cannot be queued (closed, or beyond the bound) ends the connection at the next read.
        self.failed |= self.ws.write(Message::Text(text.into())).is_err();
    }

    /// Whether so much waits to be sent that nothing should be added.
    pub(super) fn is_backlogged(&self) -> bool {
        self.ws.get_ref().backlog().len() > BACKLOG_MAX
    }

    /// The next thing that happens; what waits is sent meanwhile. While the socket is backlogged nothing is read.
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Incoming {
        loop {
            // A peer that floods keeps the stream ready for ever, and waiting for readiness alone never yields: without this
            // one connection could keep the thread from every other, and from its own deadline.
            tokio::task::coop::consume_budget().await;
            let mut interest = None;
            let was_backlogged = self.is_backlogged();
            if !was_backlogged {
                if self.failed {
                    return Incoming::Broken(1002);
                }
                match self.ws.read() {
                    Ok(Message::Text(text)) => return Incoming::Message(text.into()),
                    Ok(Message::Binary(bytes)) => return Incoming::Message(bytes),
                    Ok(Message::Close(frame)) => {
                        return Incoming::Close(
                            frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned())),
                        );
                    }
                    Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                    Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(Error::Capacity(_)) => {
                        self.failed = true;
                        return Incoming::TooBig;
                    }
                    Err(Error::Utf8(_)) => {
                        self.failed = true;
                        return Incoming::Broken(1007);
                    }
                    Err(Error::Protocol(_)) if !self.ws.get_ref().ended => {
                        self.failed = true;
                        return Incoming::Broken(1002);
                    }
                    Err(_) => {
                        self.failed = true;
                        return Incoming::Ended;
                    }
                }
                interest = Some(Interest::READABLE);
            }
            if !self.ws.get_ref().backlog().is_empty() {
                interest =
                    Some(interest.map_or(Interest::WRITABLE, |readable| readable | Interest::WRITABLE));
            }
            let Some(interest) = interest else { continue };
            if self.transfer(interest).await.is_err() {
                self.failed = true;
                return Incoming::Ended;
            }
            if was_backlogged && !self.is_backlogged() {
                return Incoming::CaughtUp;
            }
        }
    }

    /// Moves bytes once the stream is ready. Cancel safe: nothing is lost between the awaits.
    async fn transfer(&mut self, interest: Interest) -> io::Result<()> {
        let ready = self.stream.ready(interest).await?;
        let pipe = self.ws.get_mut();
        if ready.is_writable() && !pipe.backlog().is_empty() {
            match self.stream.try_write(pipe.outbound.get(pipe.sent..).unwrap_or_default()) {
                Ok(count) => pipe.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            pipe.let_go();
        }
        if ready.is_readable() && interest.is_readable() && !pipe.ended {
            let mut buffer = [0_u8; READ_BYTES];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => pipe.ended = true,
                Ok(count) => pipe.inbound.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.ws.get_ref().backlog().is_empty() {
            tokio::task::coop::consume_budget().await;
            self.transfer(Interest::WRITABLE).await?;
        }
        Ok(())
    }

    /// Sends what waits and a close frame, then waits for the peer's, at most `linger` altogether. What the peer still
    /// sends is read and thrown away: closing a stream with unread bytes would reset it and could destroy the close
    /// frame on its way.
    pub(super) async fn close(mut self, close: &Close, linger: Duration) {
        let frame = CloseFrame { code: CloseCode::from(close.code), reason: close.reason.as_str().into() };
        // It fails when the peer has closed first; then its frame has been answered already.
        let _ = self.ws.close(Some(frame));
        let _ = tokio::time::timeout(linger, async {
            self.flush().await?;
            while !self.failed {
                match self.next().await {
                    Incoming::Message(_) | Incoming::TooBig | Incoming::Broken(_) | Incoming::CaughtUp => {}
                    Incoming::Close(_) | Incoming::Ended => return self.flush().await,
                }
            }
            self.discard().await
        })
        .await;
    }

    /// Answers the peer's close frame and lets go.
    pub(super) async fn finish(mut self, linger: Duration) {
        // The answer is queued inside the state machine until it is driven once more.
        let _ = self.ws.flush();
        self.send_last();
        let _ = tokio::time::timeout(linger, self.flush()).await;
    }

    /// Sends what waits in one packet with the end of the stream, which has to follow at once: so the peer is woken once.
    fn send_last(&mut self) {
        let (stream, pipe) = (&self.stream, self.ws.get_mut());
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(rustix::net::send(stream, pipe.backlog(), rustix::net::SendFlags::MORE)?)
        });
        // What it did not take is sent as ever, and so is an error met again.
        if let Ok(count) = sent {
            pipe.sent += count;
            pipe.let_go();
        }
    }

    /// Reads to the end without looking.
    async fn discard(&mut self) -> io::Result<()> {
        loop {
            tokio::task::coop::consume_budget().await;
            self.stream.readable().await?;
            // Not held over an await: it would be part of every connection's task.
            let mut buffer = [0_u8; READ_BYTES];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_freed_though_something_always_waits() {
        let mut pipe = Pipe::default();
        let message = [0_u8; 1000];
        for _ in 0..10_000 {
            pipe.write_all(&message).unwrap();
            // A peer that takes all but the last byte.
            pipe.sent = pipe.outbound.len() - 1;
        }
        assert_eq!(pipe.backlog().len(), 1);
        assert!(pipe.outbound.capacity() < 4 * BACKLOG_MAX, "{}", pipe.outbound.capacity());
    }
}
