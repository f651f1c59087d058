//! The search against brute force: all orders of up to seven operations.
//!
//! Both use the same model of one operation; what is compared is the search itself. Histories come from a run of the
//! model with a random order inside random intervals, so that most are allowed, and some are spoilt afterwards.

use std::collections::HashMap;
use std::sync::Mutex;

use proptest::prelude::*;

use crate::oracle::alphabet::{Alphabet, Covering, Listed, ROLES_MAX, ScopeSet};
use crate::oracle::contradiction::{self, Contradiction};
use crate::oracle::release::{Coverage, Release};
use crate::oracle::search::{Finding, Question, Search};
use crate::oracle::state::{
    Act, Away, Claim, Connect, Edit, End, Entry, Fit, Granted, Ident, Mark, Model, Op, Out, Reasons, Seen,
    SeenAuth, State, Token,
};
use crate::plan::Nanos;
use protocol::ProfileName;
use protocol::scope::{READ, WRITE};

/// The token of the stored entry.
const STORED: u64 = 1;

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

/// What a random operation does, before the run gives it an answer.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Connect { with_token: bool },
    Approve,
    Reject,
    Remove,
    Rotate { wide: bool },
    Revoke,
    Load { lossy: bool },
    Edit,
}

#[derive(Debug, Clone)]
struct Planned {
    wish: Wish,
    /// The moment it takes effect, and how far its interval reaches to either side.
    moment: Nanos,
    before: Nanos,
    after: Nanos,
    answered: bool,
    happens: bool,
}

fn planned() -> impl Strategy<Value = Planned> {
    let wish = prop_oneof![
        5 => any::<bool>().prop_map(|with_token| Wish::Connect { with_token }),
        3 => Just(Wish::Approve),
        1 => Just(Wish::Reject),
        1 => Just(Wish::Remove),
        1 => any::<bool>().prop_map(|wide| Wish::Rotate { wide }),
        1 => Just(Wish::Revoke),
        2 => any::<bool>().prop_map(|lossy| Wish::Load { lossy }),
        1 => Just(Wish::Edit),
    ];
    (wish, 10..200_u64, 0..40_u64, 0..40_u64, 0..5_u8, any::<bool>()).prop_map(
        |(wish, moment, before, after, answered, happens)| Planned {
            wish,
            moment: moment * 10,
            before,
            after,
            answered: answered > 0,
            happens,
        },
    )
}

#[derive(Debug, Clone)]
struct World {
    model: Model<'static>,
    start: State,
    ops: Vec<Op>,
}

fn alphabet() -> Alphabet<'static> {
    Alphabet::new(["operator"], ["operator.read", "operator.write"]).unwrap()
}

/// The coverage of a release, made once.
fn covering(release: &Release) -> &'static Covering {
    static KNOWN: Mutex<Vec<(Coverage, &Covering)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap();
    if let Some((_, covering)) = known.iter().find(|(rule, _)| *rule == release.coverage) {
        return covering;
    }
    let covering: &'static Covering = Box::leak(Box::new(Covering::new(&alphabet(), release.coverage)));
    known.push((release.coverage, covering));
    covering
}

