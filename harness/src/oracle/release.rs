//! What differs between releases, as one table: a field a difference, a row a profile.
//!
//! Everything else in the oracle asks a field of [`Release`] and never which profile it is. Source: the reference's
//! sections 1 to 9 and its table 13, settled by the recordings where the two disagree; for `article`
//! `docs/reference/article-profile.md`.

use protocol::{PairingReason, PayloadVersion, ProfileName};

use super::lockouts::{Lockouts, Unconfigured};

/// One release as the oracle knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Which.
    pub name: ProfileName,

    /// Protocol that it speaks and says in hello-ok.
    pub protocol: u32,
    /// Lowest protocol that a node or a probe may bring.
    pub protocol_of_nodes: u32,
    /// Time from the upgrade to an accepted connect, in milliseconds.
    pub handshake_ms: u64,
    /// Largest message before an accepted connect, in bytes; `None` = no limit of its own.
    pub message_bytes_max: Option<usize>,
    /// Sockets without accepted connect that one address may have; `None` = any number.
    pub sockets_max: Option<u32>,
    /// Largest difference between `signedAt` and the gateway's clock, in milliseconds.
    pub skew_ms: i64,
    /// Payload versions that a signature with a nonce may have.
    pub signatures: &'static [PayloadVersion],
    /// A local client may leave the nonce out, and signs payload v1 then.
    pub nonce_optional: bool,
    /// `auth.deviceToken` is in the schema.
    pub device_token_field: bool,
    /// `auth.bootstrapToken` is in the schema.
    pub bootstrap_field: bool,
    /// After a start it listens before it is ready, and says so with close 1013.
    pub starting_phase: bool,

    /// How much an error says.
    pub details: Details,
    /// `details.recommendedNextStep` of refused credentials.
    pub next_step: bool,
    /// What a control UI without device is told.
    pub control_ui_text: &'static str,

    /// How a client's address is found.
    pub locality: Locality,
    /// Whose `Origin` counts, and which passes.
    pub origin: OriginRule,

    /// A node without device gets in with the shared secret.
    pub node_without_device: bool,
    /// Local helpers (`cli`/`cli`, `gateway-client`/`backend`) without device keep their scopes.
    pub local_helpers: bool,
    /// Local helpers `gateway-client`/`backend` skip pairing.
    pub backend_skips_pairing: bool,
    /// The shared secret is taken in either field of `auth`.
    pub secret_in_either_field: bool,
    /// What refuses a wrong `auth.token` of a client that has a device.
    pub wrong_token_with_device: WrongToken,
    /// A device token that is too narrow has a refusal of its own.
    pub scope_mismatch: bool,
    /// Whose failed credentials lock out.
    pub lockouts: Lockouts,
    /// `hello.auth` says what the connection may do; before, what the token may.
    pub live_grant: bool,

    /// An operator with the shared secret that is no browser skips pairing.
    pub shared_operator_skips_pairing: bool,
    /// Which scopes cover which.
    pub coverage: Coverage,
    /// Stored platform and family are held against the claimed ones.
    pub metadata: MetadataRule,
    /// A role whose token is revoked is no approved role.
    pub revoked_role_is_none: bool,
    /// Reasons that a local client is approved for at once.
    pub silent: &'static [PairingReason],
    /// An `Origin` of no browser forbids silent approval.
    pub silent_without_origin: bool,
    /// A waiting request that is not silent itself keeps later asks from being approved silently.
    pub pending_masks_silence: bool,
    /// What an ask does to a waiting request.
    pub pending: PendingRule,
    /// What an approval makes of tokens.
    pub approval: ApprovalRule,
    /// Which token a session gets.
    pub issue: IssueRule,
    /// What a rotation may do.
    pub rotate: RotateRule,
    /// Removing a device drops its waiting request, too.
    pub remove_drops_pending: bool,
    /// Entries and requests are written to two files: a crash in between leaves the request of an approval that was carried
    /// out.
    pub two_files: bool,
    /// Both files are begun at once (seen 2026.2.19, later ones are taken to be so): a crash may also have taken the request of
    /// an approval that was not carried out.
    pub files_at_once: bool,
    /// Judging a connect and recording its request are two steps.
    pub two_steps: bool,
    /// Sessions end with 4001 when their device's token is rotated or revoked, or the device removed.
    pub retires_sessions: bool,
    /// Whose word it takes.
    pub authority: Authority,
    /// The store is read at start and on reload only; else with every operation.
    pub store_read_at_load: bool,
}

