//! What servers send, well-formed or not, drawn for properties. The encoder is as plain as it can be and shares nothing with
//! the codec.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::Said;

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length @ 126..=65_535 => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A frame of at most 125 bytes whose length is written in 2 or 8 bytes, which is never the shortest form.
fn longer(first: u8, payload: &[u8], form: u8) -> Vec<u8> {
    let mut bytes = vec![first, form];
    let length = (payload.len() as u64).to_be_bytes();
    bytes.extend(if form == 126 { &length[6..] } else { &length[..] });
    bytes.extend(payload);
    bytes
}

/// A control frame, and what it says.
fn control() -> impl Strategy<Value = (Vec<u8>, Said)> {
    (any::<bool>(), vec(any::<u8>(), 0..=125)).prop_map(|(ping, payload)| {
        let first = if ping { 0x89 } else { 0x8a };
        (frame(first, &payload), if ping { Said::Ping(payload) } else { Said::Pong(payload) })
    })
}

fn close() -> impl Strategy<Value = (Vec<u8>, Said)> {
    let said = (any::<u16>(), "[a-zß€]{0,30}");
    prop::option::of(said).prop_map(|said| match said {
        None => (frame(0x88, &[]), Said::Close(None, String::new())),
        Some((code, reason)) => {
            let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
            (frame(0x88, &payload), Said::Close(Some(code), reason))
        }
    })
}

/// Around the lengths where the form of a length changes.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..20_usize, 4 => 120..130_usize, 1 => 65_530..65_540_usize]
}

fn text() -> impl Strategy<Value = String> {
    (length(), "[ -~äß€𝄞]{1,8}").prop_map(|(length, pattern)| {
        let mut text: String = pattern.chars().cycle().take(length).collect();
        text.truncate(text.floor_char_boundary(length));
        text
    })
}

/// A message in one frame or more, with control frames between them.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<Said>)> {
    let said = prop_oneof![
        text().prop_map(Said::Text),
        (length(), any::<u8>()).prop_map(|(length, byte)| Said::Binary(vec![byte; length])),
    ];
    // Mostly whole. Cuts may fall together, which makes empty fragments.
    let cuts = prop_oneof![1 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..5)];
    (said, cuts, vec(prop::option::of(control()), 5)).prop_map(|(said, cuts, controls)| {
        let (opcode, payload) = match &said {
            Said::Text(text) => (1, text.as_bytes()),
            Said::Binary(bytes) => (2, &bytes[..]),
            other => unreachable!("{other:?}"),
        };
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        ends.push(payload.len());
        ends.sort_unstable();
        let mut bytes = Vec::new();
        let mut all = Vec::new();
        let mut begin = 0;
        for (number, end) in ends.iter().enumerate() {
            let last = number + 1 == ends.len();
            let opcode = if number == 0 { opcode } else { 0 };
            bytes.extend(frame(opcode | if last { 0x80 } else { 0 }, &payload[begin..*end]));
            begin = *end;
            if !last && let Some((control, what)) = &controls[number] {
                bytes.extend(control);
                all.push(what.clone());
            }
        }
        all.push(said);
        (bytes, all)
    })
}

/// What a server sends that keeps to the protocol, and what it says with it.
pub(super) fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<Said>)> {
    let part = prop_oneof![3 => message(), 1 => control().prop_map(|(bytes, said)| (bytes, vec![said]))];
    (vec(part, 0..6), prop::option::of(close())).prop_map(|(parts, close)| {
        let (bytes, said): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let (mut bytes, mut said) = (bytes.concat(), said.concat());
        if let Some((close, what)) = close {
            bytes.extend(close);
            said.push(what);
        }
        (bytes, said)
    })
}

/// What a server sends that does not: a stream with bytes changed, put in or left out, or none at all.
pub(super) fn broken() -> impl Strategy<Value = Vec<u8>> {
    // Bytes that mean something in a head.
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![
            0, 1, 2, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0x83, 0xc1, 125, 126, 127, 0xfe
        ])
    ];
    let edit = (any::<Index>(), byte.clone(), 0..4_u8);
    // Short streams, so that the head of a frame is hit.
    let short = stream().prop_filter("short", |(bytes, _)| bytes.len() < 400);
    let edited = (short, vec(edit, 1..4)).prop_map(|((mut bytes, _), edits)| {
        for (at, byte, how) in edits {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        bytes
    });
    // Frames that are whole, whatever stands in their first byte.
    let form = prop_oneof![8 => Just(125), 1 => 126..=127_u8];
    let odd = vec((byte.clone(), vec(any::<u8>(), 0..5), form), 0..6).prop_map(|frames| {
        let bytes = |(first, payload, form): &(u8, Vec<u8>, u8)| match form {
            125 => frame(*first, payload),
            form => longer(*first, payload, *form),
        };
        frames.iter().flat_map(bytes).collect()
    });
    prop_oneof![3 => edited, 2 => odd, 1 => vec(byte, 0..60)]
}
