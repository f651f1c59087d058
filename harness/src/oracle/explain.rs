//! The sentence for people: the fact of the device's history that decides.

use super::classify;
use super::form::quoted;
use super::timeline::Device;
use crate::history::{History, Operation, OperationEnd, OperationKind, StoreEdit};
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{FaultKind, Nanos};

/// A time of the run for people, for example `3.2 s`.
pub(super) fn seconds(at: Nanos) -> String {
    let milliseconds = at / super::MILLISECOND;
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    let short = text.trim_end_matches('0');
    format!("{}{} s", short, if short.ends_with('.') { "0" } else { "" })
}

/// A close for people.
pub(super) fn close(close: &CloseSeen) -> String {
    match close {
        CloseSeen::Frame { code, reason } => format!("close {code} {}", quoted(reason)),
        CloseSeen::Abrupt => "an end of the stream without a close frame".to_owned(),
    }
}

/// What the device's history says about one attempt.
pub(super) struct Story<'s, 't, 'h> {
    pub(super) device: &'s Device<'t, 'h>,
    pub(super) history: &'h History,
    /// Operations whose result no order of events allows, with the sentence that says so.
    pub(super) anomalies: &'s [(Nanos, String)],
}

impl Story<'_, '_, '_> {
    /// Why the attempt should have been accepted; `seen` is the class it was refused with.
    pub(super) fn of_false_reject(&self, observation: &Observation, seen: &str) -> String {
        let answered = observation.stamps.last().unwrap_or(Nanos::MAX);
        let approval = self.last_done(answered, |kind| matches!(kind, OperationKind::Approve { .. }));
        let session = self.last_session(observation, answered);
        let cause = match (approval, session) {
            _ if !classify::is_pairing(seen) => {
                format!("the credential is good and the device is approved: {seen} does not apply")
            }
            (Some((approval, at)), _) => {
                let acknowledged = format!("{} was acknowledged at {}", described(approval), seconds(at));
                match self.loss_between(at, answered) {
                    Some(loss) => format!("{acknowledged} and lost by {loss}"),
                    None => format!(
                        "{acknowledged} and covers what the client asked at {}",
                        seconds(observation.stamps.sent.unwrap_or(answered))
                    ),
                }
            }
            (None, Some(at)) => match self.loss_between(at, answered) {
                Some(loss) => {
                    format!("the device was let in at {} and its entry lost by {loss}", seconds(at))
                }
                None => format!("the device was let in at {}, and nothing took that back", seconds(at)),
            },
            (None, None) if seen == "not-paired" => {
                "the device is in the store, or is local and is to be approved silently".to_owned()
            }
            (None, None) => "the device's stored entry covers what the client asked".to_owned(),
        };
        self.with_anomaly(cause, observation)
    }

    /// Why the attempt should have been refused.
    pub(super) fn of_false_accept(&self, observation: &Observation, expected: &[String]) -> String {
        let answered = observation.stamps.last().unwrap_or(Nanos::MAX);
        let taken_away =
            |kind: &OperationKind| matches!(kind, OperationKind::Remove | OperationKind::Reject { .. });
        let expects_token = expected.iter().any(|class| class.to_ascii_lowercase().contains("token"));
        let replaced = |kind: &OperationKind| !matches!(kind, OperationKind::Reject { .. });
        let cause = if expects_token {
            match self.last_done(answered, replaced) {
                Some((operation, at)) => format!(
                    "the device token that was presented is not good: {} was acknowledged at {}",
                    described(operation),
                    seconds(at)
                ),
                None => {
                    "the device token that was presented is not the stored one of this device and role, is \
                         revoked, or is narrower than the request"
                        .to_owned()
                }
            }
        } else {
            match self.last_done(answered, taken_away) {
                Some((operation, at)) => {
                    format!(
                        "{} was acknowledged at {}, and nothing has let the device in since",
                        described(operation),
                        seconds(at)
                    )
                }
                None => {
                    format!("nothing in the device's history lets it in: {} is due", expected.join(" or "))
                }
            }
        };
        self.with_anomaly(cause, observation)
    }

    /// Why a refusal should have had another reason.
    pub(super) fn of_wrong_reason(
        &self,
        observation: &Observation,
        expected: &[String],
        seen: &str,
    ) -> String {
        let cause = format!("the device's history calls for {}, not for {seen}", expected.join(" or "));
        self.with_anomaly(cause, observation)
    }

    /// Adds the latest senseless acknowledgement before the attempt: it may be the real cause.
    pub(super) fn with_anomaly(&self, cause: String, observation: &Observation) -> String {
        let answered = observation.stamps.last().unwrap_or(Nanos::MAX);
        match self.anomalies.iter().rfind(|(at, _)| *at <= answered) {
            Some((_, anomaly)) => format!("{cause}; before that, {anomaly}"),
            None => cause,
        }
    }

    /// The latest operation of a kind that was acknowledged before `until`.
    fn last_done(
        &self,
        until: Nanos,
        wanted: impl Fn(&OperationKind) -> bool,
    ) -> Option<(&Operation, Nanos)> {
        self.device
            .operations()
            .filter(|operation| wanted(&operation.kind))
            .filter_map(|operation| match operation.end {
                OperationEnd::Done { at, .. } if at <= until => Some((operation, at)),
                _ => None,
            })
            .max_by_key(|(_, at)| *at)
    }

    /// When an earlier attempt of the device was last answered with a session.
    fn last_session(&self, observation: &Observation, until: Nanos) -> Option<Nanos> {
        self.device
            .attempts()
            .map(|(_, earlier)| earlier)
            .filter(|earlier| matches!(earlier.outcome, Outcome::Session(_)))
            .filter(|earlier| earlier.attempt != observation.attempt)
            .filter_map(|earlier| earlier.stamps.answered)
            .filter(|at| *at <= until)
            .max()
    }

    /// The first time after `from` that the gateway read its store again.
    fn loss_between(&self, from: Nanos, until: Nanos) -> Option<String> {
        self.history
            .faults
            .iter()
            .filter(|fault| fault.ended.unwrap_or(until) >= from && fault.began <= until)
            .filter_map(|fault| match fault.kind {
                FaultKind::Restart { .. } => Some((fault.began, "restart")),
                FaultKind::Reload => Some((fault.began, "reload")),
                FaultKind::Store(damage) if !damage.forbids_writing() => {
                    Some((fault.began, "damage to the store"))
                }
                _ => None,
            })
            .min()
            .map(|(began, what)| format!("the {what} at {}", seconds(began)))
    }
}

