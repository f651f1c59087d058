//! A run judged shard by shard is judged as a whole.
//!
//! Histories are random, and mostly senseless: what is compared is not whether a verdict is right, but whether it is the
//! same. Clients share an address, so that they lock one another out and use up its sockets.

use proptest::prelude::*;
use serde_json::json;

use super::fixture::{
    Case, READ, WRITE, approve, closed, frame, owned, pairing, plain, refused_operation, reject, revoke,
    session, session_as, stored, token_refused, unauthorized,
};
use crate::history::{
    Call, CallEnd, Caller, EndedBy, HeardEvent, History, Notice, Operation, OperationEnd, OperationKind,
    Overheard, SessionEnd, StoreEdit,
};
use crate::observation::{Fingerprint, Grant, Observation, Outcome, Phase, Stamps};
use crate::oracle::{Judgement, MismatchKind, Oracle, Verdict};
use crate::plan::{
    ClientId, Credential, Deed, FaultKind, ForwardedFor, GatewayPlan, Nanos, NetworkPath, Plan,
    PlannedClient, ScriptCall, ScriptStep, StopSignal, StoredMetadata,
};
use protocol::ProfileName;
use protocol::pairing::method;

const MS: Nanos = 1_000_000;
const CLIENTS: u32 = 9;

/// Something that happens, drawn as plain numbers: who, what, when, how long, and two for the details.
type Drawn = (u32, u8, u64, u64, u8, u8);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    prop::collection::vec((0..CLIENTS, 0..44_u8, 0..600_u64, 0..60_u64, 0..6_u8, 0..6_u8), 1..120)
}

/// Strangers and paired clients, those of a kind behind one address; three failures lock an address out.
fn plan(profile: ProfileName, with_limit: bool) -> Plan {
    let shared = |path: &str| NetworkPath::Proxy {
        from: std::net::Ipv4Addr::new(127, 2, 0, 1),
        forwarded_for: ForwardedFor::Fixed(path.to_owned()),
        host: None,
    };
    let mut case = Case::stranger().with_gateway(|gateway: &mut GatewayPlan| {
        gateway.profile = profile;
        if with_limit {
            gateway.config =
                json!({"gateway": {"auth": {"rateLimit": {"maxAttempts": 3, "lockoutMs": 4000}}}});
        }
    });
    let cohort = case.plan.cohorts[0].clone();
    let mut paired = cohort.clone();
    paired.name = "paired".to_owned();
    paired.stored = Some(stored(&["operator"], &[READ, WRITE], StoredMetadata::Same));
    paired.connect.path = shared("203.0.113.9");
    paired.connect.credential = Credential::DeviceToken;
    let mut wrong = cohort;
    wrong.name = "wrong".to_owned();
    wrong.connect.path = shared("203.0.113.9");
    wrong.connect.credential = Credential::WrongToken;
    let mut wider = wrong.connect.clone();
    wider.credential = Credential::SharedToken;
    wider.scopes = Some(owned(&[READ, WRITE, "operator.pairing"]));
    wrong.variants = vec![wider];
    case.plan.cohorts.extend([paired, wrong]);
    for cohort in &mut case.plan.cohorts {
        cohort.script = ["health", method::LIST, "no.such"].map(calling).into();
    }
    let first = case.plan.clients[0].clone();
    case.plan.clients = (0..CLIENTS)
        .map(|client| PlannedClient {
            cohort: u16::try_from(client % 3).unwrap(),
            index: client / 3,
            ..first.clone()
        })
        .collect();
    case.plan
}

fn calling(method: &str) -> ScriptStep {
    let call = ScriptCall { method: method.to_owned(), params: None };
    ScriptStep { deed: Deed::Call(call), expect: None, line: 1 }
}

fn call_end(one: u8, at: Nanos) -> CallEnd {
    match one {
        0 | 1 => CallEnd::Done { at },
        2 => CallEnd::NoAnswer { at },
        _ => CallEnd::Refused {
            at,
            code: if one == 3 { "FORBIDDEN" } else { "INVALID_REQUEST" }.to_owned(),
            message: "missing scope: operator.pairing".to_owned(),
            detail_code: None,
        },
    }
}

