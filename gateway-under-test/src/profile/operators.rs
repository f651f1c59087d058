//! What operators' calls and the `devices` commands do.

/// What an RPC without the needed scope gets, and which scopes imply others there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityRule {
    /// `INVALID_REQUEST`; nothing implies anything; `health` is free (article).
    Exact,
    /// `INVALID_REQUEST`; admin may do all, write covers read; `health` needs read (2.19).
    AdminAllHealthScoped,
    /// Likewise, `health` is free (2.21 to 3.13).
    AdminAll,
    /// `FORBIDDEN` with details; admin may do all, write covers read; `health` is free (9.6).
    AdminAllForbidden,
}

/// What else an approver, rejecter, remover or rotater must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementRule {
    /// Nothing: `operator.pairing` is enough.
    PairingScope,
    /// Likewise, but a rotater must hold the scopes that it grants (3.13).
    RotatesWhatItHolds,
    /// The caller's scopes must cover what it grants, other roles need admin, and who came by a device token and is
    /// no admin manages only its own device (9.6).
    CoveredAndOwn,
}

/// What rotating to scopes beyond the entry's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateRule {
    /// They are added to the entry (article).
    Widens,
    /// They replace the entry's scopes (2.19).
    Replaces,
    /// Refused with `unknown deviceId/role`; compared with 2.21's own implications (2.21, 2.22).
    RefusedExpanded,
    /// Refused with `unknown deviceId/role`; compared as connects are (3.13).
    Refused,
    /// Refused with `device token rotation denied` (9.6).
    Denied,
}

/// What removing, rotating or revoking does to sessions of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveSessions {
    /// They stay open.
    StayOpen,
    /// They are closed with 4001 `device removed` (9.6).
    Closed,
}

/// Whether removing a device drops its waiting request too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveRule {
    /// Only the entry (2.19 to 3.13).
    EntryOnly,
    /// Both (article, 9.6).
    EntryAndRequest,
}

/// What `devices approve --latest` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatestRule {
    /// Approves the request that waits, and none if several do (article).
    OnlyOne,
    /// Approves the newest (2.19 to 3.13).
    Newest,
    /// Shows the newest and how to approve it, and exits with 1 (9.6).
    Preview,
}

/// What `devices` says when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CliRefused {
    /// `error: ` and the message (article).
    Plain,
    /// `[openclaw] Failed to start CLI: Error: ` and the message (2.19 to 2.22).
    Error,
    /// `[openclaw] Failed to start CLI: GatewayClientRequestError: ` and the message (3.13).
    RequestError,
    /// A reason and where to go from there; as JSON too where the answer would have been JSON (9.6).
    Report,
}
