//! Browsers' `Origin` (article profile, section 4; observed on 2026.2.22).

use protocol::{ClientId, ClientMode};

use super::locality;

/// Whether this client's `Origin` is looked at.
#[must_use]
pub fn is_checked(id: ClientId, mode: ClientMode) -> bool {
    id == ClientId::ControlUi || mode == ClientMode::Webchat
}

/// Whether the origin may talk to the host it asked for.
#[must_use]
pub fn is_allowed(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin.and_then(Origin::parse) else {
        return false;
    };
    if allowed.iter().filter_map(|listed| Origin::parse(listed)).any(|listed| listed == origin) {
        return true;
    }
    let Some(host) = host.map(str::trim).filter(|host| !host.is_empty()) else {
        return false;
    };
    let name = locality::host_name(host);
    let port = host
        .rsplit_once(':')
        .filter(|(name, _)| !name.contains(':') || name.ends_with(']'))
        .map_or_else(|| Some(origin.default_port()), |(_, port)| port.parse().ok());
    if name == origin.name && port == Some(origin.port) {
        return true;
    }
    locality::is_loopback_name(&origin.name) && locality::is_loopback_name(&name)
}

/// A parsed origin: scheme, host, port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    name: String,
    port: u16,
}

impl Origin {
    /// `None` for `null` and whatever else is not `scheme://host[:port]`; a path is dropped, as browsers' parsers do.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (name, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (name, after) = bracketed.split_once(']')?;
                name.parse::<std::net::Ipv6Addr>().ok()?;
                (name, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (authority, None),
            },
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return None;
        }
        let mut origin = Self { scheme: scheme.to_owned(), name: name.to_owned(), port: 0 };
        origin.port = match port {
            None | Some("") => origin.default_port(),
            Some(port) => port.parse().ok()?,
        };
        Some(origin)
    }

    fn default_port(&self) -> u16 {
        match self.scheme.as_str() {
            "http" | "ws" => 80,
            "https" | "wss" => 443,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table_of_origins() {
        let listed = ["https://ui.example.com".to_owned()];
        let rows: &[(Option<&str>, &str, bool)] = &[
            (None, "127.0.0.1:1", false),
            (Some("null"), "127.0.0.1:1", false),
            (Some("garbage"), "127.0.0.1:1", false),
            (Some("http://evil.example"), "127.0.0.1:1", false),
            (Some("http://127.0.0.1:1"), "127.0.0.1:1", true),
            (Some("http://localhost:5173"), "127.0.0.1:1", true),
            (Some("http://[::1]:5173"), "localhost:1", true),
            (Some("http://localhost:5173"), "gw.example.com", false),
            (Some("https://gw.example.com"), "gw.example.com", true),
            (Some("https://gw.example.com"), "gw.example.com:443", true),
            (Some("https://GW.example.com:8443"), "gw.example.com:8443", true),
            (Some("https://gw.example.com:8443"), "gw.example.com", false),
            (Some("https://ui.example.com"), "gw.example.com", true),
            (Some("https://UI.example.com:443"), "gw.example.com", true),
            (Some("http://ui.example.com"), "gw.example.com", false),
        ];
        for (origin, host, allowed) in rows {
            assert_eq!(is_allowed(*origin, Some(host), &listed), *allowed, "{origin:?} on {host}");
        }
    }

    #[test]
    fn only_browsers_are_checked() {
        assert!(is_checked(ClientId::ControlUi, ClientMode::Ui));
        assert!(is_checked(ClientId::Webchat, ClientMode::Webchat));
        assert!(!is_checked(ClientId::Cli, ClientMode::Cli));
    }

    proptest! {
        #[test]
        fn a_foreign_name_is_refused(name in "[a-z]{3,10}\\.example", port in 1_u16..) {
            let origin = format!("https://{name}:{port}");
            prop_assert!(!is_allowed(Some(&origin), Some("127.0.0.1:18789"), &[]));
        }

        #[test]
        fn parsing_never_panics(origin in "\\PC{0,60}", host in "\\PC{0,30}") {
            let _ = is_allowed(Some(&origin), Some(&host), &[]);
        }
    }
}