/// Runs the wishes in the order of their moments and records what a client would have seen.
fn run(planned: &[Planned], profile: ProfileName, local: bool, entry: u8, ttl: Nanos) -> World {
    let alphabet = alphabet();
    let release = Release::of(profile);
    let (read, both) = (alphabet.set([READ]), alphabet.set([READ, WRITE]));
    let none = Reasons::default();
    let silent = if local { release.silent.iter().fold(none, |set, reason| set.with(*reason)) } else { none };
    let claim = Claim {
        role: 0,
        is_operator: true,
        scopes: read,
        platform: Some(0),
        family: None,
        platform_agrees: 1,
        family_agrees: 0,
        silent,
        skips_pairing: false,
        browser: false,
        binds_token: false,
    };
    let covering = covering(release);
    let model = Model { release, covering, operator: Some(0), node: None, usual: claim, ttl, tolerance: 30 };
    let scopes = if entry == 3 { alphabet.set([WRITE]) } else { read };
    let mut stored = Entry {
        roles: crate::oracle::alphabet::RoleSet::default().with(0),
        scopes,
        approved: Some(scopes),
        platform: match entry {
            1 => None,
            2 => Some(1),
            _ => Some(0),
        },
        family: None,
        repairable: false,
        browser: false,
        tokens: [None; ROLES_MAX],
    };
    stored.set_token(0, Token { secret: Ident::Seen(STORED), scopes, revoked: false, bound: false });
    let start =
        State { entry: (entry > 0).then_some(stored), pending: None, edited: None, away: Away::default() };

    let mut order: Vec<&Planned> = planned.iter().collect();
    order.sort_by_key(|planned| planned.moment);
    let mut state = start;
    let mut ops = Vec::new();
    let mut fresh = 100_u64;
    for planned in order {
        // Nobody answers a request before there is one.
        let before = if matches!(planned.wish, Wish::Approve | Wish::Reject) { 0 } else { planned.before };
        let (from, until) = (planned.moment - before, planned.moment + planned.after);
        // A real gateway knows its ids at once; whatever it makes now was first seen when this operation ended.
        let exact = Op {
            act: Act::Load { lossy: false },
            from: planned.moment,
            until: planned.moment,
            optional: false,
            after: None,
        };
        let token = state.entry.and_then(|entry| entry.token(0)).map(|token| token.secret);
        let pending = state.pending.map(|pending| pending.id);
        let id_mark = match pending {
            Some(Ident::Seen(value)) => Mark { value, first: from },
            _ => Mark { value: 99, first: from },
        };
        let presented = match (planned.wish, token) {
            // A client presents what it was given.
            (Wish::Connect { with_token: true }, Some(Ident::Seen(value))) if is_known(&ops, value) => {
                Some(value)
            }
            _ => None,
        };
        let act = match planned.wish {
            Wish::Connect { .. } => Act::Connect(connect(claim, presented)),
            Wish::Approve => Act::Approve { id: id_mark, end: End::Open },
            Wish::Reject => Act::Reject { id: id_mark, end: End::Open },
            Wish::Remove => Act::Remove { end: End::Open },
            Wish::Rotate { wide } => {
                Act::Rotate { role: 0, scopes: wide.then_some(both), token: None, end: End::Open }
            }
            Wish::Revoke => Act::Revoke { role: 0, end: End::Open },
            Wish::Load { lossy } => Act::Load { lossy },
            Wish::Edit => Act::Edit(Edit::Scopes(both)),
        };
        let mut next = Vec::new();
        model.apply(&state, &Op { act, ..exact }, Fit::Exact, &mut next);
        // The first branch is as good as any: it is one that the model allows.
        let certain = planned.answered || matches!(planned.wish, Wish::Load { .. } | Wish::Edit);
        let happened = next.first().copied().filter(|_| certain || planned.happens);
        if let Some((mut after, out)) = happened {
            name_fresh(&mut after, &mut fresh);
            let seen = seen(out, &after, until, read);
            state = after;
            ops.push(recorded(act, Some((seen, &after)), planned, from, until));
        } else {
            ops.push(recorded(act, None, planned, from, until));
        }
    }
    mark_first_sightings(&mut ops);
    World { model, start, ops }
}

const fn connect(claim: Claim, presented: Option<u64>) -> Connect {
    Connect { claim, presented, may_be_stale: false, records_later: false, raced: false, seen: Seen::Open }
}

fn mark(op: &mut Op) -> Option<&mut Mark> {
    match &mut op.act {
        Act::Connect(Connect { seen: Seen::Pairing { id: Some(mark), .. }, .. })
        | Act::Record(Connect { seen: Seen::Pairing { id: Some(mark), .. }, .. })
        | Act::Connect(Connect { seen: Seen::Session(Some(SeenAuth { token: Some(mark), .. })), .. })
        | Act::Rotate { token: Some(mark), .. }
        | Act::Approve { id: mark, .. }
        | Act::Reject { id: mark, .. } => Some(mark),
        _ => None,
    }
}

fn is_known(ops: &[Op], value: u64) -> bool {
    value == STORED || ops.to_vec().iter_mut().filter_map(mark).any(|mark| mark.value == value)
}

/// Each mark says when the value was first seen in the whole history.
fn mark_first_sightings(ops: &mut [Op]) {
    let mut first: HashMap<u64, Nanos> = HashMap::from([(STORED, 0)]);
    for mark in ops.iter_mut().filter_map(mark) {
        let earliest = first.entry(mark.value).or_insert(mark.first);
        *earliest = mark.first.min(*earliest);
    }
    for mark in ops.iter_mut().filter_map(mark) {
        mark.first = first[&mark.value];
    }
}

/// Gives values to what the model left open.
fn name_fresh(state: &mut State, fresh: &mut u64) {
    let mut name = |ident: &mut Ident| {
        if matches!(ident, Ident::Unseen { .. }) {
            *fresh += 1;
            *ident = Ident::Seen(*fresh);
        }
    };
    if let Some(pending) = state.pending.as_mut() {
        name(&mut pending.id);
    }
    for token in state.entry.iter_mut().flat_map(|entry| entry.tokens.iter_mut()).flatten() {
        name(&mut token.secret);
    }
}

