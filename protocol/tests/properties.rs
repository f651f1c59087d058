//! Invariants that hold for any input, not only for recorded ones.

use std::borrow::Cow;
use std::sync::OnceLock;

use proptest::prelude::*;
use protocol::close::REASON_BYTES_MAX;
use protocol::error::ErrorDetails;
use protocol::frame::{Event, Request, Response, StateVersion};
use protocol::{
    Close, ErrorCode, ErrorShape, Frame, FrameError, PayloadVersion, SignaturePayload, device_id,
};
use serde_json::Value;
use serde_json::value::RawValue;

/// Recorded frames, as the starting point of mutations.
fn recorded() -> &'static [String] {
    static FRAMES: OnceLock<Vec<String>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let text = concat!(
            include_str!("../fixtures/2026.2.19.jsonl"),
            include_str!("../fixtures/2026.3.13.jsonl"),
            include_str!("../fixtures/2026.9.6.jsonl")
        );
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("frame").map(Value::to_string))
            .collect()
    })
}

/// A mutation of a byte string that keeps most of it: what a broken peer or a hostile one would send.
#[derive(Debug, Clone)]
enum Mutation {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let token = prop::sample::select(vec![
        "null",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "-1",
        "1e999",
        "18446744073709551616",
        "\\ud800",
        "\"type\":\"req\",",
        "\"ok\":null,",
        "\u{feff}",
    ])
    .prop_map(|token| token.as_bytes().to_vec());
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        (any::<prop::sample::Index>(), token).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, n)| Mutation::Repeat(at, n)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let end = |start: usize, n: usize| (start + n).min(bytes.len());
    match mutation {
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Mutation::Flip(at, byte) => {
            let at = at.index(bytes.len());
            bytes.splice(at..=at, [*byte]);
        }
        Mutation::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Remove(at, n) => {
            let at = at.index(bytes.len());
            bytes.drain(at..end(at, *n));
        }
        Mutation::Repeat(at, n) => {
            let at = at.index(bytes.len());
            bytes.extend_from_within(at..end(at, *n));
        }
    }
}

/// Decoding must not panic, must tell the two errors apart as the gateways do, and what it accepts must survive.
fn check_decoder(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Frame::decode(bytes) {
        Ok(frame) => {
            let encoded = frame.encode().map_err(|error| TestCaseError::fail(error.to_string()))?;
            let again =
                Frame::decode(encoded.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(again.encode().ok(), Some(encoded));
        }
        Err(FrameError::NotJson(_)) => {
            prop_assert!(serde_json::from_slice::<Value>(bytes).is_err(), "JSON was called no JSON");
        }
        Err(FrameError::NotAFrame(_)) => {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok());
        }
    }
    Ok(())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn details() -> impl Strategy<Value = ErrorDetails> {
    (prop::option::of(".{0,9}"), prop::option::of(any::<u32>()), prop::option::of(".{0,9}")).prop_map(
        |(request_id, expected_protocol, reason)| ErrorDetails {
            request_id,
            expected_protocol,
            reason,
            ..ErrorDetails::default()
        },
    )
}

fn error_shape() -> impl Strategy<Value = ErrorShape> {
    (".{0,9}", ".{0,40}", prop::option::of(details()), any::<Option<bool>>(), any::<Option<u64>>()).prop_map(
        |(code, message, details, retryable, retry_after_ms)| ErrorShape {
            code: ErrorCode::from(code.as_str()),
            message,
            details,
            retryable,
            retry_after_ms,
        },
    )
}

#[expect(clippy::expect_used, reason = "a Value always serialises")]
fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a Value always serialises")
}

proptest! {
    // Cheap, and most mutations hit text that nothing reads.
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn decoder_survives_mutated_frames(
        frame in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let mut bytes = frame.get(recorded()).clone().into_bytes();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        check_decoder(&bytes)?;
    }
}

