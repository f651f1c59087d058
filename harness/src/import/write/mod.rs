//! What was rebuilt, as a scenario and the lists of arrivals beside it.

mod clock;
mod cohort;
mod gateway;
mod notes;
mod toml;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use protocol::ProfileName;

use super::cohorts::{Grouped, group};
use super::rebuilt::{Generation, Rebuilt};
use super::why::Why;
use clock::Clock;
use cohort::write_cohort;
use gateway::gateway;
use notes::notes;
pub(super) use toml::counted;
use toml::{bare, quoted, seconds, wrapped};

/// The profile called `name`.
///
/// # Errors
/// The names that there are.
pub fn profile(name: &str) -> Result<ProfileName, String> {
    ProfileName::find(name).ok_or_else(|| {
        let known: Vec<&str> = ProfileName::ALL.iter().map(|profile| profile.as_str()).collect();
        format!("there is no profile `{name}`; known: {}", known.join(", "))
    })
}

/// How a scenario is to be written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name, which is that of its file as well.
    pub name: String,
    /// The profile that the gateway is held to; `None` = the one that fits who wrote the log.
    pub profile: Option<ProfileName>,
    /// A longer log is told faster, so that it takes this long.
    pub within: Duration,
}

/// A file that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path beside the scenario.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A cohort of a scenario made of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCohort {
    /// Its name.
    pub name: String,
    /// The clients of the log that it stands for, by their position; one may be there for several of its parts.
    pub clients: Vec<usize>,
    /// Why they were refused, in the word of a result; `None` = they were not.
    pub why: Option<&'static str>,
    /// How often all of them were refused.
    pub refusals: u64,
}

/// A scenario made of a log.
#[derive(Debug, Clone)]
pub struct Written {
    /// The scenario.
    pub scenario: String,
    /// Lists of arrivals.
    pub lists: Vec<File>,
    /// Profile that it is held to.
    pub profile: ProfileName,
    /// Its cohorts, in order.
    pub cohorts: Vec<WrittenCohort>,
    /// Refusals that the scenario brings about, by the word that a result has for each.
    pub refusals: BTreeMap<&'static str, u64>,
    /// What the log does not say, or cannot be done: the comments at the scenario's start.
    pub notes: Vec<String>,
}

/// Writes the scenario of a log. `None` if the log shows nobody who connected.
#[must_use]
pub fn write(rebuilt: &Rebuilt, options: &Options) -> Option<Written> {
    let grouped = group(rebuilt);
    let from =
        grouped.cohorts.iter().flat_map(|cohort| &cohort.members).map(|member| member.part.first).min()?;
    let until = grouped
        .cohorts
        .iter()
        .flat_map(|cohort| &cohort.members)
        .map(|member| member.part.last.max(member.part.approved.unwrap_or(i64::MIN)))
        .max()?;
    let real = Clock { from, faster: 1.0 }.span(until - from);
    let faster = (real / options.within.as_secs_f64().max(1.0)).max(1.0);
    // A round factor is easier to read, and never slower than asked.
    let faster = if faster > 1.0 { faster.ceil() } else { 1.0 };
    let clock = Clock { from, faster };
    let profile = options.profile.unwrap_or_else(|| profile_of(rebuilt));
    let takes = real / faster;
    let notes = notes(rebuilt, &grouped, faster);

    let mut text = String::new();
    let mut lists = Vec::new();
    head(&mut text, rebuilt, options, &notes, (takes, faster), profile);
    gateway(&mut text, &grouped);
    for cohort in &grouped.cohorts {
        write_cohort(&mut text, cohort, &grouped, profile, clock, &mut lists);
    }
    restarts(&mut text, rebuilt, (from, until), clock);
    let expected = expected(&grouped);
    text.push_str("\n[threshold]\n");
    if grouped.exact {
        let _ = writeln!(
            text,
            "\"attempts.refused\" = \"== {}\"             # as many as in the log",
            expected.values().sum::<u64>()
        );
    }
    text.push_str("\"mismatches\"       = \"== 0\"\n");
    text.push_str(
        "\n[validity]                               # this file is about who is refused and why, not about how fast\n\
         lag_p99_max = \"10s\"\nscheduler_delay_share_max = 1.0\n",
    );
    let cohorts = grouped
        .cohorts
        .iter()
        .map(|cohort| WrittenCohort {
            name: cohort.name.clone(),
            clients: cohort.members.iter().map(|member| member.client).collect(),
            why: cohort.like.why.map(Why::word),
            refusals: cohort.refusals(),
        })
        .collect();
    Some(Written { scenario: text, lists, profile, cohorts, refusals: expected, notes })
}

