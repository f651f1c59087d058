//! The credential key of one attempt, resolved from the cohort's [`Credential`] and what the client holds.

use crate::plan::Credential;
use crate::vocabulary::persona::DeviceTokenField;

/// A token that no gateway of ours ever issues.
const WRONG_SECRET: &str = "pairstorm-wrong-secret";

/// Key of `auth` that an attempt fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthKey {
    /// No `auth` at all.
    #[default]
    Absent,
    /// `auth.token`
    Token,
    /// `auth.password`
    Password,
    /// `auth.deviceToken`
    DeviceToken,
}

impl AuthKey {
    /// Every key.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Token, Self::Password, Self::DeviceToken];

    /// Whether its value is part of the signed bytes: the password never is (reference, section 3).
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Token | Self::DeviceToken)
    }
}

/// The credential of one attempt. Holds a secret and has no `Debug` for that reason.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// Where it stands.
    pub key: AuthKey,
    /// The secret; empty when [`Credentials::key`] is absent.
    pub value: &'a str,
    /// Whether it is a device token.
    pub is_device_token: bool,
}

/// What a client may draw its credential from.
#[derive(Clone, Copy)]
pub struct Purse<'a> {
    /// The gateway's shared secret.
    pub shared: &'a str,
    /// Whether the gateway asks for a password rather than a token.
    pub password_mode: bool,
    /// Device token last received.
    pub last_token: Option<&'a str>,
    /// Device token first received.
    pub first_token: Option<&'a str>,
    /// Where this client puts a device token.
    pub token_in: DeviceTokenField,
}

impl<'a> Credentials<'a> {
    /// Picks the credential.
    #[must_use]
    pub fn pick(credential: Credential, purse: Purse<'a>) -> Self {
        let device_token = match credential {
            Credential::DeviceToken => purse.last_token,
            Credential::FirstDeviceToken => purse.first_token,
            Credential::ForgedDeviceToken => Some(WRONG_SECRET),
            _ => None,
        };
        if let Some(value) = device_token {
            let key = match purse.token_in {
                DeviceTokenField::Token => AuthKey::Token,
                DeviceTokenField::DeviceToken => AuthKey::DeviceToken,
            };
            return Self { key, value, is_device_token: true };
        }
        let (key, value) = match credential {
            Credential::WrongToken => (AuthKey::Token, WRONG_SECRET),
            Credential::Password => (AuthKey::Password, purse.shared),
            Credential::WrongPassword => (AuthKey::Password, WRONG_SECRET),
            Credential::SharedToken => (AuthKey::Token, purse.shared),
            // Until it has been given one, a client presents the shared secret.
            Credential::DeviceToken | Credential::FirstDeviceToken | Credential::ForgedDeviceToken => {
                (if purse.password_mode { AuthKey::Password } else { AuthKey::Token }, purse.shared)
            }
            Credential::Missing => (AuthKey::Absent, ""),
        };
        Self { key, value, is_device_token: false }
    }

    /// The device token presented, if one is.
    #[must_use]
    pub const fn device_token(&self) -> Option<&'a str> {
        if self.is_device_token { Some(self.value) } else { None }
    }

    /// What of it is part of the signed bytes.
    #[must_use]
    pub const fn signed(&self) -> &'a str {
        if self.key.is_signed() { self.value } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purse(token_in: DeviceTokenField, last: Option<&'static str>) -> Purse<'static> {
        Purse {
            shared: "shared",
            password_mode: false,
            last_token: last,
            first_token: Some("first"),
            token_in,
        }
    }

    #[test]
    fn a_device_token_stands_where_the_release_reads_it() {
        for (token_in, key) in
            [(DeviceTokenField::Token, AuthKey::Token), (DeviceTokenField::DeviceToken, AuthKey::DeviceToken)]
        {
            let picked = Credentials::pick(Credential::DeviceToken, purse(token_in, Some("last")));
            assert_eq!((picked.key, picked.value, picked.device_token()), (key, "last", Some("last")));
            let picked = Credentials::pick(Credential::FirstDeviceToken, purse(token_in, Some("last")));
            assert_eq!(picked.value, "first");
        }
    }

    #[test]
    fn without_a_device_token_the_shared_secret_is_shown() {
        let mut purse = purse(DeviceTokenField::DeviceToken, None);
        let picked = Credentials::pick(Credential::DeviceToken, purse);
        assert_eq!((picked.key, picked.value, picked.device_token()), (AuthKey::Token, "shared", None));
        purse.password_mode = true;
        let picked = Credentials::pick(Credential::DeviceToken, purse);
        assert_eq!((picked.key, picked.signed()), (AuthKey::Password, ""), "a password is never signed");
    }
}
