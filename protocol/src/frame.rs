//! The three frames and their decoder (reference, section 2).
//!
//! A frame is one JSON value in one WebSocket message; a binary message that holds the same JSON is accepted too
//! (section 1), so the decoder takes bytes.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::ErrorShape;

/// A decoded frame. Payloads stay unparsed slices of the message, so that a 15 KB `hello-ok` costs a scan, not a tree.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Frame<'a> {
    /// `{"type":"req","id","method","params"?}`
    Request(Request<'a>),
    /// `{"type":"res","id","ok":true,"payload"?}` or `{"type":"res","id","ok":false,"error"}`
    Response(Response<'a>),
    /// `{"type":"event","event","payload"?,"seq"?,"stateVersion"?}`
    Event(Event<'a>),
}

/// A request; the first one on a connection must be `connect`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "req")]
pub struct Request<'a> {
    /// Chosen by the client, echoed in the response; at least one character.
    pub id: Cow<'a, str>,
    /// Method name, for example `connect` or `device.pair.approve`; at least one character.
    pub method: Cow<'a, str>,
    /// Parameters, unparsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<&'a RawValue>,
}

/// A response to the request with the same `id`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "res")]
pub struct Response<'a> {
    /// The request's id; `invalid` when the request had none that could be read (section 2.3).
    pub id: Cow<'a, str>,
    /// Whether the request succeeded.
    pub ok: bool,
    /// Result, unparsed; only when `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
    /// Refusal; present if and only if not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorShape>,
}

/// Something the gateway says unasked.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "event", rename_all = "camelCase")]
pub struct Event<'a> {
    /// Event name, for example `connect.challenge` or `device.pair.requested`.
    pub event: Cow<'a, str>,
    /// Content, unparsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
    /// Running number: per connection on 2026.9.6, gateway-wide before; the challenge has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Versions of the state a session mirrors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_version: Option<StateVersion>,
    /// 2026.9.6 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_profile_id: Option<&'a RawValue>,
}

/// Versions of the presence list and the health snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateVersion {
    /// Version of the presence list.
    pub presence: u64,
    /// Version of the health snapshot.
    pub health: u64,
}

/// Why bytes are not a frame. The distinction matters: text that is not JSON closes with 1000 and an empty reason, JSON
/// that is not a frame with 1008 `invalid request frame` (section 4.1, rows 2 and 3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message is not one JSON value.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The message is JSON, but no frame.
    #[error("not a frame: {0}")]
    NotAFrame(String),
}

/// All keys of all frames; which of them may stand together is checked by hand in [`Frame::decode`], because serde's
/// tagged enums buffer the content and a buffered [`RawValue`] is an error.
///
/// No key may be `null` but those whose values stay unparsed: an absent key and `null` are different things to the
/// gateways' validator, and only the former is allowed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnyFrame<'a> {
    // A text, because serde's own for an enum takes `{"req":null}` as well.
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    ok: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present_object")]
    error: Option<ErrorShape>,
    #[serde(borrow, default, deserialize_with = "present")]
    event: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    seq: Option<u64>,
    #[serde(default, deserialize_with = "present_object")]
    state_version: Option<StateVersion>,
    #[serde(borrow, default, deserialize_with = "present")]
    recipient_profile_id: Option<&'a RawValue>,
}

/// Borrows from the message unless the text has escapes; a bare `Option<Cow<str>>` would always copy.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    fn non_empty(self) -> Option<Cow<'a, str>> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

/// A key that is there must have a value of its type: unlike serde's own rule for `Option`, `null` is not absence.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A value that must be an object: serde's own rule for a struct takes a list of its values, too.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// [`present`] and [`object`] at once.
pub(crate) fn present_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

impl<'a> Frame<'a> {
    /// Decodes one message.
    ///
    /// # Errors
    /// [`FrameError::NotJson`] when the bytes are not exactly one JSON value, [`FrameError::NotAFrame`] when they are
    /// but match no frame: unknown or missing keys, a key twice, an empty request id, keys of two kinds mixed. Never
    /// panics.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let text = std::str::from_utf8(bytes).map_err(|error| FrameError::NotJson(error.to_string()))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let any: Result<AnyFrame<'a>, _> = object(&mut json).and_then(|any| json.end().map(|()| any));
        any.map_err(|error| {
            // Not told apart by the error's category: too deep a nesting counts as a syntax error, yet is JSON.
            if is_json(text) {
                FrameError::NotAFrame(error.to_string())
            } else {
                FrameError::NotJson(error.to_string())
            }
        })?
        .into_frame()
    }

    /// The frame as JSON text, keys in the order the gateways write them.
    ///
    /// # Errors
    /// Only when the serialiser fails, which it does not for frames that [`Frame::decode`] returned.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

