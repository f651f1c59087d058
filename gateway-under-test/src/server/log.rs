//! The log, on standard error, in the form of OpenClaw's.
//!
//! Lines are handed to a thread that writes them; the channel is bounded, and a line that finds it full is dropped and
//! counted, so that a slow terminal never slows a handshake. Tokens and keys are never given to it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// Lines that may wait.
const LINES_MAX: usize = 8192;
/// Characters of peer-supplied text that are kept; OpenClaw keeps 300.
const TEXT_CHARS_MAX: usize = 300;

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    lines: Mutex<Option<SyncSender<String>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

impl Log {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> std::io::Result<Self> {
        let (lines, inbox) = sync_channel(LINES_MAX);
        let writer = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&inbox))?;
        Ok(Self {
            lines: Mutex::new(Some(lines)),
            writer: Mutex::new(Some(writer)),
            dropped: AtomicU64::new(0),
        })
    }

    /// Writes one line. Text from peers must have gone through [`clean`].
    pub fn line(&self, text: &str) {
        let stamped = format!("{:.3} {text}\n", jiff::Timestamp::now());
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = lines.as_ref().map(|lines| lines.try_send(stamped));
        if matches!(sent, Some(Err(TrySendError::Full(_)))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits and ends the thread. Later lines go nowhere.
    pub fn close(&self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

fn write(inbox: &Receiver<String>) {
    let stderr = std::io::stderr();
    while let Ok(first) = inbox.recv() {
        // What waits together is written together: standard error itself does not buffer.
        let mut block = first;
        while block.len() < 64 * 1024
            && let Ok(line) = inbox.try_recv()
        {
            block.push_str(&line);
        }
        // A closed standard error must not end the gateway.
        let _ = stderr.lock().write_all(block.as_bytes());
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
