//! The head of a frame (RFC 6455, section 5.2), as a server may send it.

use std::fmt;

/// Longest payload of a control frame, bytes (section 5.5).
pub(super) const CONTROL_MAX: usize = 125;
/// Marks the last frame of a message.
pub(super) const FIN: u8 = 0x80;
/// Marks a masked payload.
pub(super) const MASKED: u8 = 0x80;
/// Stands for a length in the next two bytes.
pub(super) const LENGTH_16: u8 = 126;
/// Stands for a length in the next eight bytes.
pub(super) const LENGTH_64: u8 = 127;

/// A frame that tells something about the connection instead of carrying data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Opcode 8.
    Close,
    /// Opcode 9.
    Ping,
    /// Opcode 10.
    Pong,
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

/// What a message consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// Goes on with a message.
    Continuation,
    /// Begins a message.
    Data(Data),
    /// May stand between the frames of a message.
    Control(Control),
}

impl Opcode {
    /// The lower four bits of a frame's first byte.
    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Data(Data::Text) => 1,
            Self::Data(Data::Binary) => 2,
            Self::Control(Control::Close) => 8,
            Self::Control(Control::Ping) => 9,
            Self::Control(Control::Pong) => 10,
        }
    }

    const fn of(bits: u8) -> Result<Self, FrameError> {
        match bits {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Data(Data::Text)),
            2 => Ok(Self::Data(Data::Binary)),
            8 => Ok(Self::Control(Control::Close)),
            9 => Ok(Self::Control(Control::Ping)),
            10 => Ok(Self::Control(Control::Pong)),
            opcode => Err(FrameError::UnknownOpcode { opcode }),
        }
    }
}

/// Why a connection must be failed. The texts go on from "it breaks the WebSocket protocol: ".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A reserved bit (section 5.2); it would belong to an extension.
    #[error("a frame has a reserved bit set (first byte {first:#04x}), and no extension was agreed on")]
    ReservedBits {
        /// First byte of the frame.
        first: u8,
    },
    /// No such frame.
    #[error("there is no frame with opcode {opcode:#x}")]
    UnknownOpcode {
        /// Lower four bits of the first byte.
        opcode: u8,
    },
    /// Section 5.5.
    #[error("a {control} frame is fragmented")]
    ControlFragmented {
        /// Which frame.
        control: Control,
    },
    /// Section 5.5. Told from the form of the length alone.
    #[error("a {control} frame announces more than 125 bytes")]
    ControlTooLong {
        /// Which frame.
        control: Control,
    },
    /// Section 5.1: only a client masks.
    #[error("a frame is masked, which a server's must not be")]
    Masked,
    /// Section 5.2: the shortest form is a must.
    #[error("a length of {bytes} bytes is not written in the shortest form")]
    LengthNotShortest {
        /// Length that the frame gives.
        bytes: u64,
    },
    /// Section 5.2: the most significant bit is 0.
    #[error("a length has its highest bit set")]
    LengthHighestBit,
    /// A continuation when nothing was begun (section 5.4).
    #[error("a continuation frame continues nothing")]
    ContinuesNothing,
    /// A message begins before the last one has ended (section 5.4).
    #[error("a message begins inside a fragmented one")]
    BeginsInside,
    /// Ours, not the RFC's.
    #[error("a message has {bytes} bytes or more, and {max} are allowed")]
    MessageTooLong {
        /// Bytes announced so far.
        bytes: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// Section 8.1.
    #[error("a text message is not UTF-8")]
    TextUtf8,
    /// Section 5.5.1: a code has two bytes.
    #[error("a close frame has a payload of one byte, half a code")]
    CloseOfOneByte,
    /// Section 5.5.1.
    #[error("the reason in a close frame is not UTF-8")]
    CloseReasonUtf8,
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether a message ends with this frame.
    pub(super) fin: bool,
    /// What it is.
    pub(super) opcode: Opcode,
    /// Length of the head itself, bytes.
    pub(super) bytes: usize,
    /// Length of the payload behind it, bytes.
    pub(super) payload: u64,
}

/// As much of a head as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// So many bytes are missing.
    Partial {
        /// Bytes, at least.
        needed: usize,
    },
    /// All of it.
    Whole(Head),
}

