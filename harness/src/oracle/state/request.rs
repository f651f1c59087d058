//! The request of a device that waits for an operator.

use super::{Claim, End, Fit, Ident, Mark, Model, Op, Out, Pending, State};
use crate::oracle::alphabet::RoleSet;
use crate::oracle::release::PendingRule;

/// What is to be believed of a pending request at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Waiting,
    Gone,
    Either,
}

impl Model<'_> {
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
    pub(super) fn waiting(&self, state: &State, op: &Op) -> (Option<Pending>, bool) {
        match state.pending {
            None => (None, true),
            Some(pending) => match self.life(&pending, op) {
                Life::Waiting => (Some(pending), false),
                Life::Gone => (None, true),
                Life::Either => (Some(pending), true),
            },
        }
    }

    /// Whether every scope of a request belongs to one of its roles, where that is asked.
    pub(super) fn belongs(&self, asked: &Pending) -> bool {
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
    pub(super) fn asked(&self, waiting: Option<Pending>, op: &Op, claim: &Claim, silent: bool) -> Pending {
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

    pub(super) fn reject(
        &self,
        state: &State,
        op: &Op,
        id: Mark,
        end: End,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
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

    pub(super) fn may_be_unknown(&self, state: &State, op: &Op, id: Mark) -> bool {
        let (waiting, may_be_none) = self.waiting(state, op);
        may_be_none || waiting.is_none_or(|pending| pending.id != Ident::Seen(id.value))
    }
}
