//! Who a client is: its device key and the tokens a store fixture gives it, derived from the seed.
//!
//! A key is derived from SHA-256 over a fixed tag, the seed, the cohort's name and the client's index in it: `--clients`,
//! shards and the number of reactors never change who client 17 of cohort `phones` is. Against a gateway that the run
//! did not start, a random secret that is never written joins the derivation, so that nobody can log in with a
//! published seed (ARCHITECTURE.md, "Identity").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::vocabulary::PlannedClient;

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

    /// Ed25519 seed of the device key that a client of `cohort` has. Whoever has lost its key has another.
    #[must_use]
    pub fn client_key_seed(&self, cohort: &str, client: &PlannedClient) -> [u8; 32] {
        match client.life {
            0 => self.key_seed(cohort, client.index),
            life => self.derive("pairstorm later device key v1", cohort, client.index, &life.to_string()),
        }
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
    fn a_lost_key_is_followed_by_another_that_the_seed_fixes_too() {
        let identities = Identities::reproducible(7);
        let client = |index, life| PlannedClient {
            cohort: 0,
            index,
            intended: 0,
            source: std::net::Ipv4Addr::LOCALHOST,
            forwarded: None,
            life,
            next_life: None,
        };
        let seed = |index, life| identities.client_key_seed("phones", &client(index, life));
        assert_eq!(seed(17, 0), identities.key_seed("phones", 17));
        assert_eq!(seed(17, 1), seed(17, 1));
        let keys: std::collections::HashSet<_> =
            [(17, 0), (17, 1), (17, 2), (18, 1)].map(|(index, life)| seed(index, life)).into();
        assert_eq!(keys.len(), 4);
    }

    #[test]
    fn a_published_seed_is_no_key_to_a_foreign_gateway() {
        let foreign = Identities::secret(7, [1; 32]);
        assert_ne!(foreign.key_seed("phones", 17), Identities::reproducible(7).key_seed("phones", 17));
    }
}
