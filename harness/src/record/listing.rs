//! Which violations of a run are listed, and which of them with the history of their device: a run in which everything is
//! wrong must fill neither the memory nor the disk.

use std::collections::{HashMap, HashSet};

use super::by_client::ByClient;
use super::device_history::DeviceHistory;
use super::mismatches::{SESSION_HELD, client_name, session_end_class};
use super::violations::{AttemptTimes, HistoryLine, Violation};
use crate::history::History;
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, CohortId, Nanos, Plan};

/// Violations that are listed, the earliest first; further ones only if they are among the first of their cause.
pub const LISTED_MAX: usize = 10_000;
/// Of these, violations with the history of their device; further ones only if they are among the first of their cause.
pub const DETAILED_MAX: usize = 1_000;
/// Violations of each kind and cohort that are listed, with the history of their device, whatever came before them.
pub const DETAILED_A_CAUSE: usize = 10;

/// The violations of a run that are listed. Listings of parts of a run merge: what is kept depends on the violations alone,
/// not on the order in which they come.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// In order.
    kept: Vec<Kept>,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    place: Place,
    cause: (MismatchKind, Option<CohortId>),
    pub(super) violation: Violation,
}

/// Order of violations: by time. No two of a run have the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    at: Nanos,
    pub(super) client: ClientId,
    pub(super) attempt: u32,
    of: Of,
}

/// What a violation is about, with its position among its like in the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Attempt(usize),
    SessionEnd(usize),
    Breach(usize),
}

/// What is kept of a violation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Line,
    Details,
}

/// A violation that is listed already, or one of a shard that may have to be.
enum Candidate {
    Listed(Box<Kept>),
    New(Place, (MismatchKind, Option<CohortId>)),
}

impl Candidate {
    const fn key(&self) -> (Place, (MismatchKind, Option<CohortId>)) {
        match self {
            Self::Listed(kept) => (kept.place, kept.cause),
            Self::New(place, cause) => (*place, *cause),
        }
    }
}

impl Listing {
    /// Adds the violations of one part of a run.
    pub fn add(&mut self, plan: &Plan, history: &History, judgement: &Judgement, by_client: &ByClient<'_>) {
        let new = places(plan, history, judgement);
        if new.is_empty() {
            return;
        }
        let clients: HashSet<ClientId> = new.iter().map(|(place, _)| place.client).collect();
        let mut candidates: Vec<Candidate> =
            self.kept.drain(..).map(|kept| Candidate::Listed(Box::new(kept))).collect();
        candidates.extend(new.into_iter().map(|(place, cause)| Candidate::New(place, cause)));
        candidates.sort_unstable_by_key(|candidate| candidate.key().0);
        let mut selection = Selection::default();
        let mut devices = None;
        for candidate in candidates {
            let (place, cause) = candidate.key();
            let keep = selection.next(cause);
            if keep == Keep::Nothing {
                continue;
            }
            let kept = match candidate {
                Candidate::Listed(kept) => kept.cut(keep),
                Candidate::New(..) => {
                    let mut violation = violation(plan, history, judgement, by_client, place);
                    if keep == Keep::Details {
                        let devices = devices
                            .get_or_insert_with(|| DeviceHistory::new(plan, history, by_client, &clients));
                        let (lines, left_out) = devices.lines(place.client, place.at);
                        (violation.history, violation.history_left_out) = (lines, Some(left_out));
                    }
                    Kept { place, cause, violation }
                }
            };
            self.kept.push(kept);
        }
    }

    /// Adds the listing of another part of the run.
    pub fn merge(&mut self, other: Self) {
        let mut all = std::mem::take(&mut self.kept);
        all.extend(other.kept);
        all.sort_unstable_by_key(|kept| kept.place);
        let mut selection = Selection::default();
        for kept in all {
            let keep = selection.next(kept.cause);
            if keep != Keep::Nothing {
                self.kept.push(kept.cut(keep));
            }
        }
    }

    /// Number of violations listed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What is listed, in order.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }
}

impl Kept {
    pub(super) const fn client_and_attempt(&self) -> (ClientId, u32) {
        (self.place.client, self.place.attempt)
    }

    /// Whether it has the history of its device.
    pub(super) const fn is_detailed(&self) -> bool {
        self.violation.history_left_out.is_some()
    }

    fn cut(mut self, keep: Keep) -> Self {
        if keep == Keep::Line {
            self.violation.history = Vec::new();
            self.violation.history_left_out = None;
        }
        self
    }
}

