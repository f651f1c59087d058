//! One operator at work, until the run stops it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use protocol::Frame;
use protocol::pairing::{PairList, PendingRequest, RequestIdParams, event, method};
use tokio::sync::watch;

use super::decision::{Decision, decide};
use super::session::{Lost, NoSession, OperatorIdentity, OperatorSession};
use crate::client::DeviceKey;
use crate::clock::{Clock, nanos};
use crate::engine::{Feed, Told, Underway};
use crate::gateway::TargetAddress;
use crate::history::{Notice, Operation, OperationEnd, OperationKind, Record};
use crate::plan::identity::Identities;
use crate::plan::{ClientId, Nanos, Notices, OperatorPlan, Plan};

/// Pause between attempts to get the session back.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// An operator hurries through at most this many decisions at once; the others wait for answers. Bounds what a stalled
/// gateway is sent.
const IN_FLIGHT_MAX: usize = 128;

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
    listing: Option<String>,
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
        let mut desk = Self {
            context,
            position,
            identity,
            session: None,
            seen: HashSet::new(),
            requests_by_client: HashMap::new(),
            due: BTreeMap::new(),
            in_flight: HashMap::new(),
            listing: None,
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

    /// Works until `stop` says so, then leaves. Operations that have no answer by then are unknown.
    pub async fn work(mut self, mut stop: watch::Receiver<bool>) {
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
        if let Some(session) = session {
            session.close().await;
        }
    }

    fn plan(&self) -> Option<&OperatorPlan> {
        self.context.plan.operators.get(usize::from(self.position))
    }

    async fn connect(&self) -> Result<OperatorSession, NoSession> {
        let DeskContext { plan, clock, target, secret, .. } = &self.context;
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
        for (_, (operation, _underway)) in self.in_flight.drain() {
            if let OperationKind::Approve { request_id } | OperationKind::Reject { request_id } =
                &operation.kind
            {
                self.seen.remove(request_id);
            }
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
        let mut list_at = every.map(|every| self.context.clock.now() + nanos(every));
        loop {
            let due_at = self
                .due
                .first_key_value()
                .map(|((at, _), _)| *at)
                .filter(|_| self.in_flight.len() < IN_FLIGHT_MAX);
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
                    Ok(message) => { self.on_message(&message); Ok(()) }
                    Err(lost) => Err(lost),
                },
                () = timer(due_at) => self.act().await,
                () = timer(list_at) => {
                    list_at = every.map(|every| self.context.clock.now() + nanos(every));
                    self.list().await
                }
            };
            if let Err(lost) = step {
                return lost;
            }
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
        let (name, kind) = if approve {
            (method::APPROVE, OperationKind::Approve { request_id: request_id.clone() })
        } else {
            (method::REJECT, OperationKind::Reject { request_id: request_id.clone() })
        };
        let invoked = self.context.clock.now();
        let underway = self.context.feed.begin(invoked);
        let operation = Operation {
            operator: self.position,
            client: Some(client),
            kind,
            caller: None,
            invoked,
            end: OperationEnd::Unknown,
        };
        let session = self.session.as_mut().ok_or(Lost)?;
        let id = session.fresh_id();
        // Noted before it is sent: whatever cuts the sending short, part of it may have reached the gateway, and an
        // operation without an answer ends as unknown.
        self.in_flight.insert(id.clone(), (operation, underway));
        if approve {
            self.context.feed.approval_sent(invoked);
        }
        session.request(&id, name, &RequestIdParams { request_id }).await
    }

    fn on_message(&mut self, message: &[u8]) {
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
            Ok(Frame::Response(response)) => {
                if self.listing.as_deref() == Some(&*response.id) {
                    self.listing = None;
                    let list =
                        response.payload.and_then(|list| serde_json::from_str::<PairList>(list.get()).ok());
                    for pending in list.map(|list| list.pending).unwrap_or_default() {
                        self.notice(&pending, now);
                    }
                } else if let Some((mut operation, _underway)) = self.in_flight.remove(&*response.id) {
                    operation.end = super::end_of_response(response.ok, response.error.as_ref(), now);
                    self.context.feed.push(Record::Operation(operation));
                }
            }
            _ => {}
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
