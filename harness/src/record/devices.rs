//! The verdict on the history of each device: valid, invalid with the shortest sub-history that shows it, or unknown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::micros;
use super::mismatches::client_name;
use super::redact::Redactor;
use crate::oracle::DeviceVerdict;
use crate::oracle::verdict::{DeviceJudgement, SHOWN_MAX, SubHistory};
use crate::plan::{ClientId, Plan};

/// Devices without a verdict that are listed.
const UNKNOWN_MAX: usize = 20;

/// Whether one order of its operations explains what was seen of each device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceResults {
    /// Devices that one order explains.
    pub valid: u64,
    /// Devices that none does.
    pub invalid: u64,
    /// Devices that evidence did not suffice for.
    pub unknown: u64,
    /// The first 100 that are invalid and the first 20 that are unknown, by client.
    pub listed: Vec<DeviceResult>,
}

/// One device that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceResult {
    /// `cohort/index`.
    pub client: String,
    /// `invalid` or `unknown`.
    pub verdict: String,
    /// Why, in a sentence; of an unknown one, what is missing.
    pub why: String,
    /// None of the operations that contradict each other can be spared: with any of them left open, the rest is explained.
    pub shortest: bool,
    /// How many contradict each other.
    pub decisive: u64,
    /// How many others there were until then; they may have happened or not, and it contradicts itself all the same.
    pub left_open: u64,
    /// Those that contradict each other, and the latest of the others.
    pub operations: Vec<DeviceOperation>,
}

/// Something that happened to a device between two times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceOperation {
    /// Who did it: `device`, `operator`, `editor`, `gateway`.
    pub by: String,
    /// Earliest time, µs since the run's start.
    pub from_us: u64,
    /// Latest time, µs since the run's start.
    pub until_us: u64,
    /// Nobody saw its end: it may have happened or not.
    pub unanswered: bool,
    /// It is one of those that contradict each other.
    pub decisive: bool,
    /// What, in words.
    pub what: String,
}

impl DeviceResults {
    /// Takes known secrets out of what a peer may have had a hand in.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        for device in &mut self.listed {
            let texts = device.operations.iter_mut().map(|operation| &mut operation.what);
            for text in texts.chain([&mut device.why]) {
                *text = redactor.known(text);
            }
        }
    }

    /// The invalid ones of those that are listed.
    pub fn invalid(&self) -> impl Iterator<Item = &DeviceResult> {
        self.listed.iter().filter(|device| device.verdict == INVALID)
    }

    /// The unknown ones of those that are listed.
    pub fn unknown(&self) -> impl Iterator<Item = &DeviceResult> {
        self.listed.iter().filter(|device| device.verdict != INVALID)
    }
}

const INVALID: &str = "invalid";
const UNKNOWN: &str = "unknown";

/// Recorder of verdicts on devices. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct DeviceRecorder {
    valid: u64,
    invalid: u64,
    unknown: u64,
    /// The first ones, by client.
    shown: BTreeMap<ClientId, DeviceJudgement>,
    unclear: BTreeMap<ClientId, DeviceJudgement>,
}

impl DeviceRecorder {
    /// Counts one device.
    pub fn device(&mut self, device: &DeviceJudgement) {
        match &device.verdict {
            DeviceVerdict::Valid => self.valid += 1,
            DeviceVerdict::Invalid(_) => {
                self.invalid += 1;
                keep(&mut self.shown, device, SHOWN_MAX);
            }
            DeviceVerdict::Unknown { .. } => {
                self.unknown += 1;
                keep(&mut self.unclear, device, UNKNOWN_MAX);
            }
        }
    }

    /// Adds what another recorder counted.
    pub fn merge(&mut self, other: Self) {
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.unknown += other.unknown;
        for device in other.shown.values() {
            keep(&mut self.shown, device, SHOWN_MAX);
        }
        for device in other.unclear.values() {
            keep(&mut self.unclear, device, UNKNOWN_MAX);
        }
    }

    /// The verdicts of the run.
    #[must_use]
    pub fn summary(&self, plan: &Plan) -> DeviceResults {
        let listed = self.shown.values().chain(self.unclear.values());
        DeviceResults {
            valid: self.valid,
            invalid: self.invalid,
            unknown: self.unknown,
            listed: listed.filter_map(|device| result(plan, device)).collect(),
        }
    }
}

/// Keeps the first devices, by client, in whatever order they come.
fn keep(kept: &mut BTreeMap<ClientId, DeviceJudgement>, device: &DeviceJudgement, most: usize) {
    let is_late = || kept.last_key_value().is_none_or(|(last, _)| *last < device.client);
    if kept.len() >= most && is_late() {
        return;
    }
    kept.insert(device.client, device.clone());
    if kept.len() > most {
        kept.pop_last();
    }
}

fn result(plan: &Plan, device: &DeviceJudgement) -> Option<DeviceResult> {
    let (verdict, why, shown) = match &device.verdict {
        DeviceVerdict::Valid => return None,
        DeviceVerdict::Invalid(invalid) => (INVALID, &invalid.why, invalid.shown.as_ref()),
        DeviceVerdict::Unknown { why } => (UNKNOWN, why, None),
    };
    let nothing = SubHistory::default();
    let shown = shown.unwrap_or(&nothing);
    let operations = shown.moments.iter().map(|moment| DeviceOperation {
        by: moment.by.as_str().to_owned(),
        from_us: micros(moment.from),
        until_us: micros(moment.until),
        unanswered: moment.unanswered,
        decisive: moment.decisive,
        what: moment.what.clone(),
    });
    Some(DeviceResult {
        client: client_name(plan, device.client),
        verdict: verdict.to_owned(),
        why: why.clone(),
        shortest: shown.shortest,
        decisive: shown.decisive as u64,
        left_open: shown.open as u64,
        operations: operations.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::verdict::Invalid;
    use crate::record::test_support::Story;

    fn judged(client: ClientId, kind: u32) -> DeviceJudgement {
        let why = format!("because of {client}");
        let verdict = match kind {
            0 => DeviceVerdict::Valid,
            1 => DeviceVerdict::Invalid(Box::new(Invalid { why, shown: None })),
            _ => DeviceVerdict::Unknown { why },
        };
        DeviceJudgement { client, verdict }
    }

    #[test]
    fn the_first_devices_are_listed_in_whatever_order_they_come() {
        let devices: Vec<DeviceJudgement> = (0..900).map(|client| judged(client, client % 3)).collect();
        let story = Story::new(&[("phones", 900)]);
        let (mut forward, mut backward) = (DeviceRecorder::default(), DeviceRecorder::default());
        devices.iter().for_each(|device| forward.device(device));
        for part in devices.chunks(7).rev() {
            let mut recorder = DeviceRecorder::default();
            part.iter().rev().for_each(|device| recorder.device(device));
            backward.merge(recorder);
        }
        let result = forward.summary(&story.plan);
        assert_eq!(result, backward.summary(&story.plan));
        assert_eq!((result.valid, result.invalid, result.unknown), (300, 300, 300));
        assert_eq!((result.invalid().count(), result.unknown().count()), (SHOWN_MAX, UNKNOWN_MAX));
        assert_eq!(result.listed[0].client, "phones/1");
        assert_eq!(result.listed[SHOWN_MAX - 1].client, "phones/298");
    }
}
