//! What a release limits of its clients, as far as scenarios and plans have to fit it.

use std::time::Duration;

use protocol::ProfileName;

/// Limits of one release (reference, sections 1.1 and 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from the upgrade to an accepted `connect`; then the gateway closes.
    pub handshake: Duration,
    /// It counts the sockets without `connect` and the refused credentials of each address, and refuses who has too many:
    /// clients that are not to meet that need addresses of their own ([`super::addresses`]).
    pub counts_by_address: bool,
}

/// What `release` limits.
#[must_use]
pub const fn limits(release: ProfileName) -> Limits {
    let (handshake, counts_by_address) = match release {
        ProfileName::Article
        | ProfileName::V2026_2_19
        | ProfileName::V2026_2_21
        | ProfileName::V2026_2_22 => (10, false),
        ProfileName::V2026_3_13 => (3, false),
        ProfileName::V2026_9_6 => (15, true),
    };
    Limits { handshake: Duration::from_secs(handshake), counts_by_address }
}
