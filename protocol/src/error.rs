//! Error shape, error codes and their details (reference, sections 2, 4 and 7).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Declares a string enum that keeps names it does not know, because error vocabularies grow with every release and a
/// harness must be able to report a new one instead of failing on it.
macro_rules! open_names {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A name that this build does not know.
            Other(String),
        }

        impl $name {
            /// Every name this build knows.
            pub const KNOWN: &'static [&'static str] = &[$($text),+];

            /// The name as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Ok(Self::from(&*name))
            }
        }
    };
}

open_names! {
    /// `error.code` of a response.
    ErrorCode {
        /// Malformed, unauthorised or otherwise refused.
        InvalidRequest = "INVALID_REQUEST",
        /// No device identity, or pairing required.
        NotPaired = "NOT_PAIRED",
        /// Gateway starting or stopping.
        Unavailable = "UNAVAILABLE",
        /// Scope denied (2026.9.6).
        Forbidden = "FORBIDDEN",
    }
}

open_names! {
    /// `error.details.code`, from 2026.2.22 on.
    DetailCode {
        /// One of the four pairing reasons applies.
        PairingRequired = "PAIRING_REQUIRED",
        /// No device object where one is needed.
        DeviceIdentityRequired = "DEVICE_IDENTITY_REQUIRED",
        /// As above, for the control UI.
        ControlUiDeviceIdentityRequired = "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        /// Origin refused (2026.3.13 on).
        ControlUiOriginNotAllowed = "CONTROL_UI_ORIGIN_NOT_ALLOWED",
        /// Any failed device proof (2026.2.22).
        DeviceAuthInvalid = "DEVICE_AUTH_INVALID",
        /// The id is not the hash of the key (2026.3.13 on).
        DeviceAuthDeviceIdMismatch = "DEVICE_AUTH_DEVICE_ID_MISMATCH",
        /// `signedAt` outside the allowed skew (2026.3.13 on).
        DeviceAuthSignatureExpired = "DEVICE_AUTH_SIGNATURE_EXPIRED",
        /// Nonce absent or blank (2026.3.13 on).
        DeviceAuthNonceRequired = "DEVICE_AUTH_NONCE_REQUIRED",
        /// Nonce is not the challenge's (2026.3.13 on).
        DeviceAuthNonceMismatch = "DEVICE_AUTH_NONCE_MISMATCH",
        /// Signature does not verify (2026.3.13 on).
        DeviceAuthSignatureInvalid = "DEVICE_AUTH_SIGNATURE_INVALID",
        /// No shared token sent.
        AuthTokenMissing = "AUTH_TOKEN_MISSING",
        /// Shared token wrong.
        AuthTokenMismatch = "AUTH_TOKEN_MISMATCH",
        /// No password sent.
        AuthPasswordMissing = "AUTH_PASSWORD_MISSING",
        /// Password wrong.
        AuthPasswordMismatch = "AUTH_PASSWORD_MISMATCH",
        /// Device token wrong, rotated, revoked or of another device or role.
        AuthDeviceTokenMismatch = "AUTH_DEVICE_TOKEN_MISMATCH",
        /// Device token known, but narrower than the request (2026.9.6).
        AuthScopeMismatch = "AUTH_SCOPE_MISMATCH",
        /// Bootstrap token unusable (2026.3.13 on).
        AuthBootstrapTokenInvalid = "AUTH_BOOTSTRAP_TOKEN_INVALID",
        /// Locked out.
        AuthRateLimited = "AUTH_RATE_LIMITED",
        /// Trusted-proxy identity refused.
        AuthUnauthorized = "AUTH_UNAUTHORIZED",
        /// Protocol range refused (2026.9.6).
        ProtocolMismatch = "PROTOCOL_MISMATCH",
        /// RPC needs a scope that the session lacks (2026.9.6).
        MissingScope = "MISSING_SCOPE",
        /// The caller's own pairing changed while its RPC ran (2026.9.6).
        PairingChanged = "PAIRING_CHANGED",
    }
}

/// `error.details.reason` of a pairing refusal: a closed set in every release (article; reference, section 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairingReason {
    /// No entry for this device, or another key.
    NotPaired,
    /// Platform or device family differ from the entry's.
    MetadataUpgrade,
    /// Role not approved.
    RoleUpgrade,
    /// Scopes not approved.
    ScopeUpgrade,
}

impl PairingReason {
    /// All four, in the order in which a gateway checks them (section 8.2).
    pub const ALL: [Self; 4] =
        [Self::NotPaired, Self::MetadataUpgrade, Self::RoleUpgrade, Self::ScopeUpgrade];

    /// The name as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotPaired => "not-paired",
            Self::MetadataUpgrade => "metadata-upgrade",
            Self::RoleUpgrade => "role-upgrade",
            Self::ScopeUpgrade => "scope-upgrade",
        }
    }
}

impl std::fmt::Display for PairingReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `error` of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ErrorShape {
    /// Machine-readable class.
    pub code: ErrorCode,
    /// Text for people; repeated, cut, in the close reason unless the reference says otherwise.
    pub message: String,
    /// What a client may act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorDetails>,
    /// Whether trying again can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorShape {
    /// An error without details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None, retryable: None, retry_after_ms: None }
    }

    /// The same error with these details.
    #[must_use]
    pub fn with_details(mut self, details: ErrorDetails) -> Self {
        self.details = Some(details);
        self
    }
}

/// `error.details`: the keys that this project reads by name, and whatever else came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetails {
    /// From 2026.2.22 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<DetailCode>,
    /// The pending request that an operator can approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// One of [`PairingReason`] on a pairing refusal; `device-signature` and the like on a failed device proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the credential was refused, for example `token_mismatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_reason: Option<String>,
    /// 2026.3.13 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_retry_with_device_token: Option<bool>,
    /// 2026.3.13 on, for example `update_auth_credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_next_step: Option<String>,
    /// On a protocol refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_protocol: Option<u32>,
    /// Keys of newer releases, kept as they came.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
