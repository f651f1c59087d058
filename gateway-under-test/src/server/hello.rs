//! `hello-ok` (reference, section 2.2), with what this gateway really serves.

use protocol::hello::{Features, HelloAuth, HelloOk, ServerInfo, SessionPolicy, TYPE};
use protocol::pairing::event;
use serde_json::{Map, json};

use super::Gateway;
use crate::policy::authority;

/// Events a session may get, as hello lists them.
const EVENTS: [&str; 5] =
    [protocol::connect::CHALLENGE_EVENT, event::TICK, event::SHUTDOWN, event::REQUESTED, event::RESOLVED];

/// The payload for a new session.
pub(super) fn hello(gateway: &Gateway, conn_id: &str, auth: Option<HelloAuth>) -> HelloOk {
    let profile = gateway.rules.profile;
    HelloOk {
        kind: TYPE.to_owned(),
        protocol: profile.protocol,
        server: ServerInfo {
            version: profile.version.to_owned(),
            conn_id: conn_id.to_owned(),
            more: Map::new(),
        },
        features: Features {
            methods: authority::METHODS.map(str::to_owned).to_vec(),
            events: EVENTS.map(str::to_owned).to_vec(),
            more: Map::new(),
        },
        snapshot: json!({
            "presence": [],
            "health": {},
            "stateVersion": {"presence": 0, "health": 0},
            "uptimeMs": gateway.uptime_ms(),
            "configPath": gateway.config_path,
            "stateDir": gateway.state_dir,
            "sessionDefaults": {},
            "authMode": gateway.rules.auth.mode(),
        }),
        canvas_host_url: None,
        auth,
        policy: SessionPolicy {
            max_payload: profile.max_payload as u64,
            max_buffered_bytes: profile.max_buffered_bytes as u64,
            tick_interval_ms: u64::try_from(gateway.durations.tick.as_millis()).unwrap_or(u64::MAX),
            more: Map::new(),
        },
        more: Map::new(),
    }
}
