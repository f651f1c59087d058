//! A client with a WebSocket library of its own gets through the reference server, signs, is refused, and leaves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use benches::floor;
use benches::reference_server::{Counts, HelloSize, ReferenceServer, Settings, Stopper};
use futures_util::{SinkExt as _, StreamExt as _};
use harness::client::DeviceKey;
use protocol::connect::{AuthParams, Challenge, ClientInfo, DeviceProof};
use protocol::{ClientId, ClientMode, ConnectParams, Frame, HelloOk, PayloadVersion, SignaturePayload};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

struct Running {
    address: SocketAddr,
    stopper: Stopper,
    thread: JoinHandle<std::io::Result<Counts>>,
}

impl Running {
    fn start(hello: HelloSize, verify: bool) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = ReferenceServer::bind(Settings { address, hello, reject: false, verify }).unwrap();
        let (address, stopper) = (server.address(), server.stopper().unwrap());
        let thread = std::thread::Builder::new().spawn(move || server.serve()).unwrap();
        Self { address, stopper, thread }
    }

    async fn dial(&self, path: &str) -> Socket {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{}{path}", self.address), stream).await.unwrap();
        socket
    }

    fn stop(self) -> Counts {
        self.stopper.stop().unwrap();
        self.thread.join().unwrap().unwrap()
    }
}

