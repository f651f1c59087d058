//! The few WebSocket frames that the reference server and the floor client exchange (RFC 6455, section 5.2).
//!
//! Neither is a WebSocket library on purpose: what they cost is what the kernel costs.

/// `text` as an opcode.
pub const TEXT: u8 = 0x1;
/// `close` as an opcode.
pub const CLOSE: u8 = 0x8;
/// `ping` as an opcode.
pub const PING: u8 = 0x9;
/// `pong` as an opcode.
pub const PONG: u8 = 0xa;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Appends the header of an unmasked final frame with a payload of `length` bytes.
pub fn put_header(out: &mut Vec<u8>, opcode: u8, length: usize) {
    put_masked_header(out, opcode, length, 0);
}

fn put_masked_header(out: &mut Vec<u8>, opcode: u8, length: usize, masked: u8) {
    out.push(FIN | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A whole frame as a server sends it.
#[must_use]
pub fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    put_header(&mut out, opcode, payload.len());
    out.extend_from_slice(payload);
    out
}

/// A whole frame as a client sends it.
#[must_use]
pub fn from_client(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    put_masked_header(&mut out, opcode, payload.len(), MASKED);
    out.extend_from_slice(&mask);
    let from = out.len();
    out.extend_from_slice(payload);
    if let Some(body) = out.get_mut(from..) {
        unmask(body, mask);
    }
    out
}

/// Masks or unmasks in place.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        word.iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
    }
    words.into_remainder().iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
}

/// Payload of a close frame.
#[must_use]
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [code.to_be_bytes().as_slice(), reason.as_bytes()].concat()
}

/// A frame of a client at the beginning of what was read, unmasked.
#[derive(Debug)]
pub struct ClientFrame<'a> {
    /// What it is.
    pub opcode: u8,
    /// What it holds, unmasked.
    pub payload: &'a [u8],
    /// Bytes of header and payload together.
    pub bytes: usize,
}

/// What the beginning of a client's bytes is.
#[derive(Debug)]
pub enum Read<'a> {
    /// A whole frame.
    Frame(ClientFrame<'a>),
    /// A part of a frame.
    Incomplete,
    /// Nothing that a client of the handshake sends: not masked, in pieces, or longer than `longest`.
    Bad,
}

/// Reads the frame at the beginning of `bytes` and unmasks it where it lies.
pub fn read_client_frame(bytes: &mut [u8], longest: usize) -> Read<'_> {
    let (opcode, mask, from, length) = match bytes {
        [first, second, ..] if *first & 0xf0 != FIN || *second & MASKED == 0 => return Read::Bad,
        [first, second, rest @ ..] => {
            let (length, header, rest) = match (*second & 0x7f, &*rest) {
                (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4, rest),
                // The longest message of a handshake has 16 bits of length.
                (127, _) => return Read::Bad,
                (126, _) => return Read::Incomplete,
                (short, rest) => (usize::from(short), 2, rest),
            };
            let [a, b, c, d, ..] = rest else { return Read::Incomplete };
            (*first & 0x0f, [*a, *b, *c, *d], header + 4, length)
        }
        _ => return Read::Incomplete,
    };
    if length > longest {
        return Read::Bad;
    }
    let Some(payload) = bytes.get_mut(from..from + length) else { return Read::Incomplete };
    unmask(payload, mask);
    Read::Frame(ClientFrame { opcode, payload, bytes: from + length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_frames_is_read_whole_or_not_at_all() {
        for length in [0, 1, 125, 126, 631, 65_535] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            let mut framed = from_client(TEXT, &payload, [1, 2, 3, 4]);
            for cut in [0, 1, 2, 4, 5, 7, framed.len() - 1] {
                let mut part = framed[..cut.min(framed.len() - 1)].to_vec();
                assert!(matches!(read_client_frame(&mut part, 65_535), Read::Incomplete), "{length} {cut}");
            }
            let bytes = framed.len();
            framed.extend_from_slice(b"next");
            let Read::Frame(frame) = read_client_frame(&mut framed, 65_535) else { panic!("{length}") };
            assert_eq!((frame.opcode, frame.payload, frame.bytes), (TEXT, payload.as_slice(), bytes));
        }
    }

    #[test]
    fn what_no_client_sends_is_bad() {
        let bad = |mut bytes: Vec<u8>| matches!(read_client_frame(&mut bytes, 100), Read::Bad);
        assert!(bad(from_server(TEXT, b"not masked")));
        assert!(bad(from_client(TEXT, &[0; 101], [0; 4])), "too long");
        let mut piece = from_client(TEXT, b"piece", [0; 4]);
        piece[0] &= 0x0f;
        assert!(bad(piece), "the final bit is missing");
    }
}
