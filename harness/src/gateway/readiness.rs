//! Whether a gateway that says nothing to this harness is ready.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{ErrorCode, Frame};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::plan::Readiness;

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one look may take: a gateway that starts may accept a connection and say nothing for seconds.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Where looks come from: an address of no client, operator or fault, so that no limit on an address is used up.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 1, 249, 2);
/// A challenge and a refusal have a few hundred bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Longest part of a log that is looked through at a time, bytes.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// Returns when the gateway on `port` of 127.0.0.1 is ready. `log` is what it writes, from byte `log_from` on.
pub(super) async fn until(ready: &Readiness, port: u16, log: &Path, log_from: u64) {
    loop {
        let looking = async {
            match ready {
                Readiness::Handshake => answers_a_handshake(port).await.unwrap_or(false),
                Readiness::Http(path) => answers_http(port, path).await.unwrap_or(false),
                Readiness::Line(text) => has_line(log, log_from, text).unwrap_or(false),
            }
        };
        if tokio::time::timeout(LOOK_WITHIN, looking).await.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns when something listens on `port` of 127.0.0.1.
pub(super) async fn until_open(port: u16) {
    while dial(port).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(super) async fn dial(port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((SOURCE, 0)))?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// Asks for a protocol that no gateway speaks. While a gateway starts it says `UNAVAILABLE` before it looks at that;
/// afterwards it refuses, and has neither looked at a credential nor counted a failure nor stored anything (wire.md,
/// section 4). `None` when there is no answer at all.
async fn answers_a_handshake(port: u16) -> Option<bool> {
    let stream = dial(port).await.ok()?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let url = format!("ws://127.0.0.1:{port}/");
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await.ok()?;
    let ask = json!({
        "type": "req", "id": "ready", "method": protocol::connect::METHOD,
        "params": {
            "minProtocol": 1, "maxProtocol": 1,
            "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
        },
    });
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        match Frame::decode(text.as_bytes()).ok()? {
            Frame::Event(event) if event.event == protocol::connect::CHALLENGE_EVENT => {
                socket.send(Message::text(ask.to_string())).await.ok()?;
            }
            Frame::Response(response) => {
                return Some(response.error.is_none_or(|error| error.code != ErrorCode::Unavailable));
            }
            _ => {}
        }
    }
    None
}

async fn answers_http(port: u16, path: &str) -> Option<bool> {
    let mut stream = dial(port).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut start = [0; 10];
    stream.read_exact(&mut start).await.ok()?;
    // `HTTP/1.1 2`
    Some(start.starts_with(b"HTTP/1.") && start.ends_with(b" 2"))
}

fn has_line(log: &Path, from: u64, text: &str) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(end.saturating_sub(LOG_BYTES_MAX))))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).contains(text))
}
