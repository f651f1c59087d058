//! What the device holds against what its client asks for: from the store and from what the gateway granted.

use protocol::ProfileName;
use protocol::scope::{READ, ROLE_NODE};

use super::conclusion::Found;
use super::course;
use super::pointed::Pointed;
use super::release::Told;
use super::seen::Seen;
use super::store::{StoreForm, StoredDevice};
use crate::diagnosis::release::covers;
use crate::observation::Outcome;
use crate::oracle::release::{MetadataRule, Release};
use crate::vocabulary::cause::Cause;

/// What the gateway's own store says of the identity itself, before it is shown to the gateway.
pub(super) fn identity(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    let (store, identity) = (pointed.store.as_ref()?, pointed.identity.as_ref()?);
    if let Some(why) = &store.broken {
        let what = if store.form == StoreForm::Json && told.profile != Some(ProfileName::Article) {
            "releases before 2026.8.1 take it for empty, and the next request writes it so"
        } else {
            "the gateway cannot work with it"
        };
        return Some(Found::certain(
            Cause::LostStore,
            format!("the gateway's store cannot be read: {why}; {what}"),
        ));
    }
    let Some(entry) = &store.entry else {
        if store.waiting.is_empty() && needs_no_device(pointed, seen, told) {
            return None;
        }
        return Some(unknown(pointed, store.devices, store.waiting.is_empty()));
    };
    if entry.public_key != identity.key.public_key() {
        return Some(Found::certain(
            Cause::NotApproved,
            "the store holds this device's id with another key, which counts as not paired",
        ));
    }
    let stored = entry.tokens.get(&pointed.role);
    if let Some(stored) = stored
        && stored.revoked
    {
        let why = format!("the device's token for the role {} was revoked", pointed.role);
        return Some(Found::certain(Cause::StaleDeviceToken, why));
    }
    if let (Some(stored), Some(kept)) = (stored, pointed.kept())
        && stored.token != kept.token
    {
        return Some(Found::certain(
            Cause::StaleDeviceToken,
            "the device token that the identity keeps is not the one in the gateway's store: it was rotated since",
        ));
    }
    None
}

/// A local command line of 2026.9.6 with the shared secret shows no device at all, so that it does not matter what becomes of one.
fn needs_no_device(pointed: &Pointed, seen: &Seen, told: &Told) -> bool {
    let secret_is_right = matches!(&seen.credential, Some(Ok(answered)) if answered.is_session());
    secret_is_right
        && pointed.kept().is_none()
        && pointed.address.is_loopback()
        && told.profile.is_some_and(|profile| Release::of(profile).local_helpers)
}

fn unknown(pointed: &Pointed, devices: usize, nothing_waits: bool) -> Found {
    if !nothing_waits {
        return Found::certain(
            Cause::NotApproved,
            "nobody has approved this device yet, and its request waits",
        );
    }
    if pointed.kept().is_some() {
        return if devices == 0 {
            Found::likely(
                Cause::LostStore,
                "the identity keeps a token from when it was approved, and the gateway's store knows no device at all: it was lost, \
                 emptied, or is another one than then",
            )
        } else {
            Found::likely(
                Cause::NotApproved,
                "the identity keeps a token from when it was approved, and the gateway's store no longer knows it: it was removed",
            )
        };
    }
    Found::certain(
        Cause::NotApproved,
        "the gateway's store does not know this device, and no request of it waits (they expire after five minutes)",
    )
}

/// An identity without a token, on a gateway whose store cannot be seen.
pub(super) fn without_token(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    let identity = pointed.identity.as_ref()?;
    if needs_no_device(pointed, seen, told)
        || pointed.store.is_some()
        || pointed.kept().is_some()
        || !matches!(seen.challenge, Some(Ok(_)))
    {
        return None;
    }
    let others: Vec<&str> = identity.tokens.keys().map(String::as_str).collect();
    Some(if others.is_empty() {
        Found::likely(
            Cause::NotApproved,
            "the identity keeps no device token: no gateway has approved it yet, or it has lost what it was given",
        )
    } else {
        Found::likely(
            Cause::Role,
            format!(
                "the identity keeps a device token for {} and none for {}",
                others.join(", "),
                pointed.role
            ),
        )
    })
}

/// Whether the gateway's store holds the very token that the identity keeps.
pub(super) fn token_is_stored(pointed: &Pointed) -> bool {
    let stored = entry(pointed).and_then(|entry| entry.tokens.get(&pointed.role));
    matches!((stored, pointed.kept()), (Some(stored), Some(kept)) if stored.token == kept.token && !stored.revoked)
}

/// Scopes, role and metadata, in the order of [`Cause::ALL`].
pub(super) fn widths(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    scopes(pointed, seen, told).or_else(|| role(pointed)).or_else(|| metadata(pointed, told))
}

fn entry(pointed: &Pointed) -> Option<&StoredDevice> {
    pointed.store.as_ref()?.entry.as_ref()
}

/// What the device holds as far as it is known.
pub(super) fn held(pointed: &Pointed, seen: &Seen) -> Option<Vec<String>> {
    if let Some(entry) = entry(pointed) {
        return Some(entry.scopes.clone());
    }
    match seen.device.as_ref()?.as_ref().ok()? {
        answered if answered.approved_scopes.is_some() => answered.approved_scopes.clone(),
        answered => match &answered.outcome {
            Outcome::Session(grant) => grant.auth.as_ref().map(|auth| auth.scopes.clone()),
            _ => None,
        },
    }
}

