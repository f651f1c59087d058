//! The state of one device and what each operation does to it (reference, sections 7 to 9).
//!
//! A state is a plain value: scopes and roles are sets of an alphabet, platforms and families are numbers of the texts
//! that the device's history names. What differs between releases is asked of [`Release`].

use protocol::PairingReason;

use super::alphabet::{Covering, Listed, ROLES_MAX, Role, RoleSet, ScopeSet};
use super::release::{ApprovalRule, MetadataRule, PendingRule, Release, RotateRule};
use crate::plan::Nanos;

/// Number of a platform or device family among those that the device's history names.
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
}

/// A hand edit of the stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Edit {
    /// The scopes became these.
    Scopes(ScopeSet),
    /// The entry went.
    Drop,
}

/// Something that happened to a device, somewhere between two times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    pub(super) act: Act,
    pub(super) from: Nanos,
    pub(super) until: Nanos,
    /// Nobody knows whether it happened at all.
    pub(super) optional: bool,
    /// The operation, by position, that has to happen before this one, and without which it cannot.
    pub(super) after: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Connect(Connect),
    /// The device token of a connect is looked up, before anything else is.
    Verify(Connect),
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
    pub(super) claim: Claim,
    /// Device token that decides about the credential; `None` = the credential is good without one, or is looked up in
    /// a step of its own.
    pub(super) presented: Option<u64>,
    /// `signedAt` is so close to its limit that the connect may have been refused before.
    pub(super) may_be_stale: bool,
    /// Where its request is left in a step of its own.
    pub(super) records_later: bool,
    /// It overlaps other operations on the device.
    pub(super) raced: bool,
    pub(super) seen: Seen,
}

/// What was seen of a connect, as far as it says something about the device's state.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
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
pub(super) struct SeenAuth {
    /// `role` is the role asked.
    pub(super) role_fits: bool,
    pub(super) scopes: Listed,
    /// `scopes` are those asked, in that order.
    pub(super) as_asked: bool,
    pub(super) token: Option<Mark>,
}

/// What the gateway must have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Out {
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
pub(super) enum Granted {
    /// None.
    Absent,
    /// What the token may, and the token.
    Token { scopes: ScopeSet, secret: Ident },
    /// What the connection may, and the token if there is one.
    Live { secret: Option<Ident> },
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

/// How a device token is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Good,
    Bad,
    Narrow,
}

