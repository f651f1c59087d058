//! What the in-repo gateway says at `/metrics`.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::readiness::dial;

/// How long an answer may take: a gateway under load has other things to do, and one that is stopped never answers.
const WITHIN: Duration = Duration::from_secs(2);
/// An answer has some kilobytes.
const BYTES_MAX: u64 = 256 << 10;

/// Asks the gateway on `port` of 127.0.0.1; `None` if it does not answer.
pub async fn read(port: u16) -> Option<String> {
    tokio::time::timeout(WITHIN, ask(port)).await.ok().flatten()
}

async fn ask(port: u16) -> Option<String> {
    let mut stream = dial(port).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
