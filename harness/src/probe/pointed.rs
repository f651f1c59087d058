//! What a person pointed at. A probe uses nothing else.

use super::address::Address;
use super::configuration::Configuration;
use super::identity::{Identity, KeptToken};
use super::secret::Secret;
use super::store::Store;

/// What a person pointed at.
#[derive(Debug)]
pub struct Pointed {
    /// The gateway.
    pub address: Address,
    /// Its shared token or password.
    pub credential: Option<Credential>,
    /// The client's identity.
    pub identity: Option<Identity>,
    /// The role that the client asks for.
    pub role: String,
    /// The scopes that the client asks for, where somebody said.
    pub asks: Option<Vec<String>>,
    /// The platform that the client claims, where somebody said.
    pub platform: Option<String>,
    /// The device family that the client claims, where somebody said.
    pub device_family: Option<String>,
    /// The name that the client goes by, where somebody said.
    pub display_name: Option<String>,
    /// The origin of the page that a browser loaded.
    pub origin: Option<String>,
    /// Whether a secret may be sent so that anybody on the way can read it.
    pub allow_plaintext: bool,
    /// Whether a device that was never seen may be shown.
    pub new_device: bool,
    /// The configuration of the state directory.
    pub configuration: Option<Configuration>,
    /// The store of the state directory, if it is that of the gateway at this address.
    pub store: Option<Store>,
}

/// A shared secret.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The secret.
    pub secret: Secret,
    /// It goes where a password goes.
    pub is_password: bool,
}

impl Pointed {
    /// The device token that the identity holds for the role.
    #[must_use]
    pub fn kept(&self) -> Option<&KeptToken> {
        self.identity.as_ref()?.tokens.get(&self.role)
    }

    /// Whether no secret may be sent, because anybody on the way could read it.
    #[must_use]
    pub fn keeps_secrets_back(&self) -> bool {
        self.address.is_readable() && !self.allow_plaintext
    }

    /// The id of the device.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.key.device_id())
    }

    /// Every secret that was read, so that none is shown.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let configuration = self.configuration.iter().flat_map(|configuration| {
            [
                &configuration.token,
                &configuration.password,
                &configuration.remote_token,
                &configuration.remote_password,
            ]
        });
        let kept = self.identity.iter().flat_map(|identity| identity.tokens.values().map(|kept| &kept.token));
        let stored = self.store.iter().filter_map(|store| store.entry.as_ref());
        let stored = stored.flat_map(|entry| entry.tokens.values().map(|token| &token.token));
        let query = self.address.path().split_once('?').map(|(_, query)| query.to_owned());
        let values = query.into_iter().flat_map(|query| {
            query
                .split('&')
                .map(|pair| pair.rsplit('=').next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        });
        self.credential
            .iter()
            .map(|credential| &credential.secret)
            .chain(configuration.flatten())
            .chain(kept)
            .chain(stored)
            .map(|secret| secret.reveal().to_owned())
            .chain(values)
            // A value of one or two characters is no secret, and would tear holes into every word.
            .filter(|secret| secret.len() >= 4)
            .collect::<Vec<_>>()
            .into_iter()
    }
}
