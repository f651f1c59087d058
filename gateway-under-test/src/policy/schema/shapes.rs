//! The shapes of what clients send, as the releases wrote them down.

use protocol::{ClientId, ClientMode, PayloadVersion};

use crate::profile::{Profile, Vocabulary};

/// A shape.
#[derive(Debug, Clone, Copy)]
pub(super) enum Schema {
    /// Any value.
    Any,
    /// A string of at least `min` and at most `max` characters.
    Text { min: usize, max: usize },
    /// One of the names that the function knows.
    Names(fn(Vocabulary, &str) -> bool),
    /// Exactly this string.
    Constant(&'static str),
    /// A whole number of at least this.
    Whole { min: i64 },
    /// A list of strings of at least one character.
    Texts,
    /// An object whose values are booleans.
    Flags,
    /// A closed object.
    Object(&'static [Field]),
    /// `auth`: a closed object of strings whose keys the profile names.
    Auth,
}

/// A key of a closed object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) schema: Schema,
    presence: Presence,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    /// Optional on 2026.9.6, unknown before.
    OptionalV4,
    /// May be absent only where clients without a nonce are known.
    RequiredUnlessNonceless,
}

impl Field {
    pub(super) fn is_required(&self, profile: &Profile) -> bool {
        match self.presence {
            Presence::Required => true,
            Presence::Optional | Presence::OptionalV4 => false,
            Presence::RequiredUnlessNonceless => !profile.payload_versions.contains(&PayloadVersion::V1),
        }
    }

    pub(super) fn is_known(&self, profile: &Profile) -> bool {
        self.presence != Presence::OptionalV4 || profile.vocabulary == Vocabulary::V4
    }
}

const fn required(key: &'static str, schema: Schema) -> Field {
    Field { key, schema, presence: Presence::Required }
}

const fn optional(key: &'static str, schema: Schema) -> Field {
    Field { key, schema, presence: Presence::Optional }
}

const fn since_v4(key: &'static str, schema: Schema) -> Field {
    Field { key, schema, presence: Presence::OptionalV4 }
}

pub(super) const ANY_TEXT: Schema = Schema::Text { min: 0, max: usize::MAX };
pub(super) const NON_EMPTY: Schema = Schema::Text { min: 1, max: usize::MAX };

const CLIENT: &[Field] = &[
    required("id", Schema::Names(is_client_id)),
    optional("displayName", NON_EMPTY),
    required("version", NON_EMPTY),
    since_v4("buildId", Schema::Text { min: 1, max: 96 }),
    required("platform", NON_EMPTY),
    optional("deviceFamily", NON_EMPTY),
    optional("modelIdentifier", NON_EMPTY),
    since_v4("timeZone", Schema::Text { min: 1, max: 64 }),
    required("mode", Schema::Names(is_client_mode)),
    optional("instanceId", NON_EMPTY),
];

const DEVICE: &[Field] = &[
    required("id", NON_EMPTY),
    required("publicKey", NON_EMPTY),
    required("signature", NON_EMPTY),
    required("signedAt", Schema::Whole { min: 0 }),
    Field { key: "nonce", schema: NON_EMPTY, presence: Presence::RequiredUnlessNonceless },
];

const CONNECT: &[Field] = &[
    required("minProtocol", Schema::Whole { min: 1 }),
    required("maxProtocol", Schema::Whole { min: 1 }),
    required("client", Schema::Object(CLIENT)),
    optional("caps", Schema::Texts),
    optional("commands", Schema::Texts),
    since_v4("computerUse", Schema::Any),
    since_v4("workerRuns", Schema::Object(WORKER_RUNS)),
    optional("permissions", Schema::Flags),
    optional("pathEnv", ANY_TEXT),
    optional("role", NON_EMPTY),
    optional("scopes", Schema::Texts),
    since_v4("modelCatalog", Schema::Any),
    optional("device", Schema::Object(DEVICE)),
    optional("auth", Schema::Auth),
    optional("locale", ANY_TEXT),
    optional("userAgent", ANY_TEXT),
];

const WORKER_RUNS: &[Field] = &[
    required("bundleHash", Schema::Any),
    required("openclawVersion", Schema::Any),
    required("protocolFeatures", Schema::Any),
];

const REQUEST_FRAME: &[Field] = &[
    required("type", Schema::Constant("req")),
    required("id", NON_EMPTY),
    required("method", NON_EMPTY),
    optional("params", Schema::Any),
];

fn is_client_id(vocabulary: Vocabulary, name: &str) -> bool {
    ClientId::ALL
        .iter()
        .any(|id| id.as_str() == name && (vocabulary == Vocabulary::V4 || id.known_before_v4()))
}

fn is_client_mode(vocabulary: Vocabulary, name: &str) -> bool {
    ClientMode::ALL
        .iter()
        .any(|mode| mode.as_str() == name && (vocabulary == Vocabulary::V4 || mode.known_before_v4()))
}

/// Parameters of a method, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Params {
    /// `connect`.
    Connect,
    /// `device.pair.list`.
    Empty,
    /// `device.pair.approve`, `device.pair.reject`.
    RequestId,
    /// `device.pair.remove`.
    DeviceId,
    /// `device.pair.rename` (2026.9.6).
    Rename,
    /// `device.token.rotate`.
    Rotate,
    /// `device.token.revoke`.
    Revoke,
    /// A request frame itself (after hello).
    RequestFrame,
}

impl Params {
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Connect => CONNECT,
            Self::Empty => &[],
            Self::RequestId => const { &[required("requestId", NON_EMPTY)] },
            Self::DeviceId => const { &[required("deviceId", NON_EMPTY)] },
            Self::Rename => {
                const { &[required("deviceId", NON_EMPTY), required("label", Schema::Text { min: 1, max: 64 })] }
            }
            Self::Rotate => {
                const {
                    &[
                        required("deviceId", NON_EMPTY),
                        required("role", NON_EMPTY),
                        optional("scopes", Schema::Texts),
                    ]
                }
            }
            Self::Revoke => const { &[required("deviceId", NON_EMPTY), required("role", NON_EMPTY)] },
            Self::RequestFrame => REQUEST_FRAME,
        }
    }
}
