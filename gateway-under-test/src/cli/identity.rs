//! The device identity of `devices`: `<state>/identity/device.json`, in OpenClaw's form.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

use crate::clock::wall_ms;

/// DER of an Ed25519 private key in PKCS #8 up to the seed, and of a public key in SPKI up to the key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A device key.
pub(super) struct Identity {
    key: SigningKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    version: u32,
    device_id: String,
    public_key_pem: String,
    private_key_pem: String,
    created_at_ms: u64,
}

impl Identity {
    /// Reads the identity of a state directory; makes one (mode 0600) if there is none.
    pub(super) fn load_or_create(state_dir: &Path) -> anyhow::Result<Self> {
        let folder = state_dir.join("identity");
        let path = folder.join("device.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("{} cannot be used", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let identity = Self::create()?;
                std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
                identity.write(&path).with_context(|| format!("cannot write {}", path.display()))?;
                Ok(identity)
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn create() -> anyhow::Result<Self> {
        let mut seed = [0_u8; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(|error| anyhow!("no randomness: {error}"))?;
        Ok(Self { key: SigningKey::from_bytes(&seed) })
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // serde's messages can repeat what they found, and that is a private key.
        let stored: Stored =
            serde_json::from_str(text).map_err(|_| anyhow!("it is not a device identity"))?;
        let body: String = stored
            .private_key_pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .flat_map(|line| line.trim().chars())
            .collect();
        let seed: [u8; 32] = STANDARD
            .decode(body)
            .ok()
            .and_then(|der| der.strip_prefix(&PKCS8_PREFIX)?.try_into().ok())
            .ok_or_else(|| anyhow!("its key is no Ed25519 key in PKCS #8"))?;
        Ok(Self { key: SigningKey::from_bytes(&seed) })
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let stored = Stored {
            version: 1,
            device_id: self.device_id(),
            public_key_pem: pem("PUBLIC", &[SPKI_PREFIX.as_slice(), &self.public()].concat()),
            private_key_pem: pem("PRIVATE", &[PKCS8_PREFIX.as_slice(), &self.key.to_bytes()].concat()),
            created_at_ms: wall_ms(),
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(serde_json::to_string_pretty(&stored)?.as_bytes())?;
        file.write_all(b"\n")?;
        Ok(())
    }

    fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(super) fn device_id(&self) -> String {
        protocol::device_id(&self.public())
    }

    /// base64url of the key.
    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    /// base64url of the signature.
    pub(super) fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    // At most 48 bytes, that is 64 characters: one line.
    format!("-----BEGIN {kind} KEY-----\n{}\n-----END {kind} KEY-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_identity_stays() {
        let dir = tempfile::tempdir().unwrap();
        let made = Identity::load_or_create(dir.path()).unwrap();
        let read = Identity::load_or_create(dir.path()).unwrap();
        assert_eq!(made.device_id(), read.device_id());
        assert_eq!(made.sign("x"), read.sign("x"));
        let mode = std::fs::metadata(dir.path().join("identity/device.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
