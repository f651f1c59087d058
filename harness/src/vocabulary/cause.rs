//! Why a client is refused again and again: the one list of causes. `F` and `S` numbers are those of the failure catalogue and
//! of the founding article's statements; `docs/reference/diagnosis.md` says what shows each.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a client has no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nothing serves that URL, or something else does; or the gateway does not run (S15, F50, F56).
    WrongUrl,
    /// The gateway has begun to listen and does not serve yet (F51).
    GatewayStarting,
    /// Client and gateway speak different versions of the protocol (F32).
    ProtocolMismatch,
    /// The client's clock is further from the gateway's than the release allows (F31).
    ClockSkew,
    /// The client does not do its part of the handshake: nonce, signature, parameters, device (F28, F29, F30, F33).
    BrokenHandshake,
    /// The connect did not come within the gateway's time, or the gateway was too slow to take it (F39, F48, F49, F50, F52, F53, F54).
    HandshakeTimeout,
    /// Too many sockets of one address are before their connect (F38, F39, F55).
    SocketBudget,
    /// A proxy's headers cannot be attributed: HTTP 403 (F41, F44).
    ProxyAttribution,
    /// A page of a foreign origin (F45).
    Origin,
    /// A browser without a device identity, because the page is not in a secure context (F46).
    InsecureContext,
    /// The client's shared token or password is not the gateway's (S12, F22).
    TokenDrift,
    /// The client presents a device token that is no longer, or never was, its own (F19, F20, F21, F23, F24, F26).
    StaleDeviceToken,
    /// A setup code that was used or has expired (F25).
    BootstrapSpent,
    /// Somebody else at the same address presented wrong credentials until the address was locked out (F35, F36, F37).
    RateLimitedNeighbour,
    /// Nobody has approved the device (S2, S4, F01, F08, F10, F11, F13).
    NotApproved,
    /// Somebody approved it, in another state directory than the gateway's (S14, F09, F15, F66).
    ApprovedElsewhere,
    /// The device was approved, and the client waits for ever to be told (F14).
    PausedClient,
    /// A rotation left the token narrower than what the client asks (F05).
    NarrowRotation,
    /// The device was paired by something that only reads, and now has to write (S9, F04, F09).
    ReadOnlyPoisoned,
    /// The client asks for more scopes than the device holds, one after the other (S6, S7, F02, F03, F06).
    ScopeLadder,
    /// The client asks for a role that the device does not hold (S3, F02, F06, F58).
    Role,
    /// The stored platform or family is not what the client claims (S3, F12, F17, F18).
    MetadataPin,
    /// `trustedProxies` has a range that holds the proxy, and the release compares addresses only (S13, F40).
    CidrIgnored,
    /// The proxy that the client comes through is not in `trustedProxies` (S13, F07, F40, F42, F43, F44).
    UntrustedProxy,
    /// The gateway knew the device and no longer does (S16, S18, F57, F59, F61, F62, F64, F65, F67).
    LostStore,
    /// What is known does not suffice.
    CannotTell,
}

