//! The `devices` command against a running gateway.

use std::process::Output;

use protocol::ProfileName;
use serde_json::{Value, json};

use crate::support::{Device, PROXY, State, TOKEN, Way, pairing};

#[track_caller]
fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_operator_works_with_the_command() {
    let state = State::new();
    let gateway = state.start();
    let way = Way::remote("203.0.113.7");
    let device = Device::new(1);
    assert!(failed(&state.devices(&["approve", "--latest"])).contains("No pending device pairing requests"));

    // One waits: --latest approves it.
    let (_, request_id) = pairing(&gateway.refused(&way, &device));
    assert!(said(&state.devices(&["list"])).contains(&request_id));
    let approved = said(&state.devices(&["approve", "--latest"]));
    assert_eq!(approved, format!("Approved {} ({request_id})\n", device.id()));
    gateway.session(&way, &device);

    // Several wait: nothing is approved, all are named.
    let waiting: Vec<String> =
        [2, 3].map(|seed| pairing(&gateway.refused(&way, &Device::new(seed))).1).to_vec();
    for args in [&["approve", "--latest"][..], &["approve"][..]] {
        let text = failed(&state.devices(args));
        assert!(text.contains("2 requests wait; nothing was approved"), "{text}");
        assert!(waiting.iter().all(|id| text.contains(id)), "{text}");
    }
    assert_eq!(
        said(&state.devices(&["reject", &waiting[0]])),
        format!("Rejected {} ({})\n", Device::new(2).id(), waiting[0])
    );
    said(&state.devices(&["approve", &waiting[1]]));
    assert!(failed(&state.devices(&["approve", &waiting[1]])).contains("unknown requestId"));

    let list: Value = serde_json::from_str(&said(&state.devices(&["list", "--json"]))).unwrap();
    assert_eq!(list["pending"], json!([]));
    assert_eq!(list["paired"].as_array().unwrap().len(), 3, "two devices and the command's own");

    let rotated: Value = serde_json::from_str(&said(&state.devices(&[
        "rotate",
        "--device",
        &device.id(),
        "--role",
        "operator",
        "--scope",
        "operator.read",
        "--scope",
        "operator.write",
    ])))
    .unwrap();
    let wide = device.clone().scopes(&["operator.write"]).auth(json!({"deviceToken": rotated["token"]}));
    gateway.session(&way, &wide);
    let revoked: Value = serde_json::from_str(&said(&state.devices(&[
        "revoke",
        "--device",
        &device.id(),
        "--role",
        "operator",
    ])))
    .unwrap();
    assert_eq!(revoked["deviceId"], device.id());
    let (error, _) = gateway.refused(&way, &wide);
    assert_eq!(error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    assert_eq!(said(&state.devices(&["remove", &device.id()])), format!("Removed {}\n", device.id()));
    assert!(failed(&state.devices(&["remove", &device.id()])).contains("unknown deviceId"));
}

#[test]
fn it_says_why_it_cannot() {
    let state = State::new();
    let gateway = state.start();
    let address = gateway.address;
    let text = failed(&state.devices(&["--token", "wrong", "list"]));
    assert!(text.contains("unauthorized: gateway token mismatch"), "{text}");
    // Another state directory, given address and token.
    let elsewhere = State::with_gateway_config(&json!({}));
    let url = format!("ws://{address}");
    said(&elsewhere.devices(&["list", "--url", &url, "--token", TOKEN]));
    gateway.kill();
    let text = failed(&state.devices(&["list"]));
    assert!(text.contains(&format!("no gateway answers at ws://{address}")), "{text}");
    // Trusting the loopback address makes the command remote, as the reference observed.
    let state = State::with_gateway_config(
        &json!({"auth": {"token": TOKEN}, "trustedProxies": ["127.0.0.1", PROXY]}),
    );
    let _gateway = state.start();
    let text = failed(&state.devices(&["list"]));
    assert!(text.contains("gateway connect failed: pairing required (not-paired)"), "{text}");
}

#[test]
fn the_command_has_the_ways_of_the_release() {
    for profile in ProfileName::ALL.into_iter().filter(|profile| *profile != ProfileName::Article) {
        let state = State::of(profile);
        let gateway = state.start_with(0, &["--startup-ms", "0"]);
        let newest = profile == ProfileName::V2026_9_6;
        // 2026.2.22 asks nobody for this operator's pairing: a node, which it does ask for.
        let ask = |seed: u8| {
            let device = Device::new(seed).role("node").scopes(&[]).of(profile);
            let (error, _) = gateway.refused(&Way::remote("203.0.113.7"), &device);
            (device.id(), error["details"]["requestId"].as_str().unwrap().to_owned())
        };
        let (_, older) = ask(1);
        let (device, request) = ask(2);
        let output = state.devices(&["approve", "--latest"]);
        let approved = format!("Approved {device} ({request})\n");
        if newest {
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            assert!(text.starts_with(&format!("Selected pending device request {request}\n")), "{text}");
            let how = format!("Approve this exact request with: openclaw devices approve {request}\n");
            assert_eq!(failed(&output), how);
            assert_eq!(said(&state.devices(&["approve", &request])), approved);
        } else {
            assert_eq!(said(&output), approved, "{profile}: the newest of two");
        }
        let output = state.devices(&["approve", &request]);
        let refused = match profile {
            ProfileName::V2026_9_6 => {
                "[openclaw] The CLI command failed.\n[openclaw] Reason: unknown requestId\n"
            }
            ProfileName::V2026_3_13 => {
                "[openclaw] Failed to start CLI: GatewayClientRequestError: unknown requestId\n"
            }
            _ => "[openclaw] Failed to start CLI: Error: unknown requestId\n",
        };
        assert!(failed(&output).starts_with(refused), "{profile}: {}", failed(&output));
        let output = state.devices(&["rotate", "--device", "nobody", "--role", "operator"]);
        if newest {
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            let report = json!({"ok": false, "error": {"type": "cli_error", "message": "device token rotation denied"}});
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), report);
        }
        failed(&output);
        said(&state.devices(&["reject", &older]));

        let output = state.devices(&["--token", "wrong", "list"]);
        let text = failed(&output);
        if newest {
            assert!(text.contains("[openclaw] Reason: unauthorized: "), "{text}");
        } else {
            assert!(text.contains("gateway connect failed: "), "{profile}: {text}");
            assert!(text.contains("gateway closed (1008): unauthorized: "), "{profile}: {text}");
        }
    }
}

