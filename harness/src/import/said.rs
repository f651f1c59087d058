//! What a line says about connections, devices and the gateway.

use super::line::{Line, is_uuid};
use super::why::Why;

/// Longest text of a peer that is kept, characters.
const TEXT_MAX: usize = 300;
/// Scopes or roles of one line that are kept.
const NAMES_MAX: usize = 64;

/// What is known of a connection, from any of its lines. Texts are cut at 300 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Connection id; lines at level debug have its first eight and last four characters.
    pub conn: Option<String>,
    /// Device id.
    pub device: Option<String>,
    /// Request that the client was told of.
    pub request: Option<String>,
    /// Peer's address, without its port.
    pub remote: Option<String>,
    /// `X-Forwarded-For`
    pub forwarded: Option<String>,
    /// `Origin`
    pub origin: Option<String>,
    /// `Host`
    pub host: Option<String>,
    /// `User-Agent`
    pub agent: Option<String>,
    /// Client id or display name.
    pub client: Option<String>,
    /// Mode of the client.
    pub mode: Option<String>,
    /// Role asked for.
    pub role: Option<String>,
    /// Scopes asked for.
    pub scopes: Option<Vec<String>>,
    /// Roles that the store holds.
    pub stored_roles: Option<Vec<String>>,
    /// Scopes that the store holds.
    pub stored_scopes: Option<Vec<String>>,
    /// Platform claimed.
    pub platform: Option<String>,
    /// Platform that the store holds.
    pub stored_platform: Option<String>,
    /// Device family claimed.
    pub family: Option<String>,
    /// Device family that the store holds.
    pub stored_family: Option<String>,
    /// Kind of credential.
    pub auth: Option<String>,
    /// Why it was refused.
    pub why: Option<Why>,
    /// Close code.
    pub code: Option<u16>,
    /// How long the connection was there, milliseconds.
    pub took: Option<u32>,
}

