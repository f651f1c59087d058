//! A client's identity and the tokens that it keeps, as OpenClaw's clients store them (`identity/device.json`,
//! `identity/device-auth.json`, or the same as rows of a database).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::secret::Secret;
use crate::client::DeviceKey;

/// DER of an Ed25519 private key in PKCS #8 up to the seed (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A client's device, as far as it knows itself.
#[derive(Debug)]
pub struct Identity {
    /// Its key.
    pub key: DeviceKey,
    /// The device tokens that it was given, by role.
    pub tokens: BTreeMap<String, KeptToken>,
    /// What was there and not usable.
    pub unread: Vec<String>,
}

/// A device token as its client keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// The token.
    pub token: Secret,
    /// Scopes that it was given with.
    pub scopes: Vec<String>,
}

/// It is no identity. Nothing of it is repeated: it holds a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Other JSON, or none.
    #[error("it is not a device identity (no JSON with `privateKeyPem`)")]
    Shape,
    /// Another kind of key.
    #[error("its private key is no Ed25519 key in PKCS #8")]
    Key,
    /// Edited by hand, or put together from two.
    #[error("its `deviceId` is not that of its key; a gateway would answer `device identity mismatch`")]
    Mismatch,
}

impl Identity {
    /// The device of a `device.json`.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let stored: Value = serde_json::from_str(text).map_err(|_| IdentityError::Shape)?;
        let pem = stored.get("privateKeyPem").and_then(Value::as_str).ok_or(IdentityError::Shape)?;
        Self::of_pem(pem, stored.get("deviceId").and_then(Value::as_str))
    }

    /// The device of a private key, which is called `device_id`.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn of_pem(pem: &str, device_id: Option<&str>) -> Result<Self, IdentityError> {
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
            .collect();
        let der = STANDARD.decode(body).map_err(|_| IdentityError::Key)?;
        let seed: &[u8; 32] = der
            .strip_prefix(&PKCS8_PREFIX)
            .and_then(|seed| seed.try_into().ok())
            .ok_or(IdentityError::Key)?;
        let key = DeviceKey::from_seed(seed).map_err(|_| IdentityError::Key)?;
        if device_id.is_some_and(|id| id != key.device_id()) {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self { key, tokens: BTreeMap::new(), unread: Vec::new() })
    }

    /// Adds the tokens of a `device-auth.json`. What is not this device's is left, and said.
    pub fn add_tokens(&mut self, text: &str) {
        let stored: Value = match serde_json::from_str(text) {
            Ok(stored) => stored,
            Err(_) => {
                self.unread.push("device-auth.json is not JSON, so no device token is known".to_owned());
                return;
            }
        };
        if stored.get("deviceId").and_then(Value::as_str) != Some(self.key.device_id()) {
            self.unread
                .push("device-auth.json holds the tokens of another device, which were left".to_owned());
            return;
        }
        let Some(tokens) = stored.get("tokens").and_then(Value::as_object) else { return };
        for (role, kept) in tokens {
            let scopes = kept.get("scopes").and_then(Value::as_array).map_or_else(Vec::new, |scopes| {
                scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            });
            if let Some(token) = kept.get("token").and_then(Value::as_str) {
                self.add_token(role, token, scopes);
            }
        }
    }

    /// Adds a token.
    pub fn add_token(&mut self, role: &str, token: &str, scopes: Vec<String>) {
        if !token.trim().is_empty() {
            self.tokens.insert(role.to_owned(), KeptToken { token: Secret::new(token), scopes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(device_id: Option<&str>) -> String {
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode([PKCS8_PREFIX.as_slice(), &[7; 32]].concat())
        );
        let key = DeviceKey::from_seed(&[7; 32]).unwrap();
        serde_json::json!({
            "version": 1, "deviceId": device_id.unwrap_or_else(|| key.device_id()), "privateKeyPem": pem,
        })
        .to_string()
    }

    #[test]
    fn a_stored_identity_is_the_key_of_its_seed() {
        let mut identity = Identity::parse(&device(None)).unwrap();
        let id = identity.key.device_id().to_owned();
        identity.add_tokens(
            &serde_json::json!({"version": 1, "deviceId": id, "tokens": {
                "operator": {"token": "hunter2", "role": "operator", "scopes": ["operator.read"]},
                "node": {"role": "node"},
            }})
            .to_string(),
        );
        assert_eq!(identity.tokens.keys().collect::<Vec<_>>(), ["operator"]);
        assert!(!format!("{identity:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_no_identity_is_refused_without_showing_it() {
        assert_eq!(Identity::parse("{").err(), Some(IdentityError::Shape));
        assert_eq!(Identity::parse("{}").err(), Some(IdentityError::Shape));
        assert_eq!(Identity::parse(r#"{"privateKeyPem":"AAAA"}"#).err(), Some(IdentityError::Key));
        assert_eq!(Identity::parse(&device(Some("ff"))).err(), Some(IdentityError::Mismatch));
    }

    #[test]
    fn tokens_of_another_device_are_left() {
        let mut identity = Identity::parse(&device(None)).unwrap();
        identity.add_tokens(r#"{"deviceId":"ff","tokens":{"operator":{"token":"x"}}}"#);
        identity.add_tokens("nope");
        assert!(identity.tokens.is_empty());
        assert_eq!(identity.unread.len(), 2);
    }
}
