//! Reads a history back, up to its end or to where it was cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Record;
use super::format::{Damage, End, Frame, Header, MAGIC, MARK_BYTES, PREFIX_BYTES, VERSION, prefix};

/// Bytes asked of the system at a time.
const CHUNK: usize = 1 << 18;

/// A file is no history that can be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin as a history does.
    #[error("{} is no history of pairstorm", .path.display())]
    NotAHistory {
        /// The file.
        path: PathBuf,
    },
    /// It is of another version.
    #[error("{} is a history of version {version}; this pairstorm reads version {VERSION}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// Its header is damaged.
    #[error("the header of {} is damaged: {damage}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// How.
        damage: Damage,
    },
}

/// Where a history breaks off, and why. Everything before is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Byte of the file at which the first record that is not sound begins.
    pub at: u64,
    /// What is wrong there.
    pub damage: Damage,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it breaks off at byte {}: {}", self.at, self.damage)
    }
}

/// Frames of a stream, one after the other, each in the reader's own buffer.
#[derive(Debug)]
pub(super) struct Frames<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next frame begins in the buffer, and where what was read ends.
    start: usize,
    filled: usize,
    /// Where the next frame begins in the stream.
    at: u64,
}

impl<R: Read> Frames<R> {
    pub(super) const fn new(input: R, at: u64) -> Self {
        Self { input, buffer: Vec::new(), start: 0, filled: 0, at }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The next frame, its checksum not looked at.
    pub(super) fn next(&mut self) -> Result<Frame<'_>, Damage> {
        let (length, checksum) = prefix(self.peek()?)?;
        let whole = PREFIX_BYTES + length;
        self.fill(whole)?;
        let start = self.start + PREFIX_BYTES;
        self.start += whole;
        self.at += whole as u64;
        Frame::new(self.buffer.get(start..self.start).unwrap_or_default(), checksum)
    }

    fn peek<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.fill(N)?;
        let there = self.buffer.get(self.start..).and_then(|there| there.first_chunk::<N>());
        there.copied().ok_or(Damage::CutOff)
    }

    /// Reads until `bytes` bytes are there.
    fn fill(&mut self, bytes: usize) -> Result<(), Damage> {
        if self.filled - self.start >= bytes {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.buffer.len() < bytes.max(CHUNK) {
            self.buffer.resize(bytes.max(CHUNK), 0);
        }
        while self.filled < bytes {
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            match self.input.read(room) {
                Ok(0) => return Err(Damage::CutOff),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Damage::Unreadable(error.to_string())),
            }
        }
        Ok(())
    }
}

/// The records of a history, in the order in which they were written.
///
/// It is an iterator that ends at the history's end or where it breaks off; [`Self::end`] says which.
#[derive(Debug)]
pub struct Reader<R> {
    frames: Frames<R>,
    header: Header,
    records: u64,
    end: Option<Result<End, Break>>,
}

impl Reader<File> {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::new(file, path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header of a history from anywhere; `path` is what errors call it.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn new(input: R, path: &Path) -> Result<Self, OpenError> {
        let path = || path.to_owned();
        let mut frames = Frames::new(input, 0);
        let mark: [u8; MARK_BYTES] = match frames.peek() {
            Ok(mark) => mark,
            Err(Damage::Unreadable(why)) => {
                return Err(OpenError::Io { path: path(), source: io::Error::other(why) });
            }
            Err(_) => return Err(OpenError::NotAHistory { path: path() }),
        };
        let [magic @ .., low, high] = mark;
        if magic != MAGIC {
            return Err(OpenError::NotAHistory { path: path() });
        }
        let version = u16::from_le_bytes([low, high]);
        if version != VERSION {
            return Err(OpenError::Version { path: path(), version });
        }
        frames.start += MARK_BYTES;
        frames.at += MARK_BYTES as u64;
        let header = frames.next().and_then(|frame| frame.verify().and_then(|()| frame.header()));
        let header = header.map_err(|damage| OpenError::Header { path: path(), damage })?;
        Ok(Self { frames, header, records: 0, end: None })
    }

    /// What the history says of its run.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How it ended: complete, or broken off. `None` before the last record was read.
    pub const fn end(&self) -> Option<&Result<End, Break>> {
        self.end.as_ref()
    }

    /// Byte of the stream at which the next record begins.
    pub const fn at(&self) -> u64 {
        self.frames.at()
    }

    /// What `of` makes of the next record's frame, whose checksum is right; `None` at the end.
    pub(super) fn next_with<T>(&mut self, of: impl FnOnce(&Frame<'_>) -> Result<T, Damage>) -> Option<T> {
        if self.end.is_some() {
            return None;
        }
        let at = self.frames.at();
        let records = self.records;
        let next = self.frames.next().and_then(|frame| {
            frame.verify()?;
            match frame.kind {
                super::format::Kind::End => match frame.end()? {
                    End { records: promised, .. } if promised != records => {
                        Err(Damage::Missing { there: records, promised })
                    }
                    end => Ok(Err(end)),
                },
                _ => of(&frame).map(Ok),
            }
        });
        match next {
            Ok(Ok(value)) => {
                self.records += 1;
                Some(value)
            }
            Ok(Err(end)) => {
                self.end = Some(Ok(end));
                None
            }
            Err(damage) => {
                self.end = Some(Err(Break { at, damage }));
                None
            }
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.next_with(|frame| frame.record())
    }
}
