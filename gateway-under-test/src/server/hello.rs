//! `hello-ok` (reference, section 2.2), with what this gateway really serves.

use std::path::Path;

use protocol::connect::CHALLENGE_EVENT;
use protocol::frame::StateVersion;
use protocol::hello::{Features, HelloAuth, SessionPolicy, TYPE};
use protocol::pairing::event;
use protocol::scope::{ADMIN, ROLE_NODE};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::http::BUILD_ID;
use super::sessions::{HOST, Presence};
use super::{Gateway, rpc};
use crate::clock::{OsFresh, wall_ms};
use crate::defect::Defect;
use crate::policy::locality::host_name;
use crate::policy::{Fresh as _, authority};
use crate::profile::{Announces, HelloShape, Profile};

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

/// What is the same in every hello of a gateway, written once.
#[derive(Debug)]
pub(super) struct Fixed {
    features: Box<RawValue>,
    policy: Box<RawValue>,
}

impl Fixed {
    /// For a gateway that ticks so often, milliseconds.
    ///
    /// # Errors
    /// Only when the serialiser fails.
    pub(super) fn new(profile: &Profile, tick_interval_ms: u64) -> serde_json::Result<Self> {
        let is_v4 = profile.hello == HelloShape::V4;
        let object = |value: Value| match value {
            Value::Object(map) if is_v4 => map,
            _ => Map::new(),
        };
        let features = Features {
            methods: authority::methods(profile).map(str::to_owned).collect(),
            events: events(profile.announces).map(str::to_owned).collect(),
            more: object(json!({"capabilities": profile.challenge_capabilities})),
        };
        let policy = SessionPolicy {
            max_payload: profile.max_payload as u64,
            max_buffered_bytes: profile.max_buffered_bytes as u64,
            tick_interval_ms,
            more: object(json!({
                "attachments": {"maxBytes": 19_464_192, "maxImageBytes": 6_291_456},
                "allowedSessionVisibilities": ["shared", "read-only", "suggest", "draft"],
                "hasMultipleSessionSharingIdentities": false,
            })),
        };
        Ok(Self { features: to_raw_value(&features)?, policy: to_raw_value(&policy)? })
    }
}

/// [`protocol::hello::HelloOk`], borrowed: building one of owned texts and trees costs more than judging a connect.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hello<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    protocol: u32,
    server: Server<'a>,
    features: &'a RawValue,
    snapshot: Snapshot<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canvas_host_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<HelloAuth>,
    policy: &'a RawValue,
    // What plugins of 2026.9.6 show: to operators, and to those that may read also what the control UI makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    control_ui_link_readers: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_ui_widget_kinds: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_surface_urls: Option<PluginSurfaces>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    version: &'a str,
    conn_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_ui_build_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct PluginSurfaces {
    canvas: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_config_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_path: Option<&'a Path>,
    health: Known<rpc::Health>,
    presence: Presence,
    session_defaults: Known<SessionDefaults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<&'a Path>,
    state_version: StateVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspension: Option<Suspension>,
    uptime_ms: u64,
}

/// What a release tells and `article` leaves empty.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Known<T> {
    Told(T),
    Empty {},
}

impl<T> Known<T> {
    fn told(shape: HelloShape, what: impl FnOnce() -> T) -> Self {
        if shape == HelloShape::Bare { Self::Empty {} } else { Self::Told(what()) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionDefaults {
    default_agent_id: &'static str,
    main_key: &'static str,
    main_session_key: &'static str,
    scope: &'static str,
}

#[derive(Debug, Serialize)]
struct Suspension {
    phase: &'static str,
}

/// The payload for a new session.
pub(super) fn hello<'a>(gateway: &'a Gateway, guest: Guest<'a>, auth: Option<HelloAuth>) -> Hello<'a> {
    let profile = gateway.rules.profile;
    let shape = profile.hello;
    let v4 = (shape == HelloShape::V4).then_some(());
    let shows_surfaces = v4.filter(|()| !guest.is_node());
    let shows_to_readers =
        shows_surfaces.filter(|()| authority::hears_presence(profile, guest.role, guest.scopes));
    Hello {
        kind: TYPE,
        protocol: profile.protocol,
        server: Server {
            version: profile.version,
            conn_id: guest.conn_id,
            boot_id: v4.map(|()| gateway.boot_id.as_str()),
            build_id: v4.map(|()| BUILD_ID),
            control_ui_build_source: v4.map(|()| "bundled"),
            host: (shape == HelloShape::HostAndCanvas).then_some(HOST),
        },
        features: &gateway.hello.features,
        snapshot: snapshot(gateway, guest),
        canvas_host_url: matches!(shape, HelloShape::HostAndCanvas | HelloShape::Canvas)
            .then(|| guest.canvas(gateway, guest.is_node())),
        auth: auth.map(|auth| wider(auth, gateway.rules.defect)),
        policy: &gateway.hello.policy,
        control_ui_link_readers: shows_to_readers.map(|()| []),
        control_ui_widget_kinds: shows_to_readers.map(|()| []),
        plugin_surface_urls: shows_surfaces.map(|()| PluginSurfaces { canvas: guest.canvas(gateway, true) }),
    }
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

fn snapshot<'a>(gateway: &'a Gateway, guest: Guest<'_>) -> Snapshot<'a> {
    let shape = gateway.rules.profile.hello;
    let v4 = (shape == HelloShape::V4).then_some(());
    // 2026.9.6 tells nobody but an admin how it is set up.
    let is_told = shape != HelloShape::V4 || (!guest.is_node() && guest.holds(ADMIN));
    let set_up = is_told.then_some(());
    Snapshot {
        applied_config_hash: v4.map(|()| gateway.config_hash.as_str()),
        auth_mode: set_up.map(|()| gateway.rules.auth.mode()),
        config_path: set_up.map(|()| gateway.config_path.as_path()),
        health: Known::told(shape, || rpc::health(gateway)),
        presence: gateway.sessions.presence(wall_ms()),
        session_defaults: Known::told(shape, || SessionDefaults {
            default_agent_id: "main",
            main_key: "main",
            main_session_key: "agent:main:main",
            scope: "per-sender",
        }),
        state_dir: set_up.map(|()| gateway.state_dir.as_path()),
        state_version: match shape {
            HelloShape::Bare => StateVersion { presence: 0, health: 0 },
            _ => gateway.sessions.state_version(),
        },
        suspension: v4.map(|()| Suspension { phase: "accepting" }),
        uptime_ms: gateway.uptime_ms(),
    }
}
