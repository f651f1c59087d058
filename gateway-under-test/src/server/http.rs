//! HTTP in front of the upgrade: hyper for one connection, until it is upgraded or done.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, UPGRADE, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::Gateway;
use crate::policy::HttpFacts;

/// Bytes a request head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection after `101 Switching Protocols`.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) stream: TcpStream,
    /// Bytes that came behind the request head.
    pub(super) leftover: Bytes,
    pub(super) facts: HttpFacts,
}

/// Serves plain requests until one is upgraded; `None` when the connection ended before.
pub(super) async fn serve(gateway: &Arc<Gateway>, stream: TcpStream, peer: IpAddr) -> Option<Upgraded> {
    let facts: Arc<Mutex<Option<HttpFacts>>> = Arc::default();
    let service = service_fn(|request| {
        let response = answer(gateway, &request, peer, &facts);
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
    let facts = facts.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(Upgraded { stream: parts.io.into_inner(), leftover: parts.read_buf, facts })
}

fn answer(
    gateway: &Gateway,
    request: &Request<Incoming>,
    peer: IpAddr,
    facts: &Mutex<Option<HttpFacts>>,
) -> Response<Full<Bytes>> {
    let wants_upgrade = request
        .headers()
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if wants_upgrade {
        return upgrade(gateway, request, peer, facts);
    }
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    }
    match request.uri().path() {
        "/healthz" | "/health" => json_body(&json!({"ok": true, "status": "live"})),
        "/readyz" => json_body(&json!({"ready": true, "failing": [], "uptimeMs": gateway.uptime_ms()})),
        "/metrics" => with_type(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            gateway.metrics.text(gateway.gauges()),
        ),
        _ => text(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn upgrade(
    gateway: &Gateway,
    request: &Request<Incoming>,
    peer: IpAddr,
    facts: &Mutex<Option<HttpFacts>>,
) -> Response<Full<Bytes>> {
    if gateway.is_draining() {
        gateway.metrics.handshake("upgrade_refused", "draining");
        return text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    }
    let Ok(mut response) = create_response_with_body(request, Full::default) else {
        gateway.metrics.handshake("upgrade_refused", "malformed");
        return text(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let headers = request.headers();
    if let Some(first) = joined(headers, &HeaderName::from_static("sec-websocket-protocol"))
        .as_deref()
        .and_then(|offered| offered.split(',').next())
        .and_then(|first| HeaderValue::from_str(first.trim()).ok())
    {
        response.headers_mut().insert("sec-websocket-protocol", first);
    }
    let one = |name: &HeaderName| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    let some = |value: Option<String>| value.filter(|value| !value.is_empty());
    *facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(HttpFacts {
        peer,
        host: some(one(&HOST)),
        origin: some(one(&ORIGIN)),
        user_agent: some(one(&USER_AGENT)),
        forwarded_for: some(joined(headers, &HeaderName::from_static("x-forwarded-for"))),
        real_ip: some(joined(headers, &HeaderName::from_static("x-real-ip"))),
        forwarded_host: some(joined(headers, &HeaderName::from_static("x-forwarded-host"))),
    });
    response
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

fn json_body(value: &serde_json::Value) -> Response<Full<Bytes>> {
    with_type(StatusCode::OK, "application/json; charset=utf-8", value.to_string())
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", body.to_owned())
}

fn with_type(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
