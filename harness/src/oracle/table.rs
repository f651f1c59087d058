//! The decision table of section 4, as far as the answer does not depend on the device's state.
//!
//! [`ROWS`] stands beside the reference's table, row by row and in its order: the first row whose predicate holds decides.
//! What no row decides depends on the device ([`Due::Device`]). Numbers are those of section 2 of
//! `docs/reference/article-profile.md`; a row that only some releases have asks the [`Release`] for it.

use protocol::close::{code, reason};
use protocol::{ClientMode, PayloadVersion};

use super::classify;
use super::credential::{CredentialRefusal, Secret};
use super::facts::{Facts, Message, Nonce, Proof};
use super::locality::Place;
use super::origin;
use super::refusal::due;
pub use super::refusal::{DueRefusal, ProofFault, Refused, Wording};
use super::release::Release;
use crate::observation::Observation;
use crate::plan::{AuthMode, GatewayPlan};

/// The answer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// An HTTP status instead of 101.
    Upgrade(u16),
    /// No frame, only a close.
    Close(DueClose),
    /// An error frame, then a close.
    Refuse(DueRefusal),
    /// A session without device: no token, and no scopes unless it keeps those it asked for.
    AcceptWithoutDevice {
        /// It does.
        keeps_scopes: bool,
    },
    /// It depends on the device's state.
    Device,
}

impl Due {
    /// Class of the outcome ([`classify::class_of`]); `None` if it depends on the device's state.
    #[must_use]
    pub const fn class(&self) -> Option<&'static str> {
        match self {
            Self::Upgrade(_) => Some(classify::UPGRADE_REFUSED),
            Self::Close(close) => Some(close.class),
            Self::Refuse(refusal) => Some(refusal.class),
            Self::AcceptWithoutDevice { .. } => Some(classify::SESSION),
            Self::Device => None,
        }
    }
}

/// A close without error frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueClose {
    /// Class of the outcome.
    pub class: &'static str,
    /// Close code.
    pub code: u16,
    /// Close reason.
    pub reason: &'static str,
    /// Whether it comes only after the release's handshake time, scaled.
    pub after_handshake_time: bool,
}

/// What the table decides on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is sent.
    pub facts: &'a Facts,
    /// Where the sender is.
    pub place: Place,
    /// To which release.
    pub release: &'static Release,
    /// `gateway.auth.mode`
    pub auth: AuthMode,
    /// `gateway.controlUi.allowedOrigins`
    pub allowed_origins: &'a [String],
}

impl<'a> Ask<'a> {
    /// The connect of a planned client.
    #[must_use]
    pub fn new(facts: &'a Facts, place: Place, gateway: &'a GatewayPlan) -> Self {
        Self {
            facts,
            place,
            release: Release::of(gateway.profile),
            auth: gateway.auth,
            allowed_origins: &gateway.allowed_origins,
        }
    }

    /// Whether the shared secret is good.
    #[must_use]
    pub const fn is_good_shared(&self) -> bool {
        self.facts.sent.is_good_shared(self.auth, self.release)
    }

    const fn without_device(&self) -> bool {
        self.facts.proof.is_none()
    }

    /// A helper of the gateway on its own machine, which keeps its scopes without a device.
    fn is_local_helper(&self) -> bool {
        let facts = self.facts;
        self.release.local_helpers
            && self.place == Place::Local
            && !facts.has_origin()
            && ((facts.is_cli() && self.is_good_shared())
                || (facts.is_backend() && (self.is_good_shared() || self.auth == AuthMode::None)))
    }

    /// Whether a client without device gets in.
    fn enters_without_device(&self) -> bool {
        let operator = self.facts.is_operator();
        (self.is_good_shared() && (operator || self.release.node_without_device))
            || (self.facts.is_backend() && operator && self.is_local_helper())
    }

    fn refuse(&self, refused: Refused) -> Due {
        Due::Refuse(due(refused, self.release))
    }

    /// How the credential is refused, once neither the shared secret nor a device token is good.
    #[must_use]
    pub fn credential_refusal(&self) -> Option<CredentialRefusal> {
        self.facts.sent.refusal(self.auth, self.release, !self.without_device())
    }

