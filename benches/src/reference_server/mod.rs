//! A gateway's side of the handshake that decides nothing: what clients are measured against, since it costs less than any of
//! them.
//!
//! One thread, one epoll. It takes any upgrade, sends a challenge with a fresh nonce in the same segment, and answers every
//! `connect` with the same `hello-ok`, or with "pairing required" on a path that begins with `/reject`. The client leaves with a
//! close frame; the server echoes it and closes TCP first, so that TIME_WAIT stays on its side. It keeps a session as long as
//! the client wants.

mod answers;
mod connection;
mod nonce;
mod verify;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use slab::Slab;
use socket2::{Domain, Socket, Type};

pub use answers::{Answers, HelloSize};
use connection::{Connection, Next, Shop};

const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);
/// Connections that wait to be accepted. The kernel takes the smaller of this and `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;
const EVENTS: usize = 1_024;
/// Room for the longest message and the beginning of the next.
const BUFFER_BYTES: usize = 128 * 1_024;

/// What a server is told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where it listens; port 0: any.
    pub address: SocketAddr,
    /// Length of `hello-ok`.
    pub hello: HelloSize,
    /// Refuse everybody, whatever the path.
    pub reject: bool,
    /// Verify signatures, which costs more than everything else together.
    pub verify: bool,
}

/// What a server has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Upgrades answered with 101.
    pub upgraded: u64,
    /// `hello-ok` sent.
    pub hellos: u64,
    /// Refusals sent.
    pub rejected: u64,
    /// Close frames received.
    pub closed: u64,
    /// Messages that no client of the handshake sends; their connections were dropped.
    pub bad_messages: u64,
    /// Signatures that hold (with [`Settings::verify`]).
    pub signatures_good: u64,
    /// Signatures that do not, or connects without one.
    pub signatures_bad: u64,
    /// The first thing that was wrong with one.
    pub first_bad: Option<&'static str>,
    /// Most connections that were open at a time.
    pub open_max: u64,
}

impl Counts {
    fn verified(&mut self, result: Result<(), &'static str>) {
        match result {
            Ok(()) => self.signatures_good += 1,
            Err(cause) => {
                self.signatures_bad += 1;
                self.first_bad.get_or_insert(cause);
            }
        }
    }
}

/// A server that listens and has not accepted anybody yet.
#[derive(Debug)]
pub struct ReferenceServer {
    poll: Poll,
    listener: TcpListener,
    settings: Settings,
    address: SocketAddr,
}

/// Ends a server from another thread.
#[derive(Debug)]
pub struct Stopper(Waker);

impl Stopper {
    /// Ends it: open connections are dropped.
    ///
    /// # Errors
    /// That of the eventfd behind it.
    pub fn stop(&self) -> io::Result<()> {
        self.0.wake()
    }
}

impl ReferenceServer {
    /// Listens.
    ///
    /// # Errors
    /// Those of the sockets.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(settings.address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it on Linux, which saves a system call each.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&settings.address.into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, settings, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    ///
    /// # Errors
    /// That of making an eventfd.
    pub fn stopper(&self) -> io::Result<Stopper> {
        Waker::new(self.poll.registry(), STOP).map(Stopper)
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// Those of epoll. What goes wrong with a connection ends that connection.
    pub fn serve(mut self) -> io::Result<Counts> {
        let mut shop = Shop {
            answers: Answers::new(self.settings.hello),
            reject_all: self.settings.reject,
            verify: self.settings.verify,
            counts: Counts::default(),
            nonces: ChaCha8Rng::try_from_rng(&mut rand::rngs::SysRng).map_err(io::Error::other)?,
            buffer: vec![0; BUFFER_BYTES],
            out: Vec::with_capacity(BUFFER_BYTES),
        };
        let mut connections: Slab<Connection> = Slab::new();
        let mut events = Events::with_capacity(EVENTS);
        let mut waiting = false;
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let key = match event.token() {
                    LISTENER => {
                        waiting = true;
                        continue;
                    }
                    STOP => return Ok(shop.counts),
                    Token(key) => key,
                };
                let Some(connection) = connections.get_mut(key) else { continue };
                let mut next = Next::Wait;
                if event.is_writable() {
                    next = connection.flush(&mut shop);
                }
                if next != Next::End && (event.is_readable() || event.is_read_closed()) {
                    next = connection.on_readable(&mut shop, event.is_read_closed());
                }
                match next {
                    Next::Wait => {}
                    Next::WaitForRoom => {
                        let both = Interest::READABLE | Interest::WRITABLE;
                        self.poll.registry().reregister(&mut connection.stream, Token(key), both)?;
                    }
                    // Closing the descriptor takes it out of epoll.
                    Next::End => drop(connections.remove(key)),
                }
            }
            // After the others, so that no event of this round is for a connection that has taken an older one's place.
            if waiting {
                waiting = self.accept_all(&mut connections, &mut shop)?;
            }
        }
    }

    /// Accepts everybody who waits. True when descriptors ran out and somebody may wait still.
    fn accept_all(&self, connections: &mut Slab<Connection>, shop: &mut Shop) -> io::Result<bool> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    shop.counts.accepted += 1;
                    let entry = connections.vacant_entry();
                    let token = Token(entry.key());
                    let connection = entry.insert(Connection::new(stream));
                    self.poll.registry().register(&mut connection.stream, token, Interest::READABLE)?;
                    shop.counts.open_max = shop.counts.open_max.max(connections.len() as u64);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // Nobody can be accepted before somebody leaves.
                Err(_) => return Ok(true),
            }
        }
    }
}
