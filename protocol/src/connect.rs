//! The challenge and the `connect` request (reference, sections 1 and 2.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Method name of the first request.
pub const METHOD: &str = "connect";
/// Name of the unprompted first event.
pub const CHALLENGE_EVENT: &str = "connect.challenge";
/// Protocol of 2026.2.19 to 2026.3.13 and of the `article` profile.
pub const PROTOCOL_V3: u32 = 3;
/// Protocol of 2026.9.6.
pub const PROTOCOL_V4: u32 = 4;

/// Payload of `connect.challenge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// To be signed; a UUID v4 on every release seen, opaque to clients.
    pub nonce: String,
    /// The gateway's clock in milliseconds since the Unix epoch.
    pub ts: u64,
    /// 2026.9.6 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// Declares a closed string enum: a name outside it is a schema error on the wire.
macro_rules! closed_names {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every name, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_names! {
    /// `client.id`. The last five are known to 2026.9.6 only.
    ClientId {
        /// Embedded web chat.
        WebchatUi = "webchat-ui",
        /// The gateway's own control UI in a browser.
        ControlUi = "openclaw-control-ui",
        /// Web chat.
        Webchat = "webchat",
        /// Command line.
        Cli = "cli",
        /// Helper processes of the gateway itself.
        GatewayClient = "gateway-client",
        /// macOS app.
        MacOs = "openclaw-macos",
        /// iOS app.
        Ios = "openclaw-ios",
        /// Android app.
        Android = "openclaw-android",
        /// Headless node host.
        NodeHost = "node-host",
        /// Tests.
        Test = "test",
        /// Fingerprinting.
        Fingerprint = "fingerprint",
        /// Health probe.
        Probe = "openclaw-probe",
        /// 2026.9.6.
        BrowserCopilot = "openclaw-browser-copilot",
        /// 2026.9.6.
        Tui = "openclaw-tui",
        /// 2026.9.6.
        Linux = "openclaw-linux",
        /// 2026.9.6.
        WatchOs = "openclaw-watchos",
        /// 2026.9.6.
        Worker = "openclaw-worker",
    }
}

impl ClientId {
    /// Whether 2026.2.19 to 2026.3.13 know this id.
    #[must_use]
    pub const fn known_before_v4(self) -> bool {
        !matches!(self, Self::BrowserCopilot | Self::Tui | Self::Linux | Self::WatchOs | Self::Worker)
    }
}

closed_names! {
    /// `client.mode`. The last is known to 2026.9.6 only.
    ClientMode {
        /// Browser.
        Webchat = "webchat",
        /// Command line.
        Cli = "cli",
        /// Native app as operator.
        Ui = "ui",
        /// Helper process.
        Backend = "backend",
        /// Device node.
        Node = "node",
        /// Probe.
        Probe = "probe",
        /// Tests.
        Test = "test",
        /// 2026.9.6.
        Worker = "worker",
    }
}

impl ClientMode {
    /// Whether 2026.2.19 to 2026.3.13 know this mode.
    #[must_use]
    pub const fn known_before_v4(self) -> bool {
        !matches!(self, Self::Worker)
    }
}

/// `params` of a well-formed `connect`. Closed at every level: an unknown key anywhere is refused.
///
/// What a gateway says about a malformed one is text of its own and stands in the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectParams {
    /// Lowest protocol the client speaks, at least 1.
    pub min_protocol: u32,
    /// Highest protocol the client speaks, at least 1.
    pub max_protocol: u32,
    /// Who is calling.
    pub client: ClientInfo,
    /// Capabilities of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,
    /// Commands of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<String>>,
    /// Operating-system permissions of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<BTreeMap<String, bool>>,
    /// Search path of a node host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_env: Option<String>,
    /// `operator` when absent; anything but `operator` and `node` is refused after the schema check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Empty when absent. The order matters: it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Proof of the device key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceProof>,
    /// Credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthParams>,
    /// Language of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Program and version, or the browser's user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// `params.client`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientInfo {
    /// Which program.
    pub id: ClientId,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Version of the program.
    pub version: String,
    /// Operating system; pinned to the device entry from 2026.3.13 on.
    pub platform: String,
    /// Kind of hardware; pinned likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Model of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// How the program is used.
    pub mode: ClientMode,
    /// Distinguishes processes of one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// 2026.9.6 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// 2026.9.6 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// `params.device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceProof {
    /// Lowercase hex SHA-256 of the raw public key; see [`crate::device_id`].
    pub id: String,
    /// base64url of the 32 raw key bytes (standard base64 and SPKI PEM are accepted too).
    pub public_key: String,
    /// base64url of the 64 signature bytes.
    pub signature: String,
    /// Milliseconds since the Unix epoch.
    pub signed_at: u64,
    /// The challenge's nonce. May be absent only on 2026.2.19 and 2026.2.21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// `params.auth`. Debug output hides every credential.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthParams {
    /// Shared token, or a device token where `deviceToken` is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Shared password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Token issued to this device and role (2026.2.22 on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// Single-use setup token (2026.3.13 on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_token: Option<String>,
}

impl AuthParams {
    /// The credential that is part of the signed bytes (section 3): the password never is.
    #[must_use]
    pub fn signed_token(&self) -> &str {
        self.token
            .as_deref()
            .or(self.device_token.as_deref())
            .or(self.bootstrap_token.as_deref())
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for AuthParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hidden = |credential: &Option<String>| credential.as_ref().map(|_| "<hidden>");
        f.debug_struct("AuthParams")
            .field("token", &hidden(&self.token))
            .field("password", &hidden(&self.password))
            .field("device_token", &hidden(&self.device_token))
            .field("bootstrap_token", &hidden(&self.bootstrap_token))
            .finish()
    }
}
