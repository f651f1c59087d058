//! What differs between gateways, as data.
//!
//! A release is one [`Profile`] value in `table`; the policy, the server and the store ask its fields and never its
//! name. The enums hold only the variants that some profile uses, so that adding a release shows every place that has to
//! learn something new. `docs/reference/profiles.md` says where each value was seen.

mod caller;
mod credentials;
mod faulty;
mod operators;
mod pairing;
mod refusals;
mod table;
mod wire;

use protocol::{PayloadVersion, ProfileName};

pub use caller::{
    CidrEntries, DevicelessRule, ForwardedChoice, KeptAddress, LocalityRule, OriginRule, RealIpRule,
};
pub use credentials::{
    CredentialText, RateLimitRule, SharedSecretField, TokenBinding, TokenMismatch, TrustedProxyRule,
    rate_limit_defaults,
};
pub use faulty::with_defect;
pub use operators::{
    AuthorityRule, CliRefused, LatestRule, LiveSessions, ManagementRule, RemoveRule, RotateRule,
};
pub use pairing::{
    AdmissionSteps, ApprovalRule, BareEntries, IssueRule, MetadataRule, PendingAge, PendingMerge,
    RefreshRule, RoleRule, ScopeCoverage, SilentRule, SkipPairing,
};
pub use refusals::{DetailLevel, SchemaStyle, Vocabulary};
pub use table::{ALL, ARTICLE, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};
pub use wire::{Announces, EventSeq, HelloAuthRule, HelloShape, HttpRule, Pipelining, Startup, StopRule};

