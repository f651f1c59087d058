//! `pairstorm verify`: runs scenarios at a small size and holds each to the expected result that lies beside it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use gateway_under_test::defect::Defect;
use harness::engine::Progress;
use harness::history::Log;
use harness::plan::{Expectation, FaultKind, LaunchPlan, Overrides, Plan};
use harness::record::diagnosis::ExpectedDiagnosis;
use harness::record::exit_code::{ExitCode, RunVerdict};
use harness::report::files::HISTORY;
use harness::run::{Observer, RunOptions};
use harness::scenario::{self, Arrivals, Batch, Choices, Scenario};
use harness::sweep::estimate;
use harness::verify::beside;
use harness::verify::compare::{differences, proves_a_violation};
use harness::verify::expected::{Expected, ExpectedRun, Held, Size, head};
use harness::verify::result::{Ended, Row, SCHEMA_VERSION, VerifyResult};
use harness::verify::seen::Seen;
use tokio::sync::watch;

use super::event_loop;
use super::run::{default_folder, known_defect, of_own_gateway};
use crate::args::VerifyArguments;
use crate::printer;
use crate::progress::Display;

/// A run that is to be made.
struct Job {
    /// Its row in the result.
    row: usize,
    /// Its scenario among the files.
    file: usize,
    label: String,
    scenario: Box<Scenario>,
    choices: Choices,
    overrides: Overrides,
    plan: Plan,
    /// `None` = nothing yet, to be written from what is seen.
    expected: Option<ExpectedRun>,
    estimate: Duration,
    folder: PathBuf,
}

/// A scenario and what lies beside it.
struct File {
    path: PathBuf,
    /// What its expected result begins with, kept when it is written.
    head: String,
    size: Size,
    is_sweep: bool,
}

/// What a run came to.
struct Made {
    row: usize,
    file: usize,
    label: String,
    made: Row,
    /// What is expected from now on.
    expected: Option<ExpectedRun>,
    /// It had too little of the machine, and what differs may be the fault of that.
    in_doubt: bool,
    /// What its scenario expects of the diagnosis, and what that said.
    diagnosed: Vec<ExpectedDiagnosis>,
}

pub(crate) fn verify(arguments: &VerifyArguments) -> ProcessExitCode {
    let prepared = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    let out = arguments.out.clone().unwrap_or_else(|| default_folder("verify"));
    if let Err(error) = harness::report::files::check_folder(&out) {
        printer::error(&error.to_string());
        return ExitCode::Usage.into();
    }
    let Prepared { files, rows, mut jobs } = prepared;
    below(&out, &mut jobs);
    #[expect(clippy::disallowed_methods, reason = "how long it took in all is said at the end")]
    let began = Instant::now();
    let mut result = nothing_yet(arguments, rows);
    let mut display = Display::new(arguments.quiet || arguments.json);
    let finished = make(jobs, &mut result, arguments, &mut display);
    display.clear();
    let written =
        finished.and_then(|made| if arguments.update { write(&files, made, &mut result) } else { Ok(()) });
    result.took_us = micros(began.elapsed());
    let result = result.sum_up();
    let text = if arguments.json {
        result.json().map_err(|error| format!("the result cannot be written as JSON: {error}"))
    } else {
        let note = if arguments.update && result.rows.iter().any(|row| row.ended == Ended::Written) {
            "what was written is what was seen, right or wrong: read it before you keep it\n"
        } else {
            ""
        };
        Ok(format!("{}{note}files: {}\n", result.ending(), out.display()))
    };
    printer::conclude(written.and(text), result.exit())
}

/// A run whose scenario expects something of the diagnosis, and what that said.
pub(super) struct Diagnosed {
    /// File and, of a sweep, the combination.
    pub(super) name: String,
    /// Each cohort of which something is expected.
    pub(super) expected: Vec<ExpectedDiagnosis>,
}

