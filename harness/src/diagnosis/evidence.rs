//! What can be known of clients that do not get in, by people who stand outside the gateway: what clients sent and were
//! answered, what operators did and saw in lists, the gateway's configuration, its restarts and its log.
//!
//! A run, a log and a probe know different things: every field that one of them may lack is optional, and a rule that needs it
//! says that it is missing. Nothing here is a secret.
//!
//! | filled by | attempts | acts, entry, pending | configuration | log |
//! |---|---|---|---|---|
//! | a run | all | acts; the entry that the store held before the run | as the scenario declares it | no |
//! | a log (`pairstorm import`) | what the log says of each | those that were logged | no, or a file that was named | yes |
//! | a probe (`pairstorm probe`) | its own, at most five | what a list says, if it may ask | a file that was named | no |

use std::net::IpAddr;

use protocol::ProfileName;

use crate::vocabulary::Nanos;

/// Everything that is known of one gateway and those who connect to it. Times are nanoseconds since the evidence begins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The gateway.
    pub gateway: GatewayEvidence,
    /// Its clients, one for each device or, where no device is known, for each that can be told apart.
    pub clients: Vec<ClientEvidence>,
}

/// What is known of the gateway, whoever connects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GatewayEvidence {
    /// The release, or the nearest one that is known; decides which rules apply and which commands cure.
    pub release: Option<ProfileName>,
    /// Its own version, as it says it; may be one between the known releases.
    pub version: Option<String>,
    /// What of its configuration is known.
    pub config: ConfigEvidence,
    /// When it was started again, the time at which it served again.
    pub restarts: Vec<Nanos>,
    /// Lines of its log that concern nobody in particular, in order. Without secrets.
    pub log: Vec<LogLine>,
    /// Until when anything would have been seen.
    pub ends: Nanos,
}

/// Facts of `openclaw.json`; `None` = not known, which is not the same as empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigEvidence {
    /// `gateway.trustedProxies` as written.
    pub trusted_proxies: Option<Vec<String>>,
    /// `gateway.controlUi.allowedOrigins` as written.
    pub allowed_origins: Option<Vec<String>>,
    /// `gateway.auth.mode`.
    pub auth_mode: Option<String>,
    /// The state directory that the gateway serves, as far as it is known.
    pub state_dir: Option<String>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Nanos,
    /// The line, without secrets.
    pub text: String,
}

/// What is known of one device or client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientEvidence {
    /// What people call it: `cohort/index` in a run, the id or the address in a log, `this client` in a probe.
    pub name: String,
    /// Device id, if it shows a device.
    pub device_id: Option<String>,
    /// Its attempts in order of time.
    pub attempts: Vec<Attempt>,
    /// Attempts that were left out of the midst of a long list.
    pub left_out: u64,
    /// What operators did to it, in order of time.
    pub acts: Vec<Act>,
    /// The paired entry that the gateway lists; `Some(None)` = it was asked and lists none.
    pub entry: Option<Option<Entry>>,
    /// Requests of this device that wait, as listed; `None` = nobody looked.
    pub pending: Option<Vec<PendingEntry>>,
    /// Lines of the gateway's log that concern it, in order.
    pub log: Vec<LogLine>,
}

/// One attempt to connect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attempt {
    /// When it began; of a log, the first line about it.
    pub at: Nanos,
    /// When it was answered or ended.
    pub ended: Option<Nanos>,
    /// The address that the gateway sees as its peer.
    pub peer: Option<IpAddr>,
    /// Whether the upgrade carried forwarding headers, and which address they give for the client.
    pub forwarded: Option<Forwarded>,
    /// `Origin` header; `Some(None)` = known to be absent.
    pub origin: Option<Option<String>>,
    /// `client.id`, for example `cli` or `openclaw-ios`.
    pub client_id: Option<String>,
    /// `client.mode`.
    pub client_mode: Option<String>,
    /// Role asked; absent = `operator`.
    pub role: Option<String>,
    /// Scopes asked.
    pub scopes: Option<Vec<String>>,
    /// Platform claimed.
    pub platform: Option<String>,
    /// Device family claimed; `Some(None)` = known to be absent.
    pub device_family: Option<Option<String>>,
    /// Whether the connect had a device.
    pub device: Option<bool>,
    /// Whether it sent anything after the upgrade.
    pub sent: Option<bool>,
    /// What kind of credential it presented. Whether it was right is for the gateway to say.
    pub credential: Option<CredentialKind>,
    /// Whether the device token that it presented is the one that was handed out last, as far as anybody outside can know.
    pub newest_token: Option<bool>,
    /// How it ended.
    pub answer: Answer,
}

/// Forwarding headers of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// There were none.
    Absent,
    /// There were, with this text (of `X-Forwarded-For` or its like).
    Present(String),
}

/// What kind of credential a connect presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// None.
    Missing,
    /// A shared token or password.
    Shared,
    /// A device token.
    DeviceToken,
    /// A setup code.
    Bootstrap,
}

