//! The `connect` of a probe.

use protocol::connect::{AuthParams, ClientId, ClientInfo, ClientMode, ConnectParams, DeviceProof, METHOD};
use protocol::connect::{PROTOCOL_V3, PROTOCOL_V4};
use protocol::{PayloadVersion, SignaturePayload};
use serde_json::json;

use crate::client::DeviceKey;

/// What a connect presents. Has no `Debug`: it holds a secret.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// `auth.token`; where `deviceToken` is unknown, a device token as well.
    Token(&'a str),
    /// `auth.password`
    Password(&'a str),
    /// `auth.deviceToken`
    DeviceToken(&'a str),
}

impl<'a> Presented<'a> {
    /// The secret itself.
    #[must_use]
    pub const fn value(self) -> Option<&'a str> {
        match self {
            Self::Nothing => None,
            Self::Token(value) | Self::Password(value) | Self::DeviceToken(value) => Some(value),
        }
    }
}

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `client.id`
    pub id: ClientId,
    /// `client.mode`
    pub mode: ClientMode,
    /// `client.displayName`
    pub display_name: Option<String>,
    /// `client.platform`
    pub platform: String,
    /// `client.deviceFamily`
    pub device_family: Option<String>,
    /// `client.buildId`; only 2026.9.6 knows the key.
    pub build_id: Option<&'static str>,
}

/// One connect.
#[derive(Clone)]
pub struct Ask<'a> {
    /// Who.
    pub caller: Caller,
    /// Role.
    pub role: &'a str,
    /// Scopes.
    pub scopes: Vec<String>,
    /// The device; `None` = without.
    pub key: Option<&'a DeviceKey>,
    /// The credential.
    pub presented: Presented<'a>,
    /// `Origin` header of the upgrade.
    pub origin: Option<&'a str>,
}

impl Ask<'_> {
    /// The request in answer to `nonce`. `signed_at_ms` is the gateway's own time, so that this machine's clock does not matter.
    /// Both protocols are offered, and signed is what every release takes (v2).
    #[must_use]
    pub fn frame(&self, nonce: &str, signed_at_ms: u64) -> Vec<u8> {
        let client = ClientInfo {
            id: self.caller.id,
            display_name: self.caller.display_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: self.caller.platform.clone(),
            device_family: self.caller.device_family.clone(),
            model_identifier: None,
            mode: self.caller.mode,
            instance_id: None,
            build_id: self.caller.build_id.map(str::to_owned),
            time_zone: None,
        };
        let secret = || self.presented.value().map(str::to_owned);
        let auth = match self.presented {
            Presented::Nothing => None,
            Presented::Token(_) => Some(AuthParams { token: secret(), ..AuthParams::default() }),
            Presented::Password(_) => Some(AuthParams { password: secret(), ..AuthParams::default() }),
            Presented::DeviceToken(_) => Some(AuthParams { device_token: secret(), ..AuthParams::default() }),
        };
        let signed_token = auth.as_ref().map(|auth| auth.signed_token().to_owned()).unwrap_or_default();
        let device = self.key.map(|key| {
            let payload = SignaturePayload {
                device_id: key.device_id(),
                client_id: self.caller.id.as_str(),
                client_mode: self.caller.mode.as_str(),
                role: self.role,
                scopes: &self.scopes,
                signed_at_ms,
                token: &signed_token,
                nonce,
                platform: &self.caller.platform,
                device_family: self.caller.device_family.as_deref().unwrap_or_default(),
            };
            DeviceProof {
                id: key.device_id().to_owned(),
                public_key: key.public_key().to_owned(),
                signature: key.sign(&payload.text(PayloadVersion::V2)),
                signed_at: signed_at_ms,
                nonce: Some(nonce.to_owned()),
            }
        });
        let params = ConnectParams {
            role: Some(self.role.to_owned()),
            scopes: Some(self.scopes.clone()),
            device,
            auth,
            ..ConnectParams::new(PROTOCOL_V3, PROTOCOL_V4, client)
        };
        json!({"type": "req", "id": "1", "method": METHOD, "params": params}).to_string().into_bytes()
    }
}
