//! The probe's sockets: each look is one connection, from the dial to its end, within a time and a size.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::connect::{CHALLENGE_EVENT, Challenge};
use protocol::{Frame, hello};
use rand::TryRng as _;
use rand::rngs::SysRng;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::budget::Budget;
use super::http::{self, HttpSeen, Read};
use super::request::Ask;
use super::seen::{self, Answered, ChallengeSeen, Failed, TlsFailed};
use super::tls::{Certificate, Side};
use crate::client::handshake;
use crate::client::upgrade::UpgradeHeaders;
use crate::clock::Clock;
use crate::observation::{CloseSeen, Closed, Grant, GrantAuth, Outcome, Phase};
use crate::websocket::{
    Answer, Event, Next, Nonce, Reader, UpgradeRequest, read_answer, write_close, write_pong, write_text,
};

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 2;
/// Longest message that is read; a real hello-ok has 15 to 60 KB.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Messages that are read before the one that is awaited: ticks and presence may come between.
const MESSAGES_MAX: usize = 64;
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytes for S {}
type Stream = Box<dyn Bytes>;

/// A gateway's address and how it is reached.
pub struct Wire {
    address: Address,
    side: Option<Side>,
    sockets: Vec<SocketAddr>,
    peer: Option<SocketAddr>,
    patience: Duration,
    clock: Clock,
    /// What is left of the connections.
    pub budget: Budget,
}

/// A WebSocket after its upgrade.
struct Open {
    stream: Stream,
    reader: Reader,
    /// What came and was not read yet.
    bytes: Vec<u8>,
}

/// Something that came on it.
enum Came {
    Message(Vec<u8>),
    Close(CloseSeen),
}

/// What an event asks for.
enum Step {
    Came(Came),
    Pong(Vec<u8>),
    Nothing,
    Read,
}

impl Step {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Came(Came::Message(text.as_bytes().to_vec())),
            Event::Binary(bytes) => Self::Came(Came::Message(bytes.to_vec())),
            Event::Ping(payload) => Self::Pong(payload.to_vec()),
            Event::Pong(_) => Self::Nothing,
            Event::Close(close) => Self::Came(Came::Close(CloseSeen::Frame {
                code: close.code.unwrap_or(1005),
                reason: handshake::bounded(close.reason),
            })),
        }
    }
}

impl Wire {
    /// A way to `address`. Each phase of each look may take `patience`.
    #[must_use]
    pub fn new(address: Address, side: Option<Side>, patience: Duration) -> Self {
        Self {
            address,
            side,
            sockets: Vec::new(),
            peer: None,
            patience,
            clock: Clock::start(),
            budget: Budget::default(),
        }
    }

