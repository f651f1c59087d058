//! What passes over the wire, and when.

/// What happens to messages that arrive while a `connect` is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipelining {
    /// They wait in the socket until hello (article).
    AfterHello,
    /// Each is handled at once, as if it were the first (2.19 to 3.13).
    Concurrent,
    /// They wait in a queue; one more than `max` closes 1008 `too many pending handshake frames` (9.6).
    Queued {
        /// Messages that may wait.
        max: usize,
    },
}

/// What a gateway answers between opening its port and being ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// It opens its port when it is ready.
    Ready,
    /// A connect that is not a paired node's gets `UNAVAILABLE` and close 1013 (9.6).
    Refuses {
        /// How long it lasted on the real one, milliseconds.
        typical_ms: u64,
        /// `retryAfterMs` of the answer.
        retry_after_ms: u64,
    },
}

/// What SIGTERM does to sockets and upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRule {
    /// `restartExpectedMs: null`, sockets before hello are dropped, upgrades get 503 `Service Unavailable`.
    DropsHandshakes,
    /// No `restartExpectedMs`, upgrades get 503 `Gateway websocket admission closed`. Sockets before hello get 1012 after a
    /// while; until then a connect gets `UNAVAILABLE` and close 1013 (9.6).
    ClosesHandshakes {
        /// How long the while was on the real one, milliseconds.
        after_ms: u64,
    },
}

/// What plain HTTP requests get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRule {
    /// Health paths and metrics; anything else 404 (article).
    HealthAndMetrics,
    /// The control UI on every path (2.19, 2.21).
    ControlUi,
    /// Likewise, but not for files (2.22).
    ControlUiNoFiles,
    /// The control UI, but not for files and calls, and health paths; other methods find nothing (3.13, 9.6).
    ControlUiAndHealth,
}

/// Which counter numbers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSeq {
    /// One for the whole gateway (2.19 to 3.13).
    Gateway,
    /// One a session, from 1 (9.6).
    Session,
}

/// What `hello.auth` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloAuthRule {
    /// The device token with *its* scopes; absent if none was issued.
    DeviceToken,
    /// Always there: how it authenticated and the *session's* scopes, in the order asked; the token if one was issued (9.6).
    Session,
}

/// Which keys hello has beside those that every gateway sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloShape {
    /// None (article).
    Bare,
    /// `server.host`, `canvasHostUrl` (2.19, 2.21).
    HostAndCanvas,
    /// `canvasHostUrl` (2.22, 3.13).
    Canvas,
    /// Build, boot, capabilities, what plugins add, attachments and sharing (9.6).
    V4,
}

/// What sessions are told when somebody connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announces {
    /// Nothing (article).
    Nothing,
    /// All are told a fresh `health`; a node is told the words that wake it (2.19 to 3.13).
    Health,
    /// Readers are told who is there, all are told `health` once a minute, operators are told of a node that wants its
    /// commands approved; a node is told the words that wake it and where they lead (9.6).
    PresenceAndNodes,
}
