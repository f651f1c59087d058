//! Shapes of parameters, and the texts of OpenClaw's validators, formatted by the gateway: ajv up to 2026.3.13, which
//! names every error, and that of 2026.9.6, which names one missing and one unexpected key an object and says less of
//! names.
//!
//! Order of errors at one object, as ajv reports them: missing keys in the order of the schema, unexpected keys, then
//! the values in the order of the schema. Several errors are joined by `; `, repeated ones are said once. Unexpected
//! keys come sorted (`serde_json` does not keep the order in which they were written).

use protocol::connect::ConnectParams;
use protocol::{ClientId, ClientMode, PayloadVersion};
use serde_json::Value;

use crate::profile::{Profile, SchemaStyle, Vocabulary};

/// Errors after which the validator stops; a hostile message could otherwise make it write more than it read.
const ERRORS_MAX: usize = 64;
/// Errors after which the validator of 2026.9.6 stops.
const ERRORS_MAX_V4: usize = 8;
/// Characters of a property name that are repeated in an error.
const NAME_CHARS_MAX: usize = 200;

/// A shape.
#[derive(Debug, Clone, Copy)]
enum Schema {
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
struct Field {
    key: &'static str,
    schema: Schema,
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
    fn is_required(&self, profile: &Profile) -> bool {
        match self.presence {
            Presence::Required => true,
            Presence::Optional | Presence::OptionalV4 => false,
            Presence::RequiredUnlessNonceless => !profile.payload_versions.contains(&PayloadVersion::V1),
        }
    }

    fn is_known(&self, profile: &Profile) -> bool {
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

const ANY_TEXT: Schema = Schema::Text { min: 0, max: usize::MAX };
const NON_EMPTY: Schema = Schema::Text { min: 1, max: usize::MAX };

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
    fn fields(self) -> &'static [Field] {
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

/// Holds a value to a shape.
///
/// # Errors
/// The validator's text, for example `at /client: must have required property 'mode'`.
pub fn validate(profile: &Profile, params: Params, value: &Value) -> Result<(), String> {
    let mut errors = Errors { parts: Vec::new(), count: 0, profile };
    errors.check(Schema::Object(params.fields()), value, "");
    if errors.parts.is_empty() { Ok(()) } else { Err(errors.parts.join("; ")) }
}

/// The parameters of a `connect` that is plainly well-formed, read without building a tree: nearly every one. `None` says
/// nothing: [`validate`] has to look.
#[must_use]
pub(super) fn plain_connect(profile: &Profile, text: &str) -> Option<ConnectParams> {
    // serde takes a list of the values for the object, too; below the top the types see to that themselves.
    if !text.starts_with('{') {
        return None;
    }
    // Repeated keys, and whole numbers written as `3.0`, fail here, though the validator takes them.
    let params: ConnectParams = serde_json::from_str(text).ok()?;
    let ConnectParams { client, device, auth, caps, commands, scopes, .. } = &params;
    let is_v4 = profile.vocabulary == Vocabulary::V4;
    let is_new = client.build_id.is_some()
        || client.time_zone.is_some()
        || params.computer_use.is_some()
        || params.worker_runs.is_some()
        || params.model_catalog.is_some();
    let is_known = is_v4 || (!is_new && client.id.known_before_v4() && client.mode.known_before_v4());
    let is_short =
        |text: &Option<String>, max| text.as_ref().is_none_or(|text| (1..=max).contains(&text.len()));
    let is_there = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.is_empty());
    let are_there = |list: &Option<Vec<String>>| {
        list.as_ref().is_none_or(|list| list.iter().all(|text| !text.is_empty()))
    };
    let is_client = !client.version.is_empty()
        && !client.platform.is_empty()
        && is_there(&client.display_name)
        && is_there(&client.device_family)
        && is_there(&client.model_identifier)
        && is_there(&client.instance_id)
        // In bytes, where the rule counts characters: who comes near it is looked at.
        && is_short(&client.build_id, 96)
        && is_short(&client.time_zone, 64);
    let is_device = device.as_ref().is_none_or(|device| {
        !device.id.is_empty()
            && !device.public_key.is_empty()
            && !device.signature.is_empty()
            && device.nonce.as_ref().is_some_and(|nonce| !nonce.is_empty())
    });
    let is_auth = auth.as_ref().is_none_or(|auth| {
        let keys = [
            ("token", &auth.token),
            ("password", &auth.password),
            ("deviceToken", &auth.device_token),
            ("bootstrapToken", &auth.bootstrap_token),
            ("approvalRuntimeToken", &auth.approval_runtime_token),
            ("agentRuntimeIdentityToken", &auth.agent_runtime_identity_token),
        ];
        keys.iter().all(|(key, value)| value.is_none() || profile.auth_keys.contains(key))
    });
    let is_plain = is_known
        && params.min_protocol >= 1
        && params.max_protocol >= 1
        && params.worker_runs.is_none()
        && is_client
        && is_device
        && is_auth
        && is_there(&params.role)
        && are_there(caps)
        && are_there(commands)
        && are_there(scopes);
    is_plain.then_some(params)
}

struct Errors<'a> {
    parts: Vec<String>,
    /// Errors found; of repeated ones only the newest release's validator counts each.
    count: usize,
    profile: &'a Profile,
}

impl Errors<'_> {
    fn say(&mut self, path: &str, message: &str) {
        let part = if path.is_empty() { message.to_owned() } else { format!("at {path}: {message}") };
        self.push(part);
    }

