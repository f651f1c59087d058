//! A story: the plan's steps, carried out strictly one after the other.
//!
//! A step ends when its effect was seen: a connect with its outcome (and, unless it stays, after the client has left), an
//! action with its answer, a restart when an operator has a session again. So an outcome depends on the steps before
//! it and on nothing else, and the same story told to two gateways can be compared step by step.

mod operator;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use protocol::Frame;
use protocol::pairing::{DeviceIdParams, RequestIdParams, RevokeParams, RotateParams, method};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use crate::clock::nanos;
use crate::engine::held::NoAnswer;
use crate::engine::{Assignment, Held, Puppets, ReactorOutput, StopPhase};
use crate::gateway::{GatewayProcess, TargetError, store_edit};
use crate::history::{Caller, Fault, Operation, OperationEnd, OperationKind, Record, STEPS};
use crate::nemesis;
use crate::observation::fingerprint;
use crate::plan::{Action, ClientId, FaultKind, OracleMode, Plan, Request, Step, StoreEdit};
use operator::StoryOperator;

/// A request that no gateway ever made: what is approved when a client was told of none.
const NO_REQUEST: &str = "00000000-0000-4000-8000-000000000000";

/// The gateway's process, if it is ours.
pub struct OwnGateway<'p> {
    /// The process.
    pub process: &'p mut GatewayProcess,
    /// Told after every restart, because the process is then another one.
    pub restarted: &'p dyn Fn(&GatewayProcess),
}

/// Tells the plan's story, then guards the process until `stop`. `devices` are the clients by device id.
///
/// # Errors
/// [`TargetError`] when the gateway does not survive a step, or gives the story's operator no session. What happened
/// until then has been handed over as records.
pub async fn tell(
    assignment: Assignment,
    gateway: Option<OwnGateway<'_>>,
    devices: Arc<HashMap<String, ClientId>>,
    stop: watch::Receiver<bool>,
) -> (ReactorOutput, Result<(), TargetError>) {
    let local = tokio::task::LocalSet::new();
    local.run_until(tell_here(assignment, gateway, devices, stop)).await
}

async fn tell_here(
    assignment: Assignment,
    mut gateway: Option<OwnGateway<'_>>,
    devices: Arc<HashMap<String, ClientId>>,
    mut stop: watch::Receiver<bool>,
) -> (ReactorOutput, Result<(), TargetError>) {
    let plan = Arc::clone(&assignment.plan);
    let mut phase = assignment.stop.clone();
    let operator = StoryOperator::new(&assignment);
    let mut story = Story { puppets: Puppets::new(&assignment), operator, assignment, devices, step: 0 };
    let mut told = Ok(());
    if plan.oracle == OracleMode::Profile && plan.steps.iter().any(|step| matches!(step, Step::Act { .. })) {
        // There before the first step, so that what pairs it belongs to nobody's step.
        told = story.operator.session().await.map(|_| ());
    }
    for step in &plan.steps {
        if told.is_err() || *phase.borrow() != StopPhase::Running {
            break;
        }
        story.step += 1;
        told = match (step, &mut gateway) {
            // What has begun is carried to its end even when the run stops: a half-restarted gateway is no evidence.
            (Step::Fault(kind), Some(own)) => story.fault(*kind, own).await,
            (Step::Edit { client, edit }, Some(own)) => {
                story.edit(*client, edit, own.process.state_dir()).await
            }
            (_, own) => tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase == StopPhase::Cut) => break,
                died = died(own.as_mut()) => Err(died),
                done = story.step(step) => done,
            },
        };
    }
    let Story { puppets, operator, assignment, .. } = story;
    let output = puppets.finish().await;
    operator.leave().await;
    // Says that the story is over: a run without other clients ends here.
    drop(assignment);
    if told.is_ok() {
        told = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            died = died(gateway.as_mut()) => Err(died),
        };
    }
    (output, told)
}

