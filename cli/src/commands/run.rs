//! `pairstorm run`: the main job.

use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;

use anyhow::Context as _;
use harness::gateway::openclaw::Release;
use harness::gateway::{GatewayCommand, Launch, Program, TargetAddress, TargetError};
use harness::plan::{LaunchPlan, OracleMode, Overrides, Plan};
use harness::record::exit_code::ExitCode;
use harness::report::files::FilesError;
use harness::run::{ForeignTarget, Origin, RunError, RunOptions, RunOutcome, RunTarget};
use harness::scenario::{Choices, Scenario};

use super::load::Loaded;
use crate::args::{CacheArguments, RunArguments};
use crate::printer;
use crate::progress::Display;

pub(crate) fn run(arguments: &RunArguments) -> ProcessExitCode {
    let (scenario, plan) = match super::load::load(&arguments.scenario) {
        Some(Loaded::Single(scenario, plan)) => (scenario, plan),
        Some(Loaded::Sweep(sweep)) => return super::sweep::run(&sweep, arguments),
        None => return ExitCode::Usage.into(),
    };
    let out = arguments.out.clone().unwrap_or_else(|| default_folder(&plan.name));
    let options = match options(arguments, &scenario, *plan, out) {
        Ok(options) => options,
        Err(refusal) => return refusal.say(),
    };
    let mut display = Display::new(arguments.quiet || arguments.json);
    let finished = drive(options, &mut display);
    display.clear();
    match finished {
        Ok(Ok(outcome)) => report(arguments, &outcome),
        Ok(Err(error)) => {
            printer::error(&error.to_string());
            exit_of(&error).into()
        }
        Err(error) => {
            printer::error(&format!("{error:#}"));
            ExitCode::Failed.into()
        }
    }
}

/// Why a run is not even tried.
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) exit: ExitCode,
}

impl Refusal {
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: ExitCode::Usage }
    }

    /// Prints it; gives the exit code.
    pub(crate) fn say(&self) -> ProcessExitCode {
        printer::error(&self.message);
        self.exit.into()
    }
}

/// What the arguments say about a run of this scenario.
///
/// # Errors
/// What does not fit, before anything is started.
pub(crate) fn options(
    arguments: &RunArguments,
    scenario: &Scenario,
    plan: Plan,
    out: PathBuf,
) -> Result<RunOptions, Refusal> {
    let target = match &arguments.target {
        None => {
            if let Some(name) = &arguments.scenario.defect {
                known_defect(name).map_err(Refusal::usage)?;
            }
            RunTarget::Own(launch(arguments, &plan.gateway.launch)?)
        }
        Some(url) => RunTarget::Foreign(foreign(arguments, url, &plan)?),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let choices = super::load::choices(&arguments.scenario);
    let overrides = Overrides { seed: Some(plan.seed), ..super::load::overrides(&arguments.scenario) };
    Ok(RunOptions {
        origin: Some(Origin::new(scenario, choices, overrides, (&plan, &target), version.clone())),
        scenario_file: arguments.scenario.scenario.display().to_string(),
        scenario_sha256: scenario.sha256.clone(),
        target,
        reactors: arguments.reactors.map(usize::from),
        fail_fast: arguments.fail_fast,
        out,
        version,
        plan,
    })
}

/// A run of a scenario against the in-repo gateway, for commands that make many.
///
/// # Errors
/// This program cannot be found.
pub(crate) fn of_own_gateway(
    scenario: &Scenario,
    choices: Choices,
    overrides: Overrides,
    plan: Plan,
    out: PathBuf,
) -> Result<RunOptions, Refusal> {
    let target = RunTarget::Own(own_gateway()?.into());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(RunOptions {
        origin: Some(Origin::new(scenario, choices, overrides, (&plan, &target), version.clone())),
        scenario_file: scenario.file.clone(),
        scenario_sha256: scenario.sha256.clone(),
        target,
        reactors: None,
        fail_fast: false,
        out,
        version,
        plan,
    })
}

/// Checks the name of a defect.
///
/// # Errors
/// What to write instead.
pub(crate) fn known_defect(name: &str) -> Result<(), String> {
    if gateway_under_test::defect::Defect::find(name).is_some() {
        return Ok(());
    }
    let known = gateway_under_test::defect::Defect::names();
    Err(format!("there is no defect `{name}`; known: {known}"))
}

/// What the plan launches, ready to be started.
fn launch(arguments: &RunArguments, launch: &LaunchPlan) -> Result<Launch, Refusal> {
    match launch {
        LaunchPlan::InRepo => Ok(own_gateway()?.into()),
        LaunchPlan::Command { command, ready } => Ok(Program::own_build(command, ready.clone()).into()),
        LaunchPlan::OpenClaw { version } => openclaw(version, &arguments.cache),
    }
}

/// A release of OpenClaw that was installed before.
pub(crate) fn openclaw(version: &str, cache: &CacheArguments) -> Result<Launch, Refusal> {
    let cache = super::openclaw::cache_of(cache).map_err(Refusal::usage)?;
    // The gateway runs on paths of its installation, whatever folder it runs in.
    let cache = std::path::absolute(&cache).unwrap_or(cache);
    let release = Release::find(&cache, version).ok_or_else(|| Refusal {
        message: format!(
            "OpenClaw {version} is not in {}; fetch it first: pairstorm openclaw install {version}",
            cache.display()
        ),
        exit: ExitCode::Failed,
    })?;
    Ok(release.program().into())
}

/// This very program, as `pairstorm gateway …`.
pub(crate) fn own_gateway() -> Result<GatewayCommand, Refusal> {
    let program = std::env::current_exe().map_err(|error| Refusal {
        message: format!("cannot find this program to start it as a gateway: {error}"),
        exit: ExitCode::Failed,
    })?;
    Ok(GatewayCommand { program, prefix: vec!["gateway".into()] })
}

fn foreign(arguments: &RunArguments, url: &str, plan: &Plan) -> Result<ForeignTarget, Refusal> {
    let address = TargetAddress::parse(url, &arguments.allow_remote_target).map_err(|error| {
        let exit =
            if matches!(error, TargetError::Resolve { .. }) { ExitCode::Failed } else { ExitCode::Usage };
        Refusal { message: error.to_string(), exit }
    })?;
    if (plan.time_scale - 1.0).abs() > f64::EPSILON {
        return Err(Refusal::usage(
            "a time scale other than 1 shortens the time-outs of the in-repo gateway; a gateway behind --target keeps its own",
        ));
    }
    if plan.oracle == OracleMode::Profile && !arguments.allow_store_writes {
        return Err(Refusal::usage(format!(
            "this scenario pairs devices, and {url} was not started by this run. If its owner agrees, add \
             --allow-store-writes: devices and requests are listed before and after, and what the run made is removed. \
             A scenario with oracle = \"expectations\" asks for nothing but the handshake"
        )));
    }
    if let Some(method) = plan.calls_that_change().filter(|_| !arguments.allow_store_writes) {
        return Err(Refusal::usage(format!(
            "a script of this scenario calls {method}, and {url} was not started by this run. If its owner agrees, add \
             --allow-store-writes; health, status and device.pair.list may be called without"
        )));
    }
    let secret = match (&arguments.token_env, &arguments.token_file) {
        (Some(variable), _) => Some(
            std::env::var(variable)
                .map_err(|error| Refusal::usage(format!("--token-env {variable}: {error}")))?,
        ),
        (None, Some(file)) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| Refusal::usage(format!("--token-file {}: {error}", file.display())))?
                .trim_end()
                .to_owned(),
        ),
        (None, None) => None,
    };
    Ok(ForeignTarget {
        url: harness::gateway::address::without_secrets(url),
        address,
        secret,
        declared: plan.gateway.config.as_object().is_some_and(|config| !config.is_empty()),
        identity_secret: harness::run::foreign::random_secret().map_err(|error| Refusal {
            message: format!("the system gives no random bytes: {error}"),
            exit: ExitCode::Failed,
        })?,
    })
}

