//! What passed in the latest attempts, in a fixed amount of memory.
//!
//! A mismatch is explained with the frames that led to it, but which attempts mismatch is known only after the run. So every
//! attempt is noted, and the oldest are forgotten: lines are appended to one of two pages, and when it is full the other
//! one is emptied and taken. At least one full page is always there.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::attempt::Who;
use crate::observation::{Direction, TranscriptLine};
use crate::plan::Nanos;

/// Memory of the two pages together, bytes. A handshake with a small hello-ok takes some 2 KB: the latest 8,000 to 16,000
/// attempts of a reactor are kept.
pub const PAGES_BYTES: usize = 32 << 20;
/// Longest frame kept, bytes.
const TEXT_MAX: usize = 2_048;
/// Lines kept of one attempt: a handshake has five, a gateway that floods has no end.
const LINES_MAX: usize = 64;
/// Client, attempt, time, direction and two lengths before each text.
const HEAD: usize = 4 + 4 + 8 + 1 + 4 + 4;

/// Lines of the latest attempts.
#[derive(Debug)]
pub struct Transcripts {
    pages: [Vec<u8>; 2],
    current: usize,
    /// Where the lines of each attempt begin; made when the first one is asked for, since most runs ask for none.
    index: OnceLock<HashMap<Who, Vec<Place>>>,
}

/// Page and offset of a line.
type Place = (usize, usize);

impl Transcripts {
    /// Nothing noted yet, with `bytes` of memory, which is touched at once: a run's memory is to be flat from its start.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let page = || {
            let mut page = vec![1; bytes / 2];
            page.clear();
            page
        };
        Self { pages: [page(), page()], current: 0, index: OnceLock::new() }
    }

    /// Notes a line.
    pub fn note(&mut self, who: Who, at: Nanos, direction: Direction, text: &[u8]) {
        self.index.take();
        let kept = text.get(..text.len().min(TEXT_MAX)).unwrap_or_default();
        let Some(page) = self.pages.get_mut(self.current) else { return };
        if page.capacity() - page.len() < HEAD + kept.len() {
            self.current = 1 - self.current;
            if let Some(page) = self.pages.get_mut(self.current) {
                page.clear();
            }
        }
        let Some(page) = self.pages.get_mut(self.current) else { return };
        if page.capacity() - page.len() < HEAD + kept.len() {
            return;
        }
        page.extend_from_slice(&who.0.to_le_bytes());
        page.extend_from_slice(&who.1.to_le_bytes());
        page.extend_from_slice(&at.to_le_bytes());
        page.push(match direction {
            Direction::Out => 0,
            Direction::In => 1,
            Direction::Note => 2,
        });
        page.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        page.extend_from_slice(&u32::try_from(kept.len()).unwrap_or_default().to_le_bytes());
        page.extend_from_slice(kept);
    }

    /// The lines of an attempt; none when it is not there any more. Of an attempt that began
    /// on a page that was taken again, the first are missing.
    #[must_use]
    pub fn lines(&self, who: Who) -> Vec<TranscriptLine> {
        let places = self.index.get_or_init(|| self.places());
        let found = places.get(&who).into_iter().flatten();
        let line = |(page, at): &Place| {
            let page = self.pages.get(*page)?;
            read(page.get(*at..)?).map(|(_, line, _)| line)
        };
        let mut lines: Vec<TranscriptLine> = found.clone().take(LINES_MAX).filter_map(line).collect();
        if let Some(left_out) = found.skip(LINES_MAX).find_map(line) {
            lines.push(TranscriptLine {
                at: left_out.at,
                direction: Direction::Note,
                text: "further lines of this attempt were left out".to_owned(),
            });
        }
        lines
    }

    fn places(&self) -> HashMap<Who, Vec<Place>> {
        let mut places: HashMap<Who, Vec<Place>> = HashMap::new();
        for page in [1 - self.current, self.current] {
            let Some(bytes) = self.pages.get(page) else { continue };
            let mut at = 0;
            while let Some((who, length)) = bytes.get(at..).and_then(head) {
                let known = places.entry(who).or_default();
                // One more than are shown, to tell that there are more.
                if known.len() <= LINES_MAX {
                    known.push((page, at));
                }
                at += length;
            }
        }
        places
    }
}

