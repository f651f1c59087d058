//! What one connect of a cohort is to expect, prepared before the history is known.

use protocol::PairingReason;

use super::alphabet::Alphabet;
use super::credential::CredentialRefusal;
use super::facts::Facts;
use super::locality::Place;
use super::refusal::{self, DueRefusal, Refused};
use super::release::{MetadataRule, Release};
use super::state::{Claim, Reasons};
use super::table::{self, Ask, Expected};
use crate::plan::{AuthMode, ConnectSpec, GatewayPlan};
use protocol::ClientId;
use protocol::device::normalized_metadata;

/// What one of a cohort's connects is to expect.
pub(super) struct AskRules<'p> {
    pub(super) spec: &'p ConnectSpec,
    /// Without a device token, and with one.
    variants: [Variant; 2],
}

/// One connect as it is really sent.
pub(super) struct Variant {
    pub(super) facts: Facts,
    /// [`Facts::distinct_scopes`]
    pub(super) distinct_scopes: Vec<String>,
    /// They are sorted.
    pub(super) asks_in_order: bool,
    /// By [`Place::number`].
    expected: [Expected; 3],
    /// How a device token that is not good is refused.
    pub(super) bad_token: DueRefusal,
    /// How one is refused that is too narrow.
    pub(super) narrow_token: DueRefusal,
    /// How a locked-out address is refused.
    pub(super) locked_out: DueRefusal,
    pub(super) release: &'static Release,
}

impl<'p> AskRules<'p> {
    /// `longest_ms`: how long an attempt may take.
    pub(super) fn new(spec: &'p ConnectSpec, gateway: &'p GatewayPlan, longest_ms: u64) -> Self {
        let release = Release::of(gateway.profile);
        let variant =
            |has_token| Variant::new(Facts::of(spec, gateway.auth, release, has_token), gateway, longest_ms);
        Self { spec, variants: [variant(false), variant(true)] }
    }

    /// The connect with or without a device token.
    pub(super) const fn variant(&self, has_token: bool) -> &Variant {
        let [without, with] = &self.variants;
        if has_token { with } else { without }
    }
}

impl Variant {
    pub(super) fn new(facts: Facts, gateway: &GatewayPlan, longest_ms: u64) -> Self {
        let expected =
            Place::ALL.map(|place| table::expected_within(&Ask::new(&facts, place, gateway), longest_ms));
        let ask = Ask::new(&facts, Place::Remote, gateway);
        let bad = ask.credential_refusal().unwrap_or(CredentialRefusal::DeviceToken);
        Self {
            bad_token: ask.unauthorized(bad),
            narrow_token: ask.unauthorized(CredentialRefusal::ScopeMismatch),
            locked_out: ask.unauthorized(CredentialRefusal::RateLimited),
            expected,
            release: ask.release,
            asks_in_order: facts.distinct_scopes().is_sorted(),
            distinct_scopes: facts.distinct_scopes(),
            facts,
        }
    }

    pub(super) fn expected(&self, place: Place) -> &Expected {
        let [local, remote, unattributable] = &self.expected;
        match place {
            Place::Local => local,
            Place::Remote => remote,
            Place::Unattributable => unattributable,
        }
    }

    /// How pairing is required of it.
    pub(super) fn pairing(&self, reason: PairingReason) -> DueRefusal {
        let waits = self.facts.is_control_ui() && self.facts.is_operator();
        refusal::due(Refused::Pairing { reason, waits }, self.release)
    }

    /// How it is told that `signedAt` is stale.
    pub(super) const fn stale(&self) -> DueRefusal {
        self.expected[0].stale
    }

    /// The refusal of that class that the device's state may bring about.
    pub(super) fn due_of_class(&self, class: &str) -> Option<DueRefusal> {
        let pairing = PairingReason::ALL.into_iter().map(|reason| self.pairing(reason));
        pairing.chain([self.bad_token, self.narrow_token, self.stale()]).find(|due| due.class == class)
    }

