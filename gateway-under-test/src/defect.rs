//! Deliberate faults, so that the harness can show that its checks catch them. Off unless named.
//!
//! Each breaks one rule and is asked for in exactly one place, by `defect == Some(Defect::…)`. What catches it stands in
//! its description; `pairstorm defects` holds every one to that, and `docs/reference/defects.md` lists them.

use protocol::ProfileName::{self, Article, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6};

/// In every profile it is a fault.
const ALL: &[ProfileName] = &[Article, V2026_2_19, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6];
/// In those that say `details.code`.
const WITH_DETAILS: &[ProfileName] = &[Article, V2026_2_22, V2026_3_13, V2026_9_6];
/// In those that hold a device to its metadata.
const WITH_METADATA: &[ProfileName] = &[Article, V2026_3_13, V2026_9_6];
/// In those in which a local client's scope upgrade waits for an operator.
const SCOPES_BY_HAND: &[ProfileName] = &[Article, V2026_2_19, V2026_2_21];
/// In those that take the last forwarded address.
const RIGHTMOST: &[ProfileName] = &[Article, V2026_2_21, V2026_2_22, V2026_3_13, V2026_9_6];

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $variant:ident = $name:literal in $profiles:expr;)+) => {
        /// One deliberate fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Defect {
            $($(#[doc = $what])+ $variant,)+
        }

        impl Defect {
            /// Every defect.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the gateway then does, for people.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => concat!($($what),+).trim_ascii(),)+ }
            }

            /// The profiles in which that is a fault, the natural one first.
            #[must_use]
            pub const fn profiles(self) -> &'static [ProfileName] {
                match self { $(Self::$variant => $profiles,)+ }
            }
        }
    };
}

