//! One client: who it is, which tokens it holds, and what its next attempt is made with.

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::attempt::{MESSAGE_BYTES_MAX, Terms};
use super::opening::Opening;
use super::shared::{PreparedAsk, Shared};
use crate::client::{Credentials, DeviceKey, Purse, Sender, upgrade};
use crate::observation::{Fingerprint, fingerprint};
use crate::plan::{AuthMode, ClientId, Cohort, ConnectSpec, Loss, PlannedClient, route};
use crate::vocabulary::persona::PersonaProfile;

/// What one client is and holds.
pub(super) struct Client {
    id: ClientId,
    planned: PlannedClient,
    key: DeviceKey,
    /// Its upgrade request, if it is not that of its cohort.
    opening: Option<Rc<Opening>>,
    attempts: u32,
    first_token: Option<Token>,
    last_token: Option<Token>,
}

/// A device token, and what the history calls it.
#[derive(Clone)]
struct Token {
    text: Rc<str>,
    fingerprint: Fingerprint,
}

/// Connects differ in where they come from.
pub(super) struct Route {
    /// Address that is dialled from.
    pub(super) source: Ipv4Addr,
    /// The upgrade request; an error says what of it cannot be sent.
    pub(super) opening: Result<Rc<Opening>, String>,
}

impl Client {
    /// Makes client `id` of the plan; `None` when its key cannot be derived or the id is not the plan's.
    pub(super) fn new(shared: &Shared, id: ClientId) -> Option<Self> {
        let planned = shared.plan.clients.get(usize::try_from(id).ok()?)?.clone();
        let (cohort, ..) = shared.ask(planned.cohort, 0)?;
        let key = DeviceKey::from_seed(&shared.identities.client_key_seed(&cohort.name, &planned)).ok()?;
        let mut client =
            Self { id, key, opening: None, attempts: 0, first_token: None, last_token: None, planned };
        if let Some(token) = client.stored_token(shared, cohort) {
            client.receive(shared, &token);
        }
        Some(client)
    }

    /// A fixture's token is one the client has had since before the run.
    fn stored_token(&self, shared: &Shared, cohort: &Cohort) -> Option<String> {
        let stored = cohort.stored.as_ref().filter(|stored| stored.tokens && self.planned.life == 0)?;
        let role = cohort.connect.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR);
        let held = stored.roles.iter().find(|held| *held == role).or_else(|| stored.roles.first())?;
        Some(shared.identities.stored_token(&cohort.name, self.planned.index, held))
    }

    /// Its number in the plan.
    pub(super) const fn id(&self) -> ClientId {
        self.id
    }

    /// The plan's idea of it.
    pub(super) const fn planned(&self) -> &PlannedClient {
        &self.planned
    }

    /// Its device key.
    pub(super) const fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// Counts an attempt and gives its number.
    pub(super) const fn begin_attempt(&mut self) -> u32 {
        let number = self.attempts;
        self.attempts += 1;
        number
    }

    /// Number of its last attempt.
    pub(super) const fn last_attempt(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// The way that connect `ask` takes.
    pub(super) fn route(&mut self, shared: &Shared, ask: u16) -> Option<Route> {
        let (_, spec, prepared) = shared.ask(self.planned.cohort, ask)?;
        if !prepared.opens_by_itself {
            let opening = prepared.opening(spec, &shared.target).map_err(|error| error.to_string());
            let source = if ask == 0 { self.planned.source } else { self.other_route(shared, spec).0 };
            return Some(Route { source, opening });
        }
        let (source, forwarded) = if ask == 0 {
            (self.planned.source, self.planned.forwarded)
        } else {
            self.other_route(shared, spec)
        };
        if let Some(opening) = self.opening.as_ref().filter(|_| ask == 0) {
            return Some(Route { source, opening: Ok(Rc::clone(opening)) });
        }
        let headers = upgrade::headers(spec, &shared.target.host, forwarded, prepared.traits.headers);
        let opening = Opening::new(&shared.target, &headers).map(Rc::new).map_err(|error| error.to_string());
        if ask == 0 {
            self.opening = opening.as_ref().ok().cloned();
        }
        Some(Route { source, opening })
    }

    fn other_route(&self, shared: &Shared, spec: &ConnectSpec) -> (Ipv4Addr, Option<Ipv4Addr>) {
        let cohorts = shared.plan.cohorts.len();
        route(shared.plan.gateway.profile, &spec.path, self.planned.cohort, cohorts, self.planned.index)
    }

    /// What a connect is made with.
    pub(super) fn terms<'c>(
        &'c self,
        shared: &'c Shared,
        spec: &'c ConnectSpec,
        prepared: &'c PreparedAsk,
    ) -> Terms<'c> {
        let credentials = self.credentials(shared, spec, prepared.traits);
        Terms {
            sender: Sender {
                spec,
                persona: prepared.traits,
                key: &self.key,
                credentials,
                template: prepared.template(spec, credentials.key),
            },
            message_bytes_max: MESSAGE_BYTES_MAX,
        }
    }

    /// What the history calls the device token that is presented, if one is.
    pub(super) fn presented(&self, terms: &Terms<'_>) -> Option<Fingerprint> {
        terms.sender.credentials.device_token().map(|token| self.fingerprint(token))
    }

    fn credentials<'c>(
        &'c self,
        shared: &'c Shared,
        spec: &ConnectSpec,
        traits: &PersonaProfile,
    ) -> Credentials<'c> {
        let held = |token: &'c Option<Token>| token.as_ref().map(|token| token.text.as_ref());
        Credentials::pick(
            spec.credential,
            Purse {
                shared: &shared.secret,
                password_mode: shared.plan.gateway.auth == AuthMode::Password,
                last_token: held(&self.last_token),
                first_token: held(&self.first_token),
                token_in: traits.device_token_in,
            },
        )
    }

    /// What the history calls a token that this client presents or was issued.
    pub(super) fn fingerprint(&self, token: &str) -> Fingerprint {
        let known = [&self.last_token, &self.first_token].into_iter().flatten();
        known
            .filter(|held| &*held.text == token)
            .map(|held| held.fingerprint)
            .next()
            .unwrap_or_else(|| fingerprint(token))
    }

    /// Whether `token` is the one it was given last.
    pub(super) fn holds(&self, token: &str) -> bool {
        self.last_token.as_ref().is_some_and(|held| &*held.text == token)
    }

    /// The client loses what it has stored. Without its key it is the next device of the plan's, with a history of its own.
    pub(super) fn lose(&mut self, shared: &Shared, loss: Loss) {
        if loss.token() {
            (self.first_token, self.last_token) = (None, None);
        }
        if !loss.key() {
            return;
        }
        let next = self.planned.next_life.and_then(|id| Some((id, shared.plan.clients.get(id as usize)?)));
        if let Some((id, planned)) = next
            && let Some(cohort) = shared.plan.cohorts.get(usize::from(planned.cohort))
            && let Ok(key) = DeviceKey::from_seed(&shared.identities.client_key_seed(&cohort.name, planned))
        {
            (self.id, self.planned, self.key, self.attempts) = (id, planned.clone(), key, 0);
        }
    }

    /// The client was given a device token.
    pub(super) fn receive(&mut self, shared: &Shared, text: &str) {
        if self.holds(text) {
            return;
        }
        let token = Token { text: text.into(), fingerprint: self.fingerprint(text) };
        shared.learn_secret(&token.text);
        self.first_token.get_or_insert_with(|| token.clone());
        self.last_token = Some(token);
    }
}
