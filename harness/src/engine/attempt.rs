//! One attempt from the first byte sent to its outcome, without sockets: bytes in, bytes out.
//!
//! Two drivers carry it: the [reactor](super::reactor) thousands of them, [`single`](super::single) one at a time.

use super::opening::Opening;
use super::workbench::Workbench;
use crate::client::reconnect::Hints;
use crate::client::{Handshake, Hello, Sender, Step};
use crate::observation::{CloseSeen, Closed, Direction, Outcome, Phase, Stamps};
use crate::plan::{ClientId, Nanos};
use crate::websocket::{self, Answer, Close, Event, Next, Nonce, Reader};

/// Largest message a client reads: a hello-ok has 1 to 16 KB, a store listing more, but clients do not list.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What an attempt is made with.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// What is sent first.
    pub sender: Sender<'a>,
    /// Largest message that is read, bytes.
    pub message_bytes_max: usize,
}

/// Which attempt of which client.
pub type Who = (ClientId, u32);

/// An attempt in progress.
#[derive(Debug)]
pub struct Attempt {
    who: Who,
    nonce: Nonce,
    reader: Reader,
    upgraded: bool,
    handshake: Handshake,
}

/// What came of some bytes.
#[derive(Debug)]
pub struct Received {
    /// So many of them are used up; the others have to be shown again, with what follows them.
    pub consumed: usize,
    /// The end of the attempt, if this was it.
    pub end: Option<End>,
}

/// How an attempt ended, and what becomes of its connection.
#[derive(Debug)]
pub enum End {
    /// A session; the connection is kept.
    Session,
    /// The gateway closes; its close frame is answered, and the end of the stream awaited.
    Closing(Outcome),
    /// Nothing more is to be said.
    Over(Outcome),
}

impl Attempt {
    /// An attempt whose socket is made at `started`.
    #[must_use]
    pub fn new(who: Who, started: Nanos, random: [u8; 16]) -> Self {
        let stamps = Stamps { started: Some(started), ..Stamps::default() };
        Self {
            who,
            nonce: Nonce::new(random),
            reader: Reader::new(),
            upgraded: false,
            handshake: Handshake::new(stamps),
        }
    }

    /// Which attempt it is.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    /// Times so far.
    #[must_use]
    pub const fn stamps(&self) -> &Stamps {
        self.handshake.stamps()
    }

    /// What a refusal said about trying again.
    #[must_use]
    pub const fn hints(&self) -> Hints {
        self.handshake.hints()
    }

    /// Whether the gateway has answered, so that only its close is awaited.
    #[must_use]
    pub const fn awaits_close(&self) -> bool {
        matches!(self.handshake.phase(), Phase::Close)
    }

    /// What is left of the connection's reader, for the session.
    #[must_use]
    pub fn into_reader(self) -> Reader {
        self.reader
    }

    /// TCP is connected, or will be when what is sent now arrives: puts the upgrade request into `bench.out`.
    pub fn open(&self, opening: &Opening, bench: &mut Workbench) {
        bench.note(self.who, bench.clock.now(), Direction::Out, opening.described.as_bytes());
        opening.request.write(&self.nonce, &mut bench.out);
    }

    /// TCP was found to be connected at `now`.
    pub const fn dialled(&mut self, now: Nanos) {
        self.handshake.dialled(now);
    }

