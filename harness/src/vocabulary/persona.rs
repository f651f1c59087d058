//! What the official clients send, as data.
//!
//! Sources: recorded `connect` frames of the CLI and the node host of 2026.2.19 and 2026.3.13 (reference, section 2.1),
//! and the clients' source code (`GatewayChannel.swift`, `ConnectionManager.kt`, `ui/src/ui/gateway.ts`). Up to 2026.2
//! operators ask for admin, approvals and pairing; from 2026.3 on they add read and write.

use protocol::connect::{ClientId, ClientMode};
use protocol::scope;

use super::Persona;

/// What one official client sends, and what its user reads when pairing is required.
#[derive(Debug, Clone, Copy)]
pub struct PersonaProfile {
    /// Which client.
    pub persona: Persona,
    /// Name in scenarios and reports.
    pub name: &'static str,
    /// `client.id`
    pub client_id: ClientId,
    /// `client.mode`
    pub mode: ClientMode,
    /// `role`, unless the cohort has another.
    pub role: &'static str,
    /// `scopes` in the order sent, unless the cohort has others.
    pub scopes: &'static [&'static str],
    /// `client.platform`, unless the cohort has another.
    pub platform: &'static str,
    /// `client.deviceFamily`, unless the cohort has another.
    pub device_family: Option<&'static str>,
    /// `client.version`
    pub version: &'static str,
    /// `client.displayName`
    pub display_name: Option<&'static str>,
    /// `client.modelIdentifier`
    pub model_identifier: Option<&'static str>,
    /// `caps`
    pub caps: &'static [&'static str],
    /// `commands`; `None` leaves the key out.
    pub commands: Option<&'static [&'static str]>,
    /// `permissions`; `None` leaves the key out.
    pub permissions: Option<&'static [(&'static str, bool)]>,
    /// `pathEnv`
    pub path_env: Option<&'static str>,
    /// `locale`
    pub locale: Option<&'static str>,
    /// `userAgent` of the connect parameters.
    pub user_agent: Option<&'static str>,
    /// Headers of the upgrade request beside those of every WebSocket client; `Origin` is not among them.
    pub headers: &'static [(&'static str, &'static str)],
    /// Runs in a browser: sends `Origin`, and the gateway checks it.
    pub browser: bool,
    /// Sends its frames as binary messages, as the apps built on URLSession do.
    pub binary: bool,
    /// What the user of this client reads on "pairing required" (founding article, S2).
    pub pairing_required_text: &'static str,
}

const OPERATOR_SCOPES: &[&str] = &[scope::ADMIN, scope::APPROVALS, scope::PAIRING];
const VERSION: &str = "2026.2.22";
const BROWSER: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/145.0.0.0 Safari/537.36";
const BROWSER_HEADERS: &[(&str, &str)] = &[
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("User-Agent", BROWSER),
    ("Accept-Language", "en-US,en;q=0.9"),
];
/// The four texts that people see.
const CLI_TEXT: &str = "gateway connect failed: Error: pairing required";
const CLOSED_TEXT: &str = "gateway closed (1008): pairing required";
const DISCONNECTED_TEXT: &str = "disconnected (1008): pairing required";
const REQUEST_ERROR_TEXT: &str = "GatewayClientRequestError: pairing required";

/// What most personas have in common; each row names what differs.
const PLAIN: PersonaProfile = PersonaProfile {
    persona: Persona::Cli,
    name: "cli",
    client_id: ClientId::Cli,
    mode: ClientMode::Cli,
    role: scope::ROLE_OPERATOR,
    scopes: OPERATOR_SCOPES,
    platform: "linux",
    device_family: None,
    version: VERSION,
    display_name: None,
    model_identifier: None,
    caps: &[],
    commands: None,
    permissions: None,
    path_env: None,
    locale: None,
    user_agent: None,
    headers: &[],
    browser: false,
    binary: false,
    pairing_required_text: CLI_TEXT,
};

static CLI: PersonaProfile = PLAIN;

static MACOS_APP: PersonaProfile = PersonaProfile {
    persona: Persona::MacOsApp,
    name: "macos-app",
    client_id: ClientId::MacOs,
    mode: ClientMode::Ui,
    platform: "macOS 15.3.0",
    device_family: Some("Mac"),
    display_name: Some("Mac Studio"),
    model_identifier: Some("Mac14,13"),
    locale: Some("en-US"),
    user_agent: Some("Version 15.3 (Build 24D60)"),
    binary: true,
    pairing_required_text: CLOSED_TEXT,
    ..PLAIN
};

static IOS: PersonaProfile = PersonaProfile {
    persona: Persona::Ios,
    name: "ios",
    client_id: ClientId::Ios,
    mode: ClientMode::Node,
    role: scope::ROLE_NODE,
    scopes: &[],
    platform: "iOS 18.3.0",
    device_family: Some("iPhone"),
    display_name: Some("iPhone"),
    model_identifier: Some("iPhone17,1"),
    caps: &["canvas", "screen", "camera", "voiceWake"],
    commands: Some(&[
        "canvas.present",
        "canvas.hide",
        "canvas.navigate",
        "canvas.eval",
        "canvas.snapshot",
        "screen.record",
        "camera.list",
        "camera.snap",
        "camera.clip",
    ]),
    permissions: Some(&[("camera", true), ("microphone", true)]),
    locale: Some("en-US"),
    user_agent: Some("Version 18.3 (Build 22D63)"),
    binary: true,
    pairing_required_text: CLOSED_TEXT,
    ..PLAIN
};