/// Texts of a refusal of this kind.
fn refusal(what: u8, id: u8) -> Outcome {
    let id = format!("R{id}");
    match what {
        0 | 1 => pairing("not-paired", &id),
        2 => pairing("scope-upgrade", &id),
        3 => token_refused(),
        4 => unauthorized(
            "unauthorized: too many failed authentication attempts (retry later)",
            "AUTH_RATE_LIMITED",
            "rate_limited",
        ),
        _ => unauthorized("unauthorized: gateway token mismatch", "AUTH_TOKEN_MISMATCH", "token_mismatch"),
    }
}

fn outcome(what: u8, one: u8, other: u8) -> Outcome {
    match what {
        0..=8 => match session(u64::from(one)) {
            Outcome::Session(Grant { auth, .. }) => {
                Outcome::Session(Grant { protocol: 3 + u32::from(other % 2), auth })
            }
            other => other,
        },
        9 => session_as("operator", &[READ, WRITE], u64::from(one)),
        10..=16 => refusal(one, other),
        17..=19 => refusal(5, 0),
        20 => Outcome::UpgradeRefused { status: 503, body: String::new() },
        21 => closed(1012, "service restart"),
        22 => closed(1000, ""),
        23 => Outcome::TimedOut { phase: Phase::Verdict },
        _ => Outcome::Refused(plain("gateway starting; retry shortly")),
    }
}

fn operation(what: u8, one: u8) -> OperationKind {
    let id = format!("R{one}");
    match what {
        25..=27 => approve(&id),
        28 => reject(&id),
        29 => OperationKind::Remove,
        30 => revoke(),
        31 => OperationKind::Rotate { role: "operator".to_owned(), scopes: Some(owned(&[READ])) },
        _ => OperationKind::Edit(StoreEdit::SetScopes(owned(&[READ, WRITE]))),
    }
}

fn happened(drawn: &[Drawn]) -> History {
    let mut case = Case::stranger();
    let mut attempts = [0_u32; CLIENTS as usize];
    for &(client, what, at, long, one, other) in drawn {
        let (from, until) = (at + 10, at + 10 + long);
        let number = attempts[client as usize];
        // Most calls come from the operators of the run's own, some through a session of a client's.
        let caller = (other < 3 && number > 0).then(|| Caller { client, attempt: number - 1 });
        let target = Some((client + u32::from(one % 3)) % CLIENTS);
        match what {
            0..25 => {
                let outcome = outcome(what, one, other);
                let answered = matches!(outcome, Outcome::Session(_) | Outcome::Refused(_));
                let stage = |reached: bool, at: u64| reached.then_some(at * MS);
                case.history.attempts.push(Observation {
                    client,
                    attempt: number,
                    ask: u16::from(client % 3 == 2 && other > 3),
                    step: None,
                    intended: (from - 2) * MS,
                    stamps: Stamps {
                        started: Some((from - 2) * MS),
                        dialled: Some((from - 1) * MS),
                        upgraded: stage(what != 20, from - 1),
                        challenged: stage(what != 20, from - 1),
                        sent: stage(what != 20, from),
                        answered: stage(answered, until),
                        ended: stage(!answered, until),
                    },
                    presented_token: (other == 1).then(|| Fingerprint(u64::from(one))),
                    outcome,
                });
                attempts[client as usize] += 1;
            }
            25..33 => {
                let end = match other {
                    0 | 3 => OperationEnd::Done { at: until * MS, token: Some(Fingerprint(u64::from(one))) },
                    1 | 4 => OperationEnd::Unknown,
                    _ if one < 3 => refused_operation("missing scope: operator.pairing", until),
                    _ => refused_operation("unknown requestId", until),
                };
                let kind = operation(what, one);
                case.history.operations.push(Operation {
                    operator: 0,
                    client: target,
                    kind,
                    caller,
                    invoked: from * MS,
                    end,
                });
            }
            33 => case.history.notices.push(Notice {
                operator: 0,
                client: target,
                request_id: format!("R{one}"),
                at: from * MS,
            }),
            34 => {
                let signal = if one < 4 { StopSignal::Sigterm } else { StopSignal::Sigkill };
                case = case.restart(signal, from, until + 20, until + 40);
            }
            35 => case = case.fault(FaultKind::Reload, from, Some(until)),
            36 | 37 if number > 0 => {
                let close = match one {
                    0..3 => frame(1012, "service restart"),
                    3 | 4 => frame(protocol::close::code::DEVICE_REMOVED, "device removed"),
                    _ => frame(1001, ""),
                };
                case.history.session_ends.push(SessionEnd {
                    client,
                    attempt: number - 1,
                    at: until * MS,
                    by: if other == 0 { EndedBy::Client } else { EndedBy::Gateway(close) },
                });
            }
            40.. => case.history.calls.push(Call {
                client,
                attempt: number.saturating_sub(1),
                step: u16::from(other),
                sent: from * MS,
                end: call_end(one, until * MS),
            }),
            _ => case.history.overheard.push(Overheard {
                client,
                attempt: number.saturating_sub(1),
                event: HeardEvent::Requested,
                at: from * MS,
            }),
        }
    }
    case.history
}

