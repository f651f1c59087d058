//! The texts that make up a scenario: its own file, and the lists of arrivals that it names.

use std::cell::RefCell;
use std::io;

use sha2::{Digest as _, Sha256};

/// Reads a file that a scenario names, by the path that it names: at most this many bytes and one more.
pub(super) type ReadNamed<'a> = dyn Fn(&str, u64) -> io::Result<Vec<u8>> + 'a;

/// What a scenario consists of, with a digest over all of it.
pub(super) struct Sources<'a> {
    read: &'a ReadNamed<'a>,
    digest: RefCell<Sha256>,
}

impl<'a> Sources<'a> {
    /// Of a scenario with this text, whose other files `read` reads.
    pub(super) fn new(text: &str, read: &'a ReadNamed<'a>) -> Self {
        Self { read, digest: RefCell::new(Sha256::new_with_prefix(text.as_bytes())) }
    }

    /// The content of a file that the scenario names.
    ///
    /// # Errors
    /// When it cannot be read, or has more than `bytes_max`.
    pub(super) fn named(&self, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let bytes = (self.read)(path, bytes_max)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {} MiB", bytes_max >> 20),
            ));
        }
        self.digest.borrow_mut().update(&bytes);
        Ok(bytes)
    }

    /// Lowercase hex SHA-256 of the scenario's text and, after it, of every file that was read, in the order of the text:
    /// that of the scenario's file, if it names none.
    pub(super) fn sha256(self) -> String {
        hex::encode(self.digest.into_inner().finalize())
    }
}