    /// The whole refusal of a credential.
    #[must_use]
    pub fn unauthorized(&self, refusal: CredentialRefusal) -> DueRefusal {
        let sent = self.facts.sent;
        let retry = !self.without_device()
            && sent.token != Secret::Absent
            && sent.password == Secret::Absent
            && sent.device_token == Secret::Absent;
        due(Refused::Credential { refusal, retry }, self.release)
    }

    fn proof_fault(&self, proof: Proof, stale: bool) -> Option<ProofFault> {
        let v1_counts = self.release.nonce_optional && self.place == Place::Local;
        let unsigned_nonce = matches!(proof.nonce, Nonce::Blank | Nonce::Absent);
        let signed = match proof.signature {
            Some(PayloadVersion::V1) => unsigned_nonce && v1_counts,
            Some(version) => !unsigned_nonce && self.release.signatures.contains(&version),
            None => false,
        };
        if !proof.own_id {
            Some(ProofFault::Id)
        } else if stale {
            Some(ProofFault::Stale)
        } else if unsigned_nonce && !v1_counts {
            Some(ProofFault::NonceMissing)
        } else if proof.nonce == Nonce::Wrong {
            Some(ProofFault::NonceMismatch)
        } else if !signed {
            Some(ProofFault::Signature)
        } else {
            None
        }
    }

    fn has_fault(&self, faults: &[ProofFault], stale: bool) -> Option<ProofFault> {
        let fault = self.facts.proof.and_then(|proof| self.proof_fault(proof, stale))?;
        faults.contains(&fault).then_some(fault)
    }

    /// Whether `signedAt` is surely too far from the gateway's clock.
    fn is_stale(&self) -> bool {
        self.facts.proof.is_some_and(|proof| staleness(proof.skew_ms, 0, self.release) == Staleness::Stale)
    }
}

