//! Shared secret and device token (article profile, section 5).

use protocol::connect::{AuthParams, ClientInfo};
use protocol::error::DetailCode;
use protocol::{ClientId, ClientMode, ErrorDetails};
use sha2::{Digest as _, Sha256};

use super::attempt::DeviceAttempt;
use super::entry::DeviceView;
use super::refusal::Refusal;
use super::{Rules, device_proof, scopes};
use crate::config::AuthConfig;

/// What became of the shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// It is the gateway's.
    Good,
    /// One was sent, and it is not the gateway's.
    Wrong,
    /// None was sent. An empty one counts as none.
    Absent,
    /// The mode has none.
    NotAsked,
}

/// How a device showed that it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Shared token or password.
    Shared,
    /// Its own device token.
    DeviceToken,
    /// Mode `none`.
    None,
}

impl Method {
    /// Name for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared-secret",
            Self::DeviceToken => "device-token",
            Self::None => "none",
        }
    }
}

fn sent(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// Compares by hash, so that the time taken says nothing about the secret (2.22 does likewise).
fn same(left: &str, right: &str) -> bool {
    Sha256::digest(left) == Sha256::digest(right)
}

/// Looks at the shared secret of the configured mode.
#[must_use]
pub fn shared(config: &AuthConfig, auth: &AuthParams) -> Shared {
    let (ours, theirs) = match config {
        AuthConfig::None => return Shared::NotAsked,
        AuthConfig::Token(token) => (token.reveal(), sent(auth.token.as_ref())),
        AuthConfig::Password(password) => (password.reveal(), sent(auth.password.as_ref())),
    };
    match theirs {
        None => Shared::Absent,
        Some(theirs) if same(ours, theirs) => Shared::Good,
        Some(_) => Shared::Wrong,
    }
}

/// Row 16: shared secret, then device token.
///
/// # Errors
/// The refusal that section 5 names.
pub fn check(rules: &Rules, attempt: &DeviceAttempt, view: &DeviceView<'_>) -> Result<Method, Refusal> {
    match shared(&rules.auth, &attempt.auth) {
        Shared::Good => Ok(Method::Shared),
        Shared::NotAsked => Ok(Method::None),
        Shared::Wrong | Shared::Absent if is_device_token(rules, attempt, view) => Ok(Method::DeviceToken),
        Shared::Wrong | Shared::Absent => Err(refusal(&rules.auth, &attempt.auth, &attempt.client)),
    }
}

fn is_device_token(rules: &Rules, attempt: &DeviceAttempt, view: &DeviceView<'_>) -> bool {
    let auth = &attempt.auth;
    let (Some(theirs), Some(entry)) =
        (sent(auth.device_token.as_ref()).or_else(|| sent(auth.token.as_ref())), view.entry)
    else {
        return false;
    };
    entry.tokens.get(&attempt.role).is_some_and(|stored| {
        !stored.is_revoked()
            && same(&stored.token, theirs)
            && device_proof::normalized_key(&entry.public_key) == attempt.public_key
            && scopes::covers(rules.profile.coverage, &stored.scopes, &attempt.scopes)
    })
}

/// Says why a credential is refused. Not to be asked in mode `none`, which refuses none.
#[must_use]
pub fn refusal(config: &AuthConfig, auth: &AuthParams, client: &ClientInfo) -> Refusal {
    let is_ui = client.id == ClientId::ControlUi || client.mode == ClientMode::Webchat;
    let is_cli = client.id == ClientId::Cli || client.mode == ClientMode::Cli;
    let hint = |ui: &'static str, cli: &'static str, other: &'static str| match (is_ui, is_cli) {
        (true, _) => ui,
        (false, true) => cli,
        (false, false) => other,
    };
    let token_hint = hint(
        "open the dashboard URL and paste the token in Control UI settings",
        "set gateway.remote.token to match gateway.auth.token",
        "provide gateway auth token",
    );
    let password_hint = hint(
        "enter the password in Control UI settings",
        "set gateway.remote.password to match gateway.auth.password",
        "provide gateway auth password",
    );
    let is_password = matches!(config, AuthConfig::Password(_));
    let was_sent = sent(if is_password { auth.password.as_ref() } else { auth.token.as_ref() }).is_some();
    let (what, code, reason) = if sent(auth.device_token.as_ref()).is_some() {
        (
            "device token mismatch (rotate/reissue device token)".to_owned(),
            DetailCode::AuthDeviceTokenMismatch,
            "device_token_mismatch",
        )
    } else {
        match (is_password, was_sent) {
            (false, false) => (
                format!("gateway token missing ({token_hint})"),
                DetailCode::AuthTokenMissing,
                "token_missing",
            ),
            (false, true) => (
                format!("gateway token mismatch ({token_hint})"),
                DetailCode::AuthTokenMismatch,
                "token_mismatch",
            ),
            (true, false) => (
                format!("gateway password missing ({password_hint})"),
                DetailCode::AuthPasswordMissing,
                "password_missing",
            ),
            (true, true) => (
                format!("gateway password mismatch ({password_hint})"),
                DetailCode::AuthPasswordMismatch,
                "password_mismatch",
            ),
        }
    };
    let details =
        ErrorDetails { code: Some(code), auth_reason: Some(reason.to_owned()), ..ErrorDetails::default() };
    Refusal::invalid(format!("unauthorized: {what}"), "unauthorized").detailed(details)
}
