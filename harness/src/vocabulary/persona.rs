//! What the official clients send, as data: a table of personas as they were in 2026.2, and a table of what each release
//! changed.
//!
//! Sources: recorded `connect` frames of the CLI and the node host of 2026.2.19, 2026.3.13 and 2026.9.6 (reference, section
//! 2.1), the clients' source code (`GatewayChannel.swift`, `ConnectionManager.kt`, `ui/src/ui/gateway.ts`), and the control
//! UI that comes with each release. Up to 2026.2 operators ask for admin, approvals and pairing; the CLI of 2026.3 adds read
//! and write; that of 2026.9 asks for what its command needs and, with a shared secret, shows no device at all.

use protocol::ProfileName;
use protocol::connect::{ClientId, ClientMode, PROTOCOL_V3, PROTOCOL_V4};
use protocol::scope;

use super::{Persona, SignatureVersion};

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
    /// `minProtocol` and `maxProtocol`: the one protocol that its release speaks.
    pub protocol: u32,
    /// `client.buildId`; `None` leaves the key out.
    pub build_id: Option<&'static str>,
    /// Payload version that it signs, unless the cohort has another.
    pub signature: SignatureVersion,
    /// Where it puts a device token.
    pub device_token_in: DeviceTokenField,
    /// Shows its device even when it has the shared secret.
    pub shows_device: bool,
    /// What the user of this client reads on "pairing required" (founding article, S2).
    pub pairing_required_text: &'static str,
}

/// Key of `auth` that carries a device token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceTokenField {
    /// `auth.token`: up to 2026.2.21 there is no other.
    Token,
    /// `auth.deviceToken`
    DeviceToken,
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
    protocol: PROTOCOL_V3,
    build_id: None,
    signature: SignatureVersion::V3,
    device_token_in: DeviceTokenField::DeviceToken,
    shows_device: true,
    pairing_required_text: CLI_TEXT,
};

const CLI: PersonaProfile = PLAIN;

