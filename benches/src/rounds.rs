//! Figures of several rounds: medians, and between which rounds the true median lies.

use serde::Serialize;

/// A series of measurements, one a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Middle value.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Between these two measurements lies the median of the distribution …
    pub low: f64,
    /// …
    pub high: f64,
    /// … with this probability.
    pub coverage: f64,
}

/// Coverage that an interval has at least, where there are rounds enough for it.
const COVERAGE: f64 = 0.93;

impl Spread {
    /// Of at least one measurement.
    ///
    /// The interval is that of order statistics: each measurement lies below the true median with probability one half,
    /// whatever the distribution, so that the number below it is binomial. Five rounds cover 0.9375 from the smallest to the
    /// largest; more rounds let outliers fall away.
    #[must_use]
    pub fn of(measurements: &[f64]) -> Option<Self> {
        let mut sorted = measurements.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let n = sorted.len();
        let upper = *sorted.get(n / 2)?;
        let lower = *sorted.get((n - 1) / 2)?;
        let mut left_out = 0;
        while left_out + 1 < n.div_ceil(2) && coverage(n, left_out + 1) >= COVERAGE {
            left_out += 1;
        }
        Some(Self {
            median: f64::midpoint(lower, upper),
            min,
            max,
            low: *sorted.get(left_out)?,
            high: *sorted.get(n - 1 - left_out)?,
            coverage: coverage(n, left_out),
        })
    }
}

/// Probability that the median lies between measurement `left_out` from below and `left_out` from above, of `n`.
fn coverage(n: usize, left_out: usize) -> f64 {
    let mut tail = 0.0;
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    for below in 0..=left_out {
        tail += term;
        term *= (n - below) as f64 / (below + 1) as f64;
    }
    1.0 - 2.0 * tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_rounds_reach_from_the_smallest_to_the_largest() {
        let spread = Spread::of(&[3.0, 1.0, 2.0, 5.0, 4.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (3.0, 1.0, 5.0));
        assert!((spread.coverage - 0.9375).abs() < 1e-9);
        assert_eq!(Spread::of(&[1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn more_rounds_leave_outliers_out() {
        let eleven: Vec<f64> = (1..=11).map(f64::from).collect();
        let spread = Spread::of(&eleven).unwrap();
        // Tables of order statistics: 2 to 10 of 11 cover 0.9883, 3 to 9 cover 0.9346.
        assert_eq!((spread.low, spread.high), (3.0, 9.0));
        assert!((spread.coverage - 0.9346).abs() < 1e-4);
    }
}