/// Makes the runs whose scenarios expect something of the diagnosis, at the size of their expected results, and says what it said,
/// in the order of the files. `None` = a signal ended it.
///
/// # Errors
/// What is wrong with a scenario, or why a run has no result.
pub(super) fn diagnosed(arguments: &VerifyArguments, out: &Path) -> Result<Option<Vec<Diagnosed>>, String> {
    let Prepared { rows, mut jobs, .. } = prepare(arguments)?;
    harness::report::files::check_folder(out).map_err(|error| error.to_string())?;
    jobs.retain(|job| {
        let expects = |expect: &Expectation| expect.cause.or(expect.label).is_some();
        job.plan.cohorts.iter().any(|cohort| cohort.expect.as_ref().is_some_and(expects))
    });
    below(out, &mut jobs);
    let mut result = nothing_yet(arguments, rows);
    let mut display = Display::new(arguments.quiet);
    let made = make(jobs, &mut result, arguments, &mut display);
    display.clear();
    let mut made = made?;
    if result.interrupted {
        return Ok(None);
    }
    made.sort_by_key(|made| made.row);
    let each = made.into_iter().map(|made| {
        let of = if made.label.is_empty() { String::new() } else { format!(" [{}]", made.label) };
        let name = format!("{}{of}", made.made.file);
        match made.made.ended {
            Ended::Failed => Err(format!("{name}: {}", made.made.said.join("; "))),
            _ => Ok(Diagnosed { name, expected: made.diagnosed }),
        }
    });
    each.collect::<Result<_, _>>().map(Some)
}

/// Gives each run its folder; the longest comes first, so that what is left at the end is short.
fn below(out: &Path, jobs: &mut [Job]) {
    for job in &mut *jobs {
        job.folder = out.join(&job.folder);
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.estimate));
}

fn nothing_yet(arguments: &VerifyArguments, rows: Vec<Row>) -> VerifyResult {
    VerifyResult {
        schema_version: SCHEMA_VERSION,
        passed: false,
        interrupted: false,
        exit_code: 0,
        defect: arguments.defect.clone(),
        took_us: 0,
        jobs: u64::from(arguments.jobs),
        rows,
    }
}

struct Prepared {
    files: Vec<File>,
    rows: Vec<Row>,
    jobs: Vec<Job>,
}

/// Reads every scenario and what is expected of it, before anything is run.
///
/// # Errors
/// Everything that is wrong with any of them, for people.
fn prepare(arguments: &VerifyArguments) -> Result<Prepared, String> {
    let defect = arguments.defect.as_deref();
    if let Some(name) = defect {
        known_defect(name)?;
    }
    let defect = defect.and_then(Defect::find);
    let mut prepared = Prepared { files: vec![], rows: vec![], jobs: vec![] };
    let mut wrong: Vec<String> = Vec::new();
    for path in super::scenario_files::below(&arguments.paths)? {
        if let Err(why) = add(&path, arguments, defect, &mut prepared) {
            wrong.push(why);
        }
    }
    if wrong.is_empty() { Ok(prepared) } else { Err(wrong.join("\n")) }
}

