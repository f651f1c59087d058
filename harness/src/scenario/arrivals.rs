//! `[cohort.NAME.arrivals.SHAPE]`: how clients of a cohort arrive.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::pace::{Pace, Stretch};
use super::reader::{
    Fields, count, duration, duration_range, plain_text, positive_duration, positive_rate, rate,
};
use super::replay;
use super::sources::Sources;
use crate::vocabulary::{DurationRange, Nanos};

/// How clients of a cohort arrive. Rates are per second; how many arrive is the cohort's `count`.
///
/// All but [`Arrivals::Closed`] are open: clients come when it is their time, however the gateway does.
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
    /// The rate changes at once by the same step, again and again, until it has reached another value; then it stays.
    Stairs {
        /// Clients per second at the start.
        from: f64,
        /// Clients per second in the end.
        to: f64,
        /// Clients per second from one stair to the next, up or down; more than 0.
        step: f64,
        /// How long each stair lasts.
        every: Duration,
        /// The first one.
        start: Duration,
    },
    /// A steady rate, another one for a while, then the steady rate again.
    Spike {
        /// Clients per second before and after.
        base: f64,
        /// Clients per second meanwhile.
        peak: f64,
        /// When it begins, from the run's start; not before `start`.
        at: Duration,
        /// How long it lasts.
        lasts: Duration,
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
    /// Many together: at the same instant, or each at its own within a window.
    Herd {
        /// The first herd.
        at: Duration,
        /// Each of a herd draws its time from this window; 0 = all at the same instant.
        within: Duration,
        /// How many at a time and how far apart; `None` = all in one herd.
        repeat: Option<HerdRepeat>,
    },
    /// As a list has it that was recorded elsewhere.
    Replay {
        /// Nanoseconds since the first moment of the list; never decreasing, at least one.
        times: Arc<[Nanos]>,
        /// When the first moment of the list is.
        start: Duration,
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

/// Several herds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HerdRepeat {
    /// Clients a herd.
    pub size: u32,
    /// From the beginning of one to that of the next.
    pub every: Duration,
}

const SHAPES: [&str; 8] = ["constant", "ramp", "stairs", "spike", "poisson", "herd", "replay", "closed"];
/// Most stairs: beyond, a ramp is meant.
const STAIRS_MAX: f64 = 10_000.0;

impl Arrivals {
    /// Reads the shape; errors are reported and give `None`.
    pub(super) fn read(cohort: &Fields<'_>, sources: &Sources<'_>) -> Option<Self> {
        const HELP: &str = "for example\n[cohort.NAME.arrivals.constant]\nrate = \"10/s\"";
        if cohort.entry("arrivals").is_none() {
            cohort.missing("arrivals", &HELP.replace("cohort.NAME", &cohort.name));
        }
        let shapes = cohort.table("arrivals")?;
        let chosen = shapes.one_of(&SHAPES, "a shape");
        let fields = chosen.and_then(|(shape, entry)| Some((shape, shapes.sub_table(entry)?)));
        shapes.finish();
        let (shape, fields) = fields?;
        let arrivals = match shape {
            "herd" => herd(&fields),
            _ => {
                let start = fields.read("start", duration).unwrap_or_default();
                match shape {
                    "constant" => required_rate(&fields, "rate").map(|rate| Self::Constant { rate, start }),
                    "poisson" => required_rate(&fields, "rate").map(|rate| Self::Poisson { rate, start }),
                    "ramp" => ramp(&fields, start),
                    "stairs" => stairs(&fields, start),
                    "spike" => spike(&fields, start),
                    "replay" => replay(&fields, sources).map(|times| Self::Replay { times, start }),
                    _ => {
                        let concurrency = fields.required(
                            "concurrency",
                            "how many are active at a time",
                            count(1, 100_000),
                        );
                        let think = fields.read("think", duration_range).unwrap_or(super::NO_PAUSE);
                        concurrency.map(|concurrency| Self::Closed { concurrency, think, start })
                    }
                }
            }
        };
        fields.finish();
        arrivals
    }

    /// How the rate changes over time, for shapes that are given by one, when `count` clients arrive; and when it begins.
    pub(crate) fn pace(&self, count: u32) -> Option<(Duration, Pace)> {
        let steady = |span: Duration, rate| Stretch { seconds: span.as_secs_f64(), from: rate, to: rate };
        match *self {
            Self::Constant { rate, start } => Some((start, Pace::steady(rate))),
            Self::Ramp { from, to, over, start } => {
                let seconds =
                    over.map_or_else(|| 2.0 * f64::from(count) / (from + to), |over| over.as_secs_f64());
                Some((start, Pace::new(vec![Stretch { seconds, from, to }], to)))
            }
            Self::Stairs { from, to, step, every, start } => {
                let up = (to - from).signum() * step;
                let stairs =
                    (0..stairs_before(from, to, step)).map(|n| steady(every, from + f64::from(n) * up));
                Some((start, Pace::new(stairs.collect(), to)))
            }
            Self::Spike { base, peak, at, lasts, start } => {
                let before = steady(at.saturating_sub(start), base);
                Some((start, Pace::new(vec![before, steady(lasts, peak)], base)))
            }
            Self::Poisson { .. }
            | Self::Herd { .. }
            | Self::Replay { .. }
            | Self::Closed { .. }
            | Self::Steps => None,
        }
    }

    /// How many arrive when the cohort does not say: as many as a list has.
    #[must_use]
    pub fn own_count(&self) -> Option<u32> {
        match self {
            Self::Replay { times, .. } => u32::try_from(times.len()).ok(),
            _ => None,
        }
    }

    /// When the last of `count` clients arrives at the latest, with Poisson on average; `None` if nobody can say (closed) or
    /// it never does.
    #[must_use]
    pub fn last_arrival(&self, count: u32) -> Option<Duration> {
        let last = count.saturating_sub(1);
        let (start, seconds) = match self {
            Self::Constant { .. } | Self::Ramp { .. } | Self::Stairs { .. } | Self::Spike { .. } => {
                let (start, pace) = self.pace(count)?;
                (start, pace.arrival(last)?)
            }
            // The first client of a Poisson process comes after a gap.
            Self::Poisson { rate, start } => (*start, f64::from(count) / rate),
            Self::Herd { at, within, repeat } => {
                let begins = repeat
                    .map_or(0.0, |repeat| f64::from(last / repeat.size.max(1)) * repeat.every.as_secs_f64());
                (*at, begins + within.as_secs_f64())
            }
            Self::Replay { times, start } => {
                return start.checked_add(Duration::from_nanos(*times.get(last as usize)?));
            }
            Self::Closed { .. } | Self::Steps => return None,
        };
        start.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }
}

/// Stairs before the last one, which does not end.
fn stairs_before(from: f64, to: f64, step: f64) -> u32 {
    // A step of 0.1 does not divide 0.3 without a rest; a millionth of a step is no stair. At most `STAIRS_MAX`.
    ((to - from).abs() / step - 1e-6).ceil().clamp(0.0, STAIRS_MAX) as u32
}

fn required_rate(fields: &Fields<'_>, key: &'static str) -> Option<f64> {
    fields.required(key, "for example \"10/s\"", positive_rate)
}

fn ramp(fields: &Fields<'_>, start: Duration) -> Option<Arrivals> {
    let from = fields.required("from", "for example \"10/s\"", rate);
    let to = fields.required("to", "for example \"200/s\"", rate);
    let over = fields.read("over", positive_duration);
    let (from, to) = from.zip(to)?;
    refuse_nobody(
        fields,
        "to",
        from + to,
        "a ramp from 0 to 0 never lets anyone arrive",
        "raise `from` or `to`",
    );
    Some(Arrivals::Ramp { from, to, over, start })
}

fn stairs(fields: &Fields<'_>, start: Duration) -> Option<Arrivals> {
    let from = fields.required("from", "for example \"10/s\"", rate);
    let to = fields.required("to", "for example \"200/s\"", rate);
    let step = fields.required("step", "how much the rate changes at once: \"10/s\"", positive_rate);
    let every = fields.required("every", "how long each rate lasts: \"30s\"", positive_duration);
    let (from, to) = from.zip(to)?;
    let (step, every) = step.zip(every)?;
    refuse_nobody(
        fields,
        "to",
        from + to,
        "stairs from 0 to 0 never let anyone arrive",
        "raise `from` or `to`",
    );
    if (to - from).abs() / step > STAIRS_MAX {
        let help = Some("raise `step`; a rate that changes all the time is a `ramp`".to_owned());
        let message = format!("`step`: more than {STAIRS_MAX} stairs from `from` to `to`");
        fields.sink.report("limit", &fields.span("step"), message, help);
    }
    Some(Arrivals::Stairs { from, to, step, every, start })
}

fn spike(fields: &Fields<'_>, start: Duration) -> Option<Arrivals> {
    let base = fields.required("base", "the rate before and after: \"10/s\"", rate);
    let peak = fields.required("peak", "the rate meanwhile: \"500/s\"", rate);
    let at = fields.required("at", "when it begins: \"10s\"", duration);
    let lasts = fields.required("for", "how long it lasts: \"2s\"", positive_duration);
    let (base, peak) = base.zip(peak)?;
    let (at, lasts) = at.zip(lasts)?;
    refuse_nobody(
        fields,
        "peak",
        base + peak,
        "a spike from 0 to 0 never lets anyone arrive",
        "raise `peak`",
    );
    if at < start {
        let help = Some("both count from the run's start".to_owned());
        fields.sink.report("schedule", &fields.span("at"), "`at`: the spike begins before `start`", help);
    }
    Some(Arrivals::Spike { base, peak, at, lasts, start })
}

fn refuse_nobody(fields: &Fields<'_>, key: &str, rates: f64, message: &str, help: &str) {
    if rates <= 0.0 {
        fields.sink.report("schedule", &fields.span(key), message, Some(help.to_owned()));
    }
}

fn herd(fields: &Fields<'_>) -> Option<Arrivals> {
    let at = fields.read("at", duration).unwrap_or_default();
    let within = fields.read("within", duration).unwrap_or_default();
    let size = fields.read("size", count(1, super::COUNT_MAX));
    let every = fields.read("every", positive_duration);
    let together = "`size` and `every` go together: so many clients, so often";
    match (fields.entry("size"), fields.entry("every")) {
        (Some(_), None) => fields.missing("every", together),
        (None, Some(_)) => fields.missing("size", together),
        _ => {}
    }
    let repeat = size.zip(every).map(|(size, every)| HerdRepeat { size, every });
    if repeat.is_some_and(|repeat| within > repeat.every) {
        let help = Some("herds do not overlap: lower `within`, or raise `every`".to_owned());
        fields.sink.report("schedule", &fields.span("within"), "`within` is longer than `every`", help);
    }
    Some(Arrivals::Herd { at, within, repeat })
}

/// The times of the list that `file` names.
fn replay(fields: &Fields<'_>, sources: &Sources<'_>) -> Option<Arc<[Nanos]>> {
    let path = fields.required("file", "a file beside the scenario, one time a line", plain_text)?;
    let unreadable = |message: String| {
        let help = Some("the path counts from the folder of the file that it stands in".to_owned());
        fields.sink.report("io", &fields.span("file"), format!("`file`: {message}"), help);
        None
    };
    let from_scenario = fields.sink.path_from(&fields.span("file"), &path);
    let text = match sources.named(&from_scenario, replay::BYTES_MAX).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return unreadable(format!("`{path}` is no text (UTF-8)")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return unreadable(format!("there is no `{path}`"));
        }
        Err(error) => return unreadable(format!("`{path}` cannot be read: {error}")),
    };
    match replay::times(&text) {
        Ok(times) => Some(times.into()),
        Err(bad) => {
            for bad in bad {
                fields.sink.report_line(&fields.span("file"), &path, bad.line, bad.message, bad.help);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_arrival_is_known_before_the_run() {
        let constant = Arrivals::Constant { rate: 10.0, start: SECOND };
        assert_eq!(constant.last_arrival(21), Some(Duration::from_secs(3)));
        let herds = |within| Arrivals::Herd {
            at: Duration::ZERO,
            within,
            repeat: Some(HerdRepeat { size: 10, every: Duration::from_secs(5) }),
        };
        assert_eq!(herds(Duration::ZERO).last_arrival(20), Some(Duration::from_secs(5)));
        assert_eq!(herds(SECOND).last_arrival(21), Some(Duration::from_secs(11)));
        let list = Arrivals::Replay { times: Arc::new([0, 0, 2_000_000_000]), start: SECOND };
        assert_eq!((list.last_arrival(3), list.own_count()), (Some(3 * SECOND), Some(3)));
        assert_eq!(list.last_arrival(4), None);
    }

    #[test]
    fn stairs_go_up_and_down_and_end_on_the_last_one() {
        let stairs = |from, to, step| Arrivals::Stairs { from, to, step, every: SECOND, start: SECOND };
        // 1 + 2 + 3 + 4 clients in four seconds, then 4 a second.
        assert_eq!(stairs(1.0, 4.0, 1.0).last_arrival(11), Some(5 * SECOND));
        assert_eq!(stairs(1.0, 4.0, 1.0).last_arrival(15), Some(6 * SECOND));
        assert_eq!(stairs(4.0, 1.0, 1.0).last_arrival(11), Some(5 * SECOND));
        assert_eq!(stairs(4.0, 0.0, 1.0).last_arrival(11), None);
        // The last step is cut short: 1, 3, 4.
        assert_eq!(stairs(1.0, 4.0, 2.0).last_arrival(9), Some(4 * SECOND));
        assert_eq!(stairs_before(0.1, 0.4, 0.1), 3);
        assert_eq!(stairs_before(5.0, 5.0, 0.1), 0);
    }

    #[test]
    fn a_spike_lasts_as_long_as_it_says() {
        let spike = Arrivals::Spike { base: 2.0, peak: 100.0, at: 3 * SECOND, lasts: SECOND, start: SECOND };
        assert_eq!(spike.last_arrival(5), Some(3 * SECOND));
        assert_eq!(spike.last_arrival(5 + 50), Some(Duration::from_millis(3_500)));
        assert_eq!(spike.last_arrival(5 + 100 + 2), Some(5 * SECOND));
        let alone =
            Arrivals::Spike { base: 0.0, peak: 10.0, at: 3 * SECOND, lasts: SECOND, start: Duration::ZERO };
        assert_eq!((alone.last_arrival(1), alone.last_arrival(11)), (Some(3 * SECOND), None));
    }
}