    /// The address that answered, once one did.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The certificate that was shown last.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        Some(self.side.as_ref()?.certificate()).filter(|shown| shown.fingerprint.is_some())
    }

    /// This machine's clock, milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Asks over HTTP how the gateway is.
    ///
    /// # Errors
    /// [`Failed`]
    pub async fn health(&mut self) -> Result<HttpSeen, Failed> {
        let mut stream = self.dial().await?;
        let request = http::request(&self.address.health_path(), &self.address.authority());
        let reading = async {
            stream.write_all(request.as_bytes()).await.map_err(|error| unreachable(&error))?;
            let mut bytes = Vec::new();
            loop {
                let ended = match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => true,
                    Ok(_) => false,
                };
                match http::read(&bytes, ended) {
                    Read::Partial => {}
                    Read::Whole(seen) => return Ok(seen),
                    Read::NotHttp(what) => {
                        let what = format!("it does not speak HTTP; it says {what}");
                        return Err(Failed::Ended(Outcome::NotAGateway { what }));
                    }
                }
            }
        };
        within(self.patience, Phase::Upgrade, reading).await
    }

    /// Waits for a challenge and leaves without answering it.
    ///
    /// # Errors
    /// [`Failed`]
    pub async fn challenge(&mut self) -> Result<ChallengeSeen, Failed> {
        let mut open = self.open(None).await?;
        let challenge = within(self.patience, Phase::Challenge, open.challenge()).await;
        open.leave().await;
        let challenge = challenge?;
        Ok(ChallengeSeen {
            capabilities: challenge.capabilities.is_some(),
            ahead_ms: i64::try_from(i128::from(challenge.ts) - i128::from(self.wall_ms()))
                .unwrap_or(i64::MAX),
        })
    }

    /// Connects, hears the answer and leaves.
    ///
    /// # Errors
    /// [`Failed`] when it ends before a `connect` could be sent.
    pub async fn connect(&mut self, ask: &Ask<'_>) -> Result<Answered, Failed> {
        let mut open = self.open(ask.origin).await?;
        let challenge = within(self.patience, Phase::Challenge, open.challenge()).await?;
        let frame = ask.frame(&challenge.nonce, challenge.ts);
        self.budget.connected();
        let answering = async {
            open.send(|mask, out| write_text(&frame, mask, out)).await?;
            open.answer(ask).await
        };
        let answered = match within(self.patience, Phase::Verdict, answering).await {
            Ok(answered) => answered,
            Err(Failed::Ended(outcome)) => Answered::of(outcome),
            Err(failed) => return Err(failed),
        };
        open.leave().await;
        Ok(answered)
    }

    async fn dial(&mut self) -> Result<Stream, Failed> {
        if self.sockets.is_empty() {
            self.sockets = resolve(&self.address, self.patience).await?;
        }
        let mut last = Failed::NoneLeft;
        for socket in self.sockets.clone() {
            // The one place that opens a connection.
            let Some(_leave) = self.budget.take() else { return Err(Failed::NoneLeft) };
            match within(self.patience, Phase::Dial, tcp(socket)).await {
                Ok(stream) => {
                    self.sockets = vec![socket];
                    self.peer = Some(socket);
                    return self.secure(stream).await;
                }
                Err(failed) => last = failed,
            }
        }
        Err(last)
    }

    async fn secure(&self, stream: TcpStream) -> Result<Stream, Failed> {
        let Some(side) = &self.side else { return Ok(Box::new(stream)) };
        let other =
            |error: &dyn std::fmt::Display| Failed::Tls(TlsFailed::Other(seen::clean(&error.to_string())));
        let name = ServerName::try_from(self.address.host.clone()).map_err(|error| other(&error))?;
        let connector = TlsConnector::from(std::sync::Arc::clone(&side.config));
        let securing = async {
            connector.connect(name, stream).await.map_err(|error| {
                let certificate = side.certificate();
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match inner {
                    Some(rustls::Error::InvalidMessage(_)) => Failed::Tls(TlsFailed::NotTls),
                    _ if certificate.refused.is_some() => Failed::Tls(TlsFailed::Untrusted(certificate)),
                    _ => other(&error),
                }
            })
        };
        Ok(Box::new(within(self.patience, Phase::Upgrade, securing).await?))
    }

    async fn open(&mut self, origin: Option<&str>) -> Result<Open, Failed> {
        let not_sent = |why: String| Failed::Ended(Outcome::NotAGateway { what: why });
        let mut others = vec![("User-Agent", "pairstorm-probe".to_owned())];
        others.extend(origin.map(|origin| ("Origin", origin.to_owned())));
        let headers = UpgradeHeaders { host: self.address.authority(), others };
        let request = UpgradeRequest::new(self.address.path(), &headers)
            .map_err(|error| not_sent(error.to_string()))?;
        let mut stream = self.dial().await?;
        let nonce = Nonce::new(random());
        let mut out = Vec::new();
        request.write(&nonce, &mut out);
        let upgrading = async {
            stream.write_all(&out).await.map_err(|error| unreachable(&error))?;
            let mut bytes = Vec::new();
            loop {
                let ended = match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => true,
                    Ok(_) => false,
                };
                match read_answer(&bytes, &nonce, ended) {
                    Ok(Answer::Switched { consumed }) => {
                        bytes.drain(..consumed);
                        return Ok(bytes);
                    }
                    Ok(Answer::Refused { status, body }) => {
                        let body = handshake::bounded(&String::from_utf8_lossy(body));
                        return Err(Failed::Ended(Outcome::UpgradeRefused { status, body }));
                    }
                    Ok(Answer::Partial) if ended => {
                        let closed = Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade };
                        return Err(Failed::Ended(Outcome::Closed(closed)));
                    }
                    Ok(Answer::Partial) => {}
                    Err(error) => {
                        let what = format!("it does not speak WebSocket: {error}");
                        return Err(Failed::Ended(Outcome::NotAGateway { what }));
                    }
                }
            }
        };
        let bytes = within(self.patience, Phase::Upgrade, upgrading).await?;
        Ok(Open { stream, reader: Reader::new(), bytes })
    }
}

