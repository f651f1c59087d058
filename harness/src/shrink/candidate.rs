//! A part of a scenario, written as a file that extends the whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::scenario::Scenario;

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
}

impl Parts {
    /// Everything.
    #[must_use]
    pub fn all(scenario: &Scenario) -> Self {
        Self {
            cohorts: scenario.cohorts.iter().map(|spec| (spec.cohort.name.clone(), spec.count)).collect(),
            faults: scenario.faults.iter().map(|fault| fault.name.clone()).collect(),
            operators: scenario.operators.iter().map(|operator| operator.name.clone()).collect(),
        }
    }

    /// Clients of all cohorts together.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.cohorts.values().map(|count| u64::from(*count)).sum()
    }
}

/// The candidate's text: [`WHOLE`], without what is not kept. Comments of the whole stay where they are.
#[must_use]
pub fn text(scenario: &Scenario, seed: u64, parts: &Parts) -> String {
    let mut removed = Vec::new();
    for spec in &scenario.cohorts {
        if !parts.cohorts.contains_key(&spec.cohort.name) {
            removed.push(format!("cohort.{}", spec.cohort.name));
        }
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
