//! Pass rules on measured figures.
//!
//! A rule on a figure that has no samples is never met silently: it makes the run invalid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operators::OperatorResult;
use super::restarts::Restart;
use super::result::RunResult;
use super::waterfall::{Link, Waterfall};
use crate::oracle::MismatchKind;
use crate::plan::{Comparison, Threshold};

/// Result of one pass rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// The rule as written.
    pub rule: String,
    /// Path of the metric.
    pub metric: String,
    /// Unit of `observed` and `limit`.
    pub unit: MetricUnit,
    /// `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub comparison: String,
    /// The limit.
    pub limit: f64,
    /// The figure; `null` = there is none, see `note`.
    pub observed: Option<f64>,
    /// Whether the rule is met.
    pub passed: bool,
    /// Why there is no figure.
    pub note: Option<MissingMetric>,
}

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    /// Microseconds.
    Us,
    /// A number of things.
    Count,
    /// A share, 0 to 1.
    Share,
}

/// Why a metric has no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingMetric {
    /// Nothing was measured: the run is invalid.
    NoSamples,
    /// A restart never reached it: the rule is not met.
    NotReached,
    /// No metric has this path: the run is invalid.
    Unknown,
}

impl MissingMetric {
    /// The same in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoSamples => "no samples",
            Self::NotReached => "not reached before the run's end",
            Self::Unknown => "unknown metric",
        }
    }
}

/// Evaluates all rules over the other figures of a result.
#[must_use]
pub fn evaluate(thresholds: &[Threshold], result: &RunResult) -> Vec<ThresholdResult> {
    thresholds
        .iter()
        .map(|threshold| {
            let (unit, figure) = metric(result, &threshold.metric);
            ThresholdResult {
                rule: threshold.text.clone(),
                metric: threshold.metric.clone(),
                unit,
                comparison: sign(threshold.comparison).to_owned(),
                limit: threshold.limit,
                observed: figure.ok(),
                passed: figure.is_ok_and(|figure| holds(threshold.comparison, figure, threshold.limit)),
                note: figure.err(),
            }
        })
        .collect()
}

