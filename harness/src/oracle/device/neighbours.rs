//! Attempts that others of their address decide about.

use super::DeviceJudge;
use crate::observation::{Observation, Outcome};
use crate::oracle::limits::Lock;
use crate::oracle::locality::Seat;
use crate::oracle::refusal::{self, Refused};
use crate::oracle::rules::Variant;
use crate::oracle::table::Due;
use crate::oracle::verdict::{Mismatch, MismatchKind, Verdict};
use crate::oracle::{classify, form};

/// Class of a match when a gateway that is not ready yet says so.
const STARTING: &str = "starting";
/// The same of one that has begun to stop.
const RESTARTING: &str = "restarting";

impl DeviceJudge<'_, '_, '_> {
    /// The verdict on an attempt that others of its address decide about; `None`: it is judged by itself.
    pub(super) fn judge_by_neighbours(
        &self,
        observation: &Observation,
        variant: &Variant,
        seat: Seat,
    ) -> Option<Verdict> {
        if let (Some(most), Outcome::UpgradeRefused { status: 503, .. }, Some(address)) =
            (self.oracle.release.sockets_max, &observation.outcome, seat.address)
        {
            let stamps = observation.stamps;
            let (from, until) = (stamps.started?, stamps.last()?);
            let open = self.neighbours.sockets.at_most(address, from, until);
            return (open > most as usize)
                .then(|| Verdict::Match { expected: classify::class_of(&observation.outcome) });
        }
        let locks = &self.neighbours.locks;
        let (Outcome::Session(_) | Outcome::Refused(_)) = &observation.outcome else { return None };
        if locks.is_empty() && !self.oracle.release.starting_phase {
            return None;
        }
        let class = classify::class(&observation.outcome);
        let unready = match class.as_ref() {
            STARTING if self.windows.starting(observation) => Some(Refused::Starting),
            RESTARTING if self.windows.restarted_during(observation) => Some(Refused::Restarting),
            _ => None,
        };
        if self.oracle.release.starting_phase
            && let Some(unready) = unready
            && let Outcome::Refused(refusal) = &observation.outcome
        {
            // The process may be gone before its close arrives.
            let may_miss = class == RESTARTING;
            let due = refusal::due(unready, self.oracle.release);
            return Some(match form::refusal(&due, refusal, may_miss) {
                Ok(()) => Verdict::Match { expected: class.into_owned() },
                Err((kind, why)) => Verdict::Mismatch(Mismatch {
                    kind,
                    expected: vec![due.class.to_owned()],
                    observed: class.into_owned(),
                    why,
                }),
            });
        }
        // What is decided before the credential is looked at, no lock-out changes.
        let credential_decides = match variant.expected(seat.place).due {
            Due::Device | Due::AcceptWithoutDevice { .. } => true,
            Due::Refuse(refusal) => refusal.class == variant.bad_token.class,
            Due::Upgrade(_) | Due::Close(_) => false,
        };
        let lock = self
            .neighbours
            .locks
            .get(&(observation.client, observation.attempt))
            .copied()
            .unwrap_or_default();
        let due = variant.locked_out;
        match &observation.outcome {
            Outcome::Refused(refusal) if class == due.class && lock != Lock::Open && credential_decides => {
                let may_miss = self.windows.restarted_during(observation);
                Some(match form::refusal(&due, refusal, may_miss) {
                    Ok(()) => Verdict::Match { expected: class.into_owned() },
                    Err((kind, why)) => Verdict::Mismatch(Mismatch {
                        kind,
                        expected: vec![due.class.to_owned()],
                        observed: class.into_owned(),
                        why,
                    }),
                })
            }
            Outcome::Session(_) | Outcome::Refused(_) if lock == Lock::Locked && credential_decides => {
                let is_session = matches!(observation.outcome, Outcome::Session(_));
                Some(Verdict::Mismatch(Mismatch {
                    kind: if is_session { MismatchKind::FalseAccept } else { MismatchKind::WrongReason },
                    expected: vec![due.class.to_owned()],
                    observed: class.into_owned(),
                    why: "the client's address is locked out after too many failed credentials".to_owned(),
                }))
            }
            _ => None,
        }
    }
}
