//! One connect attempt, and the rows of the decision table that need nothing but the message (5 to 15).

use std::net::IpAddr;

use protocol::connect::{AuthParams, ClientInfo, ConnectParams, DeviceProof};
use protocol::error::DetailCode;
use protocol::scope::{ROLE_NODE, ROLE_OPERATOR};
use protocol::{ClientId, ErrorCode, ErrorDetails, ErrorShape, close};
use serde_json::Value;

use super::credential::{self, Shared};
use super::locality::Locality;
use super::refusal::Refusal;
use super::{Rules, device_proof, origin, schema};

/// What the upgrade request said about the client. A blank header counts as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFacts {
    /// The other end of the TCP connection.
    pub peer: IpAddr,
    /// `Host`.
    pub host: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `X-Forwarded-For`; repeated headers joined by commas.
    pub forwarded_for: Option<String>,
    /// `X-Real-IP`.
    pub real_ip: Option<String>,
    /// `X-Forwarded-Host`.
    pub forwarded_host: Option<String>,
}

impl HttpFacts {
    /// A request without any of these headers.
    #[must_use]
    pub fn from_peer(peer: IpAddr) -> Self {
        Self {
            peer,
            host: None,
            origin: None,
            user_agent: None,
            forwarded_for: None,
            real_ip: None,
            forwarded_host: None,
        }
    }
}

/// An attempt that passed rows 5 to 15.
#[derive(Debug, Clone, PartialEq)]
pub enum Screened {
    /// An operator without device, with a good shared credential: a session without scopes and token.
    Anonymous(Anonymous),
    /// A device that proved its key; see [`super::admit`].
    Device(Box<DeviceAttempt>),
}

/// A session without device.
#[derive(Debug, Clone, PartialEq)]
pub struct Anonymous {
    /// What the client says of itself.
    pub client: ClientInfo,
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
    /// Where it stands.
    pub local: bool,
    /// Its address, if known.
    pub client_ip: Option<IpAddr>,
}

/// Rows 5 to 15: everything that can be said without looking at the device's entry. `now_ms` is the gateway's clock,
/// milliseconds since the Unix epoch; `nonce` is the challenge's.
///
/// # Errors
/// The refusal of the first row that applies.
pub fn screen(
    rules: &Rules,
    http: &HttpFacts,
    locality: Locality,
    params: Value,
    nonce: &str,
    now_ms: u64,
) -> Result<Screened, Refusal> {
    let schema_error =
        |text: String| Refusal::invalid(format!("invalid connect params: {text}"), "invalid-params");
    schema::validate(rules.profile, schema::Params::Connect, &params).map_err(schema_error)?;
    let ConnectParams { min_protocol, max_protocol, client, role, scopes, device, auth, .. } =
        decode_params(params).map_err(schema_error)?;
    let auth = auth.unwrap_or_default();

    let protocol = rules.profile.protocol;
    if !(min_protocol..=max_protocol).contains(&protocol) {
        let details = ErrorDetails { expected_protocol: Some(protocol), ..ErrorDetails::default() };
        return Err(Refusal::invalid(close::reason::PROTOCOL_MISMATCH, "protocol-mismatch")
            .detailed(details)
            .closing_with(close::code::PROTOCOL_MISMATCH));
    }
    let role = role.unwrap_or_else(|| ROLE_OPERATOR.to_owned());
    if role != ROLE_OPERATOR && role != ROLE_NODE {
        return Err(Refusal::invalid("invalid role", "invalid-role"));
    }
    if origin::is_checked(client.id, client.mode)
        && !origin::is_allowed(http.origin.as_deref(), http.host.as_deref(), &rules.allowed_origins)
    {
        return Err(Refusal::invalid(
            "origin not allowed (open the Control UI from the gateway host or allow it in \
             gateway.controlUi.allowedOrigins)",
            "origin-not-allowed",
        ));
    }
    let Some(device) = device else {
        return screen_without_device(rules, client, &role, &auth).map(Screened::Anonymous);
    };
    let scopes = scopes.unwrap_or_default();
    let public_key = device_proof::verify(
        rules.profile,
        &device_proof::Claim {
            device: &device,
            client: &client,
            role: &role,
            scopes: &scopes,
            token: auth.signed_token(),
            nonce,
        },
        now_ms,
    )?;
    let DeviceProof { id: device_id, .. } = device;
    Ok(Screened::Device(Box::new(DeviceAttempt {
        device_id,
        public_key,
        role,
        scopes,
        client,
        auth,
        local: locality.local,
        client_ip: locality.client_ip,
    })))
}

