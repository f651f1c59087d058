//! `pairstorm probe` against real gateways in the states that people have: cause, exit code, number of connections, and a store that
//! is as it was.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use harness::client::DeviceKey;
use serde_json::{Value, json};

use crate::common::{Finished, pairstorm, scratch, write};
use crate::gateway;

const TOKEN: &str = "owners-shared-token";
const DEVICE_TOKEN: &str = "a-device-token-of-the-client-000000000000000";
/// PKCS #8 of the seed [7; 32].
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

/// A gateway with its state directory, which is also its local client's.
struct Gateway {
    url: String,
    state: tempfile::TempDir,
    _process: gateway::Gateway,
}

impl Gateway {
    fn start(profile: &str, gateway: &Value, paired: &Value, pending: &Value) -> Self {
        let state = state(gateway, paired, pending);
        let process = gateway::Gateway::start(profile, state.path(), &["--startup-ms", "0"]);
        Self { url: process.url.clone(), state, _process: process }
    }

    /// With a shared token and the client in its store, as `entry` says.
    fn with(profile: &str, entry: &Value) -> Self {
        Self::start(profile, &json!({}), &json!({ (device_id()): entry }), &json!({}))
    }

    fn empty(profile: &str) -> Self {
        Self::start(profile, &json!({}), &json!({}), &json!({}))
    }

    fn directory(&self) -> String {
        self.state.path().display().to_string()
    }

    /// The store as files, without when its tokens were last used.
    fn store(&self) -> (Value, Value) {
        let read = |name: &str| {
            let text = std::fs::read_to_string(self.state.path().join("devices").join(name))
                .unwrap_or_else(|_| "{}".to_owned());
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let mut paired = read("paired.json");
        for entry in paired.as_object_mut().expect("an object").values_mut() {
            for token in entry["tokens"].as_object_mut().into_iter().flat_map(|tokens| tokens.values_mut()) {
                token.as_object_mut().expect("an object").remove("lastUsedAtMs");
            }
        }
        (paired, read("pending.json"))
    }

    fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("ws://").trim_end_matches('/').parse().expect("an address")
    }
}

fn state(gateway: &Value, paired: &Value, pending: &Value) -> tempfile::TempDir {
    let state = scratch();
    let mut config = json!({"auth": {"mode": "token", "token": TOKEN}});
    for (key, value) in gateway.as_object().expect("an object") {
        config[key] = value.clone();
    }
    write(state.path(), "openclaw.json", &json!({ "gateway": config }).to_string());
    std::fs::create_dir(state.path().join("devices")).expect("a folder");
    write(state.path(), "devices/paired.json", &paired.to_string());
    write(state.path(), "devices/pending.json", &pending.to_string());
    state
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[7; 32]).expect("a key")
}

fn device_id() -> String {
    key().device_id().to_owned()
}

/// The client's entry with these scopes, approved and on its token.
fn entry(scopes: &[&str]) -> Value {
    json!({
        "deviceId": device_id(), "publicKey": key().public_key(), "displayName": "mine", "platform": "linux",
        "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"], "scopes": scopes,
        "approvedScopes": scopes, "createdAtMs": 1, "approvedAtMs": 1,
        "tokens": {"operator": {"token": DEVICE_TOKEN, "role": "operator", "scopes": scopes, "createdAtMs": 1}},
    })
}

/// The client's identity in a folder, with a device token for operators, if it was ever given one.
fn identity(folder: &Path, token: Option<(&str, &[&str])>) {
    let inside = folder.join("identity");
    std::fs::create_dir(&inside).expect("a folder");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
    let device = json!({"version": 1, "deviceId": device_id(), "privateKeyPem": pem});
    write(&inside, "device.json", &device.to_string());
    if let Some((token, scopes)) = token {
        let tokens = json!({"operator": {"token": token, "role": "operator", "scopes": scopes}});
        let kept = json!({"version": 1, "deviceId": device_id(), "tokens": tokens});
        write(&inside, "device-auth.json", &kept.to_string());
    }
}

/// A report with its exit code, which no secret is in, and which kept to its five connections.
struct Probed {
    finished: Finished,
    report: Value,
}

impl Probed {
    fn connections(&self) -> (u64, u64) {
        let count = |name: &str| self.report[name].as_u64().expect("a number");
        (count("connections"), count("connects"))
    }

