//! One connection, from the upgrade to a session or a refusal.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::close::code;
use protocol::close::reason::SERVICE_RESTART;
use protocol::connect::{CHALLENGE_EVENT, Challenge, METHOD};
use protocol::frame::{Event, Request};
use protocol::hello::HelloAuth;
use protocol::{Close, Frame, PairingReason};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::http::{Caller, Upgraded};
use super::log::clean;
use super::session::{self, Identity};
use super::sessions::{Audience, Entry, Who, unnumbered};
use super::socket::{Incoming, Socket};
use super::{Gateway, hello, rpc, scaled, startup, stopping};
use crate::clock::{Stopwatch, wall_ms};
use crate::defect::Defect;
use crate::policy::credential::Method;
use crate::policy::locality::is_local_host;
use crate::policy::rate_limit::Note;
use crate::policy::{self, DeviceAttempt, DeviceEntry, Locality, Refusal, Screened, screen};
use crate::profile::{Announces, Pipelining, Profile, StopRule};
use crate::store::StoreError;

/// A release takes several milliseconds for a connect that it looks up a device for (4 to 60 were seen), and what a client
/// pipelines behind it comes in that time. Ours is done sooner, so that it waits this long before it says hello.
const CONNECT_TAKES: Duration = Duration::from_millis(3);
/// Connects of one socket that are in progress at once.
const CONNECTS_MAX: usize = 16;

/// How a handshake went wrong.
enum Failure {
    /// It was refused; `id` is the request to answer, if any. `late` = only once the device was looked up.
    Refused { id: Option<String>, refusal: Box<Refusal>, late: bool },
    /// The client closed.
    ClosedByClient(u16),
    /// The client went away.
    Ended,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { id: None, refusal: Box::new(refusal), late: false }
    }
}

/// What an accepted `connect` gets.
struct Grant {
    id: String,
    identity: Identity,
    who: Who,
    auth: Option<HelloAuth>,
    /// For the log: client id and mode, device, how it authenticated.
    summary: String,
}

/// How a handshake went well.
struct Granted {
    /// The connects that were accepted: one, but where they are handled side by side.
    grants: Vec<Grant>,
    /// What came behind.
    queued: VecDeque<Bytes>,
}

/// Everything the log says about a connection.
struct Facts<'a> {
    conn_id: &'a str,
    http: &'a policy::HttpFacts,
    locality: Locality,
    watch: Stopwatch,
}

/// Runs a connection to its end.
pub(super) async fn run(gateway: &Arc<Gateway>, upgraded: Upgraded) {
    let in_progress = gateway.metrics.begin();
    let watch = Stopwatch::start();
    let conn_id = uuid::Uuid::new_v4().to_string();
    let nonce = uuid::Uuid::new_v4().to_string();
    let Upgraded { stream, answer, leftover, caller } = upgraded;
    let Caller { facts: http, locality, place } = caller;
    let profile = gateway.rules.profile;
    warn(gateway, &http, locality);
    let facts = Facts { conn_id: &conn_id, http: &http, locality, watch };
    let message_bytes_max = profile.preauth_bytes_max.unwrap_or(profile.max_payload);
    let mut socket = Socket::new(stream, answer, &leftover, message_bytes_max);
    send_challenge(profile, &mut socket, &nonce);

    let deadline = watch.deadline(gateway.durations.handshake);
    let decided = tokio::select! {
        biased;
        () = stopped(gateway) => {
            // A stop drops what is not a session yet, or says why.
            if matches!(profile.stop, StopRule::ClosesHandshakes { .. }) {
                let close = Close::cut(code::SERVICE_RESTART, SERVICE_RESTART);
                socket.close(&close, gateway.durations.linger).await;
            } else {
                // Who was granted the upgrade hears of it: the answer waits in the socket for the challenge.
                let _ = tokio::time::timeout(gateway.durations.linger, socket.flush()).await;
            }
            return;
        }
        decided = tokio::time::timeout_at(deadline, decide(gateway, &mut socket, &facts, &nonce)) => decided,
    };
    // Refused or not, it is no longer one of those that have not said who they are.
    drop(place);
    let failure = match decided {
        Ok(Ok(granted)) => return welcome(gateway, socket, granted, &facts, in_progress).await,
        Ok(Err(failure)) => failure,
        Err(_) => Refusal::timeout().into(),
    };
    match failure {
        Failure::Refused { id, refusal, .. } => {
            let refusal = refusal.spoiled(gateway.rules.defect);
            gateway.metrics.handshake("refused", refusal.cause);
            log_refusal(gateway, &facts, &refusal);
            if let (Some(id), Some(error)) = (id, refusal.error)
                && let Some(text) = rpc::encode(&id, Err(error))
            {
                socket.send(text);
            }
            socket.close(&refusal.close, gateway.durations.linger).await;
            if gateway.rules.defect == Some(Defect::KeepRefused) {
                stopped(gateway).await;
            }
        }
        Failure::ClosedByClient(code) => {
            gateway.metrics.handshake("left", "closed-by-client");
            log_end(gateway, &facts, code, "", "closed-by-client", "");
            socket.finish(gateway.durations.linger).await;
        }
        Failure::Ended => {
            gateway.metrics.handshake("left", "connection-lost");
            log_end(gateway, &facts, code::ABNORMAL, "", "connection-lost", "");
        }
    }
}

