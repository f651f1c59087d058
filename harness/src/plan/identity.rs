//! Who a client is: its device key and the tokens a store fixture gives it, derived from the seed.
//!
//! A key is derived from SHA-256 over a fixed tag, the seed, the cohort's name and the client's index in it: `--clients`,
//! shards and the number of reactors never change who client 17 of cohort `phones` is. Against a gateway that the run
//! did not start, a random secret that is never written joins the derivation, so that nobody can log in with a
//! published seed (ARCHITECTURE.md, "Identity").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Derives identities for one run.
#[derive(Clone)]
pub struct Identities {
    seed: u64,
    secret: Option<[u8; 32]>,
}

impl Identities {
    /// Identities of a run against a gateway that the run itself starts: reproducible from the seed.
    #[must_use]
    pub const fn reproducible(seed: u64) -> Self {
        Self { seed, secret: None }
    }

    /// Identities of a run against somebody else's gateway: `secret` is random and never written.
    #[must_use]
    pub const fn secret(seed: u64, secret: [u8; 32]) -> Self {
        Self { seed, secret: Some(secret) }
    }

    /// Ed25519 seed of the device key of client `index` of `cohort`.
    #[must_use]
    pub fn key_seed(&self, cohort: &str, index: u32) -> [u8; 32] {
        self.derive("pairstorm device key v1", cohort, index, "")
    }

    /// Device token that a store fixture gives to client `index` of `cohort` for `role`: 43 characters of base64url.
    #[must_use]
    pub fn stored_token(&self, cohort: &str, index: u32, role: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derive("pairstorm stored token v1", cohort, index, role))
    }

    /// Shared token or password that the run gives to a gateway it starts.
    #[must_use]
    pub fn shared_secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derive("pairstorm shared secret v1", "", 0, ""))
    }

    fn derive(&self, tag: &str, cohort: &str, index: u32, role: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [tag.as_bytes(), cohort.as_bytes(), role.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(self.seed.to_le_bytes());
        hash.update(index.to_le_bytes());
        if let Some(secret) = self.secret {
            hash.update(secret);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_keeps_its_key_whoever_else_takes_part() {
        let identities = Identities::reproducible(7);
        assert_eq!(identities.key_seed("phones", 17), Identities::reproducible(7).key_seed("phones", 17));
        assert_ne!(identities.key_seed("phones", 17), identities.key_seed("phones", 18));
        assert_ne!(identities.key_seed("phones", 17), identities.key_seed("tabs", 17));
        assert_ne!(identities.key_seed("phones", 17), Identities::reproducible(8).key_seed("phones", 17));
    }

    #[test]
    fn a_published_seed_is_no_key_to_a_foreign_gateway() {
        let foreign = Identities::secret(7, [1; 32]);
        assert_ne!(foreign.key_seed("phones", 17), Identities::reproducible(7).key_seed("phones", 17));
    }
}
