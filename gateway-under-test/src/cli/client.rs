//! A blocking client: connects as an operator and calls methods one by one.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use protocol::connect::{AuthParams, METHOD, PROTOCOL_V3};
use protocol::frame::Request;
use protocol::scope::ROLE_OPERATOR;
use protocol::{Challenge, ClientId, ClientMode, ErrorShape, Frame, PayloadVersion, SignaturePayload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{
    ClientRequestBuilder, Error, Message, WebSocket, client::client_with_config,
};

use super::identity::Identity;
use crate::config::AuthConfig;
use crate::profile::{DevicelessRule, Profile};
use crate::server::log::clean;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// Largest answer; a list of 100,000 devices has about 80 MB.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// The gateway said no.
#[derive(Debug, thiserror::Error)]
#[error("{}{told}", if close.is_some() { "gateway connect failed: " } else { "" })]
pub(super) struct Refused {
    /// The gateway's message, cleaned.
    pub(super) message: String,
    /// The message, and what its details say to a person.
    told: String,
    /// After a refused connect: what it was closed with.
    pub(super) close: Option<(u16, String)>,
}

/// An open session.
pub(super) struct Client {
    socket: WebSocket<TcpStream>,
    next_id: u64,
}

impl Client {
    /// Connects and says hello, as `openclaw`'s command line does.
    pub(super) fn connect(
        url: &str,
        profile: &Profile,
        auth: Option<&AuthConfig>,
        identity: &Identity,
    ) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is no URL"))?;
        if uri.scheme_str() != Some("ws") {
            bail!("`{url}`: only ws:// is supported");
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(80);
        let addresses = (host, port).to_socket_addrs().with_context(|| format!("`{host}` is unknown"))?;
        let mut refused = anyhow!("`{host}` has no address");
        let mut stream = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, ANSWER) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(error) => refused = error.into(),
            }
        }
        let stream = stream.ok_or_else(|| refused.context(format!("no gateway answers at {url}")))?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(ANSWER_BYTES_MAX))
            .max_frame_size(Some(ANSWER_BYTES_MAX));
        let (socket, _) = client_with_config(ClientRequestBuilder::new(uri), stream, Some(limits))
            .map_err(|error| anyhow!("{url}: {error}"))?;
        let mut client = Self { socket, next_id: 1 };
        client.hello(profile, auth, identity)?;
        Ok(client)
    }

    fn hello(
        &mut self,
        profile: &Profile,
        auth: Option<&AuthConfig>,
        identity: &Identity,
    ) -> anyhow::Result<()> {
        let text = self.read()?;
        let challenge: Challenge = match Frame::decode(text.as_bytes()) {
            Ok(Frame::Event(event)) if event.event == protocol::connect::CHALLENGE_EVENT => {
                serde_json::from_str(event.payload.map_or("null", |payload| payload.get()))?
            }
            _ => bail!("the gateway does not begin with a challenge"),
        };
        let auth = match auth {
            Some(AuthConfig::Token(token)) => {
                AuthParams { token: Some(token.reveal().to_owned()), ..AuthParams::default() }
            }
            Some(AuthConfig::Password(password)) => {
                AuthParams { password: Some(password.reveal().to_owned()), ..AuthParams::default() }
            }
            Some(AuthConfig::TrustedProxy(_) | AuthConfig::None) | None => AuthParams::default(),
        };
        let scopes: Vec<String> = profile.cli_scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let device_id = identity.device_id();
        let platform = std::env::consts::OS;
        let version = profile.payload_versions.first().copied().unwrap_or(PayloadVersion::V3);
        let payload = SignaturePayload {
            device_id: &device_id,
            client_id: ClientId::Cli.as_str(),
            client_mode: ClientMode::Cli.as_str(),
            role: ROLE_OPERATOR,
            scopes: &scopes,
            // The gateway's clock, as the official client of 2026.9.6 does.
            signed_at_ms: challenge.ts,
            token: auth.signed_token(),
            nonce: &challenge.nonce,
            platform,
            device_family: "",
        };
        let signature = identity.sign(&payload.text(version));
        let mut params = json!({
            "minProtocol": PROTOCOL_V3,
            "maxProtocol": profile.protocol.max(PROTOCOL_V3),
            "client": {
                "id": ClientId::Cli,
                "version": env!("CARGO_PKG_VERSION"),
                "platform": platform,
                "mode": ClientMode::Cli,
            },
            "role": ROLE_OPERATOR,
            "scopes": scopes,
            "device": {
                "id": device_id,
                "publicKey": identity.public_key(),
                "signature": signature,
                "signedAt": challenge.ts,
                "nonce": challenge.nonce,
            },
            "auth": auth,
        });
        // 2026.9.6's own command shows no device where the shared secret is enough.
        let shows_secret = auth.token.is_some() || auth.password.is_some();
        if profile.deviceless == DevicelessRule::OperatorsLocalKeepScopes
            && shows_secret
            && let Some(params) = params.as_object_mut()
        {
            params.remove("device");
        }
        match self.call::<serde_json::Value>(METHOD, &params) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.downcast::<Refused>() {
                Ok(refused) => Refused { close: Some(self.closed()), ..refused }.into(),
                Err(other) => other.context("gateway connect failed"),
            }),
        }
    }

    /// What the connection is closed with.
    fn closed(&mut self) -> (u16, String) {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => {
                    return (frame.code.into(), clean(Some(frame.reason.as_str())));
                }
                Ok(Message::Close(None)) => return (1005, String::new()),
                Ok(_) => {}
                Err(_) => return (protocol::close::code::ABNORMAL, String::new()),
            }
        }
    }

    /// Calls a method; a refusal is a [`Refused`].
    pub(super) fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> anyhow::Result<T> {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let params = to_raw_value(params)?;
        let request =
            Frame::Request(Request { id: id.as_str().into(), method: method.into(), params: Some(&params) });
        self.socket.send(Message::text(request.encode()?)).map_err(|error| lost(&error))?;
        loop {
            let text = self.read()?;
            if let Ok(Frame::Response(response)) = Frame::decode(text.as_bytes())
                && response.id == id
            {
                if let Some(error) = response.error {
                    let message = clean(Some(&error.message));
                    return Err(Refused { message, told: describe(&error), close: None }.into());
                }
                return Ok(serde_json::from_str(response.payload.map_or("null", |payload| payload.get()))?);
            }
        }
    }

    fn read(&mut self) -> anyhow::Result<String> {
        loop {
            match self.socket.read().map_err(|error| lost(&error))? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(Some(frame)) => {
                    bail!(
                        "gateway closed ({}): {}",
                        u16::from(frame.code),
                        clean(Some(frame.reason.as_str()))
                    )
                }
                Message::Close(None) => bail!("gateway closed"),
                _ => {}
            }
        }
    }

    /// Says goodbye. A gateway that does not answer is left.
    pub(super) fn close(mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.get_ref().set_read_timeout(Some(Duration::from_secs(1)));
        while self.socket.read().is_ok() {}
    }
}

fn lost(error: &Error) -> anyhow::Error {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            anyhow!("the gateway did not answer within {} s", ANSWER.as_secs())
        }
        other => anyhow!("connection lost: {other}"),
    }
}

fn describe(error: &ErrorShape) -> String {
    let mut text = clean(Some(&error.message));
    if let Some(details) = &error.details {
        if let Some(reason) = &details.reason {
            text.push_str(&format!(" ({})", clean(Some(reason))));
        }
        if let Some(request_id) = &details.request_id {
            text.push_str(&format!(
                "\nThis command's own device must be approved first: request {}",
                clean(Some(request_id))
            ));
        }
    }
    text
}
