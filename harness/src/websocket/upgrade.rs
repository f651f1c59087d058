//! The upgrade (RFC 6455, section 4): the request, and what a server makes of it.

use std::mem::MaybeUninit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::client::upgrade::UpgradeHeaders;

/// Longest body of a refused upgrade that is worth showing, bytes.
pub const BODY_MAX: usize = 200;
/// Longest head of an answer, interim answers before it included, bytes.
pub const HEAD_MAX: usize = 16 << 10;
/// Most headers of an answer.
pub const HEADERS_MAX: usize = 64;
/// What a server appends to the key before it hashes it (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Headers that the request has of itself, or that would ask for what a [`Reader`](super::Reader) cannot read.
const OURS: [&str; 7] = [
    "Host",
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
];

/// `Sec-WebSocket-Key`, and the `Sec-WebSocket-Accept` that it must be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    key: [u8; 24],
    accept: [u8; 28],
}

impl Nonce {
    /// The key that says `random`, which no other connection should have.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        let mut nonce = Self { key: [0; 24], accept: [0; 28] };
        // 16 and 20 bytes have exactly as many characters as there is room for.
        let _ = STANDARD.encode_slice(random, &mut nonce.key);
        let digest = Sha1::new().chain_update(nonce.key).chain_update(GUID).finalize();
        let _ = STANDARD.encode_slice(digest, &mut nonce.accept);
        nonce
    }

    /// What the request says.
    #[must_use]
    pub fn key(&self) -> &str {
        str::from_utf8(&self.key).unwrap_or_default()
    }

    /// What the answer must say.
    #[must_use]
    pub fn accept(&self) -> &str {
        str::from_utf8(&self.accept).unwrap_or_default()
    }
}

/// Something that an upgrade request cannot say. Values and paths are not shown: either may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Not the path of a request.
    #[error("the path of the URL does not begin with `/`")]
    PathStart,
    /// Not the path of a request.
    #[error("the path of the URL holds {character:?}, which must be percent-encoded")]
    Path {
        /// First such character.
        character: char,
    },
    /// Not the name of a header.
    #[error("`{name}` is not the name of an HTTP header")]
    Name {
        /// Name.
        name: String,
    },
    /// Not the value of a header.
    #[error("the value of the header {name} holds {character:?}, which HTTP does not allow there")]
    Value {
        /// Name.
        name: String,
        /// First such character.
        character: char,
    },
    /// Comes of itself, or asks for what we do not do.
    #[error("the header {name} is the WebSocket client's own")]
    Ours {
        /// Name.
        name: String,
    },
}

/// An upgrade request, ready but for its key.
#[derive(Debug, Clone)]
pub struct UpgradeRequest {
    /// Ends where the value of the last header belongs, which is the key.
    until_key: Box<[u8]>,
}

impl UpgradeRequest {
    /// A request for `path`, which may have a query.
    ///
    /// # Errors
    /// [`InvalidHeader`] when the path, or a header's name or value, cannot be sent.
    pub fn new(path: &str, headers: &UpgradeHeaders) -> Result<Self, InvalidHeader> {
        if !path.starts_with('/') {
            return Err(InvalidHeader::PathStart);
        }
        // `#` begins a fragment, which is the client's own matter and never sent (section 3).
        if let Some(character) =
            path.chars().find(|character| !matches!(character, '!'..='~') || *character == '#')
        {
            return Err(InvalidHeader::Path { character });
        }
        let mut text = format!("GET {path} HTTP/1.1\r\n");
        push("Host", &headers.host, &mut text)?;
        for (name, value) in &headers.others {
            if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
                return Err(InvalidHeader::Ours { name: (*name).to_owned() });
            }
            push(name, value, &mut text)?;
        }
        text.push_str(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
        );
        Ok(Self { until_key: text.into_bytes().into_boxed_slice() })
    }

    /// Appends the request.
    pub fn write(&self, nonce: &Nonce, out: &mut Vec<u8>) {
        out.reserve(self.until_key.len() + nonce.key.len() + 4);
        out.extend_from_slice(&self.until_key);
        out.extend_from_slice(&nonce.key);
        out.extend_from_slice(b"\r\n\r\n");
    }
}