/// The figure under a path, with its unit: `mismatches`, `mismatches.<kind>`, `attempts.<word>`,
/// `phases.<phase>.<figure>`, `approval_to_session.<figure>`, `approval_to_session.links.<link>.<figure>`,
/// `approval_to_session.waterfalls.<cohort>.<link, whole>.<figure>` (the worst of its operators), `lag.<figure>`,
/// `restart.<stage>`, `restart.back.<share>`, `restart.attempts_per_recovered_client` (the worst of all restarts),
/// `attempts_a_minute`, `operators.refused` (whatever an operator did), `dropped_share`.
///
/// # Errors
/// The second of the pair is [`MissingMetric`] if there is no figure.
#[must_use = "a pair whose second is the figure"]
pub fn metric(result: &RunResult, path: &str) -> (MetricUnit, Result<f64, MissingMetric>) {
    let count =
        |count: Option<u64>| (MetricUnit::Count, count.map(|n| n as f64).ok_or(MissingMetric::Unknown));
    let segments: Vec<&str> = path.split('.').collect();
    match segments[..] {
        ["mismatches"] => count(Some(result.mismatches.total)),
        ["mismatches", kind] => {
            let kind = MismatchKind::ALL.into_iter().find(|known| known.as_str() == kind);
            count(kind.map(|kind| result.mismatches.get(kind)))
        }
        ["attempts", word] => count(result.attempts.get(word)),
        ["phases", phase, figure] => {
            latency(figure, result.phases.get(phase).map(|series| series.figure(figure)))
        }
        ["approval_to_session", figure] => {
            latency(figure, Some(result.approval_to_session.headline.figure(figure)))
        }
        ["approval_to_session", "links", link, figure] => {
            let links = &result.approval_to_session.links;
            let series = match link {
                "pending_to_noticed" => Some(&links.pending_to_noticed),
                "noticed_to_approve" => Some(&links.noticed_to_approve),
                "approve_to_ack" => Some(&links.approve_to_ack),
                "ack_to_attempt" => Some(&links.ack_to_attempt),
                "attempt_to_session" => Some(&links.attempt_to_session),
                _ => None,
            };
            latency(figure, series.map(|series| series.figure(figure)))
        }
        ["approval_to_session", "waterfalls", cohort, part, figure] => {
            wait(&result.approval_to_session.waterfalls, cohort, part, figure)
        }
        ["lag", figure] => latency(figure, Some(result.lag.figure(figure))),
        ["restart", "attempts_per_recovered_client"] => {
            let each = result.restarts.iter().filter_map(|restart| restart.attempts_per_recovered_client);
            (MetricUnit::Count, each.reduce(f64::max).ok_or(MissingMetric::NoSamples))
        }
        ["restart", stage] => worst(
            &result.restarts,
            |_| true,
            |restart| match stage {
                "port_closed" => Some(restart.port_closed),
                "exited" => Some(restart.exited),
                "spawned" => Some(restart.spawned),
                "port_open" => Some(restart.port_open),
                "first_session" => Some(restart.first_session),
                _ => None,
            },
        ),
        ["restart", "back", share] => {
            // A restart that nobody had to come back from says nothing about coming back.
            worst(
                &result.restarts,
                |restart| restart.population > restart.left,
                |restart| match share {
                    "p50" => Some(restart.back.p50),
                    "p90" => Some(restart.back.p90),
                    "p99" => Some(restart.back.p99),
                    "all" => Some(restart.back.all),
                    _ => None,
                },
            )
        }
        ["operators", "refused"] => {
            let kinds = result.operators.iter().flat_map(OperatorResult::kinds);
            count(Some(kinds.map(|(_, ends)| ends.refused).sum()))
        }
        ["attempts_a_minute"] => {
            let most = result.amplification.attempts_a_minute_max;
            (MetricUnit::Count, most.map(|most| most as f64).ok_or(MissingMetric::NoSamples))
        }
        ["dropped_share"] => {
            (MetricUnit::Share, result.validity.dropped_share.ok_or(MissingMetric::NoSamples))
        }
        _ => (MetricUnit::Count, Err(MissingMetric::Unknown)),
    }
}

fn latency(figure: &str, value: Option<Option<Option<u64>>>) -> (MetricUnit, Result<f64, MissingMetric>) {
    let unit = if figure == "count" { MetricUnit::Count } else { MetricUnit::Us };
    let value = match value.flatten() {
        None => Err(MissingMetric::Unknown),
        Some(None) => Err(MissingMetric::NoSamples),
        Some(Some(value)) => Ok(value as f64),
    };
    (unit, value)
}

/// How long the people of a cohort waited, in all or in one link: of several operators who served it the largest value, and
/// the sum of their counts.
fn wait(
    waterfalls: &[Waterfall],
    cohort: &str,
    part: &str,
    figure: &str,
) -> (MetricUnit, Result<f64, MissingMetric>) {
    let series = |waterfall: &Waterfall| match part {
        "whole" => Some(waterfall.whole),
        _ => Link::ALL
            .into_iter()
            .find(|link| link.name() == part)
            .map(|link| waterfall.links.get(link).latency),
    };
    let known = series(&Waterfall::default()).and_then(|series| series.figure(figure));
    let figures = waterfalls
        .iter()
        .filter(|waterfall| waterfall.cohort == cohort)
        .filter_map(|waterfall| series(waterfall)?.figure(figure)?);
    let value = if figure == "count" { Some(figures.sum()) } else { figures.max() };
    latency(figure, known.map(|_| Some(value)))
}

/// The largest value over the restarts that count; a single one that was not reached is worse than any value.
fn worst(
    restarts: &[Restart],
    counts: impl Fn(&Restart) -> bool,
    stage: impl Fn(&Restart) -> Option<Option<u64>>,
) -> (MetricUnit, Result<f64, MissingMetric>) {
    if stage(&Restart::default()).is_none() {
        return (MetricUnit::Us, Err(MissingMetric::Unknown));
    }
    let mut worst = Err(MissingMetric::NoSamples);
    for restart in restarts.iter().filter(|restart| counts(restart)) {
        let Some(value) = stage(restart).flatten() else {
            return (MetricUnit::Us, Err(MissingMetric::NotReached));
        };
        worst = Ok(worst.unwrap_or(0.0_f64).max(value as f64));
    }
    (MetricUnit::Us, worst)
}

