//! The floor: a client that does what every client must, and nothing else.
//!
//! It opens sockets, sends fixed bytes, counts what comes back, and waits for the end of the stream. It reads no JSON, knows
//! where messages end only because it knows how long the answers are, and signs nothing. No client of the handshake can cost
//! less on the same kernel.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::recorded;
use crate::reference_server::{Answers, HelloSize};
use crate::wire;

/// Larger than everything that is sent at once.
const BUFFER_BYTES: usize = 32 * 1_024;
const EVENTS: usize = 1_024;
/// After so long without a byte the server is taken for dead, or for another than was said.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What the floor client does.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The reference server.
    pub target: SocketAddr,
    /// Its `hello-ok`.
    pub hello: HelloSize,
    /// Ask for the path that is refused.
    pub reject: bool,
    /// Handshakes altogether.
    pub handshakes: u64,
    /// Handshakes at a time.
    pub in_flight: usize,
    /// Source address of the sockets; without one they are not bound.
    pub source: Option<IpAddr>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handshakes whose every byte arrived.
    pub good: u64,
    /// Others.
    pub bad: u64,
}

/// Fixed bytes, and how many come back for them.
struct Script {
    upgrade: Vec<u8>,
    connect: Vec<u8>,
    close: Vec<u8>,
    until_challenge: usize,
    until_answer: usize,
    until_end: usize,
}

impl Script {
    fn new(settings: &Settings) -> Self {
        let Settings { target, reject, .. } = *settings;
        let path = if reject { "/reject" } else { "/" };
        // The key of RFC 6455, section 1.3; nobody looks at the answer to it.
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let connect = recorded::frames(recorded::NEW, r#""method":"connect""#).next().unwrap_or_default();
        let answers = Answers::new(settings.hello);
        let until_challenge = Answers::bytes_before_connect();
        let until_answer = until_challenge + answers.answer_bytes(b"1", reject);
        // After a refusal the server has sent its close frame already and echoes none.
        let code: u16 = if reject { 1008 } else { 1000 };
        let echo = if reject { 0 } else { answers.close.len() };
        Self {
            upgrade: upgrade.into_bytes(),
            connect: wire::from_client(wire::TEXT, connect.as_bytes(), *b"mask"),
            close: wire::from_client(wire::CLOSE, &wire::close_payload(code, ""), *b"mask"),
            until_challenge,
            until_answer,
            until_end: until_answer + echo,
        }
    }
}

/// One handshake.
struct Slot {
    stream: TcpStream,
    received: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Dialling,
    Challenge,
    Answer,
    End,
}

/// How far a slot came.
enum Next {
    Wait,
    Done { good: bool },
}

/// Makes all handshakes.
///
/// # Errors
/// Those of epoll and of making sockets. A handshake that goes wrong is counted.
pub fn run(settings: &Settings) -> io::Result<Counts> {
    let script = Script::new(settings);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut counts = Counts::default();
    let mut started = 0;
    let mut slots: Vec<Option<Slot>> = Vec::with_capacity(settings.in_flight);
    while slots.len() < settings.in_flight && started < settings.handshakes {
        started += 1;
        slots.push(Some(start(settings, &script, &poll, slots.len())?));
    }
    let mut open = slots.len();
    while open > 0 {
        match poll.poll(&mut events, Some(SILENCE_MAX)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(()) if events.is_empty() => return Err(ErrorKind::TimedOut.into()),
            other => other?,
        }
        for event in &events {
            let Token(number) = event.token();
            let Some(place) = slots.get_mut(number) else { continue };
            let Some(slot) = place else { continue };
            if slot.stage == Stage::Dialling && event.is_writable() {
                slot.send_upgrade(&script)?;
            }
            if !event.is_readable() && !event.is_read_closed() {
                continue;
            }
            let Next::Done { good } = slot.read(&script, &mut buffer, event.is_read_closed()) else {
                continue;
            };
            if good {
                counts.good += 1;
            } else {
                counts.bad += 1;
            }
            // Closed before the next is opened, as a client with so many in flight would.
            *place = None;
            if started < settings.handshakes {
                started += 1;
                *place = Some(start(settings, &script, &poll, number)?);
            } else {
                open -= 1;
            }
        }
    }
    Ok(counts)
}

fn start(settings: &Settings, script: &Script, poll: &Poll, number: usize) -> io::Result<Slot> {
    let stream = dial(settings)?;
    let mut slot = Slot { stream, received: 0, stage: Stage::Dialling };
    // On loopback the connection is there when `connect` returns; elsewhere the socket says when it can be written.
    slot.send_upgrade(script)?;
    let interest = match slot.stage {
        Stage::Dialling => Interest::READABLE | Interest::WRITABLE,
        _ => Interest::READABLE,
    };
    poll.registry().register(&mut slot.stream, Token(number), interest)?;
    Ok(slot)
}

/// A socket as the engine makes it: with the system's settings, bound if it is to be.
fn dial(settings: &Settings) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(settings.target), Type::STREAM.nonblocking(), None)?;
    if let Some(source) = settings.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&settings.target.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

impl Slot {
    fn send_upgrade(&mut self, script: &Script) -> io::Result<()> {
        match self.stream.write(&script.upgrade) {
            Ok(_) => self.stage = Stage::Challenge,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads what is there. `ended`: the server has closed its side.
    fn read(&mut self, script: &Script, buffer: &mut [u8], ended: bool) -> Next {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Next::Done { good: self.is_complete(script) },
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Next::Done { good: false },
            };
            self.received += read;
            let sent = match self.stage {
                Stage::Challenge if self.received >= script.until_challenge => {
                    self.stage = Stage::Answer;
                    self.stream.write(&script.connect)
                }
                Stage::Answer if self.received >= script.until_answer => {
                    self.stage = Stage::End;
                    self.stream.write(&script.close)
                }
                _ => Ok(0),
            };
            if sent.is_err() {
                return Next::Done { good: false };
            }
            // The end of the stream came with the last bytes: the read that would say so is saved.
            if ended && self.is_complete(script) {
                return Next::Done { good: true };
            }
            if read < buffer.len() && !ended {
                return Next::Wait;
            }
        }
    }

    fn is_complete(&self, script: &Script) -> bool {
        self.stage == Stage::End && self.received == script.until_end
    }
}
