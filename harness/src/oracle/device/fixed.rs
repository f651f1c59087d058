//! Verdicts on what does not depend on the device's state.

use super::{DeviceJudge, unanswered};
use crate::observation::{CloseSeen, Observation, Outcome, Phase};
use crate::oracle::explain::{self, seconds};
use crate::oracle::rules::Variant;
use crate::oracle::table::{Due, DueClose};
use crate::oracle::verdict::{Mismatch, MismatchKind, Verdict};
use crate::oracle::{MILLISECOND, classify, form};

impl DeviceJudge<'_, '_, '_> {
    /// The verdict on an attempt whose answer does not depend on the device's state.
    pub(super) fn judge_static(
        &self,
        observation: &Observation,
        variant: &Variant,
        due: Due,
        or: Option<Due>,
    ) -> Verdict {
        let dues = [Some(due), or];
        let dues = || dues.iter().flatten();
        let expected = || dues().filter_map(|due| due.class().map(str::to_owned)).collect::<Vec<_>>();
        let observed = classify::class(&observation.outcome);
        let sentence = || format!("{} is due, whatever the device's state", expected().join(" or "));
        let keeps_scopes = dues().find_map(|due| match due {
            Due::AcceptWithoutDevice { keeps_scopes } => Some(*keeps_scopes),
            _ => None,
        });
        let session_due = keeps_scopes.is_some();
        let mismatch = |kind, why| {
            Verdict::Mismatch(Mismatch {
                kind,
                expected: expected(),
                observed: classify::class_of(&observation.outcome),
                why,
            })
        };
        let formed = |form: Result<(), form::Fault>| match form {
            Ok(()) => Verdict::Match { expected: classify::class_of(&observation.outcome) },
            Err((kind, why)) => mismatch(kind, why),
        };
        match &observation.outcome {
            Outcome::Session(grant) if session_due => {
                let keeps = keeps_scopes.unwrap_or_default();
                formed(form::grant_without_device(grant, &variant.facts, keeps, self.oracle.release))
            }
            Outcome::UpgradeRefused { status, .. } if dues().any(|due| *due == Due::Upgrade(*status)) => {
                Verdict::Match { expected: observed.into_owned() }
            }
            Outcome::Session(_) => mismatch(MismatchKind::FalseAccept, sentence()),
            Outcome::Refused(refusal) => {
                let same = dues().find_map(|due| match due {
                    Due::Refuse(due) if due.class == observed => Some(*due),
                    _ => None,
                });
                match same {
                    Some(due) => {
                        formed(form::refusal(&due, refusal, self.windows.restarted_during(observation)))
                    }
                    None if session_due => mismatch(MismatchKind::FalseReject, sentence()),
                    None => mismatch(MismatchKind::WrongReason, sentence()),
                }
            }
            _ => {
                let close = dues().find_map(|due| match due {
                    Due::Close(close) => Some(*close),
                    _ => None,
                });
                match close.and_then(|close| self.judge_close(observation, close)) {
                    Some(Ok(())) => Verdict::Match { expected: observed.into_owned() },
                    Some(Err(why)) => mismatch(MismatchKind::WrongClose, why),
                    None => self
                        .excused(observation)
                        .unwrap_or_else(|| unanswered::without_excuse(observation, expected())),
                }
            }
        }
    }

    /// An attempt without answer, where a close is due. `None`: what was seen says nothing about the close.
    fn judge_close(&self, observation: &Observation, due: DueClose) -> Option<Result<(), String>> {
        match &observation.outcome {
            Outcome::Closed(closed) if closed.phase >= Phase::Challenge => match &closed.close {
                CloseSeen::Frame { code, reason } if *code == due.code && reason == due.reason => {
                    if due.after_handshake_time && !self.windows.outlasted_handshake(observation) {
                        return Some(Err(format!(
                            "the gateway closed before the {} that a client has for its connect",
                            seconds(self.oracle.clocks.handshake)
                        )));
                    }
                    Some(Ok(()))
                }
                _ if self.windows.excuse(observation) => None,
                seen => Some(Err(format!(
                    "{} came, not close {} `{}`",
                    explain::close(seen),
                    due.code,
                    due.reason
                ))),
            },
            // A client that waits no longer than the gateway cannot see the gateway's patience end.
            Outcome::TimedOut { phase: Phase::Verdict } if due.after_handshake_time => {
                let clocks = self.oracle.clocks;
                (clocks.attempt <= clocks.handshake.saturating_add(100 * MILLISECOND)).then_some(Ok(()))
            }
            _ => None,
        }
    }
}
