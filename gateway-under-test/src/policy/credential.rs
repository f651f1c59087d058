//! Shared secret, setup token and device token (reference, section 7; article profile, section 5).
//!
//! [`Presented::look`] holds what was sent against the gateway's own secret, before the device has proved its key;
//! [`decide`] tries the device's credentials where that was not enough. Neither changes a counter of the rate limit:
//! both say in [`Note`]s what has to change.

use base64::Engine as _;
use protocol::connect::{AuthParams, ClientInfo};
use protocol::error::DetailCode;
use protocol::{ClientId, ClientMode, ErrorDetails};
use sha2::{Digest as _, Sha256};

use super::attempt::DeviceAttempt;
use super::entry::{DeviceEntry, DeviceView};
use super::http_facts::HttpFacts;
use super::locality::Locality;
use super::rate_limit::{Client, Clients, Note, NoteKind, RateLimiter, Scope};
use super::refusal::Refusal;
use super::{Rules, device_proof, origin, scopes};
use crate::config::{AuthConfig, Secret, TrustedProxyAuth};
use crate::defect::Defect;
use crate::profile::{
    CredentialText, DetailLevel, IssueRule, RateLimitRule, SharedSecretField, TokenBinding, TokenMismatch,
    TrustedProxyRule,
};

/// How a client showed that it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Shared token.
    Token,
    /// Shared password.
    Password,
    /// A proxy that vouches for its users.
    TrustedProxy,
    /// Its own device token.
    DeviceToken,
    /// Mode `none`.
    None,
}

impl Method {
    /// Name in `hello.auth` and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::TrustedProxy => "trusted-proxy",
            Self::DeviceToken => "device-token",
            Self::None => "none",
        }
    }

    /// Whether it is the gateway's own secret.
    #[must_use]
    pub const fn is_shared_secret(self) -> bool {
        matches!(self, Self::Token | Self::Password)
    }
}

/// Why a credential is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No shared token.
    TokenMissing,
    /// Another shared token.
    TokenMismatch,
    /// No password.
    PasswordMissing,
    /// Another password.
    PasswordMismatch,
    /// A setup token that is not known.
    BootstrapTokenInvalid,
    /// Not the device's token.
    DeviceTokenMismatch,
    /// The device's token, with fewer scopes than asked.
    ScopeMismatch,
    /// Locked out.
    RateLimited,
    /// A proxy does not vouch; holds `authReason`.
    TrustedProxy(String),
}

impl Reason {
    /// `details.authReason`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenMismatch => "token_mismatch",
            Self::PasswordMissing => "password_missing",
            Self::PasswordMismatch => "password_mismatch",
            Self::BootstrapTokenInvalid => "bootstrap_token_invalid",
            Self::DeviceTokenMismatch => "device_token_mismatch",
            Self::ScopeMismatch => "scope_mismatch",
            Self::RateLimited => "rate_limited",
            Self::TrustedProxy(reason) => reason,
        }
    }

    fn code(&self) -> DetailCode {
        match self {
            Self::TokenMissing => DetailCode::AuthTokenMissing,
            Self::TokenMismatch => DetailCode::AuthTokenMismatch,
            Self::PasswordMissing => DetailCode::AuthPasswordMissing,
            Self::PasswordMismatch => DetailCode::AuthPasswordMismatch,
            Self::BootstrapTokenInvalid => DetailCode::AuthBootstrapTokenInvalid,
            Self::DeviceTokenMismatch => DetailCode::AuthDeviceTokenMismatch,
            Self::ScopeMismatch => DetailCode::AuthScopeMismatch,
            Self::RateLimited => DetailCode::AuthRateLimited,
            Self::TrustedProxy(_) => DetailCode::AuthUnauthorized,
        }
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::TokenMissing | Self::PasswordMissing => "update_auth_configuration",
            Self::TokenMismatch | Self::PasswordMismatch | Self::DeviceTokenMismatch => {
                "update_auth_credentials"
            }
            Self::RateLimited => "wait_then_retry",
            Self::BootstrapTokenInvalid | Self::ScopeMismatch | Self::TrustedProxy(_) => {
                "review_auth_configuration"
            }
        }
    }
}

