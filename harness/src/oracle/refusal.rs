//! What a refusal reads like in each release: code, texts, details and close (reference, sections 4.1, 7 and 8.5).

use protocol::PairingReason;
use protocol::close::{code, reason};

use super::classify;
use super::credential::CredentialRefusal;
use super::origin::OriginFault;
use super::release::{Details, Release};

/// An error frame and the close that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRefusal {
    /// Class of the outcome.
    pub class: &'static str,
    /// `error.code`
    pub code: &'static str,
    /// `error.message`
    pub message: Wording,
    /// `error.details.code`; `None` = absent.
    pub detail_code: Option<&'static str>,
    /// `error.details.reason`; `None` = absent.
    pub reason: Option<&'static str>,
    /// `error.details.authReason`; `None` = absent.
    pub auth_reason: Option<&'static str>,
    /// `error.details.recommendedNextStep`; `None` = absent.
    pub next_step: Option<&'static str>,
    /// Whether `error.details.requestId` must be there.
    pub request_id: bool,
    /// Close code.
    pub close: u16,
    /// Close reason, cut to 120 bytes.
    pub close_text: CloseText,
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

/// What the close says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseText {
    /// The message as it was sent, hint and all.
    Message,
    /// The message, and the request id in parentheses.
    MessageAndRequest,
    /// This.
    Exact(&'static str),
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The first request is no `connect`.
    Method,
    /// Its parameters break the schema.
    Schema,
    /// No common protocol.
    Protocol,
    /// Neither operator nor node.
    Role,
    /// The origin.
    Origin(OriginFault),
    /// A control UI without device.
    ControlUiWithoutDevice,
    /// Anybody else without device.
    WithoutDevice,
    /// The proof of the device.
    Proof(ProofFault),
    /// The credential; `retry`: a device token in its stead may help.
    Credential {
        /// How.
        refusal: CredentialRefusal,
        /// See above.
        retry: bool,
    },
    /// Pairing is required; `waits`: the client may wait for it.
    Pairing {
        /// Why.
        reason: PairingReason,
        /// See above.
        waits: bool,
    },
    /// The gateway is starting.
    Starting,
    /// The gateway has begun to stop.
    Restarting,
    /// The control UI is of another build.
    Build,
}

/// What is wrong with the proof of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofFault {
    /// The id is not the hash of the key.
    Id,
    /// `signedAt` is too far from the gateway's clock.
    Stale,
    /// The nonce is blank or absent.
    NonceMissing,
    /// The nonce is not the challenge's.
    NonceMismatch,
    /// The signature does not verify.
    Signature,
}

/// What one release says.
#[must_use]
pub fn due(refused: Refused, release: &Release) -> DueRefusal {
    let fine = matches!(release.details, Details::Fine | Details::Full);
    let full = release.details == Details::Full;
    let mut due = match refused {
        Refused::Method => {
            plain("INVALID_REQUEST", Wording::Exact("invalid handshake: first request must be connect"))
        }
        Refused::Schema => plain("INVALID_REQUEST", Wording::Begins("invalid connect params: ")),
        Refused::Protocol => DueRefusal {
            close: code::PROTOCOL_MISMATCH,
            detail_code: full.then_some("PROTOCOL_MISMATCH"),
            ..plain("INVALID_REQUEST", Wording::Exact(reason::PROTOCOL_MISMATCH))
        },
        Refused::Role => plain("INVALID_REQUEST", Wording::Exact("invalid role")),
        Refused::Origin(fault) => DueRefusal {
            detail_code: fine.then_some("CONTROL_UI_ORIGIN_NOT_ALLOWED"),
            reason: fine.then_some(match fault {
                OriginFault::Missing => "origin missing or invalid",
                OriginFault::Foreign => "origin not allowed",
            }),
            ..plain(
                "INVALID_REQUEST",
                Wording::Exact(
                    "origin not allowed (open the Control UI from the gateway host or allow it in \
                     gateway.controlUi.allowedOrigins)",
                ),
            )
        },
        Refused::ControlUiWithoutDevice => DueRefusal {
            detail_code: Some("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"),
            ..plain("INVALID_REQUEST", Wording::Exact(release.control_ui_text))
        },
        Refused::WithoutDevice => DueRefusal {
            detail_code: Some("DEVICE_IDENTITY_REQUIRED"),
            ..plain("NOT_PAIRED", Wording::Exact("device identity required"))
        },
        Refused::Proof(fault) => proof(fault, fine),
        Refused::Credential { refusal, retry } => credential(refusal, retry, release),
        Refused::Pairing { reason, waits } => pairing(reason, waits, full),
        Refused::Starting => DueRefusal {
            reason: Some("startup-sidecars"),
            close: code::TRY_AGAIN_LATER,
            close_text: CloseText::Exact("gateway starting"),
            ..plain("UNAVAILABLE", Wording::Exact("gateway starting; retry shortly"))
        },
        Refused::Restarting => DueRefusal {
            reason: Some("gateway-restarting"),
            close: code::TRY_AGAIN_LATER,
            close_text: CloseText::Exact("gateway restart in progress"),
            ..plain("UNAVAILABLE", Wording::Exact("connect unavailable during gateway restart"))
        },
        Refused::Build => DueRefusal {
            detail_code: Some("PROTOCOL_MISMATCH"),
            ..plain(
                "UNAVAILABLE",
                Wording::Exact("protocol mismatch: Control UI updated; reload this page to continue"),
            )
        },
    };
    if release.details == Details::None {
        due = DueRefusal { detail_code: None, reason: None, auth_reason: None, ..due };
    }
    if !release.next_step {
        due.next_step = None;
    }
    due.class = classify::slug(due.detail_code, due.reason, due.message.text());
    due
}

