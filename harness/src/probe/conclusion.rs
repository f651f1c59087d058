//! From what was seen to the first cause, in the founding article's order of debugging.

use protocol::PairingReason;

use super::answered;
use super::cures;
use super::holdings;
use super::http::{Like, is_attribution};
use super::pointed::Pointed;
use super::release::Told;
use super::seen::{self, Answered, Failed, Look, Seen, TlsFailed};
use super::tls;
use crate::diagnosis::release::honours_ranges;
use crate::diagnosis::{Confidence, Diagnosis, Exhibit};
use crate::observation::{CloseSeen, Outcome, Phase, Refusal};
use crate::vocabulary::cause::Cause;

/// What a probe ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Whoever was shown got a session, and nothing that was looked at speaks against it.
    LetIn(String),
    /// The first cause that explains what was seen; [`Cause::CannotTell`] with what is missing, if none does.
    Cause(Diagnosis),
}

/// A cause as it is found.
pub(super) struct Found {
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) why: String,
}

impl Found {
    pub(super) fn certain(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, confidence: Confidence::Certain, why: why.into() }
    }

    pub(super) fn likely(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, confidence: Confidence::Likely, why: why.into() }
    }

    pub(super) fn possible(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, confidence: Confidence::Possible, why: why.into() }
    }
}

/// The cause, if it is known before `next` is looked at.
#[must_use]
pub fn first(pointed: &Pointed, seen: &Seen, told: &Told, next: Look) -> Option<Diagnosis> {
    let found = before_the_device(pointed, seen, told)
        .or_else(|| (next >= Look::Device).then(|| holdings::identity(pointed, seen, told)).flatten());
    found.map(|found| diagnosis(found, pointed, seen, told))
}

/// What came of it all.
#[must_use]
pub fn conclude(pointed: &Pointed, seen: &Seen, told: &Told) -> Verdict {
    let found = before_the_device(pointed, seen, told)
        .or_else(|| if seen.device.is_none() { holdings::identity(pointed, seen, told) } else { None })
        .or_else(|| device(pointed, seen, told))
        .or_else(|| holdings::widths(pointed, seen, told))
        .or_else(|| new_device(pointed, seen, told))
        .or_else(|| holdings::without_token(pointed, seen, told));
    if let Some(found) = found {
        return Verdict::Cause(diagnosis(found, pointed, seen, told));
    }
    let session = |answer: &Option<Result<Answered, Failed>>| match answer {
        Some(Ok(answered)) if answered.is_session() => Some(seen::words(&answered.outcome)),
        _ => None,
    };
    if let Some(got) = session(&seen.device) {
        return Verdict::LetIn(format!("the device gets {got}"));
    }
    if let Some(got) = session(&seen.new_device) {
        return Verdict::LetIn(format!(
            "a new device gets {got} at once: this address counts as local, or pairing is not asked"
        ));
    }
    if pointed.kept().is_none()
        && let Some(got) = session(&seen.credential)
    {
        return Verdict::LetIn(format!(
            "the shared secret is the gateway's; a client without a device gets {got}"
        ));
    }
    let found = unexplained(seen).unwrap_or_else(|| {
        Found::possible(
            Cause::CannotTell,
            "a gateway answers there, and nothing was found that would keep a client out",
        )
    });
    Verdict::Cause(diagnosis(found, pointed, seen, told))
}

fn diagnosis(found: Found, pointed: &Pointed, seen: &Seen, told: &Told) -> Diagnosis {
    let cures = cures::of(found.cause, pointed, seen, told);
    let missing = if found.cause == Cause::CannotTell { missing(pointed, seen) } else { Vec::new() };
    let evidence = evidence(pointed, seen).into_iter().map(|what| Exhibit { at_us: None, what }).collect();
    Diagnosis {
        cause: found.cause,
        confidence: found.confidence,
        why: found.why,
        evidence,
        excluded: Vec::new(),
        missing,
        cures,
    }
}

