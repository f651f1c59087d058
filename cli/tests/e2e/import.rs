//! `pairstorm import`: the scenario made of a real gateway's log, run against the in-repo gateway, refuses the same clients for the
//! same reasons as often.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness::import::{self, Options, Rebuilder, Rebuilt, Why};

use crate::common::{pairstorm, root, scratch, write};

fn fixture(name: &str) -> String {
    root().join("harness/tests/fixtures/logs").join(name).display().to_string()
}

fn rebuilt(log: &Path) -> Rebuilt {
    let mut rebuilder = Rebuilder::new();
    rebuilder.file("log", std::fs::read(log).expect("a log").as_slice()).expect("memory can be read");
    rebuilder.finish()
}

/// Refusals by reason, without what is no answer to a client.
fn reasons(rebuilt: &Rebuilt) -> BTreeMap<&'static str, u64> {
    let aside = [Why::Left.word(), Why::Restarting.word()];
    let mut counts = rebuilt.refusals();
    counts.retain(|word, _| !aside.contains(word));
    counts
}

/// So much is left of a time in which nothing is written, milliseconds.
const REST_MS: i64 = 2_000;

/// The log without most of the time in which its gateway was busy with itself: real ones start for a minute, in which nobody is refused.
/// Where it was told to stop, `stop_ms` are left on top.
fn without_idle_times(log: &str, stop_ms: i64) -> String {
    let mut text = String::new();
    let (mut last, mut earlier, mut stops) = (None, 0, false);
    for line in log.lines() {
        let stamps: Vec<usize> =
            line.match_indices('T').map(|(at, _)| at + 1).filter(|at| of_day(line, *at).is_some()).collect();
        if let Some(now) = stamps.last().and_then(|at| of_day(line, *at)) {
            let idle = now - last.unwrap_or(now);
            let rest = REST_MS + if stops { stop_ms } else { 0 };
            if idle > rest {
                earlier += idle - rest;
                stops = false;
            }
            last = Some(now);
        }
        stops |= line.contains("SIGTERM");
        let mut line = line.to_owned();
        for at in stamps {
            let ms = of_day(&line, at).expect("a time") - earlier;
            let (seconds, ms) = (ms / 1000, ms % 1000);
            let time = format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            line.replace_range(at..at + time.len(), &time);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Milliseconds since midnight, of `12:24:12.915` at this place.
fn of_day(line: &str, at: usize) -> Option<i64> {
    let time = line.get(at..at + 12)?;
    let (clock, ms) = time.split_once('.')?;
    let parts: Vec<i64> = clock.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms.parse::<i64>().ok()?)
}

/// Imports a log, runs the scenario, and holds the in-repo gateway's own log and the run's cohorts to the log's. `stop_ms` is how long
/// the release takes to stop, as the in-repo gateway does.
fn the_same_happens(fixture: &str, stop_ms: i64) {
    let folder = scratch();
    let whole = std::fs::read_to_string(fixture).expect("a fixture");
    let log = &write(folder.path(), "gateway.log", &without_idle_times(&whole, stop_ms));
    // Nobody is refused otherwise than in the log as it was written.
    assert_eq!(reasons(&rebuilt(Path::new(log))), reasons(&rebuilt(Path::new(fixture))));
    // At the log's own speed: the shorter a pause, the sooner a busy machine puts an approval before or behind an attempt.
    let imported = pairstorm(folder.path(), &["import", log, "--within", "3m", "--out", "loop"]);
    assert_eq!(imported.code, Some(0), "{}", imported.said());
    assert!(imported.stdout.contains("run it:   pairstorm run loop/imported.toml"), "{}", imported.said());

    let checked = pairstorm(folder.path(), &["check", "loop/imported.toml"]);
    assert_eq!(checked.code, Some(0), "{}", checked.said());

    let ran = pairstorm(folder.path(), &["run", "loop/imported.toml", "--quiet", "--json", "--out", "ran"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said());

    let real = rebuilt(Path::new(log));
    let own = rebuilt(&folder.path().join("ran/gateway.log"));
    assert_eq!(reasons(&own), reasons(&real), "{}", imported.said());

    let options = Options { name: "imported".to_owned(), profile: None, within: Duration::from_secs(180) };
    let written = import::write(&real, &options).expect("somebody connects");
    let result = ran.result();
    let cohorts = result["cohorts"].as_array().expect("cohorts");
    for cohort in &written.cohorts {
        let ran =
            cohorts.iter().find(|ran| ran["name"] == cohort.name.as_str()).expect("a cohort of the scenario");
        assert_eq!(ran["clients"], cohort.clients.len(), "{ran:#}");
        assert_eq!(ran["attempts"]["refused"], cohort.refusals, "{ran:#}");
    }
}

#[test]
fn a_log_file_of_the_new_generation_comes_true() {
    the_same_happens(&fixture("2026.9.6/file.log"), 0);
}

#[test]
fn a_console_of_the_old_generation_comes_true() {
    the_same_happens(&fixture("2026.2.19/console-json.log"), 5_000);
}

/// Rotated logs are given in any order.
#[test]
fn several_logs_are_one_story() {
    let folder = scratch();
    let text = std::fs::read_to_string(fixture("2026.9.6/file.log")).expect("a fixture");
    let half = text.lines().count() / 2;
    let part =
        |lines: &mut dyn Iterator<Item = &str>| lines.map(|line| format!("{line}\n")).collect::<String>();
    let first = write(folder.path(), "first.log", &part(&mut text.lines().take(half)));
    let second = write(folder.path(), "second.log", &part(&mut text.lines().skip(half)));
    let whole = pairstorm(folder.path(), &["import", &fixture("2026.9.6/file.log"), "--out", "whole"]);
    let parts = pairstorm(folder.path(), &["import", &second, &first, "--out", "parts"]);
    assert_eq!((whole.code, parts.code), (Some(0), Some(0)), "{}", parts.said());
    let scenario = |name: &str| {
        std::fs::read_to_string(folder.path().join(name).join("imported.toml")).expect("a scenario")
    };
    assert_eq!(scenario("whole"), scenario("parts"));
}

#[test]
fn what_is_no_log_is_said_so_with_a_way_out() {
    let folder = scratch();
    let other = write(folder.path(), "other.log", "systemd[1]: Started.\nhello\n");
    let refused = pairstorm(folder.path(), &["import", &other, "--out", "loop"]);
    assert_eq!(refused.code, Some(64), "{}", refused.said());
    assert!(refused.stderr.contains("none of its 2 lines is a gateway's"), "{}", refused.said());
    assert!(refused.stderr.contains("/tmp/openclaw/"), "{}", refused.said());
    assert!(!folder.path().join("loop").exists());

    let gone = pairstorm(folder.path(), &["import", "gone.log", "--out", "loop"]);
    assert_eq!(gone.code, Some(64), "{}", gone.said());
    assert!(gone.stderr.contains("cannot read gone.log"), "{}", gone.said());

    let profile = pairstorm(folder.path(), &["import", &other, "--profile", "2025.1.1"]);
    assert_eq!(profile.code, Some(64), "{}", profile.said());
    assert!(profile.stderr.contains("there is no profile `2025.1.1`; known: article"), "{}", profile.said());
}
