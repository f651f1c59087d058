//! `hello-ok` (reference, section 2.2), with what this gateway really serves.

use protocol::connect::CHALLENGE_EVENT;
use protocol::frame::StateVersion;
use protocol::hello::{Features, HelloAuth, HelloOk, ServerInfo, SessionPolicy, TYPE};
use protocol::pairing::event;
use serde_json::{Map, Value, json};

use super::http::BUILD_ID;
use super::sessions::HOST;
use super::{Gateway, rpc};
use crate::clock::wall_ms;
use crate::policy::authority;
use crate::profile::{Announces, HelloShape};

/// Events that a session of any gateway may get, as hello lists them.
const EVENTS: [&str; 5] = [CHALLENGE_EVENT, event::TICK, event::SHUTDOWN, event::REQUESTED, event::RESOLVED];
/// What the releases tell when somebody connects.
const ANNOUNCED: [&str; 2] = [event::HEALTH, "voicewake.changed"];
/// What 2026.9.6 tells besides.
const ANNOUNCED_TO_READERS: [&str; 4] =
    ["presence", "node.pair.requested", "device.pair.changed", "voicewake.routing.changed"];

/// The payload for a new session; `host` is the `Host` header of its upgrade.
pub(super) fn hello(
    gateway: &Gateway,
    conn_id: &str,
    host: Option<&str>,
    auth: Option<HelloAuth>,
) -> HelloOk {
    let profile = gateway.rules.profile;
    let shape = profile.hello;
    let canvas = || format!("http://{}", host.unwrap_or("127.0.0.1"));
    HelloOk {
        kind: TYPE.to_owned(),
        protocol: profile.protocol,
        server: ServerInfo {
            version: profile.version.to_owned(),
            conn_id: conn_id.to_owned(),
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
        snapshot: snapshot(gateway),
        canvas_host_url: matches!(shape, HelloShape::HostAndCanvas | HelloShape::Canvas).then(canvas),
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
        more: match shape {
            HelloShape::V4 => object(json!({
                "controlUiWidgetKinds": [], "controlUiLinkReaders": [],
                "pluginSurfaceUrls": {"canvas": canvas()},
            })),
            _ => Map::new(),
        },
    }
}

fn events(announces: Announces) -> impl Iterator<Item = &'static str> {
    let announced: &[&str] = if announces == Announces::Nothing { &[] } else { &ANNOUNCED };
    let more: &[&str] = if announces == Announces::PresenceAndNodes { &ANNOUNCED_TO_READERS } else { &[] };
    EVENTS.iter().chain(announced).chain(more).copied()
}

fn snapshot(gateway: &Gateway) -> Value {
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
        "configPath": gateway.config_path,
        "stateDir": gateway.state_dir,
        "sessionDefaults": session_defaults,
        "authMode": gateway.rules.auth.mode(),
    });
    if shape == HelloShape::V4
        && let Some(snapshot) = snapshot.as_object_mut()
    {
        snapshot.insert("suspension".to_owned(), json!({"phase": "accepting"}));
        snapshot.insert("appliedConfigHash".to_owned(), json!(gateway.config_hash));
    }
    snapshot
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
