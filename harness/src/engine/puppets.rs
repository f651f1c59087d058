//! Clients that do what they are told, one thing after the other: the cast of a story.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::assignment::{Assignment, ReactorOutput};
use super::client::Client;
use super::conversation::Conversation;
use super::ears::{Ears, Listener};
use super::feed::StopPhase;
use super::held::Held;
use super::shared::Shared;
use super::single::{Ended, Single};
use crate::history::{EndedBy, Record, SessionEnd};
use crate::observation::{DropReason, Observation, Outcome, Stamps};
use crate::plan::{ClientId, Nanos};

/// The clients of a story and the sessions they hold. Must be used inside a [`tokio::task::LocalSet`].
pub struct Puppets {
    shared: Rc<Shared>,
    clients: HashMap<ClientId, Puppet>,
    sessions: JoinSet<()>,
}

struct Puppet {
    client: Client,
    /// Sessions it holds, or held until the gateway ended them, each with the attempt that opened it.
    held: Vec<(u32, Held)>,
    /// The pending request it was told of last.
    request_id: Option<String>,
}

impl Puppets {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(assignment: &Assignment) -> Self {
        // A story has few records, and after each there may be none for long: they do not wait for one another.
        let shared = Shared::with(assignment, assignment.feed.lane_at_once());
        Self { shared: Rc::new(shared), clients: HashMap::new(), sessions: JoinSet::new() }
    }

    fn puppet(&mut self, id: ClientId) -> Option<&mut Puppet> {
        if !self.clients.contains_key(&id) {
            let client = Client::new(&self.shared, id)?;
            self.clients.insert(id, Puppet { client, held: Vec::new(), request_id: None });
        }
        self.clients.get_mut(&id)
    }

    /// Lets a client connect with `ask`. A session is kept if it is to `hold` it, and left at once if not.
    pub async fn connect(&mut self, id: ClientId, ask: u16, hold: bool) {
        let shared = Rc::clone(&self.shared);
        let Some(puppet) = self.puppet(id) else { return };
        let Some((outcome, session)) = attempt(&shared, &mut puppet.client, ask, shared.clock.now()).await
        else {
            return;
        };
        if let Outcome::Refused(refusal) = &outcome
            && let Some(request_id) = &refusal.request_id
        {
            puppet.request_id = Some(request_id.clone());
        }
        let attempt = puppet.client.last_attempt();
        let Some(mut session) = session else { return };
        if !hold {
            let end = SessionEnd { client: id, attempt, at: shared.clock.now(), by: EndedBy::Client };
            shared.lane.push(&Record::SessionEnd(end));
            session.leave().await;
            return;
        }
        self.keep(id, attempt, session);
    }

    fn keep(&mut self, client: ClientId, attempt: u32, session: Conversation) {
        let shared = Rc::clone(&self.shared);
        let listener = Listener { shared: Rc::clone(&shared), client, attempt, ears: Ears::default() };
        let (held, keeping) = Held::listening(session, Some(listener));
        if let Some(puppet) = self.clients.get_mut(&client) {
            puppet.held.push((attempt, held));
        }
        self.sessions.spawn_local(async move {
            let count = &shared.feed.progress().held;
            count.fetch_add(1, Ordering::Relaxed);
            let by = keeping.await;
            count.fetch_sub(1, Ordering::Relaxed);
            let at = shared.clock.now();
            shared.lane.push(&Record::SessionEnd(SessionEnd { client, attempt, at, by }));
        });
    }

    /// Lets a client leave every session it holds.
    pub async fn leave(&mut self, id: ClientId) {
        let held = self.clients.get_mut(&id).map(|puppet| std::mem::take(&mut puppet.held));
        for (_, session) in held.unwrap_or_default() {
            session.leave().await;
        }
    }

    /// The session that a client took last, if it keeps one, and the attempt that opened it; it may have ended since.
    #[must_use]
    pub fn session(&self, id: ClientId) -> Option<(u32, Held)> {
        self.clients.get(&id)?.held.last().cloned()
    }

    /// The pending request that a client was told of last.
    #[must_use]
    pub fn request_id(&self, id: ClientId) -> Option<&str> {
        self.clients.get(&id)?.request_id.as_deref()
    }

    /// A client's device id; `None` if the id is not the plan's.
    #[must_use]
    pub fn device_id(&mut self, id: ClientId) -> Option<String> {
        Some(self.puppet(id)?.client.key().device_id().to_owned())
    }

