//! The state of one device and what each operation does to it (sections 6 to 8).
//!
//! A client always asks the same (its cohort's [`ConnectSpec`](crate::plan::ConnectSpec)), so a pending request always
//! asks what the client claims: merging two asks changes nothing but the time of the last refresh, and of a stored
//! entry's metadata only three things matter: it agrees with the claim, it differs, or there is none.

use protocol::PairingReason;

use super::alphabet::{Listed, ROLES_MAX, Role, RoleSet, ScopeSet};
use crate::plan::Nanos;

/// What the client claims and asks, and how the gateway sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) role: Role,
    /// Whether `role` is `node`, whose tokens get no scopes at an approval.
    pub(super) is_node: bool,
    pub(super) scopes: ScopeSet,
    pub(super) local: bool,
}

/// The rules that do not change in a device's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) claim: Claim,
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
}

/// Stored platform and device family against the claimed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Metadata {
    Agrees,
    Differs,
    /// Neither is stored; `repairable`: the store was loaded while a request of this device waited.
    Legacy {
        repairable: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry {
    pub(super) roles: RoleSet,
    pub(super) scopes: ScopeSet,
    pub(super) metadata: Metadata,
    pub(super) tokens: [Option<Token>; ROLES_MAX],
}

impl Entry {
    fn empty() -> Self {
        Self {
            roles: RoleSet::default(),
            scopes: ScopeSet::default(),
            metadata: Metadata::Agrees,
            tokens: [None; ROLES_MAX],
        }
    }

    pub(super) fn token(&self, role: Role) -> Option<Token> {
        self.tokens.get(usize::from(role)).copied().flatten()
    }

    pub(super) fn set_token(&mut self, role: Role, token: Token) {
        if let Some(slot) = self.tokens.get_mut(usize::from(role)) {
            *slot = Some(token);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pending {
    pub(super) id: Ident,
    /// Between which times the last refresh happened.
    pub(super) refreshed: (Nanos, Nanos),
    /// Earliest time of the refresh that is surely in the store: later ones are written lazily (section 8), so that a
    /// kill or a reload may bring this one back.
    pub(super) durable: Nanos,
}

/// Everything a gateway knows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State {
    pub(super) entry: Option<Entry>,
    pub(super) pending: Option<Pending>,
}

/// Something that happened to a device, somewhere between two times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    pub(super) act: Act,
    pub(super) from: Nanos,
    pub(super) until: Nanos,
    /// Nobody knows whether it happened at all.
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Connect(Connect),
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
    /// The store is read, at start or on SIGHUP. `lossy`: what is written lazily may not have been written.
    Load {
        lossy: bool,
    },
}

/// How an operator's action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// `unknown requestId`, `unknown deviceId`, `unknown deviceId/role`.
    UnknownId,
    Open,
}

/// A connect that reaches the device's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connect {
    /// Device token that decides about the credential; `None` = the credential is good without one.
    pub(super) presented: Option<u64>,
    /// `signedAt` is so close to its limit that the connect may have been refused before.
    pub(super) may_be_stale: bool,
    pub(super) seen: Seen,
}

/// What was seen of a connect, as far as it says something about the device's state.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Session {
        /// `hello.auth.role` is the role asked.
        role_fits: bool,
        scopes: Listed,
        token: Option<Mark>,
    },
    Pairing {
        reason: PairingReason,
        id: Option<Mark>,
    },
    TokenRefused,
    Stale,
    /// An answer that no state explains.
    Foreign,
    /// No answer.
    Open,
}

/// What the gateway must have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Out {
    Session {
        scopes: ScopeSet,
        secret: Ident,
    },
    Pairing {
        reason: PairingReason,
        id: Ident,
    },
    TokenRefused,
    Stale,
    /// Of an operation that is no connect.
    Done,
}

/// How closely an operation has to fit what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Exactly.
    Exact,
    /// Same class of answer, whatever token and request id: the gateway's are taken over, so that one wrong one does not
    /// make all later ones wrong.
    Class,
    /// Whatever was seen: what the model allows is taken to have happened.
    Any,
}