impl Open {
    async fn challenge(&mut self) -> Result<Challenge, Failed> {
        let message = match self.next().await? {
            Came::Message(message) => message,
            Came::Close(close) => {
                return Err(Failed::Ended(Outcome::Closed(Closed { close, phase: Phase::Challenge })));
            }
        };
        let challenge = match Frame::decode(&message) {
            Ok(Frame::Event(event)) if event.event == CHALLENGE_EVENT => {
                event.payload.and_then(|payload| serde_json::from_str(payload.get()).ok())
            }
            _ => None,
        };
        challenge.ok_or_else(|| {
            let what = format!("its first message is no challenge: `{}`", http::text(&message, 60));
            Failed::Ended(Outcome::NotAGateway { what })
        })
    }

    async fn answer(&mut self, ask: &Ask<'_>) -> Result<Answered, Failed> {
        let not = |what: &str| Failed::Ended(Outcome::NotAGateway { what: what.to_owned() });
        for _ in 0..MESSAGES_MAX {
            let message = match self.next().await? {
                Came::Message(message) => message,
                Came::Close(close) => {
                    return Ok(Answered::of(Outcome::Closed(Closed { close, phase: Phase::Verdict })));
                }
            };
            let response = match Frame::decode(&message) {
                Ok(Frame::Event(_)) => continue,
                Ok(Frame::Response(response)) => response,
                Ok(Frame::Request(_)) | Err(_) => return Err(not("its answer is no response")),
            };
            if response.ok {
                let hello = response.payload.and_then(|payload| read_grant(payload.get()));
                let mut answered =
                    Answered::of(Outcome::Session(hello.ok_or_else(|| not("it accepts without hello-ok"))?));
                seen::read_hello(&message, ask.presented.value(), &mut answered);
                return Ok(answered);
            }
            let mut refusal =
                handshake::refusal(response.error.ok_or_else(|| not("it refuses without an error"))?);
            // Whatever comes before the close changes nothing.
            for _ in 0..MESSAGES_MAX {
                if let Came::Close(close) = self.next().await? {
                    refusal.close = Some(close);
                    break;
                }
            }
            let mut answered = Answered::of(Outcome::Refused(refusal));
            seen::read_refusal(&message, &mut answered);
            return Ok(answered);
        }
        Err(not("it sends events without end and no answer"))
    }

    async fn next(&mut self) -> Result<Came, Failed> {
        loop {
            let (step, consumed) = match self.reader.next(&self.bytes, MESSAGE_BYTES_MAX) {
                Ok(Next::More { consumed, .. }) => (Step::Read, consumed),
                Ok(Next::Event { event, consumed }) => (Step::of(event), consumed),
                Err(error) => {
                    let what = format!("it breaks the WebSocket protocol: {error}");
                    return Err(Failed::Ended(Outcome::NotAGateway { what }));
                }
            };
            self.bytes.drain(..consumed);
            match step {
                Step::Came(came) => return Ok(came),
                Step::Pong(payload) => self.send(|mask, out| write_pong(&payload, mask, out)).await?,
                Step::Nothing => {}
                Step::Read => match self.stream.read_buf(&mut self.bytes).await {
                    Ok(0) | Err(_) => return Ok(Came::Close(CloseSeen::Abrupt)),
                    Ok(_) => {}
                },
            }
        }
    }

