//! `[cohort.NAME.arrivals.SHAPE]`: how clients of a cohort arrive.

use std::time::Duration;

use super::reader::{Fields, count, duration, duration_range, positive_duration, positive_rate, rate};
use crate::vocabulary::DurationRange;

/// How clients of a cohort arrive. Rates are per second; how many arrive is the cohort's `count`.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Evenly spaced.
    Constant {
        /// Clients per second.
        rate: f64,
        /// The first one.
        start: Duration,
    },
    /// The rate changes evenly from one value to another, then stays.
    Ramp {
        /// Clients per second at the start.
        from: f64,
        /// Clients per second after `over`.
        to: f64,
        /// How long the change takes; `None` = until all have arrived.
        over: Option<Duration>,
        /// The first one.
        start: Duration,
    },
    /// Independent of each other: exponential gaps.
    Poisson {
        /// Clients per second on average.
        rate: f64,
        /// Where the first gap begins.
        start: Duration,
    },
    /// Many at the same instant.
    Burst {
        /// The first burst.
        at: Duration,
        /// How many at a time and how far apart; `None` = all at once.
        repeat: Option<BurstRepeat>,
    },
    /// As many as are active at most; the next one starts when one has ended its script.
    Closed {
        /// Active clients.
        concurrency: u32,
        /// Pause before the next one starts.
        think: DurationRange,
        /// Nobody starts before.
        start: Duration,
    },
    /// They do not arrive by themselves: steps say what they do.
    Steps,
}

/// Several bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstRepeat {
    /// Clients a burst.
    pub size: u32,
    /// Time between bursts.
    pub every: Duration,
}

const SHAPES: [&str; 5] = ["constant", "ramp", "poisson", "burst", "closed"];

impl Arrivals {
    /// Reads the shape; errors are reported and give `None`.
    pub(super) fn read(cohort: &Fields<'_>) -> Option<Self> {
        const HELP: &str = "for example\n[cohort.NAME.arrivals.constant]\nrate = \"10/s\"";
        if cohort.entry("arrivals").is_none() {
            cohort.missing("arrivals", &HELP.replace("cohort.NAME", &cohort.name));
        }
        let shapes = cohort.table("arrivals")?;
        let chosen = shapes.one_of(&SHAPES, "a shape");
        let fields = chosen.and_then(|(shape, entry)| Some((shape, shapes.sub_table(entry)?)));
        shapes.finish();
        let (shape, fields) = fields?;
        let start = fields_start(&fields, shape);
        let arrivals = match shape {
            "constant" => fields
                .required("rate", "for example \"10/s\"", positive_rate)
                .map(|rate| Self::Constant { rate, start }),
            "poisson" => fields
                .required("rate", "for example \"10/s\"", positive_rate)
                .map(|rate| Self::Poisson { rate, start }),
            "ramp" => {
                let from = fields.required("from", "for example \"10/s\"", rate);
                let to = fields.required("to", "for example \"200/s\"", rate);
                let over = fields.read("over", positive_duration);
                from.zip(to).map(|(from, to)| Self::Ramp { from, to, over, start })
            }
            "burst" => {
                let at = fields.read("at", duration).unwrap_or_default();
                let size = fields.read("size", count(1, super::COUNT_MAX));
                let every = fields.read("every", positive_duration);
                let together = "`size` and `every` go together: so many clients, so often";
                match (fields.entry("size"), fields.entry("every")) {
                    (Some(_), None) => fields.missing("every", together),
                    (None, Some(_)) => fields.missing("size", together),
                    _ => {}
                }
                let repeat = size.zip(every).map(|(size, every)| BurstRepeat { size, every });
                Some(Self::Burst { at, repeat })
            }
            _ => {
                let concurrency =
                    fields.required("concurrency", "how many are active at a time", count(1, 100_000));
                let think = fields.read("think", duration_range).unwrap_or(super::NO_PAUSE);
                concurrency.map(|concurrency| Self::Closed { concurrency, think, start })
            }
        };
        if let Some(Self::Ramp { from: 0.0, to: 0.0, .. }) = arrivals {
            let help = Some("raise `from` or `to`".to_owned());
            fields.sink.report(
                "schedule",
                &fields.span("to"),
                "a ramp from 0 to 0 never lets anyone arrive",
                help,
            );
        }
        fields.finish();
        arrivals
    }

