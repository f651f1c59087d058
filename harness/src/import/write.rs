//! What was rebuilt, as a scenario and the lists of arrivals beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use protocol::ProfileName;

use super::cohorts::{Cohort, Grouped, Page, Route, group};
use super::rebuild::{Generation, Rebuilt};
use super::why::Why;

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

/// Longest pause or wait that a scenario may have, seconds.
const LONGEST_S: f64 = 86_000.0;
/// How much of a pause there is between an approval and the next attempt.
const LATE: f64 = 0.35;
/// Attempts beyond those that the log has, for a client whose approval comes late.
const SPARE_ATTEMPTS: u32 = 5;

/// Times of the log as times of the scenario.
#[derive(Debug, Clone, Copy)]
struct Clock {
    from: i64,
    /// How many times faster the scenario is.
    faster: f64,
}

impl Clock {
    /// A moment, in seconds of the run.
    fn moment(self, at: i64) -> f64 {
        self.span(at - self.from) / self.faster
    }

    /// A length, in seconds as the log has it: `time_scale` makes it shorter.
    #[expect(clippy::unused_self, reason = "the counterpart of `moment`")]
    fn span(self, ms: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a log")]
        let seconds = ms.max(0) as f64 / 1000.0;
        seconds.min(LONGEST_S)
    }
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
        // The log has nobody who came between; half of the time leaves the gateway here the other half to start.
        let down = (clock.span(restart.down) / clock.faster / 2.0).clamp(0.05, 60.0);
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

fn notes(rebuilt: &Rebuilt, grouped: &Grouped, faster: f64) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: String| {
        if applies {
            notes.push(text);
        }
    };
    let any = |test: &dyn Fn(&Cohort) -> bool| grouped.cohorts.iter().any(test);
    let aside = grouped.aside;
    note(
        true,
        "A gateway's log does not name clients that were known and let in (but for browsers), so those may be missing.".to_owned(),
    );
    note(
        any(&|cohort| cohort.like.approved),
        "Whoever is not refused after an approval is taken to have come in.".to_owned(),
    );
    note(
        faster > 1.0,
        format!(
            "The log is told {faster:.0} times faster: `time_scale` shortens pauses, thinking and the life of requests alike."
        ),
    );
    note(rebuilt.coarse, "Its times have no date and whole seconds.".to_owned());
    note(any(&|cohort| cohort.like.why == Some(Why::Unsaid)), "The short console form of 2026.2 does not say why it refused with 1008; where no `unauthorized` or `security audit` line stands beside, `not-paired` is meant here. The log file says it.".to_owned());
    note(
        any(&|cohort| !cohort.like.named),
        "Where a line does not name the client, a persona stands in that fits its role and headers."
            .to_owned(),
    );
    note(
        any(&|cohort| cohort.guessed),
        "The log does not tie an approval to an address: it is given to the client whose refusals end there."
            .to_owned(),
    );
    note(
        rebuilt.unlinked > 0,
        format!("{} approvals are of devices that were not refused in this log; left out.", rebuilt.unlinked),
    );
    note(
        aside.left > 0,
        format!(
            "{} connections ended before they asked (health checks, ports tried, clients that gave up); left out.",
            aside.left
        ),
    );
    note(
        aside.restarting > 0,
        format!(
            "{} connects came while the gateway was starting or stopping; what meets a restart here is chance.",
            aside.restarting
        ),
    );
    note(
        aside.changed > 0,
        format!(
            "{} removals, rejections, rotations and revocations are left out; who was refused after one is a client of its own here.",
            aside.changed
        ),
    );
    note(
        aside.other > 0,
        format!("{} refusals have a cause that no client here can bring about; left out.", aside.other),
    );
    note(
        grouped.cohorts.iter().flat_map(|cohort| &cohort.members).any(|member| member.part.number > 0),
        "A client that was refused for one reason after another is several clients here, each stored as it was by then.".to_owned(),
    );
    note(
        grouped.cohorts.iter().flat_map(|cohort| &cohort.members).any(|member| member.part.after_restart),
        "A client that was refused before and after a restart is two clients here.".to_owned(),
    );
    note(!grouped.exact, "There are more kinds of clients than a scenario is readable with, so that those of a cohort did only roughly the same.".to_owned());
    note(
        rebuilt.beyond > 0,
        format!("{} more connections are beyond what is kept of one log; left out.", rebuilt.beyond),
    );
    note(rebuilt.lines.broken > 0, format!("{} lines of the log are broken.", rebuilt.lines.broken));
    notes
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

fn gateway(text: &mut String, grouped: &Grouped) {
    let routes: Vec<&Route> = grouped.cohorts.iter().map(|cohort| &cohort.like.route).collect();
    let trusted = routes.iter().any(|route| matches!(route, Route::Trusted | Route::Shared(_)));
    if trusted || grouped.password || !grouped.allowed.is_empty() {
        text.push_str("\n[gateway.config.gateway]\n");
    }
    if trusted {
        text.push_str("trustedProxies = [\"127.2.0.1\"]\n");
    }
    if grouped.password {
        text.push_str("auth.mode = \"password\"\n");
    }
    if !grouped.allowed.is_empty() {
        let origins: Vec<String> = grouped.allowed.iter().map(|number| quoted(&origin(*number))).collect();
        let _ = writeln!(text, "controlUi.allowedOrigins = [{}]", origins.join(", "));
    }
    if routes.contains(&&Route::Trusted) {
        text.push_str(
            "\n[path.proxy]\nfrom          = \"127.2.0.1\"\nforwarded_for = \"each client its own\"\n",
        );
    }
    if routes.contains(&&Route::Untrusted) {
        text.push_str("\n[path.untrusted-proxy]                   # the log warns of it\nfrom          = \"127.3.0.1\"\nforwarded_for = \"each client its own\"\n");
    }
    if routes.contains(&&Route::ByName) {
        text.push_str("\n[path.by-name]                           # on loopback, under a name that is not local\nfrom = \"127.3.0.2\"\nhost = \"gateway.example.com\"\n");
    }
    let mut shared: Vec<u32> = routes
        .iter()
        .filter_map(|route| match route {
            Route::Shared(number) => Some(*number),
            _ => None,
        })
        .collect();
    shared.sort_unstable();
    shared.dedup();
    for number in shared {
        let address = crate::vocabulary::addresses::forwarded(number.saturating_sub(1));
        let _ = write!(
            text,
            "\n[path.shared-{number}]                         # an address of several clients, locked out\nfrom          = \"127.2.0.1\"\nforwarded_for = \"{address}\"\n"
        );
    }
}

fn origin(number: u32) -> String {
    format!("https://page-{number}.example")
}

fn write_cohort(
    text: &mut String,
    cohort: &Cohort,
    grouped: &Grouped,
    profile: ProfileName,
    clock: Clock,
    lists: &mut Vec<File>,
) {
    let like = &cohort.like;
    let name = &cohort.name;
    let _ = write!(text, "\n[cohort.{name}]\npersona = \"{}\"\n", like.persona);
    if cohort.members.len() == 1 {
        text.push_str("count   = 1\n");
    }
    let is_browser = matches!(like.persona, "control-ui" | "webchat");
    if let Some(role) = &like.role {
        let _ = writeln!(text, "role    = \"{role}\"");
    }
    if let Some(scopes) = &like.scopes {
        let _ = writeln!(text, "scopes  = {}", list(scopes));
    }
    if let Some(platform) = &like.platform {
        let _ = writeln!(text, "platform = {}", quoted(platform));
    }
    if like.why == Some(Why::MetadataUpgrade) {
        let _ = writeln!(text, "device_family = {}", quoted(like.family.as_deref().unwrap_or("none")));
    }
    if let Some(credential) = credential(cohort, grouped) {
        let _ = writeln!(text, "credential = \"{credential}\"");
    }
    let path = match &like.route {
        Route::Direct => None,
        Route::Trusted => Some("proxy".to_owned()),
        Route::Untrusted => Some("untrusted-proxy".to_owned()),
        Route::ByName => Some("by-name".to_owned()),
        Route::Shared(number) => Some(format!("shared-{number}")),
    };
    if let Some(path) = path {
        let _ = writeln!(text, "path    = \"{path}\"");
    }
    match &like.page {
        Some(Page::Number(number)) => {
            let _ = writeln!(text, "origin  = {}", quoted(&origin(*number)));
        }
        Some(Page::Absent) if is_browser => text.push_str("origin  = \"none\"\n"),
        _ => {}
    }
    text.push_str(&deviation(cohort));
    if let Some(stored) = &like.stored {
        let _ = writeln!(text, "[cohort.{name}.stored]");
        if let Some(roles) = stored.roles.as_ref().filter(|roles| !roles.is_empty()) {
            let _ = writeln!(text, "roles  = {}", list(roles));
        }
        if let Some(scopes) = &stored.scopes {
            let _ = writeln!(text, "scopes = {}", list(scopes));
        }
        match &stored.metadata {
            Some((Some(platform), family)) => {
                let family = family
                    .as_ref()
                    .map_or(String::new(), |family| format!(", device_family = {}", quoted(family)));
                let _ = writeln!(text, "metadata = {{ platform = {}{family} }}", quoted(platform));
            }
            Some((None, _)) => text.push_str("metadata = \"legacy\"\n"),
            None => {}
        }
    }
    arrivals(text, cohort, clock, lists);
    rhythm(text, cohort, clock);
    expectation(text, cohort, profile);
    if like.approved {
        let delays = cohort.members.iter().filter_map(|member| member.part.delay());
        let (shortest, longest) =
            delays.fold((i64::MAX, 0), |(low, high), delay| (low.min(delay), high.max(delay)));
        let think = if longest > shortest {
            format!("\"{}..{}\"", bare(clock.span(shortest)), bare(clock.span(longest)))
        } else {
            seconds(clock.span(longest))
        };
        let _ = write!(
            text,
            "\n[operator.for-{name}]\nserves = [\"{name}\"]\nthink  = {think}                 # from the first refusal to the approval\n"
        );
    }
}

fn credential(cohort: &Cohort, grouped: &Grouped) -> Option<&'static str> {
    match cohort.like.why {
        Some(Why::TokenMismatch | Why::RateLimited) => Some("wrong-token"),
        Some(Why::TokenMissing | Why::PasswordMissing) => Some("missing"),
        Some(Why::PasswordMismatch) => Some("wrong-password"),
        Some(Why::DeviceTokenMismatch) => Some("forged-device-token"),
        _ if cohort.like.by_device_token => Some("device-token"),
        _ if grouped.password => Some("password"),
        _ => None,
    }
}

