//! The six profiles. A value is written out only where a profile differs from the one before it in time.

use protocol::{PayloadVersion, ProfileName};

use super::{
    AdmissionSteps, Announces, ApprovalRule, AuthorityRule, BareEntries, CidrEntries, CliRefused,
    DetailLevel, DevicelessRule, EventSeq, ForwardedChoice, HelloAuthRule, HelloShape, HttpRule, IssueRule,
    LatestRule, LiveSessions, LocalityRule, ManagementRule, MetadataRule, OriginRule, PendingAge,
    PendingMerge, Pipelining, Profile, RateLimitRule, RealIpRule, RefreshRule, RemoveRule, RoleRule,
    RotateRule, SchemaStyle, ScopeCoverage, SharedSecretField, SilentRule, SkipPairing, Startup, StopRule,
    StoreKind, TokenMismatch, TrustedProxyRule, Vocabulary,
};

const CONTROL_UI_NEEDS_DEVICE: &str =
    "control ui requires device identity (use HTTPS or localhost secure context)";

/// What the founding article describes; `docs/reference/article-profile.md` is the rule.
pub static ARTICLE: Profile = Profile {
    name: ProfileName::Article,
    version: concat!(env!("CARGO_PKG_VERSION"), "+article"),
    protocol: protocol::connect::PROTOCOL_V3,
    older_protocol: None,
    challenge_capabilities: &[],
    handshake_timeout_ms: 10_000,
    preauth_bytes_max: Some(65_536),
    preauth_sockets_max: None,
    pipelining: Pipelining::AfterHello,
    max_payload: 26_214_400,
    max_buffered_bytes: 52_428_800,
    tick_interval_ms: 30_000,
    startup: Startup::Ready,
    stop: StopRule::DropsHandshakes,
    http: HttpRule::HealthAndMetrics,
    event_seq: EventSeq::Gateway,
    hello_auth: HelloAuthRule::DeviceToken,
    hello: HelloShape::Bare,
    announces: Announces::Nothing,
    stop_ms: 0,
    schema: SchemaStyle::AllErrors,
    vocabulary: Vocabulary::V3,
    auth_keys: &["token", "password", "deviceToken"],
    details: DetailLevel::Codes,
    control_ui_without_device: CONTROL_UI_NEEDS_DEVICE,
    skew_ms: 120_000,
    payload_versions: &[PayloadVersion::V3, PayloadVersion::V2],
    forwarded: ForwardedChoice::RightmostUntrusted,
    real_ip: RealIpRule::WhenAllowed,
    cidr: CidrEntries::NeverMatch,
    locality: LocalityRule::LoopbackHost,
    origin: OriginRule::BrowsersSameHost,
    deviceless: DevicelessRule::Operators,
    shared_secret: SharedSecretField::OfMode,
    token_mismatch: TokenMismatch::AsShared,
    rate_limit: RateLimitRule::Never,
    trusted_proxy: TrustedProxyRule::Unknown,
    coverage: ScopeCoverage::Inclusion,
    metadata: MetadataRule::PinnedLegacyRepairedByLoad,
    roles: RoleRule::Approved,
    bare_entries: BareEntries::Checked,
    silent: SilentRule::LocalNotPaired,
    skip_pairing: SkipPairing::Nobody,
    pending_merge: PendingMerge::Union,
    pending_ttl_ms: 300_000,
    pending_age: PendingAge::FromTsExclusive,
    admission: AdmissionSteps::Atomic,
    approval: ApprovalRule::TokenPerRoleAllScopes,
    refresh: RefreshRule::Nothing,
    issue: IssueRule::AlwaysUnited,
    authority: AuthorityRule::Exact,
    management: ManagementRule::PairingScope,
    rotate: RotateRule::Widens,
    live_sessions: LiveSessions::StayOpen,
    remove: RemoveRule::EntryAndRequest,
    latest: LatestRule::OnlyOne,
    cli_refused: CliRefused::Plain,
    store: StoreKind::JsonLoaded,
};