/// What the client asks for: as was said, else as its waiting request has it.
pub(super) fn asked(pointed: &Pointed) -> Option<Vec<String>> {
    if let Some(asks) = &pointed.asks {
        return Some(asks.clone());
    }
    let waiting = &pointed.store.as_ref()?.waiting;
    let waiting =
        waiting.iter().find(|waiting| waiting.role.as_ref().is_none_or(|role| *role == pointed.role))?;
    Some(waiting.scopes.clone())
}

/// What of it the device does not hold.
pub(super) fn lacking(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Vec<String>> {
    let (held, asked) = (held(pointed, seen)?, asked(pointed)?);
    let lacking: Vec<String> =
        asked.into_iter().filter(|scope| !covers(told.profile, &held, scope)).collect();
    (!lacking.is_empty()).then_some(lacking)
}

fn scopes(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    if pointed.role == ROLE_NODE {
        return None;
    }
    let held = held(pointed, seen)?;
    let is_read_only = held == [READ];
    let holds = if held.is_empty() { "no scope".to_owned() } else { held.join(", ") };
    if let Some(lacking) = lacking(pointed, seen, told) {
        let why = format!("this device asks for {} and holds {holds}", lacking.join(", "));
        return Some(if is_read_only {
            Found::certain(
                Cause::ReadOnlyPoisoned,
                format!("{why}: it can see status and logs, and control nothing"),
            )
        } else {
            Found::certain(Cause::ScopeLadder, why)
        });
    }
    if let (Some(entry), Some(asked)) = (entry(pointed), asked(pointed))
        && let Some(token) = entry.tokens.get(&pointed.role)
        && let Some(scope) = asked.iter().find(|scope| !covers(told.profile, &token.scopes, scope))
    {
        let why = format!(
            "this device is approved for {scope}, and its token holds {}: a rotation left scopes out",
            if token.scopes.is_empty() { "no scope".to_owned() } else { token.scopes.join(", ") }
        );
        return Some(Found::certain(Cause::NarrowRotation, why));
    }
    // A command line that can only read is what the article's "No request ID" is about, unless somebody says that this is enough.
    let is_cli = entry(pointed).is_none_or(|entry| {
        entry.client_id.as_deref().is_none_or(|id| matches!(id, "cli" | "gateway-client"))
    });
    (is_read_only && is_cli && pointed.asks.is_none()).then(|| {
        Found::possible(
            Cause::ReadOnlyPoisoned,
            "the device is let in and holds operator.read only: whatever writes or lists devices is refused (say what the client asks \
             for with --asks, and --asks operator.read if that is all)",
        )
    })
}

fn role(pointed: &Pointed) -> Option<Found> {
    let entry = entry(pointed)?;
    (!entry.roles.contains(&pointed.role)).then(|| {
        let holds = if entry.roles.is_empty() { "none".to_owned() } else { entry.roles.join(", ") };
        Found::certain(
            Cause::Role,
            format!("this device asks for the role {} and is approved for {holds}", pointed.role),
        )
    })
}

/// Only what somebody says, or what waits, is held against the entry: a probe does not know what a client claims.
fn metadata(pointed: &Pointed, told: &Told) -> Option<Found> {
    let entry = entry(pointed)?;
    let pins = told.profile.is_none_or(|profile| Release::of(profile).metadata != MetadataRule::Ignored);
    let waiting = pointed.store.as_ref().and_then(|store| store.waiting.first());
    let claimed = pointed.platform.clone().or_else(|| waiting.and_then(|waiting| waiting.platform.clone()));
    let family =
        pointed.device_family.clone().or_else(|| waiting.and_then(|waiting| waiting.device_family.clone()));
    let differs = |claimed: &Option<String>, stored: &Option<String>| match (claimed, stored) {
        (Some(claimed), Some(stored)) => !claimed.trim().eq_ignore_ascii_case(stored.trim()),
        _ => false,
    };
    let (what, claimed, stored) = if differs(&claimed, &entry.platform) {
        ("platform", claimed, &entry.platform)
    } else if differs(&family, &entry.device_family) {
        ("device family", family, &entry.device_family)
    } else {
        return None;
    };
    pins.then(|| {
        let why = format!(
            "the client says that its {what} is {}, and the entry has {} pinned",
            claimed.unwrap_or_default(),
            stored.as_deref().unwrap_or_default()
        );
        if told.profile.is_some() {
            Found::certain(Cause::MetadataPin, why)
        } else {
            Found::likely(Cause::MetadataPin, why)
        }
    })
}

/// What is known of the device, for the evidence.
pub(super) fn words(pointed: &Pointed) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(identity) = &pointed.identity {
        let kept = pointed.kept().map_or_else(
            || format!("no token for {}", pointed.role),
            |kept| format!("a token for {} with {}", pointed.role, list(&kept.scopes)),
        );
        words.push(format!("identity: device {}, keeps {kept}", identity.key.device_id()));
    }
    let Some(store) = &pointed.store else { return words };
    match (&store.broken, &store.entry) {
        (Some(why), _) => words.push(format!("store: {why}")),
        (None, Some(entry)) => words.push(format!(
            "store: {} devices; this one has roles {}, scopes {}, platform {}",
            store.devices,
            list(&entry.roles),
            list(&entry.scopes),
            entry.platform.as_deref().unwrap_or("none")
        )),
        (None, None) => words.push(format!("store: {} devices, this one is not among them", store.devices)),
    }
    for waiting in &store.waiting {
        words.push(format!("store: request {} waits, for {}", waiting.request_id, list(&waiting.scopes)));
    }
    if pointed.platform.is_none() && entry(pointed).is_none() {
        words.push(format!(
            "connects say that the platform is {} (--platform says another)",
            course::own_platform()
        ));
    }
    words
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
