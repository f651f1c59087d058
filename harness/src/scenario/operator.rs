//! `[operator.NAME]`: the scripted people who approve.

use std::time::Duration;

use super::document::{Node, Value};
use super::names::allowed;
use super::reader::{Fields, Problem, duration_range, positive_duration, rate, share, text, word};
use crate::vocabulary::{
    Approves, By, CohortId, DurationRange, Notices, OperatorPlan, OperatorState, Think, Upkeep,
};

/// Think time when the scenario gives none.
const THINK: DurationRange =
    DurationRange { min: Duration::from_millis(20), max: Duration::from_millis(200) };

/// Reads one operator. `cohorts` are the names of all cohorts, in plan order.
pub(super) fn read(name: &str, fields: Fields<'_>, cohorts: &[&str]) -> OperatorPlan {
    let serves = serves(&fields, cohorts);
    let notices = notices(&fields).unwrap_or(Notices::Event);
    let think = think(&fields).unwrap_or(Think::Uniform(THINK));
    let reject_share = fields.read("reject_share", share).unwrap_or(0.0);
    let mut ignore_share = fields.read("ignore_share", share).unwrap_or(0.0);
    let words = [("each", Some(Approves::Each)), ("latest", Some(Approves::Latest)), ("never", None)];
    let approves = fields.read("approve", word(&words)).unwrap_or(Some(Approves::Each));
    let rate_max = fields.read("rate", some_rate);
    let by = fields
        .read("by", word(&[("session", By::Session), ("command-line", By::CommandLine)]))
        .unwrap_or(By::Session);
    let states = [("gateway", OperatorState::Gateway), ("elsewhere", OperatorState::Elsewhere)];
    let state = fields.read("state", word(&states)).unwrap_or_default();
    let upkeep = Upkeep {
        rotate: fields.read("rotate", some_rate),
        revoke: fields.read("revoke", some_rate),
        remove: fields.read("remove", some_rate),
    };
    if reject_share + ignore_share > 1.0 {
        let message = format!("{reject_share} rejected and {ignore_share} ignored are more than all");
        let help = Some("`reject_share` and `ignore_share` together are at most 1".to_owned());
        fields.sink.report("conflict", &fields.span("ignore_share"), message, help);
    }
    if approves.is_none() {
        if ignore_share > 0.0 {
            let message = "`approve = \"never\"` and `ignore_share`";
            fields.sink.report(
                "conflict",
                &fields.span("ignore_share"),
                message,
                Some("keep one".to_owned()),
            );
        }
        ignore_share = 1.0 - reject_share;
    }
    if approves == Some(Approves::Latest) && by == By::CommandLine {
        let help = "leave `by` out: over a session it approves what the release's `--latest` would";
        let message = "the command line of a run approves by id, not by `--latest`";
        fields.sink.report("not-supported", &fields.span("approve"), message, Some(help.to_owned()));
    }
    if state == OperatorState::Elsewhere {
        let help = "add by = \"command-line\": a session is with the gateway that it was opened to";
        if by != By::CommandLine {
            let message = "only commands can go to another state directory";
            fields.sink.report("conflict", &fields.span("state"), message, Some(help.to_owned()));
        }
        if upkeep != Upkeep::default() {
            let message = "another state directory has no paired devices of this run";
            let help = Some("leave `rotate`, `revoke` and `remove` out".to_owned());
            fields.sink.report("conflict", &fields.span("state"), message, help);
        }
    }
    fields.finish();
    let approves = approves.unwrap_or(Approves::Each);
    OperatorPlan {
        name: name.to_owned(),
        serves,
        notices,
        think,
        reject_share,
        ignore_share,
        approves,
        rate_max,
        by,
        state,
        upkeep,
    }
}

/// A rate above 0.
fn some_rate(node: &Node) -> Result<f64, Problem> {
    let rate = rate(node)?;
    if rate <= 0.0 {
        let help = Some("leave the key out".to_owned());
        return Err(Problem { code: "value", message: "a rate of 0 is never".to_owned(), help });
    }
    Ok(rate)
}

/// `"1s..3s"`, `{ median = "2s", p99 = "30s" }` or `{ mean = "5s" }`.
fn think(fields: &Fields<'_>) -> Option<Think> {
    let entry = fields.entry("think")?;
    let Value::Table(_) = entry.node.value else {
        return fields.read("think", duration_range).map(Think::Uniform);
    };
    let inner = fields.sub_table(entry)?;
    let think = if inner.entry("mean").is_some() {
        inner.read("mean", positive_duration).map(|mean| Think::Exponential { mean })
    } else {
        let median = inner.required("median", "half think longer, for example \"5s\"", positive_duration);
        let p99 =
            inner.required("p99", "one of a hundred thinks longer, for example \"60s\"", positive_duration);
        median.zip(p99).and_then(|(median, p99)| {
            if p99 < median {
                let message = "one of a hundred cannot think longer than a shorter time than half of them";
                let help = Some("`p99` is at least `median`".to_owned());
                inner.sink.report("value", &inner.span("p99"), message, help);
                return None;
            }
            Some(Think::LogNormal { median, p99 })
        })
    };
    inner.finish();
    think
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
        match cohort(fields, item, cohorts) {
            Some(position) if positions.contains(&position) => {
                fields.sink.report("conflict", &item.span, "this cohort is named twice", None);
            }
            Some(position) => positions.push(position),
            None => {}
        }
    }
    Some(positions)
}

/// The cohort that is named there; anything else is reported.
pub(super) fn cohort(fields: &Fields<'_>, item: &Node, cohorts: &[&str]) -> Option<CohortId> {
    let position = text(item).ok().and_then(|name| cohorts.iter().position(|cohort| *cohort == name));
    if let Some(position) = position.and_then(|position| CohortId::try_from(position).ok()) {
        return Some(position);
    }
    match text(item) {
        Ok(name) => {
            let help = Some(allowed(&name, cohorts));
            fields.sink.report("reference", &item.span, format!("there is no `[cohort.{name}]`"), help);
        }
        Err(problem) => fields.sink.report(problem.code, &item.span, problem.message, problem.help),
    }
    None
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
