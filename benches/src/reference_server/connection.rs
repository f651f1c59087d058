//! One client of the reference server, from its upgrade request to its close frame.

use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;
use rand_chacha::ChaCha8Rng;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Counts;
use super::answers::Answers;
use super::nonce::Nonce;
use super::verify;
use crate::wire::{self, Read};

/// Longest upgrade request, bytes.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Longest message of a client, bytes.
const MESSAGE_BYTES_MAX: usize = 60 * 1024;
/// More headers than any client sends.
const HEADERS_MAX: usize = 48;

/// What every connection works with.
pub(super) struct Shop {
    pub(super) answers: Answers,
    pub(super) reject_all: bool,
    pub(super) verify: bool,
    pub(super) counts: Counts,
    pub(super) nonces: ChaCha8Rng,
    /// One for all: what a read leaves over moves to the connection.
    pub(super) buffer: Vec<u8>,
    pub(super) out: Vec<u8>,
}

/// A client.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    stage: Stage,
    reject: bool,
    /// Bytes of an unfinished message.
    unread: Vec<u8>,
    /// Bytes that the socket did not take yet.
    unsent: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrade,
    Connect(Nonce),
    Answered,
}

/// Whether a connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It waits for the client.
    Wait,
    /// It waits for room in the socket, too.
    WaitForRoom,
    /// It has ended: drop it, which closes TCP from our side.
    End,
}

