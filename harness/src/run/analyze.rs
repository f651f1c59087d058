//! Judges the history of a run that is over: the same plan, the same history, the same verdicts.
//!
//! Nothing is taken from `result.json` but to be compared: what the run found is found again, from what it kept. Of a run
//! that was killed there is a history up to where it was cut off, and what was made of it is unknown or invalid, never
//! a verdict on what is missing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::finish::broken;
use super::judge::{Doubts, Judged, SecretKnown, judge};
use super::origin::{Origin, VERSION};
use crate::history::{Log, OpenError};
use crate::plan::Plan;
use crate::plan::identity::Identities;
use crate::record::exit_code::ExitCode;
use crate::record::log_times::LogTimes;
use crate::record::{Redactor, RunFacts, RunResult, Violations};
use crate::report;
use crate::report::files::{self, FilesError, RunFiles};
use crate::scenario::{self, Diagnostic};

/// Largest `run.json` that is read, bytes: a scenario and the lists of arrivals that it names.
const ORIGIN_BYTES_MAX: u64 = 256 << 20;

/// What judging a kept history came to.
#[derive(Debug)]
pub struct Analysis {
    /// As `result.json` of the run.
    pub result: RunResult,
    /// The summary for people.
    pub summary: String,
    /// As the run's.
    pub exit: ExitCode,
    /// How it compares with what the run itself said.
    pub compared: Compared,
    /// Remarks for people that belong to no figure.
    pub remarks: Vec<String>,
}

/// How two judgements of one history compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The run left no `result.json`.
    Nothing,
    /// Everything that follows from the history is the same.
    Same,
    /// These keys of `result.json` are not.
    Differs(Vec<String>),
}

/// A folder cannot be analyzed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// There is no such folder, or it is none.
    #[error("{} is no folder; name the one that `pairstorm run` printed behind `files:`", .0.display())]
    NoFolder(PathBuf),
    /// There is no history in it.
    #[error(
        "{} is no run: it has no {}; name the folder that `pairstorm run` printed behind `files:`", .0.display(), files::HISTORY
    )]
    NoRun(PathBuf),
    /// The history cannot be opened.
    #[error("{0}")]
    History(#[from] OpenError),
    /// Nothing says what the run was made from.
    #[error(
        "{} has no {}, which says what scenario was run and how: runs of pairstorm 0.1.0 before 2026-11-26 kept none; run it again",
        .0.display(),
        files::ORIGIN
    )]
    NoOrigin(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    Origin {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is of another version.
    #[error("{} is of version {version}; this pairstorm reads version {VERSION}: use pairstorm {pairstorm}", .path.display())]
    OriginVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
        /// The pairstorm that wrote it.
        pairstorm: String,
    },
    /// This pairstorm reads the scenario otherwise.
    #[error("the scenario of this run, which pairstorm {pairstorm} wrote, has errors here:\n{rendered}")]
    Scenario {
        /// The pairstorm that wrote it.
        pairstorm: String,
        /// The errors.
        rendered: String,
    },
    /// History and scenario do not belong together.
    #[error("{} and {} in {} are not of the same run: {why}", files::HISTORY, files::ORIGIN, .folder.display())]
    NotTheSame {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        why: String,
    },
    /// The files could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Judges the history in the folder of a run again. With `out`, everything is written there as a run would.
///
/// # Errors
/// [`AnalyzeError`]
pub fn analyze(folder: &Path, out: Option<&Path>) -> Result<Analysis, AnalyzeError> {
    if let Some(out) = out {
        files::check_folder(out)?;
    }
    if !folder.is_dir() {
        return Err(AnalyzeError::NoFolder(folder.to_owned()));
    }
    let history = folder.join(files::HISTORY);
    if !history.is_file() {
        return Err(AnalyzeError::NoRun(folder.to_owned()));
    }
    let log = Log::open(&history)?;
    let origin = origin(folder)?;
    let (plan, sha256) = origin.unfold().map_err(|diagnostics| unread(&origin, &diagnostics))?;
    belongs(folder, &plan, &sha256, &log)?;
    // Only fixtures of a gateway that the run started ask who the clients were, and those are reproducible.
    let identities = Identities::reproducible(plan.seed);
    let mut remarks = Vec::new();
    let mut facts = facts(&origin, &plan, &sha256, &log, &mut remarks);
    let gateway_log = fs::read(folder.join(files::GATEWAY_LOG)).ok();
    facts.gateway_log =
        gateway_log.as_deref().map(|log| LogTimes::read(&String::from_utf8_lossy(log), facts.started_at));
    facts.redactor = Redactor::new(known_secrets(&plan, &identities));
    let doubts = Doubts { undeclared: origin.undeclared.map(SecretKnown), incomplete: facts.is_incomplete() };
    let Judged { tally, unread, .. } = judge(&plan, &identities, &log, doubts);
    if let Some(error) = unread {
        remarks.push(format!("the history cannot be read: {error}"));
        facts.broken.get_or_insert_with(|| format!("it cannot be read: {error}"));
    }
    let result = tally.finish(&facts);
    let summary = report::text::summary_in(&result, false, Some(out.unwrap_or(folder)));
    if let Some(out) = out {
        let secrets: Vec<String> = known_secrets(&plan, &identities).collect();
        files::write(
            out,
            &RunFiles {
                samples: tally.samples(),
                result: &result,
                facts: &facts,
                summary: &summary,
                violations: &Violations::new(tally.listing(), &|_, _| None, &secrets),
                gateway_log: None,
            },
        )?;
    }
    let exit = ExitCode::of_run(result.verdict, result.interrupted);
    let compared = compared(folder, &result);
    Ok(Analysis { result, summary, exit, compared, remarks })
}

/// What the run in `folder` was made from.
///
/// # Errors
/// When there is no `run.json`, or none that this version reads.
pub fn origin(folder: &Path) -> Result<Origin, AnalyzeError> {
    use io::Read as _;
    let path = folder.join(files::ORIGIN);
    let unreadable = |why: String| AnalyzeError::Origin { path: path.clone(), why };
    let file = match fs::File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(AnalyzeError::NoOrigin(folder.to_owned()));
        }
        opened => opened.map_err(|error| unreadable(error.to_string()))?,
    };
    let mut text = String::new();
    file.take(ORIGIN_BYTES_MAX).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    let version = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if version != u64::from(VERSION) {
        let pairstorm = value.get("pairstorm").and_then(Value::as_str).unwrap_or("of its time").to_owned();
        return Err(AnalyzeError::OriginVersion { path, version, pairstorm });
    }
    serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))
}

