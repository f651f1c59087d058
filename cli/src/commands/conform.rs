//! `pairstorm conform`: recorded sessions against a gateway.

use std::process::ExitCode as ProcessExitCode;

use harness::conform::replay::{Against, Manner};
use harness::conform::run::{ConformError, Options, run};
use harness::conform::tally::{Exception, Tally, exceptions, text};
use harness::gateway::{GatewayCommand, TargetAddress, TargetError};
use harness::record::exit_code::ExitCode;

use crate::args::ConformArguments;
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
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer::error(&format!("cannot start the event loop: {error}"));
            return ExitCode::Failed.into();
        }
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
                ConformError::Gateway { .. } => ExitCode::Failed.into(),
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
    let program = std::env::current_exe().map_err(|error| {
        (format!("cannot find this program to start it as a gateway: {error}"), ExitCode::Failed)
    })?;
    Ok(Against::Own {
        launch: GatewayCommand { program, prefix: vec!["gateway".into()] }.into(),
        profile: arguments.profile.clone(),
        defect: arguments.defect.clone(),
    })
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