/// One gateway behaviour.
#[derive(Debug, Clone)]
pub struct Profile {
    // Name and wire.
    /// Name in scenarios and on the command line.
    pub name: ProfileName,
    /// `server.version` in hello.
    pub version: &'static str,
    /// Protocol spoken.
    pub protocol: u32,
    /// Older protocol that nodes and probes may still speak; hello says [`Profile::protocol`] all the same.
    pub older_protocol: Option<u32>,
    /// `capabilities` of the challenge; empty = no such key.
    pub challenge_capabilities: &'static [&'static str],
    /// Time from the upgrade to an accepted `connect`, milliseconds.
    pub handshake_timeout_ms: u64,
    /// Largest message before hello, bytes; `None` = [`Profile::max_payload`].
    pub preauth_bytes_max: Option<usize>,
    /// Sockets of one client address that may be open before their hello.
    pub preauth_sockets_max: Option<usize>,
    /// What happens to messages that arrive while a `connect` is in progress.
    pub pipelining: Pipelining,
    /// Build of the control UI that is served; one that comes with another is told to reload.
    pub control_ui_build: Option<&'static str>,
    /// `policy.maxPayload`: largest message after hello, bytes.
    pub max_payload: usize,
    /// `policy.maxBufferedBytes`: a session with more than this waiting to be sent is closed, bytes.
    pub max_buffered_bytes: usize,
    /// `policy.tickIntervalMs`.
    pub tick_interval_ms: u64,
    /// What a gateway answers between opening its port and being ready.
    pub startup: Startup,
    /// What SIGTERM does to sockets and upgrades.
    pub stop: StopRule,
    /// What plain HTTP requests get.
    pub http: HttpRule,
    /// Which counter numbers events.
    pub event_seq: EventSeq,
    /// What `hello.auth` holds.
    pub hello_auth: HelloAuthRule,
    /// Which keys hello has beside those that every gateway sends.
    pub hello: HelloShape,
    /// What sessions are told when somebody connects.
    pub announces: Announces,
    /// How long the port stays open after SIGTERM to refuse upgrades, milliseconds.
    pub stop_ms: u64,

    // Shapes of messages and refusals.
    /// Texts of the validator.
    pub schema: SchemaStyle,
    /// Names and keys that a `connect` may use.
    pub vocabulary: Vocabulary,
    /// Keys that `auth` may have.
    pub auth_keys: &'static [&'static str],
    /// How much a refusal says beside its message.
    pub details: DetailLevel,
    /// The text for a control UI without device.
    pub control_ui_without_device: &'static str,

    // Who is calling.
    /// Largest accepted distance of `signedAt` from the gateway's clock, milliseconds.
    pub skew_ms: u64,
    /// Signature payloads that are accepted, in the order tried. [`PayloadVersion::V1`] stands for local clients that
    /// send no nonce, and is tried for nobody else.
    pub payload_versions: &'static [PayloadVersion],
    /// Which `X-Forwarded-For` entry names the client.
    pub forwarded: ForwardedChoice,
    /// Whether `X-Real-IP` of a trusted proxy counts without `gateway.allowRealIpFallback`.
    pub real_ip: RealIpRule,
    /// What a CIDR entry of `gateway.trustedProxies` does.
    pub cidr: CidrEntries,
    /// Who is local, and what becomes of clients whose address cannot be told.
    pub locality: LocalityRule,
    /// Which address of a client is kept with its requests.
    pub kept_address: KeptAddress,
    /// Whose `Origin` is looked at, and which are good.
    pub origin: OriginRule,
    /// Who may connect without a device.
    pub deviceless: DevicelessRule,

    // Credentials.
    /// What counts as a credential that was sent.
    pub credential_text: CredentialText,
    /// Fields that the shared secret is looked for in.
    pub shared_secret: SharedSecretField,
    /// What is said of a device with a wrong `auth.token`.
    pub token_mismatch: TokenMismatch,
    /// Rate limit of failed credentials.
    pub rate_limit: RateLimitRule,
    /// Who may use `gateway.auth.mode = "trusted-proxy"`.
    pub trusted_proxy: TrustedProxyRule,
    /// What a device token is bound to.
    pub token_binding: TokenBinding,

    // Pairing.
    /// When held scopes cover asked ones.
    pub coverage: ScopeCoverage,
    /// How stored metadata binds a device.
    pub metadata: MetadataRule,
    /// Which roles of an entry count.
    pub roles: RoleRule,
    /// What an entry without roles or scopes gets.
    pub bare_entries: BareEntries,
    /// Who is approved without an operator.
    pub silent: SilentRule,
    /// Who is let in without a look at the entry.
    pub skip_pairing: SkipPairing,
    /// What a changed ask does to a waiting request.
    pub pending_merge: PendingMerge,
    /// Age at which a pending request is gone, milliseconds.
    pub pending_ttl_ms: u64,
    /// From when a request's age counts, and whether the last millisecond is in.
    pub pending_age: PendingAge,
    /// Whether a connect is judged and recorded in one step.
    pub admission: AdmissionSteps,
    /// What an approval puts into the entry and its tokens.
    pub approval: ApprovalRule,
    /// What an accepted connect writes into the entry.
    pub refresh: RefreshRule,
    /// When the token of a connect is issued, and with which scopes.
    pub issue: IssueRule,

    // Operators' calls.
    /// What an RPC without the needed scope gets, and which scopes imply others there.
    pub authority: AuthorityRule,
    /// What else an approver, rejecter, remover or rotater must be.
    pub management: ManagementRule,
    /// What rotating to scopes beyond the entry's does.
    pub rotate: RotateRule,
    /// What removing, rotating or revoking does to sessions of the device.
    pub live_sessions: LiveSessions,
    /// Whether removing a device drops its waiting request too.
    pub remove: RemoveRule,
    /// What `devices approve --latest` does.
    pub latest: LatestRule,
    /// What `devices` says when it is refused.
    pub cli_refused: CliRefused,
    /// What `devices` asks for when it connects, in the order sent.
    pub cli_scopes: &'static [&'static str],

    // Store.
    /// Where devices are kept and when they are read.
    pub store: StoreKind,
}

/// Where devices are kept and when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// JSON files, read at start and on SIGHUP (article).
    JsonLoaded,
    /// JSON files, looked at before every operation (2.19 to 3.13).
    JsonReread,
    /// A SQLite database, looked at before every operation (9.6).
    Sqlite,
}

/// The profile of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().copied().find(|profile| profile.name.as_str() == name)
}

/// The names of all profiles, joined for messages.
#[must_use]
pub fn names() -> String {
    ALL.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
}
