//! Frames as a client sends them: whole messages, masked, appended to a buffer.
//!
//! The mask is the caller's, from a generator that a peer cannot foresee (section 5.3).

use super::frame::{CONTROL_MAX, Control, Data, FIN, LENGTH_16, LENGTH_64, MASKED, Opcode};
use super::mask;

/// Writes a text message. `payload` is UTF-8; whoever made it knows that, and it is not looked at again.
pub fn write_text(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write(Opcode::Data(Data::Text), payload, mask, out);
}

/// Writes a binary message.
pub fn write_binary(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write(Opcode::Data(Data::Binary), payload, mask, out);
}

/// Writes a ping with at most the first 125 bytes of `payload`.
pub fn write_ping(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write_control(Control::Ping, payload, mask, out);
}

/// Writes the answer to a ping, which says what the ping said; at most the first 125 bytes of `payload`, and no ping has more.
pub fn write_pong(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write_control(Control::Pong, payload, mask, out);
}

/// Writes a close frame. The reason is cut to 123 bytes, between characters. The code is written as given.
pub fn write_close(code: u16, reason: &str, mask: [u8; 4], out: &mut Vec<u8>) {
    let end = reason.floor_char_boundary(CONTROL_MAX - 2);
    let reason = reason.get(..end).unwrap_or_default();
    let mut payload = [0; CONTROL_MAX];
    let bytes = code.to_be_bytes().into_iter().chain(reason.bytes());
    for (to, byte) in payload.iter_mut().zip(bytes) {
        *to = byte;
    }
    write_control(Control::Close, payload.get(..2 + reason.len()).unwrap_or_default(), mask, out);
}

fn write_control(control: Control, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    let payload = payload.get(..CONTROL_MAX).unwrap_or(payload);
    write(Opcode::Control(control), payload, mask, out);
}

fn write(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    // The longest head has 14 bytes; one growth at most, and none in a buffer that is used again.
    out.reserve(14 + payload.len());
    out.push(FIN | opcode.bits());
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..LENGTH_16), _) => out.push(MASKED | short),
        (_, Ok(middle)) => {
            out.push(MASKED | LENGTH_16);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(MASKED | LENGTH_64);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let begin = out.len();
    out.extend_from_slice(payload);
    mask::apply(mask, out.get_mut(begin..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// RFC 6455, section 5.7: a single-frame masked text message, and a masked pong.
    #[test]
    fn frames_of_the_rfc() {
        let mut out = Vec::new();
        write_text(b"Hello", MASK, &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        out.clear();
        write_pong(b"Hello", MASK, &mut out);
        assert_eq!(out, [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, head) in [
            (0, &[0x82, 0x80][..]),
            (125, &[0x82, 0x80 | 125]),
            (126, &[0x82, 0xfe, 0, 126]),
            (255, &[0x82, 0xfe, 0, 255]),
            (256, &[0x82, 0xfe, 1, 0]),
            (65_535, &[0x82, 0xfe, 0xff, 0xff]),
            (65_536, &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_binary(&vec![0; length], [0; 4], &mut out);
            assert_eq!(&out[..head.len()], head, "{length} bytes");
            assert_eq!(out.len(), head.len() + 4 + length);
        }
    }

    #[test]
    fn frames_are_appended() {
        let mut out = Vec::new();
        write_ping(b"a", [0; 4], &mut out);
        write_close(1000, "", [0; 4], &mut out);
        assert_eq!(out, *b"\x89\x81\0\0\0\0a\x88\x82\0\0\0\0\x03\xe8");
    }

    #[test]
    fn control_frames_are_cut_to_what_fits() {
        let mut out = Vec::new();
        write_ping(&[b'x'; 200], [0; 4], &mut out);
        assert_eq!((out[1], out.len()), (0x80 | 125, 2 + 4 + 125));
        out.clear();
        // 122 bytes and then a character of two: it does not fit.
        write_close(4000, &format!("{}üx", "y".repeat(122)), [0; 4], &mut out);
        assert_eq!((out[1], out.len()), (0x80 | 124, 2 + 4 + 124));
        assert!(str::from_utf8(&out[8..]).is_ok());
    }
}
