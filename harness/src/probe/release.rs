//! Which release a gateway is, as far as it can be told; without connecting it is a generation.

use protocol::ProfileName;

use super::configuration::Configuration;
use super::http::Like;
use super::seen::Seen;
use super::store::{Store, StoreForm};
use crate::diagnosis::release::numbers;

/// What is known of the release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The version as it was said.
    pub version: Option<String>,
    /// The nearest release that is known, if that much can be told.
    pub profile: Option<ProfileName>,
    /// By what it was told, in words.
    pub by: &'static str,
    /// Whether `auth.deviceToken` is surely in its schema (2026.2.22 on).
    pub knows_device_token: bool,
}

/// Tells the release from the surest sign there is.
#[must_use]
pub fn tell(seen: &Seen, configuration: Option<&Configuration>, store: Option<&Store>) -> Told {
    if let Some(version) = seen.told(|answered| answered.version.clone())
        && (nearest(&version).is_some() || numbers(&version).is_some())
    {
        let profile = nearest(&version);
        let knows_device_token = profile.is_some_and(device_token_field);
        return Told { version: Some(version), profile, by: "its hello-ok", knows_device_token };
    }
    if seen.told(|answered| answered.version.clone()).as_deref() == Some("dev") {
        return Told {
            version: None,
            profile: Some(ProfileName::V2026_2_19),
            by: "its hello-ok, which says `dev` as those of 2026.2.19 and 2026.2.21 do",
            knows_device_token: false,
        };
    }
    let of = |profile, by| Told { profile: Some(profile), by, knows_device_token: true, version: None };
    let health = seen.health.as_ref().and_then(|health| health.as_ref().ok()).map(|health| health.like);
    if let Some(Ok(challenge)) = &seen.challenge
        && challenge.capabilities
    {
        return of(ProfileName::V2026_9_6, "its challenge, which names capabilities");
    }
    if store.is_some_and(|store| store.form == StoreForm::Database) {
        return of(ProfileName::V2026_9_6, "its store, which is a database");
    }
    let written = configuration.and_then(|configuration| configuration.written_by.as_deref());
    if let Some(version) = written
        && let Some(profile) = nearest(version)
    {
        return Told {
            version: Some(version.to_owned()),
            profile: Some(profile),
            by: "openclaw.json, which this release wrote last",
            knows_device_token: device_token_field(profile),
        };
    }
    match health {
        Some(Like::Health) => Told {
            by: "its /health, which 2026.3.13 and later have; the challenge is that of a release before 2026.9.6",
            knows_device_token: true,
            ..Told::default()
        },
        Some(Like::ControlUi) => {
            Told { by: "its /health, which releases before 2026.3.13 do not have", ..Told::default() }
        }
        _ => Told::default(),
    }
}

const fn device_token_field(profile: ProfileName) -> bool {
    !matches!(profile, ProfileName::V2026_2_19 | ProfileName::V2026_2_21)
}

/// The newest known release that is not newer than `version`. `None` for one that is older than all, and for what is no version.
#[must_use]
pub fn nearest(version: &str) -> Option<ProfileName> {
    // The in-repo gateway's own, which is no release: `0.1.0+article`.
    if version.rsplit('+').next() == Some(ProfileName::Article.as_str()) {
        return Some(ProfileName::Article);
    }
    let asked = numbers(version)?;
    ProfileName::ALL
        .into_iter()
        .filter(|profile| numbers(profile.as_str()).is_some_and(|known| known <= asked))
        .max_by_key(|profile| numbers(profile.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_between_two_is_the_older_one() {
        for (version, profile) in [
            ("2026.2.19", Some(ProfileName::V2026_2_19)),
            ("2026.2.19-2", Some(ProfileName::V2026_2_19)),
            ("2026.3.2", Some(ProfileName::V2026_2_22)),
            ("2026.8.1", Some(ProfileName::V2026_3_13)),
            ("2026.10.1", Some(ProfileName::V2026_9_6)),
            ("2026.1.29", None),
            ("article", Some(ProfileName::Article)),
            ("0.1.0+article", Some(ProfileName::Article)),
            ("dev", None),
            ("2026.9", None),
        ] {
            assert_eq!(nearest(version), profile, "{version}");
        }
    }
}
