//! `pairstorm record`: a recording proxy between any client and any gateway.

use std::net::SocketAddr;
use std::process::ExitCode as ProcessExitCode;

use harness::conform::proxy::{Options, RecordError, record as run};
use harness::gateway::TargetAddress;
use harness::record::exit_code::ExitCode;

use super::event_loop;
use crate::args::RecordArguments;
use crate::printer;

pub(crate) fn record(arguments: &RecordArguments) -> ProcessExitCode {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(message) => {
            printer::error(&message);
            return ExitCode::Usage.into();
        }
    };
    let runtime = match event_loop::start() {
        Ok(runtime) => runtime,
        Err(refusal) => return refusal.say(),
    };
    let recorded = runtime.block_on(async {
        let until = event_loop::interrupted();
        let ready = |address: SocketAddr| {
            // A script waits for this line.
            let _ = printer::out(&format!("recording on ws://{address}\n"));
        };
        run(&options, orders(), until, ready, printer::note).await
    });
    match recorded {
        Ok(()) => ExitCode::Pass.into(),
        Err(error) => {
            printer::error(&error.to_string());
            match error {
                RecordError::Format(_) => ExitCode::Usage.into(),
                RecordError::Listen { .. } | RecordError::Write { .. } => ExitCode::Failed.into(),
            }
        }
    }
}

/// Lines of stdin. A thread of its own reads them: it ends with stdin, or with the process.
fn orders() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    #[expect(
        clippy::disallowed_methods,
        reason = "a read of stdin cannot be cancelled; the thread holds nothing else"
    )]
    std::thread::spawn(move || {
        for text in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

fn options(arguments: &RecordArguments) -> Result<Options, String> {
    let target = TargetAddress::parse(&arguments.to, &arguments.allow_remote_target)
        .map_err(|error| error.to_string())?;
    let listen = arguments.listen;
    if !listen.ip().is_loopback() && !arguments.allow_remote_clients {
        return Err(format!(
            "{listen} is not a loopback address; whoever reaches it reaches the gateway. Add --allow-remote-clients if that is wanted"
        ));
    }
    let config = match (&arguments.config, &arguments.config_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
        }
        (None, None) => "{}".to_owned(),
    };
    let config: serde_json::Value =
        serde_json::from_str(&config).map_err(|error| format!("the configuration is no JSON: {error}"))?;
    // A whole openclaw.json is as good as its gateway section.
    let config = config.get("gateway").cloned().unwrap_or(config);
    if !config.is_object() {
        return Err("the configuration is no JSON object".to_owned());
    }
    for (what, name) in [("--case", &arguments.case), ("--release", &arguments.release)] {
        let fine = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.is_empty() || name.starts_with('.') || !fine {
            return Err(format!(
                "{what} `{name}` becomes a file name: letters, digits, `-`, `_` and `.` only"
            ));
        }
    }
    Ok(Options {
        listen,
        to: target.socket,
        host: target.host,
        folder: arguments.folder.clone(),
        case: arguments.case.clone(),
        release: arguments.release.clone(),
        config,
        description: arguments.description.clone(),
    })
}
