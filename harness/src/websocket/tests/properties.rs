//! What must hold for any bytes, however they are cut.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{
    Answer, Nonce, read_answer, write_binary, write_close, write_ping, write_pong, write_text,
};
use super::frames::{broken, stream};
use super::{Said, read};

/// Cuts `bytes` into chunks of these lengths, over and over.
fn chunks<'b>(bytes: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at((*length).min(rest.len()));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![4 => 1..4_usize, 2 => 1..40_usize, 1 => 1..70_000_usize], 1..8)
}

/// A frame of a client, read the plain way: first byte, payload, and what follows it.
fn frame(bytes: &[u8]) -> (u8, Vec<u8>, &[u8]) {
    assert_eq!(bytes[1] & 0x80, 0x80, "a client masks");
    let (length, head) = match bytes[1] & 0x7f {
        126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
        127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()), 10),
        length => (u64::from(length), 2),
    };
    let shortest = match length {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    };
    assert_eq!(head, shortest, "{length} bytes");
    let mask = &bytes[head..head + 4];
    let (payload, rest) = bytes[head + 4..].split_at(usize::try_from(length).unwrap());
    (bytes[0], payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(), rest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_is_read_however_it_is_cut((bytes, said) in stream(), lengths in lengths()) {
        prop_assert_eq!(read([&bytes[..]]), (said.clone(), None));
        prop_assert_eq!(read(chunks(&bytes, &lengths)), (said, None));
    }

    #[test]
    fn what_is_broken_is_broken_however_it_is_cut(bytes in broken(), lengths in lengths()) {
        prop_assert_eq!(read(chunks(&bytes, &lengths)), read([&bytes[..]]));
    }

    #[test]
    fn what_is_written_is_what_was_given(
        payload in prop_oneof![4 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 65_500..65_600)],
        mask in any::<[u8; 4]>(),
        code in any::<u16>(),
        reason in "\\PC{0,80}",
    ) {
        let mut out = Vec::new();
        write_text(&payload, mask, &mut out);
        write_binary(&payload, mask, &mut out);
        write_ping(&payload, mask, &mut out);
        write_pong(&payload, mask, &mut out);
        write_close(code, &reason, mask, &mut out);
        let (first, text, rest) = frame(&out);
        prop_assert_eq!((first, &text), (0x81, &payload));
        let (first, binary, rest) = frame(rest);
        prop_assert_eq!((first, &binary), (0x82, &payload));
        let short = payload[..payload.len().min(125)].to_vec();
        let (first, ping, rest) = frame(rest);
        prop_assert_eq!((first, &ping), (0x89, &short));
        let (first, pong, rest) = frame(rest);
        prop_assert_eq!((first, &pong), (0x8a, &short));
        let (first, close, rest) = frame(rest);
        prop_assert_eq!((first, &close[..2], rest.len()), (0x88, &code.to_be_bytes()[..], 0));
        prop_assert!(close.len() <= 125 && reason.as_bytes().starts_with(&close[2..]));
        let cut = reason.len() - (close.len() - 2);
        prop_assert!(cut == 0 || close.len() > 121, "{cut} bytes were cut of {reason:?}");
        prop_assert!(std::str::from_utf8(&close[2..]).is_ok());
    }

    #[test]
    fn no_answer_is_read_in_two_ways(
        lines in vec(
            prop_oneof![
                Just("HTTP/1.1 101 x\r\n".to_owned()),
                Just("HTTP/1.1 503 x\r\n".to_owned()),
                Just("HTTP/1.1 103 x\r\n\r\n".to_owned()),
                Just("Upgrade: websocket\r\n".to_owned()),
                Just("Connection: Upgrade\r\n".to_owned()),
                Just("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n".to_owned()),
                Just("Content-Length: 3\r\n".to_owned()),
                Just("Transfer-Encoding: chunked\r\n".to_owned()),
                Just("\r\n".to_owned()),
                Just("3\r\nabc\r\n".to_owned()),
                "[ -~]{0,20}\r\n",
                "\\PC{0,9}",
            ],
            0..12,
        ),
        begin in any::<bool>(),
    ) {
        let nonce = Nonce::new(*b"the sample nonce");
        let bytes = format!("{}{}", if begin { "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" } else { "" }, lines.concat());
        let bytes = bytes.as_bytes();
        let mut first = None;
        for length in 0..=bytes.len() {
            let answer = read_answer(&bytes[..length], &nonce, false);
            let Some(first) = &first else {
                if answer != Ok(Answer::Partial) {
                    first = Some(answer);
                }
                continue;
            };
            match (first, &answer) {
                // Of a body without a length there may be more.
                (
                    Ok(Answer::Refused { status: was, body: had }),
                    Ok(Answer::Refused { status, body }),
                ) => prop_assert!(was == status && body.starts_with(had)),
                _ => prop_assert_eq!(first, &answer),
            }
        }
        // The end of the stream settles everything but a head that is not whole.
        let (open, ended) = (read_answer(bytes, &nonce, false), read_answer(bytes, &nonce, true));
        if open != Ok(Answer::Partial) {
            prop_assert_eq!(open, ended);
        }
    }
}

/// The properties above are only worth something if the streams that are drawn hold what matters.
#[test]
fn drawn_streams_hold_every_event_and_every_error() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3000 {
        let bytes = broken().new_tree(&mut runner).unwrap().current();
        let (said, error) = read([&bytes[..]]);
        seen.extend(said.iter().map(|said| match said {
            Said::Text(_) => "text".to_owned(),
            Said::Binary(_) => "binary".to_owned(),
            Said::Ping(_) => "ping".to_owned(),
            Said::Pong(_) => "pong".to_owned(),
            Said::Close(..) => "close".to_owned(),
        }));
        let name = |error| format!("{error:?}").split(' ').next().unwrap_or_default().to_owned();
        seen.extend(error.map(name));
    }
    let due = [
        "BeginsInside",
        "CloseOfOneByte",
        "CloseReasonUtf8",
        "ContinuesNothing",
        "ControlFragmented",
        "ControlTooLong",
        "LengthHighestBit",
        "LengthNotShortest",
        "Masked",
        "MessageTooLong",
        "ReservedBits",
        "TextUtf8",
        "UnknownOpcode",
        "binary",
        "close",
        "ping",
        "pong",
        "text",
    ];
    assert_eq!(seen, due.map(str::to_owned).into());
}