/// An error without details; its class is found when all else is known.
const fn plain(code: &'static str, message: Wording) -> DueRefusal {
    DueRefusal {
        class: "",
        code,
        message,
        detail_code: None,
        reason: None,
        auth_reason: None,
        next_step: None,
        request_id: false,
        close: code::POLICY,
        close_text: CloseText::Message,
    }
}

/// Message, reason and fine code of each failed proof.
const fn proof_row(fault: ProofFault) -> [&'static str; 3] {
    match fault {
        ProofFault::Id => {
            ["device identity mismatch", "device-id-mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH"]
        }
        ProofFault::Stale => {
            ["device signature expired", "device-signature-stale", "DEVICE_AUTH_SIGNATURE_EXPIRED"]
        }
        ProofFault::NonceMissing => {
            ["device nonce required", "device-nonce-missing", "DEVICE_AUTH_NONCE_REQUIRED"]
        }
        ProofFault::NonceMismatch => {
            ["device nonce mismatch", "device-nonce-mismatch", "DEVICE_AUTH_NONCE_MISMATCH"]
        }
        ProofFault::Signature => {
            ["device signature invalid", "device-signature", "DEVICE_AUTH_SIGNATURE_INVALID"]
        }
    }
}

const fn proof(fault: ProofFault, fine: bool) -> DueRefusal {
    let [message, reason, code] = proof_row(fault);
    DueRefusal {
        detail_code: Some(if fine { code } else { "DEVICE_AUTH_INVALID" }),
        reason: Some(reason),
        ..plain("INVALID_REQUEST", Wording::Exact(message))
    }
}

/// `details.code` of a failed device proof, by its class; `None` if the class is another one or the release has no code.
#[must_use]
pub fn code_of_failed_proof(class: &str, release: &Release) -> Option<&'static str> {
    use ProofFault::{Id, NonceMismatch, NonceMissing, Signature, Stale};
    [Id, Stale, NonceMissing, NonceMismatch, Signature]
        .map(|fault| due(Refused::Proof(fault), release))
        .into_iter()
        .find(|due| due.class == class)
        .and_then(|due| due.detail_code)
}

const CONFIGURE: &str = "update_auth_configuration";
const CREDENTIALS: &str = "update_auth_credentials";
const REVIEW: &str = "review_auth_configuration";
const WAIT: &str = "wait_then_retry";

fn credential(refusal: CredentialRefusal, retry: bool, release: &Release) -> DueRefusal {
    let full = release.details == Details::Full;
    let (message, code, reason, step) = match refusal {
        CredentialRefusal::DeviceToken => (
            Wording::Exact("unauthorized: device token mismatch (rotate/reissue device token)"),
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "device_token_mismatch",
            CREDENTIALS,
        ),
        CredentialRefusal::ScopeMismatch => (
            Wording::Exact("unauthorized: device token scope mismatch (re-pair or approve scope upgrade)"),
            "AUTH_SCOPE_MISMATCH",
            "scope_mismatch",
            REVIEW,
        ),
        CredentialRefusal::Bootstrap => (
            Wording::Begins(if full {
                "unauthorized: setup code invalid, expired, revoked, or already used ("
            } else {
                "unauthorized: bootstrap token invalid or expired ("
            }),
            "AUTH_BOOTSTRAP_TOKEN_INVALID",
            "bootstrap_token_invalid",
            REVIEW,
        ),
        CredentialRefusal::TokenMissing => (
            Wording::Begins("unauthorized: gateway token missing ("),
            "AUTH_TOKEN_MISSING",
            "token_missing",
            CONFIGURE,
        ),
        CredentialRefusal::TokenMismatch => (
            Wording::Begins("unauthorized: gateway token mismatch ("),
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
            if retry { "retry_with_device_token" } else { CREDENTIALS },
        ),
        CredentialRefusal::PasswordMissing => (
            Wording::Begins("unauthorized: gateway password missing ("),
            "AUTH_PASSWORD_MISSING",
            "password_missing",
            CONFIGURE,
        ),
        CredentialRefusal::PasswordMismatch => (
            Wording::Begins("unauthorized: gateway password mismatch ("),
            "AUTH_PASSWORD_MISMATCH",
            "password_mismatch",
            CREDENTIALS,
        ),
        CredentialRefusal::RateLimited => (
            Wording::Exact("unauthorized: too many failed authentication attempts (retry later)"),
            "AUTH_RATE_LIMITED",
            "rate_limited",
            WAIT,
        ),
    };
    DueRefusal {
        detail_code: Some(code),
        auth_reason: Some(reason),
        next_step: Some(step),
        ..plain("INVALID_REQUEST", message)
    }
}

fn pairing(reason: PairingReason, waits: bool, full: bool) -> DueRefusal {
    let message = match (full, reason) {
        (false, _) => "pairing required",
        (true, PairingReason::NotPaired) => "pairing required: device is not approved yet",
        (true, PairingReason::MetadataUpgrade) => {
            "pairing required: device identity changed and must be re-approved"
        }
        (true, PairingReason::RoleUpgrade) => {
            "pairing required: device is asking for a higher role than currently approved"
        }
        (true, PairingReason::ScopeUpgrade) => {
            "pairing required: device is asking for more scopes than currently approved"
        }
    };
    DueRefusal {
        detail_code: Some("PAIRING_REQUIRED"),
        reason: Some(reason.as_str()),
        request_id: true,
        next_step: (full && waits).then_some(WAIT),
        close_text: if full { CloseText::MessageAndRequest } else { CloseText::Message },
        ..plain("NOT_PAIRED", Wording::Exact(message))
    }
}
