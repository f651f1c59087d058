//! The search against brute force: all orders of up to seven operations.
//!
//! Both use the same model of one operation; what is compared is the search itself. Histories come from a run of the
//! model with a random order inside random intervals, so that most are allowed, and some are spoilt afterwards.

mod planted;
mod world;

use proptest::prelude::*;

use crate::oracle::search::{Finding, Question, Search};
use crate::oracle::state::{Act, Connect, End, Fit, Mark, Model, Op, Seen, State};
use protocol::ProfileName;
use world::{Planned, Wish, connect, in_two_steps, planned, run, spoil};

/// Whether some order explains everything: `left` = operations that have not taken effect.
fn explains(model: &Model<'_>, ops: &[Op], left: &mut Vec<usize>, state: State) -> bool {
    if left.iter().all(|at| ops[*at].optional) {
        return true;
    }
    for position in 0..left.len() {
        let op = &ops[left[position]];
        // Whatever ended before this one began has to come first, or never.
        let too_early = left.iter().any(|at| !ops[*at].optional && ops[*at].until < op.from);
        // What has to come first has not.
        if too_early || op.after.is_some_and(|first| left.contains(&first)) {
            continue;
        }
        let mut next = Vec::new();
        model.apply(&state, op, Fit::Exact, &mut next);
        if next.is_empty() {
            continue;
        }
        let taken = left.remove(position);
        // An optional one that ended before this one begins can take effect no more.
        let mut rest: Vec<usize> = left.clone();
        rest.retain(|at| !(ops[*at].optional && ops[*at].until < ops[taken].from));
        let found = next.iter().any(|(state, _)| explains(model, ops, &mut rest.clone(), *state));
        left.insert(position, taken);
        if found {
            return true;
        }
    }
    false
}

fn brute(model: &Model<'_>, start: State, ops: &[Op]) -> bool {
    explains(model, ops, &mut (0..ops.len()).collect(), start)
}

fn fast(model: &Model<'_>, start: State, ops: &[Op]) -> bool {
    let answer = Search::default().run(&Question { model: *model, start, ops, peeks: &[] });
    assert!(!answer.findings.contains(&Finding::GaveUp));
    answer.findings.iter().all(|finding| *finding == Finding::Fits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_of_the_model_are_explained(
        planned in prop::collection::vec(planned(), 1..=7),
        profile in prop::sample::select(ProfileName::ALL.to_vec()),
        local: bool,
        entry in 0..4_u8,
        ttl in prop_oneof![Just(400_u64), Just(1_000_000)],
    ) {
        let world = run(&planned, profile, local, entry, ttl);
        prop_assert!(brute(&world.model, world.start, &world.ops), "brute force: {:#?}", world.ops);
        prop_assert!(fast(&world.model, world.start, &world.ops), "search: {:#?}", world.ops);
    }

    #[test]
    fn spoilt_histories_are_judged_as_by_brute_force(
        planned in prop::collection::vec(planned(), 1..=7),
        profile in prop::sample::select(ProfileName::ALL.to_vec()),
        local: bool,
        entry in 0..4_u8,
        ttl in prop_oneof![Just(400_u64), Just(1_000_000)],
        which in 0..7_usize,
        how in 0..3_u8,
        split: bool,
    ) {
        let mut world = run(&planned, profile, local, entry, ttl);
        spoil(&mut world.ops, which, how);
        if split {
            world.ops = in_two_steps(world.ops);
        }
        prop_assert_eq!(
            fast(&world.model, world.start, &world.ops),
            brute(&world.model, world.start, &world.ops),
            "{:#?}", world.ops
        );
    }
}

/// The comparison means something: a good part of the spoilt histories really is forbidden.
#[test]
fn spoiling_spoils() {
    let connect = |moment| Planned {
        wish: Wish::Connect { with_token: false },
        moment,
        before: 5,
        after: 5,
        answered: true,
        happens: true,
    };
    let approve = Planned { wish: Wish::Approve, ..connect(200) };
    let planned = [connect(100), approve, connect(300)];
    let mut world = run(&planned, ProfileName::Article, false, 0, 1_000_000);
    assert!(brute(&world.model, world.start, &world.ops));
    assert!(matches!(world.ops[2].act, Act::Connect(Connect { seen: Seen::Session(_), .. })));
    for (which, how) in [(0, 0), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2)] {
        let mut spoilt = world.clone();
        spoil(&mut spoilt.ops, which, how);
        assert!(!brute(&spoilt.model, spoilt.start, &spoilt.ops), "{which} {how}");
        assert!(!fast(&spoilt.model, spoilt.start, &spoilt.ops), "{which} {how}");
    }
    // With overlapping intervals the last connect may come before the approval.
    for op in &mut world.ops {
        op.from = 50;
        op.until = 400;
    }
    spoil(&mut world.ops, 2, 1);
    assert!(!brute(&world.model, world.start, &world.ops));
}

/// Two removals that may have happened lead to one state; which of them was used up decides what can still come.
#[test]
fn twins_that_used_up_different_operations_are_both_kept() {
    let world = run(&[], ProfileName::Article, false, 4, 1_000_000);
    let remove =
        |from, until| Op { act: Act::Remove { end: End::Open }, from, until, optional: true, after: None };
    let refused = |value, from, until| {
        let seen = Seen::Pairing {
            reason: Some(protocol::PairingReason::NotPaired),
            id: Some(Mark { value, first: until }),
        };
        let connect = Connect { seen, ..connect(world.model.usual, None) };
        Op { act: Act::Connect(connect), from, until, optional: false, after: None }
    };
    let approve = |value, from, until| {
        let id = Mark { value, first: from };
        Op { act: Act::Approve { id, end: End::Done }, from, until, optional: false, after: None }
    };
    for (first, second) in [((0, 1_000), (1, 100)), ((0, 100), (1, 1_000))] {
        let ops = [
            remove(first.0, first.1),
            remove(second.0, second.1),
            refused(5, 50, 60),
            approve(5, 110, 120),
            refused(6, 490, 500),
        ];
        assert!(brute(&world.model, world.start, &ops));
        assert!(fast(&world.model, world.start, &ops));
        assert!(!fast(&world.model, world.start, &ops[1..]) || second.1 == 1_000);
    }
}
