//! The scenario's own expectations of a cohort's outcomes.

use std::collections::HashMap;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use super::classify;
use super::verdict::{Mismatch, MismatchKind};
use super::windows::Windows;
use crate::history::{Call, CallEnd};
use crate::observation::{CloseSeen, Observation, Outcome};
use crate::plan::{ClientId, Cohort, Expectation, Plan, Step};

/// Close code that stands for a connection that ended without a close frame.
const ABNORMAL: u16 = protocol::close::code::ABNORMAL;

/// Whether the expectation is about this attempt.
pub(super) fn concerns(expect: &Expectation, observation: &Observation) -> bool {
    expect.attempts.as_ref().is_none_or(|attempts| attempts.contains(&observation.attempt))
}

/// What is expected of an attempt, and by which step.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'p> {
    pub(super) expect: &'p Expectation,
    /// `None`: by the cohort.
    pub(super) place: Option<Place>,
}

/// A step that expects something, for people.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Of a story: its number, counted from 1, and its line in the file.
    Story(usize, u32),
    /// Of a script.
    Script(usize, u32),
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Story(number, line) => write!(f, "step {number} (line {line})"),
            Self::Script(number, line) => write!(f, "step {number} of the script (line {line})"),
        }
    }
}

/// What the step of a script expects that is over with this attempt.
pub(super) fn of_script<'p>(cohort: &'p Cohort, observation: &Observation) -> Option<Wanted<'p>> {
    let place = observation.step.filter(|place| place.last)?;
    let position = usize::from(place.step);
    let step = cohort.script.get(position)?;
    Some(Wanted { expect: step.expect.as_ref()?, place: Some(Place::Script(position + 1, step.line)) })
}

/// The expectations of the plan's steps, by client and attempt: the connects of a story are its clients' attempts.
pub(super) fn of_steps(plan: &Plan) -> HashMap<(ClientId, u32), Wanted<'_>> {
    let mut attempts: HashMap<ClientId, u32> = HashMap::new();
    let mut expectations = HashMap::new();
    for (number, step) in (1..).zip(&plan.steps) {
        let Step::Connect(connect) = step else { continue };
        let next = attempts.entry(connect.client).or_default();
        if let Some(expect) = &connect.expect {
            let place = Some(Place::Story(number, connect.line));
            expectations.insert((connect.client, *next), Wanted { expect, place });
        }
        *next += 1;
    }
    expectations
}

impl Wanted<'_> {
    /// How an attempt that the expectation is about breaks it; `None` if it does not.
    pub(super) fn violated(&self, observation: &Observation, windows: &Windows) -> Option<Mismatch> {
        let broken =
            violated(self.expect, observation).or_else(|| slow(self.expect, observation, windows))?;
        let Some(place) = self.place else { return Some(broken) };
        let why = broken.why.replacen("the scenario expects", &format!("{place} expects"), 1);
        Some(Mismatch { why, ..broken })
    }
}

/// How long the attempt took, if that is not as expected and no fault is the reason.
fn slow(expect: &Expectation, observation: &Observation, windows: &Windows) -> Option<Mismatch> {
    let limit = expect.latency?;
    let until = observation.stamps.answered.or_else(|| observation.stamps.last())?;
    let from = observation.intended;
    if windows.disturbed(from, until) {
        return None;
    }
    let took = Duration::from_nanos(until.saturating_sub(from));
    (!limit.allows(took)).then(|| Mismatch {
        kind: MismatchKind::WrongLatency,
        expected: vec![limit.to_string()],
        observed: classify::class(&observation.outcome).into_owned(),
        why: format!(
            "the scenario expects an answer to attempt {} in {limit}; it took {took:?} from its intended start",
            observation.attempt
        ),
    })
}

/// How a call breaks what is expected of it: kind, due, seen, and a sentence. `disturbed`: a fault may be the reason.
pub(super) fn of_call(
    expect: &Expectation,
    call: &Call,
    disturbed: bool,
) -> Option<(MismatchKind, String, String, String)> {
    if disturbed {
        return None;
    }
    let (code, detail_code, message) = match &call.end {
        CallEnd::Refused { code, detail_code, message, .. } => {
            (Some(code.as_str()), detail_code.as_deref(), format!(" ({})", super::form::quoted(message)))
        }
        _ => (None, None, String::new()),
    };
    let word = call.end.word();
    let texts = [
        ("outcome", expect.outcome.as_deref(), Some(word)),
        ("code", expect.code.as_deref(), code),
        ("detail_code", expect.detail_code.as_deref(), detail_code),
    ];
    for (what, wanted, seen) in texts {
        if let Some(wanted) = wanted
            && seen != Some(wanted)
        {
            let was = seen.map_or_else(|| "absent".to_owned(), super::form::quoted);
            let why = format!("the scenario expects {what} `{wanted}`; it was {was}{message}");
            return Some((MismatchKind::WrongAnswer, wanted.to_owned(), word.to_owned(), why));
        }
    }
    let limit = expect.latency?;
    let took = Duration::from_nanos(call.end.at().saturating_sub(call.sent));
    (!limit.allows(took)).then(|| {
        let why = format!("the scenario expects an answer in {limit}; it took {took:?}");
        (MismatchKind::WrongLatency, limit.to_string(), word.to_owned(), why)
    })
}

fn violated(expect: &Expectation, observation: &Observation) -> Option<Mismatch> {
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
