//! `pairstorm shrink`: the smallest scenario that still shows what a run showed.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;
use std::time::Instant;

use harness::plan::{Overrides, unfold};
use harness::record::exit_code::ExitCode;
use harness::report::files;
use harness::run::{Origin, RunOptions, RunTarget, analyze};
use harness::scenario::{self, Choices, Scenario, Texts};
use harness::shrink::{self, Parts, Shown, WHOLE};
use serde_json::Value;

use crate::args::ShrinkArguments;
use crate::printer;
use crate::progress::Display;

/// Name of the file that is written beside the whole.
const SHRUNK: &str = "shrunk.toml";
/// Largest `result.json` that is read, bytes.
const RESULT_BYTES_MAX: u64 = 256 << 20;

type Refused = (String, ExitCode);

/// Mismatches that count as the same: kind, cohort, what was due, what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Symptom {
    kind: String,
    cohort: String,
    expected: String,
    observed: String,
}

impl std::fmt::Display for Symptom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, cohort, expected, observed } = self;
        write!(f, "{kind} in {cohort}: expected {expected}, saw {observed}")
    }
}

pub(crate) fn shrink(arguments: &ShrinkArguments) -> ProcessExitCode {
    match shrunk(arguments) {
        Ok((text, exit)) => printer::finish(&text, exit.into()),
        Err((message, exit)) => {
            printer::error(&message);
            exit.into()
        }
    }
}

fn shrunk(arguments: &ShrinkArguments) -> Result<(String, ExitCode), Refused> {
    let usage = |message: String| (message, ExitCode::Usage);
    let origin = analyze::origin(&arguments.folder).map_err(|error| usage(error.to_string()))?;
    let scenario =
        scenario::parse_kept(&origin.scenario_file, &origin.texts, &origin.choices).map_err(|wrong| {
            printer::note(scenario::render(&wrong, printer::stderr_has_colour()).trim_end());
            usage("this pairstorm reads the scenario of that run otherwise".to_owned())
        })?;
    fits(&origin, &scenario)?;
    let symptom = symptom(&arguments.folder)?;
    let out = arguments.out.clone().unwrap_or_else(|| super::run::default_folder("shrink"));
    if out.is_file() || out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("{} is there already; give --out another folder", out.display())));
    }
    let all = Parts::all(&scenario);
    let mut trials = Trials::new(arguments, &origin, &scenario, symptom.clone(), &out)?;

    printer::note(&format!("looking for: {symptom}"));
    match trials.shows(&all) {
        Shown::It => {}
        Shown::Stop => {
            return Err((
                "stopped before the whole scenario was run again".to_owned(),
                trials.stopped_with(),
            ));
        }
        Shown::Not => {
            trials.tidy();
            return Err((
                format!(
                    "the whole scenario does not show it again ({} of 2 times); what depends on chance or on the machine \
                     cannot be cut down",
                    trials.seen_of_last
                ),
                ExitCode::Invalid,
            ));
        }
    }
    let best = shrink::smallest(all.clone(), |parts| trials.shows(parts));
    trials.tidy();
    let written = write(&out, &origin, &shrink::text(&scenario, trials.seed, &best));
    let file = written
        .map_err(|error| (format!("cannot write below {}: {error}", out.display()), ExitCode::Failed))?;
    let stopped =
        trials.stopped.map(|why| format!("\nstopped: {why}; this is the best so far\n")).unwrap_or_default();
    let mut text = format!(
        "{symptom}\n{} runs, {} candidates{}\n\n  clients   {:>6} of {}\n",
        trials.runs,
        trials.candidates,
        if trials.flaky == 0 {
            String::new()
        } else {
            format!(", of which {} showed it only once of twice and were not taken", trials.flaky)
        },
        best.clients(),
        all.clients(),
    );
    for (name, count) in &best.cohorts {
        text.push_str(&format!(
            "    {name}: {count} of {}\n",
            all.cohorts.get(name).copied().unwrap_or_default()
        ));
    }
    text.push_str(&format!("  faults    {:>6} of {}", best.faults.len(), all.faults.len()));
    text.push_str(&format!("  {}\n", best.faults.join(", ")));
    text.push_str(&format!("  operators {:>6} of {}\n{stopped}", best.operators.len(), all.operators.len()));
    text.push_str(&format!("\nscenario: {}\nrun it:   {}\n", file.display(), command(&origin, &file)));
    Ok((text, trials.stopped_with()))
}

