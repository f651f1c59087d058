//! Does the browser's page come from where it may?

use super::Finding;
use crate::diagnosis::answer::Confidence::Certain;
use crate::diagnosis::case::Case;
use crate::vocabulary::cause::Cause;

pub(super) fn origin(case: &Case<'_>) -> Option<Finding> {
    let not_allowed = case.all_refused(|refusal| {
        refusal.detail_code.as_deref() == Some("CONTROL_UI_ORIGIN_NOT_ALLOWED")
            || refusal.message.starts_with("origin not allowed")
    });
    if !not_allowed {
        return None;
    }
    let why = "the page's origin is not one that the gateway allows";
    let mut finding = Finding::new(Cause::Origin, Certain, why)
        .not(Cause::NotApproved, "the origin is looked at before devices");
    if let Some(Some(origin)) = case.last().and_then(|attempt| attempt.origin.as_ref()) {
        finding = finding.shows(format!("the page's origin is {origin}"));
    }
    if let Some(allowed) = &case.gateway.config.allowed_origins {
        finding = finding.shows(format!("gateway.controlUi.allowedOrigins is [{}]", allowed.join(", ")));
    }
    Some(finding)
}

pub(super) fn insecure_context(case: &Case<'_>) -> Option<Finding> {
    case.all_refused(|refusal| {
        refusal.detail_code.as_deref() == Some("CONTROL_UI_DEVICE_IDENTITY_REQUIRED")
            || refusal.message.starts_with("control ui requires")
    })
    .then(|| {
        let why =
            "the control UI showed no device: over plain HTTP, but on localhost, a browser keeps no keys";
        Finding::new(Cause::InsecureContext, Certain, why)
            .not(Cause::NotApproved, "there is no device that could be approved")
    })
}
