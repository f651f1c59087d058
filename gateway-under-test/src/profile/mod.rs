//! What differs between gateways, as data.
//!
//! A release is one [`Profile`] value in `table`; the policy, the server and the store ask its fields and never its
//! name. The enums hold only the variants that some profile uses, so that adding a release shows every place that has to
//! learn something new. `docs/reference/profiles.md` says where each value was seen.

mod faulty;
mod table;

use protocol::{PayloadVersion, ProfileName};

pub use faulty::with_defect;
pub use table::{ALL, ARTICLE, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};

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

/// What happens to messages that arrive while a `connect` is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipelining {
    /// They wait in the socket until hello (article).
    AfterHello,
    /// Each is handled at once, as if it were the first (2.19 to 3.13).
    Concurrent,
    /// They wait in a queue; one more than `max` closes 1008 `too many pending handshake frames` (9.6).
    Queued {
        /// Messages that may wait.
        max: usize,
    },
}

/// What a gateway answers between opening its port and being ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// It opens its port when it is ready.
    Ready,
    /// A connect that is not a paired node's gets `UNAVAILABLE` and close 1013 (9.6).
    Refuses {
        /// How long it lasted on the real one, milliseconds.
        typical_ms: u64,
        /// `retryAfterMs` of the answer.
        retry_after_ms: u64,
    },
}

/// What SIGTERM does to sockets and upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRule {
    /// `restartExpectedMs: null`, sockets before hello are dropped, upgrades get 503 `Service Unavailable`.
    DropsHandshakes,
    /// No `restartExpectedMs`, upgrades get 503 `Gateway websocket admission closed`. Sockets before hello get 1012 after a
    /// while; until then a connect gets `UNAVAILABLE` and close 1013 (9.6).
    ClosesHandshakes {
        /// How long the while was on the real one, milliseconds.
        after_ms: u64,
    },
}

/// What plain HTTP requests get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRule {
    /// Health paths and metrics; anything else 404 (article).
    HealthAndMetrics,
    /// The control UI on every path (2.19, 2.21).
    ControlUi,
    /// Likewise, but not for files (2.22).
    ControlUiNoFiles,
    /// The control UI, but not for files and calls, and health paths; other methods find nothing (3.13, 9.6).
    ControlUiAndHealth,
}

/// Which counter numbers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSeq {
    /// One for the whole gateway (2.19 to 3.13).
    Gateway,
    /// One a session, from 1 (9.6).
    Session,
}

/// What `hello.auth` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloAuthRule {
    /// The device token with *its* scopes; absent if none was issued.
    DeviceToken,
    /// Always there: how it authenticated and the *session's* scopes, in the order asked; the token if one was issued (9.6).
    Session,
}

/// Which keys hello has beside those that every gateway sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloShape {
    /// None (article).
    Bare,
    /// `server.host`, `canvasHostUrl` (2.19, 2.21).
    HostAndCanvas,
    /// `canvasHostUrl` (2.22, 3.13).
    Canvas,
    /// Build, boot, capabilities, what plugins add, attachments and sharing (9.6).
    V4,
}

/// What sessions are told when somebody connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announces {
    /// Nothing (article).
    Nothing,
    /// All are told a fresh `health`; a node is told the words that wake it (2.19 to 3.13).
    Health,
    /// Readers are told who is there, all are told `health` once a minute, operators are told of a node that wants its
    /// commands approved; a node is told the words that wake it and where they lead (9.6).
    PresenceAndNodes,
}

/// Texts of the validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaStyle {
    /// All errors, joined by `; ` (ajv; 2.19 to 3.13).
    AllErrors,
    /// One error a keyword: of several missing or unexpected keys only the first is named (9.6).
    FirstOfEachKeyword,
}

/// Names and keys that a `connect` may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// Before protocol 4; the device's nonce may be absent where v1 is accepted.
    V3,
    /// With the client ids, modes and keys of 9.6.
    V4,
}

/// How much a refusal says beside its message. Each level holds all of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DetailLevel {
    /// `requestId` and `expectedProtocol`, nothing else (2.19, 2.21).
    Ids,
    /// `code`, `reason`, `authReason`; one code for all device errors (2.22, article).
    Codes,
    /// A code a device error, `recommendedNextStep`, `canRetryWithDeviceToken`, a code for origins (3.13).
    NextSteps,
    /// Hints, what is asked and what is approved; messages with the requirement; a code for protocols (9.6).
    Hints,
}