/// Why a credential is not good, and until when it will not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// How long the lock lasts, milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after_ms: None }
    }
}

/// A credential of the device itself, and which field it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    token: Secret,
    explicit: bool,
}

/// What was presented, held against the gateway's own secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Presented {
    /// What mode and secret say.
    pub result: Result<Method, Failure>,
    /// Whether the secret itself is right, locked out or not.
    pub is_shared: bool,
    /// Whether a secret was sent, in either field.
    pub was_sent: bool,
    /// What all of this does to the rate limit so far.
    pub notes: Vec<Note>,
    /// A wrong secret that only counts if the device's credentials do not help (9.6).
    pending: Option<Note>,
    candidate: Option<Candidate>,
    bootstrap: Option<Secret>,
    clients: Clients,
    device_token_lock_ms: Option<u64>,
    bootstrap_lock_ms: Option<u64>,
    /// Who vouches for the user, in mode `trusted-proxy`.
    pub user: Option<String>,
}

/// Compares by hash, so that the time taken says nothing about the secret (2.22 does likewise).
fn same(left: &str, right: &str) -> bool {
    Sha256::digest(left) == Sha256::digest(right)
}

/// What counts as sent of a field.
fn sent(text: CredentialText, value: Option<&String>) -> Option<&str> {
    let value = value?.as_str();
    let value = match text {
        CredentialText::AsSent => value,
        CredentialText::Trimmed => value.trim(),
    };
    Some(value).filter(|value| !value.is_empty())
}

impl Presented {
    /// Looks at the credentials of a request.
    #[must_use]
    pub fn look(
        rules: &Rules,
        limiter: &RateLimiter,
        http: &HttpFacts,
        locality: &Locality,
        auth: &AuthParams,
        has_device: bool,
        now_ms: u64,
    ) -> Self {
        let profile = rules.profile;
        let field = |value: Option<&String>| sent(profile.credential_text, value).map(str::to_owned);
        let (token, password) = (field(auth.token.as_ref()), field(auth.password.as_ref()));
        let was_sent = token.is_some() || password.is_some();
        let clients = Clients::of(profile.rate_limit, http, locality);
        let candidate = has_device
            .then(|| {
                let explicit = profile.auth_keys.contains(&"deviceToken");
                field(auth.device_token.as_ref())
                    .filter(|_| explicit)
                    .map(|token| Candidate { token: Secret::new(token), explicit: true })
                    .or_else(|| {
                        let token = Secret::new(token.clone()?);
                        Some(Candidate { token, explicit: false })
                    })
            })
            .flatten();
        let bootstrap = field(auth.bootstrap_token.as_ref()).filter(|_| has_device).map(Secret::new);
        let lock = |scope, client: &Option<Client>| limiter.check(scope, client.as_ref(), now_ms);
        let mut presented = Self {
            result: Ok(Method::None),
            is_shared: false,
            was_sent,
            notes: Vec::new(),
            pending: None,
            device_token_lock_ms: lock(Scope::DeviceToken, &clients.beside_device),
            bootstrap_lock_ms: lock(Scope::BootstrapToken, &clients.beside_device),
            candidate,
            bootstrap,
            clients,
            user: None,
        };
        match &rules.auth {
            AuthConfig::None => {}
            AuthConfig::TrustedProxy(config) => {
                presented.ask_proxy(rules, http, locality, config, password.as_deref());
            }
            AuthConfig::Token(ours) => {
                let theirs = match profile.shared_secret {
                    SharedSecretField::OfMode => token,
                    SharedSecretField::Either => token.or(password),
                };
                let failures = (Reason::TokenMissing, Reason::TokenMismatch);
                let lock = presented.shared_lock(rules, limiter, now_ms);
                presented.compare(rules, ours, theirs.as_deref(), Method::Token, failures, lock);
            }
            AuthConfig::Password(ours) => {
                let theirs = match profile.shared_secret {
                    SharedSecretField::OfMode => password,
                    SharedSecretField::Either => password.or(token),
                };
                let failures = (Reason::PasswordMissing, Reason::PasswordMismatch);
                let lock = presented.shared_lock(rules, limiter, now_ms);
                presented.compare(rules, ours, theirs.as_deref(), Method::Password, failures, lock);
            }
        }
        presented
    }

