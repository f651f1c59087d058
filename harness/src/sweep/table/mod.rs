//! `sweep.md`: the medians of a sweep as tables in Markdown, whose columns stand under each other without being rendered, too.

mod grid;
mod growth;
mod profiles;
mod restarts;

use std::fmt::Write as _;

use self::grid::Table;
use self::growth::growth;
use self::profiles::profiles;
use self::restarts::{OF_RESTARTS, approvals, restarts};
use super::figures::{self, Seen, Unit};
use super::result::{Row, SweepResult};
use crate::report::units::{duration, plural};

/// Runs without a figure that are named, with why.
const FAILURES_SHOWN: usize = 20;

/// What a cell is made of.
struct Cells<'a> {
    seen: &'a Seen,
    occurrences: u64,
}

impl Cells<'_> {
    fn figure(&self, key: &str) -> String {
        self.seen.figures.get(key).map_or_else(|| "-".to_owned(), |value| written(key, *value))
    }

    /// A sum over repeats; where nothing counts, there is none.
    fn count(&self, key: &str) -> String {
        self.counted(key).map_or_else(|| "-".to_owned(), |count| count.to_string())
    }

    /// Clients of one restart, on average: sums over repeats say nothing to anyone.
    fn each(&self, key: &str) -> String {
        let each = |count: u64| format!("{:.0}", count as f64 / self.occurrences as f64);
        self.counted(key).map_or_else(|| "-".to_owned(), each)
    }

    fn counted(&self, key: &str) -> Option<u64> {
        (self.occurrences > 0).then(|| self.seen.counts.get(key).copied().unwrap_or_default())
    }
}

/// The sweep as Markdown. Pure; no line ends in a space.
#[must_use]
pub fn markdown(sweep: &SweepResult) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut text, sweep);
    runs(&mut text, sweep);
    if let Some(by_profile) = &sweep.by_profile {
        profiles(&mut text, by_profile);
    }
    let has_restarts = sweep.rows.iter().any(|row| !row.restarts.is_empty());
    if has_restarts {
        for section in &OF_RESTARTS {
            restarts(&mut text, &sweep.rows, section);
        }
        approvals(&mut text, &sweep.rows);
    }
    growth(&mut text, sweep);
    failures(&mut text, sweep);
    text
}

fn head(text: &mut String, sweep: &SweepResult) -> std::fmt::Result {
    writeln!(text, "# Sweep of {}\n", sweep.scenario.name)?;
    let done = sweep.runs.len() as u64;
    let interrupted = if sweep.interrupted { ", then it was interrupted" } else { "" };
    writeln!(
        text,
        "{} of {}{interrupted}; {} of each combination, of which the tables show medians. pairstorm {}, {}.",
        done,
        plural(sweep.planned, "run"),
        plural(u64::from(sweep.repeat), "run"),
        sweep.pairstorm,
        sweep.started_at,
    )
}

fn runs(text: &mut String, sweep: &SweepResult) {
    let mut table = Table::new(&sweep.rows, false);
    table.columns(&[
        "profile held to",
        "runs",
        "exit code",
        "attempts",
        "sessions",
        "not allowed",
        "p50",
        "p99",
    ]);
    for row in &sweep.rows {
        let cells = Cells { seen: &row.run, occurrences: row.counted };
        table.row(
            row,
            None,
            [
                row.profile.clone().unwrap_or_else(|| "-".to_owned()),
                ended(row),
                row.exit_code.to_string(),
                cells.each("attempted"),
                cells.each("session"),
                cells.count("mismatches"),
                cells.figure("response.p50"),
                cells.figure("response.p99"),
            ],
        );
    }
    table.write(text, "Runs", "Attempts and sessions of one run; response times over the whole run.");
}

/// `3 pass`, `2 pass, 1 invalid`
fn ended(row: &Row) -> String {
    row.ended.iter().map(|(how, count)| format!("{count} {how}")).collect::<Vec<_>>().join(", ")
}

fn failures(text: &mut String, sweep: &SweepResult) {
    let failed: Vec<_> = sweep.runs.iter().filter(|run| run.why.is_some()).collect();
    if failed.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Runs that did not pass\n");
    for run in failed.iter().take(FAILURES_SHOWN) {
        let why: String =
            run.why.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "- `{}`: {}: {why}", run.folder, run.ended());
    }
    let more = failed.len().saturating_sub(FAILURES_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "- and {} more, see sweep.json", plural(more as u64, "run"));
    }
}

/// A figure as people read it.
#[must_use]
pub fn written(key: &str, value: f64) -> String {
    match figures::unit(key) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration in whole microseconds"
        )]
        Unit::Micros => duration(value.max(0.0).round() as u64),
        Unit::Number => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests;
