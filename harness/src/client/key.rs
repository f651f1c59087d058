//! A device key: derived in the plan, used to sign connect requests.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An Ed25519 key pair with its public names. aws-lc-rs signs in 6 us, the fastest of the libraries measured; the gateway
/// verifies with another library, so that each checks the other.
pub struct DeviceKey {
    pair: Ed25519KeyPair,
    device_id: Box<str>,
    public_key: Box<str>,
}

/// base64url of the 64 bytes of a signature.
const SIGNATURE_LEN: usize = 86;

/// The library refused a key seed; it does not for 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error("a device key cannot be derived")]
pub struct KeyError;

impl DeviceKey {
    /// The key pair of an Ed25519 seed.
    ///
    /// # Errors
    /// [`KeyError`] when the library refuses the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError)?;
        let raw: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyError)?;
        Ok(Self {
            device_id: protocol::device_id(&raw).into(),
            public_key: URL_SAFE_NO_PAD.encode(raw).into(),
            pair,
        })
    }

    /// `device.id`: lowercase hex.
    #[must_use]
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// `device.publicKey`: base64url.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// `device.signature` over a payload text: base64url.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()))
    }

    /// The same, appended to `out`.
    pub fn sign_into(&self, text: &str, out: &mut Vec<u8>) {
        let signature = self.pair.sign(text.as_bytes());
        let from = out.len();
        out.resize(from + SIGNATURE_LEN, 0);
        // The room is exactly what 64 bytes need; a signature of another length would leave it empty, and be refused.
        if let Some(room) = out.get_mut(from..)
            && URL_SAFE_NO_PAD.encode_slice(signature.as_ref(), room).is_err()
        {
            out.truncate(from);
        }
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceKey").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn the_public_key_is_that_of_the_rfc() {
        let mut seed = [0_u8; 32];
        hex::decode_to_slice("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", &mut seed)
            .unwrap();
        let key = DeviceKey::from_seed(&seed).unwrap();
        let public = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        assert_eq!(key.public_key(), URL_SAFE_NO_PAD.encode(&public));
        let raw: [u8; 32] = public.try_into().unwrap();
        assert_eq!(key.device_id(), protocol::device_id(&raw));
        let mut signed = Vec::new();
        key.sign_into("text", &mut signed);
        assert_eq!(String::from_utf8(signed).unwrap(), key.sign("text"));
    }
}