/// Whose the line at the beginning of `bytes` is, and how long it is.
fn head(bytes: &[u8]) -> Option<(Who, usize)> {
    let (client, rest) = bytes.split_first_chunk::<4>()?;
    let (attempt, _) = rest.split_first_chunk::<4>()?;
    let kept = bytes.get(HEAD - 4..HEAD)?.first_chunk::<4>()?;
    let length = HEAD + usize::try_from(u32::from_le_bytes(*kept)).ok()?;
    Some(((u32::from_le_bytes(*client), u32::from_le_bytes(*attempt)), length))
}

fn read(bytes: &[u8]) -> Option<(Who, TranscriptLine, &[u8])> {
    let (client, rest) = bytes.split_first_chunk::<4>()?;
    let (attempt, rest) = rest.split_first_chunk::<4>()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (direction, rest) = rest.split_first()?;
    let (whole, rest) = rest.split_first_chunk::<4>()?;
    let (kept, rest) = rest.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*kept)).ok()?)?;
    let whole = u32::from_le_bytes(*whole);
    // Text that was cut inside a character loses that character, and keeps the mark that something is missing.
    let (text, mark) = if (whole as usize) > text.len() {
        let shown = match std::str::from_utf8(text) {
            Err(error) if error.error_len().is_none() => text.get(..error.valid_up_to()).unwrap_or(text),
            _ => text,
        };
        (shown, format!("… ({whole} bytes)"))
    } else {
        (text, String::new())
    };
    let line = TranscriptLine {
        at: Nanos::from_le_bytes(*at),
        direction: match direction {
            0 => Direction::Out,
            1 => Direction::In,
            _ => Direction::Note,
        },
        text: format!("{}{mark}", String::from_utf8_lossy(text)),
    };
    Some(((u32::from_le_bytes(*client), u32::from_le_bytes(*attempt)), line, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(transcripts: &Transcripts, who: Who) -> Vec<String> {
        transcripts.lines(who).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_of_attempts_that_overlap_are_told_apart() {
        let mut transcripts = Transcripts::new(1 << 16);
        for (who, text) in [((1, 0), "a"), ((2, 0), "b"), ((1, 0), "c"), ((1, 1), "d")] {
            transcripts.note(who, 7, Direction::In, text.as_bytes());
        }
        assert_eq!(texts(&transcripts, (1, 0)), ["a", "c"]);
        assert_eq!(texts(&transcripts, (2, 0)), ["b"]);
        let line = &transcripts.lines((1, 1))[0];
        assert_eq!((line.at, line.direction), (7, Direction::In));
    }

    #[test]
    fn the_latest_are_kept_and_memory_does_not_grow() {
        let mut transcripts = Transcripts::new(1 << 16);
        let before = transcripts.pages.each_ref().map(Vec::capacity);
        for attempt in 0..10_000 {
            transcripts.note((1, attempt), 0, Direction::Out, &[b'x'; 100]);
        }
        assert_eq!(transcripts.pages.each_ref().map(Vec::capacity), before);
        assert_eq!(transcripts.lines((1, 0)), []);
        // One page of 32 KiB holds 262 lines of 125 bytes.
        assert!((9_738..10_000).all(|attempt| transcripts.lines((1, attempt)).len() == 1));
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_floods_after_a_while() {
        let mut transcripts = Transcripts::new(1 << 20);
        // One byte before the characters of two lets the cut fall into one of them.
        let long = format!("x{}", "é".repeat(3_000));
        transcripts.note((1, 0), 0, Direction::In, long.as_bytes());
        let shown = &texts(&transcripts, (1, 0))[0];
        assert!(shown.ends_with("é… (6001 bytes)"), "{shown}");
        for _ in 0..100 {
            transcripts.note((2, 0), 0, Direction::In, b"tick");
        }
        assert_eq!(texts(&transcripts, (2, 0)).len(), LINES_MAX + 1);
    }

    #[test]
    fn a_line_that_no_page_holds_is_left_out() {
        let mut transcripts = Transcripts::new(64);
        transcripts.note((1, 0), 0, Direction::In, &[b'x'; 100]);
        assert_eq!(texts(&transcripts, (1, 0)).len(), 0);
    }
}
