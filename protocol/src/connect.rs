//! The challenge and the `connect` request (reference, sections 1 and 2.1).

use std::collections::BTreeMap;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// Declares a closed string enum: a name outside it is a schema error on the wire.
macro_rules! closed_names {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+
        }

        // By hand, because serde's own for an enum takes `{"name":null}` as well.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Name;

                impl Visitor<'_> for Name {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a name")
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        match text {
                            $($text => Ok($name::$variant),)+
                            _ => Err(E::unknown_variant(text, &[$($text),+])),
                        }
                    }
                }

                deserializer.deserialize_str(Name)
            }
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

/// `params` of a well-formed `connect`. Closed at every level: an unknown key anywhere is refused, and so is a `null`
/// where a key may be absent. What stands under `client`, `device` and `auth` is an object; that the whole is one too, and
/// not a list of its values, is for who reads it to see.
///
/// The key set is the union over all releases: which keys one release knows (`deviceToken`, `bootstrapToken` and the
/// keys of 2026.9.6 came later), that texts have a character or more, and what is said about a malformed request are
/// the gateway's own and stand there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectParams {
    /// Lowest protocol the client speaks, at least 1.
    pub min_protocol: u32,
    /// Highest protocol the client speaks, at least 1.
    pub max_protocol: u32,
    /// Who is calling.
    #[serde(deserialize_with = "crate::frame::object")]
    pub client: ClientInfo,
    /// Capabilities of a node.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,
    /// Commands of a node.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<String>>,
    /// Operating-system permissions of a node.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub permissions: Option<BTreeMap<String, bool>>,
    /// Search path of a node host.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub path_env: Option<String>,
    /// `operator` when absent; anything but `operator` and `node` is refused after the schema check.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Empty when absent. The order matters: it is signed.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Proof of the device key.
    #[serde(
        default,
        deserialize_with = "crate::frame::present_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub device: Option<DeviceProof>,
    /// Credentials.
    #[serde(
        default,
        deserialize_with = "crate::frame::present_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub auth: Option<AuthParams>,
    /// Language of the client.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Program and version, or the browser's user agent.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// 2026.9.6 only; not read by this project.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub computer_use: Option<Value>,
    /// 2026.9.6 only; not read by this project.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub worker_runs: Option<Value>,
    /// 2026.9.6 only; not read by this project.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub model_catalog: Option<Value>,
}

impl ConnectParams {
    /// A request with nothing but the mandatory keys.
    #[must_use]
    pub const fn new(min_protocol: u32, max_protocol: u32, client: ClientInfo) -> Self {
        Self {
            min_protocol,
            max_protocol,
            client,
            caps: None,
            commands: None,
            permissions: None,
            path_env: None,
            role: None,
            scopes: None,
            device: None,
            auth: None,
            locale: None,
            user_agent: None,
            computer_use: None,
            worker_runs: None,
            model_catalog: None,
        }
    }
}

/// `params.client`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientInfo {
    /// Which program.
    pub id: ClientId,
    /// Name for people.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Version of the program.
    pub version: String,
    /// Operating system; pinned to the device entry from 2026.3.13 on.
    pub platform: String,
    /// Kind of hardware; pinned likewise.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Model of the hardware.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// How the program is used.
    pub mode: ClientMode,
    /// Distinguishes processes of one device.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// 2026.9.6 only.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// 2026.9.6 only.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
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
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// `params.auth`. Debug output hides every credential.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthParams {
    /// Shared token, or a device token where `deviceToken` is unknown.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Shared password.
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Token issued to this device and role (2026.2.22 on).
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// Single-use setup token (2026.3.13 on).
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub bootstrap_token: Option<String>,
    /// Credential of a helper process of the gateway itself (2026.9.6).
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub approval_runtime_token: Option<String>,
    /// Credential of an agent that the gateway started (2026.9.6).
    #[serde(default, deserialize_with = "crate::frame::present", skip_serializing_if = "Option::is_none")]
    pub agent_runtime_identity_token: Option<String>,
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
            .field("approval_runtime_token", &hidden(&self.approval_runtime_token))
            .field("agent_runtime_identity_token", &hidden(&self.agent_runtime_identity_token))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"minProtocol":3,"maxProtocol":3,
        "client":{"id":"cli","version":"1","platform":"linux","mode":"cli"}}"#;

    #[test]
    fn the_mandatory_keys_are_enough_and_null_is_no_absence() {
        let minimal: ConnectParams = serde_json::from_str(MINIMAL).unwrap();
        assert_eq!(minimal, ConnectParams::new(3, 3, minimal.client.clone()));
        for key in ["auth", "device", "role", "scopes", "caps", "locale", "bogus"] {
            let with_null = MINIMAL.replacen('{', &format!("{{\"{key}\":null,"), 1);
            assert!(serde_json::from_str::<ConnectParams>(&with_null).is_err(), "{key}");
        }
    }

    #[test]
    fn a_list_is_no_object_and_an_object_no_name() {
        let with = |key: &str| MINIMAL.replacen('{', &format!("{{{key},"), 1);
        for key in [r#""auth":[]"#, r#""auth":["t"]"#, r#""device":["i","k","s",1,"n"]"#, r#""device":[]"#] {
            assert!(serde_json::from_str::<ConnectParams>(&with(key)).is_err(), "{key}");
        }
        for (plain, other) in [
            (r#""id":"cli""#, r#""id":{"cli":null}"#),
            (r#""mode":"cli""#, r#""mode":{"cli":null}"#),
            (
                r#"{"id":"cli","version":"1","platform":"linux","mode":"cli"}"#,
                r#"["cli","n","1","linux","f","m","cli"]"#,
            ),
        ] {
            let text = MINIMAL.replacen(plain, other, 1);
            assert_ne!(text, MINIMAL);
            assert!(serde_json::from_str::<ConnectParams>(&text).is_err(), "{text}");
        }
        for id in ClientId::ALL {
            let text = serde_json::to_string(id).unwrap();
            assert_eq!(serde_json::from_str::<ClientId>(&text).unwrap(), *id);
        }
        assert!(serde_json::from_str::<ClientId>("\"CLI\"").is_err());
    }

    #[test]
    fn the_signed_credential_is_the_first_of_three_and_never_the_password() {
        let some = |text: &str| Some(text.to_owned());
        let mut auth = AuthParams {
            token: some("t"),
            password: some("p"),
            device_token: some("d"),
            bootstrap_token: some("b"),
            ..AuthParams::default()
        };
        assert_eq!(auth.signed_token(), "t");
        auth.token = None;
        assert_eq!(auth.signed_token(), "d");
        auth.device_token = None;
        assert_eq!(auth.signed_token(), "b");
        auth.bootstrap_token = None;
        assert_eq!(auth.signed_token(), "");
    }

    #[test]
    fn debug_output_hides_every_credential() {
        let secret = || Some("hush".to_owned());
        let auth = AuthParams {
            token: secret(),
            password: secret(),
            device_token: secret(),
            bootstrap_token: secret(),
            approval_runtime_token: secret(),
            agent_runtime_identity_token: secret(),
        };
        let shown = format!("{auth:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(shown.matches("<hidden>").count(), 6);
    }
}
