//! The upgrade, where it comes as every client sends it: a whole request head in one read. Its answer is not sent but handed
//! to the socket, which sends it together with the challenge: a system call and a wake-up of the client less. Whatever else
//! comes is hyper's ([`super::http`]), which begins with the bytes that were read.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, write_response};

use super::Gateway;
use super::http::{self, Upgraded};

/// Bytes that are read at once.
const READ_BYTES: usize = 4096;
/// Headers that hyper takes; a request with more is hyper's to refuse.
const HEADERS_MAX: usize = 90;

/// What a connection began with.
pub(super) enum Opened {
    /// An upgrade that is granted.
    Upgraded(Box<Upgraded>),
    /// Something else, to be read from its beginning.
    Other(Rewound),
    /// Nothing.
    Ended,
}

/// Reads once, and grants an upgrade.
pub(super) async fn open(gateway: &Arc<Gateway>, stream: TcpStream, peer: IpAddr) -> Opened {
    let within = gateway.durations.handshake.max(Duration::from_millis(100));
    let first = match tokio::time::timeout(within, first(&stream)).await {
        Ok(Ok(first)) if !first.is_empty() => first,
        _ => return Opened::Ended,
    };
    match granted(gateway, &first, peer) {
        Some((answer, caller, head)) => Opened::Upgraded(Box::new(Upgraded {
            stream,
            answer,
            leftover: Bytes::copy_from_slice(first.get(head..).unwrap_or_default()),
            caller,
        })),
        None => Opened::Other(Rewound { first: first.into(), stream }),
    }
}

async fn first(stream: &TcpStream) -> io::Result<Vec<u8>> {
    loop {
        stream.readable().await?;
        // Not held over an await: it would be part of every connection's task.
        let mut buffer = [0_u8; READ_BYTES];
        match stream.try_read(&mut buffer) {
            Ok(count) => return Ok(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The answer to an upgrade, who asked, and the length of the request; `None` when hyper has to see it, to refuse it too.
fn granted(gateway: &Gateway, bytes: &[u8], peer: IpAddr) -> Option<(Vec<u8>, http::Caller, usize)> {
    let (head, request) = Request::try_parse(bytes).ok()??;
    let headers = request.headers();
    let is_plain = headers.len() <= HEADERS_MAX
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING);
    if !is_plain || !http::wants_upgrade(headers) {
        return None;
    }
    let (response, caller) = http::upgrade(gateway, &request, peer).ok()?;
    let mut answer = Vec::with_capacity(512);
    write_response(&mut answer, &response).ok()?;
    Some((answer, caller, head))
}

/// A stream of which the first bytes have been read already.
#[derive(Debug)]
pub(super) struct Rewound {
    first: Bytes,
    stream: TcpStream,
}

impl Rewound {
    /// The stream alone, once what was read has been read again.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return self.stream().poll_read(context, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
