//! `sweep.md`: the medians of a sweep as tables in Markdown, whose columns stand under each other without being rendered, too.

use std::fmt::Write as _;

use super::by_profile::{ByProfile, ProfileRow};
use super::figures::{self, Seen, Unit};
use super::names::Names;
use super::result::{Growth, Row, RowRestart, SweepResult};
use crate::report::units::{duration, plural};
use crate::scenario::value_word;

/// Runs without a figure that are named, with why.
const FAILURES_SHOWN: usize = 20;

/// A column of figures: its heading, and its cell of a restart.
type Column = (&'static str, fn(&Cells<'_>) -> String);

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

/// A table of restarts.
struct Section {
    heading: &'static str,
    about: &'static str,
    columns: &'static [Column],
}

const OF_RESTARTS: [Section; 5] = [
    Section {
        heading: "From the signal",
        about: "",
        columns: &[
            ("port closed", |cells| cells.figure("port_closed")),
            ("exited", |cells| cells.figure("exited")),
            ("store loaded", |cells| cells.figure("store_loaded")),
            ("port open", |cells| cells.figure("port_open")),
            ("ready", |cells| cells.figure("ready")),
            ("first session", |cells| cells.figure("first_session")),
        ],
    },
    Section {
        heading: "The population is back",
        about: "Clients that held a session at the signal, and when shares of them held one again; attempts of each until then.",
        columns: &[
            ("held", |cells| cells.each("population")),
            ("lost", |cells| cells.each("sessions_lost")),
            ("50 %", |cells| cells.figure("back.p50")),
            ("90 %", |cells| cells.figure("back.p90")),
            ("99 %", |cells| cells.figure("back.p99")),
            ("all", |cells| cells.figure("back.all")),
            ("attempts", |cells| cells.figure("attempts_per_recovered_client")),
        ],
    },
    Section {
        heading: "Handshakes around the restart",
        about: "Intended start to answer, of those whose intended start lay in the second before the signal, from there until everyone was back, and after; unanswered: how many found nobody, or lost the connection, on average.",
        columns: &[
            ("before p50", |cells| cells.figure("handshakes.before.p50")),
            ("p99", |cells| cells.figure("handshakes.before.p99")),
            ("during p50", |cells| cells.figure("handshakes.during.p50")),
            ("p99", |cells| cells.figure("handshakes.during.p99")),
            ("after p50", |cells| cells.figure("handshakes.after.p50")),
            ("p99", |cells| cells.figure("handshakes.after.p99")),
            ("unanswered", |cells| cells.each("unanswered")),
        ],
    },
    Section {
        heading: "Approvals on their way at the signal",
        about: "Sums over repeats: sent before the signal and answered after it, or never.",
        columns: &[
            ("acknowledged", |cells| cells.count("in_flight.acknowledged")),
            ("refused", |cells| cells.count("in_flight.refused")),
            ("unknown", |cells| cells.count("in_flight.unknown")),
        ],
    },
    Section {
        heading: "The store",
        about: "What the gateway says of its store's thread: waiting for the lock, what a job waits in all, writing a commit (means a batch, a job, a commit), of the process before the signal and of the one after it; reading everything at the start. A real gateway says nothing of it.",
        columns: &[
            ("lock before", |cells| cells.figure("store.before.lock.mean")),
            ("after", |cells| cells.figure("store.after.lock.mean")),
            ("in all", |cells| cells.figure("store.after.lock.sum")),
            ("wait before", |cells| cells.figure("store.before.wait.mean")),
            ("after", |cells| cells.figure("store.after.wait.mean")),
            ("commit before", |cells| cells.figure("store.before.commit.mean")),
            ("after", |cells| cells.figure("store.after.commit.mean")),
            ("load", |cells| cells.figure("store.after.load")),
        ],
    },
];

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