/// The records of the clients for which `is_in` holds, and where they stood.
fn part(history: &History, is_in: impl Fn(ClientId) -> bool) -> (History, Vec<usize>, Vec<usize>) {
    let at = |clients: Vec<ClientId>| -> Vec<usize> {
        let of_part = |(position, client): (usize, ClientId)| is_in(client).then_some(position);
        clients.into_iter().enumerate().filter_map(of_part).collect()
    };
    let attempts = at(history.attempts.iter().map(|attempt| attempt.client).collect());
    let ends = at(history.session_ends.iter().map(|end| end.client).collect());
    let mut shard = history.clone();
    shard.attempts.retain(|attempt| is_in(attempt.client));
    shard.session_ends.retain(|end| is_in(end.client));
    shard.overheard.retain(|heard| is_in(heard.client));
    shard.calls.retain(|call| is_in(call.client));
    (shard, attempts, ends)
}

fn by_text<T: std::fmt::Debug>(things: Vec<T>) -> Vec<String> {
    let mut texts: Vec<String> = things.iter().map(|thing| format!("{thing:?}")).collect();
    texts.sort();
    texts
}

/// The judgement of `history` in so many shards, put together as if it had been one.
fn in_shards(oracle: &Oracle<'_>, history: &History, shards: u32) -> Judgement {
    let shards: Vec<_> = (0..shards).map(|shard| part(history, |client| client % shards == shard)).collect();
    let mut survey = oracle.survey();
    // In any order.
    for (shard, ..) in shards.iter().rev() {
        if oracle.needs_survey(shard) {
            survey.add(shard);
        }
    }
    let surveyed = survey.finish(&shards[0].0);
    let mut verdicts = vec![None; history.attempts.len()];
    let mut all = Judgement { breaches: surveyed.breaches().to_vec(), ..Judgement::default() };
    for (shard, attempts, ends) in &shards {
        let judgement = oracle.judge_shard(shard, &surveyed);
        for (position, verdict) in attempts.iter().zip(judgement.attempts) {
            verdicts[*position] = Some(verdict);
        }
        all.session_ends.extend(judgement.session_ends.into_iter().map(|mut finding| {
            finding.session_end = ends[finding.session_end];
            finding
        }));
        all.breaches.extend(judgement.breaches);
        all.invariants.extend(judgement.invariants);
        all.devices.extend(judgement.devices);
    }
    all.attempts = verdicts.into_iter().map(Option::unwrap).collect();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shards_are_judged_as_the_whole(
        drawn in drawn(),
        profile in prop::sample::select(ProfileName::ALL.to_vec()),
        with_limit: bool,
    ) {
        let plan = plan(profile, with_limit);
        let history = happened(&drawn);
        let identities = crate::plan::identity::Identities::reproducible(plan.seed);
        let oracle = Oracle::new(&plan, &identities);
        let whole = oracle.judge(&history);
        for shards in [1, 2, 3, 7] {
            let parts = in_shards(&oracle, &history, shards);
            prop_assert_eq!(&whole.attempts, &parts.attempts, "{} shards", shards);
            prop_assert_eq!(by_text(whole.session_ends.clone()), by_text(parts.session_ends));
            prop_assert_eq!(by_text(whole.breaches.clone()), by_text(parts.breaches));
            prop_assert_eq!(by_text(whole.invariants.clone()), by_text(parts.invariants));
            prop_assert_eq!(by_text(whole.devices.clone()), by_text(parts.devices));
        }
    }
}