/// One row.
pub struct Row {
    /// Number in the profile's section 2; 0 = section 1.
    pub number: u8,
    /// Condition, for people.
    pub condition: &'static str,
    /// The answer, if the row applies.
    pub decide: fn(&Ask<'_>) -> Option<Due>,
}

/// The table.
pub static ROWS: [Row; 19] = [
    Row {
        number: 0,
        condition: "forwarding headers that nobody can be held to",
        decide: |ask| (ask.place == Place::Unattributable).then_some(Due::Upgrade(403)),
    },
    Row {
        number: 0,
        condition: "nothing is sent for the handshake time",
        decide: |ask| (ask.facts.message == Message::Silent).then_some(Due::Close(SILENCE)),
    },
    Row {
        number: 1,
        condition: "message too large",
        decide: |ask| match (ask.facts.message, ask.release.message_bytes_max) {
            (Message::Connect { bytes }, Some(most)) if bytes > most => Some(Due::Close(TOO_BIG)),
            _ => None,
        },
    },
    Row {
        number: 2,
        condition: "not JSON, or empty",
        decide: |ask| (ask.facts.message == Message::NotJson).then_some(Due::Close(NOT_JSON)),
    },
    Row {
        number: 3,
        condition: "JSON, but no request frame",
        decide: |ask| (ask.facts.message == Message::NotARequest).then_some(Due::Close(NOT_A_REQUEST)),
    },
    Row {
        number: 4,
        condition: "method is not `connect`",
        decide: |ask| (ask.facts.message == Message::WrongMethod).then(|| ask.refuse(Refused::Method)),
    },
    Row {
        number: 5,
        condition: "parameters break the schema",
        decide: |ask| breaks_schema(ask).then(|| ask.refuse(Refused::Schema)),
    },
    Row {
        number: 6,
        condition: "no common protocol",
        decide: |ask| (!speaks(ask)).then(|| ask.refuse(Refused::Protocol)),
    },
    Row {
        number: 7,
        condition: "role is neither `operator` nor `node`",
        decide: |ask| {
            (!matches!(ask.facts.role.as_str(), "operator" | "node")).then(|| ask.refuse(Refused::Role))
        },
    },
    Row {
        number: 8,
        condition: "origin refused",
        decide: |ask| {
            origin::is_checked(ask.facts, ask.release)
                .then(|| origin::fault(ask.facts, ask.release, ask.place, ask.allowed_origins))
                .flatten()
                .map(|fault| ask.refuse(Refused::Origin(fault)))
        },
    },
    Row {
        number: 9,
        condition: "no device; control UI",
        decide: |ask| {
            (ask.without_device() && ask.facts.is_control_ui())
                .then(|| ask.refuse(Refused::ControlUiWithoutDevice))
        },
    },
    Row {
        number: 10,
        condition: "no device; a shared credential was sent and is wrong",
        decide: |ask| {
            let wrong = ask.without_device()
                && ask.auth != AuthMode::None
                && ask.facts.sent.is_shared()
                && !ask.is_good_shared();
            if wrong { unauthorized(ask) } else { None }
        },
    },
    Row {
        number: 11,
        condition: "no device; no shared credential, or a role or auth mode that needs a device",
        decide: |ask| {
            (ask.without_device() && !ask.enters_without_device()).then(|| ask.refuse(Refused::WithoutDevice))
        },
    },
    Row {
        number: 11,
        condition: "no device; with a good shared credential",
        decide: |ask| {
            ask.without_device().then(|| Due::AcceptWithoutDevice { keeps_scopes: ask.is_local_helper() })
        },
    },
    Row {
        number: 12,
        condition: "`device.id` is not the hash of the key",
        decide: |ask| ask.has_fault(&[ProofFault::Id], false).map(|fault| ask.refuse(Refused::Proof(fault))),
    },
    Row {
        number: 13,
        condition: "`signedAt` differs by more than the allowed skew",
        decide: |ask| ask.is_stale().then(|| ask.refuse(Refused::Proof(ProofFault::Stale))),
    },
    Row {
        number: 14,
        condition: "nonce blank, absent, or not the challenge's",
        decide: |ask| {
            ask.has_fault(&[ProofFault::NonceMissing, ProofFault::NonceMismatch], false)
                .map(|fault| ask.refuse(Refused::Proof(fault)))
        },
    },
    Row {
        number: 15,
        condition: "the signature verifies over no payload that counts",
        decide: |ask| {
            ask.has_fault(&[ProofFault::Signature], false).map(|fault| ask.refuse(Refused::Proof(fault)))
        },
    },
    Row {
        number: 16,
        condition: "credential refused, whatever the device's tokens are",
        // A device token that was once issued may be good or not. Nothing else sent in its place can be: a shared or
        // wrong secret in `auth.token` is tried as a device token too, and is none.
        decide: |ask| {
            let hopeless = ask.auth != AuthMode::None
                && !ask.is_good_shared()
                && ask.facts.sent.candidate() != Secret::Issued;
            if hopeless { unauthorized(ask) } else { None }
        },
    },
];

fn breaks_schema(ask: &Ask<'_>) -> bool {
    let (facts, release) = (ask.facts, ask.release);
    let newer = facts.protocol_is_v4_only();
    facts.malformed
        || (newer && release.protocol < protocol::connect::PROTOCOL_V4)
        || (facts.sent.device_token != Secret::Absent && !release.device_token_field)
        || (facts.sent.bootstrap && !release.bootstrap_field)
        || (facts.proof.is_some_and(|proof| proof.nonce == Nonce::Absent) && !release.nonce_optional)
}

impl Facts {
    /// The client's id or mode is one that only 2026.9.6 knows.
    const fn protocol_is_v4_only(&self) -> bool {
        !self.id.known_before_v4() || !self.mode.known_before_v4()
    }
}

fn speaks(ask: &Ask<'_>) -> bool {
    let (min, max) = ask.facts.protocol;
    let release = ask.release;
    let reaches = |protocol: u32| (min..=max).contains(&protocol);
    let node = ask.facts.role == protocol::scope::ROLE_NODE && ask.facts.mode == ClientMode::Node;
    let old = node || ask.facts.mode == ClientMode::Probe;
    reaches(release.protocol) || (old && reaches(release.protocol_of_nodes))
}

fn unauthorized(ask: &Ask<'_>) -> Option<Due> {
    ask.credential_refusal().map(|refusal| Due::Refuse(ask.unauthorized(refusal)))
}

/// What is expected of every connect of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Number of the row that decides; 17 if it depends on the device's state.
    pub row: u8,
    /// The answer that is due.
    pub due: Due,
    /// `signedAt` is so close to the limit that the time between signing and judging decides: row 13 may come first.
    /// Milliseconds of skew.
    pub skew: Option<i64>,
    /// What row 13 says.
    pub stale: DueRefusal,
    release: &'static Release,
}

