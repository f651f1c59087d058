//! A small blocking client.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::client;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message, WebSocket};

use super::PATIENCE;
use super::device::Device;
use super::way::Way;

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
