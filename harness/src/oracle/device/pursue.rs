//! Verdicts on what depends on the device's state.

use super::{DeviceJudge, Pursued, unanswered};
use crate::observation::{Observation, Outcome};
use crate::oracle::alphabet::Alphabet;
use crate::oracle::explain::{Story, short};
use crate::oracle::rules::Variant;
use crate::oracle::search::{CONFIGURATIONS_MAX, Finding};
use crate::oracle::state::{Ident, Out};
use crate::oracle::verdict::{Mismatch, MismatchKind, Verdict};
use crate::oracle::{classify, form};

impl<'h> DeviceJudge<'_, '_, 'h> {
    /// The verdict on an attempt whose answer depends on the device's state.
    pub(super) fn pursue(
        &self,
        connect: &Pursued<'_, 'h>,
        finding: &Finding,
        peeked: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        let observation = connect.observation;
        match &observation.outcome {
            Outcome::Session(_) | Outcome::Refused(_) => {}
            _ => {
                return self.excused(observation).unwrap_or_else(|| {
                    unanswered::without_excuse(observation, classes(peeked, connect.variant))
                });
            }
        }
        match finding {
            Finding::Fits => self.form(observation, connect.variant, story),
            Finding::GaveUp => Verdict::Indeterminate {
                why: format!(
                    "more than {CONFIGURATIONS_MAX} states of the device explain its history: too many operations overlap"
                ),
            },
            Finding::Details(outs) => self.details(observation, connect.variant, outs, story, alphabet),
            Finding::Wrong(outs) => {
                let expected = classes(outs, connect.variant);
                let observed = classify::class(&observation.outcome);
                let is_session = matches!(observation.outcome, Outcome::Session(_));
                let session_due = expected.iter().any(|class| class == classify::SESSION);
                let refusal_due = expected.iter().any(|class| class != classify::SESSION);
                let (kind, why) = if is_session {
                    (MismatchKind::FalseAccept, story.of_false_accept(observation, &expected))
                } else if session_due && !refusal_due {
                    (MismatchKind::FalseReject, story.of_false_reject(observation, &observed))
                } else {
                    (MismatchKind::WrongReason, story.of_wrong_reason(observation, &expected, &observed))
                };
                Verdict::Mismatch(Mismatch { kind, expected, observed: observed.into_owned(), why })
            }
        }
    }

    /// The class of the answer is one that the device's history allows: is its form right?
    fn form(&self, observation: &Observation, variant: &Variant, story: &Story<'_, '_, 'h>) -> Verdict {
        let class = classify::class(&observation.outcome);
        let fault = match &observation.outcome {
            Outcome::Session(grant) => form::protocol(grant, self.oracle.release),
            Outcome::Refused(refusal) => {
                let may_miss = self.windows.restarted_during(observation);
                variant.due_of_class(&class).map_or(Ok(()), |due| form::refusal(&due, refusal, may_miss))
            }
            _ => Ok(()),
        };
        match fault {
            Ok(()) => Verdict::Match { expected: class.into_owned() },
            Err((kind, why)) => Verdict::Mismatch(Mismatch {
                kind,
                expected: vec![class.clone().into_owned()],
                observed: class.into_owned(),
                why: story.with_anomaly(why, observation),
            }),
        }
    }

    /// The class is right; token, scopes or request id are not.
    fn details(
        &self,
        observation: &Observation,
        variant: &Variant,
        outs: &[Out],
        story: &Story<'_, '_, 'h>,
        alphabet: &Alphabet<'_>,
    ) -> Verdict {
        let (kind, why) = match &observation.outcome {
            Outcome::Session(_) => self.grant_fault(observation, variant, outs, alphabet),
            Outcome::Refused(refusal) => {
                let why = match (refusal.request_id.as_deref(), outs) {
                    (None | Some(""), _) => "error.details.requestId is absent".to_owned(),
                    (Some(seen), [Out::Pairing { id: Ident::Seen(due), .. }, ..]) => format!(
                        "the request id is {} although request {} of this device still waits",
                        short(seen),
                        short(self.sightings.id_name(*due).unwrap_or_default())
                    ),
                    (Some(seen), _) => {
                        format!("request id {} was known before this request can have been made", short(seen))
                    }
                };
                (MismatchKind::WrongReason, why)
            }
            _ => (MismatchKind::WrongReason, String::new()),
        };
        let observed = classify::class(&observation.outcome).into_owned();
        Verdict::Mismatch(Mismatch {
            kind,
            expected: match &observation.outcome {
                Outcome::Session(_) => classes(outs, variant),
                _ => vec![observed.clone()],
            },
            observed,
            why: story.with_anomaly(why, observation),
        })
    }
}

fn classes(outs: &[Out], variant: &Variant) -> Vec<String> {
    let mut classes: Vec<&'static str> = outs.iter().filter_map(|out| out_class(out, variant)).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.into_iter().map(str::to_owned).collect()
}

fn out_class(out: &Out, variant: &Variant) -> Option<&'static str> {
    match out {
        Out::Session(_) => Some(classify::SESSION),
        Out::Pairing { reason, .. } => Some(variant.pairing(*reason).class),
        Out::TokenRefused { narrow: false } => Some(variant.bad_token.class),
        Out::TokenRefused { narrow: true } => Some(variant.narrow_token.class),
        Out::Stale => Some(variant.stale().class),
        Out::Done => None,
    }
}