/// Cohorts that got something else under one of the profiles; the others in a line.
fn profiles(text: &mut String, by_profile: &ByProfile) {
    let differing: Vec<&ProfileRow> = by_profile.rows.iter().filter(|row| row.differs).collect();
    let same: Vec<&ProfileRow> = by_profile.rows.iter().filter(|row| !row.differs).collect();
    let heading = "What differs from one profile to the next";
    let about = "The usual answers of each cohort, the commonest first (more than every tenth of its attempts), and who of its \
        clients held a session at least once. Runs that count, repeats together.";
    if differing.is_empty() {
        let _ = writeln!(text, "\n## {heading}\n\nNothing.");
    } else {
        let mut table = Table::default();
        let names = by_profile.rows.first().map(|row| row.names.0.as_slice()).unwrap_or_default();
        table.head = names.iter().map(|(name, _)| name.clone()).collect();
        table.head.push("cohort".to_owned());
        // Answers are words, and stand at the left as names do.
        table.labels = table.head.len() + by_profile.columns.len();
        table.head.extend(by_profile.columns.iter().cloned());
        for row in differing {
            let mut cells: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
            cells.push(row.cohort.clone());
            cells.extend(row.cells.iter().map(|cell| {
                cell.as_ref().map_or_else(
                    || "-".to_owned(),
                    |seen| format!("{}; {}", seen.usual().join(", "), seen.let_in()),
                )
            }));
            table.rows.push(cells);
        }
        table.write(text, heading, about);
    }
    if !same.is_empty() {
        let _ = writeln!(text, "\nThe same under every profile: {}.", folded(&same));
    }
}

/// `tabs, phones (session; all in)`: cohorts by what they got.
fn folded(rows: &[&ProfileRow]) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let Some(seen) = row.cells.iter().flatten().next() else { continue };
        let got = format!("{}; {}", seen.usual().join(", "), seen.let_in());
        let values: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
        let name = if values.is_empty() {
            row.cohort.clone()
        } else {
            format!("{} {}", row.cohort, values.join(" "))
        };
        match groups.iter_mut().find(|(known, _)| *known == got) {
            Some((_, names)) => names.push(name),
            None => groups.push((got, vec![name])),
        }
    }
    let said = groups.iter().map(|(got, names)| format!("{} ({got})", names.join(", ")));
    said.collect::<Vec<_>>().join("; ")
}

/// `3 pass`, `2 pass, 1 invalid`
fn ended(row: &Row) -> String {
    row.ended.iter().map(|(how, count)| format!("{count} {how}")).collect::<Vec<_>>().join(", ")
}

fn restarts(text: &mut String, rows: &[Row], section: &Section) {
    let mut table = Table::new(rows, true);
    let headings: Vec<&str> = section.columns.iter().map(|(heading, _)| *heading).collect();
    table.columns(&headings);
    for row in rows {
        for restart in &row.restarts {
            let cells = Cells { seen: &restart.seen, occurrences: restart.occurrences };
            table.row(row, Some(restart), section.columns.iter().map(|(_, cell)| cell(&cells)));
        }
    }
    table.write(text, section.heading, section.about);
}

/// What became of approvals that a restart came after.
fn approvals(text: &mut String, rows: &[Row]) {
    let mut table = Table::new(rows, false);
    table.columns(&["acknowledged", "kept", "lost", "not known", "unanswered", "kept", "lost", "not known"]);
    for row in rows {
        let cells = Cells { seen: &row.run, occurrences: row.counted };
        let of = |end: &str, fate: &str| cells.count(&format!("approvals.{end}.{fate}"));
        table.row(
            row,
            None,
            ["acknowledged", "unknown"]
                .into_iter()
                .flat_map(|end| ["all", "let_in", "refused", "not_known"].map(|fate| of(end, fate))),
        );
    }
    let about = "Sums over repeats and restarts: approvals that were acknowledged before a process ended, and those that it never \
        answered. Kept: the next process let the device in; lost: it asked it for an approval.";
    table.write(text, "What became of approvals", about);
}

