//! The facts of one connect that its answer depends on, whoever sends it: a plan's client, or a recorded one.

use protocol::{ClientId, ClientMode, PayloadVersion};

use super::credential::Sent;
use super::release::{MetadataRule, Release};
use crate::plan::{AuthMode, ConnectSpec, Deviation, NetworkPath, Origin, SignatureVersion};
use crate::vocabulary::persona;

/// What one client sends first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The message as such.
    pub message: Message,
    /// Its parameters break the schema of every release.
    pub malformed: bool,
    /// `minProtocol` and `maxProtocol`
    pub protocol: (u32, u32),
    /// `client.id`
    pub id: ClientId,
    /// `client.mode`
    pub mode: ClientMode,
    /// `role`, `operator` if absent.
    pub role: String,
    /// `scopes` in the order sent, empty if absent.
    pub scopes: Vec<String>,
    /// `client.platform`
    pub platform: String,
    /// `client.deviceFamily`, or what 2026.9.6 takes for that of a node host that claims none.
    pub device_family: Option<String>,
    /// Header `Origin`
    pub origin: SentOrigin,
    /// Header `Host`; `None` = the loopback address dialled, with its port.
    pub host: Option<String>,
    /// `device`; `None` = absent.
    pub proof: Option<Proof>,
    /// `auth`
    pub sent: Sent,
    /// A control UI of another build than the gateway's.
    pub foreign_build: bool,
}

/// The first message as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Never sent.
    Silent,
    /// Not JSON, or empty.
    NotJson,
    /// JSON, but no request frame.
    NotARequest,
    /// A request with another method.
    WrongMethod,
    /// `connect`, in so many bytes.
    Connect {
        /// Size of the whole message.
        bytes: usize,
    },
}

/// Header `Origin`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentOrigin {
    /// No header.
    Absent,
    /// `http://` and the `Host` header.
    SameHost,
    /// This text.
    Text(String),
}

/// What the device proof is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// `device.id` is the hash of the key.
    pub own_id: bool,
    /// `signedAt` minus the client's clock, in milliseconds.
    pub skew_ms: i64,
    /// The nonce.
    pub nonce: Nonce,
    /// Payload version of a signature over what was sent; `None` = over something else.
    pub signature: Option<PayloadVersion>,
}

/// The nonce of a device proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// The challenge's.
    Right,
    /// Another.
    Wrong,
    /// Spaces.
    Blank,
    /// No key.
    Absent,
}

/// Seen of 2026.9.6: a node host that was stored as `darwin` of the family `Mac`, and comes without a family, is let in.
fn family_by_platform(spec: &ConnectSpec, release: &Release) -> Option<String> {
    let is_node_host = persona::profile(spec.persona, release.name).client_id == ClientId::NodeHost;
    if release.metadata != MetadataRule::PinnedBySystem || !is_node_host {
        return None;
    }
    let family = match spec.platform.as_str() {
        "darwin" | "macos" => "Mac",
        "linux" => "Linux",
        "win32" | "windows" => "Windows",
        _ => return None,
    };
    Some(family.to_owned())
}

impl Facts {
    /// What a planned client sends to this release; `has_token`: it presents a device token.
    #[must_use]
    pub fn of(spec: &ConnectSpec, mode: AuthMode, release: &Release, has_token: bool) -> Self {
        // Only what is the same in every release is taken from here.
        let traits = persona::profile(spec.persona, release.name);
        let spoken = (traits.protocol, traits.protocol);
        Self {
            message: match spec.deviation {
                Deviation::Silent => Message::Silent,
                Deviation::NotJson => Message::NotJson,
                Deviation::NotARequest => Message::NotARequest,
                Deviation::WrongMethod => Message::WrongMethod,
                Deviation::Oversized(bytes) => Message::Connect { bytes },
                _ => Message::Connect { bytes: 0 },
            },
            malformed: malformed(spec),
            protocol: match spec.deviation {
                Deviation::Protocol { min, max } => (min, max),
                _ => spoken,
            },
            id: traits.client_id,
            mode: traits.mode,
            role: effective_role(spec).to_owned(),
            scopes: spec.scopes.clone().unwrap_or_default(),
            platform: spec.platform.clone(),
            device_family: spec.device_family.clone().or_else(|| family_by_platform(spec, release)),
            origin: match &spec.origin {
                None => SentOrigin::Absent,
                Some(Origin::SameHost) => SentOrigin::SameHost,
                Some(Origin::Fixed(text)) => SentOrigin::Text(text.clone()),
            },
            host: match &spec.path {
                NetworkPath::Direct => None,
                NetworkPath::Proxy { host, .. } => host.clone(),
            },
            proof: proof(spec),
            sent: Sent::of(spec.credential, mode, release, has_token),
            // The imitated control UI says that it is a development build.
            foreign_build: false,
        }
    }

    /// `scopes` without repeats, in the order sent.
    #[must_use]
    pub fn distinct_scopes(&self) -> Vec<String> {
        let mut distinct: Vec<String> = Vec::with_capacity(self.scopes.len());
        for scope in &self.scopes {
            if !distinct.contains(scope) {
                distinct.push(scope.clone());
            }
        }
        distinct
    }

