//! Rotations, revocations and removals at a rate, of paired devices that the seed draws.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::history::OperationKind;
use crate::plan::{ClientId, Nanos, OperatorPlan, Plan, stream};

/// What one operator does to paired devices, and which it knows of.
#[derive(Debug, Default)]
pub struct Chores {
    chores: Vec<Chore>,
    /// Sorted: what is drawn must not depend on the order in which they were approved.
    paired: Vec<ClientId>,
}

#[derive(Debug)]
struct Chore {
    verb: Verb,
    every: Nanos,
    next: Nanos,
    rng: ChaCha8Rng,
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Rotate,
    Revoke,
    Remove,
}

impl Chores {
    /// The chores of an operator; devices that the store has from the start are paired.
    #[must_use]
    pub fn new(plan: &Plan, operator: &OperatorPlan) -> Self {
        let upkeep = operator.upkeep;
        let verbs = [
            (Verb::Rotate, "rotates", upkeep.rotate),
            (Verb::Revoke, "revokes", upkeep.revoke),
            (Verb::Remove, "removes", upkeep.remove),
        ];
        let chores: Vec<Chore> = verbs
            .into_iter()
            .filter_map(|(verb, word, rate)| {
                let every = (1e9 / rate?).round().max(1.0) as Nanos;
                let rng = stream(plan.seed, &format!("operator {} {word}", operator.name), "", 0);
                Some(Chore { verb, every, next: every, rng })
            })
            .collect();
        let mut known = Self { chores, paired: Vec::new() };
        for (client, planned) in plan.arriving() {
            let cohort = plan.cohorts.get(usize::from(planned.cohort));
            if cohort.is_some_and(|cohort| cohort.stored.is_some()) {
                known.paired(plan, operator, client);
            }
        }
        known
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.chores.is_empty()
    }

    /// A device is paired. One that the operator does not serve is none of its business.
    pub fn paired(&mut self, plan: &Plan, operator: &OperatorPlan, client: ClientId) {
        let Some(planned) = plan.clients.get(client as usize) else { return };
        let serves = operator.serves.as_ref().is_none_or(|served| served.contains(&planned.cohort));
        if self.any()
            && serves
            && let Err(place) = self.paired.binary_search(&client)
        {
            self.paired.insert(place, client);
        }
    }

    /// A device is removed, or its token revoked: nothing more is to be done to it until it is paired again.
    pub fn gone(&mut self, client: ClientId) {
        if let Ok(place) = self.paired.binary_search(&client) {
            self.paired.remove(place);
        }
    }

    /// When the next chore is due.
    #[must_use]
    pub fn next(&self) -> Option<Nanos> {
        self.chores.iter().map(|chore| chore.next).min()
    }

    /// What is to be done at `now`, and to whom; `None` if nothing is due or nobody is paired. What was missed while the
    /// operator was away is not made up for.
    pub fn take(&mut self, plan: &Plan, now: Nanos) -> Option<(ClientId, OperationKind)> {
        let chore =
            self.chores.iter_mut().min_by_key(|chore| chore.next).filter(|chore| chore.next <= now)?;
        chore.next = chore.next.saturating_add(chore.every).max(now);
        if self.paired.is_empty() {
            return None;
        }
        let drawn = chore.rng.random_range(0..self.paired.len());
        let client = self.paired.get(drawn).copied()?;
        let planned = plan.clients.get(client as usize)?;
        let role = plan.cohorts.get(usize::from(planned.cohort))?.connect.role.clone();
        let role = role.unwrap_or_else(|| protocol::scope::ROLE_OPERATOR.to_owned());
        let kind = match chore.verb {
            Verb::Rotate => OperationKind::Rotate { role, scopes: None },
            Verb::Revoke => OperationKind::Revoke { role },
            Verb::Remove => OperationKind::Remove,
        };
        Some((client, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Upkeep;
    use crate::record::test_support::Story;

    #[test]
    fn chores_come_at_their_rate_and_concern_paired_devices_that_are_served() {
        let mut plan = Story::new(&[("phones", 40), ("tabs", 2)]).plan;
        plan.operators[0].serves = Some(vec![0]);
        plan.operators[0].upkeep = Upkeep { rotate: Some(2.0), revoke: None, remove: Some(1.0) };
        let operator = plan.operators[0].clone();
        let mut chores = Chores::new(&plan, &operator);
        assert_eq!(chores.next(), Some(500_000_000));
        assert_eq!(chores.take(&plan, 500_000_000), None, "nobody is paired");
        for client in [3, 1, 41, 7] {
            chores.paired(&plan, &operator, client);
        }
        let (mut rotated, mut removed) = (Vec::new(), Vec::new());
        for second in 1..=20_u64 {
            while let Some((client, kind)) = chores.take(&plan, second * 1_000_000_000) {
                match kind {
                    OperationKind::Remove => removed.push(client),
                    _ => rotated.push(client),
                }
            }
        }
        assert_eq!((rotated.len(), removed.len()), (39, 20));
        rotated.sort_unstable();
        rotated.dedup();
        assert_eq!(rotated, [1, 3, 7], "41 is not served");
        chores.gone(3);
        chores.gone(3);
        let drawn = (0..40).filter_map(|at| chores.take(&plan, 30_000_000_000 + at * 1_000_000_000));
        assert!(drawn.into_iter().all(|(client, _)| client != 3));
    }
}