/// Tables: a row a combination and restart, a column a figure that has an exponent anywhere.
fn growth(text: &mut String, sweep: &SweepResult) {
    let Some(over) = &sweep.fit_over else { return };
    for heading in ["whole runs", "stages of a restart", "coming back", "handshakes", "the store"] {
        let all: Vec<&Growth> = sweep.growth.iter().filter(|growth| part(growth) == heading).collect();
        let mut figures: Vec<&str> = Vec::new();
        let mut subjects: Vec<(&Names, Option<&str>)> = Vec::new();
        for growth in &all {
            let subject = (&growth.names, growth.restart.as_deref());
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
            if growth.fitted.is_some() && !figures.contains(&growth.figure.as_str()) {
                figures.push(&growth.figure);
            }
        }
        if all.is_empty() {
            continue;
        }
        let heading = format!("Growth with {over}, {heading}");
        if figures.is_empty() {
            let why = all.iter().find_map(|growth| growth.not_enough).map_or("", |why| why.as_str());
            let _ = writeln!(text, "\n## {heading}\n\nNot enough: {why}.");
            continue;
        }
        let with_restart = subjects.iter().any(|(_, restart)| restart.is_some());
        let mut table = Table::default();
        for (name, _) in subjects.first().map(|(names, _)| names.0.as_slice()).unwrap_or_default() {
            table.head.push(name.clone());
        }
        if with_restart {
            table.head.push("restart".to_owned());
        }
        table.labels = table.head.len();
        table.columns(&figures);
        for (names, restart) in subjects {
            let mut cells: Vec<String> = names.0.iter().map(|(_, value)| value_word(value)).collect();
            cells.extend(restart.map(str::to_owned));
            cells.extend(figures.iter().map(|figure| {
                let of_this = all.iter().find(|growth| {
                    growth.figure == *figure && growth.names == *names && growth.restart.as_deref() == restart
                });
                of_this.map_or_else(|| "-".to_owned(), |growth| exponent(growth))
            }));
            table.rows.push(cells);
        }
        let about = format!(
            "Exponents of {over} with their 95 % intervals: 0 = the figure does not depend on it, 1 = it is proportional. Least \
             squares on logarithms over the medians; a wide interval says that no power law fits."
        );
        table.write(text, &heading, &about);
    }
}

/// Which table of growth a figure is in.
fn part(growth: &Growth) -> &'static str {
    let figure = growth.figure.as_str();
    if growth.restart.is_none() {
        "whole runs"
    } else if figure.starts_with("back.") || figure == "attempts_per_recovered_client" {
        "coming back"
    } else if figure.starts_with("handshakes.") {
        "handshakes"
    } else if figure.starts_with("store.") {
        "the store"
    } else {
        "stages of a restart"
    }
}

fn exponent(growth: &Growth) -> String {
    match (&growth.fitted, growth.not_enough) {
        (Some(fit), _) => {
            format!("{} ({} to {})", signed(fit.exponent), signed(fit.low), signed(fit.high))
        }
        (None, Some(why)) => format!("not enough: {}", why.as_str()),
        (None, None) => "-".to_owned(),
    }
}

/// Two digits, and no `-0.00`.
fn signed(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text }
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

/// A table under construction.
#[derive(Default)]
struct Table {
    /// How many columns from the left hold names and not figures.
    labels: usize,
    with_restart: bool,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One whose rows are named by combination and, `of_restarts` where one has several, by restart.
    fn new(rows: &[Row], of_restarts: bool) -> Self {
        let mut head: Vec<String> = rows
            .first()
            .map(|row| row.names.0.iter().map(|(name, _)| name.clone()).collect())
            .unwrap_or_default();
        let with_restart = of_restarts && rows.iter().any(|row| row.restarts.len() > 1);
        let labels = head.len();
        if with_restart {
            head.push("restart".to_owned());
        }
        Self { labels, with_restart, head, rows: Vec::new() }
    }

    fn columns(&mut self, names: &[&str]) {
        self.head.extend(names.iter().map(|name| (*name).to_owned()));
    }

    fn row(&mut self, row: &Row, restart: Option<&RowRestart>, cells: impl IntoIterator<Item = String>) {
        let mut all: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
        if self.with_restart {
            all.push(restart.map_or_else(String::new, |restart| restart.name.clone()));
        }
        all.extend(cells);
        self.rows.push(all);
    }

    fn write(&self, text: &mut String, heading: &str, about: &str) {
        let _ = writeln!(text, "\n## {heading}\n");
        if !about.is_empty() {
            let _ = writeln!(text, "{about}\n");
        }
        // A restart's name is no figure either.
        let labels = self.labels + usize::from(self.with_restart);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::from("|");
            for (position, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // A bar would end the cell.
                let cell = cell.replace('|', "/");
                let _ = if position < labels {
                    write!(line, " {cell:<width$} |")
                } else {
                    write!(line, " {cell:>width$} |")
                };
            }
            line
        };
        let rule: String = widths
            .iter()
            .enumerate()
            .map(|(position, width)| {
                let dashes = "-".repeat(width + 1);
                if position < labels { format!("{dashes}-|") } else { format!("{dashes}:|") }
            })
            .collect();
        let _ = writeln!(text, "{}\n|{rule}", line(&self.head));
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::exit_code::{ExitCode, RunVerdict};
    use crate::record::test_support::{MS, Story, session};
    use crate::sweep::SweepRun;
    use crate::sweep::result::{Ended, SCHEMA_VERSION};

