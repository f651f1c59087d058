//! The scenario's own expectations of a cohort's outcomes.

use std::collections::HashMap;

use super::classify;
use super::verdict::{Mismatch, MismatchKind};
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{ClientId, Expectation, Plan, Step};

/// Close code that stands for a connection that ended without a close frame.
const ABNORMAL: u16 = protocol::close::code::ABNORMAL;

/// Whether the expectation is about this attempt.
pub(super) fn concerns(expect: &Expectation, observation: &Observation) -> bool {
    expect.attempts.as_ref().is_none_or(|attempts| attempts.contains(&observation.attempt))
}

/// The expectations of the plan's steps, by client and attempt: the connects of a story are its clients' attempts.
pub(super) fn of_steps(plan: &Plan) -> HashMap<(ClientId, u32), &Expectation> {
    let mut attempts: HashMap<ClientId, u32> = HashMap::new();
    let mut expectations = HashMap::new();
    for step in &plan.steps {
        let Step::Connect(connect) = step else { continue };
        let next = attempts.entry(connect.client).or_default();
        if let Some(expect) = &connect.expect {
            expectations.insert((connect.client, *next), expect);
        }
        *next += 1;
    }
    expectations
}

/// How an attempt that the expectation is about breaks it; `None` if it does not.
pub(super) fn violated(expect: &Expectation, observation: &Observation) -> Option<Mismatch> {
    let seen = Fields::of(&observation.outcome);
    let wanted = Fields {
        word: expect.outcome.as_deref(),
        code: expect.code.as_deref(),
        detail_code: expect.detail_code.as_deref(),
        reason: expect.reason.as_deref(),
        close: expect.close,
    };
    let (what, due, was) = wanted.first_difference(&seen)?;
    Some(Mismatch {
        kind: kind(what, &wanted, &observation.outcome),
        expected: vec![wanted.class()],
        observed: classify::class(&observation.outcome).into_owned(),
        why: format!("the scenario expects {what} {due} of attempt {}; it was {was}", observation.attempt),
    })
}

/// What an expectation can name.
#[derive(Default)]
struct Fields<'a> {
    word: Option<&'a str>,
    code: Option<&'a str>,
    detail_code: Option<&'a str>,
    reason: Option<&'a str>,
    close: Option<u16>,
}

impl<'a> Fields<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let word = Some(outcome.word());
        let code_of = |close: &CloseSeen| match close {
            CloseSeen::Frame { code, .. } => *code,
            CloseSeen::Abrupt => ABNORMAL,
        };
        match outcome {
            Outcome::Refused(refusal) => Self {
                word,
                code: Some(&refusal.code),
                detail_code: refusal.detail_code.as_deref(),
                reason: refusal.reason.as_deref(),
                close: refusal.close.as_ref().map(code_of),
            },
            Outcome::Closed(closed) => Self { word, close: Some(code_of(&closed.close)), ..Self::default() },
            _ => Self { word, ..Self::default() },
        }
    }

    /// Name, wanted and seen value of the first field that is wanted and differs.
    fn first_difference(&self, seen: &Self) -> Option<(&'static str, String, String)> {
        let texts = [
            ("outcome", self.word, seen.word),
            ("code", self.code, seen.code),
            ("detail_code", self.detail_code, seen.detail_code),
            ("reason", self.reason, seen.reason),
        ];
        for (what, wanted, seen) in texts {
            if let Some(wanted) = wanted
                && seen != Some(wanted)
            {
                let seen = seen.map_or_else(|| "absent".to_owned(), super::form::quoted);
                return Some((what, format!("`{wanted}`"), seen));
            }
        }
        match (self.close, seen.close) {
            (Some(wanted), seen) if seen != Some(wanted) => {
                let seen = seen.map_or_else(|| "absent".to_owned(), |code| code.to_string());
                Some(("close", wanted.to_string(), seen))
            }
            _ => None,
        }
    }

    /// Class of what is wanted, as close to [`classify::class_of`] as the expectation is precise.
    fn class(&self) -> String {
        let close = self.close.map(|code| format!("close-{code}"));
        match (self.reason.or(self.detail_code).or(self.code), self.word) {
            (Some(text), _) => text.to_owned(),
            (None, Some("closed")) => close.unwrap_or_else(|| "closed".to_owned()),
            (None, Some(word)) => word.to_owned(),
            (None, None) => close.unwrap_or_else(|| super::ANYTHING.to_owned()),
        }
    }

    /// Whether nothing but a session can be meant.
    fn wants_session(&self) -> bool {
        self.word == Some(classify::SESSION)
    }
}

fn kind(what: &'static str, wanted: &Fields<'_>, outcome: &Outcome) -> MismatchKind {
    match outcome {
        Outcome::Session(_) => MismatchKind::FalseAccept,
        Outcome::Refused(_) if wanted.wants_session() => MismatchKind::FalseReject,
        Outcome::Refused(_) if what == "close" => MismatchKind::WrongClose,
        Outcome::Refused(_) => MismatchKind::WrongReason,
        Outcome::Closed(_) if what == "close" => MismatchKind::WrongClose,
        _ => MismatchKind::NoAnswer,
    }
}
