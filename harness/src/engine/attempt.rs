//! One attempt: dial, upgrade, handshake, to its outcome.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::dial::{self, Socket};
use crate::client::upgrade::UpgradeHeaders;
use crate::client::{FirstMessage, Handshake, Sender, Step};
use crate::clock::{Clock, nanos};
use crate::gateway::TargetAddress;
use crate::observation::{CloseSeen, Direction, Outcome, Phase, Stamps, TranscriptLine};
use crate::plan::Nanos;

/// Largest message a client reads: a hello-ok has 1 to 16 KB, a store listing more, but clients do not list.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long a client waits for the close that follows an error frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits, after the closing handshake, for the gateway to close TCP first, so that TIME_WAIT stays on the
/// gateway's side (shared performance notes, section 6: otherwise the client runs out of ports).
const EOF_WITHIN: Duration = Duration::from_millis(500);
/// Lines kept of one attempt: a handshake has five, a gateway that floods has no end.
const TRANSCRIPT_LINES_MAX: usize = 64;
/// Longest frame kept in a transcript, bytes.
const TRANSCRIPT_TEXT_MAX: usize = 2_048;

/// What an attempt needs to know.
pub struct Attempt<'a> {
    /// The run's clock.
    pub clock: &'a Clock,
    /// Where.
    pub target: &'a TargetAddress,
    /// From which address; `None` leaves it to the kernel.
    pub source: Option<Ipv4Addr>,
    /// Upgrade headers.
    pub headers: &'a UpgradeHeaders,
    /// What is sent.
    pub sender: Sender<'a>,
    /// How long it may take.
    pub timeout: Duration,
    /// Largest message that is read, bytes.
    pub message_bytes_max: usize,
}

/// What an attempt leaves behind.
pub struct Ended {
    /// When things happened.
    pub stamps: Stamps,
    /// How it ended.
    pub outcome: Outcome,
    /// The session's socket, when the outcome is one.
    pub session: Option<Socket>,
    /// The device token that hello-ok issued; a secret.
    pub issued_token: Option<String>,
    /// What passed.
    pub transcript: Vec<TranscriptLine>,
}

impl Attempt<'_> {
    /// Makes the attempt.
    pub async fn make(self) -> Ended {
        let started = self.clock.now();
        let deadline = started + nanos(self.timeout);
        let mut stamps = Stamps { started: Some(started), ..Stamps::default() };
        let mut transcript = Vec::with_capacity(8);
        let failed = |stamps, outcome, transcript| Ended {
            stamps,
            outcome,
            session: None,
            issued_token: None,
            transcript,
        };

        let dialling = dial::dial(self.target.socket, self.source);
        let stream = match timeout_at(self.clock.instant(deadline), dialling).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(outcome)) => {
                stamps.ended = Some(self.clock.now());
                return failed(stamps, outcome, transcript);
            }
            Err(_) => {
                stamps.ended = Some(self.clock.now());
                return failed(stamps, Outcome::TimedOut { phase: Phase::Dial }, transcript);
            }
        };
        stamps.dialled = Some(self.clock.now());
        note(&mut transcript, self.clock.now(), Direction::Out, &upgrade_text(self.target, self.headers));

        let upgrading = dial::upgrade(stream, self.target, self.headers, self.message_bytes_max);
        let mut socket = match timeout_at(self.clock.instant(deadline), upgrading).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(outcome)) => {
                stamps.ended = Some(self.clock.now());
                return failed(stamps, outcome, transcript);
            }
            Err(_) => {
                stamps.ended = Some(self.clock.now());
                return failed(stamps, Outcome::TimedOut { phase: Phase::Upgrade }, transcript);
            }
        };
        stamps.upgraded = Some(self.clock.now());

        let mut handshake = Handshake::new(self.sender, stamps);
        let outcome = drive(self.clock, &mut socket, &mut handshake, deadline, &mut transcript).await;
        let stamps = *handshake.stamps();
        let issued_token = handshake.take_issued_token();
        let session = matches!(outcome, Outcome::Session(_)).then_some(socket);
        Ended { stamps, outcome, session, issued_token, transcript }
    }
}

