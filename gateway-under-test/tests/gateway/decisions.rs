//! Every row of the article profile's table (section 2), on the wire.

use protocol::PayloadVersion;
use serde_json::{Value, json};

use crate::support::{Device, Gateway, Got, State, TOKEN, Way, pairing};

/// Sends one message as the first and gives what comes back until the close frame.
fn first(
    gateway: &Gateway,
    message: impl Into<tokio_tungstenite::tungstenite::Message>,
) -> (Option<Value>, Option<(u16, String)>) {
    let mut connection = gateway.connect(&Way::local());
    connection.send(message);
    match connection.read() {
        Got::Json(frame) => (Some(frame), connection.close_frame()),
        Got::Close(frame) => (None, frame),
        Got::Gone => (None, None),
    }
}

fn close(code: u16, reason: &str) -> Option<(u16, String)> {
    Some((code, reason.to_owned()))
}

#[test]
fn rows_1_to_4_frames() {
    let state = State::new();
    let gateway = state.start();
    let frame = |value: Value| value.to_string();
    // 65,536 bytes are read, one more is not.
    let pad = |bytes: usize| {
        let empty = frame(json!({"type": "req", "id": "1", "method": "connect", "params": {"pad": ""}}));
        let pad = "x".repeat(bytes - empty.len());
        frame(json!({"type": "req", "id": "1", "method": "connect", "params": {"pad": pad}}))
    };
    let (answer, closed) = first(&gateway, pad(65_536));
    assert_eq!(
        answer.unwrap()["error"]["message"],
        "invalid connect params: must have required property 'minProtocol'; must have required property \
         'maxProtocol'; must have required property 'client'; at root: unexpected property 'pad'"
    );
    assert_eq!(
        closed,
        close(
            1008,
            "invalid connect params: must have required property 'minProtocol'; must have required property \
             'maxProtocol'; must have "
        )
    );
    assert_eq!(first(&gateway, pad(65_537)), (None, close(1009, "")));
    assert_eq!(first(&gateway, pad(600_000)), (None, close(1009, "")));
    assert_eq!(first(&gateway, pad(3_000_000)), (None, close(1009, "")));

    for not_json in ["{nope", "", "{} {}"] {
        assert_eq!(first(&gateway, not_json), (None, close(1000, "")), "{not_json:?}");
    }
    assert_eq!(first(&gateway, vec![0xff_u8, 0xfe]), (None, close(1000, "")));

    for no_request in [
        json!({"type": "event", "event": "tick"}),
        json!({"type": "res", "id": "1", "ok": true}),
        json!([]),
        Value::Null,
        json!({"type": "req", "method": "connect"}),
        json!({"type": "req", "id": "", "method": "connect"}),
        json!({"type": "req", "id": 1, "method": "connect"}),
        json!({"type": "req", "id": "1", "method": "connect", "extra": 1}),
    ] {
        assert_eq!(
            first(&gateway, frame(no_request.clone())),
            (None, close(1008, "invalid request frame")),
            "{no_request}"
        );
    }

    let message = "invalid handshake: first request must be connect";
    let (answer, closed) = first(&gateway, frame(json!({"type": "req", "id": "h1", "method": "health"})));
    assert_eq!(
        answer.unwrap(),
        json!({"type": "res", "id": "h1", "ok": false, "error": {"code": "INVALID_REQUEST", "message": message}})
    );
    assert_eq!(closed, close(1008, message));

    // Well-formed JSON that no parameters of ours can be: row 5, as for any others that break the schema.
    for (params, why) in [
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), "recursion limit exceeded at line 1 column 128"),
        ("1e999".to_owned(), "number out of range at line 1 column 5"),
        ("{\"locale\":\"\\ud800\"}".to_owned(), "unexpected end of hex escape at line 1 column 18"),
    ] {
        let text = format!("{{\"type\":\"req\",\"id\":\"1\",\"method\":\"connect\",\"params\":{params}}}");
        let message = format!("invalid connect params: {why}");
        let (answer, closed) = first(&gateway, text);
        assert_eq!(answer.unwrap()["error"], json!({"code": "INVALID_REQUEST", "message": message}));
        assert_eq!(closed, close(1008, &message));
    }

    let (answer, _) = first(&gateway, frame(json!({"type": "req", "id": "1", "method": "connect"})));
    assert_eq!(answer.unwrap()["error"]["message"], "invalid connect params: must be object");
}

