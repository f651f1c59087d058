//! Why a gateway's log says that it refused.

use super::line::Line;

/// What a refusal was for, as far as a log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Nobody has approved the device.
    NotPaired,
    /// More scopes than were approved.
    ScopeUpgrade,
    /// Another role than was approved.
    RoleUpgrade,
    /// Another platform or device family than was approved.
    MetadataUpgrade,
    /// Another shared token than the gateway's.
    TokenMismatch,
    /// No token.
    TokenMissing,
    /// Another password than the gateway's.
    PasswordMismatch,
    /// No password.
    PasswordMissing,
    /// A device token that is not, or no longer, the device's.
    DeviceTokenMismatch,
    /// Too many refused credentials from its address.
    RateLimited,
    /// A page of an origin that is not allowed.
    Origin,
    /// A browser without a secure context, so without a device.
    InsecureContext,
    /// No device where one is needed.
    DeviceRequired,
    /// A signature that is not the device's.
    Signature,
    /// A signature that is too old, or of the future.
    SignatureStale,
    /// Another nonce than the challenge's.
    Nonce,
    /// A device id that is not its key's.
    DeviceId,
    /// Protocols that the gateway does not speak.
    Protocol,
    /// A page of another build than the gateway's.
    Build,
    /// No `connect` in time.
    Timeout,
    /// A role that does not exist.
    Role,
    /// A first message that is no `connect`.
    InvalidHandshake,
    /// The gateway was starting or stopping.
    Restarting,
    /// The client left before it had asked.
    Left,
    /// Closed with 1008, and nothing beside it says why: the short console form of the old generation says so little.
    Unsaid,
    /// Another cause.
    Other,
}

