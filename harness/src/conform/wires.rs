//! The replay's connections: opened, written to, and read whenever the replay waits.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::session::{Connection, Leaving, Page, Seen};
use super::socket::{self, Socket};
use crate::engine::dial;
use crate::observation::Outcome;

/// Largest message that is read, bytes: the gateways' own limit.
const MESSAGE_BYTES_MAX: usize = 26_214_400;
/// Largest body that is read, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Messages of one connection that wait to be looked at; more than any recording has.
const INBOX_MAX: usize = 100_000;
/// How long a connection may take to be made.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// Where the replay looks from, so that no client's allowance is used up.
const PROBE: Ipv4Addr = Ipv4Addr::new(127, 1, 249, 3);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a gateway may take to answer a close.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    socket: Option<Socket>,
    /// What came and nobody asked for yet.
    pub(super) inbox: VecDeque<Seen>,
    /// Nonce of its challenge.
    pub(super) nonce: Option<String>,
    /// Time of its challenge, milliseconds.
    pub(super) challenged_at: Option<i64>,
    /// The client has left.
    pub(super) left: bool,
}

impl Wire {
    /// Whether more can come.
    pub(super) const fn open(&self) -> bool {
        self.socket.is_some()
    }

    fn keep(&mut self, seen: Seen) {
        if self.inbox.len() < INBOX_MAX {
            self.inbox.push_back(seen);
        }
    }

    fn message(&mut self, message: Option<Result<Message, WsError>>) {
        match message {
            Some(Ok(Message::Text(text))) => self.frame(text.as_str()),
            Some(Ok(Message::Binary(bytes))) => self.frame(&String::from_utf8_lossy(&bytes)),
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame
                    .map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                self.keep(Seen::Close { code, reason });
                self.socket = None;
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                self.keep(Seen::Close { code: 1006, reason: String::new() });
                self.socket = None;
            }
        }
    }

    fn frame(&mut self, text: &str) {
        let frame = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        if frame.get("event").and_then(Value::as_str) == Some("connect.challenge") {
            self.nonce = frame.pointer("/payload/nonce").and_then(Value::as_str).map(str::to_owned);
            self.challenged_at = frame.pointer("/payload/ts").and_then(Value::as_i64);
        }
        self.keep(Seen::Frame(frame));
    }
}

/// All connections of a case.
#[derive(Debug)]
pub(super) struct Wires {
    target: SocketAddr,
    host: String,
    pub(super) wires: Vec<Wire>,
}

impl Wires {
    pub(super) fn new(target: SocketAddr, host: String, count: usize) -> Self {
        Self { target, host, wires: std::iter::repeat_with(Wire::default).take(count).collect() }
    }

    /// Opens connection `index`; what came of it is in its inbox.
    pub(super) async fn open(&mut self, index: usize, wanted: &Connection, headers: &[(String, String)]) {
        let opening = self.try_open(wanted, headers);
        let opened = tokio::time::timeout(OPEN_WITHIN, opening).await;
        let Some(wire) = self.wires.get_mut(index) else { return };
        match opened {
            Ok(Ok((socket, page))) => {
                wire.socket = Some(socket);
                wire.keep(Seen::Answer(page));
            }
            Ok(Err(page)) => wire.keep(Seen::Answer(page)),
            Err(_) => wire.keep(Seen::Answer(failed("no answer to the upgrade"))),
        }
    }

