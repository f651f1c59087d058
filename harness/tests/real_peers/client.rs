//! The codec on a blocking socket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use harness::client::upgrade::UpgradeHeaders;
use harness::websocket::{
    Answer, Event, FrameError, Next, Nonce, Reader, UpgradeError, UpgradeRequest, read_answer, write_close,
    write_pong,
};

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest message of these tests.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Every frame has it: what a mask does to the payload is not the question here.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a server said, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// Not a frame that may be sent.
    Broken(FrameError),
    /// The stream.
    Ended,
}

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Status(u16, String),
    Broken(UpgradeError),
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    reader: Reader,
}

impl Client {
    /// Connects, and must be let in.
    #[track_caller]
    pub(crate) fn dial(address: SocketAddr, path: &str) -> Self {
        match Self::try_dial(address, path) {
            Ok(client) => client,
            Err(refused) => panic!("{path}: {refused:?}"),
        }
    }

    pub(crate) fn try_dial(address: SocketAddr, path: &str) -> Result<Self, Refused> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let others =
            vec![("X-Forwarded-For", "203.0.113.9".to_owned()), ("Origin", "http://here:1".to_owned())];
        let headers = UpgradeHeaders { host: address.to_string(), others };
        // The port differs from run to run, and so does the key.
        let [high, low] = address.port().to_be_bytes();
        let nonce = Nonce::new([high, low, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        let mut request = Vec::new();
        UpgradeRequest::new(path, &headers).unwrap().write(&nonce, &mut request);
        stream.write_all(&request).unwrap();
        let mut buffer = Vec::new();
        let mut ended = false;
        loop {
            match read_answer(&buffer, &nonce, ended).map_err(Refused::Broken)? {
                Answer::Switched { consumed } => {
                    buffer.drain(..consumed);
                    return Ok(Self { stream, buffer, reader: Reader::new() });
                }
                Answer::Refused { status, body } => {
                    return Err(Refused::Status(status, String::from_utf8_lossy(body).into_owned()));
                }
                Answer::Partial => {
                    assert!(!ended, "it ended in the middle: {}", String::from_utf8_lossy(&buffer));
                    ended = more(&mut stream, &mut buffer) == 0;
                }
            }
        }
    }

    pub(crate) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// What the server says next. Pings and closes are answered.
    pub(crate) fn next(&mut self) -> Said {
        loop {
            let (said, used) = match self.reader.next(&self.buffer, MESSAGE_BYTES_MAX) {
                Err(error) => return Said::Broken(error),
                Ok(Next::More { consumed, .. }) => (None, consumed),
                Ok(Next::Event { event, consumed }) => {
                    let said = match event {
                        Event::Text(text) => Said::Text(text.to_owned()),
                        Event::Binary(bytes) => Said::Binary(bytes.to_owned()),
                        Event::Ping(bytes) => Said::Ping(bytes.to_owned()),
                        Event::Pong(bytes) => Said::Pong(bytes.to_owned()),
                        Event::Close(close) => Said::Close(close.code, close.reason.to_owned()),
                    };
                    (Some(said), consumed)
                }
            };
            self.buffer.drain(..used);
            match said {
                Some(Said::Ping(payload)) => {
                    self.send(|out| write_pong(&payload, MASK, out));
                    return Said::Ping(payload);
                }
                Some(Said::Close(code, reason)) => {
                    let mut out = Vec::new();
                    write_close(code.unwrap_or(1000), "", MASK, &mut out);
                    // It may have gone already.
                    let _ = self.stream.write_all(&out);
                    return Said::Close(code, reason);
                }
                Some(said) => return said,
                None if more(&mut self.stream, &mut self.buffer) == 0 => return Said::Ended,
                None => {}
            }
        }
    }
}

/// Reads what there is, and gives how much that was.
fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> usize {
    let mut chunk = [0; 4096];
    let length = match stream.read(&mut chunk) {
        Ok(length) => length,
        // Of a peer that ended with something of ours unread.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
        Err(error) => panic!("nothing came: {error}"),
    };
    buffer.extend_from_slice(&chunk[..length]);
    length
}
