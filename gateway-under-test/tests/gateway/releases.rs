//! What is around the decision, release by release: transport, limits, pipelining, hello, calls, events, start and end.
//! The decisions themselves are the policy's tests.

use protocol::ProfileName::{self, Article, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Connection, Device, Gateway, Got, State, Way};

const RELEASES: [ProfileName; 5] = [V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6];
const OLD: [ProfileName; 4] = [V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13];

fn start(profile: ProfileName) -> (State, Gateway) {
    let state = State::of(profile);
    let gateway = state.start_with(0, &["--startup-ms", "0"]);
    (state, gateway)
}

fn frame(id: &str, method: &str, params: &Value) -> String {
    json!({"type": "req", "id": id, "method": method, "params": params}).to_string()
}

fn close(code: u16, reason: &str) -> Option<(u16, String)> {
    Some((code, reason.to_owned()))
}

/// The device's `connect` on this connection, as a message.
fn connect(connection: &Connection, device: &Device, id: &str) -> String {
    frame(id, "connect", &device.signed(&connection.nonce, connection.challenge_ms))
}

#[test]
fn plain_requests_get_what_the_release_serves() {
    const HTML: &str = "text/html; charset=utf-8";
    const JSON: &str = "application/json; charset=utf-8";
    for profile in RELEASES {
        let (_state, gateway) = start(profile);
        for path in ["/", "/nope", "/chat/x?y=z"] {
            let (status, kind, body) = gateway.page(path);
            assert_eq!((status, kind.as_str()), (200, HTML), "{profile} {path}");
            assert!(body.starts_with("<!doctype html>\n<html"), "{profile} {path}: {body}");
            assert_eq!(body.contains("data-openclaw-control-ui-build-id=\"2026.9.6-"), profile == V2026_9_6);
        }
        for path in ["/health", "/healthz", "/readyz"] {
            let (status, kind, body) = gateway.page(path);
            let probes = matches!(profile, V2026_3_13 | V2026_9_6);
            assert_eq!((status, kind.as_str()), (200, if probes { JSON } else { HTML }), "{profile} {path}");
            if probes && path != "/readyz" {
                assert_eq!(body, "{\"ok\":true,\"status\":\"live\"}");
            } else if probes {
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!((&body["ready"], &body["failing"]), (&json!(true), &json!([])));
                assert_eq!(body.get("eventLoop").is_some(), profile == V2026_9_6);
            }
        }
        let address = gateway.address;
        let post = |path: &str| {
            gateway.http(&format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
        };
        let not_allowed = (405, "Method Not Allowed".to_owned());
        let not_found = (404, "Not Found".to_owned());
        let newer = matches!(profile, V2026_3_13 | V2026_9_6);
        assert_eq!(post("/health"), not_allowed);
        assert_eq!(post("/x"), if newer { not_found.clone() } else { not_allowed }, "{profile}");
        assert_eq!(gateway.get("/nope.js") == not_found, newer || profile == V2026_2_22, "{profile}");
        assert_eq!(gateway.get("/api/x") == not_found, newer, "{profile}");
    }
}

#[test]
fn sockets_without_hello_are_counted_by_address() {
    let (_state, gateway) = start(V2026_9_6);
    let refusal = (503, "Too many unauthenticated sockets".to_owned());
    let mut local: Vec<_> = (0..32).map(|_| gateway.connect(&Way::local())).collect();
    assert_eq!(gateway.not_upgraded(&Way::local()), refusal);
    let remote: Vec<_> = (0..32).map(|_| gateway.connect(&Way::remote("203.0.113.7"))).collect();
    assert_eq!(gateway.not_upgraded(&Way::remote("203.0.113.7")), refusal);
    gateway.connect(&Way::remote("203.0.113.8"));
    // A hello gives its place to the next.
    let mut session = local.pop().unwrap();
    let params = Device::new(1).of(V2026_9_6).signed(&session.nonce, session.challenge_ms);
    assert_eq!(session.request("connect", &params)["ok"], true);
    local.push(gateway.connect(&Way::local()));
    assert_eq!(gateway.not_upgraded(&Way::local()), refusal);
    drop(remote);

    for profile in OLD {
        let (_state, gateway) = start(profile);
        let _open: Vec<_> = (0..40).map(|_| gateway.connect(&Way::local())).collect();
    }
}

#[test]
fn first_messages_are_bounded_as_the_release_bounds_them() {
    for profile in RELEASES {
        let (_state, gateway) = start(profile);
        for bytes in [70_000, 600_000] {
            let mut connection = gateway.connect(&Way::local());
            connection.send(frame("1", "connect", &json!({"pad": "x".repeat(bytes)})));
            if matches!(profile, V2026_3_13 | V2026_9_6) {
                assert_eq!(connection.close_frame(), close(1009, ""), "{profile}");
            } else {
                let message = connection.response()["error"]["message"].as_str().unwrap().to_owned();
                assert!(message.starts_with("invalid connect params: "), "{profile}: {message}");
            }
        }
    }
}

#[test]
fn a_message_behind_connect_ends_it_on_old_releases() {
    for profile in OLD {
        let (_state, gateway) = start(profile);
        let device = Device::new(1).of(profile);

        // Refused, and connect gets no answer at all.
        let mut connection = gateway.connect(&Way::local());
        let messages = [connect(&connection, &device, "1"), frame("2", "health", &json!({}))];
        connection.send_together(messages);
        let message = "invalid handshake: first request must be connect";
        let answer = connection.response();
        assert_eq!((&answer["id"], &answer["error"]["message"]), (&json!("2"), &json!(message)), "{profile}");
        assert_eq!(connection.close_frame(), close(1008, message));
        // What connect did stands.
        let mut operator = gateway.operator_of(profile);
        let paired = operator.call("device.pair.list", json!({}))["paired"].clone();
        let is_paired = paired.as_array().unwrap().iter().any(|entry| entry["deviceId"] == device.id());
        // 2.22 does not look at the devices of operators with the shared secret.
        assert_eq!(is_paired, profile != V2026_2_22, "{profile}: {paired}");

        let mut connection = gateway.connect(&Way::local());
        let messages = [connect(&connection, &device, "1"), "{nope".to_owned()];
        connection.send_together(messages);
        assert_eq!(connection.close_frame(), close(1000, ""), "{profile}");

        let mut connection = gateway.connect(&Way::local());
        let messages = [connect(&connection, &device, "1"), connect(&connection, &device, "2")];
        connection.send_together(messages);
        let answers = [connection.response(), connection.response()];
        assert_eq!(answers.each_ref().map(|answer| answer["ok"] == true), [true, true], "{profile}");
        assert_eq!(
            answers[0]["payload"]["auth"]["deviceToken"],
            answers[1]["payload"]["auth"]["deviceToken"]
        );
        assert_eq!(connection.request("status", &json!({}))["ok"], true, "the session goes on");

        // A pairing refusal does not win over what is refused for what it says.
        let mut connection = gateway.connect(&Way::remote("203.0.113.7"));
        let unpaired = Device::new(2).of(profile);
        let messages = [connect(&connection, &unpaired, "1"), frame("2", "health", &json!({}))];
        connection.send_together(messages);
        assert_eq!(connection.response()["id"], "2", "{profile}");
    }
}

#[test]
fn messages_behind_connect_wait_in_a_queue_on_the_newest() {
    let (_state, gateway) = start(V2026_9_6);
    let device = Device::new(1).of(V2026_9_6);
    let mut connection = gateway.connect(&Way::local());
    let messages = [
        connect(&connection, &device, "1"),
        frame("2", "health", &json!({})),
        connect(&connection, &device, "3"),
    ];
    connection.send_together(messages);
    let answers = [connection.response(), connection.response(), connection.response()];
    assert_eq!(answers.each_ref().map(|answer| answer["id"].as_str().unwrap()), ["1", "2", "3"]);
    assert_eq!((&answers[0]["ok"], &answers[1]["ok"]), (&json!(true), &json!(true)));
    // This one has no admin scope: the call itself is denied before it is looked at.
    assert_eq!(answers[2]["error"]["message"], "missing scope: operator.admin");

    for (behind, overflows) in [(15, false), (16, true)] {
        let mut connection = gateway.connect(&Way::local());
        let first = connect(&connection, &device, "0");
        let more = (1..=behind).map(|id| frame(&id.to_string(), "health", &json!({})));
        connection.send_together([first].into_iter().chain(more));
        if overflows {
            assert_eq!(connection.close_frame(), close(1008, "too many pending handshake frames"));
        } else {
            for _ in 0..=behind {
                assert_eq!(connection.response()["ok"], true);
            }
        }
    }
    // Article: they wait in the socket, however many.
    let state = State::new();
    let gateway = state.start();
    let mut connection = gateway.connect(&Way::local());
    let first = connect(&connection, &Device::new(1), "0");
    let more = (1..=40).map(|id| frame(&id.to_string(), "health", &json!({})));
    connection.send_together([first].into_iter().chain(more));
    for _ in 0..=40 {
        assert_eq!(connection.response()["ok"], true);
    }
}

#[test]
fn challenge_and_hello_have_the_keys_of_the_release() {
    for profile in RELEASES {
        let (_state, gateway) = start(profile);
        let session = gateway.operator_of(profile);
        let hello = &session.hello;
        let node = gateway.session(&Way::local(), &Device::new(2).role("node").scopes(&[]).of(profile));
        let reader = gateway.session(&Way::local(), &Device::new(3).of(profile));
        let bare = gateway.session(&Way::local(), &Device::new(4).scopes(&[]).of(profile));
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        let top = match profile {
            V2026_9_6 => {
                "auth controlUiLinkReaders controlUiWidgetKinds features pluginSurfaceUrls policy protocol server \
                 snapshot type"
            }
            // No token for an operator with the shared secret that nobody has paired.
            V2026_2_22 => "canvasHostUrl features policy protocol server snapshot type",
            _ => "auth canvasHostUrl features policy protocol server snapshot type",
        };
        assert_eq!(keys(hello), top, "{profile}");
        let server = match profile {
            V2026_2_19 | V2026_2_21 => "connId host version",
            V2026_9_6 => "bootId buildId connId controlUiBuildSource version",
            _ => "connId version",
        };
        assert_eq!(keys(&hello["server"]), server, "{profile}");
        let snapshot = match profile {
            V2026_9_6 => {
                "appliedConfigHash authMode configPath health presence sessionDefaults stateDir stateVersion \
                 suspension uptimeMs"
            }
            _ => "authMode configPath health presence sessionDefaults stateDir stateVersion uptimeMs",
        };
        assert_eq!(keys(&hello["snapshot"]), snapshot, "{profile}");
        assert_eq!(hello["protocol"], if profile == V2026_9_6 { 4 } else { 3 });
        assert_eq!(hello["snapshot"]["presence"][0]["mode"], "gateway");
        if profile == V2026_9_6 {
            assert_eq!(hello["features"]["capabilities"], json!(["model-catalog-snapshot"]));
            assert_eq!(hello["policy"]["attachments"]["maxBytes"], 19_464_192);
            // Who is no admin is told less, who cannot read still less, and a node least.
            let short = "appliedConfigHash health presence sessionDefaults stateVersion suspension uptimeMs";
            for (session, top) in [
                (&reader, top),
                (&bare, "auth features pluginSurfaceUrls policy protocol server snapshot type"),
                (&node, "auth features policy protocol server snapshot type"),
            ] {
                assert_eq!(keys(&session.hello), top);
                assert_eq!(keys(&session.hello["snapshot"]), short);
            }
        } else {
            let canvas = format!("http://{}", gateway.address);
            assert_eq!(hello["canvasHostUrl"], canvas);
            let scoped = node.hello["canvasHostUrl"].as_str().unwrap();
            assert!(scoped.starts_with(&format!("{canvas}/__openclaw__/cap/")), "{scoped}");
            assert_eq!(keys(&node.hello["snapshot"]), snapshot);
        }
    }
}

#[test]
fn who_connects_is_announced() {
    for profile in OLD {
        let (_state, gateway) = start(profile);
        let mut first = gateway.operator_of(profile);
        let health = first.event_frame("health");
        assert_eq!(health["payload"]["ok"], true);
        let before = health["stateVersion"]["health"].as_u64().unwrap();
        // The other's connect is told to all, with a number that counts for all.
        let mut node = gateway.session(&Way::local(), &Device::new(2).role("node").scopes(&[]).of(profile));
        let told = node.event_frame("voicewake.changed");
        assert_eq!(told["payload"], json!({"triggers": ["openclaw", "claude", "computer"]}));
        assert!(told.get("seq").is_none());
        let (to_node, mut to_first) = (node.event_frame("health"), first.event_frame("health"));
        while to_first["seq"] != to_node["seq"] {
            to_first = first.event_frame("health");
        }
        assert!(to_first["stateVersion"]["health"].as_u64().unwrap() > before, "{profile}");
    }

    let (_state, gateway) = start(V2026_9_6);
    let mut first = gateway.operator_of(V2026_9_6);
    let presence = first.event_frame("presence");
    assert_eq!((&presence["seq"], &presence["recipientProfileId"]), (&json!(1), &json!("gateway-owner")));
    assert_eq!(presence["payload"]["presence"].as_array().unwrap().len(), 2);
    assert_eq!(first.event_frame("health")["seq"], 2);
    let node = Device::new(2).role("node").scopes(&[]).of(V2026_9_6).set("/client/mode", json!("node"));
    let node = node.set("/client/id", json!("node-host")).set("/caps", json!(["canvas"]));
    let mut session = gateway.session(&Way::local(), &node);
    session.event("voicewake.routing.changed");
    assert_eq!(first.event("device.pair.resolved")["decision"], "approved");
    let asked = first.event("node.pair.requested");
    assert_eq!((&asked["nodeId"], &asked["caps"]), (&json!(node.id()), &json!(["canvas"])));
    assert_eq!(
        (&asked["silent"], &asked["requiredApproveScopes"]),
        (&json!(true), &json!(["operator.pairing"]))
    );
    let list = first.call("device.pair.list", json!({}));
    let entry =
        list["paired"].as_array().unwrap().iter().find(|entry| entry["deviceId"] == node.id()).unwrap();
    assert_eq!(entry["pendingNodeSurface"]["requestId"], asked["requestId"]);
    // Once only, and a node hears nothing of others.
    gateway.session(&Way::local(), &node);
    gateway.session(&Way::local(), &Device::new(3).of(V2026_9_6));
    let next = first.event("device.pair.resolved");
    assert_eq!(next["deviceId"], Device::new(3).id());
    session.send(frame("x", "health", &json!({})));
    let Got::Json(answer) = session.read() else { panic!("no answer") };
    assert_eq!(answer["id"], "x", "{answer}");
}

#[test]
fn calls_need_what_the_release_asks_for() {
    for profile in RELEASES {
        let (_state, gateway) = start(profile);
        let mut reader = gateway.session(&Way::local(), &Device::new(1).of(profile));
        let mut bare = gateway.session(&Way::local(), &Device::new(2).scopes(&[]).of(profile));
        let mut admin =
            gateway.session(&Way::local(), &Device::new(3).scopes(&["operator.admin"]).of(profile));
        let mut node = gateway.session(&Way::local(), &Device::new(4).role("node").scopes(&[]).of(profile));

        assert_eq!(reader.call("health", json!({}))["ok"], true);
        if profile == V2026_2_19 {
            assert_eq!(bare.denied("health", json!({})), "missing scope: operator.read");
            assert_eq!(node.denied("health", json!({})), "unauthorized role: node");
        } else {
            assert_eq!(bare.call("health", json!({}))["ok"], true, "{profile}");
            assert_eq!(node.call("health", json!({}))["ok"], true, "{profile}");
        }
        assert!(admin.call("device.pair.list", json!({}))["paired"].is_array());
        assert_eq!(admin.denied("no.such.method", json!({})), "unknown method: no.such.method");
        assert_eq!(admin.denied("connect", json!({})), "connect is only valid as the first request");
        assert_eq!(reader.denied("no.such.method", json!({})), "missing scope: operator.admin");
        assert_eq!(node.denied("device.pair.list", json!({})), "unauthorized role: node");

        let error = reader.request("device.pair.list", &json!({}))["error"].clone();
        assert_eq!(error["message"], "missing scope: operator.pairing");
        if profile == V2026_9_6 {
            assert_eq!(error["code"], "FORBIDDEN");
            assert_eq!(
                error["details"],
                json!({"code": "MISSING_SCOPE", "missingScope": "operator.pairing",
                    "requiredScopes": ["operator.pairing"]})
            );
        } else {
            assert_eq!(
                error,
                json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.pairing"})
            );
        }
        let renamed =
            admin.request("device.pair.rename", &json!({"deviceId": Device::new(1).id(), "label": " x "}));
        if profile == V2026_9_6 {
            assert_eq!(renamed["payload"], json!({"deviceId": Device::new(1).id(), "label": "x"}));
            assert_eq!(admin.event("device.pair.changed"), json!({}));
            let list = admin.call("device.pair.list", json!({}));
            let entry =
                list["paired"].as_array().unwrap().iter().find(|e| e["deviceId"] == Device::new(1).id());
            assert_eq!(entry.unwrap()["operatorLabel"], "x");
            assert_eq!(entry.unwrap()["connected"], true);
        } else {
            assert_eq!(renamed["error"]["message"], "unknown method: device.pair.rename", "{profile}");
        }
    }
}

#[test]
fn an_approver_needs_the_scopes_only_on_the_newest() {
    for profile in [V2026_2_19, V2026_2_21, V2026_3_13] {
        let (_state, gateway) = start(profile);
        let pairing = Device::new(1).scopes(&["operator.pairing"]).of(profile);
        let mut approver = gateway.session(&Way::local(), &pairing);
        let asker = Device::new(2).scopes(&["operator.admin"]).of(profile);
        let (error, _) = gateway.refused(&Way::remote("203.0.113.7"), &asker);
        let request = json!({"requestId": error["details"]["requestId"]});
        let approved = approver.call("device.pair.approve", request.clone());
        assert_eq!(approved["device"]["scopes"], json!(["operator.admin"]), "{profile}");
        assert_eq!(approver.denied("device.pair.approve", request), "unknown requestId");
    }

    let (_state, gateway) = start(V2026_9_6);
    let mut approver =
        gateway.session(&Way::local(), &Device::new(1).scopes(&["operator.pairing"]).of(V2026_9_6));
    let ask = |device: &Device| {
        let (error, _) = gateway.refused(&Way::remote("203.0.113.7"), device);
        json!({"requestId": error["details"]["requestId"]})
    };
    let wide = ask(&Device::new(2).scopes(&["operator.admin"]).of(V2026_9_6));
    assert_eq!(approver.denied("device.pair.approve", wide), "missing scope: operator.admin");
    let node = ask(&Device::new(3).role("node").scopes(&[]).of(V2026_9_6));
    assert_eq!(approver.denied("device.pair.approve", node.clone()), "device pairing approval denied");
    let unknown = json!({"requestId": "nobody"});
    assert_eq!(approver.denied("device.pair.approve", unknown.clone()), "device pairing approval denied");
    let mut admin = gateway.operator_of(V2026_9_6);
    assert_eq!(admin.denied("device.pair.approve", unknown), "unknown requestId");
    assert_eq!(admin.call("device.pair.approve", node)["device"]["role"], "node");
}

#[test]
fn live_sessions_end_with_their_device_on_the_newest() {
    // 2.22 pairs no operator that has the shared secret.
    for profile in RELEASES.into_iter().filter(|profile| *profile != V2026_2_22) {
        let (_state, gateway) = start(profile);
        let mut admin = gateway.operator_of(profile);
        let device = Device::new(1).of(profile);
        let id = device.id();
        let calls = [
            ("device.token.rotate", json!({"deviceId": id, "role": "operator"})),
            ("device.token.revoke", json!({"deviceId": id, "role": "operator"})),
            ("device.pair.remove", json!({"deviceId": id})),
        ];
        let mut open = gateway.session(&Way::local(), &device);
        for (method, params) in calls {
            if open.hello.is_null() {
                break;
            }
            let result = admin.call(method, params);
            if method == "device.token.rotate" {
                let withheld = profile == V2026_9_6;
                assert_eq!(result.get("token").is_none(), withheld, "{profile}");
                assert_eq!(result.get("tokenDelivery").is_some(), withheld, "{profile}");
            }
            if profile == V2026_9_6 {
                assert_eq!(open.closed(), close(4001, "device removed"), "{method}");
                if method == "device.token.rotate" {
                    open = gateway.session(&Way::local(), &device);
                } else {
                    break;
                }
            } else {
                assert_eq!(open.call("health", json!({}))["ok"], true, "{profile} {method}");
            }
        }
        // Who ends its own session is still told so.
        let own = Device::new(250).of(profile).id();
        assert_eq!(admin.call("device.pair.remove", json!({"deviceId": own})), json!({"deviceId": own}));
        if profile == V2026_9_6 {
            assert_eq!(admin.closed(), close(4001, "device removed"));
        } else {
            assert_eq!(admin.call("health", json!({}))["ok"], true);
        }
    }
}

#[test]
fn a_stop_is_told_as_the_release_tells_it() {
    for profile in RELEASES {
        let state = State::of(profile);
        let mut gateway = state.start_with(0, &["--startup-ms", "0", "--time-scale", "0.1"]);
        let mut session = gateway.operator_of(profile);
        let mut waiting = gateway.connect(&Way::local());
        gateway.signal(Signal::TERM);
        let newest = profile == V2026_9_6;
        let shutdown = session.event("shutdown");
        let expected = if newest {
            json!({"reason": "gateway stopping"})
        } else {
            json!({"reason": "gateway stopping", "restartExpectedMs": null})
        };
        assert_eq!(shutdown, expected, "{profile}");
        assert_eq!(session.closed(), close(1012, "service restart"));
        // On old releases it goes on, until it times out or the process ends.
        match waiting.close_frame() {
            Some((1012, reason)) => assert_eq!((newest, reason.as_str()), (true, "service restart")),
            Some((1000, reason)) => assert_eq!((newest, reason.as_str()), (false, "")),
            None => assert!(!newest),
            Some(other) => panic!("{profile}: {other:?}"),
        }
        assert_eq!(gateway.wait().code(), Some(0));
    }

    // Meanwhile upgrades are refused. At the pace of a day the port stays open long enough to see it.
    for profile in RELEASES {
        let state = State::of(profile);
        let gateway = state.start_with(0, &["--startup-ms", "0", "--time-scale", "100"]);
        gateway.signal(Signal::TERM);
        gateway.logged("signal received");
        let newest = profile == V2026_9_6;
        let text = if newest { "Gateway websocket admission closed" } else { "Service Unavailable" };
        assert_eq!(gateway.not_upgraded(&Way::local()), (503, text.to_owned()), "{profile}");
    }
}

/// Seen on the real one: 28 sockets that sent a connect up to 24 ms after the signal, and two that said nothing, which were
/// closed 0.3 s later (`a_stop_is_told_as_the_release_tells_it`).
#[test]
fn the_newest_says_to_connects_that_it_stops() {
    let state = State::of(V2026_9_6);
    // So slow that no machine is too busy to get its connects in.
    let gateway = state.start_with(0, &["--startup-ms", "0", "--time-scale", "1000"]);
    let known = Device::new(1).of(V2026_9_6);
    gateway.session(&Way::local(), &known);
    let mut waiting = [1, 2, 3].map(|_| gateway.connect(&Way::local()));
    gateway.signal(Signal::TERM);
    gateway.logged("signal received");
    let stopping = json!({
        "code": "UNAVAILABLE", "message": "connect unavailable during gateway restart", "retryable": true,
        "retryAfterMs": 1000,
        "details": {"method": "connect", "reason": "gateway-restarting", "phase": "accepting"},
    });
    let node = Device::new(2).role("node").scopes(&[]).of(V2026_9_6).set("/client/mode", json!("node"));
    for (connection, device) in waiting.iter_mut().zip([&known, &node]) {
        assert_eq!(connection.hello(device)["error"], stopping);
        assert_eq!(connection.close_frame(), close(1013, "gateway restart in progress"));
    }
    // What is malformed is said to be so.
    let answer = waiting[2].hello(&known.set("/bogus", json!(1)));
    assert_eq!(answer["error"]["code"], "INVALID_REQUEST", "{answer}");
}

#[test]
fn the_newest_refuses_until_it_is_ready() {
    let state = State::of(V2026_9_6);
    let node = Device::new(2).role("node").scopes(&[]).of(V2026_9_6).set("/client/mode", json!("node"));
    let gateway = state.start_with(0, &["--startup-ms", "0"]);
    gateway.session(&Way::local(), &node);
    gateway.session(&Way::local(), &Device::new(1).of(V2026_9_6));
    gateway.kill();

    let gateway = state.start_early(&["--startup-ms", "600000"]);
    let starting = json!({
        "code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": true,
        "retryAfterMs": 500, "details": {"reason": "startup-sidecars"},
    });
    let refused = |device: &Device| gateway.refused(&Way::local(), device);
    // Paired or not, well signed or not, of our protocol or not.
    let operator = Device::new(1).of(V2026_9_6);
    for device in [
        operator.clone(),
        Device::new(9).of(V2026_9_6),
        operator.clone().auth(json!({"token": "wrong"})),
        operator.clone().set("/maxProtocol", json!(3)),
        node.clone().role("operator"),
    ] {
        assert_eq!(refused(&device), (starting.clone(), close(1013, "gateway starting")));
    }
    // What is malformed is said to be so, and an unknown node is as any other.
    let (error, _) = refused(&operator.set("/bogus", json!(1)));
    assert_eq!(error["code"], "INVALID_REQUEST");
    let stranger = Device::new(8).role("node").scopes(&[]).of(V2026_9_6).set("/client/mode", json!("node"));
    assert_eq!(refused(&stranger).0, starting);
    gateway.session(&Way::local(), &node);
    gateway.kill();

    // It says that it listens once it is ready.
    let gateway = state.start_with(0, &["--startup-ms", "200"]);
    gateway.session(&Way::local(), &Device::new(1).of(V2026_9_6));
    assert!(gateway.log_text().contains("[gateway] starting"));
    for profile in [Article, V2026_2_19] {
        let state = State::of(profile);
        let gateway = state.start_early(&["--startup-ms", "600000"]);
        gateway.session(&Way::local(), &Device::new(1).of(profile));
    }
}

#[test]
fn forwarding_headers_of_nobody_are_refused_by_the_newest() {
    let (_state, gateway) = start(V2026_9_6);
    let refusal = json!({"error": {
        "message": "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and make the proxy \
                    overwrite or safely rebuild forwarded client headers.",
        "type": "proxy_attribution_required",
    }});
    for way in [
        Way::local().header("X-Forwarded-For", "203.0.113.7"),
        Way::local().header("Forwarded", "for=203.0.113.7"),
        Way::local().header("X-Forwarded-Proto", "https"),
        Way::from("127.3.0.1").header("X-Real-IP", "203.0.113.7"),
        Way::remote("127.0.0.1"),
        Way::remote("nonsense"),
    ] {
        let (status, body) = gateway.not_upgraded(&way);
        assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (403, refusal.clone()));
    }
    gateway.connect(&Way::remote("203.0.113.7"));
    gateway.connect(&Way::local().host("172.17.0.2"));
    gateway.logged("Loopback connection with non-local Host header");
    assert_eq!(gateway.log_text().matches("observed unattributable proxy-shaped traffic").count(), 1);
    // Even while it stops: nobody knows whom to tell.
    let state = State::of(V2026_9_6);
    let gateway = state.start_with(0, &["--startup-ms", "0", "--time-scale", "100"]);
    gateway.signal(Signal::TERM);
    gateway.logged("signal received");
    assert_eq!(gateway.not_upgraded(&Way::local().header("X-Forwarded-For", "203.0.113.7")).0, 403);

    for profile in OLD {
        let (_state, gateway) = start(profile);
        gateway.connect(&Way::local().header("X-Forwarded-For", "203.0.113.7"));
        gateway.logged("Proxy headers detected from untrusted address");
    }
}