fn add(
    path: &Path,
    arguments: &VerifyArguments,
    defect: Option<Defect>,
    prepared: &mut Prepared,
) -> Result<(), String> {
    let beside = beside(path);
    let text = match std::fs::read_to_string(&beside) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{} cannot be read: {error}", beside.display())),
    };
    let expected = match text.as_deref().map(Expected::parse) {
        Some(Ok(expected)) => Some(expected),
        Some(Err(error)) => return Err(format!("{}: {error}", beside.display())),
        None if arguments.update => None,
        None => {
            return Err(format!(
                "{}: nothing says what is expected; write {} (`--update` does, from what it sees), or say there why it is not \
                 run: skip = \"…\"",
                path.display(),
                beside.display()
            ));
        }
    };
    let size = expected.as_ref().map(|expected| expected.size.clone()).unwrap_or_default();
    let row = |label: &str, ended: Ended, said: Vec<String>| Row {
        file: path.display().to_string(),
        label: label.to_owned(),
        ended,
        said,
        verdict: None,
        again_alone: false,
        took_us: 0,
        folder: String::new(),
    };
    let choices = Choices {
        sets: size.set.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        ..Choices::default()
    };
    let rendered = |diagnostics: Vec<scenario::Diagnostic>| scenario::render(&diagnostics, false);
    let batch = scenario::load_batch(path, &choices).map_err(rendered)?;
    if let Some(Expected { held: Held::Skipped(why), .. }) = &expected {
        prepared.rows.push(row("", Ended::Skipped, vec![why.clone()]));
        return Ok(());
    }
    let (combinations, is_sweep) = match batch {
        Batch::Single(scenario) => (vec![(String::new(), choices, scenario)], false),
        Batch::Sweep(sweep) => {
            let each = sweep.combinations.into_iter().map(|combination| {
                (combination.label(), combination.chosen(&choices), Box::new(combination.scenario))
            });
            (each.collect(), true)
        }
    };
    let mut wanted: BTreeMap<String, ExpectedRun> = match expected.map(|expected| expected.held) {
        Some(Held::Run(run)) if !is_sweep => BTreeMap::from([(String::new(), run)]),
        Some(Held::Sweep(runs)) if is_sweep => runs,
        None | Some(Held::Skipped(_)) => BTreeMap::new(),
        Some(Held::Run(_)) => {
            return Err(format!(
                "{}: the scenario is a sweep; say what each run shows: [run.\"LABEL\"]",
                beside.display()
            ));
        }
        Some(Held::Sweep(_)) => {
            return Err(format!("{}: the scenario is no sweep; leave [run.…] away", beside.display()));
        }
    };
    let file = prepared.files.len();
    let head = text.as_deref().map(head).unwrap_or_default();
    prepared.files.push(File { path: path.to_owned(), head, size: size.clone(), is_sweep });
    for (label, choices, scenario) in combinations {
        let mut overrides = Overrides { clients: size.clients, seed: size.seed, ..Overrides::default() };
        let mut plan = harness::plan::unfold(&scenario, &overrides).map_err(rendered)?;
        if let Some(defect) = defect.filter(|defect| defect.profiles().contains(&plan.gateway.profile)) {
            overrides.defect = Some(defect.name().to_owned());
            plan = harness::plan::unfold(&scenario, &overrides).map_err(rendered)?;
        }
        if plan.gateway.launch != LaunchPlan::InRepo {
            return Err(format!(
                "{}: it launches another gateway than the in-repo one; say so in {}: skip = \"needs a real gateway\"",
                path.display(),
                beside.display()
            ));
        }
        let expected = wanted.remove(&label);
        if expected.is_none() && !arguments.update {
            return Err(format!("{}: nothing is expected of [run.\"{label}\"]", beside.display()));
        }
        prepared.jobs.push(Job {
            row: prepared.rows.len(),
            file,
            estimate: estimate::run(&plan),
            folder: folder(path, &label, prepared.rows.len()),
            label: label.clone(),
            scenario,
            choices,
            overrides,
            plan,
            expected,
        });
        prepared.rows.push(row(&label, Ended::NotRun, vec![]));
    }
    match wanted.keys().next() {
        Some(label) if !arguments.update => {
            Err(format!("{}: the sweep has no combination `{label}`", beside.display()))
        }
        _ => Ok(()),
    }
}