impl Connection {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, stage: Stage::Upgrade, reject: false, unread: Vec::new(), unsent: Vec::new() }
    }

    /// Reads what is there and answers it. `last_words`: the client has closed its side already.
    pub(super) fn on_readable(&mut self, shop: &mut Shop, last_words: bool) -> Next {
        let mut buffer = std::mem::take(&mut shop.buffer);
        let next = self.read_all(shop, &mut buffer, last_words);
        shop.buffer = buffer;
        next
    }

    fn read_all(&mut self, shop: &mut Shop, buffer: &mut [u8], last_words: bool) -> Next {
        loop {
            let kept = self.unread.len();
            if let Some(start) = buffer.get_mut(..kept) {
                start.copy_from_slice(&self.unread);
                self.unread.clear();
            }
            let Some(room) = buffer.get_mut(kept..) else { return Next::End };
            let capacity = room.len();
            let (read, blocked) = match self.stream.read(room) {
                Ok(0) => return Next::End,
                Ok(read) => (read, read < capacity),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (0, true),
                Err(error) if error.kind() == ErrorKind::Interrupted => (0, false),
                Err(_) => return Next::End,
            };
            let mut filled = buffer.get_mut(..kept + read).unwrap_or_default();
            while !filled.is_empty() {
                match self.take(shop, filled) {
                    Some(0) => break,
                    Some(used) => filled = filled.get_mut(used..).unwrap_or_default(),
                    None => {
                        self.flush(shop);
                        return Next::End;
                    }
                }
            }
            self.unread.extend_from_slice(filled);
            // A short read has emptied the socket (epoll(7)), unless the end of the stream came with the data.
            if blocked && (read == 0 || !last_words) {
                return self.flush(shop);
            }
        }
    }

    /// Answers the message at the beginning of `bytes`: how many bytes it had, 0 if it is not all there, `None` at the end.
    fn take(&mut self, shop: &mut Shop, bytes: &mut [u8]) -> Option<usize> {
        let nonce = match self.stage {
            Stage::Upgrade => return self.upgrade(shop, bytes),
            Stage::Connect(nonce) => Some(nonce),
            Stage::Answered => None,
        };
        let frame = match wire::read_client_frame(bytes, MESSAGE_BYTES_MAX) {
            Read::Frame(frame) => frame,
            Read::Incomplete => return Some(0),
            Read::Bad => {
                shop.counts.bad_messages += 1;
                return None;
            }
        };
        match (frame.opcode, nonce) {
            (wire::TEXT, Some(nonce)) => {
                let Some(id) = request_id(frame.payload) else {
                    shop.counts.bad_messages += 1;
                    return None;
                };
                if shop.verify {
                    shop.counts.verified(verify::connect(frame.payload, nonce.as_str()));
                }
                shop.answers.put_answer(&mut shop.out, id.as_bytes(), self.reject);
                if self.reject {
                    shop.counts.rejected += 1;
                } else {
                    shop.counts.hellos += 1;
                }
                self.stage = Stage::Answered;
            }
            (wire::CLOSE, _) => {
                shop.counts.closed += 1;
                // After a refusal ours has been sent.
                if !(self.reject && self.stage == Stage::Answered) {
                    shop.out.extend_from_slice(&shop.answers.close);
                }
                return None;
            }
            (wire::PING, _) => {
                let pong = wire::from_server(wire::PONG, frame.payload);
                shop.out.extend_from_slice(&pong);
            }
            // A run that looks at a gateway's devices finds none. Whatever else is called gets the same answer.
            (wire::TEXT, None) => {
                if let Some(id) = request_id(frame.payload) {
                    let answer = format!(
                        r#"{{"type":"res","id":"{id}","ok":true,"payload":{{"pending":[],"paired":[]}}}}"#
                    );
                    shop.out.extend_from_slice(&wire::from_server(wire::TEXT, answer.as_bytes()));
                }
            }
            _ => {}
        }
        Some(frame.bytes)
    }

    fn upgrade(&mut self, shop: &mut Shop, bytes: &[u8]) -> Option<usize> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let used = match request.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if bytes.len() <= REQUEST_BYTES_MAX => return Some(0),
            Ok(httparse::Status::Partial) | Err(_) => {
                shop.counts.bad_messages += 1;
                return None;
            }
        };
        self.reject = shop.reject_all || request.path.is_some_and(|path| path.starts_with("/reject"));
        let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
        let Some(key) = key else {
            shop.out.extend_from_slice(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return None;
        };
        let nonce = Nonce::draw(&mut shop.nonces);
        let accept = derive_accept_key(key.value);
        Answers::put_upgrade_and_challenge(&mut shop.out, &accept, nonce.as_str());
        shop.counts.upgraded += 1;
        self.stage = Stage::Connect(nonce);
        Some(used)
    }

    /// Sends what has been answered.
    pub(super) fn flush(&mut self, shop: &mut Shop) -> Next {
        if !self.unsent.is_empty() {
            self.unsent.append(&mut shop.out);
            std::mem::swap(&mut self.unsent, &mut shop.out);
            self.unsent.clear();
        }
        let mut sent = 0;
        while let Some(rest) = shop.out.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.extend_from_slice(rest);
                    shop.out.clear();
                    return Next::WaitForRoom;
                }
                Err(_) => {
                    shop.out.clear();
                    return Next::End;
                }
            }
        }
        shop.out.clear();
        Next::Wait
    }
}

/// The `id` of a request. Official clients write `type` and `id` first; for another order the message is decoded.
fn request_id(message: &[u8]) -> Option<String> {
    const USUAL: &[u8] = br#"{"type":"req","id":""#;
    let usual = message.strip_prefix(USUAL).and_then(|rest| {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        (rest.get(end) == Some(&b'"')).then(|| String::from_utf8(rest.get(..end)?.to_vec()).ok()).flatten()
    });
    usual.or_else(|| match protocol::Frame::decode(message) {
        Ok(protocol::Frame::Request(request)) => {
            // Sent back inside JSON: what needs an escape is refused rather than escaped.
            Some(request.id.into_owned()).filter(|id| !id.contains(['"', '\\']))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::request_id;

    #[test]
    fn the_id_is_found_whatever_the_order_of_the_keys() {
        let id = |text: &str| request_id(text.as_bytes());
        assert_eq!(id(r#"{"type":"req","id":"1","method":"connect"}"#).as_deref(), Some("1"));
        let other = r#"{"params":{"client":{"id":"cli"}},"method":"connect","id":"7","type":"req"}"#;
        assert_eq!(id(other).as_deref(), Some("7"));
        assert_eq!(id(r#"{"type":"req","id":"a\"b","method":"connect"}"#), None);
        assert_eq!(id("nonsense"), None);
    }
}