/// Port, TLS, HTTP, challenge, shared secret, page: what concerns whoever connects.
fn before_the_device(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    let reach = [
        seen.health.as_ref().and_then(|looked| looked.as_ref().err()),
        seen.challenge.as_ref().and_then(|looked| looked.as_ref().err()),
    ];
    for (position, failed) in reach.into_iter().enumerate() {
        let Some(failed) = failed else { continue };
        // What only the first look stumbles over (a proxy that lets nothing but WebSockets through) is no cause yet.
        let is_final =
            position == 1 || !matches!(failed, Failed::Ended(Outcome::Closed(_)) | Failed::NoneLeft);
        if is_final && let Some(found) = unreached(failed, pointed, seen) {
            return Some(found);
        }
    }
    if let Some(Ok(health)) = &seen.health
        && health.like == Like::WantsTls
    {
        let why = format!("port {} wants TLS: the URL must begin with wss://", pointed.address.port);
        return Some(Found::certain(Cause::WrongUrl, why));
    }
    if let Some(Ok(answered)) = &seen.credential
        && let Some(found) = answered::cause(Look::Credential, answered, pointed, told)
    {
        return Some(found);
    }
    match &seen.page {
        Some(Ok(answered)) => page(answered, pointed, told),
        _ => None,
    }
}

fn unreached(failed: &Failed, pointed: &Pointed, seen: &Seen) -> Option<Found> {
    let port = pointed.address.port;
    let host = &pointed.address.host;
    Some(match failed {
        Failed::NoneLeft => return None,
        Failed::NoAddress(why) => {
            Found::certain(Cause::WrongUrl, format!("the name {host} has no address ({why})"))
        }
        Failed::Tls(TlsFailed::NotTls) => Found::certain(
            Cause::WrongUrl,
            format!(
                "port {port} does not speak TLS: the URL must begin with ws://, or a proxy with TLS is missing"
            ),
        ),
        Failed::Tls(TlsFailed::Untrusted(certificate)) => {
            let shown = certificate.fingerprint.as_ref().map(tls::shown).unwrap_or_default();
            let refused = certificate.refused.as_deref().unwrap_or("it is not trusted");
            let why = format!(
                "the certificate cannot be trusted: {refused}. If you know it to be the gateway's, probe again with --ca FILE or \
                 with --fingerprint {shown}"
            );
            Found { cause: Cause::CannotTell, confidence: Confidence::Certain, why }
        }
        Failed::Tls(TlsFailed::Other(why)) => {
            Found::possible(Cause::WrongUrl, format!("no TLS session on port {port}: {why}"))
        }
        Failed::Ended(outcome) => ended(outcome, pointed, seen)?,
    })
}

fn ended(outcome: &Outcome, pointed: &Pointed, seen: &Seen) -> Option<Found> {
    let port = pointed.address.port;
    let hint = if pointed.address.port_is_written {
        ""
    } else {
        "; the URL names no port, and a gateway's own is 18789"
    };
    Some(match outcome {
        Outcome::ConnectionRefused => Found::certain(
            Cause::WrongUrl,
            format!("nothing listens on port {port} of {}{hint}", pointed.address.host),
        ),
        Outcome::Unreachable { error } => Found::certain(
            Cause::WrongUrl,
            format!("{} cannot be reached: {error}{hint}", pointed.address.host),
        ),
        Outcome::TimedOut { phase: Phase::Dial } => Found::likely(
            Cause::WrongUrl,
            format!(
                "port {port} of {} does not answer: a firewall, or no such machine{hint}",
                pointed.address.host
            ),
        ),
        Outcome::TimedOut { .. } => Found::likely(
            Cause::HandshakeTimeout,
            format!(
                "{}: whoever listens there is blocked, still starting, or no gateway",
                seen::words(outcome)
            ),
        ),
        Outcome::UpgradeRefused { status, body } => upgrade_refused(*status, body, seen),
        Outcome::NotAGateway { what } => Found::certain(
            Cause::WrongUrl,
            format!("something else than a gateway listens there: {}", seen::clean(what)),
        ),
        Outcome::Closed(closed) => closed_early(&closed.close, closed.phase),
        Outcome::Session(_) | Outcome::Refused(_) | Outcome::Dropped(_) => return None,
    })
}