/// How an attempt ended, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Answer {
    /// Nobody knows.
    #[default]
    Unknown,
    /// hello-ok.
    Session {
        /// Scopes granted.
        scopes: Option<Vec<String>>,
    },
    /// An error frame, or a line of a log that tells of one.
    Refused(Box<RefusalSeen>),
    /// An HTTP status instead of 101.
    Http {
        /// Status.
        status: u16,
        /// First bytes of the body.
        body: String,
    },
    /// The connection ended without an answer.
    Closed {
        /// Close code; 1006 = without a close frame, 1005 = an empty one.
        code: u16,
        /// Close reason.
        reason: String,
        /// The upgrade was done: the gateway had been reached.
        upgraded: bool,
    },
    /// Nothing came in time.
    TimedOut {
        /// TCP was connected: something listens there.
        dialled: bool,
    },
    /// TCP said no.
    ConnectionRefused,
    /// No route, no name, no TLS, or another error of the network.
    Unreachable(String),
    /// Something answered that does not speak the protocol.
    NotAGateway(String),
}

/// A refusal as it was seen; a log knows less of it than its client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RefusalSeen {
    /// `error.code`
    pub code: Option<String>,
    /// `error.message`, or the text that the log gives.
    pub message: String,
    /// `error.details.code`
    pub detail_code: Option<String>,
    /// `error.details.reason`, or the reason of the log where the release does not tell the client.
    pub reason: Option<String>,
    /// `error.details.authReason`
    pub auth_reason: Option<String>,
    /// `error.details.requestId`
    pub request_id: Option<String>,
    /// `error.details.recommendedNextStep`
    pub next_step: Option<String>,
    /// `error.retryAfterMs`
    pub retry_after_ms: Option<u64>,
    /// `error.details.approvedScopes` (2026.9.6)
    pub approved_scopes: Option<Vec<String>>,
    /// `error.details.approvedRoles` (2026.9.6)
    pub approved_roles: Option<Vec<String>>,
    /// Close code that followed.
    pub close: Option<u16>,
}

/// Something that an operator did to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// When it was asked.
    pub at: Nanos,
    /// When it was answered.
    pub ended: Option<Nanos>,
    /// What.
    pub kind: ActKind,
    /// What the operator was told.
    pub end: ActEnd,
    /// Which store it went to, where that is known to be another than the gateway's or may be.
    pub state_dir: Option<String>,
}

/// What an operator can do to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActKind {
    /// Approved a request.
    Approve {
        /// The request.
        request_id: Option<String>,
    },
    /// Rejected a request.
    Reject,
    /// Removed the device.
    Remove,
    /// Rotated a token.
    Rotate {
        /// Its role.
        role: Option<String>,
        /// The scopes that were asked for it; `None` = unchanged or unknown.
        scopes: Option<Vec<String>>,
    },
    /// Revoked a token.
    Revoke {
        /// Its role.
        role: Option<String>,
    },
    /// Edited the store by hand.
    Edit {
        /// The scopes that the entry then had; `None` = the entry was taken out.
        scopes: Option<Vec<String>>,
    },
}

/// What an operator was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActEnd {
    /// It was done.
    Done,
    /// It was refused, with this text.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

/// A paired device as the gateway lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// When it was listed.
    pub at: Nanos,
    /// Approved roles.
    pub roles: Option<Vec<String>>,
    /// Approved scopes.
    pub scopes: Option<Vec<String>>,
    /// Pinned platform; `Some(None)` = the entry has none.
    pub platform: Option<Option<String>>,
    /// Pinned device family.
    pub device_family: Option<Option<String>>,
    /// Its tokens; `None` = not listed.
    pub tokens: Option<Vec<TokenEntry>>,
}

/// A token of a paired device as listed; never the token itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenEntry {
    /// Its role.
    pub role: String,
    /// Its scopes.
    pub scopes: Option<Vec<String>>,
    /// It was revoked.
    pub revoked: bool,
}

/// A waiting request as listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingEntry {
    /// Its id.
    pub request_id: String,
    /// Scopes that it asks.
    pub scopes: Option<Vec<String>>,
    /// Role that it asks.
    pub role: Option<String>,
}

impl Answer {
    /// Whether it is a session.
    #[must_use]
    pub const fn is_session(&self) -> bool {
        matches!(self, Self::Session { .. })
    }

    /// The class under which loops are told apart: the pairing reason, the details code, or a word. `None` = not known.
    #[must_use]
    pub fn class(&self) -> Option<String> {
        Some(match self {
            Self::Unknown => return None,
            Self::Session { .. } => "session".to_owned(),
            Self::Refused(refusal) => refusal.class(),
            Self::Http { status, .. } => format!("HTTP {status}"),
            Self::Closed { code, reason, .. } if reason.is_empty() => format!("closed {code}"),
            Self::Closed { code, reason, .. } => format!("closed {code} {reason}"),
            Self::TimedOut { .. } => "timed out".to_owned(),
            Self::ConnectionRefused => "connection refused".to_owned(),
            Self::Unreachable(_) => "unreachable".to_owned(),
            Self::NotAGateway(_) => "not a gateway".to_owned(),
        })
    }
}

impl RefusalSeen {
    /// The pairing reason, else the details code, else the message up to the first bracket.
    #[must_use]
    pub fn class(&self) -> String {
        if self.is_pairing() {
            return self.reason.clone().unwrap_or_else(|| "pairing required".to_owned());
        }
        match &self.detail_code {
            Some(code) => code.clone(),
            None => self.message.split(" (").next().unwrap_or_default().to_owned(),
        }
    }

    /// "pairing required", with or without a reason.
    #[must_use]
    pub fn is_pairing(&self) -> bool {
        self.detail_code.as_deref() == Some("PAIRING_REQUIRED")
            || self.message.starts_with("pairing required")
    }
}
