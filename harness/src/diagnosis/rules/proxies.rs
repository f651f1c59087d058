//! Does the gateway know whom the proxy forwards for?

use std::net::IpAddr;

use super::Finding;
use crate::diagnosis::answer::Confidence::{Certain, Likely};
use crate::diagnosis::case::{Case, Reason, UntrustedProxy};
use crate::diagnosis::evidence::Answer;
use crate::vocabulary::cause::Cause;

/// HTTP 403 before the upgrade, in the gateway's words.
pub(super) fn proxy_attribution(case: &Case<'_>) -> Option<Finding> {
    let refused = case.all(|attempt| match &attempt.answer {
        Answer::Http { status: 403, body } => {
            body.contains("proxy_attribution_required") || body.contains("attribution")
        }
        _ => false,
    });
    let by_mode = case.all_refused(|refusal| {
        refusal.auth_reason.as_deref().is_some_and(|reason| reason.starts_with("trusted_proxy_"))
    });
    if !refused && !by_mode {
        return None;
    }
    let why = "the gateway refuses what comes through this proxy because it cannot tell for whom the proxy forwards";
    Some(
        with_entries(case, Finding::new(Cause::ProxyAttribution, Certain, why))
            .not(Cause::NotApproved, "the gateway has not looked at the device"),
    )
}

/// A range names the proxy, and this release does not read ranges.
pub(super) fn cidr_ignored(case: &Case<'_>) -> Option<Finding> {
    let proxy = unapproved_behind(case)?;
    if !proxy.in_range {
        return None;
    }
    let why = format!(
        "a range in trustedProxies holds the proxy{}, and this release compares addresses only: its headers count as those of \
         a stranger",
        address(proxy.peer)
    );
    let sure = if case.gateway.release.is_some() { Certain } else { Likely };
    Some(
        with_entries(case, Finding::new(Cause::CidrIgnored, sure, why))
            .not(Cause::UntrustedProxy, "trustedProxies names it, but by a range"),
    )
}

/// The proxy is not in `trustedProxies`.
pub(super) fn untrusted_proxy(case: &Case<'_>) -> Option<Finding> {
    let proxy = unapproved_behind(case)?;
    let why = format!(
        "the client comes through a proxy{} that is not in trustedProxies: the gateway does not believe whom it forwards for, \
         and asks for pairing",
        address(proxy.peer)
    );
    let mut finding =
        Finding::new(Cause::UntrustedProxy, if proxy.peer.is_some() { Certain } else { Likely }, why).not(
            Cause::NotApproved,
            "approving alone leaves the gateway blind for who comes through this proxy",
        );
    if let Some(line) = proxy.logged {
        finding = finding.shows(format!("the gateway's log: {}", line.text));
    }
    Some(with_entries(case, finding))
}

/// A client that nobody approved, behind a proxy that is not trusted.
fn unapproved_behind(case: &Case<'_>) -> Option<UntrustedProxy> {
    case.pairing().filter(|pairing| pairing.reason == Reason::NotPaired)?;
    if case.approval().is_some() || case.was_known().is_some() {
        return None;
    }
    case.untrusted_proxy()
}

fn address(peer: Option<IpAddr>) -> String {
    peer.map(|peer| format!(" {peer}")).unwrap_or_default()
}

fn with_entries(case: &Case<'_>, finding: Finding) -> Finding {
    match &case.gateway.config.trusted_proxies {
        Some(entries) => finding.shows(format!("gateway.trustedProxies is [{}]", entries.join(", "))),
        None => finding.lacks("gateway.trustedProxies of the gateway's openclaw.json"),
    }
}