/// What is to be believed of a pending request at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Waiting,
    Gone,
    Either,
}

impl Model {
    /// Appends every state that `op` may lead to, with the answer that belongs to it.
    pub(super) fn apply(&self, state: &State, op: &Op, fit: Fit, next: &mut Vec<(State, Out)>) {
        let before = next.len();
        match op.act {
            Act::Connect(connect) => self.connect(state, op, &connect, fit, next),
            Act::Load { lossy } => self.load(state, op, lossy, next),
            Act::Approve { id, end } => self.approve(state, op, id, end, fit, next),
            Act::Reject { id, end } => self.reject(state, op, id, end, fit, next),
            Act::Remove { end } => {
                let known = state.entry.is_some();
                match end {
                    End::UnknownId if !known => next.push((*state, Out::Done)),
                    End::Done | End::Open if known => {
                        next.push((State { entry: None, pending: None }, Out::Done));
                    }
                    _ => {}
                }
            }
            Act::Rotate { role, scopes, token, end } => {
                rotate(state, op, role, scopes, token, end, fit, next);
            }
            Act::Revoke { role, end } => revoke(state, role, end, next),
        }
        if fit == Fit::Any && next.len() == before {
            // An acknowledgement that makes no sense changes nothing here; who asks is told (`Finding`).
            next.push((*state, Out::Done));
        }
    }

    fn life(&self, pending: &Pending, op: &Op) -> Life {
        let oldest = op.until.saturating_sub(pending.refreshed.0);
        let youngest = op.from.saturating_sub(pending.refreshed.1);
        if youngest >= self.ttl.saturating_add(self.tolerance) {
            Life::Gone
        } else if oldest < self.ttl.saturating_sub(self.tolerance) {
            Life::Waiting
        } else {
            Life::Either
        }
    }

    /// The request that may be waiting, and whether there may be none.
    fn waiting(&self, state: &State, op: &Op) -> (Option<Pending>, bool) {
        match state.pending {
            None => (None, true),
            Some(pending) => match self.life(&pending, op) {
                Life::Waiting => (Some(pending), false),
                Life::Gone => (None, true),
                Life::Either => (Some(pending), true),
            },
        }
    }

    fn connect(&self, state: &State, op: &Op, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        if connect.may_be_stale && (fit == Fit::Any || matches!(connect.seen, Seen::Stale | Seen::Open)) {
            next.push((*state, Out::Stale));
        }
        if let Some(presented) = connect.presented
            && !self.token_is_good(state, presented)
        {
            if fit == Fit::Any || matches!(connect.seen, Seen::TokenRefused | Seen::Open) {
                next.push((*state, Out::TokenRefused));
            }
            return;
        }
        let mut state = *state;
        match self.finding(&mut state) {
            None => self.accept(state, op, connect, fit, next),
            Some(PairingReason::NotPaired) if self.claim.local => {
                state.entry = Some(self.approved(Entry::empty(), op));
                self.accept(state, op, connect, fit, next);
            }
            Some(reason) => self.refuse(state, op, connect, reason, fit, next),
        }
    }

    fn token_is_good(&self, state: &State, presented: u64) -> bool {
        state.entry.and_then(|entry| entry.token(self.claim.role)).is_some_and(|token| {
            // A token that nobody has seen is none that a client can present.
            !token.revoked && token.secret == Ident::Seen(presented) && token.scopes.covers(self.claim.scopes)
        })
    }

    /// Section 6, the checks against the stored entry; repairs a repairable one.
    fn finding(&self, state: &mut State) -> Option<PairingReason> {
        let Some(entry) = state.entry.as_mut() else { return Some(PairingReason::NotPaired) };
        match entry.metadata {
            Metadata::Agrees => {}
            Metadata::Legacy { repairable: true } => {
                entry.metadata = Metadata::Agrees;
                state.pending = None;
            }
            Metadata::Differs | Metadata::Legacy { repairable: false } => {
                return Some(PairingReason::MetadataUpgrade);
            }
        }
        if !entry.roles.contains(self.claim.role) {
            Some(PairingReason::RoleUpgrade)
        } else if !entry.scopes.covers(self.claim.scopes) {
            Some(PairingReason::ScopeUpgrade)
        } else {
            None
        }
    }

