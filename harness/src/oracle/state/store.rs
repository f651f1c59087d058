//! Removals, edits of the store, and reading it.

use super::{Away, Edit, End, Entry, Fit, Model, Op, Out, Pending, State};

impl Model<'_> {
    pub(super) fn remove(&self, state: &State, end: End, next: &mut Vec<(State, Out)>) {
        let known = state.entry.is_some();
        match end {
            End::UnknownId if !known => next.push((*state, Out::Done)),
            End::Done | End::Open if known => {
                let pending = state.pending.filter(|_| !self.release.remove_drops_pending);
                next.push((State { entry: None, pending, ..*state }, Out::Done));
                if end == End::Open && self.release.two_files && pending != state.pending {
                    next.push((State { entry: None, ..*state }, Out::Done));
                }
            }
            _ => {}
        }
    }

    pub(super) fn edit(&self, state: &State, edit: Edit, next: &mut Vec<(State, Out)>) {
        let after = if self.release.store_read_at_load {
            State { edited: Some(edit), ..*state }
        } else {
            edited(*state, edit)
        };
        next.push((after, Out::Done));
    }

    /// The entry is not lost, but the gateway does not see it from the next reading on.
    pub(super) const fn taken_away(&self, mut state: State) -> State {
        state.away.file = true;
        state.away.entry = !self.release.store_read_at_load;
        state
    }

    /// The file is there again; a gateway that reads at its start has not seen that yet.
    pub(super) const fn put_back(&self, mut state: State) -> State {
        state.away.file = false;
        state.away.entry = state.away.entry && self.release.store_read_at_load;
        state
    }

    /// What happens while the gateway sees no entry. If that makes one, the old one is gone.
    pub(super) fn apply_without_entry(&self, state: &State, op: &Op, fit: Fit, next: &mut Vec<(State, Out)>) {
        let from = next.len();
        let seen = State { entry: None, away: Away::default(), ..*state };
        self.apply(&seen, op, fit, next);
        for (after, _) in next.iter_mut().skip(from) {
            if after.entry.is_none() {
                *after = State { entry: state.entry, away: state.away, ..*after };
            }
        }
    }

    pub(super) fn load(&self, state: &State, op: &Op, lossy: bool, next: &mut Vec<(State, Out)>) {
        let mut state = *state;
        state.away.entry = state.away.file;
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

fn edited(state: State, edit: Edit) -> State {
    let entry = match edit {
        Edit::Drop => None,
        Edit::Scopes(scopes) => state.entry.map(|entry| Entry { scopes, approved: Some(scopes), ..entry }),
    };
    State { entry, ..state }
}