impl<'a> AnyFrame<'a> {
    fn into_frame(self) -> Result<Frame<'a>, FrameError> {
        let mixed = || FrameError::NotAFrame("keys of another frame kind".to_owned());
        let missing = |key: &str| FrameError::NotAFrame(format!("missing `{key}`"));
        let only_request = self.method.is_some() || self.params.is_some();
        let only_response = self.ok.is_some() || self.error.is_some();
        let only_event = self.event.is_some()
            || self.seq.is_some()
            || self.state_version.is_some()
            || self.recipient_profile_id.is_some();
        match &*self.kind.0 {
            "req" => {
                if only_response || only_event || self.payload.is_some() {
                    return Err(mixed());
                }
                let id = self.id.and_then(Text::non_empty).ok_or_else(|| missing("id"))?;
                let method = self.method.and_then(Text::non_empty).ok_or_else(|| missing("method"))?;
                Ok(Frame::Request(Request { id, method, params: self.params }))
            }
            "res" => {
                if only_request || only_event {
                    return Err(mixed());
                }
                let id = self.id.ok_or_else(|| missing("id"))?.0;
                let ok = self.ok.ok_or_else(|| missing("ok"))?;
                if ok && self.error.is_some() {
                    return Err(FrameError::NotAFrame("`error` beside `ok: true`".to_owned()));
                }
                if !ok && self.error.is_none() {
                    return Err(missing("error"));
                }
                if !ok && self.payload.is_some() {
                    return Err(FrameError::NotAFrame("`payload` beside `ok: false`".to_owned()));
                }
                Ok(Frame::Response(Response { id, ok, payload: self.payload, error: self.error }))
            }
            "event" => {
                if only_request || only_response || self.id.is_some() {
                    return Err(mixed());
                }
                let event = self.event.and_then(Text::non_empty).ok_or_else(|| missing("event"))?;
                Ok(Frame::Event(Event {
                    event,
                    payload: self.payload,
                    seq: self.seq,
                    state_version: self.state_version,
                    recipient_profile_id: self.recipient_profile_id,
                }))
            }
            _ => Err(FrameError::NotAFrame("no known `type`".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match Frame::decode(text.as_bytes()) {
            Ok(Frame::Request(_)) => "request",
            Ok(Frame::Response(_)) => "response",
            Ok(Frame::Event(_)) => "event",
            Err(FrameError::NotJson(_)) => "not json",
            Err(FrameError::NotAFrame(_)) => "not a frame",
        }
    }

    #[test]
    fn frames_are_closed_objects() {
        for (text, wanted) in [
            (r#"{"type":"req","id":"1","method":"health"}"#, "request"),
            (r#"{"method":"health","id":"1","params":null,"type":"req"}"#, "request"),
            (r#"{"type":"res","id":"1","ok":true}"#, "response"),
            (r#"{"type":"res","id":"","ok":true,"payload":null}"#, "response"),
            (r#"{"type":"res","id":"1","ok":false,"error":{"code":"X","message":""}}"#, "response"),
            (r#"{"type":"event","event":"tick","seq":1}"#, "event"),
            // No request without an id and a method.
            (r#"{"type":"req","method":"health"}"#, "not a frame"),
            (r#"{"type":"req","id":"","method":"health"}"#, "not a frame"),
            (r#"{"type":"req","id":7,"method":"health"}"#, "not a frame"),
            (r#"{"type":"req","id":null,"method":"health"}"#, "not a frame"),
            (r#"{"type":"req","id":"1","method":""}"#, "not a frame"),
            // Unknown, repeated and foreign keys.
            (r#"{"type":"req","id":"1","method":"health","extra":1}"#, "not a frame"),
            (r#"{"type":"req","id":"1","id":"2","method":"health"}"#, "not a frame"),
            (r#"{"type":"req","id":"1","method":"health","ok":true}"#, "not a frame"),
            (r#"{"type":"req","id":"1","method":"health","ok":null}"#, "not a frame"),
            (r#"{"type":"req","id":"1","method":"health","payload":{}}"#, "not a frame"),
            (r#"{"type":"event","event":"tick","id":"1"}"#, "not a frame"),
            (r#"{"type":"event","event":"tick","seq":null}"#, "not a frame"),
            (r#"{"type":"event","event":"tick","seq":-1}"#, "not a frame"),
            (r#"{"type":"event"}"#, "not a frame"),
            // A response says yes with a payload or no with an error.
            (r#"{"type":"res","id":"1"}"#, "not a frame"),
            (r#"{"type":"res","id":"1","ok":false}"#, "not a frame"),
            (r#"{"type":"res","id":"1","ok":true,"error":{"code":"X","message":""}}"#, "not a frame"),
            (
                r#"{"type":"res","id":"1","ok":false,"payload":1,"error":{"code":"X","message":""}}"#,
                "not a frame",
            ),
            // Other JSON.
            (r#"{"type":"hello"}"#, "not a frame"),
            (r#"{"type":{"req":null},"id":"1","method":"health"}"#, "not a frame"),
            ("[]", "not a frame"),
            // The values of a frame, in the order of the type.
            (r#"["req","1","health"]"#, "not a frame"),
            (r#"["req","1","health",{}]"#, "not a frame"),
            (r#"{"type":"res","id":"1","ok":false,"error":["X","",null,null,null]}"#, "not a frame"),
            (r#"{"type":"event","event":"tick","stateVersion":[1,1]}"#, "not a frame"),
            ("null", "not a frame"),
            ("7", "not a frame"),
            // No JSON.
            ("", "not json"),
            ("{nope", "not json"),
            (r#"{"type":"event","event":"tick"} x"#, "not json"),
            (r#"{"type":"event","event":"tick"}{}"#, "not json"),
        ] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        assert!(matches!(Frame::decode(b"\xff\xfe"), Err(FrameError::NotJson(_))));
    }

    #[test]
    fn names_are_borrowed_unless_they_have_escapes() {
        let plain = Frame::decode(br#"{"type":"event","event":"tick"}"#);
        assert!(matches!(plain, Ok(Frame::Event(Event { event: Cow::Borrowed("tick"), .. }))));
        let escaped = Frame::decode(br#"{"type":"event","event":"\u0074ick"}"#);
        assert!(matches!(escaped, Ok(Frame::Event(Event { event: Cow::Owned(name), .. })) if name == "tick"));
    }
}
