//! Lists of arrivals: one time a line, as recorded elsewhere.

use std::time::Duration;

use super::COUNT_MAX;
use super::quantity::{self, Malformed};
use crate::vocabulary::Nanos;

/// Largest list, bytes: a million times of 30 characters.
pub(super) const BYTES_MAX: u64 = 32 << 20;
/// Longest line that can be a time, bytes. A longer one is not quoted: who knows what file that is.
const LINE_MAX: usize = 64;
const FORM: &str = "one time a line, since the first moment of the list: \"1.25\" (seconds), \"1250ms\", \"1m2s\"; \
    `#` begins a comment";

/// What is wrong with a line of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// Counted from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
    /// How to put it right.
    pub(super) help: String,
}

/// The times of a list, never decreasing.
///
/// # Errors
/// Every line that is no time, is earlier than the one before, or is one too many; also a list without any time.
pub(super) fn times(text: &str) -> Result<Vec<Nanos>, Vec<BadLine>> {
    let mut times: Vec<Nanos> = Vec::new();
    let mut bad = Vec::new();
    let mut refuse = |line, message: String, help: &str| {
        bad.push(BadLine { line, message, help: help.to_owned() });
    };
    let mut last_line = 1;
    for (number, line) in (1..).zip(text.lines()) {
        last_line = number;
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        if times.len() >= COUNT_MAX as usize {
            refuse(number, format!("more than {COUNT_MAX} arrivals"), "end the list before this line");
            break;
        }
        match time(entry) {
            Ok(time) => {
                let before = times.last().copied().unwrap_or_default();
                if time < before {
                    let message = format!("`{entry}` is earlier than the arrival before it");
                    refuse(number, message, "a list of bare seconds is put in order by `sort -g`");
                }
                times.push(time.max(before));
            }
            Err(Malformed { message, help }) => refuse(number, message, help),
        }
    }
    if times.is_empty() && bad.is_empty() {
        refuse_empty(last_line, &mut bad);
    }
    if bad.is_empty() { Ok(times) } else { Err(bad) }
}

fn refuse_empty(line: usize, bad: &mut Vec<BadLine>) {
    bad.push(BadLine { line, message: "the list holds no arrival".to_owned(), help: FORM.to_owned() });
}

fn time(entry: &str) -> Result<Nanos, Malformed> {
    if entry.len() > LINE_MAX {
        return Err(Malformed { message: "this line is too long to be a time".to_owned(), help: FORM });
    }
    let plain = entry.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
    let read = if plain { quantity::duration(&format!("{entry}s")) } else { quantity::duration(entry) };
    let duration: Duration = read.map_err(|malformed| Malformed {
        message: malformed.message.escape_debug().to_string(),
        help: FORM,
    })?;
    // A day at most, which fits.
    Ok(u64::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        let list = "# from the log of the proxy\n0\n0.5\n\n  750ms  # the second\n1m2s\r\n";
        assert_eq!(times(list), Ok(vec![0, 500_000_000, 750_000_000, 62_000_000_000]));
    }

    #[test]
    fn every_bad_line_is_named() {
        let long = "7".repeat(65);
        let bad = times(&format!("1\nsoon\n3\n2\n-1\n{long}\n")).unwrap_err();
        let said: Vec<(usize, &str)> = bad.iter().map(|bad| (bad.line, bad.message.as_str())).collect();
        assert_eq!(
            said,
            [
                (2, "`soon` is no duration"),
                (4, "`2` is earlier than the arrival before it"),
                (5, "`-1` is no duration"),
                (6, "this line is too long to be a time"),
            ]
        );
        assert_eq!(times("# nothing\n").unwrap_err()[0].message, "the list holds no arrival");
        assert_eq!(times("").unwrap_err()[0].line, 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\PC{0,12}\n){0,20}") {
            match times(&text) {
                Ok(times) => prop_assert!(times.is_sorted() && !times.is_empty()),
                Err(bad) => prop_assert!(!bad.is_empty()),
            }
        }

        #[test]
        fn what_was_written_is_read(mut millis in proptest::collection::vec(0_u64..86_400_000, 1..50)) {
            millis.sort_unstable();
            let list: String = millis.iter().map(|at| format!("{}.{:03}\n", at / 1_000, at % 1_000)).collect();
            let read = times(&list).unwrap();
            prop_assert_eq!(read.len(), millis.len());
            for (read, millis) in read.iter().zip(&millis) {
                prop_assert!(read.abs_diff(millis * 1_000_000) < 1_000, "{read} {millis}");
            }
        }
    }
}
