//! One connect attempt, and the rows of the decision table that need nothing but the message and the gateway's secret.

use std::net::IpAddr;

use protocol::connect::{AuthParams, ClientInfo, ConnectParams, DeviceProof};
use protocol::error::DetailCode;
use protocol::hello::HelloAuth;
use protocol::scope::{ROLE_NODE, ROLE_OPERATOR};
use protocol::{ClientId, ClientMode, ErrorCode, ErrorDetails, ErrorShape, close};
use serde_json::Map;

use super::credential::{self, Method, Presented};
use super::http_facts::HttpFacts;
use super::locality::{self, Locality};
use super::pairing::token;
use super::rate_limit::{Note, RateLimiter};
use super::refusal::Refusal;
use super::{Rules, device_proof, origin, params};
use crate::defect::Defect;
use crate::profile::{
    DetailLevel, DevicelessRule, HelloAuthRule, LocalityRule, OriginRule, Profile, TrustedProxyRule,
    Vocabulary,
};

/// Header that narrows the scopes of a session (9.6).
const SCOPES_HEADER: &str = "x-openclaw-scopes";

/// An attempt that passed the rows before pairing.
#[derive(Debug, Clone, PartialEq)]
pub enum Screened {
    /// A client without device, with a good shared credential: a session without token.
    Anonymous(Box<Anonymous>),
    /// A device that proved its key; see [`super::admit`].
    Device(Box<DeviceAttempt>),
}

/// A session without device.
#[derive(Debug, Clone, PartialEq)]
pub struct Anonymous {
    /// What the client says of itself.
    pub client: ClientInfo,
    /// Role of the session.
    pub role: String,
    /// Scopes of the session.
    pub scopes: Vec<String>,
    /// `hello.auth`, where it is there without a token too.
    pub auth: Option<HelloAuth>,
    /// How the client showed that it may ask.
    pub method: Method,
    /// What it does to the rate limit.
    pub notes: Vec<Note>,
}

/// From where a client comes, for what pairing makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Local.
    Local,
    /// A control UI in a browser on the host of a container that the gateway runs in (9.6).
    BrowserOfContainer,
    /// Anywhere else.
    Remote,
}

/// A device that proved its key and asks to be let in.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceAttempt {
    /// Hash of the key.
    pub device_id: String,
    /// The key, base64url without padding.
    pub public_key: String,
    /// `operator` or `node`.
    pub role: String,
    /// As asked: order and repeats kept.
    pub scopes: Vec<String>,
    /// What the client says of itself.
    pub client: ClientInfo,
    /// Credentials. Debug output hides them.
    pub auth: AuthParams,
    /// The credentials, held against the gateway's own.
    pub presented: Presented,
    /// Where it stands.
    pub place: Place,
    /// Its address, as far as it is kept.
    pub kept_ip: Option<IpAddr>,
    /// Whether it sent an `Origin`.
    pub has_origin: bool,
    /// Whether its page is that of the gateway's own host, so that its build must be the gateway's.
    pub is_own_page: bool,
    /// Scopes that the session may have at most, if a header narrows them.
    pub scope_cap: Option<Vec<String>>,
}

impl DeviceAttempt {
    /// An operator's attempt without scopes, as if it had come in by `place` and passed every row before: for tests and
    /// benches, which set what else they need.
    #[must_use]
    pub fn passed(
        rules: &Rules,
        device_id: &str,
        client: ClientInfo,
        auth: AuthParams,
        place: Place,
    ) -> Self {
        let peer = IpAddr::from([127, 0, 0, 1]);
        let locality = Locality::direct(peer, place == Place::Local);
        let limiter = RateLimiter::new(rules.profile.rate_limit, None);
        let http = HttpFacts::from_peer(peer);
        let presented = Presented::look(rules, &limiter, &http, &locality, &auth, true, 0);
        Self {
            device_id: device_id.to_owned(),
            public_key: format!("key of {device_id}"),
            role: ROLE_OPERATOR.to_owned(),
            scopes: Vec::new(),
            client,
            auth,
            presented,
            place,
            kept_ip: None,
            has_origin: false,
            is_own_page: false,
            scope_cap: None,
        }
    }

    /// Whether the client counts as a control UI.
    #[must_use]
    pub fn is_control_ui(&self, profile: &Profile) -> bool {
        is_control_ui(profile, &self.client)
    }
}

/// Whether a client counts as a control UI: from 9.6 on the terminal's UI does too.
fn is_control_ui(profile: &Profile, client: &ClientInfo) -> bool {
    client.id == ClientId::ControlUi || (profile.vocabulary == Vocabulary::V4 && client.id == ClientId::Tui)
}

