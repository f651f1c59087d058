//! Figures as people read them.

/// Microseconds with three digits and a unit: `850 µs`, `12.3 ms`, `3.21 s`, `2 min 05 s`.
#[must_use]
pub fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..999_500 => format!("{} ms", three_digits(micros as f64 / 1e3)),
        999_500..59_950_000 => format!("{} s", three_digits(micros as f64 / 1e6)),
        _ => {
            let seconds = micros.saturating_add(500_000) / 1_000_000;
            format!("{} min {:02} s", seconds / 60, seconds % 60)
        }
    }
}

/// A duration, or `-` if there is none.
#[must_use]
pub fn maybe(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), duration)
}

/// A share of 0 to 1 in per cent.
#[must_use]
pub fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Bytes in MB (10^6).
#[must_use]
pub fn bytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// `1 attempt`, `2 attempts`.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The text, cut to this many characters: names of the peer must not push a table apart.
#[must_use]
pub fn short(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(chars - 1).collect();
    cut.push('…');
    cut
}

fn three_digits(value: f64) -> String {
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_never_the_wrong_unit() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (12_345_678, "12.3 s"),
            (59_949_999, "59.9 s"),
            (59_950_000, "1 min 00 s"),
            (125_400_000, "2 min 05 s"),
            (3_600_000_000, "60 min 00 s"),
            (u64::MAX, "307445734561 min 49 s"),
        ] {
            assert_eq!(duration(micros), text);
        }
        assert_eq!(maybe(None), "-");
        assert_eq!(share(0.0834), "8.3 %");
        assert_eq!(bytes(31_400_000), "31 MB");
        assert_eq!(
            (plural(1, "client"), plural(0, "client")),
            ("1 client".to_owned(), "0 clients".to_owned())
        );
    }
}
