//! Random numbers that a seed fixes.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// The random numbers of one purpose of one client: `tag` names the purpose (for example `arrival`, `hold`,
/// `backoff`), so that a new use of randomness never shifts the numbers of another.
///
/// Nothing else enters: other cohorts, the number of clients and the order of calls do not matter.
#[must_use]
pub fn stream(seed: u64, tag: &str, cohort: &str, index: u32) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    for part in ["pairstorm random stream v1", tag, cohort] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn every_part_of_the_name_makes_another_stream() {
        let first = |seed, tag, cohort, index| stream(seed, tag, cohort, index).next_u64();
        let one = first(1, "hold", "tabs", 17);
        assert_eq!(one, first(1, "hold", "tabs", 17));
        for other in [
            first(2, "hold", "tabs", 17),
            first(1, "backoff", "tabs", 17),
            first(1, "hold", "phones", 17),
            first(1, "hold", "tabs", 18),
            // The parts are length-prefixed: text cannot move from one to the other.
            first(1, "holdt", "abs", 17),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_numbers_are_those_of_every_build() {
        // A changed value means that published seeds no longer reproduce their runs.
        assert_eq!(stream(1, "arrival", "tabs", 0).next_u64(), 10_738_614_667_996_778_073);
    }
}
