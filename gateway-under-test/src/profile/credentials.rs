//! What counts as a credential, and how often it may be wrong.

/// What counts as a credential that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialText {
    /// Any text with a character, as it stands (2.19, 2.21, article).
    AsSent,
    /// White space around it is cut, and nothing else is none (2.22 on).
    Trimmed,
}

/// What a device token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenBinding {
    /// Device, role, and the key of the entry (article).
    DeviceRoleKey,
    /// Device and role (2.19 to 3.13).
    DeviceRole,
    /// Likewise; a browser's also to the shared secret under which it was issued (9.6).
    DeviceRoleIssuer,
}

/// Fields that the shared secret is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedSecretField {
    /// That of the mode (2.19 to 3.13).
    OfMode,
    /// That of the mode, else the other one (9.6).
    Either,
}

/// What is said of a device with a wrong `auth.token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMismatch {
    /// `device token mismatch`, always (2.19, 2.21).
    AsDeviceToken,
    /// `gateway token mismatch`, unless `auth.deviceToken` was sent (2.22, 3.13, article).
    AsShared,
    /// Likewise, and a device token that is only too narrow is told apart (9.6).
    AsSharedOrScope,
}

/// Rate limit of failed credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitRule {
    /// There is none (article).
    Never,
    /// Only if `gateway.auth.rateLimit` is set (2.19 to 3.13).
    WhenConfigured {
        /// Whether a missing credential of a client without device counts as a failure.
        missing_counts: bool,
        /// Whether an `Origin` header makes a loopback client one that is never exempt.
        browsers_apart: bool,
    },
    /// On by default; exempt loopback clients are delayed; browsers are counted by `Origin`; the answer says how long (9.6).
    Always,
}

/// Numbers of the rate limit where it is on and `gateway.auth.rateLimit` does not say otherwise.
pub mod rate_limit_defaults {
    /// Failures that lock.
    pub const MAX_ATTEMPTS: u32 = 10;
    /// Window in which they count, milliseconds.
    pub const WINDOW_MS: u64 = 60_000;
    /// How long the lock lasts, milliseconds.
    pub const LOCKOUT_MS: u64 = 300_000;
}

/// Who may use `gateway.auth.mode = "trusted-proxy"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxyRule {
    /// The mode is unknown (article).
    Unknown,
    /// Whoever comes from a trusted proxy with a user; a device is needed (2.19 to 2.22).
    DeviceNeeded,
    /// Likewise, but a control UI as operator needs neither device nor pairing (3.13).
    ControlUiAlone,
    /// Likewise, and loopback proxies need `allowLoopback`; a command line may come without a device (9.6).
    LoopbackNeedsLeave,
}
