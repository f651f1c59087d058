//! Tells drawn stories to the in-repo gateway and, if asked, to a real one, and cuts down what is not as it should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gateway::Up;
use super::load::{self, LoadEnd};
use super::{Observer, RunError, RunOptions, RunTarget};
use crate::differential::tale::IN_REPO;
use crate::differential::{self, Book, Difference, Tale, differences, faults, render, simpler};
use crate::history::History;
use crate::observation::Outcome;
use crate::oracle::{Judgement, Oracle};
use crate::plan::{Overrides, Plan, narrate, unfold};
use crate::scenario;
use crate::shrink::Ddmin;
use protocol::ProfileName;

/// Candidates that are told to one gateway while a tale is cut down.
const CANDIDATES: usize = 40;
/// Restarts among them.
const CANDIDATE_RESTARTS: usize = 2;
/// Rounds of cutting down at most: each starts the gateways once.
const ROUNDS: usize = 25;

/// What to draw and whom to tell it.
pub struct DifferentialOptions {
    /// Whom the in-repo gateway stands in for, and what the oracle holds both to.
    pub profile: ProfileName,
    /// Seed of the tales.
    pub seed: u64,
    /// Steps in all, or a few more.
    pub steps: usize,
    /// Deliberate fault of the in-repo gateway, by name.
    pub defect: Option<String>,
    /// Differences that are cut down at most; the others are most likely the same.
    pub cut_down: usize,
    /// The in-repo gateway.
    pub ours: RunTarget,
    /// A real gateway.
    pub real: Option<RunTarget>,
    /// Where scenarios that show a difference are written, and the logs of gateways that failed.
    pub out: PathBuf,
    /// Version of pairstorm.
    pub version: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Tales told.
    pub tales: usize,
    /// Steps told.
    pub steps: usize,
    /// Connects among them.
    pub connects: usize,
    /// … that gave a session at the in-repo gateway.
    pub sessions: usize,
    /// Connects that the oracle could not judge, at either gateway.
    pub not_judged: usize,
    /// Whether a real gateway took part.
    pub real: bool,
    /// Everything that is not as it should be, one text each.
    pub found: Vec<String>,
    /// Differences that were cut down.
    pub cut_down: Vec<CutDown>,
}