/// `why`, its word in a result, and the words that logs have for it.
const WORDS: [(Why, &str, &[&str]); 26] = [
    (Why::NotPaired, "not-paired", &["not-paired"]),
    (Why::ScopeUpgrade, "scope-upgrade", &["scope-upgrade"]),
    (Why::RoleUpgrade, "role-upgrade", &["role-upgrade"]),
    (Why::MetadataUpgrade, "metadata-upgrade", &["metadata-upgrade"]),
    (Why::TokenMismatch, "AUTH_TOKEN_MISMATCH", &["token_mismatch", "token-mismatch"]),
    (Why::TokenMissing, "AUTH_TOKEN_MISSING", &["token_missing", "token-missing"]),
    (Why::PasswordMismatch, "AUTH_PASSWORD_MISMATCH", &["password_mismatch", "password-mismatch"]),
    (Why::PasswordMissing, "AUTH_PASSWORD_MISSING", &["password_missing", "password-missing"]),
    (
        Why::DeviceTokenMismatch,
        "AUTH_DEVICE_TOKEN_MISMATCH",
        &["device_token_mismatch", "device-token-mismatch"],
    ),
    (Why::RateLimited, "AUTH_RATE_LIMITED", &["rate_limited", "rate-limited"]),
    (Why::Origin, "CONTROL_UI_ORIGIN_NOT_ALLOWED", &["origin-mismatch"]),
    (Why::InsecureContext, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", &["control-ui-insecure-auth"]),
    (Why::DeviceRequired, "DEVICE_IDENTITY_REQUIRED", &["device-required"]),
    (Why::Signature, "DEVICE_AUTH_SIGNATURE_INVALID", &["device-signature"]),
    (Why::SignatureStale, "DEVICE_AUTH_SIGNATURE_EXPIRED", &["device-signature-stale"]),
    (Why::Nonce, "DEVICE_AUTH_NONCE_MISMATCH", &["device-nonce-mismatch", "device-nonce-missing"]),
    (Why::DeviceId, "DEVICE_AUTH_DEVICE_ID_MISMATCH", &["device-id-mismatch"]),
    (Why::Protocol, "PROTOCOL_MISMATCH", &["protocol-mismatch"]),
    (Why::Build, "CONTROL_UI_BUILD_MISMATCH", &["control-ui-build-mismatch"]),
    (Why::Timeout, "handshake-timeout", &["handshake-timeout"]),
    (Why::Role, "invalid-role", &["invalid-role"]),
    (Why::InvalidHandshake, "invalid-handshake", &["invalid-handshake"]),
    (
        Why::Restarting,
        "gateway-restarting",
        &["gateway-restarting", "startup-sidecars-pending", "gateway-starting"],
    ),
    (Why::Left, "left", &[]),
    (Why::Unsaid, "unsaid", &[]),
    (Why::Other, "other", &[]),
];

/// What the text of a close begins with, where no field says more.
const CLOSES: [(&str, Why); 16] = [
    ("pairing required: device is asking for more scopes", Why::ScopeUpgrade),
    ("pairing required: device is asking for a higher role", Why::RoleUpgrade),
    ("pairing required: device identity changed", Why::MetadataUpgrade),
    ("pairing required", Why::NotPaired),
    ("unauthorized: device token mismatch", Why::DeviceTokenMismatch),
    ("unauthorized: gateway token mismatch", Why::TokenMismatch),
    ("unauthorized: gateway token missing", Why::TokenMissing),
    ("unauthorized: gateway password mismatch", Why::PasswordMismatch),
    ("unauthorized: gateway password missing", Why::PasswordMissing),
    ("unauthorized: too many failed", Why::RateLimited),
    ("origin not allowed", Why::Origin),
    ("control ui requires device identity", Why::InsecureContext),
    ("device identity required", Why::DeviceRequired),
    ("protocol mismatch", Why::Protocol),
    ("gateway restart", Why::Restarting),
    ("gateway starting", Why::Restarting),
];

impl Why {
    /// The word that `refusals` of a result has for it, or a word of its own where no answer has one.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(why, ..)| *why == self).map_or("other", |(_, word, _)| word)
    }

    /// The word as part of a cohort's name.
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::NotPaired => "not-paired",
            Self::ScopeUpgrade => "scope-upgrade",
            Self::RoleUpgrade => "role-upgrade",
            Self::MetadataUpgrade => "metadata-upgrade",
            Self::TokenMismatch => "token-mismatch",
            Self::TokenMissing => "token-missing",
            Self::PasswordMismatch => "password-mismatch",
            Self::PasswordMissing => "password-missing",
            Self::DeviceTokenMismatch => "device-token-mismatch",
            Self::RateLimited => "rate-limited",
            Self::Origin => "origin",
            Self::InsecureContext => "insecure-context",
            Self::DeviceRequired => "no-device",
            Self::Signature => "signature",
            Self::SignatureStale => "old-signature",
            Self::Nonce => "nonce",
            Self::DeviceId => "device-id",
            Self::Protocol => "protocol",
            Self::Build => "build",
            Self::Timeout => "silent",
            Self::Role => "unknown-role",
            Self::InvalidHandshake => "invalid",
            Self::Restarting => "restarting",
            Self::Left => "left",
            Self::Unsaid => "unsaid",
            Self::Other => "other",
        }
    }

    /// From a word of a log's field.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(.., words)| words.contains(&word)).map(|(why, ..)| *why)
    }

    /// Whether a person's approval ends it.
    #[must_use]
    pub const fn is_pairing(self) -> bool {
        matches!(
            self,
            Self::NotPaired | Self::ScopeUpgrade | Self::RoleUpgrade | Self::MetadataUpgrade | Self::Unsaid
        )
    }

    /// Whether a client that is refused so is one whose credential the gateway does not take.
    #[must_use]
    pub const fn is_credential(self) -> bool {
        matches!(
            self,
            Self::TokenMismatch
                | Self::TokenMissing
                | Self::PasswordMismatch
                | Self::PasswordMissing
                | Self::DeviceTokenMismatch
                | Self::RateLimited
        )
    }

    /// What a `closed before connect` says by itself; `None` = only that it was refused.
    pub(super) fn of_close(line: &Line) -> Option<Self> {
        // The close's own text is the first `reason`; the field of the object beside it is another one, and the last.
        let close = line.first("reason");
        let last =
            line.last("reason").filter(|reason| line.last("cause").is_some() && Some(*reason) != close);
        let cause = line.last("cause");
        let fields = [line.last("pairingReason"), last, line.last("authReason"), cause];
        let by_field = fields.into_iter().flatten().find_map(Self::of_word);
        if by_field.is_some() {
            return by_field;
        }
        let by_text = close.and_then(|text| CLOSES.iter().find(|(start, _)| text.starts_with(start)));
        if let Some((_, why)) = by_text {
            return Some(*why);
        }
        match (cause, line.first("code")) {
            (Some("pairing-required"), _) => Some(Self::NotPaired),
            (Some("device-auth-invalid"), _) => Some(Self::Signature),
            (Some(_), _) => Some(Self::Other),
            (None, Some("1006" | "1005" | "1001" | "1000")) => Some(Self::Left),
            (None, _) => None,
        }
    }
}
