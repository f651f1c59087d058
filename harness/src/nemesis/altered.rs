//! What a fault alters for a while, and how it is put right again.

use std::path::PathBuf;
use std::time::Duration;

use super::store::Damaged;
use super::{limits, network, store};
use crate::clock::{Clock, nanos};
use crate::engine::Feed;
use crate::gateway::{GatewayProcess, TargetError, port};
use crate::history::{Fault, Record};
use crate::plan::{FaultKind, Nanos, PlannedFault};

/// Something that is altered now.
#[derive(Debug)]
pub(super) struct Altered {
    /// Its record, as far as it is known.
    record: Fault,
    /// When it is put right; `None` = when the run ends.
    pub(super) ends: Option<Nanos>,
    what: What,
}

#[derive(Debug)]
enum What {
    Store(Damaged),
    Writer {
        state_dir: PathBuf,
        every: Duration,
        gap: Duration,
        next: Nanos,
    },
    /// Killed when dropped; `None` = it was not let in.
    Second(Option<Box<GatewayProcess>>),
    Limited(limits::Limited),
    Network,
    Clock,
}

/// Begins a fault that lasts; `None` if it is not one.
///
/// # Errors
/// [`TargetError`] when the system refuses.
pub(super) async fn begin(
    fault: &PlannedFault,
    process: &GatewayProcess,
    feed: &Feed,
    clock: Clock,
) -> Result<Option<Altered>, TargetError> {
    let began = clock.now();
    let mut record = Fault { name: fault.name.clone(), kind: fault.kind, began, ended: None, restart: None };
    let pid = || process.pid().unwrap_or_default();
    let what = match fault.kind {
        FaultKind::Store(damage) => {
            let damaged = store::damage(process.state_dir(), damage)?;
            // What was done is told at once, and what was undone by a record of its own: who judges needs both times exactly.
            if !damage.forbids_writing() {
                feed.push(Record::Fault(Fault { ended: Some(clock.now()), ..record.clone() }));
            }
            What::Store(damaged)
        }
        FaultKind::SecondWriter { every, gap } => {
            What::Writer { state_dir: process.state_dir().to_owned(), every, gap, next: began }
        }
        FaultKind::SecondGateway { .. } => {
            let second = match process.start_beside(port::free()?).await {
                Ok(second) => Some(Box::new(second)),
                Err(TargetError::DiedAtStart { .. }) => None,
                Err(error) => return Err(error),
            };
            record.kind = FaultKind::SecondGateway { served: second.is_some() };
            What::Second(second)
        }
        FaultKind::Cpu { .. } | FaultKind::Memory { .. } => What::Limited(limits::limit(fault.kind, pid())?),
        FaultKind::Network { .. } | FaultKind::Partition => {
            network::begin(fault.kind).await?;
            What::Network
        }
        FaultKind::Clock { step_ms } => {
            feed.step_clock(step_ms);
            What::Clock
        }
        _ => return Ok(None),
    };
    let ends = fault.lasts.map(|lasts| clock.now().saturating_add(nanos(lasts)));
    Ok(Some(Altered { record, ends, what }))
}

impl Altered {
    /// When it wants to be looked after.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        match &self.what {
            What::Writer { next, .. } => Some(self.ends.map_or(*next, |ends| ends.min(*next))),
            _ => self.ends,
        }
    }

    /// What is altered.
    pub(super) const fn place(&self) -> &'static str {
        self.record.kind.place()
    }

    /// Whether it is a store that a gateway may refuse to start with.
    pub(super) const fn may_stop_a_start(&self) -> bool {
        matches!(&self.what, What::Store(damaged) if damaged.may_stop_a_start())
    }

    /// Does what is to be done again and again.
    ///
    /// # Errors
    /// [`TargetError`] when the system refuses.
    pub(super) async fn tend(&mut self, clock: Clock) -> Result<(), TargetError> {
        if let What::Writer { state_dir, every, gap, next } = &mut self.what {
            store::write_beside(state_dir, *gap).await?;
            *next = clock.now().saturating_add(nanos(*every));
        }
        Ok(())
    }

    /// Takes a process in that was started again.
    ///
    /// # Errors
    /// [`TargetError`] when the system refuses.
    pub(super) fn moved(&self, process: &GatewayProcess) -> Result<(), TargetError> {
        match (&self.what, process.pid()) {
            (What::Limited(limited), Some(pid)) => limited.take(pid),
            _ => Ok(()),
        }
    }

    /// Puts it right, and tells so.
    ///
    /// # Errors
    /// [`TargetError`] when the system refuses.
    pub(super) async fn end(self, feed: &Feed, clock: Clock) -> Result<(), TargetError> {
        let mut record = self.record;
        match self.what {
            What::Store(damaged) => {
                let began = clock.now();
                let put_back = damaged.put_back()?;
                if !matches!(record.kind, FaultKind::Store(damage) if damage.forbids_writing()) {
                    record = Fault { kind: FaultKind::StoreBack { put_back }, began, ..record };
                }
            }
            What::Network => network::end().await?,
            What::Clock => feed.step_clock(0),
            What::Limited(limited) => drop(limited),
            What::Second(second) => drop(second),
            What::Writer { .. } => {}
        }
        record.ended = Some(clock.now());
        feed.push(Record::Fault(record));
        Ok(())
    }
}