    /// Who a shared secret is counted as: beside a credential of the device another one than alone.
    fn shared_client(&self) -> Option<&Client> {
        if self.candidate.is_some() {
            self.clients.beside_device.as_ref()
        } else {
            self.clients.alone.as_ref()
        }
    }

    fn shared_lock(&self, rules: &Rules, limiter: &RateLimiter, now_ms: u64) -> Option<u64> {
        // The newest release does not look where no secret was sent.
        let looks = rules.profile.rate_limit != RateLimitRule::Always || self.was_sent;
        limiter.check(Scope::SharedSecret, self.shared_client().filter(|_| looks), now_ms)
    }

    fn note(&mut self, kind: NoteKind) {
        if let Some(client) = self.shared_client().cloned() {
            self.notes.push(Note { kind, scope: Scope::SharedSecret, client });
        }
    }

    fn compare(
        &mut self,
        rules: &Rules,
        ours: &Secret,
        theirs: Option<&str>,
        method: Method,
        (missing, mismatch): (Reason, Reason),
        lock_ms: Option<u64>,
    ) {
        let rule = rules.profile.rate_limit;
        self.is_shared = theirs.is_some_and(|theirs| {
            same(ours.reveal(), theirs) || rules.defect == Some(Defect::AnySharedSecret)
        });
        // Older releases look at the lock of a secret beside a device token only once the secret is right.
        let looks = self.is_shared || self.candidate.is_none() || rule == RateLimitRule::Always;
        if let Some(retry_after_ms) = lock_ms.filter(|_| looks) {
            self.result = Err(Failure { reason: Reason::RateLimited, retry_after_ms: Some(retry_after_ms) });
            return;
        }
        if self.is_shared {
            self.note(NoteKind::Reset);
            self.result = Ok(method);
            return;
        }
        self.result = Err(if theirs.is_some() { mismatch } else { missing }.into());
        match (rule, theirs.is_some(), self.candidate.is_some()) {
            (RateLimitRule::Always, true, true) => {
                self.pending = self.clients.beside_device.clone().map(|client| Note {
                    kind: NoteKind::FailedAndDelayed,
                    scope: Scope::SharedSecret,
                    client,
                });
            }
            (RateLimitRule::Always, true, false) => self.note(NoteKind::FailedAndDelayed),
            (RateLimitRule::WhenConfigured { missing_counts, .. }, was_sent, false)
                if was_sent || missing_counts =>
            {
                self.note(NoteKind::Failed);
            }
            _ => {}
        }
    }

    fn ask_proxy(
        &mut self,
        rules: &Rules,
        http: &HttpFacts,
        locality: &Locality,
        config: &TrustedProxyAuth,
        password: Option<&str>,
    ) {
        let rule = rules.profile.trusted_proxy;
        match proxy_user(rules, http, config) {
            Ok(user) => {
                self.user = Some(user);
                self.result = Ok(Method::TrustedProxy);
                // What the proxy says is as good as the secret only since 3.13.
                self.is_shared = rule != TrustedProxyRule::DeviceNeeded;
            }
            Err(reason) => {
                let fallback = config
                    .password
                    .as_ref()
                    .filter(|_| rule == TrustedProxyRule::LoopbackNeedsLeave && locality.local)
                    .zip(password);
                match fallback {
                    Some((ours, theirs)) => {
                        let failures = (Reason::PasswordMissing, Reason::PasswordMismatch);
                        self.compare(rules, ours, Some(theirs), Method::Password, failures, None);
                    }
                    None => self.result = Err(Reason::TrustedProxy(reason).into()),
                }
            }
        }
    }

