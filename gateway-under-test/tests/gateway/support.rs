//! Starts the real binary on a free port, and a small blocking client to drive it.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::{PayloadVersion, ProfileName, SignaturePayload, device_id};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::client;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message, WebSocket};

pub(crate) const TOKEN: &str = "shared-secret-of-these-tests";
/// Source address of connections that come through the trusted proxy.
pub(crate) const PROXY: &str = "127.2.0.1";
/// Nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A state directory that goes away with the test.
pub(crate) struct State {
    dir: tempfile::TempDir,
    profile: ProfileName,
    /// A program, with its arguments, that starts the gateway.
    pub(crate) under: Vec<String>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self::with_gateway_config(&json!({"auth": {"token": TOKEN}, "trustedProxies": [PROXY]}))
    }

    /// Of a gateway that behaves as this release.
    pub(crate) fn of(profile: ProfileName) -> Self {
        Self { profile, ..Self::new() }
    }

    pub(crate) fn with_gateway_config(gateway: &Value) -> Self {
        let state =
            Self { dir: tempfile::tempdir().unwrap(), profile: ProfileName::Article, under: Vec::new() };
        state.write("openclaw.json", &json!({"gateway": gateway}).to_string());
        state
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.file(name)).unwrap()).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway-under-test"));
        command.env_remove("OPENCLAW_GATEWAY_TOKEN").env("RUST_BACKTRACE", "1");
        command
    }

    pub(crate) fn gateway_command(&self, port: u16, more: &[&str]) -> Command {
        let mut command = self.command();
        if let [program, args @ ..] = &self.under[..] {
            let gateway = command.get_program().to_owned();
            command = Command::new(program);
            command.args(args).arg(gateway).env_remove("OPENCLAW_GATEWAY_TOKEN");
        }
        command
            .args(["--profile", self.profile.as_str(), "--port", &port.to_string(), "--state-dir"])
            .arg(self.path())
            .args(more);
        command
    }

    /// Runs `devices …` to its end.
    pub(crate) fn devices(&self, args: &[&str]) -> Output {
        self.command().arg("devices").arg("--state-dir").arg(self.path()).args(args).output().unwrap()
    }

    pub(crate) fn start(&self) -> Gateway {
        self.start_with(0, &[])
    }

    /// Waits until it says that it listens.
    pub(crate) fn start_with(&self, port: u16, more: &[&str]) -> Gateway {
        let (mut gateway, mut stdout) = self.spawn(port, more);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim_end().strip_prefix("listening on ws://") else {
            panic!("no `listening on` line but {line:?}; log: {:#?}", gateway.log.wait_ended());
        };
        gateway.address = address.parse().unwrap();
        gateway
    }

    /// Waits only until its port is open.
    pub(crate) fn start_early(&self, more: &[&str]) -> Gateway {
        let (mut gateway, stdout) = self.spawn(0, more);
        // Closed, it would end the gateway.
        gateway.stdout = Some(stdout);
        let line = gateway.logged("listening on ws://");
        let address = line.split("ws://").nth(1).unwrap().split(' ').next().unwrap();
        gateway.address = address.parse().unwrap();
        gateway
    }

    fn spawn(&self, port: u16, more: &[&str]) -> (Gateway, BufReader<ChildStdout>) {
        let mut child =
            self.gateway_command(port, more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let writer = Arc::clone(&log);
        #[expect(clippy::disallowed_methods, reason = "ends with the process whose output it reads")]
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.more.notify_all();
            }
            *writer.ended.lock().unwrap() = true;
            writer.more.notify_all();
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (Gateway { address: ([127, 0, 0, 1], port).into(), child, log, stdout: None }, stdout)
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    ended: Mutex<bool>,
    more: Condvar,
}

impl Log {
    /// All lines, once the process has closed its end.
    fn wait_ended(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let wait = self.more.wait_timeout_while(lines, PATIENCE, |_| !*self.ended.lock().unwrap());
        wait.unwrap().0.clone()
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    child: Child,
    log: Arc<Log>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Gateway {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits for a log line with this text and gives it.
    pub(crate) fn logged(&self, text: &str) -> String {
        let lines = self.log.lines.lock().unwrap();
        let (lines, _) = self
            .log
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| !lines.iter().any(|line| line.contains(text)))
            .unwrap();
        lines
            .iter()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("{text:?} is not in the log: {lines:#?}"))
            .clone()
    }