/// Ends when a stop ends handshakes. Where the port stays open for a while, those that drop them leave that to the end of
/// the process: until then they time out as ever.
async fn stopped(gateway: &Gateway) {
    gateway.draining().await;
    match gateway.rules.profile.stop {
        StopRule::ClosesHandshakes { after_ms } => {
            tokio::time::sleep(scaled(after_ms, gateway.durations.scale)).await;
        }
        StopRule::DropsHandshakes if gateway.durations.stop.is_zero() => {}
        StopRule::DropsHandshakes => std::future::pending().await,
    }
}

/// What an operator who wonders why a client is remote looks for in the log.
fn warn(gateway: &Gateway, http: &policy::HttpFacts, locality: Locality) {
    if locality.untrusted_forwarder {
        gateway.log.line(format_args!(
            "[ws] Proxy headers detected from untrusted address. Connection will not be treated as local. \
             Configure gateway.trustedProxies to restore local client detection behind your proxy.",
        ));
    } else if http.peer.is_loopback() && !http.host.as_deref().is_some_and(is_local_host) {
        gateway.log.line(format_args!(
            "[ws] Loopback connection with non-local Host header. Treating it as remote. If you're behind a \
             reverse proxy, set gateway.trustedProxies and forward X-Forwarded-For/X-Real-IP.",
        ));
    }
}

fn send_challenge(profile: &Profile, socket: &mut Socket, nonce: &str) {
    let capabilities = profile.challenge_capabilities;
    let challenge = Challenge {
        nonce: nonce.to_owned(),
        ts: wall_ms(),
        capabilities: (!capabilities.is_empty())
            .then(|| capabilities.iter().map(|name| (*name).to_owned()).collect()),
    };
    let Ok(payload) = to_raw_value(&challenge) else { return };
    let event = Frame::Event(Event {
        event: CHALLENGE_EVENT.into(),
        payload: Some(&payload),
        seq: None,
        state_version: None,
        recipient_profile_id: None,
    });
    if let Ok(text) = event.encode() {
        socket.send(text);
    }
}

/// The next message of a client, or how it went away.
fn message(incoming: Incoming) -> Result<Option<Bytes>, Failure> {
    match incoming {
        Incoming::Message(message) => Ok(Some(message)),
        // A challenge is too short to make a backlog.
        Incoming::CaughtUp => Ok(None),
        Incoming::Close(frame) => Err(Failure::ClosedByClient(frame.map_or(1005, |(code, _)| code))),
        Incoming::Ended => Err(Failure::Ended),
        Incoming::TooBig => Err(Refusal::too_big().into()),
        Incoming::Broken(code) => Err(Refusal::silent(code, "", "not-websocket").into()),
    }
}

/// Reads the first message and judges it, and what comes behind as the profile has it.
async fn decide(
    gateway: &Gateway,
    socket: &mut Socket,
    facts: &Facts<'_>,
    nonce: &str,
) -> Result<Granted, Failure> {
    let first = loop {
        if let Some(message) = message(socket.next().await)? {
            break message;
        }
    };
    let judged = |message| judge_message(gateway, facts, nonce, message);
    match gateway.rules.profile.pipelining {
        Pipelining::AfterHello => Ok(Granted { grants: vec![judged(first).await?], queued: VecDeque::new() }),
        Pipelining::Queued { max } => queued(socket, judged(first), max).await,
        Pipelining::Concurrent => concurrent(socket, judged, first).await,
    }
}

