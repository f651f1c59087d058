//! Device identity and the bytes a device signs (reference, section 3).
//!
//! Signing stands in the harness, verifying in the gateway, with different Ed25519 libraries, so that each checks the
//! other; only the bytes are shared, and those are held to recorded sessions of real gateways.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Lowercase hex SHA-256 of the 32 raw public key bytes: 64 characters. Upper case is refused by every release.
#[must_use]
pub fn device_id(public_key: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(public_key))
}

/// Which fields are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PayloadVersion {
    /// Without nonce: 2026.2.19 and 2026.2.21, local clients only.
    V1,
    /// With nonce: every release.
    V2,
    /// With nonce, platform and device family: 2026.3.13 on.
    V3,
}

/// The signed fields. None is escaped: a `|` inside a field stays as it is.
#[derive(Clone, Copy)]
pub struct SignaturePayload<'a> {
    /// `device.id`.
    pub device_id: &'a str,
    /// `client.id`.
    pub client_id: &'a str,
    /// `client.mode`.
    pub client_mode: &'a str,
    /// Effective role: `operator` when the request names none.
    pub role: &'a str,
    /// Scopes in the order of the request.
    pub scopes: &'a [String],
    /// `device.signedAt`, milliseconds.
    pub signed_at_ms: u64,
    /// See [`crate::connect::AuthParams::signed_token`].
    pub token: &'a str,
    /// The challenge's nonce (v2, v3).
    pub nonce: &'a str,
    /// `client.platform` (v3).
    pub platform: &'a str,
    /// `client.deviceFamily`, empty when absent (v3).
    pub device_family: &'a str,
}

impl SignaturePayload<'_> {
    /// The text whose UTF-8 bytes are signed: fields joined by `|`, no trailing separator.
    #[must_use]
    pub fn text(&self, version: PayloadVersion) -> String {
        let mut text = String::with_capacity(256);
        self.write(version, &mut text);
        text
    }

    /// Appends that text to `text`, for one who signs thousands a second and keeps the buffer.
    pub fn write(&self, version: PayloadVersion, text: &mut String) {
        text.push_str(match version {
            PayloadVersion::V1 => "v1",
            PayloadVersion::V2 => "v2",
            PayloadVersion::V3 => "v3",
        });
        for field in [self.device_id, self.client_id, self.client_mode, self.role] {
            text.push('|');
            text.push_str(field);
        }
        text.push('|');
        for (position, scope) in self.scopes.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str(scope);
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "|{}|{}", self.signed_at_ms, self.token);
        if version >= PayloadVersion::V2 {
            text.push('|');
            text.push_str(self.nonce);
        }
        if version >= PayloadVersion::V3 {
            text.push('|');
            push_normalized(text, self.platform);
            text.push('|');
            push_normalized(text, self.device_family);
        }
    }
}

/// Trimmed, ASCII upper case lowered: how v3 signs, and how gateways compare, platform and device family.
///
/// Trimmed as JavaScript trims, since that is what the gateways and the official clients run on: U+FEFF counts as white
/// space and U+0085 does not.
#[must_use]
pub fn normalized_metadata(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    push_normalized(&mut text, value);
    text
}

fn push_normalized(text: &mut String, value: &str) {
    let blank = |c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}');
    text.extend(value.trim_matches(blank).chars().map(|c| c.to_ascii_lowercase()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_lowers_and_trims_metadata() {
        let scopes = ["operator.read".to_owned(), "operator.write".to_owned()];
        let payload = SignaturePayload {
            device_id: "id",
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes: &scopes,
            signed_at_ms: 7,
            token: "t",
            nonce: "n",
            platform: " MacIntel ",
            device_family: "",
        };
        assert_eq!(
            payload.text(PayloadVersion::V3),
            "v3|id|cli|cli|operator|operator.read,operator.write|7|t|n|macintel|"
        );
        assert_eq!(
            payload.text(PayloadVersion::V1),
            "v1|id|cli|cli|operator|operator.read,operator.write|7|t"
        );
    }

    #[test]
    fn metadata_is_trimmed_as_javascript_does() {
        assert_eq!(normalized_metadata("\u{feff}\t MacIntel\u{a0}\n"), "macintel");
        assert_eq!(normalized_metadata("\u{85}Mac\u{85}"), "\u{85}mac\u{85}");
        // ASCII only: what other alphabets call lower case is left alone.
        assert_eq!(normalized_metadata("ÄIPAD"), "Äipad");
    }
}
