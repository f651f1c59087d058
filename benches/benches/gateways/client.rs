//! The simplest client that signs: blocking sockets, a thread for each handshake in flight, the harness's own state machine
//! for what is sent and read. It is the same for every gateway, so that its cost cancels out; what it costs is not measured.

use std::io::{Error, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use harness::client::{AuthKey, Credentials, DeviceKey, Handshake, Scratch, Sender, Step};
use harness::observation::Stamps;
use harness::plan::ConnectSpec;
use harness::vocabulary::persona::PersonaProfile;
use socket2::{Domain, Socket, Type};

/// A gateway that says nothing for so long is not measured but reported.
const PATIENCE: Duration = Duration::from_secs(60);
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;

/// Who connects, and where to.
pub(crate) struct Device {
    pub(crate) spec: ConnectSpec,
    pub(crate) persona: &'static PersonaProfile,
    pub(crate) key: DeviceKey,
    /// The gateway's shared token.
    pub(crate) token: String,
}

/// A connection that has reached a session.
pub(crate) struct Session {
    stream: TcpStream,
    /// Read, and not yet looked at.
    unread: Vec<u8>,
}

impl Device {
    /// Dial, upgrade, challenge, signed `connect`, hello-ok, close frame, the gateway's close frame, end of stream.
    pub(crate) fn shake_hands(&self, port: u16, now_ms: impl Fn() -> u64) -> Result<()> {
        self.connect(port, Ipv4Addr::LOCALHOST, now_ms)?.close()
    }

    /// As far as hello-ok, from a source address.
    pub(crate) fn connect(&self, port: u16, from: Ipv4Addr, now_ms: impl Fn() -> u64) -> Result<Session> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if from != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut session = Session { stream, unread: Vec::with_capacity(20 * 1024) };
        session.skip_head()?;
        let sender = Sender {
            spec: &self.spec,
            persona: self.persona,
            key: &self.key,
            credentials: Credentials { key: AuthKey::Token, value: &self.token, is_device_token: false },
            template: None,
        };
        let mut machine = Handshake::new(Stamps::default());
        let mut scratch = Scratch::default();
        loop {
            let (opcode, payload) = session.frame()?;
            if opcode == CLOSE {
                return Err(Error::other(format!("closed: {}", String::from_utf8_lossy(&payload))));
            }
            match machine.on_message(&sender, &payload, 0, now_ms(), &mut scratch) {
                Step::Wait => {}
                Step::Send => session.send(TEXT, &scratch.message)?,
                Step::Session(_) => return Ok(session),
                Step::Done(outcome) => return Err(Error::other(format!("{outcome:?}"))),
            }
        }
    }
}

impl Session {
    fn close(mut self) -> Result<()> {
        self.send(CLOSE, &1000_u16.to_be_bytes())?;
        // Events that were on their way, the answer, and the end.
        loop {
            self.unread.clear();
            if self.read()? == 0 {
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<usize> {
        let mut buffer = [0_u8; 20 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn read_on(&mut self) -> Result<()> {
        if self.read()? == 0 { Err(Error::other("the stream ended before hello-ok")) } else { Ok(()) }
    }

    fn skip_head(&mut self) -> Result<()> {
        loop {
            let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                if !self.unread.starts_with(b"HTTP/1.1 101 ") {
                    return Err(Error::other(format!(
                        "no upgrade: {}",
                        String::from_utf8_lossy(&self.unread)
                    )));
                }
                self.unread.drain(..end + 4);
                return Ok(());
            }
            self.read_on()?;
        }
    }

    /// The next frame: gateways send whole messages, unmasked.
    fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, from, to)) = header(&self.unread)
                && let Some(payload) = self.unread.get(from..to)
            {
                let payload = payload.to_vec();
                self.unread.drain(..to);
                return Ok((opcode, payload));
            }
            self.read_on()?;
        }
    }

    /// Masked with zeroes, which is as good as any mask to a gateway.
    fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        let mut frame = vec![opcode];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(MASKED | short),
            _ => {
                let length = u16::try_from(payload.len()).map_err(Error::other)?;
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame)
    }
}

/// First byte of the frame at the front, and where its payload begins and ends.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (opcode, short) = (*bytes.first()?, *bytes.get(1)?);
    let (from, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some((opcode, from, from + length))
}