/// Whose word a release takes (reference, section 8.7; `article`: section 10 of its profile).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// `operator.admin` may do what `operator.pairing` may.
    pub admin_may_all: bool,
    /// Who approves must hold what is asked, and admin for a node.
    pub approver_holds_asked: bool,
    /// `health` needs `operator.read`.
    pub health_needs_read: bool,
    /// Who lacks a scope is told so with `FORBIDDEN`.
    pub forbids: bool,
}

/// How much an error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// Nothing but the request id.
    None,
    /// `code` and `reason`; one code for every failed device proof.
    Coarse,
    /// A code for each failed proof.
    Fine,
    /// And words for people about what is missing.
    Full,
}

/// How a client's address is found, and what local is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locality {
    /// Which entry of `X-Forwarded-For` counts behind a trusted proxy.
    pub hop: Hop,
    /// `X-Real-IP` stands in for a missing `X-Forwarded-For`; else only with `gateway.allowRealIpFallback`.
    pub real_ip: bool,
    /// An entry of `trustedProxies` may be a range.
    pub ranges: bool,
    /// Forwarding headers that nobody can be held to are refused with HTTP 403, and a loopback peer without any is
    /// local whatever its `Host`.
    pub attributes: bool,
}

/// Which entry of `X-Forwarded-For` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The first: a client can write it.
    Leftmost,
    /// The last that is no trusted proxy; one that is no address at all is the answer, and a useless one.
    RightmostUntrusted,
    /// The last that is an address, and no trusted proxy's.
    RightmostAddress,
    /// The last that is an address, and neither a trusted proxy's nor this machine's.
    RightmostRemote,
}

/// Whose `Origin` counts, and which passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginRule {
    /// Of browsers. Equal to `Host`, or both loopback.
    SameHost,
    /// Of everybody who sends one, and of browsers. Loopback, from a local client.
    LocalLoopback,
    /// As before, and equal to a private `Host`.
    PrivateSameHost,
}

/// What refuses a wrong `auth.token` of a client that has a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongToken {
    /// It is taken for a bad device token.
    AsDeviceToken,
    /// It is taken for a bad shared token.
    AsSharedToken,
}

/// Which scopes cover which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Each covers itself.
    Exact,
    /// `operator.read` is covered by write and admin, too.
    ReadOnly,
    /// Admin covers every `operator.` scope, write covers read.
    Admin,
    /// As before, write covers talk and sessions; scopes outside the role's own prefix are covered by nothing.
    AdminAndSessions,
}

/// Whether stored metadata count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRule {
    /// They are overwritten.
    Ignored,
    /// What is stored must be claimed.
    Pinned,
    /// Pinned, and an entry without any is refused until a load repairs it (article).
    PinnedOrRepaired,
    /// Pinned, but a new version of the system is none of an app's metadata.
    PinnedBySystem,
}

/// What an ask does to a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingRule {
    /// Nothing, not even to its age.
    Frozen,
    /// It grows: union of roles and scopes, age anew. `newest_role`: the role that counts is the newest.
    Merged {
        /// See above.
        newest_role: bool,
    },
    /// It is refreshed if it covers the ask, and replaced by a wider one with another id if not.
    Replaced,
}

/// What an approval makes of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalRule {
    /// The request's role gets a token for the request's scopes.
    Asked,
    /// As before; a request without scopes keeps those of the old token, or gets the entry's.
    AskedOrKept,
    /// Each asked role gets a token for all approved scopes, a node's for none (article).
    Entry,
    /// Each asked role gets a token for its old scopes and those newly approved.
    Delta,
}

/// Which token a session gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueRule {
    /// A token that is too narrow is replaced by one for the asked scopes united with its own; else for the asked.
    pub keeps_old_scopes: bool,
    /// None is issued beyond what was approved.
    pub within_approved: bool,
    /// None is issued for a role that is not approved, and browsers with the shared secret have tokens of their own.
    pub by_role_and_issuer: bool,
}

