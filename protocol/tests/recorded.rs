//! Holds the crate to messages of real gateways (`fixtures/README.md` says what a line holds).
//!
//! Each test first asserts that it found lines of its kind: a fixture file that went missing must not pass.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::PathBuf;

use protocol::connect::PROTOCOL_V4;
use protocol::error::{DetailCode, ErrorCode, PairingReason};
use protocol::pairing::{
    ApproveResult, Decision, PairList, PendingRequest, Resolved, RevokeResult, RotateResult, event, method,
};
use protocol::{
    Challenge, Close, ConnectParams, Frame, FrameError, HelloOk, PayloadVersion, SignaturePayload, device_id,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

const RELEASES: [&str; 4] = ["2026.2.19", "2026.2.21", "2026.3.13", "2026.9.6"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Line {
    source: String,
    dir: Direction,
    frame: Option<Box<RawValue>>,
    text: Option<String>,
    signed_payload: Option<String>,
    answer: Option<String>,
    answers: Option<String>,
    close: Option<Close>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}

impl Line {
    fn message(&self) -> &str {
        self.frame.as_deref().map(RawValue::get).or(self.text.as_deref()).unwrap()
    }

    fn decode(&self) -> Frame<'_> {
        Frame::decode(self.message().as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.source, self.message()))
    }

    /// Raw parameters and parsed ones, if this is a `connect`.
    fn connect(&self) -> Option<(&str, Result<ConnectParams, serde_json::Error>)> {
        if self.dir != Direction::Out || self.frame.is_none() {
            return None;
        }
        match Frame::decode(self.message().as_bytes()) {
            Ok(Frame::Request(request)) if request.method == protocol::connect::METHOD => {
                let params = request.params?.get();
                Some((params, serde_json::from_str(params)))
            }
            _ => None,
        }
    }
}

fn lines() -> Vec<Line> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut lines = Vec::new();
    for release in RELEASES {
        let text = fs::read_to_string(folder.join(format!("{release}.jsonl"))).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line: Line = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{release}:{}: {error}", number + 1));
            assert!(line.source.starts_with(release));
            lines.push(line);
        }
    }
    lines
}

/// Reads `raw` as a `T` and compares what `T` writes with what was recorded.
fn lossless<T: DeserializeOwned + Serialize>(source: &str, raw: &RawValue) -> T {
    let typed: T =
        serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{source}: {error}: {}", raw.get()));
    let recorded: Value = serde_json::from_str(raw.get()).unwrap();
    assert_eq!(
        without_empty_lists(serde_json::to_value(&typed).unwrap()),
        without_empty_lists(recorded),
        "{source}"
    );
    typed
}

/// The gateways leave `scopes` out of a device that has none in some answers and write `[]` in others; the types read
/// both as none.
fn without_empty_lists(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()))
            .map(|(key, value)| (key, without_empty_lists(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_empty_lists).collect(),
        other => other,
    }
}

#[test]
fn every_recorded_frame_survives_decoding_and_encoding() {
    let mut of_release = [0; RELEASES.len()];
    for line in lines() {
        let Some(raw) = &line.frame else { continue };
        let encoded = line.decode().encode().unwrap();
        let (ours, recorded): (Value, Value) =
            (serde_json::from_str(&encoded).unwrap(), serde_json::from_str(raw.get()).unwrap());
        assert_eq!(ours, recorded, "{}", line.source);
        // Only `error` is parsed; everything else must also keep its text and the order of its keys.
        if recorded.get("error").is_none() {
            assert_eq!(encoded, raw.get(), "{}", line.source);
        }
        of_release[RELEASES.iter().position(|release| line.source.starts_with(release)).unwrap()] += 1;
    }
    assert!(of_release.iter().all(|&frames| frames >= 10), "{of_release:?}");
}

#[test]
fn what_the_gateways_refused_as_no_frame_is_none() {
    let (mut not_json, mut not_a_frame) = (0, 0);
    for line in lines() {
        let Some(text) = &line.text else { continue };
        let decoded = Frame::decode(text.as_bytes());
        match &line.close {
            Some(close) if close.code == protocol::close::code::NORMAL => {
                assert!(matches!(decoded, Err(FrameError::NotJson(_))), "{}: {text:?}", line.source);
                assert_eq!(close.reason, "");
                not_json += 1;
            }
            Some(close) if close.reason == protocol::close::reason::INVALID_REQUEST_FRAME => {
                assert_eq!(close.code, protocol::close::code::POLICY);
                // What a gateway reads must be a request; events and responses are frames for the other direction.
                assert!(
                    matches!(
                        decoded,
                        Err(FrameError::NotAFrame(_)) | Ok(Frame::Event(_) | Frame::Response(_))
                    ),
                    "{}: {text:?}",
                    line.source
                );
                not_a_frame += 1;
            }
            Some(close) => panic!("{}: {close:?}", line.source),
            None => {}
        }
    }
    assert!(not_json >= 4 && not_a_frame >= 12, "{not_json} {not_a_frame}");
}

