//! `pairstorm shrink`: the smallest scenario that still shows what a run showed.

use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode as ProcessExitCode;
use std::time::Instant;

use harness::plan::{Overrides, unfold};
use harness::record::exit_code::ExitCode;
use harness::report::files;
use harness::run::{Origin, RunOptions, RunOutcome, RunTarget, analyze};
use harness::scenario::{self, Choices, Scenario, Texts};
use harness::shrink::{self, Parts, Showed, Shown, Symptom, Trials, WHOLE};
use tokio::runtime::Runtime;

use super::event_loop;
use crate::args::ShrinkArguments;
use crate::printer;
use crate::progress::Display;

/// Name of the file that is written beside the whole.
const SHRUNK: &str = "shrunk.toml";
/// Of what else a run showed, so much is named.
const OTHERS_MAX: usize = 8;

type Refused = (String, ExitCode);

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
    let symptoms = symptoms(&arguments.folder)?;
    let result = arguments.folder.join(files::RESULT);
    let symptom = shrink::choose(&symptoms, arguments.of.as_deref())
        .map_err(|error| usage(format!("{}: {error}", result.display())))?;
    let out = arguments.out.clone().unwrap_or_else(|| super::run::default_folder("shrink"));
    if out.is_file() || out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("{} is there already; give --out another folder", out.display())));
    }
    let all = Parts::all(&scenario);
    let mut trials = Search::new(arguments, &origin, &scenario, symptom.clone(), &out)?;

    printer::note(&format!("looking for: {symptom}"));
    if let Some(others) = others(&symptoms, &symptom) {
        printer::note(&others);
    }
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
                    trials.counts.seen_of_last
                ),
                ExitCode::Invalid,
            ));
        }
    }
    let best = shrink::smallest(all.clone(), |parts| trials.shows(parts)).settled(&scenario);
    trials.tidy();
    let written = write(&out, &origin, &shrink::text(&scenario, trials.seed, &best));
    let file = written
        .map_err(|error| (format!("cannot write below {}: {error}", out.display()), ExitCode::Failed))?;
    let summary = trials.summary(&all, &best);
    let text = format!("{summary}\nscenario: {}\nrun it:   {}\n", file.display(), command(&origin, &file));
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
    Ok(())
}

/// What the run showed, the most frequent first.
fn symptoms(folder: &Path) -> Result<Vec<(Symptom, u64)>, Refused> {
    let showed: Showed = files::read_result(folder).map_err(|error| (error.to_string(), ExitCode::Usage))?;
    Ok(showed.symptoms())
}

/// What else there was, and how to choose it.
fn others(symptoms: &[(Symptom, u64)], chosen: &Symptom) -> Option<String> {
    let mut places = shrink::places(symptoms);
    places.retain(|place| *place != chosen.place());
    let more = if places.len() > OTHERS_MAX { ", …" } else { "" };
    places.truncate(OTHERS_MAX);
    (!places.is_empty()).then(|| format!("there was also: {}{more}; choose with --of", places.join(", ")))
}

/// Runs candidates.
struct Search<'a> {
    origin: &'a Origin,
    scenario: &'a Scenario,
    symptom: Symptom,
    target: RunTarget,
    seed: u64,
    work: PathBuf,
    until: Instant,
    runs_max: u32,
    runs: u32,
    counts: Trials,
    /// The text of the best so far.
    best: String,
    stopped: Option<&'static str>,
    interrupted: bool,
    display: Display,
    runtime: Runtime,
    /// A signal, also one that comes between two runs.
    signal: Pin<Box<dyn Future<Output = ()>>>,
}

impl<'a> Search<'a> {
    fn new(
        arguments: &ShrinkArguments,
        origin: &'a Origin,
        scenario: &'a Scenario,
        symptom: Symptom,
        out: &Path,
    ) -> Result<Self, Refused> {
        let target = super::run::own_gateway().map_err(|refusal| (refusal.message, refusal.exit))?;
        let runtime = event_loop::start().map_err(|refusal| (refusal.message, refusal.exit))?;
        let signal: Pin<Box<dyn Future<Output = ()>>> = {
            let _within = runtime.enter();
            Box::pin(event_loop::interrupted())
        };
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
            counts: Trials::default(),
            best: String::new(),
            stopped: None,
            interrupted: false,
            display,
            runtime,
            signal,
        })
    }

    /// Whether a candidate shows it, twice.
    fn shows(&mut self, parts: &Parts) -> Shown {
        let text = shrink::text(self.scenario, self.seed, parts);
        // What cannot stand alone is gone already.
        if text == self.best {
            return Shown::It;
        }
        let mut counts = self.counts;
        let shown = counts.shows(|| if self.is_over() { None } else { self.once(&text) });
        self.counts = counts;
        if shown == Shown::It {
            let parts = parts.settled(self.scenario);
            self.best = text;
            printer::note(&format!(
                "after {} runs it still shows with cohorts: {}, clients: {}, faults: {}, operators: {}, steps: {}",
                self.runs,
                parts.cohorts.len(),
                parts.clients(),
                parts.faults.len(),
                parts.operators.len(),
                parts.steps.len() + parts.script_steps(),
            ));
        }
        shown
    }

    /// What was found, of what.
    fn summary(&self, all: &Parts, best: &Parts) -> String {
        let Trials { candidates, flaky, .. } = self.counts;
        let mut text = format!("{}\n{} runs, {candidates} candidates", self.symptom, self.runs);
        if flaky > 0 {
            text.push_str(&format!(", of which {flaky} showed it only once of twice and were not taken"));
        }
        text.push_str(&format!("\n\n  clients   {:>6} of {}\n", best.clients(), all.clients()));
        for (name, count) in &best.cohorts {
            let of = all.cohorts.get(name).copied().unwrap_or_default();
            text.push_str(&format!("    {name}: {count} of {of}\n"));
        }
        let faults = format!("  faults    {:>6} of {}  ", best.faults.len(), all.faults.len());
        text.push_str(format!("{faults}{}", best.faults.join(", ")).trim_end());
        text.push('\n');
        text.push_str(&format!("  operators {:>6} of {}\n", best.operators.len(), all.operators.len()));
        let mut steps = |what: &str, kept: usize, of: usize| {
            if of > 0 {
                text.push_str(&format!("  {what:<9} {kept:>6} of {of}\n"));
            }
        };
        steps("steps", best.steps.len(), all.steps.len());
        steps("scripts", best.script_steps(), all.script_steps());
        if let Some(why) = self.stopped {
            text.push_str(&format!("\nstopped: {why}; this is the best so far\n"));
        }
        text
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
    fn once(&mut self, text: &str) -> Option<bool> {
        let texts = texts(self.origin, text.to_owned());
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
        let mut came = false;
        let signal = async {
            self.signal.as_mut().await;
            came = true;
        };
        let finished = self.runtime.block_on(harness::run::run(options, &mut self.display, signal));
        self.display.clear();
        // Thousands of clients leave megabytes.
        let _ = std::fs::remove_dir_all(&folder);
        if came {
            self.stopped = Some("interrupted");
            self.interrupted = true;
            return None;
        }
        match finished {
            Ok(RunOutcome { result, .. }) => {
                let shown = shrink::symptoms(&result.mismatch_groups, &result.diagnosis);
                Some(shown.iter().any(|(symptom, _)| *symptom == self.symptom))
            }
            Err(error) => {
                printer::note(&format!("note: a candidate could not be run: {error}"));
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
    let head = "# How to read it: what is left of whole.toml when everything is taken away without which it still shows the same.\n\
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