#[test]
fn failed_credentials_are_counted_by_address() {
    let (_state, gateway) = start(V2026_9_6);
    let wrong = Device::new(1).of(V2026_9_6).auth(json!({"token": "wrong"}));
    let right = Device::new(1).of(V2026_9_6);
    let way = Way::remote("203.0.113.7");
    for _ in 0..10 {
        let (error, _) = gateway.refused(&way, &wrong);
        assert_eq!(error["details"]["code"], "AUTH_TOKEN_MISMATCH");
    }
    let (error, closed) = gateway.refused(&way, &right);
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(error["retryable"], true);
    assert!(error["retryAfterMs"].as_u64().unwrap() > 200_000, "{error}");
    assert_eq!(closed.unwrap().0, 1008);
    let (error, _) = gateway.refused(&Way::remote("203.0.113.8"), &right);
    assert_eq!(error["code"], "NOT_PAIRED", "others are not locked");

    for profile in OLD {
        let (_state, gateway) = start(profile);
        let wrong = wrong.clone().of(profile);
        for _ in 0..13 {
            let message = gateway.refused(&way, &wrong).0["message"].as_str().unwrap().to_owned();
            assert!(message.contains("mismatch"), "{profile}: {message}");
        }
    }
}

#[test]
fn a_loopback_client_that_fails_waits_on_the_newest() {
    let (_state, gateway) = start(V2026_9_6);
    let wrong = Device::new(1).of(V2026_9_6).auth(json!({"token": "wrong"}));
    for least_ms in [250, 500] {
        let mut connection = gateway.connect(&Way::local());
        let watch = gateway_under_test::clock::Stopwatch::start();
        let answer = connection.hello(&wrong);
        assert_eq!(answer["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH");
        assert!(watch.elapsed_ms() >= least_ms, "{} ms", watch.elapsed_ms());
    }
    // It is never locked, and nobody else waits.
    gateway.session(&Way::local(), &Device::new(1).of(V2026_9_6));
}