async fn drive(
    clock: &Clock,
    socket: &mut Socket,
    handshake: &mut Handshake<'_>,
    deadline: Nanos,
    transcript: &mut Vec<TranscriptLine>,
) -> Outcome {
    loop {
        let until = match handshake.stamps().answered {
            Some(answered) => deadline.min(answered + nanos(CLOSE_WITHIN)),
            None => deadline,
        };
        let received = timeout_at(clock.instant(until), socket.next()).await;
        let now = clock.now();
        let message = match received {
            Err(_) => return handshake.on_timeout(now),
            Ok(None) => return handshake.on_close(CloseSeen::Abrupt, now),
            Ok(Some(Err(error))) => {
                note(transcript, now, Direction::Note, &error.to_string());
                return ended_by(error, handshake, now);
            }
            Ok(Some(Ok(message))) => message,
        };
        let step = match &message {
            Message::Text(text) => {
                note(transcript, now, Direction::In, text.as_str());
                handshake.on_message(text.as_bytes(), now, clock.wall_ms())
            }
            Message::Binary(bytes) => {
                note(transcript, now, Direction::In, &String::from_utf8_lossy(bytes));
                handshake.on_message(bytes, now, clock.wall_ms())
            }
            Message::Close(frame) => {
                let close = close_seen(frame.as_ref());
                note(transcript, now, Direction::In, &close_text(&close));
                let outcome = handshake.on_close(close, now);
                finish_closing(socket).await;
                return outcome;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Step::Wait,
        };
        match step {
            Step::Wait => {}
            Step::Done(outcome) => return outcome,
            Step::Send(FirstMessage::Nothing) => {}
            Step::Send(FirstMessage::Text(text)) => {
                note(transcript, now, Direction::Out, &text);
                // Stamped before the write: the gateway cannot have judged earlier, and may answer before we wake up again.
                handshake.sent(clock.now());
                let message = if handshake.sends_binary() {
                    Message::binary(text.into_bytes())
                } else {
                    Message::text(text)
                };
                let sending = socket.send(message);
                match timeout_at(clock.instant(deadline), sending).await {
                    Err(_) => return handshake.on_timeout(clock.now()),
                    // A gateway may answer an oversized message before it was read whole; the answer is still there to
                    // be read.
                    Ok(Err(error)) => note(transcript, clock.now(), Direction::Note, &error.to_string()),
                    Ok(Ok(())) => {}
                }
            }
        }
    }
}

fn ended_by(error: WsError, handshake: &mut Handshake<'_>, now: Nanos) -> Outcome {
    match error {
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Io(_) => handshake.on_close(CloseSeen::Abrupt, now),
        other => Outcome::NotAGateway { what: format!("it breaks the WebSocket protocol: {other}") },
    }
}

/// Answers the gateway's close and lets it end the connection.
pub async fn finish_closing(socket: &mut Socket) {
    let _ = tokio::time::timeout(EOF_WITHIN, async {
        if socket.flush().await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
}

/// Close frame as seen; 1005 stands for one without a code (RFC 6455, section 7.1.5), and 0 for one whose code the RFC
/// forbids on the wire (section 7.4): tungstenite hands those over as 1002 with this reason, and 1002 has a meaning of
/// its own here.
#[must_use]
pub fn close_seen(frame: Option<&CloseFrame>) -> CloseSeen {
    match frame {
        Some(frame) if frame.code == CloseCode::Protocol && frame.reason.as_str() == "Protocol violation" => {
            CloseSeen::Frame { code: 0, reason: "a close code that RFC 6455 forbids".to_owned() }
        }
        Some(frame) => CloseSeen::Frame { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
        None => CloseSeen::Frame { code: 1005, reason: String::new() },
    }
}

fn close_text(close: &CloseSeen) -> String {
    match close {
        CloseSeen::Frame { code, reason } => format!("close {code} {reason:?}"),
        CloseSeen::Abrupt => "connection ended without a close frame".to_owned(),
    }
}

fn upgrade_text(target: &TargetAddress, headers: &UpgradeHeaders) -> String {
    let mut text = format!("GET {} Host: {}", target.path, headers.host);
    for (name, value) in &headers.others {
        text.push_str("; ");
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
    }
    text
}

fn note(transcript: &mut Vec<TranscriptLine>, at: Nanos, direction: Direction, text: &str) {
    if transcript.len() > TRANSCRIPT_LINES_MAX {
        return;
    }
    if transcript.len() == TRANSCRIPT_LINES_MAX {
        let text = "further lines of this attempt were left out".to_owned();
        transcript.push(TranscriptLine { at, direction: Direction::Note, text });
        return;
    }
    let mut end = text.len().min(TRANSCRIPT_TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = text.get(..end).unwrap_or_default();
    let text = if end < text.len() { format!("{shown}… ({} bytes)", text.len()) } else { shown.to_owned() };
    transcript.push(TranscriptLine { at, direction, text });
}