    /// What it claims of a device whose history names these roles, scopes and texts.
    pub(super) fn claim(
        &self,
        place: Place,
        gateway: &GatewayPlan,
        by_token: bool,
        alphabet: &Alphabet<'_>,
        texts: &Texts,
    ) -> Claim {
        let facts = &self.facts;
        let shared = facts.sent.is_good_shared(gateway.auth, self.release);
        let platform = normalized_metadata(&facts.platform);
        let family = facts.device_family.as_deref().map(normalized_metadata);
        Claim {
            // The alphabet holds the role that is asked.
            role: alphabet.role(&facts.role).unwrap_or_default(),
            is_operator: facts.is_operator(),
            scopes: alphabet.set(facts.scopes.iter().map(String::as_str)),
            platform: texts.number(&platform),
            family: family.as_deref().and_then(|family| texts.number(family)),
            platform_agrees: texts.agreeing(|stored| {
                let systems = self.release.metadata == MetadataRule::PinnedBySystem;
                stored == platform || (systems && same_system(facts.id, stored, &platform))
            }),
            family_agrees: texts.agreeing(|stored| Some(stored) == family.as_deref()),
            silent: self.silent(place, gateway),
            skips_pairing: self.skips_pairing(place, gateway.auth, shared, by_token),
            browser: facts.is_browser(),
            binds_token: facts.is_browser() && shared,
        }
    }

    /// Section 8.4.
    fn silent(&self, place: Place, gateway: &GatewayPlan) -> Reasons {
        let facts = &self.facts;
        let foreign_origin = self.release.silent_without_origin && facts.has_origin() && !facts.is_browser();
        if place != Place::Local || foreign_origin {
            return Reasons::default();
        }
        let off = self.release.revoked_role_is_none
            && gateway.config.pointer("/gateway/nodes/pairing/autoApproveLocal")
                == Some(&serde_json::Value::Bool(false));
        let applies = |reason: &PairingReason| match reason {
            PairingReason::MetadataUpgrade => {
                facts.is_native_app() && !facts.has_origin() && !facts.is_browser()
            }
            _ => !off,
        };
        self.release
            .silent
            .iter()
            .filter(|reason| applies(reason))
            .fold(Reasons::default(), |set, reason| set.with(*reason))
    }

    /// Section 8.1.
    fn skips_pairing(&self, place: Place, auth: AuthMode, shared: bool, by_token: bool) -> bool {
        let (facts, release) = (&self.facts, self.release);
        let helper = release.backend_skips_pairing
            && facts.is_backend()
            && place == Place::Local
            && !facts.has_origin()
            && (shared || (release.local_helpers && (by_token || auth == AuthMode::None)));
        let open_ui =
            release.local_helpers && auth == AuthMode::None && facts.is_control_ui() && facts.is_operator();
        let bypass =
            release.shared_operator_skips_pairing && facts.is_operator() && shared && !facts.is_browser();
        helper || open_ui || bypass
    }
}

/// Platforms and device families that a device's history names, normalised.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts(Vec<String>);

impl Texts {
    /// Most texts of one device.
    const MAX: usize = 64;

    /// `None` if there are too many to number. Empty ones are no texts.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all: Vec<String> =
            texts.into_iter().map(normalized_metadata).filter(|text| !text.is_empty()).collect();
        all.sort_unstable();
        all.dedup();
        (all.len() <= Self::MAX).then_some(Self(all))
    }

    /// Number of a normalised text.
    pub(super) fn number(&self, text: &str) -> Option<u8> {
        self.0.iter().position(|known| known == text).and_then(|position| u8::try_from(position).ok())
    }

    fn agreeing(&self, agrees: impl Fn(&str) -> bool) -> u64 {
        (self.0.iter().enumerate())
            .filter(|(_, text)| agrees(text))
            .fold(0, |bits, (position, _)| bits | (1 << position))
    }
}

/// Whether two platforms are versions of the system that an app runs on (2026.9.6).
fn same_system(id: ClientId, stored: &str, claimed: &str) -> bool {
    let system = |text: &str| {
        let word = text.split_whitespace().next().unwrap_or_default();
        match (id, word) {
            (ClientId::Ios, "ios" | "ipados") => Some("ios"),
            (ClientId::Android, "android") => Some("android"),
            (ClientId::WatchOs, "watchos") => Some("watchos"),
            (ClientId::MacOs, "macos") => Some("macos"),
            (ClientId::NodeHost, "darwin" | "macos") => Some("macos"),
            _ => None,
        }
    };
    system(stored).is_some() && system(stored) == system(claimed)
}
