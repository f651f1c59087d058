//! What one connect does to the counters of failed credentials.
//!
//! There are two for everybody who is counted, one of the shared secret and one of device tokens. Gateways look at the
//! secret first, before the device has proved its key, and at the device's token only where the secret is not good.

use std::net::IpAddr;

use super::Lock;
use crate::observation::{Fingerprint, Outcome, fingerprint};
use crate::oracle::classify;
use crate::oracle::credential::Secret;
use crate::oracle::facts::{Facts, SentOrigin};
use crate::oracle::locality::Place;
use crate::oracle::lockouts::Lockouts;
use crate::oracle::rules::Variant;
use crate::plan::AuthMode;

/// Whose failures are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::oracle) enum Who {
    /// Those of an address.
    Address(IpAddr),
    /// Those of pages at an address.
    Pages(IpAddr),
    /// Those of pages on this machine: of one origin, or of all.
    LocalPages(Fingerprint),
}

impl Who {
    /// Whose failures a connect from this address counts among.
    pub(in crate::oracle) fn of(facts: &Facts, address: IpAddr, rule: &Lockouts) -> Self {
        if !rule.counts_pages_apart() || !facts.has_origin() {
            return Self::Address(address);
        }
        if !address.is_loopback() {
            return Self::Pages(address);
        }
        let origin = match &facts.origin {
            SentOrigin::Text(text) if rule.by_origin => text.trim().to_ascii_lowercase(),
            SentOrigin::SameHost if rule.by_origin => facts.host.clone().unwrap_or_default(),
            _ => String::new(),
        };
        Self::LocalPages(fingerprint(&origin))
    }
}

/// What becomes of the counter of the shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::oracle) enum Shared {
    /// Nothing, and nobody looks whether it locks.
    Untouched,
    /// Nothing, unless it locks.
    Asked,
    /// The secret is right: it begins again.
    Right,
    /// A failure.
    Failure,
    /// A failure, unless the device's token is good.
    FailureUnlessDevice,
}

/// What is tried as the device's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::oracle) enum Candidate {
    /// What stands in `auth.deviceToken`.
    Explicit,
    /// What stands in `auth.token`, which was once issued to a device.
    Issued,
    /// What stands in `auth.token`, which never was.
    Hopeless,
}

/// What a connect does to the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::oracle) struct Counted {
    pub(super) shared: Shared,
    pub(super) device: Option<Candidate>,
    /// The device's token is tried although the secret is locked out, and both may count one failure.
    pub(super) both: bool,
}

impl Counted {
    /// `None`: nobody gets as far as the credential with it, or there is none.
    pub(in crate::oracle) fn of(variant: &Variant, place: Place, mode: AuthMode) -> Option<Self> {
        /// The first row that is decided after a look at the secret, and the first after one at the proof.
        const SECRET: u8 = 9;
        const TOKEN: u8 = 16;
        let row = variant.expected(place).row;
        if row < SECRET || mode == AuthMode::None {
            return None;
        }
        let (facts, release) = (&variant.facts, variant.release);
        let rule = &release.lockouts;
        let candidate = match (facts.proof, facts.sent.device_token, facts.sent.token) {
            (None, ..) | (_, Secret::Absent, Secret::Absent) => None,
            (_, Secret::Absent, Secret::Issued) => Some(Candidate::Issued),
            (_, Secret::Absent, _) => Some(Candidate::Hopeless),
            _ => Some(Candidate::Explicit),
        };
        let both = rule.counts_both;
        let shared = match (facts.sent.compared(mode, release), candidate) {
            (Secret::Shared, _) => Shared::Right,
            (Secret::Absent, None) if rule.missing_counts => Shared::Failure,
            (Secret::Absent, None) if !both => Shared::Asked,
            (Secret::Absent, _) => Shared::Untouched,
            (_, None) => Shared::Failure,
            (_, Some(_)) if both => Shared::FailureUnlessDevice,
            (_, Some(_)) => Shared::Untouched,
        };
        let device = candidate.filter(|_| row >= TOKEN && (both || shared != Shared::Right));
        Some(Self { shared, device, both })
    }