/// OpenClaw 2026.2.19.
pub static V2026_2_19: Profile = Profile {
    name: ProfileName::V2026_2_19,
    version: "2026.2.19",
    protocol: protocol::connect::PROTOCOL_V3,
    older_protocol: None,
    challenge_capabilities: &[],
    handshake_timeout_ms: 10_000,
    preauth_bytes_max: None,
    preauth_sockets_max: None,
    pipelining: Pipelining::Concurrent,
    max_payload: 26_214_400,
    max_buffered_bytes: 52_428_800,
    tick_interval_ms: 30_000,
    startup: Startup::Ready,
    stop: StopRule::DropsHandshakes,
    http: HttpRule::ControlUi,
    event_seq: EventSeq::Gateway,
    hello_auth: HelloAuthRule::DeviceToken,
    hello: HelloShape::HostAndCanvas,
    announces: Announces::Health,
    stop_ms: 5_000,
    schema: SchemaStyle::AllErrors,
    vocabulary: Vocabulary::V3,
    auth_keys: &["token", "password"],
    details: DetailLevel::Ids,
    control_ui_without_device: "control ui requires HTTPS or localhost (secure context)",
    skew_ms: 600_000,
    payload_versions: &[PayloadVersion::V2, PayloadVersion::V1],
    forwarded: ForwardedChoice::Leftmost,
    real_ip: RealIpRule::Always,
    cidr: CidrEntries::MatchV4,
    locality: LocalityRule::NamedHost,
    origin: OriginRule::BrowsersSameHost,
    deviceless: DevicelessRule::AnyRole,
    shared_secret: SharedSecretField::OfMode,
    token_mismatch: TokenMismatch::AsDeviceToken,
    rate_limit: RateLimitRule::WhenConfigured { missing_counts: true, browsers_apart: false },
    trusted_proxy: TrustedProxyRule::DeviceNeeded,
    coverage: ScopeCoverage::Inclusion,
    metadata: MetadataRule::Overwritten,
    roles: RoleRule::Approved,
    bare_entries: BareEntries::Checked,
    silent: SilentRule::LocalNotPaired,
    skip_pairing: SkipPairing::Nobody,
    pending_merge: PendingMerge::Frozen,
    pending_ttl_ms: 300_000,
    pending_age: PendingAge::FromTs,
    admission: AdmissionSteps::JudgeThenRecord,
    approval: ApprovalRule::RequestedScopes,
    refresh: RefreshRule::ClientAndAccess,
    issue: IssueRule::AlwaysAsked,
    authority: AuthorityRule::AdminAllHealthScoped,
    management: ManagementRule::PairingScope,
    rotate: RotateRule::Replaces,
    live_sessions: LiveSessions::StayOpen,
    remove: RemoveRule::EntryOnly,
    latest: LatestRule::Newest,
    cli_refused: CliRefused::Error,
    store: StoreKind::JsonReread,
};

/// OpenClaw 2026.2.21.
pub static V2026_2_21: Profile = Profile {
    name: ProfileName::V2026_2_21,
    version: "2026.2.21",
    control_ui_without_device: CONTROL_UI_NEEDS_DEVICE,
    forwarded: ForwardedChoice::RightmostUntrustedAddress,
    real_ip: RealIpRule::WhenAllowed,
    coverage: ScopeCoverage::ReadImplied,
    bare_entries: BareEntries::LetIn,
    pending_merge: PendingMerge::UnionFirstRole,
    approval: ApprovalRule::RequestedScopesKept,
    authority: AuthorityRule::AdminAll,
    rotate: RotateRule::RefusedExpanded,
    ..V2026_2_19
};

/// OpenClaw 2026.2.22.
pub static V2026_2_22: Profile = Profile {
    name: ProfileName::V2026_2_22,
    version: "2026.2.22",
    hello: HelloShape::Canvas,
    auth_keys: &["token", "deviceToken", "password"],
    details: DetailLevel::Codes,
    skew_ms: 120_000,
    payload_versions: &[PayloadVersion::V2],
    locality: LocalityRule::LoopbackHost,
    deviceless: DevicelessRule::Operators,
    token_mismatch: TokenMismatch::AsShared,
    coverage: ScopeCoverage::AdminCoversOperator,
    bare_entries: BareEntries::ApprovedStandsIn,
    silent: SilentRule::LocalNotPairedOrScope,
    skip_pairing: SkipPairing::SharedOperators,
    approval: ApprovalRule::RequestedOrHeldScopes,
    ..V2026_2_21
};

