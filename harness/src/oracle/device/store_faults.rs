//! Damage to the store, as operations on every device.
//!
//! What a gateway makes of a damaged file stands in `docs/reference/store.md`. The nemesis says whether it could put the file
//! back as it was, or the gateway had written over it, which decides more than any device's history does.

use super::DeviceJudge;
use super::decide::Source;
use crate::history::{Fault, OperationKind};
use crate::oracle::explain::seconds;
use crate::oracle::state::{Act, Edit, Op};
use crate::oracle::timeline::Device;
use crate::oracle::windows::load_span;
use crate::plan::{FaultKind, Nanos, StoreDamage};
use protocol::ProfileName;

/// Why nothing can be held against a gateway beside somebody else who wrote its store.
pub(super) fn taken_back(from: Nanos) -> String {
    format!(
        "somebody else wrote the store, and from {} on that or the gateway's own writing may have taken back what happened to the device",
        seconds(from)
    )
}

impl<'h> DeviceJudge<'_, '_, 'h> {
    /// Adds what damage to the store did to the device.
    pub(super) fn add_damage(&mut self) {
        let faults = &self.history.faults;
        for fault in faults {
            let FaultKind::Store(damage) = fault.kind else { continue };
            if damage.forbids_writing() {
                continue;
            }
            let back = faults
                .iter()
                .find(|back| back.name == fault.name && matches!(back.kind, FaultKind::StoreBack { .. }));
            let put_back = back.filter(|back| back.kind == FaultKind::StoreBack { put_back: true });
            if self.oracle.plan.gateway.profile == ProfileName::V2026_9_6 {
                self.database_damaged(fault, damage, back);
                continue;
            }
            // `article` refuses a file that does not parse, at its start and on SIGHUP, and its memory is what counts.
            let is_refused = matches!(damage, StoreDamage::Truncated | StoreDamage::Array);
            if is_refused && self.oracle.release.store_read_at_load {
                continue;
            }
            match put_back {
                Some(back) => {
                    self.add_op(Act::Away, (fault.began, fault.ended), false, fault);
                    self.add_op(Act::Back, (back.began, back.ended), false, back);
                }
                // Whoever has everything in memory wrote over it, and has lost nothing, unless that was read meanwhile.
                None if self.oracle.release.store_read_at_load
                    && !self.is_loaded(fault.began, back.map_or(Nanos::MAX, |back| back.began)) => {}
                // A change that was under way in the very moment may have written everything back.
                None => self.add_op(Act::Edit(Edit::Drop), (fault.began, fault.ended), true, fault),
            }
        }
    }

    /// A gateway that has its database open does not see that the file is another one. One that starts with a missing or an empty
    /// one makes a new one. With half of one it may start, and then nobody can say what was in that half.
    fn database_damaged(&mut self, fault: &'h Fault, damage: StoreDamage, back: Option<&Fault>) {
        let is_empty = matches!(damage, StoreDamage::Deleted | StoreDamage::Emptied);
        let until = back.map_or(Nanos::MAX, |back| back.began);
        let starts =
            self.history.faults.iter().filter(|start| matches!(start.kind, FaultKind::Restart { .. }));
        let start = starts
            .filter_map(|start| Some((start.restart?.exited?, start.ended)))
            .filter(|(exited, _)| (fault.began..until).contains(exited))
            // One that is only there once the file is back has not started with this one.
            .filter(|(_, ended)| is_empty || ended.is_some_and(|ended| ended < until))
            .min();
        if let Some((exited, ended)) = start {
            self.add_op(Act::Lost, (exited, ended), !is_empty || ended.is_none(), fault);
        }
    }

    /// Whether the store may have been read between the two.
    fn is_loaded(&self, from: Nanos, until: Nanos) -> bool {
        let mut loads = self.history.faults.iter().filter_map(load_span);
        loads.any(|(began, ended)| began <= until && ended.is_none_or(|ended| from <= ended))
    }

    fn add_op(&mut self, act: Act, (from, until): (Nanos, Option<Nanos>), optional: bool, fault: &'h Fault) {
        let until = until.unwrap_or(self.history.ended).max(from);
        self.push(Op { act, from, until, optional, after: None }, Source::Load(fault));
    }

    /// Since when another one's writing may have taken back what happened to the device: a second writer's or an editor's, if
    /// anything happened meanwhile that it had not read, or the gateway's own an edit. A database takes nothing back, and what is
    /// read at a start only is what it was before that.
    pub(super) fn taken_back_from(&self, device: &Device<'_, '_>) -> Option<Nanos> {
        if self.oracle.plan.gateway.profile == ProfileName::V2026_9_6 {
            return None;
        }
        let at_load = self.oracle.release.store_read_at_load;
        let mut faults = self.history.faults.iter();
        let began = faults.find_map(|fault| {
            let (began, ended) = (fault.began, fault.ended.unwrap_or(self.history.ended));
            let taken_back = match fault.kind {
                FaultKind::SecondWriter { .. } | FaultKind::Edit { overwrote: true } => {
                    self.happened(device, began, ended)
                }
                _ => false,
            };
            // Who reads before every operation may have read before the edit and written after it. Who writes from memory takes an
            // edit back before anybody has read it, which the search follows.
            let edited = matches!(fault.kind, FaultKind::Edit { .. }) && !at_load;
            (taken_back || edited && is_edited(device, began, ended)).then_some(began)
        })?;
        if !at_load {
            return Some(began);
        }
        let loads = self.history.faults.iter().filter_map(load_span);
        let later = loads.filter(|(_, until)| until.is_none_or(|until| began <= until));
        later.map(|(from, _)| from.max(began)).min()
    }

    /// Whether anything happened to the device between the two, but for edits.
    fn happened(&self, device: &Device<'_, '_>, began: Nanos, ended: Nanos) -> bool {
        let touches = |from: Nanos, until: Nanos| from <= ended && began <= until;
        let connected = device.attempts().any(|(_, attempt)| {
            let from = attempt.stamps.started.unwrap_or(attempt.intended);
            touches(from, attempt.stamps.last().unwrap_or(from))
        });
        connected
            || device.operations().any(|operation| {
                !matches!(operation.kind, OperationKind::Edit(_))
                    && touches(operation.invoked, operation.end.at().unwrap_or(self.history.ended))
            })
    }
}

/// Whether the entry was edited between the two.
fn is_edited(device: &Device<'_, '_>, began: Nanos, ended: Nanos) -> bool {
    device.operations().any(|operation| {
        matches!(operation.kind, OperationKind::Edit(_)) && (began..=ended).contains(&operation.invoked)
    })
}
