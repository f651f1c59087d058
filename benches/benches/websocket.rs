//! The WebSocket codec beside tungstenite, which does the same: read a frame out of a socket's bytes, write one, upgrade. Both
//! read from and write to memory, and both get their masks and keys from outside where they let us.

use std::hint::black_box;
use std::io::{self, Read, Write};

use benches::recorded;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::client::upgrade::UpgradeHeaders;
use harness::websocket::{Answer, Event, Next, Nonce, Reader, UpgradeRequest, read_answer, write_text};
use tokio_tungstenite::tungstenite::handshake::client::ClientHandshake;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Longest message, as in a run.
const MESSAGE_BYTES_MAX: usize = 25 << 20;
/// A connect of a device is about as long.
const SENT: usize = 631;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const NONCE: [u8; 16] = *b"the sample nonce";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A socket in memory: what comes is given once, what goes is thrown away.
#[derive(Debug, Default)]
struct Socket<'a> {
    incoming: &'a [u8],
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As the engine configured it.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// The first `length` bytes of the longest hello that was recorded.
fn text(length: usize) -> &'static str {
    let hello = recorded::frames(recorded::NEW, r#""type":"hello-ok""#).max_by_key(|frame| frame.len());
    let Some(text) = hello.and_then(|hello| hello.get(..length.min(hello.len()))) else {
        unreachable!("the recorded hello is ASCII and longer")
    };
    text
}

/// A text frame of a server with at least 126 and at most 65 535 bytes.
fn frame(text: &str) -> Vec<u8> {
    let Ok(length) = u16::try_from(text.len()) else { unreachable!("{} bytes", text.len()) };
    let [high, low] = length.to_be_bytes();
    [&[0x81, 126, high, low], text.as_bytes()].concat()
}

fn read(c: &mut Criterion) {
    for (name, text) in [("1_KiB", text(1024)), ("hello_of_2026_9_6", text(usize::MAX))] {
        let frame = frame(text);
        let mut group = c.benchmark_group(format!("websocket_read_{name}"));
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function("ours", |b| {
            let mut buffer = vec![0; 64 << 10];
            let mut reader = Reader::new();
            b.iter(|| {
                let mut socket = Socket { incoming: black_box(&frame) };
                let length = socket.read(&mut buffer).unwrap_or_default();
                let bytes = buffer.get(..length).unwrap_or_default();
                match reader.next(bytes, MESSAGE_BYTES_MAX) {
                    Ok(Next::Event { event: Event::Text(text), .. }) => black_box(text).len(),
                    other => unreachable!("{other:?}"),
                }
            });
        });
        group.bench_function("tungstenite", |b| {
            let mut socket = WebSocket::from_raw_socket(Socket::default(), Role::Client, Some(config()));
            b.iter(|| {
                socket.get_mut().incoming = black_box(&frame);
                match socket.read() {
                    Ok(Message::Text(text)) => black_box(text).len(),
                    other => unreachable!("{other:?}"),
                }
            });
        });
        group.finish();
    }
}

fn write(c: &mut Criterion) {
    let text = text(SENT);
    let mut group = c.benchmark_group("websocket_write_631_bytes");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ours", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            write_text(black_box(text).as_bytes(), black_box(MASK), &mut out);
            Socket::default().write(&out).unwrap_or_default()
        });
    });
    group.bench_function("tungstenite", |b| {
        let mut socket = WebSocket::from_raw_socket(Socket::default(), Role::Client, Some(config()));
        // The engine encodes a message and gives it away, so the text is made anew.
        b.iter(|| socket.send(Message::Text(Utf8Bytes::from(black_box(text)))).is_ok());
    });
    group.finish();
}

fn upgrade(c: &mut Criterion) {
    let mut group = c.benchmark_group("websocket_upgrade");
    group.bench_function("ours", |b| {
        let headers = UpgradeHeaders { host: "127.0.0.1:18789".to_owned(), others: Vec::new() };
        let Ok(request) = UpgradeRequest::new("/", &headers) else { unreachable!("it can be sent") };
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            let nonce = Nonce::new(black_box(NONCE));
            request.write(&nonce, &mut out);
            black_box(&out);
            let answer = read_answer(black_box(ANSWER), &nonce, false);
            assert!(matches!(answer, Ok(Answer::Switched { .. })));
        });
    });
    group.bench_function("tungstenite", |b| {
        let request = Request::builder()
            .uri("ws://127.0.0.1:18789/")
            .header("Host", "127.0.0.1:18789")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", Nonce::new(NONCE).key())
            .body(());
        let Ok(request) = request else { unreachable!("it can be sent") };
        b.iter(|| {
            let socket = Socket { incoming: black_box(ANSWER) };
            let begun = ClientHandshake::start(socket, black_box(&request).clone(), Some(config()));
            assert!(begun.is_ok_and(|begun| begun.handshake().is_ok()));
        });
    });
    group.finish();
}

criterion_group!(websocket, read, write, upgrade);
criterion_main!(websocket);