    #[track_caller]
    fn is(&self, cause: &str, code: i32, connections: (u64, u64)) {
        let said = self.finished.said();
        assert_eq!(self.report["diagnosis"]["cause"], cause, "{said}");
        assert_eq!(self.finished.code, Some(code), "{said}");
        assert_eq!(self.connections(), connections, "{said}");
    }

    #[track_caller]
    fn is_let_in(&self, connections: (u64, u64)) {
        let said = self.finished.said();
        assert_eq!((self.finished.code, &self.report["diagnosis"]), (Some(0), &Value::Null), "{said}");
        assert_eq!(self.connections(), connections, "{said}");
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.finished.stdout.contains(text), "`{text}` in {}", self.finished.said());
    }
}

#[track_caller]
fn probe(arguments: &[&str]) -> Probed {
    let folder = scratch();
    let token = write(folder.path(), "token", TOKEN);
    let mut all = vec!["probe", "--json"];
    all.extend(
        arguments.iter().map(|argument| if *argument == "TOKEN-FILE" { token.as_str() } else { argument }),
    );
    let finished = pairstorm(folder.path(), &all);
    for secret in [TOKEN, DEVICE_TOKEN, KEY] {
        assert!(!finished.said().contains(secret), "a secret is shown: {}", finished.said());
    }
    let report = finished.result();
    assert!(report["connections"].as_u64() <= Some(5), "{}", finished.said());
    assert_eq!(report["exit_code"].as_i64(), finished.code.map(i64::from), "{}", finished.said());
    Probed { finished, report }
}

/// Listens on a free port and does `serve` with every connection, each in a thread; gives the port and how many came.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::new(AtomicU64::new(0));
    let (counter, serve) = (Arc::clone(&came), Arc::new(serve));
    thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::Relaxed);
                let serve = Arc::clone(&serve);
                thread::Builder::new().spawn(move || serve(stream)).expect("a thread");
            }
        })
        .expect("a thread");
    (port, came)
}

fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    head
}

/// Passes a head on with a line added; an empty line adds none.
fn pass_head(from: &mut TcpStream, to: &mut TcpStream, line: &str) {
    let mut head = read_head(from);
    if !line.is_empty() {
        head.truncate(head.len().saturating_sub(2));
        head.extend(format!("{line}\r\n\r\n").bytes());
    }
    let _ = to.write_all(&head);
}

/// A proxy that forwards, says so to the gateway, and with `shows` in what it answers, too.
fn proxy(to: SocketAddr, shows: &'static str) -> (u16, Arc<AtomicU64>) {
    listen(move |mut from| {
        let Ok(mut there) = TcpStream::connect(to) else { return };
        pass_head(&mut from, &mut there, "X-Forwarded-For: 203.0.113.7");
        pass_head(&mut there, &mut from, shows);
        let (mut back, mut away) =
            (there.try_clone().expect("a socket"), from.try_clone().expect("a socket"));
        let answers = thread::Builder::new()
            .spawn(move || {
                let _ = std::io::copy(&mut back, &mut away);
                let _ = away.shutdown(Shutdown::Write);
            })
            .expect("a thread");
        let _ = std::io::copy(&mut from, &mut there);
        let _ = there.shutdown(Shutdown::Write);
        let _ = answers.join();
    })
}

#[test]
fn nothing_listens_there() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    probe(&[&format!("ws://127.0.0.1:{port}")]).is("wrong-url", 10, (1, 0));
}

#[test]
fn something_else_listens_there() {
    let (port, came) = listen(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nServer: Apache\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        );
    });
    let probed = probe(&[&format!("ws://127.0.0.1:{port}/chat"), "--token-file", "TOKEN-FILE"]);
    probed.is("wrong-url", 10, (2, 0));
    probed.says("an HTTP server answers (Apache)");
    assert_eq!(came.load(Ordering::Relaxed), 2, "what it says it opened is what came");

    let (port, _) = listen(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
        read_head(&mut stream);
    });
    let probed = probe(&[&format!("ws://127.0.0.1:{port}")]);
    probed.is("wrong-url", 10, (1, 0));
    probed.says("SSH-2.0");
}

#[test]
fn somebody_listens_and_says_nothing() {
    let (port, _) = listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    probe(&[&format!("ws://127.0.0.1:{port}"), "--patience", "300ms"]).is("handshake-timeout", 15, (1, 0));
}

