//! Where the load goes, and the rule that it stays on this machine.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use super::TargetError;

/// A gateway's address. Made only through checks that keep the load on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAddress {
    /// Where to dial.
    pub socket: SocketAddr,
    /// `Host` header of a client that reaches it directly: host and port as in the URL.
    pub host: String,
    /// Path and query of the upgrade request.
    pub path: String,
}

impl TargetAddress {
    /// A gateway of our own on `port` of 127.0.0.1.
    #[must_use]
    pub fn own(port: u16) -> Self {
        Self {
            socket: SocketAddr::from(([127, 0, 0, 1], port)),
            host: format!("127.0.0.1:{port}"),
            path: "/".to_owned(),
        }
    }

    /// Reads `--target`. `allowed_remote` holds the hosts named by `--allow-remote-target`.
    ///
    /// # Errors
    /// [`TargetError::Url`] for anything but `ws://`, [`TargetError::NotLoopback`] for a host that is neither loopback nor
    /// named, [`TargetError::Resolve`] when a name has no address.
    pub fn parse(url: &str, allowed_remote: &[String]) -> Result<Self, TargetError> {
        let refuse = |why: &str| TargetError::Url { url: without_secrets(url), why: why.to_owned() };
        let rest = match url.split_once("://") {
            Some(("ws", rest)) => rest,
            Some(("wss", _)) => return Err(refuse("loads over TLS (wss) are not supported yet")),
            _ => return Err(refuse("it does not begin with ws://")),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return Err(refuse("credentials do not belong in a URL; use --token-env or --token-file"));
        }
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| refuse("it names no port"))?;
        let port: u16 = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| refuse("its port is not a number between 1 and 65535"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() {
            return Err(refuse("it names no host"));
        }
        let address = match bare.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) if bare.eq_ignore_ascii_case("localhost") => IpAddr::from([127, 0, 0, 1]),
            Err(_) => {
                if !allowed_remote.iter().any(|allowed| allowed == bare) {
                    return Err(TargetError::NotLoopback { host: bare.to_owned() });
                }
                (bare, port)
                    .to_socket_addrs()
                    .and_then(|mut addresses| {
                        addresses.next().ok_or_else(|| std::io::Error::other("the name has no address"))
                    })
                    .map_err(|source| TargetError::Resolve { host: bare.to_owned(), source })?
                    .ip()
            }
        };
        if !address.is_loopback() && !allowed_remote.iter().any(|allowed| allowed == bare) {
            return Err(TargetError::NotLoopback { host: bare.to_owned() });
        }
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        Ok(Self { socket: SocketAddr::new(address, port), host: authority.to_owned(), path })
    }

    /// Whether clients may dial it from 127.0.0.0/8 source addresses.
    #[must_use]
    pub const fn is_loopback_v4(&self) -> bool {
        match self.socket.ip() {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(_) => false,
        }
    }
}

/// The URL as far as it may be shown: user information and query may hold credentials.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    match (shown.find("://"), shown.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let (front, back) = (shown.get(..scheme + 3), shown.get(at..));
            format!("{}…{}", front.unwrap_or_default(), back.unwrap_or_default())
        }
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_permission() {
        for url in
            ["ws://127.0.0.1:1/", "ws://127.9.8.7:18789", "ws://localhost:18789/ws?x=1", "ws://[::1]:9/"]
        {
            assert!(TargetAddress::parse(url, &[]).is_ok(), "{url}");
        }
        let address = TargetAddress::parse("ws://localhost:18789?token=x", &[]).unwrap();
        assert_eq!((address.host.as_str(), address.path.as_str()), ("localhost:18789", "/?token=x"));
    }

    #[test]
    fn everything_else_must_be_named() {
        for url in [
            "ws://192.0.2.1:18789/",
            "ws://10.0.0.1:1",
            "ws://0.0.0.0:1",
            "ws://gw.example.com:1",
            "ws://[2001:db8::1]:1",
        ] {
            let error = TargetAddress::parse(url, &[]).unwrap_err();
            assert!(matches!(error, TargetError::NotLoopback { .. }), "{url}: {error}");
        }
        assert!(TargetAddress::parse("ws://192.0.2.1:18789/", &["192.0.2.1".to_owned()]).is_ok());
        let other = TargetAddress::parse("ws://192.0.2.2:18789/", &["192.0.2.1".to_owned()]);
        assert!(matches!(other, Err(TargetError::NotLoopback { .. })));
    }

    #[test]
    fn an_error_shows_no_credential() {
        let error =
            TargetAddress::parse("ws://user:hunter2@127.0.0.1:1/?token=abc", &[]).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("abc"), "{error}");
        assert!(error.contains("ws://…@127.0.0.1:1/"), "{error}");
    }

    #[test]
    fn what_is_no_websocket_url_is_said_so() {
        for url in [
            "http://127.0.0.1:1",
            "127.0.0.1:1",
            "ws://127.0.0.1",
            "ws://127.0.0.1:0",
            "ws://127.0.0.1:99999",
            "ws://u:p@127.0.0.1:1",
            "ws://:1",
            "wss://127.0.0.1:1",
            "",
        ] {
            assert!(matches!(TargetAddress::parse(url, &[]), Err(TargetError::Url { .. })), "{url}");
        }
    }
}