    fn push(&mut self, part: String) {
        if self.is_full() {
            return;
        }
        if !self.parts.contains(&part) {
            self.parts.push(part);
            self.count += 1;
        } else if self.profile.schema == SchemaStyle::FirstOfEachKeyword {
            self.count += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.count
            >= match self.profile.schema {
                SchemaStyle::AllErrors => ERRORS_MAX,
                SchemaStyle::FirstOfEachKeyword => ERRORS_MAX_V4,
            }
    }

    fn check(&mut self, schema: Schema, value: &Value, path: &str) {
        if self.is_full() {
            return;
        }
        match schema {
            Schema::Any => {}
            Schema::Text { min, max } => match value {
                Value::String(text) if text.chars().take(min).count() < min => {
                    let not = self.not();
                    self.say(path, &format!("must {not} have fewer than {min} characters"));
                }
                Value::String(text) if text.chars().nth(max).is_some() => {
                    let not = self.not();
                    self.say(path, &format!("must {not} have more than {max} characters"));
                }
                Value::String(_) => {}
                _ => self.say(path, "must be string"),
            },
            Schema::Names(known) => {
                if value.as_str().is_some_and(|name| known(self.profile.vocabulary, name)) {
                    return;
                }
                if self.profile.schema == SchemaStyle::FirstOfEachKeyword {
                    self.say(path, "must be equal to one of the allowed values");
                    return;
                }
                if !value.is_string() {
                    self.say(path, "must be string");
                }
                self.say(path, "must be equal to constant");
                self.say(path, "must match a schema in anyOf");
            }
            Schema::Constant(text) => {
                if !value.is_string() {
                    self.say(path, "must be string");
                }
                if value.as_str() != Some(text) {
                    self.say(path, "must be equal to constant");
                }
            }
            Schema::Whole { min } => {
                if !is_whole(value) {
                    self.say(path, "must be integer");
                }
                // The bound is checked on every number, whole or not.
                #[expect(clippy::cast_precision_loss, reason = "bounds are 0 and 1")]
                if value.as_f64().is_some_and(|number| number < min as f64) {
                    self.say(path, &format!("must be >= {min}"));
                }
            }
            Schema::Texts => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if self.is_full() {
                            return;
                        }
                        self.check(NON_EMPTY, item, &format!("{path}/{index}"));
                    }
                }
                _ => self.say(path, "must be array"),
            },
            Schema::Flags => match value {
                Value::Object(map) => {
                    for (key, flag) in map {
                        if self.is_full() {
                            return;
                        }
                        if !flag.is_boolean() {
                            let key: String = key.chars().take(NAME_CHARS_MAX).collect();
                            let key = match self.profile.schema {
                                SchemaStyle::AllErrors => key.replace('~', "~0").replace('/', "~1"),
                                SchemaStyle::FirstOfEachKeyword => key,
                            };
                            self.say(&format!("{path}/{key}"), "must be boolean");
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
            Schema::Object(fields) => match value {
                Value::Object(map) => {
                    let profile = self.profile;
                    let missing = fields
                        .iter()
                        .filter(|field| field.is_required(profile) && !map.contains_key(field.key));
                    for field in missing.take(self.of_a_keyword()) {
                        self.say(path, &format!("must have required property '{}'", field.key));
                    }
                    let known =
                        |key: &str| fields.iter().any(|field| field.key == key && field.is_known(profile));
                    self.unexpected(map.keys(), known, path);
                    for field in fields.iter().filter(|field| field.is_known(profile)) {
                        if let Some(value) = map.get(field.key) {
                            self.check(field.schema, value, &format!("{path}/{}", field.key));
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
            Schema::Auth => match value {
                Value::Object(map) => {
                    let keys = self.profile.auth_keys;
                    self.unexpected(map.keys(), |key| keys.contains(&key), path);
                    for key in keys {
                        if let Some(value) = map.get(*key) {
                            self.check(ANY_TEXT, value, &format!("{path}/{key}"));
                        }
                    }
                }
                _ => self.say(path, "must be object"),
            },
        }
    }

    /// Errors of one keyword that are named at one object.
    fn of_a_keyword(&self) -> usize {
        match self.profile.schema {
            SchemaStyle::AllErrors => usize::MAX,
            SchemaStyle::FirstOfEachKeyword => 1,
        }
    }

    fn not(&self) -> &'static str {
        match self.profile.schema {
            SchemaStyle::AllErrors => "NOT",
            SchemaStyle::FirstOfEachKeyword => "not",
        }
    }

    fn unexpected<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k String>,
        known: impl Fn(&str) -> bool,
        path: &str,
    ) {
        for key in keys.filter(|key| !known(key)).take(self.of_a_keyword()) {
            if self.is_full() {
                return;
            }
            let shown: String = key.chars().take(NAME_CHARS_MAX).collect();
            let place = if path.is_empty() { "root" } else { path };
            self.push(format!("at {place}: unexpected property '{shown}'"));
        }
    }
}

fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_u64() || number.is_i64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ALL, ARTICLE, V2026_2_19, V2026_2_22, V2026_3_13, V2026_9_6};
    use proptest::prelude::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "minProtocol": 3, "maxProtocol": 3,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
            "device": {"id": "i", "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n"},
            "auth": {"token": "t"},
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut params = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        params.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        params
    }

    fn without(pointer: &str) -> Value {
        let mut params = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        params.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        params
    }

    fn text(value: &Value) -> String {
        validate(&ARTICLE, Params::Connect, value).err().unwrap_or_default()
    }

    /// Texts observed on 2026.2.21 and 2026.3.13 (cases a08 and a09).
    #[test]
    fn observed_texts() {
        let rows: &[(Value, &str)] = &[
            (good(), ""),
            (with("/bogus", json!(1)), "at root: unexpected property 'bogus'"),
            (with("/client/bogus", json!(1)), "at /client: unexpected property 'bogus'"),
            (with("/auth/bogus", json!("x")), "at /auth: unexpected property 'bogus'"),
            (with("/device/bogus", json!(1)), "at /device: unexpected property 'bogus'"),
            (without("/client/id"), "at /client: must have required property 'id'"),
            (without("/client/version"), "at /client: must have required property 'version'"),
            (without("/client/mode"), "at /client: must have required property 'mode'"),
            (
                with("/client/id", json!("my-client")),
                "at /client/id: must be equal to constant; at /client/id: must match a schema in anyOf",
            ),
            (
                with("/client/mode", json!("weird")),
                "at /client/mode: must be equal to constant; at /client/mode: must match a schema in anyOf",
            ),
            (with("/client/version", json!("")), "at /client/version: must NOT have fewer than 1 characters"),
            (without("/minProtocol"), "must have required property 'minProtocol'"),
            (with("/minProtocol", json!("3")), "at /minProtocol: must be integer"),
            (with("/role", json!("")), "at /role: must NOT have fewer than 1 characters"),
            (with("/role", json!("admin")), ""),
            (with("/scopes", json!([1])), "at /scopes/0: must be string"),
            (with("/scopes", json!([""])), "at /scopes/0: must NOT have fewer than 1 characters"),
            (with("/scopes", json!("operator.read")), "at /scopes: must be array"),
            (without("/device/signature"), "at /device: must have required property 'signature'"),
            (without("/device/nonce"), "at /device: must have required property 'nonce'"),
            (with("/device/signedAt", json!("1")), "at /device/signedAt: must be integer"),
            (with("/device/signedAt", json!(-1)), "at /device/signedAt: must be >= 0"),
            (with("/auth", Value::Null), "at /auth: must be object"),
            (with("/device", Value::Null), "at /device: must be object"),
            (Value::Null, "must be object"),
            (
                json!({"pad": "x"}),
                "must have required property 'minProtocol'; must have required property 'maxProtocol'; must have \
                 required property 'client'; at root: unexpected property 'pad'",
            ),
            // Keys of 2026.3.13 and ids of 2026.9.6 are unknown here.
            (with("/auth/bootstrapToken", json!("x")), "at /auth: unexpected property 'bootstrapToken'"),
            (
                with("/client/id", json!("openclaw-tui")),
                "at /client/id: must be equal to constant; at /client/id: must match a schema in anyOf",
            ),
            (with("/auth/deviceToken", json!("x")), ""),
            (with("/minProtocol", json!(3.0)), ""),
            (with("/minProtocol", json!(0)), "at /minProtocol: must be >= 1"),
        ];
        for (value, expected) in rows {
            assert_eq!(text(value), *expected, "{value}");
        }
    }

    /// Texts of 2026.9.6's own validator (cases a08 and a09, and its bundle asked directly).
    #[test]
    fn texts_of_the_newest_release() {
        let rows: &[(Value, &str)] = &[
            (good(), ""),
            (with("/bogus", json!(1)), "at root: unexpected property 'bogus'"),
            (
                json!({"pad": "x", "qad": 1}),
                "must have required property 'minProtocol'; at root: unexpected property 'pad'",
            ),
            (with("/client/id", json!("x")), "at /client/id: must be equal to one of the allowed values"),
            (with("/client/mode", json!(5)), "at /client/mode: must be equal to one of the allowed values"),
            (with("/client/version", json!("")), "at /client/version: must not have fewer than 1 characters"),
            (
                with("/minProtocol", json!(0.5)),
                "at /minProtocol: must be integer; at /minProtocol: must be >= 1",
            ),
            (
                with("/scopes", json!([1, "", 2])),
                "at /scopes/0: must be string; at /scopes/1: must not have fewer than 1 characters; at /scopes/2: \
                 must be string",
            ),
            (with("/permissions", json!({"a/b~": 1})), "at /permissions/a/b~: must be boolean"),
            (
                with("/auth", json!({"token": 5, "bogus": 1})),
                "at /auth: unexpected property 'bogus'; at /auth/token: must be string",
            ),
            (with("/device", json!({})), "at /device: must have required property 'id'"),
            (
                with("/client/buildId", json!("x".repeat(97))),
                "at /client/buildId: must not have more than 96 characters",
            ),
            (
                with("/client/timeZone", json!("")),
                "at /client/timeZone: must not have fewer than 1 characters",
            ),
            (with("/computerUse", json!(1)), ""),
            (with("/workerRuns", json!({})), "at /workerRuns: must have required property 'bundleHash'"),
            (with("/client/id", json!("openclaw-tui")), ""),
            (with("/auth/bootstrapToken", json!("x")), ""),
            (with("/auth", Value::Null), "at /auth: must be object"),
        ];
        for (value, expected) in rows {
            let said = validate(&V2026_9_6, Params::Connect, value).err().unwrap_or_default();
            assert_eq!(said, *expected, "{value}");
        }
        let many = with("/scopes", json!(vec![0; 20]));
        let said = validate(&V2026_9_6, Params::Connect, &many).unwrap_err();
        assert_eq!(said.split("; ").count(), ERRORS_MAX_V4);
        let frame = json!({"type": "event", "event": "x"});
        assert_eq!(
            validate(&V2026_9_6, Params::RequestFrame, &frame).unwrap_err(),
            "must have required property 'id'; at root: unexpected property 'event'; at /type: must be equal to \
             constant"
        );
        let label = json!({"deviceId": "a", "label": "x".repeat(65)});
        assert_eq!(
            validate(&V2026_9_6, Params::Rename, &label).unwrap_err(),
            "at /label: must not have more than 64 characters"
        );
    }

    #[test]
    fn keys_came_with_releases() {
        let known = |profile, value: &Value| validate(profile, Params::Connect, value).is_ok();
        let nonceless = without("/device/nonce");
        assert!(known(&V2026_2_19, &nonceless));
        assert!(!known(&V2026_2_22, &nonceless));
        for (key, since) in [("deviceToken", 1), ("bootstrapToken", 2), ("approvalRuntimeToken", 3)] {
            let value = with(&format!("/auth/{key}"), json!("x"));
            for (age, profile) in [&V2026_2_19, &V2026_2_22, &V2026_3_13, &V2026_9_6].into_iter().enumerate()
            {
                assert_eq!(known(profile, &value), age >= since, "{key} on {}", profile.name);
            }
        }
    }

    #[test]
    fn observed_frame_text() {
        let frame = json!({"type": "event", "event": "x"});
        assert_eq!(
            validate(&ARTICLE, Params::RequestFrame, &frame).unwrap_err(),
            "must have required property 'id'; must have required property 'method'; at root: unexpected property \
             'event'; at /type: must be equal to constant"
        );
    }

    #[test]
    fn the_text_is_bounded() {
        let many: Vec<u32> = vec![0; 20_000];
        let text = text(&with("/scopes", json!(many)));
        assert_eq!(text.split("; ").count(), ERRORS_MAX);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(
                    prop_oneof![Just("client".to_owned()), Just("auth".to_owned()), "[a-z]{1,6}"],
                    inner,
                    0..4
                )
                .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_passes_is_what_the_type_takes(value in any_json()) {
            for profile in ALL {
                for params in [Params::Connect, Params::Rotate, Params::RequestFrame] {
                    let _ = validate(profile, params, &value);
                }
                if validate(profile, Params::Connect, &value).is_ok() {
                    prop_assert!(super::super::params::decode(value.clone()).is_ok());
                }
            }
        }
    }
}