/// Whether the run is one that can be cut down.
fn fits(origin: &Origin, scenario: &Scenario) -> Result<(), Refused> {
    let refused = |message: &str| Err((message.to_owned(), ExitCode::Usage));
    if !scenario.gateway.launch.is_in_repo() || origin.undeclared.is_some() {
        return refused(
            "that run was not against the in-repo gateway; run its scenario with --gateway in-repo, and shrink that run if it \
             fails as well",
        );
    }
    if origin.overrides.clients.is_some() {
        return refused(
            "that run was scaled with --clients; run the scenario as it is written, and shrink that run",
        );
    }
    if !scenario.steps.is_empty() {
        return refused(
            "that scenario is a story in steps, which is cut down by hand: leave steps out from the end, and keep what still fails",
        );
    }
    Ok(())
}

/// The mismatch that most clients of the run met.
fn symptom(folder: &Path) -> Result<Symptom, Refused> {
    use std::io::Read as _;
    let path = folder.join(files::RESULT);
    let unreadable = |why: String| (format!("cannot read {}: {why}", path.display()), ExitCode::Usage);
    let file = std::fs::File::open(&path).map_err(|error| unreadable(error.to_string()))?;
    let result: Value = serde_json::from_reader(std::io::BufReader::new(file.take(RESULT_BYTES_MAX)))
        .map_err(|error| unreadable(error.to_string()))?;
    let groups = result.get("mismatch_groups").and_then(Value::as_array);
    let most = groups.into_iter().flatten().max_by_key(|group| group.get("count").and_then(Value::as_u64));
    most.and_then(of_group).ok_or_else(|| {
        (
            format!(
                "{} has no mismatch, so there is nothing to cut down to; `pairstorm shrink` takes the folder of a run that was violated",
                path.display()
            ),
            ExitCode::Usage,
        )
    })
}

fn of_group(group: &Value) -> Option<Symptom> {
    let text = |key: &str| Some(group.get(key)?.as_str()?.to_owned());
    Some(Symptom {
        kind: text("kind")?,
        cohort: text("cohort")?,
        expected: text("expected")?,
        observed: text("observed")?,
    })
}

/// Runs candidates.
struct Trials<'a> {
    origin: &'a Origin,
    scenario: &'a Scenario,
    symptom: Symptom,
    target: RunTarget,
    seed: u64,
    work: PathBuf,
    until: Instant,
    runs_max: u32,
    runs: u32,
    candidates: u32,
    flaky: u32,
    seen_of_last: u32,
    stopped: Option<&'static str>,
    interrupted: bool,
    display: Display,
}

impl<'a> Trials<'a> {
    fn new(
        arguments: &ShrinkArguments,
        origin: &'a Origin,
        scenario: &'a Scenario,
        symptom: Symptom,
        out: &Path,
    ) -> Result<Self, Refused> {
        let target = super::run::own_gateway().map_err(|refusal| (refusal.message, refusal.exit))?;
        let mut display = Display::new(arguments.quiet);
        display.prefix("shrink".to_owned());
        #[expect(clippy::disallowed_methods, reason = "--max-time is about the wall clock")]
        let now = Instant::now();
        Ok(Self {
            origin,
            scenario,
            symptom,
            target: RunTarget::Own(target.into()),
            seed: origin.overrides.seed.unwrap_or(scenario.seed),
            work: out.join("candidates"),
            until: now + arguments.max_time,
            runs_max: arguments.max_runs,
            runs: 0,
            candidates: 0,
            flaky: 0,
            seen_of_last: 0,
            stopped: None,
            interrupted: false,
            display,
        })
    }

    /// Whether a candidate shows it, twice.
    fn shows(&mut self, parts: &Parts) -> Shown {
        self.candidates += 1;
        self.seen_of_last = 0;
        for time in 0..2 {
            if self.is_over() {
                return Shown::Stop;
            }
            match self.once(parts) {
                Some(true) => self.seen_of_last += 1,
                Some(false) if time == 0 => return Shown::Not,
                Some(false) => {
                    self.flaky += 1;
                    return Shown::Not;
                }
                None => return Shown::Stop,
            }
        }
        printer::note(&format!(
            "after {} runs it still shows with cohorts: {}, clients: {}, faults: {}, operators: {}",
            self.runs,
            parts.cohorts.len(),
            parts.clients(),
            parts.faults.len(),
            parts.operators.len()
        ));
        Shown::It
    }

