//! What an ordinary HTTP answer shows of who listens: a gateway, a proxy before it, or something else.

use crate::websocket::{HEAD_MAX, HEADERS_MAX};

/// Bytes of a body that are looked at.
pub const BODY_MAX: usize = 4 << 10;
/// Longest text of a header that is kept, characters.
const TEXT_MAX: usize = 80;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSeen {
    /// Status.
    pub status: u16,
    /// `Server` header.
    pub server: Option<String>,
    /// Names of headers that proxies and hosts put in, with what they say.
    pub proxies: Vec<String>,
    /// Who it looks like.
    pub like: Like,
}

/// Who an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    /// A gateway that answers for its health: 2026.3.13 and later.
    Health,
    /// A gateway that serves its control UI instead: 2026.2.19 to 2026.2.22.
    ControlUi,
    /// A gateway that cannot attribute the proxy's headers.
    Attribution,
    /// An HTTP server that wants TLS on this port.
    WantsTls,
    /// Another HTTP server.
    Other,
}

/// How far an answer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Read on.
    Partial,
    /// It suffices.
    Whole(HttpSeen),
    /// It is no HTTP; what it is instead, in words.
    NotHttp(String),
}

/// Headers by which proxies and hosts give themselves away.
const PROXIES: [&str; 9] = [
    "Via",
    "CF-Ray",
    "X-Railway-Edge",
    "X-Served-By",
    "X-Cache",
    "Fly-Request-Id",
    "X-Envoy-Upstream-Service-Time",
    "X-Amz-Cf-Id",
    "Alt-Svc",
];

/// The request for `path` of `authority`.
#[must_use]
pub fn request(path: &str, authority: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: pairstorm-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// Reads an answer; `bytes` is all that has come, `ended` says that nothing follows.
#[must_use]
pub fn read(bytes: &[u8], ended: bool) -> Read {
    if bytes.first().is_some_and(|byte| matches!(byte, 0x15 | 0x16)) && bytes.get(1) == Some(&3) {
        return Read::NotHttp("a TLS alert: this port wants wss://".to_owned());
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let within = bytes.get(..HEAD_MAX).unwrap_or(bytes);
    let begin = match response.parse(within) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) if ended && bytes.is_empty() => {
            return Read::NotHttp("nothing: it closes the connection without an answer".to_owned());
        }
        Ok(httparse::Status::Partial) if ended => return Read::NotHttp("half an answer".to_owned()),
        Ok(httparse::Status::Partial) if within.len() == HEAD_MAX => {
            return Read::NotHttp("a head without an end".to_owned());
        }
        Ok(httparse::Status::Partial) => return Read::Partial,
        Err(_) => return Read::NotHttp(format!("`{}`", text(within, 40))),
    };
    let value = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| text(header.value, TEXT_MAX))
    };
    let body = bytes.get(begin..).unwrap_or_default();
    let length = value("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(BODY_MAX);
    if !ended && body.len() < length.min(BODY_MAX) {
        return Read::Partial;
    }
    let status = response.code.unwrap_or_default();
    let proxies =
        PROXIES.iter().filter_map(|name| value(name).map(|value| format!("{name}: {value}"))).collect();
    let body = body.get(..BODY_MAX).unwrap_or(body);
    Read::Whole(HttpSeen { status, server: value("Server"), proxies, like: like(status, body) })
}

fn like(status: u16, body: &[u8]) -> Like {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    let spaceless: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    if status == 403 && is_attribution(&body) {
        Like::Attribution
    } else if status == 200 && spaceless.contains(r#""ok":true"#) && spaceless.contains(r#""status":"live""#)
    {
        Like::Health
    } else if status == 200 && body.contains("<html") && body.contains("openclaw") {
        Like::ControlUi
    } else if status == 400 && body.contains("http request") && body.contains("https") {
        Like::WantsTls
    } else {
        Like::Other
    }
}

/// Whether a body is 2026.9.6's answer to headers that nobody can be held to.
#[must_use]
pub fn is_attribution(body: &str) -> bool {
    let body = body.to_ascii_lowercase();
    body.contains("proxy_attribution_required") || body.contains("proxy client attribution is required")
}

/// A peer's bytes as they may be shown: without control characters, and not many.
#[must_use]
pub fn text(bytes: &[u8], characters_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes.get(..characters_max * 4).unwrap_or(bytes));
    let shown: String = text.chars().take(characters_max).map(shown).collect();
    if text.chars().count() > characters_max { format!("{shown}…") } else { shown }
}

fn shown(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(answer: &str) -> HttpSeen {
        match read(answer.as_bytes(), true) {
            Read::Whole(seen) => seen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gateways_and_others_are_told_apart() {
        let health =
            whole("HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{\"ok\": true, \"status\":\"live\"}");
        assert_eq!((health.like, health.server), (Like::Health, None));
        let ui = whole(
            "HTTP/1.1 200 OK\r\nVia: 1.1 edge\r\n\r\n<!doctype html><HTML><title>OpenClaw Control</title>",
        );
        assert_eq!((ui.like, ui.proxies), (Like::ControlUi, vec!["Via: 1.1 edge".to_owned()]));
        let other = whole("HTTP/1.0 404 File not found\r\nServer: SimpleHTTP/0.6\r\n\r\nno");
        assert_eq!((other.like, other.server.as_deref()), (Like::Other, Some("SimpleHTTP/0.6")));
        let refused = r#"HTTP/1.1 403 x

{"error":{"type":"proxy_attribution_required"}}"#
            .replace('\n', "\r\n");
        assert_eq!(whole(&refused).like, Like::Attribution);
        let nginx =
            "HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>";
        assert_eq!(whole(nginx).like, Like::WantsTls);
    }

    #[test]
    fn what_is_no_http_is_said_in_words() {
        let not = |bytes: &[u8]| match read(bytes, true) {
            Read::NotHttp(what) => what,
            other => panic!("{other:?}"),
        };
        assert!(not(b"SSH-2.0-OpenSSH_9.6\r\n").contains("SSH-2.0"));
        assert!(not(b"\x15\x03\x01\x00\x02\x02\x46").contains("wss://"));
        assert!(not(b"").contains("closes"));
        assert!(not(b"\x1b[2J nope").contains('\u{fffd}'), "no escape sequence reaches a terminal");
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", false), Read::Partial);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_stumble_or_wait_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..600), head in any::<bool>()) {
            let mut answer = if head { b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec() } else { Vec::new() };
            answer.extend(&bytes);
            prop_assert_ne!(read(&answer, true), Read::Partial);
            answer.resize(HEAD_MAX + BODY_MAX, b'x');
            prop_assert_ne!(read(&answer, false), Read::Partial, "so much always suffices");
        }
    }
}
