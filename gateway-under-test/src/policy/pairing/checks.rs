//! Which of the four reasons applies to an attempt, who is approved without an operator, and who is not looked at.

use std::borrow::Cow;

use protocol::connect::ClientInfo;
use protocol::device::normalized_metadata;
use protocol::scope::ROLE_OPERATOR;
use protocol::{ClientId, ClientMode, PairingReason};

use super::super::attempt::{DeviceAttempt, Place};
use super::super::credential::Method;
use super::super::entry::{DeviceEntry, stored};
use super::super::{Rules, device_proof, origin, scopes};
use crate::config::AuthConfig;
use crate::defect::Defect;
use crate::profile::{BareEntries, MetadataRule, RoleRule, SilentRule, SkipPairing, TrustedProxyRule};

/// The attempt with a node host's platform in the newest release's words (9.6).
pub(super) fn with_known_names<'a>(rules: &Rules, attempt: &'a DeviceAttempt) -> Cow<'a, DeviceAttempt> {
    let client = &attempt.client;
    if rules.profile.metadata != MetadataRule::PinnedWithAliases || !is_node_host(client) {
        return Cow::Borrowed(attempt);
    }
    let (platform, family) = match client.platform.as_str() {
        "darwin" | "macos" => ("macos", "Mac"),
        "linux" => ("linux", "Linux"),
        "win32" | "windows" => ("windows", "Windows"),
        _ => return Cow::Borrowed(attempt),
    };
    let claimed = client.device_family.as_deref().map(str::trim).filter(|family| !family.is_empty());
    if claimed.is_some_and(|claimed| !claimed.eq_ignore_ascii_case(family)) {
        return Cow::Borrowed(attempt);
    }
    let mut attempt = attempt.clone();
    attempt.client.device_family = Some(claimed.unwrap_or(family).to_owned());
    attempt.client.platform = platform.to_owned();
    Cow::Owned(attempt)
}

fn is_node_host(client: &ClientInfo) -> bool {
    client.id == ClientId::NodeHost && client.mode == ClientMode::Node
}

pub(super) fn same_key(attempt: &DeviceAttempt, entry: &DeviceEntry) -> bool {
    device_proof::normalized_key(&entry.public_key) == attempt.public_key
}

/// The reasons after `not-paired`, in their order, and whether each applies.
pub(super) fn reasons(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: &DeviceEntry,
) -> [(PairingReason, bool); 3] {
    let bare =
        rules.profile.bare_entries == BareEntries::LetIn && entry.roles.is_none() && entry.scopes.is_none();
    let looks = |unless: Defect| rules.defect != Some(unless);
    [
        (PairingReason::MetadataUpgrade, !metadata_matches(rules, &attempt.client, entry)),
        (
            PairingReason::RoleUpgrade,
            looks(Defect::SkipRoleCheck) && !bare && !has_role(rules, entry, &attempt.role),
        ),
        (
            PairingReason::ScopeUpgrade,
            looks(Defect::SkipScopeCheck) && !bare && !has_scopes(rules, attempt, entry),
        ),
    ]
}

/// Whether the live entry lets the attempt in (9.6 looks again before it refuses).
pub(super) fn is_allowed_now(rules: &Rules, attempt: &DeviceAttempt, entry: Option<&DeviceEntry>) -> bool {
    entry.is_some_and(|entry| {
        same_key(attempt, entry) && reasons(rules, attempt, entry).iter().all(|(_, applies)| !applies)
    })
}

fn has_role(rules: &Rules, entry: &DeviceEntry, role: &str) -> bool {
    match rules.profile.roles {
        RoleRule::Approved => entry.has_role(role),
        RoleRule::WithToken => {
            entry.approved_roles().iter().any(|approved| approved == role)
                && entry.tokens.get(role).is_some_and(|token| !token.is_revoked())
        }
    }
}

fn has_scopes(rules: &Rules, attempt: &DeviceAttempt, entry: &DeviceEntry) -> bool {
    let held = match (rules.profile.bare_entries, rules.profile.roles) {
        (_, RoleRule::WithToken) => entry.scope_baseline().unwrap_or_default(),
        (BareEntries::ApprovedStandsIn, RoleRule::Approved) => {
            entry.scopes.as_deref().or(entry.approved_scopes.as_deref()).unwrap_or_default()
        }
        (BareEntries::Checked | BareEntries::LetIn, RoleRule::Approved) => entry.scopes(),
    };
    attempt.scopes.is_empty()
        || (!held.is_empty() && scopes::covers(rules.profile.coverage, &attempt.role, held, &attempt.scopes))
}

/// Whether the attempt writes its metadata into an entry that has none (article).
pub(super) fn needs_repair(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: &DeviceEntry,
    repairable: bool,
) -> bool {
    rules.profile.metadata == MetadataRule::PinnedLegacyRepairedByLoad
        && repairable
        && entry.is_legacy()
        && same_key(attempt, entry)
}

fn metadata_matches(rules: &Rules, client: &ClientInfo, entry: &DeviceEntry) -> bool {
    let agrees = |held: Option<&str>, claimed: Option<&str>| {
        stored(held).is_none_or(|held| {
            claimed.is_some_and(|claimed| normalized_metadata(held) == normalized_metadata(claimed))
        })
    };
    let family = || agrees(entry.device_family.as_deref(), client.device_family.as_deref());
    let platform = || agrees(entry.platform.as_deref(), Some(&client.platform));
    match rules.profile.metadata {
        MetadataRule::Overwritten => true,
        MetadataRule::PinnedLegacyRepairedByLoad => !entry.is_legacy() && platform() && family(),
        MetadataRule::Pinned => platform() && family(),
        MetadataRule::PinnedWithAliases => {
            (platform() || is_alias(client, entry) || refreshed_platform(client, entry).is_some()) && family()
        }
    }
}