/// Judges one connect, and lets at most `max` messages wait behind it.
async fn queued(
    socket: &mut Socket,
    judging: impl Future<Output = Result<Grant, Failure>>,
    max: usize,
) -> Result<Granted, Failure> {
    tokio::pin!(judging);
    let hello_at = Stopwatch::start().deadline(CONNECT_TAKES);
    let mut queued = VecDeque::new();
    let mut grant = None;
    loop {
        tokio::select! {
            biased;
            judged = &mut judging, if grant.is_none() => grant = Some(judged?),
            incoming = socket.next() => if let Some(message) = message(incoming)? {
                if queued.len() >= max {
                    return Err(overflow().into());
                }
                queued.push_back(message);
            },
            () = tokio::time::sleep_until(hello_at), if grant.is_some() => {
                return Ok(Granted { grants: grant.into_iter().collect(), queued });
            }
        }
    }
}

fn overflow() -> Refusal {
    Refusal::silent(code::POLICY, "too many pending handshake frames", "handshake-message-overflow")
}

/// Judges each message as if it were the first. The first that is refused for what it says ends all of them: the others
/// get no answer, though they may have changed the store.
async fn concurrent<J: Future<Output = Result<Grant, Failure>>>(
    socket: &mut Socket,
    judged: impl Fn(Bytes) -> J,
    first: Bytes,
) -> Result<Granted, Failure> {
    let hello_at = Stopwatch::start().deadline(CONNECT_TAKES);
    let mut judging = FuturesUnordered::new();
    judging.push(judged(first));
    let mut grants = Vec::new();
    let mut refused = None;
    loop {
        tokio::select! {
            biased;
            Some(judged) = judging.next() => match judged {
                Ok(grant) => grants.push(grant),
                // The connection ends with the first answer of this kind, but other messages are still looked at.
                Err(failure @ Failure::Refused { late: true, .. }) => refused = refused.or(Some(failure)),
                Err(failure) => return Err(failure),
            },
            incoming = socket.next(), if judging.len() + grants.len() < CONNECTS_MAX => {
                if let Some(message) = message(incoming)? {
                    judging.push(judged(message));
                }
            }
            () = tokio::time::sleep_until(hello_at), if judging.is_empty() => {
                return match refused {
                    Some(failure) => Err(failure),
                    None => Ok(Granted { grants, queued: VecDeque::new() }),
                };
            }
        }
    }
}

async fn judge_message(
    gateway: &Gateway,
    facts: &Facts<'_>,
    nonce: &str,
    message: Bytes,
) -> Result<Grant, Failure> {
    let request = match Frame::decode(&message) {
        Ok(Frame::Request(request)) => request,
        Ok(_) | Err(protocol::FrameError::NotAFrame(_)) => return Err(Refusal::not_a_request().into()),
        Err(protocol::FrameError::NotJson(_)) => return Err(Refusal::not_json().into()),
    };
    let id = request.id.clone().into_owned();
    judge(gateway, facts, nonce, &request).await.map_err(|(refusal, late)| Failure::Refused {
        id: Some(id),
        refusal: Box::new(refusal),
        late,
    })
}

/// A refusal, and whether it came only once the device was looked up.
type Judged<T> = Result<T, (Refusal, bool)>;

