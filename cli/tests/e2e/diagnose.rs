//! `pairstorm diagnose` of runs against the real gateway: what it wrote while clients looped, and a score of a sweep and its labels.

use serde_json::Value;

use crate::common::{pairstorm, scratch, write};

/// A stranger whom nobody approves tries four times; under another profile its cause is the same, and the label of the other is wrong.
const LOOP: &str = r#"
name = "loop"
about = "Planted."
[vars]
profile = "article"
[sweep]
profile = ["article", "2026.9.6"]
[gateway]
profile = "{profile}"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.stranger]
persona = "cli"
count = 1
path = "proxy"
[cohort.stranger.expect]
cause = "not-approved"
[cohort.local]
persona = "cli"
count = 1
[cohort.local.expect]
label = "role"
[[step]]
connect = "stranger"
[[step]]
connect = "stranger"
[[step]]
connect = "stranger"
[[step]]
connect = "stranger"
[[step]]
connect = "local"
# Who is let in is asked, not how fast.
[validity]
lag_p99_max               = "60s"
reactor_cpu_share_max     = 1.0
scheduler_delay_share_max = 1.0
history_wait_share_max    = 1.0
"#;

#[test]
fn a_sweep_is_scored_by_causes_and_labels_and_the_log_of_its_loops_is_counted() {
    let folder = scratch();
    write(folder.path(), "loop.toml", LOOP);
    let scored = pairstorm(folder.path(), &["diagnose", "--score", ".", "--out", "runs"]);
    assert_eq!(scored.code, Some(2), "half of it is wrong: {}", scored.said());
    assert!(scored.stdout.contains("4 cases: 2 first answers right (50.0 %"), "{}", scored.said());
    assert!(scored.stdout.contains("| `role` | `none` | 2 | **not the same** |"), "{}", scored.said());
    for run in std::fs::read_dir(folder.path().join("runs")).expect("a folder") {
        let run = run.expect("an entry").path();
        let text = std::fs::read_to_string(run.join("result.json")).expect("a file");
        let result: Value = serde_json::from_str(&text).expect("JSON");
        // Who is held to nothing violates nothing.
        assert_eq!(result["verdict"], "pass", "{}", run.display());
        // A refusal is logged when its client may already try again: of four, two are surely between the first attempt and the last.
        assert!(result["diagnosis"]["log"]["lines"].as_u64() >= Some(2), "{}", result["diagnosis"]);
        assert!(result["diagnosis"]["log"]["a_minute"].as_f64() > Some(0.0), "{}", result["diagnosis"]);
    }
}