fn push(name: &str, value: &str, text: &mut String) -> Result<(), InvalidHeader> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(InvalidHeader::Name { name: name.to_owned() });
    }
    if let Some(character) = value.chars().find(|character| !matches!(character, ' '..='~' | '\t')) {
        return Err(InvalidHeader::Value { name: name.to_owned(), character });
    }
    text.push_str(name);
    text.push_str(": ");
    text.push_str(value);
    text.push_str("\r\n");
    Ok(())
}

/// What came of an upgrade request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'b> {
    /// Not all of it is there. When the stream has ended: it ended in the middle of the head.
    Partial,
    /// From here on it is frames.
    Switched {
        /// Leading bytes that are used up; a frame may follow them at once.
        consumed: usize,
    },
    /// The server answered, and it was no.
    Refused {
        /// HTTP status.
        status: u16,
        /// The body; more than [`BODY_MAX`] bytes of it may be cut anywhere behind those. Of a body in chunks, the first
        /// chunk.
        body: &'b [u8],
    },
}

/// Why an answer does not open a connection. The texts go on from "it does not speak WebSocket: ".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// Not HTTP/1.
    #[error("its answer is not HTTP ({0})")]
    NotHttp(httparse::Error),
    /// [`HEAD_MAX`] or [`HEADERS_MAX`].
    #[error("the head of its answer is longer than {HEAD_MAX} bytes or {HEADERS_MAX} headers")]
    HeadTooLong,
    /// RFC 6455 needs HTTP/1.1 (section 4.1).
    #[error("it switches protocols in HTTP/1.0")]
    OldHttp,
    /// Section 4.2.2 asks for exactly `websocket`.
    #[error("it switches protocols without the header `Upgrade: websocket`")]
    Upgrade,
    /// Section 4.2.2.
    #[error("it switches protocols without the header `Connection: Upgrade`")]
    Connection,
    /// None, two, or a wrong one: section 4.2.2 and 11.3.3.
    #[error("its Sec-WebSocket-Accept does not answer our key")]
    Accept,
    /// Section 4.1, step 5.
    #[error("it answers with an extension that was not asked for")]
    Extension,
    /// Section 4.1, step 6.
    #[error("it answers with a subprotocol that was not asked for")]
    Subprotocol,
}

/// Reads the answer to the request with `nonce`. `bytes` is all that has come since, `ended` says that nothing follows.
///
/// A refusal is given once its body is whole, or more than [`BODY_MAX`] bytes of it are there, or the stream has ended.
///
/// # Errors
/// [`UpgradeError`] when the connection must be failed.
pub fn read_answer<'b>(bytes: &'b [u8], nonce: &Nonce, ended: bool) -> Result<Answer<'b>, UpgradeError> {
    let within = bytes.get(..HEAD_MAX).unwrap_or(bytes);
    let mut begin = 0;
    loop {
        let mut headers = [MaybeUninit::uninit(); HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let head = within.get(begin..).unwrap_or_default();
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, head, &mut headers)
            .map_err(|error| match error {
                httparse::Error::TooManyHeaders => UpgradeError::HeadTooLong,
                other => UpgradeError::NotHttp(other),
            })?;
        let httparse::Status::Complete(length) = parsed else {
            return if within.len() == HEAD_MAX {
                Err(UpgradeError::HeadTooLong)
            } else {
                Ok(Answer::Partial)
            };
        };
        begin += length;
        return match response.code.unwrap_or_default() {
            101 => {
                judge(&response, nonce)?;
                Ok(Answer::Switched { consumed: begin })
            }
            // Interim answers, such as 103, say nothing yet (RFC 9110, section 15.2).
            100..=199 => continue,
            status => {
                let body = Body::of(status, response.headers);
                let rest = bytes.get(begin..).unwrap_or_default();
                Ok(match body.read(rest, ended) {
                    Some(body) => Answer::Refused { status, body },
                    None => Answer::Partial,
                })
            }
        };
    }
}

/// Whether an answer with status 101 opens the connection.
fn judge(response: &httparse::Response<'_, '_>, nonce: &Nonce) -> Result<(), UpgradeError> {
    if response.version == Some(0) {
        return Err(UpgradeError::OldHttp);
    }
    let values = |name: &'static str| values(response.headers, name);
    let only = |name, fits: &dyn Fn(&[u8]) -> bool| {
        let mut values = values(name);
        values.next().is_some_and(|value| fits(value.trim_ascii())) && values.next().is_none()
    };
    if !only("Upgrade", &|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(UpgradeError::Upgrade);
    }
    // A list of tokens, over as many lines as one likes (RFC 9110, sections 5.3 and 7.6.1).
    let mut tokens = values("Connection").flat_map(|value| value.split(|byte| *byte == b','));
    if !tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade")) {
        return Err(UpgradeError::Connection);
    }
    if !only("Sec-WebSocket-Accept", &|value| value == nonce.accept) {
        return Err(UpgradeError::Accept);
    }
    if values("Sec-WebSocket-Extensions").next().is_some() {
        return Err(UpgradeError::Extension);
    }
    if values("Sec-WebSocket-Protocol").next().is_some() {
        return Err(UpgradeError::Subprotocol);
    }
    Ok(())
}