    /// When the last of `count` clients arrives, on average; `None` if nobody can say (closed) or never does.
    #[must_use]
    pub fn last_arrival(&self, count: u32) -> Option<Duration> {
        let last = f64::from(count.saturating_sub(1));
        let (start, seconds) = match self {
            Self::Constant { rate, start } => (*start, last / rate),
            // The first client of a Poisson process comes after a gap.
            Self::Poisson { rate, start } => (*start, f64::from(count) / rate),
            Self::Ramp { from, to, over, start } => (*start, ramp_time(*from, *to, *over, count, last)?),
            Self::Burst { at, repeat: None } => (*at, 0.0),
            Self::Burst { at, repeat: Some(repeat) } => {
                (*at, f64::from(count.saturating_sub(1) / repeat.size.max(1)) * repeat.every.as_secs_f64())
            }
            Self::Closed { .. } | Self::Steps => return None,
        };
        start.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }
}

fn fields_start(fields: &Fields<'_>, shape: &str) -> Duration {
    if shape == "burst" {
        return Duration::ZERO;
    }
    fields.read("start", duration).unwrap_or_default()
}

/// Seconds from the start of a ramp until the `position`-th client (counted from 0) arrives; `None` = never.
///
/// The number arrived after t is `from·t + (to-from)·t²/2T`; solved for t in the form that does not cancel.
pub(crate) fn ramp_time(
    from: f64,
    to: f64,
    over: Option<Duration>,
    count: u32,
    position: f64,
) -> Option<f64> {
    if position <= 0.0 {
        return Some(0.0);
    }
    if from + to <= 0.0 {
        return None;
    }
    let total = over.map_or_else(|| 2.0 * f64::from(count) / (from + to), |over| over.as_secs_f64());
    let arrived_in_ramp = (from + to) / 2.0 * total;
    if position > arrived_in_ramp {
        return (to > 0.0).then(|| total + (position - arrived_in_ramp) / to);
    }
    let slope = (to - from) / total;
    let root = (from * from + 2.0 * slope * position).max(0.0).sqrt();
    let seconds = 2.0 * position / (from + root);
    seconds.is_finite().then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_ends_when_its_area_is_used_up() {
        // 0 to 10/s: a hundred clients take 20 s; the 25th arrives halfway (area grows with the square).
        assert_eq!(ramp_time(0.0, 10.0, None, 100, 25.0), Some(10.0));
        assert_eq!(ramp_time(0.0, 10.0, None, 100, 100.0), Some(20.0));
        assert_eq!(ramp_time(10.0, 0.0, None, 100, 75.0), Some(10.0));
        // After a ramp of 2 s (10 clients) the rate stays at 10/s.
        assert_eq!(ramp_time(0.0, 10.0, Some(Duration::from_secs(2)), 100, 20.0), Some(3.0));
        assert_eq!(ramp_time(10.0, 0.0, Some(Duration::from_secs(2)), 100, 20.0), None);
    }

    #[test]
    fn the_last_arrival_is_known_before_the_run() {
        let constant = Arrivals::Constant { rate: 10.0, start: Duration::from_secs(1) };
        assert_eq!(constant.last_arrival(21), Some(Duration::from_secs(3)));
        let bursts = Arrivals::Burst {
            at: Duration::ZERO,
            repeat: Some(BurstRepeat { size: 10, every: Duration::from_secs(5) }),
        };
        assert_eq!(bursts.last_arrival(20), Some(Duration::from_secs(5)));
        assert_eq!(bursts.last_arrival(21), Some(Duration::from_secs(10)));
    }
}
