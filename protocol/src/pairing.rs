//! Pairing RPCs and events (reference, sections 8.7 and 8.10).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Method names.
pub mod method {
    /// `{}` -> [`super::PairList`].
    pub const LIST: &str = "device.pair.list";
    /// `{requestId}` -> [`super::ApproveResult`].
    pub const APPROVE: &str = "device.pair.approve";
    /// `{requestId}` -> [`super::RejectResult`].
    pub const REJECT: &str = "device.pair.reject";
    /// `{deviceId}` -> [`super::RemoveResult`].
    pub const REMOVE: &str = "device.pair.remove";
    /// [`super::RotateParams`] -> [`super::RotateResult`].
    pub const ROTATE: &str = "device.token.rotate";
    /// [`super::RevokeParams`] -> [`super::RevokeResult`].
    pub const REVOKE: &str = "device.token.revoke";
    /// [`super::RenameParams`] -> [`super::RenameResult`] (2026.9.6).
    pub const RENAME: &str = "device.pair.rename";
}

/// Event names; delivered only to operator sessions that hold `operator.pairing` (or admin).
pub mod event {
    /// A new pending request; payload [`super::PendingRequest`].
    pub const REQUESTED: &str = "device.pair.requested";
    /// A request was approved or rejected; payload [`super::Resolved`].
    pub const RESOLVED: &str = "device.pair.resolved";
    /// Sent to every session before the gateway stops; payload [`super::Shutdown`].
    pub const SHUTDOWN: &str = "shutdown";
    /// Sent every `tickIntervalMs`.
    pub const TICK: &str = "tick";
    /// Sent after hello and whenever the health snapshot changes.
    pub const HEALTH: &str = "health";
}

/// `{requestId}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestIdParams {
    /// The pending request.
    pub request_id: String,
}

/// `{deviceId}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceIdParams {
    /// The device.
    pub device_id: String,
}

/// Parameters of `device.token.rotate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RotateParams {
    /// The device.
    pub device_id: String,
    /// Role of the token.
    pub role: String,
    /// New scopes; those of the old token when absent.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// Parameters of `device.token.revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RevokeParams {
    /// The device.
    pub device_id: String,
    /// Role of the token.
    pub role: String,
}

/// Parameters of `device.pair.rename` (2026.9.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RenameParams {
    /// The device.
    pub device_id: String,
    /// Its name for people: 1 to 64 characters.
    pub label: String,
}

/// A pending request, as listed, as broadcast, and as the JSON generation stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// What an operator approves.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
    /// Its key, base64url.
    pub public_key: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Operating system as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Kind of hardware as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Use of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// Role asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Roles asked.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes asked.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Address of the asker; absent for local ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Whether it may be approved without an operator.
    #[serde(default)]
    pub silent: bool,
    /// Whether the device already has an entry.
    #[serde(default)]
    pub is_repair: bool,
    /// Milliseconds since the Unix epoch; refreshed or not, depending on the release (section 8.6).
    pub ts: u64,
    /// Keys of newer releases.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A paired device as listed: token secrets left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// The device.
    pub device_id: String,
    /// Its key, base64url.
    pub public_key: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Pinned operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Pinned kind of hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Use of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// Role approved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Approved roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Approved scopes; 2.19 to 3.13 leave them out where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Address at approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Tokens without their secrets.
    #[serde(default)]
    pub tokens: Vec<TokenSummary>,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub approved_at_ms: u64,
    /// Keys of newer releases.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A device token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenSummary {
    /// Role of the token.
    pub role: String,
    /// Scopes of the token.
    pub scopes: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// Milliseconds since the Unix epoch; may lag behind, it is written lazily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// Result of `device.pair.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairList {
    /// Requests that wait.
    pub pending: Vec<PendingRequest>,
    /// Devices that may connect.
    pub paired: Vec<PairedDevice>,
}

/// Result of `device.pair.approve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApproveResult {
    /// The request.
    pub request_id: String,
    /// The device as it now stands.
    pub device: PairedDevice,
}

/// Result of `device.pair.reject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectResult {
    /// The request.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
}

/// Result of `device.pair.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveResult {
    /// The device.
    pub device_id: String,
}

/// Result of `device.pair.rename` (2026.9.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenameResult {
    /// The device.
    pub device_id: String,
    /// The name, trimmed.
    pub label: String,
}

/// How a rotated token reached its owner (2026.9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenDelivery {
    /// In this answer: the caller is the device.
    InBand,
    /// Not at all: the caller is somebody else.
    WithheldCrossDevice,
}

/// Result of `device.token.rotate`. Debug output hides the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateResult {
    /// The device.
    pub device_id: String,
    /// Role of the token.
    pub role: String,
    /// The new token; withheld by 2026.9.6 from callers that are another device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub rotated_at_ms: u64,
    /// Absent up to 2026.3.13.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_delivery: Option<TokenDelivery>,
}

impl std::fmt::Debug for RotateResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotateResult")
            .field("device_id", &self.device_id)
            .field("role", &self.role)
            .field("token", &self.token.as_ref().map(|_| "<hidden>"))
            .field("scopes", &self.scopes)
            .field("rotated_at_ms", &self.rotated_at_ms)
            .field("token_delivery", &self.token_delivery)
            .finish()
    }
}

/// Result of `device.token.revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeResult {
    /// The device.
    pub device_id: String,
    /// Role of the token.
    pub role: String,
    /// Milliseconds since the Unix epoch.
    pub revoked_at_ms: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The device may connect.
    Approved,
    /// It may not.
    Rejected,
}

/// Payload of `device.pair.resolved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resolved {
    /// The request.
    pub request_id: String,
    /// The device that asked.
    pub device_id: String,
    /// How it ended.
    pub decision: Decision,
    /// Milliseconds since the Unix epoch.
    pub ts: u64,
}

/// Payload of `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// Why, for people.
    pub reason: String,
    /// Expected downtime in milliseconds; `null` up to 2026.3.13, absent on 2026.9.6.
    pub restart_expected_ms: Option<u64>,
}