/// Resolves when a process of our own ends unasked.
async fn died(own: Option<&mut OwnGateway<'_>>) -> TargetError {
    match own {
        Some(own) => match own.process.wait().await {
            Ok(status) => own.process.died(status),
            Err(error) => error,
        },
        None => std::future::pending().await,
    }
}

struct Story {
    assignment: Assignment,
    puppets: Puppets,
    operator: StoryOperator,
    devices: Arc<HashMap<String, ClientId>>,
    /// Number of the step under way, counted from 1.
    step: usize,
}

/// The part of a listing that says who waits; other keys differ between releases.
#[derive(Deserialize)]
struct Waiting {
    pending: Vec<WaitingRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitingRequest {
    request_id: String,
    device_id: String,
    ts: u64,
}

impl Story {
    fn plan(&self) -> &Plan {
        &self.assignment.plan
    }

    async fn step(&mut self, step: &Step) -> Result<(), TargetError> {
        match step {
            Step::Connect(connect) => self.puppets.connect(connect.client, connect.ask, connect.hold).await,
            Step::Leave(client) => self.puppets.leave(*client).await,
            Step::Act { action, by } => self.act(action, *by).await?,
            Step::Wait(pause) => {
                let until = self.assignment.clock.now() + nanos(pause.mul_f64(self.plan().time_scale));
                tokio::time::sleep_until(self.assignment.clock.instant(until)).await;
            }
            // Only a gateway of our own has a store and a process to reach; a run with another refuses such a plan.
            Step::Edit { .. } | Step::Fault(_) => {}
        }
        Ok(())
    }

    async fn act(&mut self, action: &Action, by: Option<ClientId>) -> Result<(), TargetError> {
        match action {
            Action::Approve(request) => {
                let (client, request_id) = self.request(request).await?;
                let params = RequestIdParams { request_id: request_id.clone() };
                self.operation(
                    by,
                    client,
                    OperationKind::Approve { request_id },
                    method::APPROVE,
                    &params,
                    None,
                )
                .await
            }
            Action::Reject(request) => {
                let (client, request_id) = self.request(request).await?;
                let params = RequestIdParams { request_id: request_id.clone() };
                self.operation(
                    by,
                    client,
                    OperationKind::Reject { request_id },
                    method::REJECT,
                    &params,
                    None,
                )
                .await
            }
            Action::Remove(client) => {
                let Some(device_id) = self.puppets.device_id(*client) else { return Ok(()) };
                let params = DeviceIdParams { device_id };
                self.operation(by, Some(*client), OperationKind::Remove, method::REMOVE, &params, None).await
            }
            Action::Rotate { client, role, scopes, give } => {
                let Some(device_id) = self.puppets.device_id(*client) else { return Ok(()) };
                let params = RotateParams { device_id, role: role.clone(), scopes: scopes.clone() };
                let kind = OperationKind::Rotate { role: role.clone(), scopes: scopes.clone() };
                self.operation(by, Some(*client), kind, method::ROTATE, &params, Some(*give)).await
            }
            Action::Revoke { client, role } => {
                let Some(device_id) = self.puppets.device_id(*client) else { return Ok(()) };
                let params = RevokeParams { device_id, role: role.clone() };
                let kind = OperationKind::Revoke { role: role.clone() };
                self.operation(by, Some(*client), kind, method::REVOKE, &params, None).await
            }
        }
    }