fn deviation(cohort: &Cohort) -> String {
    let plain = match cohort.like.why {
        Some(Why::InsecureContext | Why::DeviceRequired) => "no-device",
        Some(Why::Signature) => "bad-signature",
        Some(Why::Nonce) => "wrong-nonce",
        Some(Why::DeviceId) => "foreign-device-id",
        Some(Why::Timeout) => "silent",
        Some(Why::InvalidHandshake) => "not-a-request",
        Some(Why::SignatureStale) => return "deviation.clock-skew = \"-15m\"\n".to_owned(),
        Some(Why::Protocol) => return "deviation.protocol = { min = 1, max = 1 }\n".to_owned(),
        Some(Why::Role) => return "role = { unknown = \"admin\" }\n".to_owned(),
        // A command line that was told to pair has shown its device.
        Some(why) if why.is_pairing() && cohort.like.persona == "cli" && cohort.like.stored.is_none() => {
            "none"
        }
        None if cohort.like.persona == "cli" && cohort.like.stored.is_none() => "none",
        _ => return String::new(),
    };
    format!("deviation = \"{plain}\"\n")
}

fn arrivals(text: &mut String, cohort: &Cohort, clock: Clock, lists: &mut Vec<File>) {
    let name = &cohort.name;
    let moments = cohort.members.iter().map(|member| clock.moment(member.part.first));
    if let [only] = cohort.members.as_slice() {
        let _ =
            write!(text, "[cohort.{name}.arrivals.herd]\nat = {}\n", seconds(clock.moment(only.part.first)));
        return;
    }
    let path = format!("arrivals/{name}.txt");
    let mut list = format!("# When the {} clients of `{name}` come.\n", cohort.members.len());
    for moment in moments {
        let _ = writeln!(list, "{moment:.3}");
    }
    let _ = write!(text, "[cohort.{name}.arrivals.replay]\nfile = \"{path}\"\n");
    lists.push(File { path, text: list });
}