fn holds(comparison: Comparison, figure: f64, limit: f64) -> bool {
    match comparison {
        Comparison::Less => figure < limit,
        Comparison::LessOrEqual => figure <= limit,
        Comparison::Greater => figure > limit,
        Comparison::GreaterOrEqual => figure >= limit,
        Comparison::Equal => figure == limit,
        Comparison::NotEqual => figure != limit,
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Outcome;
    use crate::record::restarts::Back;
    use crate::record::test_support::{Story, busy_story, session};

    fn result() -> RunResult {
        busy_story().result()
    }

    #[test]
    fn every_metric_that_a_scenario_may_limit_is_known_here_in_its_unit() {
        let result = result();
        for (name, unit) in crate::scenario::metrics(&[]) {
            let (measured, figure) = metric(&result, &name);
            assert_ne!(figure, Err(MissingMetric::Unknown), "{name}");
            let unit = match unit {
                crate::scenario::Unit::Count => MetricUnit::Count,
                crate::scenario::Unit::Latency => MetricUnit::Us,
                crate::scenario::Unit::Share => MetricUnit::Share,
            };
            assert_eq!(measured, unit, "{name}");
        }
    }

    #[test]
    fn every_documented_path_gives_its_figure() {
        let result = result();
        let value = |path: &str| metric(&result, path);
        let us = |n: Option<u64>| (MetricUnit::Us, Ok(n.expect("samples") as f64));
        let count = |n: u64| (MetricUnit::Count, Ok(n as f64));
        assert_eq!(value("mismatches"), count(result.mismatches.total));
        assert!(result.mismatches.total > 0);
        for kind in MismatchKind::ALL {
            let path = format!("mismatches.{}", kind.as_str());
            assert_eq!(value(&path), count(result.mismatches.get(kind)));
        }
        for word in Outcome::WORDS {
            assert_eq!(value(&format!("attempts.{word}")), count(result.attempts.get(word).expect("a word")));
        }
        assert_eq!(value("attempts.attempted"), count(result.attempts.attempted));
        for phase in ["dial", "upgrade", "challenge", "verdict", "close", "total", "service", "response"] {
            let series = result.phases.get(phase).expect("a phase");
            assert_eq!(value(&format!("phases.{phase}.count")), count(series.count));
            for figure in ["p50", "p90", "p99", "p999", "max"] {
                let expected = us(series.figure(figure).expect("a figure"));
                assert_eq!(value(&format!("phases.{phase}.{figure}")), expected, "{phase}.{figure}");
            }
        }
        assert_eq!(value("approval_to_session.p99"), us(result.approval_to_session.headline.p99));
        assert_eq!(
            value("approval_to_session.links.approve_to_ack.max"),
            us(result.approval_to_session.links.approve_to_ack.max)
        );
        assert_eq!(value("lag.p99"), us(result.lag.p99));
        assert_eq!(value("restart.port_open"), us(result.restarts[0].port_open));
        assert_eq!(value("restart.back.p90"), us(result.restarts[0].back.p90));
        let attempts = result.restarts[0].attempts_per_recovered_client.expect("somebody came back");
        assert_eq!(value("restart.attempts_per_recovered_client"), (MetricUnit::Count, Ok(attempts)));
        assert_eq!(value("attempts_a_minute"), (MetricUnit::Count, Err(MissingMetric::NoSamples)));
        let refused =
            |operator: &OperatorResult| operator.kinds().map(|(_, ends)| ends.refused).iter().sum::<u64>();
        assert_eq!(value("operators.refused"), count(result.operators.iter().map(refused).sum()));
        assert_eq!(value("dropped_share"), (MetricUnit::Share, Ok(1.0 / result.attempts.attempted as f64)));
        for path in [
            "",
            "mismatch",
            "mismatches.x",
            "attempts.x",
            "phases.x.p99",
            "phases.dial.p98",
            "restart.x",
            "restart.back.p1",
            "lag",
        ] {
            assert_eq!(value(path).1, Err(MissingMetric::Unknown), "{path}");
        }
    }

    #[test]
    fn of_the_operators_of_a_cohort_the_one_it_waited_for_longest_counts() {
        let mut story = Story::new(&[("phones", 3), ("tabs", 1)]);
        for (client, operator, thought) in [(0, 0, 10), (1, 1, 70), (2, 1, 30), (3, 0, 500)] {
            let request = format!("r{client}");
            story.notice(operator, client, &request, 10);
            story.approve(operator, client, &request, 10 + thought, Some(12 + thought));
            story.attempt(client, 0).started(1_000).answered(1_004, session());
        }
        let result = story.result();
        let value = |path: &str| metric(&result, &format!("approval_to_session.waterfalls.{path}"));
        assert_eq!(value("phones.noticed_to_approve.max"), (MetricUnit::Us, Ok(70_000.0)));
        assert_eq!(value("phones.whole.count"), (MetricUnit::Count, Ok(3.0)));
        assert_eq!(value("tabs.noticed_to_approve.p50").1, Ok(500_000.0));
        assert_eq!(value("nobody.whole.p50").1, Err(MissingMetric::NoSamples));
        assert_eq!(value("nobody.whole.count").1, Ok(0.0));
        for path in ["phones.whole.p98", "phones.tea.p50", "phones.whole", "whole.p50"] {
            assert_eq!(value(path).1, Err(MissingMetric::Unknown), "{path}");
        }
    }

    #[test]
    fn the_worst_restart_counts_and_an_unreached_one_is_worse_than_any() {
        let mut result = result();
        let restart = |port_open, p99, population| Restart {
            port_open,
            population,
            back: Back { p99, ..Back::default() },
            ..Restart::default()
        };
        result.restarts =
            vec![restart(Some(5), Some(9), 1), restart(Some(7), Some(8), 1), restart(Some(6), None, 0)];
        assert_eq!(metric(&result, "restart.port_open").1, Ok(7.0));
        assert_eq!(metric(&result, "restart.back.p99").1, Ok(9.0));
        result.restarts.push(restart(None, None, 1));
        assert_eq!(metric(&result, "restart.port_open").1, Err(MissingMetric::NotReached));
        assert_eq!(metric(&result, "restart.back.p99").1, Err(MissingMetric::NotReached));
        result.restarts.clear();
        assert_eq!(metric(&result, "restart.port_open").1, Err(MissingMetric::NoSamples));
    }

    #[test]
    fn comparisons_mean_what_they_say() {
        let met = |comparison| [1.0, 2.0, 3.0].map(|figure| holds(comparison, figure, 2.0));
        assert_eq!(met(Comparison::Less), [true, false, false]);
        assert_eq!(met(Comparison::LessOrEqual), [true, true, false]);
        assert_eq!(met(Comparison::Greater), [false, false, true]);
        assert_eq!(met(Comparison::GreaterOrEqual), [false, true, true]);
        assert_eq!(met(Comparison::Equal), [false, true, false]);
        assert_eq!(met(Comparison::NotEqual), [true, false, true]);
    }

    #[test]
    fn a_rule_without_samples_is_not_met_whichever_way_it_points() {
        let mut result = result();
        result.approval_to_session = Default::default();
        let rule = |comparison| Threshold {
            metric: "approval_to_session.p99".to_owned(),
            comparison,
            limit: 6_000_000.0,
            text: "approval_to_session.p99 ? 6s".to_owned(),
        };
        let results = evaluate(&[rule(Comparison::Less), rule(Comparison::Greater)], &result);
        for one in results {
            assert_eq!((one.observed, one.passed, one.note), (None, false, Some(MissingMetric::NoSamples)));
        }
    }
}