#[test]
fn a_device_that_nobody_approved_is_not_shown() {
    let gateway = Gateway::empty("2026.3.13");
    identity(gateway.state.path(), None);
    let before = gateway.store();
    let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory()]);
    probed.is("not-approved", 24, (3, 1));
    probed.says("openclaw devices approve <REQUEST_ID>");
    assert_eq!(gateway.store(), before);
}

#[test]
fn a_new_device_is_paired_by_a_local_gateway_and_that_is_said() {
    let gateway = Gateway::empty("2026.3.13");
    let arguments = [gateway.url.as_str(), "--token-file", "TOKEN-FILE"];
    probe(&arguments).is_let_in((3, 1));
    assert_eq!(gateway.store(), (json!({}), json!({})), "not without leave");
    let probed = probe(&[arguments.as_slice(), &["--new-device"]].concat());
    probed.is_let_in((4, 2));
    let (paired, _) = gateway.store();
    let ids: Vec<&String> = paired.as_object().expect("an object").keys().collect();
    assert_eq!(ids.len(), 1);
    probed.says(&format!("openclaw devices remove {}", ids[0]));
}

#[test]
fn a_new_device_leaves_a_request_where_it_is_not_local() {
    let gateway = Gateway::empty("2026.3.13");
    let (port, came) = proxy(gateway.address(), "");
    let url = format!("ws://127.0.0.1:{port}");
    let probed = probe(&[&url, "--token-file", "TOKEN-FILE", "--new-device"]);
    probed.is("not-approved", 24, (4, 2));
    assert_eq!(came.load(Ordering::Relaxed), 4);
    let (paired, pending) = gateway.store();
    assert_eq!(paired, json!({}));
    let ids: Vec<&String> = pending.as_object().expect("an object").keys().collect();
    assert_eq!(ids.len(), 1);
    probed.says(&format!("request {} of device", ids[0]));
}

#[test]
fn a_request_that_waits_is_named() {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let request = json!({
        "requestId": "11111111-2222-3333-4444-555555555555", "deviceId": device_id(), "publicKey": key().public_key(),
        "platform": "linux", "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"],
        "scopes": ["operator.read"], "silent": false, "isRepair": false, "ts": u64::try_from(now).expect("small"),
    });
    let pending = json!({"11111111-2222-3333-4444-555555555555": request});
    let gateway = Gateway::start("2026.3.13", &json!({}), &json!({}), &pending);
    identity(gateway.state.path(), None);
    let before = gateway.store();
    let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory()]);
    probed.is("not-approved", 24, (3, 1));
    probed.says("openclaw devices approve 11111111-2222-3333-4444-555555555555");
    assert_eq!(gateway.store(), before);
}

#[test]
fn a_device_with_its_own_token_is_let_in_and_left_as_it_was() {
    for profile in ["article", "2026.2.19", "2026.2.21", "2026.2.22", "2026.3.13"] {
        let gateway = Gateway::with(profile, &entry(&["operator.read", "operator.write"]));
        identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read", "operator.write"])));
        let before = gateway.store();
        let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory()]);
        probed.is_let_in((4, 2));
        assert_eq!(gateway.store(), before, "{profile}");
    }
}

#[test]
fn what_it_asks_and_does_not_hold_is_named_and_not_asked_for() {
    for profile in ["article", "2026.2.19", "2026.3.13"] {
        let gateway = Gateway::with(profile, &entry(&["operator.read"]));
        identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read", "operator.write"])));
        let before = gateway.store();
        let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory(), "--asks", "operator.write"]);
        probed.is("read-only-poisoned", 28, (4, 2));
        probed.says("this device asks for operator.write and holds operator.read");
        assert_eq!(gateway.store(), before, "{profile}");
    }
    let gateway = Gateway::with("2026.2.19", &entry(&["operator.read", "operator.write"]));
    identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory(), "--asks", "operator.admin"]);
    probed.is("scope-ladder", 29, (4, 2));
    probed.says("--scope operator.admin --scope operator.read --scope operator.write");
}

#[test]
fn a_token_that_a_rotation_left_narrower_is_told_from_an_entry_that_is() {
    let mut narrow = entry(&["operator.read", "operator.write"]);
    narrow["tokens"]["operator"]["scopes"] = json!(["operator.read"]);
    let gateway = Gateway::with("2026.3.13", &narrow);
    identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let before = gateway.store();
    let probed = probe(&[&gateway.url, "--state-dir", &gateway.directory(), "--asks", "operator.write"]);
    probed.is("narrow-rotation", 27, (4, 2));
    assert_eq!(gateway.store(), before);
}

