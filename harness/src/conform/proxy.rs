//! The recording proxy: between any client and any gateway, message by message.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::format::{FILE_BYTES_MAX, FormatError, IndexEntry, Line};
use super::recorder::{Recorder, Request, with_case};
use super::replay::STEP_HEADER;
use super::socket;
use crate::engine::dial;

/// Longest head of a request or an answer, bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Longest body of an answer that is not an upgrade, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest message that is passed on, bytes: the gateways' own limit.
const MESSAGE_BYTES_MAX: usize = 26_214_400;
/// Connections at the same time.
const CONNECTIONS_MAX: usize = 1_000;
/// How long the head of a request or an answer may take.
const HEAD_WITHIN: Duration = Duration::from_secs(20);
/// How long the other side may take to end a connection that one side has ended.
const END_WITHIN: Duration = Duration::from_secs(3);

/// What is recorded.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the gateway is.
    pub to: SocketAddr,
    /// The gateway's `host:port`, put into `Host` and `Origin` where the client wrote the proxy's.
    pub host: String,
    /// Folder to write.
    pub folder: PathBuf,
    /// Name of the case, without the release.
    pub case: String,
    /// Release.
    pub release: String,
    /// The `gateway` section of its configuration, secrets included; they are replaced.
    pub config: Value,
    /// Words.
    pub description: String,
}

/// Why a recording ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// File.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The index that is there cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Where lines go.
struct Sink {
    recorder: Recorder,
    file: std::io::BufWriter<std::fs::File>,
    path: String,
    written: u64,
    started: Instant,
    connections: u64,
    failed: Option<std::io::Error>,
}