/// What a rotation may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateRule {
    /// The entry's scopes become the given ones.
    Sets,
    /// The given scopes are added to the entry's (article).
    Widens,
    /// Refused as unknown beyond the approved scopes, each admin scope spelt out.
    WithinSpelt,
    /// Refused as unknown beyond the approved scopes.
    Within,
    /// As before, and for approved roles only.
    WithinRole,
}

const SILENT_NEW: &[PairingReason] = &[PairingReason::NotPaired];
const SILENT_SCOPES: &[PairingReason] = &[PairingReason::NotPaired, PairingReason::ScopeUpgrade];
const SILENT_ALL: &[PairingReason] = &[
    PairingReason::NotPaired,
    PairingReason::ScopeUpgrade,
    PairingReason::RoleUpgrade,
    PairingReason::MetadataUpgrade,
];
const CONTROL_UI: &str = "control ui requires device identity (use HTTPS or localhost secure context)";

static V2026_2_19: Release = Release {
    name: ProfileName::V2026_2_19,
    protocol: 3,
    protocol_of_nodes: 3,
    handshake_ms: 10_000,
    message_bytes_max: None,
    sockets_max: None,
    skew_ms: 600_000,
    signatures: &[PayloadVersion::V2],
    nonce_optional: true,
    device_token_field: false,
    bootstrap_field: false,
    starting_phase: false,
    details: Details::None,
    next_step: false,
    control_ui_text: "control ui requires HTTPS or localhost (secure context)",
    locality: Locality { hop: Hop::Leftmost, real_ip: true, ranges: true, attributes: false },
    origin: OriginRule::SameHost,
    node_without_device: true,
    local_helpers: false,
    backend_skips_pairing: false,
    secret_in_either_field: false,
    wrong_token_with_device: WrongToken::AsDeviceToken,
    scope_mismatch: false,
    lockouts: Lockouts {
        configurable: true,
        by_default: Unconfigured::Nobody,
        missing_counts: true,
        counts_both: false,
        by_origin: false,
    },
    live_grant: false,
    shared_operator_skips_pairing: false,
    coverage: Coverage::Exact,
    metadata: MetadataRule::Ignored,
    revoked_role_is_none: false,
    silent: SILENT_NEW,
    silent_without_origin: false,
    pending_masks_silence: true,
    pending: PendingRule::Frozen,
    approval: ApprovalRule::Asked,
    issue: IssueRule { keeps_old_scopes: false, within_approved: false, by_role_and_issuer: false },
    rotate: RotateRule::Sets,
    remove_drops_pending: false,
    two_files: true,
    files_at_once: true,
    two_steps: true,
    retires_sessions: false,
    authority: Authority {
        admin_may_all: true,
        approver_holds_asked: false,
        health_needs_read: true,
        forbids: false,
    },
    store_read_at_load: false,
};

static V2026_2_21: Release = Release {
    name: ProfileName::V2026_2_21,
    control_ui_text: CONTROL_UI,
    locality: Locality { hop: Hop::RightmostAddress, real_ip: false, ranges: true, attributes: false },
    coverage: Coverage::ReadOnly,
    pending: PendingRule::Merged { newest_role: false },
    rotate: RotateRule::WithinSpelt,
    ..V2026_2_19
};

static V2026_2_22: Release = Release {
    name: ProfileName::V2026_2_22,
    skew_ms: 120_000,
    nonce_optional: false,
    device_token_field: true,
    details: Details::Coarse,
    node_without_device: false,
    wrong_token_with_device: WrongToken::AsSharedToken,
    shared_operator_skips_pairing: true,
    coverage: Coverage::Admin,
    silent: SILENT_SCOPES,
    approval: ApprovalRule::AskedOrKept,
    ..V2026_2_21
};

static V2026_3_13: Release = Release {
    name: ProfileName::V2026_3_13,
    handshake_ms: 3_000,
    message_bytes_max: Some(65_536),
    signatures: &[PayloadVersion::V2, PayloadVersion::V3],
    bootstrap_field: true,
    details: Details::Fine,
    next_step: true,
    origin: OriginRule::LocalLoopback,
    backend_skips_pairing: true,
    shared_operator_skips_pairing: false,
    metadata: MetadataRule::Pinned,
    silent_without_origin: true,
    lockouts: Lockouts {
        configurable: true,
        by_default: Unconfigured::Pages,
        missing_counts: false,
        counts_both: false,
        by_origin: false,
    },
    issue: IssueRule { keeps_old_scopes: false, within_approved: true, by_role_and_issuer: false },
    rotate: RotateRule::Within,
    ..V2026_2_22
};

