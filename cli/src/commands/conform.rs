//! `pairstorm conform`: recorded sessions against a gateway.

use std::collections::BTreeMap;
use std::process::ExitCode as ProcessExitCode;

use harness::conform::replay::{Against, Launches, Manner};
use harness::conform::run::{ConformError, Options, run};
use harness::conform::tally::{Exception, Tally, exceptions, text};
use harness::gateway::{Launch, TargetAddress, TargetError};
use harness::record::exit_code::ExitCode;
use harness::scenario::PROFILES;

use crate::args::ConformArguments;
use crate::commands::event_loop;
use crate::commands::run::{Refusal, openclaw, own_gateway};
use crate::printer;

pub(crate) fn conform(arguments: &ConformArguments) -> ProcessExitCode {
    let against = match against(arguments) {
        Ok(against) => against,
        Err((message, exit)) => {
            printer::error(&message);
            return exit.into();
        }
    };
    let known = match known(arguments) {
        Ok(known) => known,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    let options = Options {
        folder: arguments.folder.clone(),
        pattern: arguments.pattern.clone(),
        against,
        at_once: usize::from(arguments.at_once),
        manner: Manner {
            longest: arguments.longest,
            patience: arguments.patience,
            name_steps: arguments.name_steps,
        },
    };
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    match runtime.block_on(run(&options)) {
        Ok(replayed) => {
            let mut tally = Tally::of(&replayed);
            tally.excuse(&known);
            report(arguments, &tally)
        }
        Err(error) => {
            printer::error(&error.to_string());
            match error {
                ConformError::Gateway { .. } | ConformError::Unreachable { .. } => ExitCode::Failed.into(),
                ConformError::Format(_) | ConformError::NoCase { .. } => ExitCode::Usage.into(),
            }
        }
    }
}

fn known(arguments: &ConformArguments) -> Result<Vec<Exception>, String> {
    let Some(file) = &arguments.except else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    exceptions(&text)
        .map_err(|line| format!("{}:{line}: expected `case | step | field | reason`", file.display()))
}

fn against(arguments: &ConformArguments) -> Result<Against, (String, ExitCode)> {
    if let Some(url) = &arguments.target {
        let address = TargetAddress::parse(url, &[]).map_err(|error| {
            let exit =
                if matches!(error, TargetError::Resolve { .. }) { ExitCode::Failed } else { ExitCode::Usage };
            (error.to_string(), exit)
        })?;
        return Ok(Against::Url { socket: address.socket, host: address.host });
    }
    if let Some(profile) = &arguments.profile
        && harness::conform::run::profile(profile).is_none()
    {
        let known = harness::conform::run::profiles();
        return Err((format!("there is no profile `{profile}`; known: {known}"), ExitCode::Usage));
    }
    let launches = launches(arguments).map_err(|refusal| (refusal.message, refusal.exit))?;
    if !launches.are_light() && (arguments.profile.is_some() || arguments.defect.is_some()) {
        return Err((
            "--profile and --defect are for the in-repo gateway; a real one is what it is".to_owned(),
            ExitCode::Usage,
        ));
    }
    Ok(Against::Own { launches, profile: arguments.profile.clone(), defect: arguments.defect.clone() })
}

fn launches(arguments: &ConformArguments) -> Result<Launches, Refusal> {
    match arguments.gateway.as_str() {
        "in-repo" => Ok(Launches::One(own_gateway()?.into())),
        "openclaw" => {
            let released = PROFILES.iter().map(|profile| profile.as_str());
            let found: BTreeMap<String, Launch> = released
                .filter_map(|release| Some((release.to_owned(), openclaw(release, &arguments.cache).ok()?)))
                .collect();
            if found.is_empty() {
                let message =
                    "no release of OpenClaw is installed; fetch one first: pairstorm openclaw install";
                return Err(Refusal { message: message.to_owned(), exit: ExitCode::Failed });
            }
            Ok(Launches::ByRelease(found))
        }
        other => match other.strip_prefix("openclaw@") {
            Some(version) => Ok(Launches::One(openclaw(version, &arguments.cache)?)),
            None => Err(Refusal {
                message: format!("no gateway `{other}`; expected in-repo, openclaw or openclaw@VERSION"),
                exit: ExitCode::Usage,
            }),
        },
    }
}

/// Nothing compared is no agreement: such a run is invalid.
fn report(arguments: &ConformArguments, tally: &Tally) -> ProcessExitCode {
    let exit = if !tally.agrees() {
        ExitCode::Violated
    } else if tally.compared() == 0 {
        ExitCode::Invalid
    } else {
        ExitCode::Pass
    };
    let output = if arguments.json {
        serde_json::to_string_pretty(tally).map(|text| format!("{text}\n"))
    } else {
        Ok(text(tally))
    };
    match output {
        Ok(output) => printer::finish(&output, exit.into()),
        Err(error) => {
            printer::error(&error.to_string());
            ExitCode::Failed.into()
        }
    }
}