#[test]
fn a_role_and_metadata_that_are_not_approved_are_found_without_asking_for_them() {
    let gateway = Gateway::with("2026.3.13", &entry(&["operator.read", "operator.write"]));
    identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let before = gateway.store();
    let directory = gateway.directory();
    let probed = probe(&[&gateway.url, "--state-dir", &directory, "--role", "node"]);
    probed.is("role", 30, (3, 1));
    probed.says("operator");
    let probed = probe(&[&gateway.url, "--state-dir", &directory, "--platform", "darwin"]);
    probed.is("metadata-pin", 31, (4, 2));
    probed.says("darwin");
    assert_eq!(gateway.store(), before);
    // A release that does not pin takes any.
    let gateway = Gateway::with("2026.2.19", &entry(&["operator.read", "operator.write"]));
    identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    probe(&[&gateway.url, "--state-dir", &gateway.directory(), "--platform", "darwin"]).is_let_in((4, 2));
}

#[test]
fn a_shared_token_that_is_not_the_gateways() {
    for profile in ["article", "2026.2.19", "2026.9.6"] {
        let gateway = Gateway::empty(profile);
        let folder = scratch();
        let other = write(folder.path(), "token", "the-token-of-last-month");
        let probed = probe(&[&gateway.url, "--token-file", &other]);
        probed.is("token-drift", 20, (3, 1));
        probed.says("counts towards a lock-out");
        assert!(!probed.finished.said().contains("the-token-of-last-month"));
    }
}

#[test]
fn a_device_token_that_was_rotated() {
    let gateway = Gateway::with("2026.3.13", &entry(&["operator.read", "operator.write"]));
    identity(gateway.state.path(), Some(("the-token-before-the-rotation", &["operator.read"])));
    let before = gateway.store();
    // With the store at hand nobody needs to be asked.
    probe(&[&gateway.url, "--state-dir", &gateway.directory()]).is("stale-device-token", 21, (3, 1));
    // Without it, the gateway is.
    let elsewhere = gateway.directory();
    for profile in ["2026.3.13", "2026.2.19"] {
        let gateway = Gateway::with(profile, &entry(&["operator.read", "operator.write"]));
        let probed = probe(&[&gateway.url, "--identity", &elsewhere, "--token-file", "TOKEN-FILE"]);
        probed.is("stale-device-token", 21, (4, 2));
    }
    assert_eq!(gateway.store(), before);
}

