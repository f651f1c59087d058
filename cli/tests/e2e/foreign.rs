//! Somebody else's gateway: loaded only with leave, and left as it was.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{binary, finish, pairstorm, scenario, scratch, write};
use crate::gateway::Gateway;
use serde_json::Value;

/// Local and remote clients and an owner; nothing that needs the gateway's process or store.
const SCENARIO: &str = r#"
name = "visit"
about = "Twenty clients visit a gateway that somebody else runs."
duration = "6s"

[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]

[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"

[cohort.local]
persona = "cli"
count = 8
arrivals.constant.rate = "10/s"

[cohort.remote]
persona = "ios"
count = 12
path = "proxy"
arrivals.constant.rate = "10/s"
reconnect.fixed.pause = "200ms"
session.hold = "until-end"

[cohort.never-approved]
persona = "android"
count = 3
path = "proxy"
arrivals.constant.rate = "10/s"
reconnect.attempts_max = 1

[operator.owner]
serves = ["remote"]
notices = "event"
think = "20ms"

[validity]
lag_p99_max = "20s"
reactor_cpu_share_max = 1.0
scheduler_delay_share_max = 1.0
"#;

/// A gateway that the run did not start.
fn owners_gateway(state: &Path) -> Gateway {
    let config =
        r#"{"gateway":{"auth":{"mode":"token","token":"owners-token"},"trustedProxies":["127.2.0.1"]}}"#;
    write(state, "openclaw.json", config);
    Gateway::start("article", state, &[])
}

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env("OWNERS_TOKEN", "owners-token")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn run(folder: &Path, arguments: &[&str]) -> crate::common::Finished {
    finish(start(folder, arguments))
}

fn devices(state: &Path, name: &str) -> usize {
    let text = std::fs::read_to_string(state.join("devices").join(name)).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str::<Value>(&text).expect("JSON").as_object().expect("an object").len()
}

#[test]
fn with_leave_it_is_loaded_judged_and_left_as_it_was() {
    let (folder, state) = (scratch(), scratch());
    let gateway = owners_gateway(state.path());
    let visit = write(folder.path(), "visit.toml", SCENARIO);
    let arguments = [
        "run",
        &visit,
        "--target",
        &gateway.url,
        "--allow-store-writes",
        "--token-env",
        "OWNERS_TOKEN",
        "--json",
        "--out",
        "run",
    ];
    let finished = run(folder.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert!(result["attempts"]["session"].as_u64() > Some(10), "{}", finished.said());
    assert!(
        finished.stderr.contains("everything that the run left on the gateway was removed"),
        "{}",
        finished.said()
    );
    assert_eq!((devices(state.path(), "paired.json"), devices(state.path(), "pending.json")), (0, 0));
    for entry in std::fs::read_dir(folder.path().join("run")).expect("a folder").flatten() {
        let content = std::fs::read(entry.path()).expect("a file");
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("owners-token"), "{} holds the token", entry.path().display());
    }
}

#[test]
fn two_shards_share_one_gateway() {
    let (folder, state) = (scratch(), scratch());
    let gateway = owners_gateway(state.path());
    let visit = write(folder.path(), "visit.toml", SCENARIO);
    let shards = ["1/2", "2/2"].map(|shard| {
        let out = format!("run-{}", &shard[..1]);
        let arguments = [
            "run",
            &visit,
            "--shard",
            shard,
            "--target",
            &gateway.url,
            "--allow-store-writes",
            "--token-env",
            "OWNERS_TOKEN",
            "--json",
            "--out",
            &out,
        ];
        start(folder.path(), &arguments)
    });
    let mut clients = std::collections::BTreeMap::new();
    for (shard, child) in ["1/2", "2/2"].into_iter().zip(shards) {
        let finished = finish(child);
        assert_eq!(finished.code, Some(0), "{}", finished.said());
        let result = finished.result();
        assert_eq!(result["scenario"]["shard"], shard, "{}", finished.said());
        for cohort in result["cohorts"].as_array().expect("a list") {
            let name = cohort["name"].as_str().expect("a name").to_owned();
            let seen: &mut Vec<u64> = clients.entry(name).or_default();
            seen.push(cohort["clients"].as_u64().expect("a number"));
            if cohort["name"] == "remote" {
                assert_eq!(cohort["clients_with_session"], 6, "{}", finished.said());
            }
        }
    }
    assert_eq!(clients["local"], [4, 4]);
    assert_eq!(clients["remote"], [6, 6]);
    assert_eq!(clients["never-approved"], [2, 1]);
    assert_eq!((devices(state.path(), "paired.json"), devices(state.path(), "pending.json")), (0, 0));

    let both = pairstorm(folder.path(), &["merge", "run-2", "run-1", "--json"]);
    assert_eq!(both.code, Some(0), "{}", both.said());
    let whole = both.result();
    let shards: Vec<_> = whole["shards"].as_array().expect("a list").iter().collect();
    assert_eq!((&shards[0]["shard"], &shards[1]["folder"]), (&"1/2".into(), &"run-2".into()), "{whole:#}");
    let sum: u64 = shards.iter().filter_map(|shard| shard["attempted"].as_u64()).sum();
    assert_eq!(whole["attempts"]["attempted"], sum, "{whole:#}");
    let cohorts = whole["cohorts"].as_array().expect("a list");
    let never = cohorts.iter().find(|cohort| cohort["name"] == "never-approved").expect("the cohort");
    assert_eq!(never["clients"], 3, "{whole:#}");
    let half = pairstorm(folder.path(), &["merge", "run-1"]);
    assert_eq!(half.code, Some(64), "{}", half.said());
    assert!(half.stderr.contains("the load is not whole: shard 2/2 is missing"), "{}", half.said());
}

#[test]
fn expectations_ask_for_nothing_but_the_handshake() {
    let (folder, state) = (scratch(), scratch());
    let gateway = owners_gateway(state.path());
    let expectations = scenario("expectations-only.toml");
    let arguments = [
        "run",
        &expectations,
        "--target",
        &gateway.url,
        "--token-env",
        "OWNERS_TOKEN",
        "--json",
        "--out",
        "run",
    ];
    let finished = run(folder.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
}

#[test]
fn what_needs_our_own_gateway_is_refused() {
    let folder = scratch();
    let smoke = scenario("smoke.toml");
    let arguments = ["run", &smoke, "--target", "ws://127.0.0.1:9/", "--allow-store-writes"];
    let finished = run(folder.path(), &arguments);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("needs a gateway that the run starts"), "{}", finished.said());
}

#[test]
fn a_foreign_gateway_keeps_its_own_time() {
    let folder = scratch();
    let hurried =
        write(folder.path(), "visit.toml", &SCENARIO.replace("duration =", "time_scale = 0.1\nduration ="));
    let visit = write(folder.path(), "plain.toml", SCENARIO);
    for arguments in [&["run", &hurried][..], &["run", &visit, "--time-scale", "0.1"]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--target", "ws://127.0.0.1:9/", "--allow-store-writes"]);
        let finished = run(folder.path(), &arguments);
        assert_eq!(finished.code, Some(64), "{}", finished.said());
        assert!(finished.stderr.contains("time scale"), "{}", finished.said());
    }
}