    /// A run in which four clients come back after a restart that takes `down` ms, one after the other.
    fn story(down: u64) -> Story {
        let mut story = Story::new(&[("phones", 4)]);
        for client in 0..4 {
            story.attempt(client, 0).started(10).answered(20, session());
            story.session_ended_by_gateway(client, 0, 1_001);
            story
                .attempt(client, 1)
                .started(1_000 + down)
                .answered(1_000 + down + 10 * u64::from(client + 1), session());
        }
        story.restart(
            1_000,
            crate::history::RestartStamps {
                port_closed: Some(1_002 * MS),
                exited: Some(1_003 * MS),
                spawned: Some(1_003 * MS),
                port_open: Some((1_000 + down) * MS),
            },
        );
        story.facts.generator = crate::record::test_support::generator();
        story
    }

    fn run(number: u64, devices: u64, policy: &str, repeat: u32, down: u64) -> SweepRun {
        let result = story(down).result();
        let names = Names(vec![("devices".to_owned(), json!(devices)), ("policy".to_owned(), json!(policy))]);
        SweepRun {
            number,
            repeat,
            values: names.clone(),
            names,
            folder: format!("{number:03}"),
            took_us: 1,
            ..SweepRun::new(&Ended::Result(&result))
        }
    }

    fn sweep(runs: Vec<SweepRun>) -> SweepResult {
        let mut sweep = SweepResult {
            schema_version: SCHEMA_VERSION,
            scenario: crate::record::result::ScenarioRef { name: "sizes".to_owned(), ..Default::default() },
            pairstorm: "0.1.0".to_owned(),
            started_at: "2026-11-26T08:00:00Z".to_owned(),
            interrupted: false,
            exit_code: 0,
            repeat: 2,
            fit_over: Some("devices".to_owned()),
            planned: 8,
            runs,
            rows: Vec::new(),
            growth: Vec::new(),
            by_profile: None,
        };
        sweep.sum_up();
        sweep
    }

    /// Three sizes, the time down as the root of the size; one repeat of one run was invalid, one run had no gateway.
    fn whole() -> SweepResult {
        let mut runs = Vec::new();
        for repeat in 1..=2 {
            for (devices, down) in [(10_000, 1_000), (100, 100), (1_000, 316)] {
                runs.push(run(runs.len() as u64 + 1, devices, "fixed", repeat, down + u64::from(repeat)));
            }
        }
        runs[3].verdict = Some(RunVerdict::Invalid);
        runs[3].exit_code = 4;
        runs[3].why = Some("the generator was\nlate".to_owned());
        let mut none = SweepRun::new(&Ended::None {
            why: "the gateway | did not start".to_owned(),
            exit: ExitCode::Failed,
        });
        none.names = Names(vec![("devices".to_owned(), json!(100)), ("policy".to_owned(), json!("tight"))]);
        none.number = 7;
        none.folder = "007".to_owned();
        runs.push(none);
        sweep(runs)
    }

    #[test]
    fn a_sweep_is_told_in_tables() {
        insta::assert_snapshot!(markdown(&whole()));
    }

    #[test]
    fn what_differs_between_profiles_is_a_table_and_the_rest_a_line() {
        let mut runs = vec![run(1, 100, "fixed", 1, 100), run(2, 1_000, "fixed", 1, 100)];
        for (run, (profile, in_, answer)) in
            runs.iter_mut().zip([("article", 4, "session"), ("2026.9.6", 0, "NOT_PAIRED not-paired")])
        {
            run.profile = Some(profile.to_owned());
            let phones = run.cohorts[0].clone();
            let mut ladder = phones.clone();
            ladder.name = "ladder".to_owned();
            ladder.clients_with_session = in_;
            ladder.answers = [(answer.to_owned(), 8)].into();
            run.cohorts = vec![phones, ladder];
        }
        let text = markdown(&sweep(runs));
        let (_, told) = text.split_once("## What differs").unwrap();
        let (told, _) = told.split_once("\n## ").unwrap();
        insta::assert_snapshot!("what_differs_between_profiles", told);
    }

