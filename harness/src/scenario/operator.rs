//! `[operator.NAME]`: the scripted people who approve.

use std::time::Duration;

use super::document::{Node, Value};
use super::names::allowed;
use super::reader::{Fields, duration_range, positive_duration, share, text, word};
use crate::vocabulary::{CohortId, DurationRange, Notices, OperatorPlan};

/// Think time when the scenario gives none.
const THINK: DurationRange =
    DurationRange { min: Duration::from_millis(20), max: Duration::from_millis(200) };

/// Reads one operator. `cohorts` are the names of all cohorts, in plan order.
pub(super) fn read(name: &str, fields: Fields<'_>, cohorts: &[&str]) -> OperatorPlan {
    let serves = serves(&fields, cohorts);
    let notices = notices(&fields).unwrap_or(Notices::Event);
    let think = fields.read("think", duration_range).unwrap_or(THINK);
    let reject_share = fields.read("reject_share", share).unwrap_or(0.0);
    let ignore_share = fields.read("ignore_share", share).unwrap_or(0.0);
    if reject_share + ignore_share > 1.0 {
        let message = format!("{reject_share} rejected and {ignore_share} ignored are more than all");
        let help = Some("`reject_share` and `ignore_share` together are at most 1".to_owned());
        fields.sink.report("conflict", &fields.span("ignore_share"), message, help);
    }
    fields.finish();
    OperatorPlan { name: name.to_owned(), serves, notices, think, reject_share, ignore_share }
}

fn serves(fields: &Fields<'_>, cohorts: &[&str]) -> Option<Vec<CohortId>> {
    let entry = fields.entry("serves")?;
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`serves` is {}, wanted a list of cohorts", entry.node.value.kind());
        fields.sink.report(
            "type",
            &entry.node.span,
            message,
            Some("leave it out to serve everyone".to_owned()),
        );
        return None;
    };
    let mut positions = Vec::new();
    for item in items {
        let position = text(item).ok().and_then(|name| cohorts.iter().position(|cohort| *cohort == name));
        match position.and_then(|position| CohortId::try_from(position).ok()) {
            Some(position) if positions.contains(&position) => {
                fields.sink.report("conflict", &item.span, "this cohort is named twice", None);
            }
            Some(position) => positions.push(position),
            None => unknown_cohort(fields, item, cohorts),
        }
    }
    Some(positions)
}

fn unknown_cohort(fields: &Fields<'_>, item: &Node, cohorts: &[&str]) {
    match text(item) {
        Ok(name) => {
            let help = Some(allowed(&name, cohorts));
            fields.sink.report("reference", &item.span, format!("there is no `[cohort.{name}]`"), help);
        }
        Err(problem) => fields.sink.report(problem.code, &item.span, problem.message, problem.help),
    }
}

/// `"event"`, or `{ list = "500ms" }`.
fn notices(fields: &Fields<'_>) -> Option<Notices> {
    let entry = fields.entry("notices")?;
    if let Value::Table(_) = entry.node.value {
        let inner = fields.sub_table(entry)?;
        let every = inner.required("list", "how often, for example \"500ms\"", positive_duration);
        inner.finish();
        return every.map(Notices::List);
    }
    fields.read("notices", word(&[("event", Notices::Event)]))
}
