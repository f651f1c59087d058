//! Bytes of `history.bin`, described in `docs/reference/history.md`: a mark, then frames.
//!
//! A frame is its content's length and checksum, each four bytes with the lowest first, and the content: a byte that says
//! what it is, and the rest as postcard writes it.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::{AttemptRef, Record, Secret};
use crate::vocabulary::{ClientId, Nanos};

/// What the file begins with.
pub const MAGIC: [u8; 8] = *b"PAIRHIST";
/// Version of the format, after the magic. A reader of another version refuses the file.
pub const VERSION: u16 = 2;
/// Bytes before the first frame.
pub const MARK_BYTES: usize = MAGIC.len() + 2;
/// Bytes of a frame before its content.
pub const PREFIX_BYTES: usize = 8;
/// Longest content, bytes. Whatever a peer sends was bounded before; this keeps a damaged length from filling memory.
pub const CONTENT_BYTES_MAX: usize = 1 << 24;

/// What the first frame says: what a reader needs to know of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the scenario.
    pub scenario: String,
    /// Lowercase hex SHA-256 of the scenario's text.
    pub scenario_sha256: String,
    /// Seed of the plan.
    pub seed: u64,
    /// Number of clients.
    pub clients: u32,
    /// The moment that nanosecond 0 of the history stands for, in nanoseconds since the Unix epoch.
    pub started_at: u64,
    /// Version of pairstorm.
    pub pairstorm: String,
}