    /// Everything logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// A connection after its challenge.
    pub(crate) fn connect(&self, way: &Way) -> Connection {
        Connection::open(self.address, way).unwrap()
    }

    /// Connects and says hello; a session or a panic.
    pub(crate) fn session(&self, way: &Way, device: &Device) -> Connection {
        let mut connection = self.connect(way);
        let answer = connection.hello(device);
        assert_eq!(answer["ok"], true, "{answer}");
        connection.hello = answer["payload"].clone();
        connection
    }

    /// Connects, is refused, and gives the error and the close frame.
    pub(crate) fn refused(&self, way: &Way, device: &Device) -> (Value, Option<(u16, String)>) {
        let mut connection = self.connect(way);
        let answer = connection.hello(device);
        assert_eq!(answer["ok"], false, "{answer}");
        (answer["error"].clone(), connection.close_frame())
    }

    /// Largest resident size so far, kilobytes.
    pub(crate) fn peak_memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A local operator that holds every scope, paired by itself.
    pub(crate) fn operator(&self) -> Connection {
        self.session(&Way::local(), &Device::new(250).scopes(&protocol::scope::ALL))
    }

    /// The same, of a release.
    pub(crate) fn operator_of(&self, profile: ProfileName) -> Connection {
        self.session(&Way::local(), &Device::new(250).scopes(&protocol::scope::ALL).of(profile))
    }

    /// `GET path`: status, content type and body.
    pub(crate) fn page(&self, path: &str) -> (u16, String, String) {
        let text = self
            .exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), kind.to_owned(), body.to_owned())
    }

    /// The status and body that an upgrade is refused with.
    pub(crate) fn not_upgraded(&self, way: &Way) -> (u16, String) {
        match Connection::open(self.address, way).map_err(|error| *error) {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            Err(other) => panic!("no HTTP answer but {other}"),
            Ok(_) => panic!("it was upgraded"),
        }
    }

    /// `GET path`: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    /// Sends bytes and reads to the end: status and body.
    pub(crate) fn http(&self, request: &str) -> (u16, String) {
        let text = self.exchange(request);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn exchange(&self, request: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a client reaches the gateway.
#[derive(Clone, Default)]
pub(crate) struct Way {
    source: Option<IpAddr>,
    headers: Vec<(String, String)>,
    host: Option<String>,
}

impl Way {
    pub(crate) fn local() -> Self {
        Self::default()
    }

    /// From this address, without headers.
    pub(crate) fn from(source: &str) -> Self {
        Self { source: Some(source.parse().unwrap()), ..Self::default() }
    }

    /// Through the trusted proxy, for this client.
    pub(crate) fn remote(client: &str) -> Self {
        Self::from(PROXY).header("X-Forwarded-For", client)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }
}

/// What a client asks, and with which key.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) key: SigningKey,
    pub(crate) params: Value,
    pub(crate) version: PayloadVersion,
    /// Added to the challenge's time.
    pub(crate) clock_ms: i64,
    /// Signed and sent instead of the challenge's.
    pub(crate) nonce: Option<String>,
}

impl Device {
    /// A CLI operator with the shared token that asks `operator.read`; the seed makes the key.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            params: json!({
                "minProtocol": 3, "maxProtocol": 3,
                "client": {"id": "cli", "version": "1.0.0", "platform": "linux", "mode": "cli"},
                "role": "operator", "scopes": ["operator.read"], "auth": {"token": TOKEN},
            }),
            version: PayloadVersion::V3,
            clock_ms: 0,
            nonce: None,
        }
    }

    /// As the clients of that release sign and speak.
    pub(crate) fn of(self, profile: ProfileName) -> Self {
        let v2 =
            matches!(profile, ProfileName::V2026_2_19 | ProfileName::V2026_2_21 | ProfileName::V2026_2_22);
        let version = if v2 { PayloadVersion::V2 } else { PayloadVersion::V3 };
        Self { version, ..self }.set("/maxProtocol", json!(4))
    }

    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.params.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        self
    }

    pub(crate) fn scopes(self, scopes: &[&str]) -> Self {
        self.set("/scopes", json!(scopes))
    }

    pub(crate) fn role(self, role: &str) -> Self {
        self.set("/role", json!(role))
    }

    pub(crate) fn auth(self, auth: Value) -> Self {
        self.set("/auth", auth)
    }

    pub(crate) fn id(&self) -> String {
        device_id(&self.public())
    }

    pub(crate) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The parameters with a signed proof.
    pub(crate) fn signed(&self, nonce: &str, challenge_ms: u64) -> Value {
        let mut params = self.params.clone();
        let text =
            |pointer: &str| params.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let scopes: Vec<String> = params["scopes"]
            .as_array()
            .map(|list| list.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        let token = ["/auth/token", "/auth/deviceToken"]
            .into_iter()
            .find_map(|pointer| params.pointer(pointer)?.as_str())
            .unwrap_or_default()
            .to_owned();
        let role = if params.get("role").is_none() { "operator".to_owned() } else { text("/role") };
        let nonce = self.nonce.as_deref().unwrap_or(nonce);
        let signed_at = challenge_ms.saturating_add_signed(self.clock_ms);
        let id = self.id();
        let payload = SignaturePayload {
            device_id: &id,
            client_id: &text("/client/id"),
            client_mode: &text("/client/mode"),
            role: &role,
            scopes: &scopes,
            signed_at_ms: signed_at,
            token: &token,
            nonce,
            platform: &text("/client/platform"),
            device_family: &text("/client/deviceFamily"),
        }
        .text(self.version);
        params["device"] = json!({
            "id": id,
            "publicKey": self.public_key(),
            "signature": URL_SAFE_NO_PAD.encode(self.key.sign(payload.as_bytes()).to_bytes()),
            "signedAt": signed_at,
            "nonce": nonce,
        });
        params
    }
}