#[test]
fn an_identity_is_not_shown_to_a_local_gateway_that_might_pair_it() {
    let gateway = Gateway::start("2026.3.13", &json!({"auth": {"mode": "none"}}), &json!({}), &json!({}));
    let client = scratch();
    identity(client.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let directory = client.path().display().to_string();
    let probed = probe(&[&gateway.url, "--identity", &directory]);
    probed.is("cannot-tell", 40, (2, 0));
    probed.says("pairs a local device at once");
    assert_eq!(gateway.store(), (json!({}), json!({})));
}

#[test]
fn a_device_that_was_approved_in_another_state_directory() {
    let elsewhere = state(&json!({}), &json!({ (device_id()): entry(&["operator.read"]) }), &json!({}));
    identity(elsewhere.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let gateway = Gateway::empty("2026.3.13");
    let probed = probe(&[&gateway.url, "--state-dir", &elsewhere.path().display().to_string()]);
    probed.is("approved-elsewhere", 25, (4, 2));
    assert_eq!(gateway.store(), (json!({}), json!({})));
}

#[test]
fn a_store_that_was_truncated_or_lost() {
    let gateway = Gateway::with("2026.2.19", &entry(&["operator.read"]));
    identity(gateway.state.path(), Some((DEVICE_TOKEN, &["operator.read"])));
    let path = gateway.state.path().join("devices/paired.json");
    let whole = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("a file");
    let directory = gateway.directory();
    probe(&[&gateway.url, "--state-dir", &directory]).is("lost-store", 34, (3, 1));
    assert_eq!(
        std::fs::read(&path).expect("a file"),
        whole[..whole.len() / 2],
        "it is left for whoever repairs it"
    );
    std::fs::write(&path, "{}").expect("a file");
    probe(&[&gateway.url, "--state-dir", &directory]).is("lost-store", 34, (3, 1));
}

#[test]
fn forwarding_headers_that_nobody_can_be_held_to() {
    let gateway = Gateway::empty("2026.9.6");
    let (port, _) = proxy(gateway.address(), "");
    let probed = probe(&[&format!("ws://127.0.0.1:{port}"), "--token-file", "TOKEN-FILE"]);
    probed.is("proxy-attribution", 17, (2, 0));
    probed.says("gateway.trustedProxies");
}

#[test]
fn a_proxy_that_is_not_trusted_and_a_range_that_is_ignored() {
    for (trusted, cause, code) in [
        (json!([]), "untrusted-proxy", 33),
        (json!(["172.16.0.0/12"]), "cidr-ignored", 32),
        (json!(["172.17.0.1"]), "not-approved", 24),
    ] {
        let gateway =
            Gateway::start("article", &json!({ "trustedProxies": trusted }), &json!({}), &json!({}));
        let (port, _) = proxy(gateway.address(), "Via: 1.1 edge");
        let url = format!("ws://127.0.0.1:{port}");
        let probed = probe(&[&url, "--state-dir", &gateway.directory(), "--new-device"]);
        probed.is(cause, code, (4, 2));
    }
}

#[test]
fn the_origin_of_a_page() {
    let config =
        json!({"controlUi": {"allowedOrigins": ["https://gw.example.com", "http://gw.example.com:18789"]}});
    let gateway = Gateway::start("2026.3.13", &config, &json!({}), &json!({}));
    let origin = |origin: &str| probe(&[&gateway.url, "--token-file", "TOKEN-FILE", "--origin", origin]);
    origin("https://evil.example.com").is("origin", 18, (4, 2));
    origin("http://gw.example.com:18789").is("insecure-context", 19, (4, 2));
    origin("https://gw.example.com").is_let_in((4, 2));
    assert_eq!(gateway.store(), (json!({}), json!({})));
}

#[test]
fn an_address_that_is_locked_out() {
    let limit = json!({"maxAttempts": 3, "windowMs": 600_000, "lockoutMs": 600_000, "exemptLoopback": false});
    let config = json!({"auth": {"mode": "token", "token": TOKEN, "rateLimit": limit}});
    let gateway = Gateway::start("2026.3.13", &config, &json!({}), &json!({}));
    let folder = scratch();
    let other = write(folder.path(), "token", "somebody-elses-token");
    for _ in 0..3 {
        probe(&[&gateway.url, "--token-file", &other]).is("token-drift", 20, (3, 1));
    }
    probe(&[&gateway.url, "--token-file", "TOKEN-FILE"]).is("rate-limited-neighbour", 23, (3, 1));
}

#[test]
fn an_address_with_too_many_open_sockets() {
    let gateway = Gateway::empty("2026.9.6");
    let waiting: Vec<TcpStream> = (0..32)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.address()).expect("a socket");
            let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            stream.write_all(upgrade).expect("it is sent");
            assert!(read_head(&mut stream).starts_with(b"HTTP/1.1 101"));
            stream
        })
        .collect();
    probe(&[&gateway.url, "--token-file", "TOKEN-FILE"]).is("socket-budget", 16, (2, 0));
    drop(waiting);
}

/// A listener with a certificate that nobody issued, before a gateway; gives its port, the certificate in PEM and its SHA-256.
fn tls(to: SocketAddr, name: &str, is_ca: bool) -> (u16, String, String) {
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ServerConfig, crypto};

    let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
    // As `openssl req -x509` makes them.
    if is_ca {
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let signing_key = rcgen::KeyPair::generate().expect("a key");
    let made = parameters.self_signed(&signing_key).expect("a certificate");
    let der = made.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .expect("a server");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    thread::Builder::new()
        .spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
                let mut serving = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    serving.spawn(async move {
                        let mut from = acceptor.accept(stream).await?;
                        let mut there = tokio::net::TcpStream::connect(to).await?;
                        tokio::io::copy_bidirectional(&mut from, &mut there).await
                    });
                }
            });
        })
        .expect("a thread");
    let fingerprint = harness::probe::tls::shown(&harness::probe::tls::digest(&der));
    (port, made.pem(), fingerprint)
}