/// Everything up to pairing: what can be said without looking at the device's entry. `params` is the JSON of the request's
/// parameters, `now_ms` the gateway's clock, milliseconds since the Unix epoch, and `nonce` the challenge's. The limiter is
/// looked at and not changed.
///
/// # Errors
/// The refusal of the first row that applies.
pub fn screen(
    rules: &Rules,
    limiter: &RateLimiter,
    http: &HttpFacts,
    locality: Locality,
    params: &str,
    nonce: &str,
    now_ms: u64,
) -> Result<Screened, Refusal> {
    let profile = rules.profile;
    let ConnectParams { min_protocol, max_protocol, client, role, scopes, device, auth, caps, .. } =
        params::read(profile, params)?;
    let auth = auth.unwrap_or_default();

    if rules.defect != Some(Defect::IgnoreProtocol) {
        check_protocol(profile, min_protocol, max_protocol, role.as_deref(), &client)?;
    }
    let role = role.unwrap_or_else(|| ROLE_OPERATOR.to_owned());
    if role != ROLE_OPERATOR && role != ROLE_NODE {
        return Err(Refusal::invalid("invalid role", "invalid-role"));
    }
    check_copilot(profile, http, &client, caps.as_deref().unwrap_or_default())?;
    origin::check(rules, http, &client, locality.local).map_err(|reason| {
        let refusal = Refusal::invalid(
            "origin not allowed (open the Control UI from the gateway host or allow it in \
             gateway.controlUi.allowedOrigins)",
            "origin-not-allowed",
        );
        if profile.details < DetailLevel::NextSteps {
            return refusal;
        }
        refusal.detailed(ErrorDetails {
            code: Some(DetailCode::ControlUiOriginNotAllowed),
            reason: Some(reason.to_owned()),
            ..ErrorDetails::default()
        })
    })?;

    let presented = Presented::look(rules, limiter, http, &locality, &auth, device.is_some(), now_ms);
    let scopes = scopes.unwrap_or_default();
    let place = place(profile, http, locality, &client, &presented);
    let Some(device) = device else {
        return without_device(rules, http, place, client, role, scopes, &auth, presented)
            .map(|anonymous| Screened::Anonymous(Box::new(anonymous)));
    };
    let public_key = device_proof::verify(
        profile,
        &device_proof::Claim {
            device: &device,
            client: &client,
            role: &role,
            scopes: &scopes,
            token: auth.signed_token(),
            nonce,
            defect: rules.defect,
            local: locality.local,
        },
        now_ms,
    )
    .map_err(|refusal| refusal.noting(&presented.early_notes()))?;
    let DeviceProof { id: device_id, .. } = device;
    Ok(Screened::Device(Box::new(DeviceAttempt {
        device_id,
        public_key,
        role,
        scopes,
        client,
        auth,
        presented,
        place,
        kept_ip: locality.kept_ip,
        has_origin: http.origin.is_some(),
        is_own_page: origin::is_same_host(http.origin.as_deref(), http.host.as_deref()),
        scope_cap: scope_cap(profile, http),
    })))
}

fn check_protocol(
    profile: &Profile,
    min: u32,
    max: u32,
    role: Option<&str>,
    client: &ClientInfo,
) -> Result<(), Refusal> {
    let protocol = profile.protocol;
    let speaks = (min..=max).contains(&protocol)
        || profile.older_protocol.is_some_and(|older| {
            let is_node = role == Some(ROLE_NODE) && client.mode == ClientMode::Node;
            let is_probe = client.mode == ClientMode::Probe;
            (is_node && (min..=max).contains(&older)) || (is_probe && max >= older && min <= protocol)
        });
    if speaks {
        return Ok(());
    }
    let mut details = ErrorDetails { expected_protocol: Some(protocol), ..ErrorDetails::default() };
    if profile.details == DetailLevel::Hints {
        details.code = Some(DetailCode::ProtocolMismatch);
        details.more = Map::from_iter([
            ("clientMinProtocol".to_owned(), min.into()),
            ("clientMaxProtocol".to_owned(), max.into()),
            ("minimumProbeProtocol".to_owned(), profile.older_protocol.unwrap_or(protocol).into()),
        ]);
    }
    Err(Refusal::invalid(close::reason::PROTOCOL_MISMATCH, "protocol-mismatch")
        .detailed(details)
        .closing_with(close::code::PROTOCOL_MISMATCH))
}

