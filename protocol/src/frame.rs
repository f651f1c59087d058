//! The three frames and their decoder (reference, section 2).
//!
//! A frame is one JSON value in one WebSocket message; a binary message that holds the same JSON is accepted too
//! (section 1), so the decoder takes bytes.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::ErrorShape;

/// A decoded frame. Payloads stay unparsed slices of the message, so that a 15 KB `hello-ok` costs a scan, not a tree.
#[derive(Debug, Clone)]
pub enum Frame<'a> {
    /// `{"type":"req","id","method","params"?}`
    Request(Request<'a>),
    /// `{"type":"res","id","ok","payload"?|"error"?}`
    Response(Response<'a>),
    /// `{"type":"event","event","payload"?,"seq"?,"stateVersion"?}`
    Event(Event<'a>),
}

/// A request; the first one on a connection must be `connect`.
#[derive(Debug, Clone, Serialize)]
pub struct Request<'a> {
    /// Chosen by the client, echoed in the response; at least one character.
    pub id: Cow<'a, str>,
    /// Method name, for example `connect` or `device.pair.approve`.
    pub method: Cow<'a, str>,
    /// Parameters, unparsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<&'a RawValue>,
}

/// A response to the request with the same `id`.
#[derive(Debug, Clone, Serialize)]
pub struct Response<'a> {
    /// The request's id; `invalid` when the request had none that could be read (section 2.3).
    pub id: Cow<'a, str>,
    /// Whether the request succeeded.
    pub ok: bool,
    /// Result, unparsed; only when `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
    /// Refusal; only when not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorShape>,
}

/// Something the gateway says unasked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[serde(rename = "req")]
    Request,
    #[serde(rename = "res")]
    Response,
    #[serde(rename = "event")]
    Event,
}

/// All keys of all frames; which of them may stand together is checked by hand in [`Frame::decode`], because serde's
/// tagged enums buffer the content and a buffered [`RawValue`] is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnyFrame<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(default)]
    ok: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorShape>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    state_version: Option<StateVersion>,
    #[serde(borrow, default, deserialize_with = "present")]
    recipient_profile_id: Option<&'a RawValue>,
}

/// Keeps an explicit `null` apart from an absent key: both occur on the wire and must survive a round trip.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Frame<'a> {
    /// Decodes one message.
    ///
    /// # Errors
    /// [`FrameError::NotJson`] when the bytes are not exactly one JSON value, [`FrameError::NotAFrame`] when they are
    /// but match no frame: unknown or missing keys, an empty request id, keys of two kinds mixed. Never panics.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let text = std::str::from_utf8(bytes).map_err(|error| FrameError::NotJson(error.to_string()))?;
        let any: AnyFrame<'a> = serde_json::from_str(text).map_err(|error| {
            if error.is_data() && is_json(text) {
                FrameError::NotAFrame(error.to_string())
            } else {
                FrameError::NotJson(error.to_string())
            }
        })?;
        any.into_frame()
    }

    /// The frame as JSON text, keys in the order the gateways write them.
    ///
    /// # Errors
    /// Only when the serialiser fails, which it does not for frames that [`Frame::decode`] returned.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        // `flatten` cannot carry a RawValue (it buffers), so the tag is spliced in front of the body's first key.
        fn splice<T: Serialize>(kind: &str, body: &T) -> Result<String, serde_json::Error> {
            let body = serde_json::to_string(body)?;
            let rest = body.strip_prefix('{').unwrap_or(&body);
            Ok(format!("{{\"type\":\"{kind}\",{rest}"))
        }
        match self {
            Self::Request(request) => splice("req", request),
            Self::Response(response) => splice("res", response),
            Self::Event(event) => splice("event", event),
        }
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
        match self.kind {
            Kind::Request => {
                if only_response || only_event || self.payload.is_some() {
                    return Err(mixed());
                }
                let id = self.id.filter(|id| !id.is_empty()).ok_or_else(|| missing("id"))?;
                let method =
                    self.method.filter(|method| !method.is_empty()).ok_or_else(|| missing("method"))?;
                Ok(Frame::Request(Request { id, method, params: self.params }))
            }
            Kind::Response => {
                if only_request || only_event {
                    return Err(mixed());
                }
                let id = self.id.ok_or_else(|| missing("id"))?;
                let ok = self.ok.ok_or_else(|| missing("ok"))?;
                Ok(Frame::Response(Response { id, ok, payload: self.payload, error: self.error }))
            }
            Kind::Event => {
                if only_request || only_response || self.id.is_some() {
                    return Err(mixed());
                }
                let event = self.event.ok_or_else(|| missing("event"))?;
                Ok(Frame::Event(Event {
                    event,
                    payload: self.payload,
                    seq: self.seq,
                    state_version: self.state_version,
                    recipient_profile_id: self.recipient_profile_id,
                }))
            }
        }
    }
}
