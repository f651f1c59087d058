//! Times of the log as times of the scenario.

/// Longest pause or wait that a scenario may have, seconds.
const LONGEST_S: f64 = 86_000.0;

/// Times of the log as times of the scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) from: i64,
    /// How many times faster the scenario is.
    pub(super) faster: f64,
}

impl Clock {
    /// A moment, in seconds of the run.
    pub(super) fn moment(self, at: i64) -> f64 {
        self.span(at - self.from) / self.faster
    }

    /// A length, in seconds as the log has it: `time_scale` makes it shorter.
    #[expect(clippy::unused_self, reason = "the counterpart of `moment`")]
    pub(super) fn span(self, ms: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a log")]
        let seconds = ms.max(0) as f64 / 1000.0;
        seconds.min(LONGEST_S)
    }
}
