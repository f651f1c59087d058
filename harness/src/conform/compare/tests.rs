use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn differences(recorded: &Seen, live: &Seen) -> Vec<String> {
    let mut identities = Identities::default();
    let present = present();
    // The recording's devices are the replay's only through the identities; a recording held against itself keeps its own.
    let result = Comparison::new(&mut identities, &present).seen(recorded, live);
    result.compared.into_iter().filter(|field| field.difference.is_some()).map(|field| field.field).collect()
}

fn present() -> BTreeSet<String> {
    [Identities::default().text(&device())].into()
}

fn device() -> String {
    "ab".repeat(32)
}

const REQUEST: &str = "0b1f4a52-9a5c-4c43-8c55-2f5a60e0a001";
const OTHER: &str = "0b1f4a52-9a5c-4c43-8c55-2f5a60e0a002";

fn refusal() -> Value {
    json!({"type": "res", "id": "1", "ok": false, "error": {"code": "NOT_PAIRED", "message": "pairing required",
        "retryable": true, "retryAfterMs": 500, "details": {"code": "PAIRING_REQUIRED", "reason": "not-paired",
        "requestId": REQUEST, "requestedScopes": ["operator.read"]}}})
}

fn hello() -> Value {
    json!({"type": "res", "id": "1", "ok": true, "payload": {"type": "hello-ok", "protocol": 3,
        "auth": {"role": "operator", "scopes": ["operator.read"], "deviceToken": "t1", "issuedAtMs": 5},
        "policy": {"maxPayload": 10}, "server": {"version": "dev", "connId": OTHER}, "snapshot": {"presence": []}}})
}

/// The value at `pointer` replaced, or removed.
fn with(frame: &Value, pointer: &str, value: Option<Value>) -> Seen {
    let mut frame = frame.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = frame.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(key.to_owned(), value)),
        None => drop(parent.remove(key)),
    }
    Seen::Frame(frame)
}

#[test]
fn every_kind_of_difference_is_found_under_its_name() {
    let refused = |pointer: &str, value: Option<Value>| {
        differences(&Seen::Frame(refusal()), &with(&refusal(), pointer, value))
    };
    assert_eq!(refused("/error/code", Some(json!("X"))), ["error.code"]);
    assert_eq!(refused("/error/message", Some(json!("X"))), ["error.message"]);
    assert_eq!(refused("/error/details/reason", Some(json!("X"))), ["error.details.reason"]);
    assert_eq!(refused("/error/details/reason", None), ["error.details.reason"]);
    assert_eq!(refused("/error/details/more", Some(json!(1))), ["error.details.more"]);
    assert_eq!(refused("/error/details", None), ["error.details"]);
    assert_eq!(refused("/error/details/requestedScopes", Some(json!([]))), ["error.details.requestedScopes"]);
    assert_eq!(refused("/error/retryable", Some(json!(false))), ["error.retryable"]);
    assert_eq!(refused("/error/retryAfterMs", Some(json!(501))), ["error.retryAfterMs"]);
    assert_eq!(differences(&Seen::Frame(refusal()), &Seen::Frame(hello())), ["accepted"]);

    let accepted = |pointer: &str, value: Option<Value>| {
        differences(&Seen::Frame(hello()), &with(&hello(), pointer, value))
    };
    assert_eq!(accepted("/payload/protocol", Some(json!(4))), ["hello.protocol"]);
    assert_eq!(accepted("/payload/auth/scopes", Some(json!(["operator.write"]))), ["hello.auth.scopes"]);
    assert_eq!(accepted("/payload/auth/role", Some(json!("node"))), ["hello.auth.role"]);
    assert_eq!(accepted("/payload/auth/deviceToken", None), ["hello.auth.deviceToken"]);
    assert_eq!(accepted("/payload/policy/maxPayload", Some(json!(11))), ["hello.policy.maxPayload"]);
    assert_eq!(accepted("/payload/snapshot/more", Some(json!(1))), ["hello.snapshot"]);
    assert_eq!(accepted("/payload/server/connId", None), ["hello.server.connId"]);

    let close = |code, reason: &str| Seen::Close { code, reason: reason.to_owned() };
    assert_eq!(differences(&close(1008, "a"), &close(1000, "a")), ["close.code"]);
    assert_eq!(differences(&close(1008, "a"), &close(1008, "b")), ["close.reason"]);

    let page =
        Page { status: 403, content_type: Some("a".into()), subprotocol: None, body: Some("b".into()) };
    let answer = |change: fn(&mut Page)| {
        let mut live = page.clone();
        change(&mut live);
        differences(&Seen::Answer(page.clone()), &Seen::Answer(live))
    };
    assert_eq!(answer(|page| page.status = 503), ["http.status"]);
    assert_eq!(answer(|page| page.content_type = None), ["http.contentType"]);
    assert_eq!(answer(|page| page.body = Some("c".into())), ["http.body"]);

    let event = json!({"type": "event", "event": "device.pair.resolved", "seq": 4,
        "payload": {"requestId": REQUEST, "decision": "approved", "ts": 1}});
    let changed = with(&event, "/payload/decision", Some(json!("rejected")));
    assert_eq!(
        differences(&Seen::Frame(event.clone()), &changed),
        ["event device.pair.resolved: payload.decision"]
    );
    assert_eq!(
        differences(&Seen::Frame(event.clone()), &with(&event, "/seq", None)),
        ["event device.pair.resolved: seq present"]
    );
}