/// A `connect` of a command line that signs `nonce`.
fn connect(nonce: &str) -> String {
    let key = DeviceKey::from_seed(&[7; 32]).unwrap();
    let scopes = vec!["operator.read".to_owned(), "operator.write".to_owned()];
    let mut client: ClientInfo =
        serde_json::from_str(r#"{"id":"cli","version":"1","platform":"linux","mode":"cli"}"#).unwrap();
    client.id = ClientId::Cli;
    client.mode = ClientMode::Cli;
    let signed_at = gateway_under_test::clock::wall_ms();
    let payload = SignaturePayload {
        device_id: key.device_id(),
        client_id: client.id.as_str(),
        client_mode: client.mode.as_str(),
        role: "operator",
        scopes: &scopes,
        signed_at_ms: signed_at,
        token: "secret-token-1",
        nonce,
        platform: &client.platform,
        device_family: "",
    };
    let device = DeviceProof {
        id: key.device_id().to_owned(),
        public_key: key.public_key().to_owned(),
        signature: key.sign(&payload.text(PayloadVersion::V3)),
        signed_at,
        nonce: Some(nonce.to_owned()),
    };
    let mut params = ConnectParams::new(3, 4, client);
    params.role = Some("operator".to_owned());
    params.scopes = Some(scopes);
    params.device = Some(device);
    params.auth = Some(AuthParams { token: Some("secret-token-1".to_owned()), ..AuthParams::default() });
    let params = serde_json::to_string(&params).unwrap();
    format!(r#"{{"type":"req","id":"a-1","method":"connect","params":{params}}}"#)
}

async fn text(socket: &mut Socket) -> String {
    let message = socket.next().await.unwrap().unwrap();
    let Message::Text(text) = message else { panic!("{message:?}") };
    text.to_string()
}

/// Challenge, `connect`, and the answer's text.
async fn shake(socket: &mut Socket, spoil: impl Fn(String) -> String) -> String {
    let challenge = text(socket).await;
    let Ok(Frame::Event(event)) = Frame::decode(challenge.as_bytes()) else { panic!("{challenge}") };
    let challenge: Challenge = serde_json::from_str(event.payload.unwrap().get()).unwrap();
    socket.send(Message::text(spoil(connect(&challenge.nonce)))).await.unwrap();
    text(socket).await
}

/// The `hello-ok` in an answer to the request `a-1`.
fn hello(answer: &str) -> HelloOk {
    let Ok(Frame::Response(response)) = Frame::decode(answer.as_bytes()) else { panic!("{answer}") };
    assert_eq!((response.id.as_ref(), response.ok), ("a-1", true));
    serde_json::from_str(response.payload.unwrap().get()).unwrap()
}

async fn leave(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.send(Message::Close(Some(frame))).await.unwrap();
    let echo = socket.next().await.unwrap().unwrap();
    assert!(matches!(&echo, Message::Close(Some(frame)) if frame.code == CloseCode::Normal), "{echo:?}");
    assert!(socket.next().await.is_none(), "the server closes");
}

#[tokio::test]
async fn a_client_gets_through_and_leaves() {
    for size in [HelloSize::OneK, HelloSize::Full] {
        let server = Running::start(size, true);
        let mut nonces = HashSet::new();
        for _ in 0..3 {
            let mut socket = server.dial("/").await;
            let answer = shake(&mut socket, |text| text).await;
            assert_eq!(hello(&answer).protocol, 4);
            leave(socket).await;
        }
        let mut socket = server.dial("/").await;
        nonces.insert(text(&mut socket).await);
        let mut other = server.dial("/").await;
        nonces.insert(text(&mut other).await);
        assert_eq!(nonces.len(), 2, "each challenge is another");
        leave(socket).await;
        leave(other).await;
        // A changed byte of what was signed, and the signature no longer holds.
        let mut socket = server.dial("/").await;
        shake(&mut socket, |text| text.replace("operator.read", "operator.reed")).await;
        leave(socket).await;
        let counts = server.stop();
        let seen = (counts.hellos, counts.closed, counts.signatures_good, counts.signatures_bad);
        assert_eq!(seen, (4, 6, 3, 1), "{counts:?}");
        assert_eq!(counts.first_bad, Some("device-signature"));
    }
}

#[tokio::test]
async fn who_asks_for_reject_is_refused() {
    let server = Running::start(HelloSize::OneK, false);
    let mut socket = server.dial("/reject").await;
    let answer = shake(&mut socket, |text| text).await;
    let Ok(Frame::Response(response)) = Frame::decode(answer.as_bytes()) else { panic!("{answer}") };
    assert_eq!(response.error.unwrap().code, protocol::ErrorCode::NotPaired);
    let close = socket.next().await.unwrap().unwrap();
    let Message::Close(Some(frame)) = close else { panic!("{close:?}") };
    assert_eq!(u16::from(frame.code), 1008);
    // The library answers the close frame when it is read on.
    assert!(socket.next().await.is_none(), "the server closes");
    let counts = server.stop();
    assert_eq!((counts.rejected, counts.hellos, counts.closed), (1, 0, 1), "{counts:?}");
}

#[test]
fn the_floor_client_knows_every_byte() {
    for size in [HelloSize::OneK, HelloSize::Full] {
        let server = Running::start(size, false);
        for (reject, handshakes, in_flight) in [(false, 50, 7), (true, 50, 1), (false, 3, 10)] {
            let settings = floor::Settings {
                target: server.address,
                hello: size,
                reject,
                handshakes,
                in_flight,
                source: None,
            };
            let counts = floor::run(&settings).unwrap();
            assert_eq!((counts.good, counts.bad), (handshakes, 0));
        }
        let counts = server.stop();
        assert_eq!((counts.hellos, counts.rejected, counts.closed), (53, 50, 103), "{counts:?}");
    }
}

#[test]
fn the_floor_client_counts_what_does_not_add_up() {
    let server = Running::start(HelloSize::Full, false);
    let settings = floor::Settings {
        target: server.address,
        // More comes than it believes.
        hello: HelloSize::OneK,
        reject: false,
        handshakes: 5,
        in_flight: 2,
        source: None,
    };
    assert_eq!(floor::run(&settings).unwrap(), floor::Counts { good: 0, bad: 5 });
    server.stop();
}

#[tokio::test]
async fn sessions_are_kept_and_pings_answered() {
    let server = Running::start(HelloSize::Full, false);
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut socket = server.dial("/").await;
        hello(&shake(&mut socket, |text| text).await);
        held.push(socket);
    }
    for mut socket in held {
        socket.send(Message::Ping("are you there".into())).await.unwrap();
        let pong = socket.next().await.unwrap().unwrap();
        assert!(matches!(&pong, Message::Pong(bytes) if bytes.as_ref() == b"are you there"), "{pong:?}");
        leave(socket).await;
    }
    let counts = server.stop();
    assert_eq!((counts.hellos, counts.open_max, counts.bad_messages), (20, 20, 0), "{counts:?}");
}
