//! Nonces that look like a gateway's: a UUID v4.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

const TEMPLATE: [u8; 36] = *b"00000000-0000-4000-8000-000000000000";
const HEX: [u8; 16] = *b"0123456789abcdef";

/// A nonce as text, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce([u8; 36]);

impl Nonce {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let mut text = TEMPLATE;
        let mut bits = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        for place in text.iter_mut().filter(|place| **place == b'0') {
            *place = HEX.get((bits & 0xf) as usize).copied().unwrap_or(b'0');
            bits >>= 4;
        }
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn nonces_are_uuids_and_differ() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (one, other) = (Nonce::draw(&mut rng), Nonce::draw(&mut rng));
        assert_ne!(one, other);
        let text = one.as_str();
        assert_eq!(text.len(), 36);
        assert!(text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{text}");
        assert_eq!(text.as_bytes().get(14), Some(&b'4'));
    }
}
