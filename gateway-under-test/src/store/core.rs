//! The working state and its commits, without thread and channel: what the store's thread runs, and what a bench calls.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use protocol::ErrorShape;
use protocol::pairing::{
    ApproveResult, PendingRequest, RejectResult, RemoveResult, RevokeParams, RevokeResult, RotateParams,
    RotateResult,
};

use super::files::{Files, Which};
use super::state::{Record, State, Stored};
use super::touches::Touched;
use super::{LoadError, StoreError};
use crate::defect::Defect;
use crate::policy::{
    Accepted, Change, DeviceAttempt, DeviceEntry, DeviceView, Effects, Fresh, PairingEvent, Refusal, Rules,
    pairing,
};

/// Gives the wall clock, milliseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// Who approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Operator,
    Policy,
}

/// What one commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commit {
    /// `paired.json` was written.
    pub paired: bool,
    /// `pending.json` was written.
    pub pending: bool,
}

/// Which files differ from memory.
#[derive(Debug, Clone, Copy, Default)]
struct Dirty {
    paired: bool,
    pending: bool,
}

/// The working state. Changes are made by its methods and become durable, and visible, with [`Core::commit`].
pub struct Core {
    rules: Arc<Rules>,
    files: Files,
    clock: Clock,
    fresh: Box<dyn Fresh + Send>,
    state: State,
    /// What is on disk and published; a failed commit goes back to it.
    committed: State,
    /// Device of each request.
    requests: HashMap<String, Arc<str>>,
    /// Requests by age, so that old ones are dropped without a scan.
    ages: BTreeSet<(u64, String)>,
    /// Must be written before anybody is answered.
    dirty: Dirty,
    /// May wait for the next change of the same file, or for the drain.
    lazy: Dirty,
    /// A failed commit may have left something in it that was rolled back.
    suspect: Dirty,
    events: Vec<PairingEvent>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("files", &self.files)
            .field("devices", &self.state.devices())
            .field("pending", &self.state.pending())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Reads the files of a state directory.
    ///
    /// # Errors
    /// [`LoadError`] when one cannot be read or does not parse; it is left as it is.
    pub fn load(
        files: Files,
        rules: Arc<Rules>,
        clock: Clock,
        fresh: Box<dyn Fresh + Send>,
    ) -> Result<Self, LoadError> {
        let state = files.read(&rules, clock())?;
        let mut core = Self {
            rules,
            files,
            clock,
            fresh,
            committed: state.clone(),
            state,
            requests: HashMap::new(),
            ages: BTreeSet::new(),
            dirty: Dirty::default(),
            lazy: Dirty::default(),
            suspect: Dirty::default(),
            events: Vec::new(),
        };
        core.index();
        Ok(core)
    }

    /// The working state, uncommitted changes included.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Replaces memory with the files. Nothing is written: lazy notes are forgotten, and uncommitted changes with them,
    /// so that a commit goes before.
    ///
    /// # Errors
    /// [`LoadError`] when the files cannot be used: memory then stays.
    pub fn reload(&mut self) -> Result<(), LoadError> {
        self.state = self.files.read(&self.rules, (self.clock)())?;
        self.committed = self.state.clone();
        self.dirty = Dirty::default();
        self.lazy = Dirty::default();
        self.suspect = Dirty::default();
        self.events.clear();
        self.index();
        Ok(())
    }

    fn index(&mut self) {
        self.requests.clear();
        self.ages.clear();
        for (device_id, record) in self.state.iter() {
            if let Some(request) = &record.pending {
                let request = request.value();
                self.requests.insert(request.request_id.clone(), Arc::clone(device_id));
                self.ages.insert((request.ts, request.request_id.clone()));
            }
        }
    }

    /// Drops requests that are too old.
    pub fn expire(&mut self) {
        self.drop_old((self.clock)());
        self.keep_notes();
    }

    fn drop_old(&mut self, now_ms: u64) {
        while let Some((ts, _)) = self.ages.first() {
            if now_ms.saturating_sub(*ts) < self.rules.pending_ttl_ms {
                return;
            }
            let Some((_, request_id)) = self.ages.pop_first() else { return };
            if let Some(device_id) = self.requests.remove(&request_id)
                && let Some(record) = self.state.get(&device_id)
            {
                let record = Record { pending: None, ..Record::clone(record) };
                self.state.put(&device_id, record);
                self.lazy.pending = true;
            }
        }
    }

