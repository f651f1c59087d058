//! One line that shows the run goes on, when stderr is a terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;

use harness::engine::Progress;
use harness::run::Observer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws with indicatif on a terminal, and says nothing elsewhere: a CI log is no place for a moving line.
pub(crate) struct Display {
    bar: ProgressBar,
    /// What stands before every message.
    prefix: String,
}

impl Display {
    /// A display; `quiet` draws nothing anywhere.
    pub(crate) fn new(quiet: bool) -> Self {
        let drawn = !quiet && std::io::stderr().is_terminal();
        let target =
            if drawn { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Self { bar, prefix: String::new() }
    }

    /// Says what every further message belongs to.
    pub(crate) fn prefix(&mut self, text: String) {
        self.prefix = text + ": ";
    }

    /// Prints something while the line is away.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Display {
    fn stage(&mut self, what: &str) {
        self.bar.set_message(format!("{}{what}", self.prefix));
        self.bar.tick();
    }

    fn progress(&mut self, progress: &Progress, clients: usize) {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.bar.set_message(format!(
            "{}{} attempts: {} sessions, {} refused, {} other; {} held; {}/{clients} clients done",
            self.prefix,
            of(&progress.attempted),
            of(&progress.sessions),
            of(&progress.refused),
            of(&progress.others),
            of(&progress.held),
            of(&progress.finished),
        ));
        self.bar.tick();
    }
}
