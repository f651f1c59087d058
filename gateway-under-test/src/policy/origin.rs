//! Browsers' `Origin` (reference, section 6; article profile, section 4).

use protocol::connect::ClientInfo;
use protocol::{ClientId, ClientMode};

use super::Rules;
use super::http_facts::HttpFacts;
use super::locality;
use crate::defect::Defect;
use crate::profile::OriginRule;

/// Whether a client is web chat, by its mode or its id.
#[must_use]
pub fn is_webchat(client: &ClientInfo) -> bool {
    client.mode == ClientMode::Webchat || client.id == ClientId::WebchatUi
}

/// Holds a request's `Origin` against the rules; `local` is whether the client is.
///
/// # Errors
/// `details.reason` of the refusal.
pub fn check(rules: &Rules, http: &HttpFacts, client: &ClientInfo, local: bool) -> Result<(), &'static str> {
    let sends = http.origin.is_some();
    let browser = client.id == ClientId::ControlUi || is_webchat(client);
    let is_checked = match rules.profile.origin {
        OriginRule::BrowsersSamePort => {
            client.id == ClientId::ControlUi || client.mode == ClientMode::Webchat
        }
        OriginRule::BrowsersSameHost => browser,
        OriginRule::AnyoneListed => browser || sends,
        OriginRule::AnyonePrivateHost => browser || sends || client.id == ClientId::BrowserCopilot,
    };
    if !is_checked || rules.defect == Some(Defect::IgnoreOrigin) {
        return Ok(());
    }
    let origin = http
        .origin
        .as_deref()
        .and_then(Origin::parse)
        .filter(|origin| rules.profile.origin != OriginRule::AnyonePrivateHost || origin.is_bare)
        .ok_or("origin missing or invalid")?;
    if is_allowed(rules, &origin, http.host.as_deref(), local) { Ok(()) } else { Err("origin not allowed") }
}

fn is_allowed(rules: &Rules, origin: &Origin, host: Option<&str>, local: bool) -> bool {
    let host = host.map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty());
    let same_text = || host.as_deref() == Some(origin.host_text().as_str());
    let listed = |text: &String| {
        let text = text.trim().to_ascii_lowercase();
        text == "*" || text == origin.text()
    };
    match rules.profile.origin {
        OriginRule::BrowsersSamePort => {
            let is_listed =
                rules.allowed_origins.iter().filter_map(|text| Origin::parse(text)).any(|listed| {
                    (&listed.scheme, &listed.name, listed.port) == (&origin.scheme, &origin.name, origin.port)
                });
            is_listed
                || host.as_deref().is_some_and(|host| {
                    origin.is_at(host) || (origin.is_loopback() && is_loopback_host(host))
                })
        }
        OriginRule::BrowsersSameHost => {
            rules.allowed_origins.iter().any(|text| text.trim().to_ascii_lowercase() == origin.text())
                || same_text()
                || (origin.is_loopback() && host.as_deref().is_some_and(is_loopback_host))
        }
        OriginRule::AnyoneListed => {
            rules.allowed_origins.iter().any(listed)
                || (rules.host_origin_fallback && same_text())
                || (local && origin.is_loopback())
        }
        OriginRule::AnyonePrivateHost => {
            rules.allowed_origins.iter().any(listed)
                || (rules.host_origin_fallback && same_text())
                || (same_text() && host.as_deref().is_some_and(|host| is_private_host(host, local)))
                || (local && origin.is_loopback())
        }
    }
}

fn is_loopback_host(host: &str) -> bool {
    locality::is_loopback_name(&locality::host_name(host))
}

/// Whether pages of this host are taken to be the gateway's own.
fn is_private_host(host: &str, local: bool) -> bool {
    let name = locality::host_name(host);
    if locality::is_loopback_name(&name) {
        return local;
    }
    match locality::ip(&name) {
        Some(address) => locality::is_private(address),
        None => name.ends_with(".local") || name.ends_with(".ts.net"),
    }
}

/// The host of an origin, in lower case and without port.
#[must_use]
pub fn host_of(origin: &str) -> Option<String> {
    Origin::parse(origin).map(|origin| origin.name)
}

/// Whether a page of the gateway's own host asks: origin and `Host` are the same text.
#[must_use]
pub fn is_same_host(origin: Option<&str>, host: Option<&str>) -> bool {
    let (Some(origin), Some(host)) = (origin.and_then(Origin::parse), host) else { return false };
    origin.is_bare && host.trim().to_ascii_lowercase() == origin.host_text()
}

/// A parsed origin: scheme, host, port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    name: String,
    port: u16,
    /// Nothing stands behind the authority but a slash, and no user before it.
    is_bare: bool,
}

impl Origin {
    /// `None` for `null` and whatever else is not `scheme://host[:port]`; a path is dropped, as browsers' parsers do.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let whole = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let behind = rest.strip_prefix(whole).unwrap_or_default();
        let authority = whole.rsplit_once('@').map_or(whole, |(_, host)| host);
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
        let is_bare = ["", "/"].contains(&behind) && authority == whole;
        let mut origin = Self { scheme: scheme.to_owned(), name: name.to_owned(), port: 0, is_bare };
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

    fn is_loopback(&self) -> bool {
        locality::is_loopback_name(&self.name)
    }