#[test]
fn a_certificate_is_held_against_what_it_was_pointed_at() {
    let gateway = Gateway::empty("2026.3.13");
    for is_ca in [false, true] {
        let (port, pem, fingerprint) = tls(gateway.address(), "localhost", is_ca);
        let folder = scratch();
        let ca = write(folder.path(), "ca.pem", &pem);
        let with = |more: &[&str]| {
            probe(&[&[&format!("wss://localhost:{port}"), "--token-file", "TOKEN-FILE"], more].concat())
        };
        // Nothing that holds a secret is sent to somebody who is not trusted.
        let probed = with(&[]);
        probed.is("cannot-tell", 40, (1, 0));
        probed.says(&format!("--fingerprint {fingerprint}"));
        with(&["--ca", &ca]).is_let_in((3, 1));
        with(&["--fingerprint", &fingerprint.to_lowercase().replace(':', "")]).is_let_in((3, 1));
        let probed = with(&["--fingerprint", &"00".repeat(32)]);
        probed.is("cannot-tell", 40, (1, 0));
        probed.says("another one than the pinned one");
    } // The name counts, whoever issued it.
    let (port, pem, _) = tls(gateway.address(), "gw.example.com", true);
    let folder = scratch();
    let ca = write(folder.path(), "ca.pem", &pem);
    let probed = probe(&[&format!("wss://localhost:{port}"), "--ca", &ca]);
    probed.is("cannot-tell", 40, (1, 0));
    probed.says("for another name");
}

#[test]
fn the_wrong_scheme_is_told_either_way() {
    let gateway = Gateway::empty("2026.3.13");
    let (port, ..) = tls(gateway.address(), "localhost", false);
    let probed = probe(&[&format!("ws://127.0.0.1:{port}")]);
    probed.is("wrong-url", 10, (1, 0));
    probed.says("wss://");
    let probed = probe(&[&gateway.url.replace("ws://", "wss://"), "--fingerprint", &"00".repeat(32)]);
    probed.is("wrong-url", 10, (1, 0));
    probed.says("does not speak TLS");
}

/// `0.0.0.0` is this machine to the kernel and another one to whoever reads the URL.
#[test]
fn no_secret_goes_over_a_plain_connection_to_another_machine() {
    let scopes = ["operator.read", "operator.write"];
    let gateway = Gateway::with("2026.2.19", &entry(&scopes));
    let port = gateway.address().port();
    let there = format!("ws://0.0.0.0:{port}");
    let folder = scratch();
    identity(folder.path(), Some((DEVICE_TOKEN, &scopes)));
    let identity = folder.path().display().to_string();
    for secrets in [
        vec!["--token-file", "TOKEN-FILE"],
        vec!["--token-file", "TOKEN-FILE", "--password"],
        vec!["--identity", &identity],
        vec!["--token-file", "TOKEN-FILE", "--new-device"],
        vec!["--token-file", "TOKEN-FILE", "--origin", "https://gw.example.com"],
    ] {
        let kept = probe(&[[there.as_str()].as_slice(), &secrets].concat());
        kept.is("cannot-tell", 8, (2, 0));
        assert!(kept.finished.stderr.contains("--allow-plaintext"), "{}", kept.finished.said());
    }
    let all = ["--token-file", "TOKEN-FILE", "--identity", &identity];
    probe(&[[there.as_str(), "--allow-plaintext"].as_slice(), &all].concat()).is_let_in((4, 2));
    probe(&[[gateway.url.as_str()].as_slice(), &all].concat()).is_let_in((4, 2));
    // Where a cause is found without a secret, it is told.
    probe(&["ws://0.0.0.0:1", "--token-file", "TOKEN-FILE"]).is("wrong-url", 10, (1, 0));

    let (port, came) = listen(|mut stream| drop(read_head(&mut stream)));
    let finished = pairstorm(folder.path(), &["probe", &format!("ws://0.0.0.0:{port}/?token=hunter2")]);
    assert_eq!((finished.code, came.load(Ordering::Relaxed)), (Some(8), 0), "{}", finished.said());
    assert!(!finished.said().contains("hunter2"));
}

#[test]
fn a_code_of_channel_pairing_is_told_apart() {
    let folder = scratch();
    for code in ["ABC123", "K7QXW2MN"] {
        let finished = pairstorm(folder.path(), &["probe", code]);
        assert_eq!(finished.code, Some(9), "{}", finished.said());
        assert!(finished.stdout.contains("openclaw pairing approve"), "{}", finished.said());
    }
    for wrong in ["gateway", "127.0.0.1:18789", "ws://user:hunter2@127.0.0.1:1"] {
        let finished = pairstorm(folder.path(), &["probe", wrong]);
        assert_eq!(finished.code, Some(64), "{}", finished.said());
        assert!(!finished.said().contains("hunter2"));
    }
}
