//! The form of one answer, which does not depend on the device's state: code, texts, details and close of a refusal.

use protocol::Close;

use super::explain;
use super::facts::Facts;
use super::refusal::{CloseText, DueRefusal};
use super::release::Release;
use super::verdict::MismatchKind;
use crate::observation::{CloseSeen, Grant, Refusal};

/// A fault of form: how it is wrong, and the sentence that says so.
pub(super) type Fault = (MismatchKind, String);

/// Holds a refusal of the right class to `due`; `close_may_miss`: a restart was under way.
pub(super) fn refusal(due: &DueRefusal, seen: &Refusal, close_may_miss: bool) -> Result<(), Fault> {
    let wrong = |what: &str, due: &str, seen: &str| {
        Err((MismatchKind::WrongReason, format!("{what} is {}, not `{due}`", quoted(seen))))
    };
    if seen.code != due.code {
        return wrong("error.code", due.code, &seen.code);
    }
    if !due.message.allows(&seen.message) {
        return wrong("error.message", due.message.text(), &seen.message);
    }
    let details = [
        ("error.details.code", due.detail_code, seen.detail_code.as_deref()),
        ("error.details.reason", due.reason, seen.reason.as_deref()),
        ("error.details.authReason", due.auth_reason, seen.auth_reason.as_deref()),
        ("error.details.recommendedNextStep", due.next_step, seen.next_step.as_deref()),
    ];
    for (what, due, seen) in details {
        if due != seen {
            return wrong(what, due.unwrap_or("absent"), seen.unwrap_or("absent"));
        }
    }
    match (due.request_id, seen.request_id.as_deref()) {
        (true, None | Some("")) => {
            return Err((MismatchKind::WrongReason, "error.details.requestId is absent".to_owned()));
        }
        (false, Some(id)) => return wrong("error.details.requestId", "absent", id),
        _ => {}
    }
    close(due, seen, close_may_miss)
}

fn close(due: &DueRefusal, seen: &Refusal, may_miss: bool) -> Result<(), Fault> {
    let with_request;
    let text = match due.close_text {
        CloseText::Message => seen.message.as_str(),
        CloseText::MessageAndRequest => {
            let id = seen.request_id.as_deref().unwrap_or_default();
            with_request = format!("{} (requestId: {id})", seen.message);
            with_request.as_str()
        }
        CloseText::Exact(text) => text,
    };
    let expected = Close::cut(due.close, text);
    match &seen.close {
        Some(CloseSeen::Frame { code, reason }) if *code == expected.code && *reason == expected.reason => {
            Ok(())
        }
        None | Some(CloseSeen::Abrupt) if may_miss => Ok(()),
        // A stopping gateway closes whatever is left with 1012.
        Some(CloseSeen::Frame { code: 1012, .. }) if may_miss => Ok(()),
        other => {
            let seen = other.as_ref().map_or_else(|| "no close".to_owned(), explain::close);
            Err((
                MismatchKind::WrongClose,
                format!("the refusal was followed by {seen}, not by {} `{}`", expected.code, expected.reason),
            ))
        }
    }
}

/// Holds the grant of a session without device to the profile: no token, and no scopes but those it keeps.
pub(super) fn grant_without_device(
    grant: &Grant,
    facts: &Facts,
    keeps_scopes: bool,
    release: &Release,
) -> Result<(), Fault> {
    protocol(grant, release)?;
    let kept: &[String] = if keeps_scopes { &facts.scopes } else { &[] };
    let wrong = |why: &str| Err((MismatchKind::WrongGrant, why.to_owned()));
    match &grant.auth {
        None if release.live_grant => wrong("hello.auth is absent"),
        None => Ok(()),
        Some(auth) if auth.token.is_some() || !auth.scopes.iter().all(|scope| kept.contains(scope)) => Err((
            MismatchKind::FalseAccept,
            "a client without device was granted scopes or a token (hello.auth)".to_owned(),
        )),
        Some(_) if !release.live_grant => wrong("hello.auth must be absent without a device"),
        Some(auth) if auth.scopes != kept || auth.role != facts.role => {
            wrong("hello.auth does not say what a client without device may do")
        }
        Some(_) => Ok(()),
    }
}

/// Holds the protocol of a session to the profile.
pub(super) fn protocol(grant: &Grant, release: &Release) -> Result<(), Fault> {
    if grant.protocol == release.protocol {
        Ok(())
    } else {
        Err((
            MismatchKind::WrongGrant,
            format!("hello-ok speaks protocol {}, not {}", grant.protocol, release.protocol),
        ))
    }
}

/// What a peer sent, cut to a length that a report can bear.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    match text.char_indices().nth(CHARS_MAX) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
    }
}