    /// Whose request is meant, and its id.
    async fn request(&mut self, request: &Request) -> Result<(Option<ClientId>, String), TargetError> {
        match request {
            Request::Of(client) => {
                let known = self.puppets.request_id(*client).unwrap_or(NO_REQUEST).to_owned();
                Ok((Some(*client), known))
            }
            Request::Latest => {
                let session = self.operator.session().await?;
                let listed = session.call(method::LIST, &json!({})).await.ok();
                let waiting = listed.as_deref().and_then(|bytes| match Frame::decode(bytes) {
                    Ok(Frame::Response(response)) => {
                        serde_json::from_str::<Waiting>(response.payload?.get()).ok()
                    }
                    _ => None,
                });
                // Of several with the same time the one listed last.
                let newest = waiting.and_then(|waiting| waiting.pending.into_iter().max_by_key(|it| it.ts));
                Ok(match newest {
                    Some(newest) => (self.devices.get(&newest.device_id).copied(), newest.request_id),
                    None => (None, NO_REQUEST.to_owned()),
                })
            }
        }
    }

    /// Calls a method, and notes what was done and how it ended. `give`: the answer may hold a token, which the client is
    /// told if it says so.
    async fn operation(
        &mut self,
        by: Option<ClientId>,
        client: Option<ClientId>,
        kind: OperationKind,
        method: &str,
        params: &impl Serialize,
        give: Option<bool>,
    ) -> Result<(), TargetError> {
        let (caller, session): (_, Option<Held>) = match by {
            Some(by) => match self.puppets.session(by) {
                Some((attempt, held)) => (Some(Caller { client: by, attempt }), Some(held)),
                None => (None, None),
            },
            None => (None, Some(self.operator.session().await?)),
        };
        let clock = self.assignment.clock;
        let invoked = clock.now();
        let _underway = self.assignment.feed.begin(invoked);
        let answer = match &session {
            Some(session) => session.call(method, params).await,
            None => Err(NoAnswer),
        };
        let at = clock.now();
        let mut end = match (&session, &answer) {
            // A client without a session can ask for nothing.
            (None, _) => {
                let message = "the client holds no session".to_owned();
                OperationEnd::Refused { at, code: String::new(), message }
            }
            (Some(_), Ok(bytes)) => crate::operator::end_of(bytes, at),
            (Some(_), Err(NoAnswer)) => OperationEnd::Unknown,
        };
        if let (Some(give), Some(client), Ok(bytes), OperationEnd::Done { token, .. }) =
            (give, client, &answer, &mut end)
            && let Some(secret) = crate::operator::asking::rotated(bytes)
        {
            *token = Some(fingerprint(&secret));
            self.puppets.receive_token(client, &secret, give);
        }
        self.assignment.feed.push(Record::Operation(Operation {
            operator: STEPS,
            client,
            kind,
            caller,
            invoked,
            end,
        }));
        Ok(())
    }

    async fn edit(
        &mut self,
        client: ClientId,
        edit: &StoreEdit,
        state_dir: &Path,
    ) -> Result<(), TargetError> {
        let Some(device_id) = self.puppets.device_id(client) else { return Ok(()) };
        let invoked = self.assignment.clock.now();
        let _underway = self.assignment.feed.begin(invoked);
        let edited = store_edit::apply(state_dir, &device_id, edit);
        let at = self.assignment.clock.now();
        let operation = Operation::edit(client, edit, (invoked, at), edited.as_ref().ok().copied());
        self.assignment.feed.push(Record::Operation(operation));
        edited.map(|_| ())
    }

    async fn fault(&mut self, kind: FaultKind, own: &mut OwnGateway<'_>) -> Result<(), TargetError> {
        let Assignment { clock, target, feed, .. } = &self.assignment;
        let began = clock.now();
        let underway = feed.begin(began);
        let mut record =
            Fault { name: format!("step {}", self.step), kind, began, ended: None, restart: None };
        let done = nemesis::inflict(own.process, &mut record, target, *clock).await;
        feed.push(Record::Fault(record));
        drop(underway);
        done?;
        if matches!(kind, FaultKind::Restart { .. }) {
            (own.restarted)(own.process);
            // The port is open before 2026.9.6 is ready; whom it lets in is not the next step's business.
            self.operator.lost();
            if self.plan().oracle == OracleMode::Profile {
                self.operator.session().await?;
            }
        }
        Ok(())
    }
}
