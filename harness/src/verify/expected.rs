//! `NAME.expected.toml`: the size at which a scenario is verified, and what each of its runs must show.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::count::Count;
use super::seen::{Seen, SeenCohort};
use crate::oracle::MismatchKind;
use crate::record::exit_code::RunVerdict;

/// An expected result.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// At which size the scenario is run.
    pub size: Size,
    /// What is held against what.
    pub held: Held,
}

/// What `--clients`, `--seed` and `--set` would say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Size {
    /// Clients in all.
    pub clients: Option<u64>,
    /// Seed of every random choice.
    pub seed: Option<u64>,
    /// Values of variables.
    pub set: BTreeMap<String, serde_json::Value>,
}

/// What is held against what.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// Nothing is run, and why.
    Skipped(String),
    /// A scenario without `[sweep]`.
    Run(ExpectedRun),
    /// One with: every combination by its label, `profile=2026.9.6`.
    Sweep(BTreeMap<String, ExpectedRun>),
}

/// What one run must show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRun {
    /// The run's verdict.
    pub verdict: RunVerdict,
    /// Mismatches by kind; those that are not named may not occur.
    #[serde(default)]
    pub mismatches: BTreeMap<String, Count>,
    /// Classes that may occur in every cohort, or never.
    #[serde(default)]
    pub may: Vec<String>,
    /// What the attempts of each cohort came to.
    #[serde(default)]
    pub cohort: BTreeMap<String, ExpectedCohort>,
}

/// What an attempt may come to while the gateway stops, is gone or starts: whom it meets is a matter of milliseconds.
pub const WHILE_IT_RESTARTS: [&str; 6] =
    ["close-1012", "closed", "connection_refused", "restarting", "starting", "upgrade_refused"];

/// What the attempts of a cohort came to, by [class](crate::oracle::class_of). Nothing else may occur.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCohort {
    /// So often.
    #[serde(default)]
    pub must: BTreeMap<String, Count>,
    /// Any number of times, or never.
    #[serde(default)]
    pub may: Vec<String>,
    /// Its clients that held a session at least once; absent: nothing is asked.
    pub clients_in: Option<Count>,
}

/// The file as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    skip: Option<String>,
    clients: Option<u64>,
    seed: Option<u64>,
    #[serde(default)]
    set: BTreeMap<String, serde_json::Value>,
    verdict: Option<RunVerdict>,
    mismatches: Option<BTreeMap<String, Count>>,
    may: Option<Vec<String>>,
    cohort: Option<BTreeMap<String, ExpectedCohort>>,
    run: Option<BTreeMap<String, ExpectedRun>>,
}

