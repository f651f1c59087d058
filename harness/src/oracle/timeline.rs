//! From the history of a run to the part of it that concerns one device.

use crate::history::{History, Operation};
use crate::observation::Observation;
use crate::plan::{ClientId, Nanos, Plan};

/// The history, by device.
pub(super) struct Timelines<'h> {
    history: &'h History,
    /// Position of each record, sorted by client and time.
    attempts: Vec<(ClientId, Nanos, usize)>,
    operations: Vec<(ClientId, Nanos, usize)>,
    notices: Vec<(ClientId, Nanos, usize)>,
}

/// One device's part. Each list is sorted by the time at which the record begins.
pub(super) struct Device<'t, 'h> {
    pub(super) client: ClientId,
    history: &'h History,
    attempts: &'t [(ClientId, Nanos, usize)],
    operations: &'t [(ClientId, Nanos, usize)],
    notices: &'t [(ClientId, Nanos, usize)],
}

impl<'h> Timelines<'h> {
    /// Records of clients that the plan does not have are left out, and what operators did to another gateway.
    pub(super) fn new(history: &'h History, plan: &Plan) -> Self {
        let clients = plan.clients.len();
        let here = |operation: &&Operation| !plan.acts_elsewhere(operation.operator);
        let planned = |client: ClientId| usize::try_from(client).is_ok_and(|client| client < clients);
        let sorted = |of: &dyn Fn(usize) -> Option<(ClientId, Nanos)>, count: usize| {
            let mut records = Vec::with_capacity(count);
            records.extend((0..count).filter_map(|position| {
                let (client, at) = of(position).filter(|(client, _)| planned(*client))?;
                Some((client, at, position))
            }));
            records.sort_unstable();
            records
        };
        let History { attempts, operations, notices, .. } = history;
        Self {
            history,
            attempts: sorted(
                &|at| attempts.get(at).map(|attempt| (attempt.client, begin(attempt))),
                attempts.len(),
            ),
            operations: sorted(
                &|at| {
                    let operation = operations.get(at).filter(here)?;
                    Some((operation.client?, operation.invoked))
                },
                operations.len(),
            ),
            notices: sorted(
                &|at| notices.get(at).and_then(|notice| Some((notice.client?, notice.at))),
                notices.len(),
            ),
        }
    }

    /// The operations on one device, in time.
    pub(super) fn operations_on(&self, client: ClientId) -> impl Iterator<Item = &'h Operation> {
        let mut operations = self.operations.as_slice();
        take_client(&mut operations, client).iter().filter_map(|record| self.history.operations.get(record.2))
    }

    /// Every device that made an attempt.
    pub(super) fn devices(&self) -> impl Iterator<Item = Device<'_, 'h>> {
        let (mut operations, mut notices) = (self.operations.as_slice(), self.notices.as_slice());
        self.attempts.chunk_by(|a, b| a.0 == b.0).filter_map(move |attempts| {
            let client = attempts.first()?.0;
            Some(Device {
                client,
                history: self.history,
                attempts,
                operations: take_client(&mut operations, client),
                notices: take_client(&mut notices, client),
            })
        })
    }
}

/// Cuts the records of `client` off the front; those of smaller clients, which made no attempt, are dropped.
fn take_client<'t>(
    records: &mut &'t [(ClientId, Nanos, usize)],
    client: ClientId,
) -> &'t [(ClientId, Nanos, usize)] {
    let (_, rest) = records.split_at(records.partition_point(|record| record.0 < client));
    let (own, rest) = rest.split_at(rest.partition_point(|record| record.0 == client));
    *records = rest;
    own
}

impl<'h> Device<'_, 'h> {
    /// Position in `History::attempts`, and the attempt.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (usize, &'h Observation)> {
        (self.attempts.iter()).filter_map(|record| Some((record.2, self.history.attempts.get(record.2)?)))
    }

    pub(super) fn operations(&self) -> impl DoubleEndedIterator<Item = &'h Operation> {
        self.operations.iter().filter_map(|record| self.history.operations.get(record.2))
    }

    /// Request ids that operators learnt of, and when.
    pub(super) fn noticed(&self) -> impl Iterator<Item = (&'h str, Nanos)> {
        (self.notices.iter())
            .filter_map(|record| self.history.notices.get(record.2))
            .map(|notice| (notice.request_id.as_str(), notice.at))
    }
}

fn begin(attempt: &Observation) -> Nanos {
    attempt.stamps.started.unwrap_or(attempt.intended)
}
