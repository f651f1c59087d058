//! The decision table of section 2, as far as the answer does not depend on the device's state.
//!
//! [`ROWS`] stands beside the profile's table, row by row and in its order: the first row whose predicate holds decides.
//! What no row decides depends on the device ([`Due::Device`]).

use protocol::PairingReason;
use protocol::close::{code, reason};

use super::credential::{CredentialRefusal, Sent};
use super::{classify, origin};
use crate::observation::Observation;
use crate::plan::{AuthMode, ConnectSpec, Deviation, GatewayPlan, Persona};

/// Largest message before an accepted connect, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// Largest difference between `signedAt` and the gateway's clock, in milliseconds.
pub const SKEW_MS_MAX: i64 = 120_000;
/// Protocol of the profile.
pub const PROTOCOL: u32 = 3;

/// The answer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// No frame, only a close.
    Close(DueClose),
    /// An error frame, then a close.
    Refuse(&'static DueRefusal),
    /// A session without device: no scopes, no token.
    AcceptWithoutDevice,
    /// It depends on the device's state.
    Device,
}

impl Due {
    /// Class of the outcome ([`classify::class_of`]); `None` if it depends on the device's state.
    #[must_use]
    pub const fn class(&self) -> Option<&'static str> {
        match self {
            Self::Close(close) => Some(close.class),
            Self::Refuse(refusal) => Some(refusal.class),
            Self::AcceptWithoutDevice => Some(classify::SESSION),
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
    /// Whether it comes only after the handshake time, 10 s scaled.
    pub after_handshake_time: bool,
}

/// An error frame and the close that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRefusal {
    /// Class of the outcome.
    pub class: &'static str,
    /// `error.code`
    pub code: &'static str,
    /// `error.message`; also the close reason, cut to 120 bytes.
    pub message: Wording,
    /// `error.details.code`; `None` = absent.
    pub detail_code: Option<&'static str>,
    /// `error.details.reason`; `None` = absent.
    pub reason: Option<&'static str>,
    /// `error.details.authReason`; `None` = absent.
    pub auth_reason: Option<&'static str>,
    /// Whether `error.details.requestId` must be there.
    pub request_id: bool,
    /// Close code.
    pub close: u16,
}

/// How a text is held to the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// This text.
    Exact(&'static str),
    /// A text that begins so: hints and the validator's texts are not judged.
    Begins(&'static str),
}

impl Wording {
    /// Whether `text` is so worded.
    #[must_use]
    pub fn allows(self, text: &str) -> bool {
        match self {
            Self::Exact(due) => text == due,
            Self::Begins(due) => text.starts_with(due),
        }
    }

    /// The text, or its beginning.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Exact(text) | Self::Begins(text) => text,
        }
    }
}

/// What the table decides on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the client sends.
    pub spec: &'a ConnectSpec,
    /// Whom it sends it to.
    pub gateway: &'a GatewayPlan,
    /// What it really sends as credential.
    pub sent: Sent,
}

impl Ask<'_> {
    /// `role`, `operator` if absent.
    #[must_use]
    pub fn role(&self) -> &str {
        effective_role(self.spec)
    }

    fn deviates(&self, deviation: &Deviation) -> bool {
        self.spec.deviation == *deviation
    }

    fn without_device(&self) -> bool {
        self.deviates(&Deviation::NoDevice)
    }
}

pub(super) fn effective_role(spec: &ConnectSpec) -> &str {
    spec.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR)
}

