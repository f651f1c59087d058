//! A small blocking client, for any release.

use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use harness::client::DeviceKey;
use protocol::{PayloadVersion, SignaturePayload};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::client;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message, WebSocket};

/// The shared secret of these tests' configurations.
pub(crate) const SECRET: &str = "shared-secret-of-these-tests";
/// The address that those configurations trust as a proxy.
pub(crate) const PROXY: &str = "127.0.0.2";
/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// From where a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Here,
    /// Through the proxy.
    Elsewhere,
}

/// Who a client is, and what it asks.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    key: Rc<DeviceKey>,
    role: &'static str,
    scopes: Vec<&'static str>,
    /// Credential: a key of `auth` and its value.
    auth: (&'static str, String),
}

impl Who {
    /// A device with the shared secret; the seed makes its key.
    pub(crate) fn new(seed: u8, role: &'static str, scopes: &[&'static str]) -> Self {
        Self {
            key: Rc::new(DeviceKey::from_seed(&[seed; 32]).unwrap()),
            role,
            scopes: scopes.to_vec(),
            auth: ("token", SECRET.to_owned()),
        }
    }

    /// The same device with another credential.
    pub(crate) fn with(&self, auth: (&'static str, String)) -> Self {
        Self { auth, ..self.clone() }
    }

    pub(crate) fn device_id(&self) -> String {
        self.key.device_id().to_owned()
    }

    /// Parameters of `connect`. Payload v2 is accepted by every release.
    fn params(&self, nonce: &str, signed_at_ms: u64) -> Value {
        let (client_id, mode) = if self.role == "node" { ("node-host", "node") } else { ("cli", "cli") };
        let scopes: Vec<String> = self.scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let id = self.device_id();
        let payload = SignaturePayload {
            device_id: &id,
            client_id,
            client_mode: mode,
            role: self.role,
            scopes: &scopes,
            signed_at_ms,
            token: &self.auth.1,
            nonce,
            platform: "linux",
            device_family: "",
        };
        let signature = self.key.sign(&payload.text(PayloadVersion::V2));
        json!({
            "minProtocol": 3, "maxProtocol": 4,
            "client": {"id": client_id, "version": "1.0.0", "platform": "linux", "mode": mode},
            "role": self.role, "scopes": self.scopes, "auth": {self.auth.0: self.auth.1},
            "device": {
                "id": id, "publicKey": self.key.public_key(),
                "signature": signature, "signedAt": signed_at_ms, "nonce": nonce,
            },
        })
    }
}

/// A connection.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    calls: u32,
}

impl Client {
    /// Connects and gives the answer to `connect` beside the connection. A gateway that says when to try again is asked
    /// again then, and not before: that is the client's part of the protocol.
    pub(crate) fn connect(address: SocketAddr, from: From, who: &Who) -> (Self, Value) {
        let began = Instant::now();
        loop {
            let (connection, answer) = Self::attempt(address, from, who);
            match answer.pointer("/error/retryAfterMs").and_then(Value::as_u64) {
                Some(wait_ms) => {
                    assert!(began.elapsed() < PATIENCE, "it puts its client off for ever: {answer}");
                    std::thread::sleep(Duration::from_millis(wait_ms));
                }
                None => return (connection, answer),
            }
        }
    }

    fn attempt(address: SocketAddr, from: From, who: &Who) -> (Self, Value) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let mut request = ClientRequestBuilder::new(format!("ws://{address}/").parse().unwrap());
        if from == From::Elsewhere {
            let proxy: SocketAddr = format!("{PROXY}:0").parse().unwrap();
            socket.bind(&proxy.into()).unwrap();
            request = request.with_header("X-Forwarded-For", "203.0.113.7");
        }
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = client(request, stream).unwrap();
        let mut connection = Self { socket, calls: 0 };
        let challenge = connection.read();
        let text = |pointer| challenge.pointer(pointer).unwrap().clone();
        let (nonce, ts) = (text("/payload/nonce"), text("/payload/ts"));
        let params = who.params(nonce.as_str().unwrap(), ts.as_u64().unwrap());
        let answer = connection.call("connect", params);
        (connection, answer)
    }

    /// Connects and must get a session; gives `hello.auth` beside it.
    pub(crate) fn session(address: SocketAddr, from: From, who: &Who) -> (Self, Value) {
        let (connection, answer) = Self::connect(address, from, who);
        assert_eq!(answer["ok"], true, "{answer}");
        let auth = answer["payload"]["auth"].clone();
        (connection, auth)
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The whole response to a request.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls.to_string();
        let request = json!({"type": "req", "id": id, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let frame = self.read();
            if frame["type"] == "res" && frame["id"] == id.as_str() {
                return frame;
            }
        }
    }

    /// The payload of a request that must succeed.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.call(method, params);
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["payload"].take()
    }
}
