//! `[fault.NAME]`: what happens to the gateway, and when.

use std::time::Duration;

use super::reader::{Fields, count, duration, duration_range, positive_duration, truth, word};
use crate::vocabulary::{DurationRange, FaultKind, StopSignal};

/// Pause between exit and start when the scenario gives none.
pub(super) const DOWN: Duration = Duration::from_millis(200);
/// The signals that stop a gateway, by name.
pub(super) const SIGNALS: [(&str, StopSignal); 2] =
    [("SIGTERM", StopSignal::Sigterm), ("SIGKILL", StopSignal::Sigkill)];
/// Most times that one fault may happen.
const TIMES_MAX: u32 = 100_000;
const KINDS: [&str; 3] = ["restart", "reload", "pause"];

/// A fault as the scenario has it: its times are drawn when the plan is made.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// Name in the scenario file.
    pub name: String,
    /// When.
    pub schedule: FaultSchedule,
    /// What.
    pub kind: FaultKind,
}

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultSchedule {
    /// Again and again; once if `times` is 1.
    Every {
        /// The first time.
        first: Duration,
        /// From one to the next.
        every: Duration,
        /// How often.
        times: u32,
    },
    /// At instants drawn from the seed.
    Within {
        /// Earliest and latest.
        range: DurationRange,
        /// How often.
        times: u32,
    },
    /// In the middle of approvals.
    Approval {
        /// From when on approvals are waited for.
        from: Duration,
        /// From the sending of an approval to the fault.
        after: DurationRange,
        /// How often.
        times: u32,
    },
}

impl FaultSchedule {
    /// The latest time that it can begin, or begin to wait.
    #[must_use]
    pub fn last(&self) -> Duration {
        match self {
            Self::Every { first, every, times } => {
                first.saturating_add(every.saturating_mul(times.saturating_sub(1)))
            }
            Self::Within { range, .. } => range.max,
            Self::Approval { from, .. } => *from,
        }
    }

    /// How often the fault happens.
    #[must_use]
    pub const fn times(&self) -> u32 {
        match self {
            Self::Every { times, .. } | Self::Within { times, .. } | Self::Approval { times, .. } => *times,
        }
    }
}

/// Reads one fault; `None` if its time or its kind is missing or wrong.
pub(super) fn read(name: &str, fields: Fields<'_>) -> Option<FaultSpec> {
    let schedule = schedule(&fields);
    let kind = kind(&fields);
    fields.finish();
    Some(FaultSpec { name: name.to_owned(), schedule: schedule?, kind: kind? })
}

fn kind(fields: &Fields<'_>) -> Option<FaultKind> {
    let down = fields.read("down", duration);
    let kind = match fields.one_of(&KINDS, "what happens") {
        Some(("restart", _)) => {
            let signal = fields.read("restart", word(&SIGNALS));
            signal.map(|signal| FaultKind::Restart { signal, down: down.unwrap_or(DOWN) })
        }
        Some(("reload", entry)) => match fields.read("reload", truth) {
            Some(true) => Some(FaultKind::Reload),
            Some(false) => {
                let help = Some("write `reload = true`, or remove the fault".to_owned());
                fields.sink.report("value", &entry.node.span, "a fault that does nothing", help);
                None
            }
            None => None,
        },
        Some((_, _)) => fields.read("pause", positive_duration).map(FaultKind::Pause),
        None => None,
    };
    if fields.entry("down").is_some() && fields.entry("restart").is_none() {
        let help = Some("`down` is the pause between the exit and the start of a `restart`".to_owned());
        fields.sink.report("conflict", &fields.span("down"), "`down` without `restart`", help);
    }
    kind
}

fn schedule(fields: &Fields<'_>) -> Option<FaultSchedule> {
    let at = fields.read("at", duration);
    let every = fields.read("every", positive_duration);
    let until = fields.read("until", duration);
    let within = fields.read("within", duration_range);
    let during = fields.read("during", word(&[("approval", ())]));
    let after = fields.read("after", duration_range);
    let times = fields.read("times", count(1, TIMES_MAX));
    let has = |key| fields.entry(key).is_some();
    let conflict = |key: &'static str, message: &str, help: &str| {
        fields.sink.report("conflict", &fields.span(key), message, Some(help.to_owned()));
        None
    };
    if has("after") && !has("during") {
        return conflict(
            "after",
            "`after` without `during`",
            "`during = \"approval\"` says what it is after; `at` and `within` are times of the run",
        );
    }
    if has("until") && !has("every") {
        return conflict("until", "`until` without `every`", "`until` ends what `every` repeats");
    }
    match (has("during"), has("within"), has("every")) {
        (true, false, false) => {
            during?;
            let after = if has("after") { after? } else { ZERO };
            let from = if has("at") { at? } else { Duration::ZERO };
            Some(FaultSchedule::Approval { from, after, times: or_once(has("times"), times)? })
        }
        (false, true, false) if !has("at") => {
            Some(FaultSchedule::Within { range: within?, times: or_once(has("times"), times)? })
        }
        (false, false, true) => repeated(fields, at, every?, until, times),
        (false, false, false) => {
            if has("times") {
                return conflict(
                    "times",
                    "`times` without a schedule",
                    "beside `times` stands `every = \"2s\"`, `within = \"10s..20s\"` or `during = \"approval\"`",
                );
            }
            let at = fields.required(
                "at",
                "when: at = \"6s\", every = \"2s\" with times = 3, within = \"10s..20s\" or during = \"approval\"",
                duration,
            )?;
            Some(FaultSchedule::Every { first: at, every: Duration::ZERO, times: 1 })
        }
        _ => {
            let key = ["every", "within", "during"].into_iter().rfind(|key| has(key)).unwrap_or("at");
            conflict(key, "more than one schedule", "keep one of `at`, `every`, `within` and `during`")
        }
    }
}

const ZERO: DurationRange = DurationRange { min: Duration::ZERO, max: Duration::ZERO };

/// The number of times that stands there; 1 if none does.
fn or_once(is_there: bool, times: Option<u32>) -> Option<u32> {
    if is_there { times } else { Some(1) }
}

/// `every`, from `at` on (or from its first multiple), `times` times or `until` a time.
fn repeated(
    fields: &Fields<'_>,
    at: Option<Duration>,
    every: Duration,
    until: Option<Duration>,
    times: Option<u32>,
) -> Option<FaultSchedule> {
    let has = |key| fields.entry(key).is_some();
    let first = if has("at") { at? } else { every };
    let times = match (has("times"), has("until")) {
        (true, false) => times?,
        (false, true) => {
            let until = until?;
            if until < first {
                let message = "`until` is over before the first time";
                fields.sink.report("schedule", &fields.span("until"), message, None);
                return None;
            }
            let more = (until - first).as_nanos() / every.as_nanos().max(1);
            let Some(times) = u32::try_from(more + 1).ok().filter(|times| *times <= TIMES_MAX) else {
                let message = format!("more than {TIMES_MAX} times");
                let help = Some("a longer `every`, or an earlier `until`".to_owned());
                fields.sink.report("limit", &fields.span("every"), message, help);
                return None;
            };
            times
        }
        (false, false) => {
            fields.missing("times", "how often: times = 3, or until when: until = \"20s\"");
            return None;
        }
        (true, true) => {
            let help = Some("keep one of `times` and `until`".to_owned());
            fields.sink.report("conflict", &fields.span("until"), "`times` and `until`", help);
            return None;
        }
    };
    Some(FaultSchedule::Every { first, every, times })
}
