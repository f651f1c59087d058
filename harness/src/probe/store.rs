//! What a gateway's store on this machine says of one device: of `devices/paired.json` and `devices/pending.json`, or of the
//! rows of `state/openclaw.sqlite` given in the same form.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::secret::Secret;

/// A store as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Store {
    /// Which form it has.
    pub form: StoreForm,
    /// Devices in it.
    pub devices: usize,
    /// Why what is there cannot be read; nothing else is known then.
    pub broken: Option<String>,
    /// The entry of the device.
    pub entry: Option<StoredDevice>,
    /// Requests of the device that wait, as far as they have not expired.
    pub waiting: Vec<WaitingRequest>,
}

/// Which generation wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoreForm {
    /// 2026.2.19 to 2026.3.13, and `article`.
    #[default]
    Json,
    /// 2026.8.1 and later.
    Database,
}

/// One paired device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredDevice {
    /// The public key in base64url.
    pub public_key: String,
    /// `clientId`
    pub client_id: Option<String>,
    /// `clientMode`
    pub client_mode: Option<String>,
    /// `displayName`
    pub display_name: Option<String>,
    /// `platform`
    pub platform: Option<String>,
    /// `deviceFamily`
    pub device_family: Option<String>,
    /// Approved roles.
    pub roles: Vec<String>,
    /// Scopes in force.
    pub scopes: Vec<String>,
    /// Scopes that were approved, where the release keeps them beside.
    pub approved_scopes: Option<Vec<String>>,
    /// Its tokens by role.
    pub tokens: BTreeMap<String, StoredToken>,
}

/// A token in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: Secret,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// It was revoked.
    pub revoked: bool,
}

/// A request that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingRequest {
    /// What `devices approve` takes.
    pub request_id: String,
    /// Role asked.
    pub role: Option<String>,
    /// Scopes asked.
    pub scopes: Vec<String>,
    /// Platform claimed.
    pub platform: Option<String>,
    /// Device family claimed.
    pub device_family: Option<String>,
}

/// How long requests wait, in milliseconds (reference, section 8.9).
pub const WAITS_MS: u64 = 300_000;

impl Store {
    /// What `paired` and `pending`, both as JSON texts, say of the device; `None` = there is no such file. Older requests than
    /// [`WAITS_MS`] at `now_ms` are gone for the gateway, too.
    #[must_use]
    pub fn of_json(
        paired: Option<&str>,
        pending: Option<&str>,
        device_id: Option<&str>,
        now_ms: u64,
    ) -> Self {
        let mut store = Self::default();
        let paired = match paired.filter(|text| !text.trim().is_empty()).map(serde_json::from_str) {
            None => Map::new(),
            Some(Ok(Value::Object(paired))) => paired,
            Some(Ok(_)) => return Self::broken("paired.json holds other JSON than an object"),
            Some(Err(_)) => return Self::broken("paired.json is not JSON (truncated?)"),
        };
        store.devices = paired.len();
        let Some(device_id) = device_id else { return store };
        store.entry = paired.get(device_id).and_then(Value::as_object).map(StoredDevice::of);
        let pending: Map<String, Value> =
            pending.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        store.waiting = pending
            .values()
            .filter_map(Value::as_object)
            .filter(|request| request.get("deviceId").and_then(Value::as_str) == Some(device_id))
            .filter(|request| is_fresh(request, now_ms))
            .filter_map(WaitingRequest::of)
            .collect();
        store
    }

    /// A store that cannot be read.
    #[must_use]
    pub fn broken(why: &str) -> Self {
        Self { broken: Some(why.to_owned()), ..Self::default() }
    }
}

fn is_fresh(request: &Map<String, Value>, now_ms: u64) -> bool {
    let time = |key: &str| request.get(key).and_then(Value::as_u64);
    let latest = time("refreshedAtMs").max(time("ts"));
    latest.is_none_or(|at| now_ms.saturating_sub(at) < WAITS_MS)
}