    /// What a refusal before the device's credentials were tried does to the rate limit.
    #[must_use]
    pub fn early_notes(&self) -> Vec<Note> {
        // The answer does not wait for these.
        let pending = self.pending.clone().map(|note| Note { kind: NoteKind::Failed, ..note });
        self.notes.iter().cloned().chain(pending).collect()
    }
}

/// The user that a proxy vouches for.
fn proxy_user(rules: &Rules, http: &HttpFacts, config: &TrustedProxyAuth) -> Result<String, String> {
    if rules.trusted_proxies.is_empty() {
        return Err("trusted_proxy_no_proxies_configured".to_owned());
    }
    if !rules.trusted_proxies.contains(http.peer) {
        return Err("trusted_proxy_untrusted_source".to_owned());
    }
    let needs_leave = rules.profile.trusted_proxy == TrustedProxyRule::LoopbackNeedsLeave;
    if needs_leave && http.peer.to_canonical().is_loopback() && !config.allow_loopback {
        return Err("trusted_proxy_loopback_source".to_owned());
    }
    let header = |name: &str| http.header(name).map(str::trim).filter(|value| !value.is_empty());
    if let Some(missing) = config.required_headers.iter().find(|name| header(name).is_none()) {
        return Err(format!("trusted_proxy_missing_header_{missing}"));
    }
    let user = header(&config.user_header).ok_or("trusted_proxy_user_missing")?;
    if !config.allow_users.is_empty() && !config.allow_users.iter().any(|allowed| allowed == user) {
        return Err("trusted_proxy_user_not_allowed".to_owned());
    }
    Ok(user.to_owned())
}

/// What the device's credentials came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// How it authenticated, or why it did not.
    pub result: Result<Method, Failure>,
    /// What the attempt does to the rate limit, all in all.
    pub notes: Vec<Note>,
}

/// Tries the credentials of a device that proved its key.
#[must_use]
pub fn decide(rules: &Rules, attempt: &DeviceAttempt, view: &DeviceView<'_>) -> Decided {
    let presented = &attempt.presented;
    let mut notes = presented.notes.clone();
    let mut result = presented.result.clone();
    let client = presented.clients.beside_device.as_ref();
    let note = |kind, scope| client.map(|client| Note { kind, scope, client: client.clone() });
    let is_limited = rules.profile.rate_limit == RateLimitRule::Always;
    let mut bootstrap_failed = None;
    if presented.bootstrap.is_some() && (result.is_err() || is_limited) {
        // No setup token was ever issued here: none is good.
        match presented.bootstrap_lock_ms.filter(|_| is_limited) {
            Some(ms) if result.is_err() => {
                result = Err(Failure { reason: Reason::RateLimited, retry_after_ms: Some(ms) });
            }
            Some(_) => {}
            None => {
                bootstrap_failed = note(NoteKind::Failed, Scope::BootstrapToken).filter(|_| is_limited);
                if result.is_err() {
                    result = Err(Reason::BootstrapTokenInvalid.into());
                }
            }
        }
    }
    if let (Err(failure), Some(candidate)) = (&result, &presented.candidate) {
        // Older releases do not try the device's token while its secret is locked out.
        let was_limited = failure.reason == Reason::RateLimited && !is_limited;
        if let Some(ms) = presented.device_token_lock_ms {
            result = Err(Failure { reason: Reason::RateLimited, retry_after_ms: Some(ms) });
        } else if !was_limited {
            match verify(rules, attempt, candidate.token.reveal(), view) {
                Ok(()) => {
                    notes.extend(note(NoteKind::Reset, Scope::DeviceToken));
                    result = Ok(Method::DeviceToken);
                }
                Err(mismatch) => {
                    notes.extend(note(NoteKind::Failed, Scope::DeviceToken));
                    result = Err(told(rules, mismatch, candidate.explicit, failure).into());
                }
            }
        }
    }
    if result.is_err() {
        notes.extend(presented.pending.clone());
        notes.extend(bootstrap_failed);
    }
    Decided { result, notes }
}

