//! A connect, from its credential to its answer (sections 7 and 8).

use protocol::PairingReason;

use super::token::Found;
use super::{Claim, Connect, Fit, Granted, Ident, Model, Op, Out, Pending, Seen, SeenAuth, State, Text};
use crate::oracle::alphabet::Listed;
use crate::oracle::release::MetadataRule;

impl Model<'_> {
    pub(super) fn connect(
        &self,
        state: &State,
        op: &Op,
        connect: &Connect,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
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
    pub(super) fn verify(&self, state: &State, connect: &Connect, fit: Fit, next: &mut Vec<(State, Out)>) {
        let found = connect.presented.map_or(Found::Good, |token| self.token(state, &connect.claim, token));
        match (found, fit) {
            (Found::Good, _) => next.push((*state, Out::Done)),
            (_, Fit::Any) => next.push((*state, Out::TokenRefused { narrow: found == Found::Narrow })),
            _ => {}
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

    /// The first look of a connect that was let in at the second: a request is left if it was due to be refused.
    pub(super) fn ask(
        &self,
        state: &State,
        op: &Op,
        connect: &Connect,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
        let Some(reason) = self.finding(&mut state.clone(), &connect.claim) else { return };
        if !self.is_silent(state, &connect.claim, reason) {
            self.leave(*state, op, &Connect { seen: Seen::Open, ..*connect }, false, None, fit, next);
        }
    }

    /// The second step of a connect that was refused.
    pub(super) fn record(
        &self,
        state: &State,
        op: &Op,
        connect: &Connect,
        fit: Fit,
        next: &mut Vec<(State, Out)>,
    ) {
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