    /// The entry after an approval of what the client asks.
    fn approved(&self, mut entry: Entry, op: &Op) -> Entry {
        let claim = self.claim;
        entry.roles = entry.roles.with(claim.role);
        entry.scopes = entry.scopes.with(claim.scopes);
        entry.metadata = Metadata::Agrees;
        let scopes = if claim.is_node { ScopeSet::default() } else { entry.scopes };
        let token = Token { secret: Ident::Unseen { since: op.from }, scopes, revoked: false };
        entry.set_token(claim.role, token);
        entry
    }

    fn accept(&self, mut state: State, op: &Op, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        let claim = self.claim;
        let Some(entry) = state.entry.as_mut() else { return };
        let old = entry.token(claim.role).filter(|token| !token.revoked);
        let mut token = match old {
            Some(token) if token.scopes.covers(claim.scopes) => token,
            _ => Token {
                secret: Ident::Unseen { since: op.from },
                scopes: old.map_or(claim.scopes, |token| token.scopes.with(claim.scopes)),
                revoked: false,
            },
        };
        let out = Out::Session { scopes: token.scopes, secret: token.secret };
        match (connect.seen, fit) {
            (Seen::Session { role_fits, scopes, token: Some(mark) }, Fit::Exact)
                if role_fits && scopes == Listed::Sorted(token.scopes) && token.secret.may_be(mark) =>
            {
                token.secret = Ident::Seen(mark.value);
            }
            (Seen::Session { token: mark, .. }, Fit::Class) => {
                if let Some(mark) = mark {
                    token.secret = Ident::Seen(mark.value);
                }
            }
            (Seen::Open, _) | (_, Fit::Any) => {}
            _ => return,
        }
        entry.set_token(claim.role, token);
        if let (Seen::Pairing { id: Some(mark), .. }, Fit::Any) = (connect.seen, fit) {
            // Wrongly refused. The gateway now holds this request, and an operator may answer it.
            state.pending = Some(Pending::new(Ident::Seen(mark.value), op));
        }
        next.push((state, out));
    }

    fn refuse(
        &self,
        state: State,
        op: &Op,
        connect: &Connect,
        reason: PairingReason,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
        let (waiting, may_be_none) = self.waiting(&state, op);
        let refreshed = waiting.map(|pending| Pending { refreshed: (op.from, op.until), ..pending });
        let new = may_be_none.then(|| Pending::new(Ident::Unseen { since: op.from }, op));
        for mut pending in [refreshed, new].into_iter().flatten() {
            let out = Out::Pairing { reason, id: pending.id };
            match (connect.seen, fit) {
                (Seen::Pairing { reason: seen, id: Some(mark) }, Fit::Exact)
                    if seen == reason && pending.id.may_be(mark) =>
                {
                    pending.id = Ident::Seen(mark.value);
                }
                (Seen::Pairing { reason: seen, id }, Fit::Class) if seen == reason => {
                    if let Some(mark) = id {
                        pending.id = Ident::Seen(mark.value);
                    }
                }
                (Seen::Pairing { id: Some(mark), .. }, Fit::Any) => pending.id = Ident::Seen(mark.value),
                (Seen::Open, _) | (_, Fit::Any) => {}
                _ => continue,
            }
            next.push((State { pending: Some(pending), ..state }, out));
        }
    }

    fn approve(&self, state: &State, op: &Op, id: Mark, end: End, fit: Fit, next: &mut Vec<(State, Out)>) {
        let (waiting, _) = self.waiting(state, op);
        let applies = waiting.is_some_and(|pending| pending.id.may_be(id));
        match end {
            End::UnknownId if fit == Fit::Any || self.may_be_unknown(state, op, id) => {
                next.push((*state, Out::Done));
            }
            End::UnknownId => {}
            End::Done | End::Open => {
                if applies || (end == End::Done && fit == Fit::Any) {
                    // An approval that is acknowledged is taken at its word, even of a request nobody knows.
                    let entry = self.approved(state.entry.unwrap_or_else(Entry::empty), op);
                    next.push((State { entry: Some(entry), pending: None }, Out::Done));
                }
            }
        }
    }

