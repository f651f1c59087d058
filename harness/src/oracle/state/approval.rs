//! What an approval makes of the entry.

use super::{Claim, End, Entry, Fit, Ident, Mark, Model, Op, Out, Pending, State, Token};
use crate::oracle::alphabet::{ROLES_MAX, Role, RoleSet, ScopeSet};
use crate::oracle::release::ApprovalRule;

impl Model<'_> {
    pub(super) fn approve(
        &self,
        state: &State,
        op: &Op,
        id: Mark,
        end: End,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
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
                if end == End::Open && self.release.two_files {
                    next.push((State { entry: Some(entry), ..*state }, Out::Done));
                }
                if end == End::Open && self.release.files_at_once {
                    next.push((State { pending: None, ..*state }, Out::Done));
                }
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

    /// Where an approver must hold what it approves, a client that is approved silently holds what it asks and what its
    /// device was approved for. A request that waits may have grown beyond that (seen 2026.9.6).
    pub(super) fn may_approve_itself(&self, state: &State, claim: &Claim, asked: &Pending) -> bool {
        let operator = self.operator.filter(|role| asked.roles.contains(*role));
        let Some(operator) = operator.filter(|_| self.release.authority.approver_holds_asked) else {
            return true;
        };
        let approved = state.entry.map_or_else(ScopeSet::default, |entry| entry.baseline());
        let of_operator = asked.scopes.within(self.covering.of_operator);
        self.covers(operator, claim.scopes.with(approved), of_operator)
    }

    /// The entry after an approval of this request.
    pub(super) fn approved(&self, entry: Option<Entry>, asked: &Pending, op: &Op) -> Entry {
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
}