/// `012-ladder-profile-2026.9.6`
fn folder(path: &Path, label: &str, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = format!("{number:03}-{stem}-{label}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .take(80)
        .collect();
    PathBuf::from(name.trim_matches(['-', '.']))
}

/// Makes the runs, several at a time; then again, one by one, those that differ and had too little of the machine, unless what
/// differs is a violation that this does not explain.
///
/// # Errors
/// A row could not be printed.
fn make(
    jobs: Vec<Job>,
    result: &mut VerifyResult,
    arguments: &VerifyArguments,
    display: &mut Display,
) -> Result<Vec<Made>, String> {
    let total = jobs.len();
    let (stop, stopped) = watch::channel(false);
    let runtime = event_loop::start().map_err(|refusal| refusal.message)?;
    let handlers = {
        let _within = runtime.enter();
        event_loop::interrupted()
    };
    let print = |display: &Display, row: &Row| -> Result<(), String> {
        if arguments.json {
            return Ok(());
        }
        let text = row.text();
        display
            .suspend(|| printer::out(&text))
            .map_err(|error| format!("a row could not be printed: {error}"))
    };
    for row in result.rows.iter().filter(|row| row.ended == Ended::Skipped) {
        print(display, row)?;
    }
    let queue = Mutex::new(VecDeque::from(jobs));
    let (tell, told) = mpsc::channel::<(Job, Made)>();
    let (over, end) = tokio::sync::oneshot::channel::<()>();
    let mut alone: Vec<(Job, Vec<String>)> = Vec::new();
    let mut finished: Vec<Made> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = handlers => { stop.send_replace(true); }
                    _ = end => {}
                }
            });
        });
        for _ in 0..arguments.jobs {
            let (queue, stopped, tell) = (&queue, stopped.clone(), tell.clone());
            scope.spawn(move || {
                while let Some(job) = next(queue, &stopped) {
                    let made = run(&job, &stopped);
                    if tell.send((job, made)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(tell);
        let mut printed = Ok(());
        for (job, made) in told {
            display.stage(&format!("{} of {total} runs over", finished.len() + alone.len() + 1));
            if made.in_doubt && matches!(made.made.ended, Ended::Differs | Ended::Written) {
                alone.push((job, made.made.said));
            } else {
                printed = printed.and_then(|()| print(display, &made.made));
                finished.push(made);
            }
        }
        for (mut job, before) in alone {
            job.folder.as_mut_os_string().push("-alone");
            display.stage(&format!("{} again, alone", job.scenario.name));
            let mut made = if *stopped.borrow() { not_run(&job) } else { run(&job, &stopped) };
            made.made.again_alone = made.made.ended != Ended::NotRun;
            made.made.said.extend(before.iter().map(|said| format!("the first time: {said}")));
            printed = printed.and_then(|()| print(display, &made.made));
            finished.push(made);
        }
        result.interrupted = *stopped.borrow();
        // Nobody listens any more if a signal came.
        let _ = over.send(());
        printed
    })?;
    for made in &finished {
        if let Some(row) = result.rows.get_mut(made.row) {
            *row = made.made.clone();
        }
    }
    Ok(finished)
}

fn next(queue: &Mutex<VecDeque<Job>>, stopped: &watch::Receiver<bool>) -> Option<Job> {
    if *stopped.borrow() {
        return None;
    }
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn not_run(job: &Job) -> Made {
    made(job, Ended::NotRun, vec![], None, Duration::ZERO, None)
}

fn made(
    job: &Job,
    ended: Ended,
    said: Vec<String>,
    verdict: Option<RunVerdict>,
    took: Duration,
    expected: Option<ExpectedRun>,
) -> Made {
    Made {
        row: job.row,
        file: job.file,
        label: job.label.clone(),
        expected,
        in_doubt: false,
        diagnosed: vec![],
        made: Row {
            file: job.scenario.file.clone(),
            label: job.label.clone(),
            ended,
            said,
            verdict,
            again_alone: false,
            took_us: micros(took),
            folder: job.folder.display().to_string(),
        },
    }
}

/// Makes a run on this thread, which lives as long as its gateway.
fn run(job: &Job, stopped: &watch::Receiver<bool>) -> Made {
    #[expect(clippy::disallowed_methods, reason = "how long a run took is said in its row")]
    let began = Instant::now();
    match attempt(job, stopped) {
        Ok(Some((seen, diagnosed))) => {
            let mut said =
                job.expected.as_ref().map_or_else(Vec::new, |expected| differences(expected, &seen));
            // Nobody wants to be held to what could not be trusted.
            let distrusted = seen.verdict == RunVerdict::Invalid;
            if job.expected.is_none() && distrusted {
                said.push(format!(
                    "nothing is written of a run that cannot be trusted: {}",
                    seen.why.join("; ")
                ));
            }
            let ended = match &job.expected {
                None if distrusted => Ended::Differs,
                None => Ended::Written,
                Some(_) if said.is_empty() => Ended::Pass,
                Some(_) => Ended::Differs,
            };
            // Of a scenario that is all steps nothing is left to chance.
            let exact = !job.plan.steps.is_empty()
                && job.scenario.cohorts.iter().all(|cohort| matches!(cohort.arrivals, Arrivals::Steps));
            let now = ExpectedRun::of(&seen, exact, restarts(&job.plan));
            let kept = match ended {
                Ended::Pass => job.expected.clone(),
                _ if distrusted => None,
                _ => Some(now),
            };
            let made = made(job, ended, said, Some(seen.verdict), began.elapsed(), kept);
            let proven = job.expected.as_ref().is_some_and(|expected| proves_a_violation(expected, &seen));
            Made { in_doubt: seen.starved && !proven, diagnosed, ..made }
        }
        Ok(None) => not_run(job),
        Err(why) => made(job, Ended::Failed, vec![why], None, began.elapsed(), job.expected.clone()),
    }
}

/// Whether the gateway stops and comes back in the midst of the load; steps wait until it has.
fn restarts(plan: &Plan) -> bool {
    plan.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Restart { .. }))
}

/// `None` = a signal ended it.
fn attempt(
    job: &Job,
    stopped: &watch::Receiver<bool>,
) -> Result<Option<(Seen, Vec<ExpectedDiagnosis>)>, String> {
    let overrides = Overrides { seed: Some(job.plan.seed), ..job.overrides.clone() };
    let options =
        of_own_gateway(&job.scenario, job.choices.clone(), overrides, job.plan.clone(), job.folder.clone())
            .map_err(|refusal| refusal.message)?;
    let options = RunOptions { reactors: Some(1), ..options };
    let runtime = event_loop::start().map_err(|refusal| refusal.message)?;
    let outcome = runtime
        .block_on(harness::run::run(options, &mut Silent, event_loop::until(stopped)))
        .map_err(|error| error.to_string())?;
    if outcome.result.interrupted {
        return Ok(None);
    }
    let folder = outcome.folder.ok_or("its files could not be written")?;
    let log = Log::open(&folder.join(HISTORY)).map_err(|error| error.to_string())?;
    let history = log.whole().map_err(|error| format!("its history cannot be read: {error}"))?;
    let seen = Seen::of(&outcome.result, &job.plan, &history);
    Ok(Some((seen, outcome.result.diagnosis.expected)))
}

/// Runs that go on beside each other share one line, which says how many are over.
struct Silent;

impl Observer for Silent {
    fn stage(&mut self, _: &str) {}

    fn progress(&mut self, _: &Progress, _: usize) {}
}

/// Writes what was seen as what is expected, of files where that is another than what is written there.
///
/// # Errors
/// The system refused.
fn write(files: &[File], made: Vec<Made>, result: &mut VerifyResult) -> Result<(), String> {
    let mut of_file: BTreeMap<usize, Vec<Made>> = BTreeMap::new();
    for made in made {
        of_file.entry(made.file).or_default().push(made);
    }
    for (number, made) in of_file {
        let Some(file) = files.get(number) else { continue };
        let changed = made.iter().any(|made| matches!(made.made.ended, Ended::Differs | Ended::Written));
        // Of a sweep that was interrupted a part would be written and the rest forgotten.
        let whole = made.iter().all(|made| made.expected.is_some());
        if !changed || !whole || result.interrupted {
            continue;
        }
        let rows: Vec<usize> = made.iter().map(|made| made.row).collect();
        let mut runs: BTreeMap<String, ExpectedRun> =
            made.into_iter().filter_map(|made| Some((made.label, made.expected?))).collect();
        let held = if file.is_sweep {
            Held::Sweep(runs)
        } else if let Some(run) = runs.remove("") {
            Held::Run(run)
        } else {
            continue;
        };
        let path = beside(&file.path);
        let text = Expected { size: file.size.clone(), held }.text(&file.head);
        std::fs::write(&path, text)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        for row in rows {
            if let Some(row) = result.rows.get_mut(row) {
                row.ended = Ended::Written;
            }
        }
    }
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