    /// Whether the answer is that of somebody locked out, if the two counters lock like that.
    pub(super) fn lock(&self, shared: Lock, device: Lock) -> Lock {
        let by_shared = match (self.shared, self.device) {
            (Shared::Untouched, _) | (Shared::FailureUnlessDevice, Some(Candidate::Explicit)) => Lock::Open,
            (Shared::FailureUnlessDevice, Some(Candidate::Issued)) => shared.min(Lock::Either),
            _ => shared,
        };
        if self.device.is_none() || self.shared == Shared::Right { by_shared } else { by_shared.max(device) }
    }

    /// What an answer did to the counter of the secret, and to that of device tokens, while they locked like that.
    pub(super) fn effects(&self, answer: Answer, shared: Lock, device: Lock) -> [Effect; 2] {
        [self.on_shared(answer, shared, device), self.on_device(answer, shared, device)]
    }

    fn on_shared(&self, answer: Answer, shared: Lock, device: Lock) -> Effect {
        if shared == Lock::Locked {
            return Effect::Nothing;
        }
        let (done, told) = match (self.shared, answer) {
            (Shared::Untouched | Shared::Asked, _)
            | (Shared::Right | Shared::Failure, Answer::LockedOut)
            | (Shared::FailureUnlessDevice, Answer::Good) => return Effect::Nothing,
            (Shared::Right, _) => (Effect::Reset { sure: true }, answer == Answer::Good),
            (Shared::Failure, _) => (Effect::Failed { sure: true }, answer == Answer::Bad),
            // A locked secret would have been told, unless the device's token is what is told of.
            (Shared::FailureUnlessDevice, Answer::Bad) => {
                (Effect::Failed { sure: true }, self.device != Some(Candidate::Explicit))
            }
            (Shared::FailureUnlessDevice, Answer::LockedOut) if device != Lock::Locked => {
                return Effect::Failed { sure: false };
            }
            (Shared::FailureUnlessDevice, _) => (Effect::Failed { sure: true }, false),
        };
        if told || (shared == Lock::Open && answer != Answer::Unknown) { done } else { done.doubted() }
    }

    fn on_device(&self, answer: Answer, shared: Lock, device: Lock) -> Effect {
        if self.device.is_none() || device == Lock::Locked {
            return Effect::Nothing;
        }
        let is_right = self.shared == Shared::Right;
        match answer {
            // The secret alone was good enough, if it was not locked out.
            Answer::Good if is_right && shared == Lock::Open => Effect::Nothing,
            Answer::Good => Effect::Reset { sure: !is_right },
            Answer::Bad => Effect::Failed { sure: true },
            // Then it is this counter that locks.
            Answer::LockedOut if !self.both => Effect::Nothing,
            // With the secret locked out, that is what a device token that is not good is told.
            Answer::LockedOut => Effect::Failed { sure: shared == Lock::Locked && device == Lock::Open },
            Answer::Other | Answer::Unknown => Effect::Either,
        }
    }
}

/// What an attempt did to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Nothing,
    /// It counted.
    Failed { sure: bool },
    /// The counter began again.
    Reset { sure: bool },
    /// Nobody knows.
    Either,
}

impl Effect {
    const fn doubted(self) -> Self {
        match self {
            Self::Failed { .. } => Self::Failed { sure: false },
            Self::Reset { .. } => Self::Reset { sure: false },
            other => other,
        }
    }
}

/// What an attempt was answered, as far as the counters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::oracle) enum Answer {
    /// The credential was good: a session, or pairing is required.
    Good,
    /// It was not.
    Bad,
    /// Too many failures.
    LockedOut,
    /// Something that is decided after a look at the secret.
    Other,
    /// Nothing that tells how far it came.
    Unknown,
}

impl Answer {
    /// What an outcome says.
    pub(in crate::oracle) fn of(outcome: &Outcome, variant: &Variant) -> Self {
        let refusal = match outcome {
            Outcome::Session(_) => return Self::Good,
            Outcome::Refused(refusal) => refusal,
            _ => return Self::Unknown,
        };
        let class = classify::refusal_class(refusal);
        if class == variant.locked_out.class {
            Self::LockedOut
        } else if class == variant.bad_token.class || class == variant.narrow_token.class {
            Self::Bad
        } else if classify::is_pairing(class) {
            Self::Good
        } else if matches!(class, "starting" | "restarting") {
            Self::Unknown
        } else {
            Self::Other
        }
    }
}