    fn reject(&self, state: &State, op: &Op, id: Mark, end: End, fit: Fit, next: &mut Vec<(State, Out)>) {
        let (waiting, _) = self.waiting(state, op);
        let applies = waiting.is_some_and(|pending| pending.id.may_be(id));
        match end {
            End::UnknownId if fit == Fit::Any || self.may_be_unknown(state, op, id) => {
                next.push((*state, Out::Done));
            }
            End::Done | End::Open if applies => next.push((State { pending: None, ..*state }, Out::Done)),
            _ => {}
        }
    }

    fn may_be_unknown(&self, state: &State, op: &Op, id: Mark) -> bool {
        let (waiting, may_be_none) = self.waiting(state, op);
        may_be_none || waiting.is_none_or(|pending| pending.id != Ident::Seen(id.value))
    }

    fn load(&self, state: &State, op: &Op, lossy: bool, next: &mut Vec<(State, Out)>) {
        let mut state = *state;
        if lossy && let Some(pending) = state.pending.as_mut() {
            pending.refreshed.0 = pending.durable;
        }
        let Some(Entry { metadata: Metadata::Legacy { repairable }, .. }) = state.entry else {
            next.push((state, Out::Done));
            return;
        };
        let mut push = |pending: Option<Pending>, repairable: bool| {
            let entry = state.entry.map(|entry| Entry { metadata: Metadata::Legacy { repairable }, ..entry });
            next.push((State { entry, pending }, Out::Done));
        };
        let (waiting, may_be_none) = self.waiting(&state, op);
        if waiting.is_some() {
            push(waiting, true);
        }
        if may_be_none {
            push(None, false);
            if repairable {
                // The profile does not say whether a second load, without a waiting request, takes back what the
                // first one found.
                push(None, true);
            }
        }
    }
}

impl Pending {
    fn new(id: Ident, op: &Op) -> Self {
        Self { id, refreshed: (op.from, op.until), durable: op.from }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of one operation, and the four that every operation takes"
)]
fn rotate(
    state: &State,
    op: &Op,
    role: Role,
    scopes: Option<ScopeSet>,
    token: Option<Mark>,
    end: End,
    fit: Fit,
    next: &mut Vec<(State, Out)>,
) {
    match (state.entry, end) {
        (None, End::UnknownId) => next.push((*state, Out::Done)),
        (Some(mut entry), End::Done | End::Open) => {
            let scopes = scopes.or_else(|| entry.token(role).map(|old| old.scopes)).unwrap_or(entry.scopes);
            entry.scopes = entry.scopes.with(scopes);
            let fresh = Ident::Unseen { since: op.from };
            let secret = match token {
                Some(mark) if fit == Fit::Any || fresh.may_be(mark) => Ident::Seen(mark.value),
                Some(_) => return,
                None => fresh,
            };
            entry.set_token(role, Token { secret, scopes, revoked: false });
            next.push((State { entry: Some(entry), ..*state }, Out::Done));
        }
        _ => {}
    }
}

fn revoke(state: &State, role: Role, end: End, next: &mut Vec<(State, Out)>) {
    let token = state.entry.and_then(|entry| entry.token(role));
    match (state.entry, token, end) {
        // Whether a token that is void already counts as unknown, the profile does not say.
        (_, None, End::UnknownId) => next.push((*state, Out::Done)),
        (_, Some(Token { revoked: true, .. }), End::UnknownId) => next.push((*state, Out::Done)),
        (Some(mut entry), Some(token), End::Done | End::Open) => {
            entry.set_token(role, Token { revoked: true, ..token });
            next.push((State { entry: Some(entry), ..*state }, Out::Done));
        }
        _ => {}
    }
}
