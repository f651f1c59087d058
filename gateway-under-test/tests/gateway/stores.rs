//! The stores of the releases, with the real binary: SIGKILL, files that stop a start, and edits while it runs.

use protocol::ProfileName;
use serde_json::{Value, json};

use crate::support::{Device, Gateway, State, Way};

/// One release a kind of store that is not `article`'s.
const STORES: [ProfileName; 2] = [ProfileName::V2026_3_13, ProfileName::V2026_9_6];

fn start(state: &State) -> Gateway {
    state.start_with(0, &["--startup-ms", "0"])
}

fn device(seed: u8, profile: ProfileName) -> Device {
    Device::new(seed).of(profile)
}

/// The id of the request that a remote connect leaves.
fn request(gateway: &Gateway, device: &Device) -> Value {
    let (error, _) = gateway.refused(&Way::remote("203.0.113.7"), device);
    assert_eq!(error["code"], "NOT_PAIRED", "{error}");
    error["details"]["requestId"].clone()
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    for profile in STORES {
        let state = State::of(profile);
        let mut gateway = start(&state);
        for seed in 1..=5 {
            let mut operator = gateway.operator_of(profile);
            let asked = request(&gateway, &device(seed, profile));
            let waiting = request(&gateway, &device(100 + seed, profile));
            operator.call("device.pair.approve", json!({"requestId": asked}));
            gateway.kill();
            gateway = start(&state);
            for paired in 1..=seed {
                gateway.session(&Way::remote("203.0.113.7"), &device(paired, profile));
            }
            assert_eq!(request(&gateway, &device(100 + seed, profile)), waiting, "{profile}");
        }
    }
}

#[test]
fn twenty_approvals_at_once_all_stand() {
    for profile in STORES {
        let state = State::of(profile);
        let gateway = start(&state);
        let mut operator = gateway.operator_of(profile);
        let requests: Vec<Value> = (1..=20).map(|seed| request(&gateway, &device(seed, profile))).collect();
        for (number, request) in requests.iter().enumerate() {
            let params = json!({"requestId": request});
            let call = json!({"type": "req", "id": format!("a{number}"), "method": "device.pair.approve", "params": params});
            operator.send(call.to_string());
        }
        let mut answered = 0;
        while answered < requests.len() {
            let text = operator.read_text();
            if text.contains("\"type\":\"res\"") {
                assert!(text.contains("\"ok\":true"), "{text}");
                answered += 1;
            }
        }
        gateway.kill();
        let gateway = start(&state);
        for seed in 1..=20 {
            gateway.session(&Way::remote("203.0.113.7"), &device(seed, profile));
        }
    }
}

/// Starts, must not, and gives the exit code.
fn refused_start(state: &State) -> i32 {
    let output = state.gateway_command(0, &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot be used") && !said.contains("secret"), "{said}");
    output.status.code().unwrap()
}

#[test]
fn the_newest_release_does_not_start_on_what_it_cannot_read() {
    let state = State::of(ProfileName::V2026_9_6);
    state.write("devices/paired.json", "{\"a\": \"secret");
    assert_eq!(refused_start(&state), 78);
    assert_eq!(std::fs::read_to_string(state.file("devices/paired.json")).unwrap(), "{\"a\": \"secret");
    let state = State::of(ProfileName::V2026_9_6);
    let garbage = "secret garbage ".repeat(200);
    state.write("state/openclaw.sqlite", &garbage);
    assert_eq!(refused_start(&state), 78);
    assert_eq!(std::fs::read_to_string(state.file("state/openclaw.sqlite")).unwrap(), garbage);
    // The older ones do, and forget.
    let state = State::of(ProfileName::V2026_3_13);
    state.write("devices/paired.json", "{\"cut");
    request(&start(&state), &device(1, ProfileName::V2026_3_13));
    assert_eq!(std::fs::read_to_string(state.file("devices/paired.json")).unwrap(), "{}");
}

#[test]
fn a_device_of_an_older_release_keeps_its_token() {
    let (old, new) = (ProfileName::V2026_2_19, ProfileName::V2026_9_6);
    let older = State::of(old);
    let gateway = start(&older);
    let mut operator = gateway.operator_of(old);
    let asked = request(&gateway, &device(1, old));
    operator.call("device.pair.approve", json!({"requestId": asked}));
    let session = gateway.session(&Way::remote("203.0.113.7"), &device(1, old));
    let token = session.hello["auth"]["deviceToken"].clone();
    gateway.kill();

    let newer = State::of(new);
    newer.write("devices/paired.json", &older.json("devices/paired.json").to_string());
    let gateway = start(&newer);
    let known = device(1, new).auth(json!({"deviceToken": token}));
    let session = gateway.session(&Way::remote("203.0.113.7"), &known);
    assert_eq!(session.hello["auth"]["deviceToken"], token);
    assert!(newer.file("devices/paired.json.migrated").exists());
}