#[test]
fn connect_parameters_parse_unless_the_gateway_called_them_malformed() {
    /// Refused by one release only, or for the content of a text: left to the gateway.
    const LEFT_TO_THE_GATEWAY: [&str; 5] = [
        "unexpected property 'deviceToken'",
        "unexpected property 'bootstrapToken'",
        "must have required property 'nonce'",
        "fewer than 1 characters",
        "/minProtocol: must be >= 1",
    ];
    let (mut parsed, mut malformed, mut left) = (0, 0, 0);
    for line in lines() {
        let Some((raw, params)) = line.connect() else { continue };
        let answer = line.answer.as_deref().unwrap_or_default();
        let schema_error = answer.starts_with("invalid connect params: ");
        let for_the_gateway = LEFT_TO_THE_GATEWAY.iter().any(|text| answer.contains(text));
        if schema_error && !for_the_gateway {
            assert!(params.is_err(), "{}: {answer}: {raw}", line.source);
            malformed += 1;
            continue;
        }
        left += usize::from(schema_error);
        let params = params.unwrap_or_else(|error| panic!("{}: {error}: {raw}", line.source));
        let recorded: Value = serde_json::from_str(raw).unwrap();
        assert_eq!(serde_json::to_value(&params).unwrap(), recorded, "{}", line.source);
        parsed += 1;
    }
    assert!(parsed >= 80 && malformed >= 15 && left >= 5, "{parsed} {malformed} {left}");
}

#[test]
fn signed_payloads_are_the_recorded_ones() {
    let (mut v2, mut v3, mut without_token, mut with_device_token) = (0, 0, 0, 0);
    for line in lines() {
        let Some(recorded) = &line.signed_payload else { continue };
        let Some((_, Ok(params))) = line.connect() else { continue };
        let answer = line.answer.as_deref().unwrap_or_default();
        let device = params.device.unwrap();
        // These were signed first and spoilt afterwards.
        if answer.starts_with("invalid connect params") || answer == "invalid role" || device.nonce.is_none()
        {
            continue;
        }
        let version = match &recorded[..3] {
            "v2|" => PayloadVersion::V2,
            "v3|" => PayloadVersion::V3,
            other => panic!("{}: {other}", line.source),
        };
        let token = params.auth.as_ref().map(|auth| auth.signed_token()).unwrap_or_default();
        let payload = SignaturePayload {
            device_id: &device.id,
            client_id: params.client.id.as_str(),
            client_mode: params.client.mode.as_str(),
            role: params.role.as_deref().unwrap_or(protocol::scope::ROLE_OPERATOR),
            scopes: params.scopes.as_deref().unwrap_or_default(),
            signed_at_ms: device.signed_at,
            token,
            nonce: device.nonce.as_deref().unwrap_or_default(),
            platform: &params.client.platform,
            device_family: params.client.device_family.as_deref().unwrap_or_default(),
        };
        assert_eq!(&payload.text(version), recorded, "{}", line.source);
        v2 += usize::from(version == PayloadVersion::V2);
        v3 += usize::from(version == PayloadVersion::V3);
        without_token += usize::from(token.is_empty());
        with_device_token += usize::from(params.auth.is_some_and(|auth| auth.device_token.is_some()));
    }
    assert!(
        v2 >= 20 && v3 >= 20 && without_token >= 2 && with_device_token >= 2,
        "{v2} {v3} {without_token} {with_device_token}"
    );
}

#[test]
fn device_ids_are_the_recorded_ones() {
    let mut compared = 0;
    for line in lines() {
        let Some((_, Ok(params))) = line.connect() else { continue };
        let Some(device) = params.device else { continue };
        if line.answer.as_deref() == Some("device identity mismatch") {
            continue;
        }
        let Some(key) = base64url_32(&device.public_key) else { continue };
        assert_eq!(device_id(&key), device.id, "{}", line.source);
        compared += 1;
    }
    assert!(compared >= 60, "{compared}");
}

/// 32 bytes of unpadded base64url; `None` for the other encodings that gateways accept.
fn base64url_32(text: &str) -> Option<[u8; 32]> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for c in text.bytes() {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|&a| a == c)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    bytes.try_into().ok()
}

#[test]
fn challenges_and_hellos_are_read_without_loss() {
    let (mut challenges, mut hellos, mut with_token) = (0, 0, 0);
    for line in lines() {
        match line.frame.as_ref().map(|_| line.decode()) {
            Some(Frame::Event(frame)) if frame.event == protocol::connect::CHALLENGE_EVENT => {
                let challenge: Challenge = lossless(&line.source, frame.payload.unwrap());
                assert_eq!(challenge.nonce.len(), 36);
                assert_eq!(challenge.capabilities.is_some(), line.source.starts_with("2026.9.6"));
                challenges += 1;
            }
            Some(Frame::Response(response))
                if response.ok && line.answers.as_deref() == Some(protocol::connect::METHOD) =>
            {
                let hello: HelloOk = lossless(&line.source, response.payload.unwrap());
                assert_eq!(hello.kind, protocol::hello::TYPE);
                assert_eq!(hello.protocol == PROTOCOL_V4, line.source.starts_with("2026.9.6"));
                assert_eq!(hello.policy.tick_interval_ms, 30_000);
                if let Some(token) = hello.auth.as_ref().and_then(|auth| auth.device_token.as_deref()) {
                    assert_eq!(token.len(), 43);
                    assert!(!format!("{hello:?}").contains(token), "Debug shows a device token");
                    with_token += 1;
                }
                hellos += 1;
            }
            _ => {}
        }
    }
    assert_eq!(challenges, RELEASES.len());
    assert!(hellos >= RELEASES.len() && with_token >= RELEASES.len(), "{hellos} {with_token}");
}

