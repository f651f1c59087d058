//! Tokens: found, issued, rotated, revoked.

use super::{Claim, End, Entry, Fit, Ident, Mark, Model, Op, Out, State, Token};
use crate::oracle::alphabet::{Role, ScopeSet};
use crate::oracle::release::RotateRule;

/// How a device token is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Good,
    Bad,
    Narrow,
}

impl Model<'_> {
    pub(super) fn token(&self, state: &State, claim: &Claim, presented: u64) -> Found {
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

    /// The token that a session gets, if it gets one.
    pub(super) fn issued(
        &self,
        entry: &Entry,
        claim: &Claim,
        presented_bound: bool,
        op: &Op,
    ) -> Option<Token> {
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

    pub(super) fn rotate(
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
}

pub(super) fn revoke(state: &State, role: Role, end: End, next: &mut Vec<(State, Out)>) {
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