/// What the last frame says of a history that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When the run ended.
    pub ended: Nanos,
    /// Records before it.
    pub records: u64,
    /// How often who had records waited for the disk.
    pub waits: u64,
    /// How long they waited, nanoseconds, added up.
    pub waited: Nanos,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Header`]
    Header,
    /// [`Record::Attempt`]
    Attempt,
    /// [`Record::SessionEnd`]
    SessionEnd,
    /// [`Record::Notice`]
    Notice,
    /// [`Record::Operation`]
    Operation,
    /// [`Record::Fault`]
    Fault,
    /// [`Record::Overheard`]
    Overheard,
    /// [`End`]
    End,
    /// [`Record::Call`]
    Call,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Header,
        Self::Attempt,
        Self::SessionEnd,
        Self::Notice,
        Self::Operation,
        Self::Fault,
        Self::Overheard,
        Self::End,
        Self::Call,
    ];

    fn find(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// Why a value has no frame.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It is longer than [`CONTENT_BYTES_MAX`].
    #[error("a record of {0} bytes is too long for the history")]
    TooLong(usize),
    /// It cannot be written.
    #[error("a record cannot be written: {0}")]
    Postcard(#[from] postcard::Error),
}

/// Appends a record's frame, `secret` covered in every text of it. Nothing is appended when it fails.
///
/// # Errors
/// [`EncodeError`]
pub fn append(buffer: &mut Vec<u8>, record: &Record, secret: Option<&Secret>) -> Result<(), EncodeError> {
    match record {
        Record::Attempt(attempt) => frame(buffer, Kind::Attempt, attempt, secret),
        Record::SessionEnd(end) => frame(buffer, Kind::SessionEnd, end, secret),
        Record::Notice(notice) => frame(buffer, Kind::Notice, notice, secret),
        Record::Operation(operation) => frame(buffer, Kind::Operation, operation, secret),
        Record::Fault(fault) => frame(buffer, Kind::Fault, fault, secret),
        Record::Overheard(heard) => frame(buffer, Kind::Overheard, heard, secret),
        Record::Call(call) => frame(buffer, Kind::Call, call, secret),
    }
}

/// Appends an attempt's frame: the same bytes as [`append`] for the attempt that owns its texts.
///
/// # Errors
/// [`EncodeError`]
pub fn append_attempt(
    buffer: &mut Vec<u8>,
    attempt: &AttemptRef<'_>,
    secret: Option<&Secret>,
) -> Result<(), EncodeError> {
    frame(buffer, Kind::Attempt, attempt, secret)
}

/// Appends what stands before the records.
///
/// # Errors
/// [`EncodeError`]
pub fn append_header(buffer: &mut Vec<u8>, header: &Header) -> Result<(), EncodeError> {
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&VERSION.to_le_bytes());
    frame(buffer, Kind::Header, header, None)
}

/// Appends what stands after the records.
///
/// # Errors
/// [`EncodeError`]
pub fn append_end(buffer: &mut Vec<u8>, end: &End) -> Result<(), EncodeError> {
    frame(buffer, Kind::End, end, None)
}

fn frame<T: Serialize>(
    buffer: &mut Vec<u8>,
    kind: Kind,
    value: &T,
    secret: Option<&Secret>,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    let framed = content(buffer, start, kind, value, secret);
    if framed.is_err() {
        buffer.truncate(start);
    }
    framed
}

fn content<T: Serialize>(
    buffer: &mut Vec<u8>,
    start: usize,
    kind: Kind,
    value: &T,
    secret: Option<&Secret>,
) -> Result<(), EncodeError> {
    buffer.extend_from_slice(&[0; PREFIX_BYTES]);
    buffer.push(kind as u8);
    postcard::serialize_with_flavor(value, Tail { buffer, secret })?;
    let Some((prefix, content)) =
        buffer.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(PREFIX_BYTES))
    else {
        return Ok(());
    };
    let length = match u32::try_from(content.len()) {
        Ok(length) if content.len() <= CONTENT_BYTES_MAX => length,
        _ => return Err(EncodeError::TooLong(content.len())),
    };
    for (to, from) in prefix.iter_mut().zip(length.to_le_bytes()) {
        *to = from;
    }
    seal(buffer.get_mut(start..).unwrap_or_default());
    Ok(())
}

/// Writes the checksum of a frame.
fn seal(frame: &mut [u8]) {
    let Some((prefix, content)) = frame.split_at_mut_checked(PREFIX_BYTES) else { return };
    for (to, from) in prefix.iter_mut().skip(4).zip(crc32fast::hash(content).to_le_bytes()) {
        *to = from;
    }
}

/// Appends to a buffer that stays its owner's, which postcard's own flavours do not.
struct Tail<'a> {
    buffer: &'a mut Vec<u8>,
    secret: Option<&'a Secret>,
}

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(data);
        // A text comes in one piece, so that its end is known here and nowhere later.
        if let (Some(secret), Some(text)) = (self.secret, self.buffer.get_mut(start..)) {
            secret.cover(text);
        }
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.buffer.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// A frame's content, its checksum not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    /// All of it, the first byte included.
    content: &'a [u8],
    checksum: u32,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends before the frame does, or before the history's own end.
    #[error("the file ends there")]
    CutOff,
    /// A length that no frame has.
    #[error("{0} bytes is no length of a record")]
    Length(u32),
    /// The checksum is another one.
    #[error("the checksum is wrong")]
    Checksum,
    /// The checksum is right, the content is not.
    #[error("the record has no meaning")]
    Content,
    /// The end counts more or fewer records than there are.
    #[error("{there} records are there, {promised} should be")]
    Missing {
        /// Records read.
        there: u64,
        /// Records that the end names.
        promised: u64,
    },
    /// The system does not give the bytes.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// Length and checksum of a frame.
pub(super) fn prefix(bytes: [u8; PREFIX_BYTES]) -> Result<(usize, u32), Damage> {
    let [a, b, c, d, e, f, g, h] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]);
    match usize::try_from(length) {
        // A disk that lost power may show zeros where nothing was written yet.
        Ok(bytes) if bytes > 0 && bytes <= CONTENT_BYTES_MAX => Ok((bytes, u32::from_le_bytes([e, f, g, h]))),
        _ => Err(Damage::Length(length)),
    }
}

impl<'a> Frame<'a> {
    pub(super) fn new(content: &'a [u8], checksum: u32) -> Result<Self, Damage> {
        let kind = content.first().and_then(|byte| Kind::find(*byte));
        match kind {
            Some(kind) => Ok(Self { kind, content, checksum }),
            // Of the two, a wrong checksum says more.
            None if crc32fast::hash(content) == checksum => Err(Damage::Content),
            None => Err(Damage::Checksum),
        }
    }

    pub(super) fn verify(&self) -> Result<(), Damage> {
        if crc32fast::hash(self.content) == self.checksum { Ok(()) } else { Err(Damage::Checksum) }
    }

    fn value<T: Deserialize<'a>>(&self) -> Result<T, Damage> {
        let payload = self.content.get(1..).unwrap_or_default();
        match postcard::take_from_bytes(payload) {
            Ok((value, [])) => Ok(value),
            _ => Err(Damage::Content),
        }
    }

    pub(super) fn header(&self) -> Result<Header, Damage> {
        if self.kind == Kind::Header { self.value() } else { Err(Damage::Content) }
    }

    /// The end; [`Damage::Content`] if it is something else.
    pub(super) fn end(&self) -> Result<End, Damage> {
        if self.kind == Kind::End { self.value() } else { Err(Damage::Content) }
    }

    /// The record; [`Damage::Content`] if it is none.
    pub(super) fn record(&self) -> Result<Record, Damage> {
        match self.kind {
            Kind::Attempt => self.value().map(Record::Attempt),
            Kind::SessionEnd => self.value().map(Record::SessionEnd),
            Kind::Notice => self.value().map(Record::Notice),
            Kind::Operation => self.value().map(Record::Operation),
            Kind::Fault => self.value().map(Record::Fault),
            Kind::Overheard => self.value().map(Record::Overheard),
            Kind::Call => self.value().map(Record::Call),
            Kind::Header | Kind::End => Err(Damage::Content),
        }
    }

    /// Whose record it is, if only its client's verdicts need it; read without the rest of it.
    pub(super) fn client(&self) -> Result<Option<ClientId>, Damage> {
        match self.kind {
            // Each of them begins with its client.
            Kind::Attempt | Kind::SessionEnd | Kind::Overheard | Kind::Call => {
                let payload = self.content.get(1..).unwrap_or_default();
                postcard::take_from_bytes(payload)
                    .map(|(client, _)| Some(client))
                    .map_err(|_| Damage::Content)
            }
            _ => Ok(None),
        }
    }
}