/// The side panel of a browser must come as one (9.6).
fn check_copilot(
    profile: &Profile,
    http: &HttpFacts,
    client: &ClientInfo,
    caps: &[String],
) -> Result<(), Refusal> {
    if client.id != ClientId::BrowserCopilot || profile.origin != OriginRule::AnyonePrivateHost {
        return Ok(());
    }
    let can = |name: &str| caps.iter().any(|cap| cap == name);
    if client.mode != ClientMode::Ui || !can("run-tool-bindings") || !can("session-scoped-events") {
        return Err(Refusal::invalid(
            "browser copilot requires ui mode with run-tool-bindings and session-scoped-events capabilities",
            "invalid-client",
        ));
    }
    if http.origin.as_deref().is_some_and(|origin| origin.starts_with("chrome-extension://")) {
        return Ok(());
    }
    Err(Refusal::invalid(
        "browser copilot requires a canonical Chrome extension origin",
        "origin-not-allowed",
    )
    .detailed(ErrorDetails {
        code: Some(DetailCode::ControlUiOriginNotAllowed),
        reason: Some("invalid browser copilot origin".to_owned()),
        ..ErrorDetails::default()
    }))
}

fn place(
    profile: &Profile,
    http: &HttpFacts,
    locality: Locality,
    client: &ClientInfo,
    presented: &Presented,
) -> Place {
    if locality.local {
        return Place::Local;
    }
    let is_shared = matches!(presented.result, Ok(method) if method.is_shared_secret());
    let is_loopback = |name: Option<String>| name.is_some_and(|name| locality::is_loopback_name(&name));
    let is_browser_of_container = profile.locality == LocalityRule::DirectOrAttributed
        && client.id == ClientId::ControlUi
        && client.mode == ClientMode::Webchat
        && is_shared
        && !http.is_proxy_shaped()
        && locality::is_private(http.peer)
        && is_loopback(http.host.as_deref().map(locality::host_name))
        && is_loopback(http.origin.as_deref().and_then(origin::host_of));
    if is_browser_of_container { Place::BrowserOfContainer } else { Place::Remote }
}

fn scope_cap(profile: &Profile, http: &HttpFacts) -> Option<Vec<String>> {
    if profile.hello_auth != HelloAuthRule::Session {
        return None;
    }
    let header = http.header(SCOPES_HEADER)?;
    Some(header.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect())
}