static ANDROID: PersonaProfile = PersonaProfile {
    persona: Persona::Android,
    name: "android",
    client_id: ClientId::Android,
    mode: ClientMode::Node,
    role: scope::ROLE_NODE,
    scopes: &[],
    platform: "android",
    device_family: Some("Android"),
    display_name: Some("Pixel 9"),
    model_identifier: Some("Google Pixel 9"),
    caps: &["canvas", "screen", "camera"],
    commands: Some(&[
        "canvas.present",
        "canvas.hide",
        "canvas.navigate",
        "canvas.eval",
        "canvas.snapshot",
        "camera.snap",
        "camera.clip",
    ]),
    locale: Some("en-US"),
    user_agent: Some("OpenClawAndroid/2026.2.22 (Android 15; SDK 35)"),
    pairing_required_text: CLOSED_TEXT,
    ..PLAIN
};

static NODE_HOST: PersonaProfile = PersonaProfile {
    persona: Persona::NodeHost,
    name: "node-host",
    client_id: ClientId::NodeHost,
    mode: ClientMode::Node,
    role: scope::ROLE_NODE,
    scopes: &[],
    display_name: Some("build-box"),
    caps: &["system", "browser"],
    commands: Some(&[
        "system.run",
        "system.which",
        "system.execApprovals.get",
        "system.execApprovals.set",
        "browser.proxy",
    ]),
    path_env: Some("/usr/local/bin:/usr/bin:/bin"),
    pairing_required_text: CLOSED_TEXT,
    ..PLAIN
};

/// The control UI and the web chat are the same browser code.
const IN_BROWSER: PersonaProfile = PersonaProfile {
    mode: ClientMode::Webchat,
    platform: "MacIntel",
    version: "dev",
    locale: Some("en-US"),
    user_agent: Some(BROWSER),
    headers: BROWSER_HEADERS,
    browser: true,
    pairing_required_text: DISCONNECTED_TEXT,
    ..PLAIN
};

static CONTROL_UI: PersonaProfile = PersonaProfile {
    persona: Persona::ControlUi,
    name: "control-ui",
    client_id: ClientId::ControlUi,
    ..IN_BROWSER
};

static WEBCHAT: PersonaProfile =
    PersonaProfile { persona: Persona::Webchat, name: "webchat", client_id: ClientId::Webchat, ..IN_BROWSER };

static BACKEND: PersonaProfile = PersonaProfile {
    persona: Persona::Backend,
    name: "backend",
    client_id: ClientId::GatewayClient,
    mode: ClientMode::Backend,
    pairing_required_text: REQUEST_ERROR_TEXT,
    ..PLAIN
};

/// Every persona by its name in scenarios.
pub const NAMES: [(&str, Persona); 8] = [
    ("cli", Persona::Cli),
    ("macos-app", Persona::MacOsApp),
    ("ios", Persona::Ios),
    ("android", Persona::Android),
    ("node-host", Persona::NodeHost),
    ("control-ui", Persona::ControlUi),
    ("webchat", Persona::Webchat),
    ("backend", Persona::Backend),
];

/// What a persona sends.
#[must_use]
pub fn profile(persona: Persona) -> &'static PersonaProfile {
    match persona {
        Persona::Cli => &CLI,
        Persona::MacOsApp => &MACOS_APP,
        Persona::Ios => &IOS,
        Persona::Android => &ANDROID,
        Persona::NodeHost => &NODE_HOST,
        Persona::ControlUi => &CONTROL_UI,
        Persona::Webchat => &WEBCHAT,
        Persona::Backend => &BACKEND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_its_names() {
        for (name, persona) in NAMES {
            assert_eq!(profile(persona).name, name);
            assert_eq!(profile(persona).persona, persona);
        }
    }

    #[test]
    fn releases_of_2026_2_know_every_persona() {
        for (_, persona) in NAMES {
            assert!(profile(persona).client_id.known_before_v4());
            assert!(profile(persona).mode.known_before_v4());
        }
    }

    #[test]
    fn nodes_ask_for_no_scopes_and_say_what_they_can_do() {
        for (_, persona) in NAMES {
            let profile = profile(persona);
            let node = profile.role == scope::ROLE_NODE;
            assert_eq!(node, profile.scopes.is_empty(), "{}", profile.name);
            assert_eq!(node, profile.commands.is_some(), "{}", profile.name);
            assert_eq!(node, profile.mode == ClientMode::Node, "{}", profile.name);
        }
    }

    #[test]
    fn each_of_the_articles_four_texts_is_seen_by_somebody() {
        for text in [CLI_TEXT, CLOSED_TEXT, DISCONNECTED_TEXT, REQUEST_ERROR_TEXT] {
            assert!(NAMES.iter().any(|(_, persona)| profile(*persona).pairing_required_text == text));
        }
    }
}