impl Sink {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn keep(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            let written = serde_json::to_string(&line).map_err(std::io::Error::from).and_then(|text| {
                self.written += text.len() as u64 + 1;
                if self.written > FILE_BYTES_MAX {
                    return Err(std::io::Error::other("the recording has grown too large"));
                }
                writeln!(self.file, "{text}")
            });
            if let Err(error) = written {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Keeps one line made by the recorder at this time.
    fn one(&mut self, make: impl FnOnce(&mut Recorder, u64) -> Line) {
        let now = self.now();
        let line = make(&mut self.recorder, now);
        self.keep([line]);
    }
}

/// Records until `until` resolves. Lines of `control` name steps and note actions. `ready` is told the address that is listened on.
///
/// # Errors
/// [`RecordError`].
pub async fn record(
    options: &Options,
    mut control: tokio::sync::mpsc::Receiver<String>,
    until: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
    mut complain: impl FnMut(&str),
) -> Result<(), RecordError> {
    let refused = |source| RecordError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let name = format!("{}/{}", options.release, options.case);
    let transcript = format!("{name}.jsonl");
    let path = options.folder.join(&transcript);
    let write =
        |path: &std::path::Path, source| RecordError::Write { path: path.display().to_string(), source };
    let index_path = options.folder.join("index.json");
    let index = match std::fs::read_to_string(&index_path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(write(&index_path, error)),
    };
    let (recorder, config) = Recorder::new(&options.config);
    let entry = IndexEntry {
        version: options.release.clone(),
        format: 2,
        config,
        description: options.description.clone(),
        transcript: transcript.clone(),
        rest: serde_json::Map::new(),
    };
    // An index that is none is found before anything is recorded.
    let index = with_case(&index, &name, entry)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| write(parent, source))?;
    }
    let file = std::fs::File::create(&path).map_err(|source| write(&path, source))?;
    #[expect(clippy::disallowed_methods, reason = "a recording's times count from here")]
    let started = Instant::now();
    let sink = RefCell::new(Sink {
        recorder,
        file: std::io::BufWriter::new(file),
        path: path.display().to_string(),
        written: 0,
        started,
        connections: 0,
        failed: None,
    });
    ready(address);
    let mut running = FuturesUnordered::new();
    let mut listens = true;
    tokio::pin!(until);
    while sink.borrow().failed.is_none() {
        tokio::select! {
            () = &mut until => break,
            accepted = listener.accept(), if running.len() < CONNECTIONS_MAX => {
                if let Ok((stream, peer)) = accepted {
                    running.push(Relay { options, sink: &sink, own: address }.serve(stream, peer.ip()));
                }
            }
            order = control.recv(), if listens => match order {
                Some(text) if text.trim().is_empty() => {}
                Some(text) => {
                    let mut sink = sink.borrow_mut();
                    let said = sink.recorder.said(sink.now(), &text);
                    match said {
                        Ok(line) => sink.keep([line]),
                        Err(problem) => complain(&problem),
                    }
                }
                None => listens = false,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
    drop(running);
    let mut sink = sink.into_inner();
    if let Some(source) = sink.failed.take() {
        return Err(RecordError::Write { path: sink.path, source });
    }
    sink.file.flush().map_err(|source| write(&path, source))?;
    std::fs::write(&index_path, index).map_err(|source| write(&index_path, source))
}

/// One client's way to the gateway.
struct Relay<'a> {
    options: &'a Options,
    sink: &'a RefCell<Sink>,
    own: SocketAddr,
}

/// The head of a request or an answer.
#[derive(Debug)]
struct Head {
    first: String,
    headers: Vec<(String, String)>,
    /// What was read beyond it.
    rest: Vec<u8>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text
    }
}

impl Relay<'_> {
    async fn serve(self, mut client: TcpStream, peer: IpAddr) {
        // What fails here fails for the client, too: it sees a connection that ends.
        let Ok(Some(mut head)) = tokio::time::timeout(HEAD_WITHIN, read_head(&mut client)).await else {
            return;
        };
        let path = head.first.split(' ').nth(1).unwrap_or("/").to_owned();
        let upgrade = head.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        // The client means the proxy; the gateway must see itself. Compression is never agreed to, and would hide the messages.
        let own = self.own.to_string();
        head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("sec-websocket-extensions"));
        for (_, value) in &mut head.headers {
            *value = value.replace(&own, &self.options.host);
        }
        let step = head.header(STEP_HEADER).map(str::to_owned);
        head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(STEP_HEADER));
        if upgrade {
            self.upgrade(client, peer, &head, path, step).await;
        } else {
            self.page(client, peer, head, &path).await;
        }
    }

    async fn dial(&self, peer: IpAddr) -> Result<TcpStream, crate::observation::Outcome> {
        // Who dials from where is part of what is recorded: the gateway sees the client's own loopback address.
        let from = match peer {
            IpAddr::V4(address) if address.is_loopback() && self.options.to.ip().is_loopback() => {
                Some(address)
            }
            _ => None,
        };
        dial::dial(self.options.to, from).await
    }

    async fn upgrade(
        &self,
        mut client: TcpStream,
        peer: IpAddr,
        head: &Head,
        path: String,
        step: Option<String>,
    ) {
        let conn = {
            let mut sink = self.sink.borrow_mut();
            sink.connections += 1;
            let conn = sink.connections;
            if let Some(step) = step {
                sink.one(|recorder, now| recorder.step(now, &step));
            }
            let request = Request {
                path,
                authority: self.options.host.clone(),
                headers: shown(&head.headers, &self.options.host),
                from: peer,
            };
            sink.one(|recorder, now| recorder.request(now, conn, &request));
            conn
        };
        let Ok(mut gateway) = self.dial(peer).await else {
            let mut sink = self.sink.borrow_mut();
            sink.one(|recorder, now| recorder.no_connection(now, conn));
            sink.one(|recorder, now| recorder.closed(now, conn, "gateway", 1006, ""));
            return;
        };
        let asked = gateway.write_all(head.text().as_bytes()).await;
        let answer = match asked {
            Ok(()) => tokio::time::timeout(HEAD_WITHIN, read_head(&mut gateway)).await.ok().flatten(),
            Err(_) => None,
        };
        let Some(mut answer) = answer else {
            let mut sink = self.sink.borrow_mut();
            sink.one(|recorder, now| recorder.closed(now, conn, "gateway", 1006, ""));
            return;
        };
        let status = status(&answer);
        if status != 101 {
            let body = read_body(&mut gateway, &mut answer).await;
            let text = String::from_utf8_lossy(&body).into_owned();
            {
                let mut sink = self.sink.borrow_mut();
                sink.one(|recorder, now| recorder.answer(now, conn, status, &answer.headers, Some(&text)));
                sink.one(|recorder, now| recorder.closed(now, conn, "gateway", 1006, ""));
            }
            pass_on(&mut client, &answer, &body).await;
            return;
        }
        self.sink.borrow_mut().one(|recorder, now| recorder.answer(now, conn, status, &answer.headers, None));
        if client.write_all(answer.text().as_bytes()).await.is_err() {
            self.sink.borrow_mut().one(|recorder, now| recorder.closed(now, conn, "client", 1006, ""));
            return;
        }
        let config = Some(socket::config(MESSAGE_BYTES_MAX));
        let client =
            WebSocketStream::from_partially_read(client, head.rest.clone(), Role::Server, config).await;
        let gateway = WebSocketStream::from_partially_read(gateway, answer.rest, Role::Client, config).await;
        self.messages(conn, client, gateway).await;
    }

    async fn messages(
        &self,
        conn: u64,
        mut client: WebSocketStream<TcpStream>,
        mut gateway: WebSocketStream<TcpStream>,
    ) {
        loop {
            let (from_gateway, message) = tokio::select! {
                message = gateway.next() => (true, message),
                message = client.next() => (false, message),
            };
            let by = if from_gateway { "gateway" } else { "client" };
            let (code, reason, close) = match message {
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame
                        .as_ref()
                        .map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                    (code, reason, Some(Message::Close(frame)))
                }
                Some(Ok(message)) => {
                    self.keep(conn, from_gateway, &message);
                    let passes = matches!(message, Message::Text(_) | Message::Binary(_));
                    let other = if from_gateway { &mut client } else { &mut gateway };
                    // A side that is gone says so when it is read.
                    if passes {
                        let _ = other.send(message).await;
                    }
                    continue;
                }
                Some(Err(_)) | None => (1006, String::new(), None),
            };
            self.sink.borrow_mut().one(|recorder, now| recorder.closed(now, conn, by, code, &reason));
            let (first, other) =
                if from_gateway { (&mut gateway, &mut client) } else { (&mut client, &mut gateway) };
            if let Some(close) = close {
                let _ = other.send(close).await;
                let ending = async {
                    while let Some(Ok(_)) = other.next().await {}
                    while let Some(Ok(_)) = first.next().await {}
                };
                let _ = tokio::time::timeout(END_WITHIN, ending).await;
            }
            return;
        }
    }

    fn keep(&self, conn: u64, from_gateway: bool, message: &Message) {
        let mut sink = self.sink.borrow_mut();
        let now = sink.now();
        let lines = match message {
            Message::Text(text) if from_gateway => vec![sink.recorder.received(now, conn, text.as_str())],
            Message::Text(text) => sink.recorder.sent_text(now, conn, text.as_str()),
            Message::Binary(bytes) if from_gateway => {
                vec![sink.recorder.received(now, conn, &String::from_utf8_lossy(bytes))]
            }
            Message::Binary(bytes) => sink.recorder.sent_binary(now, conn, bytes),
            _ => return,
        };
        sink.keep(lines);
    }

    async fn page(&self, mut client: TcpStream, peer: IpAddr, mut head: Head, path: &str) {
        let Ok(mut gateway) = self.dial(peer).await else { return };
        head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("connection"));
        head.headers.push(("Connection".to_owned(), "close".to_owned()));
        let mut bytes = head.text().into_bytes();
        bytes.extend_from_slice(&head.rest);
        if gateway.write_all(&bytes).await.is_err() {
            return;
        }
        let Ok(Some(mut answer)) = tokio::time::timeout(HEAD_WITHIN, read_head(&mut gateway)).await else {
            return;
        };
        let body = read_body(&mut gateway, &mut answer).await;
        if head.first.starts_with("GET ") {
            let content_type = answer.header("content-type").map(str::to_owned);
            // Only what tells one page of a control UI from another is kept of it.
            let mut text = String::from_utf8_lossy(&body).into_owned();
            if content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html")) {
                text = text.chars().take(60).collect();
            }
            let status = status(&answer);
            self.sink
                .borrow_mut()
                .one(|recorder, now| recorder.page(now, path, status, content_type.as_deref(), &text));
        }
        pass_on(&mut client, &answer, &body).await;
    }
}

