//! A scenario with `[sweep]` through the real binary.

use std::process::Command;

use serde_json::Value;

use crate::common::{finish, pairstorm, scratch, start, write};

/// Two sizes, a restart each; `hold` is how long a run is.
fn tiny(duration: &str) -> String {
    format!(
        r#"
name = "tiny"
about = "Two sizes."
duration = "{duration}"
[vars]
devices = 5
[sweep]
repeat = 1
fit_over = "devices"
devices = [5, 50]
[gateway.store]
devices = "{{devices}}"
[cohort.population]
persona = "node-host"
count = 3
credential = "device-token"
[cohort.population.stored]
[cohort.population.arrivals.herd]
[cohort.population.session]
hold = "until-end"
[cohort.population.reconnect]
give_up = "never"
[cohort.population.reconnect.fixed]
pause = "50ms"
[fault.crash]
at = "300ms"
restart = "SIGKILL"
down = "10ms"
[validity]
lag_p99_max = "20s"
dropped_share_max = 1.0
reactor_cpu_share_max = 1.0
scheduler_delay_share_max = 1.0
"#
    )
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn every_combination_is_a_run_and_a_row() {
    let folder = scratch();
    write(folder.path(), "tiny.toml", &tiny("3s"));
    let plan = pairstorm(folder.path(), &["plan", "tiny.toml"]);
    assert!(plan.stdout.contains("a sweep of 2 combinations, 2 runs"), "{}", plan.said());
    let checked = pairstorm(folder.path(), &["check", "tiny.toml"]);
    assert!(checked.stdout.contains("ok, a sweep of 2 combinations, up to 3 clients"), "{}", checked.said());

    let finished = pairstorm(folder.path(), &["run", "tiny.toml", "--out", "out", "--max-time", "60s"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert!(finished.stdout.contains("2/2  pass       devices=50"), "{}", finished.said());
    assert!(finished.stdout.contains("Not enough: fewer than 3 sizes."), "{}", finished.said());
    let out = folder.path().join("out");
    let sweep = read(&out.join("sweep.json"));
    assert_eq!((&sweep["exit_code"], &sweep["interrupted"]), (&0.into(), &false.into()), "{sweep:#}");
    for (position, (devices, name)) in [(5, "001-5-1"), (50, "002-50-1")].into_iter().enumerate() {
        let run = &sweep["runs"][position];
        assert_eq!((&run["names"]["devices"], &run["folder"]), (&devices.into(), &name.into()), "{run:#}");
        let result = read(&out.join(name).join("result.json"));
        let at_rest = serde_json::json!({ "handshakes_in_progress": 0, "sessions": 0 });
        assert_eq!(result["at_rest"], at_rest, "{result:#}");
        let restart = &result["restarts"][0];
        // On a busy machine the crash may come before all three are in.
        assert!(restart["population"].is_u64(), "{restart:#}");
        assert_eq!(run["restarts"][0]["counts"]["population"], restart["population"], "{run:#}");
        assert_eq!(
            run["restarts"][0]["figures"]["back.all"].as_f64(),
            restart["back"]["all"].as_f64(),
            "{run:#}"
        );
        let row = &sweep["rows"][position];
        assert_eq!(
            row["restarts"][0]["figures"]["port_open"].as_f64(),
            restart["port_open"].as_f64(),
            "{row:#}"
        );
    }
    let tables = std::fs::read_to_string(out.join("sweep.md")).expect("tables");
    assert!(finished.stdout.contains(&tables), "{}", finished.said());
    // Each run remembers which combination it was.
    let again = pairstorm(folder.path(), &["analyze", "out/002-50-1", "--json"]);
    assert_eq!(again.code, Some(0), "{}", again.said());
    assert!(again.stderr.contains("result.json of the run says the same"), "{}", again.said());
}

/// An operator from elsewhere whom nobody approved, and a wrong token.
const PROFILES: &str = r#"
name = "profiles"
about = "Two profiles."
duration = "1s"
[vars]
release = "article"
[sweep]
release = ["2026.2.22", "2026.9.6"]
[gateway]
profile = "{release}"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.operators]
persona = "macos-app"
count = 2
path = "proxy"
arrivals.herd = {}
reconnect.attempts_max = 1
[cohort.guessers]
persona = "ios"
count = 2
path = "proxy"
credential = "wrong-token"
arrivals.herd = {}
reconnect.attempts_max = 1
[validity]
lag_p99_max = "20s"
scheduler_delay_share_max = 1.0
"#;

#[test]
fn what_differs_between_profiles_is_shown_and_the_rest_is_folded() {
    let folder = scratch();
    write(folder.path(), "profiles.toml", PROFILES);
    let finished = pairstorm(folder.path(), &["run", "profiles.toml", "--out", "out", "--max-time", "60s"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    // 2026.2.22 lets operators in that nobody approved.
    let row = finished.stdout.lines().find(|line| line.starts_with("| operators |")).unwrap_or_default();
    let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        cells,
        ["operators", "session; all in", "NOT_PAIRED not-paired; nobody in; not-approved"],
        "{}",
        finished.said()
    );
    let same = "The same under every profile: guessers (INVALID_REQUEST AUTH_TOKEN_MISMATCH; nobody in; token-drift).";
    assert!(finished.stdout.contains(same), "{}", finished.said());
    let sweep = read(&folder.path().join("out/sweep.json"));
    let columns: Vec<&Value> = sweep["by_profile"]["columns"].as_array().expect("a list").iter().collect();
    assert_eq!(columns, ["2026.2.22", "2026.9.6"]);
    assert!(sweep["rows"].as_array().expect("rows").iter().all(|row| row["exit_code"] == 0), "{sweep:#}");
}

#[test]
fn a_plan_of_a_sweep_is_told_in_figures() {
    let folder = scratch();
    write(folder.path(), "tiny.toml", &tiny("3s"));
    let plan = pairstorm(folder.path(), &["plan", "tiny.toml", "--json", "--shard", "1/2"]).result();
    assert_eq!((&plan["runs"], &plan["combinations"][1]["values"]["devices"]), (&2.into(), &50.into()));
    let first = &plan["combinations"][0];
    assert_eq!((&first["clients"], &first["shard"]), (&2.into(), &"1/2".into()), "{plan:#}");
    assert_eq!(first["faults"][0]["at_us"], 300_000, "{plan:#}");
    assert!(first["takes_us"].as_u64() > Some(3_000_000), "{plan:#}");
    assert_eq!(first["needs"]["sockets"], 2, "{plan:#}");
}

#[test]
fn the_worst_run_is_the_exit_code_and_the_others_are_kept() {
    let folder = scratch();
    // Of a population of three nobody waits for a fourth: the threshold is broken in the second run alone.
    let text = tiny("3s") + "[threshold]\n\"attempts.session\" = \"< {devices}\"\n";
    write(folder.path(), "tiny.toml", &text.replace("devices = [5, 50]", "devices = [1, 50]"));
    let finished = pairstorm(folder.path(), &["run", "tiny.toml", "--out", "out", "--json"]);
    assert_eq!(finished.code, Some(2), "{}", finished.said());
    let sweep = finished.result();
    let codes: Vec<_> = sweep["runs"].as_array().expect("runs").iter().map(|run| &run["exit_code"]).collect();
    assert_eq!(codes, [&Value::from(2), &Value::from(0)], "{sweep:#}");
    assert_eq!(sweep, read(&folder.path().join("out/sweep.json")));
}

#[test]
fn what_an_interrupt_leaves_is_kept() {
    let folder = scratch();
    write(folder.path(), "tiny.toml", &tiny("250s"));
    let child = start(folder.path(), &["run", "tiny.toml", "--out", "out"]);
    // The first run's history grows from its start on.
    let history = folder.path().join("out/001-5-1/history.bin");
    while std::fs::metadata(&history).map_or(0, |file| file.len()) == 0 {
        std::thread::yield_now();
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(interrupted.success());
    let finished = finish(child);
    assert_eq!(finished.code, Some(130), "{}", finished.said());
    let sweep = read(&folder.path().join("out/sweep.json"));
    assert_eq!((&sweep["interrupted"], &sweep["planned"]), (&true.into(), &2.into()), "{sweep:#}");
    assert_eq!(sweep["runs"].as_array().map(Vec::len), Some(1), "{sweep:#}");
    assert_eq!(sweep["rows"][0]["counted"], 0, "an interrupted run has no figures to compare: {sweep:#}");
    let tables = std::fs::read_to_string(folder.path().join("out/sweep.md")).expect("tables");
    assert!(tables.contains("1 of 2 runs, then it was interrupted"), "{tables}");
}

#[test]
fn a_sweep_needs_gateways_of_its_own() {
    let folder = scratch();
    write(folder.path(), "tiny.toml", &tiny("1s"));
    let arguments = ["run", "tiny.toml", "--target", "ws://127.0.0.1:9/", "--out", "out"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(64), "{}", finished.said());
    assert!(finished.stderr.contains("leave --target away"), "{}", finished.said());
    assert!(!folder.path().join("out").exists());
    let typo = pairstorm(folder.path(), &["run", "tiny.toml", "--set", "devices=many"]);
    assert_eq!(typo.code, Some(64), "{}", typo.said());
    assert!(typo.stderr.contains("write a value of the same kind"), "{}", typo.said());
}