defects! {
    // Who gets in.
    /// Silent approval forgets to look at locality: a remote client that is not paired gets a session.
    AcceptUnpaired = "accept-unpaired" in ALL;
    /// A rejected request is approved.
    PairRejected = "pair-rejected" in ALL;
    /// A scope upgrade of a local client is approved silently.
    SilentScopeUpgrade = "silent-scope-upgrade" in SCOPES_BY_HAND;
    /// `operator.admin` covers every scope of an operator.
    AdminImpliesAll = "admin-implies-all" in &[Article, V2026_2_19];
    /// Scopes are not held against what is approved.
    SkipScopeCheck = "skip-scope-check" in ALL;
    /// The role is not held against what is approved.
    SkipRoleCheck = "skip-role-check" in ALL;
    /// Platform and device family are not held against what is stored.
    SkipMetadataCheck = "skip-metadata-check" in WITH_METADATA;

    // Proof of the device key.
    /// `device.id` need not be the hash of the key.
    ForeignDeviceId = "foreign-device-id" in ALL;
    /// The time of the signature is not looked at.
    IgnoreClockSkew = "ignore-clock-skew" in ALL;
    /// Any nonce will do, not only the challenge's.
    StaleNonce = "stale-nonce" in ALL;
    /// The signature is not verified.
    AcceptBadSignature = "accept-bad-signature" in ALL;

    // Credentials.
    /// Any shared token or password will do.
    AnySharedSecret = "any-shared-secret" in ALL;
    /// A paired device may present any device token, another device's too.
    AnyDeviceToken = "any-device-token" in ALL;
    /// A revoked device token is accepted.
    RevokedToken = "revoked-token" in ALL;
    /// Once a device token was rotated, the old one is accepted as well.
    OldTokenAfterRotation = "old-token-after-rotation" in ALL;
    /// A device token of another role of the device is accepted.
    TokenOfAnotherRole = "token-of-another-role" in ALL;
    /// Failed credentials are not counted: nobody is ever locked out.
    RateLimitOff = "rate-limit-off" in &[V2026_9_6];

    // The way in.
    /// The first address of `X-Forwarded-For` is taken for the client's, which any client can write.
    LeftmostForwarded = "leftmost-forwarded" in RIGHTMOST;
    /// A CIDR entry of `trustedProxies` matches its whole /16.
    CidrTooWide = "cidr-too-wide" in ALL;
    /// No `Origin` is looked at.
    IgnoreOrigin = "ignore-origin" in ALL;
    /// The protocol range is not looked at.
    IgnoreProtocol = "ignore-protocol" in ALL;
    /// A control UI without a device gets a session if it knows the shared secret.
    DevicelessControlUi = "deviceless-control-ui" in ALL;

    // What a refusal says.
    /// A `not-paired` refusal says `scope-upgrade`.
    WrongReason = "wrong-reason" in WITH_DETAILS;
    /// Refusals lack `details.code`.
    NoDetailCode = "no-detail-code" in WITH_DETAILS;
    /// A pairing refusal lacks `details.requestId`.
    NoRequestId = "no-request-id" in ALL;
    /// Refusals close with 1000 instead of 1008.
    CloseNormally = "close-normally" in ALL;
    /// Refusals close without the error frame.
    NoErrorFrame = "no-error-frame" in ALL;

    // Pending requests.
    /// Every attempt makes a new pending request, with a new id.
    ChurnRequestId = "churn-request-id" in ALL;
    /// A pending request never expires.
    RequestsNeverExpire = "requests-never-expire" in ALL;

    // What a session gets.
    /// `hello.auth` lists `operator.admin`, whatever was granted.
    HelloScopesWider = "hello-scopes-wider" in ALL;
    /// Every connect gets a new device token.
    ChurnToken = "churn-token" in ALL;
    /// Pairing events go to sessions of nodes as well.
    LeakEvents = "leak-events" in ALL;
    /// Calls are carried out whatever scopes the session holds.
    CallsUnchecked = "calls-unchecked" in ALL;
    /// An operator may approve scopes that it does not hold itself, so that a session approves its own device for admin.
    SelfApproval = "self-approval" in &[V2026_9_6];

    // The store, and the end.
    /// An operator's approval works in memory and is acknowledged, but the device is left out of the store, so that a
    /// restart or a reload forgets it.
    ForgetApprovalOnRestart = "forget-approval-on-restart" in ALL;
    /// An approval is acknowledged a second before it is written: a SIGKILL in between loses it.
    EarlyAcknowledgement = "early-acknowledgement" in ALL;
    /// A reload loses every device but the first.
    ReloadDropsRows = "reload-drops-rows" in &[Article];
    /// A refused connection is kept when its client has gone.
    KeepRefused = "keep-refused" in ALL;
    /// A gateway that was told to stop still lets upgrades through.
    DrainAccepts = "drain-accepts" in ALL;
    /// A gateway that was told to stop panics while it drains.
    PanicInDrain = "panic-in-drain" in ALL;
    /// Several gateways may hold one state directory; the last writer wins.
    SharedStateDir = "shared-state-dir" in ALL;
}

impl Defect {
    /// The defect of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|defect| defect.name() == name)
    }

    /// The names of all defects, joined for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.iter().map(|defect| defect.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn count(folder: &Path, asked: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") || path.ends_with("tests.rs") {
                continue;
            }
            if path.is_dir() {
                count(&path, asked);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("defect.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                // Tests stand at the end of a file, or in a file or folder that says so.
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                    for part in line.split("Defect::").skip(1) {
                        let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
                        asked.push((name, path.display().to_string()));
                    }
                }
            }
        }
    }

    #[test]
    fn each_is_asked_for_in_exactly_one_place() {
        let mut asked = Vec::new();
        count(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut asked);
        for defect in Defect::ALL {
            let variant = format!("{defect:?}");
            let places: Vec<_> = asked.iter().filter(|(name, _)| *name == variant).collect();
            assert_eq!(places.len(), 1, "{variant}: {places:?}");
        }
    }

    #[test]
    fn names_are_told_apart_and_found() {
        for defect in Defect::ALL {
            assert_eq!(Defect::find(defect.name()), Some(*defect));
            assert!(!defect.profiles().is_empty(), "{}", defect.name());
        }
        assert_eq!(Defect::find("no-such-defect"), None);
    }
}
