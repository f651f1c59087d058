//! Roles, scopes and texts that a device's history can bring up.

use crate::history::{OperationKind, StoreEdit};
use crate::oracle::CohortRules;
use crate::oracle::alphabet::{Alphabet, Covering};
use crate::oracle::release::Coverage;
use crate::oracle::rules::{AskRules, Texts};
use crate::oracle::timeline::Device;
use protocol::scope::ROLE_OPERATOR;

use super::stored;

/// What a device's history can bring up, numbered, and what its connects claim in these numbers.
pub(super) struct Names<'a> {
    pub(super) alphabet: Alphabet<'a>,
    pub(super) texts: Texts,
    pub(super) covering: Covering,
}

impl<'a> Names<'a> {
    /// `None` if there are too many. `asks`: numbers of the connects that the device's attempts made.
    pub(super) fn new(
        rules: &CohortRules<'a>,
        asks: &[u16],
        device: &Device<'_, 'a>,
        rule: Coverage,
    ) -> Option<Self> {
        // A stored entry is the first connect's.
        let mut numbers = [asks, &[0]].concat();
        numbers.sort_unstable();
        numbers.dedup();
        let asks: Vec<&AskRules<'a>> = numbers.into_iter().filter_map(|number| rules.ask(number)).collect();
        let alphabet = alphabet(rules, &asks, device)?;
        let covering = Covering::new(&alphabet, rule);
        Some(Self { texts: texts(rules, &asks)?, alphabet, covering })
    }
}

/// Whether an operation on the device names roles or scopes of its own.
pub(super) fn are_named_by_operations(device: &Device<'_, '_>) -> bool {
    device.operations().any(|operation| {
        matches!(
            operation.kind,
            OperationKind::Rotate { .. }
                | OperationKind::Revoke { .. }
                | OperationKind::Edit(StoreEdit::SetScopes(_))
        )
    })
}

/// Every platform and family that the device's history can bring up; `None` if there are too many.
fn texts(rules: &CohortRules<'_>, asks: &[&AskRules<'_>]) -> Option<Texts> {
    let stored = rules.cohort.stored.as_ref().map(|stored| stored::metadata(rules, stored));
    let claimed = asks.iter().flat_map(|ask| {
        // Not those of the plan: a release may fill in a family that nobody claimed.
        let facts = &ask.variant(false).facts;
        [Some(facts.platform.as_str()), facts.device_family.as_deref()]
    });
    let stored = stored.into_iter().flat_map(|(platform, family)| [platform, family]);
    Texts::new(claimed.chain(stored).flatten())
}

/// Every role and scope that the device's history can bring up.
fn alphabet<'a>(
    rules: &CohortRules<'a>,
    asks: &[&AskRules<'a>],
    device: &Device<'_, 'a>,
) -> Option<Alphabet<'a>> {
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
