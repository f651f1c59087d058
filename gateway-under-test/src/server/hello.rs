//! `hello-ok` (reference, section 2.2), with what this gateway really serves.

use protocol::connect::CHALLENGE_EVENT;
use protocol::frame::StateVersion;
use protocol::hello::{Features, HelloAuth, HelloOk, ServerInfo, SessionPolicy, TYPE};
use protocol::pairing::event;
use protocol::scope::{ADMIN, ROLE_NODE};
use serde_json::{Map, Value, json};

use super::http::BUILD_ID;
use super::sessions::HOST;
use super::{Gateway, rpc};
use crate::clock::{OsFresh, wall_ms};
use crate::defect::Defect;
use crate::policy::locality::host_name;
use crate::policy::{Fresh as _, authority};
use crate::profile::{Announces, HelloShape};

/// Events that a session of any gateway may get, as hello lists them.
const EVENTS: [&str; 5] = [CHALLENGE_EVENT, event::TICK, event::SHUTDOWN, event::REQUESTED, event::RESOLVED];
/// What the releases tell when somebody connects.
const ANNOUNCED: [&str; 2] = [event::HEALTH, "voicewake.changed"];
/// What 2026.9.6 tells besides.
const ANNOUNCED_TO_READERS: [&str; 4] =
    ["presence", "node.pair.requested", "device.pair.changed", "voicewake.routing.changed"];

/// Who is greeted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest<'a> {
    pub(super) conn_id: &'a str,
    pub(super) role: &'a str,
    pub(super) scopes: &'a [String],
    /// `Host` of its upgrade.
    pub(super) host: Option<&'a str>,
    /// `X-Forwarded-Proto` of its upgrade.
    pub(super) forwarded_proto: Option<&'a str>,
}

impl Guest<'_> {
    fn is_node(self) -> bool {
        self.role == ROLE_NODE
    }

    fn holds(self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// Where the canvas would be served: by the gateway's port under the name that it was called by.
    fn canvas(self, gateway: &Gateway, scoped: bool) -> String {
        let scheme = if self.forwarded_proto == Some("https") { "https" } else { "http" };
        let name = host_name(self.host.unwrap_or("127.0.0.1"));
        let name = if name.contains(':') { format!("[{name}]") } else { name };
        let base = format!("{scheme}://{name}:{}", gateway.port);
        if scoped {
            // A capability opens nothing here.
            let capability: String = OsFresh.token().chars().take(24).collect();
            format!("{base}/__openclaw__/cap/{capability}")
        } else {
            base
        }
    }
}

/// The payload for a new session.
pub(super) fn hello(gateway: &Gateway, guest: Guest<'_>, auth: Option<HelloAuth>) -> HelloOk {
    let profile = gateway.rules.profile;
    let shape = profile.hello;
    let auth = auth.map(|auth| wider(auth, gateway.rules.defect));
    HelloOk {
        kind: TYPE.to_owned(),
        protocol: profile.protocol,
        server: ServerInfo {
            version: profile.version.to_owned(),
            conn_id: guest.conn_id.to_owned(),
            more: match shape {
                HelloShape::Bare | HelloShape::Canvas => Map::new(),
                HelloShape::HostAndCanvas => object(json!({"host": HOST})),
                HelloShape::V4 => object(json!({
                    "buildId": BUILD_ID, "bootId": gateway.boot_id, "controlUiBuildSource": "bundled",
                })),
            },
        },
        features: Features {
            methods: authority::methods(profile).map(str::to_owned).collect(),
            events: events(profile.announces).map(str::to_owned).collect(),
            more: match shape {
                HelloShape::V4 => object(json!({"capabilities": profile.challenge_capabilities})),
                _ => Map::new(),
            },
        },
        snapshot: snapshot(gateway, guest),
        canvas_host_url: matches!(shape, HelloShape::HostAndCanvas | HelloShape::Canvas)
            .then(|| guest.canvas(gateway, guest.is_node())),
        auth,
        policy: SessionPolicy {
            max_payload: profile.max_payload as u64,
            max_buffered_bytes: profile.max_buffered_bytes as u64,
            tick_interval_ms: u64::try_from(gateway.durations.tick.as_millis()).unwrap_or(u64::MAX),
            more: match shape {
                HelloShape::V4 => object(json!({
                    "attachments": {"maxBytes": 19_464_192, "maxImageBytes": 6_291_456},
                    "allowedSessionVisibilities": ["shared", "read-only", "suggest", "draft"],
                    "hasMultipleSessionSharingIdentities": false,
                })),
                _ => Map::new(),
            },
        },
        more: if shape == HelloShape::V4 { surfaces(gateway, guest) } else { Map::new() },
    }
}

/// What plugins of 2026.9.6 show: to operators, and to those that may read also what the control UI makes of it.
fn surfaces(gateway: &Gateway, guest: Guest<'_>) -> Map<String, Value> {
    let mut more = Map::new();
    if guest.is_node() {
        return more;
    }
    more.insert("pluginSurfaceUrls".to_owned(), json!({"canvas": guest.canvas(gateway, true)}));
    if authority::hears_presence(gateway.rules.profile, guest.role, guest.scopes) {
        more.insert("controlUiWidgetKinds".to_owned(), json!([]));
        more.insert("controlUiLinkReaders".to_owned(), json!([]));
    }
    more
}

/// What a defect makes of `hello.auth`.
fn wider(mut auth: HelloAuth, defect: Option<Defect>) -> HelloAuth {
    if defect == Some(Defect::HelloScopesWider) {
        auth.scopes.insert(0, ADMIN.to_owned());
    }
    auth
}

fn events(announces: Announces) -> impl Iterator<Item = &'static str> {
    let announced: &[&str] = if announces == Announces::Nothing { &[] } else { &ANNOUNCED };
    let more: &[&str] = if announces == Announces::PresenceAndNodes { &ANNOUNCED_TO_READERS } else { &[] };
    EVENTS.iter().chain(announced).chain(more).copied()
}

fn snapshot(gateway: &Gateway, guest: Guest<'_>) -> Value {
    let shape = gateway.rules.profile.hello;
    let health = match shape {
        HelloShape::Bare => json!({}),
        _ => rpc::health(gateway),
    };
    let session_defaults = match shape {
        HelloShape::Bare => json!({}),
        _ => json!({
            "defaultAgentId": "main", "mainKey": "main", "mainSessionKey": "agent:main:main",
            "scope": "per-sender",
        }),
    };
    let mut snapshot = json!({
        "presence": gateway.sessions.presence(wall_ms()),
        "health": health,
        "stateVersion": match shape {
            HelloShape::Bare => StateVersion { presence: 0, health: 0 },
            _ => gateway.sessions.state_version(),
        },
        "uptimeMs": gateway.uptime_ms(),
        "sessionDefaults": session_defaults,
    });
    let Some(fields) = snapshot.as_object_mut() else { return snapshot };
    // 2026.9.6 tells nobody but an admin how it is set up.
    if shape != HelloShape::V4 || (!guest.is_node() && guest.holds(ADMIN)) {
        fields.insert("configPath".to_owned(), json!(gateway.config_path));
        fields.insert("stateDir".to_owned(), json!(gateway.state_dir));
        fields.insert("authMode".to_owned(), json!(gateway.rules.auth.mode()));
    }
    if shape == HelloShape::V4 {
        fields.insert("suspension".to_owned(), json!({"phase": "accepting"}));
        fields.insert("appliedConfigHash".to_owned(), json!(gateway.config_hash));
    }
    snapshot
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