    fn is_over(&mut self) -> bool {
        #[expect(clippy::disallowed_methods, reason = "--max-time is about the wall clock")]
        let late = Instant::now() >= self.until;
        if self.stopped.is_none() && late {
            self.stopped = Some("--max-time is over");
        }
        if self.stopped.is_none() && self.runs >= self.runs_max {
            self.stopped = Some("--max-runs are done");
        }
        self.stopped.is_some()
    }

    /// Runs a candidate once; `None` = interrupted.
    fn once(&mut self, parts: &Parts) -> Option<bool> {
        let texts = texts(self.origin, shrink::text(self.scenario, self.seed, parts));
        // What refers to something that was left out is no scenario, and shows nothing.
        let Ok(scenario) = scenario::parse_kept(SHRUNK, &texts, &self.origin.choices) else {
            return Some(false);
        };
        let overrides = Overrides { seed: Some(self.seed), ..self.origin.overrides.clone() };
        let Ok(plan) = unfold(&scenario, &overrides) else { return Some(false) };
        self.runs += 1;
        let folder = self.work.join(self.runs.to_string());
        let options = RunOptions {
            origin: None,
            scenario_file: SHRUNK.to_owned(),
            scenario_sha256: scenario.sha256,
            target: self.target.clone(),
            reactors: None,
            fail_fast: false,
            out: folder.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plan,
        };
        let finished = super::run::drive(options, &mut self.display);
        self.display.clear();
        // Thousands of clients leave megabytes.
        let _ = std::fs::remove_dir_all(&folder);
        match finished {
            Ok(Ok(outcome)) if outcome.result.interrupted => {
                self.stopped = Some("interrupted");
                self.interrupted = true;
                None
            }
            Ok(Ok(outcome)) => Some(outcome.result.mismatch_groups.iter().any(|group| {
                group.kind == self.symptom.kind
                    && group.cohort == self.symptom.cohort
                    && group.expected == self.symptom.expected
                    && group.observed == self.symptom.observed
            })),
            Ok(Err(error)) => {
                printer::note(&format!("note: a candidate could not be run: {error}"));
                Some(false)
            }
            Err(error) => {
                printer::note(&format!("note: a candidate could not be run: {error:#}"));
                Some(false)
            }
        }
    }

    fn tidy(&self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }

    const fn stopped_with(&self) -> ExitCode {
        if self.interrupted { ExitCode::Interrupted } else { ExitCode::Pass }
    }
}

/// A candidate, with the whole that it extends and all that this names.
fn texts(origin: &Origin, candidate: String) -> Texts {
    let mut beside = vec![(WHOLE.to_owned(), origin.texts.scenario.clone())];
    beside.extend(origin.texts.beside.iter().cloned());
    Texts { scenario: candidate, beside }
}

/// Writes the scenario, the whole that it extends, and all that this names.
fn write(out: &Path, origin: &Origin, text: &str) -> std::io::Result<PathBuf> {
    let head = "# How to read it: what is left of whole.toml when everything is taken away without which it still fails in the same way.\n\
                # Clients keep their keys, so that the first ones of a cohort are those of the whole. `pairstorm shrink` wrote this file.\n\n";
    let texts = texts(origin, format!("{head}{text}"));
    for (name, text) in &texts.beside {
        let path = Path::new(name);
        // A list from a folder above would be written there.
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(std::io::Error::other(format!("{name} does not lie below the scenario's folder")));
        }
        let path = out.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    let file = out.join(SHRUNK);
    std::fs::write(&file, &texts.scenario)?;
    Ok(file)
}

/// What to type to see it.
fn command(origin: &Origin, file: &Path) -> String {
    let Choices { sets, profile, .. } = &origin.choices;
    let mut command = format!("pairstorm run {}", file.display());
    for (name, value) in sets {
        command.push_str(&format!(" --set '{name}={}'", value.replace('\'', "'\\''")));
    }
    if let Some(profile) = profile {
        command.push_str(&format!(" --profile {profile}"));
    }
    if let Some(scale) = origin.overrides.time_scale {
        command.push_str(&format!(" --time-scale {scale}"));
    }
    if let Some(defect) = &origin.overrides.defect {
        command.push_str(&format!(" --defect {defect}"));
    }
    command
}
