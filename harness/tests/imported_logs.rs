//! Logs that real gateways wrote: what is read out of each, and the scenario that is written.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected must stop"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::import::{self, Options, Rebuilder, Rebuilt, Why, Written};
use harness::plan::{Overrides, Plan};
use proptest::prelude::*;

/// Every fixture, and whether the scenario made of it is a snapshot too: those of one run differ in what they leave out.
const LOGS: [(&str, bool); 10] = [
    ("2026.2.19/file", true),
    ("2026.2.19/console-json", false),
    ("2026.2.19/console-pretty", true),
    ("2026.2.19/file-verbose", false),
    ("2026.9.6/file", true),
    ("2026.9.6/file-verbose", true),
    ("2026.9.6/console-pretty", false),
    ("2026.9.6/console-compact", false),
    ("2026.9.6/console-json-debug", true),
    ("in-repo/gateway", true),
];

fn path(log: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs").join(format!("{log}.log"))
}

fn rebuilt(logs: &[&str]) -> Rebuilt {
    let mut rebuilder = Rebuilder::new();
    for log in logs {
        let bytes = std::fs::read(path(log)).expect("a fixture");
        rebuilder.file(log, bytes.as_slice()).expect("memory can be read");
    }
    rebuilder.finish()
}

fn written(rebuilt: &Rebuilt) -> Option<Written> {
    let options = Options { name: "imported".to_owned(), profile: None, within: Duration::from_secs(60) };
    import::write(rebuilt, &options)
}

/// The plan of what was written, read from a folder as a user would.
fn plan(written: &Written) -> Plan {
    let folder = tempfile::tempdir().expect("a folder");
    for list in &written.lists {
        let path = folder.path().join(&list.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &list.text).unwrap();
    }
    let file = folder.path().join("imported.toml");
    std::fs::write(&file, &written.scenario).unwrap();
    let scenario = harness::scenario::load(&file, &[])
        .unwrap_or_else(|wrong| panic!("{}\n{}", harness::scenario::render(&wrong, false), written.scenario));
    harness::plan::unfold(&scenario, &Overrides::default())
        .unwrap_or_else(|wrong| panic!("{}", harness::scenario::render(&wrong, false)))
}

/// Clients and what happened to them, without what differs from run to run.
fn told(rebuilt: &Rebuilt) -> String {
    let mut text = import::summary(rebuilt, written(rebuilt).as_ref());
    text.push_str("\nClients\n");
    for client in &rebuilt.clients {
        let facts = &client.facts;
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let _ = write!(
            text,
            "  client={} mode={} role={} from={} origin={} auth={} device={} untrusted={} guessed={}\n   ",
            said(&facts.client),
            said(&facts.mode),
            said(&facts.role),
            said(&facts.forwarded.clone().or_else(|| facts.remote.clone())),
            said(&facts.origin),
            said(&facts.auth),
            facts.device.as_deref().map_or("-", |device| &device[..8]),
            client.untrusted,
            client.guessed,
        );
        for event in &client.events {
            let _ = write!(text, " {:?}", event.what);
        }
        text.push('\n');
    }
    text
}

#[test]
fn each_log_tells_who_came_and_why_they_were_refused() {
    for (log, _) in LOGS {
        insta::assert_snapshot!(format!("told-{}", log.replace('/', "-")), told(&rebuilt(&[log])));
    }
}

#[test]
fn each_log_becomes_a_scenario_that_is_one() {
    for (log, kept) in LOGS {
        let rebuilt = rebuilt(&[log]);
        let written = written(&rebuilt).expect("somebody connects in every fixture");
        let plan = plan(&written);
        let clients: usize = written.cohorts.iter().map(|cohort| cohort.clients.len()).sum();
        assert_eq!(plan.clients.len(), clients, "{log}");
        if kept {
            let lists: String =
                written.lists.iter().map(|list| format!("--- {}\n{}", list.path, list.text)).collect();
            insta::assert_snapshot!(
                format!("scenario-{}", log.replace('/', "-")),
                format!("{}{lists}", written.scenario)
            );
        }
    }
}

/// What a scenario may not have of a log: where people are, what they are called, and what lets them in.
#[test]
fn nothing_of_a_log_that_is_somebodys_reaches_the_scenario() {
    for (log, _) in LOGS {
        let rebuilt = rebuilt(&[log]);
        let written = written(&rebuilt).expect("somebody connects in every fixture");
        let all: String =
            written.lists.iter().map(|list| list.text.as_str()).chain([written.scenario.as_str()]).collect();
        for client in &rebuilt.clients {
            let facts = &client.facts;
            let whose = [
                &facts.device,
                &facts.conn,
                &facts.request,
                &facts.host,
                &facts.agent,
                &facts.origin,
                &facts.forwarded,
            ];
            for text in whose.into_iter().flatten() {
                assert!(!all.contains(text.as_str()), "{log}: {text} stands in the scenario");
            }
        }
    }
}

/// A console and a log file of the same run are one story: together they count every connection once, and know what each knows.
#[test]
fn two_logs_of_one_gateway_count_once() {
    let file = rebuilt(&["2026.9.6/file"]);
    let both = rebuilt(&["2026.9.6/file", "2026.9.6/console-pretty"]);
    assert_eq!(file.refusals().get("not-paired"), both.refusals().get("not-paired"));
    assert_eq!(file.refusals().get("AUTH_TOKEN_MISMATCH"), both.refusals().get("AUTH_TOKEN_MISMATCH"));
    assert_eq!(both.refusals().values().sum::<u64>(), file.refusals().values().sum::<u64>());
}

