//! The interval log: HdrHistogram V2 histograms of one second each, by series.
//!
//! The format is the one that the histogram tools of other languages read: histograms are compressed and in base64,
//! each line starts with `Tag=<series>`, its start in seconds from `BaseTime`, and its length. Values are microseconds.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use super::histogram::empty_histogram;
use super::intervals::IntervalSamples;

/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writing an interval log failed.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// The destination refused.
    #[error("cannot write the interval log: {0}")]
    Io(#[from] io::Error),
    /// A histogram could not be encoded.
    #[error("cannot encode a histogram of the interval log: {0}")]
    Encode(String),
}

/// Writes the interval log of a run whose nanosecond 0 was at `started_at`. Histograms are built one at a time.
///
/// # Errors
/// [`HlogError`] if `to` refuses, or a histogram cannot be encoded.
pub fn write_hlog(
    to: &mut impl Write,
    samples: &IntervalSamples,
    started_at: jiff::Timestamp,
) -> Result<(), HlogError> {
    let base = SystemTime::try_from(started_at).map_err(io::Error::other)?;
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("pairstorm; values in microseconds; tags response, service, approval_to_session, lag, wait.OPERATOR.COHORT.LINK")
        .with_start_time(base)
        .with_base_time(base)
        .begin_log_with(to, &mut serializer)?;
    let mut histogram = empty_histogram();
    for (second, series, counts) in samples.groups() {
        histogram.reset();
        for count in counts {
            histogram
                .record_n(count.micros(), u64::from(count.times))
                .map_err(|error| HlogError::Encode(error.to_string()))?;
        }
        let start = Duration::from_secs(u64::from(second));
        let tag = samples.tag(series);
        log.write_histogram(&histogram, start, INTERVAL, Tag::new(&tag)).map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => HlogError::Io(error),
            IntervalLogWriterError::SerializeError(error) => HlogError::Encode(error.to_string()),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::record::histogram::{LatencyHistogram, MICROS_MAX};
    use crate::record::phases::PhaseRecorder;
    use crate::record::test_support::{Story, refusal_for, session};

    fn written(story: &Story) -> Vec<u8> {
        let tally = story.tally();
        let samples = tally.samples();
        let mut log = Vec::new();
        let started_at = jiff::Timestamp::from_second(1_800_000_000).expect("a time");
        write_hlog(&mut log, samples, started_at).expect("written");
        log
    }

    fn read(log: &[u8]) -> Vec<(String, u64, Histogram<u64>)> {
        IntervalLogIterator::new(log)
            .filter_map(|entry| match entry.expect("well formed") {
                LogEntry::Interval(interval) => {
                    assert_eq!(interval.duration(), INTERVAL);
                    let bytes = STANDARD.decode(interval.encoded_histogram()).expect("base64");
                    let histogram = Deserializer::new().deserialize(&mut &bytes[..]).expect("a histogram");
                    let tag = interval.tag().expect("a tag").as_str().to_owned();
                    Some((tag, interval.start_timestamp().as_secs(), histogram))
                }
                LogEntry::BaseTime(at) | LogEntry::StartTime(at) => {
                    assert_eq!(at, Duration::from_secs(1_800_000_000));
                    None
                }
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut story = Story::new(&[("phones", 2)]);
        story.attempt(0, 0).intended(100).started(101).answered(111, refusal_for("r1"));
        story.attempt(1, 0).intended(200).started(203).answered(1_500, session());
        story.notice(0, 0, "r1", 900);
        story.approve(0, 0, "r1", 1_000, Some(1_010));
        story.attempt(0, 1).intended(2_000).started(2_000).answered(2_004, session());
        let read: Vec<_> = read(&written(&story))
            .into_iter()
            .map(|(tag, second, histogram)| {
                (tag, second, histogram.len(), histogram.value_at_quantile(0.0), histogram.max())
            })
            .collect();
        let line = |tag: &str, second, count, low, high| (tag.to_owned(), second, count, low, high);
        assert_eq!(
            read,
            [
                line("response", 0, 1, 11_000, 11_007),
                line("service", 0, 1, 10_000, 10_007),
                line("lag", 0, 2, 1_000, 3_001),
                line("wait.owner.phones.pending_to_noticed", 0, 1, 788_992, 789_503),
                line("response", 1, 1, 1_299_456, 1_300_479),
                line("service", 1, 1, 1_296_384, 1_297_407),
                line("wait.owner.phones.noticed_to_approve", 1, 1, 99_968, 100_031),
                line("wait.owner.phones.approve_to_ack", 1, 1, 10_000, 10_007),
                line("response", 2, 1, 4_000, 4_001),
                line("service", 2, 1, 4_000, 4_001),
                line("approval_to_session", 2, 1, 1_003_520, 1_004_031),
                line("lag", 2, 1, 0, 0),
                line("wait.owner.phones.whole", 2, 1, 1_892_352, 1_893_375),
                line("wait.owner.phones.ack_to_attempt", 2, 1, 989_696, 990_207),
                line("wait.owner.phones.attempt_to_session", 2, 1, 4_000, 4_001),
            ]
        );
    }

    #[test]
    fn intervals_add_up_to_the_whole_run() {
        let mut story = Story::new(&[("phones", 1)]);
        let mut whole = PhaseRecorder::default();
        for attempt in 0..500_u32 {
            let start = u64::from(attempt) * 37;
            story
                .attempt(0, attempt)
                .intended(start)
                .started(start + u64::from(attempt % 7))
                .answered(start + 20, session());
        }
        for attempt in &story.history.attempts {
            whole.record(attempt, Duration::from_secs(10));
        }
        let mut sums: BTreeMap<String, LatencyHistogram> = BTreeMap::new();
        for (tag, _, histogram) in read(&written(&story)) {
            let sum = sums.entry(tag).or_default();
            for value in histogram.iter_recorded() {
                (0..value.count_at_value()).for_each(|_| sum.record_micros(value.value_iterated_to()));
            }
        }
        // Exact figures are lost in a histogram, percentiles are not.
        let phases = whole.summary();
        assert_eq!(sums["response"].summary().count, phases.response.count);
        for (tag, figures) in
            [("response", phases.response), ("service", phases.service), ("lag", whole.lag())]
        {
            let sum = sums[tag].summary();
            for (logged, kept) in [(sum.p50, figures.p50), (sum.p99, figures.p99)] {
                let (logged, kept) = (logged.expect("samples"), kept.expect("samples"));
                assert!(logged >= kept && logged - kept <= kept / 1_000 + 1, "{tag}: {logged} for {kept}");
            }
        }
    }

    #[test]
    fn a_log_of_nothing_has_a_header_and_an_hour_is_the_end() {
        assert_eq!(read(&written(&Story::new(&[]))), []);
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).intended(0).started_ns(1).answered_ns(7_200_000_000_000, session());
        let longest = read(&written(&story)).into_iter().map(|(_, _, histogram)| histogram.max()).max();
        assert!(
            longest.is_some_and(|longest| (MICROS_MAX..MICROS_MAX + MICROS_MAX / 1_000).contains(&longest))
        );
    }
}