const MACOS_APP: PersonaProfile = PersonaProfile {
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

const IOS: PersonaProfile = PersonaProfile {
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

const ANDROID: PersonaProfile = PersonaProfile {
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

const NODE_HOST: PersonaProfile = PersonaProfile {
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

const CONTROL_UI: PersonaProfile = PersonaProfile {
    persona: Persona::ControlUi,
    name: "control-ui",
    client_id: ClientId::ControlUi,
    ..IN_BROWSER
};

const WEBCHAT: PersonaProfile =
    PersonaProfile { persona: Persona::Webchat, name: "webchat", client_id: ClientId::Webchat, ..IN_BROWSER };

const BACKEND: PersonaProfile = PersonaProfile {
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

/// The personas as they were in 2026.2, in the order of [`NAMES`].
const IN_2026_2: [PersonaProfile; NAMES.len()] =
    [CLI, MACOS_APP, IOS, ANDROID, NODE_HOST, CONTROL_UI, WEBCHAT, BACKEND];

/// What the clients of one release have in common that others have not.
struct Release {
    profile: ProfileName,
    version: &'static str,
    protocol: u32,
    signature: SignatureVersion,
    device_token_in: DeviceTokenField,
    /// Scopes of the command line; `None` = as in 2026.2.
    cli_scopes: Option<&'static [&'static str]>,
    /// Scopes of the control UI and the web chat; `None` = as in 2026.2.
    browser_scopes: Option<&'static [&'static str]>,
    /// Clients on Linux say their family.
    linux_family: Option<&'static str>,
    /// `client.buildId` of the control UI: `dev` is taken by a gateway of any build.
    browser_build_id: Option<&'static str>,
    /// Commands that a node host offers; `None` = as in 2026.2.
    node_commands: Option<&'static [&'static str]>,
    /// The command line shows its device although it has the shared secret.
    cli_shows_device: bool,
}

const V2026_2_22: Release = Release {
    profile: ProfileName::V2026_2_22,
    version: "2026.2.22",
    protocol: PROTOCOL_V3,
    signature: SignatureVersion::V2,
    device_token_in: DeviceTokenField::DeviceToken,
    cli_scopes: None,
    browser_scopes: None,
    linux_family: None,
    browser_build_id: None,
    node_commands: None,
    cli_shows_device: true,
};

/// By [`ProfileName::ALL`].
const RELEASES: [Release; ProfileName::ALL.len()] = [
    // The article's clients are those of 2026.2.22 that sign the newer payload.
    Release { profile: ProfileName::Article, signature: SignatureVersion::V3, ..V2026_2_22 },
    Release {
        profile: ProfileName::V2026_2_19,
        version: "2026.2.19",
        device_token_in: DeviceTokenField::Token,
        ..V2026_2_22
    },
    Release {
        profile: ProfileName::V2026_2_21,
        version: "2026.2.21",
        device_token_in: DeviceTokenField::Token,
        ..V2026_2_22
    },
    V2026_2_22,
    Release {
        profile: ProfileName::V2026_3_13,
        version: "2026.3.13",
        signature: SignatureVersion::V3,
        cli_scopes: Some(&[scope::ADMIN, scope::READ, scope::WRITE, scope::APPROVALS, scope::PAIRING]),
        node_commands: Some(&[
            "system.run.prepare",
            "system.run",
            "system.which",
            "system.execApprovals.get",
            "system.execApprovals.set",
            "browser.proxy",
        ]),
        ..V2026_2_22
    },
    Release {
        profile: ProfileName::V2026_9_6,
        version: "2026.9.6",
        protocol: PROTOCOL_V4,
        signature: SignatureVersion::V3,
        cli_scopes: Some(&[scope::READ]),
        browser_scopes: Some(&[
            scope::ADMIN,
            scope::READ,
            scope::WRITE,
            scope::APPROVALS,
            "operator.questions",
            scope::PAIRING,
        ]),
        linux_family: Some("Linux"),
        browser_build_id: Some("dev"),
        node_commands: Some(&[
            "browser.proxy",
            "file.fetch",
            "fs.listDir",
            "system.execApprovals.get",
            "system.execApprovals.set",
            "system.run",
            "system.run.prepare",
            "system.which",
        ]),
        cli_shows_device: false,
        ..V2026_2_22
    },
];

/// A persona of 2026.2 as it is in `release`.
const fn in_release(persona: PersonaProfile, release: &Release) -> PersonaProfile {
    let mut persona = persona;
    persona.protocol = release.protocol;
    persona.signature = release.signature;
    persona.device_token_in = release.device_token_in;
    if persona.browser {
        persona.build_id = release.browser_build_id;
        if let Some(scopes) = release.browser_scopes {
            persona.scopes = scopes;
        }
        return persona;
    }
    persona.version = release.version;
    match persona.persona {
        Persona::Cli => {
            if let Some(scopes) = release.cli_scopes {
                persona.scopes = scopes;
            }
            persona.device_family = release.linux_family;
            persona.shows_device = release.cli_shows_device;
        }
        Persona::NodeHost => {
            if release.node_commands.is_some() {
                persona.commands = release.node_commands;
            }
            persona.device_family = release.linux_family;
        }
        _ => {}
    }
    persona
}

/// Every persona in every release, by [`ProfileName::ALL`] and [`NAMES`].
static TABLE: [[PersonaProfile; NAMES.len()]; RELEASES.len()] = table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks every index")]
const fn table() -> [[PersonaProfile; NAMES.len()]; RELEASES.len()] {
    let mut table = [[PLAIN; NAMES.len()]; RELEASES.len()];
    let mut release = 0;
    while release < RELEASES.len() {
        let mut persona = 0;
        while persona < NAMES.len() {
            table[release][persona] = in_release(IN_2026_2[persona], &RELEASES[release]);
            persona += 1;
        }
        release += 1;
    }
    table
}

/// What a persona of the release that `profile` is called after sends.
#[must_use]
pub fn profile(persona: Persona, profile: ProfileName) -> &'static PersonaProfile {
    let rows = RELEASES.iter().zip(&TABLE);
    rows.filter(|(release, _)| release.profile == profile)
        .flat_map(|(_, row)| row)
        .find(|row| row.persona == persona)
        // Every profile and every persona has a row, which the tests hold; a name for either is still a client.
        .unwrap_or(&FALLBACK)
}

static FALLBACK: PersonaProfile = PLAIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_its_names() {
        for release in ProfileName::ALL {
            assert_eq!(RELEASES.iter().filter(|row| row.profile == release).count(), 1, "{release}");
            for (name, persona) in NAMES {
                let row = profile(persona, release);
                assert_eq!((row.name, row.persona), (name, persona));
                assert!(!std::ptr::eq(row, &raw const FALLBACK), "{name} of {release} has a row");
            }
        }
    }

    #[test]
    fn releases_of_2026_2_know_every_persona() {
        for (_, persona) in NAMES {
            let row = profile(persona, ProfileName::V2026_2_19);
            assert!(row.client_id.known_before_v4() && row.mode.known_before_v4());
            assert!(row.build_id.is_none(), "no release before 2026.9 knows the key");
        }
    }

    #[test]
    fn nodes_ask_for_no_scopes_and_say_what_they_can_do() {
        for (_, persona) in NAMES {
            let profile = profile(persona, ProfileName::V2026_9_6);
            let node = profile.role == scope::ROLE_NODE;
            assert_eq!(node, profile.scopes.is_empty(), "{}", profile.name);
            assert_eq!(node, profile.commands.is_some(), "{}", profile.name);
            assert_eq!(node, profile.mode == ClientMode::Node, "{}", profile.name);
        }
    }

    #[test]
    fn each_of_the_articles_four_texts_is_seen_by_somebody() {
        for text in [CLI_TEXT, CLOSED_TEXT, DISCONNECTED_TEXT, REQUEST_ERROR_TEXT] {
            assert!(NAMES.iter().any(|(_, persona)| profile(*persona, ProfileName::Article).pairing_required_text == text));
        }
    }

    #[test]
    fn each_release_is_spoken_to_in_its_own_way() {
        let cli = |release| profile(Persona::Cli, release);
        let said = ProfileName::ALL.map(|release| {
            let cli = cli(release);
            (cli.protocol, cli.signature, cli.device_token_in, cli.scopes.len(), cli.shows_device)
        });
        use DeviceTokenField::{DeviceToken, Token};
        use SignatureVersion::{V2, V3};
        assert_eq!(
            said,
            [
                (3, V3, DeviceToken, 3, true),
                (3, V2, Token, 3, true),
                (3, V2, Token, 3, true),
                (3, V2, DeviceToken, 3, true),
                (3, V3, DeviceToken, 5, true),
                (4, V3, DeviceToken, 1, false),
            ]
        );
        let node = profile(Persona::NodeHost, ProfileName::V2026_9_6);
        assert_eq!((node.protocol, node.device_family, node.shows_device), (4, Some("Linux"), true));
        assert_eq!(profile(Persona::ControlUi, ProfileName::V2026_9_6).build_id, Some("dev"));
    }
}
