//! Planted violations of every kind, and the sub-history that shows them.

use std::collections::HashMap;

use proptest::prelude::*;

use super::brute;
use super::world::{STORED, alphabet, in_two_steps, planned, run};
use crate::oracle::alphabet::Listed;
use crate::oracle::contradiction::{self, Contradiction};
use crate::oracle::search::{Question, Search};
use crate::oracle::state::{Act, Connect, End, Mark, Op, Seen, SeenAuth};
use protocol::ProfileName;
use protocol::scope::{READ, WRITE};

/// What a gateway can do wrong, made out of a history that was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Plant {
    /// An approved device is refused as if it were unknown.
    LostApproval,
    /// A session though nobody approved the device.
    SessionBeforeApproval,
    /// A session after the device was removed.
    SessionAfterRemove,
    /// A session with a token that was revoked.
    SessionAfterRevoke,
    /// A session with a token that a rotation replaced.
    SessionWithOldToken,
    /// A refusal with another pairing reason.
    WrongReason,
    /// A session that says it may more.
    ScopeBeyond,
    /// A request id that was used up.
    ResurrectedRequest,
    /// An approval of a request that waits is answered with `unknown requestId`.
    ApprovalDenied,
    /// An acknowledged removal of a device that is not there.
    RemovalOfNobody,
}

const PLANTS: [Plant; 10] = [
    Plant::LostApproval,
    Plant::SessionBeforeApproval,
    Plant::SessionAfterRemove,
    Plant::SessionAfterRevoke,
    Plant::SessionWithOldToken,
    Plant::WrongReason,
    Plant::ScopeBeyond,
    Plant::ResurrectedRequest,
    Plant::ApprovalDenied,
    Plant::RemovalOfNobody,
];

/// Whether something of this kind was acknowledged before an operation began.
fn done_before(ops: &[Op], at: usize, kind: impl Fn(&Act) -> bool) -> bool {
    ops.iter().any(|op| op.until < ops[at].from && !op.optional && kind(&op.act))
}

/// Plants one violation of this kind at the first place that fits; false if none does.
fn plant(ops: &mut [Op], plant: Plant) -> bool {
    use protocol::PairingReason::{MetadataUpgrade, NotPaired};
    let both = alphabet().set([READ, WRITE]);
    let granted = |token| {
        let scopes = Listed::Sorted(alphabet().set([READ]));
        Seen::Session(Some(SeenAuth { role_fits: true, scopes, as_asked: true, token: Some(token) }))
    };
    for at in 0..ops.len() {
        let before = ops.to_vec();
        let approved = || done_before(&before, at, |act| matches!(act, Act::Approve { end: End::Done, .. }));
        let removed = || done_before(&before, at, |act| matches!(act, Act::Remove { end: End::Done }));
        let revoked = || done_before(&before, at, |act| matches!(act, Act::Revoke { end: End::Done, .. }));
        let rotated = || done_before(&before, at, |act| matches!(act, Act::Rotate { end: End::Done, .. }));
        let fresh = Mark { value: 8_888, first: before[at].until };
        let used = before[..at].iter().find_map(|op| match op.act {
            Act::Connect(Connect { seen: Seen::Pairing { id: Some(id), .. }, .. }) => Some(id),
            _ => None,
        });
        if before[at].optional {
            continue;
        }
        match (plant, &mut ops[at].act) {
            (Plant::LostApproval, Act::Connect(connect)) if approved() => {
                if matches!(connect.seen, Seen::Session(_)) {
                    connect.seen = Seen::Pairing { reason: Some(NotPaired), id: Some(fresh) };
                    return true;
                }
            }
            (Plant::SessionBeforeApproval, Act::Connect(connect)) if !approved() && !removed() => {
                if matches!(connect.seen, Seen::Pairing { reason: Some(NotPaired), .. }) {
                    connect.seen = granted(fresh);
                    return true;
                }
            }
            (Plant::SessionAfterRemove, Act::Connect(connect)) if removed() => {
                if matches!(connect.seen, Seen::Pairing { .. } | Seen::TokenRefused { .. }) {
                    connect.seen = granted(Mark { value: STORED, first: 0 });
                    return true;
                }
            }
            (Plant::SessionAfterRevoke, Act::Connect(connect)) if revoked() => {
                if matches!(connect.seen, Seen::TokenRefused { .. }) {
                    connect.seen = granted(Mark { value: STORED, first: 0 });
                    return true;
                }
            }
            (Plant::SessionWithOldToken, Act::Connect(connect)) if rotated() => {
                if let Seen::Session(Some(auth)) = &mut connect.seen
                    && auth.token.is_some_and(|token| token.value != STORED)
                {
                    auth.token = Some(Mark { value: STORED, first: 0 });
                    return true;
                }
            }
            (Plant::WrongReason, Act::Connect(connect)) => {
                if let Seen::Pairing { reason: Some(reason), .. } = &mut connect.seen {
                    *reason = if *reason == NotPaired { MetadataUpgrade } else { NotPaired };
                    return true;
                }
            }
            (Plant::ScopeBeyond, Act::Connect(connect)) => {
                if let Seen::Session(Some(auth)) = &mut connect.seen
                    && auth.scopes != Listed::Sorted(both)
                {
                    auth.scopes = Listed::Sorted(both);
                    // What a connection may do is what it asked.
                    auth.as_asked = false;
                    return true;
                }
            }
            (Plant::ResurrectedRequest, Act::Connect(connect)) => {
                if let Seen::Pairing { id: Some(id), .. } = &mut connect.seen
                    && let Some(used) = used
                    && used.value != id.value
                {
                    *id = used;
                    return true;
                }
            }
            (Plant::ApprovalDenied, Act::Approve { end: end @ End::Done, .. }) => {
                *end = End::UnknownId;
                return true;
            }
            (Plant::RemovalOfNobody, Act::Remove { end: end @ End::UnknownId }) => {
                *end = End::Done;
                return true;
            }
            _ => {}
        }
    }
    false
}

