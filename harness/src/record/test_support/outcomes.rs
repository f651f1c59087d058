//! What attempts come to, and what is found of them.

use crate::observation::{
    CloseSeen, Closed, DropReason, Fingerprint, Grant, GrantAuth, Outcome, Phase, Refusal,
};
use crate::oracle::{Mismatch, MismatchKind, Verdict};

/// hello-ok for an operator.
pub(crate) fn session() -> Outcome {
    Outcome::Session(Grant {
        protocol: 3,
        auth: Some(GrantAuth {
            role: "operator".to_owned(),
            scopes: vec!["operator.read".to_owned()],
            token: Some(Fingerprint(7)),
        }),
    })
}

/// A pairing refusal for this reason.
pub(crate) fn refusal(reason: &str) -> Outcome {
    refusal_with("NOT_PAIRED", Some("PAIRING_REQUIRED"), Some(reason))
}

/// A `not-paired` refusal that names this request.
pub(crate) fn refusal_for(request: &str) -> Outcome {
    let Outcome::Refused(mut refused) = refusal("not-paired") else { unreachable!("a refusal") };
    refused.request_id = Some(request.to_owned());
    Outcome::Refused(refused)
}

pub(crate) fn refusal_with(code: &str, detail_code: Option<&str>, reason: Option<&str>) -> Outcome {
    let message = if code == "NOT_PAIRED" { "pairing required" } else { "unauthorized" };
    Outcome::Refused(Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
        detail_code: detail_code.map(str::to_owned),
        reason: reason.map(str::to_owned),
        auth_reason: None,
        next_step: None,
        request_id: None,
        close: Some(CloseSeen::Frame { code: 1008, reason: message.to_owned() }),
    })
}

/// One outcome of each word, in the order of [`Outcome::WORDS`].
pub(crate) fn outcomes() -> Vec<Outcome> {
    vec![
        session(),
        refusal("not-paired"),
        Outcome::UpgradeRefused { status: 503, body: "Service Unavailable".to_owned() },
        Outcome::Closed(Closed {
            close: CloseSeen::Frame { code: 1009, reason: String::new() },
            phase: Phase::Verdict,
        }),
        Outcome::TimedOut { phase: Phase::Upgrade },
        Outcome::ConnectionRefused,
        Outcome::Unreachable { error: "no route to host".to_owned() },
        Outcome::NotAGateway { what: "sent HTML".to_owned() },
        Outcome::Dropped(DropReason::InFlightLimit),
    ]
}

pub(crate) fn mismatch(kind: MismatchKind, expected: &[&str], observed: &str, why: &str) -> Verdict {
    Verdict::Mismatch(Mismatch {
        kind,
        expected: expected.iter().map(|class| (*class).to_owned()).collect(),
        observed: observed.to_owned(),
        why: why.to_owned(),
    })
}
