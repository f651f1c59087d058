//! Pairing, tokens and events over their whole life.

use serde_json::json;

use crate::support::{Device, State, TOKEN, Way, pairing};

fn strings(value: &serde_json::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn a_remote_device_from_first_ask_to_removal() {
    let state = State::new();
    let gateway = state.start();
    let mut operator = gateway.operator();
    let way = Way::remote("203.0.113.7");
    let device = Device::new(1).set("/client/displayName", json!("Box"));

    // Refused, and one request waits under a stable id.
    let (reason, request_id) = pairing(&gateway.refused(&way, &device));
    assert_eq!(reason, "not-paired");
    let requested = operator.event("device.pair.requested");
    assert_eq!(requested["requestId"], request_id.as_str());
    assert_eq!(requested["remoteIp"], "203.0.113.7");
    assert_eq!(requested["displayName"], "Box");
    assert_eq!(requested["isRepair"], false);
    assert_eq!(pairing(&gateway.refused(&way, &device)).1, request_id);
    // A wider ask merges into it, without an event.
    let wider = device.clone().scopes(&["operator.write"]);
    assert_eq!(pairing(&gateway.refused(&way, &wider)).1, request_id);
    let list = operator.call("device.pair.list", json!({}));
    assert_eq!(list["pending"].as_array().unwrap().len(), 1);
    assert_eq!(strings(&list["pending"][0]["scopes"]), ["operator.read", "operator.write"]);

    // Approved: in with the shared token and a device token in hello.
    let approved = operator.call("device.pair.approve", json!({"requestId": request_id}));
    assert_eq!(approved["requestId"], request_id.as_str());
    assert_eq!(approved["device"]["deviceId"], device.id());
    assert_eq!(strings(&approved["device"]["scopes"]), ["operator.read", "operator.write"]);
    assert!(approved["device"]["tokens"][0].get("token").is_none(), "a secret in {approved}");
    let resolved = operator.event("device.pair.resolved");
    assert_eq!(resolved["decision"], "approved");
    assert_eq!(operator.denied("device.pair.approve", json!({"requestId": request_id})), "unknown requestId");
    let session = gateway.session(&way, &device);
    let auth = &session.hello["auth"];
    assert_eq!(strings(&auth["scopes"]), ["operator.read", "operator.write"], "scopes of the token");
    let token = auth["deviceToken"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 43);

    // The device token alone, in either place, stays the same.
    for auth in [json!({"deviceToken": token}), json!({"token": token})] {
        let session = gateway.session(&way, &device.clone().auth(auth));
        assert_eq!(session.hello["auth"]["deviceToken"], token.as_str());
    }
    // More than approved with the device token: a credential refusal without a request.
    let beyond = device.clone().scopes(&["operator.admin"]).auth(json!({"deviceToken": token}));
    let (error, _) = gateway.refused(&way, &beyond);
    assert_eq!(error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    assert_eq!(operator.call("device.pair.list", json!({}))["pending"], json!([]));
    // With the shared token: a scope upgrade, even locally; admin would not cover the rest.
    let beyond = device.clone().scopes(&["operator.admin"]);
    let (reason, upgrade) = pairing(&gateway.refused(&Way::local(), &beyond));
    assert_eq!(reason, "scope-upgrade");
    let line = gateway.logged("device access upgrade requested reason=scope-upgrade");
    assert!(line.contains("scopesFrom=operator.read,operator.write scopesTo=operator.admin"), "{line}");
    let rejected = operator.call("device.pair.reject", json!({"requestId": upgrade}));
    assert_eq!(rejected, json!({"requestId": upgrade, "deviceId": device.id()}));
    assert_eq!(pairing(&gateway.refused(&way, &device.clone().role("node"))).0, "role-upgrade");
    let other_platform = device.clone().set("/client/platform", json!("darwin"));
    assert_eq!(pairing(&gateway.refused(&way, &other_platform)).0, "metadata-upgrade");
    gateway.session(&way, &device.clone().set("/client/platform", json!(" LINUX ")));

    // Rotate voids the old token and may widen; revoke voids, and the shared secret gets a new one.
    let rotated = operator.call(
        "device.token.rotate",
        json!({"deviceId": device.id(), "role": "operator", "scopes": ["operator.write", "operator.admin"]}),
    );
    assert_eq!(strings(&rotated["scopes"]), ["operator.admin", "operator.write"]);
    let (error, _) = gateway.refused(&way, &device.clone().auth(json!({"deviceToken": token})));
    assert_eq!(error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    gateway.session(&way, &beyond.auth(json!({"deviceToken": rotated["token"]})));
    let revoked = operator.call("device.token.revoke", json!({"deviceId": device.id(), "role": "operator"}));
    assert_eq!(revoked["role"], "operator");
    let (error, _) = gateway.refused(
        &way,
        &device.clone().scopes(&["operator.write"]).auth(json!({"deviceToken": rotated["token"]})),
    );
    assert_eq!(error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    let session = gateway.session(&way, &device);
    assert_eq!(strings(&session.hello["auth"]["scopes"]), ["operator.read"]);

    // Removed: sessions stay open, the next connect is not paired again.
    let mut open = session;
    assert_eq!(
        operator.call("device.pair.remove", json!({"deviceId": device.id()})),
        json!({"deviceId": device.id()})
    );
    assert_eq!(open.call("health", json!({}))["ok"], true);
    assert_eq!(pairing(&gateway.refused(&way, &device)).0, "not-paired");
    assert_eq!(operator.denied("device.pair.remove", json!({"deviceId": "nobody"})), "unknown deviceId");
    for method in ["device.token.rotate", "device.token.revoke"] {
        assert_eq!(
            operator.denied(method, json!({"deviceId": "nobody", "role": "operator"})),
            "unknown deviceId/role"
        );
    }
    assert!(!gateway.log_text().contains(&token), "a token in the log");
    assert!(!gateway.log_text().contains(TOKEN), "the shared token in the log");
}

#[test]
fn a_local_device_pairs_by_itself() {
    let state = State::new();
    let gateway = state.start();
    let mut operator = gateway.operator();
    let device = Device::new(1).scopes(&["operator.read", "operator.admin"]);
    let session = gateway.session(&Way::local(), &device);
    assert_eq!(strings(&session.hello["auth"]["scopes"]), ["operator.admin", "operator.read"]);
    let resolved = operator.event("device.pair.resolved");
    assert_eq!((&resolved["deviceId"], &resolved["decision"]), (&json!(device.id()), &json!("approved")));
    let stored = &state.json("devices/paired.json")[device.id()];
    assert_eq!(stored["publicKey"], device.public_key());
    assert_eq!(stored["scopes"], json!(["operator.read", "operator.admin"]));
    assert_eq!(stored["approvedScopes"], stored["scopes"]);
    assert_eq!(stored["tokens"]["operator"]["token"], session.hello["auth"]["deviceToken"]);
    assert!(stored.get("remoteIp").is_none());
    // A node's token has no scopes.
    let node = Device::new(2).role("node").scopes(&[]);
    let session = gateway.session(&Way::local(), &node);
    assert_eq!(session.hello["auth"]["role"], "node");
    assert_eq!(session.hello["auth"]["scopes"], json!([]));
}

#[test]
fn sessions_may_call_what_they_hold() {
    let state = State::new();
    let gateway = state.start();
    let mut reader = gateway.session(&Way::local(), &Device::new(1));
    let mut node = gateway.session(&Way::local(), &Device::new(2).role("node").scopes(&[]));
    let mut operator = gateway.operator();

    assert_eq!(reader.call("health", json!({}))["ok"], true);
    assert_eq!(reader.call("status", json!({}))["profile"], "article");
    assert_eq!(reader.denied("device.pair.list", json!({})), "missing scope: operator.pairing");
    assert_eq!(reader.denied("no.such.method", json!({})), "unknown method: no.such.method");
    assert_eq!(reader.denied("connect", json!({})), "connect is only valid as the first request");
    assert_eq!(node.denied("device.pair.list", json!({})), "unauthorized role: node");
    assert_eq!(
        operator.denied("device.pair.approve", json!({})),
        "invalid device.pair.approve params: must have required property 'requestId'"
    );
    assert_eq!(operator.denied("device.pair.approve", json!({"requestId": "x"})), "unknown requestId");
    assert_eq!(
        operator.denied("device.pair.list", json!({"x": 1})),
        "invalid device.pair.list params: at root: unexpected property 'x'"
    );

    // Text that is not JSON gets no answer; JSON that is no request gets one.
    reader.send("{bad json after connect");
    reader.send(json!({"type": "event", "event": "x"}).to_string());
    let crate::support::Got::Json(answer) = reader.read() else { panic!("no answer") };
    assert_eq!(answer["id"], "invalid");
    assert_eq!(
        answer["error"]["message"],
        "invalid request frame: must have required property 'id'; must have required property 'method'; at root: \
         unexpected property 'event'; at /type: must be equal to constant"
    );
    // So does JSON that cannot be held to the shape of a frame.
    for odd in ["1e999", "[[", "\"\\ud800\""] {
        let odd =
            if odd == "[[" { format!("{}{}", "[".repeat(200), "]".repeat(200)) } else { odd.to_owned() };
        reader.send(format!("{{\"type\":\"req\",\"id\":\"1\",\"method\":\"health\",\"odd\":{odd}}}"));
        let crate::support::Got::Json(answer) = reader.read() else { panic!("no answer") };
        assert_eq!(answer["id"], "invalid");
        assert_eq!(answer["error"]["message"], "invalid request frame: validation error");
    }

    // Only operators with operator.pairing hear of requests: the next thing the others get is an answer.
    pairing(&gateway.refused(&Way::remote("203.0.113.9"), &Device::new(3)));
    operator.event("device.pair.requested");
    for session in [&mut reader, &mut node] {
        session.send(json!({"type": "req", "id": "after", "method": "health"}).to_string());
        let crate::support::Got::Json(answer) = session.read() else { panic!("no answer") };
        assert_eq!(answer["id"], "after", "{answer}");
    }
}

#[test]
fn hello_says_what_is_served() {
    let state = State::new();
    let gateway = state.start();
    let mut session = gateway.operator();
    let hello = session.hello.clone();
    assert_eq!(hello["type"], "hello-ok");
    assert_eq!(hello["protocol"], 3);
    assert_eq!(hello["snapshot"]["authMode"], "token");
    assert_eq!(
        hello["policy"],
        json!({"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000})
    );
    for method in strings(&hello["features"]["methods"]) {
        let response = session.request(method, &json!({}));
        let message = response["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.starts_with("unknown method"), "{method}: {response}");
    }
    // After hello the limit of messages is another one.
    session.send(
        json!({"type": "req", "id": "big", "method": "health", "params": {"pad": "x".repeat(200_000)}})
            .to_string(),
    );
    let crate::support::Got::Json(answer) = session.read() else { panic!("no answer to a big message") };
    assert_eq!((&answer["id"], &answer["ok"]), (&json!("big"), &json!(true)));
}

#[test]
fn an_old_request_is_gone() {
    let state = State::new();
    let gateway = state.start();
    let (_, request_id) = pairing(&gateway.refused(&Way::remote("203.0.113.7"), &Device::new(1)));
    drop(gateway);

    // The same request, 300 s old on disk.
    let mut pending = state.json("devices/pending.json");
    let ts = pending[&request_id]["ts"].as_u64().unwrap();
    pending[&request_id]["ts"] = json!(ts - 300_000);
    state.write("devices/pending.json", &pending.to_string());
    let gateway = state.start();
    let mut operator = gateway.operator();
    assert_eq!(operator.call("device.pair.list", json!({}))["pending"], json!([]));
    assert_eq!(operator.denied("device.pair.approve", json!({"requestId": request_id})), "unknown requestId");
    let (_, new) = pairing(&gateway.refused(&Way::remote("203.0.113.7"), &Device::new(1)));
    assert_ne!(new, request_id);
}

#[test]
fn a_legacy_entry_is_cured_by_restart_and_reconnect_only() {
    let state = State::new();
    let device = Device::new(1);
    let way = Way::remote("203.0.113.7");
    let entry = json!({device.id(): {
        "deviceId": device.id(), "publicKey": device.public_key(), "role": "operator", "scopes": ["operator.read"],
        "tokens": {}, "createdAtMs": 1, "approvedAtMs": 1, "kept": {"by": "hand"},
    }});
    state.write("devices/paired.json", &entry.to_string());
    let gateway = state.start();
    let (reason, request_id) = pairing(&gateway.refused(&way, &device));
    assert_eq!(reason, "metadata-upgrade");
    // Reconnecting alone does not help.
    assert_eq!(pairing(&gateway.refused(&way, &device)), ("metadata-upgrade".to_owned(), request_id));
    gateway.kill();

    let gateway = state.start();
    gateway.session(&way, &device);
    let stored = &state.json("devices/paired.json")[device.id()];
    assert_eq!(stored["platform"], "linux");
    assert_eq!(stored["kept"], json!({"by": "hand"}));
    assert_eq!(state.json("devices/pending.json"), json!({}));
}