/// One row.
pub struct Row {
    /// Number in the profile's section 2; 0 = section 1.
    pub number: u8,
    /// Condition, for people.
    pub condition: &'static str,
    /// Condition.
    pub when: fn(&Ask<'_>) -> bool,
    /// Answer.
    pub then: fn(&Ask<'_>) -> Due,
}

/// The table.
pub static ROWS: [Row; 19] = [
    Row {
        number: 0,
        condition: "nothing is sent for 10 s",
        when: |ask| ask.deviates(&Deviation::Silent),
        then: |_| Due::Close(SILENCE),
    },
    Row {
        number: 1,
        condition: "message above 65 536 bytes",
        when: |ask| matches!(ask.spec.deviation, Deviation::Oversized(bytes) if bytes > MESSAGE_BYTES_MAX),
        then: |_| Due::Close(TOO_BIG),
    },
    Row {
        number: 2,
        condition: "not JSON, or empty",
        when: |ask| ask.deviates(&Deviation::NotJson),
        then: |_| Due::Close(NOT_JSON),
    },
    Row {
        number: 3,
        condition: "JSON, but no request frame",
        when: |ask| ask.deviates(&Deviation::NotARequest),
        then: |_| Due::Close(NOT_A_REQUEST),
    },
    Row {
        number: 4,
        condition: "method is not `connect`",
        when: |ask| ask.deviates(&Deviation::WrongMethod),
        then: |_| Due::Refuse(&WRONG_METHOD),
    },
    Row {
        number: 5,
        condition: "parameters break the schema",
        when: breaks_schema,
        then: |_| Due::Refuse(&SCHEMA),
    },
    Row {
        number: 6,
        condition: "3 is not within min..max",
        when: |ask| matches!(ask.spec.deviation, Deviation::Protocol { min, max } if !(min..=max).contains(&PROTOCOL)),
        then: |_| Due::Refuse(&PROTOCOL_MISMATCH),
    },
    Row {
        number: 7,
        condition: "role is neither `operator` nor `node`",
        when: |ask| !matches!(ask.role(), "operator" | "node"),
        then: |_| Due::Refuse(&INVALID_ROLE),
    },
    Row {
        number: 8,
        condition: "origin refused",
        when: |ask| origin::is_checked(ask.spec.persona) && !origin::is_accepted(ask.spec, ask.gateway),
        then: |_| Due::Refuse(&ORIGIN),
    },
    Row {
        number: 9,
        condition: "no device; control UI",
        when: |ask| ask.without_device() && ask.spec.persona == Persona::ControlUi,
        then: |_| Due::Refuse(&CONTROL_UI_WITHOUT_DEVICE),
    },
    Row {
        number: 10,
        condition: "no device; a shared credential was sent and is wrong",
        when: |ask| {
            ask.without_device()
                && ask.gateway.auth != AuthMode::None
                && ask.sent.is_shared()
                && !ask.sent.is_good_shared(ask.gateway.auth)
        },
        then: unauthorized,
    },
    Row {
        number: 11,
        condition: "no device; no shared credential, or role `node`, or auth mode `none`",
        when: |ask| {
            ask.without_device()
                && (!ask.sent.is_shared() || ask.role() == "node" || ask.gateway.auth == AuthMode::None)
        },
        then: |_| Due::Refuse(&WITHOUT_DEVICE),
    },
    Row {
        number: 11,
        condition: "no device; an operator with a good shared credential",
        when: |ask| ask.without_device(),
        then: |_| Due::AcceptWithoutDevice,
    },
    Row {
        number: 12,
        condition: "`device.id` is not the hash of the key",
        when: |ask| ask.deviates(&Deviation::ForeignDeviceId),
        then: |_| Due::Refuse(&FOREIGN_ID),
    },
    Row {
        number: 13,
        condition: "`signedAt` differs by more than 120 000 ms",
        when: |ask| matches!(ask.spec.deviation, Deviation::ClockSkew(ms) if staleness(ms, 0) == Staleness::Stale),
        then: |_| Due::Refuse(&STALE),
    },
    Row {
        number: 14,
        condition: "nonce blank",
        when: |ask| ask.deviates(&Deviation::BlankNonce),
        then: |_| Due::Refuse(&NONCE_MISSING),
    },
    Row {
        number: 14,
        condition: "nonce not the challenge's",
        when: |ask| ask.deviates(&Deviation::WrongNonce),
        then: |_| Due::Refuse(&NONCE_MISMATCH),
    },
    Row {
        number: 15,
        condition: "the signature verifies neither over payload v3 nor v2",
        when: |ask| matches!(ask.spec.deviation, Deviation::BadSignature | Deviation::SignatureV1),
        then: |_| Due::Refuse(&SIGNATURE),
    },
    Row {
        number: 16,
        condition: "credential refused, whatever the device's tokens are",
        // A device token that was once issued may be good or not. Nothing else sent in its place can be: a shared or
        // wrong secret in `auth.token` is tried as a device token too, and is none.
        when: |ask| {
            ask.gateway.auth != AuthMode::None
                && !ask.sent.is_good_shared(ask.gateway.auth)
                && ask.sent != Sent::DeviceToken
        },
        then: unauthorized,
    },
];

fn breaks_schema(ask: &Ask<'_>) -> bool {
    let empty = |text: Option<&str>| text.is_some_and(str::is_empty);
    let spec = ask.spec;
    match spec.deviation {
        // A padded frame carries an unknown key.
        Deviation::UnknownKey | Deviation::Oversized(_) => true,
        Deviation::Protocol { min, max } if min < 1 || max < 1 => true,
        _ => {
            empty(spec.role.as_deref())
                || empty(Some(&spec.platform))
                || empty(spec.device_family.as_deref())
                || spec.scopes.iter().flatten().any(String::is_empty)
        }
    }
}

fn unauthorized(ask: &Ask<'_>) -> Due {
    ask.sent
        .refusal(ask.gateway.auth)
        .map_or(Due::Device, |refusal| Due::Refuse(unauthorized_refusal(refusal)))
}

/// The refusal of a credential.
#[must_use]
pub const fn unauthorized_refusal(refusal: CredentialRefusal) -> &'static DueRefusal {
    match refusal {
        CredentialRefusal::DeviceToken => &DEVICE_TOKEN_MISMATCH,
        CredentialRefusal::TokenMissing => &TOKEN_MISSING,
        CredentialRefusal::TokenMismatch => &TOKEN_MISMATCH,
        CredentialRefusal::PasswordMissing => &PASSWORD_MISSING,
        CredentialRefusal::PasswordMismatch => &PASSWORD_MISMATCH,
    }
}

/// The refusal of row 17.
#[must_use]
pub const fn pairing_refusal(reason: PairingReason) -> &'static DueRefusal {
    match reason {
        PairingReason::NotPaired => &NOT_PAIRED,
        PairingReason::MetadataUpgrade => &METADATA_UPGRADE,
        PairingReason::RoleUpgrade => &ROLE_UPGRADE,
        PairingReason::ScopeUpgrade => &SCOPE_UPGRADE,
    }
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
}

