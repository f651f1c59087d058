//! HTTP before the upgrade, where one read does not settle it: hyper for one connection, until it is upgraded or done. And
//! what is answered to an upgrade, however it comes.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    UPGRADE, USER_AGENT,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::Gateway;
use super::preauth::Place;
use super::upgrade::Rewound;
use crate::policy::{HttpFacts, Locality, locality};
use crate::profile::{HelloShape, HttpRule, StopRule};

/// Bytes a request head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Build of the control UI that 2026.9.6 serves, as hello names it too.
pub(super) const BUILD_ID: &str = "2026.9.6-release-eb377ac59e6c-2026-09-23T16-33-12.144Z";

/// A connection after `101 Switching Protocols`.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) stream: TcpStream,
    /// The head of the answer, if it was not sent yet.
    pub(super) answer: Vec<u8>,
    /// Bytes that came behind the request head.
    pub(super) leftover: Bytes,
    pub(super) caller: Caller,
}

/// Who asked for an upgrade that was granted.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) facts: HttpFacts,
    pub(super) locality: Locality,
    /// Its place among the sockets without hello.
    pub(super) place: Place,
}

pub(super) type Answer = Response<Full<Bytes>>;

/// Serves plain requests until one is upgraded; `None` when the connection ended before.
pub(super) async fn serve(gateway: &Arc<Gateway>, stream: Rewound, peer: IpAddr) -> Option<Box<Upgraded>> {
    let caller: Arc<Mutex<Option<Caller>>> = Arc::default();
    let service = service_fn(|request| {
        let response = answer(gateway, &request, peer, &caller);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(gateway.durations.handshake.max(Duration::from_millis(100)))
        .max_buf_size(HEAD_BYTES_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that never reads its answers would hold the connection for ever: plain requests are short, and all of a
    // connection have a handshake's time.
    let within = gateway.durations.handshake.max(Duration::from_millis(100)) * 2;
    let parts = tokio::time::timeout(within, connection.without_shutdown()).await.ok()?.ok()?;
    let caller = caller.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let stream = parts.io.into_inner().into_stream();
    Some(Box::new(Upgraded { stream, answer: Vec::new(), leftover: parts.read_buf, caller }))
}

fn answer(
    gateway: &Gateway,
    request: &Request<Incoming>,
    peer: IpAddr,
    caller: &Mutex<Option<Caller>>,
) -> Answer {
    if wants_upgrade(request.headers()) {
        return match upgrade(gateway, request, peer) {
            Ok((response, accepted)) => {
                *caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                response
            }
            Err((cause, response)) => {
                gateway.metrics.handshake("upgrade_refused", cause);
                *response
            }
        };
    }
    let rule = gateway.rules.profile.http;
    let path = request.uri().path();
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    match path {
        // The harness's own, and no client's of a real gateway.
        "/metrics" if is_read => with_type(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            gateway.metrics.text(gateway.gauges()),
        ),
        "/healthz" | "/health" | "/readyz" | "/ready" if is_read && serves_probes(rule) => {
            probe(gateway, path)
        }
        "/healthz" | "/health" | "/readyz" | "/ready" if serves_probes(rule) => {
            let mut response = not_allowed();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => match rule {
            HttpRule::HealthAndMetrics if is_read => not_found(),
            HttpRule::ControlUi | HttpRule::ControlUiNoFiles if is_read && !is_refused(rule, path) => {
                with_type(StatusCode::OK, HTML, control_ui(gateway))
            }
            HttpRule::ControlUiNoFiles if is_read => not_found(),
            HttpRule::HealthAndMetrics | HttpRule::ControlUi | HttpRule::ControlUiNoFiles => not_allowed(),
            HttpRule::ControlUiAndHealth if is_read && !is_refused(rule, path) => {
                with_type(StatusCode::OK, HTML, control_ui(gateway))
            }
            HttpRule::ControlUiAndHealth => not_found(),
        },
    }
}

/// Whether a request asks to speak WebSocket.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    let asked = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    asked.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

fn serves_probes(rule: HttpRule) -> bool {
    matches!(rule, HttpRule::HealthAndMetrics | HttpRule::ControlUiAndHealth)
}

/// Whether a path names nothing that the control UI would be shown for: a file, or a call.
fn is_refused(rule: HttpRule, path: &str) -> bool {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match rule {
        HttpRule::HealthAndMetrics | HttpRule::ControlUi => false,
        HttpRule::ControlUiNoFiles => is_file,
        HttpRule::ControlUiAndHealth => is_file || path.starts_with("/api/"),
    }
}

fn not_found() -> Answer {
    with_type(StatusCode::NOT_FOUND, TEXT, "Not Found")
}

fn not_allowed() -> Answer {
    with_type(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed")
}

fn probe(gateway: &Gateway, path: &str) -> Answer {
    let profile = gateway.rules.profile;
    let body = if path.starts_with("/health") {
        "{\"ok\":true,\"status\":\"live\"}".to_owned()
    } else {
        // Ours is not measured.
        let event_loop = match profile.hello {
            HelloShape::V4 => ",\"eventLoop\":{\"degraded\":false,\"degradedSinceMs\":null,\"reasons\":[]}",
            _ => "",
        };
        format!("{{\"ready\":true,\"failing\":[],\"uptimeMs\":{}{event_loop}}}", gateway.uptime_ms())
    };
    let mut response = with_type(StatusCode::OK, JSON, body);
    if profile.http == HttpRule::ControlUiAndHealth {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// A page that begins as the control UI's does: enough for who asks whether a gateway is there, or for its build.
fn control_ui(gateway: &Gateway) -> String {
    // The build is said where hello says it too.
    let html = if gateway.rules.profile.hello == HelloShape::V4 {
        format!(
            "<html data-openclaw-control-ui-base-path=\"\" data-openclaw-terminal-enabled=\"true\" \
             data-openclaw-control-ui-build-id=\"{BUILD_ID}\" lang=\"en\">"
        )
    } else {
        "<html lang=\"en\">".to_owned()
    };
    format!(
        "<!doctype html>\n{html}\n  <head>\n    <meta charset=\"UTF-8\" />\n    <meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1.0\" />\n    <title>OpenClaw Control</title>\n  </head>\n  \
         <body></body>\n</html>\n"
    )
}

/// What is said to forwarding headers that name no client (9.6).
const UNATTRIBUTABLE: &str = "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and make \
                              the proxy overwrite or safely rebuild forwarded client headers.";

/// Why an upgrade is refused: its name for the metrics, and the answer.
pub(super) type Refused = (&'static str, Box<Answer>);

/// Grants an upgrade, or says why not.
pub(super) fn upgrade<T>(
    gateway: &Gateway,
    request: &Request<T>,
    peer: IpAddr,
) -> Result<(Answer, Caller), Refused> {
    let rules = &gateway.rules;
    let refused = |cause, response| (cause, Box::new(last(response)));
    let facts = facts(request.headers(), peer);
    let locality =
        locality::locate(rules.profile, &rules.trusted_proxies, rules.allow_real_ip_fallback, &facts);
    if locality.unattributable {
        if !gateway.told_unattributable.swap(true, Ordering::Relaxed) {
            gateway.log.line(format_args!(
                "[gateway] gateway: observed unattributable proxy-shaped traffic from {peer}; Gateway-authenticated \
                 routes reject it, while plugin-authenticated routes ignore forwarded claims. Configure \
                 gateway.trustedProxies narrowly and make the proxy overwrite or safely rebuild forwarded client \
                 headers."
            ));
        }
        let body = json!({"error": {"message": UNATTRIBUTABLE, "type": "proxy_attribution_required"}});
        return Err(refused("unattributable", with_type(StatusCode::FORBIDDEN, JSON, body.to_string())));
    }
    if gateway.is_draining() {
        let response = match rules.profile.stop {
            StopRule::DropsHandshakes => {
                with_type(StatusCode::SERVICE_UNAVAILABLE, "text/html", "Service Unavailable")
            }
            StopRule::ClosesHandshakes { .. } => {
                with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, "Gateway websocket admission closed")
            }
        };
        return Err(refused("draining", response));
    }
    let Some(place) = gateway.preauth.take(locality.client_ip.unwrap_or(peer)) else {
        let response = with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, "Too many unauthenticated sockets");
        return Err(refused("too-many-unauthenticated", response));
    };
    let Ok(mut response) = create_response_with_body(request, Full::default) else {
        return Err(refused("malformed", with_type(StatusCode::BAD_REQUEST, TEXT, "Bad Request")));
    };
    if let Some(first) = joined(request.headers(), &HeaderName::from_static("sec-websocket-protocol"))
        .as_deref()
        .and_then(|offered| offered.split(',').next())
        .and_then(|first| HeaderValue::from_str(first.trim()).ok())
    {
        response.headers_mut().insert("sec-websocket-protocol", first);
    }
    Ok((response, Caller { facts, locality, place }))
}

fn facts(headers: &HeaderMap, peer: IpAddr) -> HttpFacts {
    let one = |name: &HeaderName| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    let some = |value: Option<String>| value.filter(|value| !value.is_empty());
    HttpFacts {
        peer,
        host: some(one(&HOST)),
        origin: some(one(&ORIGIN)),
        user_agent: some(one(&USER_AGENT)),
        forwarded_for: some(joined(headers, &HeaderName::from_static("x-forwarded-for"))),
        real_ip: some(joined(headers, &HeaderName::from_static("x-real-ip"))),
        forwarded_host: some(joined(headers, &HeaderName::from_static("x-forwarded-host"))),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
    }
}

/// All values of a header, joined by commas as a list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The same answer as the connection's last.
fn last(mut response: Answer) -> Answer {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