fn upgrade_refused(status: u16, body: &str, seen: &Seen) -> Found {
    let shown = seen::clean(body);
    let server = match &seen.health {
        Some(Ok(health)) => health.server.as_deref().map(|server| format!(" ({server})")).unwrap_or_default(),
        _ => String::new(),
    };
    match status {
        403 if is_attribution(body) => Found::certain(
            Cause::ProxyAttribution,
            "the gateway refuses forwarding headers that it cannot attribute (HTTP 403): the proxy before it is not in \
             gateway.trustedProxies, or does not say who its client is",
        ),
        503 if body.contains("Too many unauthenticated sockets") => Found::certain(
            Cause::SocketBudget,
            "too many sockets of this address wait for their `connect` (HTTP 503, at most 32 by default)",
        ),
        503 if body.contains("Service Unavailable") || body.contains("admission closed") => Found::likely(
            Cause::GatewayStarting,
            format!(
                "the gateway takes no WebSockets just now (HTTP 503 `{shown}`): it is stopping or starting"
            ),
        ),
        502..=504 => Found::likely(
            Cause::WrongUrl,
            format!("a proxy answers{server}, and the gateway behind it does not (HTTP {status})"),
        ),
        401 | 407 => Found::likely(
            Cause::WrongUrl,
            format!("something before the gateway wants a login of its own{server} (HTTP {status})"),
        ),
        status => Found::certain(
            Cause::WrongUrl,
            format!(
                "an HTTP server answers{server} that opens no WebSocket under this URL (HTTP {status}): another path, another port, \
                 or a proxy that does not pass upgrades on"
            ),
        ),
    }
}

fn closed_early(close: &CloseSeen, phase: Phase) -> Found {
    match close {
        CloseSeen::Frame { code: code @ (1012 | 1013), .. } => Found::certain(
            Cause::GatewayStarting,
            format!("the gateway is starting or stopping (close {code})"),
        ),
        CloseSeen::Frame { code: 1000, reason } if reason.is_empty() => Found::likely(
            Cause::HandshakeTimeout,
            "the gateway closed the handshake without a word (close 1000), as it does when its time is up",
        ),
        _ => Found::possible(
            Cause::CannotTell,
            format!("the connection was closed while waiting for the {}", phase.as_str()),
        ),
    }
}

fn page(answered: &Answered, pointed: &Pointed, told: &Told) -> Option<Found> {
    let origin = seen::clean(pointed.origin.as_deref().unwrap_or_default());
    match answered.code() {
        // A page without a device is what was sent; whether a browser's would have one, its origin says.
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" | "DEVICE_IDENTITY_REQUIRED" if !is_secure(&origin) => {
            Some(Found::likely(
                Cause::InsecureContext,
                format!(
                    "a page from {origin} has no secure context, so that a browser gives it no key to make a device with"
                ),
            ))
        }
        _ => answered::cause(Look::Page, answered, pointed, told),
    }
}