    /// Takes over what was noted lazily.
    pub fn touch(&mut self, touched: impl IntoIterator<Item = (Arc<str>, Touched)>) {
        for (device_id, touched) in touched {
            let Some(record) = self.state.get(&device_id) else { continue };
            let mut record = Record::clone(record);
            if let Some(entry) = &record.entry {
                let mut value = entry.value().clone();
                let mut used = false;
                for (role, used_ms) in touched.tokens {
                    if let Some(token) = value.tokens.get_mut(&role)
                        && token.last_used_at_ms.is_none_or(|last| last < used_ms)
                    {
                        token.last_used_at_ms = Some(used_ms);
                        used = true;
                    }
                }
                if used {
                    record.entry = Some(Arc::new(Stored::new(value)));
                    self.lazy.paired = true;
                }
            }
            if let Some((request_id, asked_ms)) = touched.asked
                && let Some(request) = &record.pending
                && request.value().request_id == request_id
                && request.value().ts < asked_ms
            {
                let request = PendingRequest { ts: asked_ms, ..request.value().clone() };
                self.set_pending(&device_id, &mut record, Some(request));
                self.lazy.pending = true;
            }
            self.state.put(&device_id, record);
        }
        self.keep_notes();
    }

    /// Lazy notes are none of the changes that a failed commit takes back, provided that they came before those.
    fn keep_notes(&mut self) {
        if !self.is_dirty() {
            self.committed = self.state.clone();
        }
    }

    fn set_pending(&mut self, device_id: &str, record: &mut Record, request: Option<PendingRequest>) {
        if let Some(old) = &record.pending {
            let old = old.value();
            self.requests.remove(&old.request_id);
            self.ages.remove(&(old.ts, old.request_id.clone()));
        }
        if let Some(request) = &request {
            self.requests.insert(request.request_id.clone(), device_id.into());
            self.ages.insert((request.ts, request.request_id.clone()));
        }
        record.pending = request.map(|request| Arc::new(Stored::new(request)));
    }

    fn apply(&mut self, device_id: &str, effects: Effects, by: By) {
        if effects.is_durable() {
            let mut record =
                self.state.get(device_id).map(|record| Record::clone(record)).unwrap_or_default();
            match effects.entry {
                Change::Keep => {}
                Change::Put(entry) => {
                    record.repairable &= entry.is_legacy();
                    record.unwritten |=
                        by == By::Operator && self.rules.defect == Some(Defect::ForgetApprovalOnRestart);
                    record.entry = Some(Arc::new(Stored::new(*entry)));
                    self.dirty.paired = true;
                }
                Change::Drop => {
                    record = Record { pending: record.pending, ..Record::default() };
                    self.dirty.paired = true;
                }
            }
            match effects.pending {
                Change::Keep => {}
                Change::Put(request) => {
                    self.set_pending(device_id, &mut record, Some(*request));
                    self.dirty.pending = true;
                }
                Change::Drop => {
                    self.set_pending(device_id, &mut record, None);
                    self.dirty.pending = true;
                }
            }
            self.state.put(device_id, record);
        }
        self.events.extend(effects.events);
    }

    fn record(&self, device_id: &str) -> Option<Arc<Record>> {
        self.state.get(device_id).cloned()
    }

