//! The state of one device and what each operation does to it (reference, sections 7 to 9).
//!
//! A state is a plain value: scopes and roles are sets of an alphabet, platforms and families are numbers of the texts
//! that the device's history names. What differs between releases is asked of [`Release`].
//!
//! | module | holds |
//! |---|---|
//! | `operation` | what can happen to a device, and what was seen of it |
//! | `connect` | a connect, from its credential to its answer |
//! | `request` | the request that waits |
//! | `approval` | what an approval makes of the entry |
//! | `token` | tokens: found, issued, rotated, revoked |
//! | `store` | removals, edits of the store, and reading it |

mod approval;
mod connect;
mod operation;
mod request;
mod store;
mod token;

pub(super) use operation::{Act, Connect, End, Fit, Granted, Op, Out, Seen, SeenAuth};

use protocol::PairingReason;

use super::alphabet::{Covering, ROLES_MAX, Role, RoleSet, ScopeSet};
use super::release::Release;
use crate::plan::Nanos;

pub(super) type Text = u8;

/// What one connect claims and asks, and how the gateway sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) role: Role,
    /// Whether `role` is `operator`, whose scopes imply others.
    pub(super) is_operator: bool,
    pub(super) scopes: ScopeSet,
    pub(super) platform: Option<Text>,
    pub(super) family: Option<Text>,
    /// Stored platforms, by number, that agree with the claimed one.
    pub(super) platform_agrees: u64,
    /// Stored families that agree.
    pub(super) family_agrees: u64,
    /// Reasons that it is approved for at once.
    pub(super) silent: Reasons,
    /// Pairing is not checked.
    pub(super) skips_pairing: bool,
    /// A browser.
    pub(super) browser: bool,
    /// A browser that has the shared secret: its token is bound to that (2026.9.6).
    pub(super) binds_token: bool,
}

/// A set of pairing reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reasons(u8);

impl Reasons {
    pub(super) const fn with(self, reason: PairingReason) -> Self {
        Self(self.0 | (1 << reason as u8))
    }

    const fn contains(self, reason: PairingReason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }
}

/// The rules that do not change in a device's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) release: &'static Release,
    pub(super) covering: &'a Covering,
    /// Number of the role `operator`.
    pub(super) operator: Option<Role>,
    /// Number of the role `node`.
    pub(super) node: Option<Role>,
    /// What an approval of a request that nobody knows is taken to have approved.
    pub(super) usual: Claim,
    /// Life of a pending request since its last refresh, in nanoseconds.
    pub(super) ttl: Nanos,
    /// How far from the end of that life both answers are allowed.
    pub(super) tolerance: Nanos,
}

/// A token or a request id: random, so a new one is none that anybody has seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ident {
    Seen(u64),
    /// Made not before `since`, and not yet known to anybody here.
    Unseen {
        since: Nanos,
    },
}

impl Ident {
    /// Whether it may be the one that was seen.
    fn may_be(self, mark: Mark) -> bool {
        match self {
            Self::Seen(value) => value == mark.value,
            Self::Unseen { since } => mark.first >= since,
        }
    }
}

/// A token or a request id that was seen, and when it was first seen in the whole history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) value: u64,
    pub(super) first: Nanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token {
    pub(super) secret: Ident,
    pub(super) scopes: ScopeSet,
    pub(super) revoked: bool,
    /// Bound to the shared secret (2026.9.6, browsers).
    pub(super) bound: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub(super) roles: RoleSet,
    /// What may be asked for.
    pub(super) scopes: ScopeSet,
    /// What was approved, if the release keeps that beside `scopes`; no token goes beyond it.
    pub(super) approved: Option<ScopeSet>,
    pub(super) platform: Option<Text>,
    pub(super) family: Option<Text>,
    /// Without metadata, and the store was loaded while a request of this device waited (article).
    pub(super) repairable: bool,
    /// Approved for a browser.
    pub(super) browser: bool,
    pub(super) tokens: [Option<Token>; ROLES_MAX],
}