#[test]
fn a_binary_message_is_read_like_text() {
    let state = State::new();
    let gateway = state.start();
    let mut connection = gateway.connect(&Way::local());
    let params = Device::new(1).signed(&connection.nonce, connection.challenge_ms);
    let frame = json!({"type": "req", "id": "b", "method": "connect", "params": params});
    connection.send(frame.to_string().into_bytes());
    let Got::Json(answer) = connection.read() else { panic!("no answer") };
    assert_eq!(answer["ok"], true, "{answer}");
}

/// Message, details and close of a refusal that repeats its message as close reason.
#[track_caller]
fn refused(gateway: &Gateway, way: &Way, device: &Device, code: &str, message: &str, details: Value) {
    let (error, closed) = gateway.refused(way, device);
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["message"], message, "{error}");
    assert_eq!(error["details"], details, "{error}");
    assert_eq!(closed, close(1008, &message[..message.len().min(120)]));
}

#[test]
fn rows_5_to_8_request() {
    let state = State::new();
    let gateway = state.start();
    let local = Way::local();
    refused(
        &gateway,
        &local,
        &Device::new(1).set("/client/bogus", json!(1)),
        "INVALID_REQUEST",
        "invalid connect params: at /client: unexpected property 'bogus'",
        Value::Null,
    );
    let (error, closed) =
        gateway.refused(&local, &Device::new(1).set("/minProtocol", json!(4)).set("/maxProtocol", json!(4)));
    assert_eq!(error["message"], "protocol mismatch");
    assert_eq!(error["details"], json!({"expectedProtocol": 3}));
    assert_eq!(closed, close(1002, "protocol mismatch"));
    refused(&gateway, &local, &Device::new(1).role("admin"), "INVALID_REQUEST", "invalid role", Value::Null);

    let ui =
        Device::new(1).set("/client/id", json!("openclaw-control-ui")).set("/client/mode", json!("webchat"));
    let origin = "origin not allowed (open the Control UI from the gateway host or allow it in \
                  gateway.controlUi.allowedOrigins)";
    for way in [
        local.clone(),
        local.clone().header("Origin", "null"),
        local.clone().header("Origin", "https://evil.example"),
    ] {
        refused(&gateway, &way, &ui, "INVALID_REQUEST", origin, Value::Null);
    }
    gateway.session(&local.clone().header("Origin", "http://localhost:5173"), &ui);
    // A command line may send what it likes.
    gateway.session(&local.header("Origin", "https://evil.example"), &Device::new(2));
}

