//! The working state and its commits, without thread and channel: what the store's thread runs, and what a bench calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorShape;
use protocol::pairing::{
    ApproveResult, PendingRequest, RejectResult, RemoveResult, RenameParams, RenameResult, RevokeParams,
    RevokeResult, RotateParams, RotateResult,
};
use serde_json::Value;

use super::backend::{Backend, Changes, Contents, Marks, Probe, Standing};
use super::state::{Record, State, Stored};
use super::touches::Touched;
use super::{LoadError, StoreError};
use crate::clock::Stopwatch;
use crate::defect::Defect;
use crate::policy::{
    Accepted, Caller, Change, DeviceAttempt, DeviceEntry, DeviceView, Effects, Fresh, PairingEvent, Refusal,
    Rules, pairing,
};

/// Gives the wall clock, milliseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// Who approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Operator,
    Policy,
}

/// What one commit wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commit {
    /// Devices: `paired.json`, or rows.
    pub paired: bool,
    /// Requests: `pending.json`, or rows.
    pub pending: bool,
}

/// What the beginning of a batch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Until the store could be used: another process may hold it.
    pub lock: Duration,
    /// Reading everything again, if somebody else had changed it.
    pub read_again: Option<Duration>,
}

/// The working state. Changes are made by its methods and become durable, and visible, with [`Core::commit`].
pub struct Core {
    rules: Arc<Rules>,
    backend: Box<dyn Backend>,
    clock: Clock,
    fresh: Box<dyn Fresh + Send>,
    state: State,
    /// What is kept and published, and lazy notes; a failed commit goes back to it.
    committed: State,
    /// Device of each request.
    requests: HashMap<String, Arc<str>>,
    /// Requests by when their time to live began, so that old ones are dropped without a scan.
    ages: BTreeSet<(u64, String)>,
    /// Must be written before anybody is answered.
    dirty: Marks,
    /// May wait for the next change, or for the drain.
    lazy: Marks,
    /// A failed commit may have left something of them that was rolled back.
    suspect: Marks,
    /// Lazy notes that are not written yet: they are made again on what somebody else has written meanwhile.
    notes: HashMap<Arc<str>, Touched>,
    events: Vec<PairingEvent>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("backend", &self.backend)
            .field("devices", &self.state.devices())
            .field("pending", &self.state.pending())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Reads what a back end keeps.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be used; it is left as it is.
    pub fn load(
        mut backend: Box<dyn Backend>,
        rules: Arc<Rules>,
        clock: Clock,
        fresh: Box<dyn Fresh + Send>,
    ) -> Result<Self, LoadError> {
        let contents = match backend.read() {
            // Nothing is known then, and the first operation looks again.
            Err(LoadError::Row { .. }) => Contents::default(),
            read => read?,
        };
        let state = assemble(contents, &rules, clock());
        let mut core = Self {
            rules,
            backend,
            clock,
            fresh,
            committed: state.clone(),
            state,
            requests: HashMap::new(),
            ages: BTreeSet::new(),
            dirty: Marks::default(),
            lazy: Marks::default(),
            suspect: Marks::default(),
            notes: HashMap::new(),
            events: Vec::new(),
        };
        core.index();
        Ok(core)
    }

    /// Makes what writing needs. `alone` = nobody else uses the directory.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the system refuses.
    pub fn prepare(&self, alone: bool) -> Result<(), LoadError> {
        self.backend.prepare(alone)
    }

    /// What tells other threads whether the published state may be used.
    pub(super) fn probe(&self) -> Option<Arc<dyn Probe>> {
        self.backend.probe()
    }

    /// The working state has been published.
    pub(super) fn vouch(&mut self) {
        self.backend.vouch();
    }

    /// Begins a batch of operations, which [`Core::commit`] ends: what somebody else has changed is read first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be looked at, or holds what cannot be used. Memory then stays, and no batch
    /// has begun.
    pub fn enter(&mut self) -> Result<Entered, StoreError> {
        let watch = Stopwatch::start();
        let standing = self.backend.enter()?;
        let lock = watch.elapsed();
        if standing == Standing::Same {
            return Ok(Entered { lock, read_again: None });
        }
        let watch = Stopwatch::start();
        match self.backend.read() {
            Ok(contents) => {
                let notes = std::mem::take(&mut self.notes);
                self.replace(contents);
                self.touch(notes);
                Ok(Entered { lock, read_again: Some(watch.elapsed()) })
            }
            Err(error) => {
                self.backend.leave();
                Err(error.into())
            }
        }
    }

    /// The working state, uncommitted changes included.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Replaces memory with what is kept. Nothing is written: lazy notes are forgotten, and uncommitted changes with them,
    /// so that a commit goes before.
    ///
    /// # Errors
    /// [`LoadError`] when it cannot be used: memory then stays.
    pub fn reload(&mut self) -> Result<(), LoadError> {
        let contents = self.backend.read()?;
        self.notes.clear();
        self.replace(contents);
        if self.rules.defect == Some(Defect::ReloadDropsRows) {
            self.state.truncate(1);
        }
        Ok(())
    }