/// Who is still refused at the end, and why: what `loops.toml` made them do.
#[test]
fn the_causes_of_a_log_are_those_that_its_clients_were_given() {
    let rebuilt = rebuilt(&["2026.9.6/file"]);
    let profile = written(&rebuilt).expect("somebody connects").profile;
    let causes = import::causes(&rebuilt, profile);
    let clients = |cause: &str| {
        causes.iter().find(|(.., found)| found.cause.to_string() == cause).map(|(count, ..)| *count)
    };
    // The tablets, the laptop, the drifted Mac and the node without a token, the stale node, the phone that was an operator, the page.
    assert_eq!(clients("not-approved"), Some(2), "{causes:#?}");
    // Paired by something that only reads, as far as its entry tells; its first session is in no log, so that this is not said.
    assert_eq!(clients("scope-ladder"), Some(1), "{causes:#?}");
    assert_eq!(clients("read-only-poisoned"), None, "{causes:#?}");
    assert_eq!(clients("token-drift"), Some(2), "{causes:#?}");
    assert_eq!(clients("stale-device-token"), Some(1), "{causes:#?}");
    assert_eq!(clients("role"), Some(1), "{causes:#?}");
    assert_eq!(clients("origin"), Some(1), "{causes:#?}");
    // Those that were approved came in, which the log does not say.
    assert_eq!(clients("paused-client"), None, "{causes:#?}");
}

/// The old console's short form does not say why; the file of the same run does.
#[test]
fn what_a_log_does_not_say_is_not_made_up() {
    let console = rebuilt(&["2026.2.19/console-pretty"]);
    let file = rebuilt(&["2026.2.19/file"]);
    assert_eq!(console.refusals().get("not-paired"), None);
    let unsaid = console.refusals()[Why::Unsaid.word()];
    let said = file.refusals();
    assert_eq!(unsaid, said["not-paired"] + said["CONTROL_UI_ORIGIN_NOT_ALLOWED"]);
    let notes = written(&console).expect("somebody connects").notes.join("\n");
    assert!(notes.contains("does not say why"), "{notes}");
}

#[test]
fn bad_lines_are_counted_and_named() {
    let mut rebuilder = Rebuilder::new();
    let long = "x".repeat(1 << 20);
    let text = format!(
        "\n{{\"time\":\"2026-11-26T12:00:00Z\",\"subsystem\":\"gateway\",\"mess\n    at Object.<anonymous> (file.js:1:2)\n\
         2026-11-26T12:00:00.000Z [ws\n{long}\n2026-11-26T12:00:01.000Z [gateway] ready\nsystemd[1]: Started.\n"
    );
    rebuilder.file("a.log", text.as_bytes()).expect("memory can be read");
    let lines = rebuilder.finish().lines;
    assert_eq!((lines.all, lines.gateway, lines.foreign, lines.broken), (7, 1, 2, 3));
    let named: Vec<(u64, &str)> = lines.named.iter().map(|(_, line, why)| (*line, *why)).collect();
    assert_eq!(named, [(2, "cut off"), (4, "cut off"), (5, "too long")]);
}

/// One thing that happens to a log on its way.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
    Drop(usize),
    Double(usize),
    Swap(usize, usize),
    Put(usize, String),
}

fn harm() -> impl Strategy<Value = Harm> {
    let line = 0_usize..400;
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Flip(at, byte)),
        any::<usize>().prop_map(Harm::Cut),
        line.clone().prop_map(Harm::Drop),
        line.clone().prop_map(Harm::Double),
        (line.clone(), line.clone()).prop_map(|(a, b)| Harm::Swap(a, b)),
        (line, "\\PC{0,80}").prop_map(|(at, text)| Harm::Put(at, text)),
    ]
}

fn harmed(bytes: &[u8], harms: &[Harm]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for harm in harms {
        let count = lines.len();
        match harm {
            Harm::Flip(at, byte) => {
                let line = &mut lines[at % count];
                if !line.is_empty() {
                    let at = at / count % line.len();
                    line[at] ^= byte;
                }
            }
            Harm::Cut(at) => {
                let line = &mut lines[at % count];
                let keep = at / count % (line.len() + 1);
                line.truncate(keep);
            }
            Harm::Drop(at) if count > 1 => {
                lines.remove(at % count);
            }
            Harm::Drop(_) => {}
            Harm::Double(at) => {
                let line = lines[at % count].clone();
                lines.insert(at % count, line);
            }
            Harm::Swap(a, b) => lines.swap(a % count, b % count),
            Harm::Put(at, text) => lines.insert(at % count, text.as_bytes().to_vec()),
        }
    }
    lines.join(&b'\n')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a log: every line is counted, and what is written is a scenario.
    #[test]
    fn a_damaged_log_is_read_as_far_as_it_goes(log in 0..LOGS.len(), harms in prop::collection::vec(harm(), 1..40)) {
        let bytes = harmed(&std::fs::read(path(LOGS[log].0)).unwrap(), &harms);
        let mut rebuilder = Rebuilder::new();
        rebuilder.file("harmed.log", bytes.as_slice()).unwrap();
        let rebuilt = rebuilder.finish();
        let lines = &rebuilt.lines;
        prop_assert!(lines.gateway + lines.foreign + lines.broken <= lines.all);
        let refused: u64 = rebuilt.refusals().values().sum();
        prop_assert!(refused <= lines.gateway);
        if let Some(written) = written(&rebuilt) {
            plan(&written);
        }
    }
}
