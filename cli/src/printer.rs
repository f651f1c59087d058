//! The only place that writes to stdout and stderr.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes text to stdout. A reader that went away (`| head`) is no error.
///
/// # Errors
/// What the system says of a full disk and the like.
pub(crate) fn out(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes the whole output of a command; gives its exit code.
pub(crate) fn finish(text: &str, code: ExitCode) -> ExitCode {
    match out(text) {
        Ok(()) => code,
        Err(problem) => {
            error(&format!("the output could not be written: {problem}"));
            harness::record::exit_code::ExitCode::Failed.into()
        }
    }
}

/// Writes the whole output of a command, or why there is none; gives the exit code.
pub(crate) fn conclude(text: Result<String, String>, code: harness::record::exit_code::ExitCode) -> ExitCode {
    match text {
        Ok(text) => finish(&text, code.into()),
        Err(why) => {
            error(&why);
            harness::record::exit_code::ExitCode::Failed.into()
        }
    }
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
