//! Bytes into messages and back.

use std::hint::black_box;

use harness::client::upgrade::UpgradeHeaders;
use harness::websocket::{
    Answer, Event, Next, Nonce, Reader, UpgradeRequest, read_answer, write_close, write_text,
};
use protocol::Frame;

use super::Piece;
use crate::recorded;
use crate::reference_server::{Answers, HelloSize};

const MASK: [u8; 4] = *b"mask";
const MESSAGE_BYTES_MAX: usize = 1 << 20;

pub(super) fn both_ways() -> Piece {
    let headers = UpgradeHeaders { host: "127.0.0.1:7411".to_owned(), others: Vec::new() };
    let request = match UpgradeRequest::new("/", &headers) {
        Ok(request) => request,
        Err(error) => unreachable!("{error}"),
    };
    let nonce = Nonce::new([7; 16]);
    let connect = recorded::frames(recorded::NEW, r#""method":"connect""#).next().unwrap_or_default();
    let answers = Answers::new(HelloSize::Full);
    // Everything that the server says, in one piece: the reader takes it apart.
    let mut said = Vec::new();
    Answers::put_upgrade_and_challenge(&mut said, nonce.accept(), "b43a1e34-1d73-4947-bebe-2bb9a8d38f0d");
    answers.put_answer(&mut said, b"1", false);
    said.extend_from_slice(&answers.close);
    let mut out = Vec::with_capacity(2_048);
    Box::new(move || {
        out.clear();
        request.write(&nonce, &mut out);
        let answer = read_answer(black_box(&said), &nonce, false);
        let Ok(Answer::Switched { mut consumed }) = answer else { unreachable!("{answer:?}") };
        let mut reader = Reader::new();
        let mut messages = 0;
        loop {
            let bytes = said.get(consumed..).unwrap_or_default();
            match reader.next(bytes, MESSAGE_BYTES_MAX) {
                Ok(Next::Event { event: Event::Text(text), consumed: used }) => {
                    black_box(text);
                    messages += 1;
                    consumed += used;
                    if messages == 1 {
                        write_text(black_box(connect.as_bytes()), MASK, &mut out);
                    } else {
                        write_close(1000, "", MASK, &mut out);
                    }
                }
                Ok(Next::Event { event: Event::Close(_), .. }) => break,
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(messages, 2, "challenge and hello-ok");
        black_box(&out);
    })
}

pub(super) fn decode() -> Piece {
    let challenge = recorded::frames(recorded::NEW, "connect.challenge").next().unwrap_or_default();
    let hello = HelloSize::Full.message();
    Box::new(move || {
        let both = (
            Frame::decode(black_box(challenge.as_bytes())).is_ok(),
            Frame::decode(black_box(hello.as_bytes())).is_ok(),
        );
        assert_eq!(both, (true, true), "no frames");
    })
}
