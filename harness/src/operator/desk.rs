//! One operator at work, until the run stops it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use protocol::Frame;
use protocol::pairing::{Decision as Resolution, PairList, PendingRequest, Resolved, event, method};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::asking;
use super::decision::{Decision, decide};
use super::latest::{self, Choice};
use super::session::{Lost, NoSession, OperatorIdentity, OperatorSession};
use super::upkeep::Chores;
use crate::client::DeviceKey;
use crate::clock::{Clock, nanos};
use crate::engine::{Feed, Told, Underway};
use crate::gateway::command_line::Said;
use crate::gateway::{CommandLine, TargetAddress};
use crate::history::{Notice, Operation, OperationEnd, OperationKind, Record};
use crate::observation::fingerprint;
use crate::plan::identity::Identities;
use crate::plan::{Approves, By, ClientId, Nanos, Notices, OperatorPlan, Plan};

/// Pause between attempts to get the session back.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// An operator hurries through at most this many decisions at once; the others wait for answers. Bounds what a stalled
/// gateway is sent.
const IN_FLIGHT_MAX: usize = 128;
/// Whoever could not do what was meant looks again after this long: the latest was another, or nobody knows whether it was done.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What an operator needs to know.
#[derive(Clone)]
pub struct DeskContext {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The run's clock.
    pub clock: Clock,
    /// Where the gateway is.
    pub target: TargetAddress,
    /// The gateway's shared secret.
    pub secret: String,
    /// Where records go.
    pub feed: Feed,
    /// Where clients hear of their approval who pause until then.
    pub told: Told,
    /// Clients by device id.
    pub devices: Arc<HashMap<String, ClientId>>,
    /// The gateway's own commands, if it has any that are known.
    pub command_line: Option<CommandLine>,
}

/// An operator with its session and its unfinished business.
pub struct Desk {
    context: DeskContext,
    position: u16,
    identity: OperatorIdentity,
    session: Option<OperatorSession>,
    /// Requests seen, so that an event and a listing of the same request are one notice.
    seen: HashSet<String>,
    requests_by_client: HashMap<ClientId, u32>,
    /// Decisions by the time they are due and their request: whose, and whether it is an approval.
    due: BTreeMap<(Nanos, String), (ClientId, bool)>,
    in_flight: HashMap<String, (Operation, Underway)>,
    /// Commands under way by number: at most one, as of a person at a terminal.
    running: HashMap<u64, (Operation, Underway)>,
    commands: JoinSet<(u64, Said, Nanos)>,
    commands_begun: u64,
    listing: Option<String>,
    list_at: Option<Nanos>,
    /// Listings that show the latest, and whose request was meant.
    looking: HashMap<String, (ClientId, String)>,
    /// It decides no earlier: it has a rate.
    not_before: Nanos,
    chores: Chores,
    /// Device ids of clients, if there are chores.
    device_ids: HashMap<ClientId, String>,
    /// Clients of which nobody knows whether they were approved.
    unsure: HashSet<ClientId>,
    /// Tokens that rotations gave out.
    secrets: HashSet<String>,
}

/// Why an operator cannot start work.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Its key could not be derived.
    #[error(transparent)]
    Key(#[from] crate::client::key::KeyError),
    /// It has no session.
    #[error("operator `{operator}` could not get a session: {why}")]
    NoSession {
        /// Name in the scenario.
        operator: String,
        /// What happened instead.
        why: NoSession,
    },
    /// It is to use a command line, and nobody knows that of the gateway.
    #[error(
        "operator `{operator}` works by command line, but {gateway} has no `devices` command that is known here; leave `by` \
         out, or run the in-repo gateway or a release of OpenClaw"
    )]
    NoCommandLine {
        /// Name in the scenario.
        operator: String,
        /// What was started.
        gateway: String,
    },
}

/// Who an operator is: its key is derived like a client's, its address lies where no client's does.
///
/// # Errors
/// [`DeskError::Key`]
pub fn identity(
    identities: &Identities,
    name: &str,
    position: u16,
    target: &TargetAddress,
) -> Result<OperatorIdentity, DeskError> {
    let key = DeviceKey::from_seed(&identities.key_seed(&format!("operator {name}"), 0))?;
    let [high, low] = position.to_be_bytes();
    let source = Ipv4Addr::new(127, 1, 250_u8.saturating_add(high), low.saturating_add(1));
    Ok(OperatorIdentity { key, source: target.is_loopback_v4().then_some(source) })
}