/// Case r06-cli of 2026.3.13, in which the command's own device is listed; reference, section 2.1, for 2026.2.19.
#[test]
fn the_command_holds_what_its_release_asks_for_and_may_rotate_what_it_holds() {
    let three = json!(["operator.admin", "operator.approvals", "operator.pairing"]);
    let five = json!([
        "operator.admin",
        "operator.read",
        "operator.write",
        "operator.approvals",
        "operator.pairing"
    ]);
    for (profile, asked) in [(ProfileName::V2026_2_19, three), (ProfileName::V2026_3_13, five)] {
        let state = State::of(profile);
        let gateway = state.start();
        let node = Device::new(1).role("node").scopes(&["operator.read"]).of(profile);
        let (error, _) = gateway.refused(&Way::remote("203.0.113.7"), &node);
        said(&state.devices(&["approve", error["details"]["requestId"].as_str().unwrap()]));
        let list: Value = serde_json::from_str(&said(&state.devices(&["list", "--json"]))).unwrap();
        let paired = list["paired"].as_array().unwrap();
        let own = paired.iter().find(|device| device["deviceId"] != node.id().as_str()).unwrap();
        assert_eq!(own["scopes"], asked, "{profile:?}");
        // 2026.3.13 lets nobody rotate a token to scopes that he does not hold, and an admin's do not cover those of a node.
        said(&state.devices(&["rotate", "--device", &node.id(), "--role", "node"]));
    }
}