/// Rows 9 to 11: a client without device.
#[expect(clippy::too_many_arguments, reason = "one step of `screen`, split off for its length")]
fn without_device(
    rules: &Rules,
    http: &HttpFacts,
    place: Place,
    client: ClientInfo,
    role: String,
    scopes: Vec<String>,
    auth: &AuthParams,
    presented: Presented,
) -> Result<Anonymous, Refusal> {
    let profile = rules.profile;
    let notes = presented.early_notes();
    let refuse = |error: ErrorShape, code: DetailCode| {
        let refusal = Refusal::answered(error, "device-identity-required").noting(&notes);
        if profile.details == DetailLevel::Ids {
            return refusal;
        }
        refusal.detailed(ErrorDetails { code: Some(code), ..ErrorDetails::default() })
    };
    let unauthorized = |failure: &credential::Failure| {
        let local = place == Place::Local;
        credential::refusal(rules, failure, auth, &client, false, local).noting(&presented.notes)
    };
    let is_operator = role == ROLE_OPERATOR;
    let is_vouched_for = presented.result == Ok(Method::TrustedProxy)
        && profile.trusted_proxy != TrustedProxyRule::DeviceNeeded
        && is_operator
        && is_control_ui(profile, &client);
    let is_local_here = place == Place::Local
        && http.origin.is_none()
        && profile.deviceless == DevicelessRule::OperatorsLocalKeepScopes;
    let is_helper = is_local_here
        && client.id == ClientId::GatewayClient
        && client.mode == ClientMode::Backend
        && matches!(presented.result, Ok(Method::None | Method::Token | Method::Password));
    let is_own_cli = is_local_here
        && client.id == ClientId::Cli
        && client.mode == ClientMode::Cli
        && matches!(presented.result, Ok(Method::Token | Method::Password));
    let needs_device = rules.defect != Some(Defect::DevicelessControlUi);
    if is_control_ui(profile, &client) && !is_vouched_for && needs_device {
        let text = profile.control_ui_without_device;
        return Err(refuse(
            ErrorShape::new(ErrorCode::InvalidRequest, text),
            DetailCode::ControlUiDeviceIdentityRequired,
        ));
    }
    let role_may = match profile.deviceless {
        DevicelessRule::AnyRole => true,
        DevicelessRule::Operators | DevicelessRule::OperatorsLocalKeepScopes => is_operator,
    };
    let is_let_in = is_vouched_for || (is_helper && is_operator) || (role_may && presented.is_shared);
    let method = match &presented.result {
        Ok(method) if is_let_in => *method,
        // The secret is right, but its holder is locked out.
        Err(failure) if is_let_in => return Err(unauthorized(failure)),
        // Sent in whichever field: one that the mode does not look into is called missing, but not passed over.
        Err(failure) if presented.was_sent => return Err(unauthorized(failure)),
        _ => {
            return Err(refuse(
                ErrorShape::new(ErrorCode::NotPaired, "device identity required"),
                DetailCode::DeviceIdentityRequired,
            ));
        }
    };
    let keeps_scopes = is_own_cli
        || is_helper
        || (is_vouched_for && profile.trusted_proxy == TrustedProxyRule::ControlUiAlone);
    let scopes = if keeps_scopes { scopes } else { Vec::new() };
    let scopes = token::session_scopes(profile, &scopes, scope_cap(profile, http).as_deref());
    let auth = token::hello_auth(rules, &role, &scopes, method, None, None, presented.user.as_deref());
    Ok(Anonymous { client, role, scopes, auth, method, notes: presented.notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthConfig, Secret};
    use crate::policy::locality::locate;
    use crate::profile::ALL;
    use proptest::prelude::*;
    use protocol::PayloadVersion;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000_000;

    /// What is wrong with a request, in the order of the table, with the cause each is refused for.
    const FAULTS: [(&str, &str); 9] = [
        ("an unknown key", "invalid-params"),
        ("protocol 5 only", "protocol-mismatch"),
        ("an unknown role", "invalid-role"),
        ("a foreign origin", "origin-not-allowed"),
        ("another device's id", "device-id-mismatch"),
        ("a stale signature", "device-signature-stale"),
        ("a blank nonce", "device-nonce-missing"),
        ("another nonce", "device-nonce-mismatch"),
        ("a bad signature", "device-signature"),
    ];

    fn cause(profile: &'static Profile, faults: &[bool; 9], token: &str) -> Option<&'static str> {
        let [key, protocol, role, origin, id, stale, blank, nonce, _] = *faults;
        let public = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let device_id = protocol::device_id(&public);
        let mut params = json!({
            "minProtocol": if protocol { 5 } else { 3 }, "maxProtocol": 5,
            "client": {"id": "webchat", "version": "1", "platform": "linux", "mode": "webchat"},
            "role": if role { "admin" } else { "operator" },
            "device": {
                "id": if id { device_id.to_uppercase() } else { device_id },
                "publicKey": base64url(&public), "signature": "AAAA",
                "signedAt": if stale { 1 } else { NOW },
                "nonce": if blank { " " } else if nonce { "other" } else { "nonce" },
            },
            "auth": {"token": token},
        });
        if key {
            params["bogus"] = json!(1);
        }
        let http = HttpFacts {
            host: Some("localhost".to_owned()),
            origin: Some(if origin { "https://evil.example" } else { "http://localhost:1" }.to_owned()),
            ..HttpFacts::from_peer([127, 0, 0, 1].into())
        };
        let rules = Rules::of(profile, AuthConfig::Token(Secret::new("shared")));
        let limiter = RateLimiter::new(profile.rate_limit, None);
        let locality = locate(profile, &rules.trusted_proxies, false, &http);
        screen(&rules, &limiter, &http, locality, &params.to_string(), "nonce", NOW)
            .err()
            .map(|refusal| refusal.cause)
    }

    fn base64url(key: &[u8; 32]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key)
    }

    proptest! {
        /// Whatever else is wrong, a credential included, the first row that applies decides.
        #[test]
        fn the_first_row_that_applies_decides(mut faults: [bool; 9], token in "shared|wrong") {
            // The proof is never a good one here; good ones are in `device_proof`.
            faults[8] = true;
            let first = faults.iter().position(|fault| *fault).unwrap();
            let (fault, expected) = FAULTS[first];
            for profile in ALL {
                // Where a local client may leave the nonce out, a blank one is no fault.
                let is_fault = fault != "a blank nonce" || !profile.payload_versions.contains(&PayloadVersion::V1);
                let expected = if is_fault { expected } else { "device-signature" };
                let cause = cause(profile, &faults, &token);
                prop_assert_eq!(cause, Some(expected), "{} on {}", fault, profile.name);
            }
        }
    }
}