    async fn send(&mut self, write: impl FnOnce([u8; 4], &mut Vec<u8>)) -> Result<(), Failed> {
        let mut out = Vec::new();
        write(random(), &mut out);
        self.stream.write_all(&out).await.map_err(|error| unreachable(&error))?;
        self.stream.flush().await.map_err(|error| unreachable(&error))
    }

    /// Says goodbye; whoever does not listen is left.
    async fn leave(mut self) {
        let goodbye = async {
            let _ = self.send(|mask, out| write_close(1000, "", mask, out)).await;
            let _ = self.stream.shutdown().await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

/// What hello-ok granted. The token is not kept, not even as a fingerprint.
fn read_grant(payload: &str) -> Option<Grant> {
    let value: serde_json::Value = serde_json::from_str(payload).ok()?;
    if value.get("type")?.as_str()? != hello::TYPE {
        return None;
    }
    let auth = value.get("auth").filter(|auth| auth.is_object()).map(|auth| GrantAuth {
        token: None,
        role: auth.get("role").and_then(|role| role.as_str()).map(handshake::bounded).unwrap_or_default(),
        scopes: auth
            .get("scopes")
            .and_then(|scopes| scopes.as_array())
            .into_iter()
            .flatten()
            .take(64)
            .filter_map(|scope| scope.as_str())
            .map(handshake::bounded)
            .collect(),
    });
    Some(Grant { protocol: u32::try_from(value.get("protocol")?.as_u64()?).ok()?, auth })
}

async fn within<T>(
    patience: Duration,
    phase: Phase,
    doing: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    timeout(patience, doing).await.unwrap_or(Err(Failed::Ended(Outcome::TimedOut { phase })))
}

async fn resolve(address: &Address, patience: Duration) -> Result<Vec<SocketAddr>, Failed> {
    let looking = tokio::net::lookup_host((address.host.as_str(), address.port));
    let found = timeout(patience, looking)
        .await
        .map_err(|_| Failed::NoAddress("no name server answers".to_owned()))?;
    let mut sockets: Vec<SocketAddr> =
        found.map_err(|error| Failed::NoAddress(seen::clean(&error.to_string())))?.collect();
    // A gateway on this machine listens on 127.0.0.1 first of all, and each address that is tried costs a connection.
    if address.is_loopback() {
        sockets.sort_by_key(SocketAddr::is_ipv6);
    }
    sockets.dedup();
    sockets.truncate(ADDRESSES_MAX);
    if sockets.is_empty() {
        Err(Failed::NoAddress("the name has no address".to_owned()))
    } else {
        Ok(sockets)
    }
}

async fn tcp(socket: SocketAddr) -> Result<TcpStream, Failed> {
    let refused = Failed::Ended(Outcome::ConnectionRefused);
    match TcpStream::connect(socket).await {
        // Where nothing listens, a port of this machine may meet itself.
        Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => Err(refused),
        Ok(stream) => Ok(stream),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(refused),
        Err(error) => Err(unreachable(&error)),
    }
}

fn unreachable(error: &std::io::Error) -> Failed {
    Failed::Ended(Outcome::Unreachable { error: seen::clean(&error.to_string()) })
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness the mask is foreseeable, which endangers proxies (RFC 6455, section 10.3) and nobody here.
    let _ = SysRng.try_fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::connect::{ClientId, ClientMode};
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

    use super::*;
    use crate::probe::request::{Caller, Presented};

    /// How far a peer behaves.
    #[derive(Debug, Clone, Copy)]
    enum Until {
        Nothing,
        HttpHead,
        Upgrade,
        Challenge,
    }

    const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}"#;

    fn ask() -> Ask<'static> {
        Ask {
            caller: Caller {
                id: ClientId::Probe,
                mode: ClientMode::Probe,
                display_name: None,
                platform: "linux".to_owned(),
                device_family: None,
                build_id: None,
            },
            role: "operator",
            scopes: Vec::new(),
            key: None,
            presented: Presented::Token("t"),
            origin: None,
        }
    }

    async fn peer(
        mut stream: TcpStream,
        until: Until,
        then: &[u8],
        times: usize,
        stays: bool,
    ) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
        let accept = derive_accept_key(key.as_bytes());
        let upgrade = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        match until {
            Until::Nothing => {}
            Until::HttpHead => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?,
            Until::Upgrade => stream.write_all(upgrade.as_bytes()).await?,
            Until::Challenge => {
                stream.write_all(upgrade.as_bytes()).await?;
                let length = u8::try_from(CHALLENGE.len()).expect("a short frame");
                stream.write_all(&[0x81, length]).await?;
                stream.write_all(CHALLENGE.as_bytes()).await?;
            }
        }
        for _ in 0..times {
            stream.write_all(then).await?;
        }
        // Whoever stays says nothing more and does not leave either.
        while stays && stream.read_buf(&mut Vec::with_capacity(64)).await? > 0 {}
        Ok(())
    }

