//! What the reference server says: built once, so that a handshake costs it copies and no JSON.

use crate::recorded;
use crate::wire;

/// Bytes of a challenge, nonce included.
const NONCE_BYTES: usize = 36;
const CHALLENGE_BEFORE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":""#;
const CHALLENGE_AFTER: &str = r#"","ts":1795414643881,"capabilities":["model-catalog-snapshot"]}}"#;
/// Up to the nonce of the challenge's frame: 2 bytes and 2 of length, since it is longer than 125.
const CHALLENGE_BYTES: usize = 4 + CHALLENGE_BEFORE.len() + NONCE_BYTES + CHALLENGE_AFTER.len();

/// Between the status line and the accept key.
const UPGRADE_BEFORE: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
const UPGRADE_AFTER: &str = "\r\n\r\n";
/// An accept key is 20 bytes as base64.
const ACCEPT_BYTES: usize = 28;

/// Keys, order and values of the 2026.9.6 frame with shorter lists; what is missing to [`HelloSize::OneK`] comes as names of methods.
const SHORT_HELLO: &str = r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6","bootId":"36397f81-c81c-4d1d-97d5-778b5352884e","connId":"06b7ad1c-6e84-4779-902c-1a2d4a0c5413"},"features":{"methods":["health"],"events":["connect.challenge","tick","health"]},"snapshot":{"presence":[],"health":{},"stateVersion":{"presence":1,"health":1},"uptimeMs":8298,"authMode":"token"},"auth":{"method":"token","role":"operator","scopes":["operator.read","operator.write","operator.admin","operator.approvals","operator.pairing"],"deviceToken":"Nl4KmDDDK0OTdGl3QHe-QdQVKZZWK6XvMh2qImTqAfw","issuedAtMs":1795414643899},"policy":{"maxPayload":26214400,"maxBufferedBytes":52428800,"tickIntervalMs":30000}}}"#;
const FIRST_METHOD: &str = r#""methods":["health""#;

/// How long the answer to an accepted `connect` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum HelloSize {
    /// 1,024 bytes: a gateway with few methods, as the releases of February 2026 were.
    #[value(name = "1k")]
    OneK,
    /// 15,654 bytes: what 2026.9.6 sends with its default plugins.
    #[value(name = "15.6k")]
    Full,
}

impl HelloSize {
    /// Bytes of the message whose `id` has one character.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::OneK => 1_024,
            Self::Full => 15_654,
        }
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneK => "1k",
            Self::Full => "15.6k",
        }
    }

    /// The whole message, for the request `1`.
    #[must_use]
    pub fn message(self) -> String {
        let recorded = match self {
            Self::OneK => SHORT_HELLO,
            // The recorded machine had fewer plugins than the one whose message had 15,654 bytes.
            Self::Full => recorded::frames(recorded::NEW, r#""type":"hello-ok""#)
                .max_by_key(|frame| frame.len())
                .unwrap_or_default(),
        };
        lengthened(recorded, self.bytes())
    }
}

