//! What is made of a run.

use std::hint::black_box;

use harness::oracle::{Oracle, Verdict};
use harness::plan::identity::Identities;
use harness::record::{RunFacts, Tally};

use super::Piece;
use crate::story;

/// Clients of the story.
pub(super) const CLIENTS: u32 = 200;

pub(super) fn verdicts() -> Piece {
    let plan = story::plan(CLIENTS);
    let history = story::history(CLIENTS);
    let identities = Identities::reproducible(plan.seed);
    let judged = Oracle::new(&plan, &identities).judge(&history);
    // A history that the oracle finds fault with would measure the search for an explanation.
    let all_match = judged.attempts.iter().all(|verdict| matches!(verdict, Verdict::Match { .. }));
    assert!(all_match, "the story has a mismatch");
    Box::new(move || {
        let judgement = Oracle::new(&plan, &identities).judge(black_box(&history));
        black_box(judgement);
    })
}

pub(super) fn figures() -> Piece {
    let plan = story::plan(CLIENTS);
    let history = story::history(CLIENTS);
    let judgement = Oracle::new(&plan, &Identities::reproducible(plan.seed)).judge(&history);
    let facts = RunFacts::default();
    Box::new(move || {
        let mut tally = Tally::new(&plan);
        tally.add(black_box(&history), &judgement);
        black_box(tally.finish(&facts));
    })
}
