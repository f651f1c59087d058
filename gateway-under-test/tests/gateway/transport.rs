//! HTTP, upgrade, timeouts, and peers that misbehave.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Connection, Device, PATIENCE, State, Way};

const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn plain_requests() {
    let state = State::new();
    let gateway = state.start();
    for path in ["/health", "/healthz"] {
        assert_eq!(gateway.get(path), (200, "{\"ok\":true,\"status\":\"live\"}".to_owned()));
    }
    let (status, body) = gateway.get("/readyz");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["ready"], &body["failing"]), (200, &json!(true), &json!([])));
    assert!(body["uptimeMs"].is_u64());
    assert_eq!(gateway.get("/").0, 404);
    assert_eq!(gateway.http("POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").0, 405);
    let malformed = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n";
    assert_eq!(gateway.http(malformed).0, 400);
}

#[test]
fn metrics_count_what_happened() {
    let state = State::new();
    let gateway = state.start();
    let _operator = gateway.operator();
    let _ = gateway.refused(&Way::remote("203.0.113.7"), &Device::new(1));
    let (status, text) = gateway.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "gateway_handshakes_total{result=\"accepted\",cause=\"accepted\"} 1",
        "gateway_handshakes_total{result=\"refused\",cause=\"pairing-required\"} 1",
        "gateway_sessions 1",
        "gateway_store_devices 1",
        "gateway_store_pending 1",
        "gateway_store_commit_seconds_count 2",
        "gateway_store_wait_seconds_count 2",
        "gateway_store_lock_seconds_count 2",
        "gateway_store_commit_jobs_max 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
    }
    gateway.logged("device store loaded devices=0 pending=0 seconds=0.");
}

#[test]
fn the_upgrade_negotiates_nothing_but_a_subprotocol() {
    let state = State::new();
    let gateway = state.start();
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /foo/bar?token=x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}\
         Sec-WebSocket-Protocol: openclaw, other\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-protocol: openclaw\r\n"), "{head}");
    assert!(!head.contains("extensions"), "{head}");
}

#[test]
fn a_silent_client_is_closed() {
    let state = State::new();
    // 10 s times this is 100 ms.
    let gateway = state.start_with(0, &["--time-scale", "0.01"]);
    let mut connection = gateway.connect(&Way::local());
    assert_eq!(connection.close_frame(), Some((1000, String::new())));
    gateway.logged("cause=handshake-timeout");
}

#[test]
fn a_refused_client_that_stays_is_dropped() {
    let state = State::new();
    let gateway = state.start();
    // It sends garbage and then neither reads nor closes: the gateway ends the connection by itself.
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}\r\n"
    )
    .unwrap();
    // FIN, text, masked with zeroes: `{`.
    stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'{']).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.ends_with(&[0x88, 2, 0x03, 0xe8]), "no close frame 1000 at the end");
    gateway.logged("cause=not-json");
    // And nothing is left of it.
    let mut probe = gateway.connect(&Way::local());
    assert_eq!(probe.hello(&Device::new(1))["ok"], true);
    let (_, text) = gateway.get("/metrics");
    assert!(text.contains("\ngateway_handshakes_in_progress 0\n"), "{text}");
}

#[test]
fn broken_websocket_is_named() {
    let state = State::new();
    let gateway = state.start();
    // An unmasked frame; invalid UTF-8 in a text message.
    for (frame, code) in [(&[0x81_u8, 0x01, b'x'][..], 1002_u16), (&[0x81, 0x81, 0, 0, 0, 0, 0xff][..], 1007)]
    {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}\r\n"
        )
        .unwrap();
        stream.write_all(frame).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let [high, low] = code.to_be_bytes();
        assert!(all.ends_with(&[0x88, 2, high, low]), "no close frame {code} at the end of {all:?}");
    }
}

#[test]
fn a_client_that_never_reads_does_not_stop_the_others() {
    let state = State::new();
    let gateway = state.start();
    let mut greedy = gateway.operator();
    // Thousands of answers that nobody takes.
    let request = json!({"type": "req", "id": "x".repeat(2000), "method": "health"}).to_string();
    let mut sent = 0;
    greedy.set_write_timeout(std::time::Duration::from_millis(200));
    while sent < 20_000 && greedy.try_send(&request) {
        sent += 1;
    }
    assert!(sent < 20_000, "the gateway read on although its answers were not taken");
    let mut other = Connection::open(gateway.address, &Way::local()).unwrap();
    assert_eq!(other.hello(&Device::new(1))["ok"], true);
}

/// A state directory with so many paired devices; a listing of one has about 400 bytes.
fn crowded(devices: u32) -> State {
    let state = State::new();
    let paired: serde_json::Map<String, Value> = (0..devices)
        .map(|number| {
            let id = format!("{number:064x}");
            let entry = json!({
                "deviceId": id, "publicKey": "k".repeat(43), "platform": "linux", "role": "operator",
                "roles": ["operator"], "scopes": ["operator.read"], "tokens": {}, "createdAtMs": 1, "approvedAtMs": 1,
            });
            (id, entry)
        })
        .collect();
    state.write("devices/paired.json", &Value::from(paired).to_string());
    state
}

#[test]
fn events_still_come_after_a_listing_larger_than_the_backlog() {
    let state = crowded(1_000);
    let gateway = state.start();
    let mut operator = gateway.operator();
    for seed in 1..=3 {
        let list = operator.call("device.pair.list", json!({}));
        assert!(list.to_string().len() > 64 * 1024);
        let _ = gateway.refused(&Way::remote("203.0.113.7"), &Device::new(seed));
        assert_eq!(operator.event("device.pair.requested")["deviceId"], Device::new(seed).id());
    }
}

/// Reads until every one of these requests is answered, whatever comes between.
fn all_answered(session: &mut Connection, asked: &[String]) {
    let mut waiting: std::collections::BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    while !waiting.is_empty() {
        let text = session.read_text();
        // Not parsed, which would take longer than making them.
        if let Some(rest) = text.strip_prefix("{\"type\":\"res\",\"id\":\"") {
            let id = rest.split('"').next().unwrap();
            assert!(waiting.remove(id), "{id} was not asked, or answered before");
        }
    }
}

#[test]
fn a_large_message_behind_others_is_served() {
    let state = crowded(300);
    let gateway = state.start();
    let mut operator = gateway.operator();
    let mut asked: Vec<String> = (0..64).map(|number| format!("list-{number:02}")).collect();
    for id in &asked {
        operator.send(json!({"type": "req", "id": id, "method": "device.pair.list"}).to_string());
    }
    // It needs the same lock as the listings before it.
    let large = json!({"type": "req", "id": "large", "method": "device.pair.list"}).to_string();
    operator.send(format!("{large}{}", " ".repeat(300 * 1024)));
    asked.push("large".to_owned());
    all_answered(&mut operator, &asked);
    assert_eq!(operator.call("health", json!({}))["ok"], true, "the session goes on");
}

#[test]
fn many_large_listings_at_once_do_not_fill_the_memory() {
    let state = crowded(2_500);
    let gateway = state.start();
    let mut operator = gateway.operator();
    // 64 listings of a megabyte.
    let asked: Vec<String> = (0..64).map(|number| format!("list-{number:02}")).collect();
    for id in &asked {
        operator.send(json!({"type": "req", "id": id, "method": "device.pair.list"}).to_string());
    }
    all_answered(&mut operator, &asked);
    // Measured in a debug build: 17 MB one at a time, 132 MB all at once.
    assert!(gateway.peak_memory_kb() < 75_000, "{} kB", gateway.peak_memory_kb());
}
