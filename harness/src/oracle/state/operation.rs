//! What can happen to a device, what was seen of it, and what must have been answered.

use protocol::PairingReason;

use super::{Claim, Edit, Ident, Mark};
use crate::oracle::alphabet::{Listed, Role, ScopeSet};
use crate::plan::Nanos;

/// Something that happened to a device, somewhere between two times.
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) struct Op {
    pub(in crate::oracle) act: Act,
    pub(in crate::oracle) from: Nanos,
    pub(in crate::oracle) until: Nanos,
    /// Nobody knows whether it happened at all.
    pub(in crate::oracle) optional: bool,
    /// The operation, by position, that has to happen before this one, and without which it cannot.
    pub(in crate::oracle) after: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) enum Act {
    Connect(Connect),
    /// The device token of a connect is looked up, before anything else is.
    Verify(Connect),
    /// A connect that was let in was judged once before, and left its request then (2026.9.6 looks again before it refuses).
    Ask(Connect),
    /// A connect that was refused leaves its request, after it was judged.
    Record(Connect),
    Approve {
        id: Mark,
        end: End,
    },
    Reject {
        id: Mark,
        end: End,
    },
    Remove {
        end: End,
    },
    Rotate {
        role: Role,
        scopes: Option<ScopeSet>,
        token: Option<Mark>,
        end: End,
    },
    Revoke {
        role: Role,
        end: End,
    },
    Edit(Edit),
    /// The stored file is taken away, and will be put back as it was.
    Away,
    /// It is put back.
    Back,
    /// The gateway starts with an empty store.
    Lost,
    /// The store is read, at start or on SIGHUP. `lossy`: what is written lazily may not have been written.
    Load {
        lossy: bool,
    },
}

/// How an operator's action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oracle) enum End {
    Done,
    /// `unknown requestId`, `unknown deviceId`, `unknown deviceId/role`.
    UnknownId,
    Open,
}

/// A connect that reaches the device's state.
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) struct Connect {
    pub(in crate::oracle) claim: Claim,
    /// Device token that decides about the credential; `None` = the credential is good without one, or is looked up in
    /// a step of its own.
    pub(in crate::oracle) presented: Option<u64>,
    /// `signedAt` is so close to its limit that the connect may have been refused before.
    pub(in crate::oracle) may_be_stale: bool,
    /// Where its request is left in a step of its own.
    pub(in crate::oracle) records_later: bool,
    /// It overlaps other operations on the device.
    pub(in crate::oracle) raced: bool,
    pub(in crate::oracle) seen: Seen,
}

/// What was seen of a connect, as far as it says something about the device's state.
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) enum Seen {
    /// `None`: without `hello.auth`.
    Session(Option<SeenAuth>),
    Pairing {
        /// `None`: the release does not say.
        reason: Option<PairingReason>,
        id: Option<Mark>,
    },
    /// `narrow`: the token is known, and does not cover what is asked.
    TokenRefused {
        narrow: bool,
    },
    Stale,
    /// An answer that no state explains.
    Foreign,
    /// No answer.
    Open,
}

/// `hello.auth`
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) struct SeenAuth {
    /// `role` is the role asked.
    pub(in crate::oracle) role_fits: bool,
    pub(in crate::oracle) scopes: Listed,
    /// `scopes` are those asked, in that order.
    pub(in crate::oracle) as_asked: bool,
    pub(in crate::oracle) token: Option<Mark>,
}

/// What the gateway must have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oracle) enum Out {
    Session(Granted),
    Pairing {
        reason: PairingReason,
        id: Ident,
    },
    TokenRefused {
        narrow: bool,
    },
    Stale,
    /// Of an operation that is no connect.
    Done,
}

/// `hello.auth` that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oracle) enum Granted {
    /// None.
    Absent,
    /// What the token may, and the token.
    Token { scopes: ScopeSet, secret: Ident },
    /// What the connection may, and the token if there is one.
    Live { secret: Option<Ident> },
}

/// How closely an operation has to fit what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oracle) enum Fit {
    /// Exactly.
    Exact,
    /// Same class of answer, whatever token and request id: the gateway's are taken over, so that one wrong one does not
    /// make all later ones wrong.
    Class,
    /// Whatever was seen: what the model allows is taken to have happened.
    Any,
}
