//! Keeps the gateway's shared secret out of what is written.
//!
//! No record has a field for it, but a gateway may send back what it was sent, in a message or in a reason of a close.

use std::fmt;

use memchr::memmem::{self, Finder};

/// Shortest secret that is searched for, bytes. A shorter one is a word that texts may hold by themselves, and verdicts
/// depend on them.
const BYTES_MIN: usize = 8;
/// What stands in place of each of its bytes. As long as before, so that nothing else in the record changes.
const COVER: u8 = b'*';

/// Texts of a peer are cut before they come here, and this tells where.
const CUT: &str = "…";
/// Shortest beginning of the secret that is covered where a text was cut.
const BEGUN_BYTES_MIN: usize = 4;
/// A text of fewer bytes was not cut by whoever sent it, so that a word at its end is one: a close holds 123 bytes, and
/// gateways cut its reason at 120.
const CUT_TEXT_BYTES_MIN: usize = 100;

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

    /// Covers it in one text, and its beginning where the text was cut.
    pub fn cover(&self, text: &mut [u8]) {
        let length = self.finder.needle().len();
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| self.finder.find(rest)) {
            // Behind it, or what covers a secret could be taken for one.
            from += found + length;
            cover(text, from - length, from);
        }
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| memmem::find(rest, CUT.as_bytes())) {
            self.cover_begun(text, from + found);
            from += found + CUT.len();
        }
        if text.len() >= CUT_TEXT_BYTES_MIN {
            self.cover_begun(text, text.len());
        }
    }

    /// Covers what stands before `end` and begins the secret.
    fn cover_begun(&self, text: &mut [u8], end: usize) {
        let secret = self.finder.needle();
        let longest = end.saturating_sub(secret.len() - 1);
        let begun = (longest..(end + 1).saturating_sub(BEGUN_BYTES_MIN))
            .find(|start| text.get(*start..end).is_some_and(|tail| secret.starts_with(tail)));
        if let Some(start) = begun {
            cover(text, start, end);
        }
    }
}

fn cover(text: &mut [u8], start: usize, end: usize) {
    text.get_mut(start..end).unwrap_or_default().fill(COVER);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(secret: &str, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        Secret::new(secret).unwrap().cover(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_occurrence_is_covered() {
        assert_eq!(
            covered("s3cret-4711", "s3cret-4711s3cret-4711 s3cret-471"),
            format!("{} s3cret-471", "*".repeat(22))
        );
        assert!(Secret::new("1234567").is_none());
    }

    #[test]
    fn a_secret_that_looks_like_its_cover_has_an_end() {
        for stars in [8, 9, 30] {
            let secret = "*".repeat(stars);
            let text = format!("I know {secret}{secret} and *");
            assert_eq!(covered(&secret, &text), text);
        }
    }

    #[test]
    fn what_a_cut_left_of_it_is_covered() {
        const SECRET: &str = "operator-Secret-äß";
        // By us: the mark says so.
        assert_eq!(covered(SECRET, "got operator-Se… from you"), "got ***********… from you");
        assert_eq!(covered(SECRET, "got oper…"), "got ****…");
        assert_eq!(covered(SECRET, "got ope…"), "got ope…", "anything begins so");
        assert_eq!(covered(SECRET, "got operator-Secret-ä…"), format!("got {}…", "*".repeat(18)));
        // By the gateway, in a reason of a close.
        let long = "x".repeat(104);
        assert_eq!(covered(SECRET, &format!("{long} operator-Secret")), format!("{long} {}", "*".repeat(15)));
        // Not cut: a role's name.
        assert_eq!(covered(SECRET, "operator"), "operator");
        assert_eq!(covered(SECRET, "role operator"), "role operator");
    }
}