#[test]
fn every_recorded_error_is_known_by_name() {
    let (mut refusals, mut reasons) = (0, Vec::new());
    for line in lines() {
        let Some(Frame::Response(response)) = line.frame.as_ref().map(|_| line.decode()) else { continue };
        let Some(error) = response.error else { continue };
        assert!(!matches!(error.code, ErrorCode::Other(_)), "{}: {}", line.source, error.code);
        let details = error.details.unwrap_or_default();
        if let Some(code) = &details.code {
            assert!(!matches!(code, DetailCode::Other(_)), "{}: {code}", line.source);
        }
        if error.code == ErrorCode::NotPaired && error.message.starts_with("pairing required") {
            assert!(details.request_id.is_some(), "{}", line.source);
            // 2026.2.19 and 2026.2.21 name no reason.
            let named = details
                .reason
                .map(|reason| PairingReason::ALL.into_iter().find(|known| known.as_str() == reason).unwrap());
            assert_eq!(named.is_some(), !line.source.starts_with("2026.2."), "{}", line.source);
            reasons.extend(named);
        }
        refusals += 1;
    }
    assert!(refusals >= 100, "{refusals}");
    for reason in PairingReason::ALL {
        assert!(reasons.contains(&reason), "{reason} was never recorded");
    }
}

#[test]
fn close_reasons_are_cut_where_the_gateways_cut_them() {
    let (mut compared, mut cut) = (0, 0);
    for line in lines() {
        let (Some(close), Some(_)) = (&line.close, &line.frame) else { continue };
        let Frame::Response(response) = line.decode() else { continue };
        let error = response.error.unwrap();
        let request_id = error.details.and_then(|details| details.request_id);
        let full = match (close.code, request_id) {
            (protocol::close::code::TRY_AGAIN_LATER, _) => "gateway starting".to_owned(),
            (_, Some(id)) if line.source.starts_with("2026.9.6") => {
                format!("{} (requestId: {id})", error.message)
            }
            _ => error.message,
        };
        assert_eq!(&Close::cut(close.code, &full), close, "{}", line.source);
        compared += 1;
        cut += usize::from(full.len() > close.reason.len());
    }
    assert!(compared >= 60 && cut >= 3, "{compared} {cut}");
}

#[test]
fn pairing_payloads_are_read_without_loss() {
    let mut seen: Vec<&str> = Vec::new();
    for line in lines() {
        match line.frame.as_ref().map(|_| line.decode()) {
            Some(Frame::Event(frame)) if frame.event == event::REQUESTED => {
                let request: PendingRequest = lossless(&line.source, frame.payload.unwrap());
                assert!(!request.request_id.is_empty());
                seen.push(event::REQUESTED);
            }
            Some(Frame::Event(frame)) if frame.event == event::RESOLVED => {
                let resolved: Resolved = lossless(&line.source, frame.payload.unwrap());
                assert!(matches!(resolved.decision, Decision::Approved | Decision::Rejected));
                seen.push(event::RESOLVED);
            }
            Some(Frame::Response(response)) if response.ok => {
                let (source, Some(payload)) = (line.source.as_str(), response.payload) else { continue };
                match line.answers.as_deref() {
                    Some(method::LIST) => {
                        lossless::<PairList>(source, payload);
                        seen.push(method::LIST);
                    }
                    Some(method::APPROVE) => {
                        lossless::<ApproveResult>(source, payload);
                        seen.push(method::APPROVE);
                    }
                    // 2026.9.6 withholds the token of another device; `RotateResult` is of the older releases.
                    Some(method::ROTATE) if payload.get().contains("tokenDelivery") => {}
                    Some(method::ROTATE) => {
                        let rotated: RotateResult = lossless(source, payload);
                        if let Some(token) = &rotated.token {
                            assert!(!format!("{rotated:?}").contains(token.as_str()), "Debug shows a token");
                        }
                        seen.push(method::ROTATE);
                    }
                    Some(method::REVOKE) => {
                        lossless::<RevokeResult>(source, payload);
                        seen.push(method::REVOKE);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    for kind in
        [event::REQUESTED, event::RESOLVED, method::LIST, method::APPROVE, method::ROTATE, method::REVOKE]
    {
        assert!(seen.contains(&kind), "no {kind} among the recordings");
    }
}