impl Model<'_> {
    /// Appends every state that `op` may lead to, with the answer that belongs to it.
    pub(super) fn apply(&self, state: &State, op: &Op, fit: Fit, next: &mut Vec<(State, Out)>) {
        let before = next.len();
        match op.act {
            Act::Connect(connect) => self.connect(state, op, &connect, fit, next),
            Act::Verify(connect) => self.verify(state, &connect, fit, next),
            Act::Record(connect) => self.record(state, op, &connect, fit, next),
            Act::Load { lossy } => self.load(state, op, lossy, next),
            Act::Approve { id, end } => self.approve(state, op, id, end, fit, next),
            Act::Reject { id, end } => self.reject(state, op, id, end, fit, next),
            Act::Remove { end } => self.remove(state, end, next),
            Act::Rotate { role, scopes, token, end } => {
                self.rotate(state, op, (role, scopes, token, end), fit, next);
            }
            Act::Revoke { role, end } => revoke(state, role, end, next),
            Act::Edit(edit) => self.edit(state, edit, next),
        }
        if fit == Fit::Any && next.len() == before {
            // An acknowledgement that makes no sense changes nothing here; who asks is told (`Finding`).
            next.push((*state, Out::Done));
        }
    }

    fn covers(&self, role: Role, held: ScopeSet, asked: ScopeSet) -> bool {
        self.covering.covers(Some(role) == self.operator, held, asked)
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
        if let Some(presented) = connect.presented {
            let found = self.token(state, &connect.claim, presented);
            if found != Found::Good {
                let narrow = found == Found::Narrow;
                let fits = match connect.seen {
                    Seen::TokenRefused { narrow: seen } => seen == narrow,
                    Seen::Open => true,
                    _ => false,
                };
                if fit == Fit::Any || fits {
                    next.push((*state, Out::TokenRefused { narrow }));
                }
                return;
            }
        }
        let mut state = *state;
        if connect.claim.skips_pairing {
            self.accept(state, op, connect, fit, next);
            return;
        }
        match self.finding(&mut state, &connect.claim) {
            None => self.accept(state, op, connect, fit, next),
            Some(reason) if self.is_silent(&state, &connect.claim, reason) => {
                self.silently(state, op, connect, reason, fit, next);
            }
            Some(reason) => self.refuse(state, op, connect, reason, fit, next),
        }
    }

    /// The device token alone, looked up before everything else.
    fn verify(&self, state: &State, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        let found = connect.presented.map_or(Found::Good, |token| self.token(state, &connect.claim, token));
        match (found, fit) {
            (Found::Good, _) => next.push((*state, Out::Done)),
            (_, Fit::Any) => next.push((*state, Out::TokenRefused { narrow: found == Found::Narrow })),
            _ => {}
        }
    }

    fn token(&self, state: &State, claim: &Claim, presented: u64) -> Found {
        let Some(entry) = state.entry else { return Found::Bad };
        // A token that nobody has seen is none that a client can present.
        let known =
            entry.token(claim.role).filter(|token| !token.revoked && token.secret == Ident::Seen(presented));
        let Some(token) = known else { return Found::Bad };
        let rule = self.release.issue;
        if rule.by_role_and_issuer && entry.browser && !token.bound {
            return Found::Bad;
        }
        let within = !rule.within_approved
            || entry.approved.is_some_and(|approved| self.covers(claim.role, approved, token.scopes));
        if within && self.covers(claim.role, token.scopes, claim.scopes) {
            Found::Good
        } else if self.release.scope_mismatch {
            Found::Narrow
        } else {
            Found::Bad
        }
    }

    /// Section 8.2, the checks against the stored entry; repairs a repairable one.
    fn finding(&self, state: &mut State, claim: &Claim) -> Option<PairingReason> {
        let Some(entry) = state.entry.as_mut() else { return Some(PairingReason::NotPaired) };
        let agrees =
            |stored: Option<Text>, agreeing: u64| stored.is_none_or(|text| agreeing & (1 << text) != 0);
        let differs =
            !agrees(entry.platform, claim.platform_agrees) || !agrees(entry.family, claim.family_agrees);
        match self.release.metadata {
            MetadataRule::Ignored => {}
            MetadataRule::PinnedOrRepaired if entry.platform.is_none() && entry.family.is_none() => {
                if !entry.repairable {
                    return Some(PairingReason::MetadataUpgrade);
                }
                entry.repairable = false;
                entry.platform = claim.platform;
                entry.family = claim.family;
                state.pending = None;
            }
            _ if differs => return Some(PairingReason::MetadataUpgrade),
            MetadataRule::PinnedBySystem if entry.platform.is_some() => entry.platform = claim.platform,
            _ => {}
        }
        let void = || entry.token(claim.role).is_none_or(|token| token.revoked);
        if !entry.roles.contains(claim.role) || (self.release.revoked_role_is_none && void()) {
            return Some(PairingReason::RoleUpgrade);
        }
        let held = if self.release.live_grant { entry.baseline() } else { entry.scopes };
        (!self.covers(claim.role, held, claim.scopes)).then_some(PairingReason::ScopeUpgrade)
    }

    /// Section 8.4, as far as the waiting request does not matter.
    fn is_silent(&self, state: &State, claim: &Claim, reason: PairingReason) -> bool {
        // Only 2026.9.6 is silent about roles; it is so towards operators.
        let known_node = self.release.revoked_role_is_none && state.entry.is_some() && !claim.is_operator;
        claim.silent.contains(reason) && !known_node
    }

    fn silently(
        &self,
        state: State,
        op: &Op,
        connect: &Connect,
        reason: PairingReason,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
        let claim = &connect.claim;
        let (waiting, may_be_none) = self.waiting(&state, op);
        let masked = waiting.is_some_and(|pending| !pending.silent) && self.release.pending_masks_silence;
        if masked {
            self.refuse(state, op, connect, reason, fit, next);
        }
        if masked && !may_be_none {
            return;
        }
        let asked = match waiting {
            Some(pending) if !masked && self.release.pending_masks_silence => {
                self.asked(Some(pending), op, claim, true)
            }
            _ => self.asked(None, op, claim, true),
        };
        if !self.belongs(&asked) || !self.may_approve_itself(&state, claim, &asked) {
            // It cannot be approved so: the request stays, and so does the refusal.
            self.refuse(state, op, connect, reason, fit, next);
            return;
        }
        let mut state = state;
        state.entry = Some(self.approved(state.entry, &asked, op));
        // An approval takes the request with it that waits, silent or not.
        state.pending = None;
        self.accept(state, op, connect, fit, next);
    }

    /// Where an approver must hold what it approves, a client that is approved silently holds what it asks and what its
    /// device was approved for. A request that waits may have grown beyond that (seen 2026.9.6).
    fn may_approve_itself(&self, state: &State, claim: &Claim, asked: &Pending) -> bool {
        let operator = self.operator.filter(|role| asked.roles.contains(*role));
        let Some(operator) = operator.filter(|_| self.release.authority.approver_holds_asked) else {
            return true;
        };
        let approved = state.entry.map_or_else(ScopeSet::default, |entry| entry.baseline());
        let of_operator = asked.scopes.within(self.covering.of_operator);
        self.covers(operator, claim.scopes.with(approved), of_operator)
    }

    /// Whether every scope of a request belongs to one of its roles, where that is asked.
    fn belongs(&self, asked: &Pending) -> bool {
        let operator = self.operator.is_some_and(|role| asked.roles.contains(role));
        let node = self.node.is_some_and(|role| asked.roles.contains(role));
        if !self.release.revoked_role_is_none {
            return true;
        }
        let of_operator = asked.scopes.within(self.covering.of_operator);
        let others = asked.scopes.without(self.covering.of_operator);
        (operator || of_operator.is_empty())
            && (others.is_empty() || (node && self.covering.covers(false, others, others)))
    }

    /// The request after this ask.
    fn asked(&self, waiting: Option<Pending>, op: &Op, claim: &Claim, silent: bool) -> Pending {
        let new = Pending {
            id: Ident::Unseen { since: op.from },
            roles: RoleSet::default().with(claim.role),
            role: claim.role,
            scopes: claim.scopes,
            platform: claim.platform,
            family: claim.family,
            browser: claim.browser,
            silent,
            refreshed: (op.from, op.until),
            durable: op.from,
        };
        let Some(old) = waiting else { return new };
        let union = Pending {
            roles: old.roles.and(new.roles),
            scopes: old.scopes.with(new.scopes),
            family: new.family.or(old.family),
            silent: old.silent && silent,
            ..new
        };
        match self.release.pending {
            PendingRule::Frozen => old,
            PendingRule::Merged { newest_role } => {
                let role = if newest_role { new.role } else { old.role };
                let family = if newest_role { new.family } else { union.family };
                let merged = Pending { id: old.id, role, family, durable: old.durable, ..union };
                let grew = (merged.roles, merged.scopes, merged.role) != (old.roles, old.scopes, old.role);
                Pending { durable: if grew { op.from } else { old.durable }, ..merged }
            }
            PendingRule::Replaced => {
                let same_scopes =
                    self.covering.same_written(old.scopes, new.scopes) && old.roles == new.roles;
                let covered = old.roles.contains(new.role) && self.covers(new.role, old.scopes, new.scopes);
                if old.role == new.role && (same_scopes || covered) {
                    Pending { id: old.id, roles: old.roles, scopes: old.scopes, ..union }
                } else {
                    union
                }
            }
        }
    }

    /// The entry after an approval of this request.
    fn approved(&self, entry: Option<Entry>, asked: &Pending, op: &Op) -> Entry {
        let release = self.release;
        let old = entry.map_or_else(ScopeSet::default, |entry| entry.baseline());
        let union = old.with(asked.scopes);
        let mut after = Entry {
            roles: entry.map_or(asked.roles, |entry| entry.roles.and(asked.roles)),
            scopes: union,
            // Where nothing was ever approved, 2026.3.13 keeps no list at all.
            approved: (!union.is_empty() || release.approval == ApprovalRule::Delta).then_some(union),
            platform: asked.platform,
            family: asked.family,
            repairable: false,
            browser: asked.browser,
            tokens: entry.map_or([None; ROLES_MAX], |entry| entry.tokens),
        };
        let one = RoleSet::default().with(asked.role);
        let renewed = match release.approval {
            ApprovalRule::Asked | ApprovalRule::AskedOrKept => one,
            ApprovalRule::Entry | ApprovalRule::Delta => asked.roles,
        };
        for role in renewed.iter() {
            let existing = after.token(role);
            let scopes = match release.approval {
                ApprovalRule::Asked => asked.scopes,
                ApprovalRule::AskedOrKept if !asked.scopes.is_empty() => asked.scopes,
                ApprovalRule::AskedOrKept => existing.map_or(union, |token| token.scopes),
                ApprovalRule::Entry if Some(role) == self.node => ScopeSet::default(),
                ApprovalRule::Entry => union,
                ApprovalRule::Delta => self.delta(role, asked, existing, old, union),
            };
            let bound = existing.is_some_and(|token| token.bound);
            let secret = Ident::Unseen { since: op.from };
            after.set_token(role, Token { secret, scopes, revoked: false, bound });
        }
        after
    }

    /// Scopes of a token after an approval by 2026.9.6.
    fn delta(
        &self,
        role: Role,
        asked: &Pending,
        existing: Option<Token>,
        old: ScopeSet,
        union: ScopeSet,
    ) -> ScopeSet {
        let own = |scopes: ScopeSet| {
            if Some(role) == self.operator {
                scopes.within(self.covering.of_operator)
            } else {
                scopes.without(self.covering.of_operator)
            }
        };
        let (asked, old) = (own(asked.scopes), own(old));
        match existing {
            _ if asked.is_empty() => own(existing.map_or(union, |token| token.scopes)),
            Some(token) if !old.is_empty() => own(token.scopes.with(asked.without(old))),
            Some(token) => own(token.scopes.with(asked)),
            None => asked,
        }
    }

    /// The token that a session gets, if it gets one.
    fn issued(&self, entry: &Entry, claim: &Claim, presented_bound: bool, op: &Op) -> Option<Token> {
        let rule = self.release.issue;
        let old = entry.token(claim.role);
        let valid = old.filter(|token| !token.revoked);
        let bound = rule.by_role_and_issuer && (claim.binds_token || presented_bound);
        if rule.by_role_and_issuer && !entry.roles.contains(claim.role) {
            return None;
        }
        if rule.within_approved
            && !entry.approved.is_some_and(|approved| self.covers(claim.role, approved, claim.scopes))
        {
            return None;
        }
        let keeps = valid.filter(|token| {
            let within = !rule.within_approved
                || entry.approved.is_some_and(|approved| self.covers(claim.role, approved, token.scopes));
            let issuer = !rule.by_role_and_issuer || token.bound == bound;
            within && issuer && self.covers(claim.role, token.scopes, claim.scopes)
        });
        Some(keeps.unwrap_or_else(|| {
            let scopes = match valid {
                Some(old) if rule.keeps_old_scopes => old.scopes.with(claim.scopes),
                _ => claim.scopes,
            };
            Token { secret: Ident::Unseen { since: op.from }, scopes, revoked: false, bound }
        }))
    }

    fn accept(&self, mut state: State, op: &Op, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        let claim = &connect.claim;
        let presented_bound = connect.presented.is_some()
            && state.entry.and_then(|entry| entry.token(claim.role)).is_some_and(|token| token.bound);
        let mut token = state.entry.as_ref().and_then(|entry| self.issued(entry, claim, presented_bound, op));
        let granted = match token {
            token if self.release.live_grant => Granted::Live { secret: token.map(|token| token.secret) },
            Some(token) => Granted::Token { scopes: token.scopes, secret: token.secret },
            None => Granted::Absent,
        };
        match (connect.seen, fit) {
            (Seen::Session(seen), Fit::Exact) if fits(granted, seen) => {}
            (Seen::Session(_), Fit::Class) | (Seen::Open, _) | (_, Fit::Any) => {}
            _ => return,
        }
        if let (Seen::Session(Some(SeenAuth { token: Some(mark), .. })), Some(token)) =
            (connect.seen, token.as_mut())
            && fit != Fit::Any
        {
            token.secret = Ident::Seen(mark.value);
        }
        if let (Some(entry), Some(token)) = (state.entry.as_mut(), token) {
            entry.set_token(claim.role, token);
        }
        if let (Seen::Pairing { id: Some(mark), .. }, Fit::Any) = (connect.seen, fit) {
            // Wrongly refused. The gateway now holds this request, and an operator may answer it.
            let asked = self.asked(None, op, claim, false);
            state.pending = Some(Pending { id: Ident::Seen(mark.value), ..asked });
        }
        next.push((state, Out::Session(granted)));
        if connect.raced && !self.release.two_steps && self.release.live_grant && state.pending.is_none() {
            // 2026.9.6 looks again before it refuses: the request that it had already made stays behind.
            let asked = self.asked(None, op, claim, false);
            next.push((State { pending: Some(asked), ..state }, Out::Session(granted)));
        }
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
        if connect.records_later && fit == Fit::Exact {
            match connect.seen {
                Seen::Pairing { reason: seen, .. } if seen.is_none_or(|seen| seen == reason) => {
                    next.push((state, Out::Pairing { reason, id: Ident::Unseen { since: op.from } }));
                }
                _ => {}
            }
            return;
        }
        let silent = connect.claim.silent.contains(reason);
        self.leave(state, op, connect, silent, Some(reason), fit, next);
    }

    /// The second step of a connect that was refused.
    fn record(&self, state: &State, op: &Op, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        self.leave(*state, op, connect, false, None, fit, next);
    }

    /// Leaves the request of a refused connect; `reason`: why it was refused, if that is judged here.
    #[expect(
        clippy::too_many_arguments,
        reason = "what every operation takes, and the two that a refusal adds"
    )]
    fn leave(
        &self,
        state: State,
        op: &Op,
        connect: &Connect,
        silent: bool,
        reason: Option<PairingReason>,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
        let (waiting, may_be_none) = self.waiting(&state, op);
        let again = waiting.map(|pending| self.asked(Some(pending), op, &connect.claim, silent));
        let new = may_be_none.then(|| self.asked(None, op, &connect.claim, silent));
        for mut pending in [again, new].into_iter().flatten() {
            let shown = reason.unwrap_or(PairingReason::NotPaired);
            let out = Out::Pairing { reason: shown, id: pending.id };
            let same = |seen: Option<PairingReason>| seen.is_none() || reason.is_none() || seen == reason;
            match (connect.seen, fit) {
                (Seen::Pairing { reason: seen, id: Some(mark) }, Fit::Exact)
                    if same(seen) && pending.id.may_be(mark) =>
                {
                    pending.id = Ident::Seen(mark.value);
                }
                (Seen::Pairing { reason: seen, id }, Fit::Class) if same(seen) => {
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
        let applies = waiting.filter(|pending| pending.id.may_be(id));
        match (end, applies) {
            (End::UnknownId, _) if fit == Fit::Any || self.may_be_unknown(state, op, id) => {
                next.push((*state, Out::Done));
            }
            (End::UnknownId, _) => {}
            (End::Done | End::Open, Some(asked)) if fit == Fit::Any || self.belongs(&asked) => {
                let entry = self.approved(state.entry, &asked, op);
                next.push((State { entry: Some(entry), pending: None, ..*state }, Out::Done));
            }
            (End::Done, _) if fit == Fit::Any => {
                // An approval that is acknowledged is taken at its word, even of a request nobody knows.
                let asked = waiting.unwrap_or_else(|| self.asked(None, op, &self.usual, false));
                let entry = self.approved(state.entry, &asked, op);
                next.push((State { entry: Some(entry), pending: None, ..*state }, Out::Done));
            }
            _ => {}
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

    fn remove(&self, state: &State, end: End, next: &mut Vec<(State, Out)>) {
        let known = state.entry.is_some();
        match end {
            End::UnknownId if !known => next.push((*state, Out::Done)),
            End::Done | End::Open if known => {
                let pending = state.pending.filter(|_| !self.release.remove_drops_pending);
                next.push((State { entry: None, pending, ..*state }, Out::Done));
            }
            _ => {}
        }
    }

    fn rotate(
        &self,
        state: &State,
        op: &Op,
        (role, given, token, end): (Role, Option<ScopeSet>, Option<Mark>, End),
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
        let Some(mut entry) = state.entry else {
            if end == End::UnknownId {
                next.push((*state, Out::Done));
            }
            return;
        };
        let old = entry.token(role);
        let scopes = given.or_else(|| old.map(|old| old.scopes)).unwrap_or(entry.scopes);
        let allowed = match self.release.rotate {
            RotateRule::Sets | RotateRule::Widens => true,
            RotateRule::WithinSpelt => self.covering.covers_spelt(entry.baseline(), scopes),
            RotateRule::Within => entry.approved.is_some_and(|held| self.covers(role, held, scopes)),
            RotateRule::WithinRole => {
                entry.roles.contains(role)
                    && entry.approved.is_some_and(|held| self.covers(role, held, scopes))
            }
        };
        if !allowed && fit != Fit::Any {
            if end == End::UnknownId {
                next.push((*state, Out::Done));
            }
            return;
        }
        if end == End::UnknownId {
            return;
        }
        match self.release.rotate {
            RotateRule::Widens => entry.scopes = entry.scopes.with(scopes),
            RotateRule::Sets if given.is_some() => entry.scopes = scopes,
            _ => {}
        }
        if matches!(self.release.rotate, RotateRule::Widens | RotateRule::Sets) {
            entry.approved = Some(entry.scopes);
        }
        let fresh = Ident::Unseen { since: op.from };
        let secret = match token {
            Some(mark) if fit == Fit::Any || fresh.may_be(mark) => Ident::Seen(mark.value),
            Some(_) => return,
            None => fresh,
        };
        let bound = old.is_some_and(|old| old.bound);
        entry.set_token(role, Token { secret, scopes, revoked: false, bound });
        next.push((State { entry: Some(entry), ..*state }, Out::Done));
    }

    fn edit(&self, state: &State, edit: Edit, next: &mut Vec<(State, Out)>) {
        let after = if self.release.store_read_at_load {
            State { edited: Some(edit), ..*state }
        } else {
            edited(*state, edit)
        };
        next.push((after, Out::Done));
    }

    fn load(&self, state: &State, op: &Op, lossy: bool, next: &mut Vec<(State, Out)>) {
        let mut state = *state;
        if let Some(edit) = state.edited.take() {
            // Whatever the gateway wrote since, for this device or another one, took the edit back.
            self.reload(&edited(state, edit), op, lossy, next);
        }
        self.reload(&state, op, lossy, next);
    }

    fn reload(&self, state: &State, op: &Op, lossy: bool, next: &mut Vec<(State, Out)>) {
        let mut state = *state;
        if lossy && let Some(pending) = state.pending.as_mut() {
            pending.refreshed.0 = pending.durable;
        }
        let Some(Entry { platform: None, family: None, repairable, .. }) = state.entry else {
            next.push((state, Out::Done));
            return;
        };
        let mut push = |pending: Option<Pending>, repairable: bool| {
            let entry = state.entry.map(|entry| Entry { repairable, ..entry });
            next.push((State { entry, pending, ..state }, Out::Done));
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

/// Whether `hello.auth` is what is due.
fn fits(granted: Granted, seen: Option<SeenAuth>) -> bool {
    match (granted, seen) {
        (Granted::Absent, None) => true,
        (Granted::Token { scopes, secret }, Some(seen)) => {
            seen.role_fits
                && seen.scopes == Listed::Sorted(scopes)
                && seen.token.is_some_and(|mark| secret.may_be(mark))
        }
        (Granted::Live { secret }, Some(seen)) => {
            let token = match (secret, seen.token) {
                (None, None) => true,
                (Some(secret), Some(mark)) => secret.may_be(mark),
                _ => false,
            };
            seen.role_fits && seen.as_asked && token
        }
        _ => false,
    }
}

fn edited(state: State, edit: Edit) -> State {
    let entry = match edit {
        Edit::Drop => None,
        Edit::Scopes(scopes) => state.entry.map(|entry| Entry { scopes, approved: Some(scopes), ..entry }),
    };
    State { entry, ..state }
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