    /// Whether `role` is `operator`.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.role == protocol::scope::ROLE_OPERATOR
    }

    /// The gateway's own UI in a browser.
    #[must_use]
    pub fn is_control_ui(&self) -> bool {
        self.id == ClientId::ControlUi
    }

    /// A web chat.
    #[must_use]
    pub fn is_webchat(&self) -> bool {
        self.mode == ClientMode::Webchat || self.id == ClientId::WebchatUi
    }

    /// Either.
    #[must_use]
    pub fn is_browser(&self) -> bool {
        self.is_control_ui() || self.is_webchat()
    }

    /// A helper of the gateway itself.
    #[must_use]
    pub fn is_backend(&self) -> bool {
        self.id == ClientId::GatewayClient && self.mode == ClientMode::Backend
    }

    /// The command line.
    #[must_use]
    pub fn is_cli(&self) -> bool {
        self.id == ClientId::Cli && self.mode == ClientMode::Cli
    }

    /// An app with a user interface of its own.
    #[must_use]
    pub fn is_native_app(&self) -> bool {
        self.mode == ClientMode::Ui
            && matches!(self.id, ClientId::MacOs | ClientId::Linux | ClientId::Ios | ClientId::Android)
    }

    /// It sends an `Origin` that says something.
    #[must_use]
    pub fn has_origin(&self) -> bool {
        match &self.origin {
            SentOrigin::Absent => false,
            SentOrigin::SameHost => true,
            SentOrigin::Text(text) => !text.trim().is_empty(),
        }
    }
}

/// `role` of a connect, `operator` if absent.
pub(super) fn effective_role(spec: &ConnectSpec) -> &str {
    spec.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR)
}

fn malformed(spec: &ConnectSpec) -> bool {
    let empty = |text: Option<&str>| text.is_some_and(str::is_empty);
    match spec.deviation {
        // A padded frame carries an unknown key.
        Deviation::UnknownKey | Deviation::Oversized(_) => true,
        Deviation::Protocol { min, max } if min < 1 || max < 1 => true,
        _ => {
            empty(spec.role.as_deref())
                || spec.platform.is_empty()
                || empty(spec.device_family.as_deref())
                || spec.scopes.iter().flatten().any(String::is_empty)
        }
    }
}

fn proof(spec: &ConnectSpec) -> Option<Proof> {
    if spec.deviation == Deviation::NoDevice {
        return None;
    }
    let version = match spec.signature {
        SignatureVersion::V2 => PayloadVersion::V2,
        SignatureVersion::V3 => PayloadVersion::V3,
    };
    Some(Proof {
        own_id: spec.deviation != Deviation::ForeignDeviceId,
        skew_ms: match spec.deviation {
            Deviation::ClockSkew(ms) => ms,
            _ => 0,
        },
        nonce: match spec.deviation {
            Deviation::WrongNonce => Nonce::Wrong,
            Deviation::BlankNonce => Nonce::Blank,
            _ => Nonce::Right,
        },
        signature: match spec.deviation {
            Deviation::BadSignature => None,
            Deviation::SignatureV1 => Some(PayloadVersion::V1),
            _ => Some(version),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::tests::fixture;
    use crate::plan::Persona;
    use protocol::ProfileName;

    /// Reference, sections 4.2, 8.1 and 8.4: kinds of clients that gateways tell apart, by id and mode together.
    #[test]
    fn id_and_mode_say_what_a_client_is() {
        let of = |id: ClientId, mode: ClientMode| Facts {
            id,
            mode,
            ..Facts::of(&fixture::spec(), AuthMode::Token, Release::of(ProfileName::V2026_9_6), false)
        };
        let kinds = |facts: &Facts| {
            [
                facts.is_cli(),
                facts.is_backend(),
                facts.is_native_app(),
                facts.is_webchat(),
                facts.is_browser(),
            ]
        };
        let rows = [
            (ClientId::Cli, ClientMode::Cli, [true, false, false, false, false]),
            (ClientId::Cli, ClientMode::Backend, [false; 5]),
            (ClientId::Cli, ClientMode::Ui, [false; 5]),
            (ClientId::Cli, ClientMode::Webchat, [false, false, false, true, true]),
            (ClientId::GatewayClient, ClientMode::Backend, [false, true, false, false, false]),
            (ClientId::GatewayClient, ClientMode::Cli, [false; 5]),
            (ClientId::MacOs, ClientMode::Ui, [false, false, true, false, false]),
            (ClientId::Ios, ClientMode::Ui, [false, false, true, false, false]),
            (ClientId::Android, ClientMode::Node, [false; 5]),
            (ClientId::MacOs, ClientMode::Cli, [false; 5]),
            (ClientId::ControlUi, ClientMode::Ui, [false, false, false, false, true]),
            (ClientId::WebchatUi, ClientMode::Ui, [false, false, false, true, true]),
        ];
        for (id, mode, expected) in rows {
            assert_eq!(kinds(&of(id, mode)), expected, "{id:?} {mode:?}");
        }
    }

    #[test]
    fn the_newest_release_takes_a_node_hosts_family_from_its_platform() {
        let family = |persona, platform: &str, profile| {
            let spec = ConnectSpec { persona, platform: platform.to_owned(), ..fixture::spec() };
            Facts::of(&spec, AuthMode::Token, Release::of(profile), false).device_family
        };
        let newest = ProfileName::V2026_9_6;
        assert_eq!(family(Persona::NodeHost, "darwin", newest).as_deref(), Some("Mac"));
        assert_eq!(family(Persona::NodeHost, "plan9", newest), None);
        assert_eq!(family(Persona::NodeHost, "darwin", ProfileName::V2026_3_13), None);
        assert_eq!(family(Persona::Cli, "darwin", newest), None);
    }
}
