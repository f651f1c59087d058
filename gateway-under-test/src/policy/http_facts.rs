//! What an upgrade request says of its client.

use std::net::IpAddr;

/// Headers that only a Tailscale proxy sends.
const TAILSCALE_HEADERS: [&str; 5] = [
    "tailscale-funnel-request",
    "tailscale-headers-info",
    "tailscale-user-login",
    "tailscale-user-name",
    "tailscale-user-profile-pic",
];

/// What the upgrade request said about the client. A blank header counts as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFacts {
    /// The other end of the TCP connection.
    pub peer: IpAddr,
    /// `Host`.
    pub host: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `X-Forwarded-For`; repeated headers joined by commas.
    pub forwarded_for: Option<String>,
    /// `X-Real-IP`.
    pub real_ip: Option<String>,
    /// `X-Forwarded-Host`.
    pub forwarded_host: Option<String>,
    /// Every header, with its name in lower case; repeated ones as they came.
    pub headers: Vec<(String, String)>,
}

impl HttpFacts {
    /// A request without any of these headers.
    #[must_use]
    pub fn from_peer(peer: IpAddr) -> Self {
        Self {
            peer,
            host: None,
            origin: None,
            user_agent: None,
            forwarded_for: None,
            real_ip: None,
            forwarded_host: None,
            headers: Vec::new(),
        }
    }

    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whether any header says that a proxy forwarded the request (9.6).
    #[must_use]
    pub fn is_proxy_shaped(&self) -> bool {
        self.forwarded_for.is_some()
            || self.real_ip.is_some()
            || self.forwarded_host.is_some()
            || self.headers.iter().any(|(name, _)| {
                ["forwarded", "x-real-ip"].contains(&name.as_str())
                    || name.starts_with("x-forwarded-")
                    || TAILSCALE_HEADERS.contains(&name.as_str())
            })
    }
}
