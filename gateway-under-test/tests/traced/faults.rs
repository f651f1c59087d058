//! System calls of the real binary that fail: whoever asked is told, nobody is let in on what is not durable, and the gateway
//! goes on.

use std::collections::BTreeMap;

use protocol::ProfileName;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Connection, Device, Gateway, State, Way};
use crate::tracer::{Trace, Traced};

/// strace counts the calls of each thread. So many requests come first that the store's has made more than any other has.
const ASKED_BEFORE: u8 = 28;
const DEVICE: u8 = 100;

/// Says it until it is done. Gives how often it was told that the store is unavailable.
fn until_done(what: &str, mut say: impl FnMut() -> Value, is_done: impl Fn(&Value) -> bool) -> usize {
    for failures in 0..3 {
        let answer = say();
        if is_done(&answer) {
            return failures;
        }
        assert_eq!(answer["error"]["code"], "UNAVAILABLE", "{what}: {answer}");
    }
    panic!("{what} fails again and again");
}

fn hello(gateway: &Gateway, way: &Way, device: &Device) -> Value {
    gateway.connect(way).hello(device)
}

/// What a run with one call that fails has seen.
#[derive(Debug, Default)]
struct Seen {
    /// Answers that the store is unavailable.
    refused: usize,
    /// Of these, answers to the approval.
    approval_refused: usize,
}

/// Asks for many, approves one, and holds the answers to what stands afterwards.
fn run(profile: ProfileName, inject: Option<&str>) -> (Trace, Seen) {
    let mut state = State::of(profile);
    let device = |seed: u8| Device::new(seed).of(profile);
    // The store is made, and the operator paired, before anything fails.
    let gateway = state.start_with(0, &["--startup-ms", "0"]);
    drop(gateway.operator_of(profile));
    gateway.kill();
    let traced = Traced::start(&mut state, inject, &[]);
    let (gateway, away) = (&traced.gateway, Way::remote("203.0.113.7"));
    let mut operator: Connection = gateway.operator_of(profile);
    let mut seen = Seen::default();
    let mut request = Value::Null;
    let has_asked = |answer: &Value| answer["error"]["code"] == "NOT_PAIRED";
    for seed in (1..=ASKED_BEFORE).chain([DEVICE]) {
        seen.refused += until_done(
            "asking",
            || {
                let answer = hello(gateway, &away, &device(seed));
                request = answer["error"]["details"]["requestId"].clone();
                answer
            },
            has_asked,
        );
    }
    let mut number = 0;
    seen.approval_refused = until_done(
        "approving",
        || {
            number += 1;
            let id = format!("approval-{number}");
            let call = json!({"type": "req", "id": id, "method": "device.pair.approve", "params": {"requestId": request}});
            operator.send(call.to_string());
            let answer = operator.response();
            assert_eq!(answer["id"], id.as_str(), "{answer}");
            if answer["ok"] == false {
                let wanted = if number == 1 { "device store unavailable" } else { "unknown requestId" };
                assert_eq!(answer["error"]["message"], wanted, "{answer}");
            }
            answer
        },
        // What failed may stand all the same, and the next operation reads it.
        |answer| answer["ok"] == true || answer["error"]["message"] == "unknown requestId",
    );
    seen.refused += seen.approval_refused;
    gateway.session(&away, &device(DEVICE));
    let trace = traced.end(Signal::KILL);
    let gateway = state.start_with(0, &["--startup-ms", "0"]);
    gateway.session(&away, &device(DEVICE));
    for seed in 1..=ASKED_BEFORE {
        assert!(has_asked(&hello(&gateway, &away, &device(seed))), "{profile}: {seed}");
    }
    (trace, seen)
}

/// Which calls of this name, counted in the store's thread, the approval made.
fn calls_of_approval(trace: &Trace, name: &str) -> Vec<usize> {
    let end = trace.sent("\"id\":\"approval-1\"");
    let begin = trace.did[..end].iter().rposition(|did| did.sends("NOT_PAIRED")).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_approval: Vec<(&str, usize)> = Vec::new();
    for (thread, called, at) in &trace.calls {
        if called == name && *at <= end {
            let count = counts.entry(thread).or_default();
            *count += 1;
            if (begin + 1..end).contains(at) {
                of_approval.push((thread, *count));
            }
        }
    }
    let (store, _) = *of_approval.last().unwrap();
    let calls: Vec<usize> =
        of_approval.iter().filter(|(thread, _)| *thread == store).map(|(_, count)| *count).collect();
    // Else the call would fail in another thread first, and say nothing of the store.
    let others =
        counts.iter().filter(|(thread, _)| **thread != store).map(|(_, count)| *count).max().unwrap_or(0);
    assert!(
        others < calls[0],
        "{name}: another thread makes {others}, the approval begins with {}",
        calls[0]
    );
    calls
}

/// Each call of that name that an approval makes fails once, in a run of its own.
fn each_fails(profile: ProfileName, name: &str, error: &str) {
    let calls = calls_of_approval(&run(profile, None).0, name);
    assert!(!calls.is_empty(), "{profile} {name}");
    let mut approvals = 0;
    for call in &calls {
        let (_, seen) = run(profile, Some(&format!("{name}:error={error}:when={call}")));
        assert!(seen.refused <= 1, "{profile} {name} {call}: {seen:?}");
        approvals += seen.approval_refused;
    }
    println!("{profile}: {name} {error} at {calls:?}, {approvals} approvals were refused");
    // A note that was written by itself may have moved the count.
    assert!(approvals * 2 >= calls.len(), "{profile} {name}: {approvals} of {calls:?}");
}

#[test]
fn a_sync_that_fails_is_answered_by_an_error() {
    for profile in [ProfileName::Article, ProfileName::V2026_3_13, ProfileName::V2026_9_6] {
        each_fails(profile, "fsync", "EIO");
    }
}

#[test]
fn a_full_disk_is_answered_by_an_error() {
    for (profile, name) in [
        (ProfileName::Article, "rename"),
        (ProfileName::V2026_3_13, "openat"),
        (ProfileName::V2026_9_6, "pwrite64"),
    ] {
        each_fails(profile, name, "ENOSPC");
    }
}