/// `darwin` is `macos`, `win32` is `windows`.
fn canonical_platform(platform: &str) -> &str {
    match platform {
        "darwin" => "macos",
        "win32" => "windows",
        other => other,
    }
}

fn is_version_of(platform: &str, system: &str) -> bool {
    platform.strip_prefix(system).and_then(|rest| rest.strip_prefix(' ')).is_some_and(|version| {
        let parts: Vec<&str> = version.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.len() <= 3 && parts.iter().all(is_number)
    })
}

/// Whether a node host's platform is the stored one under another name (9.6).
fn is_alias(client: &ClientInfo, entry: &DeviceEntry) -> bool {
    let held = normalized_metadata(entry.platform.as_deref().unwrap_or_default());
    let claimed = normalized_metadata(&client.platform);
    is_node_host(client)
        && !claimed.is_empty()
        && (canonical_platform(&claimed) == canonical_platform(&held)
            || (["darwin", "macos"].contains(&claimed.as_str()) && is_version_of(&held, "macos")))
}

/// The claimed platform, where it is another version of the stored one: apps may update their system (9.6).
pub(super) fn refreshed_platform<'a>(client: &'a ClientInfo, entry: &DeviceEntry) -> Option<&'a str> {
    let held = normalized_metadata(entry.platform.as_deref().unwrap_or_default());
    let claimed = normalized_metadata(&client.platform);
    let begins = |text: &str, name: &str| {
        text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    let is_family = |text: &str| match client.id {
        ClientId::Ios => begins(text, "ios") || begins(text, "ipados"),
        ClientId::Android => begins(text, "android"),
        ClientId::WatchOs => is_version_of(text, "watchos"),
        ClientId::MacOs => is_version_of(text, "macos"),
        _ => false,
    };
    let was_bare_mac = client.id == ClientId::MacOs && ["darwin", "macos"].contains(&held.as_str());
    let is_refreshed =
        !held.is_empty() && claimed != held && is_family(&claimed) && (is_family(&held) || was_bare_mac);
    is_refreshed.then_some(client.platform.as_str())
}

/// Whether an ask is approved without an operator. `entry` is what the attempt was judged by.
pub(super) fn is_silent(
    rules: &Rules,
    attempt: &DeviceAttempt,
    entry: Option<&DeviceEntry>,
    reason: PairingReason,
    method: Method,
) -> bool {
    let local = attempt.place != Place::Remote || rules.defect == Some(Defect::AcceptUnpaired);
    let not_paired = reason == PairingReason::NotPaired;
    let more_scopes = reason == PairingReason::ScopeUpgrade;
    let is_browser = attempt.client.id == ClientId::ControlUi || origin::is_webchat(&attempt.client);
    match rules.profile.silent {
        SilentRule::LocalNotPaired => local && not_paired,
        SilentRule::LocalNotPairedOrScope => local && (not_paired || more_scopes),
        SilentRule::LocalNotPairedOrScopeNoBrowser => {
            local && (not_paired || more_scopes) && (!attempt.has_origin || is_browser)
        }
        SilentRule::NearLocal => {
            let is_browser = attempt.is_control_ui(rules.profile) || origin::is_webchat(&attempt.client);
            if !local
                || (attempt.has_origin && !is_browser)
                || (entry.is_some() && attempt.role != ROLE_OPERATOR)
            {
                return false;
            }
            match reason {
                PairingReason::MetadataUpgrade => {
                    !attempt.has_origin
                        && !is_browser
                        && attempt.place == Place::Local
                        && is_app(&attempt.client)
                }
                PairingReason::ScopeUpgrade => {
                    rules.auto_approve_local && (method == Method::None || method.is_shared_secret())
                }
                PairingReason::NotPaired | PairingReason::RoleUpgrade => rules.auto_approve_local,
            }
        }
    }
}

/// Whether a client is the operator's view of a native app.
fn is_app(client: &ClientInfo) -> bool {
    client.mode == ClientMode::Ui
        && matches!(client.id, ClientId::MacOs | ClientId::Linux | ClientId::Ios | ClientId::Android)
}

/// Whether the entry is not looked at.
pub(super) fn is_skipped(rules: &Rules, attempt: &DeviceAttempt, method: Method) -> bool {
    let client = &attempt.client;
    let is_operator = attempt.role == ROLE_OPERATOR;
    let is_local_helper = client.id == ClientId::GatewayClient
        && client.mode == ClientMode::Backend
        && attempt.place == Place::Local
        && !attempt.has_origin;
    let is_shared = method.is_shared_secret();
    match rules.profile.skip_pairing {
        SkipPairing::Nobody => false,
        SkipPairing::SharedOperators => {
            let is_browser = client.id == ClientId::ControlUi || origin::is_webchat(client);
            is_operator && attempt.presented.is_shared && !is_browser
        }
        SkipPairing::LocalHelpers => {
            let is_vouched_for = rules.profile.trusted_proxy == TrustedProxyRule::ControlUiAlone
                && method == Method::TrustedProxy
                && is_operator
                && attempt.is_control_ui(rules.profile);
            (is_local_helper && is_shared) || is_vouched_for
        }
        SkipPairing::LocalHelpersAndOpenControlUi => {
            let by_any = is_shared || matches!(method, Method::None | Method::DeviceToken);
            let is_open =
                rules.auth == AuthConfig::None && is_operator && attempt.is_control_ui(rules.profile);
            (is_local_helper && by_any) || is_open
        }
    }
}
