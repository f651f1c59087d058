//! A client's `connect`, signed with its key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::{PayloadVersion, ProfileName, SignaturePayload, device_id};
use serde_json::{Value, json};

use super::TOKEN;

/// What a client asks, and with which key.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) key: SigningKey,
    pub(crate) params: Value,
    pub(crate) version: PayloadVersion,
    /// Added to the challenge's time.
    pub(crate) clock_ms: i64,
    /// Signed and sent instead of the challenge's.
    pub(crate) nonce: Option<String>,
}

impl Device {
    /// A CLI operator with the shared token that asks `operator.read`; the seed makes the key.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            params: json!({
                "minProtocol": 3, "maxProtocol": 3,
                "client": {"id": "cli", "version": "1.0.0", "platform": "linux", "mode": "cli"},
                "role": "operator", "scopes": ["operator.read"], "auth": {"token": TOKEN},
            }),
            version: PayloadVersion::V3,
            clock_ms: 0,
            nonce: None,
        }
    }

    /// As the clients of that release sign and speak.
    pub(crate) fn of(self, profile: ProfileName) -> Self {
        let v2 =
            matches!(profile, ProfileName::V2026_2_19 | ProfileName::V2026_2_21 | ProfileName::V2026_2_22);
        let version = if v2 { PayloadVersion::V2 } else { PayloadVersion::V3 };
        Self { version, ..self }.set("/maxProtocol", json!(4))
    }

    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.params.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        self
    }

    pub(crate) fn scopes(self, scopes: &[&str]) -> Self {
        self.set("/scopes", json!(scopes))
    }

    pub(crate) fn role(self, role: &str) -> Self {
        self.set("/role", json!(role))
    }

    pub(crate) fn auth(self, auth: Value) -> Self {
        self.set("/auth", auth)
    }

    pub(crate) fn id(&self) -> String {
        device_id(&self.public())
    }

    pub(crate) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The parameters with a signed proof.
    pub(crate) fn signed(&self, nonce: &str, challenge_ms: u64) -> Value {
        let mut params = self.params.clone();
        let text =
            |pointer: &str| params.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let scopes: Vec<String> = params["scopes"]
            .as_array()
            .map(|list| list.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        let token = ["/auth/token", "/auth/deviceToken"]
            .into_iter()
            .find_map(|pointer| params.pointer(pointer)?.as_str())
            .unwrap_or_default()
            .to_owned();
        let role = if params.get("role").is_none() { "operator".to_owned() } else { text("/role") };
        let nonce = self.nonce.as_deref().unwrap_or(nonce);
        let signed_at = challenge_ms.saturating_add_signed(self.clock_ms);
        let id = self.id();
        let payload = SignaturePayload {
            device_id: &id,
            client_id: &text("/client/id"),
            client_mode: &text("/client/mode"),
            role: &role,
            scopes: &scopes,
            signed_at_ms: signed_at,
            token: &token,
            nonce,
            platform: &text("/client/platform"),
            device_family: &text("/client/deviceFamily"),
        }
        .text(self.version);
        params["device"] = json!({
            "id": id,
            "publicKey": self.public_key(),
            "signature": URL_SAFE_NO_PAD.encode(self.key.sign(payload.as_bytes()).to_bytes()),
            "signedAt": signed_at,
            "nonce": nonce,
        });
        params
    }
}