/// An operation for people.
pub(super) fn described(operation: &Operation) -> String {
    match &operation.kind {
        OperationKind::Approve { request_id } => format!("approval of request {}", short(request_id)),
        OperationKind::Reject { request_id } => format!("rejection of request {}", short(request_id)),
        OperationKind::Remove => "removal of the device".to_owned(),
        OperationKind::Rotate { role, .. } => format!("rotation of the {} token", short(role)),
        OperationKind::Revoke { role } => format!("revocation of the {} token", short(role)),
        OperationKind::Edit(StoreEdit::SetScopes(_)) => "edit of the stored scopes".to_owned(),
        OperationKind::Edit(StoreEdit::DropEntry) => "deletion of the stored entry".to_owned(),
    }
}

/// An id that a peer chose, cut.
pub(super) fn short(id: &str) -> String {
    const CHARS_MAX: usize = 64;
    id.chars().take(CHARS_MAX).collect()
}

/// What stands for an answer in a sentence.
pub(super) fn answer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Closed(closed) => {
            format!("{} while waiting for the {}", close(&closed.close), closed.phase.as_str())
        }
        Outcome::TimedOut { phase } => format!("nothing in time while waiting for the {}", phase.as_str()),
        Outcome::UpgradeRefused { status, .. } => format!("HTTP {status} instead of the upgrade"),
        Outcome::ConnectionRefused => "a refused TCP connection".to_owned(),
        Outcome::Unreachable { error } => format!("no route ({})", quoted(error)),
        Outcome::NotAGateway { what } => format!("something that is no gateway ({})", quoted(what)),
        Outcome::Session(_) | Outcome::Refused(_) | Outcome::Dropped(_) => outcome.word().to_owned(),
    }
}
