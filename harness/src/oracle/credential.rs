//! What a client really sends as credential, and how it is refused (reference, section 7).

use super::release::{Release, WrongToken};
use crate::plan::{AuthMode, Credential};

/// One secret of `auth`, as far as the answer depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Secret {
    /// No key, or nothing in it.
    #[default]
    Absent,
    /// The gateway's shared secret.
    Shared,
    /// A device token that was once issued.
    Issued,
    /// Anything else.
    Wrong,
}

impl Secret {
    const fn is_sent(self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// What stands in `auth`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Sent {
    /// `auth.token`
    pub token: Secret,
    /// `auth.password`
    pub password: Secret,
    /// `auth.deviceToken`
    pub device_token: Secret,
    /// A useless `auth.bootstrapToken` is there.
    pub bootstrap: bool,
}

impl Sent {
    /// What a client with this script sends to a gateway in `mode`; `has_token`: it presents a device token
    /// (`Observation::presented_token`). A client that is to present one and has none falls back to the shared secret.
    /// Releases that know no `auth.deviceToken` get it in `auth.token`.
    #[must_use]
    pub fn of(credential: Credential, mode: AuthMode, release: &Release, has_token: bool) -> Self {
        let none = Self::default();
        let token = |token| Self { token, ..none };
        let password = |password| Self { password, ..none };
        let device = |secret| {
            if release.device_token_field { Self { device_token: secret, ..none } } else { token(secret) }
        };
        match (credential, mode) {
            // Whichever of the two the gateway has: 2026.9.6 takes it in either field.
            (Credential::SharedToken, _) => token(Secret::Shared),
            (Credential::WrongToken, _) => token(Secret::Wrong),
            (Credential::Password, _) => password(Secret::Shared),
            (Credential::WrongPassword, _) => password(Secret::Wrong),
            (Credential::ForgedDeviceToken, _) => device(Secret::Wrong),
            (Credential::Missing, _) => none,
            (Credential::DeviceToken | Credential::FirstDeviceToken, _) if has_token => {
                device(Secret::Issued)
            }
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::Token) => {
                token(Secret::Shared)
            }
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::Password) => {
                password(Secret::Shared)
            }
            (Credential::DeviceToken | Credential::FirstDeviceToken, AuthMode::None) => none,
        }
    }

    /// Whether a shared credential was sent, in either field.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.token.is_sent() || self.password.is_sent()
    }

    /// The secret that is compared with the shared one.
    #[must_use]
    pub const fn compared(self, mode: AuthMode, release: &Release) -> Secret {
        let (first, second) = match mode {
            AuthMode::Token | AuthMode::None => (self.token, self.password),
            AuthMode::Password => (self.password, self.token),
        };
        if release.secret_in_either_field && !first.is_sent() { second } else { first }
    }

    /// Whether the shared secret is good.
    #[must_use]
    pub const fn is_good_shared(self, mode: AuthMode, release: &Release) -> bool {
        !matches!(mode, AuthMode::None) && matches!(self.compared(mode, release), Secret::Shared)
    }

    /// The secret that is tried as a device token of a client that has a device.
    #[must_use]
    pub const fn candidate(self) -> Secret {
        if self.device_token.is_sent() { self.device_token } else { self.token }
    }

    /// How the credential is refused, once neither the shared secret nor a device token is good. `None` in mode
    /// `none`, which refuses nothing.
    #[must_use]
    pub const fn refusal(self, mode: AuthMode, release: &Release, device: bool) -> Option<CredentialRefusal> {
        let shared = match (mode, self.compared(mode, release).is_sent()) {
            (AuthMode::None, _) => return None,
            (AuthMode::Token, false) => CredentialRefusal::TokenMissing,
            (AuthMode::Token, true) => CredentialRefusal::TokenMismatch,
            (AuthMode::Password, false) => CredentialRefusal::PasswordMissing,
            (AuthMode::Password, true) => CredentialRefusal::PasswordMismatch,
        };
        let as_device_token = matches!(release.wrong_token_with_device, WrongToken::AsDeviceToken);
        if !device {
            Some(shared)
        } else if self.device_token.is_sent() || (as_device_token && self.token.is_sent()) {
            Some(CredentialRefusal::DeviceToken)
        } else if self.bootstrap {
            Some(CredentialRefusal::Bootstrap)
        } else {
            Some(shared)
        }
    }
}

