//! What was typed where a URL belongs.

use std::net::IpAddr;

/// What somebody pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A gateway's URL.
    Url(Address),
    /// A code of channel pairing: access for people who write to a bot, which has nothing to do with a gateway's handshake.
    ChannelCode,
}

/// Where a gateway is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `wss://`
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the URL said so; else it is the scheme's own.
    pub port_is_written: bool,
    /// Path and query; the query may hold a secret.
    path: String,
}

/// Why it is no URL of a gateway. Nothing of what follows the host is shown, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `ws://` nor `wss://` nor what a browser shows for them.
    #[error(
        "it is no URL of a gateway; write ws://HOST:PORT or wss://HOST, for example ws://127.0.0.1:18789"
    )]
    Scheme,
    /// User and password.
    #[error("credentials do not belong in a URL; use --token-env or --token-file")]
    Credentials,
    /// No host.
    #[error("the URL names no host")]
    Host,
    /// No port.
    #[error("the port of the URL is not a number between 1 and 65535")]
    Port,
    /// Cannot be sent.
    #[error("the path of the URL holds a character that must be percent-encoded")]
    Path,
}

impl Argument {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`AddressError`] when it is neither a URL nor a code.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if is_channel_code(text) { Ok(Self::ChannelCode) } else { Address::parse(text).map(Self::Url) }
    }
}

/// OpenClaw 2026.2.19 to 2026.9.6 make them of eight capital letters and digits; the founding article speaks of six.
fn is_channel_code(text: &str) -> bool {
    matches!(text.len(), 6 | 8) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl Address {
    /// Reads a URL. What a browser's address bar has is taken, too: `http` for `ws`, `https` for `wss`; a fragment goes, since it
    /// is never sent.
    ///
    /// # Errors
    /// [`AddressError`]
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(AddressError::Scheme),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(AddressError::Credentials);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or(AddressError::Host)?,
            None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
        };
        let letter = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(letter) {
            return Err(AddressError::Host);
        }
        let written = port.strip_prefix(':');
        if written.is_none() && !port.is_empty() {
            return Err(AddressError::Port);
        }
        let port = match written {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)?,
            None if tls => 443,
            None => 80,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if !path.chars().all(|c| matches!(c, '!'..='~')) {
            return Err(AddressError::Path);
        }
        Ok(Self { tls, host: host.to_owned(), port, port_is_written: written.is_some(), path })
    }

    /// A gateway on this machine.
    #[must_use]
    pub fn local(tls: bool, port: u16) -> Self {
        Self { tls, host: "127.0.0.1".to_owned(), port, port_is_written: true, path: "/".to_owned() }
    }

    /// `Host` header: as in the URL.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port_is_written { format!("{host}:{}", self.port) } else { host }
    }

    /// Path and query of the upgrade. May hold a secret.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where a gateway behind this URL says how it is: `health` beside what is served there.
    #[must_use]
    pub fn health_path(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}/health", path.trim_end_matches('/'))
    }

    /// As it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{scheme}://{}{path}", self.authority())
    }

    /// Whether it has a query, which may hold a secret.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.path.contains('?')
    }

    /// Whether anybody on the way can read what is sent. A private network is no better, since others are in it: so has the client of
    /// 2026.2.19 it, while that of 2026.9.6 trusts private addresses, `.local` and `.ts.net`.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.tls && !self.is_loopback()
    }

    /// Whether the URL itself says that the gateway is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Address::parse(url).unwrap().shown()
    }

    #[test]
    fn urls_are_taken_as_people_have_them() {
        assert_eq!(shown("ws://127.0.0.1:18789"), "ws://127.0.0.1:18789/");
        assert_eq!(shown("http://localhost:18789/#token=hunter2"), "ws://localhost:18789/");
        assert_eq!(shown("https://gw.example.com/chat?session=x"), "wss://gw.example.com/chat");
        assert_eq!(shown("wss://[::1]:8443/a/"), "wss://[::1]:8443/a/");
        let address = Address::parse("wss://gw.example.com?x=1").unwrap();
        assert_eq!((address.port, address.path(), address.port_is_written), (443, "/?x=1", false));
        assert_eq!(address.health_path(), "/health");
        assert_eq!(Address::parse("ws://h:1/a/b/").unwrap().health_path(), "/a/b/health");
        assert!(Address::parse("ws://[::1]:1").unwrap().is_loopback());
        assert!(!Address::parse("ws://gw:1").unwrap().is_loopback());
        assert!(Address::parse("ws://h:1/a?token=hunter2").unwrap().has_query());
        assert!(!Address::parse("ws://h:1/a").unwrap().has_query());
    }

    #[test]
    fn only_tls_and_this_machine_hide_what_is_sent() {
        for (url, is_readable) in [
            ("ws://127.0.0.1:1", false),
            ("ws://[::1]:1", false),
            ("ws://localhost:1", false),
            ("wss://gw.example.com", false),
            ("ws://gw.example.com", true),
            ("ws://localhost.example.com", true),
            ("ws://192.168.1.5:18789", true),
            ("ws://10.0.0.5:18789", true),
        ] {
            assert_eq!(Address::parse(url).unwrap().is_readable(), is_readable, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        for (url, error) in [
            ("", AddressError::Scheme),
            ("127.0.0.1:18789", AddressError::Scheme),
            ("ftp://h", AddressError::Scheme),
            ("ws://u:hunter2@h:1/", AddressError::Credentials),
            ("ws://", AddressError::Host),
            ("ws://:1", AddressError::Host),
            ("ws://[::1", AddressError::Host),
            ("ws://a b:1", AddressError::Host),
            ("ws://h:0", AddressError::Port),
            ("ws://h:99999", AddressError::Port),
            ("ws://h:", AddressError::Port),
            ("ws://[::1]x", AddressError::Port),
            ("ws://h:1/a b", AddressError::Path),
            ("ws://h:1/\r\nX: y", AddressError::Path),
        ] {
            assert_eq!(Address::parse(url), Err(error.clone()), "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn codes_of_channel_pairing_are_told_apart() {
        for code in ["ABC123", "K7QXW2MN", " 123456\n"] {
            assert_eq!(Argument::parse(code), Ok(Argument::ChannelCode), "{code}");
        }
        for other in ["abc123", "ABC12", "ABC1234", "ABC-123", "GATEWAY:1"] {
            assert_eq!(Argument::parse(other), Err(AddressError::Scheme), "{other}");
        }
    }
}