static V2026_9_6: Release = Release {
    name: ProfileName::V2026_9_6,
    protocol: 4,
    protocol_of_nodes: 3,
    handshake_ms: 15_000,
    sockets_max: Some(32),
    starting_phase: true,
    details: Details::Full,
    locality: Locality { hop: Hop::RightmostRemote, real_ip: false, ranges: true, attributes: true },
    origin: OriginRule::PrivateSameHost,
    local_helpers: true,
    secret_in_either_field: true,
    scope_mismatch: true,
    lockouts: Lockouts {
        configurable: true,
        by_default: Unconfigured::Everybody,
        missing_counts: false,
        counts_both: true,
        by_origin: true,
    },
    live_grant: true,
    coverage: Coverage::AdminAndSessions,
    metadata: MetadataRule::PinnedBySystem,
    revoked_role_is_none: true,
    silent: SILENT_ALL,
    pending: PendingRule::Replaced,
    approval: ApprovalRule::Delta,
    issue: IssueRule { keeps_old_scopes: false, within_approved: true, by_role_and_issuer: true },
    rotate: RotateRule::WithinRole,
    remove_drops_pending: true,
    two_files: false,
    files_at_once: false,
    two_steps: false,
    retires_sessions: true,
    authority: Authority {
        admin_may_all: true,
        approver_holds_asked: true,
        health_needs_read: false,
        forbids: true,
    },
    ..V2026_3_13
};

static ARTICLE: Release = Release {
    name: ProfileName::Article,
    message_bytes_max: Some(65_536),
    signatures: &[PayloadVersion::V2, PayloadVersion::V3],
    shared_operator_skips_pairing: false,
    lockouts: Lockouts { configurable: false, ..V2026_2_22.lockouts },
    locality: Locality { hop: Hop::RightmostUntrusted, real_ip: false, ranges: false, attributes: false },
    coverage: Coverage::Exact,
    metadata: MetadataRule::PinnedOrRepaired,
    silent: SILENT_NEW,
    pending_masks_silence: false,
    pending: PendingRule::Merged { newest_role: true },
    approval: ApprovalRule::Entry,
    issue: IssueRule { keeps_old_scopes: true, within_approved: false, by_role_and_issuer: false },
    rotate: RotateRule::Widens,
    remove_drops_pending: true,
    two_files: true,
    files_at_once: false,
    two_steps: false,
    authority: Authority {
        admin_may_all: false,
        approver_holds_asked: false,
        health_needs_read: false,
        forbids: false,
    },
    store_read_at_load: true,
    ..V2026_2_22
};

impl Release {
    /// The release of that name.
    #[must_use]
    pub const fn of(name: ProfileName) -> &'static Self {
        match name {
            ProfileName::Article => &ARTICLE,
            ProfileName::V2026_2_19 => &V2026_2_19,
            ProfileName::V2026_2_21 => &V2026_2_21,
            ProfileName::V2026_2_22 => &V2026_2_22,
            ProfileName::V2026_3_13 => &V2026_3_13,
            ProfileName::V2026_9_6 => &V2026_9_6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::addresses::clients_each;
    use crate::vocabulary::limits::limits;

    #[test]
    fn every_profile_is_a_row_of_its_own() {
        for name in ProfileName::ALL {
            assert_eq!(Release::of(name).name, name);
        }
    }

    #[test]
    fn scenarios_and_plans_know_the_same_limits() {
        for name in ProfileName::ALL {
            let (release, limits) = (Release::of(name), limits(name));
            assert_eq!(u128::from(release.handshake_ms), limits.handshake.as_millis(), "{name}");
            assert_eq!(release.sockets_max.is_some(), limits.counts_by_address, "{name}");
            let addresses = release.lockouts.limits_in(&serde_json::json!({})).addresses;
            assert_eq!(addresses.is_some(), limits.counts_by_address, "{name}");
            // Even when the gateway still holds a socket of each.
            assert!(release.sockets_max.is_none_or(|most| 2 * clients_each(name) <= most), "{name}");
        }
    }
}