/// OpenClaw 2026.3.13.
pub static V2026_3_13: Profile = Profile {
    name: ProfileName::V2026_3_13,
    version: "2026.3.13",
    handshake_timeout_ms: 3_000,
    preauth_bytes_max: Some(65_536),
    http: HttpRule::ControlUiAndHealth,
    auth_keys: &["token", "bootstrapToken", "deviceToken", "password"],
    details: DetailLevel::NextSteps,
    payload_versions: &[PayloadVersion::V3, PayloadVersion::V2],
    cidr: CidrEntries::Match,
    origin: OriginRule::AnyoneListed,
    rate_limit: RateLimitRule::WhenConfigured { missing_counts: false, browsers_apart: true },
    trusted_proxy: TrustedProxyRule::ControlUiAlone,
    metadata: MetadataRule::Pinned,
    silent: SilentRule::LocalNotPairedOrScopeNoBrowser,
    skip_pairing: SkipPairing::LocalHelpers,
    refresh: RefreshRule::Access,
    issue: IssueRule::WithinApproved,
    management: ManagementRule::RotatesWhatItHolds,
    rotate: RotateRule::Refused,
    cli_refused: CliRefused::RequestError,
    ..V2026_2_22
};

/// OpenClaw 2026.9.6.
pub static V2026_9_6: Profile = Profile {
    name: ProfileName::V2026_9_6,
    version: "2026.9.6",
    protocol: protocol::connect::PROTOCOL_V4,
    older_protocol: Some(protocol::connect::PROTOCOL_V3),
    challenge_capabilities: &["model-catalog-snapshot"],
    handshake_timeout_ms: 15_000,
    preauth_sockets_max: Some(32),
    pipelining: Pipelining::Queued { max: 15 },
    startup: Startup::Refuses { typical_ms: 1_500, retry_after_ms: 500 },
    stop: StopRule::ClosesHandshakes,
    event_seq: EventSeq::Session,
    hello_auth: HelloAuthRule::Session,
    hello: HelloShape::V4,
    announces: Announces::PresenceAndNodes,
    stop_ms: 500,
    schema: SchemaStyle::FirstOfEachKeyword,
    vocabulary: Vocabulary::V4,
    auth_keys: &[
        "token",
        "bootstrapToken",
        "deviceToken",
        "password",
        "approvalRuntimeToken",
        "agentRuntimeIdentityToken",
    ],
    details: DetailLevel::Hints,
    forwarded: ForwardedChoice::RightmostUntrustedRemote,
    locality: LocalityRule::DirectOrAttributed,
    origin: OriginRule::AnyonePrivateHost,
    deviceless: DevicelessRule::OperatorsLocalKeepScopes,
    shared_secret: SharedSecretField::Either,
    token_mismatch: TokenMismatch::AsSharedOrScope,
    rate_limit: RateLimitRule::Always,
    trusted_proxy: TrustedProxyRule::LoopbackNeedsLeave,
    coverage: ScopeCoverage::OwnRoleOnly,
    metadata: MetadataRule::PinnedWithAliases,
    roles: RoleRule::WithToken,
    silent: SilentRule::NearLocal,
    skip_pairing: SkipPairing::LocalHelpersAndOpenControlUi,
    pending_merge: PendingMerge::NewIdIfWider,
    pending_age: PendingAge::FromLatestAsk,
    admission: AdmissionSteps::JudgeRecordJudge,
    approval: ApprovalRule::TokenPerRoleDelta,
    refresh: RefreshRule::LastSeen,
    issue: IssueRule::WithinApprovedRole,
    authority: AuthorityRule::AdminAllForbidden,
    management: ManagementRule::CoveredAndOwn,
    rotate: RotateRule::Denied,
    live_sessions: LiveSessions::Closed,
    remove: RemoveRule::EntryAndRequest,
    latest: LatestRule::Preview,
    cli_refused: CliRefused::Report,
    store: StoreKind::Sqlite,
    ..V2026_3_13
};

/// Every profile, in the order `--help` lists them.
pub static ALL: &[&Profile] = &[&ARTICLE, &V2026_2_19, &V2026_2_21, &V2026_2_22, &V2026_3_13, &V2026_9_6];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_profile() {
        let names: Vec<ProfileName> = ALL.iter().map(|profile| profile.name).collect();
        assert_eq!(names, ProfileName::ALL);
        for profile in ALL {
            assert_eq!(super::super::find(profile.name.as_str()).map(|found| found.name), Some(profile.name));
        }
    }
}