/// Whether browsers treat the origin as a secure context.
fn is_secure(origin: &str) -> bool {
    let Some(rest) = origin.strip_prefix("http://") else { return origin.starts_with("https://") };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let bare = host.strip_prefix('[').map_or_else(
        || host.split(':').next().unwrap_or_default(),
        |bracketed| bracketed.split(']').next().unwrap_or_default(),
    );
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn device(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    let answered = match seen.device.as_ref()? {
        Ok(answered) => answered,
        Err(failed) => return unreached(failed, pointed, seen),
    };
    if let Some(found) = answered::cause(Look::Device, answered, pointed, told) {
        return Some(found);
    }
    let Outcome::Refused(refusal) = &answered.outcome else { return None };
    match answered.code() {
        // In `auth.token` releases take a device token for a wrong shared one.
        "AUTH_DEVICE_TOKEN_MISMATCH"
        | "AUTH_TOKEN_MISMATCH"
        | "AUTH_TOKEN_MISSING"
        | "AUTH_PASSWORD_MISSING"
        | "AUTH_PASSWORD_MISMATCH" => Some(if holdings::token_is_stored(pointed) {
            Found::likely(
                Cause::ApprovedElsewhere,
                "the store of the state directory holds this device with this very token, and the gateway does not know it: it reads \
                 another store, or has not read this one since it changed",
            )
        } else {
            Found::certain(
                Cause::StaleDeviceToken,
                "the gateway does not take the device token that this identity keeps: it was rotated, revoked or never issued there",
            )
        }),
        "AUTH_SCOPE_MISMATCH" => Some(Found::certain(
            Cause::NarrowRotation,
            "the device's token is good, and narrower than what the identity was given: a rotation left scopes out",
        )),
        "PAIRING_REQUIRED" => Some(pairing(refusal, pointed, told)),
        _ => None,
    }
}

fn pairing(refusal: &Refusal, pointed: &Pointed, told: &Told) -> Found {
    let entry = pointed.store.as_ref().and_then(|store| store.entry.as_ref());
    let reason = refusal
        .reason
        .as_deref()
        .and_then(|reason| PairingReason::ALL.into_iter().find(|known| known.as_str() == reason));
    match reason {
        Some(PairingReason::NotPaired) if entry.is_some() => Found::likely(
            Cause::ApprovedElsewhere,
            "the store of the state directory holds this device, and the gateway calls it not paired: it reads another store",
        ),
        Some(PairingReason::NotPaired) => {
            Found::certain(Cause::NotApproved, "nobody has approved this device on the gateway")
        }
        Some(PairingReason::RoleUpgrade) => {
            Found::certain(Cause::Role, format!("the device is not approved for the role {}", pointed.role))
        }
        Some(PairingReason::MetadataUpgrade) => Found::certain(
            Cause::MetadataPin,
            "the gateway has pinned another platform or device family to this device than was claimed",
        ),
        Some(PairingReason::ScopeUpgrade) => Found::certain(
            Cause::ScopeLadder,
            "the device asks for more scopes than the gateway holds for it",
        ),
        None => {
            let release = told.version.as_deref().unwrap_or("this release");
            Found::possible(
                Cause::NotApproved,
                format!(
                    "the gateway wants the device to be approved; {release} does not tell clients why, its log does"
                ),
            )
        }
    }
}

fn new_device(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Found> {
    let answered = match seen.new_device.as_ref()? {
        Ok(answered) => answered,
        Err(failed) => return unreached(failed, pointed, seen),
    };
    if let Some(found) = answered::cause(Look::NewDevice, answered, pointed, told) {
        return Some(found);
    }
    if answered.code() != "PAIRING_REQUIRED" {
        return None;
    }
    let proxied = matches!(&seen.health, Some(Ok(health)) if !health.proxies.is_empty());
    let trusted = pointed.configuration.as_ref().map(|it| it.trusted_proxies.clone().unwrap_or_default());
    let ranges = trusted.iter().flatten().any(|entry| entry.contains('/'));
    if ranges && honours_ranges(told.profile, told.version.as_deref()) == Some(false) {
        return Some(Found::likely(
            Cause::CidrIgnored,
            "gateway.trustedProxies holds a range, and this release compares addresses only: no proxy in it is trusted",
        ));
    }
    if proxied && trusted.is_some_and(|trusted| trusted.is_empty()) {
        return Some(Found::likely(
            Cause::UntrustedProxy,
            "the gateway is reached through a proxy, and gateway.trustedProxies is empty: every client looks like the proxy",
        ));
    }
    Some(Found::certain(
        Cause::NotApproved,
        "a device that is new is not let in from here: it has to be approved first, which is as it should be",
    ))
}

/// An answer that nothing above knows.
fn unexplained(seen: &Seen) -> Option<Found> {
    seen.answers().into_iter().find_map(|(look, answer)| match answer.as_ref()? {
        Ok(Answered { outcome: outcome @ Outcome::Refused(_), .. }) if look != Look::Page => {
            Some(Found::possible(Cause::CannotTell, format!("{}: {}", look.as_str(), seen::words(outcome))))
        }
        _ => None,
    })
}

fn missing(pointed: &Pointed, seen: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    if !matches!(seen.challenge, Some(Ok(_))) {
        return missing;
    }
    if pointed.keeps_secrets_back() && (pointed.credential.is_some() || pointed.kept().is_some()) {
        missing.push(
            "what the gateway makes of the secrets that were pointed at: over wss:// or a tunnel, or with --allow-plaintext"
                .to_owned(),
        );
    }
    if pointed.credential.is_none() {
        missing.push(
            "whether the client's shared token is the gateway's: --token-file, --token-env, or --state-dir"
                .to_owned(),
        );
    }
    if pointed.identity.is_none() {
        missing.push(
            "what the gateway makes of the client's device: --identity FILE, or --state-dir".to_owned(),
        );
    } else if pointed.asks.is_none() && pointed.role == protocol::scope::ROLE_OPERATOR {
        missing.push(
            "which scopes the client asks for: --asks operator.write; the gateway's log says `scopesTo`"
                .to_owned(),
        );
    }
    missing
}

/// What was seen, in the order in which it was looked at.
fn evidence(pointed: &Pointed, seen: &Seen) -> Vec<String> {
    let mut shown: Vec<String> = super::report::looks(seen)
        .into_iter()
        .map(|looked| format!("{}: {}", looked.look, looked.saw))
        .collect();
    shown.extend(holdings::words(pointed));
    shown
}
