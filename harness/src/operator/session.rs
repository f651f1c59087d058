//! An operator's session: connects as a local command line, calls methods, reads events.

use std::cell::RefCell;
use std::net::Ipv4Addr;

use serde::Serialize;
use serde_json::json;

use crate::client::{Credentials, DeviceKey, Purse, Sender, upgrade};
use crate::clock::Clock;
use crate::engine::Conversation;
use crate::engine::attempt::Terms;
use crate::engine::conversation::Said;
use crate::engine::opening::Opening;
use crate::engine::single::Single;
use crate::engine::workbench::Workbench;
use crate::gateway::TargetAddress;
use crate::observation::Outcome;
use crate::plan::{
    AuthMode, ConnectSpec, Credential, Deviation, NetworkPath, Persona, Plan, SignatureVersion,
};
use crate::vocabulary::persona;

/// A listing of 100,000 devices has some 60 MB.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// How an operator reaches the gateway and who it is there.
pub struct OperatorIdentity {
    /// Its device key.
    pub key: DeviceKey,
    /// Address it dials from; `None` leaves it to the kernel.
    pub source: Option<Ipv4Addr>,
}

/// A held session.
pub struct OperatorSession {
    conversation: Conversation,
    next_id: u64,
}

/// A connection that gave no session, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSession(pub String);

/// The session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl OperatorSession {
    /// Connects directly, as a CLI with every operator scope. On its first connect a loopback gateway pairs it silently.
    ///
    /// # Errors
    /// [`NoSession`] with what happened instead.
    pub async fn open(
        plan: &Plan,
        clock: &Clock,
        target: &TargetAddress,
        secret: &str,
        identity: &OperatorIdentity,
    ) -> Result<Self, NoSession> {
        let traits = persona::profile(Persona::Cli, plan.gateway.profile);
        let password_mode = plan.gateway.auth == AuthMode::Password;
        let spec = ConnectSpec {
            persona: Persona::Cli,
            role: Some(protocol::scope::ROLE_OPERATOR.to_owned()),
            scopes: Some(protocol::scope::ALL.map(str::to_owned).to_vec()),
            platform: traits.platform.to_owned(),
            device_family: traits.device_family.map(str::to_owned),
            credential: match plan.gateway.auth {
                AuthMode::Token => Credential::SharedToken,
                AuthMode::Password => Credential::Password,
                AuthMode::None => Credential::Missing,
            },
            path: NetworkPath::Direct,
            origin: None,
            deviation: Deviation::None,
            // Every release takes it.
            signature: SignatureVersion::V2,
        };
        let purse = Purse {
            shared: secret,
            password_mode,
            last_token: None,
            first_token: None,
            token_in: traits.device_token_in,
        };
        let credentials = Credentials::pick(spec.credential, purse);
        let headers = upgrade::headers(&spec, &target.host, None, traits.headers);
        let opening = Opening::new(target, &headers).map_err(|error| NoSession(error.to_string()))?;
        let ended = Single {
            who: (0, 0),
            target,
            source: identity.source,
            opening: &opening,
            terms: Terms {
                sender: Sender {
                    spec: &spec,
                    persona: traits,
                    key: &identity.key,
                    credentials,
                    template: None,
                },
                message_bytes_max: MESSAGE_BYTES_MAX,
            },
            timeout: plan.attempt_timeout,
        }
        .make(&RefCell::new(Workbench::new(*clock, None)))
        .await;
        match (ended.session, ended.outcome) {
            (Some(conversation), _) => Ok(Self { conversation, next_id: 1 }),
            (None, outcome) => Err(NoSession(describe(&outcome))),
        }
    }

    /// The connection itself, for one who reads and writes by himself.
    #[must_use]
    pub fn into_conversation(self) -> Conversation {
        self.conversation
    }

    /// An id for the next request, so that its sender can expect the answer before it sends.
    pub fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    /// Sends a request. The answer comes from [`OperatorSession::next`].
    ///
    /// # Errors
    /// [`Lost`]
    pub async fn request(&mut self, id: &str, method: &str, params: &impl Serialize) -> Result<(), Lost> {
        let text = json!({"type": "req", "id": id, "method": method, "params": params}).to_string();
        self.conversation.send(&text).await.map_err(|_| Lost)
    }

    /// The next message's bytes. Cancel safe.
    ///
    /// # Errors
    /// [`Lost`] when the gateway closed.
    pub async fn next(&mut self) -> Result<Vec<u8>, Lost> {
        match self.conversation.next().await {
            Said::Message(bytes) => Ok(bytes),
            Said::Over(_) => Err(Lost),
        }
    }

    /// Leaves.
    pub async fn close(mut self) {
        self.conversation.leave().await;
    }
}

/// An outcome in words, for an error.
#[must_use]
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Session(_) => "it got a session".to_owned(),
        Outcome::Refused(refusal) => format!("it was refused: {} {}", refusal.code, refusal.message),
        Outcome::UpgradeRefused { status, body } => format!("HTTP {status} instead of an upgrade: {body}"),
        Outcome::Closed(closed) => {
            format!("the connection ended while it awaited the {}", closed.phase.as_str())
        }
        Outcome::TimedOut { phase } => {
            format!("nothing came in time while it awaited the {}", phase.as_str())
        }
        Outcome::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
        Outcome::Unreachable { error } => format!("it cannot be reached: {error}"),
        Outcome::NotAGateway { what } => format!("what listens there is not a gateway: {what}"),
        Outcome::Dropped(reason) => format!("it could not be started: {}", reason.as_str()),
    }
}
