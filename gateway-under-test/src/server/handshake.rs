//! One connection, from the upgrade to a session or a refusal.

use std::sync::Arc;

use protocol::close::code;
use protocol::connect::{CHALLENGE_EVENT, Challenge, METHOD};
use protocol::frame::{Event, Request};
use protocol::hello::HelloAuth;
use protocol::{Frame, PairingReason};
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::http::Upgraded;
use super::log::clean;
use super::session::{self, Identity};
use super::socket::{Incoming, Socket};
use super::{Gateway, hello, rpc};
use crate::clock::{Stopwatch, wall_ms};
use crate::policy::locality::is_local_host;
use crate::policy::{DeviceAttempt, Locality, Refusal, Screened, locality, screen};

/// How a handshake went wrong.
enum Failure {
    /// It was refused; `id` is the request to answer, if any.
    Refused { id: Option<String>, refusal: Box<Refusal> },
    /// The client closed.
    ClosedByClient(u16),
    /// The client went away.
    Ended,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { id: None, refusal: Box::new(refusal) }
    }
}

/// What an accepted `connect` gets.
struct Grant {
    id: String,
    identity: Identity,
    auth: Option<HelloAuth>,
    /// For the log: client id and mode, device, how it authenticated.
    summary: String,
}

/// Everything the log says about a connection.
struct Facts<'a> {
    conn_id: &'a str,
    http: &'a crate::policy::HttpFacts,
    locality: Locality,
    watch: Stopwatch,
}

