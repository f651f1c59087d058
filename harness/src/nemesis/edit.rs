//! Somebody edits the store while the gateway runs.

use std::collections::BTreeMap;

use crate::client::DeviceKey;
use crate::client::key::KeyError;
use crate::clock::Clock;
use crate::engine::Feed;
use crate::gateway::{GatewayProcess, TargetError, store_edit};
use crate::history::{Fault, Operation, Record};
use crate::plan::identity::Identities;
use crate::plan::{ClientId, CohortId, FaultKind, Plan, PlannedFault};

/// The devices of the cohorts whose entries are edited.
#[derive(Debug, Default)]
pub struct Edits(BTreeMap<CohortId, Vec<(ClientId, String)>>);

impl Edits {
    /// Those of a plan. Takes a while where there are many clients.
    ///
    /// # Errors
    /// [`KeyError`] when a key cannot be derived.
    pub fn of(plan: &Plan, identities: &Identities) -> Result<Self, KeyError> {
        let cohorts = plan.faults.iter().filter_map(|fault| fault.edit.as_ref());
        let mut devices: BTreeMap<CohortId, Vec<(ClientId, String)>> =
            cohorts.map(|(cohort, _)| (*cohort, Vec::new())).collect();
        for (id, client) in (0..).zip(&plan.clients) {
            let Some(cohort) = plan.cohorts.get(usize::from(client.cohort)) else { continue };
            if let Some(devices) = devices.get_mut(&client.cohort) {
                let key = DeviceKey::from_seed(&identities.client_key_seed(&cohort.name, client))?;
                devices.push((id, key.device_id().to_owned()));
            }
        }
        Ok(Self(devices))
    }

    /// Edits what the fault says, and tells what became of each entry; false if it is no edit.
    ///
    /// # Errors
    /// [`TargetError::State`] when the store cannot be read or written.
    pub(super) fn make(
        &self,
        fault: &PlannedFault,
        process: &GatewayProcess,
        feed: &Feed,
        clock: Clock,
    ) -> Result<bool, TargetError> {
        let Some((cohort, edit)) = &fault.edit else { return Ok(false) };
        let (clients, ids): (Vec<ClientId>, Vec<&str>) =
            self.0.get(cohort).into_iter().flatten().map(|(client, id)| (*client, id.as_str())).unzip();
        let began = clock.now();
        let _underway = feed.begin(began);
        let edited = store_edit::apply_all(process.state_dir(), &ids, edit);
        let ended = clock.now();
        let mut found = edited.iter().flat_map(|edited| &edited.found).copied();
        for client in clients {
            feed.push(Record::Operation(Operation::edit(client, edit, (began, ended), found.next())));
        }
        let overwrote = edited.as_ref().is_ok_and(|edited| edited.overwrote);
        feed.push(Record::Fault(Fault {
            name: fault.name.clone(),
            kind: FaultKind::Edit { overwrote },
            began,
            ended: Some(ended),
            restart: None,
        }));
        edited.map(|_| true)
    }
}