/// A difference that was cut down.
#[derive(Debug)]
pub struct CutDown {
    /// What is not as it should be.
    pub what: String,
    /// The steps that show it, in words.
    pub steps: Vec<String>,
    /// Scenario file that reproduces it.
    pub file: PathBuf,
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DifferentialError {
    /// A run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A gateway failed while it was told a story.
    #[error("{which}: {why}")]
    Failed {
        /// Which gateway.
        which: &'static str,
        /// What happened.
        why: String,
    },
    /// A drawn book is no scenario: a defect of the generator.
    #[error("a drawn story is no scenario, which is a defect of pairstorm:\n{0}")]
    NoScenario(String),
    /// The history of a telling could not be kept for as long as it was needed.
    #[error("no place for a history: {0}")]
    Folder(std::io::Error),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// A story as it was told to one gateway.
struct Told {
    history: History,
    judgement: Judgement,
}

/// Which gateways a story is told to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Ours,
    Real,
    Both,
}

/// Draws, tells, compares and cuts down.
///
/// # Errors
/// [`DifferentialError`] when a gateway fails or a file cannot be written.
pub async fn run(
    options: &DifferentialOptions,
    observer: &mut dyn Observer,
) -> Result<Comparison, DifferentialError> {
    let books = differential::draw(options.seed, options.profile, options.steps);
    let mut comparison = Comparison { real: options.real.is_some(), ..Comparison::default() };
    let everybody = if options.real.is_some() { Audience::Both } else { Audience::Ours };
    let mut suspects: Vec<(Tale, Vec<Tale>, Difference, Audience)> = Vec::new();
    for (number, book) in (1..).zip(&books) {
        observer.stage(&format!("book {number} of {}", books.len()));
        write(&options.out.join(format!("book-{number}.toml")), &text(book))?;
        let (plan, found) = examine(options, book, everybody, &mut comparison, observer).await?;
        comparison.tales += book.tales.len();
        comparison.steps += plan.steps.len();
        for (difference, audience) in found {
            let tale = usize::from(difference.cohort);
            let step = plan.steps.get(difference.step).map(|step| narrate(&plan, step)).unwrap_or_default();
            comparison.found.push(format!(
                "book {number}, step {}, {step}\n    {}",
                difference.step + 1,
                difference.what
            ));
            let known = suspects.iter().any(|(known, ..)| book.tales.get(tale) == Some(known));
            if let (false, Some(suspect)) = (known, book.tales.get(tale)) {
                let before = book.tales.get(..tale).unwrap_or_default().to_vec();
                suspects.push((suspect.clone(), before, difference, audience));
            }
        }
    }
    for (number, (tale, before, _, audience)) in (1..).zip(suspects.into_iter().take(options.cut_down)) {
        observer.stage(&format!("cutting down difference {number}"));
        let Some((tales, what)) = cut_down(options, tale, before, audience, observer).await? else {
            continue;
        };
        let book = Book { tales, ..book_of(options, Vec::new()) };
        let file = options.out.join(format!("difference-{number}.toml"));
        write(&file, &render(&book, &format!("difference-{number}"), &about(options, &what)))?;
        let plan = plan(options, &book)?;
        let steps = plan.steps.iter().map(|step| narrate(&plan, step)).collect();
        comparison.cut_down.push(CutDown { what, steps, file });
    }
    Ok(comparison)
}

fn about(options: &DifferentialOptions, what: &str) -> String {
    format!("Drawn with seed {} for {}: {what}", options.seed, options.profile.as_str())
}

fn book_of(options: &DifferentialOptions, tales: Vec<Tale>) -> Book {
    Book { seed: options.seed, profile: options.profile, launch: IN_REPO.to_owned(), tales }
}

fn text(book: &Book) -> String {
    render(book, "differential", "Drawn by `pairstorm differential`.")
}

fn plan(options: &DifferentialOptions, book: &Book) -> Result<Plan, DifferentialError> {
    let refused = |diagnostics: Vec<scenario::Diagnostic>| {
        DifferentialError::NoScenario(scenario::render(&diagnostics, false))
    };
    let scenario = scenario::parse("drawn.toml", &text(book), &[]).map_err(refused)?;
    let overrides = Overrides { defect: options.defect.clone(), ..Overrides::default() };
    unfold(&scenario, &overrides).map_err(refused)
}

/// Tells a book and gives everything that is not as it should be, each with the gateways that are needed to see it.
async fn examine(
    options: &DifferentialOptions,
    book: &Book,
    audience: Audience,
    comparison: &mut Comparison,
    observer: &mut dyn Observer,
) -> Result<(Plan, Vec<(Difference, Audience)>), DifferentialError> {
    let plan = plan(options, book)?;
    let mut found = Vec::new();
    let ours = match audience {
        Audience::Ours | Audience::Both => {
            let told = tell(options, &plan, &options.ours, "in-repo gateway", observer).await?;
            let connects = told.history.attempts.iter();
            comparison.connects += told.history.attempts.len();
            comparison.sessions += connects.filter(|it| matches!(it.outcome, Outcome::Session(_))).count();
            comparison.not_judged += differential::compare::not_judged(&told.judgement);
            let wrong = faults(&plan, &told.history, &told.judgement, "in-repo gateway");
            found.extend(wrong.into_iter().map(|difference| (difference, Audience::Ours)));
            Some(told)
        }
        Audience::Real => None,
    };
    let real = match (audience, &options.real) {
        (Audience::Real | Audience::Both, Some(target)) => {
            // A defect is one of ours.
            let mut plan = plan.clone();
            plan.gateway.defect = None;
            let told = tell(options, &plan, target, "real gateway", observer).await?;
            comparison.not_judged += differential::compare::not_judged(&told.judgement);
            let wrong = faults(&plan, &told.history, &told.judgement, "real gateway");
            found.extend(wrong.into_iter().map(|difference| (difference, Audience::Real)));
            Some(told)
        }
        _ => None,
    };
    if let (Some(ours), Some(real)) = (&ours, &real) {
        let differ = differences(&plan, &ours.history, &real.history);
        found.extend(differ.into_iter().map(|difference| (difference, Audience::Both)));
    }
    found.sort_by_key(|(difference, _)| difference.step);
    Ok((plan, found))
}

async fn tell(
    options: &DifferentialOptions,
    plan: &Plan,
    target: &RunTarget,
    which: &'static str,
    observer: &mut dyn Observer,
) -> Result<Told, DifferentialError> {
    let plan = Arc::new(plan.clone());
    // Its history is judged at once and not kept.
    let folder = tempfile::tempdir().map_err(DifferentialError::Folder)?;
    let run_options = RunOptions {
        plan: Plan::clone(&plan),
        scenario_file: String::new(),
        scenario_sha256: String::new(),
        target: target.clone(),
        reactors: Some(1),
        fail_fast: false,
        out: folder.path().to_owned(),
        version: options.version.clone(),
        origin: None,
    };
    let mut up = Up::bring(&plan, target, observer).await?;
    let loaded = load::load(&plan, &mut up, &run_options, observer, std::future::pending()).await;
    let mut remarks = Vec::new();
    let log = up.down(&mut remarks).await;
    let loaded = loaded?;
    let LoadEnd { failed, max_time_hit, .. } = &loaded.end;
    let why = match (failed, max_time_hit) {
        (Some(error), _) => Some(error.to_string()),
        (None, true) => Some("the time for one book was up".to_owned()),
        (None, false) => None,
    };
    if let Some(why) = why {
        if let Some(log) = log {
            write(&options.out.join("failed-gateway.log"), &String::from_utf8_lossy(&log))?;
        }
        return Err(DifferentialError::Failed { which, why });
    }
    let history = loaded.log.whole().map_err(DifferentialError::Folder)?;
    let judgement = Oracle::new(&plan, &up.identities).judge(&history);
    Ok(Told { history, judgement })
}

/// Cuts a tale down to the smallest version found that still shows a difference; `None` if it cannot be shown again.
async fn cut_down(
    options: &DifferentialOptions,
    tale: Tale,
    before: Vec<Tale>,
    audience: Audience,
    observer: &mut dyn Observer,
) -> Result<Option<(Vec<Tale>, String)>, DifferentialError> {
    let mut ignored = Comparison::default();
    let alone = shows(options, std::slice::from_ref(&tale), audience, &mut ignored, observer).await?;
    let Some(mut what) = alone.first().map(|(_, what)| what.clone()) else {
        return in_context(options, tale, before, audience, observer).await;
    };
    let mut smallest = tale;
    for _ in 0..ROUNDS {
        let mut candidates: Vec<Tale> = simpler(&smallest)
            .into_iter()
            .filter(|tale| tale.size() < smallest.size())
            .filter(|tale| plan(options, &book_of(options, vec![tale.clone()])).is_ok())
            .collect();
        candidates.dedup();
        let mut better: Option<(Tale, String)> = None;
        while better.is_none() && !candidates.is_empty() {
            let batch = take_batch(&mut candidates);
            let shown = shows(options, &batch, audience, &mut ignored, observer).await?;
            better = shown
                .into_iter()
                .filter_map(|(position, what)| Some((batch.get(position)?.clone(), what)))
                .min_by_key(|(tale, _)| tale.size());
        }
        match better {
            Some((tale, shown)) => (smallest, what) = (tale, shown),
            None => break,
        }
    }
    Ok(Some((vec![smallest], what)))
}

/// As many candidates as one gateway is told, with few restarts among them; a lone one may have any number.
fn take_batch(candidates: &mut Vec<Tale>) -> Vec<Tale> {
    let mut restarts = 0;
    let count = candidates
        .iter()
        .take(CANDIDATES)
        .take_while(|tale| {
            restarts += tale.restarts();
            restarts <= CANDIDATE_RESTARTS
        })
        .count();
    candidates.drain(..count.max(1).min(candidates.len())).collect()
}

/// Which of several tales show a difference, told to one gateway: their positions, and what.
async fn shows(
    options: &DifferentialOptions,
    tales: &[Tale],
    audience: Audience,
    comparison: &mut Comparison,
    observer: &mut dyn Observer,
) -> Result<Vec<(usize, String)>, DifferentialError> {
    let numbered = (0..).zip(tales).map(|(number, tale)| Tale { number, ..tale.clone() }).collect();
    let (_, found) = examine(options, &book_of(options, numbered), audience, comparison, observer).await?;
    let mut shown: Vec<(usize, String)> = Vec::new();
    for (difference, _) in found {
        let position = usize::from(difference.cohort);
        if !shown.iter().any(|(known, _)| *known == position) {
            shown.push((position, difference.what));
        }
    }
    Ok(shown)
}

/// A tale that shows nothing alone: leaves out as many of those before it as possible.
async fn in_context(
    options: &DifferentialOptions,
    tale: Tale,
    before: Vec<Tale>,
    audience: Audience,
    observer: &mut dyn Observer,
) -> Result<Option<(Vec<Tale>, String)>, DifferentialError> {
    let mut ignored = Comparison::default();
    let mut smallest: Option<(Vec<Tale>, String)> = None;
    let mut search = Ddmin::new(before);
    for _ in 0..ROUNDS {
        let Some(mut tales) = search.candidate() else { break };
        let last = tales.len();
        tales.push(tale.clone());
        let shown = shows(options, &tales, audience, &mut ignored, observer).await?;
        let what = shown.into_iter().find(|(position, _)| *position == last).map(|(_, what)| what);
        search.answer(what.is_some());
        if let Some(what) = what {
            smallest = Some((tales, what));
        }
    }
    Ok(smallest)
}

fn write(path: &Path, content: &str) -> Result<(), DifferentialError> {
    let refused = |source| DifferentialError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    std::fs::write(path, content).map_err(refused)
}