/// Reads the head that `bytes` begins with. Every byte is judged as soon as it is there, in the order of the bytes.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, FrameError> {
    let [first, rest @ ..] = bytes else { return Ok(Parsed::Partial { needed: 2 }) };
    if first & 0x70 != 0 {
        return Err(FrameError::ReservedBits { first: *first });
    }
    let fin = first & FIN != 0;
    let opcode = Opcode::of(first & 0x0f)?;
    if let Opcode::Control(control) = opcode
        && !fin
    {
        return Err(FrameError::ControlFragmented { control });
    }
    let [second, rest @ ..] = rest else { return Ok(Parsed::Partial { needed: 1 }) };
    if second & MASKED != 0 {
        return Err(FrameError::Masked);
    }
    if let Opcode::Control(control) = opcode
        && usize::from(*second) > CONTROL_MAX
    {
        return Err(FrameError::ControlTooLong { control });
    }
    let (bytes, payload) = match *second {
        LENGTH_16 => {
            let Some(length) = rest.first_chunk() else {
                return Ok(Parsed::Partial { needed: 2 - rest.len() });
            };
            (4, shortest(u64::from(u16::from_be_bytes(*length)), u64::from(LENGTH_16))?)
        }
        LENGTH_64 => {
            let Some(length) = rest.first_chunk() else {
                return Ok(Parsed::Partial { needed: 8 - rest.len() });
            };
            let length = u64::from_be_bytes(*length);
            if length >> 63 != 0 {
                return Err(FrameError::LengthHighestBit);
            }
            (10, shortest(length, 1 << 16)?)
        }
        length => (2, u64::from(length)),
    };
    Ok(Parsed::Whole(Head { fin, opcode, bytes, payload }))
}

const fn shortest(bytes: u64, least: u64) -> Result<u64, FrameError> {
    if bytes < least { Err(FrameError::LengthNotShortest { bytes }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Head {
        match parse(bytes) {
            Ok(Parsed::Whole(head)) => head,
            other => panic!("{bytes:x?}: {other:?}"),
        }
    }

    /// RFC 6455, section 5.7: the heads of its examples.
    #[test]
    fn heads_of_the_rfc() {
        let text = Opcode::Data(Data::Text);
        let binary = Opcode::Data(Data::Binary);
        assert_eq!(whole(&[0x81, 0x05]), Head { fin: true, opcode: text, bytes: 2, payload: 5 });
        assert_eq!(whole(&[0x01, 0x03]), Head { fin: false, opcode: text, bytes: 2, payload: 3 });
        let continuation = Head { fin: true, opcode: Opcode::Continuation, bytes: 2, payload: 2 };
        assert_eq!(whole(&[0x80, 0x02]), continuation);
        let ping = Head { fin: true, opcode: Opcode::Control(Control::Ping), bytes: 2, payload: 5 };
        assert_eq!(whole(&[0x89, 0x05]), ping);
        let of_256 = Head { fin: true, opcode: binary, bytes: 4, payload: 256 };
        assert_eq!(whole(&[0x82, 0x7e, 0x01, 0x00]), of_256);
        let of_64_ki = Head { fin: true, opcode: binary, bytes: 10, payload: 65_536 };
        assert_eq!(whole(&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]), of_64_ki);
    }

    #[test]
    fn what_is_missing_is_told() {
        let whole = [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
        let needed = |length: usize| match parse(&whole[..length]) {
            Ok(Parsed::Partial { needed }) => needed,
            other => panic!("{other:?}"),
        };
        assert_eq!((0..10).map(needed).collect::<Vec<_>>(), [2, 1, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(parse(&[0x82, 0x7e, 0x01]), Ok(Parsed::Partial { needed: 1 }));
    }

    #[test]
    fn what_no_server_may_send_is_refused() {
        for first in [0xc1, 0xa1, 0x91, 0xf1, 0x41] {
            assert_eq!(parse(&[first]), Err(FrameError::ReservedBits { first }));
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(parse(&[FIN | opcode, 0]), Err(FrameError::UnknownOpcode { opcode }));
        }
        assert_eq!(parse(&[0x81, 0x85]), Err(FrameError::Masked));
        let controls = [(8, Control::Close), (9, Control::Ping), (10, Control::Pong)];
        for (opcode, control) in controls {
            assert_eq!(parse(&[opcode, 0]), Err(FrameError::ControlFragmented { control }));
            for length in [126, 127] {
                assert_eq!(parse(&[FIN | opcode, length]), Err(FrameError::ControlTooLong { control }));
            }
        }
        assert_eq!(parse(&[0x81, 0x7e, 0, 125]), Err(FrameError::LengthNotShortest { bytes: 125 }));
        let bytes = 65_535;
        let shorter = parse(&[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(shorter, Err(FrameError::LengthNotShortest { bytes }));
        assert_eq!(parse(&[0x81, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(FrameError::LengthHighestBit));
    }
}
