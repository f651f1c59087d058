//! Brings the target of a run up, and down again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::ProfileName;

use super::{Observer, RunError, RunTarget};
use crate::clock::Clock;
use crate::gateway::process::GatewayArguments;
use crate::gateway::{
    CommandLine, GatewayProcess, Launch, StateDir, TargetAddress, TargetError, fixture, port,
};
use crate::nemesis;
use crate::plan::identity::Identities;
use crate::plan::{OperatorState, Plan, Step};

/// Room for what a gateway keeps: files are written anew beside the old ones.
fn disk_bytes(plan: &Plan) -> u64 {
    const LEAST: u64 = 16 << 20;
    const EACH: u64 = 8 << 10;
    let devices = plan.clients.len() as u64 + u64::from(plan.gateway.stored_bystanders);
    LEAST.saturating_add(devices.saturating_mul(EACH))
}

/// How often another port is tried when somebody else took the chosen one first.
const START_TRIES: usize = 5;
/// Largest part of a gateway's log that is kept, bytes.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// A target that is up.
pub struct Up {
    /// Where it listens.
    pub address: TargetAddress,
    /// The shared secret that clients present.
    pub secret: String,
    /// Who the clients are.
    pub identities: Identities,
    /// The process, if it is ours.
    pub process: Option<GatewayProcess>,
    /// What it is, for people.
    pub name: String,
    /// How long it took from its start until it was ready, if it is ours.
    pub ready_after: Option<Duration>,
    state: Option<StateDir>,
    /// A second gateway that no client knows, with its state, for operators whose commands go elsewhere.
    elsewhere: Option<(GatewayProcess, StateDir)>,
}

impl Up {
    /// Starts the gateway, or takes the foreign one as it is.
    ///
    /// # Errors
    /// [`RunError::Target`], [`RunError::Fixture`] or [`RunError::NotForForeign`].
    pub async fn bring(
        plan: &Arc<Plan>,
        target: &RunTarget,
        observer: &mut dyn Observer,
    ) -> Result<Self, RunError> {
        match target {
            RunTarget::Own(launch) => {
                observer.stage("starting the gateway");
                let identities = Identities::reproducible(plan.seed);
                let secret = identities.shared_secret();
                let mut state = StateDir::create()?;
                if nemesis::needs_small_disk(plan) {
                    let database = plan.gateway.profile == ProfileName::V2026_9_6;
                    state.small_disk(if database { "state" } else { "devices" }, disk_bytes(plan))?;
                }
                fixture::write(&state, plan, &identities)?;
                let clock = Clock::start();
                let process = start(plan, launch, &state, &secret).await?;
                let ready_after = Some(Duration::from_nanos(clock.now()));
                let elsewhere =
                    if plan.operators.iter().any(|operator| operator.state == OperatorState::Elsewhere) {
                        observer.stage("starting a gateway elsewhere");
                        let state = StateDir::create()?;
                        Some((start(plan, launch, &state, &secret).await?, state))
                    } else {
                        None
                    };
                let address = TargetAddress::own(process.port());
                Ok(Self {
                    name: format!("{} at ws://{}", launch.name(), address.host),
                    ready_after,
                    address,
                    secret,
                    identities,
                    process: Some(process),
                    state: Some(state),
                    elsewhere,
                })
            }
            RunTarget::Foreign(foreign) => {
                refuse_what_needs_our_own(plan)?;
                Ok(Self {
                    address: foreign.address.clone(),
                    secret: foreign.secret.clone().unwrap_or_default(),
                    identities: Identities::secret(plan.seed, foreign.identity_secret),
                    process: None,
                    name: foreign.url.clone(),
                    ready_after: None,
                    state: None,
                    elsewhere: None,
                })
            }
        }
    }

    /// The `devices` command of the gateway that no client knows.
    #[must_use]
    pub fn elsewhere_command_line(&self) -> Option<CommandLine> {
        self.elsewhere.as_ref().and_then(|(process, _)| process.command_line())
    }

    /// Stops of our own gateways that ended otherwise than those of one without a fault.
    #[must_use]
    pub fn unclean_stops(&self) -> Vec<String> {
        let elsewhere = self.elsewhere.as_ref().map(|(process, _)| process);
        let processes = self.process.iter().chain(elsewhere);
        processes.flat_map(GatewayProcess::unclean_stops).cloned().collect()
    }

    /// Stops the gateway if it is ours. Gives its log, and removes its state directory.
    pub async fn down(&mut self, remarks: &mut Vec<String>) -> Option<Vec<u8>> {
        let process = self.process.as_mut()?;
        if let Err(error) = process.stop().await {
            remarks.push(error.to_string());
        }
        if let Some((process, _)) = &mut self.elsewhere
            && let Err(error) = process.stop().await
        {
            remarks.push(error.to_string());
        }
        let state = self.state.take()?;
        read_log(&state.log()).ok()
    }
}

/// A gateway of the plan's kind on a free port.
async fn start(
    plan: &Plan,
    launch: &Launch,
    state: &StateDir,
    secret: &str,
) -> Result<GatewayProcess, RunError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = port::free()?;
        state.write_config(launch, &plan.gateway, secret, port)?;
        let arguments = GatewayArguments {
            profile: plan.gateway.profile.to_string(),
            port,
            defect: plan.gateway.defect.clone(),
            time_scale: plan.time_scale,
        };
        match GatewayProcess::start(launch.clone(), arguments, state).await {
            Ok(process) => return Ok(process),
            // Another run may bind the port between our look and the gateway's.
            Err(TargetError::DiedAtStart { log, .. }) if tries < START_TRIES && port_was_taken(&log) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The log, or its end if it is longer than anyone will read.
fn read_log(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(LOG_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The in-repo gateway says "in use", node `EADDRINUSE`, and OpenClaw that another gateway is already listening.
fn port_was_taken(log: &str) -> bool {
    ["in use", "EADDRINUSE", "already listening"].iter().any(|sign| log.contains(sign))
}

fn refuse_what_needs_our_own(plan: &Plan) -> Result<(), RunError> {
    let refuse = |what: String| {
        Err(RunError::NotForForeign(format!(
            "{what}, which needs a gateway that the run starts; leave --target away, or use another scenario"
        )))
    };
    if let Some(fault) = plan.faults.first() {
        return refuse(format!("fault `{}` signals the gateway's process", fault.name));
    }
    if plan.steps.iter().any(|step| matches!(step, Step::Fault(_))) {
        return refuse("a step signals the gateway's process".to_owned());
    }
    if plan.steps.iter().any(|step| matches!(step, Step::Edit { .. })) {
        return refuse("a step edits the gateway's store".to_owned());
    }
    if let Some(cohort) = plan.cohorts.iter().find(|cohort| cohort.stored.is_some()) {
        return refuse(format!("cohort `{}` has stored devices", cohort.name));
    }
    if plan.gateway.stored_bystanders > 0 {
        return refuse("the scenario fills the gateway's store".to_owned());
    }
    if plan.gateway.defect.is_some() {
        return refuse("--defect switches a fault of the in-repo gateway on".to_owned());
    }
    Ok(())
}