async fn judge(gateway: &Gateway, facts: &Facts<'_>, nonce: &str, request: &Request<'_>) -> Judged<Grant> {
    let at_once = |refusal| (refusal, false);
    if request.method != METHOD {
        return Err(at_once(Refusal::not_connect()));
    }
    let params = request.params.map_or("null", |params| params.get());
    if stopping::is_refused(gateway, params) {
        return Err(at_once(stopping::refusal()));
    }
    let starting = gateway.starting();
    if let Some(retry_after_ms) = starting
        && startup::is_refused(gateway.rules.profile, params)
    {
        return Err(at_once(startup::refusal(retry_after_ms)));
    }
    let id = request.id.clone().into_owned();
    let screened = {
        let mut limiter = gateway.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = wall_ms();
        screen(&gateway.rules, &limiter, facts.http, facts.locality, params, nonce, now_ms)
            // The next attempt sees what this one did.
            .map_err(|refusal| (limiter.apply(&refusal.notes, now_ms), refusal))
    };
    let screened = match screened {
        Ok(screened) => screened,
        Err((wait_ms, refusal)) => {
            wait(gateway, wait_ms).await;
            return Err(at_once(refusal));
        }
    };
    let attempt = match screened {
        Screened::Anonymous(_) if starting.is_some() => {
            return Err(at_once(startup::refusal(starting.unwrap_or_default())));
        }
        Screened::Anonymous(anonymous) => {
            settle(gateway, &anonymous.notes).await;
            return Ok(anonymous_grant(gateway.rules.profile, id, *anonymous));
        }
        Screened::Device(attempt) => Arc::from(attempt),
    };
    if let Some(retry_after_ms) = starting
        && !startup::is_paired_node(&gateway.store.snapshot(), &attempt)
    {
        return Err((startup::refusal(retry_after_ms), true));
    }
    let outcome = gateway.store.admit(Arc::clone(&attempt)).await.map_err(|error| {
        gateway.log.line(format_args!("[gateway] device store: {error}"));
        (Refusal::store_failed(), true)
    })?;
    settle(gateway, outcome.as_ref().map_or_else(|refusal| &refusal.notes, |accepted| &accepted.notes)).await;
    let accepted = outcome.map_err(|refusal| {
        audit(gateway, facts, &attempt, &refusal);
        (refusal, true)
    })?;
    if let Some(caps) = node_wish(gateway.rules.profile, &accepted.role, params)
        && let Err(error) = note_node(gateway, caps, &attempt).await
    {
        // It is no reason to turn the node away: the next connect tries again.
        gateway.log.line(format_args!("[gateway] device store: {error}"));
    }
    let client = &attempt.client;
    let by_token = accepted.method == Method::DeviceToken;
    Ok(Grant {
        id,
        summary: format!(
            "client={} {} device={} auth={}",
            client.id,
            client.mode,
            attempt.device_id,
            accepted.method.as_str()
        ),
        who: Who {
            role: accepted.role.clone(),
            scopes: accepted.scopes.clone(),
            device_id: Some(attempt.device_id.clone()),
            presence: presence(
                gateway.rules.profile,
                client,
                &accepted.role,
                &accepted.scopes,
                Some(&attempt.device_id),
            ),
        },
        identity: Identity {
            caller: policy::Caller {
                role: accepted.role,
                scopes: accepted.scopes,
                own_device: by_token.then_some(accepted.device_id),
            },
        },
        auth: accepted.auth,
    })
}

/// Takes over what an attempt did to the rate limit, and waits as long as its answer has to.
async fn settle(gateway: &Gateway, notes: &[Note]) {
    let wait_ms = gateway.limiter.lock().unwrap_or_else(PoisonError::into_inner).apply(notes, wall_ms());
    wait(gateway, wait_ms).await;
}

async fn wait(gateway: &Gateway, wait_ms: u64) {
    if wait_ms > 0 {
        tokio::time::sleep(scaled(wait_ms, gateway.durations.scale)).await;
    }
}

fn anonymous_grant(profile: &Profile, id: String, anonymous: policy::Anonymous) -> Grant {
    let policy::Anonymous { client, role, scopes, auth, method, .. } = anonymous;
    Grant {
        id,
        summary: format!("client={} {} device=n/a auth={}", client.id, client.mode, method.as_str()),
        who: Who {
            presence: presence(profile, &client, &role, &scopes, None),
            role: role.clone(),
            scopes: scopes.clone(),
            device_id: None,
        },
        identity: Identity { caller: policy::Caller { role, scopes, own_device: None } },
        auth,
    }
}

/// A session's entry in presence events, where there are such.
fn presence(
    profile: &Profile,
    client: &protocol::connect::ClientInfo,
    role: &str,
    scopes: &[String],
    device_id: Option<&str>,
) -> Option<Arc<RawValue>> {
    if profile.announces != Announces::PresenceAndNodes {
        return None;
    }
    let now_ms = wall_ms();
    let entry = Entry {
        client_id: client.id,
        device_id,
        host: client.id,
        mode: client.mode,
        online_since: now_ms,
        platform: &client.platform,
        reason: "connect",
        roles: [role],
        scopes,
        text: &format!("Node: unknown · mode {}", client.mode),
        ts: now_ms,
        version: &client.version,
    };
    to_raw_value(&entry).ok().map(Arc::from)
}