    /// Takes every look at such a peer; gives how many connections that were.
    fn look(until: Until, then: Vec<u8>, times: usize, stays: bool) -> u8 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let serving = async {
                let mut peers = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let then = then.clone();
                    peers.spawn(async move { peer(stream, until, &then, times, stays).await });
                }
            };
            let looking = async {
                let mut wire = Wire::new(Address::local(false, port), None, Duration::from_millis(40));
                let _ = wire.health().await;
                let _ = wire.challenge().await;
                for _ in 0..6 {
                    let _ = wire.connect(&ask()).await;
                }
                assert_eq!(wire.connect(&ask()).await, Err(Failed::NoneLeft));
                wire.budget.used()
            };
            tokio::select! {
                used = looking => used,
                () = serving => 0,
            }
        })
    }

    fn until() -> impl Strategy<Value = Until> {
        prop_oneof![Just(Until::Nothing), Just(Until::HttpHead), Just(Until::Upgrade), Just(Until::Challenge)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn whatever_a_peer_says_every_look_ends(
            until in until(),
            then in proptest::collection::vec(any::<u8>(), 0..300),
            text in any::<bool>(),
            stays in any::<bool>(),
        ) {
            // Half of them as the payload of a frame, so that what is inside is read, too.
            let then = if text && then.len() < 126 {
                let mut frame = vec![0x81, u8::try_from(then.len()).unwrap_or_default()];
                frame.extend(String::from_utf8_lossy(&then).bytes().filter(u8::is_ascii).take(then.len()));
                frame
            } else {
                then
            };
            prop_assert_eq!(look(until, then, 1, stays), 5);
        }
    }

    #[test]
    fn a_peer_that_never_stops_is_left() {
        let event = br#"{"type":"event","event":"tick","payload":{}}"#;
        let mut frame = vec![0x81, u8::try_from(event.len()).expect("a short frame")];
        frame.extend(event);
        for (until, then) in [
            (Until::Nothing, b"x".to_vec()),
            (Until::HttpHead, vec![b'x'; 1 << 16]),
            (Until::Upgrade, frame.clone()),
            (Until::Challenge, frame),
            (Until::Challenge, vec![0x89, 0]),
            (Until::Challenge, vec![0x01, 0x01, b'x', 0x00, 0x01, b'y', 0x89, 0]),
        ] {
            assert_eq!(look(until, then, 1_000_000, true), 5, "{until:?}");
        }
    }
}
