//! A load that this machine cannot carry is refused before anything starts, with the numbers; a low soft limit is raised.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Finished, binary, finish, pairstorm, scratch, write};

/// All at once. On a busy machine a gateway needs longer for so many than it lets a handshake take, unless its time is longer, too.
const CROWD: &str = "name = \"crowd\"\ntime_scale = 10\n[cohort.tabs]\npersona = \"cli\"\ncount = 200\n\
    arrivals.constant.rate = \"400/s\"\nsession.hold = \"1s\"\n\
    [validity]\nlag_p99_max = \"60s\"\nscheduler_delay_share_max = 1.0\n";

/// Runs the crowd with this soft and hard limit of descriptors.
fn run_with(folder: &Path, limits: &str) -> Finished {
    let file = write(folder, "crowd.toml", CROWD);
    let line = format!("{limits}; exec {} run {file} --json --out run", binary().display());
    let child = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    finish(child)
}

#[test]
fn too_few_descriptors_are_said_before_anything_starts() {
    let folder = scratch();
    let finished = run_with(folder.path(), "ulimit -n 150");
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    assert!(finished.stderr.contains("264 descriptors are needed"), "{}", finished.said());
    assert!(finished.stderr.contains("a process may open 150"), "{}", finished.said());
    assert!(finished.stderr.contains("raise the hard limit"), "{}", finished.said());
    assert!(finished.stdout.is_empty(), "{}", finished.said());
    assert!(!folder.path().join("run/result.json").exists());
}

#[test]
fn descriptors_that_the_budget_of_the_run_would_not_allow_are_refused_as_well() {
    let folder = scratch();
    let finished = run_with(folder.path(), "ulimit -n 269");
    assert_eq!(finished.code, Some(3), "{}", finished.said());
    let named = "the budget `descriptors_share_max` (98.0 %) leaves 263";
    assert!(finished.stderr.contains("264 descriptors are needed"), "{}", finished.said());
    assert!(finished.stderr.contains(named), "{}", finished.said());
}

#[test]
fn a_low_soft_limit_is_raised_for_both_sides() {
    let folder = scratch();
    let finished = run_with(folder.path(), "ulimit -Sn 150");
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["attempts"]["session"], 200, "{}", finished.said());
    assert!(result["validity"]["descriptors_limit"].as_u64() > Some(264), "{}", finished.said());
}

#[test]
fn the_plan_says_what_this_machine_has() {
    let folder = scratch();
    let file = write(folder.path(), "crowd.toml", CROWD);
    let finished = pairstorm(folder.path(), &["plan", &file]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert!(finished.stdout.contains("descriptors  264 here"), "{}", finished.said());
    assert!(finished.stdout.contains("this machine has\n  descriptors  "), "{}", finished.said());
    assert!(finished.stdout.contains("and that is enough\n"), "{}", finished.said());
    // Behind one proxy the ports are its own; 20,000 are allowed, and named.
    let crowd = CROWD
        .replace("count = 200", "count = 20_000\npath = \"proxy\"")
        .replace("400/s", "400000/s")
        .replace("[cohort.tabs]", "[path.proxy]\nfrom = \"127.3.0.1\"\n[cohort.tabs]");
    let file = write(folder.path(), "proxy.toml", &crowd);
    let finished = pairstorm(folder.path(), &["plan", &file]);
    assert!(finished.stdout.contains("warning: 20000 sockets on 127.3.0.1"), "{}", finished.said());
}
