//! What a probe saw, look by look.

use std::net::SocketAddr;

use serde_json::Value;

use super::http::HttpSeen;
use super::tls::Certificate;
use crate::observation::{CloseSeen, Outcome, Phase};

/// One way of looking. Only the last four send a `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Look {
    /// Asks over HTTP how the gateway is.
    Health,
    /// Opens a WebSocket, waits for the challenge and leaves without answering.
    Challenge,
    /// Presents the shared token or password, without a device and without asking for a scope: nothing is stored.
    Credential,
    /// Says what a browser says that loaded a page from an origin, without a device: nothing is stored.
    Page,
    /// Presents the device's own token, and asks for no more than the device holds: without a valid one it is refused before
    /// anything is stored.
    Device,
    /// Shows a device that was never seen.
    NewDevice,
}

impl Look {
    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Challenge => "challenge",
            Self::Credential => "credential",
            Self::Device => "device",
            Self::NewDevice => "new-device",
            Self::Page => "page",
        }
    }
}

/// Why a look saw nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The name has no address.
    NoAddress(String),
    /// TLS.
    Tls(TlsFailed),
    /// The gateway, or whoever is there, ended it.
    Ended(Outcome),
    /// Five connections were made.
    NoneLeft,
}

/// Why there is no TLS session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailed {
    /// Whoever is there speaks something else.
    NotTls,
    /// The certificate.
    Untrusted(Certificate),
    /// Something else, in the library's words.
    Other(String),
}

/// What came before an answer was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeSeen {
    /// It names capabilities, as 2026.9.6 does.
    pub capabilities: bool,
    /// The gateway's clock less this machine's, milliseconds.
    pub ahead_ms: i64,
}

/// What a `connect` was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// How it ended.
    pub outcome: Outcome,
    /// `error.retryAfterMs`
    pub retry_after_ms: Option<u64>,
    /// `error.details.approvedScopes` (2026.9.6)
    pub approved_scopes: Option<Vec<String>>,
    /// `error.details.approvedRoles` (2026.9.6)
    pub approved_roles: Option<Vec<String>>,
    /// `server.version` of hello-ok.
    pub version: Option<String>,
    /// `snapshot.authMode` of hello-ok.
    pub auth_mode: Option<String>,
    /// `snapshot.stateDir` of hello-ok.
    pub state_dir: Option<String>,
    /// It issued another device token than was presented.
    pub new_token: bool,
}

impl Answered {
    /// An answer that says nothing but this.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            retry_after_ms: None,
            approved_scopes: None,
            approved_roles: None,
            version: None,
            auth_mode: None,
            state_dir: None,
            new_token: false,
        }
    }

    /// Whether it is a session.
    #[must_use]
    pub const fn is_session(&self) -> bool {
        matches!(self.outcome, Outcome::Session(_))
    }

    /// `details.code` of a refusal, else what its message means where releases send none.
    #[must_use]
    pub fn code(&self) -> &str {
        let Outcome::Refused(refusal) = &self.outcome else { return "" };
        if let Some(code) = &refusal.detail_code {
            return code;
        }
        let message = refusal.message.as_str();
        let known = [
            ("pairing required", "PAIRING_REQUIRED"),
            ("device identity required", "DEVICE_IDENTITY_REQUIRED"),
            ("control ui requires", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
            ("origin not allowed", "CONTROL_UI_ORIGIN_NOT_ALLOWED"),
            ("unauthorized: device token mismatch", "AUTH_DEVICE_TOKEN_MISMATCH"),
            ("unauthorized: gateway token mismatch", "AUTH_TOKEN_MISMATCH"),
            ("unauthorized: gateway password mismatch", "AUTH_PASSWORD_MISMATCH"),
            ("unauthorized: gateway token missing", "AUTH_TOKEN_MISSING"),
            ("unauthorized: gateway password missing", "AUTH_PASSWORD_MISSING"),
            ("unauthorized: too many failed", "AUTH_RATE_LIMITED"),
            ("protocol mismatch", "PROTOCOL_MISMATCH"),
            ("device signature expired", "DEVICE_AUTH_SIGNATURE_EXPIRED"),
        ];
        known.iter().find(|(begin, _)| message.starts_with(begin)).map_or("", |(_, code)| code)
    }
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The address that answered.
    pub peer: Option<SocketAddr>,
    /// The certificate that was shown.
    pub certificate: Option<Certificate>,
    /// [`Look::Health`]
    pub health: Option<Result<HttpSeen, Failed>>,
    /// [`Look::Challenge`]
    pub challenge: Option<Result<ChallengeSeen, Failed>>,
    /// [`Look::Credential`]
    pub credential: Option<Result<Answered, Failed>>,
    /// [`Look::Device`]
    pub device: Option<Result<Answered, Failed>>,
    /// [`Look::NewDevice`]
    pub new_device: Option<Result<Answered, Failed>>,
    /// [`Look::Page`]
    pub page: Option<Result<Answered, Failed>>,
}

