//! Keeps the gateway's shared secret out of what is written.
//!
//! No record has a field for it, but a gateway may send back what it was sent, in a message or in a reason of a close.

use std::fmt;

use memchr::memmem::Finder;

use super::format;

/// Shortest secret that is searched for, bytes. A shorter one is a word that texts may hold by themselves, and verdicts
/// depend on them.
const BYTES_MIN: usize = 8;
/// What stands in place of each of its bytes. As long as before, so that nothing else in the frame changes.
const COVER: u8 = b'*';

/// A secret that is covered wherever it stands. Debug output does not show it.
pub struct Secret {
    finder: Finder<'static>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// `None` when it is too short to be told from other words.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= BYTES_MIN).then(|| Self { finder: Finder::new(secret).into_owned() })
    }

    /// Covers it in one frame.
    pub fn cover(&self, frame: &mut [u8]) {
        let length = self.finder.needle().len();
        let mut found = false;
        while let Some(start) = self.finder.find(frame) {
            found = true;
            frame.iter_mut().skip(start).take(length).for_each(|byte| *byte = COVER);
        }
        if found {
            format::seal(frame);
        }
    }
}