/// Values of the headers with this name, in order.
fn values<'h>(
    headers: &'h [httparse::Header<'_>],
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// After so many bytes.
    Length(usize),
    /// Where the last chunk says so.
    Chunks,
    /// Where the stream ends.
    UntilEnd,
    /// The head contradicts itself; what is there is all that can be said.
    Unknown,
}

impl Body {
    fn of(status: u16, headers: &[httparse::Header<'_>]) -> Self {
        if matches!(status, 204 | 304) {
            return Self::Length(0);
        }
        if let Some(coding) = values(headers, "Transfer-Encoding").last() {
            let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            return if chunked { Self::Chunks } else { Self::UntilEnd };
        }
        let mut lengths = values(headers, "Content-Length");
        let Some(first) = lengths.next() else { return Self::UntilEnd };
        if lengths.any(|other| other != first) {
            return Self::Unknown;
        }
        let digits = first.iter().all(u8::is_ascii_digit);
        match str::from_utf8(first).ok().and_then(|text| text.parse().ok()) {
            Some(length) if digits => Self::Length(length),
            _ => Self::Unknown,
        }
    }

    /// The body that `bytes` begins with, once enough of it is there.
    fn read(self, bytes: &[u8], ended: bool) -> Option<&[u8]> {
        let (body, whole) = match self {
            Self::Length(length) => match bytes.get(..length) {
                Some(body) => (body, true),
                None => (bytes, false),
            },
            Self::Chunks => match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete((begin, size))) => {
                    let chunk = bytes.get(begin..).unwrap_or_default();
                    match usize::try_from(size).ok().and_then(|size| chunk.get(..size)) {
                        Some(chunk) => (chunk, true),
                        None => (chunk, false),
                    }
                }
                // A chunk's head may have an extension of any length; one that long is waited for no more.
                Ok(httparse::Status::Partial) => (&[][..], bytes.len() > BODY_MAX),
                Err(_) => (bytes, true),
            },
            Self::UntilEnd => (bytes, false),
            Self::Unknown => (bytes, true),
        };
        (whole || ended || body.len() > BODY_MAX).then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, section 1.3.
    const RANDOM: [u8; 16] = *b"the sample nonce";