/// Runs a connection to its end.
pub(super) async fn run(gateway: &Arc<Gateway>, upgraded: Upgraded) {
    let in_progress = gateway.metrics.begin();
    let watch = Stopwatch::start();
    let conn_id = uuid::Uuid::new_v4().to_string();
    let nonce = uuid::Uuid::new_v4().to_string();
    let Upgraded { stream, leftover, facts: http } = upgraded;
    let rules = &gateway.rules;
    let locality =
        locality::locate(rules.profile, &rules.trusted_proxies, rules.allow_real_ip_fallback, &http);
    if locality.untrusted_forwarder {
        gateway.log.line(
            "[ws] Proxy headers detected from untrusted address. Connection will not be treated as local. \
             Configure gateway.trustedProxies to restore local client detection behind your proxy.",
        );
    } else if http.peer.is_loopback() && !http.host.as_deref().is_some_and(is_local_host) {
        gateway.log.line(
            "[ws] Loopback connection with non-local Host header. Treating it as remote. If you're behind a \
             reverse proxy, set gateway.trustedProxies and forward X-Forwarded-For/X-Real-IP.",
        );
    }
    let facts = Facts { conn_id: &conn_id, http: &http, locality, watch };
    let mut socket =
        Socket::new(stream, &leftover, rules.profile.preauth_bytes_max.unwrap_or(rules.profile.max_payload));
    send_challenge(&mut socket, &nonce);

    let deadline = watch.deadline(gateway.durations.handshake);
    let decided = tokio::select! {
        biased;
        // A stop drops what is not a session yet, without a close frame.
        () = gateway.draining() => return,
        decided = tokio::time::timeout_at(deadline, decide(gateway, &mut socket, &facts, &nonce)) => decided,
    };
    let failure = match decided {
        Ok(Ok(grant)) => return welcome(gateway, socket, grant, &facts, in_progress).await,
        Ok(Err(failure)) => failure,
        Err(_) => Refusal::timeout().into(),
    };
    match failure {
        Failure::Refused { id, refusal } => {
            gateway.metrics.handshake("refused", refusal.cause);
            log_refusal(gateway, &facts, &refusal);
            if let (Some(id), Some(error)) = (id, refusal.error)
                && let Some(text) = rpc::encode(&id, Err(error))
            {
                socket.send(text);
            }
            socket.close(&refusal.close, gateway.durations.linger).await;
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

fn send_challenge(socket: &mut Socket, nonce: &str) {
    let challenge = Challenge { nonce: nonce.to_owned(), ts: wall_ms(), capabilities: None };
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

/// Reads the first message and judges it.
async fn decide(
    gateway: &Gateway,
    socket: &mut Socket,
    facts: &Facts<'_>,
    nonce: &str,
) -> Result<Grant, Failure> {
    let message = loop {
        match socket.next().await {
            Incoming::Message(message) => break message,
            // A challenge is too short to make a backlog.
            Incoming::CaughtUp => {}
            Incoming::Close(frame) => {
                return Err(Failure::ClosedByClient(frame.map_or(1005, |(code, _)| code)));
            }
            Incoming::Ended => return Err(Failure::Ended),
            Incoming::TooBig => return Err(Refusal::too_big().into()),
            Incoming::Broken(code) => return Err(Refusal::silent(code, "", "not-websocket").into()),
        }
    };
    let request = match Frame::decode(&message) {
        Ok(Frame::Request(request)) => request,
        Ok(_) | Err(protocol::FrameError::NotAFrame(_)) => return Err(Refusal::not_a_request().into()),
        Err(protocol::FrameError::NotJson(_)) => return Err(Refusal::not_json().into()),
    };
    let id = request.id.clone().into_owned();
    judge(gateway, facts, nonce, &request)
        .await
        .map_err(|refusal| Failure::Refused { id: Some(id), refusal: Box::new(refusal) })
}

async fn judge(
    gateway: &Gateway,
    facts: &Facts<'_>,
    nonce: &str,
    request: &Request<'_>,
) -> Result<Grant, Refusal> {
    if request.method != METHOD {
        return Err(Refusal::not_connect());
    }
    let params = match request.params {
        // JSON that cannot be held, such as a number beyond every range; serde's words repeat nothing of it.
        Some(params) => serde_json::from_str(params.get()).map_err(|error| {
            Refusal::invalid(format!("invalid connect params: {error}"), "invalid-params")
        })?,
        None => Value::Null,
    };
    let id = request.id.clone().into_owned();
    let attempt = match screen(&gateway.rules, facts.http, facts.locality, params, nonce, wall_ms())? {
        Screened::Anonymous(anonymous) => {
            let client = anonymous.client;
            return Ok(Grant {
                id,
                identity: Identity { role: protocol::scope::ROLE_OPERATOR.to_owned(), scopes: Vec::new() },
                auth: None,
                summary: format!("client={} {} device=n/a auth=shared-secret", client.id, client.mode),
            });
        }
        Screened::Device(attempt) => Arc::from(attempt),
    };
    let outcome = gateway.store.admit(Arc::clone(&attempt)).await.map_err(|error| {
        gateway.log.line(&format!("[gateway] device store: {error}"));
        Refusal::store_failed()
    })?;
    let accepted = outcome.inspect_err(|refusal| audit(gateway, facts, &attempt, refusal))?;
    Ok(Grant {
        id,
        summary: format!(
            "client={} {} device={} auth={}",
            attempt.client.id,
            attempt.client.mode,
            attempt.device_id,
            accepted.method.as_str()
        ),
        identity: Identity { role: accepted.role, scopes: accepted.scopes },
        auth: Some(accepted.auth),
    })
}

/// The security log's line about a device that wants more than it has.
fn audit(gateway: &Gateway, facts: &Facts<'_>, attempt: &DeviceAttempt, refusal: &Refusal) {
    let Some(reason @ (PairingReason::RoleUpgrade | PairingReason::ScopeUpgrade)) = refusal.pairing else {
        return;
    };
    let snapshot = gateway.store.snapshot();
    let entry = snapshot.get(&attempt.device_id).and_then(|record| record.view().entry.cloned());
    let list = |names: &[String]| {
        if names.is_empty() { "<none>".to_owned() } else { clean(Some(&names.join(","))) }
    };
    gateway.log.line(&format!(
        "[gateway] security audit: device access upgrade requested reason={reason} device={} ip={} roleFrom={} \
         roleTo={} scopesFrom={} scopesTo={} client={} conn={}",
        attempt.device_id,
        facts.locality.client_ip.map_or_else(|| "n/a".to_owned(), |ip| ip.to_string()),
        list(&entry.as_ref().map(|entry| entry.roles()).unwrap_or_default()),
        attempt.role,
        list(entry.as_ref().map(|entry| entry.scopes()).unwrap_or_default()),
        list(&attempt.scopes),
        attempt.client.id,
        facts.conn_id,
    ));
}

async fn welcome(
    gateway: &Arc<Gateway>,
    mut socket: Socket,
    grant: Grant,
    facts: &Facts<'_>,
    in_progress: super::metrics::InProgress,
) {
    socket.set_message_bytes_max(gateway.rules.profile.max_payload);
    // In the list before hello goes out: no event between the two is missed.
    let (open, inlet) = gateway.sessions.open(&grant.identity.role, &grant.identity.scopes);
    let hello = hello::hello(gateway, facts.conn_id, grant.auth);
    if let Some(text) = to_raw_value(&hello).ok().and_then(|payload| rpc::encode(&grant.id, Ok(payload))) {
        socket.send(text);
    }
    gateway.metrics.handshake("accepted", "accepted");
    gateway.log.line(&format!(
        "[ws] connected conn={} remote={} role={} {} durationMs={}",
        facts.conn_id,
        facts.http.peer,
        grant.identity.role,
        grant.summary,
        facts.watch.elapsed_ms(),
    ));
    drop(in_progress);
    let code = session::run(gateway, socket, inlet, &grant.identity).await;
    drop(open);
    gateway.log.line(&format!(
        "[ws] disconnected conn={} code={code} durationMs={}",
        facts.conn_id,
        facts.watch.elapsed_ms(),
    ));
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
    gateway.log.line(&format!(
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
