//! WebSocket close codes and reasons (reference, sections 4.1 and 10).

use serde::{Deserialize, Serialize};

/// Close codes that a gateway or an official client uses.
pub mod code {
    /// Handshake timeout, or a first message that is not JSON; the reason is empty.
    pub const NORMAL: u16 = 1000;
    /// Protocol range does not include the gateway's protocol.
    pub const PROTOCOL_MISMATCH: u16 = 1002;
    /// No close frame was received: killed process or network. Never sent on the wire.
    pub const ABNORMAL: u16 = 1006;
    /// Policy violation: every refusal of `connect` but those with a code of their own.
    pub const POLICY: u16 = 1008;
    /// First message above the pre-auth size limit.
    pub const TOO_BIG: u16 = 1009;
    /// Gateway stops or restarts.
    pub const SERVICE_RESTART: u16 = 1012;
    /// Gateway not ready yet (2026.9.6).
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// Sent by a client that has seen no `tick` for two intervals.
    pub const TICK_TIMEOUT: u16 = 4000;
    /// Device removed or its token changed (2026.9.6).
    pub const DEVICE_REMOVED: u16 = 4001;
}

/// Close reasons that do not repeat an error message.
pub mod reason {
    /// JSON, but no request frame.
    pub const INVALID_REQUEST_FRAME: &str = "invalid request frame";
    /// Sent to every session on SIGTERM.
    pub const SERVICE_RESTART: &str = "service restart";
    /// Protocol range refused.
    pub const PROTOCOL_MISMATCH: &str = "protocol mismatch";
    /// A pairing refusal up to 2026.3.13 and of the `article` profile.
    pub const PAIRING_REQUIRED: &str = "pairing required";
}

/// Close reasons are cut to this many bytes (section 1.1): RFC 6455 allows 123, the gateways keep to 120.
pub const REASON_BYTES_MAX: usize = 120;

/// A close frame as sent or received.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Close {
    /// RFC 6455 close code.
    pub code: u16,
    /// Reason, possibly empty, possibly cut.
    pub reason: String,
}

impl Close {
    /// A close whose reason is cut to [`REASON_BYTES_MAX`] at a character boundary, as the gateways do.
    #[must_use]
    pub fn cut(code: u16, reason: &str) -> Self {
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        Self { code, reason: reason.get(..end).unwrap_or_default().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_kept_whole_or_not_at_all() {
        assert_eq!(Close::cut(code::POLICY, &"a".repeat(121)).reason, "a".repeat(120));
        // Two bytes each: 60 fit. With one byte before them, the 60th would end at byte 121.
        assert_eq!(Close::cut(code::POLICY, &"é".repeat(61)).reason, "é".repeat(60));
        assert_eq!(Close::cut(code::POLICY, &format!("a{}", "é".repeat(61))).reason.len(), 119);
        assert_eq!(Close::cut(code::NORMAL, ""), Close { code: 1000, reason: String::new() });
    }
}
