//! Held against tungstenite, in memory: both read the same bytes, and each reads what the other wrote.

use std::io::{self, Cursor, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message};

use super::super::{
    Answer, FrameError, Nonce, UpgradeError, UpgradeRequest, read_answer, write_binary, write_close,
    write_ping, write_pong, write_text,
};
use super::frames::{broken, stream};
use super::{MESSAGE_BYTES_MAX, Said, read};
use crate::client::upgrade::UpgradeHeaders;

/// One end of a connection whose other end has sent all that it will send.
#[derive(Debug)]
struct Pipe {
    incoming: Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Pipe {
    fn with(incoming: &[u8]) -> Self {
        Self { incoming: Cursor::new(incoming.to_owned()), outgoing: Vec::new() }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(4096)
}

impl From<Message> for Said {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.as_str().to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close(None) => Self::Close(None, String::new()),
            Message::Close(Some(frame)) => {
                Self::Close(Some(frame.code.into()), frame.reason.as_str().to_owned())
            }
            Message::Frame(frame) => unreachable!("{frame} is never read"),
        }
    }
}

/// What tungstenite makes of bytes, up to a close frame.
fn theirs(role: Role, bytes: &[u8]) -> (Vec<Said>, Option<Error>) {
    let mut socket = WebSocket::from_raw_socket(Pipe::with(bytes), role, Some(config()));
    let mut said = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                said.push(message.into());
                if let Some(Said::Close(..)) = said.last() {
                    return (said, None);
                }
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return (said, None),
            Err(error) => return (said, Some(error)),
        }
    }
}

/// Our events as tungstenite tells them: it hides a code that the RFC forbids.
fn as_theirs(said: Vec<Said>) -> Vec<Said> {
    let hidden = |said| match said {
        Said::Close(Some(code), _) if !CloseCode::from(code).is_allowed() => {
            Said::Close(Some(1002), "Protocol violation".to_owned())
        }
        other => other,
    };
    said.into_iter().map(hidden).collect()
}

/// Both read `bytes` as clients, and must agree but for what is listed here. Gives what was found that is listed.
fn compare(bytes: &[u8]) -> Result<Option<&'static str>, TestCaseError> {
    // tungstenite judges a frame when it is whole, we judge its head. Zeros complete any frame that may come at all, and are
    // empty continuation frames behind it.
    let mut bytes = bytes.to_owned();
    bytes.resize(bytes.len() + MESSAGE_BYTES_MAX + 16, 0);
    let (ours, our_error) = read([&bytes[..]]);
    let (theirs, their_error) = theirs(Role::Client, &bytes);
    let ours = as_theirs(ours);
    match (our_error, their_error) {
        // It does not ask for the shortest form (RFC 6455, section 5.2: "the minimal number of bytes MUST be used").
        (Some(FrameError::LengthNotShortest { .. }), _) => {
            prop_assert!(theirs.starts_with(&ours), "{:?} {:?}", ours, theirs);
            Ok(Some("a length that is not the shortest"))
        }
        // The same of a control frame, where the form alone tells us that the length is wrong.
        (Some(FrameError::ControlTooLong { .. }), _) if theirs.len() > ours.len() => {
            prop_assert!(theirs.starts_with(&ours), "{:?} {:?}", ours, theirs);
            Ok(Some("a length that is not the shortest"))
        }
        // It looks at each fragment of a text, we look at the text. So it may fail before control frames that stand in between.
        // A message that never ends is never judged by us.
        (our_error, Some(Error::Utf8(_))) => {
            prop_assert!(ours.starts_with(&theirs), "{:?} {:?}", ours, theirs);
            let listed = our_error.is_none() || ours.len() > theirs.len();
            Ok(listed.then_some("text that is seen to be broken before it ends"))
        }
        (ours_failed, theirs_failed) => {
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(
                ours_failed.is_some(),
                theirs_failed.is_some(),
                "{:?} {:?}",
                ours_failed,
                theirs_failed
            );
            Ok(None)
        }
    }
}

