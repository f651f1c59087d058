//! What is known of all devices, in a form that is cheap to publish.
//!
//! A [`State`] is 256 shards by device id, each behind an `Arc`: a clone copies 256 pointers, and a change copies the
//! one shard it touches, whose values are pointers again. So publishing costs a commit little whether there are ten
//! devices or 100,000.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use protocol::pairing::PendingRequest;
use serde::Serialize;

use crate::policy::{DeviceEntry, DeviceView};

const SHARDS: usize = 256;

/// A value and, once a file was written with it, the bytes it takes there.
#[derive(Debug)]
pub struct Stored<T> {
    value: T,
    json: OnceLock<Box<str>>,
}

impl<T: Serialize> Stored<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self { value, json: OnceLock::new() }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Its JSON, indented as the value of a key of the file.
    ///
    /// # Errors
    /// Only when the serialiser fails, which it does not for values that came from a file or the policy.
    pub(super) fn json(&self) -> Result<&str, serde_json::Error> {
        if let Some(json) = self.json.get() {
            return Ok(json);
        }
        // Line breaks inside strings are escaped, so that every one found is layout.
        let json = serde_json::to_string_pretty(&self.value)?.replace('\n', "\n  ");
        Ok(self.json.get_or_init(|| json.into_boxed_str()))
    }
}

/// All that is known of one device.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Its entry.
    pub entry: Option<Arc<Stored<DeviceEntry>>>,
    /// Its request, possibly too old.
    pub pending: Option<Arc<Stored<PendingRequest>>>,
    /// The entry had no metadata when the files were read, and a request was waiting then.
    pub repairable: bool,
    /// The entry is left out of the file ([`crate::defect::Defect::ForgetApprovalOnRestart`]).
    pub unwritten: bool,
}

impl Record {
    /// As the policy sees it.
    #[must_use]
    pub fn view(&self) -> DeviceView<'_> {
        DeviceView {
            entry: self.entry.as_ref().map(|stored| stored.value()),
            repairable: self.repairable,
            pending: self.pending.as_ref().map(|stored| stored.value()),
        }
    }
}

type Shard = BTreeMap<Arc<str>, Arc<Record>>;

/// All devices at one moment.
#[derive(Debug, Clone)]
pub struct State {
    shards: Vec<Arc<Shard>>,
    devices: usize,
    pending: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS], devices: 0, pending: 0 }
    }
}

impl State {
    /// Devices with an entry.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// Devices with a request, too old ones included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The record of a device.
    #[must_use]
    pub fn get(&self, device_id: &str) -> Option<&Arc<Record>> {
        self.shards.get(shard(device_id))?.get(device_id)
    }

    /// All records; sorted by id where ids are lowercase hex.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Record>)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Forgets every record but the first ones.
    pub(super) fn truncate(&mut self, records: usize) {
        let beyond: Vec<Arc<str>> = self.iter().skip(records).map(|(id, _)| Arc::clone(id)).collect();
        for id in beyond {
            self.put(&id, Record::default());
        }
    }

    /// Puts a record; an empty one is dropped.
    pub(super) fn put(&mut self, device_id: &str, record: Record) {
        let Some(shard) = self.shards.get_mut(shard(device_id)) else { return };
        let shard = Arc::make_mut(shard);
        let (adds_device, adds_pending) = (record.entry.is_some(), record.pending.is_some());
        let old = if adds_device || adds_pending {
            shard.insert(device_id.into(), Arc::new(record))
        } else {
            shard.remove(device_id)
        };
        let (had_device, had_pending) =
            old.map_or((false, false), |old| (old.entry.is_some(), old.pending.is_some()));
        self.devices = self.devices + usize::from(adds_device) - usize::from(had_device);
        self.pending = self.pending + usize::from(adds_pending) - usize::from(had_pending);
    }
}

/// Device ids are hex hashes: their first two digits spread them evenly, and keep the order of ids.
fn shard(device_id: &str) -> usize {
    let digit = |byte: Option<&u8>| match byte {
        Some(byte @ b'0'..=b'9') => usize::from(byte - b'0'),
        Some(byte @ b'a'..=b'f') => usize::from(byte - b'a') + 10,
        _ => 0,
    };
    let bytes = device_id.as_bytes();
    digit(bytes.first()) * 16 + digit(bytes.get(1))
}