impl Facts {
    /// Takes over what `other` knows and this does not.
    pub fn learn(&mut self, other: Self) {
        macro_rules! learn {
            ($($field:ident)*) => { $( if self.$field.is_none() { self.$field = other.$field; } )* };
        }
        learn!(conn device request remote forwarded origin host agent client mode role scopes stored_roles stored_scopes
            platform stored_platform family stored_family auth why code took);
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Something about a connection whose end is said elsewhere.
    Facts(Facts),
    /// It ended without a session.
    Refused(Facts),
    /// It became a session.
    Session(Facts),
    /// A session ended.
    Left {
        /// Its connection, if said.
        conn: Option<String>,
        /// How long the connection was there, milliseconds.
        held_ms: Option<i64>,
    },
    /// A device was approved.
    Approved {
        /// Device id.
        device: String,
        /// Role approved.
        role: Option<String>,
        /// By the gateway itself.
        silent: bool,
    },
    /// An operator did something else to a device: the verb.
    Changed {
        /// Device id.
        device: String,
        /// `removed`, `rejected`, `rotated` or `revoked`.
        how: &'static str,
    },
    /// The process started.
    Began,
    /// The process stops because it was told to.
    Stops,
    /// The port is open. The in-repo gateway says which profile it shows.
    Listens {
        /// Profile.
        profile: Option<String>,
    },
    /// A release names itself.
    Release(String),
    /// The next forwarded connection comes from a proxy that is not trusted.
    UntrustedProxy,
    /// Nothing that matters here.
    Nothing,
}

/// What `line` says.
#[must_use]
pub fn said(line: &Line) -> Said {
    let text = line.message.as_str();
    if line.subsystem == "ws" {
        return of_connection(line, text);
    }
    let starts = |start: &str| text.starts_with(start);
    if starts("security audit: device") {
        return Said::Facts(audit(line));
    }
    if starts("device ") {
        return of_device(line, text).unwrap_or(Said::Nothing);
    }
    if starts("loading configuration") || starts("device store loaded") {
        Said::Began
    } else if starts("received SIGTERM; shutting")
        || starts("received SIGINT; shutting")
        || starts("signal received, stopping")
    {
        Said::Stops
    } else if starts("listening on ws") || starts("http server listening") {
        Said::Listens { profile: line.first("profile").map(str::to_owned) }
    } else if starts("update available") {
        text.split_once("(current v")
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or(Said::Nothing, |(release, _)| Said::Release(cut(release)))
    } else {
        Said::Nothing
    }
}

fn of_connection(line: &Line, text: &str) -> Said {
    match text {
        "closed before connect" => Said::Refused(closed(line)),
        "unauthorized" => {
            let mut facts = common(line);
            facts.why = line.first("reason").and_then(Why::of_word);
            Said::Facts(facts)
        }
        "protocol mismatch" => Said::Facts(Facts { why: Some(Why::Protocol), ..common(line) }),
        "invalid handshake" => Said::Facts(Facts { why: Some(Why::InvalidHandshake), ..common(line) }),
        "← open" => Said::Facts(Facts { remote: line.first("remoteAddr").map(cut), ..common(line) }),
        "← connect" | "connected" => Said::Session(common(line)),
        "webchat connected" => Said::Facts(common(line)),
        "→ close" if line.first("handshake") == Some("connected") => Said::Left {
            conn: line.first("conn").map(cut),
            held_ms: line.first("durationMs").and_then(|text| text.parse().ok()),
        },
        "disconnected" => Said::Left {
            conn: line.first("conn").map(cut),
            held_ms: line.first("durationMs").and_then(|text| text.parse().ok()),
        },
        _ if text.starts_with("Proxy headers detected from untrusted") => Said::UntrustedProxy,
        _ => Said::Nothing,
    }
}

fn of_device(line: &Line, text: &str) -> Option<Said> {
    let device = line.first("device").map(cut)?;
    Some(match text {
        "device pairing auto-approved" | "device pairing approved" => {
            Said::Approved { device, role: line.first("role").map(cut), silent: text.contains("auto") }
        }
        "device pairing removed" => Said::Changed { device, how: "removed" },
        "device pairing rejected" => Said::Changed { device, how: "rejected" },
        "device token rotated" => Said::Changed { device, how: "rotated" },
        "device token revoked" => Said::Changed { device, how: "revoked" },
        _ => return None,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// Names of a list; `<none>` has none.
fn names(line: &Line, key: &str) -> Option<Vec<String>> {
    let (_, value) = line.fields.iter().find(|(name, _)| name == key)?;
    if matches!(value.as_str(), "<none>" | "") {
        return Some(Vec::new());
    }
    let split = value.split(',').map(|name| cut(name.trim())).filter(|name| !name.is_empty());
    Some(split.take(NAMES_MAX).collect())
}

fn common(line: &Line) -> Facts {
    let text = |key: &str| line.first(key).map(cut);
    // `client=cli cli v1.0.0` is a name, a mode and a version; a name may have spaces.
    let (client, mode) = match line.first("client") {
        Some(client) => {
            let words: Vec<&str> = client.split_whitespace().collect();
            match words.as_slice() {
                [name @ .., mode, version] if version.starts_with('v') && !name.is_empty() => {
                    (Some(cut(&name.join(" "))), Some((*mode).to_owned()))
                }
                [name, mode] => (Some((*name).to_owned()), Some((*mode).to_owned())),
                _ => (Some(cut(client)), None),
            }
        }
        None => (None, None),
    };
    Facts {
        conn: text("conn"),
        device: text("device").or_else(|| text("deviceId")).filter(|device| is_device(device)),
        request: text("requestId").filter(|request| is_uuid(request)),
        remote: text("remote").map(|remote| without_port(&remote)),
        forwarded: text("fwd").or_else(|| text("forwardedFor")),
        origin: text("origin"),
        host: text("host"),
        agent: text("ua"),
        client: text("clientId").or(client),
        mode: text("mode").or(mode),
        role: text("role"),
        platform: text("platform"),
        auth: text("authProvided").or_else(|| text("auth")),
        code: line.first("code").and_then(|code| code.parse().ok()),
        ..Facts::default()
    }
}

fn closed(line: &Line) -> Facts {
    let mut facts = common(line);
    facts.device = line.last("deviceId").map(cut).filter(|device| is_device(device));
    facts.request = line.last("requestId").map(cut).filter(|request| is_uuid(request));
    facts.why = Why::of_close(line);
    facts.took = line.last("durationMs").and_then(|took| took.parse().ok());
    facts
}

/// `security audit: device … upgrade requested`: what is asked beside what the store holds.
fn audit(line: &Line) -> Facts {
    let text = |key: &str| line.first(key).map(cut);
    Facts {
        conn: text("conn"),
        device: text("device").filter(|device| is_device(device)),
        client: text("client"),
        role: text("roleTo"),
        scopes: names(line, "scopesTo"),
        stored_roles: names(line, "roleFrom"),
        stored_scopes: names(line, "scopesFrom"),
        platform: text("claimedPlatform"),
        stored_platform: text("pinnedPlatform"),
        family: text("claimedDeviceFamily"),
        stored_family: text("pinnedDeviceFamily"),
        auth: text("auth"),
        why: line.first("reason").and_then(Why::of_word),
        ..Facts::default()
    }
}

fn is_device(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn without_port(address: &str) -> String {
    address
        .parse::<std::net::SocketAddr>()
        .map_or_else(|_| address.to_owned(), |address| address.ip().to_string())
}
