//! `[threshold]`: the metrics that can be limited, and their units.

use super::diagnostic::Sink;
use super::document::{Entry, Node, Value};
use super::names::{list, suggestion};
use super::quantity;
use super::reader::Fields;
use crate::vocabulary::{Comparison, Threshold};

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time; limits are stored in microseconds.
    Latency,
    /// A part of a whole, 0.0 to 1.0.
    Share,
}

/// Words of outcomes as in `result.json`.
const OUTCOMES: [&str; 9] = [
    "session",
    "refused",
    "upgrade_refused",
    "closed",
    "timed_out",
    "connection_refused",
    "unreachable",
    "not_a_gateway",
    "dropped",
];
/// Kinds of mismatches as in `result.json`.
const MISMATCHES: [&str; 10] = [
    "false_accept",
    "wrong_answer",
    "leaked_event",
    "false_reject",
    "wrong_reason",
    "wrong_close",
    "wrong_grant",
    "no_answer",
    "late_upgrade",
    "wrong_latency",
];
const PHASES: [&str; 8] =
    ["dial", "upgrade", "challenge", "verdict", "close", "total", "service", "response"];
const QUANTILES: [&str; 6] = ["p50", "p90", "p99", "p999", "max", "mean"];
const RESTART: [&str; 9] = [
    "port_closed",
    "exited",
    "spawned",
    "port_open",
    "first_session",
    "back.p50",
    "back.p90",
    "back.p99",
    "back.all",
];
/// Links of the chain from a request to the session, as in `result.json`.
const LINKS: [&str; 5] =
    ["pending_to_noticed", "noticed_to_approve", "approve_to_ack", "ack_to_attempt", "attempt_to_session"];

/// Words of outcomes that an expectation may name.
pub(super) const fn outcome_words() -> &'static [&'static str] {
    &OUTCOMES
}

/// Every metric that a threshold may name in a scenario of these cohorts, with its unit, in the order of the report.
#[must_use]
pub fn metrics(cohorts: &[&str]) -> Vec<(String, Unit)> {
    let mut all = vec![("mismatches".to_owned(), Unit::Count)];
    all.extend(MISMATCHES.iter().map(|kind| (format!("mismatches.{kind}"), Unit::Count)));
    all.extend(OUTCOMES.iter().map(|word| (format!("attempts.{word}"), Unit::Count)));
    let families = PHASES.iter().map(|phase| format!("phases.{phase}"));
    let links = LINKS.iter().map(|link| format!("approval_to_session.links.{link}"));
    let waits = cohorts.iter().flat_map(|cohort| {
        let parts = ["whole"].into_iter().chain(LINKS);
        parts.map(move |part| format!("approval_to_session.waterfalls.{cohort}.{part}"))
    });
    let approvals = ["approval_to_session".to_owned()].into_iter().chain(links).chain(waits);
    for family in families.chain(approvals).chain(["lag".to_owned()]) {
        all.push((format!("{family}.count"), Unit::Count));
        all.extend(QUANTILES.iter().map(|quantile| (format!("{family}.{quantile}"), Unit::Latency)));
    }
    all.extend(RESTART.iter().map(|stage| (format!("restart.{stage}"), Unit::Latency)));
    all.push(("restart.attempts_per_recovered_client".to_owned(), Unit::Count));
    all.push(("attempts_a_minute".to_owned(), Unit::Count));
    all.push(("operators.refused".to_owned(), Unit::Count));
    all.push(("dropped_share".to_owned(), Unit::Share));
    all
}

/// Reads `[threshold]`. Keys may be quoted (`"lag.p99"`) or dotted (`lag.p99`).
pub(super) fn read(scenario: &Fields<'_>, cohorts: &[&str]) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    if let Some(table) = scenario.table("threshold") {
        let known = metrics(cohorts);
        flatten("", table.entries(), &mut |name, entry| {
            thresholds.extend(threshold(name, entry, &known, scenario.sink));
        });
    }
    thresholds
}

fn flatten(prefix: &str, entries: &[Entry], each: &mut impl FnMut(&str, &Entry)) {
    for entry in entries {
        let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        match &entry.node.value {
            Value::Table(table) => flatten(&name, &table.entries, each),
            _ => each(&name, entry),
        }
    }
}

