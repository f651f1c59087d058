//! What one answer means: it becomes evidence, and the rules of [`crate::diagnosis`] say which cause it has.
//!
//! Only causes that do not depend on who is shown are taken from them. The looks without a device are refused as such on purpose, which
//! is no cause; and of the device itself a probe knows what no rule does: it compares identity, store and token before and instead of
//! asking ([`super::holdings`]), and shows a token where older releases call it a wrong shared one. What becomes of a look before there is
//! a gateway's answer (names, TLS, ports, proxies) is said in [`super::conclusion`], in more words than evidence has.

use super::conclusion::Found;
use super::pointed::Pointed;
use super::release::Told;
use super::seen::{Answered, Look};
use crate::diagnosis::evidence::{Answer, Attempt, ConfigEvidence, CredentialKind, RefusalSeen};
use crate::diagnosis::{ClientEvidence, GatewayEvidence, diagnose, of_run};
use crate::observation::Outcome;
use crate::vocabulary::cause::Cause;

/// The cause of an answer, if it has one that concerns whoever connects as this look does.
pub(super) fn cause(look: Look, answered: &Answered, pointed: &Pointed, told: &Told) -> Option<Found> {
    let diagnosis = diagnose(&gateway(pointed, told), &client(look, answered, pointed))?;
    let concerns = match diagnosis.cause {
        Cause::WrongUrl
        | Cause::GatewayStarting
        | Cause::ProtocolMismatch
        | Cause::ClockSkew
        | Cause::HandshakeTimeout
        | Cause::ProxyAttribution
        | Cause::RateLimitedNeighbour => true,
        Cause::TokenDrift => look != Look::Device,
        Cause::Origin => look == Look::Page,
        Cause::BootstrapSpent => look == Look::Device,
        _ => false,
    };
    let wait = answered.retry_after_ms.filter(|_| diagnosis.cause == Cause::RateLimitedNeighbour);
    let wait = wait.map(|ms| format!("; for another {} s", ms.div_ceil(1000))).unwrap_or_default();
    concerns.then(|| Found {
        cause: diagnosis.cause,
        confidence: diagnosis.confidence,
        why: format!("{}{wait}", diagnosis.why),
    })
}

fn gateway(pointed: &Pointed, told: &Told) -> GatewayEvidence {
    let configuration = pointed.configuration.as_ref();
    GatewayEvidence {
        release: told.profile,
        version: told.version.clone(),
        config: ConfigEvidence {
            trusted_proxies: configuration.and_then(|of| of.trusted_proxies.clone()),
            allowed_origins: configuration.and_then(|of| of.allowed_origins.clone()),
            auth_mode: configuration.and_then(|of| of.effective_auth_mode()).map(str::to_owned),
            state_dir: None,
        },
        ..GatewayEvidence::default()
    }
}

/// A client that made this one attempt.
fn client(look: Look, answered: &Answered, pointed: &Pointed) -> ClientEvidence {
    let shared = pointed.credential.as_ref().map_or(CredentialKind::Missing, |_| CredentialKind::Shared);
    let answer = match (of_run::answer(&answered.outcome, true, true), &answered.outcome) {
        (Answer::Refused(refusal), _) => Answer::Refused(Box::new(RefusalSeen {
            retry_after_ms: answered.retry_after_ms,
            approved_scopes: answered.approved_scopes.clone(),
            approved_roles: answered.approved_roles.clone(),
            ..*refusal
        })),
        // Where it was waited for an answer in vain, something listens.
        (_, Outcome::TimedOut { .. }) => Answer::TimedOut { dialled: true },
        (answer, _) => answer,
    };
    let attempt = Attempt {
        role: Some(pointed.role.clone()).filter(|_| matches!(look, Look::Device | Look::NewDevice)),
        origin: Some(pointed.origin.clone().filter(|_| look == Look::Page)),
        device: Some(matches!(look, Look::Device | Look::NewDevice)),
        sent: Some(true),
        credential: Some(if look == Look::Device { CredentialKind::DeviceToken } else { shared }),
        answer,
        ..Attempt::default()
    };
    ClientEvidence { name: look.as_str().to_owned(), attempts: vec![attempt], ..ClientEvidence::default() }
}