/// Which `X-Forwarded-For` entry names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedChoice {
    /// The leftmost, whatever it is (2.19).
    Leftmost,
    /// The rightmost that is no trusted proxy; an entry that is no address makes the client unknown (article).
    RightmostUntrusted,
    /// The rightmost address that is no trusted proxy; entries that are no address are passed over (2.21 to 3.13).
    RightmostUntrustedAddress,
    /// As before, and loopback addresses are passed over too (9.6).
    RightmostUntrustedRemote,
}

/// Whether `X-Real-IP` of a trusted proxy counts without `gateway.allowRealIpFallback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealIpRule {
    /// Yes (2.19).
    Always,
    /// Only with that setting.
    WhenAllowed,
}

/// What a CIDR entry of `gateway.trustedProxies` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CidrEntries {
    /// It never matches, and nobody is told (article).
    NeverMatch,
    /// It matches IPv4 addresses (2.19 to 2.22).
    MatchV4,
    /// It matches (3.13, 9.6).
    Match,
    /// It matches whatever has the same two first bytes: no release, a defect.
    TooWide,
}

/// Who is local, and what becomes of clients whose address cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalityRule {
    /// Loopback client and a `Host` of `localhost`, 127.0.0.1, `::1` or `*.ts.net`, and no forwarding header unless from
    /// a trusted proxy; whoever cannot be attributed is remote (2.19, 2.21).
    NamedHost,
    /// Likewise with any loopback address as `Host` (2.22, 3.13, article).
    LoopbackHost,
    /// A loopback peer without forwarding headers is local, whatever its `Host`; forwarding headers that cannot be
    /// attributed are refused with HTTP 403 (9.6).
    DirectOrAttributed,
}

/// Which address of a client is kept with its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptAddress {
    /// That of every client that is not local (article).
    NotLocal,
    /// Likewise, but no loopback address, and none where an untrusted peer forwards (2.19 to 9.6).
    NotLoopback,
}

/// What counts as a credential that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialText {
    /// Any text with a character, as it stands (2.19, 2.21, article).
    AsSent,
    /// White space around it is cut, and nothing else is none (2.22 on).
    Trimmed,
}

/// What a device token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenBinding {
    /// Device, role, and the key of the entry (article).
    DeviceRoleKey,
    /// Device and role (2.19 to 3.13).
    DeviceRole,
    /// Likewise; a browser's also to the shared secret under which it was issued (9.6).
    DeviceRoleIssuer,
}

/// Whose `Origin` is looked at, and which are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginRule {
    /// Control UI and mode web chat; the `Host`'s own, default ports filled in, and loopback on loopback (article).
    BrowsersSamePort,
    /// Control UI and web chat; the `Host`'s own as it stands, and loopback on loopback (2.19 to 2.22).
    BrowsersSameHost,
    /// Also everybody who sends one; listed ones, and loopback for local clients (3.13).
    AnyoneListed,
    /// Also everybody who sends one; listed ones, a private `Host`'s own, and loopback for local clients (9.6).
    AnyonePrivateHost,
}

/// Who may connect without a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicelessRule {
    /// Any role with the shared secret; its scopes are dropped (2.19, 2.21).
    AnyRole,
    /// Operators with the shared secret; their scopes are dropped (2.22, 3.13).
    Operators,
    /// Likewise, but local command lines and helpers keep their scopes (9.6).
    OperatorsLocalKeepScopes,
}

/// Fields that the shared secret is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedSecretField {
    /// That of the mode (2.19 to 3.13).
    OfMode,
    /// That of the mode, else the other one (9.6).
    Either,
}

/// What is said of a device with a wrong `auth.token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMismatch {
    /// `device token mismatch`, always (2.19, 2.21).
    AsDeviceToken,
    /// `gateway token mismatch`, unless `auth.deviceToken` was sent (2.22, 3.13, article).
    AsShared,
    /// Likewise, and a device token that is only too narrow is told apart (9.6).
    AsSharedOrScope,
}

/// Rate limit of failed credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitRule {
    /// There is none (article).
    Never,
    /// Only if `gateway.auth.rateLimit` is set (2.19 to 3.13).
    WhenConfigured {
        /// Whether a missing credential of a client without device counts as a failure.
        missing_counts: bool,
        /// Whether an `Origin` header makes a loopback client one that is never exempt.
        browsers_apart: bool,
    },
    /// On by default; exempt loopback clients are delayed; browsers are counted by `Origin`; the answer says how long (9.6).
    Always,
}