/// Decides over violations in their order.
///
/// It may be asked over parts of a run and then over what was kept of them: what has too many before it in a part has
/// so in the whole.
#[derive(Default)]
struct Selection {
    all: usize,
    by_cause: HashMap<(MismatchKind, Option<CohortId>), usize>,
}

impl Selection {
    fn next(&mut self, cause: (MismatchKind, Option<CohortId>)) -> Keep {
        let of_cause = self.by_cause.entry(cause).or_default();
        let (before, before_of_cause) = (self.all, *of_cause);
        self.all += 1;
        *of_cause += 1;
        if before < DETAILED_MAX || before_of_cause < DETAILED_A_CAUSE {
            Keep::Details
        } else if before < LISTED_MAX {
            Keep::Line
        } else {
            Keep::Nothing
        }
    }
}

/// All violations of a part of a run.
fn places(
    plan: &Plan,
    history: &History,
    judgement: &Judgement,
) -> Vec<(Place, (MismatchKind, Option<CohortId>))> {
    let cohort = |client: ClientId| plan.clients.get(client as usize).map(|planned| planned.cohort);
    let attempts = history.attempts.iter().zip(&judgement.attempts).enumerate();
    let attempts = attempts.filter_map(|(position, (attempt, verdict))| {
        let Verdict::Mismatch(mismatch) = verdict else { return None };
        // The moment that a mismatch is about.
        let at = attempt.stamps.last().unwrap_or(attempt.intended);
        let (client, attempt) = (attempt.client, attempt.attempt);
        Some((Place { at, client, attempt, of: Of::Attempt(position) }, mismatch.kind))
    });
    let ends = judgement.session_ends.iter().enumerate().map(|(position, finding)| {
        let end = history.session_ends.get(finding.session_end);
        let (at, client, attempt) =
            end.map_or((0, ClientId::MAX, 0), |end| (end.at, end.client, end.attempt));
        (Place { at, client, attempt, of: Of::SessionEnd(position) }, MismatchKind::WrongClose)
    });
    let breaches = judgement.breaches.iter().enumerate().map(|(position, breach)| {
        let (at, client, attempt) = (breach.at, breach.client, breach.attempt);
        (Place { at, client, attempt, of: Of::Breach(position) }, breach.kind)
    });
    attempts.chain(ends).chain(breaches).map(|(place, kind)| (place, (kind, cohort(place.client)))).collect()
}

/// The line of a violation, without the history of its device and without a transcript.
fn violation(
    plan: &Plan,
    history: &History,
    judgement: &Judgement,
    by_client: &ByClient<'_>,
    place: Place,
) -> Violation {
    let mut violation = Violation {
        client: client_name(plan, place.client),
        attempt: place.attempt,
        kind: String::new(),
        expected: Vec::new(),
        observed: String::new(),
        why: String::new(),
        times: AttemptTimes::default(),
        history: Vec::<HistoryLine>::new(),
        history_left_out: None,
        transcript: None,
    };
    let opened = || {
        let opened = by_client.attempts_of(place.client).find(|seen| seen.attempt == place.attempt);
        opened.map(AttemptTimes::of).unwrap_or_default()
    };
    match place.of {
        Of::Attempt(position) => {
            if let (Some(attempt), Some(Verdict::Mismatch(mismatch))) =
                (history.attempts.get(position), judgement.attempts.get(position))
            {
                violation.kind = mismatch.kind.as_str().to_owned();
                violation.expected.clone_from(&mismatch.expected);
                violation.observed.clone_from(&mismatch.observed);
                violation.why.clone_from(&mismatch.why);
                violation.times = AttemptTimes::of(attempt);
            }
        }
        Of::SessionEnd(position) => {
            let finding = judgement.session_ends.get(position);
            let end = finding.and_then(|finding| history.session_ends.get(finding.session_end));
            violation.kind = MismatchKind::WrongClose.as_str().to_owned();
            violation.expected = vec![SESSION_HELD.to_owned()];
            violation.observed = session_end_class(end.map(|end| &end.by));
            violation.why = finding.map(|finding| finding.why.clone()).unwrap_or_default();
            violation.times = opened();
            violation.times.ended_us = end.map(|end| super::histogram::micros(end.at));
        }
        Of::Breach(position) => {
            if let Some(breach) = judgement.breaches.get(position) {
                violation.kind = breach.kind.as_str().to_owned();
                violation.expected = vec![breach.expected.clone()];
                violation.observed.clone_from(&breach.observed);
                violation.why.clone_from(&breach.why);
                violation.times = opened();
            }
        }
    }
    violation
}