/// Why a device token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mismatch {
    Other,
    Scopes,
}

fn told(rules: &Rules, mismatch: Mismatch, explicit: bool, before: &Failure) -> Reason {
    match (rules.profile.token_mismatch, mismatch) {
        (TokenMismatch::AsDeviceToken, _) => Reason::DeviceTokenMismatch,
        (TokenMismatch::AsSharedOrScope, Mismatch::Scopes) => Reason::ScopeMismatch,
        (TokenMismatch::AsShared | TokenMismatch::AsSharedOrScope, _) if explicit => {
            Reason::DeviceTokenMismatch
        }
        (TokenMismatch::AsShared | TokenMismatch::AsSharedOrScope, _) => before.reason.clone(),
    }
}

fn verify(
    rules: &Rules,
    attempt: &DeviceAttempt,
    theirs: &str,
    view: &DeviceView<'_>,
) -> Result<(), Mismatch> {
    let profile = rules.profile;
    let entry = view.entry.ok_or(Mismatch::Other)?;
    let is_off = |by| rules.defect == Some(by);
    let of_any_role = || entry.tokens.values().find(|token| same(&token.token, theirs));
    let stored =
        if is_off(Defect::TokenOfAnotherRole) { of_any_role() } else { entry.tokens.get(&attempt.role) };
    let stored = stored.ok_or(Mismatch::Other)?;
    let bound = match profile.token_binding {
        TokenBinding::DeviceRole => true,
        TokenBinding::DeviceRoleKey => device_proof::normalized_key(&entry.public_key) == attempt.public_key,
        TokenBinding::DeviceRoleIssuer => is_issuer_current(rules, entry, stored.issuer()),
    };
    let revoked = stored.is_revoked() && !is_off(Defect::RevokedToken);
    let rotated = stored.rotated_at_ms.is_some() && is_off(Defect::OldTokenAfterRotation);
    let is_same = same(&stored.token, theirs) || rotated || is_off(Defect::AnyDeviceToken);
    if revoked || !is_same || !bound {
        return Err(Mismatch::Other);
    }
    let covers =
        |held: &[String], asked: &[String]| scopes::covers(profile.coverage, &attempt.role, held, asked);
    let within_approved = match profile.issue {
        IssueRule::AlwaysUnited | IssueRule::AlwaysAsked => true,
        IssueRule::WithinApproved | IssueRule::WithinApprovedRole => {
            entry.scope_baseline().is_some_and(|approved| covers(approved, &stored.scopes))
        }
    };
    let asked = match profile.issue {
        IssueRule::WithinApprovedRole => scopes::sorted_with_implied(&attempt.scopes),
        _ => attempt.scopes.clone(),
    };
    if within_approved && covers(&stored.scopes, &asked) { Ok(()) } else { Err(Mismatch::Scopes) }
}

/// Whether the shared secret is still that under which a browser's token was issued.
fn is_issuer_current(rules: &Rules, entry: &DeviceEntry, issuer: Option<&str>) -> bool {
    let current = generation(rules);
    match issuer {
        Some(issuer) => current.as_deref() == Some(issuer),
        None => current.is_none() || !entry.is_browser(),
    }
}

/// Names the shared secret that is in force, without telling it; `None` in mode `none`.
#[must_use]
pub fn generation(rules: &Rules) -> Option<String> {
    let material = match &rules.auth {
        AuthConfig::None => return None,
        AuthConfig::Token(secret) => format!("token\0{}", secret.reveal()),
        AuthConfig::Password(secret) => format!("password\0{}", secret.reveal()),
        AuthConfig::TrustedProxy(config) => format!("trusted-proxy\0{}", config.user_header),
    };
    Some(digest(&material))
}