    #[test]
    fn what_no_run_counted_is_not_told_as_zero() {
        let text = markdown(&whole());
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("| tight")).collect();
        assert!(rows.len() > 1, "{text}");
        for row in rows {
            let cells = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).skip(2);
            // How it ended is known.
            let figures: Vec<&str> = cells.filter(|cell| !["1 no result", "3"].contains(cell)).collect();
            assert!(figures.iter().all(|cell| *cell == "-"), "{row}");
        }
    }

    #[test]
    fn no_line_ends_in_a_space_and_every_row_of_a_table_is_as_wide_as_its_head() {
        let text = markdown(&whole());
        let mut width = None;
        for line in text.lines() {
            assert_eq!(line, line.trim_end());
            match (line.starts_with('|'), width) {
                (true, None) => width = Some(line.chars().count()),
                (true, Some(width)) => assert_eq!(line.chars().count(), width, "{line}"),
                (false, _) => width = None,
            }
        }
    }

    #[test]
    fn rows_of_one_growth_stand_together_by_size() {
        let sweep = whole();
        let rows: Vec<String> = sweep.rows.iter().map(|row| crate::scenario::label(&row.names.0)).collect();
        assert_eq!(
            rows,
            [
                "devices=100 policy=fixed",
                "devices=1000 policy=fixed",
                "devices=10000 policy=fixed",
                "devices=100 policy=tight"
            ]
        );
        let open = |row: &Row| row.restarts[0].seen.figures["port_open"];
        // Of the largest one the second repeat does not count.
        assert_eq!(sweep.rows[..3].iter().map(open).collect::<Vec<_>>(), [101_500.0, 317_500.0, 1_001_000.0]);
        assert_eq!(sweep.rows[2].counted, 1);
        let growth = sweep.growth.iter().find(|growth| growth.figure == "port_open").unwrap();
        let fitted = growth.fitted.unwrap();
        assert!((fitted.exponent - 0.5).abs() < 0.01 && fitted.low < 0.5 && fitted.high > 0.49, "{fitted:?}");
        assert_eq!(sweep.exit(), ExitCode::Failed);
    }

    #[test]
    fn the_worst_run_is_the_exit_code() {
        let mut of = whole();
        for (code, exit) in [(4, ExitCode::Invalid), (2, ExitCode::Invalid), (1, ExitCode::Violated)] {
            of.runs.last_mut().unwrap().exit_code = code;
            of.sum_up();
            assert_eq!((of.exit(), of.exit_code), (exit, exit.code()));
        }
        of.interrupted = true;
        assert_eq!(of.exit(), ExitCode::Interrupted);
    }

    #[test]
    fn what_one_repeat_did_not_reach_has_no_median() {
        let mut runs = vec![run(1, 100, "fixed", 1, 100), run(2, 100, "fixed", 2, 100)];
        runs[1].restarts[0].seen.figures.remove("back.all");
        let sweep = sweep(runs);
        let figures = &sweep.rows[0].restarts[0].seen.figures;
        assert!(figures.contains_key("back.p50") && !figures.contains_key("back.all"));
    }

    #[test]
    fn one_fault_many_times_is_one_row() {
        let mut story = story(100);
        let mut again = story.history.faults[0].clone();
        story.history.faults[0].name = "kill/1".to_owned();
        again.name = "kill/2".to_owned();
        story.history.faults.push(again);
        let sweep = sweep(vec![SweepRun::new(&Ended::Result(&story.result()))]);
        let restarts: Vec<_> = sweep.rows[0]
            .restarts
            .iter()
            .map(|restart| (restart.name.as_str(), restart.occurrences))
            .collect();
        assert_eq!(restarts, [("kill", 2)]);
    }

    #[test]
    fn a_sweep_is_read_as_it_was_written() {
        let sweep = whole();
        let text = crate::sweep::json::text(&sweep).unwrap();
        assert!(text.contains(r#""names":{"devices":10000,"policy":"fixed"}"#), "{text}");
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(lines(r#"    {"number":"#), sweep.runs.len(), "{text}");
        assert_eq!(lines(r#"    {"names":"#), sweep.rows.len() + sweep.growth.len(), "{text}");
        assert_eq!(serde_json::from_str::<SweepResult>(&text).unwrap(), sweep);
        let schema = jsonschema::validator_for(&crate::sweep::result::schema()).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&serde_json::from_str(&text).unwrap())
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}
