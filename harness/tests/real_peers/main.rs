//! The WebSocket codec against servers that the world runs on: `ws` for Node and `websockets` for Python. Not part of
//! `cargo test --workspace`, which needs neither.
//!
//!     export PAIRSTORM_CACHE=DIR
//!     bash harness/tests/real_peers/install.sh
//!     cargo test -p pairstorm-harness --test real_peers
//!
//! Asked for without them, every test fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests; clippy's allowance covers only functions marked as tests"
)]

mod client;
mod server;

use std::fmt::Write as _;

use client::{Client, MASK, Refused, Said};
use harness::websocket::{
    Control, FrameError, UpgradeError, write_binary, write_close, write_ping, write_text,
};
use serde_json::Value;
use server::{Peer, Server};

/// Around every length where the form of a length changes, and a mebibyte.
const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20];

fn messages_come_back_as_they_went(server: &Server) {
    let mut client = Client::dial(server.address, "/echo");
    for length in LENGTHS {
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        client.send(|out| write_binary(&bytes, MASK, out));
        assert!(client.next() == Said::Binary(bytes), "{length} bytes");
        let text: String = "Grüße 𝄞 ".chars().cycle().take(length).collect();
        if text.len() <= 1 << 20 {
            client.send(|out| write_text(text.as_bytes(), MASK, out));
            assert!(client.next() == Said::Text(text), "{length} characters");
        }
    }
    // Several in one segment.
    client.send(|out| {
        write_text(b"one", MASK, out);
        write_ping(b"two", MASK, out);
        write_text(b"three", MASK, out);
    });
    // A pong may overtake an echo.
    let mut said = [client.next(), client.next(), client.next()];
    said.sort_by_key(|said| matches!(said, Said::Pong(_)));
    assert_eq!(said, [Said::Text("one".into()), Said::Text("three".into()), Said::Pong(b"two".to_vec())]);
}

fn the_request_arrives_as_it_was_meant(server: &Server) {
    let mut client = Client::dial(server.address, "/request?token=a%20b&x");
    let Said::Text(text) = client.next() else { panic!("no text") };
    let request: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(request[0], "/request?token=a%20b&x");
    assert_eq!(request[1]["host"], server.address.to_string());
    assert_eq!(request[1]["x-forwarded-for"], "203.0.113.9");
    assert_eq!(request[1]["origin"], "http://here:1");
}

fn fragments_are_put_together_and_pings_between_them_answered(server: &Server) {
    let mut client = Client::dial(server.address, "/fragments");
    let ping = |text: &str| Said::Ping(text.into());
    let said: Vec<Said> = (0..5).map(|_| client.next()).collect();
    assert_eq!(said, [ping("Gr"), ping("ü"), ping(""), ping("ße"), Said::Text("Grüße".into())]);
    let mut client = Client::dial(server.address, "/ping");
    assert_eq!(client.next(), ping("there?"));
    assert_eq!(client.next(), Said::Text("pong there?".into()));
}

fn closes_come_with_code_and_reason(server: &Server) {
    for (code, reason) in [(1000, ""), (1008, "pairing required"), (1012, "service restart"), (4999, "Grüße")]
    {
        let reason_in_path = reason.replace(' ', "%20").replace("üß", "%C3%BC%C3%9F");
        let mut client = Client::dial(server.address, &format!("/close?code={code}&reason={reason_in_path}"));
        assert_eq!(client.next(), Said::Close(Some(code), reason.to_owned()));
        assert_eq!(client.next(), Said::Ended);
        // The other way round; both answer with the code that came.
        let mut client = Client::dial(server.address, "/echo");
        client.send(|out| write_close(code, reason, MASK, out));
        let Said::Close(answered, _) = client.next() else { panic!("no close") };
        assert_eq!(answered, Some(code));
        assert_eq!(client.next(), Said::Ended);
    }
}

fn a_refused_upgrade_says_why(server: &Server) {
    let refused = Client::try_dial(server.address, "/refuse").err();
    assert_eq!(refused, Some(Refused::Status(503, "gateway draining".to_owned())));
    if let Some(plain) = server.plain {
        let refused = Client::try_dial(plain, "/").err();
        assert_eq!(refused, Some(Refused::Status(426, "no WebSocket ".to_owned())), "the first chunk");
    }
}

fn answers_are_judged(server: &Server) {
    let dial = |query: &str| Client::try_dial(server.address, &format!("/answer?{query}"));
    for query in [
        "Connection=keep-alive,%20UPGRADE",
        "Connection=keep-alive&Connection=Upgrade",
        "uPGRADE=WebSocket&Server=",
        "X=y",
    ] {
        let mut client = dial(query).unwrap_or_else(|refused| panic!("{query}: {refused:?}"));
        assert_eq!(client.next(), Said::Text("greeting".to_owned()), "{query}");
    }
    for (query, error) in [
        ("Upgrade=", UpgradeError::Upgrade),
        ("Upgrade=h2c", UpgradeError::Upgrade),
        ("Connection=", UpgradeError::Connection),
        ("Connection=close", UpgradeError::Connection),
        ("Sec-WebSocket-Accept=", UpgradeError::Accept),
        ("Sec-WebSocket-Accept=s3pPLMBiTxaQ9kYGzzhZRbK%2BxOo%3D", UpgradeError::Accept),
        ("Sec-WebSocket-Extensions=permessage-deflate", UpgradeError::Extension),
        ("Sec-WebSocket-Protocol=chat", UpgradeError::Subprotocol),
    ] {
        assert_eq!(dial(query).err(), Some(Refused::Broken(error)), "{query}");
    }
}