/// Headers that are worth keeping: not those that every upgrade has.
fn shown(headers: &[(String, String)], host: &str) -> Vec<(String, String)> {
    let every = ["sec-websocket-key", "sec-websocket-version", "connection", "upgrade", "content-length"];
    headers
        .iter()
        .filter(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let own_host = lower == "host" && value == host;
            !own_host && !every.contains(&lower.as_str())
        })
        .cloned()
        .collect()
}

fn status(head: &Head) -> u16 {
    head.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

async fn pass_on(client: &mut TcpStream, answer: &Head, body: &[u8]) {
    let mut head = Head { first: answer.first.clone(), headers: answer.headers.clone(), rest: Vec::new() };
    // The body is passed on whole, whatever way it came.
    head.headers.retain(|(name, _)| {
        !["transfer-encoding", "content-length", "connection"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
    });
    head.headers.push(("Content-Length".to_owned(), body.len().to_string()));
    head.headers.push(("Connection".to_owned(), "close".to_owned()));
    let mut bytes = head.text().into_bytes();
    bytes.extend_from_slice(body);
    // A client that has left does not want it.
    let _ = client.write_all(&bytes).await;
    let _ = client.shutdown().await;
}

/// Reads up to the empty line; `None` when it does not come or is too far.
async fn read_head(stream: &mut TcpStream) -> Option<Head> {
    let mut bytes = Vec::with_capacity(1024);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > HEAD_BYTES_MAX || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Some(Head { first, headers, rest: bytes.get(end + 4..)?.to_vec() })
}

/// Reads the body of an answer that ends with its length, its chunks or its connection.
async fn read_body(stream: &mut TcpStream, head: &mut Head) -> Vec<u8> {
    let mut body = std::mem::take(&mut head.rest);
    let length = head.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let limit = length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
    let reading = async {
        while body.len() < limit {
            match stream.read_buf(&mut body).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    };
    let _ = tokio::time::timeout(HEAD_WITHIN, reading).await;
    let chunked = head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        let text = String::from_utf8_lossy(&body).into_owned();
        return super::wires::unchunk(&text).map_or(body, String::into_bytes);
    }
    body
}