fn unread(origin: &Origin, diagnostics: &[Diagnostic]) -> AnalyzeError {
    AnalyzeError::Scenario {
        pairstorm: origin.pairstorm.clone(),
        rendered: scenario::render(diagnostics, false).trim_end().to_owned(),
    }
}

/// Whether the history is that of this plan.
fn belongs(folder: &Path, plan: &Plan, sha256: &str, log: &Log) -> Result<(), AnalyzeError> {
    let header = log.header();
    let why = if header.scenario_sha256 != sha256 {
        format!("the history is of a scenario with SHA-256 {}, not {sha256}", header.scenario_sha256)
    } else if header.seed != plan.seed {
        format!("the history is of seed {}, not {}", header.seed, plan.seed)
    } else if header.clients as usize != plan.clients.len() {
        format!("the history is of {} clients, not {}", header.clients, plan.clients.len())
    } else {
        return Ok(());
    };
    Err(AnalyzeError::NotTheSame { folder: folder.to_owned(), why })
}

/// What the run said of itself, as far as its history still bears that out.
fn facts(origin: &Origin, plan: &Plan, sha256: &str, log: &Log, remarks: &mut Vec<String>) -> RunFacts {
    let kept = origin.facts.clone();
    let died = kept.is_none();
    let mut facts = kept.unwrap_or_else(|| RunFacts {
        started_at: i64::try_from(log.header().started_at / 1_000_000)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or_default(),
        scenario_file: origin.scenario_file.clone(),
        scenario_sha256: sha256.to_owned(),
        pairstorm_version: origin.pairstorm.clone(),
        target: "a gateway that the run did not live to name".to_owned(),
        profile: plan.gateway.profile.to_string(),
        run_duration_ns: log.ended(),
        ..RunFacts::default()
    });
    if let Some(why) = broken(log) {
        remarks.push(format!(
            "the history is not whole: {why}; what is missing may explain what is wrong, and make wrong what is explained"
        ));
        facts.broken = Some(why);
    } else if died {
        facts.broken = Some("the run ended before it could say what only it knew".to_owned());
    }
    if died {
        remarks.push(
            "the run did not come to its end: figures of the generator itself are missing, and it is invalid"
                .to_owned(),
        );
    }
    facts
}

/// Secrets that follow from the seed; those that the gateway drew have no place in a history.
fn known_secrets(plan: &Plan, identities: &Identities) -> impl Iterator<Item = String> {
    let stored = plan.arriving().filter_map(|(_, client)| {
        let cohort = plan.cohorts.get(usize::from(client.cohort))?;
        let roles = &cohort.stored.as_ref()?.roles;
        Some(roles.iter().map(|role| identities.stored_token(&cohort.name, client.index, role)))
    });
    std::iter::once(identities.shared_secret()).chain(stored.flatten())
}

/// Keys that follow from the plan and the history alone.
const FROM_HISTORY: [&str; 13] = [
    "verdict",
    "exit_code",
    "seed",
    "profile",
    "attempts",
    "mismatches",
    "indeterminate",
    "expected_observed",
    "mismatch_groups",
    "invariants",
    "devices",
    "refusals",
    "cohorts",
];

fn compared(folder: &Path, result: &RunResult) -> Compared {
    let kept = files::read_result::<Value>(folder);
    let (Ok(kept), Ok(now)) = (kept, serde_json::to_value(result)) else { return Compared::Nothing };
    let differ = FROM_HISTORY.into_iter().filter(|key| kept.get(key) != now.get(key));
    let differ: Vec<String> = differ.map(str::to_owned).collect();
    if differ.is_empty() { Compared::Same } else { Compared::Differs(differ) }
}