#[test]
fn rows_9_to_11_without_device() {
    let state = State::new();
    let gateway = state.start();
    let ask = |params: Value, way: &Way| {
        let mut connection = gateway.connect(way);
        (connection.request("connect", &params), connection)
    };
    let without = |device: Device| device.params;

    let ui = Device::new(1).set("/client/id", json!("openclaw-control-ui"));
    let (answer, mut connection) = ask(without(ui), &Way::local().header("Origin", "http://localhost:1"));
    assert_eq!(
        answer["error"]["message"],
        "control ui requires device identity (use HTTPS or localhost secure context)"
    );
    assert_eq!(answer["error"]["details"], json!({"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}));
    assert_eq!(connection.close_frame().unwrap().0, 1008);

    let (answer, _) = ask(without(Device::new(1).auth(json!({"token": "wrong"}))), &Way::local());
    assert_eq!(
        answer["error"]["message"],
        "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)"
    );
    assert_eq!(
        answer["error"]["details"],
        json!({"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"})
    );

    for device in [Device::new(1).auth(json!({})), Device::new(1).role("node")] {
        let (answer, mut connection) = ask(without(device), &Way::local());
        assert_eq!(answer["error"]["code"], "NOT_PAIRED");
        assert_eq!(answer["error"]["message"], "device identity required");
        assert_eq!(answer["error"]["details"], json!({"code": "DEVICE_IDENTITY_REQUIRED"}));
        assert_eq!(connection.close_frame(), close(1008, "device identity required"));
    }

    let (answer, mut connection) = ask(without(Device::new(1)), &Way::remote("203.0.113.7"));
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["payload"].get("auth"), None, "no token without a device");
    assert_eq!(connection.call("health", json!({}))["ok"], true);
    assert_eq!(connection.denied("device.pair.list", json!({})), "missing scope: operator.pairing");
}

#[test]
fn rows_12_to_15_device_proof() {
    let state = State::new();
    let gateway = state.start();
    let way = Way::local();
    let invalid = |reason: &str| json!({"code": "DEVICE_AUTH_INVALID", "reason": reason});
    let check = |device: &Device, message: &str, reason: &str| {
        refused(&gateway, &way, device, "INVALID_REQUEST", message, invalid(reason));
    };
    // A signed proof changed afterwards.
    let tampered = |key: &str, value: Value, message: &str, reason: &str| {
        let mut connection = gateway.connect(&way);
        let mut params = Device::new(1).signed(&connection.nonce, connection.challenge_ms);
        params["device"][key] = value;
        let answer = connection.request("connect", &params);
        assert_eq!(answer["error"]["message"], message, "{key}");
        assert_eq!(answer["error"]["details"], invalid(reason));
        assert_eq!(connection.close_frame(), close(1008, message));
    };
    tampered(
        "id",
        json!(Device::new(1).id().to_uppercase()),
        "device identity mismatch",
        "device-id-mismatch",
    );
    tampered("id", json!(Device::new(2).id()), "device identity mismatch", "device-id-mismatch");
    tampered("publicKey", json!("nonsense"), "device identity mismatch", "device-id-mismatch");
    for clock_ms in [-180_000, 180_000] {
        check(&Device { clock_ms, ..Device::new(1) }, "device signature expired", "device-signature-stale");
    }
    check(
        &Device { nonce: Some("  ".into()), ..Device::new(1) },
        "device nonce required",
        "device-nonce-missing",
    );
    check(
        &Device { nonce: Some("other".into()), ..Device::new(1) },
        "device nonce mismatch",
        "device-nonce-mismatch",
    );
    check(
        &Device { version: PayloadVersion::V1, ..Device::new(1) },
        "device signature invalid",
        "device-signature",
    );
    tampered("signature", json!("AAAA"), "device signature invalid", "device-signature");

    gateway.session(&way, &Device { version: PayloadVersion::V2, clock_ms: -110_000, ..Device::new(1) });
    gateway.session(&way, &Device { clock_ms: 110_000, ..Device::new(1) });
}

#[test]
fn row_16_credentials() {
    let state = State::new();
    let gateway = state.start();
    let way = Way::remote("203.0.113.7");
    let device = |auth: Value| Device::new(1).auth(auth);
    let hint = "(set gateway.remote.token to match gateway.auth.token)";
    let rows = [
        (json!({}), format!("gateway token missing {hint}"), "AUTH_TOKEN_MISSING", "token_missing"),
        (
            json!({"token": ""}),
            format!("gateway token missing {hint}"),
            "AUTH_TOKEN_MISSING",
            "token_missing",
        ),
        (
            json!({"password": TOKEN}),
            format!("gateway token missing {hint}"),
            "AUTH_TOKEN_MISSING",
            "token_missing",
        ),
        (
            json!({"token": "x"}),
            format!("gateway token mismatch {hint}"),
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
        ),
        (
            json!({"token": "x", "deviceToken": "y"}),
            "device token mismatch (rotate/reissue device token)".to_owned(),
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "device_token_mismatch",
        ),
    ];
    for (auth, message, code, reason) in rows {
        refused(
            &gateway,
            &way,
            &device(auth),
            "INVALID_REQUEST",
            &format!("unauthorized: {message}"),
            json!({"code": code, "authReason": reason}),
        );
    }
    // A refused credential never leaves a request.
    assert_eq!(gateway.operator().call("device.pair.list", json!({}))["pending"], json!([]));
    // The shared secret is good: what stands in deviceToken does not matter.
    let reason = pairing(&gateway.refused(&way, &device(json!({"token": TOKEN, "deviceToken": "y"}))));
    assert_eq!(reason.0, "not-paired");
}

#[test]
fn password_and_none() {
    let state = State::with_gateway_config(&json!({"auth": {"mode": "password", "password": "geheim"}}));
    let gateway = state.start();
    gateway.session(&Way::local(), &Device::new(1).auth(json!({"password": "geheim"})));
    let hint = "(set gateway.remote.password to match gateway.auth.password)";
    refused(
        &gateway,
        &Way::local(),
        &Device::new(1).auth(json!({"token": "geheim"})),
        "INVALID_REQUEST",
        &format!("unauthorized: gateway password missing {hint}"),
        json!({"code": "AUTH_PASSWORD_MISSING", "authReason": "password_missing"}),
    );

    let state =
        State::with_gateway_config(&json!({"auth": {"mode": "none"}, "trustedProxies": ["127.2.0.1"]}));
    let gateway = state.start();
    gateway.session(&Way::local(), &Device::new(1).auth(json!({})));
    // Pairing is always checked.
    pairing(&gateway.refused(&Way::remote("203.0.113.7"), &Device::new(2).auth(json!({}))));
    let mut connection = gateway.connect(&Way::local());
    let answer = connection.request("connect", &Device::new(1).params);
    assert_eq!(answer["error"]["details"]["code"], "DEVICE_IDENTITY_REQUIRED");
}

#[test]
fn row_17_who_is_local() {
    let state = State::new();
    let gateway = state.start();
    let mut seed = 10;
    let mut device = || {
        seed += 1;
        Device::new(seed)
    };
    for way in [
        Way::local(),
        Way::from("127.1.0.9"),
        Way::local().host(&format!("localhost:{}", gateway.address.port())),
        Way::remote("203.0.113.7, 127.0.0.1"),
    ] {
        gateway.session(&way, &device());
    }
    for way in [
        Way::remote("203.0.113.7"),
        Way::remote("127.0.0.1, 203.0.113.7"),
        Way::from("127.2.0.1"),
        Way::local().host("gw.example.com"),
        Way::local().header("X-Real-IP", "127.0.0.1"),
        Way::from("127.3.0.1").header("X-Forwarded-For", "127.0.0.1"),
    ] {
        assert_eq!(pairing(&gateway.refused(&way, &device())).0, "not-paired");
    }
    gateway.logged("Proxy headers detected from untrusted address. Connection will not be treated as local.");
    // What an untrusted forwarder says is not believed.
    let line = gateway.logged("remote=127.3.0.1");
    assert!(line.contains("fwd=127.0.0.1") && line.contains("cause=pairing-required"), "{line}");
}

#[test]
fn a_cidr_entry_never_matches() {
    let state =
        State::with_gateway_config(&json!({"auth": {"token": TOKEN}, "trustedProxies": ["127.2.0.0/16"]}));
    let gateway = state.start();
    // Were it matched, this client would be local.
    let (reason, _) = pairing(&gateway.refused(&Way::remote("127.0.0.1"), &Device::new(1)));
    assert_eq!(reason, "not-paired");
    gateway.logged("Proxy headers detected from untrusted address");
}
