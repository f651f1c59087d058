//! TCP connection from a chosen source address, and the WebSocket upgrade.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::client::upgrade::UpgradeHeaders;
use crate::gateway::TargetAddress;
use crate::observation::{CloseSeen, Closed, DropReason, Outcome, Phase};

/// Longest body of a refused upgrade that is kept, bytes.
const BODY_MAX: usize = 200;

/// A connection after its upgrade.
pub type Socket = WebSocketStream<TcpStream>;

/// tungstenite with every size stated: its default read buffer of 128 KiB is allocated and zeroed for every connection
/// (docs/adr/0001), its default write buffer has no limit.
#[must_use]
pub fn config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

/// Connects to `target` from `source`.
///
/// # Errors
/// The outcome that the failure amounts to.
pub async fn dial(target: SocketAddr, source: Option<Ipv4Addr>) -> Result<TcpStream, Outcome> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
        .map_err(|error| failure(&error))?;
    if let Some(source) = source {
        socket.bind(SocketAddr::from((source, 0))).map_err(|error| failure(&error))?;
    }
    let stream = socket.connect(target).await.map_err(|error| failure(&error))?;
    // A port that nobody listens on can, on loopback, connect to itself when the kernel draws the same port.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(Outcome::ConnectionRefused);
    }
    stream.set_nodelay(true).map_err(|error| failure(&error))?;
    Ok(stream)
}

fn failure(error: &std::io::Error) -> Outcome {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::CONNREFUSED) => Outcome::ConnectionRefused,
        Some(Errno::MFILE | Errno::NFILE) => Outcome::Dropped(DropReason::Descriptors),
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => Outcome::Dropped(DropReason::Ports),
        Some(Errno::TIMEDOUT) => Outcome::TimedOut { phase: Phase::Dial },
        Some(Errno::CONNRESET) => Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Dial }),
        _ => Outcome::Unreachable { error: error.to_string() },
    }
}

/// Upgrades a connection.
///
/// # Errors
/// The outcome that the failure amounts to.
pub async fn upgrade(
    stream: TcpStream,
    target: &TargetAddress,
    headers: &UpgradeHeaders,
    message_bytes_max: usize,
) -> Result<Socket, Outcome> {
    let request = request(target, headers).map_err(|error| Outcome::Unreachable { error })?;
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config(message_bytes_max))).await
    {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(upgrade_failure(error)),
    }
}

fn request(target: &TargetAddress, headers: &UpgradeHeaders) -> Result<Request<()>, String> {
    let uri: Uri = format!("ws://{}{}", target.host, target.path)
        .parse()
        .map_err(|error| format!("bad URL: {error}"))?;
    let mut request = uri.into_client_request().map_err(|error| format!("bad request: {error}"))?;
    let map = request.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| format!("`{text}` is no header value"));
    map.insert(header::HOST, value(&headers.host)?);
    for (name, text) in &headers.others {
        map.insert(*name, value(text)?);
    }
    Ok(request)
}

fn upgrade_failure(error: WsError) -> Outcome {
    match error {
        WsError::Http(response) => {
            let status = response.status().as_u16();
            let body = response.body().as_deref().unwrap_or_default();
            let shown = body.get(..body.len().min(BODY_MAX)).unwrap_or_default();
            let mark = if shown.len() < body.len() { "…" } else { "" };
            Outcome::UpgradeRefused { status, body: format!("{}{mark}", String::from_utf8_lossy(shown)) }
        }
        WsError::Io(error) => match failure(&error) {
            // Once connected, these mean that the peer went away.
            Outcome::Unreachable { .. } | Outcome::ConnectionRefused => {
                Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade })
            }
            Outcome::Closed(_) => Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade }),
            other => other,
        },
        WsError::Protocol(ProtocolError::HandshakeIncomplete) | WsError::ConnectionClosed => {
            Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade })
        }
        other => Outcome::NotAGateway { what: format!("it does not speak WebSocket: {other}") },
    }
}
