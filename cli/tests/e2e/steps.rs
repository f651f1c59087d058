//! Stories: steps, one after the other, against a real gateway process.

use crate::common::{pairstorm, scenario, scratch, write};

#[test]
fn the_scope_ladder_is_climbed() {
    let folder = scratch();
    let ladder = scenario("sequence/scope-ladder.toml");
    let finished = pairstorm(folder.path(), &["run", &ladder, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["attempts"]["attempted"], 10, "{}", finished.said());
    assert_eq!(result["approval_to_session"]["acknowledged"], 2, "{}", finished.said());
}

#[test]
fn a_gateway_that_forgets_breaks_the_story() {
    let folder = scratch();
    let ladder = scenario("sequence/scope-ladder.toml");
    let arguments = ["run", &ladder, "--json", "--out", "run", "--defect", "accept-unpaired"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert!(finished.result()["mismatches"]["false_accept"].as_u64() > Some(0), "{}", finished.said());
}

/// In `article` the store is read at start and on SIGHUP; an edit shows then and not before.
#[test]
fn an_edit_of_the_store_shows_after_a_reload() {
    let folder = scratch();
    let story = r#"
name = "edit"
oracle = "expectations"
[cohort.laptop]
persona = "cli"
count = 1
scopes = ["operator.read"]
[cohort.laptop.expect]
outcome = "session"
[[step]]
connect = "laptop"
hold = true
[[step]]
edit = { client = "laptop", entry = "drop" }
[[step]]
edit = { client = "laptop", scopes = ["operator.admin"] }
[[step]]
reload = true
[[step]]
wait = "500ms"
[[step]]
connect = "laptop"
credential = "first-device-token"
expect = { outcome = "refused", detail_code = "AUTH_DEVICE_TOKEN_MISMATCH" }
[[step]]
drop = "laptop"
"#;
    let story = write(folder.path(), "edit.toml", story);
    let finished = pairstorm(folder.path(), &["run", &story, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert_eq!(finished.result()["attempts"]["attempted"], 2, "{}", finished.said());
}

#[test]
fn a_story_goes_on_through_a_clients_own_session() {
    let folder = scratch();
    let story = r#"
name = "self"
oracle = "expectations"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[cohort.boss]
persona = "cli"
count = 1
scopes = ["operator.pairing"]
[cohort.boss.expect]
outcome = "session"
[cohort.phone]
persona = "ios"
count = 1
path = "proxy"
[[step]]
connect = "boss"
hold = true
[[step]]
connect = "phone"
expect = { outcome = "refused" }
[[step]]
approve = "latest"
as = "boss"
[[step]]
connect = "phone"
expect = { outcome = "session" }
"#;
    let story = write(folder.path(), "self.toml", story);
    let finished = pairstorm(folder.path(), &["run", &story, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    assert_eq!(finished.result()["approval_to_session"]["acknowledged"], 1, "{}", finished.said());
}

/// In a story, too: its clients have few records, and none of them waits for the story's end.
#[test]
fn fail_fast_stops_a_story() {
    let folder = scratch();
    let mut story = r#"
name = "wrong"
max_time = "120s"
oracle = "expectations"
[cohort.laptop]
persona = "cli"
count = 1
[cohort.laptop.expect]
outcome = "refused"
[[step]]
connect = "laptop"
"#
    .to_owned();
    // Looks are taken by the clock; a slow machine has 60 s for the first one.
    story.push_str(&"[[step]]\nwait = \"200ms\"\n".repeat(300));
    story.push_str("[[step]]\nconnect = \"laptop\"\n");
    let story = write(folder.path(), "wrong.toml", &story);
    let finished = pairstorm(folder.path(), &["run", &story, "--fail-fast", "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["ended_by"], "fail_fast", "{}", finished.said());
    assert_eq!(result["attempts"]["attempted"], 1, "{}", finished.said());
}