proptest! {
    #[test]
    fn decoder_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_decoder(&bytes)?;
    }

    #[test]
    fn decoder_survives_any_text(text in "[\\[\\]{}\",:\\\\a-z0-9 .e+-]{0,200}") {
        check_decoder(text.as_bytes())?;
    }

    #[test]
    fn requests_round_trip(id in ".{1,20}", method in ".{1,20}", params in prop::option::of(json())) {
        let params = params.as_ref().map(raw);
        let sent = Request { id: Cow::from(&id), method: Cow::from(&method), params: params.as_deref() };
        let text = Frame::Request(sent).encode().unwrap();
        let Frame::Request(read) = Frame::decode(text.as_bytes()).unwrap() else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(read.id, id);
        prop_assert_eq!(read.method, method);
        prop_assert_eq!(read.params.map(RawValue::get), params.as_deref().map(RawValue::get));
    }

    #[test]
    fn responses_round_trip(
        id in ".{0,20}",
        outcome in prop_oneof![prop::option::of(json()).prop_map(Ok), error_shape().prop_map(Err)],
    ) {
        let payload = outcome.as_ref().ok().and_then(Option::as_ref).map(raw);
        let error = outcome.as_ref().err().cloned();
        let sent = Response { id: Cow::from(&id), ok: outcome.is_ok(), payload: payload.as_deref(), error };
        let text = Frame::Response(sent).encode().unwrap();
        let Frame::Response(read) = Frame::decode(text.as_bytes()).unwrap() else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(read.id, id);
        prop_assert_eq!(read.ok, outcome.is_ok());
        prop_assert_eq!(read.payload.map(RawValue::get), payload.as_deref().map(RawValue::get));
        prop_assert_eq!(read.error, outcome.err());
    }

    #[test]
    fn events_round_trip(
        name in ".{1,20}",
        payload in prop::option::of(json()),
        seq in any::<Option<u64>>(),
        versions in any::<Option<(u64, u64)>>(),
    ) {
        let payload = payload.as_ref().map(raw);
        let state_version = versions.map(|(presence, health)| StateVersion { presence, health });
        let sent = Event {
            event: Cow::from(&name),
            payload: payload.as_deref(),
            seq,
            state_version,
            recipient_profile_id: None,
        };
        let text = Frame::Event(sent).encode().unwrap();
        let Frame::Event(read) = Frame::decode(text.as_bytes()).unwrap() else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(read.event, name);
        prop_assert_eq!(read.payload.map(RawValue::get), payload.as_deref().map(RawValue::get));
        prop_assert_eq!(read.seq, seq);
        prop_assert_eq!(read.state_version, state_version);
    }

    #[test]
    fn close_reasons_are_prefixes_of_at_most_120_bytes(code in any::<u16>(), reason in ".{0,300}") {
        let close = Close::cut(code, &reason);
        prop_assert_eq!(close.code, code);
        prop_assert!(reason.starts_with(&close.reason));
        prop_assert!(close.reason.len() <= REASON_BYTES_MAX);
        // Nothing is cut that fits: the next character would have gone over.
        if let Some(next) = reason.get(close.reason.len()..).and_then(|rest| rest.chars().next()) {
            prop_assert!(close.reason.len() + next.len_utf8() > REASON_BYTES_MAX);
        }
    }

    #[test]
    fn device_ids_are_64_lower_hex_digits_and_differ(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let id = device_id(&a);
        prop_assert_eq!(id.len(), 64);
        prop_assert!(id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
        prop_assert_eq!(id == device_id(&b), a == b);
    }

    /// The text is the fields joined by `|` and nothing is escaped, so splitting finds them again when no field holds a
    /// separator of its own; v2 is v1 with the nonce, v3 is v2 with the metadata.
    #[test]
    fn signed_text_is_its_fields(
        fields in prop::collection::vec("[^|]{0,12}", 6),
        scopes in prop::collection::vec("[a-z.]{1,12}", 0..5),
        signed_at_ms in any::<u64>(),
        metadata in prop::collection::vec("[^|]{0,12}", 2),
    ) {
        let [device_id, client_id, client_mode, role, token, nonce] = &fields[..] else { unreachable!() };
        let payload = SignaturePayload {
            device_id,
            client_id,
            client_mode,
            role,
            scopes: &scopes,
            signed_at_ms,
            token,
            nonce,
            platform: &metadata[0],
            device_family: &metadata[1],
        };
        let joined = scopes.join(",");
        let signed_at = signed_at_ms.to_string();
        let expected = [device_id, client_id, client_mode, role, &joined, &signed_at, token, nonce];
        let (v1, v2, v3) = (
            payload.text(PayloadVersion::V1),
            payload.text(PayloadVersion::V2),
            payload.text(PayloadVersion::V3),
        );
        prop_assert_eq!(v2.split('|').skip(1).collect::<Vec<_>>(), expected);
        prop_assert_eq!(&v1[3..], v2[3..].strip_suffix(nonce.as_str()).unwrap().strip_suffix('|').unwrap());
        let extra = v3[3..].strip_prefix(&v2[3..]).unwrap();
        prop_assert_eq!(extra.split('|').count(), 3);
        prop_assert!(!extra.bytes().any(|c| c.is_ascii_uppercase()));
    }

    /// Who signs what was typed and who signs what is stored must come to the same bytes.
    #[test]
    fn normalizing_metadata_twice_changes_nothing(text in "\\PC{0,24}") {
        let once = protocol::device::normalized_metadata(&text);
        prop_assert_eq!(protocol::device::normalized_metadata(&once), once);
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 60_000 / open.len();
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        // Unparsed, so any depth passes; inside `error.details` it is parsed, so it does not.
        let request = format!(r#"{{"type":"req","id":"1","method":"connect","params":{nested}}}"#);
        assert!(Frame::decode(request.as_bytes()).is_ok());
        let refusal = format!(
            r#"{{"type":"res","id":"1","ok":false,"error":{{"code":"X","message":"","details":{{"a":{nested}}}}}}}"#
        );
        assert!(matches!(Frame::decode(refusal.as_bytes()), Err(FrameError::NotAFrame(_))));
    }
}
