//! Start, stop, kill, reload: what survives and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Connection, Device, Got, State, Way, pairing};

#[test]
fn an_acknowledged_approval_survives_sigkill() {
    let state = State::new();
    let gateway = state.start();
    let way = Way::remote("203.0.113.7");
    let mut operator = gateway.operator();
    let device = Device::new(1);
    let (_, request_id) = pairing(&gateway.refused(&way, &device));
    // A request that waits survives as well.
    let (_, waiting) = pairing(&gateway.refused(&way, &Device::new(2)));
    operator.call("device.pair.approve", json!({"requestId": request_id}));
    let port = gateway.address.port();
    gateway.kill();

    // The same port, at once.
    let gateway = state.start_with(port, &[]);
    let session = gateway.session(&way, &device);
    let token = session.hello["auth"]["deviceToken"].clone();
    assert_eq!(pairing(&gateway.refused(&way, &Device::new(2))).1, waiting);
    gateway.kill();
    let gateway = state.start_with(port, &[]);
    gateway.session(&way, &device.auth(json!({"deviceToken": token})));
    for file in ["devices/paired.json", "devices/pending.json"] {
        let mode = std::fs::metadata(state.file(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn the_store_is_read_on_sighup_only() {
    let state = State::new();
    let gateway = state.start();
    let device = Device::new(1);
    gateway.session(&Way::local(), &device);
    let wider = device.clone().scopes(&["operator.read", "operator.write"]);

    let mut paired = state.json("devices/paired.json");
    paired[device.id()]["scopes"] = json!(["operator.read", "operator.write"]);
    state.write("devices/paired.json", &paired.to_string());
    assert_eq!(pairing(&gateway.refused(&Way::local(), &wider)).0, "scope-upgrade");
    // That refusal wrote only pending.json: the edit still stands.
    gateway.signal(Signal::HUP);
    gateway.logged("device store reloaded");
    gateway.session(&Way::local(), &wider);

    // A broken file is not taken over.
    let good = std::fs::read_to_string(state.file("devices/paired.json")).unwrap();
    state.write("devices/paired.json", &good[..good.len() / 2]);
    gateway.signal(Signal::HUP);
    let line = gateway.logged("device store not reloaded, memory kept");
    assert!(line.contains("paired.json cannot be used"), "{line}");
    gateway.session(&Way::local(), &wider);
    let (_, metrics) = gateway.get("/metrics");
    for line in [
        "gateway_store_reloads_total{result=\"ok\"} 1",
        "gateway_store_reloads_total{result=\"failed\"} 1",
        "gateway_store_load_seconds_count{when=\"start\"} 1",
        "gateway_store_load_seconds_count{when=\"reload\"} 1",
        "gateway_store_loaded_devices{when=\"start\"} 0",
        "gateway_store_loaded_devices{when=\"reload\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
}

#[test]
fn sigterm_drains() {
    let state = State::new();
    let mut gateway = state.start();
    let mut session = gateway.operator();
    let mut early = gateway.connect(&Way::local());
    gateway.signal(Signal::TERM);
    assert_eq!(session.event("shutdown"), json!({"reason": "gateway stopping", "restartExpectedMs": null}));
    assert_eq!(session.close_frame(), Some((1012, "service restart".to_owned())));
    // What is not a session yet goes without a close frame.
    assert_eq!(early.read(), Got::Gone);
    assert_eq!(gateway.wait().code(), Some(0));
    // Lazily written notes are there now.
    let used = Device::new(250);
    let entry = &state.json("devices/paired.json")[used.id()];
    assert!(entry["tokens"]["operator"].get("token").is_some());
}

#[test]
fn last_use_is_written_on_drain() {
    let state = State::new();
    let mut gateway = state.start();
    let device = Device::new(1);
    gateway.session(&Way::local(), &device);
    gateway.session(&Way::local(), &device);
    let used = |state: &State| {
        state.json("devices/paired.json")[device.id()]["tokens"]["operator"]["lastUsedAtMs"].clone()
    };
    assert!(used(&state).is_null(), "not written before");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(used(&state).is_u64());
}

#[test]
fn a_stuck_session_does_not_hold_up_the_stop() {
    let state = State::new();
    let mut gateway = state.start();
    let session = gateway.operator();
    gateway.signal(Signal::TERM);
    // Upgrades are refused while it waits for the session, which never answers.
    gateway.logged("signal received, stopping");
    let refused = Connection::open(gateway.address, &Way::local()).err().map(|error| *error);
    match refused {
        Some(tokio_tungstenite::tungstenite::Error::Http(response)) => assert_eq!(response.status(), 503),
        // It was already gone.
        Some(_) => {}
        None => panic!("an upgrade was accepted while draining"),
    }
    assert_eq!(gateway.wait().code(), Some(0));
    drop(session);
}

#[test]
fn one_gateway_a_state_directory() {
    let state = State::new();
    let first = state.start();
    let output = state.gateway_command(0, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is held by another gateway (pid "), "{said}");
    // However the first one ends, the kernel gives the lock back.
    first.kill();
    state.start();
}

/// What the lock is for: with the defect, the last writer wins, and what the other acknowledged is lost.
#[test]
fn two_gateways_on_one_state_directory_lose_what_one_of_them_acknowledged() {
    let state = State::new();
    let shared = || state.start_with(0, &["--defect", "shared-state-dir"]);
    let (first, second) = (shared(), shared());
    assert_ne!(first.address, second.address);
    let way = Way::remote("203.0.113.7");
    let mut operators = [first.operator(), second.operator()];
    for (gateway, seed) in [(&first, 1), (&second, 2)] {
        let (_, request) = pairing(&gateway.refused(&way, &Device::new(seed)));
        operators[usize::from(seed - 1)].call("device.pair.approve", json!({"requestId": request}));
        gateway.session(&way, &Device::new(seed));
    }
    first.kill();
    second.kill();
    let gateway = state.start();
    gateway.session(&way, &Device::new(2));
    assert_eq!(pairing(&gateway.refused(&way, &Device::new(1))).0, "not-paired");
}

#[test]
fn starts_that_are_refused() {
    let run = |state: &State, port: u16, more: &[&str]| {
        let output = state.gateway_command(port, more).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let state = State::new();
    let gateway = state.start();
    let (code, said) = run(&State::new(), gateway.address.port(), &[]);
    assert!(code == 1 && said.contains("cannot listen on"), "{code} {said}");

    let (code, said) = run(&State::new(), 0, &["--defect", "nonsense"]);
    assert!(code == 64 && said.contains("known: accept-unpaired"), "{code} {said}");
    let (code, _) = run(&State::new(), 0, &["--nonsense"]);
    assert_eq!(code, 64);
    for gateway in [json!({}), json!({"auth": {"mode": "trusted-proxy"}})] {
        let (code, said) = run(&State::with_gateway_config(&gateway), 0, &[]);
        assert!(code == 78 && said.contains("gateway.auth."), "{code} {said}");
    }
    for file in ["devices/paired.json", "devices/pending.json"] {
        let state = State::new();
        state.write(file, "{\"cut");
        let (code, said) = run(&state, 0, &[]);
        assert!(code == 78 && said.contains("cannot be used"), "{code} {said}");
        assert_eq!(std::fs::read_to_string(state.file(file)).unwrap(), "{\"cut", "it was touched");
    }
}

#[test]
fn a_store_that_cannot_be_written_is_not_believed() {
    let state = State::new();
    let gateway = state.start();
    let mut operator = gateway.operator();
    let way = Way::remote("203.0.113.7");
    let (_, request_id) = pairing(&gateway.refused(&way, &Device::new(1)));
    let (from, to) = (state.file("devices"), state.file("elsewhere"));
    std::fs::rename(&from, &to).unwrap();
    let response = operator.request("device.pair.approve", &json!({"requestId": request_id}));
    assert_eq!(response["error"]["code"], "UNAVAILABLE", "{response}");
    let (error, close) = gateway.refused(&way, &Device::new(2));
    assert_eq!(error["code"], "UNAVAILABLE");
    assert_eq!(close.unwrap().0, 1011);
    std::fs::rename(&to, &from).unwrap();
    // Nothing was changed, and the same approval works now.
    assert_eq!(pairing(&gateway.refused(&way, &Device::new(1))).1, request_id);
    operator.call("device.pair.approve", json!({"requestId": request_id}));
    gateway.session(&way, &Device::new(1));
}

#[test]
fn defects_break_what_they_say() {
    let way = Way::remote("203.0.113.7");

    let state = State::new();
    state.start_with(0, &["--defect", "accept-unpaired"]).session(&way, &Device::new(1));

    let state = State::new();
    let gateway = state.start_with(0, &["--defect", "wrong-reason"]);
    assert_eq!(pairing(&gateway.refused(&way, &Device::new(1))).0, "scope-upgrade");

    let state = State::new();
    let gateway = state.start_with(0, &["--defect", "forget-approval-on-restart"]);
    let mut operator = gateway.operator();
    let (_, request_id) = pairing(&gateway.refused(&way, &Device::new(1)));
    operator.call("device.pair.approve", json!({"requestId": request_id}));
    gateway.session(&way, &Device::new(1));
    gateway.kill();
    let gateway = state.start_with(0, &["--defect", "forget-approval-on-restart"]);
    assert_eq!(pairing(&gateway.refused(&way, &Device::new(1))).0, "not-paired");
    // What paired by itself stays.
    let own = Device::new(250).scopes(&protocol::scope::ALL);
    gateway.session(&way, &own);
}

#[test]
fn changes_that_arrive_together_are_all_kept() {
    let state = State::new();
    let gateway = state.start();
    let mut operator = gateway.operator();
    let way = Way::remote("203.0.113.7");
    let requests: Vec<String> =
        (1..=40).map(|seed| pairing(&gateway.refused(&way, &Device::new(seed))).1).collect();
    // All approvals at once, over as many sessions.
    std::thread::scope(|scope| {
        for request_id in &requests {
            let gateway = &gateway;
            scope.spawn(move || {
                gateway.operator().call("device.pair.approve", json!({"requestId": request_id}));
            });
        }
    });
    assert_eq!(operator.call("device.pair.list", json!({}))["paired"].as_array().unwrap().len(), 41);
    gateway.kill();
    let gateway = state.start();
    for seed in 1..=40 {
        gateway.session(&way, &Device::new(seed));
    }
}