fn what_no_server_may_send_is_refused(server: &Server) {
    use FrameError::*;
    let control = Control::Ping;
    for (bytes, error) in [
        (&b"\xc1\x01x"[..], ReservedBits { first: 0xc1 }),
        (b"\x83\x00", UnknownOpcode { opcode: 3 }),
        (b"\x8b\x00", UnknownOpcode { opcode: 0xb }),
        (b"\x09\x00", ControlFragmented { control }),
        (b"\x89\x7e\x00\x7e", ControlTooLong { control }),
        (b"\x81\x81\x00\x00\x00\x00x", Masked),
        (b"\x81\x7e\x00\x01x", LengthNotShortest { bytes: 1 }),
        (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", LengthHighestBit),
        (
            b"\x81\x7f\x00\x00\x00\x00\x00\x20\x00\x01",
            MessageTooLong { bytes: 0x0020_0001, max: 0x0020_0000 },
        ),
        (b"\x80\x00", ContinuesNothing),
        (b"\x01\x01x\x81\x01y", BeginsInside),
        (b"\x81\x02\xc0\xaf", TextUtf8),
        (b"\x01\x01\xc3\x80\x01x", TextUtf8),
        (b"\x88\x01\x03", CloseOfOneByte),
        (b"\x88\x03\x03\xe8\xff", CloseReasonUtf8),
    ] {
        // A message before it is read all the same.
        let mut hex = "810568656c6c6f".to_owned();
        bytes.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        let mut client = Client::dial(server.address, &format!("/raw?hex={hex}"));
        assert_eq!(client.next(), Said::Text("hello".to_owned()), "{error:?}");
        assert_eq!(client.next(), Said::Broken(error));
    }
    // A close is a close, whatever its code; and nothing behind it is looked at.
    for code in [1005_u16, 1006, 1015, 2999, 5000] {
        let mut client = Client::dial(server.address, &format!("/raw?hex=8802{code:04x}ffff"));
        assert_eq!(client.next(), Said::Close(Some(code), String::new()));
    }
}

/// A frame of ours, changed.
fn changed(write: impl FnOnce(&mut Vec<u8>), change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    change(&mut bytes);
    bytes
}

fn what_no_client_may_send_is_refused_by_it(server: &Server) {
    let text = |payload: &'static [u8]| move |out: &mut Vec<u8>| write_text(payload, [0; 4], out);
    let first = |byte: u8| move |bytes: &mut Vec<u8>| bytes[0] = byte;
    let close =
        |payload: &'static [u8]| changed(|out| write_ping(payload, [0; 4], out), |bytes| bytes[0] = 0x88);
    for (what, bytes, code) in [
        ("a reserved bit", changed(text(b"x"), first(0xc1)), 1002),
        ("an unknown opcode", changed(text(b"x"), first(0x83)), 1002),
        ("an unknown control frame", changed(text(b"x"), first(0x8b)), 1002),
        ("a fragmented ping", changed(|out| write_ping(b"x", [0; 4], out), first(0x09)), 1002),
        ("a long ping", changed(|out| write_text(&[b'x'; 126], [0; 4], out), first(0x89)), 1002),
        ("no mask", b"\x81\x01x".to_vec(), 1002),
        ("a continuation of nothing", changed(text(b"x"), first(0x80)), 1002),
        (
            "a message inside another",
            changed(text(b"x"), |bytes| {
                bytes[0] = 0x01;
                write_text(b"y", [0; 4], bytes);
            }),
            1002,
        ),
        ("text that is not UTF-8", changed(text(b"\xc0\xaf"), |_| {}), 1007),
        ("a message that is too long", b"\x82\xff\0\0\0\0\0\x20\0\x01\0\0\0\0".to_vec(), 1009),
        ("half a close code", close(b"\x03"), 1002),
        ("a close code that is never sent", changed(|out| write_close(1005, "", [0; 4], out), |_| {}), 1002),
        ("a close code that means nothing", changed(|out| write_close(999, "", [0; 4], out), |_| {}), 1002),
        ("a reason that is not UTF-8", close(b"\x03\xe8\xff"), 1007),
    ] {
        let mut client = Client::dial(server.address, "/echo");
        client.send(|out| {
            write_text(b"before", MASK, out);
            out.extend_from_slice(&bytes);
        });
        let mut said = client.next();
        // One of them answers what came before, the other does not get to it.
        if said == Said::Text("before".to_owned()) {
            said = client.next();
        }
        let Said::Close(Some(said), _) = said else { panic!("{what}: {said:?}") };
        assert_eq!(said, code, "{what}, {:?}", server.peer);
    }
}

macro_rules! with_both {
    ($($test:ident)*) => {
        mod node {
            $(#[test]
            fn $test() {
                super::$test(&super::Server::start(super::Peer::Node));
            })*
        }

        mod python {
            $(#[test]
            fn $test() {
                super::$test(&super::Server::start(super::Peer::Python));
            })*
        }
    };
}

with_both! {
    messages_come_back_as_they_went
    the_request_arrives_as_it_was_meant
    fragments_are_put_together_and_pings_between_them_answered
    closes_come_with_code_and_reason
    a_refused_upgrade_says_why
    answers_are_judged
    what_no_server_may_send_is_refused
    what_no_client_may_send_is_refused_by_it
}
