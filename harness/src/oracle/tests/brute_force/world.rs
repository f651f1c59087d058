//! Small histories drawn at random: a run of the model, and what spoils it.

use std::collections::HashMap;
use std::sync::Mutex;

use proptest::prelude::*;

use crate::oracle::alphabet::{Alphabet, Covering, Listed, ROLES_MAX, ScopeSet};
use crate::oracle::release::{Coverage, Release};
use crate::oracle::state::{
    Act, Away, Claim, Connect, Edit, End, Entry, Fit, Granted, Ident, Mark, Model, Op, Out, Reasons, Seen,
    SeenAuth, State, Token,
};
use crate::plan::Nanos;
use protocol::ProfileName;
use protocol::scope::{READ, WRITE};

/// The token of the stored entry.
pub(super) const STORED: u64 = 1;

/// What a random operation does, before the run gives it an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
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
pub(super) struct Planned {
    pub(super) wish: Wish,
    /// The moment it takes effect, and how far its interval reaches to either side.
    pub(super) moment: Nanos,
    pub(super) before: Nanos,
    pub(super) after: Nanos,
    pub(super) answered: bool,
    pub(super) happens: bool,
}

pub(super) fn planned() -> impl Strategy<Value = Planned> {
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
pub(super) struct World {
    pub(super) model: Model<'static>,
    pub(super) start: State,
    pub(super) ops: Vec<Op>,
}

pub(super) fn alphabet() -> Alphabet<'static> {
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
pub(super) fn run(planned: &[Planned], profile: ProfileName, local: bool, entry: u8, ttl: Nanos) -> World {
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

pub(super) const fn connect(claim: Claim, presented: Option<u64>) -> Connect {
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
pub(super) fn in_two_steps(ops: Vec<Op>) -> Vec<Op> {
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
pub(super) fn spoil(ops: &mut [Op], which: usize, how: u8) {
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
