use super::errors::{ERRORS_MAX, ERRORS_MAX_V4};
use super::*;
use crate::profile::{ALL, ARTICLE, V2026_2_19, V2026_2_22, V2026_3_13, V2026_9_6};
use proptest::prelude::*;
use serde_json::json;

fn good() -> Value {
    json!({
        "minProtocol": 3, "maxProtocol": 3,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        "device": {"id": "i", "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n"},
        "auth": {"token": "t"},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut params = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    params.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    params
}

fn without(pointer: &str) -> Value {
    let mut params = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    params.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    params
}

fn text(value: &Value) -> String {
    validate(&ARTICLE, Params::Connect, value).err().unwrap_or_default()
}

/// Texts observed on 2026.2.21 and 2026.3.13 (cases a08 and a09).
#[test]
fn observed_texts() {
    let rows: &[(Value, &str)] = &[
        (good(), ""),
        (with("/bogus", json!(1)), "at root: unexpected property 'bogus'"),
        (with("/client/bogus", json!(1)), "at /client: unexpected property 'bogus'"),
        (with("/auth/bogus", json!("x")), "at /auth: unexpected property 'bogus'"),
        (with("/device/bogus", json!(1)), "at /device: unexpected property 'bogus'"),
        (without("/client/id"), "at /client: must have required property 'id'"),
        (without("/client/version"), "at /client: must have required property 'version'"),
        (without("/client/mode"), "at /client: must have required property 'mode'"),
        (
            with("/client/id", json!("my-client")),
            "at /client/id: must be equal to constant; at /client/id: must match a schema in anyOf",
        ),
        (
            with("/client/mode", json!("weird")),
            "at /client/mode: must be equal to constant; at /client/mode: must match a schema in anyOf",
        ),
        (with("/client/version", json!("")), "at /client/version: must NOT have fewer than 1 characters"),
        (without("/minProtocol"), "must have required property 'minProtocol'"),
        (with("/minProtocol", json!("3")), "at /minProtocol: must be integer"),
        (with("/role", json!("")), "at /role: must NOT have fewer than 1 characters"),
        (with("/role", json!("admin")), ""),
        (with("/scopes", json!([1])), "at /scopes/0: must be string"),
        (with("/scopes", json!([""])), "at /scopes/0: must NOT have fewer than 1 characters"),
        (with("/scopes", json!("operator.read")), "at /scopes: must be array"),
        (without("/device/signature"), "at /device: must have required property 'signature'"),
        (without("/device/nonce"), "at /device: must have required property 'nonce'"),
        (with("/device/signedAt", json!("1")), "at /device/signedAt: must be integer"),
        (with("/device/signedAt", json!(-1)), "at /device/signedAt: must be >= 0"),
        (with("/auth", Value::Null), "at /auth: must be object"),
        (with("/device", Value::Null), "at /device: must be object"),
        (Value::Null, "must be object"),
        (
            json!({"pad": "x"}),
            "must have required property 'minProtocol'; must have required property 'maxProtocol'; must have \
             required property 'client'; at root: unexpected property 'pad'",
        ),
        // Keys of 2026.3.13 and ids of 2026.9.6 are unknown here.
        (with("/auth/bootstrapToken", json!("x")), "at /auth: unexpected property 'bootstrapToken'"),
        (
            with("/client/id", json!("openclaw-tui")),
            "at /client/id: must be equal to constant; at /client/id: must match a schema in anyOf",
        ),
        (with("/auth/deviceToken", json!("x")), ""),
        (with("/minProtocol", json!(3.0)), ""),
        (with("/minProtocol", json!(0)), "at /minProtocol: must be >= 1"),
    ];
    for (value, expected) in rows {
        assert_eq!(text(value), *expected, "{value}");
    }
}

/// Texts of 2026.9.6's own validator (cases a08 and a09, and its bundle asked directly).
#[test]
fn texts_of_the_newest_release() {
    let rows: &[(Value, &str)] = &[
        (good(), ""),
        (with("/bogus", json!(1)), "at root: unexpected property 'bogus'"),
        (
            json!({"pad": "x", "qad": 1}),
            "must have required property 'minProtocol'; at root: unexpected property 'pad'",
        ),
        (with("/client/id", json!("x")), "at /client/id: must be equal to one of the allowed values"),
        (with("/client/mode", json!(5)), "at /client/mode: must be equal to one of the allowed values"),
        (with("/client/version", json!("")), "at /client/version: must not have fewer than 1 characters"),
        (with("/minProtocol", json!(0.5)), "at /minProtocol: must be integer; at /minProtocol: must be >= 1"),
        (
            with("/scopes", json!([1, "", 2])),
            "at /scopes/0: must be string; at /scopes/1: must not have fewer than 1 characters; at /scopes/2: \
             must be string",
        ),
        (with("/permissions", json!({"a/b~": 1})), "at /permissions/a/b~: must be boolean"),
        (
            with("/auth", json!({"token": 5, "bogus": 1})),
            "at /auth: unexpected property 'bogus'; at /auth/token: must be string",
        ),
        (with("/device", json!({})), "at /device: must have required property 'id'"),
        (
            with("/client/buildId", json!("x".repeat(97))),
            "at /client/buildId: must not have more than 96 characters",
        ),
        (with("/client/timeZone", json!("")), "at /client/timeZone: must not have fewer than 1 characters"),
        (with("/computerUse", json!(1)), ""),
        (with("/workerRuns", json!({})), "at /workerRuns: must have required property 'bundleHash'"),
        (with("/client/id", json!("openclaw-tui")), ""),
        (with("/auth/bootstrapToken", json!("x")), ""),
        (with("/auth", Value::Null), "at /auth: must be object"),
    ];
    for (value, expected) in rows {
        let said = validate(&V2026_9_6, Params::Connect, value).err().unwrap_or_default();
        assert_eq!(said, *expected, "{value}");
    }
    let many = with("/scopes", json!(vec![0; 20]));
    let said = validate(&V2026_9_6, Params::Connect, &many).unwrap_err();
    assert_eq!(said.split("; ").count(), ERRORS_MAX_V4);
    let frame = json!({"type": "event", "event": "x"});
    assert_eq!(
        validate(&V2026_9_6, Params::RequestFrame, &frame).unwrap_err(),
        "must have required property 'id'; at root: unexpected property 'event'; at /type: must be equal to \
         constant"
    );
    let label = json!({"deviceId": "a", "label": "x".repeat(65)});
    assert_eq!(
        validate(&V2026_9_6, Params::Rename, &label).unwrap_err(),
        "at /label: must not have more than 64 characters"
    );
}

#[test]
fn keys_came_with_releases() {
    let known = |profile, value: &Value| validate(profile, Params::Connect, value).is_ok();
    let nonceless = without("/device/nonce");
    assert!(known(&V2026_2_19, &nonceless));
    assert!(!known(&V2026_2_22, &nonceless));
    for (key, since) in [("deviceToken", 1), ("bootstrapToken", 2), ("approvalRuntimeToken", 3)] {
        let value = with(&format!("/auth/{key}"), json!("x"));
        for (age, profile) in [&V2026_2_19, &V2026_2_22, &V2026_3_13, &V2026_9_6].into_iter().enumerate() {
            assert_eq!(known(profile, &value), age >= since, "{key} on {}", profile.name);
        }
    }
}

#[test]
fn observed_frame_text() {
    let frame = json!({"type": "event", "event": "x"});
    assert_eq!(
        validate(&ARTICLE, Params::RequestFrame, &frame).unwrap_err(),
        "must have required property 'id'; must have required property 'method'; at root: unexpected property \
         'event'; at /type: must be equal to constant"
    );
}

#[test]
fn the_text_is_bounded() {
    let many: Vec<u32> = vec![0; 20_000];
    let text = text(&with("/scopes", json!(many)));
    assert_eq!(text.split("; ").count(), ERRORS_MAX);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(
                prop_oneof![Just("client".to_owned()), Just("auth".to_owned()), "[a-z]{1,6}"],
                inner,
                0..4
            )
            .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn what_passes_is_what_the_type_takes(value in any_json()) {
        for profile in ALL {
            for params in [Params::Connect, Params::Rotate, Params::RequestFrame] {
                let _ = validate(profile, params, &value);
            }
            if validate(profile, Params::Connect, &value).is_ok() {
                prop_assert!(super::super::params::decode(value.clone()).is_ok());
            }
        }
    }
}