    async fn try_open(
        &self,
        wanted: &Connection,
        headers: &[(String, String)],
    ) -> Result<(Socket, Page), Page> {
        let stream = self.dial(wanted.from).await.map_err(failed)?;
        let uri: Uri =
            format!("ws://{}{}", self.host, wanted.path).parse().map_err(|_| failed("bad path"))?;
        let mut request = uri.into_client_request().map_err(|_| failed("bad request"))?;
        let map = request.headers_mut();
        for (name, value) in headers {
            let (Ok(key), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
            else {
                return Err(failed("a header that cannot be sent"));
            };
            if key == header::HOST {
                map.insert(key, value);
            } else {
                map.append(key, value);
            }
        }
        match tokio_tungstenite::client_async_with_config(
            request,
            stream,
            Some(socket::config(MESSAGE_BYTES_MAX)),
        )
        .await
        {
            Ok((socket, response)) => Ok((socket, page(101, response.headers(), None))),
            Err(WsError::Http(response)) => {
                let body = response.body().as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
                Err(page(response.status().as_u16(), response.headers(), body))
            }
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    async fn dial(&self, from: Option<IpAddr>) -> Result<TcpStream, &'static str> {
        let from = match from {
            Some(IpAddr::V4(address)) if self.target.ip().is_loopback() => Some(address),
            _ if self.target.ip().is_loopback() && self.target.is_ipv4() => Some(Ipv4Addr::LOCALHOST),
            _ => None,
        };
        dial::dial(self.target, from).await.map_err(|outcome| match outcome {
            Outcome::ConnectionRefused => "connection refused",
            _ => "no connection",
        })
    }

    /// A plain GET.
    pub(super) async fn get(&self, path: &str) -> Page {
        let asked = tokio::time::timeout(OPEN_WITHIN, async {
            let mut stream = self.dial(None).await.map_err(failed)?;
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                self.host
            );
            stream.write_all(request.as_bytes()).await.map_err(|_| failed("cannot send"))?;
            let mut bytes = Vec::new();
            let limit = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
            stream.take(limit).read_to_end(&mut bytes).await.map_err(|_| failed("cannot read"))?;
            parse(&bytes).ok_or_else(|| failed("no HTTP answer"))
        });
        match asked.await {
            Ok(Ok(page) | Err(page)) => page,
            Err(_) => failed("no answer"),
        }
    }

    /// Waits until a dial is turned away: with 503 or, when `gone`, not even that. Dials from an address of no client.
    pub(super) async fn until_turned_away(&self, gone: bool, deadline: Instant) {
        let wanted = Connection { path: "/".to_owned(), from: Some(PROBE.into()), ..Connection::default() };
        let looking = async {
            loop {
                let refused = match self.try_open(&wanted, &[]).await {
                    Ok(_) => false,
                    Err(page) => page.status == 0 || !gone && page.status == 503,
                };
                if refused {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // If it never does, the dial that follows shows it.
        drop(tokio::time::timeout_at(deadline, looking).await);
    }

    /// Sends a message. False when the connection is gone.
    pub(super) async fn send(&mut self, index: usize, message: Message) -> bool {
        let Some(socket) = self.wires.get_mut(index).and_then(|wire| wire.socket.as_mut()) else {
            return false;
        };
        let sending = tokio::time::timeout(Duration::from_secs(10), socket.send(message)).await;
        sending.is_ok_and(|sent| sent.is_ok())
    }

    /// Leaves. With a close frame the connection is read on until the gateway has ended it.
    pub(super) async fn leave(&mut self, index: usize, how: Leaving) {
        if let Leaving::Close(code) = how {
            let frame = CloseFrame { code: code.into(), reason: "".into() };
            self.send(index, Message::Close(Some(frame))).await;
        }
        let Some(wire) = self.wires.get_mut(index) else { return };
        wire.left = true;
        if how == Leaving::Drop {
            wire.socket = None;
            return;
        }
        // What comes next may depend on the gateway's having seen it.
        #[expect(clippy::disallowed_methods, reason = "a bounded wait for the answer to a close")]
        let deadline = Instant::now() + LEAVE_WITHIN;
        while self.wires.get(index).is_some_and(Wire::open) && self.arrive(deadline).await {}
    }

    /// Waits until something came on any connection. False at the deadline.
    pub(super) async fn arrive(&mut self, deadline: Instant) -> bool {
        let sleeping = tokio::time::sleep_until(deadline);
        tokio::select! {
            biased;
            () = self.read() => true,
            () = sleeping => false,
        }
    }

    /// Reads for this long.
    pub(super) async fn read_until(&mut self, deadline: Instant) {
        while self.arrive(deadline).await {}
    }

    /// Ready when at least one message was read; never when every connection is gone.
    async fn read(&mut self) {
        std::future::poll_fn(|context| {
            let mut any = false;
            for wire in &mut self.wires {
                while let Some(socket) = wire.socket.as_mut() {
                    match socket.poll_next_unpin(context) {
                        Poll::Ready(message) => {
                            wire.message(message);
                            any = true;
                        }
                        Poll::Pending => break,
                    }
                }
            }
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn failed(why: &str) -> Page {
    Page { status: 0, body: Some(why.to_owned()), ..Page::default() }
}

fn page(status: u16, headers: &HeaderMap, body: Option<String>) -> Page {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Page {
        status,
        content_type: text(header::CONTENT_TYPE),
        subprotocol: text(header::SEC_WEBSOCKET_PROTOCOL),
        body,
    }
}

/// An HTTP/1.1 answer that ended with its connection.
fn parse(bytes: &[u8]) -> Option<Page> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let find = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let chunked = find("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = if chunked { unchunk(body)? } else { body.to_owned() };
    Some(Page { status, content_type: find("content-type"), subprotocol: None, body: Some(body) })
}

pub(super) fn unchunk(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_answer_is_read_whole_and_in_chunks() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello").unwrap();
        assert_eq!((plain.status, plain.body.as_deref()), (200, Some("hello")));
        assert_eq!(plain.content_type.as_deref(), Some("text/plain"));
        let chunked =
            parse(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!(chunked.body.as_deref(), Some("abcd"));
        assert!(parse(b"rubbish").is_none());
    }
}