impl Expected {
    /// The answers that are allowed to an attempt that took this long.
    pub(super) fn narrowed(&self, observation: &Observation) -> (Due, Option<Due>) {
        let Some(skew) = self.skew else { return (self.due, None) };
        let stamps = observation.stamps;
        let longest = stamps.answered.or_else(|| stamps.last()).zip(stamps.started);
        let delay_ms = longest.map_or(0, |(end, start)| end.saturating_sub(start) / super::MILLISECOND);
        match staleness(skew, delay_ms) {
            Staleness::Fresh => (self.due, None),
            Staleness::Stale => (Due::Refuse(&STALE), None),
            Staleness::Either => (self.due, Some(Due::Refuse(&STALE))),
        }
    }
}

/// What a gateway owes to a connect, as far as the device's state does not matter; a delay between signing and judging
/// is left out of account.
#[must_use]
pub fn expected_static(spec: &ConnectSpec, gateway: &GatewayPlan, sent: Sent) -> Expected {
    expected_within(spec, gateway, sent, 0)
}

/// The same, when an attempt may take up to `longest_ms`.
pub(super) fn expected_within(
    spec: &ConnectSpec,
    gateway: &GatewayPlan,
    sent: Sent,
    longest_ms: u64,
) -> Expected {
    let ask = Ask { spec, gateway, sent };
    let skew = match spec.deviation {
        Deviation::ClockSkew(ms) if staleness(ms, longest_ms) == Staleness::Either => Some(ms),
        _ => None,
    };
    let decides = |row: &&Row| !(row.number == 13 && skew.is_some()) && (row.when)(&ask);
    let (row, due) =
        ROWS.iter().find(decides).map_or((17, Due::Device), |row| (row.number, (row.then)(&ask)));
    // Rows above 13 decide before the clock is looked at.
    Expected { row, due, skew: skew.filter(|_| row > 13) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Staleness {
    Fresh,
    Stale,
    Either,
}

/// Whether `signedAt`, shifted by `skew_ms` and judged up to `delay_ms` later, is stale. Both clocks count whole
/// milliseconds, so one is undecided on either side.
fn staleness(skew_ms: i64, delay_ms: u64) -> Staleness {
    let delay = i64::try_from(delay_ms).unwrap_or(i64::MAX);
    let latest = skew_ms.saturating_add(1);
    let earliest = skew_ms.saturating_sub(1).saturating_sub(delay);
    if (-SKEW_MS_MAX..=SKEW_MS_MAX).contains(&earliest) && (-SKEW_MS_MAX..=SKEW_MS_MAX).contains(&latest) {
        Staleness::Fresh
    } else if earliest > SKEW_MS_MAX || latest < -SKEW_MS_MAX {
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

/// A refusal without details.
const fn plain(class: &'static str, message: Wording) -> DueRefusal {
    DueRefusal {
        class,
        code: "INVALID_REQUEST",
        message,
        detail_code: None,
        reason: None,
        auth_reason: None,
        request_id: false,
        close: code::POLICY,
    }
}

const fn device_auth(message: &'static str, reason: &'static str) -> DueRefusal {
    DueRefusal {
        detail_code: Some("DEVICE_AUTH_INVALID"),
        reason: Some(reason),
        ..plain(reason, Wording::Exact(message))
    }
}

const fn auth(message: Wording, detail_code: &'static str, auth_reason: &'static str) -> DueRefusal {
    DueRefusal {
        detail_code: Some(detail_code),
        auth_reason: Some(auth_reason),
        ..plain(detail_code, message)
    }
}

const fn pairing(reason: PairingReason) -> DueRefusal {
    DueRefusal {
        code: "NOT_PAIRED",
        detail_code: Some("PAIRING_REQUIRED"),
        reason: Some(reason.as_str()),
        request_id: true,
        ..plain(reason.as_str(), Wording::Exact("pairing required"))
    }
}

static WRONG_METHOD: DueRefusal =
    plain("first-request-not-connect", Wording::Exact("invalid handshake: first request must be connect"));
static SCHEMA: DueRefusal = plain("schema", Wording::Begins("invalid connect params: "));
static PROTOCOL_MISMATCH: DueRefusal = DueRefusal {
    close: code::PROTOCOL_MISMATCH,
    ..plain("protocol", Wording::Exact(reason::PROTOCOL_MISMATCH))
};
static INVALID_ROLE: DueRefusal = plain("invalid-role", Wording::Exact("invalid role"));
static ORIGIN: DueRefusal = plain(
    "origin",
    Wording::Exact(
        "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
    ),
);
static CONTROL_UI_WITHOUT_DEVICE: DueRefusal = DueRefusal {
    detail_code: Some("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
    ..plain(
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        Wording::Exact("control ui requires device identity (use HTTPS or localhost secure context)"),
    )
};
static WITHOUT_DEVICE: DueRefusal = DueRefusal {
    code: "NOT_PAIRED",
    detail_code: Some("DEVICE_IDENTITY_REQUIRED"),
    ..plain("DEVICE_IDENTITY_REQUIRED", Wording::Exact("device identity required"))
};
static FOREIGN_ID: DueRefusal = device_auth("device identity mismatch", "device-id-mismatch");
pub(super) static STALE: DueRefusal = device_auth("device signature expired", "device-signature-stale");
static NONCE_MISSING: DueRefusal = device_auth("device nonce required", "device-nonce-missing");
static NONCE_MISMATCH: DueRefusal = device_auth("device nonce mismatch", "device-nonce-mismatch");
static SIGNATURE: DueRefusal = device_auth("device signature invalid", "device-signature");
pub(super) static DEVICE_TOKEN_MISMATCH: DueRefusal = auth(
    Wording::Exact("unauthorized: device token mismatch (rotate/reissue device token)"),
    "AUTH_DEVICE_TOKEN_MISMATCH",
    "device_token_mismatch",
);
static TOKEN_MISSING: DueRefusal =
    auth(Wording::Begins("unauthorized: gateway token missing ("), "AUTH_TOKEN_MISSING", "token_missing");
static TOKEN_MISMATCH: DueRefusal =
    auth(Wording::Begins("unauthorized: gateway token mismatch ("), "AUTH_TOKEN_MISMATCH", "token_mismatch");
static PASSWORD_MISSING: DueRefusal = auth(
    Wording::Begins("unauthorized: gateway password missing ("),
    "AUTH_PASSWORD_MISSING",
    "password_missing",
);
static PASSWORD_MISMATCH: DueRefusal = auth(
    Wording::Begins("unauthorized: gateway password mismatch ("),
    "AUTH_PASSWORD_MISMATCH",
    "password_mismatch",
);
static NOT_PAIRED: DueRefusal = pairing(PairingReason::NotPaired);
static METADATA_UPGRADE: DueRefusal = pairing(PairingReason::MetadataUpgrade);
static ROLE_UPGRADE: DueRefusal = pairing(PairingReason::RoleUpgrade);
static SCOPE_UPGRADE: DueRefusal = pairing(PairingReason::ScopeUpgrade);
