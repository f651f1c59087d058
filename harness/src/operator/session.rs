//! An operator's session: connects as a local command line, calls methods, reads events.

use std::net::Ipv4Addr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::client::first_message::Purse;
use crate::client::{Credentials, DeviceKey, Sender, upgrade};
use crate::clock::Clock;
use crate::engine::attempt::Attempt;
use crate::engine::dial::Socket;
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
    socket: Socket,
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
        let ended = Attempt {
            clock,
            target,
            source: identity.source,
            headers: &headers,
            sender: Sender { spec: &spec, persona: traits, key: &identity.key, credentials: &credentials },
            timeout: plan.attempt_timeout,
            message_bytes_max: MESSAGE_BYTES_MAX,
        }
        .make()
        .await;
        match (ended.session, ended.outcome) {
            (Some(socket), _) => Ok(Self { socket, next_id: 1 }),
            (None, outcome) => Err(NoSession(describe(&outcome))),
        }
    }

    /// The connection itself, for one who reads and writes by himself.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
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
        self.socket.send(Message::text(text)).await.map_err(|_| Lost)
    }

    /// The next message's bytes. Cancel safe.
    ///
    /// # Errors
    /// [`Lost`] when the gateway closed.
    pub async fn next(&mut self) -> Result<Vec<u8>, Lost> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_bytes().to_vec()),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Lost),
            }
        }
    }

    /// Leaves.
    pub async fn close(mut self) {
        let closing = self.socket.close(None);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), closing).await;
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
