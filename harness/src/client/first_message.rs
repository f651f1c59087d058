//! The first message a client sends: a signed `connect`, or whatever its deviation makes of it.

use protocol::connect::{AuthParams, ClientInfo, ConnectParams, DeviceProof, METHOD};
use protocol::{PayloadVersion, SignaturePayload};
use serde_json::json;

use super::DeviceKey;
use crate::plan::{ConnectSpec, Credential, Deviation, SignatureVersion};
use crate::vocabulary::persona::{DeviceTokenField, PersonaProfile};

/// Id of the first request.
const REQUEST_ID: &str = "1";
/// A token that no gateway of ours ever issues.
const WRONG_SECRET: &str = "pairstorm-wrong-secret";

/// The credential keys of one attempt, resolved from the cohort's [`Credential`] and what the client holds.
#[derive(Clone, Default)]
pub struct Credentials {
    /// `auth`; `None` leaves the key out.
    pub auth: Option<AuthParams>,
    /// Key of [`Credentials::auth`] that holds a device token, if one does.
    pub device_token_in: Option<DeviceTokenField>,
}

/// What a client may draw its credential from.
#[derive(Clone, Copy)]
pub struct Purse<'a> {
    /// The gateway's shared secret.
    pub shared: &'a str,
    /// Whether the gateway asks for a password rather than a token.
    pub password_mode: bool,
    /// Device token last received.
    pub last_token: Option<&'a str>,
    /// Device token first received.
    pub first_token: Option<&'a str>,
    /// Where this client puts a device token.
    pub token_in: DeviceTokenField,
}

impl Credentials {
    /// Picks the credential keys.
    #[must_use]
    pub fn pick(credential: Credential, purse: Purse<'_>) -> Self {
        let token = |token: &str| AuthParams { token: Some(token.to_owned()), ..AuthParams::default() };
        let password =
            |password: &str| AuthParams { password: Some(password.to_owned()), ..AuthParams::default() };
        let shared = || if purse.password_mode { password(purse.shared) } else { token(purse.shared) };
        let device_token = match credential {
            Credential::DeviceToken => purse.last_token,
            Credential::FirstDeviceToken => purse.first_token,
            Credential::ForgedDeviceToken => Some(WRONG_SECRET),
            _ => None,
        };
        if let Some(held) = device_token {
            let auth = match purse.token_in {
                DeviceTokenField::Token => token(held),
                DeviceTokenField::DeviceToken => {
                    AuthParams { device_token: Some(held.to_owned()), ..AuthParams::default() }
                }
            };
            return Self { auth: Some(auth), device_token_in: Some(purse.token_in) };
        }
        let auth = match credential {
            Credential::SharedToken => Some(token(purse.shared)),
            Credential::WrongToken => Some(token(WRONG_SECRET)),
            Credential::Password => Some(password(purse.shared)),
            Credential::WrongPassword => Some(password(WRONG_SECRET)),
            // Until it has been given one, a client presents the shared secret.
            Credential::DeviceToken | Credential::FirstDeviceToken | Credential::ForgedDeviceToken => {
                Some(shared())
            }
            Credential::Missing => None,
        };
        Self { auth, device_token_in: None }
    }

    /// The device token presented, if one is.
    #[must_use]
    pub fn device_token(&self) -> Option<&str> {
        let auth = self.auth.as_ref()?;
        match self.device_token_in? {
            DeviceTokenField::Token => auth.token.as_deref(),
            DeviceTokenField::DeviceToken => auth.device_token.as_deref(),
        }
    }
}

/// What is sent first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstMessage {
    /// One text message.
    Text(String),
    /// Nothing at all.
    Nothing,
}

/// Everything an attempt's first message is made from, but the challenge.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The cohort's request.
    pub spec: &'a ConnectSpec,
    /// The persona's fixed traits.
    pub persona: &'a PersonaProfile,
    /// The device's key.
    pub key: &'a DeviceKey,
    /// Credential keys of this attempt.
    pub credentials: &'a Credentials,
}

