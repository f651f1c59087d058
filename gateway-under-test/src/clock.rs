//! The two clocks and the source of randomness. Everything else takes time and fresh names as arguments.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::policy::Fresh;

/// Milliseconds since the Unix epoch; 0 if the clock stands before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A running stopwatch on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Whole milliseconds since the start.
    #[must_use]
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The instant `after` the start, for timers.
    #[must_use]
    pub fn deadline(self, after: Duration) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.0 + after)
    }
}

/// Names from the operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFresh;

impl Fresh for OsFresh {
    fn request_id(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    #[expect(
        clippy::expect_used,
        reason = "without entropy no token may be issued, and there is nobody to tell"
    )]
    fn token(&mut self) -> String {
        let mut bytes = [0_u8; 32];
        SysRng.try_fill_bytes(&mut bytes).expect("the operating system's random generator works");
        URL_SAFE_NO_PAD.encode(bytes)
    }
}