fn seen(out: Out, after: &State, until: Nanos, asked: ScopeSet) -> Seen {
    let mark = |ident: Ident| match ident {
        Ident::Seen(value) => Some(Mark { value, first: until }),
        Ident::Unseen { .. } => None,
    };
    match out {
        Out::Session(Granted::Absent) => Seen::Session(None),
        Out::Session(granted) => Seen::Session(Some(SeenAuth {
            role_fits: true,
            scopes: match granted {
                Granted::Token { scopes, .. } => Listed::Sorted(scopes),
                _ => Listed::Sorted(asked),
            },
            as_asked: true,
            token: match granted {
                Granted::Live { secret: None } => None,
                _ => after.entry.and_then(|entry| entry.token(0)).and_then(|token| mark(token.secret)),
            },
        })),
        Out::Pairing { reason, .. } => {
            Seen::Pairing { reason: Some(reason), id: after.pending.and_then(|pending| mark(pending.id)) }
        }
        Out::TokenRefused { narrow } => Seen::TokenRefused { narrow },
        Out::Stale => Seen::Stale,
        Out::Done => Seen::Open,
    }
}

fn recorded(act: Act, happened: Option<(Seen, &State)>, planned: &Planned, from: Nanos, until: Nanos) -> Op {
    let end = match (planned.answered, happened) {
        (false, _) => End::Open,
        (true, Some(_)) => End::Done,
        (true, None) => End::UnknownId,
    };
    let optional = !planned.answered && !matches!(act, Act::Load { .. } | Act::Edit(_));
    let act = match act {
        Act::Connect(connect) => Act::Connect(Connect {
            seen: happened.filter(|_| planned.answered).map_or(Seen::Open, |(seen, _)| seen),
            ..connect
        }),
        Act::Approve { id, .. } => Act::Approve { id, end },
        Act::Reject { id, .. } => Act::Reject { id, end },
        Act::Remove { .. } => Act::Remove { end },
        Act::Rotate { role, scopes, .. } => {
            let token = happened.and_then(|(_, state)| state.entry).and_then(|entry| entry.token(role));
            let token = match token.map(|token| token.secret) {
                Some(Ident::Seen(value)) if planned.answered => Some(Mark { value, first: until }),
                _ => None,
            };
            Act::Rotate { role, scopes, token, end }
        }
        Act::Revoke { role, .. } => Act::Revoke { role, end },
        other => other,
    };
    Op { act, from, until, optional, after: None }
}

/// Judges refused connects first and lets them leave their request afterwards.
fn in_two_steps(ops: Vec<Op>) -> Vec<Op> {
    let mut split = Vec::new();
    for op in ops {
        match op.act {
            Act::Connect(whole) if matches!(whole.seen, Seen::Pairing { .. }) => {
                let first = Some(split.len());
                split.push(Op { act: Act::Connect(Connect { records_later: true, ..whole }), ..op });
                split.push(Op { act: Act::Record(whole), after: first, ..op });
            }
            _ => split.push(op),
        }
    }
    split
}

/// Spoils one answer.
fn spoil(ops: &mut [Op], which: usize, how: u8) {
    let count = ops.len();
    let Some(op) = ops.get_mut(which % count.max(1)) else { return };
    let far = Mark { value: 7_777, first: op.until };
    let old = Mark { value: STORED, first: 0 };
    match &mut op.act {
        Act::Connect(connect) => {
            let scopes = Listed::Sorted(alphabet().set([READ]));
            connect.seen = match (how, connect.seen) {
                (0, Seen::Session(_)) => {
                    Seen::Pairing { reason: Some(protocol::PairingReason::NotPaired), id: Some(far) }
                }
                (0, _) => Seen::Session(Some(SeenAuth {
                    role_fits: true,
                    scopes,
                    as_asked: true,
                    token: Some(far),
                })),
                (1, Seen::Session(Some(auth))) => Seen::Session(Some(SeenAuth { token: Some(old), ..auth })),
                (1, Seen::Pairing { reason, .. }) => Seen::Pairing { reason, id: Some(far) },
                (2, _) => Seen::TokenRefused { narrow: false },
                (_, seen) => seen,
            };
            op.optional = false;
        }
        Act::Approve { end, .. }
        | Act::Reject { end, .. }
        | Act::Remove { end }
        | Act::Revoke { end, .. } => {
            *end = if *end == End::Done { End::UnknownId } else { End::Done };
            op.optional = false;
        }
        Act::Rotate { token, .. } => *token = Some(old),
        Act::Verify(_)
        | Act::Ask(_)
        | Act::Record(_)
        | Act::Edit(_)
        | Act::Away
        | Act::Back
        | Act::Lost
        | Act::Load { .. } => {}
    }
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