/// What a node says that it can do: operators of 2026.9.6 are asked to approve it. Which commands its platform may offer is a
/// table of OpenClaw's that is not told here: none.
fn node_wish(profile: &Profile, role: &str, params: &str) -> Option<Value> {
    let asks = profile.announces == Announces::PresenceAndNodes && role == protocol::scope::ROLE_NODE;
    let caps = |params: Value| params.get("caps").cloned();
    asks.then(|| serde_json::from_str(params).ok().and_then(caps).unwrap_or_else(|| json!([])))
}

/// Keeps what a node can do with its device, and tells the operators, unless that is done.
async fn note_node(gateway: &Gateway, caps: Value, attempt: &DeviceAttempt) -> Result<(), StoreError> {
    let device_id = &attempt.device_id;
    let snapshot = gateway.store.snapshot();
    let is_noted = |entry: &DeviceEntry| entry.has_node_surface();
    if snapshot.get(device_id).is_some_and(|record| record.view().entry.is_some_and(is_noted)) {
        return Ok(());
    }
    let client = &attempt.client;
    let mut surface = json!({
        "requestId": uuid::Uuid::new_v4().to_string(),
        "platform": client.platform,
        "version": client.version,
        "caps": caps,
        "commands": [],
        "ts": wall_ms(),
    });
    let mut set = |key: &str, value: Value| {
        if let Some(surface) = surface.as_object_mut() {
            surface.insert(key.to_owned(), value);
        }
    };
    if let Some(name) = &client.display_name {
        set("displayName", json!(name));
    }
    if let Some(family) = &client.device_family {
        set("deviceFamily", json!(family));
    }
    match attempt.kept_ip {
        Some(address) => set("remoteIp", json!(address.to_string())),
        None => set("silent", json!(true)),
    }
    let mut kept = surface.clone();
    if let Some(kept) = kept.as_object_mut() {
        kept.insert("revision".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    }
    if gateway.store.note_node(device_id.clone(), kept).await? {
        if let Some(request) = surface.as_object_mut() {
            request.insert("nodeId".to_owned(), json!(device_id));
            request.insert("clientId".to_owned(), json!(client.id));
            request.insert("clientMode".to_owned(), json!(client.mode));
            request.insert("requiredApproveScopes".to_owned(), json!([protocol::scope::PAIRING]));
        }
        gateway.sessions.broadcast("node.pair.requested", &surface, Audience::Pairing);
    }
    Ok(())
}

/// The security log's line about a device that wants more than it has, or says something else of itself.
fn audit(gateway: &Gateway, facts: &Facts<'_>, attempt: &DeviceAttempt, refusal: &Refusal) {
    let Some(reason) = refusal.pairing.filter(|reason| *reason != PairingReason::NotPaired) else { return };
    let snapshot = gateway.store.snapshot();
    let entry = snapshot.get(&attempt.device_id).and_then(|record| record.view().entry.cloned());
    let address = facts.locality.client_ip.filter(|ip| !ip.is_loopback());
    let device = format!(
        "reason={reason} device={} ip={} auth={}",
        attempt.device_id,
        address.map_or_else(|| "unknown-ip".to_owned(), |ip| ip.to_string()),
        // A device token never gets this far with a wish that needs approval, unless it is of another role.
        if attempt.auth.device_token.is_some() { "device-token" } else { gateway.rules.auth.mode() },
    );
    let client = format!("client={} conn={}", attempt.client.id, facts.conn_id);
    if reason == PairingReason::MetadataUpgrade {
        let text =
            |value: Option<&String>| value.map_or_else(|| "<none>".to_owned(), |value| clean(Some(value)));
        let pinned = entry.as_ref();
        gateway.log.line(format_args!(
            "[gateway] security audit: device metadata upgrade requested {device} claimedPlatform={} \
             pinnedPlatform={} claimedDeviceFamily={} pinnedDeviceFamily={} {client}",
            clean(Some(&attempt.client.platform)),
            text(pinned.and_then(|entry| entry.platform.as_ref())),
            text(attempt.client.device_family.as_ref()),
            text(pinned.and_then(|entry| entry.device_family.as_ref())),
        ));
        return;
    }
    let list = |names: &[String]| {
        let names: std::collections::BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if names.is_empty() {
            "<none>".to_owned()
        } else {
            clean(Some(&names.into_iter().collect::<Vec<_>>().join(",")))
        }
    };
    gateway.log.line(format_args!(
        "[gateway] security audit: device access upgrade requested {device} roleFrom={} roleTo={} scopesFrom={} \
         scopesTo={} {client}",
        list(&entry.as_ref().map(|entry| entry.roles()).unwrap_or_default()),
        attempt.role,
        list(entry.as_ref().map(|entry| entry.scopes()).unwrap_or_default()),
        list(&attempt.scopes),
    ));
}

async fn welcome(
    gateway: &Arc<Gateway>,
    mut socket: Socket,
    granted: Granted,
    facts: &Facts<'_>,
    in_progress: super::metrics::InProgress,
) {
    let Granted { mut grants, queued } = granted;
    // Whose session it is: the latest connect's, where several were accepted.
    let Some(last) = grants.pop() else { return };
    socket.set_message_bytes_max(gateway.rules.profile.max_payload);
    // In the list before hello goes out: no event between the two is missed.
    let (open, inlet) = gateway.sessions.open(last.who);
    let mut summary = last.summary;
    let guest = hello::Guest {
        conn_id: facts.conn_id,
        role: &last.identity.caller.role,
        scopes: &last.identity.caller.scopes,
        host: facts.http.host.as_deref(),
        forwarded_proto: facts.http.header("x-forwarded-proto"),
    };
    for (id, auth) in grants.into_iter().map(|grant| (grant.id, grant.auth)).chain([(last.id, last.auth)]) {
        if let Some(text) = rpc::encode_ok(&id, &hello::hello(gateway, guest, auth)) {
            socket.send(text);
        }
        gateway.metrics.handshake("accepted", "accepted");
    }
    if last.identity.caller.role == protocol::scope::ROLE_NODE {
        greet_node(gateway.rules.profile.announces, &mut socket);
    }
    gateway.announcer.connected();
    summary.push(' ');
    gateway.log.line(format_args!(
        "[ws] connected conn={} remote={} role={} {summary}durationMs={}",
        facts.conn_id,
        facts.http.peer,
        last.identity.caller.role,
        facts.watch.elapsed_ms(),
    ));
    drop(in_progress);
    let start = session::Start { socket, inlet, queued };
    let code = session::run(gateway, start, &last.identity).await;
    drop(open);
    gateway.log.line(format_args!(
        "[ws] disconnected conn={} code={code} durationMs={}",
        facts.conn_id,
        facts.watch.elapsed_ms(),
    ));
}

/// The words that wake a node, and where they lead.
fn greet_node(announces: Announces, socket: &mut Socket) {
    let mut say = |name: &str, payload: Value| {
        if let Some(text) = unnumbered(name, &payload) {
            socket.send(text);
        }
    };
    if announces == Announces::Nothing {
        return;
    }
    say("voicewake.changed", json!({"triggers": ["openclaw", "claude", "computer"]}));
    if announces == Announces::PresenceAndNodes {
        let config =
            json!({"version": 1, "defaultTarget": {"mode": "current"}, "routes": [], "updatedAtMs": 0});
        say("voicewake.routing.changed", json!({"config": config}));
    }
}

fn log_refusal(gateway: &Gateway, facts: &Facts<'_>, refusal: &Refusal) {
    let mut extra = String::new();
    if let Some(reason) = refusal.pairing {
        extra.push_str(&format!(" pairingReason={reason}"));
    }
    if let Some(request_id) = refusal.request_id() {
        extra.push_str(&format!(" requestId={request_id}"));
    }
    log_end(gateway, facts, refusal.close.code, &refusal.close.reason, refusal.cause, &extra);
}

fn log_end(gateway: &Gateway, facts: &Facts<'_>, code: u16, reason: &str, cause: &str, extra: &str) {
    let http = facts.http;
    gateway.log.line(format_args!(
        "[ws] closed before connect conn={} remote={} fwd={} origin={} host={} ua={} code={code} reason={} \
         cause={cause}{extra} durationMs={}",
        facts.conn_id,
        http.peer,
        clean(http.forwarded_for.as_deref()),
        clean(http.origin.as_deref()),
        clean(http.host.as_deref()),
        clean(http.user_agent.as_deref()),
        clean(Some(reason).filter(|reason| !reason.is_empty())),
        facts.watch.elapsed_ms(),
    ));
}
