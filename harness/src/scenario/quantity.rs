//! Durations, rates and shares as people write them.

use std::time::Duration;

use crate::vocabulary::DurationRange;

/// Longest duration of the language: a day. Longer ones are slips of the unit, and sums of them must not overflow.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Highest rate of the language, per second.
pub(super) const RATE_MAX: f64 = 1_000_000.0;

const DURATION_FORM: &str = "write a number and a unit: \"500ms\", \"2s\", \"1.5s\", \"3m\", \"1m30s\"";

/// Why a text is no quantity, and what would be one.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub help: &'static str,
}

fn malformed<T>(message: String, help: &'static str) -> Result<T, Malformed> {
    Err(Malformed { message, help })
}

/// `500ms`, `2s`, `1.5s`, `3m`, `1m30s`, `250us`, `1h`.
///
/// # Errors
/// [`Malformed`] for anything else, and beyond a day.
pub fn duration(text: &str) -> Result<Duration, Malformed> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return malformed("an empty text is no duration".to_owned(), DURATION_FORM);
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, remainder) = after.split_at(letters);
        let Ok(number) = number.replace('_', "").parse::<f64>() else {
            return malformed(format!("`{text}` is no duration"), DURATION_FORM);
        };
        let factor = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "" => return malformed(format!("`{text}` has no unit"), DURATION_FORM),
            _ => return malformed(format!("`{unit}` is no unit of time"), "units: us, ms, s, m, h"),
        };
        seconds += number * factor;
        rest = remainder.trim_start();
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => malformed(format!("`{text}` is longer than a day"), "the longest duration is \"24h\""),
    }
}

/// A duration that may have a sign, in milliseconds.
pub(super) fn signed_milliseconds(text: &str) -> Result<i64, Malformed> {
    let trimmed = text.trim();
    let (sign, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let milliseconds = duration(rest)?.as_millis();
    Ok(sign * i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// `1s..3s`, or one duration for both ends.
pub(super) fn range(text: &str) -> Result<DurationRange, Malformed> {
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (duration(min)?, duration(max)?),
        None => {
            let both = duration(text)?;
            (both, both)
        }
    };
    if min > max {
        return malformed(
            format!("`{text}` ends before it begins"),
            "write the shorter duration first: \"1s..3s\"",
        );
    }
    Ok(DurationRange { min, max })
}

/// `100/s`, `30/m`, `5/h`: per second.
pub(super) fn rate(text: &str) -> Result<f64, Malformed> {
    const FORM: &str = "write clients per time: \"100/s\", \"30/m\"";
    let Some((number, unit)) = text.split_once('/') else {
        return malformed(format!("`{text}` is no rate"), FORM);
    };
    let Ok(number) = number.trim().replace('_', "").parse::<f64>() else {
        return malformed(format!("`{text}` is no rate"), FORM);
    };
    let per_second = match unit.trim() {
        "s" => number,
        "m" | "min" => number / 60.0,
        "h" => number / 3600.0,
        _ => return malformed(format!("`{text}` is no rate"), FORM),
    };
    if !(0.0..=RATE_MAX).contains(&per_second) {
        return malformed(format!("the rate `{text}` is out of range"), "rates go from 0 to 1000000/s");
    }
    Ok(per_second)
}

/// `5%` or `0.05`, from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, Malformed> {
    const FORM: &str = "write a number from 0 to 1, or a percentage: 0.05, \"5%\"";
    let trimmed = text.trim();
    let (number, scale) = match trimmed.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (trimmed, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) => in_unit(number / scale, text),
        Err(_) => malformed(format!("`{text}` is no share"), FORM),
    }
}

/// Checks that a share lies between 0 and 1.
pub(super) fn in_unit(share: f64, text: &str) -> Result<f64, Malformed> {
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    malformed(format!("the share {text} is not between 0 and 1"), "0.05 and \"5%\" mean the same")
}

/// A duration as the language writes it, as short as it goes.
#[must_use]
pub(crate) fn show(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    if micros < 1_000 {
        return format!("{micros}us");
    }
    if micros < 1_000_000 {
        return format!("{}ms", trimmed(duration.as_secs_f64() * 1e3));
    }
    if duration.as_secs() >= 60 {
        let rest = duration.as_secs_f64() - 60.0 * (duration.as_secs() / 60) as f64;
        let minutes = duration.as_secs() / 60;
        return if rest < 0.001 { format!("{minutes}m") } else { format!("{minutes}m{}s", trimmed(rest)) };
    }
    format!("{}s", trimmed(duration.as_secs_f64()))
}

fn trimmed(number: f64) -> String {
    format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration(" 2 h "), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("5").unwrap_err().message, "`5` has no unit");
        assert_eq!(duration("5 bananas").unwrap_err().message, "`bananas` is no unit of time");
        assert!(duration("-5s").is_err());
        assert!(duration("25h").is_err());
        assert!(duration("1e300s").is_err());
        assert!(duration("...s").is_err());
        assert_eq!(signed_milliseconds("-3m"), Ok(-180_000));
        assert_eq!(signed_milliseconds("+3m"), Ok(180_000));
    }

    #[test]
    fn ranges_rates_and_shares() {
        assert_eq!(
            range("20ms..200ms"),
            Ok(DurationRange { min: Duration::from_millis(20), max: Duration::from_millis(200) })
        );
        assert!(range("2s..1s").is_err());
        assert_eq!(rate("120/m"), Ok(2.0));
        assert!(rate("-1/s").is_err());
        assert!(rate("NaN/s").is_err());
        assert!(rate("inf/s").is_err());
        assert_eq!(share("5%"), Ok(0.05));
        assert!(share("NaN").is_err());
        assert!(share("101%").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,24}") {
            let _ = (duration(&text), range(&text), rate(&text), share(&text), signed_milliseconds(&text));
        }

        #[test]
        fn a_shown_duration_reads_back(millis in 0_u64..86_400_000) {
            let duration_in = Duration::from_millis(millis);
            let back = duration(&show(duration_in)).unwrap();
            prop_assert!(back.abs_diff(duration_in) < Duration::from_millis(1), "{}", show(duration_in));
        }
    }
}
