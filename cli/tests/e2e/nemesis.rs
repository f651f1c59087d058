//! Faults, each on the real gateway: what it does, that the oracle follows it, and that a gateway that does it wrong is found.

use serde_json::Value;

use crate::common::{Finished, binary, pairstorm, scenario, scratch, write};

fn run(name: &str, more: &[&str]) -> Finished {
    let (folder, file) = (scratch(), scenario(name));
    let mut arguments = vec!["run", file.as_str(), "--json"];
    arguments.extend(more);
    pairstorm(folder.path(), &arguments)
}

fn kinds(result: &Value) -> Vec<&str> {
    result["faults"].as_array().unwrap().iter().filter_map(|fault| fault["kind"].as_str()).collect()
}

fn passes(name: &str, more: &[&str]) -> Value {
    let finished = run(name, more);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    let faults = result["faults"].as_array().unwrap();
    assert!(!faults.is_empty());
    assert!(faults.iter().all(|fault| fault["ended"].is_u64()), "an open window: {faults:?}");
    result
}

fn is_root() -> bool {
    // The owner of one's own entry in /proc is who one is.
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// What takes root either passes, or is refused with the reason before anything is started.
fn passes_as_root(name: &str, refused: &str) -> Option<Value> {
    if is_root() {
        return Some(passes(name, &[]));
    }
    let finished = run(name, &[]);
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    assert!(finished.stderr.contains(refused) && finished.stderr.contains("root"), "{}", finished.said());
    None
}

/// The two runs of a thousand kills' scenario, one a back end, with fewer of them.
fn killed_during_approvals(more: &[&str]) -> (Finished, Vec<Value>) {
    let (folder, file) = (scratch(), scenario("store-chaos/kill-during-approval.toml"));
    let mut arguments = vec!["run", file.as_str(), "--json", "--out", "kills", "--set", "kills=4"];
    arguments.extend(more);
    let finished = pairstorm(folder.path(), &arguments);
    let sweep = finished.result();
    let result = |run: &Value| {
        let path = folder.path().join("kills").join(run["folder"].as_str().unwrap()).join("result.json");
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()
    };
    let results: Vec<Value> = sweep["runs"].as_array().unwrap().iter().map(result).collect();
    let profiles: Vec<&str> = results.iter().filter_map(|result| result["profile"].as_str()).collect();
    assert_eq!(profiles, ["article", "2026.9.6"], "{}", finished.said());
    (finished, results)
}

#[test]
fn killed_during_approvals_nothing_acknowledged_is_lost_on_either_back_end() {
    let (finished, results) = killed_during_approvals(&["--set", "after=0ms..20ms"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    for result in results {
        assert_eq!(result["restarts"].as_array().unwrap().len(), 4, "{result:#}");
        let caught = &result["approvals_at_restarts"];
        let all = |end: &str| caught[end]["all"].as_u64().unwrap();
        assert!(all("acknowledged") + all("unknown") > 0, "{caught}");
        assert_eq!(caught["acknowledged"]["refused"], 0, "{caught}");
    }
    // Four kills are one restart of the table.
    let rows = finished.result()["rows"].clone();
    let restarts = rows[0]["restarts"].as_array().unwrap();
    assert_eq!(
        (restarts.len(), &restarts[0]["name"], &restarts[0]["occurrences"]),
        (1, &"kill".into(), &4.into())
    );
}

#[test]
fn killed_during_approvals_a_gateway_that_forgets_is_found() {
    // Late enough that approvals are acknowledged before the kill.
    let after = ["--set", "after=300ms..400ms"];
    for defect in ["forget-approval-on-restart", "early-acknowledgement"] {
        let (finished, results) = killed_during_approvals(&[after[0], after[1], "--defect", defect]);
        assert_eq!(finished.code, Some(1), "{}", finished.said());
        for result in results {
            assert!(result["mismatches"]["false_reject"].as_u64() > Some(0), "{defect}: {result:#}");
        }
    }
}

#[test]
fn a_gateway_that_dies_before_it_is_killed_in_an_approval_has_died() {
    let folder = scratch();
    let gateway = format!(
        "{} gateway --profile article --state-dir {{state}} --port {{port}} & sleep 3; kill -9 $!",
        binary().display()
    );
    let text = format!(
        r#"
name = "dies"
duration = "12s"
max_time = "90s"
[gateway]
launch = {{ command = ["sh", "-c", "{gateway}"], profile = "article" }}
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.new]
persona = "android"
count = 1
path = "proxy"
arrivals.herd = {{}}
session.hold = "until-end"
[cohort.new.reconnect]
give_up = "never"
[cohort.new.reconnect.fixed]
pause = "200ms..300ms"
[operator.owner]
think = "0ms..1ms"
[fault.kill]
during = "approval"
after = "10s..10s"
restart = "SIGKILL"
"#
    );
    let file = write(folder.path(), "dies.toml", &text);
    let finished = pairstorm(folder.path(), &["run", &file, "--json"]);
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    assert!(finished.said().contains("no fault was due"), "{}", finished.said());
}

#[test]
fn a_damaged_store_is_put_back_and_followed_on_every_back_end() {
    for (profile, damage) in [
        ("article", "truncated"),
        ("article", "deleted"),
        ("2026.2.19", "array"),
        ("2026.9.6", "emptied"),
        ("2026.9.6", "truncated"),
    ] {
        let set = format!("damage={damage}");
        let result = passes("store-chaos/damaged-store.toml", &["--profile", profile, "--set", &set]);
        assert!(kinds(&result).contains(&format!("store {damage}").as_str()), "{result}");
    }
}

#[test]
fn damage_whose_drawn_time_falls_into_another_begins_when_that_is_over() {
    let folder = scratch();
    let text = "name = \"twice\"\nduration = \"5s\"\nmax_time = \"60s\"\n[validity]\nlag_p99_max = \"30s\"\n\
                scheduler_delay_share_max = 1.0\n[cohort.a]\npersona = \"node-host\"\ncount = 1\n\
                credential = \"device-token\"\nstored = {}\narrivals.herd = {}\nsession.hold = \"until-end\"\n\
                [fault.f]\nwithin = \"1s..1001ms\"\ntimes = 2\nstore = \"emptied\"\nfor = \"1s\"\n";
    let file = write(folder.path(), "twice.toml", text);
    let finished = pairstorm(folder.path(), &["run", &file, "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert_eq!(kinds(&result), ["store emptied", "store emptied"]);
    let faults = &result["faults"];
    assert!(faults[1]["began"].as_u64() >= faults[0]["ended"].as_u64(), "{faults}");
}

#[test]
fn a_second_writer_takes_nothing_from_whom_nothing_happened_to() {
    for profile in ["article", "2026.2.19"] {
        let result = passes("store-chaos/second-writer.toml", &["--profile", profile]);
        let early = result["cohorts"].as_array().unwrap().iter().find(|cohort| cohort["name"] == "early");
        assert_eq!(early.unwrap()["clients_with_session"], 20, "{profile}");
    }
}

#[test]
fn what_was_edited_by_hand_is_followed_and_nobody_else_notices() {
    for profile in ["article", "2026.3.13", "2026.9.6"] {
        let result = passes("store-chaos/edited-while-loaded.toml", &["--profile", profile]);
        let edits = kinds(&result).into_iter().filter(|kind| *kind == "store edited").count();
        assert_eq!(edits, 3, "{result}");
        let cohort = |name: &str| {
            let cohorts = result["cohorts"].as_array().unwrap();
            cohorts.iter().find(|cohort| cohort["name"] == name).unwrap().clone()
        };
        let (staff, temps) = (cohort("staff"), cohort("temps"));
        assert_eq!(staff["clients_with_session"], 20, "{profile}: {staff}");
        if profile == "2026.9.6" {
            // A database loses no edit.
            assert!(temps["attempts"]["refused"].as_u64() > Some(0), "{temps}");
        }
    }
}

#[test]
fn a_full_disk_refuses_whom_it_cannot_write_down_and_nobody_else() {
    if let Some(result) = passes_as_root("store-chaos/disk-full.toml", "small disk") {
        let matrix = result["expected_observed"].to_string();
        assert!(matrix.contains("store_failed_in_fault"), "{matrix}");
        // The oracle takes UNAVAILABLE of anybody meanwhile; who is known needs nothing written down.
        let cohorts = result["cohorts"].as_array().unwrap();
        let paired = cohorts.iter().find(|cohort| cohort["name"] == "paired").unwrap();
        assert_eq!(paired["attempts"]["refused"], 0, "{paired}");
    }
}

#[test]
fn a_starved_gateway_is_slow_and_right() {
    if let Some(result) = passes_as_root("nemesis/starved.toml", "control group") {
        assert_eq!(kinds(&result), ["stall", "cpu", "memory"]);
    }
}

#[test]
fn a_partition_heals() {
    if let Some(result) = passes_as_root("nemesis/partition.toml", "network namespace") {
        assert_eq!(kinds(&result), ["partition"]);
        // Nobody got through while it lasted: an attempt took as long as what was left of it.
        assert!(
            result["phases"]["response_session"]["max"].as_u64() > Some(1_000_000),
            "{}",
            result["phases"]
        );
    }
}

#[test]
fn nobody_tells_the_clients_of_another_token_profile_or_time() {
    let result = passes("nemesis/drift.toml", &[]);
    let kinds = kinds(&result);
    for kind in ["secret changed", "profile changed", "clock"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

#[test]
fn what_the_oracle_cannot_follow_is_refused_with_a_way_out() {
    let folder = scratch();
    for (fault, says) in [
        ("restart = \"SIGTERM\"\nprofile = \"2026.9.6\"", "oracle = \"expectations\""),
        ("restart = \"SIGTERM\"\ntoken = \"changed\"", "oracle = \"expectations\""),
        ("clock = \"+30m\"", "oracle = \"expectations\""),
        ("reload = true\ntoken = \"changed\"", "add `restart"),
        ("stall = { of = \"2s\", every = \"1s\" }\nfor = \"3s\"", "stand still all the time"),
        ("memory = \"64\"", "no amount of memory"),
        ("network = {}", "does nothing"),
    ] {
        let text = format!(
            "name = \"x\"\n[cohort.a]\npersona = \"cli\"\ncount = 1\narrivals.herd = {{}}\n[fault.f]\nat = \"1s\"\n{fault}\n"
        );
        let file = write(folder.path(), "x.toml", &text);
        let finished = pairstorm(folder.path(), &["check", &file]);
        assert_eq!(finished.code, Some(64), "{fault}: {}", finished.said());
        assert!(finished.said().contains(says), "{fault}: {}", finished.said());
    }
}
