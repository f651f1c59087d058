//! A tokio connection from a chosen source address, for those who make few.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use super::socket;
use crate::observation::Outcome;

/// Connects to `target` from `source`.
///
/// # Errors
/// The outcome that the failure amounts to.
pub async fn dial(target: SocketAddr, source: Option<Ipv4Addr>) -> Result<TcpStream, Outcome> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
        .map_err(|error| socket::failure(&error))?;
    if let Some(source) = source {
        socket.bind(SocketAddr::from((source, 0))).map_err(|error| socket::failure(&error))?;
    }
    let stream = socket.connect(target).await.map_err(|error| socket::failure(&error))?;
    // A port that nobody listens on can, on loopback, connect to itself when the kernel draws the same port.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(Outcome::ConnectionRefused);
    }
    stream.set_nodelay(true).map_err(|error| socket::failure(&error))?;
    Ok(stream)
}
