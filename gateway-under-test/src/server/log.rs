//! The log, on standard error, in the form of OpenClaw's.
//!
//! Lines are handed to a thread that writes them, a moment's lines at once: waking it for each would cost as much as a
//! handshake's own work. What waits is bounded, and a line beyond is dropped and counted, so that a slow terminal never slows
//! a handshake. Tokens and keys are never given to it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes that may wait.
const WAITING_MAX: usize = 2 << 20;
/// How long the writer lets lines gather.
const GATHERING: Duration = Duration::from_millis(10);
/// Characters of peer-supplied text that are kept; OpenClaw keeps 300.
const TEXT_CHARS_MAX: usize = 300;

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    waiting: Arc<Waiting>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

/// What is between those who say something and the thread that writes it.
#[derive(Debug, Default)]
struct Waiting {
    lines: Mutex<Lines>,
    /// The first line has come, or the last.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    closed: bool,
}

impl Waiting {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Text is valid after every statement.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let waiting = Arc::new(Waiting::default());
        let inbox = Arc::clone(&waiting);
        let writer = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&inbox))?;
        Ok(Self { waiting, writer: Mutex::new(Some(writer)), dropped: AtomicU64::new(0) })
    }

    /// Writes one line. Text from peers must have gone through [`clean`].
    pub fn line(&self, text: std::fmt::Arguments<'_>) {
        let now = jiff::Timestamp::now();
        let mut lines = self.waiting.lines();
        if lines.closed {
            return;
        }
        if lines.text.len() > WAITING_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = lines.text.is_empty();
        // Writing to a String cannot fail.
        let _ = writeln!(lines.text, "{now:.3} {text}");
        drop(lines);
        if is_first {
            self.waiting.changed.notify_one();
        }
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits and ends the thread. Later lines go nowhere.
    pub fn close(&self) {
        self.waiting.lines().closed = true;
        self.waiting.changed.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

fn write(inbox: &Waiting) {
    let stderr = std::io::stderr();
    // Two buffers change places, so that none is made for a line.
    let mut block = String::new();
    loop {
        let mut lines = inbox.lines();
        while lines.text.is_empty() && !lines.closed {
            lines = inbox.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        // The end does not wait for more.
        let gathering = inbox.changed.wait_timeout_while(lines, GATHERING, |lines| !lines.closed);
        let (mut lines, _) = gathering.unwrap_or_else(PoisonError::into_inner);
        let is_last = lines.closed;
        std::mem::swap(&mut block, &mut lines.text);
        drop(lines);
        // A closed standard error must not end the gateway.
        let _ = stderr.lock().write_all(block.as_bytes());
        block.clear();
        if is_last {
            return;
        }
    }
}

/// Text from a peer, fit for a log line: control characters escaped, cut, `n/a` when absent.
#[must_use]
pub fn clean(text: Option<&str>) -> String {
    let Some(text) = text else { return "n/a".to_owned() };
    let mut out = String::with_capacity(text.len().min(TEXT_CHARS_MAX));
    for (position, c) in text.chars().enumerate() {
        if position == TEXT_CHARS_MAX {
            out.push('…');
            break;
        }
        // Format characters (bidirectional overrides and the like) are as good as control characters for forging lines.
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    // `ua=x code=1000` would forge a field of its own.
    if out.contains('=') { format!("{out:?}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn peers_cannot_forge_lines() {
        assert_eq!(clean(None), "n/a");
        assert_eq!(clean(Some("a\nb\u{1b}[31m\u{202e}")), "a\\u{a}b\\u{1b}[31m\\u{202e}");
        assert_eq!(clean(Some(&"x".repeat(1000))).chars().count(), TEXT_CHARS_MAX + 1);
    }

    proptest! {
        #[test]
        fn cleaned_text_is_one_short_line(text in "\\PC*|[\\x00-\\x1f]{0,50}") {
            let cleaned = clean(Some(&text));
            prop_assert!(!cleaned.contains(char::is_control));
            prop_assert!(cleaned.chars().count() <= TEXT_CHARS_MAX * 10 + 1);
        }
    }
}
