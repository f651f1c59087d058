//! `[fault.NAME]`: what happens to the gateway, and when.

use std::time::Duration;

use protocol::ProfileName;

use super::document::{Entry, Node, Value};
use super::reader::{
    Fields, Problem, count, duration, duration_range, positive_duration, share, signed_milliseconds, text,
    truth, word,
};
use super::{operator, step};
use crate::vocabulary::{Change, CohortId, DurationRange, FaultKind, StopSignal, StoreDamage, StoreEdit};

/// Pause between exit and start when the scenario gives none.
pub(super) const DOWN: Duration = Duration::from_millis(200);
/// The signals that stop a gateway, by name.
pub(super) const SIGNALS: [(&str, StopSignal); 2] =
    [("SIGTERM", StopSignal::Sigterm), ("SIGKILL", StopSignal::Sigkill)];
/// Most times that one fault may happen.
const TIMES_MAX: u32 = 100_000;
const KINDS: [&str; 11] = [
    "restart",
    "reload",
    "pause",
    "stall",
    "store",
    "edit",
    "second_gateway",
    "cpu",
    "memory",
    "network",
    "clock",
];
/// How often a second writer writes, and how long one that loses races takes from reading to writing.
const WRITER_EVERY: Duration = Duration::from_millis(50);
const WRITER_GAP: Duration = Duration::from_millis(20);
/// Limits of a gateway's memory: less and it cannot start, more is none.
const MEMORY_MIN: u64 = 4 << 20;
const MEMORY_MAX: u64 = 64 << 30;

/// A fault as the scenario has it: its times are drawn when the plan is made.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// Name in the scenario file.
    pub name: String,
    /// When.
    pub schedule: FaultSchedule,
    /// What.
    pub kind: FaultKind,
    /// How long what was altered stays so; `None` = until the run's end, or there is nothing to undo.
    pub lasts: Option<Duration>,
    /// What is another one when a restarted gateway comes back.
    pub change: Option<Change>,
    /// Of [`FaultKind::Edit`], whose entries are edited, and how.
    pub edit: Option<(CohortId, StoreEdit)>,
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

    /// The earliest time that it can begin, or begin to wait.
    #[must_use]
    pub const fn first(&self) -> Duration {
        match self {
            Self::Every { first, .. } => *first,
            Self::Within { range, .. } => range.min,
            Self::Approval { from, .. } => *from,
        }
    }

    /// The latest time that it can begin; nobody knows when an approval is sent.
    #[must_use]
    pub fn latest(&self) -> Duration {
        if matches!(self, Self::Approval { .. }) { Duration::MAX } else { self.last() }
    }

    /// How often the fault happens.
    #[must_use]
    pub const fn times(&self) -> u32 {
        match self {
            Self::Every { times, .. } | Self::Within { times, .. } | Self::Approval { times, .. } => *times,
        }
    }
}

/// Reads one fault; `None` if its time or its kind is missing or wrong. `cohorts` are the names of all cohorts, in plan order.
pub(super) fn read(name: &str, fields: Fields<'_>, cohorts: &[&str]) -> Option<FaultSpec> {
    let schedule = schedule(&fields);
    let kind = kind(&fields);
    let change = change(&fields);
    let edit = edit(&fields, cohorts);
    let lasts = fields.read("for", positive_duration);
    let stands = |key| fields.entry(key).is_some();
    if stands("down") && !stands("restart") {
        let help = Some("`down` is the pause between the exit and the start of a `restart`".to_owned());
        fields.sink.report("conflict", &fields.span("down"), "`down` without `restart`", help);
    }
    if let Some(key) =
        ["restart", "reload", "pause", "edit"].into_iter().find(|key| stands("for") && stands(key))
    {
        let help = Some("`for` is how long something stays altered".to_owned());
        fields.sink.report("conflict", &fields.span("for"), format!("`for` does not go with `{key}`"), help);
    }
    let missing = stands("for") && lasts.is_none() || stands("edit") && edit.is_none();
    fields.finish();
    // Of a stall, the length is part of what it does.
    let lasts = lasts.filter(|_| !matches!(kind, Some(FaultKind::Stall { .. })));
    let lasts = match kind {
        // It takes that long to see whether it is let in; afterwards it is in nobody's way.
        Some(FaultKind::SecondGateway { .. }) => lasts.or(Some(DOWN)),
        _ => lasts,
    };
    if missing {
        return None;
    }
    Some(FaultSpec {
        name: name.to_owned(),
        schedule: schedule?,
        kind: kind?,
        lasts,
        change: change.ok()?,
        edit,
    })
}