    /// Host and port as a browser writes them: brackets around IPv6, no default port.
    fn host_text(&self) -> String {
        let name = if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() };
        if self.port == self.default_port() { name } else { format!("{name}:{}", self.port) }
    }

    fn text(&self) -> String {
        format!("{}://{}", self.scheme, self.host_text())
    }

    /// Whether a `Host` header names this host and port, default ports filled in.
    fn is_at(&self, host: &str) -> bool {
        let port = host
            .rsplit_once(':')
            .filter(|(name, _)| !name.contains(':') || name.ends_with(']'))
            .map_or_else(|| Some(self.default_port()), |(_, port)| port.parse().ok());
        locality::host_name(host) == self.name && port == Some(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthConfig;
    use crate::profile::{ALL, ARTICLE, Profile, V2026_2_19, V2026_2_22, V2026_3_13, V2026_9_6};
    use proptest::prelude::*;
    use serde_json::json;

    fn client(id: &str, mode: &str) -> ClientInfo {
        serde_json::from_value(json!({"id": id, "version": "1", "platform": "web", "mode": mode})).unwrap()
    }

    fn said(
        profile: &'static Profile,
        client: &ClientInfo,
        origin: Option<&str>,
        host: &str,
        local: bool,
    ) -> &'static str {
        let mut rules = Rules::of(profile, AuthConfig::None);
        rules.allowed_origins = vec!["https://ui.example.com".to_owned()];
        let http = HttpFacts {
            origin: origin.map(str::to_owned),
            host: Some(host.to_owned()),
            ..HttpFacts::from_peer([127, 0, 0, 1].into())
        };
        check(&rules, &http, client, local).err().unwrap_or("ok")
    }

    #[test]
    fn table_of_origins() {
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
        let ui = client("openclaw-control-ui", "ui");
        for (origin, host, allowed) in rows {
            let is_ok = said(&ARTICLE, &ui, *origin, host, true) == "ok";
            assert_eq!(is_ok, *allowed, "{origin:?} on {host}");
        }
    }

    /// Case a03: 2.19 and 2.22, 3.13, 9.6.
    #[test]
    fn table_of_releases() {
        const OK: &str = "ok";
        const MISSING: &str = "origin missing or invalid";
        const FOREIGN: &str = "origin not allowed";
        let ui = client("openclaw-control-ui", "webchat");
        let cli = client("cli", "cli");
        let chat = client("webchat-ui", "ui");
        type Row<'a> = (&'a ClientInfo, Option<&'static str>, &'static str, bool, [&'static str; 3]);
        let rows: &[Row<'_>] = &[
            (&ui, None, "127.0.0.1:1", true, [MISSING; 3]),
            (&ui, Some("null"), "127.0.0.1:1", true, [MISSING; 3]),
            (&ui, Some("http://evil.example"), "127.0.0.1:1", true, [FOREIGN; 3]),
            (&ui, Some("http://127.0.0.1:1"), "127.0.0.1:1", true, [OK; 3]),
            (&ui, Some("http://localhost:5173"), "127.0.0.1:1", true, [OK; 3]),
            (&ui, Some("http://localhost:5173"), "127.0.0.1:1", false, [OK, FOREIGN, FOREIGN]),
            (&ui, Some("http://gw.example.com"), "gw.example.com", false, [OK, FOREIGN, FOREIGN]),
            (&ui, Some("http://10.0.0.5:1"), "10.0.0.5:1", false, [OK, FOREIGN, OK]),
            (&ui, Some("http://203.0.113.5:1"), "203.0.113.5:1", false, [OK, FOREIGN, FOREIGN]),
            (&ui, Some("http://box.local"), "box.local", false, [OK, FOREIGN, OK]),
            (&ui, Some("https://ui.example.com"), "gw.example.com", false, [OK; 3]),
            (&ui, Some("https://ui.example.com/path"), "gw.example.com", false, [OK, OK, MISSING]),
            (&ui, Some("https://gw.example.com"), "gw.example.com:443", false, [FOREIGN; 3]),
            (&cli, None, "127.0.0.1:1", true, [OK; 3]),
            (&cli, Some("http://evil.example"), "127.0.0.1:1", true, [OK, FOREIGN, FOREIGN]),
            (&cli, Some("http://127.0.0.1:1"), "127.0.0.1:1", true, [OK; 3]),
            (&chat, None, "127.0.0.1:1", true, [MISSING; 3]),
        ];
        for (client, origin, host, local, expected) in rows {
            let context = format!("{} {origin:?} on {host} local={local}", client.id);
            assert_eq!(said(&V2026_2_19, client, *origin, host, *local), expected[0], "2.19: {context}");
            assert_eq!(said(&V2026_2_22, client, *origin, host, *local), expected[0], "2.22: {context}");
            assert_eq!(said(&V2026_3_13, client, *origin, host, *local), expected[1], "3.13: {context}");
            assert_eq!(said(&V2026_9_6, client, *origin, host, *local), expected[2], "9.6: {context}");
        }
    }

    #[test]
    fn only_browsers_are_checked() {
        let foreign = Some("http://evil.example");
        assert_ne!(said(&ARTICLE, &client("openclaw-control-ui", "ui"), foreign, "localhost", true), "ok");
        assert_ne!(said(&ARTICLE, &client("webchat", "webchat"), foreign, "localhost", true), "ok");
        assert_eq!(said(&ARTICLE, &client("cli", "cli"), foreign, "localhost", true), "ok");
    }

    proptest! {
        #[test]
        fn a_foreign_name_is_refused(name in "[a-z]{3,10}\\.example", port in 1_u16.., local: bool) {
            let origin = format!("https://{name}:{port}");
            let ui = client("openclaw-control-ui", "webchat");
            for profile in ALL {
                let said = said(profile, &ui, Some(&origin), "127.0.0.1:18789", local);
                prop_assert_eq!(said, "origin not allowed", "{}", profile.name);
            }
        }

        #[test]
        fn parsing_never_panics(origin in "\\PC{0,60}", host in "\\PC{0,30}") {
            let ui = client("openclaw-control-ui", "webchat");
            for profile in ALL {
                let _ = said(profile, &ui, Some(&origin), &host, true);
            }
        }
    }
}