/// SHA-256 as base64url.
#[must_use]
pub fn digest(text: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// The answer to a credential that is not good. `local` is whether the client is.
#[must_use]
pub fn refusal(
    rules: &Rules,
    failure: &Failure,
    auth: &AuthParams,
    client: &ClientInfo,
    has_device: bool,
    local: bool,
) -> Refusal {
    let profile = rules.profile;
    let message = message(profile.details, &failure.reason, client, local);
    let refusal = Refusal::invalid(message, "unauthorized");
    if profile.details == DetailLevel::Ids {
        return refusal;
    }
    let code = match &failure.reason {
        Reason::TrustedProxy(reason)
            if profile.details == DetailLevel::Hints
                && reason.starts_with("trusted_proxy_missing_header_") =>
        {
            DetailCode::from("AUTH_IDENTITY_HEADER_REQUIRED")
        }
        reason => reason.code(),
    };
    let mut details = ErrorDetails {
        code: Some(code),
        auth_reason: Some(failure.reason.as_str().to_owned()),
        ..ErrorDetails::default()
    };
    if profile.details >= DetailLevel::NextSteps {
        let is = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        let can_retry = failure.reason == Reason::TokenMismatch
            && has_device
            && is(&auth.token)
            && !is(&auth.password)
            && !is(&auth.device_token);
        details.can_retry_with_device_token = Some(can_retry);
        let step = if can_retry { "retry_with_device_token" } else { failure.reason.next_step() };
        details.recommended_next_step = Some(step.to_owned());
    }
    let mut refusal = refusal.detailed(details);
    if profile.details == DetailLevel::Hints
        && let Some(retry_after_ms) = failure.retry_after_ms
        && let Some(error) = &mut refusal.error
    {
        error.retryable = Some(true);
        error.retry_after_ms = Some(retry_after_ms);
    }
    refusal
}

fn message(level: DetailLevel, reason: &Reason, client: &ClientInfo, local: bool) -> String {
    let hints = level == DetailLevel::Hints;
    let is_cli = client.mode == ClientMode::Cli;
    let is_ui = client.id == ClientId::ControlUi
        || origin::is_webchat(client)
        || (hints && matches!(client.id, ClientId::Tui | ClientId::BrowserCopilot));
    let token_hint = match (is_cli, is_ui) {
        (true, _) if hints && local => "use this gateway's gateway.auth.token or pair the device",
        (true, _) => "set gateway.remote.token to match gateway.auth.token",
        (false, true) => "open the dashboard URL and paste the token in Control UI settings",
        (false, false) => "provide gateway auth token",
    };
    let password_hint = match (is_cli, is_ui) {
        (true, _) if hints && local => "use this gateway's gateway.auth.password",
        (true, _) => "set gateway.remote.password to match gateway.auth.password",
        (false, true) => "enter the password in Control UI settings",
        (false, false) => "provide gateway auth password",
    };
    let what = match reason {
        Reason::TokenMissing if hints && is_ui => {
            "gateway token missing (paste in Control UI settings or openclaw doctor --generate-gateway-token; \
             restart)"
                .to_owned()
        }
        Reason::TokenMissing => format!("gateway token missing ({token_hint})"),
        Reason::TokenMismatch => format!("gateway token mismatch ({token_hint})"),
        Reason::PasswordMissing => format!("gateway password missing ({password_hint})"),
        Reason::PasswordMismatch => format!("gateway password mismatch ({password_hint})"),
        Reason::BootstrapTokenInvalid if hints => {
            "setup code invalid, expired, revoked, or already used (create a new code; review `openclaw devices \
             list`)"
                .to_owned()
        }
        Reason::BootstrapTokenInvalid => {
            "bootstrap token invalid or expired (scan a fresh setup code)".to_owned()
        }
        Reason::DeviceTokenMismatch => "device token mismatch (rotate/reissue device token)".to_owned(),
        Reason::ScopeMismatch => "device token scope mismatch (re-pair or approve scope upgrade)".to_owned(),
        Reason::RateLimited => "too many failed authentication attempts (retry later)".to_owned(),
        Reason::TrustedProxy(_) => return "unauthorized".to_owned(),
    };
    format!("unauthorized: {what}")
}