impl Entry {
    pub(super) fn token(&self, role: Role) -> Option<Token> {
        self.tokens.get(usize::from(role)).copied().flatten()
    }

    pub(super) fn set_token(&mut self, role: Role, token: Token) {
        if let Some(slot) = self.tokens.get_mut(usize::from(role)) {
            *slot = Some(token);
        }
    }

    /// The scopes that tokens are held against.
    fn baseline(&self) -> ScopeSet {
        self.approved.unwrap_or(self.scopes)
    }
}

/// A request that waits for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pending {
    pub(super) id: Ident,
    pub(super) roles: RoleSet,
    /// The role that counts where only one does.
    pub(super) role: Role,
    pub(super) scopes: ScopeSet,
    pub(super) platform: Option<Text>,
    pub(super) family: Option<Text>,
    pub(super) browser: bool,
    /// It would have been approved at once.
    pub(super) silent: bool,
    /// Between which times the last refresh happened.
    pub(super) refreshed: (Nanos, Nanos),
    /// Earliest time of the refresh that is surely in the store: later ones are written lazily (article, section 8), so
    /// that a kill or a reload may bring this one back.
    pub(super) durable: Nanos,
}

/// Everything a gateway knows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    pub(super) entry: Option<Entry>,
    pub(super) pending: Option<Pending>,
    /// An edit of the store that nobody has read yet (article).
    pub(super) edited: Option<Edit>,
    /// What became of the file, and of what the gateway sees of it.
    pub(super) away: Away,
}

/// The stored file was taken away for a while, and put back as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Away {
    /// The file is away now.
    pub(super) file: bool,
    /// The gateway has read that there is nothing.
    pub(super) entry: bool,
}

/// A hand edit of the stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Edit {
    /// The scopes became these.
    Scopes(ScopeSet),
    /// The entry went.
    Drop,
}

impl Model<'_> {
    /// Appends every state that `op` may lead to, with the answer that belongs to it.
    pub(super) fn apply(&self, state: &State, op: &Op, fit: Fit, next: &mut Vec<(State, Out)>) {
        let before = next.len();
        if state.away.entry && !matches!(op.act, Act::Load { .. } | Act::Away | Act::Back) {
            self.apply_without_entry(state, op, fit, next);
            return;
        }
        match op.act {
            Act::Connect(connect) => self.connect(state, op, &connect, fit, next),
            Act::Verify(connect) => self.verify(state, &connect, fit, next),
            Act::Ask(connect) => self.ask(state, op, &connect, fit, next),
            Act::Record(connect) => self.record(state, op, &connect, fit, next),
            Act::Load { lossy } => self.load(state, op, lossy, next),
            Act::Approve { id, end } => self.approve(state, op, id, end, fit, next),
            Act::Reject { id, end } => self.reject(state, op, id, end, fit, next),
            Act::Remove { end } => self.remove(state, end, next),
            Act::Rotate { role, scopes, token, end } => {
                self.rotate(state, op, (role, scopes, token, end), fit, next);
            }
            Act::Revoke { role, end } => token::revoke(state, role, end, next),
            Act::Edit(edit) => self.edit(state, edit, next),
            Act::Away => next.push((self.taken_away(*state), Out::Done)),
            Act::Back => next.push((self.put_back(*state), Out::Done)),
            Act::Lost => next.push((State { entry: None, pending: None, edited: None, ..*state }, Out::Done)),
        }
        if fit == Fit::Any && next.len() == before {
            // An acknowledgement that makes no sense changes nothing here; who asks is told (`Finding`).
            next.push((*state, Out::Done));
        }
    }

    fn covers(&self, role: Role, held: ScopeSet, asked: ScopeSet) -> bool {
        self.covering.covers(Some(role) == self.operator, held, asked)
    }
}
