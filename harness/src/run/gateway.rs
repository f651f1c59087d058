//! Brings the target of a run up, and down again.

use std::sync::Arc;

use super::{Observer, RunError, RunTarget};
use crate::gateway::process::GatewayArguments;
use crate::gateway::{GatewayProcess, StateDir, TargetAddress, TargetError, fixture, port};
use crate::plan::identity::Identities;
use crate::plan::{Plan, Step};

/// How often another port is tried when somebody else took the chosen one first.
const START_TRIES: usize = 5;

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
    state: Option<StateDir>,
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
            RunTarget::Own(command) => {
                observer.stage("starting the gateway");
                let identities = Identities::reproducible(plan.seed);
                let secret = identities.shared_secret();
                let state = StateDir::create()?;
                state.write_config(&plan.gateway, &secret)?;
                fixture::write(&state, plan, &identities)?;
                let mut tries = 0;
                let process = loop {
                    tries += 1;
                    let arguments = GatewayArguments {
                        profile: plan.gateway.profile.to_string(),
                        port: port::free()?,
                        defect: plan.gateway.defect.clone(),
                        time_scale: plan.time_scale,
                    };
                    match GatewayProcess::start(command.clone(), arguments, &state).await {
                        Ok(process) => break process,
                        // Another run may bind the port between our look and the gateway's.
                        Err(TargetError::DiedAtStart { log, .. })
                            if tries < START_TRIES && log.contains("in use") => {}
                        Err(error) => return Err(error.into()),
                    }
                };
                let address = TargetAddress::own(process.port());
                Ok(Self {
                    name: format!("in-repo gateway at ws://{}", address.host),
                    address,
                    secret,
                    identities,
                    process: Some(process),
                    state: Some(state),
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
                    state: None,
                })
            }
        }
    }

    /// Stops the gateway if it is ours. Gives its log, and removes its state directory.
    pub async fn down(&mut self, remarks: &mut Vec<String>) -> Option<Vec<u8>> {
        let process = self.process.as_mut()?;
        if let Err(error) = process.stop().await {
            remarks.push(error.to_string());
        }
        let state = self.state.take()?;
        std::fs::read(state.log()).ok()
    }
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