    fn replace(&mut self, contents: Contents) {
        self.state = assemble(contents, &self.rules, (self.clock)());
        self.committed = self.state.clone();
        self.dirty = Marks::default();
        self.lazy = Marks::default();
        self.suspect = Marks::default();
        self.events.clear();
        self.index();
    }

    fn index(&mut self) {
        self.requests.clear();
        self.ages.clear();
        for (device_id, record) in self.state.iter() {
            if let Some(request) = &record.pending {
                let request = request.value();
                self.requests.insert(request.request_id.clone(), Arc::clone(device_id));
                self.ages.insert((pairing::aged_from(&self.rules, request), request.request_id.clone()));
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
                self.lazy.pending.insert(device_id);
            }
        }
    }

    /// Takes over what was noted lazily.
    pub fn touch(&mut self, touched: impl IntoIterator<Item = (Arc<str>, Touched)>) {
        for (device_id, touched) in touched {
            self.notes.entry(Arc::clone(&device_id)).or_default().add(&touched);
            let Some(record) = self.state.get(&device_id) else { continue };
            let mut record = Record::clone(record);
            if let Some(entry) = &record.entry {
                let mut value = entry.value().clone();
                let mut used = false;
                if let Some(seen_ms) = touched.seen
                    && value.last_seen_at_ms.is_none_or(|last| last < seen_ms)
                {
                    value.last_seen_at_ms = Some(seen_ms);
                    value.last_seen_reason = Some("connect".to_owned());
                    used = true;
                }
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
                    self.lazy.paired.insert(Arc::clone(&device_id));
                }
            }
            if let Some((request_id, asked_ms)) = touched.asked
                && let Some(request) = &record.pending
                && request.value().request_id == request_id
                && request.value().ts < asked_ms
            {
                let request = PendingRequest { ts: asked_ms, ..request.value().clone() };
                self.set_pending(&device_id, &mut record, Some(request));
                self.lazy.pending.insert(Arc::clone(&device_id));
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
            self.ages.remove(&(pairing::aged_from(&self.rules, old), old.request_id.clone()));
        }
        if let Some(request) = &request {
            self.requests.insert(request.request_id.clone(), device_id.into());
            self.ages.insert((pairing::aged_from(&self.rules, request), request.request_id.clone()));
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
                    self.dirty.paired.insert(device_id.into());
                }
                Change::Drop => {
                    record = Record { pending: record.pending, ..Record::default() };
                    self.dirty.paired.insert(device_id.into());
                }
            }
            match effects.pending {
                Change::Keep => {}
                Change::Put(request) => {
                    self.set_pending(device_id, &mut record, Some(*request));
                    self.dirty.pending.insert(device_id.into());
                }
                Change::Drop => {
                    self.set_pending(device_id, &mut record, None);
                    self.dirty.pending.insert(device_id.into());
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
        self.record_admission(attempt, record.as_deref())
    }

    /// As [`Core::admit`] for gateways that judge first and record afterwards: `judged` is what the device was when it
    /// was judged.
    pub fn record_admission(
        &mut self,
        attempt: &DeviceAttempt,
        judged: Option<&Record>,
    ) -> (Result<Accepted, Refusal>, Option<pairing::Touch>) {
        let record = self.record(&attempt.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let judged = judged.map(Record::view).unwrap_or_default();
        let admission = pairing::admit_in_two_steps(
            &self.rules,
            attempt,
            &judged,
            &view,
            (self.clock)(),
            &mut *self.fresh,
        );
        let touch = admission.effects.touch;
        self.apply(&attempt.device_id, admission.effects, By::Policy);
        (admission.outcome, touch)
    }

    /// `device.pair.approve`.
    ///
    /// # Errors
    /// `unknown requestId`.
    pub fn approve(&mut self, caller: &Caller, request_id: &str) -> Result<ApproveResult, Box<ErrorShape>> {
        let (device_id, record) = self.find(request_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) =
            pairing::approve(&self.rules, caller, &view, request_id, (self.clock)(), &mut *self.fresh)?;
        self.apply(&device_id, effects, By::Operator);
        Ok(result)
    }

    /// `device.pair.reject`.
    ///
    /// # Errors
    /// `unknown requestId`.
    pub fn reject(&mut self, caller: &Caller, request_id: &str) -> Result<RejectResult, Box<ErrorShape>> {
        let (device_id, record) = self.find(request_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        if self.rules.defect == Some(Defect::PairRejected) {
            self.approve(caller, request_id)?;
            return Ok(RejectResult {
                request_id: request_id.to_owned(),
                device_id: (*device_id).to_owned(),
            });
        }
        let (result, effects) = pairing::reject(&self.rules, caller, &view, request_id, (self.clock)())?;
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
    pub fn remove(&mut self, caller: &Caller, device_id: &str) -> Result<RemoveResult, Box<ErrorShape>> {
        let record = self.record(device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::remove(&self.rules, caller, &view, device_id)?;
        self.apply(device_id, effects, By::Policy);
        Ok(result)
    }

    /// `device.token.rotate`.
    ///
    /// # Errors
    /// `unknown deviceId/role`.
    pub fn rotate(
        &mut self,
        caller: &Caller,
        params: &RotateParams,
    ) -> Result<RotateResult, Box<ErrorShape>> {
        let record = self.record(&params.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) =
            pairing::rotate(&self.rules, caller, &view, params, (self.clock)(), &mut *self.fresh)?;
        self.apply(&params.device_id, effects, By::Policy);
        Ok(result)
    }

    /// `device.token.revoke`.
    ///
    /// # Errors
    /// `unknown deviceId/role`.
    pub fn revoke(
        &mut self,
        caller: &Caller,
        params: &RevokeParams,
    ) -> Result<RevokeResult, Box<ErrorShape>> {
        let record = self.record(&params.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::revoke(&self.rules, caller, &view, params, (self.clock)())?;
        self.apply(&params.device_id, effects, By::Policy);
        Ok(result)
    }

    /// Notes what a node says that it can do, for an operator to approve. Whether it is new.
    pub fn note_node(&mut self, device_id: &str, surface: Value) -> bool {
        let Some(mut entry) = self.record(device_id).and_then(|record| record.view().entry.cloned()) else {
            return false;
        };
        if entry.has_node_surface() {
            return false;
        }
        entry.more.insert("pendingNodeSurface".to_owned(), surface);
        let effects = Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() };
        self.apply(device_id, effects, By::Policy);
        true
    }

    /// `device.pair.rename`.
    ///
    /// # Errors
    /// `unknown deviceId`.
    pub fn rename(
        &mut self,
        caller: &Caller,
        params: &RenameParams,
    ) -> Result<RenameResult, Box<ErrorShape>> {
        let record = self.record(&params.device_id);
        let view = record.as_deref().map(Record::view).unwrap_or_default();
        let (result, effects) = pairing::rename(&self.rules, caller, &view, params)?;
        self.apply(&params.device_id, effects, By::Policy);
        Ok(result)
    }

    /// Puts an entry as it is, for benches and seeding. It becomes durable with the next commit.
    pub fn seed(&mut self, entry: DeviceEntry) {
        let device_id = entry.device_id.clone();
        let effects = Effects { entry: Change::Put(Box::new(entry)), ..Effects::default() };
        self.apply(&device_id, effects, By::Policy);
    }

    /// Makes every change durable, and ends the batch. Lazy notes ride along where that costs nothing.
    ///
    /// # Errors
    /// [`StoreError`]; memory is then what it was before the changes, and their events are forgotten.
    pub fn commit(&mut self) -> Result<Commit, StoreError> {
        if !self.is_dirty() {
            self.backend.leave();
            return Ok(Commit::default());
        }
        let mut must = std::mem::take(&mut self.dirty);
        must.add(&self.suspect);
        match self.backend.write(&Changes { must: &must, may: &self.lazy }, &self.state) {
            Ok(commit) => {
                if commit.paired {
                    self.lazy.paired.clear();
                }
                if commit.pending {
                    self.lazy.pending.clear();
                }
                if self.lazy.is_empty() {
                    self.notes.clear();
                }
                self.suspect = Marks::default();
                self.committed = self.state.clone();
                Ok(commit)
            }
            Err(error) => {
                self.state = self.committed.clone();
                self.index();
                self.events.clear();
                self.suspect = must;
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
        self.dirty.add(&self.lazy);
        self.dirty.add(&self.suspect);
        self.commit()
    }

    /// Whether lazy notes wait to be written.
    pub(super) fn has_notes(&self) -> bool {
        !self.lazy.is_empty()
    }

    /// Whether changes are acknowledged long before they are written.
    pub(super) fn acknowledges_early(&self) -> bool {
        !self.dirty.paired.is_empty() && self.rules.defect == Some(Defect::EarlyAcknowledgement)
    }

    /// Whether a commit has something to write.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
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

/// The records of what a back end keeps.
fn assemble(contents: Contents, rules: &Rules, now_ms: u64) -> State {
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for entry in contents.paired {
        let device_id = entry.device_id.clone();
        records.entry(device_id).or_default().entry = Some(Arc::new(Stored::new(entry)));
    }
    for request in contents.pending {
        let record = records.entry(request.device_id.clone()).or_default();
        // One request a device: of several, which only another program can have written, the newest counts.
        if record.pending.as_ref().is_none_or(|other| other.value().ts <= request.ts) {
            record.pending = Some(Arc::new(Stored::new(request)));
        }
    }
    let mut state = State::default();
    for (device_id, mut record) in records {
        record.repairable = record.entry.as_ref().is_some_and(|entry| entry.value().is_legacy())
            && record
                .pending
                .as_ref()
                .is_some_and(|request| pairing::is_waiting(rules, request.value(), now_ms));
        state.put(&device_id, record);
    }
    state
}