impl Seen {
    /// The answers to connects, in the order in which they are made.
    #[must_use]
    pub const fn answers(&self) -> [(Look, &Option<Result<Answered, Failed>>); 4] {
        [
            (Look::Credential, &self.credential),
            (Look::Page, &self.page),
            (Look::Device, &self.device),
            (Look::NewDevice, &self.new_device),
        ]
    }

    /// What a session said of the gateway, of whichever there was.
    pub fn told<T>(&self, what: impl Fn(&Answered) -> Option<T>) -> Option<T> {
        self.answers().into_iter().find_map(|(_, answer)| what(answer.as_ref()?.as_ref().ok()?))
    }
}

/// What hello-ok says of the gateway, beside its grant.
pub(super) fn read_hello(message: &[u8], presented: Option<&str>, answered: &mut Answered) {
    let Ok(frame) = serde_json::from_slice::<Value>(message) else { return };
    let Some(payload) = frame.get("payload") else { return };
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).map(|text| super::http::text(text.as_bytes(), 200))
    };
    answered.version = text(payload.pointer("/server/version"));
    answered.auth_mode = text(payload.pointer("/snapshot/authMode"));
    answered.state_dir = text(payload.pointer("/snapshot/stateDir"));
    let issued = payload.pointer("/auth/deviceToken").and_then(Value::as_str);
    answered.new_token = issued.is_some() && issued != presented;
}

/// What a refusal of 2026.9.6 says beside what every refusal says.
pub(super) fn read_refusal(message: &[u8], answered: &mut Answered) {
    let Ok(frame) = serde_json::from_slice::<Value>(message) else { return };
    let texts = |at: &str| {
        let list = frame.pointer(at)?.as_array()?;
        let texts = list.iter().filter_map(Value::as_str).take(32);
        Some(texts.map(|text| super::http::text(text.as_bytes(), 80)).collect())
    };
    answered.approved_scopes = texts("/error/details/approvedScopes");
    answered.approved_roles = texts("/error/details/approvedRoles");
    answered.retry_after_ms = frame.pointer("/error/retryAfterMs").and_then(Value::as_u64);
}

/// How an outcome reads, in half a sentence.
#[must_use]
pub fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Session(grant) => match &grant.auth {
            Some(auth) if !auth.scopes.is_empty() => {
                format!("a session as {} with {}", auth.role, auth.scopes.join(", "))
            }
            Some(auth) => format!("a session as {} without scopes", auth.role),
            None => "a session".to_owned(),
        },
        Outcome::Refused(refusal) => {
            let reason =
                refusal.reason.as_deref().map(|reason| format!(", reason {reason}")).unwrap_or_default();
            let code =
                refusal.detail_code.as_deref().map(|code| format!(" ({code}{reason})")).unwrap_or_default();
            {
                let close = match &refusal.close {
                    // What was just said is not said again.
                    Some(CloseSeen::Frame { code, reason }) if *reason == refusal.message => {
                        format!(", close {code}")
                    }
                    other => close(other.as_ref()),
                };
                format!("`{}`{code}{close}", clean(&refusal.message))
            }
        }
        Outcome::UpgradeRefused { status, body } => {
            format!("HTTP {status} instead of a WebSocket: `{}`", clean(body))
        }
        Outcome::Closed(closed) => {
            format!(
                "closed before an answer{} (waiting for the {})",
                close(Some(&closed.close)),
                closed.phase.as_str()
            )
        }
        Outcome::TimedOut { phase } => format!("nothing in time ({})", waiting(*phase)),
        Outcome::ConnectionRefused => "connection refused".to_owned(),
        Outcome::Unreachable { error } => clean(error),
        Outcome::NotAGateway { what } => clean(what),
        Outcome::Dropped(_) => "not tried".to_owned(),
    }
}

fn waiting(phase: Phase) -> &'static str {
    match phase {
        Phase::Dial => "no TCP connection",
        Phase::Upgrade => "TCP connects, then silence: no TLS or HTTP answer",
        Phase::Challenge => "upgraded, then no challenge",
        Phase::Verdict => "no answer to `connect`",
        Phase::Close => "no close after the answer",
    }
}

fn close(close: Option<&CloseSeen>) -> String {
    match close {
        Some(CloseSeen::Frame { code, reason }) if reason.is_empty() => format!(", close {code}"),
        Some(CloseSeen::Frame { code, reason }) => format!(", close {code} `{}`", clean(reason)),
        Some(CloseSeen::Abrupt) => ", without a close frame (1006)".to_owned(),
        None => String::new(),
    }
}

/// A peer's text on a person's terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    super::http::text(text.as_bytes(), 240)
}