impl StoredDevice {
    /// Of an entry as `paired.json` has it.
    #[must_use]
    pub fn of(entry: &Map<String, Value>) -> Self {
        let mut roles = texts(entry.get("roles"));
        if roles.is_empty() {
            roles.extend(text(entry, "role"));
        }
        let tokens = entry.get("tokens").and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            public_key: text(entry, "publicKey").map(|key| as_base64url(&key)).unwrap_or_default(),
            client_id: text(entry, "clientId"),
            client_mode: text(entry, "clientMode"),
            display_name: text(entry, "displayName"),
            platform: text(entry, "platform"),
            device_family: text(entry, "deviceFamily"),
            roles,
            scopes: texts(entry.get("scopes")),
            approved_scopes: entry.get("approvedScopes").map(|scopes| texts(Some(scopes))),
            tokens: tokens
                .iter()
                .filter_map(|(role, token)| Some((role.clone(), StoredToken::of(token.as_object()?)?)))
                .collect(),
        }
    }

    /// What the device surely holds as `role`: what is in force, approved and on its token. Asking this widens nothing.
    #[must_use]
    pub fn surely_holds(&self, role: &str) -> Vec<String> {
        let within =
            |scope: &String, scopes: Option<&Vec<String>>| scopes.is_none_or(|scopes| scopes.contains(scope));
        let token = self.tokens.get(role).map(|token| &token.scopes);
        self.scopes
            .iter()
            .filter(|scope| within(scope, self.approved_scopes.as_ref()) && within(scope, token))
            .cloned()
            .collect()
    }
}

impl StoredToken {
    fn of(token: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            token: Secret::new(token.get("token")?.as_str()?),
            scopes: texts(token.get("scopes")),
            revoked: token.get("revokedAtMs").is_some_and(|at| !at.is_null()),
        })
    }
}

impl WaitingRequest {
    fn of(request: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            request_id: text(request, "requestId")?,
            role: text(request, "role"),
            scopes: texts(request.get("scopes")),
            platform: text(request, "platform"),
            device_family: text(request, "deviceFamily"),
        })
    }
}

fn text(keys: &Map<String, Value>, key: &str) -> Option<String> {
    keys.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Gateways take a key in three forms and store one; an old or edited store may hold another.
fn as_base64url(key: &str) -> String {
    let raw = URL_SAFE_NO_PAD.decode(key).or_else(|_| STANDARD.decode(key));
    raw.map_or_else(|_| key.to_owned(), |raw| URL_SAFE_NO_PAD.encode(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRED: &str = r#"{"d": {"publicKey": "AA==", "role": "operator", "clientId": "cli", "platform": "linux",
        "scopes": ["operator.read", "operator.write"], "approvedScopes": ["operator.read", "operator.write"],
        "tokens": {"operator": {"token": "hunter2", "scopes": ["operator.read"]},
                   "node": {"token": "x", "scopes": [], "revokedAtMs": 1}}}, "e": {}}"#;

    #[test]
    fn one_device_is_read_of_many() {
        let store = Store::of_json(Some(PAIRED), None, Some("d"), 0);
        assert_eq!((store.devices, store.broken.as_deref()), (2, None));
        assert!(!format!("{store:?}").contains("hunter2"));
        let entry = store.entry.unwrap();
        assert_eq!((entry.roles.as_slice(), entry.public_key.as_str()), (&["operator".to_owned()][..], "AA"));
        assert!(entry.tokens["node"].revoked && !entry.tokens["operator"].revoked);
        assert_eq!(entry.surely_holds("operator"), ["operator.read"], "the token is narrower than the entry");
        assert!(Store::of_json(Some(PAIRED), None, Some("x"), 0).entry.is_none());
    }

    #[test]
    fn requests_of_others_and_old_ones_do_not_wait() {
        let pending = r#"{"1": {"requestId": "1", "deviceId": "d", "scopes": ["operator.write"], "ts": 1000},
            "2": {"requestId": "2", "deviceId": "e", "ts": 1000}}"#;
        let waiting = |now| Store::of_json(None, Some(pending), Some("d"), now).waiting;
        assert_eq!(waiting(1000 + WAITS_MS - 1).len(), 1);
        assert!(waiting(1000 + WAITS_MS).is_empty());
    }

    #[test]
    fn a_store_that_cannot_be_read_is_no_empty_one() {
        for paired in ["{\"d\": {", "[]", "null"] {
            assert!(Store::of_json(Some(paired), None, Some("d"), 0).broken.is_some(), "{paired}");
        }
        for paired in [None, Some(""), Some("{}")] {
            assert_eq!(Store::of_json(paired, None, Some("d"), 0), Store::default());
        }
    }
}
