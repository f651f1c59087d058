//! Roles, scopes and texts that a device's history can bring up.

use crate::history::{OperationKind, StoreEdit};
use crate::oracle::CohortRules;
use crate::oracle::alphabet::Alphabet;
use crate::oracle::rules::{AskRules, Texts};
use crate::oracle::timeline::Device;
use protocol::scope::ROLE_OPERATOR;

use super::stored;

/// The connects that the device's attempts made.
fn asks<'r, 'p>(rules: &'r CohortRules<'p>, device: &Device<'_, '_>) -> Vec<&'r AskRules<'p>> {
    let mut numbers: Vec<u16> = device.attempts().map(|(_, attempt)| attempt.ask).collect();
    // A stored entry is the first connect's.
    numbers.push(0);
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().filter_map(|number| rules.ask(number)).collect()
}

/// Every platform and family that the device's history can bring up; `None` if there are too many.
pub(super) fn texts(rules: &CohortRules<'_>, device: &Device<'_, '_>) -> Option<Texts> {
    let stored = rules.cohort.stored.as_ref().map(|stored| stored::metadata(rules, stored));
    let claimed = asks(rules, device)
        .into_iter()
        .flat_map(|ask| [Some(ask.spec.platform.as_str()), ask.spec.device_family.as_deref()]);
    let stored = stored.into_iter().flat_map(|(platform, family)| [platform, family]);
    Texts::new(claimed.chain(stored).flatten())
}

/// Every role and scope that the device's history can bring up.
pub(super) fn alphabet<'a>(rules: &CohortRules<'a>, device: &Device<'_, 'a>) -> Option<Alphabet<'a>> {
    let asks = asks(rules, device);
    let stored = rules.cohort.stored.as_ref();
    let mut roles: Vec<&'a str> =
        asks.iter().map(|ask| ask.spec.role.as_deref().unwrap_or(ROLE_OPERATOR)).collect();
    roles.extend(stored.iter().flat_map(|stored| &stored.roles).map(String::as_str));
    let mut scopes: Vec<&'a str> =
        asks.iter().flat_map(|ask| ask.spec.scopes.iter().flatten()).map(String::as_str).collect();
    scopes.extend(stored.iter().flat_map(|stored| &stored.scopes).map(String::as_str));
    for operation in device.operations() {
        match &operation.kind {
            OperationKind::Rotate { role, scopes: given } => {
                roles.push(role);
                scopes.extend(given.iter().flatten().map(String::as_str));
            }
            OperationKind::Revoke { role } => roles.push(role),
            OperationKind::Edit(StoreEdit::SetScopes(given)) => {
                scopes.extend(given.iter().map(String::as_str));
            }
            OperationKind::Approve { .. }
            | OperationKind::Reject { .. }
            | OperationKind::Remove
            | OperationKind::Edit(StoreEdit::DropEntry) => {}
        }
    }
    Alphabet::new(roles, scopes)
}