impl Desk {
    /// Gets operator `position` of the plan its first session.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn open(
        context: DeskContext,
        position: u16,
        identity: OperatorIdentity,
    ) -> Result<Self, DeskError> {
        let operator = context.plan.operators.get(usize::from(position));
        let chores = match operator {
            Some(operator) => Chores::new(&context.plan, operator),
            None => Chores::default(),
        };
        let device_ids = if chores.any() {
            context.devices.iter().map(|(id, client)| (*client, id.clone())).collect()
        } else {
            HashMap::new()
        };
        let mut desk = Self {
            context,
            position,
            identity,
            session: None,
            seen: HashSet::new(),
            requests_by_client: HashMap::new(),
            due: BTreeMap::new(),
            in_flight: HashMap::new(),
            running: HashMap::new(),
            commands: JoinSet::new(),
            commands_begun: 0,
            listing: None,
            list_at: None,
            looking: HashMap::new(),
            not_before: 0,
            chores,
            device_ids,
            unsure: HashSet::new(),
            secrets: HashSet::new(),
        };
        let session = desk.connect().await.map_err(|why| DeskError::NoSession {
            operator: desk.plan().map_or_else(String::new, |plan| plan.name.clone()),
            why,
        })?;
        desk.session = Some(session);
        Ok(desk)
    }

    /// Replaces the clock: operators are there before the run's time begins.
    pub fn start_clock(&mut self, clock: Clock) {
        self.context.clock = clock;
    }

    /// Works until `stop` says so, then leaves. Operations that have no answer by then are unknown. Gives the secrets that it
    /// was told.
    pub async fn work(mut self, mut stop: watch::Receiver<bool>) -> HashSet<String> {
        loop {
            let working = self.work_session();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Lost = working => {}
            }
            self.lose_session();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                session = self.reconnect() => self.session = Some(session),
            }
        }
        let session = self.session.take();
        self.lose_session();
        while let Some(ended) = self.commands.try_join_next() {
            if let Ok((number, said, at)) = ended {
                self.command_ended(number, &said, at);
            }
        }
        // What they asked for may have happened, or still will.
        self.commands.shutdown().await;
        for (_, (operation, _underway)) in self.running.drain() {
            self.context.feed.push(Record::Operation(operation));
        }
        if let Some(session) = session {
            session.close().await;
        }
        self.secrets
    }

    fn plan(&self) -> Option<&OperatorPlan> {
        self.context.plan.operators.get(usize::from(self.position))
    }

    async fn connect(&self) -> Result<OperatorSession, NoSession> {
        let DeskContext { plan, clock, target, secret, .. } = &self.context;
        let changed = self.context.feed.changed_secret();
        let secret = changed.as_deref().unwrap_or(secret);
        OperatorSession::open(plan, clock, target, secret, &self.identity).await
    }

    async fn reconnect(&self) -> OperatorSession {
        loop {
            match self.connect().await {
                Ok(session) => return session,
                Err(_) => tokio::time::sleep(RECONNECT_PAUSE).await,
            }
        }
    }

    /// What was in flight may or may not have happened; a listing after the reconnect shows what still waits.
    fn lose_session(&mut self) {
        self.session = None;
        self.listing = None;
        let now = self.context.clock.now();
        for (_, (client, request_id)) in self.looking.drain() {
            self.due.insert((now, request_id), (client, true));
        }
        for (_, (operation, _underway)) in self.in_flight.drain() {
            if let OperationKind::Approve { request_id } | OperationKind::Reject { request_id } =
                &operation.kind
            {
                self.seen.remove(request_id);
            }
            self.unsure.extend(approved(&operation));
            self.context.feed.push(Record::Operation(operation));
        }
    }

    async fn work_session(&mut self) -> Lost {
        // What was asked while this operator was away is only to be had by listing.
        if let Err(lost) = self.list().await {
            return lost;
        }
        let every = match self.plan().map(|plan| plan.notices) {
            Some(Notices::List(every)) => Some(every.mul_f64(self.context.plan.time_scale)),
            _ => None,
        };
        self.list_at = every.map(|every| self.context.clock.now() + nanos(every));
        loop {
            let due_at = self.due.first_key_value().map(|((at, _), _)| (*at).max(self.not_before));
            let (due_at, chore_at) = if self.is_busy() { (None, None) } else { (due_at, self.chores.next()) };
            let list_at = self.list_at;
            let clock = self.context.clock;
            let timer = |at: Option<Nanos>| async move {
                match at {
                    Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            let Some(session) = self.session.as_mut() else { return Lost };
            let step = tokio::select! {
                message = session.next() => match message {
                    Ok(message) => self.on_message(&message).await,
                    Err(lost) => Err(lost),
                },
                Some(ended) = self.commands.join_next(), if !self.commands.is_empty() => {
                    // One that was cut short has its record at the end of the run.
                    if let Ok((number, said, at)) = ended {
                        self.command_ended(number, &said, at);
                    }
                    Ok(())
                }
                () = timer(due_at) => self.act().await,
                () = timer(chore_at) => self.do_chore().await,
                () = timer(list_at) => {
                    self.list_at = every.map(|every| self.context.clock.now() + nanos(every));
                    self.list().await
                }
            };
            if let Err(lost) = step {
                return lost;
            }
        }
    }

    /// Whether it can do nothing more for now: it types one command after the other, and hurries through a bounded number of
    /// calls.
    fn is_busy(&self) -> bool {
        match self.plan().map(|plan| plan.by) {
            Some(By::CommandLine) => !self.running.is_empty(),
            _ => self.in_flight.len() + self.looking.len() >= IN_FLIGHT_MAX,
        }
    }

    async fn list(&mut self) -> Result<(), Lost> {
        if self.listing.is_some() {
            return Ok(());
        }
        let session = self.session.as_mut().ok_or(Lost)?;
        let id = session.fresh_id();
        self.listing = Some(id.clone());
        session.request(&id, method::LIST, &serde_json::json!({})).await?;
        Ok(())
    }

    /// Carries out the decision that has been due longest.
    async fn act(&mut self) -> Result<(), Lost> {
        let Some(((_, request_id), (client, approve))) = self.due.pop_first() else { return Ok(()) };
        if let Some(rate) = self.plan().and_then(|plan| plan.rate_max) {
            self.not_before = self.context.clock.now() + (1e9 / rate) as Nanos;
        }
        if approve && self.plan().is_some_and(|plan| plan.approves == Approves::Latest) {
            let session = self.session.as_mut().ok_or(Lost)?;
            let id = session.fresh_id();
            self.looking.insert(id.clone(), (client, request_id));
            return session.request(&id, method::LIST, &serde_json::json!({})).await;
        }
        let kind = if approve {
            OperationKind::Approve { request_id }
        } else {
            OperationKind::Reject { request_id }
        };
        self.carry_out(Some(client), kind).await
    }

    /// Approves what `--latest` of the release would, when the list has come.
    async fn approve_latest(
        &mut self,
        meant: (ClientId, String),
        pending: &[PendingRequest],
    ) -> Result<(), Lost> {
        let again = self.again();
        let (client, request_id) = meant;
        match latest::choose(pending, self.context.plan.gateway.profile) {
            Choice::Nobody => Ok(()),
            Choice::Several => {
                self.due.insert((again, request_id), (client, true));
                Ok(())
            }
            Choice::One(newest) => {
                let newest_id = newest.request_id.clone();
                if newest_id != request_id {
                    self.due.insert((again, request_id), (client, true));
                }
                // It is done with, and with it what this operator was about to do.
                self.due.retain(|(_, due), _| *due != newest_id);
                self.seen.insert(newest_id.clone());
                let whose = self.context.devices.get(&newest.device_id).copied();
                self.carry_out(whose, OperationKind::Approve { request_id: newest_id }).await
            }
        }
    }

    /// Does the chore that is due, if somebody is paired.
    async fn do_chore(&mut self) -> Result<(), Lost> {
        let now = self.context.clock.now();
        match self.chores.take(&self.context.plan, now) {
            Some((client, kind)) => self.carry_out(Some(client), kind).await,
            None => Ok(()),
        }
    }

    /// Asks the gateway for something, in the operator's way.
    async fn carry_out(&mut self, client: Option<ClientId>, kind: OperationKind) -> Result<(), Lost> {
        let device_id = client.and_then(|client| self.device_ids.get(&client)).cloned().unwrap_or_default();
        let by = self.plan().map_or(By::Session, |plan| plan.by);
        let invoked = self.context.clock.now();
        let underway = self.context.feed.begin(invoked);
        let operation = Operation {
            operator: self.position,
            client,
            kind: kind.clone(),
            caller: None,
            invoked,
            end: OperationEnd::Unknown,
        };
        if by == By::CommandLine {
            let words = asking::words(&kind, &device_id);
            if let Some((line, words)) = self.context.command_line.clone().zip(words) {
                self.commands_begun += 1;
                let (number, clock) = (self.commands_begun, self.context.clock);
                self.running.insert(number, (operation, underway));
                if matches!(kind, OperationKind::Approve { .. }) {
                    self.context.feed.approval_sent(invoked);
                }
                self.commands.spawn(async move {
                    let said = line.devices(&words).await;
                    (number, said, clock.now())
                });
            }
            return Ok(());
        }
        let Some((name, params)) = asking::call(&kind, &device_id) else { return Ok(()) };
        let session = self.session.as_mut().ok_or(Lost)?;
        let id = session.fresh_id();
        // Noted before it is sent: whatever cuts the sending short, part of it may have reached the gateway, and an
        // operation without an answer ends as unknown.
        self.in_flight.insert(id.clone(), (operation, underway));
        if matches!(kind, OperationKind::Approve { .. }) {
            self.context.feed.approval_sent(invoked);
        }
        session.request(&id, name, &params).await
    }

    fn command_ended(&mut self, number: u64, said: &Said, at: Nanos) {
        let Some((mut operation, _underway)) = self.running.remove(&number) else { return };
        operation.end = asking::end_of_command(said, at);
        let token = match said {
            Said::Done { stdout } => asking::printed_token(stdout),
            _ => None,
        };
        self.settle(operation, token);
    }

    /// An operation has its end: it is recorded, and whoever is concerned hears of it.
    fn settle(&mut self, mut operation: Operation, token: Option<String>) {
        if let (
            OperationKind::Approve { request_id } | OperationKind::Reject { request_id },
            OperationEnd::Unknown,
        ) = (&operation.kind, &operation.end)
        {
            // Nobody is told of a request twice: whoever asked looks whether it still waits.
            self.seen.remove(request_id);
            self.unsure.extend(approved(&operation));
            self.look_again();
        }
        if let OperationEnd::Done { at, token: seen } = &mut operation.end {
            match (&operation.kind, operation.client) {
                (OperationKind::Approve { .. }, Some(client)) => {
                    self.pairs(client);
                    self.unsure.remove(&client);
                    self.tell(client, *at);
                }
                (OperationKind::Remove | OperationKind::Revoke { .. }, Some(client)) => {
                    self.chores.gone(client);
                }
                (OperationKind::Rotate { .. }, _) => {
                    *seen = token.as_deref().map(fingerprint);
                    self.secrets.extend(token);
                }
                _ => {}
            }
        }
        self.context.feed.push(Record::Operation(operation));
    }

    /// When somebody who could not do what was meant tries again.
    fn again(&self) -> Nanos {
        self.context.clock.now() + nanos(LOOK_AGAIN.mul_f64(self.context.plan.time_scale))
    }

    fn look_again(&mut self) {
        let again = self.again();
        self.list_at = Some(self.list_at.map_or(again, |at| at.min(again)));
    }

    fn pairs(&mut self, client: ClientId) {
        let plan = &self.context.plan;
        if let Some(operator) = plan.operators.get(usize::from(self.position)) {
            self.chores.paired(plan, operator, client);
        }
    }

    /// Lets a client know that it is approved, if it waits for that.
    fn tell(&self, client: ClientId, at: Nanos) {
        let plan = &self.context.plan;
        let cohort = plan.clients.get(client as usize).map(|client| usize::from(client.cohort));
        let waits = cohort
            .and_then(|cohort| plan.cohorts.get(cohort))
            .is_some_and(|cohort| cohort.reconnect.told.is_some());
        if waits {
            self.context.told.approved(client, at);
        }
    }

    async fn on_message(&mut self, message: &[u8]) -> Result<(), Lost> {
        let now = self.context.clock.now();
        match Frame::decode(message) {
            Ok(Frame::Event(event)) if event.event == event::REQUESTED => {
                let by_event = self.plan().is_some_and(|plan| plan.notices == Notices::Event);
                let pending = event
                    .payload
                    .and_then(|payload| serde_json::from_str::<PendingRequest>(payload.get()).ok());
                if let Some(pending) = pending.filter(|_| by_event) {
                    self.notice(&pending, now);
                }
            }
            Ok(Frame::Event(event)) if event.event == event::RESOLVED && self.chores.any() => {
                let resolved =
                    event.payload.and_then(|payload| serde_json::from_str::<Resolved>(payload.get()).ok());
                let approved = resolved.filter(|resolved| resolved.decision == Resolution::Approved);
                if let Some(client) = approved.and_then(|it| self.context.devices.get(&it.device_id).copied())
                {
                    self.pairs(client);
                }
            }
            Ok(Frame::Response(response)) => {
                let is_listing = self.listing.as_deref() == Some(&*response.id);
                let meant = self.looking.remove(&*response.id);
                if is_listing || meant.is_some() {
                    let list =
                        response.payload.and_then(|list| serde_json::from_str::<PairList>(list.get()).ok());
                    match (list, meant) {
                        (Some(list), Some(meant)) => {
                            return self.approve_latest(meant, &list.pending).await;
                        }
                        (Some(list), None) => {
                            self.listing = None;
                            self.listed(&list, now);
                        }
                        // The gateway could not say; what waits there must not be forgotten.
                        (None, Some((client, request_id))) => {
                            self.due.insert((self.again(), request_id), (client, true));
                        }
                        (None, None) => {
                            self.listing = None;
                            self.look_again();
                        }
                    }
                } else if let Some((mut operation, _underway)) = self.in_flight.remove(&*response.id) {
                    operation.end = super::end_of_response(response.ok, response.error.as_ref(), now);
                    self.settle(operation, asking::rotated(message));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn listed(&mut self, list: &PairList, now: Nanos) {
        for pending in &list.pending {
            self.notice(pending, now);
        }
        if self.chores.any() || !self.unsure.is_empty() {
            for device in &list.paired {
                let Some(client) = self.context.devices.get(&device.device_id).copied() else { continue };
                self.pairs(client);
                let waits = || list.pending.iter().any(|pending| pending.device_id == device.device_id);
                if self.unsure.contains(&client) && !waits() {
                    self.unsure.remove(&client);
                    self.tell(client, now);
                }
            }
        }
    }

    fn notice(&mut self, pending: &PendingRequest, now: Nanos) {
        let Some(client) = self.context.devices.get(&pending.device_id).copied() else { return };
        if !self.seen.insert(pending.request_id.clone()) {
            return;
        }
        let request = self.requests_by_client.entry(client).or_default();
        *request += 1;
        let request = *request;
        self.context.feed.push(Record::Notice(Notice {
            operator: self.position,
            client: Some(client),
            request_id: pending.request_id.clone(),
            at: now,
        }));
        let decision = self
            .plan()
            .map_or(Decision::Ignore, |operator| decide(&self.context.plan, operator, client, request));
        let (think, approve) = match decision {
            Decision::Ignore => return,
            Decision::Approve(think) => (think, true),
            Decision::Reject(think) => (think, false),
        };
        self.due.insert((now + nanos(think), pending.request_id.clone()), (client, approve));
    }
}

/// The client that an operation approves.
fn approved(operation: &Operation) -> Option<ClientId> {
    operation.client.filter(|_| matches!(operation.kind, OperationKind::Approve { .. }))
}
