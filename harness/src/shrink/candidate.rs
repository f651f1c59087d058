//! A part of a scenario, written as a file that extends the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::scenario::{Arrivals, CohortSpec, Scenario};
use crate::vocabulary::{Action, ClientId, Request, Step};

/// Name of the file that candidates extend.
pub const WHOLE: &str = "whole.toml";

/// What of a scenario is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Cohorts by name, each with its number of clients; the first ones are kept, so that each keeps its key.
    pub cohorts: BTreeMap<String, u32>,
    /// Faults by name.
    pub faults: Vec<String>,
    /// Operators by name.
    pub operators: Vec<String>,
    /// Steps of a story, `[[step]]`, by their number from 1.
    pub steps: Vec<u32>,
    /// Steps of each cohort's `script`, by their number from 1; of cohorts that have one.
    pub scripts: BTreeMap<String, Vec<u32>>,
}

impl Parts {
    /// Everything.
    #[must_use]
    pub fn all(scenario: &Scenario) -> Self {
        Self {
            cohorts: scenario.cohorts.iter().map(|spec| (spec.cohort.name.clone(), spec.count)).collect(),
            faults: scenario.faults.iter().map(|fault| fault.name.clone()).collect(),
            operators: scenario.operators.iter().map(|operator| operator.name.clone()).collect(),
            steps: numbers(&scenario.steps).collect(),
            scripts: scenario
                .cohorts
                .iter()
                .filter(|spec| !spec.cohort.script.is_empty())
                .map(|spec| (spec.cohort.name.clone(), numbers(&spec.cohort.script).collect()))
                .collect(),
        }
    }

    /// Without what cannot stand alone: steps that name a cohort that is gone, and cohorts that no step names any more and that do not
    /// arrive by themselves.
    #[must_use]
    pub fn settled(&self, scenario: &Scenario) -> Self {
        let mut parts = self.clone();
        let mut named = BTreeSet::new();
        parts.steps.retain(|number| {
            let position = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            let step = position.and_then(|position| scenario.steps.get(position));
            let names: Vec<&str> =
                step.into_iter().flat_map(clients).filter_map(|id| cohort_of(scenario, id)).collect();
            let stands = names.iter().all(|name| parts.cohorts.contains_key(*name));
            if stands {
                named.extend(names);
            }
            stands
        });
        let waits = |spec: &&CohortSpec| matches!(spec.arrivals, Arrivals::Steps);
        for spec in scenario.cohorts.iter().filter(waits) {
            if !named.contains(spec.cohort.name.as_str()) {
                parts.cohorts.remove(&spec.cohort.name);
            }
        }
        parts
    }

    /// Clients of all cohorts together.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.cohorts.values().map(|count| u64::from(*count)).sum()
    }

    /// Steps of the scripts of all cohorts that are kept.
    #[must_use]
    pub fn script_steps(&self) -> usize {
        let kept = self.scripts.iter().filter(|(name, _)| self.cohorts.contains_key(*name));
        kept.map(|(_, script)| script.len()).sum()
    }
}

/// The numbers of what a list holds, as `remove` counts them.
fn numbers<T>(items: &[T]) -> impl Iterator<Item = u32> {
    (1..).zip(items).map(|(number, _)| number)
}

/// The clients that a step names.
fn clients(step: &Step) -> Vec<ClientId> {
    match step {
        Step::Connect(connect) => vec![connect.client],
        Step::Leave(client) | Step::Edit { client, .. } => vec![*client],
        Step::Act { action, by } => {
            let of = match action {
                Action::Approve(Request::Of(client)) | Action::Reject(Request::Of(client)) => Some(*client),
                Action::Approve(Request::Latest) | Action::Reject(Request::Latest) => None,
                Action::Remove(client) | Action::Rotate { client, .. } | Action::Revoke { client, .. } => {
                    Some(*client)
                }
            };
            of.into_iter().chain(*by).collect()
        }
        Step::Fault(_) | Step::Wait(_) => Vec::new(),
    }
}

/// The cohort of a client, which goes by its place among all clients.
fn cohort_of(scenario: &Scenario, client: ClientId) -> Option<&str> {
    let mut end = 0_u64;
    let spec = scenario.cohorts.iter().find(|spec| {
        end += u64::from(spec.count);
        u64::from(client) < end
    });
    spec.map(|spec| spec.cohort.name.as_str())
}

/// The candidate's text: [`WHOLE`], without what is not kept, nor [stands alone](Parts::settled). Comments of the whole stay where they are.
#[must_use]
pub fn text(scenario: &Scenario, seed: u64, parts: &Parts) -> String {
    let parts = &parts.settled(scenario);
    let mut removed = Vec::new();
    for spec in &scenario.cohorts {
        let name = &spec.cohort.name;
        if !parts.cohorts.contains_key(name) {
            removed.push(format!("cohort.{name}"));
        } else if let Some(kept) = parts.scripts.get(name) {
            let left_out = numbers(&spec.cohort.script).filter(|number| !kept.contains(number));
            removed.extend(left_out.map(|number| format!("cohort.{name}.script.{number}")));
        }
    }
    if parts.steps.is_empty() && !scenario.steps.is_empty() {
        removed.push("step".to_owned());
    } else {
        let left_out = numbers(&scenario.steps).filter(|number| !parts.steps.contains(number));
        removed.extend(left_out.map(|number| format!("step.{number}")));
    }
    for fault in &scenario.faults {
        if !parts.faults.contains(&fault.name) {
            removed.push(format!("fault.{}", fault.name));
        }
    }
    let mut served = String::new();
    for operator in &scenario.operators {
        let cohorts = operator.serves.as_ref().map(|serves| {
            let names = serves.iter().filter_map(|at| scenario.cohorts.get(usize::from(*at)));
            names
                .map(|spec| spec.cohort.name.clone())
                .filter(|name| parts.cohorts.contains_key(name))
                .collect::<Vec<_>>()
        });
        let serves_nobody = cohorts.as_ref().is_some_and(Vec::is_empty);
        if serves_nobody || !parts.operators.contains(&operator.name) {
            removed.push(format!("operator.{}", operator.name));
        } else if let (Some(cohorts), Some(all)) = (cohorts, &operator.serves)
            && cohorts.len() < all.len()
        {
            let _ = write!(served, "\n[operator.{}]\nserves = {cohorts:?}\n", operator.name);
        }
    }
    // They are about the whole.
    if !scenario.thresholds.is_empty() {
        removed.push("threshold".to_owned());
    }
    if scenario.invariants.is_some() {
        removed.push("invariants".to_owned());
    }
    let mut text = format!("extend = \"{WHOLE}\"\n");
    if !removed.is_empty() {
        let _ = writeln!(text, "remove = [");
        for path in removed {
            let _ = writeln!(text, "    \"{path}\",");
        }
        text.push_str("]\n");
    }
    let _ = write!(text, "\nname = \"shrunk\"\nseed = {seed}\n");
    for spec in &scenario.cohorts {
        if let Some(count) = parts.cohorts.get(&spec.cohort.name).filter(|count| **count < spec.count) {
            let _ = write!(
                text,
                "\n[cohort.{}]\ncount = {count}                                # of {}\n",
                spec.cohort.name, spec.count
            );
        }
    }
    text.push_str(&served);
    text
}
