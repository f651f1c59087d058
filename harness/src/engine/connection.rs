//! One connection of a reactor.

use std::io::{Error, ErrorKind, Write as _};

use mio::net::TcpStream;

use super::attempt::Attempt;
use super::ears::Ears;
use super::shared::Place;
use crate::websocket::Reader;

/// A socket, and how far the client on it has come. Between two messages it holds no buffer.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Tells it apart from others that had its key before.
    pub(super) serial: u32,
    /// Key of the script it belongs to; while it drains, to nobody's.
    pub(super) script: usize,
    pub(super) stage: Stage,
    /// The beginning of a message whose end has not come.
    pub(super) received: Vec<u8>,
    /// What the kernel did not take yet.
    pub(super) unsent: Vec<u8>,
}

/// How far the client on a connection has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It has no outcome yet. The place is given back with the outcome.
    Attempt(Box<Attempt>, Place),
    /// It holds a session.
    Session(Reader, Ears),
    /// It has said that it leaves.
    Leaving(Reader),
    /// The close was answered; the end of the stream is to come.
    Draining,
}

/// Bytes that may wait for a peer that does not read, beside the message that filled its window: what answers its pings must
/// not fill our memory.
const UNSENT_MAX: usize = 64 << 10;

/// What became of bytes that were to be sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// The kernel has all of them.
    All,
    /// The rest waits until the socket is writable.
    Partly,
    /// The connection is broken.
    Broken(Error),
}

impl Connection {
    /// Sends `bytes` after what is waiting already.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.unsent.is_empty() {
            if bytes.len() > UNSENT_MAX.saturating_sub(self.unsent.len()) {
                return Sent::Broken(Error::other("the peer does not read what it is sent"));
            }
            self.unsent.extend_from_slice(bytes);
            return Sent::Partly;
        }
        match self.write(bytes) {
            Ok(sent) if sent == bytes.len() => Sent::All,
            Ok(sent) => {
                self.unsent = bytes.get(sent..).unwrap_or_default().to_vec();
                Sent::Partly
            }
            Err(error) => Sent::Broken(error),
        }
    }

    /// Sends what is waiting.
    pub(super) fn send_rest(&mut self) -> Sent {
        let unsent = std::mem::take(&mut self.unsent);
        match self.write(&unsent) {
            Ok(sent) if sent == unsent.len() => Sent::All,
            Ok(sent) => {
                self.unsent = unsent;
                self.unsent.drain(..sent);
                Sent::Partly
            }
            Err(error) => Sent::Broken(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => break,
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A socket that is still connecting says so in either way.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_peer_that_does_not_read_is_sent_no_more_after_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _silent = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut connection = Connection {
            stream: TcpStream::from_std(stream),
            serial: 1,
            script: 0,
            stage: Stage::Draining,
            received: Vec::new(),
            unsent: Vec::new(),
        };
        // Buffers of the kernel take some megabytes first.
        let pong = [0; 1_000];
        let refused = (0..100_000).find(|_| matches!(connection.send(&pong), Sent::Broken(_)));
        assert!(refused.is_some());
        assert!((1..=UNSENT_MAX).contains(&connection.unsent.len()), "{}", connection.unsent.len());
    }
}
