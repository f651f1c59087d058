//! The first message a client sends: a signed `connect`, or whatever its deviation makes of it.

use protocol::connect::{AuthParams, ClientInfo, ConnectParams, DeviceProof, METHOD};
use protocol::{PayloadVersion, SignaturePayload};
use serde::Serialize;
use serde_json::json;

use super::credentials::{AuthKey, Credentials};
use super::{DeviceKey, Template};
use crate::plan::{ConnectSpec, Deviation, SignatureVersion};
use crate::vocabulary::persona::PersonaProfile;

/// Id of the first request.
const REQUEST_ID: &str = "1";

/// Buffers that outlive an attempt, so that an attempt allocates none.
#[derive(Default)]
pub struct Scratch {
    /// The text to be signed.
    pub(super) text: String,
    /// The message to be sent.
    pub message: Vec<u8>,
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
    /// Credential of this attempt.
    pub credentials: Credentials<'a>,
    /// The request with holes, where one was made; without it the request is serialised anew.
    pub template: Option<&'a Template>,
}

impl Sender<'_> {
    /// Appends the first message in answer to `nonce`, signed at `wall_ms`, to `scratch.message`. False when this client
    /// says nothing at all.
    pub fn write_first_message(&self, nonce: &str, wall_ms: u64, scratch: &mut Scratch) -> bool {
        if let Some(template) = self.template {
            template.write(self, nonce, wall_ms, scratch);
            return true;
        }
        let out = &mut scratch.message;
        match self.spec.deviation {
            Deviation::Silent => return false,
            Deviation::NotJson => out.extend_from_slice(b"{nope"),
            Deviation::NotARequest => {
                write_json(&json!({"type": "event", "event": "tick", "payload": {}}), out);
            }
            Deviation::WrongMethod => write_request("health", &json!({}), out),
            Deviation::Oversized(bytes) => padded(bytes, out),
            Deviation::UnknownKey => {
                let mut params = json!(self.params(nonce, wall_ms));
                if let Some(params) = params.as_object_mut() {
                    params.insert("bogus".to_owned(), json!(true));
                }
                write_request(METHOD, &params, out);
            }
            Deviation::None
            | Deviation::NoDevice
            | Deviation::ForeignDeviceId
            | Deviation::BadSignature
            | Deviation::SignatureV1
            | Deviation::WrongNonce
            | Deviation::BlankNonce
            | Deviation::ClockSkew(_)
            | Deviation::Protocol { .. } => write_request(METHOD, &self.params(nonce, wall_ms), out),
        }
        true
    }

    fn params(&self, nonce: &str, wall_ms: u64) -> ConnectParams {
        let proof = (self.spec.deviation != Deviation::NoDevice).then(|| self.proof(nonce, wall_ms));
        params(self.spec, self.persona, auth(self.credentials.key, self.credentials.value), proof)
    }

    fn proof(&self, challenge_nonce: &str, wall_ms: u64) -> DeviceProof {
        let nonce = match self.spec.deviation {
            Deviation::WrongNonce => "00000000-0000-4000-8000-000000000000",
            Deviation::BlankNonce => "   ",
            _ => challenge_nonce,
        };
        let signed_at = match self.spec.deviation {
            Deviation::ClockSkew(skew_ms) => wall_ms.saturating_add_signed(skew_ms),
            _ => wall_ms,
        };
        let foreign;
        let device_id = match self.spec.deviation {
            Deviation::ForeignDeviceId => {
                foreign = protocol::device_id(&[7; 32]);
                foreign.as_str()
            }
            _ => self.key.device_id(),
        };
        let mut text = String::with_capacity(256);
        self.write_payload(device_id, nonce, signed_at, &mut text);
        if self.spec.deviation == Deviation::BadSignature {
            text.push('x');
        }
        DeviceProof {
            signature: self.key.sign(&text),
            id: device_id.to_owned(),
            public_key: self.key.public_key().to_owned(),
            signed_at,
            nonce: Some(nonce.to_owned()),
        }
    }

    /// Appends what an honest client signs.
    pub(super) fn write_signed_text(&self, nonce: &str, wall_ms: u64, text: &mut String) {
        self.write_payload(self.key.device_id(), nonce, wall_ms, text);
    }

    fn write_payload(&self, device_id: &str, nonce: &str, signed_at_ms: u64, text: &mut String) {
        let Self { spec, persona, credentials, .. } = self;
        let version = match (&spec.deviation, spec.signature) {
            (Deviation::SignatureV1, _) => PayloadVersion::V1,
            (_, SignatureVersion::V2) => PayloadVersion::V2,
            (_, SignatureVersion::V3) => PayloadVersion::V3,
        };
        SignaturePayload {
            device_id,
            client_id: persona.client_id.as_str(),
            client_mode: persona.mode.as_str(),
            role: spec.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR),
            scopes: spec.scopes.as_deref().unwrap_or_default(),
            signed_at_ms,
            token: credentials.signed(),
            nonce,
            platform: &spec.platform,
            device_family: spec.device_family.as_deref().unwrap_or_default(),
        }
        .write(version, text);
    }
}

/// Parameters of a `connect` as `persona` sends it.
pub(super) fn params(
    spec: &ConnectSpec,
    persona: &PersonaProfile,
    auth: Option<AuthParams>,
    device: Option<DeviceProof>,
) -> ConnectParams {
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
        device,
        auth,
        locale: persona.locale.map(str::to_owned),
        user_agent: persona.user_agent.map(str::to_owned),
        computer_use: None,
        worker_runs: None,
        model_catalog: None,
    }
}

/// `auth` with `value` under `key`.
pub(super) fn auth(key: AuthKey, value: &str) -> Option<AuthParams> {
    let value = Some(value.to_owned());
    match key {
        AuthKey::Absent => None,
        AuthKey::Token => Some(AuthParams { token: value, ..AuthParams::default() }),
        AuthKey::Password => Some(AuthParams { password: value, ..AuthParams::default() }),
        AuthKey::DeviceToken => Some(AuthParams { device_token: value, ..AuthParams::default() }),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A request frame, its keys in the order in which the official clients write them.
#[derive(Serialize)]
struct Request<'a, P> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'static str,
    method: &'a str,
    params: &'a P,
}

/// Appends a request frame.
pub(super) fn write_request(method: &str, params: &impl Serialize, out: &mut Vec<u8>) {
    write_json(&Request { kind: "req", id: REQUEST_ID, method, params }, out);
}

/// Appends `value` as JSON. What is written here has string keys and no state that could fail, and a vector takes all.
pub(super) fn write_json<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

/// Appends a `connect` frame of exactly `bytes` bytes (or as few as the frame itself needs).
fn padded(bytes: usize, out: &mut Vec<u8>) {
    let mut empty = Vec::new();
    write_request(METHOD, &json!({"pad": ""}), &mut empty);
    let padding = "x".repeat(bytes.saturating_sub(empty.len()));
    write_request(METHOD, &json!({"pad": padding}), out);
}