impl Sender<'_> {
    /// The first message in answer to `nonce`, signed at `wall_ms`.
    #[must_use]
    pub fn first_message(&self, nonce: &str, wall_ms: u64) -> FirstMessage {
        match self.spec.deviation {
            Deviation::Silent => FirstMessage::Nothing,
            Deviation::NotJson => FirstMessage::Text("{nope".to_owned()),
            Deviation::NotARequest => {
                FirstMessage::Text(json!({"type": "event", "event": "tick", "payload": {}}).to_string())
            }
            Deviation::WrongMethod => FirstMessage::Text(request("health", &json!({}))),
            Deviation::Oversized(bytes) => FirstMessage::Text(padded(bytes)),
            Deviation::UnknownKey => {
                let mut params = json!(self.params(nonce, wall_ms));
                if let Some(params) = params.as_object_mut() {
                    params.insert("bogus".to_owned(), json!(true));
                }
                FirstMessage::Text(request(METHOD, &params))
            }
            Deviation::None
            | Deviation::NoDevice
            | Deviation::ForeignDeviceId
            | Deviation::BadSignature
            | Deviation::SignatureV1
            | Deviation::WrongNonce
            | Deviation::BlankNonce
            | Deviation::ClockSkew(_)
            | Deviation::Protocol { .. } => FirstMessage::Text(request(METHOD, &self.params(nonce, wall_ms))),
        }
    }

    fn params(&self, nonce: &str, wall_ms: u64) -> ConnectParams {
        let Self { spec, persona, credentials, .. } = self;
        let (min_protocol, max_protocol) = match spec.deviation {
            Deviation::Protocol { min, max } => (min, max),
            _ => (persona.protocol, persona.protocol),
        };
        ConnectParams {
            min_protocol,
            max_protocol,
            client: ClientInfo {
                id: persona.client_id,
                display_name: persona.display_name.map(str::to_owned),
                version: persona.version.to_owned(),
                platform: spec.platform.clone(),
                device_family: spec.device_family.clone(),
                model_identifier: persona.model_identifier.map(str::to_owned),
                mode: persona.mode,
                instance_id: None,
                build_id: persona.build_id.map(str::to_owned),
                time_zone: None,
            },
            caps: Some(owned(persona.caps)),
            commands: persona.commands.map(owned),
            permissions: persona.permissions.map(|permissions| {
                permissions.iter().map(|&(name, granted)| (name.to_owned(), granted)).collect()
            }),
            path_env: persona.path_env.map(str::to_owned),
            role: spec.role.clone(),
            scopes: spec.scopes.clone(),
            device: (spec.deviation != Deviation::NoDevice).then(|| self.proof(nonce, wall_ms)),
            auth: credentials.auth.clone(),
            locale: persona.locale.map(str::to_owned),
            user_agent: persona.user_agent.map(str::to_owned),
            computer_use: None,
            worker_runs: None,
            model_catalog: None,
        }
    }

    fn proof(&self, challenge_nonce: &str, wall_ms: u64) -> DeviceProof {
        let Self { spec, persona, key, credentials } = self;
        let nonce = match spec.deviation {
            Deviation::WrongNonce => "00000000-0000-4000-8000-000000000000",
            Deviation::BlankNonce => "   ",
            _ => challenge_nonce,
        };
        let signed_at = match spec.deviation {
            Deviation::ClockSkew(skew_ms) => wall_ms.saturating_add_signed(skew_ms),
            _ => wall_ms,
        };
        let device_id = match spec.deviation {
            Deviation::ForeignDeviceId => protocol::device_id(&[7; 32]),
            _ => key.device_id().to_owned(),
        };
        let version = match (&spec.deviation, spec.signature) {
            (Deviation::SignatureV1, _) => PayloadVersion::V1,
            (_, SignatureVersion::V2) => PayloadVersion::V2,
            (_, SignatureVersion::V3) => PayloadVersion::V3,
        };
        let mut text = SignaturePayload {
            device_id: &device_id,
            client_id: persona.client_id.as_str(),
            client_mode: persona.mode.as_str(),
            role: spec.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR),
            scopes: spec.scopes.as_deref().unwrap_or_default(),
            signed_at_ms: signed_at,
            token: credentials.auth.as_ref().map_or("", AuthParams::signed_token),
            nonce,
            platform: &spec.platform,
            device_family: spec.device_family.as_deref().unwrap_or_default(),
        }
        .text(version);
        if spec.deviation == Deviation::BadSignature {
            text.push('x');
        }
        DeviceProof {
            signature: key.sign(&text),
            id: device_id,
            public_key: key.public_key().to_owned(),
            signed_at,
            nonce: Some(nonce.to_owned()),
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn request(method: &str, params: &impl serde::Serialize) -> String {
    json!({"type": "req", "id": REQUEST_ID, "method": method, "params": params}).to_string()
}

/// A `connect` frame of exactly `bytes` bytes (or as few as the frame itself needs).
fn padded(bytes: usize) -> String {
    let empty = request(METHOD, &json!({"pad": ""}));
    let padding = "x".repeat(bytes.saturating_sub(empty.len()));
    request(METHOD, &json!({"pad": padding}))
}
