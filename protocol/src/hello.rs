//! `hello-ok`, the payload of an accepted `connect` (reference, section 2.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Value of `type`.
pub const TYPE: &str = "hello-ok";

/// The payload. Keys of newer releases are kept in [`HelloOk::more`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloOk {
    /// Always [`TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Protocol the gateway speaks.
    pub protocol: u32,
    /// Who answered.
    pub server: ServerInfo,
    /// What it can do.
    pub features: Features,
    /// State at the time of connecting; not read by this project.
    pub snapshot: Value,
    /// Where the canvas is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canvas_host_url: Option<String>,
    /// The issued device token; absent up to 2026.3.13 when none was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HelloAuth>,
    /// Limits of the session.
    pub policy: SessionPolicy,
    /// Keys of newer releases, kept as they came.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// `server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Release of the gateway.
    pub version: String,
    /// Id of this connection.
    pub conn_id: String,
    /// Commit, host, build and boot ids, depending on the release.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// `features`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Callable methods.
    pub methods: Vec<String>,
    /// Events that may come.
    pub events: Vec<String>,
    /// Capabilities (2026.9.6).
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// `auth`. Debug output hides the token.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloAuth {
    /// 43 characters of base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// Role of the token.
    pub role: String,
    /// Scopes of the *token* up to 2026.3.13 (sorted), of the connection on 2026.9.6 (in the order asked).
    pub scopes: Vec<String>,
    /// When the token was issued, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at_ms: Option<u64>,
    /// Keys of 2026.9.6.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl std::fmt::Debug for HelloAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelloAuth")
            .field("device_token", &self.device_token.as_ref().map(|_| "<hidden>"))
            .field("role", &self.role)
            .field("scopes", &self.scopes)
            .field("issued_at_ms", &self.issued_at_ms)
            .finish_non_exhaustive()
    }
}

/// `policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPolicy {
    /// Largest frame a session may send, bytes.
    pub max_payload: u64,
    /// Outbound bytes after which a slow consumer is closed.
    pub max_buffered_bytes: u64,
    /// Interval of `tick` events, milliseconds.
    pub tick_interval_ms: u64,
    /// Keys of 2026.9.6.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
