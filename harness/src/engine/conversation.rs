//! A session on a tokio socket, for those who hold few and talk on them: operators and the cast of a story.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::event_loop::EOF_WITHIN;
use super::session::{self, SessionOver};
use super::workbench::Workbench;
use crate::clock::Clock;
use crate::observation::CloseSeen;
use crate::websocket::{self, Reader};

/// How long a close may take to be sent.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Room that is made for a read.
const READ_BYTES: usize = 16 << 10;

/// A session that is read and written.
pub struct Conversation {
    stream: TcpStream,
    reader: Reader,
    bench: Workbench,
    received: Vec<u8>,
    /// So many of the received bytes are used up.
    used: usize,
    message_bytes_max: usize,
    over: Option<SessionOver>,
}

/// What a gateway says.
#[derive(Debug)]
pub enum Said {
    /// A text or binary message.
    Message(Vec<u8>),
    /// Nothing more: the session is over.
    Over(CloseSeen),
}

impl Conversation {
    /// Goes on where an attempt ended: `received` came after its hello-ok.
    #[must_use]
    pub(super) fn new(
        stream: TcpStream,
        reader: Reader,
        received: Vec<u8>,
        clock: Clock,
        message_bytes_max: usize,
    ) -> Self {
        let bench = Workbench::new(clock, None);
        Self { stream, reader, bench, received, used: 0, message_bytes_max, over: None }
    }

    /// The next thing the gateway says; pings are answered on the way. Cancel safe. After [`Said::Over`] it says so for ever.
    pub async fn next(&mut self) -> Said {
        let mut ended = false;
        loop {
            if let Some(over) = &self.over {
                let close = over.close.clone();
                if over.answered {
                    self.finish().await;
                }
                return Said::Over(close);
            }
            let mut message = None;
            let bytes = self.received.get(self.used..).unwrap_or_default();
            let heard = session::listen(
                &mut self.reader,
                &mut self.bench,
                bytes,
                ended,
                self.message_bytes_max,
                &mut |heard| {
                    message = Some(heard.to_vec());
                    false
                },
            );
            self.used += heard.consumed;
            self.over = heard.end;
            if let Some(message) = message {
                return Said::Message(message);
            }
            if self.over.is_some() {
                continue;
            }
            if self.flush().await.is_err() {
                self.over = Some(SessionOver { close: CloseSeen::Abrupt, answered: false });
                continue;
            }
            self.received.drain(..self.used);
            self.used = 0;
            self.received.reserve(READ_BYTES);
            ended = !matches!(self.stream.read_buf(&mut self.received).await, Ok(read) if read > 0);
        }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, text: &str) -> std::io::Result<()> {
        let mask = self.bench.mask();
        websocket::write_text(text.as_bytes(), mask, &mut self.bench.out);
        self.flush().await
    }

    /// Leaves as the official clients do: close 1000, then the gateway closes TCP.
    pub async fn leave(&mut self) {
        if self.over.is_some() {
            return;
        }
        let mask = self.bench.mask();
        websocket::write_close(1000, "", mask, &mut self.bench.out);
        if matches!(tokio::time::timeout(LEAVE_WITHIN, self.flush()).await, Ok(Ok(()))) {
            self.until_end().await;
        }
    }

    /// Cancel safe: what was written is forgotten as it is written.
    async fn flush(&mut self) -> std::io::Result<()> {
        while !self.bench.out.is_empty() {
            let written = self.stream.write(&self.bench.out).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.bench.out.drain(..written);
        }
        Ok(())
    }

    /// Sends the answer to the gateway's close and lets it end the connection.
    async fn finish(&mut self) {
        if matches!(tokio::time::timeout(LEAVE_WITHIN, self.flush()).await, Ok(Ok(()))) {
            self.until_end().await;
        }
        if let Some(over) = &mut self.over {
            over.answered = false;
        }
    }

    async fn until_end(&mut self) {
        let _ = tokio::time::timeout(EOF_WITHIN, async {
            let mut rest = [0; 1024];
            while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
        })
        .await;
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("stream", &self.stream).finish_non_exhaustive()
    }
}