/// Rows 9 to 11.
fn screen_without_device(
    rules: &Rules,
    client: ClientInfo,
    role: &str,
    auth: &AuthParams,
) -> Result<Anonymous, Refusal> {
    let with_code = |code| ErrorDetails { code: Some(code), ..ErrorDetails::default() };
    if client.id == ClientId::ControlUi {
        return Err(Refusal::invalid(
            "control ui requires device identity (use HTTPS or localhost secure context)",
            "device-identity-required",
        )
        .detailed(with_code(DetailCode::ControlUiDeviceIdentityRequired)));
    }
    match credential::shared(&rules.auth, auth) {
        Shared::Wrong => Err(credential::refusal(&rules.auth, auth, &client)),
        Shared::Good if role == ROLE_OPERATOR => Ok(Anonymous { client }),
        Shared::Good | Shared::Absent | Shared::NotAsked => Err(Refusal::answered(
            ErrorShape::new(ErrorCode::NotPaired, "device identity required"),
            "device-identity-required",
        )
        .detailed(with_code(DetailCode::DeviceIdentityRequired))),
    }
}

/// Turns a valid value into the type. Whole numbers may be written as `3.0`, and may be beyond what the type holds.
pub(super) fn decode_params(mut params: Value) -> Result<ConnectParams, String> {
    for pointer in ["/minProtocol", "/maxProtocol"] {
        clamp_whole(&mut params, pointer, u64::from(u32::MAX));
    }
    clamp_whole(&mut params, "/device/signedAt", u64::MAX);
    // The value passed the validator, so that this fails only if the two disagree.
    serde_json::from_value(params).map_err(|error| error.to_string())
}

fn clamp_whole(params: &mut Value, pointer: &str, max: u64) {
    if let Some(number) = params.pointer_mut(pointer)
        && let Some(float) = number.as_f64()
    {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and the sign is checked"
        )]
        let whole = number.as_u64().unwrap_or(float as u64);
        *number = Value::from(whole.min(max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthConfig, Secret};
    use crate::policy::locality::{TrustedProxies, locate};
    use crate::profile::ARTICLE;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000_000;

    /// What is wrong with a request, in the order of the table, with the cause each is refused for.
    const FAULTS: [(&str, &str); 9] = [
        ("an unknown key", "invalid-params"),
        ("protocol 4 only", "protocol-mismatch"),
        ("an unknown role", "invalid-role"),
        ("a foreign origin", "origin-not-allowed"),
        ("another device's id", "device-id-mismatch"),
        ("a stale signature", "device-signature-stale"),
        ("a blank nonce", "device-nonce-missing"),
        ("another nonce", "device-nonce-mismatch"),
        ("a bad signature", "device-signature"),
    ];

    fn cause(faults: &[bool; 9], token: &str) -> Option<&'static str> {
        let [key, protocol, role, origin, id, stale, blank, nonce, _] = *faults;
        let public = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let device_id = protocol::device_id(&public);
        let mut params = json!({
            "minProtocol": if protocol { 4 } else { 3 }, "maxProtocol": 4,
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
        let rules = Rules {
            profile: &ARTICLE,
            auth: AuthConfig::Token(Secret::new("shared")),
            trusted_proxies: TrustedProxies::default(),
            allow_real_ip_fallback: false,
            allowed_origins: Vec::new(),
            pending_ttl_ms: 300_000,
            defect: None,
        };
        let locality = locate(&ARTICLE, &rules.trusted_proxies, false, &http);
        screen(&rules, &http, locality, params, "nonce", NOW).err().map(|refusal| refusal.cause)
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
            prop_assert_eq!(cause(&faults, &token), Some(expected), "{}", fault);
        }
    }
}
