//! Tables of sweeps that were made by hand, and the figures that they show.

use serde_json::json;

use super::*;
use crate::record::exit_code::{ExitCode, RunVerdict};
use crate::record::test_support::{MS, Story, session};
use crate::sweep::SweepRun;
use crate::sweep::names::Names;
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
    let mut none =
        SweepRun::new(&Ended::None { why: "the gateway | did not start".to_owned(), exit: ExitCode::Failed });
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
        ladder.causes = if in_ == 0 { [("not-approved".to_owned(), 4)].into() } else { [].into() };
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
    let restarts: Vec<_> =
        sweep.rows[0].restarts.iter().map(|restart| (restart.name.as_str(), restart.occurrences)).collect();
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
    let errors: Vec<String> =
        schema.iter_errors(&serde_json::from_str(&text).unwrap()).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}
