//! What differs between gateways, as data.
//!
//! A release is one [`Profile`] value; the policy asks its fields and never its name. The enums hold only the variants
//! that some profile uses, so that adding a release shows every place that has to learn something new.

use protocol::PayloadVersion;

/// One gateway behaviour.
#[derive(Debug)]
pub struct Profile {
    /// Name on the command line.
    pub name: &'static str,
    /// `server.version` in hello.
    pub version: &'static str,
    /// Protocol spoken.
    pub protocol: u32,
    /// Largest accepted distance of `signedAt` from the gateway's clock, milliseconds.
    pub skew_ms: u64,
    /// Time from the upgrade to an accepted `connect`, milliseconds.
    pub handshake_timeout_ms: u64,
    /// Largest message before hello, bytes.
    pub preauth_bytes_max: usize,
    /// `policy.maxPayload`: largest message after hello, bytes.
    pub max_payload: usize,
    /// `policy.maxBufferedBytes`: a session with more than this waiting to be sent is closed, bytes.
    pub max_buffered_bytes: usize,
    /// `policy.tickIntervalMs`.
    pub tick_interval_ms: u64,
    /// Age at which a pending request is gone, milliseconds.
    pub pending_ttl_ms: u64,
    /// Signature payloads that are accepted, in the order tried.
    pub payload_versions: &'static [PayloadVersion],
    /// Keys that `auth` may have.
    pub auth_keys: &'static [&'static str],
    /// When held scopes cover asked ones.
    pub coverage: ScopeCoverage,
    /// How stored metadata binds a device.
    pub metadata: MetadataRule,
    /// Who is approved without an operator.
    pub silent: SilentRule,
    /// What a changed ask does to a waiting request.
    pub pending_merge: PendingMerge,
    /// Which `X-Forwarded-For` entry names the client.
    pub forwarded: ForwardedChoice,
    /// What a CIDR entry of `gateway.trustedProxies` does.
    pub cidr: CidrEntries,
    /// How much `error.details` says about a failed device proof.
    pub device_details: DeviceDetails,
    /// What rotating to scopes beyond the entry's does.
    pub rotate: RotateRule,
    /// When the store's files are read.
    pub store_read: StoreRead,
}

/// When held scopes cover asked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeCoverage {
    /// Plain set inclusion: nothing implies anything (2.19).
    Inclusion,
}

/// How stored metadata binds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRule {
    /// A stored value must be claimed again; an entry without any is refused until a load finds a request of the
    /// device waiting (article).
    PinnedLegacyRepairedByLoad,
}

/// Who is approved without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilentRule {
    /// Local clients that are not paired, and nobody else (2.21).
    LocalNotPaired,
}

/// What a changed ask does to a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingMerge {
    /// Same id; roles and scopes grow to the union, the time is refreshed (2.21).
    Union,
}

/// Which `X-Forwarded-For` entry names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedChoice {
    /// The rightmost that is no trusted proxy (2.21).
    RightmostUntrusted,
}

/// What a CIDR entry of `gateway.trustedProxies` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CidrEntries {
    /// It never matches, and nobody is told (article).
    NeverMatch,
}

/// How much `error.details` says about a failed device proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceDetails {
    /// One code for all failures; the reason tells them apart (2.22).
    OneCode,
}

/// What rotating to scopes beyond the entry's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateRule {
    /// They are added to the entry (article, 2.19).
    Widens,
}

/// When the store's files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRead {
    /// At start and on SIGHUP (article).
    StartAndReload,
}

/// What the founding article describes; `docs/reference/article-profile.md` is the rule.
pub static ARTICLE: Profile = Profile {
    name: "article",
    version: concat!(env!("CARGO_PKG_VERSION"), "+article"),
    protocol: protocol::connect::PROTOCOL_V3,
    skew_ms: 120_000,
    handshake_timeout_ms: 10_000,
    preauth_bytes_max: 65_536,
    max_payload: 26_214_400,
    max_buffered_bytes: 52_428_800,
    tick_interval_ms: 30_000,
    pending_ttl_ms: 300_000,
    payload_versions: &[PayloadVersion::V3, PayloadVersion::V2],
    auth_keys: &["token", "password", "deviceToken"],
    coverage: ScopeCoverage::Inclusion,
    metadata: MetadataRule::PinnedLegacyRepairedByLoad,
    silent: SilentRule::LocalNotPaired,
    pending_merge: PendingMerge::Union,
    forwarded: ForwardedChoice::RightmostUntrusted,
    cidr: CidrEntries::NeverMatch,
    device_details: DeviceDetails::OneCode,
    rotate: RotateRule::Widens,
    store_read: StoreRead::StartAndReload,
};

/// Every profile, in the order `--help` lists them.
pub static ALL: &[&Profile] = &[&ARTICLE];

/// The profile of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().copied().find(|profile| profile.name == name)
}

/// The names of all profiles, joined for messages.
#[must_use]
pub fn names() -> String {
    ALL.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ")
}