/// Restarts as faults, one after the other.
fn restarts(text: &mut String, rebuilt: &Rebuilt, (from, until): (i64, i64), clock: Clock) {
    let mut known: Vec<_> =
        rebuilt.restarts.iter().filter(|restart| (from..until).contains(&restart.at)).collect();
    known.sort_by_key(|restart| restart.at);
    let mut free_from = 0.0;
    let mut number = 0;
    for restart in known {
        // The log has nobody who came between; a tenth of the time leaves the gateway here the rest to stop and to start.
        let down = (clock.span(restart.down) / clock.faster / 10.0).clamp(0.05, 60.0);
        let at = clock.moment(restart.at);
        if at < free_from {
            let _ = writeln!(text, "\n# A restart at {} falls into the one before; left out.", bare(at));
            continue;
        }
        free_from = at + down + 1.0;
        number += 1;
        let signal = if restart.crash { "SIGKILL" } else { "SIGTERM" };
        let said = if restart.crash { "# nothing in the log says that it was told to stop\n" } else { "" };
        let _ = write!(
            text,
            "\n[fault.restart-{number}]\n{said}at      = {}\nrestart = \"{signal}\"\ndown    = {}\n",
            seconds(at),
            seconds(down)
        );
    }
}

/// The profile that stands for whoever wrote the log.
fn profile_of(rebuilt: &Rebuilt) -> ProfileName {
    let named = rebuilt
        .release
        .as_deref()
        .and_then(|release| ProfileName::ALL.into_iter().find(|profile| profile.as_str() == release));
    named.unwrap_or(match rebuilt.generation {
        Generation::Old => ProfileName::V2026_2_19,
        Generation::New => ProfileName::V2026_9_6,
        Generation::InRepo => ProfileName::Article,
    })
}

/// Refusals that the in-repo gateway is to answer with, by their word.
fn expected(grouped: &Grouped) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for cohort in &grouped.cohorts {
        if let Some(why) = cohort.like.why.filter(|why| is_answered(*why)) {
            let word = if why == Why::Unsaid { Why::NotPaired.word() } else { why.word() };
            *counts.entry(word).or_default() += cohort.refusals();
        }
    }
    counts
}

/// Whether the gateway answers with an error before it closes.
const fn is_answered(why: Why) -> bool {
    !matches!(why, Why::Timeout | Why::InvalidHandshake)
}

fn head(
    text: &mut String,
    rebuilt: &Rebuilt,
    options: &Options,
    notes: &[String],
    (takes, faster): (f64, f64),
    profile: ProfileName,
) {
    let who = match rebuilt.generation {
        Generation::Old => "OpenClaw of the old generation (2026.2)",
        Generation::New => "OpenClaw of the new generation (2026.9)",
        Generation::InRepo => "the in-repo gateway",
    };
    text.push_str("# How to read it: clients of a real log, grouped by what they did. Counts and times are the log's; addresses, names and\n");
    text.push_str("# origins are not: the run makes its own. `pairstorm import` wrote this file.\n");
    for note in notes {
        for (line, part) in wrapped(note, 118).into_iter().enumerate() {
            let _ = writeln!(text, "{} {part}", if line == 0 { "#  -" } else { "#   " });
        }
    }
    let refusals: u64 = rebuilt.refusals().values().sum();
    let _ = write!(
        text,
        "\nname  = {}\nabout = \"\"\"\nWhat a log of {who} shows: {}, {}, {}.\nTakes about {:.0} s.\"\"\"\n",
        quoted(&options.name),
        counted(rebuilt.clients.len() as u64, "client"),
        counted(refusals, "refusal"),
        counted(rebuilt.restarts.len() as u64, "restart"),
        takes.ceil() + 2.0,
    );
    let _ = writeln!(text, "max_time = {}", seconds(takes.ceil() * 2.0 + 120.0));
    if faster > 1.0 {
        let _ = writeln!(
            text,
            "time_scale = {:.6}                    # the log is told {faster:.0} times faster",
            1.0 / faster
        );
    }
    let _ = write!(text, "\n[gateway]\nprofile = \"{}\"\n", profile.as_str());
}
