//! Latency histograms: HdrHistogram, up to 1 h at three significant digits, in whole microseconds.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Nanos;

/// Largest value a histogram holds, in microseconds: one hour.
pub const MICROS_MAX: u64 = 3_600_000_000;
/// Significant decimal digits kept.
pub const DIGITS: u8 = 3;

/// Whole microseconds in this many nanoseconds, rounded down.
#[must_use]
pub const fn micros(nanos: Nanos) -> u64 {
    nanos / 1_000
}

/// An empty histogram from 1 µs to [`MICROS_MAX`] at [`DIGITS`] digits, as the interval log holds them.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the constructor accepts; a test builds one"
)]
pub fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).expect("constant bounds")
}

/// A series of latencies. Count, sum and largest value are exact; percentiles are within three digits.
#[derive(Debug, Clone)]
pub struct LatencyHistogram {
    histogram: Histogram<u64>,
    sum: u128,
    max: u64,
    saturated: u64,
}

impl Default for LatencyHistogram {
    /// An empty series. It grows with its largest value: most series of a run stay far below an hour.
    #[expect(clippy::expect_used, reason = "the constructor accepts up to five digits; a test builds one")]
    fn default() -> Self {
        Self { histogram: Histogram::new(DIGITS).expect("constant digits"), sum: 0, max: 0, saturated: 0 }
    }
}

impl LatencyHistogram {
    /// Adds one value of this many nanoseconds. Below 1 µs it counts as 0; above an hour as an hour, and is counted
    /// as saturated.
    pub fn record(&mut self, nanos: Nanos) {
        self.record_micros(micros(nanos));
    }

    /// Adds one value of this many microseconds, with the same limits.
    pub fn record_micros(&mut self, value: u64) {
        let kept = value.min(MICROS_MAX);
        self.saturated += u64::from(kept < value);
        // It resizes itself and `kept` has a limit, so this can only fail for want of address space.
        let recorded = self.histogram.record(kept);
        debug_assert!(recorded.is_ok(), "{kept} fits");
        self.sum += u128::from(kept);
        self.max = self.max.max(kept);
    }

    /// Adds all values of another series, without loss.
    pub fn merge(&mut self, other: &Self) {
        // Histograms that resize themselves and have the same digits can always be added.
        let added = self.histogram.add(&other.histogram);
        debug_assert!(added.is_ok(), "self-resizing histograms add up");
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self.saturated += other.saturated;
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Number of values that were cut to an hour.
    #[must_use]
    pub const fn saturated(&self) -> u64 {
        self.saturated
    }

    /// Number of values of this many microseconds or more, to three digits of the value.
    #[must_use]
    pub fn count_from(&self, value: u64) -> u64 {
        let value = value.min(MICROS_MAX);
        // Beyond the largest value there are no buckets to look into.
        if self.count() == 0 || value > self.max { 0 } else { self.histogram.count_between(value, self.max) }
    }

    /// The figures that results hold.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        let count = self.count();
        if count == 0 {
            return LatencySummary::default();
        }
        // A bucket's upper end may lie above the largest value there was.
        let at = |quantile: f64| Some(self.histogram.value_at_quantile(quantile).min(self.max));
        let mean = (self.sum + u128::from(count) / 2) / u128::from(count);
        LatencySummary {
            count,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Some(self.max),
            mean: u64::try_from(mean).ok(),
            saturated: self.saturated,
        }
    }
}

/// Figures of one series of latencies, in whole microseconds; `null` = no samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatencySummary {
    /// Number of samples.
    pub count: u64,
    /// Median, µs.
    pub p50: Option<u64>,
    /// 90th percentile, µs.
    pub p90: Option<u64>,
    /// 99th percentile, µs.
    pub p99: Option<u64>,
    /// 99.9th percentile, µs.
    pub p999: Option<u64>,
    /// Largest value, µs.
    pub max: Option<u64>,
    /// Mean, µs, rounded.
    pub mean: Option<u64>,
    /// Samples above one hour; they count as one hour.
    pub saturated: u64,
}

impl LatencySummary {
    /// The figure of this name: `count`, `p50`, `p90`, `p99`, `p999`, `max` or `mean`. The outer `None` = no such name,
    /// the inner = no samples.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<Option<u64>> {
        Some(match name {
            "count" => Some(self.count),
            "p50" => self.p50,
            "p90" => self.p90,
            "p99" => self.p99,
            "p999" => self.p999,
            "max" => self.max,
            "mean" => self.mean,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_of_a_hundred_values() {
        let mut series = LatencyHistogram::default();
        for value in 1..=100 {
            series.record(value * 1_000);
        }
        assert_eq!(
            series.summary(),
            LatencySummary {
                count: 100,
                p50: Some(50),
                p90: Some(90),
                p99: Some(99),
                p999: Some(100),
                max: Some(100),
                mean: Some(51),
                saturated: 0
            }
        );
    }

    #[test]
    fn no_samples_are_no_figures() {
        assert_eq!(LatencyHistogram::default().summary(), LatencySummary::default());
        assert_eq!(LatencySummary::default().figure("p99"), Some(None));
        assert_eq!(LatencySummary::default().figure("count"), Some(Some(0)));
        assert_eq!(LatencySummary::default().figure("p42"), None);
    }

    #[test]
    fn what_is_out_of_range_is_kept_at_the_edge_and_counted() {
        let mut series = LatencyHistogram::default();
        series.record(999);
        series.record_micros(MICROS_MAX);
        series.record_micros(u64::MAX);
        let summary = series.summary();
        assert_eq!((summary.count, summary.saturated, summary.max), (3, 1, Some(MICROS_MAX)));
        assert_eq!(summary.mean, Some(2_400_000_000));
    }

    #[test]
    fn the_interval_histogram_has_the_stated_bounds() {
        let histogram = empty_histogram();
        assert_eq!((histogram.low(), histogram.sigfig()), (1, 3));
        assert!(histogram.high() >= MICROS_MAX);
    }

    proptest! {
        #[test]
        fn percentiles_never_fall_and_stay_within_three_digits(
            mut values in prop::collection::vec(0_u64..=MICROS_MAX, 1..300)
        ) {
            let mut series = LatencyHistogram::default();
            for value in &values {
                series.record_micros(*value);
            }
            let s = series.summary();
            prop_assert!(s.p50 <= s.p90 && s.p90 <= s.p99 && s.p99 <= s.p999 && s.p999 <= s.max);
            values.sort_unstable();
            prop_assert_eq!(s.max, values.last().copied());
            let exact = values[(values.len().div_ceil(2)) - 1];
            let p50 = s.p50.expect("samples");
            prop_assert!(p50 >= exact && p50 - exact <= exact / 1_000 + 1, "{} for {}", p50, exact);
        }

        #[test]
        fn merging_is_recording_everything_in_one(
            left in prop::collection::vec(0_u64..=2 * MICROS_MAX, 0..50),
            right in prop::collection::vec(0_u64..=2 * MICROS_MAX, 0..50),
        ) {
            let (mut one, mut two, mut all) =
                (LatencyHistogram::default(), LatencyHistogram::default(), LatencyHistogram::default());
            left.iter().for_each(|value| { one.record_micros(*value); all.record_micros(*value); });
            right.iter().for_each(|value| { two.record_micros(*value); all.record_micros(*value); });
            one.merge(&two);
            prop_assert_eq!(one.summary(), all.summary());
        }
    }
}