/// Sessions, and how often and how fast a client tries.
fn rhythm(text: &mut String, cohort: &Cohort, clock: Clock) {
    let name = &cohort.name;
    let like = &cohort.like;
    let held = cohort.members.iter().filter_map(|member| member.part.held).max();
    if held.is_some() || like.sessions > 1 {
        let _ = writeln!(text, "[cohort.{name}.session]");
        if let Some(held) = held {
            let _ = writeln!(text, "hold       = {}", seconds(clock.span(held).max(0.001)));
        }
        if like.sessions > 1 {
            let _ = writeln!(text, "reconnects = {}", like.sessions - 1);
        }
    }
    let most = cohort.members.iter().map(|member| member.part.refusals).max().unwrap_or(0);
    let count = cohort.members.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "numbers of clients and attempts")]
    let pause = if like.approved {
        // So that the approval falls between the last refusal and the attempt after it. What an answer takes comes on top of
        // each pause, so that a client is later than its pauses, and there is more room on that side.
        let delay = cohort
            .members
            .iter()
            .filter_map(|member| member.part.delay())
            .map(|delay| clock.span(delay))
            .sum::<f64>()
            / count as f64;
        Some(delay / (f64::from(most) - LATE).max(LATE))
    } else {
        let pauses: Vec<f64> = cohort
            .members
            .iter()
            .filter_map(|member| member.part.pause())
            .map(|pause| clock.span(pause))
            .collect();
        (!pauses.is_empty()).then(|| pauses.iter().sum::<f64>() / pauses.len() as f64)
    };
    let attempts = if like.approved { most.saturating_add(SPARE_ATTEMPTS) } else { most.max(1) };
    let _ = write!(text, "[cohort.{name}.reconnect]\nattempts_max = {attempts}\ngive_up = \"never\"\n");
    match pause {
        Some(pause) => {
            let _ = write!(text, "[cohort.{name}.reconnect.fixed]\npause = {}\n", seconds(pause.max(0.001)));
        }
        None => {
            let _ = write!(
                text,
                "[cohort.{name}.reconnect.fixed]\npause = \"1s\"                             # it tried once: the log shows no pause\n"
            );
        }
    }
}