    fn request(path: &str, host: &str, others: &[(&'static str, &str)]) -> Result<String, InvalidHeader> {
        let others = others.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let headers = UpgradeHeaders { host: host.to_owned(), others };
        let mut out = Vec::new();
        UpgradeRequest::new(path, &headers)?.write(&Nonce::new(RANDOM), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    /// The answer of RFC 6455, section 1.3, with other lines and what follows them.
    fn switched(lines: &str) -> Result<Answer<'static>, UpgradeError> {
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        let bytes: &'static [u8] = Box::leak(text.into_bytes().into_boxed_slice());
        let answer = read_answer(bytes, &Nonce::new(RANDOM), false);
        if let Ok(answer) = answer {
            assert_eq!(answer, Answer::Switched { consumed: bytes.len() });
        }
        answer
    }

    fn answer(bytes: &[u8], ended: bool) -> Result<Answer<'_>, UpgradeError> {
        read_answer(bytes, &Nonce::new(RANDOM), ended)
    }

    const GOOD: &str =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn key_and_accept_of_the_rfc() {
        let nonce = Nonce::new(RANDOM);
        assert_eq!(nonce.key(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(nonce.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        // The key of section 1.3's first example, its bytes counted up.
        let counted = std::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        assert_eq!(Nonce::new(counted).key(), "AQIDBAUGBwgJCgsMDQ4PEA==");
    }

    #[test]
    fn the_request_says_what_it_was_told() {
        let others = [("X-Forwarded-For", "203.0.113.9"), ("Origin", "http://host:1\t ~")];
        assert_eq!(
            request("/chat?x=%20y", "host:1", &others).unwrap(),
            "GET /chat?x=%20y HTTP/1.1\r\nHost: host:1\r\nX-Forwarded-For: 203.0.113.9\r\nOrigin: http://host:1\t ~\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
    }

    #[test]
    fn what_http_cannot_say_is_refused() {
        assert_eq!(request("chat", "h", &[]), Err(InvalidHeader::PathStart));
        for character in [' ', '\r', '\n', '\0', '\u{7f}', '#', 'ü'] {
            let path = format!("/a{character}b");
            assert_eq!(request(&path, "h", &[]), Err(InvalidHeader::Path { character }));
        }
        for character in ['\r', '\n', '\0', '\u{7f}', 'ü'] {
            let value = format!("a{character}b");
            let error = |name: &str| InvalidHeader::Value { name: name.to_owned(), character };
            assert_eq!(request("/", &value, &[]), Err(error("Host")));
            assert_eq!(request("/", "h", &[("Origin", &value)]), Err(error("Origin")));
        }
        for name in ["", "a b", "a:", "a\r\nb", "ü"] {
            let error = InvalidHeader::Name { name: name.to_owned() };
            assert_eq!(request("/", "h", &[(name, "x")]), Err(error));
        }
        for name in ["host", "SEC-WEBSOCKET-KEY", "Sec-WebSocket-Extensions"] {
            let error = InvalidHeader::Ours { name: name.to_owned() };
            assert_eq!(request("/", "h", &[(name, "x")]), Err(error));
        }
    }

    #[test]
    fn the_answer_of_the_rfc_opens_the_connection() {
        assert!(switched(GOOD).is_ok());
        let with_frame = format!("HTTP/1.1 101 x\r\n{GOOD}\r\n\u{1}\u{2}");
        let consumed = with_frame.len() - 2;
        assert_eq!(answer(with_frame.as_bytes(), false), Ok(Answer::Switched { consumed }));
    }

    #[test]
    fn names_spaces_and_lists_are_taken_as_http_has_them() {
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        for lines in [
            format!("uPGRADE:WebSocket\r\nCONNECTION:\tupgrade \r\nsec-websocket-accept:   {accept} \t\r\n"),
            format!(
                "Upgrade: websocket\r\nConnection: keep-alive ,\tUPGRADE,,\r\nSec-WebSocket-Accept: {accept}\r\n"
            ),
            format!(
                "Connection: keep-alive\r\nServer: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nX:\r\n"
            ),
        ] {
            assert!(switched(&lines).is_ok(), "{lines}: {:?}", switched(&lines));
        }
    }

    #[test]
    fn an_answer_that_does_not_switch_to_websocket_is_refused() {
        use UpgradeError::{Accept, Connection, Extension, Subprotocol, Upgrade};
        for (from, to, error) in [
            ("Upgrade: websocket", "X: y", Upgrade),
            ("Upgrade: websocket", "Upgrade: h2c", Upgrade),
            ("Upgrade: websocket", "Upgrade: websocket, h2c", Upgrade),
            ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", Upgrade),
            ("Connection: Upgrade", "X: y", Connection),
            ("Connection: Upgrade", "Connection: close", Connection),
            ("Connection: Upgrade", "Connection: upgraded", Connection),
            ("xOo=", "xOo", Accept),
            ("xOo=", "xoo=", Accept),
            ("xOo=\r\n", "xOo=\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", Accept),
            ("Sec-WebSocket-Accept", "Sec-WebSocket-Answer", Accept),
            ("xOo=\r\n", "xOo=\r\nsec-websocket-extensions: permessage-deflate\r\n", Extension),
            ("xOo=\r\n", "xOo=\r\nSec-WebSocket-Protocol: chat\r\n", Subprotocol),
        ] {
            let lines = GOOD.replacen(from, to, 1);
            assert_ne!(lines, GOOD);
            assert_eq!(switched(&lines), Err(error), "{lines}");
        }
        let old = format!("HTTP/1.0 101 x\r\n{GOOD}\r\n");
        assert_eq!(answer(old.as_bytes(), false), Err(UpgradeError::OldHttp));
    }

    #[test]
    fn the_head_may_come_byte_by_byte_and_end_in_the_middle() {
        let whole = format!("HTTP/1.1 101 x\r\n{GOOD}\r\n");
        for length in 0..whole.len() {
            for ended in [false, true] {
                assert_eq!(answer(&whole.as_bytes()[..length], ended), Ok(Answer::Partial), "{length}");
            }
        }
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let interim = format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 101 x\r\n{GOOD}\r\n"
        );
        let consumed = interim.len();
        assert_eq!(answer(interim.as_bytes(), false), Ok(Answer::Switched { consumed }));
        let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(HEAD_MAX / 25 + 1);
        assert_eq!(answer(endless.as_bytes(), false), Err(UpgradeError::HeadTooLong));
    }

    #[test]
    fn what_is_not_http_is_told_apart() {
        let error = answer(b"SSH-2.0-OpenSSH_9.6\r\n", false).unwrap_err();
        assert_eq!(error.to_string(), "its answer is not HTTP (invalid HTTP version)");
        assert!(matches!(answer(b"\x81\x05Hello", false), Err(UpgradeError::NotHttp(_))));
    }

    #[test]
    fn heads_have_a_longest_length() {
        let endless = format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(HEAD_MAX));
        assert_eq!(answer(endless.as_bytes(), false), Err(UpgradeError::HeadTooLong));
        let many = format!("HTTP/1.1 101 x\r\n{}", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(answer(many.as_bytes(), false), Err(UpgradeError::HeadTooLong));
    }

    /// Refusal with these headers: what is read of each beginning of the body, and of all of it at the end of the stream.
    #[track_caller]
    fn refused(headers: &str, body: &[u8], due: Option<&[u8]>, due_at_end: &[u8]) {
        let mut bytes = format!("HTTP/1.1 503 x\r\n{headers}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        let refused = |body| Answer::Refused { status: 503, body };
        assert_eq!(answer(&bytes, false), Ok(due.map_or(Answer::Partial, refused)), "{headers}");
        assert_eq!(answer(&bytes, true), Ok(refused(due_at_end)), "{headers}, ended");
    }

    #[test]
    fn a_refusal_comes_with_its_body() {
        let long = [b'x'; BODY_MAX + 1];
        refused("Content-Length: 4\r\n", b"busy", Some(b"busy"), b"busy");
        refused("Content-Length: 4\r\n", b"busy, and more", Some(b"busy"), b"busy");
        refused("Content-Length: 5\r\n", b"busy", None, b"busy");
        refused("Content-Length: 0\r\n", b"", Some(b""), b"");
        refused("Content-Length: 999\r\n", &long, Some(&long), &long);
        refused("", b"busy", None, b"busy");
        refused("", &long[1..], None, &long[1..]);
        refused("", &long, Some(&long), &long);
        refused("Transfer-Encoding: gzip, Chunked\r\n", b"4\r\nbusy\r\n0\r\n\r\n", Some(b"busy"), b"busy");
        refused("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", b"4\r\nbu", None, b"bu");
        refused("Transfer-Encoding: chunked\r\n", b"4", None, b"");
        refused("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", Some(b""), b"");
        refused("Transfer-Encoding: chunked\r\n", b"no chunk", Some(b"no chunk"), b"no chunk");
        for length in ["-1", "+4", "x", "", "4, 4", "99999999999999999999999"] {
            refused(&format!("Content-Length: {length}\r\n"), b"busy", Some(b"busy"), b"busy");
        }
        refused("Content-Length: 4\r\nContent-Length: 3\r\n", b"busy", Some(b"busy"), b"busy");
        refused("Content-Length: 4\r\nContent-Length: 4\r\n", b"busy", Some(b"busy"), b"busy");
    }

    #[test]
    fn statuses_without_a_body_do_not_wait_for_one() {
        for status in [204, 304] {
            let bytes = format!("HTTP/1.1 {status} x\r\n\r\n");
            assert_eq!(answer(bytes.as_bytes(), false), Ok(Answer::Refused { status, body: b"" }));
        }
        let old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(answer(old, false), Ok(Answer::Refused { status: 200, body: b"hi" }));
    }

    #[test]
    fn a_chunk_whose_head_never_ends_is_not_waited_for() {
        let mut answer = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n1;x".to_vec();
        assert_eq!(read_answer(&answer, &Nonce::new([0; 16]), false), Ok(Answer::Partial));
        answer.extend([b'x'; BODY_MAX]);
        assert_eq!(
            read_answer(&answer, &Nonce::new([0; 16]), false),
            Ok(Answer::Refused { status: 503, body: b"" })
        );
    }
}