fn threshold(name: &str, entry: &Entry, known: &[(String, Unit)], sink: &Sink) -> Option<Threshold> {
    let Some(unit) = known.iter().find(|(known, _)| known == name).map(|(_, unit)| *unit) else {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let families = [
            "mismatches",
            "attempts.…",
            "phases.….…",
            "approval_to_session.…",
            "approval_to_session.links.….…",
            "approval_to_session.waterfalls.COHORT.….…",
            "lag.…",
            "restart.…",
            "attempts_a_minute",
            "operators.refused",
            "dropped_share",
        ];
        let families = list(&families);
        let help = match suggestion(name, &names) {
            Some(near) => format!("did you mean `{near}`? Metrics: {families}"),
            None => format!("metrics: {families}"),
        };
        sink.report("unknown-name", &entry.at, format!("there is no metric `{name}`"), Some(help));
        return None;
    };
    match rule(&entry.node, unit) {
        Ok((comparison, limit, text)) => {
            Some(Threshold { metric: name.to_owned(), comparison, limit, text: format!("{name} {text}") })
        }
        Err((message, help)) => {
            sink.report("value", &entry.node.span, format!("`{name}`: {message}"), Some(help));
            None
        }
    }
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

fn rule(node: &Node, unit: Unit) -> Result<(Comparison, f64, String), (String, String)> {
    let example = match unit {
        Unit::Count => "\"== 0\"",
        Unit::Latency => "\"< 250ms\"",
        Unit::Share => "\"<= 1%\"",
    };
    let help = || format!("for example {example}");
    let Value::Text(text) = &node.value else {
        return Err(("a rule is a text".to_owned(), help()));
    };
    let trimmed = text.trim();
    let Some((comparison, rest)) = COMPARISONS
        .iter()
        .find_map(|(sign, comparison)| Some((*comparison, trimmed.strip_prefix(sign)?.trim())))
    else {
        return Err((format!("`{text}` begins with no comparison"), help()));
    };
    let limit = match unit {
        Unit::Count => match rest.replace('_', "").parse::<u32>() {
            Ok(count) => f64::from(count),
            Err(_) => return Err((format!("`{rest}` is no count"), help())),
        },
        Unit::Latency => match quantity::duration(rest) {
            Ok(duration) => duration.as_secs_f64() * 1e6,
            Err(malformed) => return Err((malformed.message, malformed.help.to_owned())),
        },
        Unit::Share => match quantity::share(rest) {
            Ok(share) => share,
            Err(malformed) => return Err((malformed.message, malformed.help.to_owned())),
        },
    };
    Ok((comparison, limit, trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_lists_are_those_of_the_results() {
        // The scenario may not use later steps; this test may.
        assert_eq!(OUTCOMES, crate::observation::Outcome::WORDS);
        assert_eq!(MISMATCHES, crate::oracle::MismatchKind::ALL.map(crate::oracle::MismatchKind::as_str));
    }

    #[test]
    fn every_metric_of_the_language_has_a_figure_in_results() {
        let result = crate::record::test_support::busy_story().result();
        assert_eq!(LINKS, crate::record::waterfall::Link::ALL.map(crate::record::waterfall::Link::name));
        for (name, unit) in metrics(&["phones"]) {
            let (measured_in, figure) = crate::record::thresholds::metric(&result, &name);
            assert_ne!(figure, Err(crate::record::thresholds::MissingMetric::Unknown), "{name}");
            let same = match unit {
                Unit::Count => crate::record::thresholds::MetricUnit::Count,
                Unit::Latency => crate::record::thresholds::MetricUnit::Us,
                Unit::Share => crate::record::thresholds::MetricUnit::Share,
            };
            assert_eq!(measured_in, same, "{name}");
        }
    }

    #[test]
    fn metrics_are_unique_and_have_a_unit() {
        let all = metrics(&["phones", "tabs"]);
        let unit = |metric: &str| all.iter().find(|(name, _)| name == metric).map(|(_, unit)| *unit);
        let mut names: Vec<&String> = all.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert_eq!(unit("approval_to_session.p99"), Some(Unit::Latency));
        assert_eq!(unit("restart.back.p99"), Some(Unit::Latency));
        assert_eq!(unit("phases.verdict.count"), Some(Unit::Count));
        assert_eq!(unit("approval_to_session.waterfalls.tabs.whole.p99"), Some(Unit::Latency));
        assert_eq!(unit("approval_to_session.waterfalls.nobody.whole.p99"), None);
        assert_eq!(unit("phases.coffee.p99"), None);
    }
}
