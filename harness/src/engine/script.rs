//! One client from its first attempt to the end of its script.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::attempt::{Attempt, Ended, MESSAGE_BYTES_MAX, close_seen, finish_closing};
use super::dial::Socket;
use super::ears::Ears;
use super::feed::StopPhase;
use super::shared::Shared;
use crate::client::first_message::Purse;
use crate::client::reconnect::{self, Next};
use crate::client::upgrade::{self, UpgradeHeaders};
use crate::client::{Credentials, DeviceKey, Sender};
use crate::clock::nanos;
use crate::history::{EndedBy, Record, SessionEnd};
use crate::observation::fingerprint;
use crate::observation::{CloseSeen, DropReason, Observation, Outcome, Stamps};
use crate::plan::{AuthMode, ClientId, Cohort, Nanos, PlannedClient, route, stream};
use crate::vocabulary::persona;

/// What one client is and holds.
pub(super) struct Client {
    shared: Rc<Shared>,
    id: ClientId,
    planned: PlannedClient,
    key: DeviceKey,
    headers: UpgradeHeaders,
    rng: ChaCha8Rng,
    stop: watch::Receiver<StopPhase>,
    attempts: u32,
    first_token: Option<String>,
    last_token: Option<String>,
}

/// How a wait ended.
enum Waited {
    Elapsed,
    Stopped,
}

