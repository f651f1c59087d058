//! Is it the gateway, does it serve, and in time?

use super::Finding;
use crate::diagnosis::answer::Confidence::{Certain, Likely};
use crate::diagnosis::case::{Case, is_passing};
use crate::diagnosis::evidence::{Answer, Attempt};
use crate::diagnosis::release::WAITS_AT_LEAST;
use crate::vocabulary::cause::Cause;

/// Nothing that answered was a gateway.
pub(super) fn wrong_url(case: &Case<'_>) -> Option<Finding> {
    let elsewhere = |answer: &Answer| match answer {
        Answer::ConnectionRefused
        | Answer::Unreachable(_)
        | Answer::NotAGateway(_)
        | Answer::TimedOut { dialled: false } => true,
        // Drains and starts are the gateway's own words, and so are 403 and the budget's 503.
        Answer::Http { status, .. } => !matches!(status, 403 | 429 | 503),
        Answer::Closed { upgraded, .. } => !upgraded,
        _ => false,
    };
    if !case.all(|attempt| elsewhere(&attempt.answer)) || case.outage_is_over() {
        return None;
    }
    let other = case
        .recent
        .iter()
        .any(|attempt| matches!(attempt.answer, Answer::NotAGateway(_) | Answer::Http { .. }));
    let why = if other {
        "what answers at that URL does not speak the gateway's protocol"
    } else {
        "nothing serves that URL: no gateway runs there, or its port or address is another"
    };
    Some(
        Finding::new(Cause::WrongUrl, Certain, why)
            .not(Cause::NotApproved, "\"pairing required\" is an answer of a gateway, and none was reached"),
    )
}

/// The gateway is there, and says that it does not serve yet.
pub(super) fn gateway_starting(case: &Case<'_>) -> Option<Finding> {
    let says_so = |attempt: &Attempt| match &attempt.answer {
        Answer::Refused(refusal) => refusal.code.as_deref() == Some("UNAVAILABLE"),
        Answer::Http { status: 503, body } => !body.contains("unauthenticated sockets"),
        Answer::Closed { code, .. } => matches!(code, 1012 | 1013),
        _ => false,
    };
    let any = case.recent.iter().any(|attempt| says_so(attempt));
    if !any && case.outage_is_over() {
        let why = "the gateway was down, and has been started since the client's last attempt: whoever tries again gets in";
        return Some(
            Finding::new(Cause::GatewayStarting, Likely, why)
                .not(Cause::WrongUrl, "the gateway is there again"),
        );
    }
    (any && case.all(|attempt| is_passing(&attempt.answer))).then(|| {
        let why = "the gateway says that it starts or stops: clients that wait and try again get in";
        Finding::new(Cause::GatewayStarting, Likely, why)
            .not(Cause::WrongUrl, "a gateway answered")
            .lacks("what the gateway's log says of its start")
    })
}

/// The connection was made, and the handshake did not end in the gateway's time or the client's.
pub(super) fn handshake_timeout(case: &Case<'_>) -> Option<Finding> {
    let waited = |attempt: &Attempt| attempt.ended.map(|ended| ended.saturating_sub(attempt.at));
    let late = |attempt: &Attempt| match &attempt.answer {
        Answer::TimedOut { dialled } => *dialled,
        // Whoever sent nothing was waited for, however short that was.
        Answer::Closed { code: 1000, reason, .. } => {
            reason.is_empty()
                && (attempt.sent == Some(false)
                    || waited(attempt).is_none_or(|waited| waited >= WAITS_AT_LEAST))
        }
        _ => false,
    };
    if !case.all(late) {
        return None;
    }
    let by_gateway = case.all(|attempt| matches!(attempt.answer, Answer::Closed { .. }));
    let finding = if by_gateway {
        let why = "the gateway waited for `connect` in vain and closed with 1000 and no reason: it, or the client, was too slow";
        Finding::new(Cause::HandshakeTimeout, Certain, why)
            .not(Cause::WrongUrl, "the upgrade was answered by a gateway")
    } else {
        let why = "the connection is accepted and nothing comes over it: the gateway's process stands still or is overloaded";
        Finding::new(Cause::HandshakeTimeout, Likely, why)
            .not(Cause::WrongUrl, "something listens there and accepts connections")
    };
    Some(finding.lacks("how long the gateway's event loop takes at that time"))
}

/// HTTP 503 before the upgrade, in the gateway's words.
pub(super) fn socket_budget(case: &Case<'_>) -> Option<Finding> {
    let spent = |attempt: &Attempt| matches!(&attempt.answer, Answer::Http { status: 503, body } if body.contains("unauthenticated sockets"));
    // A row may begin or end with what an outage explains; one such answer is the gateway's own word.
    (case.all(spent)).then(|| {
        let why =
            "the gateway refuses the upgrade: too many sockets of this address have not sent their `connect`";
        Finding::new(Cause::SocketBudget, Certain, why)
            .not(Cause::NotApproved, "the gateway has not seen a `connect`")
    })
}