/// `results/runs/<utc>-<name>/`, with a number when two runs begin in the same second.
pub(crate) fn default_folder(name: &str) -> PathBuf {
    let stem = format!("{}-{name}", harness::clock::utc_stamp());
    let runs = PathBuf::from("results/runs");
    let mut folder = runs.join(&stem);
    let mut number = 2;
    while folder.exists() {
        folder = runs.join(format!("{stem}-{number}"));
        number += 1;
    }
    folder
}

/// Runs a plan in an event loop of its own.
pub(crate) fn drive(
    options: RunOptions,
    display: &mut Display,
) -> anyhow::Result<Result<RunOutcome, RunError>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the run's event loop")?;
    Ok(runtime.block_on(async {
        let interrupt = super::event_loop::interrupted();
        harness::run::run(options, display, interrupt).await
    }))
}

fn report(arguments: &RunArguments, outcome: &RunOutcome) -> ProcessExitCode {
    let mut text = if arguments.json {
        match harness::report::json::text(&outcome.result) {
            Ok(text) => text,
            Err(error) => {
                printer::error(&format!("the result cannot be written as JSON: {error}"));
                return ExitCode::Failed.into();
            }
        }
    } else {
        outcome.summary.clone()
    };
    if let Some(folder) = &outcome.folder
        && !arguments.json
    {
        text.push_str(&format!("files: {}\n", folder.display()));
    }
    let printed = printer::out(&text);
    for remark in &outcome.remarks {
        printer::note(&format!("note: {remark}"));
    }
    match printed {
        Ok(()) => outcome.exit.into(),
        Err(error) => {
            printer::error(&format!("the result could not be printed: {error}"));
            ExitCode::Failed.into()
        }
    }
}

/// What a run without a result exits with.
pub(crate) fn exit_of(error: &RunError) -> ExitCode {
    match error {
        RunError::NotForForeign(_)
        | RunError::Files(FilesError::NotEmpty { .. } | FilesError::NotAFolder { .. }) => ExitCode::Usage,
        _ => ExitCode::Failed,
    }
}