impl Client {
    /// Makes client `id` of the plan; `None` when its key cannot be derived or the id is not the plan's.
    pub(super) fn new(shared: &Rc<Shared>, id: ClientId) -> Option<Self> {
        let plan = &shared.plan;
        let planned = plan.clients.get(usize::try_from(id).ok()?)?.clone();
        let cohort = plan.cohorts.get(usize::from(planned.cohort))?;
        let key = DeviceKey::from_seed(&shared.identities.key_seed(&cohort.name, planned.index)).ok()?;
        let traits = persona::profile(cohort.connect.persona, plan.gateway.profile);
        let headers =
            upgrade::headers(&cohort.connect, &shared.target.host, planned.forwarded, traits.headers);
        // A fixture's token is one the client has had since before the run.
        let stored = cohort.stored.as_ref().filter(|stored| stored.tokens).and_then(|stored| {
            let role = cohort.connect.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR);
            let held = stored.roles.iter().find(|held| *held == role).or_else(|| stored.roles.first())?;
            Some(shared.identities.stored_token(&cohort.name, planned.index, held))
        });
        if let Some(token) = &stored {
            shared.learn_secret(token);
        }
        Some(Self {
            rng: stream(plan.seed, "client", &cohort.name, planned.index),
            stop: shared.stop.clone(),
            shared: Rc::clone(shared),
            id,
            planned,
            key,
            headers,
            attempts: 0,
            first_token: stored.clone(),
            last_token: stored,
        })
    }

    /// Runs the script. `intended` is when the first attempt was due.
    pub(super) async fn run(mut self, intended: Nanos) {
        let shared = Rc::clone(&self.shared);
        let Some(cohort) = shared.plan.cohorts.get(usize::from(self.planned.cohort)) else { return };
        let mut intended = intended;
        let mut failures = 0;
        let mut reconnects_left = cohort.session.reconnects;
        while self.phase() == StopPhase::Running {
            let (outcome, session) = self.attempt(cohort, 0, intended).await;
            let pause = if let Some(socket) = session {
                failures = 0;
                let left_by_itself = self.hold(cohort, socket).await;
                if left_by_itself {
                    if reconnects_left == 0 {
                        break;
                    }
                    reconnects_left -= 1;
                }
                reconnect::pause(&cohort.reconnect, 1, shared.plan.time_scale, &mut self.rng)
            } else {
                failures += 1;
                let scale = shared.plan.time_scale;
                match reconnect::after_failure(&cohort.reconnect, &outcome, failures, scale, &mut self.rng) {
                    Next::GiveUp => break,
                    Next::Retry(pause) => pause,
                }
            };
            intended = shared.clock.now() + nanos(pause);
            if matches!(self.wait_until(intended).await, Waited::Stopped) {
                break;
            }
        }
        shared.feed.progress().finished.fetch_add(1, Ordering::Relaxed);
    }

    fn phase(&self) -> StopPhase {
        *self.stop.borrow()
    }

    async fn wait_until(&mut self, at: Nanos) -> Waited {
        let sleeping = tokio::time::sleep_until(self.shared.clock.instant(at));
        tokio::select! {
            () = sleeping => Waited::Elapsed,
            _ = self.stop.wait_for(|phase| *phase != StopPhase::Running) => Waited::Stopped,
        }
    }

    /// Makes the client's next attempt, with connect `ask` of its cohort ([`Cohort::ask`]).
    pub(super) async fn attempt(
        &mut self,
        cohort: &Cohort,
        ask: u16,
        intended: Nanos,
    ) -> (Outcome, Option<Socket>) {
        let shared = Rc::clone(&self.shared);
        let number = self.attempts;
        self.attempts += 1;
        let spec = cohort.ask(ask).unwrap_or(&cohort.connect);
        let traits = persona::profile(spec.persona, shared.plan.gateway.profile);
        let other;
        let (source, headers) = if ask == 0 {
            (self.planned.source, &self.headers)
        } else {
            let cohorts = shared.plan.cohorts.len();
            let release = shared.plan.gateway.profile;
            let (source, forwarded) =
                route(release, &spec.path, self.planned.cohort, cohorts, self.planned.index);
            other = upgrade::headers(spec, &shared.target.host, forwarded, traits.headers);
            (source, &other)
        };
        let credentials = Credentials::pick(
            spec.credential,
            Purse {
                shared: &shared.secret,
                password_mode: shared.plan.gateway.auth == AuthMode::Password,
                last_token: self.last_token.as_deref(),
                first_token: self.first_token.as_deref(),
                token_in: traits.device_token_in,
            },
        );
        let ended = match shared.enter() {
            None => dropped(DropReason::InFlightLimit),
            Some(_place) => {
                let attempt = Attempt {
                    clock: &shared.clock,
                    target: &shared.target,
                    source: shared.target.is_loopback_v4().then_some(source),
                    headers,
                    sender: Sender { spec, persona: traits, key: &self.key, credentials: &credentials },
                    timeout: shared.plan.attempt_timeout,
                    message_bytes_max: MESSAGE_BYTES_MAX,
                };
                let mut stop = self.stop.clone();
                tokio::select! {
                    biased;
                    ended = attempt.make() => ended,
                    _ = stop.wait_for(|phase| *phase == StopPhase::Cut) => dropped(DropReason::RunEnded),
                }
            }
        };
        if let Some(token) = &ended.issued_token {
            self.receive(token);
        }
        shared.keep_transcript(self.id, number, ended.transcript);
        shared.feed.push(Record::Attempt(Observation {
            client: self.id,
            attempt: number,
            ask,
            intended,
            stamps: ended.stamps,
            presented_token: credentials.device_token().map(fingerprint),
            outcome: ended.outcome.clone(),
        }));
        (ended.outcome, ended.session)
    }

    /// The client was given a device token.
    pub(super) fn receive(&mut self, token: &str) {
        self.shared.learn_secret(token);
        self.first_token.get_or_insert_with(|| token.to_owned());
        self.last_token = Some(token.to_owned());
    }

    /// Number of the client's last attempt.
    pub(super) const fn last_attempt(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// Its device id.
    pub(super) fn device_id(&self) -> &str {
        self.key.device_id()
    }

    /// The plan's idea of it.
    pub(super) const fn planned(&self) -> &PlannedClient {
        &self.planned
    }

    /// Holds a session. True when the client left by itself, false when it was closed.
    async fn hold(&mut self, cohort: &Cohort, mut socket: Socket) -> bool {
        let shared = Rc::clone(&self.shared);
        let held = &shared.feed.progress().held;
        held.fetch_add(1, Ordering::Relaxed);
        let leave_at = cohort.session.hold.map(|range| {
            let hold = reconnect::draw(range, &mut self.rng).mul_f64(shared.plan.time_scale);
            shared.clock.now() + nanos(hold)
        });
        let leaving = async {
            match leave_at {
                Some(at) => tokio::time::sleep_until(shared.clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        let mut stop = self.stop.clone();
        let mut ears = Ears::new(&shared, self.id, self.last_attempt());
        let by = tokio::select! {
            close = until_closed(&mut socket, &mut ears) => EndedBy::Gateway(close),
            () = leaving => EndedBy::Client,
            _ = stop.wait_for(|phase| *phase != StopPhase::Running) => EndedBy::Client,
        };
        held.fetch_sub(1, Ordering::Relaxed);
        let at = shared.clock.now();
        let by_client = by == EndedBy::Client;
        shared.feed.push(Record::SessionEnd(SessionEnd {
            client: self.id,
            attempt: self.attempts.saturating_sub(1),
            at,
            by,
        }));
        if by_client {
            leave(&mut socket).await;
        }
        by_client
    }
}

fn dropped(reason: DropReason) -> Ended {
    Ended {
        stamps: Stamps::default(),
        outcome: Outcome::Dropped(reason),
        session: None,
        issued_token: None,
        transcript: Vec::new(),
    }
}

/// Reads what the gateway says until it closes.
async fn until_closed(socket: &mut Socket, ears: &mut Ears) -> CloseSeen {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(frame))) => {
                let close = close_seen(frame.as_ref());
                finish_closing(socket).await;
                return close;
            }
            Some(Ok(Message::Text(text))) => ears.hear(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => ears.hear(&bytes),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return CloseSeen::Abrupt,
        }
    }
}

/// Leaves as the official clients do: close 1000, then the gateway closes TCP.
pub(super) async fn leave(socket: &mut Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let sending = socket.send(Message::Close(Some(frame)));
    if tokio::time::timeout(Duration::from_secs(1), sending).await.is_ok_and(|sent| sent.is_ok()) {
        finish_closing(socket).await;
    }
}