fn kind(fields: &Fields<'_>) -> Option<FaultKind> {
    let down = fields.read("down", duration);
    match fields.one_of(&KINDS, "what happens")? {
        ("restart", _) => {
            let signal = fields.read("restart", word(&SIGNALS))?;
            Some(FaultKind::Restart { signal, down: down.unwrap_or(DOWN) })
        }
        ("reload", entry) => yes(fields, "reload", entry).then_some(FaultKind::Reload),
        ("pause", _) => fields.read("pause", positive_duration).map(FaultKind::Pause),
        ("stall", _) => stall(fields),
        ("edit", _) => Some(FaultKind::Edit { overwrote: false }),
        ("store", _) => fields.read("store", word(&store_words())),
        ("second_gateway", entry) => {
            yes(fields, "second_gateway", entry).then_some(FaultKind::SecondGateway { served: false })
        }
        ("cpu", _) => {
            let share = fields.read("cpu", share)?;
            // Below, the kernel refuses; and a gateway does nothing at all.
            let permille = (share * 1000.0).round().clamp(10.0, 1000.0);
            Some(FaultKind::Cpu { permille: permille as u32 })
        }
        ("memory", _) => fields.read("memory", memory).map(|bytes| FaultKind::Memory { bytes }),
        ("network", _) => network(fields),
        (_, _) => fields.read("clock", signed_milliseconds).map(|step_ms| FaultKind::Clock { step_ms }),
    }
}

/// Whether `true` stands there; `false` is reported.
fn yes(fields: &Fields<'_>, key: &'static str, entry: &Entry) -> bool {
    match fields.read(key, truth) {
        Some(true) => true,
        Some(false) => {
            let help = Some(format!("write `{key} = true`, or remove the fault"));
            fields.sink.report("value", &entry.node.span, "a fault that does nothing", help);
            false
        }
        None => false,
    }
}

pub(super) fn store_words() -> Vec<(&'static str, FaultKind)> {
    let damages = StoreDamage::WORDS.into_iter().map(|(word, damage)| (word, FaultKind::Store(damage)));
    let writer = |gap| FaultKind::SecondWriter { every: WRITER_EVERY, gap };
    damages.chain([("second-writer", writer(Duration::ZERO)), ("rename-race", writer(WRITER_GAP))]).collect()
}

/// Whose entries are edited, and how.
fn edit(fields: &Fields<'_>, cohorts: &[&str]) -> Option<(CohortId, StoreEdit)> {
    let table = fields.table("edit")?;
    let name = table.required("cohort", "whose entries", text);
    let cohort = name.and_then(|_| operator::cohort(&table, &table.entry("cohort")?.node, cohorts));
    let change = step::store_edit(&table);
    table.finish();
    cohort.zip(change)
}

fn stall(fields: &Fields<'_>) -> Option<FaultKind> {
    let table = fields.table("stall")?;
    let of = table.required("of", "how long it stands still, for example \"50ms\"", positive_duration);
    let every = table.required("every", "how often, for example \"100ms\"", positive_duration);
    let at = table.at.clone();
    table.finish();
    let length = fields.required("for", "how long this goes on, for example \"2s\"", positive_duration)?;
    let (of, every) = (of?, every?);
    if of >= every {
        let help = Some("`pause` stops it all the time".to_owned());
        fields.sink.report("value", &at, "it would stand still all the time", help);
        return None;
    }
    Some(FaultKind::Stall { of, every, length })
}

fn network(fields: &Fields<'_>) -> Option<FaultKind> {
    if let Some(Value::Text(_)) = fields.entry("network").map(|entry| &entry.node.value) {
        return fields.read("network", word(&[("partition", FaultKind::Partition)]));
    }
    let table = fields.table("network")?;
    let delay = table.read("delay", duration);
    let loss = table.read("loss", share);
    let at = table.at.clone();
    table.finish();
    let kind = FaultKind::Network {
        delay: delay.unwrap_or_default(),
        loss_ppm: (loss.unwrap_or_default() * 1e6).round() as u32,
    };
    if kind == (FaultKind::Network { delay: Duration::ZERO, loss_ppm: 0 }) {
        let help =
            Some("network = { delay = \"50ms\", loss = \"1%\" }, or network = \"partition\"".to_owned());
        fields.sink.report("value", &at, "a fault that does nothing", help);
        return None;
    }
    Some(kind)
}

/// `64MiB`, in bytes.
fn memory(node: &Node) -> Result<u64, Problem> {
    let text = text(node)?;
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let found = units.iter().find_map(|(unit, shift)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(1_u64 << shift)
    });
    found.filter(|bytes| (MEMORY_MIN..=MEMORY_MAX).contains(bytes)).ok_or_else(|| Problem {
        code: "value",
        message: format!("`{text}` is no amount of memory"),
        help: Some("from \"4MiB\" to \"64GiB\", in KiB, MiB or GiB".to_owned()),
    })
}

/// What a restart changes beside the process.
fn change(fields: &Fields<'_>) -> Result<Option<Change>, ()> {
    let token = fields.read("token", word(&[("changed", Change::Secret)]));
    let profiles: Vec<_> = ProfileName::ALL.map(|name| (name.as_str(), Change::Profile(name))).into();
    let profile = fields.read("profile", word(&profiles));
    let has = |key| fields.entry(key).is_some();
    for key in ["token", "profile"] {
        if has(key) && !has("restart") {
            let help = Some(
                "a gateway reads its configuration when it starts: add `restart = \"SIGTERM\"`".to_owned(),
            );
            fields.sink.report("conflict", &fields.span(key), format!("`{key}` without `restart`"), help);
            return Err(());
        }
    }
    if has("token") && has("profile") {
        let help = Some("make two faults of them".to_owned());
        fields.sink.report("conflict", &fields.span("profile"), "`token` and `profile`", help);
        return Err(());
    }
    match (has("token") || has("profile"), token.or(profile)) {
        (true, None) => Err(()),
        (_, change) => Ok(change),
    }
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