/// What a connection gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    Json(Value),
    Close(Option<(u16, String)>),
    /// The connection ended without a close frame.
    Gone,
}

/// A socket whose reads go on when the machine, or this process, has stood still: with a timeout, the system calls them
/// interrupted then.
struct Steady(TcpStream);

fn steadily<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl std::io::Read for Steady {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        steadily(|| self.0.read(bytes))
    }
}

impl std::io::Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        steadily(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// One WebSocket connection.
pub(crate) struct Connection {
    socket: WebSocket<Steady>,
    pub(crate) nonce: String,
    pub(crate) challenge_ms: u64,
    /// Payload of hello, once there is one.
    pub(crate) hello: Value,
    next_id: u32,
    /// Events that came while a response was awaited.
    events: Vec<Value>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, way: &Way) -> Result<Self, Box<tungstenite::Error>> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        if let Some(source) = way.source {
            socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        }
        socket.connect(&address.into()).map_err(|error| Box::new(error.into()))?;
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let host = way.host.clone().unwrap_or_else(|| address.to_string());
        let uri: Uri = format!("ws://{host}/any/path?ignored=1").parse().unwrap();
        let mut request = ClientRequestBuilder::new(uri);
        for (name, value) in &way.headers {
            request = request.with_header(name.as_str(), value.as_str());
        }
        let (socket, _) = client(request, Steady(stream)).map_err(|error| match error {
            tungstenite::HandshakeError::Failure(error) => Box::new(error),
            tungstenite::HandshakeError::Interrupted(_) => panic!("the upgrade hangs"),
        })?;
        let mut connection = Self {
            socket,
            nonce: String::new(),
            challenge_ms: 0,
            hello: Value::Null,
            next_id: 1,
            events: Vec::new(),
        };
        let Got::Json(challenge) = connection.read() else { panic!("no challenge") };
        assert_eq!(challenge["event"], "connect.challenge");
        connection.nonce = challenge["payload"]["nonce"].as_str().unwrap().to_owned();
        connection.challenge_ms = challenge["payload"]["ts"].as_u64().unwrap();
        Ok(connection)
    }

    pub(crate) fn read(&mut self) -> Got {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Got::Json(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => {
                    return Got::Close(frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came within {PATIENCE:?}")
                }
                Err(_) => return Got::Gone,
            }
        }
    }

    /// The next text message, as it came.
    pub(crate) fn read_text(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    pub(crate) fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).unwrap();
    }

    /// Sends several messages with one write.
    pub(crate) fn send_together(&mut self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.socket.write(Message::text(message)).unwrap();
        }
        self.socket.flush().unwrap();
    }

    pub(crate) fn set_write_timeout(&mut self, timeout: Duration) {
        self.socket.get_ref().0.set_write_timeout(Some(timeout)).unwrap();
    }

    /// Whether the message could be sent in time.
    pub(crate) fn try_send(&mut self, text: &str) -> bool {
        self.socket.send(Message::text(text)).is_ok()
    }

    /// The next response; events before it are kept.
    pub(crate) fn response(&mut self) -> Value {
        loop {
            match self.read() {
                Got::Json(frame) if frame["type"] == "event" => self.events.push(frame),
                Got::Json(frame) => return frame,
                other => panic!("no response but {other:?}"),
            }
        }
    }

    /// The close frame that comes next, whatever events come before it; `None` when the connection ends without one.
    pub(crate) fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match self.read() {
                Got::Close(frame) => return Some(frame.unwrap_or((1005, String::new()))),
                Got::Gone => return None,
                Got::Json(frame) => self.events.push(frame),
            }
        }
    }

    /// The close frame that comes next; `None` when the connection ends without one.
    pub(crate) fn close_frame(&mut self) -> Option<(u16, String)> {
        match self.read() {
            Got::Close(frame) => Some(frame.unwrap_or((1005, String::new()))),
            Got::Gone => None,
            Got::Json(value) => panic!("a frame instead of a close: {value}"),
        }
    }

    /// Sends the device's `connect` and gives the response.
    pub(crate) fn hello(&mut self, device: &Device) -> Value {
        let params = device.signed(&self.nonce, self.challenge_ms);
        self.request("connect", &params)
    }

    /// Sends a request and gives its response; events that come before it are kept.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next_id.to_string();
        self.next_id += 1;
        self.send(json!({"type": "req", "id": id, "method": method, "params": params}).to_string());
        loop {
            match self.read() {
                Got::Json(frame) if frame["type"] == "event" => self.events.push(frame),
                Got::Json(frame) => {
                    assert_eq!(frame["id"], id.as_str(), "{frame}");
                    return frame;
                }
                other => panic!("no response to {method} but {other:?}"),
            }
        }
    }

    /// A request that must succeed; its payload.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let response = self.request(method, &params);
        assert_eq!(response["ok"], true, "{method}: {response}");
        response["payload"].clone()
    }

    /// A request that must be refused; its message.
    pub(crate) fn denied(&mut self, method: &str, params: Value) -> String {
        let response = self.request(method, &params);
        assert_eq!(response["ok"], false, "{method}: {response}");
        response["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The next event of this name; others are skipped.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_frame(name)["payload"].clone()
    }

    /// The next event of this name, whole; others are skipped.
    pub(crate) fn event_frame(&mut self, name: &str) -> Value {
        loop {
            let frame = if self.events.is_empty() {
                match self.read() {
                    Got::Json(frame) => frame,
                    other => panic!("no event {name} but {other:?}"),
                }
            } else {
                self.events.remove(0)
            };
            if frame["event"] == name {
                return frame;
            }
        }
    }
}

/// `error.details.reason` and `requestId` of a pairing refusal, which must be one.
pub(crate) fn pairing(refused: &(Value, Option<(u16, String)>)) -> (String, String) {
    let (error, close) = refused;
    assert_eq!(error["code"], "NOT_PAIRED", "{error}");
    assert_eq!(error["message"], "pairing required");
    assert_eq!(error["details"]["code"], "PAIRING_REQUIRED");
    assert_eq!(*close, Some((1008, "pairing required".to_owned())));
    let text = |key: &str| error["details"][key].as_str().unwrap().to_owned();
    (text("reason"), text("requestId"))
}