/// A message of a server.
fn message() -> impl Strategy<Value = Message> {
    let payload = || prop_oneof![4 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), 65_500..65_600)];
    prop_oneof![
        "\\PC{0,60}".prop_map(Message::text),
        payload().prop_map(Message::binary),
        vec(any::<u8>(), 0..=125).prop_map(|payload| Message::Ping(payload.into())),
        vec(any::<u8>(), 0..=125).prop_map(|payload| Message::Pong(payload.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn both_read_what_is_well_formed((bytes, said) in stream()) {
        let (theirs, error) = theirs(Role::Client, &bytes);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(as_theirs(said), theirs);
    }

    #[test]
    fn both_refuse_what_is_not(bytes in broken()) {
        compare(&bytes)?;
    }

    #[test]
    fn we_read_what_it_writes_as_a_server(messages in vec(message(), 0..8), close in any::<bool>()) {
        let mut socket = WebSocket::from_raw_socket(Pipe::with(&[]), Role::Server, Some(config()));
        let mut due = Vec::new();
        for message in messages {
            due.push(message.clone().into());
            socket.send(message).unwrap();
        }
        if close {
            let frame = CloseFrame { code: CloseCode::Policy, reason: "pairing required".into() };
            due.push(Message::Close(Some(frame.clone())).into());
            socket.close(Some(frame)).unwrap();
        }
        prop_assert_eq!(read([&socket.get_ref().outgoing[..]]), (due, None));
    }

    #[test]
    fn it_reads_what_we_write_as_a_server(
        messages in vec(message(), 0..8),
        mask in any::<[u8; 4]>(),
        close in prop::option::of((prop_oneof![1000..=1003_u16, 3000..=4999_u16], "[a-zß€]{0,30}")),
    ) {
        let mut out = Vec::new();
        let mut due: Vec<Said> = messages.into_iter().map(Said::from).collect();
        for said in &due {
            match said {
                Said::Text(text) => write_text(text.as_bytes(), mask, &mut out),
                Said::Binary(bytes) => write_binary(bytes, mask, &mut out),
                Said::Ping(bytes) => write_ping(bytes, mask, &mut out),
                Said::Pong(bytes) => write_pong(bytes, mask, &mut out),
                Said::Close(..) => unreachable!("comes last"),
            }
        }
        if let Some((code, reason)) = close {
            write_close(code, &reason, mask, &mut out);
            due.push(Said::Close(Some(code), reason));
        }
        let (said, error) = theirs(Role::Server, &out);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(said, due);
    }
}

/// Where the two differ, as they do today: a difference that is gone must leave the list in [`compare`].
#[test]
fn the_listed_differences_are_there() {
    let difference = |bytes: &[u8]| compare(bytes).unwrap();
    assert_eq!(difference(b"\x81\x7e\x00\x05Hello"), Some("a length that is not the shortest"));
    assert_eq!(difference(b"\x89\x7e\x00\x05Hello"), Some("a length that is not the shortest"));
    let early = Some("text that is seen to be broken before it ends");
    assert_eq!(difference(b"\x01\x01\xff\x89\x00\x80\x00"), early);
    assert_eq!(difference(b"\x01\x01\xff"), early);
    assert_eq!(difference(b"\x01\x01\xff\x80\x00"), None);
}

/// What we would write if we were told to, and no server may accept.
#[test]
fn it_refuses_what_is_broken_of_ours() {
    let mut out = Vec::new();
    write_text(b"\xff", [1, 2, 3, 4], &mut out);
    assert!(matches!(theirs(Role::Server, &out).1, Some(Error::Utf8(_))));
    let (said, _) = theirs(Role::Server, b"\x88\x82\0\0\0\0\x03\xed");
    assert_eq!(said, [Said::Close(Some(1002), "Protocol violation".to_owned())]);
    out.clear();
    write_close(1005, "", [0; 4], &mut out);
    assert_eq!(out, b"\x88\x82\0\0\0\0\x03\xed");
    let unmasked = theirs(Role::Server, b"\x81\x05Hello").1;
    assert!(matches!(unmasked, Some(Error::Protocol(ProtocolError::UnmaskedFrameFromClient))));
}

const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn our_request() -> Vec<u8> {
    let others = vec![("Origin", "http://host:1".to_owned())];
    let headers = UpgradeHeaders { host: "host:1".to_owned(), others };
    let mut out = Vec::new();
    UpgradeRequest::new("/chat?x=y", &headers).unwrap().write(&Nonce::new(NONCE), &mut out);
    out
}

#[test]
fn it_accepts_our_request_and_we_its_answer() {
    #[expect(clippy::result_large_err, reason = "tungstenite's type")]
    let callback = |request: &Request, response: Response| {
        assert_eq!(request.uri().to_string(), "/chat?x=y");
        assert_eq!(request.headers()["host"], "host:1");
        assert_eq!(request.headers()["origin"], "http://host:1");
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(Pipe::with(&our_request()), callback).unwrap();
    let upgraded = socket.get_ref().outgoing.len();
    socket.send(Message::text("hello")).unwrap();
    let bytes = &socket.get_ref().outgoing;
    let answer = read_answer(bytes, &Nonce::new(NONCE), false);
    assert_eq!(answer, Ok(Answer::Switched { consumed: upgraded }));
    assert_eq!(read([&bytes[upgraded..]]), (vec![Said::Text("hello".to_owned())], None));
}

#[test]
fn a_refusal_of_it_is_read() {
    #[expect(clippy::result_large_err, reason = "tungstenite's type")]
    let callback = |_: &Request, _: Response| {
        let mut refusal = ErrorResponse::new(Some("gateway draining".to_owned()));
        *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Err(refusal)
    };
    let mut pipe = Pipe::with(&our_request());
    assert!(tungstenite::accept_hdr(&mut pipe, callback).is_err());
    let answer = read_answer(&pipe.outgoing, &Nonce::new(NONCE), true);
    assert_eq!(answer, Ok(Answer::Refused { status: 503, body: b"gateway draining" }));
}

/// Whether tungstenite's client takes an answer.
fn it_takes(answer: &str) -> bool {
    let key = Nonce::new(NONCE);
    let request = tungstenite::http::Request::builder()
        .uri("ws://host:1/")
        .header("Host", "host:1")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key.key())
        .body(())
        .unwrap();
    match ClientHandshake::start(Pipe::with(answer.as_bytes()), request, Some(config())).unwrap().handshake()
    {
        Ok(_) => true,
        Err(HandshakeError::Failure(_)) => false,
        Err(HandshakeError::Interrupted(_)) => panic!("{answer:?} is not whole"),
    }
}

/// Answers with status 101, what we make of them, and whether tungstenite takes them.
#[test]
fn both_judge_answers_alike_but_for_what_is_listed() {
    use UpgradeError::{Accept, Connection, Extension, Subprotocol, Upgrade};
    let upgrade = "Upgrade: websocket\r\n";
    let connection = "Connection: Upgrade\r\n";
    let wrong = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOx=\r\n";
    for (lines, ours, theirs) in [
        (vec![upgrade, connection, ACCEPT], None, true),
        (vec!["upgrade:WebSocket\r\n", "CONNECTION: upgrade\r\n", ACCEPT], None, true),
        (vec![connection, ACCEPT], Some(Upgrade), false),
        (vec!["Upgrade: h2c\r\n", connection, ACCEPT], Some(Upgrade), false),
        (vec![upgrade, ACCEPT], Some(Connection), false),
        (vec![upgrade, "Connection: close\r\n", ACCEPT], Some(Connection), false),
        (vec![upgrade, connection], Some(Accept), false),
        (vec![upgrade, connection, wrong], Some(Accept), false),
        (vec![upgrade, connection, ACCEPT, "Sec-WebSocket-Protocol: x\r\n"], Some(Subprotocol), false),
        // It takes no list of tokens (section 4.1: "doesn't contain a token").
        (vec![upgrade, "Connection: keep-alive, Upgrade\r\n", ACCEPT], None, false),
        (vec![upgrade, "Connection: keep-alive\r\n", connection, ACCEPT], None, false),
        // It does not look (section 4.1, step 5; its source says TODO).
        (vec![upgrade, connection, ACCEPT, "Sec-WebSocket-Extensions: x\r\n"], Some(Extension), true),
        // It looks at the first only (section 11.3.3: "MUST NOT appear more than once").
        (vec![upgrade, connection, ACCEPT, ACCEPT], Some(Accept), true),
        (vec![upgrade, upgrade, connection, ACCEPT], Some(Upgrade), true),
    ] {
        let answer = format!("HTTP/1.1 101 x\r\n{}\r\n", lines.concat());
        let due = ours.map_or(Ok(Answer::Switched { consumed: answer.len() }), Err);
        assert_eq!(read_answer(answer.as_bytes(), &Nonce::new(NONCE), false), due, "{answer}");
        assert_eq!(it_takes(&answer), theirs, "tungstenite: {answer}");
    }
}
