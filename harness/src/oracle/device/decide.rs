//! The verdict on a device as a whole, and the operations that show it.

use super::store_faults::taken_back;
use super::{DeviceJudge, Searched};
use crate::history::{Fault, Operation, OperationEnd, OperationKind};
use crate::observation::{Observation, Outcome};
use crate::oracle::explain::{answer, described, seconds, short};
use crate::oracle::search::CONFIGURATIONS_MAX;
use crate::oracle::timeline::Device;
use crate::oracle::verdict::{
    Actor, DeviceJudgement, DeviceVerdict, Invalid, MOMENTS_MAX, Moment, SHOWN_MAX, SubHistory, Verdict,
};
use crate::oracle::{classify, contradiction::Contradiction};
use crate::plan::{FaultKind, StopSignal};

/// Where an operation of the search comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'h> {
    Attempt(&'h Observation),
    Operation(&'h Operation),
    Load(&'h Fault),
}

impl<'h> DeviceJudge<'_, '_, 'h> {
    /// Joins the verdicts on the device's attempts with what the search said of its operations together. Worst wins.
    pub(super) fn decide(
        &mut self,
        device: &Device<'_, 'h>,
        verdicts: &[Option<Verdict>],
    ) -> DeviceJudgement {
        let mut wrong: Option<(&Observation, &str)> = None;
        let mut open: Option<&str> = None;
        for (position, observation) in device.attempts() {
            match verdicts.get(position) {
                Some(Some(Verdict::Mismatch(mismatch))) if wrong.is_none() => {
                    wrong = Some((observation, mismatch.why.as_str()));
                }
                Some(Some(Verdict::Indeterminate { why })) if open.is_none() => open = Some(why),
                _ => {}
            }
        }
        let verdict = match (std::mem::take(&mut self.searched), wrong) {
            (Searched::Unexplained(contradiction), wrong) => {
                let shown = contradiction.map(|contradiction| self.sub_history(&contradiction));
                let unexplained = || self.unexplained(shown.as_ref());
                let why = wrong.map_or_else(unexplained, |(_, why)| why.to_owned());
                Some((why, shown))
            }
            // Whatever the order of the others: this one is not allowed.
            (_, Some((observation, why))) => {
                let looks = self.shown < SHOWN_MAX;
                Some((why.to_owned(), looks.then(|| alone(observation, device.attempts().count()))))
            }
            (searched @ (Searched::GaveUp | Searched::Doubted(_)), None) => {
                let why = match searched {
                    Searched::Doubted(from) => taken_back(from),
                    _ => format!("more than {CONFIGURATIONS_MAX} states of the device explain its history"),
                };
                return DeviceJudgement {
                    client: device.client,
                    verdict: DeviceVerdict::Unknown { why: open.map_or(why, str::to_owned) },
                };
            }
            (Searched::Explained, None) => None,
        };
        let verdict = match (verdict, open) {
            (Some((why, shown)), _) => {
                self.shown += 1;
                DeviceVerdict::Invalid(Box::new(Invalid { why, shown }))
            }
            (None, Some(why)) => DeviceVerdict::Unknown { why: why.to_owned() },
            (None, None) => DeviceVerdict::Valid,
        };
        DeviceJudgement { client: device.client, verdict }
    }

    /// The sentence for a device none of whose attempts was wrong: then an operator was told something that was not so.
    fn unexplained(&self, shown: Option<&SubHistory>) -> String {
        let last = shown.and_then(|shown| shown.moments.iter().rfind(|moment| moment.decisive));
        last.map_or_else(
            || "an operation was answered in a way that nothing before explains".to_owned(),
            |moment| format!("{} at {}, which nothing before explains", moment.what, seconds(moment.until)),
        )
    }

    fn sub_history(&self, contradiction: &Contradiction) -> SubHistory {
        // Those that began later have no part in it.
        let decisive = || contradiction.ops.iter().filter_map(|position| self.ops.get(*position));
        let until = decisive().map(|op| op.until).max().unwrap_or_default();
        let (mut counted, mut others): (Vec<Moment>, Vec<Moment>) = (Vec::new(), Vec::new());
        for (position, (op, source)) in self.ops.iter().zip(&self.sources).enumerate() {
            // The steps of a connect are one operation to people.
            if op.after.is_some() || op.from > until {
                continue;
            }
            let decisive = contradiction.ops.contains(&position);
            let (by, what) = told(source);
            let moment =
                Moment { by, from: op.from, until: op.until, unanswered: op.optional, decisive, what };
            if decisive { &mut counted } else { &mut others }.push(moment);
        }
        let (decisive, open) = (counted.len(), others.len());
        let shortest = contradiction.shortest && counted.len() <= MOMENTS_MAX;
        SubHistory { moments: latest(counted, others), shortest, decisive, open }
    }
}

/// An attempt that is not allowed whatever else happened.
fn alone(observation: &Observation, attempts: usize) -> SubHistory {
    let (by, what) = told(&Source::Attempt(observation));
    let from = observation.stamps.started.unwrap_or(observation.intended);
    let until = observation.stamps.last().unwrap_or(from).max(from);
    let moment = Moment { by, from, until, unanswered: false, decisive: true, what };
    SubHistory { moments: vec![moment], shortest: true, decisive: 1, open: attempts.saturating_sub(1) }
}

/// Both in time, the latest of each.
fn latest(mut counted: Vec<Moment>, mut others: Vec<Moment>) -> Vec<Moment> {
    for moments in [&mut counted, &mut others] {
        moments.sort_by_key(|moment| (moment.from, moment.until));
        moments.drain(..moments.len().saturating_sub(MOMENTS_MAX));
    }
    counted.append(&mut others);
    counted.sort_by_key(|moment| (moment.from, moment.until));
    counted
}

fn told(source: &Source<'_>) -> (Actor, String) {
    match source {
        Source::Attempt(observation) => (Actor::Device, attempt(observation)),
        Source::Operation(operation) => {
            let by = match operation.kind {
                OperationKind::Edit(_) => Actor::Editor,
                _ => Actor::Operator,
            };
            let end = match &operation.end {
                OperationEnd::Done { .. } => "acknowledged".to_owned(),
                OperationEnd::Refused { message, .. } => format!("refused: {}", short(message)),
                OperationEnd::Unknown => "never answered".to_owned(),
            };
            (by, format!("{}: {end}", described(operation)))
        }
        Source::Load(fault) => {
            let what = match fault.kind {
                FaultKind::Restart { signal: StopSignal::Sigkill, .. } => "store read after SIGKILL",
                FaultKind::Restart { signal: StopSignal::Sigterm, .. } => "store read after SIGTERM",
                FaultKind::Reload => "store read on SIGHUP",
                kind => kind.word(),
            };
            (Actor::Gateway, what.to_owned())
        }
    }
}

fn attempt(observation: &Observation) -> String {
    let number = observation.attempt;
    match &observation.outcome {
        Outcome::Session(grant) => match &grant.auth {
            Some(auth) => format!("attempt {number}: session with [{}]", short(&auth.scopes.join(", "))),
            None => format!("attempt {number}: session"),
        },
        Outcome::Refused(refusal) => {
            let class = classify::refusal_class(refusal);
            match refusal.request_id.as_deref() {
                Some(id) => format!("attempt {number}: refused {}, request {}", short(class), short(id)),
                None => format!("attempt {number}: refused {}", short(class)),
            }
        }
        other => format!("attempt {number}: {}", answer(other)),
    }
}