/// How a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialRefusal {
    /// A device token that is not good.
    DeviceToken,
    /// A device token that is too narrow (2026.9.6).
    ScopeMismatch,
    /// A setup code that is not good.
    Bootstrap,
    /// Token mode, no token.
    TokenMissing,
    /// Token mode, wrong token.
    TokenMismatch,
    /// Password mode, no password.
    PasswordMissing,
    /// Password mode, wrong password.
    PasswordMismatch,
    /// Locked out.
    RateLimited,
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ProfileName;

    const FIELDS: Sent = Sent {
        token: Secret::Absent,
        password: Secret::Absent,
        device_token: Secret::Absent,
        bootstrap: false,
    };

    fn release(profile: ProfileName) -> &'static Release {
        Release::of(profile)
    }

    /// Reference, section 7: device tokens go in `auth.token` before 2.22, and a client without one has the secret.
    #[test]
    fn what_a_client_of_a_release_sends() {
        use AuthMode::{None as Open, Password, Token};
        let token = |token| Sent { token, ..FIELDS };
        let password = |password| Sent { password, ..FIELDS };
        let device = |device_token| Sent { device_token, ..FIELDS };
        let rows = [
            (Credential::SharedToken, Token, false, token(Secret::Shared), token(Secret::Shared)),
            (Credential::WrongToken, Token, true, token(Secret::Wrong), token(Secret::Wrong)),
            (Credential::Password, Password, false, password(Secret::Shared), password(Secret::Shared)),
            (Credential::WrongPassword, Password, true, password(Secret::Wrong), password(Secret::Wrong)),
            (Credential::ForgedDeviceToken, Token, false, token(Secret::Wrong), device(Secret::Wrong)),
            (Credential::Missing, Token, true, FIELDS, FIELDS),
            (Credential::DeviceToken, Token, true, token(Secret::Issued), device(Secret::Issued)),
            (Credential::DeviceToken, Token, false, token(Secret::Shared), token(Secret::Shared)),
            (Credential::FirstDeviceToken, Password, true, token(Secret::Issued), device(Secret::Issued)),
            (
                Credential::FirstDeviceToken,
                Password,
                false,
                password(Secret::Shared),
                password(Secret::Shared),
            ),
            (Credential::DeviceToken, Open, false, FIELDS, FIELDS),
        ];
        for (credential, mode, has_token, older, newer) in rows {
            let sent = |profile| Sent::of(credential, mode, release(profile), has_token);
            assert_eq!(sent(ProfileName::V2026_2_19), older, "{credential:?}");
            assert_eq!(sent(ProfileName::V2026_2_21), older, "{credential:?}");
            for profile in [ProfileName::V2026_2_22, ProfileName::V2026_3_13, ProfileName::V2026_9_6] {
                assert_eq!(sent(profile), newer, "{credential:?} {profile:?}");
            }
        }
    }

    /// Reference, section 7, first item: only 9.6 takes the secret in the other field, and only if its own is empty.
    #[test]
    fn where_the_secret_is_looked_for() {
        let token = Sent { token: Secret::Shared, ..FIELDS };
        let password = Sent { password: Secret::Shared, ..FIELDS };
        let both = Sent { token: Secret::Wrong, ..password };
        let rows = [
            (token, AuthMode::Token, true, true),
            (password, AuthMode::Password, true, true),
            (password, AuthMode::Token, false, true),
            (token, AuthMode::Password, false, true),
            (both, AuthMode::Token, false, false),
            (both, AuthMode::Password, true, true),
            (FIELDS, AuthMode::Token, false, false),
            (token, AuthMode::None, false, false),
        ];
        for (sent, mode, older, newest) in rows {
            let is_good = |profile| sent.is_good_shared(mode, release(profile));
            assert_eq!(is_good(ProfileName::V2026_3_13), older, "{sent:?} {mode:?}");
            assert_eq!(is_good(ProfileName::V2026_9_6), newest, "{sent:?} {mode:?}");
        }
    }

    /// The table of reference, section 7: 2.19, then 2.22, with a device and without.
    #[test]
    fn how_a_credential_is_refused() {
        use CredentialRefusal::{
            Bootstrap, DeviceToken, PasswordMismatch, PasswordMissing, TokenMismatch, TokenMissing,
        };
        let token = Sent { token: Secret::Wrong, ..FIELDS };
        let password = Sent { password: Secret::Wrong, ..FIELDS };
        let device = Sent { device_token: Secret::Wrong, ..FIELDS };
        let bootstrap = Sent { bootstrap: true, ..FIELDS };
        let rows = [
            (FIELDS, AuthMode::Token, [TokenMissing, TokenMissing, TokenMissing]),
            (token, AuthMode::Token, [DeviceToken, TokenMismatch, TokenMismatch]),
            (password, AuthMode::Password, [PasswordMismatch, PasswordMismatch, PasswordMismatch]),
            (FIELDS, AuthMode::Password, [PasswordMissing, PasswordMissing, PasswordMissing]),
            (device, AuthMode::Token, [DeviceToken, DeviceToken, TokenMissing]),
            (bootstrap, AuthMode::Token, [Bootstrap, Bootstrap, TokenMissing]),
        ];
        for (sent, mode, expected) in rows {
            let refusal = |profile, has_device| sent.refusal(mode, release(profile), has_device);
            let seen = [
                refusal(ProfileName::V2026_2_19, true),
                refusal(ProfileName::V2026_3_13, true),
                refusal(ProfileName::V2026_3_13, false),
            ];
            assert_eq!(seen, expected.map(Some), "{sent:?} {mode:?}");
            assert_eq!(sent.refusal(AuthMode::None, release(ProfileName::V2026_3_13), true), None);
        }
    }
}