fn expectation(text: &mut String, cohort: &Cohort, profile: ProfileName) {
    let name = &cohort.name;
    let Some(why) = cohort.like.why.filter(|why| is_answered(*why)) else { return };
    let least = cohort.members.iter().map(|member| member.part.refusals).min().unwrap_or(0);
    let Some(last) = least.checked_sub(1) else { return };
    // Whether the last ones come before the approval is a matter of time, which `attempts.refused` counts.
    let last = if cohort.like.approved { last / 2 } else { last };
    let _ = write!(
        text,
        "[cohort.{name}.expect]\n# {} in the log, for {}\noutcome = \"refused\"\n",
        counted(cohort.refusals(), "refusal"),
        why.word()
    );
    let words = !matches!(profile, ProfileName::V2026_2_19 | ProfileName::V2026_2_21);
    if words && why.is_pairing() && why != Why::Unsaid {
        let _ = writeln!(text, "reason  = \"{}\"", why.word());
    }
    let _ =
        if last == 0 { writeln!(text, "attempts = 0") } else { writeln!(text, "attempts = \"0..{last}\"") };
}

/// `1 refusal`, `2 refusals`
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML text: what JSON escapes, and the one control character that it does not.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

/// A duration, quoted.
fn seconds(seconds: f64) -> String {
    format!("\"{}\"", bare(seconds))
}

/// A duration to the millisecond, without zeros at its end.
fn bare(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round().max(0.0);
    if ms % 1000.0 == 0.0 { format!("{}s", ms / 1000.0) } else { format!("{ms}ms") }
}

/// Lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + word.chars().count() + 1 > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
