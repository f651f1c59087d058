//! Methods after hello.

use protocol::frame::Response;
use protocol::pairing::{DeviceIdParams, RenameParams, RequestIdParams, RevokeParams, RotateParams, method};
use protocol::{ErrorCode, ErrorShape, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::Gateway;
use super::sessions::Audience;
use crate::clock::wall_ms;
use crate::defect::Defect;
use crate::policy::schema::{self, Params};
use crate::policy::{self, authority};
use crate::profile::HelloShape;
use crate::store::StoreError;

/// The caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) who: &'a policy::Caller,
    /// Held while a listing is made: of large stores, one at a time is enough memory for a session.
    pub(super) listing: &'a tokio::sync::Mutex<()>,
}

/// Messages above this size are parsed beside the event loop.
const LARGE_BYTES: usize = 256 * 1024;

/// Runs `work` on a text of so many bytes; of a large one beside the event loop, because tens of megabytes take seconds to
/// parse and other connections go on meanwhile. Nothing else of a request may run so: it would keep the session's other
/// requests, whose lock it may need, from going on.
fn parsing<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes > LARGE_BYTES { tokio::task::block_in_place(work) } else { work() }
}

/// What came of one message.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The response; `None` when it gets none.
    pub(super) answer: Option<String>,
    /// Device, and role if not all, whose sessions must end once the answer is on its way.
    pub(super) ended: Option<(String, Option<String>)>,
}

/// Serves one message of a session.
pub(super) async fn serve(gateway: &Gateway, caller: Caller<'_>, message: &[u8]) -> Served {
    let request = match parsing(message.len(), || Frame::decode(message)) {
        Ok(Frame::Request(request)) => request,
        Err(protocol::FrameError::NotJson(_)) => return Served::default(),
        Ok(_) | Err(protocol::FrameError::NotAFrame(_)) => {
            let text = parsing(message.len(), || {
                // JSON that cannot be held, such as a number beyond every range, has no place to name.
                let value: Value = serde_json::from_slice(message).ok()?;
                schema::validate(gateway.rules.profile, Params::RequestFrame, &value).err()
            });
            let text = text.unwrap_or_else(|| "validation error".to_owned());
            let answer = encode("invalid", Err(invalid(format!("invalid request frame: {text}"))));
            return Served { answer, ended: None };
        }
    };
    let mut ended = None;
    let result = call(gateway, caller, &request.method, request.params, &mut ended).await;
    Served { answer: encode(&request.id, result), ended }
}

/// The text of a response; `None` only if it cannot be serialised.
pub(super) fn encode(id: &str, result: Result<Box<RawValue>, Box<ErrorShape>>) -> Option<String> {
    let (ok, payload, error) = match result {
        Ok(payload) => (true, Some(payload), None),
        Err(error) => (false, None, Some(*error)),
    };
    Frame::Response(Response { id: id.into(), ok, payload: payload.as_deref(), error }).encode().ok()
}

/// Bytes that a hello of a few sessions takes: more is seldom copied into a larger buffer.
const ANSWER_BYTES: usize = 2048;

/// The text of a response that says yes, written at once; `None` only if it cannot be serialised.
pub(super) fn encode_ok(id: &str, payload: &impl Serialize) -> Option<String> {
    #[derive(Serialize)]
    struct Yes<'a, T> {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        ok: bool,
        payload: &'a T,
    }
    let mut text = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut text, &Yes { kind: "res", id, ok: true, payload }).ok()?;
    String::from_utf8(text).ok()
}

fn invalid(message: String) -> Box<ErrorShape> {
    Box::new(ErrorShape::new(ErrorCode::InvalidRequest, message))
}