#[test]
fn what_differs_by_nature_is_no_difference() {
    let live = with(&hello(), "/payload/server/connId", Some(json!(REQUEST)));
    assert!(differences(&Seen::Frame(hello()), &live).is_empty());
    let live = with(&hello(), "/payload/auth/issuedAtMs", Some(json!(77)));
    assert!(differences(&Seen::Frame(hello()), &live).is_empty());
}

#[test]
fn a_request_id_must_stay_the_same_and_a_new_one_must_be_new() {
    let mut identities = Identities::default();
    let present = present();
    let mut compare = |recorded: &str, live: &str| {
        let recorded = with(&refusal(), "/error/details/requestId", Some(json!(recorded)));
        let live = with(&refusal(), "/error/details/requestId", Some(json!(live)));
        let result = Comparison::new(&mut identities, &present).seen(&recorded, &live);
        result.compared.iter().filter(|field| field.difference.is_some()).count()
    };
    assert_eq!(compare("r1", "l1"), 0);
    assert_eq!(compare("r1", "l1"), 0);
    assert_eq!(compare("r1", "l2"), 1, "the recording kept its id");
    assert_eq!(compare("r2", "l1"), 1, "the recording got a new one");
    assert_eq!(compare("r2", "l2"), 0);
}

#[test]
fn an_id_in_a_text_is_held_to_its_pair_also_where_the_text_was_cut() {
    let mut identities = Identities::default();
    let present = present();
    identities.pair(REQUEST, OTHER);
    let close = |reason: String| Seen::Close { code: 1008, reason };
    let mut same = |recorded: String, live: String| {
        let result = Comparison::new(&mut identities, &present).seen(&close(recorded), &close(live));
        result.compared.iter().all(|field| field.difference.is_none())
    };
    assert!(same(format!("no (requestId: {REQUEST})"), format!("no (requestId: {OTHER})")));
    assert!(same(format!("no (requestId: {}", &REQUEST[..20]), format!("no (requestId: {}", &OTHER[..20])));
    assert!(!same(format!("no (requestId: {REQUEST})"), format!("no (requestId: {REQUEST})")));
    assert!(!same(format!("no (requestId: {}", &REQUEST[..20]), "no (requestId: 0b1f4a52-ffff".to_owned()));
}

#[test]
fn entries_of_lists_are_found_by_name_and_those_of_strangers_left_out() {
    let mut identities = Identities::default();
    let present = present();
    let live_id = identities.text(&device());
    let list = |entries: Value| {
        Seen::Frame(json!({"type": "res", "id": "2", "ok": true, "payload": {"paired": entries}}))
    };
    let stranger = json!({"deviceId": "cd".repeat(32), "role": "operator"});
    let recorded = list(json!([stranger, {"deviceId": device(), "role": "operator"}]));
    let compare = |identities: &mut Identities, live: Seen| {
        let result =
            Comparison::new(identities, &present).of_method("device.pair.list").seen(&recorded, &live);
        let fields: Vec<String> = result
            .compared
            .into_iter()
            .filter(|field| field.difference.is_some())
            .map(|field| field.field)
            .collect();
        (fields, result.foreign)
    };
    assert_eq!(
        compare(&mut identities, list(json!([{"deviceId": live_id, "role": "operator"}]))),
        (vec![], 1)
    );
    let (fields, _) = compare(&mut identities, list(json!([{"deviceId": live_id, "role": "node"}])));
    assert_eq!(fields, ["payload.paired[].role"]);
    let (fields, _) = compare(&mut identities, list(json!([])));
    assert_eq!(fields, ["payload.paired[deviceId]"]);
}

/// JSON without lists of objects and without keys that are volatile or names, so that every change must be seen.
fn plain() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0..1000_u32).prop_map(Value::from),
        "[a-z ]{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop::collection::btree_map("k[a-z]{1,3}", inner, 1..4).prop_map(|map| json!(map))
    })
}

fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

proptest! {
    #[test]
    fn a_recording_agrees_with_itself_and_no_single_change_goes_unseen(details in plain(), which in any::<prop::sample::Index>(), removed in any::<bool>()) {
        let frame = json!({"type": "res", "id": "1", "ok": false, "error": {"code": "c", "details": {"d": details}}});
        prop_assert_eq!(differences(&Seen::Frame(frame.clone()), &Seen::Frame(frame.clone())), Vec::<String>::new());
        let mut found = Vec::new();
        leaves(&frame["error"], "/error", &mut found);
        let place = which.get(&found);
        let mut changed = frame.clone();
        if removed {
            let (parent, key) = place.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        } else {
            *changed.pointer_mut(place).unwrap() = json!("another value");
        }
        prop_assert_eq!(differences(&Seen::Frame(frame), &Seen::Frame(changed)).len(), 1);
    }
}