/// Failures of two clients behind one address, each in a shard of its own, lock a third one out.
fn locked_out() -> (Plan, History) {
    let plan = plan(ProfileName::V2026_3_13, true);
    let mut drawn: Vec<Drawn> =
        [2, 5, 2, 5].iter().zip(0..).map(|(client, n)| (*client, 17, 20 * n, 5, 5, 0)).collect();
    // Client 4 gets a session by a device token all the same.
    drawn.push((4, 0, 200, 5, 1, 1));
    (plan, happened(&drawn))
}

/// The comparison means something: without the other shards' attempts, a lock-out is not seen.
#[test]
fn a_lock_out_crosses_the_borders_of_shards() {
    let (plan, history) = locked_out();
    let identities = crate::plan::identity::Identities::reproducible(plan.seed);
    let oracle = Oracle::new(&plan, &identities);
    let kinds = |judgement: &Judgement| -> Vec<Option<MismatchKind>> {
        let kind = |verdict: &Verdict| match verdict {
            Verdict::Mismatch(mismatch) if mismatch.why.contains("locked out") => Some(mismatch.kind),
            _ => None,
        };
        judgement.attempts.iter().map(kind).collect()
    };
    let locked = [None, None, None, Some(MismatchKind::WrongReason), Some(MismatchKind::FalseAccept)];
    assert_eq!(kinds(&oracle.judge(&history)), locked);
    assert_eq!(kinds(&in_shards(&oracle, &history, 3)), locked);
    let (alone, ..) = part(&history, |client| client == 4);
    let unaware = oracle.judge_shard(&alone, &oracle.survey().finish(&alone));
    assert_eq!(kinds(&unaware), [None]);
}

/// A restart that the session of one client showed makes the upgrade of another one late, and a session of one client
/// approves for another one what it may not.
#[test]
fn what_sessions_of_other_shards_show_is_known() {
    let plan = plan(ProfileName::V2026_3_13, false);
    let mut history = happened(&[
        (0, 0, 0, 5, 1, 0),
        (1, 10, 10, 5, 0, 1),
        // Sent through the session of client 0, for client 1.
        (0, 25, 30, 5, 1, 0),
        // A stop from 110 to 150 ms, told at 120 ms.
        (0, 34, 100, 20, 0, 0),
        (0, 36, 105, 5, 0, 1),
        (1, 0, 115, 5, 1, 0),
    ]);
    let identities = crate::plan::identity::Identities::reproducible(plan.seed);
    let oracle = Oracle::new(&plan, &identities);
    let kinds = |judgement: Judgement| -> Vec<MismatchKind> {
        let mut kinds: Vec<_> = judgement.breaches.iter().map(|breach| breach.kind).collect();
        kinds.sort_by_key(|kind| kind.as_str());
        kinds
    };
    let due = [MismatchKind::LateUpgrade, MismatchKind::WrongAnswer];
    assert_eq!(kinds(oracle.judge(&history)), due);
    assert_eq!(kinds(in_shards(&oracle, &history, 2)), due);
    assert!(oracle.needs_survey(&history));
    history.operations.clear();
    history.faults.clear();
    assert!(!oracle.needs_survey(&history));
}

/// The comparison means something for calls as well.
#[test]
fn a_call_is_judged_by_its_session_whatever_the_shard() {
    let plan = plan(ProfileName::V2026_3_13, false);
    // A session with `operator.read`, which lists what waits; and another one's that is refused as it should be.
    let history =
        happened(&[(0, 0, 0, 5, 1, 0), (0, 40, 10, 5, 0, 1), (1, 0, 20, 5, 1, 0), (1, 41, 30, 5, 4, 1)]);
    let identities = crate::plan::identity::Identities::reproducible(plan.seed);
    let oracle = Oracle::new(&plan, &identities);
    let wrong = |judgement: Judgement| -> Vec<(ClientId, MismatchKind)> {
        judgement.breaches.iter().map(|breach| (breach.client, breach.kind)).collect()
    };
    let due = [(0, MismatchKind::WrongAnswer)];
    assert_eq!(wrong(oracle.judge(&history)), due);
    assert_eq!(wrong(in_shards(&oracle, &history, 2)), due);
}
