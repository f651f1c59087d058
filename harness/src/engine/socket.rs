//! TCP sockets of the load: made without blocking, bound to the planned address, and told apart from those that connected
//! to themselves.

use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::observation::{CloseSeen, Closed, DropReason, Outcome, Phase};

/// Begins to connect to `target` from `source`. The connection may be there or on its way; writing to it shows which.
///
/// # Errors
/// The outcome that the failure amounts to.
pub fn connect(target: SocketAddr, source: Option<Ipv4Addr>) -> Result<TcpStream, Box<Outcome>> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM.nonblocking(), Some(Protocol::TCP))
        .map_err(|error| boxed(&error))?;
    if let Some(source) = source {
        // The port is chosen at connect, where one can be shared by connections to different peers: without this a bind
        // finds no port after 28,232 sockets in TIME_WAIT (shared performance notes, section 6).
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)
            .map_err(|error| boxed(&std::io::Error::from(error)))?;
        socket.bind(&SocketAddr::from((source, 0)).into()).map_err(|error| boxed(&error))?;
    }
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(boxed(&error)),
    }
    Ok(TcpStream::from_std(socket.into()))
}

fn boxed(error: &std::io::Error) -> Box<Outcome> {
    Box::new(failure(error))
}

/// Whether a socket is connected to itself: a port that nobody listens on can, on loopback, connect to itself when the
/// kernel draws the same port.
#[must_use]
pub fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// The outcome that a failed dial amounts to.
#[must_use]
pub fn failure(error: &std::io::Error) -> Outcome {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::CONNREFUSED) => Outcome::ConnectionRefused,
        Some(Errno::MFILE | Errno::NFILE) => Outcome::Dropped(DropReason::Descriptors),
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => Outcome::Dropped(DropReason::Ports),
        Some(Errno::TIMEDOUT) => Outcome::TimedOut { phase: Phase::Dial },
        Some(Errno::CONNRESET) => Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Dial }),
        _ => Outcome::Unreachable { error: error.to_string() },
    }
}

/// The outcome of an attempt whose connection broke before the upgrade was answered. Once connected, errors that stand for
/// a peer that cannot be reached mean that it went away.
#[must_use]
pub fn broken(error: &std::io::Error, connected: bool) -> Outcome {
    let outcome = failure(error);
    if !connected {
        return outcome;
    }
    match outcome {
        Outcome::Unreachable { .. } | Outcome::ConnectionRefused | Outcome::Closed(_) => {
            Outcome::Closed(Closed { close: CloseSeen::Abrupt, phase: Phase::Upgrade })
        }
        other => other,
    }
}