impl Expected {
    /// The answers that are allowed to an attempt that took this long.
    pub(super) fn narrowed(&self, observation: &Observation) -> (Due, Option<Due>) {
        let Some(skew) = self.skew else { return (self.due, None) };
        let stamps = observation.stamps;
        let longest = stamps.answered.or_else(|| stamps.last()).zip(stamps.started);
        let delay_ms = longest.map_or(0, |(end, start)| end.saturating_sub(start) / super::MILLISECOND);
        match staleness(skew, delay_ms, self.release) {
            Staleness::Fresh => (self.due, None),
            Staleness::Stale => (Due::Refuse(self.stale), None),
            Staleness::Either => (self.due, Some(Due::Refuse(self.stale))),
        }
    }
}

/// What a gateway owes to a connect, as far as the device's state does not matter; a delay between signing and judging
/// is left out of account.
#[must_use]
pub fn expected_static(ask: &Ask<'_>) -> Expected {
    expected_within(ask, 0)
}

/// The same, when an attempt may take up to `longest_ms`.
pub(super) fn expected_within(ask: &Ask<'_>, longest_ms: u64) -> Expected {
    let skew = ask.facts.proof.map(|proof| proof.skew_ms);
    let skew =
        skew.filter(|skew| *skew != 0 && staleness(*skew, longest_ms, ask.release) == Staleness::Either);
    let decides = |row: &Row| {
        if row.number == 13 && skew.is_some() { None } else { (row.decide)(ask).map(|due| (row.number, due)) }
    };
    let (row, decided) = ROWS.iter().find_map(decides).unwrap_or((17, Due::Device));
    Expected {
        row,
        due: decided,
        // Rows above 13 decide before the clock is looked at.
        skew: skew.filter(|_| row > 13),
        stale: due(Refused::Proof(ProofFault::Stale), ask.release),
        release: ask.release,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Staleness {
    Fresh,
    Stale,
    Either,
}

/// Whether `signedAt`, shifted by `skew_ms` and judged up to `delay_ms` later, is stale. Both clocks count whole
/// milliseconds, so one is undecided on either side.
fn staleness(skew_ms: i64, delay_ms: u64, release: &Release) -> Staleness {
    let most = release.skew_ms;
    let delay = i64::try_from(delay_ms).unwrap_or(i64::MAX);
    let latest = skew_ms.saturating_add(1);
    let earliest = skew_ms.saturating_sub(1).saturating_sub(delay);
    if (-most..=most).contains(&earliest) && (-most..=most).contains(&latest) {
        Staleness::Fresh
    } else if earliest > most || latest < -most {
        Staleness::Stale
    } else {
        Staleness::Either
    }
}

const SILENCE: DueClose =
    DueClose { class: "close-1000", code: code::NORMAL, reason: "", after_handshake_time: true };
const TOO_BIG: DueClose =
    DueClose { class: "close-1009", code: code::TOO_BIG, reason: "", after_handshake_time: false };
const NOT_JSON: DueClose =
    DueClose { class: "close-1000", code: code::NORMAL, reason: "", after_handshake_time: false };
const NOT_A_REQUEST: DueClose = DueClose {
    class: "close-1008-invalid-frame",
    code: code::POLICY,
    reason: reason::INVALID_REQUEST_FRAME,
    after_handshake_time: false,
};