    /// Bytes arrived; `ended` says that none will follow. What is to be sent is appended to `bench.out`. `accept` is shown
    /// the hello-ok of a session, and the attempt's times.
    pub fn receive(
        &mut self,
        terms: &Terms<'_>,
        bench: &mut Workbench,
        bytes: &[u8],
        ended: bool,
        accept: &mut dyn FnMut(&Hello<'_>, &Stamps),
    ) -> Received {
        let now = bench.clock.now();
        let mut consumed = 0;
        if !self.upgraded {
            match self.answered(bytes, ended, now) {
                Ok(0) => return Received { consumed: 0, end: None },
                Ok(head) => consumed = head,
                Err(outcome) => {
                    if let Some(shown) = std::str::from_utf8(bytes).ok().filter(|_| !bytes.is_empty()) {
                        bench.note(self.who, now, Direction::In, shown.as_bytes());
                    }
                    return Received { consumed: bytes.len(), end: Some(End::Over(*outcome)) };
                }
            }
        }
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let (event, used) = match self.reader.next(rest, terms.message_bytes_max) {
                Ok(Next::Event { event, consumed }) => (event, consumed),
                Ok(Next::More { consumed: used, .. }) => {
                    consumed += used;
                    if !ended {
                        return Received { consumed, end: None };
                    }
                    let outcome = self.handshake.on_close(CloseSeen::Abrupt, now);
                    return Received { consumed, end: Some(End::Over(outcome)) };
                }
                Err(error) => {
                    let text = error.to_string();
                    bench.note(self.who, now, Direction::Note, text.as_bytes());
                    let what = format!("it breaks the WebSocket protocol: {text}");
                    let end = Some(End::Over(Outcome::NotAGateway { what }));
                    return Received { consumed: bytes.len(), end };
                }
            };
            consumed += used;
            let message = match event {
                Event::Text(text) => text.as_bytes(),
                Event::Binary(bytes) => bytes,
                Event::Ping(payload) => {
                    let mask = bench.mask();
                    websocket::write_pong(payload, mask, &mut bench.out);
                    continue;
                }
                Event::Pong(_) => continue,
                Event::Close(close) => {
                    let seen = close_seen(&close);
                    bench.note(self.who, now, Direction::In, close_text(&seen).as_bytes());
                    answer_close(&close, bench);
                    let end = Some(End::Closing(self.handshake.on_close(seen, now)));
                    return Received { consumed, end };
                }
            };
            bench.note(self.who, now, Direction::In, message);
            let wall_ms = bench.wall_ms();
            match self.handshake.on_message(&terms.sender, message, now, wall_ms, &mut bench.scratch) {
                Step::Wait => {}
                Step::Send => {
                    let mask = bench.mask();
                    let message = &bench.scratch.message;
                    if terms.sender.persona.binary {
                        websocket::write_binary(message, mask, &mut bench.out);
                    } else {
                        websocket::write_text(message, mask, &mut bench.out);
                    }
                    // Stamped before the write: the gateway cannot have judged earlier, and may answer before we wake up
                    // again.
                    let sent = bench.clock.now();
                    self.handshake.sent(sent);
                    bench.note_sent(self.who, sent);
                }
                Step::Session(hello) => {
                    accept(&hello, self.handshake.stamps());
                    return Received { consumed, end: Some(End::Session) };
                }
                Step::Done(outcome) => return Received { consumed, end: Some(End::Over(outcome)) },
            }
        }
    }

    /// Looks for the answer to the upgrade; gives the length of its head, 0 when it is not whole yet.
    fn answered(&mut self, bytes: &[u8], ended: bool, now: Nanos) -> Result<usize, Box<Outcome>> {
        let abrupt = Box::new(Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade }));
        match websocket::read_answer(bytes, &self.nonce, ended) {
            Ok(Answer::Partial) if ended => {
                self.handshake.ended(now);
                Err(abrupt)
            }
            Ok(Answer::Partial) => Ok(0),
            Ok(Answer::Switched { consumed }) => {
                self.upgraded = true;
                self.handshake.upgraded(now);
                Ok(consumed)
            }
            Ok(Answer::Refused { status, body }) => {
                self.handshake.ended(now);
                let shown = body.get(..body.len().min(websocket::BODY_MAX)).unwrap_or_default();
                let mark = if shown.len() < body.len() { "…" } else { "" };
                let body = format!("{}{mark}", String::from_utf8_lossy(shown));
                Err(Box::new(Outcome::UpgradeRefused { status, body }))
            }
            Err(_) if ended && bytes.is_empty() => {
                self.handshake.ended(now);
                Err(abrupt)
            }
            Err(error) => {
                self.handshake.ended(now);
                Err(Box::new(Outcome::NotAGateway { what: format!("it does not speak WebSocket: {error}") }))
            }
        }
    }

    /// The connection broke, or could not be made: `outcome` if that was before anything was asked.
    pub fn fail(&mut self, outcome: Outcome, now: Nanos) -> Outcome {
        if self.upgraded {
            return self.handshake.on_close(CloseSeen::Abrupt, now);
        }
        self.handshake.ended(now);
        outcome
    }

    /// The attempt's time is up at `now`.
    pub fn on_timeout(&mut self, now: Nanos) -> Outcome {
        if self.upgraded {
            return self.handshake.on_timeout(now);
        }
        self.handshake.ended(now);
        let phase = if self.stamps().dialled.is_some() { Phase::Upgrade } else { Phase::Dial };
        Outcome::TimedOut { phase }
    }
}

/// Close frame as seen; 1005 stands for one without a code (RFC 6455, section 7.1.5), and 0 for one whose code the RFC
/// forbids on the wire (section 7.4).
#[must_use]
pub fn close_seen(close: &Close<'_>) -> CloseSeen {
    if close.is_forbidden() {
        return CloseSeen::Frame { code: 0, reason: "a close code that RFC 6455 forbids".to_owned() };
    }
    CloseSeen::Frame { code: close.code.unwrap_or(1005), reason: close.reason.to_owned() }
}

/// Answers a close with its own code, as RFC 6455 (section 5.5.1) has it; with 1000 where there is none to repeat.
pub fn answer_close(close: &Close<'_>, bench: &mut Workbench) {
    let code = close.code.filter(|_| !close.is_forbidden()).unwrap_or(1000);
    let mask = bench.mask();
    websocket::write_close(code, "", mask, &mut bench.out);
}

fn close_text(close: &CloseSeen) -> String {
    match close {
        CloseSeen::Frame { code, reason } => format!("close {code} {reason:?}"),
        CloseSeen::Abrupt => "connection ended without a close frame".to_owned(),
    }
}
