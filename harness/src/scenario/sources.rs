//! The texts that make up a scenario: its own file, those that it extends, and the lists of arrivals that they name.

use std::cell::RefCell;
use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Reads a file that a scenario names, by the path that it names: at most this many bytes and one more.
pub(super) type ReadNamed<'a> = dyn Fn(&str, u64) -> io::Result<Vec<u8>> + 'a;

/// The texts that a scenario was read from: enough to read it again anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// The scenario file.
    pub scenario: String,
    /// The files that it extends, the nearest first, then the lists of arrivals, each under its path from the scenario's folder.
    pub beside: Vec<(String, String)>,
}

impl Texts {
    /// Reads what is kept instead of files.
    pub(super) fn named(&self, path: &str) -> io::Result<Vec<u8>> {
        let kept = self.beside.iter().find(|(name, _)| name == path);
        kept.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What a scenario consists of, with a digest over all of it.
#[derive(Clone)]
pub(super) struct Sources<'a> {
    read: &'a ReadNamed<'a>,
    digest: RefCell<Sha256>,
    texts: RefCell<Texts>,
}

impl<'a> Sources<'a> {
    /// Of a scenario with this text, whose other files `read` reads.
    pub(super) fn new(text: &str, read: &'a ReadNamed<'a>) -> Self {
        let texts = Texts { scenario: text.to_owned(), beside: Vec::new() };
        Self {
            read,
            digest: RefCell::new(Sha256::new_with_prefix(text.as_bytes())),
            texts: RefCell::new(texts),
        }
    }

    /// The content of a file that the scenario names, by its path from the scenario's folder.
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
        // What is no UTF-8 is refused by who reads it, and then there is no scenario.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.texts.borrow_mut().beside.push((path.to_owned(), text));
        Ok(bytes)
    }

    /// Lowercase hex SHA-256 of the scenario's text and, after it, of every file that was read, in the order of the text:
    /// that of the scenario's file, if it names none. And the texts themselves.
    pub(super) fn finish(self) -> (String, Texts) {
        (hex::encode(self.digest.into_inner().finalize()), self.texts.into_inner())
    }
}
