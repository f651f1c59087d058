//! Cuts what a server sends into events.

use super::close::Close;
use super::frame::{self, Control, Data, FrameError, Head, Opcode, Parsed};

/// Something that a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// A text message.
    Text(&'b str),
    /// A binary message.
    Binary(&'b [u8]),
    /// To be answered with a pong of the same payload.
    Ping(&'b [u8]),
    /// An answer to a ping, or unasked.
    Pong(&'b [u8]),
    /// To be answered with a close frame, unless one was sent. Nothing that follows it is looked at.
    Close(Close<'b>),
}

/// How far the bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'b> {
    /// No event yet.
    More {
        /// Leading bytes that are used up; the others must be there again the next time.
        consumed: usize,
        /// So many bytes, at least, must follow the last of these before an event can come of them. Of a frame whose head is
        /// there it is what is missing, so a buffer of that much more will hold it: never more than the longest message and
        /// a head of 10 bytes.
        needed: usize,
    },
    /// An event.
    Event {
        /// What was said.
        event: Event<'b>,
        /// Leading bytes that are used up, the event's with them.
        consumed: usize,
    },
}

/// The beginning of a fragmented message.
#[derive(Debug)]
struct Fragments {
    data: Data,
    bytes: Vec<u8>,
    /// The message was given as an event, and may go.
    given: bool,
}

impl Fragments {
    /// Twice the room when it is used up, but never more than the longest message takes.
    fn keep(&mut self, payload: &[u8], message_bytes_max: usize) {
        let wanted = self.bytes.len() + payload.len();
        if wanted > self.bytes.capacity() {
            let room = self.bytes.capacity().saturating_mul(2).min(message_bytes_max).max(wanted);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(payload);
    }
}

/// Reads the frames of one connection, in 16 bytes. Only a fragmented message is kept here; the bytes themselves are the
/// caller's.
#[derive(Debug, Default)]
pub struct Reader {
    fragments: Option<Box<Fragments>>,
    closed: bool,
}

impl Reader {
    /// A reader for a connection that was just upgraded.
    #[must_use]
    pub const fn new() -> Self {
        Self { fragments: None, closed: false }
    }

    /// Reads on. `bytes` is what came and was not consumed; a message has at most `message_bytes_max` bytes.
    ///
    /// # Errors
    /// [`FrameError`] when the connection must be failed. The reader is of no further use then.
    pub fn next<'b>(&'b mut self, bytes: &'b [u8], message_bytes_max: usize) -> Result<Next<'b>, FrameError> {
        if self.closed {
            return Ok(Next::More { consumed: bytes.len(), needed: 1 });
        }
        if self.fragments.as_ref().is_some_and(|fragments| fragments.given) {
            self.fragments = None;
        }
        let mut consumed = 0;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let head = match frame::parse(rest)? {
                Parsed::Whole(head) => head,
                Parsed::Partial { needed } => return Ok(Next::More { consumed, needed }),
            };
            let end = self.end(&head, message_bytes_max)?;
            let Some(payload) = rest.get(head.bytes..end) else {
                return Ok(Next::More { consumed, needed: end - rest.len() });
            };
            consumed += end;
            let event = match head.opcode {
                Opcode::Data(data) if head.fin => message(data, payload)?,
                Opcode::Data(data) => {
                    let mut fragments = Fragments { data, bytes: Vec::new(), given: false };
                    fragments.keep(payload, message_bytes_max);
                    self.fragments = Some(Box::new(fragments));
                    continue;
                }
                Opcode::Continuation => {
                    if let Some(fragments) = &mut self.fragments {
                        fragments.keep(payload, message_bytes_max);
                    }
                    if !head.fin {
                        continue;
                    }
                    return Ok(Next::Event { event: self.give()?, consumed });
                }
                Opcode::Control(Control::Ping) => Event::Ping(payload),
                Opcode::Control(Control::Pong) => Event::Pong(payload),
                Opcode::Control(Control::Close) => {
                    self.closed = true;
                    Event::Close(Close::read(payload)?)
                }
            };
            return Ok(Next::Event { event, consumed });
        }
    }

    /// Where the frame ends, counted from its first byte, if it may come now and is not too long.
    fn end(&self, head: &Head, message_bytes_max: usize) -> Result<usize, FrameError> {
        let kept = match (head.opcode, &self.fragments) {
            (Opcode::Control(_), _) => None,
            (Opcode::Data(_), None) => Some(0),
            (Opcode::Data(_), Some(_)) => return Err(FrameError::BeginsInside),
            (Opcode::Continuation, None) => return Err(FrameError::ContinuesNothing),
            (Opcode::Continuation, Some(fragments)) => Some(fragments.bytes.len()),
        };
        let payload = usize::try_from(head.payload).unwrap_or(usize::MAX);
        match kept {
            Some(kept) if kept.saturating_add(payload) > message_bytes_max => {
                let bytes = head.payload.saturating_add(kept as u64);
                Err(FrameError::MessageTooLong { bytes, max: message_bytes_max })
            }
            _ => Ok(head.bytes.saturating_add(payload)),
        }
    }

    /// The fragmented message, which is whole now.
    fn give(&mut self) -> Result<Event<'_>, FrameError> {
        let fragments = self.fragments.as_mut().ok_or(FrameError::ContinuesNothing)?;
        fragments.given = true;
        message(fragments.data, &fragments.bytes)
    }
}

fn message(data: Data, payload: &[u8]) -> Result<Event<'_>, FrameError> {
    match data {
        Data::Text => str::from_utf8(payload).map(Event::Text).map_err(|_| FrameError::TextUtf8),
        Data::Binary => Ok(Event::Binary(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// Reads everything that `bytes` says.
    fn read(bytes: &[u8]) -> Result<Vec<String>, FrameError> {
        let mut reader = Reader::new();
        let mut events = Vec::new();
        let mut at = 0;
        loop {
            match reader.next(&bytes[at..], MAX)? {
                Next::Event { event, consumed } => {
                    events.push(format!("{event:?}"));
                    at += consumed;
                }
                Next::More { consumed, .. } => {
                    assert_eq!(at + consumed, bytes.len(), "something is left over");
                    return Ok(events);
                }
            }
        }
    }

    #[test]
    fn an_idle_reader_is_small() {
        assert!(size_of::<Reader>() <= 16);
    }

    /// RFC 6455, section 5.7.
    #[test]
    fn frames_of_the_rfc() {
        assert_eq!(read(b"\x81\x05Hello").unwrap(), [r#"Text("Hello")"#]);
        assert_eq!(read(b"\x01\x03Hel\x80\x02lo").unwrap(), [r#"Text("Hello")"#]);
        assert_eq!(read(b"\x89\x05Hello").unwrap(), ["Ping([72, 101, 108, 108, 111])"]);
        let mut of_256 = b"\x82\x7e\x01\x00".to_vec();
        of_256.extend([7; 256]);
        assert_eq!(read(&of_256).unwrap(), [format!("Binary({:?})", [7; 256])]);
        let mut of_64_ki = b"\x82\x7f\0\0\0\0\0\x01\0\0".to_vec();
        of_64_ki.extend(vec![7; 65_536]);
        assert_eq!(read(&of_64_ki).unwrap(), [format!("Binary({:?})", vec![7; 65_536])]);
    }

    #[test]
    fn an_unfragmented_message_is_borrowed() {
        let bytes = b"\x81\x05Hello\x81".to_vec();
        let mut reader = Reader::new();
        let Ok(Next::Event { event: Event::Text(text), consumed: 7 }) = reader.next(&bytes, MAX) else {
            panic!("no text");
        };
        assert_eq!(text.as_ptr(), bytes[2..].as_ptr());
    }

    #[test]
    fn what_is_needed_is_told() {
        let mut reader = Reader::new();
        assert_eq!(reader.next(b"", MAX), Ok(Next::More { consumed: 0, needed: 2 }));
        assert_eq!(reader.next(b"\x81\x05He", MAX), Ok(Next::More { consumed: 0, needed: 3 }));
        assert_eq!(reader.next(b"\x81\x7e\x01", MAX), Ok(Next::More { consumed: 0, needed: 1 }));
        assert_eq!(reader.next(b"\x01\x01H\x80\x04", MAX), Ok(Next::More { consumed: 3, needed: 4 }));
        assert_eq!(
            reader.next(b"\x80\x04ello", MAX),
            Ok(Next::Event { event: Event::Text("Hello"), consumed: 6 })
        );
        assert_eq!(reader.next(b"", MAX), Ok(Next::More { consumed: 0, needed: 2 }));
    }

    #[test]
    fn control_frames_may_stand_between_fragments() {
        let said =
            read(b"\x01\x02Gr\x89\x01?\x00\x01\xc3\x8a\x00\x00\x00\x80\x03\xbc\xc3\x9f\x88\x00").unwrap();
        assert_eq!(
            said,
            ["Ping([63])", "Pong([])", r#"Text("Grüß")"#, r#"Close(Close { code: None, reason: "" })"#]
        );
    }

    #[test]
    fn empty_messages_and_fragments_are_messages() {
        assert_eq!(read(b"\x81\x00\x82\x00").unwrap(), [r#"Text("")"#, "Binary([])"]);
        assert_eq!(read(b"\x02\x00\x00\x00\x80\x00\x81\x01x").unwrap(), ["Binary([])", r#"Text("x")"#]);
    }

    #[test]
    fn nothing_behind_a_close_is_looked_at() {
        let said = read(b"\x88\x07\x03\xf0gone!\xff\xff\xff").unwrap();
        assert_eq!(said, [r#"Close(Close { code: Some(1008), reason: "gone!" })"#]);
    }

    #[test]
    fn what_comes_out_of_turn_is_refused() {
        assert_eq!(read(b"\x80\x01x"), Err(FrameError::ContinuesNothing));
        assert_eq!(read(b"\x01\x01x\x80\x01y\x80\x01z"), Err(FrameError::ContinuesNothing));
        assert_eq!(read(b"\x01\x01x\x81\x01y"), Err(FrameError::BeginsInside));
        assert_eq!(read(b"\x02\x01x\x02\x01y"), Err(FrameError::BeginsInside));
        assert_eq!(read(b"\x81\x05Hello\x81\x85"), Err(FrameError::Masked));
    }

    #[test]
    fn text_must_be_utf_8() {
        // A lone surrogate, an overlong slash, a character beyond the last, half a character.
        for text in [&b"\xed\xa0\x80"[..], b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xc3"] {
            let mut bytes = vec![0x81, u8::try_from(text.len()).unwrap()];
            bytes.extend_from_slice(text);
            assert_eq!(read(&bytes), Err(FrameError::TextUtf8), "{text:x?}");
        }
        assert_eq!(read(b"\x01\x01\xc3\x80\x01x"), Err(FrameError::TextUtf8));
    }

    #[test]
    fn a_message_has_a_longest_length() {
        let at_most = |bytes: &[u8], max| Reader::new().next(bytes, max).map(|_| ());
        assert_eq!(at_most(b"\x81\x04", 4), Ok(()));
        let error = FrameError::MessageTooLong { bytes: 5, max: 4 };
        // Told from the head alone.
        assert_eq!(at_most(b"\x81\x05", 4), Err(error));
        assert_eq!(at_most(b"\x01\x03Hel\x80\x02", 4), Err(error));
        let longest = [0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let bytes = i64::MAX as u64;
        assert_eq!(at_most(&longest, MAX), Err(FrameError::MessageTooLong { bytes, max: MAX }));
        // Control frames have a longest length of their own.
        assert_eq!(at_most(b"\x89\x05Hello", 4), Ok(()));
    }

    #[test]
    fn fragments_take_no_more_room_than_the_longest_message() {
        let mut reader = Reader::new();
        assert!(reader.next(b"\x02\x01x", 100).is_ok());
        for _ in 0..99 {
            assert!(reader.next(b"\x00\x01x", 100).is_ok());
        }
        assert_eq!(reader.fragments.as_ref().unwrap().bytes.capacity(), 100);
        assert_eq!(reader.next(b"\x00\x01x", 100), Err(FrameError::MessageTooLong { bytes: 101, max: 100 }));
    }
}
