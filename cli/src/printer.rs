//! The only place that writes to stdout and stderr. A reader that went away (`| head`) is no error.

use std::io::Write as _;

/// Writes text to stdout.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line to stderr.
pub(crate) fn note(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// Writes an error to stderr.
pub(crate) fn error(text: &str) {
    note(&format!("error: {text}"));
}

/// Whether stderr is a terminal that wants colour (`NO_COLOR` is respected, see no-color.org).
pub(crate) fn stderr_has_colour() -> bool {
    use std::io::IsTerminal as _;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