/// The message with so many more methods that it has `bytes` bytes.
fn lengthened(message: &str, bytes: usize) -> String {
    let mut missing = bytes.saturating_sub(message.len());
    let mut names = String::new();
    let mut number = 0;
    // A name costs two quotes and a comma. The last takes what is left, so that none is shorter than the others.
    while missing > 0 {
        let name = format!("bench.method.{number:03}");
        let cost = name.len() + 3;
        let filler = if missing < 2 * cost { missing.saturating_sub(cost) } else { 0 };
        names.push_str(&format!(r#","{name}{}""#, "x".repeat(filler)));
        missing = missing.saturating_sub(cost + filler);
        number += 1;
    }
    message.replacen(FIRST_METHOD, &format!("{FIRST_METHOD}{names}"), 1)
}

/// A refusal, as 2026.9.6 sends it to a device that nobody has approved yet.
fn refusal() -> &'static str {
    recorded::frames(recorded::NEW, r#""reason":"not-paired""#)
        .find(|frame| frame.contains("recommendedNextStep"))
        .unwrap_or_default()
}

/// Everything that is sent, but for accept key, nonce and request id.
#[derive(Debug)]
pub struct Answers {
    hello: Answer,
    reject: Answer,
    reject_close: Vec<u8>,
    /// A close frame with code 1000.
    pub close: Vec<u8>,
}

/// A message cut where the request's id belongs.
#[derive(Debug)]
struct Answer {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Answer {
    fn of(message: &str) -> Self {
        let (before, after) = message.split_once(r#""id":"1""#).unwrap_or_default();
        Self {
            before: format!(r#"{before}"id":""#).into_bytes(),
            after: [b"\"".as_slice(), after.as_bytes()].concat(),
        }
    }

    fn put(&self, out: &mut Vec<u8>, id: &[u8]) {
        wire::put_header(out, wire::TEXT, self.before.len() + id.len() + self.after.len());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(id);
        out.extend_from_slice(&self.after);
    }
}

impl Answers {
    /// The answers of a server with this `hello-ok`.
    #[must_use]
    pub fn new(hello: HelloSize) -> Self {
        let reason =
            "pairing required: device is not approved yet (requestId: 6c13bfa1-f1a7-422c-952f-879f597814e9)";
        Self {
            hello: Answer::of(&hello.message()),
            reject: Answer::of(refusal()),
            reject_close: wire::from_server(wire::CLOSE, &wire::close_payload(1008, reason)),
            close: wire::from_server(wire::CLOSE, &wire::close_payload(1000, "")),
        }
    }

    /// Appends the answer to an upgrade request and the challenge.
    pub fn put_upgrade_and_challenge(out: &mut Vec<u8>, accept: &str, nonce: &str) {
        out.extend_from_slice(UPGRADE_BEFORE.as_bytes());
        out.extend_from_slice(accept.as_bytes());
        out.extend_from_slice(UPGRADE_AFTER.as_bytes());
        wire::put_header(out, wire::TEXT, CHALLENGE_BEFORE.len() + nonce.len() + CHALLENGE_AFTER.len());
        out.extend_from_slice(CHALLENGE_BEFORE.as_bytes());
        out.extend_from_slice(nonce.as_bytes());
        out.extend_from_slice(CHALLENGE_AFTER.as_bytes());
    }

    /// Appends the answer to `connect` with this `id`: `hello-ok`, or the refusal and its close frame.
    pub fn put_answer(&self, out: &mut Vec<u8>, id: &[u8], reject: bool) {
        if reject {
            self.reject.put(out, id);
            out.extend_from_slice(&self.reject_close);
        } else {
            self.hello.put(out, id);
        }
    }

    /// Bytes that a client receives before it sends `connect`.
    #[must_use]
    pub const fn bytes_before_connect() -> usize {
        UPGRADE_BEFORE.len() + ACCEPT_BYTES + UPGRADE_AFTER.len() + CHALLENGE_BYTES
    }

    /// Bytes of the answer to `connect` with this `id`.
    #[must_use]
    pub fn answer_bytes(&self, id: &[u8], reject: bool) -> usize {
        let mut out = Vec::new();
        self.put_answer(&mut out, id, reject);
        out.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Frame, HelloOk};

    #[test]
    fn each_hello_has_its_size_and_is_a_hello() {
        for size in [HelloSize::OneK, HelloSize::Full] {
            let message = size.message();
            assert_eq!(message.len(), size.bytes());
            let Ok(Frame::Response(response)) = Frame::decode(message.as_bytes()) else {
                panic!("{message}")
            };
            let hello: HelloOk = serde_json::from_str(response.payload.unwrap().get()).unwrap();
            assert_eq!((hello.protocol, response.id.as_ref()), (4, "1"));
            assert!(hello.auth.unwrap().device_token.is_some());
        }
    }

    #[test]
    fn the_refusal_asks_for_pairing_and_is_sent_under_the_id_of_its_request() {
        let answers = Answers::new(HelloSize::OneK);
        let mut out = Vec::new();
        answers.put_answer(&mut out, b"other-id", true);
        let Some(message) = out.get(4..out.len() - answers.reject_close.len()) else { panic!() };
        let Ok(Frame::Response(response)) = Frame::decode(message) else { panic!() };
        assert_eq!(response.id, "other-id");
        let error = response.error.unwrap();
        assert_eq!(error.code, protocol::ErrorCode::NotPaired);
        assert_eq!(error.details.unwrap().code, Some(protocol::DetailCode::PairingRequired));
    }

    #[test]
    fn a_challenge_is_as_long_as_a_real_one() {
        let mut out = Vec::new();
        let nonce = "b43a1e34-1d73-4947-bebe-2bb9a8d38f0d";
        Answers::put_upgrade_and_challenge(&mut out, &"a".repeat(ACCEPT_BYTES), nonce);
        assert_eq!(out.len(), Answers::bytes_before_connect());
        let recorded = recorded::frames(recorded::NEW, "connect.challenge").next().unwrap();
        assert!(out.ends_with(recorded.as_bytes()), "{}", String::from_utf8_lossy(&out));
    }
}