/// Cause, its name, its numbers, what it is in a line.
type Row = (Cause, &'static str, &'static str, &'static str);

impl Cause {
    /// All, in the order in which they are asked about: the founding article's "Debugging order".
    pub const ALL: [Self; 26] = [
        Self::WrongUrl,
        Self::GatewayStarting,
        Self::ProtocolMismatch,
        Self::ClockSkew,
        Self::BrokenHandshake,
        Self::HandshakeTimeout,
        Self::SocketBudget,
        Self::ProxyAttribution,
        Self::Origin,
        Self::InsecureContext,
        Self::TokenDrift,
        Self::StaleDeviceToken,
        Self::BootstrapSpent,
        Self::RateLimitedNeighbour,
        Self::NotApproved,
        Self::ApprovedElsewhere,
        Self::PausedClient,
        Self::NarrowRotation,
        Self::ReadOnlyPoisoned,
        Self::ScopeLadder,
        Self::Role,
        Self::MetadataPin,
        Self::CidrIgnored,
        Self::UntrustedProxy,
        Self::LostStore,
        Self::CannotTell,
    ];

    const ROWS: [Row; 26] = [
        (Self::WrongUrl, "wrong-url", "S15, F50, F56", "nothing serves that URL, or no gateway does"),
        (Self::GatewayStarting, "gateway-starting", "F51", "the gateway listens and does not serve yet"),
        (Self::ProtocolMismatch, "protocol-mismatch", "F32", "client and gateway speak different protocols"),
        (Self::ClockSkew, "clock-skew", "F31", "the client's clock is too far from the gateway's"),
        (
            Self::BrokenHandshake,
            "broken-handshake",
            "F28, F29, F30, F33",
            "the client does not do its part of the handshake",
        ),
        (
            Self::HandshakeTimeout,
            "handshake-timeout",
            "F39, F48, F49, F50, F52, F53, F54",
            "the handshake took longer than the gateway waits",
        ),
        (
            Self::SocketBudget,
            "socket-budget",
            "F38, F39, F55",
            "too many sockets of one address are before their connect",
        ),
        (
            Self::ProxyAttribution,
            "proxy-attribution",
            "F41, F44",
            "the proxy's headers cannot be attributed to a client",
        ),
        (Self::Origin, "origin", "F45", "the page's origin is not allowed"),
        (
            Self::InsecureContext,
            "insecure-context",
            "F46",
            "the browser has no device identity: the page is in no secure context",
        ),
        (Self::TokenDrift, "token-drift", "S12, F22", "the client's shared secret is not the gateway's"),
        (
            Self::StaleDeviceToken,
            "stale-device-token",
            "F19, F20, F21, F23, F24, F26",
            "the client's device token is not the one that the gateway holds for it",
        ),
        (Self::BootstrapSpent, "bootstrap-spent", "F25", "the setup code was used, or has expired"),
        (
            Self::RateLimitedNeighbour,
            "rate-limited-neighbour",
            "F35, F36, F37",
            "somebody else at the address presented wrong credentials until it was locked out",
        ),
        (
            Self::NotApproved,
            "not-approved",
            "S2, S4, F01, F08, F10, F11, F13",
            "nobody has approved the device",
        ),
        (
            Self::ApprovedElsewhere,
            "approved-elsewhere",
            "S14, F09, F15, F66",
            "it was approved in another state directory than the gateway's",
        ),
        (
            Self::PausedClient,
            "paused-client",
            "F14",
            "the device was approved, and its client waits to be started again",
        ),
        (
            Self::NarrowRotation,
            "narrow-rotation",
            "F05",
            "a rotation left the token narrower than what the client asks",
        ),
        (
            Self::ReadOnlyPoisoned,
            "read-only-poisoned",
            "S9, F04, F09",
            "the device holds operator.read only, and its client has to write",
        ),
        (
            Self::ScopeLadder,
            "scope-ladder",
            "S6, S7, F02, F03, F06",
            "the client asks for more scopes than the device holds",
        ),
        (Self::Role, "role", "S3, F02, F06, F58", "the client asks for a role that the device does not hold"),
        (
            Self::MetadataPin,
            "metadata-pin",
            "S3, F12, F17, F18",
            "the stored platform or family is not what the client claims",
        ),
        (
            Self::CidrIgnored,
            "cidr-ignored",
            "S13, F40",
            "trustedProxies holds a range, and this release compares addresses only",
        ),
        (
            Self::UntrustedProxy,
            "untrusted-proxy",
            "S13, F07, F40, F42, F43, F44",
            "the proxy that the client comes through is not trusted",
        ),
        (
            Self::LostStore,
            "lost-store",
            "S16, S18, F57, F59, F61, F62, F64, F65, F67",
            "the gateway knew the device and no longer does",
        ),
        (Self::CannotTell, "cannot-tell", "", "what is known does not suffice"),
    ];

    fn row(self) -> Row {
        let found = Self::ROWS.into_iter().find(|(cause, ..)| *cause == self);
        found.unwrap_or((Self::CannotTell, "cannot-tell", "", ""))
    }

    /// Name in scenarios, results and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Statements of the article and failure modes of the catalogue that it stands for.
    #[must_use]
    pub fn numbers(self) -> &'static str {
        self.row().2
    }

    /// What it is, in a line.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.row().3
    }

    /// The cause of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a scenario expects the diagnosis of a cohort's clients to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedCause {
    /// Each of them is in trouble, or was for a while, for this cause.
    Is(Cause),
    /// None of them is in trouble at the end.
    Nothing,
}

impl ExpectedCause {
    /// Word that expects no trouble.
    pub const NOTHING: &'static str = "none";

    /// As it stands in a scenario.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is(cause) => cause.as_str(),
            Self::Nothing => Self::NOTHING,
        }
    }

    /// What is called so.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        if name == Self::NOTHING { Some(Self::Nothing) } else { Cause::find(name).map(Self::Is) }
    }
}

/// No cause is called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no cause")]
pub struct UnknownCause(pub String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(name: &str) -> Result<Self, UnknownCause> {
        Self::find(name).ok_or_else(|| UnknownCause(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_row_and_name() {
        for (cause, row) in Cause::ALL.into_iter().zip(Cause::ROWS) {
            assert_eq!(cause, row.0);
            assert_eq!(cause.as_str().parse(), Ok(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert!(!cause.about().is_empty());
        }
        assert_eq!("gremlins".parse::<Cause>(), Err(UnknownCause("gremlins".to_owned())));
    }
}
