//! When the gateway wrote the lines of its log.

use crate::vocabulary::Nanos;

/// Lines of a log by the time that each begins with. Who wrote it has the clock of this machine, and milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTimes {
    /// Milliseconds since the run began, in the order of the log.
    lines: Vec<i64>,
}

impl LogTimes {
    /// Reads a log. A line without a time is of the time of the line before.
    #[must_use]
    pub fn read(log: &str, started_at: jiff::Timestamp) -> Self {
        let mut lines = Vec::new();
        for line in log.lines() {
            let said = line.split_whitespace().next().and_then(|word| word.parse::<jiff::Timestamp>().ok());
            let since = said.map(|said| said.as_millisecond() - started_at.as_millisecond());
            lines.extend(since.or_else(|| lines.last().copied()));
        }
        Self { lines }
    }

    /// Lines from one moment of the run to another; `None` = the log does not reach back so far, because only the end of a long one
    /// is kept.
    #[must_use]
    pub fn between(&self, from: Nanos, to: Nanos) -> Option<u64> {
        let ms = |at: Nanos| i64::try_from(at / 1_000_000).unwrap_or(i64::MAX);
        let (from, to) = (ms(from), ms(to));
        self.lines.first().filter(|first| **first <= from)?;
        Some(self.lines.iter().filter(|at| (from..=to).contains(*at)).count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-11-26T13:00:00.000Z [gateway] ready\n\
                       2026-11-26T13:00:01.500Z [ws] closed before connect conn=1\n\
                       \x20   of a second line\n\
                       2026-11-26T14:00:02.000+01:00 [ws] closed before connect conn=2\n\
                       2026-11-26T13:00:09.000Z [gateway] stopped\n";
    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn lines_are_counted_by_the_time_that_they_begin_with() {
        let began = "2026-11-26T13:00:01Z".parse().unwrap();
        let times = LogTimes::read(LOG, began);
        assert_eq!(times.between(SECOND / 2, SECOND), Some(3));
        assert_eq!(times.between(0, 8 * SECOND), Some(4));
        assert_eq!(times.between(2 * SECOND, 3 * SECOND), Some(0));
    }

    #[test]
    fn of_the_end_of_a_log_nothing_is_counted_that_began_before() {
        let end = LOG.split_once('\n').unwrap().1;
        let times = LogTimes::read(end, "2026-11-26T13:00:01Z".parse().unwrap());
        assert_eq!(times.between(0, SECOND), None);
        assert_eq!(times.between(SECOND, 8 * SECOND), Some(2));
        assert_eq!(LogTimes::default().between(0, SECOND), None);
    }
}