/// Numbers of the rate limit where it is on and `gateway.auth.rateLimit` does not say otherwise.
pub mod rate_limit_defaults {
    /// Failures that lock.
    pub const MAX_ATTEMPTS: u32 = 10;
    /// Window in which they count, milliseconds.
    pub const WINDOW_MS: u64 = 60_000;
    /// How long the lock lasts, milliseconds.
    pub const LOCKOUT_MS: u64 = 300_000;
}

/// Who may use `gateway.auth.mode = "trusted-proxy"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxyRule {
    /// The mode is unknown (article).
    Unknown,
    /// Whoever comes from a trusted proxy with a user; a device is needed (2.19 to 2.22).
    DeviceNeeded,
    /// Likewise, but a control UI as operator needs neither device nor pairing (3.13).
    ControlUiAlone,
    /// Likewise, and loopback proxies need `allowLoopback`; a command line may come without a device (9.6).
    LoopbackNeedsLeave,
}

/// When held scopes cover asked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeCoverage {
    /// Plain set inclusion: nothing implies anything (2.19, article).
    Inclusion,
    /// `operator.read` is covered by read, write and admin; the rest is inclusion (2.21).
    ReadImplied,
    /// Admin covers every `operator.*`, write covers read (2.22, 3.13).
    AdminCoversOperator,
    /// Likewise; write also covers talk and sessions; a scope of another role is never covered (9.6).
    OwnRoleOnly,
}

/// How stored metadata binds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRule {
    /// A stored value must be claimed again; an entry without any is refused until a load finds a request of the
    /// device waiting (article).
    PinnedLegacyRepairedByLoad,
    /// Never compared; overwritten (2.19 to 2.22).
    Overwritten,
    /// A stored value must be claimed again (3.13).
    Pinned,
    /// Likewise, but new versions of an app's system and aliases of a node's are the same (9.6).
    PinnedWithAliases,
}

/// Which roles of an entry count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleRule {
    /// The approved ones.
    Approved,
    /// The approved ones that have an unrevoked token (9.6).
    WithToken,
}

/// What an entry without roles or scopes gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareEntries {
    /// What the checks say (2.19, article, 9.6).
    Checked,
    /// With neither `roles` nor `scopes`: no check of both (2.21).
    LetIn,
    /// `approvedScopes` stands in for absent `scopes` (2.22, 3.13).
    ApprovedStandsIn,
}

/// Who is approved without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilentRule {
    /// Local clients that are not paired, and nobody else (2.19, 2.21, article).
    LocalNotPaired,
    /// Local clients that are not paired or ask for more scopes (2.22).
    LocalNotPairedOrScope,
    /// Likewise, but with an `Origin` only control UI and web chat (3.13).
    LocalNotPairedOrScopeNoBrowser,
    /// Likewise; scopes only with shared secret or none, also new roles of operators, and an app's new metadata (9.6).
    NearLocal,
}

/// Who is let in without a look at the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipPairing {
    /// Nobody (2.19, 2.21, article).
    Nobody,
    /// Operators with the shared secret who are no browser (2.22).
    SharedOperators,
    /// Local helpers of the gateway with the shared secret (3.13).
    LocalHelpers,
    /// Local helpers by any credential, and control UIs in mode `none` (9.6).
    LocalHelpersAndOpenControlUi,
}

/// What a changed ask does to a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingMerge {
    /// Nothing: the first ask stays as it is (2.19).
    Frozen,
    /// Same id; roles and scopes grow to the union, the newest ask's role and metadata stand (article).
    Union,
    /// Same id; roles and scopes grow to the union, the first ask's role stands (2.21 to 3.13).
    UnionFirstRole,
    /// Same id while the ask is covered; a wider one replaces it under a new id, the old one is resolved (9.6).
    NewIdIfWider,
}

/// From when a request's age counts, and whether the last millisecond is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingAge {
    /// From `ts`; gone when as old as the limit (article).
    FromTsExclusive,
    /// From `ts`, which the merge rule refreshes or not; gone when older than the limit (2.19 to 3.13).
    FromTs,
    /// From the latest ask, which is kept beside `ts` and not shown; gone when older than the limit (9.6).
    FromLatestAsk,
}