    /// A secret that the gateway gave out, to be kept from every file; a client may be told it.
    pub fn receive_token(&mut self, id: ClientId, token: &str, tell: bool) {
        self.shared.learn_secret(&token.into());
        let shared = Rc::clone(&self.shared);
        if tell && let Some(puppet) = self.puppet(id) {
            puppet.client.receive(&shared, token);
        }
    }

    /// Everybody leaves; what was kept for the end of the run is handed over.
    pub async fn finish(mut self) -> ReactorOutput {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.leave(client).await;
        }
        while self.sessions.join_next().await.is_some() {}
        let finished = self.clients.len() as u64;
        self.shared.feed.progress().finished.fetch_add(finished, Ordering::Relaxed);
        self.shared.take_output()
    }
}

/// Lets a client make its next attempt, with connect `ask` of its cohort, and records it. `None` when the plan has no such
/// connect.
async fn attempt(
    shared: &Shared,
    client: &mut Client,
    ask: u16,
    intended: Nanos,
) -> Option<(Outcome, Option<Conversation>)> {
    let number = client.begin_attempt();
    let who = (client.id(), number);
    let route = client.route(shared, ask)?;
    let (_, spec, prepared) = shared.ask(client.planned().cohort, ask)?;
    let terms = client.terms(shared, spec, prepared);
    let presented_token = client.presented(&terms);
    let ended = match (shared.enter(), route.opening) {
        (None, _) => not_started(Outcome::Dropped(DropReason::InFlightLimit)),
        (_, Err(error)) => not_started(Outcome::Unreachable { error }),
        (Some(_place), Ok(opening)) => {
            let single = Single {
                who,
                target: &shared.target,
                source: shared.target.is_loopback_v4().then_some(route.source),
                opening: &opening,
                terms,
                timeout: shared.plan.attempt_timeout,
            };
            let mut stop = shared.stop.clone();
            tokio::select! {
                biased;
                ended = single.make(&shared.bench) => ended,
                _ = stop.wait_for(|phase| *phase == StopPhase::Cut) => {
                    not_started(Outcome::Dropped(DropReason::RunEnded))
                }
            }
        }
    };
    if let Some(token) = &ended.issued_token {
        client.receive(shared, token);
    }
    shared.lane.push(&Record::Attempt(Observation {
        client: who.0,
        attempt: who.1,
        ask,
        step: None,
        intended,
        stamps: ended.stamps,
        presented_token,
        outcome: ended.outcome.clone(),
    }));
    Some((ended.outcome, ended.session))
}

fn not_started(outcome: Outcome) -> Ended {
    Ended { stamps: Stamps::default(), outcome, session: None, issued_token: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Feed;
    use crate::gateway::TargetAddress;
    use crate::history::{Header, Log};
    use crate::plan::identity::Identities;
    use crate::record::test_support::Story;

    #[test]
    fn what_a_storys_clients_heard_and_did_is_on_disk_at_once_and_in_its_order() {
        let plan = Story::new(&[("phones", 1)]).plan;
        let header = Header {
            scenario: String::new(),
            scenario_sha256: String::new(),
            seed: 0,
            clients: 1,
            started_at: 0,
            pairstorm: String::new(),
        };
        let written = tempfile::NamedTempFile::new().unwrap();
        let file = Arc::new(std::fs::File::options().read(true).write(true).open(written.path()).unwrap());
        let (feed, outlet) = Feed::new();
        let _writer = outlet.start(Arc::clone(&file), &header).unwrap();
        let (_stop, stop) = watch::channel(StopPhase::Running);
        let puppets = Puppets::new(&Assignment {
            plan: Arc::new(plan),
            identities: Identities::reproducible(7),
            target: TargetAddress::own(1),
            secret: String::new(),
            clock: Clock::start(),
            feed: feed.clone(),
            told: crate::engine::told::Told::default(),
            stop,
            reactors: 1,
            alive: mpsc::channel(1).0,
        });
        let event = br#"{"type":"event","event":"device.pair.requested","payload":{}}"#;
        Ears::default().hear(&puppets.shared, 0, 3, event);
        // `--fail-fast` looks while the story goes on.
        assert!(feed.look(1).is_told());
        feed.settled().blocking_recv().unwrap();
        let history = Log::of(file, written.path()).unwrap().whole().unwrap();
        assert_eq!(history.overheard.len(), 1);
    }
}
