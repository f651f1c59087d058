//! The run's clock: one monotonic origin and one wall-clock anchor.

use std::time::{Duration, Instant, SystemTime};

use crate::plan::Nanos;

/// Times of a run count from its start on the monotonic clock; the anchor says when that was for people.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    anchor: SystemTime,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place of the harness that reads the clocks")]
    pub fn start() -> Self {
        Self { origin: Instant::now(), anchor: SystemTime::now() }
    }

    /// Nanoseconds since the start. 64 bits last for 584 years.
    #[must_use]
    pub fn now(&self) -> Nanos {
        nanos(self.origin.elapsed())
    }

    /// The instant `at` nanoseconds after the start, for timers.
    #[must_use]
    pub fn instant(&self, at: Nanos) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + Duration::from_nanos(at))
    }

    /// Wall clock of the start.
    #[must_use]
    pub const fn anchor(&self) -> SystemTime {
        self.anchor
    }

    /// Milliseconds since the Unix epoch, for `signedAt`. Follows the monotonic clock from the anchor, so that a step of
    /// the wall clock during a run does not turn into refused signatures.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        let since = self.anchor.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from((since + self.origin.elapsed()).as_millis()).unwrap_or(u64::MAX)
    }
}

/// A duration in nanoseconds, saturating.
#[must_use]
pub fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The wall clock as it stands in folder names: `20261123T171500Z`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of the harness that reads the clocks")]
pub fn utc_stamp() -> String {
    jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The wall clock as results hold it, RFC 3339 in UTC, whole seconds.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of the harness that reads the clocks")]
pub fn utc_text() -> String {
    jiff::Timestamp::try_from(SystemTime::now())
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
