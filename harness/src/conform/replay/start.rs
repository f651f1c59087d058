//! Starts the gateway that a case is replayed against.

use crate::conform::run::Ports;
use crate::gateway::process::GatewayArguments;
use crate::gateway::{GatewayProcess, Launch, StateDir, TargetError};

/// How long the in-repo gateway stays in its start-up phase where the recording has answers of that phase, milliseconds:
/// longer than their connects take. Whoever is the first to be answered otherwise waits until it is over.
const STARTUP_MS: u64 = 4_000;

/// Starts a gateway on a free port. A port that another program took in between is no fault of the gateway's.
pub(super) async fn start(
    launch: &Launch,
    profile: &str,
    defect: Option<&String>,
    ports: &Ports,
    state: &StateDir,
    early: bool,
) -> (Result<GatewayProcess, TargetError>, u16) {
    let mut tries = 0;
    loop {
        let port = ports.take();
        let arguments =
            GatewayArguments { profile: profile.to_owned(), port, defect: defect.cloned(), time_scale: 1.0 };
        let started = if early {
            GatewayProcess::start_early(launch.clone(), arguments, state).await
        } else {
            GatewayProcess::start(launch.clone(), arguments, state).await
        };
        tries += 1;
        match &started {
            Err(TargetError::DiedAtStart { log, .. }) if tries < 5 && log.contains("in use") => {}
            _ => return (started, port),
        }
    }
}

/// The in-repo gateway is ready at once unless it is asked to take its time; others take what they take.
pub(super) fn starting_slowly(launch: Launch) -> Launch {
    match launch {
        Launch::InRepo(mut command) => {
            command.prefix.extend(["--startup-ms".into(), STARTUP_MS.to_string().into()]);
            Launch::InRepo(command)
        }
        other @ Launch::Program(_) => other,
    }
}