/// The history with all but these operations left open.
fn only(ops: &[Op], counts: &[usize]) -> Vec<Op> {
    let open = |(at, op): (usize, &Op)| Op { optional: op.optional || !counts.contains(&at), ..*op };
    ops.iter().enumerate().map(open).collect()
}

/// Thousands of small histories with planted violations: the search finds what brute force finds, and the sub-history that it
/// shows contradicts itself, alone too, while leaving any of it open explains the rest. Brute force is the judge throughout.
#[test]
fn planted_violations_of_every_kind_are_found_and_shown_by_the_shortest_sub_history() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[26; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let worlds = (
        prop::collection::vec(planned(), 3..=7),
        prop::sample::select(ProfileName::ALL.to_vec()),
        any::<bool>(),
        0..4_u8,
        prop_oneof![Just(400_u64), Just(1_000_000)],
        any::<bool>(),
    );
    let mut found: HashMap<Plant, u32> = HashMap::new();
    let mut several = 0;
    for round in 0..3_000 {
        let (planned, profile, local, entry, ttl, split) = worlds.new_tree(&mut runner).unwrap().current();
        let right = run(&planned, profile, local, entry, ttl);
        for kind in PLANTS {
            let mut world = right.clone();
            if !plant(&mut world.ops, kind) {
                continue;
            }
            if split {
                world.ops = in_two_steps(world.ops);
            }
            let (model, start, ops) = (&world.model, world.start, &world.ops);
            let question = Question { model: *model, start, ops, peeks: &[] };
            let shown = contradiction::find(&mut Search::default(), &question);
            // What a race or an operation that may have happened explains is no violation.
            assert_eq!(shown.is_some(), !brute(model, start, ops), "{round} {kind:?}: {ops:#?}");
            let Some(Contradiction { ops: decisive, shortest }) = shown else { continue };
            *found.entry(kind).or_default() += 1;
            several += u32::from(decisive.len() > 2);
            assert!(shortest && !decisive.is_empty(), "{round} {kind:?}");
            assert!(!brute(model, start, &only(ops, &decisive)), "{round} {kind:?}: {decisive:?} {ops:#?}");
            for spared in &decisive {
                // The steps of one connect go together.
                let unit = |at: usize| ops[at].after.unwrap_or(at);
                let fewer: Vec<usize> =
                    decisive.iter().copied().filter(|at| unit(*at) != unit(*spared)).collect();
                assert!(
                    brute(model, start, &only(ops, &fewer)),
                    "{round} {kind:?}: without {spared} {ops:#?}"
                );
            }
            // Alone: none of the others happened.
            let places: Vec<usize> = decisive.clone();
            let alone = decisive.iter().map(|at| Op {
                after: ops[*at].after.and_then(|first| places.iter().position(|place| *place == first)),
                ..ops[*at]
            });
            let alone: Vec<Op> = alone.collect();
            assert!(!brute(model, start, &alone), "{round} {kind:?}: alone {alone:#?}");
        }
    }
    for kind in PLANTS {
        assert!(found.get(&kind).is_some_and(|count| *count >= 5), "{kind:?}: {found:?}");
    }
    assert!(several > 0, "some need more than two operations to be seen");
}