async fn call(
    gateway: &Gateway,
    caller: Caller<'_>,
    name: &str,
    params: Option<&RawValue>,
    ended: &mut Option<(String, Option<String>)>,
) -> Result<Box<RawValue>, Box<ErrorShape>> {
    let profile = gateway.rules.profile;
    let who = caller.who;
    if gateway.rules.defect != Some(Defect::CallsUnchecked) {
        authority::authorize(profile, &who.role, &who.scopes, name)?;
    }
    let store = &gateway.store;
    match name {
        authority::HEALTH => reply(&health(gateway)),
        authority::STATUS => reply(&status(gateway)),
        method::LIST => {
            parse::<Value>(gateway, name, Params::Empty, params)?;
            let _one_at_a_time = caller.listing.lock().await;
            let mut list = store.list(who.clone()).await.map_err(|error| failed(gateway, &error))?;
            if profile.hello == HelloShape::V4 {
                for device in &mut list.paired {
                    let connected = gateway.sessions.has_device(&device.device_id);
                    device.more.insert("connected".to_owned(), connected.into());
                }
            }
            reply(&list)
        }
        method::APPROVE => {
            let params: RequestIdParams = parse(gateway, name, Params::RequestId, params)?;
            answer(gateway, store.approve(who.clone(), params.request_id).await)
        }
        method::REJECT => {
            let params: RequestIdParams = parse(gateway, name, Params::RequestId, params)?;
            answer(gateway, store.reject(who.clone(), params.request_id).await)
        }
        method::REMOVE => {
            let params: DeviceIdParams = parse(gateway, name, Params::DeviceId, params)?;
            let device = params.device_id;
            let result = answer(gateway, store.remove(who.clone(), device.clone()).await)?;
            *ended = Some((device, None));
            Ok(result)
        }
        authority::RENAME => {
            let params: RenameParams = parse(gateway, name, Params::Rename, params)?;
            let result = answer(gateway, store.rename(who.clone(), params).await)?;
            gateway.sessions.broadcast("device.pair.changed", &json!({}), Audience::Pairing);
            Ok(result)
        }
        method::ROTATE => {
            let params: RotateParams = parse(gateway, name, Params::Rotate, params)?;
            let (device, role) = (params.device_id.clone(), params.role.trim().to_owned());
            let result = answer(gateway, store.rotate(who.clone(), params).await)?;
            *ended = Some((device, Some(role)));
            Ok(result)
        }
        method::REVOKE => {
            let params: RevokeParams = parse(gateway, name, Params::Revoke, params)?;
            let (device, role) = (params.device_id.clone(), params.role.trim().to_owned());
            let result = answer(gateway, store.revoke(who.clone(), params).await)?;
            *ended = Some((device, Some(role)));
            Ok(result)
        }
        unknown => Err(invalid(format!("unknown method: {unknown}"))),
    }
}

fn parse<T: DeserializeOwned>(
    gateway: &Gateway,
    name: &str,
    shape: Params,
    params: Option<&RawValue>,
) -> Result<T, Box<ErrorShape>> {
    // Absent parameters, and null, are an empty object to OpenClaw's handlers.
    let text = params.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}");
    let wrong = |text: String| invalid(format!("invalid {name} params: {text}"));
    parsing(text.len(), || {
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        schema::validate(gateway.rules.profile, shape, &value).map_err(wrong)?;
        serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
    })
}

fn reply(payload: &impl Serialize) -> Result<Box<RawValue>, Box<ErrorShape>> {
    to_raw_value(payload)
        .map_err(|error| Box::new(ErrorShape::new(ErrorCode::Unavailable, error.to_string())))
}

fn answer<T: Serialize>(
    gateway: &Gateway,
    result: Result<Result<T, Box<ErrorShape>>, StoreError>,
) -> Result<Box<RawValue>, Box<ErrorShape>> {
    reply(&result.map_err(|error| failed(gateway, &error))??)
}

fn failed(gateway: &Gateway, error: &StoreError) -> Box<ErrorShape> {
    gateway.log.line(format_args!("[gateway] device store: {error}"));
    let mut shape = ErrorShape::new(ErrorCode::Unavailable, "device store unavailable");
    shape.retryable = Some(true);
    Box::new(shape)
}

/// Result of `health`, and payload of the event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    agents: [(); 0],
    channel_labels: Empty,
    channel_order: [(); 0],
    channels: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_agent_id: Option<&'static str>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat_seconds: Option<u64>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<RecentSessions>,
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_ms: Option<u64>,
}

/// `{}`.
#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct RecentSessions {
    count: u64,
    recent: [(); 0],
}

/// How the gateway is.
pub(super) fn health(gateway: &Gateway) -> Health {
    let is_release = gateway.rules.profile.hello != HelloShape::Bare;
    Health {
        agents: [],
        channel_labels: Empty {},
        channel_order: [],
        channels: Empty {},
        default_agent_id: is_release.then_some("main"),
        duration_ms: 0,
        heartbeat_seconds: is_release.then_some(1800),
        ok: true,
        sessions: is_release.then_some(RecentSessions { count: 0, recent: [] }),
        ts: wall_ms(),
        uptime_ms: (!is_release).then(|| gateway.uptime_ms()),
    }
}

fn status(gateway: &Gateway) -> Value {
    let snapshot = gateway.store.snapshot();
    json!({
        "profile": gateway.rules.profile.name.as_str(),
        "uptimeMs": gateway.uptime_ms(),
        "connections": gateway.sessions.len(),
        "devices": {"paired": snapshot.devices(), "pending": snapshot.pending()},
    })
}