/// Whether a connect is judged and recorded in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionSteps {
    /// One atomic step (article).
    Atomic,
    /// Judged on the entry, then recorded: what an operator approved between the two is not looked at (2.19 to 3.13).
    JudgeThenRecord,
    /// Judged, recorded, and judged again on the live entry before it is refused (9.6).
    JudgeRecordJudge,
}

/// What an approval puts into the entry and its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalRule {
    /// A token for every asked role, with all approved scopes; none for nodes (article).
    TokenPerRoleAllScopes,
    /// A token for the request's role, with its scopes; the entry gets no `approvedScopes` (2.19).
    RequestedScopes,
    /// Likewise, with `approvedScopes` (2.21).
    RequestedScopesKept,
    /// Likewise; a request without scopes keeps the old token's, else gets the approved ones (2.22, 3.13).
    RequestedOrHeldScopes,
    /// A token for every asked role: the old token's scopes and what is new; scopes of other roles cannot be approved (9.6).
    TokenPerRoleDelta,
}

/// What an accepted connect writes into the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRule {
    /// Nothing (article).
    Nothing,
    /// Names, platform, client, role, address; asked scopes and roles join the entry's (2.19 to 2.22).
    ClientAndAccess,
    /// Likewise, but not platform and family (3.13).
    Access,
    /// Name, address and when it was last seen (9.6).
    LastSeen,
}

/// When the token of a connect is issued, and with which scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueRule {
    /// Always; a new one unites asked scopes with those of the unrevoked old one (article).
    AlwaysUnited,
    /// Always; a new one has the asked scopes (2.19 to 2.22).
    AlwaysAsked,
    /// Only within the entry's approved scopes (3.13).
    WithinApproved,
    /// Likewise, only for approved roles; admin and write hold what they imply (9.6).
    WithinApprovedRole,
}

/// What an RPC without the needed scope gets, and which scopes imply others there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityRule {
    /// `INVALID_REQUEST`; nothing implies anything; `health` is free (article).
    Exact,
    /// `INVALID_REQUEST`; admin may do all, write covers read; `health` needs read (2.19).
    AdminAllHealthScoped,
    /// Likewise, `health` is free (2.21 to 3.13).
    AdminAll,
    /// `FORBIDDEN` with details; admin may do all, write covers read; `health` is free (9.6).
    AdminAllForbidden,
}

/// What else an approver, rejecter, remover or rotater must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementRule {
    /// Nothing: `operator.pairing` is enough.
    PairingScope,
    /// Likewise, but a rotater must hold the scopes that it grants (3.13).
    RotatesWhatItHolds,
    /// The caller's scopes must cover what it grants, other roles need admin, and who came by a device token and is
    /// no admin manages only its own device (9.6).
    CoveredAndOwn,
}

/// What rotating to scopes beyond the entry's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateRule {
    /// They are added to the entry (article).
    Widens,
    /// They replace the entry's scopes (2.19).
    Replaces,
    /// Refused with `unknown deviceId/role`; compared with 2.21's own implications (2.21, 2.22).
    RefusedExpanded,
    /// Refused with `unknown deviceId/role`; compared as connects are (3.13).
    Refused,
    /// Refused with `device token rotation denied` (9.6).
    Denied,
}

/// What removing, rotating or revoking does to sessions of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveSessions {
    /// They stay open.
    StayOpen,
    /// They are closed with 4001 `device removed` (9.6).
    Closed,
}

/// Whether removing a device drops its waiting request too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveRule {
    /// Only the entry (2.19 to 3.13).
    EntryOnly,
    /// Both (article, 9.6).
    EntryAndRequest,
}

/// What `devices approve --latest` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatestRule {
    /// Approves the request that waits, and none if several do (article).
    OnlyOne,
    /// Approves the newest (2.19 to 3.13).
    Newest,
    /// Shows the newest and how to approve it, and exits with 1 (9.6).
    Preview,
}

/// What `devices` says when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CliRefused {
    /// `error: ` and the message (article).
    Plain,
    /// `[openclaw] Failed to start CLI: Error: ` and the message (2.19 to 2.22).
    Error,
    /// `[openclaw] Failed to start CLI: GatewayClientRequestError: ` and the message (3.13).
    RequestError,
    /// A reason and where to go from there; as JSON too where the answer would have been JSON (9.6).
    Report,
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