impl Expected {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong, with line and column if it has one, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let typed: Typed = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let size = Size { clients: typed.clients, seed: typed.seed, set: typed.set };
        let of_one = typed.verdict.is_some()
            || typed.mismatches.is_some()
            || typed.may.is_some()
            || typed.cohort.is_some();
        let held = match (typed.skip, typed.run, of_one) {
            (Some(why), None, false) if !why.trim().is_empty() => Held::Skipped(why),
            (Some(_), None, false) => return Err("`skip` must say why the scenario is not run".to_owned()),
            (Some(_), _, _) => {
                return Err("a scenario that is skipped shows nothing: take `skip` away, or the rest".to_owned());
            }
            (None, Some(runs), false) => Held::Sweep(runs),
            (None, Some(_), true) => {
                return Err("`verdict`, `mismatches`, `may` and `cohort` stand in each `[run.\"LABEL\"]` of a sweep, or at the top \
                            of a scenario without one; not both"
                    .to_owned());
            }
            (None, None, _) => Held::Run(ExpectedRun {
                verdict: typed.verdict.ok_or(
                    "`verdict` is missing: what the run must come to, for example verdict = \"pass\"; or `skip`, and why",
                )?,
                mismatches: typed.mismatches.unwrap_or_default(),
                may: typed.may.unwrap_or_default(),
                cohort: typed.cohort.unwrap_or_default(),
            }),
        };
        let expected = Self { size, held };
        for run in expected.runs() {
            run.check()?;
        }
        Ok(expected)
    }

    /// Every run that something is expected of.
    pub fn runs(&self) -> impl Iterator<Item = &ExpectedRun> {
        let (one, many) = match &self.held {
            Held::Skipped(_) => (None, None),
            Held::Run(run) => (Some(run), None),
            Held::Sweep(runs) => (None, Some(runs.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The file's text below `head`, which is kept as it is: lines of comment, each with its newline.
    #[must_use]
    pub fn text(&self, head: &str) -> String {
        let mut text = head.to_owned();
        let mut top = String::new();
        if let Some(clients) = self.size.clients {
            let _ = writeln!(top, "clients = {clients}");
        }
        if let Some(seed) = self.size.seed {
            let _ = writeln!(top, "seed = {seed}");
        }
        for (name, value) in &self.size.set {
            let _ = writeln!(top, "set.{} = {value}", key(name));
        }
        match &self.held {
            Held::Skipped(why) => {
                let _ = writeln!(top, "skip = {}", quoted(why));
            }
            Held::Run(run) => top.push_str(&run.text("")),
            Held::Sweep(runs) => {
                for (label, run) in runs {
                    let table = format!("run.{}", quoted(label));
                    let _ = write!(top, "\n[{table}]\n{}", run.text(&format!("{table}.")));
                }
            }
        }
        text.push_str(top.trim_start_matches('\n'));
        text
    }
}

impl ExpectedRun {
    /// What is expected of a run that showed this. `exact`: nothing in it is left to chance, so that every number is. `restarts`: the
    /// gateway did, so that what clients met meanwhile is left to chance.
    #[must_use]
    pub fn of(seen: &Seen, exact: bool, restarts: bool) -> Self {
        let by_chance = |class: &str| restarts && WHILE_IT_RESTARTS.contains(&class);
        let count = |times: &u64| if exact { Count::exactly(*times) } else { Count::SOME };
        let cohort = |cohort: &SeenCohort| ExpectedCohort {
            must: cohort
                .classes
                .iter()
                .filter(|(class, _)| !by_chance(class))
                .map(|(class, times)| (class.clone(), count(times)))
                .collect(),
            may: Vec::new(),
            // All and none are no chance; some may be.
            clients_in: Some(match cohort.clients_in {
                some if some == 0 || some == cohort.clients => Count::exactly(some),
                some => count(&some),
            }),
        };
        Self {
            verdict: seen.verdict,
            mismatches: seen.mismatches.iter().map(|(kind, times)| (kind.clone(), count(times))).collect(),
            may: if restarts { WHILE_IT_RESTARTS.map(str::to_owned).to_vec() } else { Vec::new() },
            cohort: seen.cohorts.iter().map(|(name, seen)| (name.clone(), cohort(seen))).collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        for kind in self.mismatches.keys() {
            if !MismatchKind::ALL.iter().any(|known| known.as_str() == kind) {
                let known: Vec<&str> = MismatchKind::ALL.iter().map(|known| known.as_str()).collect();
                return Err(format!("there is no kind of mismatch `{kind}`; known: {}", known.join(", ")));
            }
        }
        for (name, cohort) in &self.cohort {
            if let Some(class) = cohort.may.iter().find(|class| cohort.must.contains_key(*class)) {
                return Err(format!("in cohort `{name}`, `{class}` must and may occur; say one of them"));
            }
        }
        Ok(())
    }

    /// The keys of a run; `before` is the table that they stand in, with a dot.
    fn text(&self, before: &str) -> String {
        let mut text = format!("verdict = {}\n", quoted(self.verdict.as_str()));
        if !self.mismatches.is_empty() {
            let _ = writeln!(text, "mismatches = {}", counts(&self.mismatches));
        }
        if !self.may.is_empty() {
            let _ = writeln!(text, "may = {}", list(&self.may));
        }
        if !self.cohort.is_empty() {
            let _ = writeln!(text, "\n[{before}cohort]");
        }
        for (name, cohort) in &self.cohort {
            let mut keys = format!("must = {}", counts(&cohort.must));
            if !cohort.may.is_empty() {
                let _ = write!(keys, ", may = {}", list(&cohort.may));
            }
            if let Some(count) = cohort.clients_in {
                let _ = write!(keys, ", clients_in = {}", written(count));
            }
            let _ = writeln!(text, "{} = {{ {keys} }}", key(name));
        }
        text
    }
}

fn counts(counts: &BTreeMap<String, Count>) -> String {
    if counts.is_empty() {
        return "{}".to_owned();
    }
    let pairs = counts.iter().map(|(name, count)| format!("{} = {}", key(name), written(*count)));
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

fn list(classes: &[String]) -> String {
    let classes: Vec<String> = classes.iter().map(|class| quoted(class)).collect();
    format!("[{}]", classes.join(", "))
}

fn written(count: Count) -> String {
    if count.max == Some(count.min) { count.to_string() } else { quoted(&count.to_string()) }
}

/// A key as TOML wants it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text as TOML wants it; JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The lines of comment and the empty lines that a file begins with, each with its newline.
#[must_use]
pub fn head(text: &str) -> String {
    text.lines()
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}
