//! Every profile: the in-repo gateway stands in for it, the oracle holds it to it.

use serde_json::Value;

use crate::common::{Finished, binary, pairstorm, scenario, scratch, write};

/// The first contact of a few clients with the in-repo gateway as `profile`.
fn first_contact(profile: &str) {
    let folder = scratch();
    let file = scenario("first-contact.toml");
    let arguments = ["run", &file, "--profile", profile, "--clients", "20", "--json", "--out", "run"];
    let finished = pairstorm(folder.path(), &arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    assert_eq!(result["profile"], profile, "{}", finished.said());
    assert_eq!(result["mismatches"]["total"], 0, "{}", finished.said());
    let cohorts = result["cohorts"].as_array().expect("a list");
    for cohort in cohorts {
        assert_eq!(cohort["clients"], cohort["clients_with_session"], "all got in: {}", finished.said());
    }
}

#[test]
fn first_contact_with_article() {
    first_contact("article");
}

#[test]
fn first_contact_with_2026_2_19() {
    first_contact("2026.2.19");
}

#[test]
fn first_contact_with_2026_2_21() {
    first_contact("2026.2.21");
}

#[test]
fn first_contact_with_2026_2_22() {
    first_contact("2026.2.22");
}

#[test]
fn first_contact_with_2026_3_13() {
    first_contact("2026.3.13");
}

#[test]
fn first_contact_with_2026_9_6() {
    first_contact("2026.9.6");
}

/// A story of one device against a build of anyone's own; for us the gateway of this repository stands in for it.
fn own_build(release: &str, ready: &str) -> (Finished, String) {
    let folder = scratch();
    let program = binary().display();
    let text = format!(
        r#"
name = "own-build"
[gateway]
launch = {{ command = ["{program}", "gateway", "--profile", "{release}", "--state-dir", "{{state}}", "--port", "{{port}}"], ready = {ready}, profile = "2026.3.13" }}
[cohort.laptop]
persona = "macos-app"
count = 1
[cohort.laptop.expect]
outcome = "session"
[[step]]
connect = "laptop"
[[step]]
restart = "SIGKILL"
[[step]]
connect = "laptop"
credential = "device-token"
"#
    );
    let file = write(folder.path(), "own-build.toml", &text);
    let finished = pairstorm(folder.path(), &["run", &file, "--json", "--out", "run"]);
    let log = std::fs::read_to_string(folder.path().join("run/gateway.log")).unwrap_or_default();
    (finished, log)
}

#[test]
fn anyones_own_build_is_launched_restarted_and_held_to_a_release() {
    for ready in ["\"handshake\"", "{ line = \"listening on ws://\" }", "{ http = \"/readyz\" }"] {
        let (finished, log) = own_build("2026.3.13", ready);
        assert_eq!(finished.code, Some(0), "{ready}: {}", finished.said());
        let result = finished.result();
        assert_eq!(result["attempts"]["session"], 2, "{ready}: {}", finished.said());
        assert_eq!(result["restarts"].as_array().map(Vec::len), Some(1), "{ready}: {}", finished.said());
        assert_eq!(log.matches("[gateway] listening on").count(), 2, "its log is kept: {log}");
    }
}

#[test]
fn anyones_own_build_that_is_another_release_is_found_out() {
    // Clients of 2026.3.13 sign payload v3, which 2026.2.22 does not know.
    let (finished, _) = own_build("2026.2.22", "\"handshake\"");
    assert_eq!(finished.code, Some(1), "{}", finished.said());
    assert_ne!(finished.result()["mismatches"]["total"], Value::from(0), "{}", finished.said());
}

/// 2026.9.6 lets an address have 32 sockets without `connect`. Who dials directly is spread over addresses and never meets
/// that; a text in `forwarded_for` makes a whole cohort one address.
#[test]
fn a_limit_by_address_is_met_on_purpose_only() {
    let folder = scratch();
    let text = r#"
name = "crowd"
time_scale = 0.2
[gateway]
profile = "2026.9.6"
[gateway.config.gateway]
trustedProxies = ["127.2.0.1"]
[path.proxy]
from = "127.2.0.1"
forwarded_for = "each client its own"
[path.office]
from = "127.2.0.1"
forwarded_for = "203.0.113.200"
[cohort.direct]
persona = "macos-app"
count = 60
deviation = "silent"
arrivals.herd = {}
reconnect.attempts_max = 1
[cohort.apart]
persona = "macos-app"
count = 60
path = "proxy"
deviation = "silent"
arrivals.herd = {}
reconnect.attempts_max = 1
[cohort.together]
persona = "macos-app"
count = 60
path = "office"
deviation = "silent"
arrivals.herd = {}
reconnect.attempts_max = 1
[validity]
lag_p99_max = "10s"
scheduler_delay_share_max = 1.0
indeterminate_share_max = 0.5
"#;
    let file = write(folder.path(), "crowd.toml", text);
    let finished = pairstorm(folder.path(), &["run", &file, "--json", "--out", "run"]);
    assert_eq!(finished.code, Some(0), "{}", finished.said());
    let result = finished.result();
    // Of the 60 at one address 28 are, unless the machine is so slow that some have been closed by then.
    for (cohort, met) in result["cohorts"].as_array().expect("a list").iter().zip([false, false, true]) {
        assert_eq!(cohort["attempts"]["upgrade_refused"].as_u64() > Some(0), met, "{}", finished.said());
    }
}
