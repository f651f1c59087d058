//! Section 5: what a client really sends as credential, and how its refusal reads.

use crate::plan::{AuthMode, Credential};

/// What stands in `auth`, as far as the answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// No `auth`.
    Nothing,
    /// The gateway's shared secret in `auth.token`.
    SharedToken,
    /// Something else in `auth.token`, which is no device token either.
    WrongToken,
    /// The gateway's shared secret in `auth.password`.
    Password,
    /// Something else in `auth.password`.
    WrongPassword,
    /// A device token in `auth.deviceToken` that was once issued to the device.
    DeviceToken,
    /// An `auth.deviceToken` that was never issued.
    ForgedDeviceToken,
}

impl Sent {
    /// What a client with this script sends to a gateway in `mode`; `has_token`: it presents a device token
    /// (`Observation::presented_token`). A client that is to present one and has none falls back to the shared secret.
    #[must_use]
    pub const fn of(credential: Credential, mode: AuthMode, has_token: bool) -> Self {
        match (credential, mode) {
            (Credential::SharedToken, _) => Self::SharedToken,
            (Credential::WrongToken, _) => Self::WrongToken,
            (Credential::Password, _) => Self::Password,
            (Credential::WrongPassword, _) => Self::WrongPassword,
            (Credential::ForgedDeviceToken, _) => Self::ForgedDeviceToken,
            (Credential::Missing, _) => Self::Nothing,
            (Credential::DeviceToken | Credential::FirstDeviceToken, _) if has_token => Self::DeviceToken,
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::Token) => Self::SharedToken,
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::Password) => Self::Password,
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::None) => Self::Nothing,
        }
    }

    /// Whether it is the shared secret, in the field that the mode compares.
    #[must_use]
    pub const fn is_good_shared(self, mode: AuthMode) -> bool {
        matches!((self, mode), (Self::SharedToken, AuthMode::Token) | (Self::Password, AuthMode::Password))
    }

    /// Whether a shared credential was sent, in either field.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::SharedToken | Self::WrongToken | Self::Password | Self::WrongPassword)
    }

    /// How the credential is refused, once neither the shared secret nor a device token is good. `None` in mode
    /// `none`, which refuses nothing.
    #[must_use]
    pub const fn refusal(self, mode: AuthMode) -> Option<CredentialRefusal> {
        match (self, mode) {
            (_, AuthMode::None) => None,
            (Self::DeviceToken | Self::ForgedDeviceToken, _) => Some(CredentialRefusal::DeviceToken),
            (Self::SharedToken | Self::WrongToken, AuthMode::Token) => Some(CredentialRefusal::TokenMismatch),
            (_, AuthMode::Token) => Some(CredentialRefusal::TokenMissing),
            (Self::Password | Self::WrongPassword, AuthMode::Password) => {
                Some(CredentialRefusal::PasswordMismatch)
            }
            (_, AuthMode::Password) => Some(CredentialRefusal::PasswordMissing),
        }
    }
}

/// The rows of section 5's table of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialRefusal {
    /// `auth.deviceToken` was sent and is not good.
    DeviceToken,
    /// Token mode, `auth.token` absent.
    TokenMissing,
    /// Token mode, `auth.token` wrong.
    TokenMismatch,
    /// Password mode, `auth.password` absent.
    PasswordMissing,
    /// Password mode, `auth.password` wrong.
    PasswordMismatch,
}