    /// Judges an attempt and records what follows from it. The lazy note of an attempt that changes nothing else is
    /// the caller's: it goes where the fast path's notes go.
    pub fn admit(&mut self, attempt: &DeviceAttempt) -> (Result<Accepted, Refusal>, Option<pairing::Touch>) {
        let record = self.record(&attempt.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let admission = pairing::admit(&self.rules, attempt, &view, (self.clock)(), &mut *self.fresh);
        let touch = admission.effects.touch;
        self.apply(&attempt.device_id, admission.effects, By::Policy);
        (admission.outcome, touch)
    }

    /// `device.pair.approve`.
    ///
    /// # Errors
    /// `unknown requestId`.
    pub fn approve(&mut self, request_id: &str) -> Result<ApproveResult, Box<ErrorShape>> {
        let (device_id, record) = self.find(request_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) =
            pairing::approve(&self.rules, &view, request_id, (self.clock)(), &mut *self.fresh)?;
        self.apply(&device_id, effects, By::Operator);
        Ok(result)
    }

    /// `device.pair.reject`.
    ///
    /// # Errors
    /// `unknown requestId`.
    pub fn reject(&mut self, request_id: &str) -> Result<RejectResult, Box<ErrorShape>> {
        let (device_id, record) = self.find(request_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::reject(&self.rules, &view, request_id, (self.clock)())?;
        self.apply(&device_id, effects, By::Policy);
        Ok(result)
    }

    fn find(&self, request_id: &str) -> (Arc<str>, Option<Arc<Record>>) {
        let device_id = self.requests.get(request_id).cloned().unwrap_or_else(|| "".into());
        let record = self.record(&device_id);
        (device_id, record)
    }

    /// `device.pair.remove`.
    ///
    /// # Errors
    /// `unknown deviceId`.
    pub fn remove(&mut self, device_id: &str) -> Result<RemoveResult, Box<ErrorShape>> {
        let record = self.record(device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::remove(&view, device_id)?;
        self.apply(device_id, effects, By::Policy);
        Ok(result)
    }

    /// `device.token.rotate`.
    ///
    /// # Errors
    /// `unknown deviceId/role`.
    pub fn rotate(&mut self, params: &RotateParams) -> Result<RotateResult, Box<ErrorShape>> {
        let record = self.record(&params.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) =
            pairing::rotate(&self.rules, &view, params, (self.clock)(), &mut *self.fresh)?;
        self.apply(&params.device_id, effects, By::Policy);
        Ok(result)
    }

    /// `device.token.revoke`.
    ///
    /// # Errors
    /// `unknown deviceId/role`.
    pub fn revoke(&mut self, params: &RevokeParams) -> Result<RevokeResult, Box<ErrorShape>> {
        let record = self.record(&params.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::revoke(&view, params, (self.clock)())?;
        self.apply(&params.device_id, effects, By::Policy);
        Ok(result)
    }

    /// Puts an entry as it is, for benches and seeding. It becomes durable with the next commit.
    pub fn seed(&mut self, entry: DeviceEntry) {
        let device_id = entry.device_id.clone();
        let effects = Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() };
        self.apply(&device_id, effects, By::Policy);
    }

    /// Makes every change durable: only files that must change are written. Lazy notes ride along.
    ///
    /// `paired.json` goes first: after a crash between the two, an approved request may still be listed, but no
    /// approval is lost.
    ///
    /// # Errors
    /// [`StoreError`]; memory is then what it was before the changes, and their events are forgotten.
    pub fn commit(&mut self) -> Result<Commit, StoreError> {
        if !self.is_dirty() {
            return Ok(Commit::default());
        }
        let commit = Commit {
            paired: self.dirty.paired || self.suspect.paired,
            pending: self.dirty.pending || self.suspect.pending,
        };
        let written = [(commit.paired, Which::Paired), (commit.pending, Which::Pending)]
            .into_iter()
            .filter(|(is_dirty, _)| *is_dirty)
            .try_for_each(|(_, which)| self.files.replace(which, &self.state));
        match written {
            Ok(()) => {
                self.lazy.paired &= !commit.paired;
                self.lazy.pending &= !commit.pending;
                self.dirty = Dirty::default();
                self.suspect = Dirty::default();
                self.committed = self.state.clone();
                Ok(commit)
            }
            Err(error) => {
                self.state = self.committed.clone();
                self.index();
                self.events.clear();
                self.dirty = Dirty::default();
                self.suspect = Dirty { paired: true, pending: true };
                Err(error)
            }
        }
    }

    /// Writes everything, lazy notes included. What a failed commit may have left on disk is overwritten: nobody was told
    /// that it was done.
    ///
    /// # Errors
    /// As [`Core::commit`].
    pub fn flush(&mut self) -> Result<Commit, StoreError> {
        self.dirty.paired |= self.lazy.paired || self.suspect.paired;
        self.dirty.pending |= self.lazy.pending || self.suspect.pending;
        self.commit()
    }

    /// Whether a commit has something to write.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty.paired || self.dirty.pending
    }

    /// Events of committed changes, in their order. To be taken after a commit.
    pub fn take_events(&mut self) -> Vec<PairingEvent> {
        std::mem::take(&mut self.events)
    }

    /// What the policy sees of a device in the working state.
    pub fn with_view<T>(&self, device_id: &str, look: impl FnOnce(DeviceView<'_>) -> T) -> T {
        look(self.state.get(device_id).map(|record| record.view()).unwrap_or_default())
    }
}
