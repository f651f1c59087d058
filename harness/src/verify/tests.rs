//! Files are read as they are written, wrong ones with a way out, and every difference is seen.

use std::collections::BTreeMap;

use super::compare::{differences, proves_a_violation};
use super::count::Count;
use super::expected::{Expected, ExpectedRun, Held, head};
use super::result::{Ended, Row, VerifyResult};
use super::seen::{Seen, SeenCohort};
use super::*;
use crate::record::exit_code::{ExitCode, RunVerdict};

fn seen(cohort: &[(&str, u64)]) -> Seen {
    let classes = cohort.iter().map(|(class, times)| ((*class).to_owned(), *times)).collect();
    let cohort = SeenCohort { clients: 3, clients_in: 2, classes };
    Seen {
        verdict: RunVerdict::Pass,
        why: vec![],
        mismatches: BTreeMap::new(),
        starved: false,
        cohorts: BTreeMap::from([("phones".to_owned(), cohort)]),
    }
}

fn run(text: &str) -> ExpectedRun {
    match Expected::parse(text).unwrap().held {
        Held::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

const PHONES: &str = r#"
verdict = "pass"
[cohort]
phones = { must = { session = 2, not-paired = "1.." }, may = ["closed"], clients_in = 2 }
"#;

#[test]
fn what_is_as_expected_differs_in_nothing() {
    let expected = run(PHONES);
    assert_eq!(differences(&expected, &seen(&[("session", 2), ("not-paired", 7)])), Vec::<String>::new());
    assert_eq!(
        differences(&expected, &seen(&[("session", 2), ("not-paired", 1), ("closed", 9)])),
        Vec::<String>::new()
    );
}

#[test]
fn every_difference_is_told() {
    let expected = run(PHONES);
    let mut other = seen(&[("session", 3), ("scope-upgrade", 1)]);
    other.verdict = RunVerdict::Violated;
    other.why = vec!["somebody got in".to_owned()];
    other.mismatches.insert("false_accept".to_owned(), 1);
    other.cohorts.get_mut("phones").unwrap().clients_in = 3;
    other.cohorts.insert("tabs".to_owned(), SeenCohort::default());
    assert_eq!(
        differences(&expected, &other),
        [
            "verdict pass expected, violated seen; somebody got in",
            "0 false_accept expected, 1 seen",
            "in phones, at least 1 x `not-paired` expected, 0 seen",
            "in phones, 2 x `session` expected, 3 seen",
            "in phones, 1 x `scope-upgrade` seen, which is not expected",
            "in phones, 2 clients with a session expected, 3 of 3 seen",
            "nothing is said of cohort `tabs`",
        ]
    );
    let gone = Seen { cohorts: BTreeMap::new(), ..seen(&[]) };
    assert_eq!(differences(&expected, &gone), ["cohort `phones` is expected, and not in the scenario"]);
}

#[test]
fn a_mismatch_that_must_occur_and_does_not_is_a_difference() {
    let expected = run("verdict = \"violated\"\nmismatches = { false_accept = \"1..\" }\n");
    let mut none = Seen { cohorts: BTreeMap::new(), ..seen(&[]) };
    none.verdict = RunVerdict::Violated;
    assert_eq!(differences(&expected, &none), ["at least 1 false_accept expected, 0 seen"]);
    none.mismatches.insert("false_accept".to_owned(), 4);
    assert_eq!(differences(&expected, &none), Vec::<String>::new());
}

#[test]
fn only_answers_that_stayed_away_or_came_late_may_be_the_machines_fault() {
    let proves = |expected: &str, kind: &str, times: u64| {
        let mut seen = seen(&[]);
        seen.mismatches.insert(kind.to_owned(), times);
        proves_a_violation(&run(expected), &seen)
    };
    let none = "verdict = \"pass\"";
    assert!(proves(none, "false_reject", 1));
    assert!(!proves(none, "no_answer", 9));
    assert!(!proves(none, "wrong_latency", 9));
    let three = "verdict = \"violated\"\nmismatches = { false_reject = 3 }";
    assert!(!proves(three, "false_reject", 3));
    assert!(proves(three, "false_reject", 4));
    assert!(!proves("verdict = \"violated\"\nmismatches = { false_reject = \"1..\" }", "false_reject", 9));
    assert!(!proves_a_violation(&run(none), &seen(&[("session", 9)])));
}

#[test]
fn what_was_seen_is_written_and_read_again() {
    let mut of = seen(&[("session", 2), ("close-1000", 1)]);
    of.mismatches.insert("no_answer".to_owned(), 2);
    for exact in [false, true] {
        let run = ExpectedRun::of(&of, exact, exact);
        assert_eq!(differences(&run, &of), Vec::<String>::new());
        let file = Expected {
            size: expected::Size {
                clients: Some(12),
                seed: Some(4),
                set: BTreeMap::from([
                    ("kills".to_owned(), serde_json::json!(3)),
                    ("pause".to_owned(), serde_json::json!("1s")),
                ]),
            },
            held: Held::Run(run.clone()),
        };
        let text = file.text("# Why.\n");
        assert_eq!(Expected::parse(&text).as_ref(), Ok(&file), "{text}");
        assert_eq!(head(&text), "# Why.\n");
        let sweep =
            Expected { held: Held::Sweep(BTreeMap::from([("profile=2026.9.6".to_owned(), run)])), ..file };
        let text = sweep.text("");
        assert_eq!(Expected::parse(&text).as_ref(), Ok(&sweep), "{text}");
    }
    let skipped =
        Expected { size: expected::Size::default(), held: Held::Skipped("takes \"root\"".to_owned()) };
    assert_eq!(Expected::parse(&skipped.text("")), Ok(skipped));
}

#[test]
fn only_what_is_fixed_is_written_as_a_number() {
    let run = ExpectedRun::of(&seen(&[("session", 2)]), false, false);
    let phones = &run.cohort["phones"];
    assert_eq!((phones.must["session"], phones.clients_in), (Count::SOME, Some(Count::SOME)));
    let run = ExpectedRun::of(&seen(&[("session", 2)]), true, false);
    let phones = &run.cohort["phones"];
    assert_eq!((phones.must["session"], phones.clients_in), (Count::exactly(2), Some(Count::exactly(2))));
}

#[test]
fn what_a_restart_leaves_to_chance_may_occur_in_every_cohort() {
    let run = ExpectedRun::of(&seen(&[("session", 2), ("connection_refused", 4)]), false, true);
    let must: Vec<&str> = run.cohort["phones"].must.keys().map(String::as_str).collect();
    assert_eq!(must, ["session"]);
    assert_eq!(differences(&run, &seen(&[("session", 2), ("upgrade_refused", 1)])), Vec::<String>::new());
    let calm = ExpectedRun::of(&seen(&[("session", 2)]), false, false);
    assert_eq!(
        differences(&calm, &seen(&[("session", 2), ("upgrade_refused", 1)])),
        ["in phones, 1 x `upgrade_refused` seen, which is not expected"]
    );
}

#[test]
fn wrong_files_are_refused_with_a_way_out() {
    for (text, says) in [
        ("", "`verdict` is missing"),
        ("verdict = \"fine\"", "line 1, column 11"),
        ("verdict = \"pass\"\nskip = \"takes root\"", "take `skip` away"),
        ("skip = \" \"", "say why"),
        ("verdict = \"pass\"\n[run.x]\nverdict = \"pass\"", "not both"),
        ("verdict = \"pass\"\nmismatches = { odd = 1 }", "no kind of mismatch `odd`"),
        ("verdict = \"pass\"\ncohort.a = { must = { session = 1 }, may = [\"session\"] }", "must and may"),
        ("verdict = \"pass\"\ncohort.a = { must = { session = \"1..x\" } }", "no count"),
        ("verdict = \"pass\"\ncohort.a = { must = { session = -1 } }", "a count"),
        ("verdict = \"pass\"\nkohort = 1", "unknown field `kohort`"),
    ] {
        let error = Expected::parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn an_expected_result_lies_beside_its_scenario_and_is_none_itself() {
    let file = beside(Path::new("scenarios/first/ladder.toml"));
    assert_eq!(file, Path::new("scenarios/first/ladder.expected.toml"));
    assert!(is_expected(&file));
    assert!(!is_expected(Path::new("scenarios/first/expected.toml")));
}

#[test]
fn the_exit_code_is_that_of_the_worst_row() {
    let row = |ended: Ended, verdict: RunVerdict| Row {
        file: "a.toml".to_owned(),
        label: String::new(),
        ended,
        said: vec![],
        verdict: Some(verdict),
        again_alone: false,
        took_us: 0,
        folder: String::new(),
    };
    let exit = |interrupted: bool, rows: Vec<Row>| {
        let result = VerifyResult {
            schema_version: result::SCHEMA_VERSION,
            passed: false,
            interrupted,
            exit_code: 99,
            defect: None,
            took_us: 0,
            jobs: 1,
            rows,
        };
        let result = result.sum_up();
        assert_eq!(result.passed, result.exit_code == 0);
        result.exit()
    };
    let pass = || row(Ended::Pass, RunVerdict::Pass);
    let invalid = || row(Ended::Differs, RunVerdict::Invalid);
    let differs = || row(Ended::Differs, RunVerdict::Pass);
    assert_eq!(exit(false, vec![pass(), row(Ended::Skipped, RunVerdict::Pass)]), ExitCode::Pass);
    assert_eq!(exit(false, vec![pass(), invalid()]), ExitCode::Invalid);
    assert_eq!(exit(false, vec![invalid(), differs()]), ExitCode::Violated);
    assert_eq!(exit(false, vec![differs(), row(Ended::Failed, RunVerdict::Pass)]), ExitCode::Failed);
    assert_eq!(exit(true, vec![differs(), row(Ended::NotRun, RunVerdict::Pass)]), ExitCode::Interrupted);
}
