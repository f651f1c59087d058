//! Makes the lines of a recording, version 2, out of what a proxy saw.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::format::{Direction, Index, IndexEntry, Line};
use super::redaction::{self, Secrets};
use super::signing::{self, Signing};

/// Longest text that is kept whole, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// What is kept of a longer one, bytes.
const TEXT_HEAD: usize = 200;
/// Calls without an answer that are remembered on one connection.
const CALLS_MAX: usize = 10_000;

/// The state of a recording.
#[derive(Debug, Default)]
pub struct Recorder {
    secrets: Secrets,
    nonces: HashMap<u64, String>,
    calls: HashMap<(u64, String), String>,
}

/// A request as the proxy read it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path and query.
    pub path: String,
    /// `host:port` that the gateway has.
    pub authority: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Address that it was dialled from.
    pub from: IpAddr,
}

impl Recorder {
    /// A recording of a gateway with this configuration; gives the configuration as it may be kept.
    #[must_use]
    pub fn new(config: &Value) -> (Self, Value) {
        let mut recorder = Self::default();
        let mut config = config.clone();
        redaction::config(&mut recorder.secrets, &mut config);
        (recorder, config)
    }

    /// An upgrade was asked for.
    pub fn request(&mut self, t_ms: u64, conn: u64, request: &Request) -> Line {
        let headers = redaction::headers(&mut self.secrets, &request.headers);
        let headers: serde_json::Map<String, Value> =
            headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        let path = redaction::path(&mut self.secrets, &request.path);
        let url = format!("ws://{}{path}", request.authority);
        let data =
            json!({"request": {"method": "GET", "url": url, "headers": headers, "from": request.from}});
        line(Direction::Http, t_ms, Some(conn), data)
    }

    /// The upgrade was answered.
    pub fn answer(
        &mut self,
        t_ms: u64,
        conn: u64,
        status: u16,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> Line {
        let kept = ["upgrade", "connection", "content-type", "content-length", "sec-websocket-protocol"];
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| kept.contains(&name.as_str()))
            .map(|(name, value)| (name, self.secrets.clean(value).into()))
            .collect();
        let mut data = json!({"status": status, "headers": headers});
        if let (Some(body), Some(object)) = (body, data.as_object_mut()) {
            object.insert("body".to_owned(), cut(&self.secrets.clean(body)).into());
        }
        line(Direction::Http, t_ms, Some(conn), data)
    }

    /// A plain GET and its answer.
    pub fn page(
        &mut self,
        t_ms: u64,
        path: &str,
        status: u16,
        content_type: Option<&str>,
        body: &str,
    ) -> Line {
        let path = redaction::path(&mut self.secrets, path);
        let body = cut(&self.secrets.clean(body));
        let data = json!({"step": format!("GET {path}"), "status": status, "contentType": content_type, "body": body});
        line(Direction::Http, t_ms, None, data)
    }

    /// A connection that the gateway refused to make.
    pub fn no_connection(&mut self, t_ms: u64, conn: u64) -> Line {
        line(Direction::Error, t_ms, Some(conn), json!({"message": "ECONNREFUSED"}))
    }

    /// A text of the client.
    pub fn sent_text(&mut self, t_ms: u64, conn: u64, text: &str) -> Vec<Line> {
        let frame =
            serde_json::from_str::<Value>(text).ok().filter(|frame| frame.is_object() && known(frame));
        match frame {
            Some(frame) => self.sent_frame(t_ms, conn, frame),
            None => vec![line(Direction::Out, t_ms, Some(conn), cut(&self.secrets.clean(text)).into())],
        }
    }

    /// Bytes of the client.
    pub fn sent_binary(&mut self, t_ms: u64, conn: u64, bytes: &[u8]) -> Vec<Line> {
        use base64::Engine as _;
        let frame = serde_json::from_slice::<Value>(bytes).ok().filter(known);
        if let Some(frame) = frame {
            let mut lines = self.sent_frame(t_ms, conn, frame);
            if let Some(line) = lines.last_mut() {
                line.data = json!({"binaryFrame": line.data});
            }
            return lines;
        }
        let kept = bytes.get(..bytes.len().min(TEXT_BYTES_MAX)).unwrap_or_default();
        let text = base64::engine::general_purpose::STANDARD.encode(kept);
        let data =
            if kept.len() == bytes.len() { json!({"base64": text}) } else { json!({"binary": bytes.len()}) };
        vec![line(Direction::Out, t_ms, Some(conn), data)]
    }

    fn sent_frame(&mut self, t_ms: u64, conn: u64, mut frame: Value) -> Vec<Line> {
        let method = frame.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(id) = frame.get("id").and_then(Value::as_str)
            && self.calls.len() < CALLS_MAX
        {
            self.calls.insert((conn, id.to_owned()), method.clone());
        }
        let mut lines = Vec::new();
        if method == "connect" {
            redaction::connect(&mut self.secrets, &frame);
            if let Some(note) = self.signed(&mut frame, conn) {
                lines.push(line(Direction::Note, t_ms, Some(conn), note));
            }
        } else if !method.is_empty()
            && !kept(&method)
            && let Some(params) =
                frame.get_mut("params").filter(|params| params.as_object().is_none_or(|p| !p.is_empty()))
        {
            *params = redaction::abridged(params);
        }
        self.secrets.clean_value(&mut frame);
        lines.push(line(Direction::Out, t_ms, Some(conn), frame));
        lines
    }

    /// Says how a connect was signed, and takes the signature out: it could be used to try secrets against.
    fn signed(&self, frame: &mut Value, conn: u64) -> Option<Value> {
        let signing = signing::analyse(frame, None, self.nonces.get(&conn).map(String::as_str));
        let (text, good) = match signing {
            Signing::Over(text) => (text, true),
            Signing::Wrong(text) => (text, false),
            Signing::None | Signing::Literal => return None,
        };
        let signature = frame.pointer_mut("/params/device/signature")?;
        let standard = signature.as_str().is_some_and(|text| text.contains(['=', '+', '/']));
        *signature = if standard { "<signature>=" } else { "<signature>" }.into();
        // Field by field: a short token is replaced only where it stands alone.
        let text: Vec<String> = text.split('|').map(|field| self.secrets.clean(field)).collect();
        let state = if good { "good" } else { "wrong" };
        Some(json!({"signedPayload": text.join("|"), "signature": state}))
    }

    /// A text of the gateway.
    pub fn received(&mut self, t_ms: u64, conn: u64, text: &str) -> Line {
        let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
            return line(Direction::In, t_ms, Some(conn), cut(&self.secrets.clean(text)).into());
        };
        if let Some(event) = frame.get("event").and_then(Value::as_str).map(str::to_owned) {
            if event == "connect.challenge"
                && let Some(nonce) = frame.pointer("/payload/nonce").and_then(Value::as_str)
            {
                self.nonces.insert(conn, nonce.to_owned());
            }
            let compared = super::reconstruct::EVENTS_COMPARED.contains(&event.as_str());
            if let Some(payload) = frame.get_mut("payload") {
                if compared {
                    redaction::handed_out(&mut self.secrets, payload);
                } else {
                    *payload = redaction::abridged(payload);
                }
            }
        } else {
            let id = frame.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let method = self.calls.remove(&(conn, id)).unwrap_or_default();
            if let Some(payload) = frame.get_mut("payload") {
                if payload.get("type").and_then(Value::as_str) == Some("hello-ok") {
                    if let Some(auth) = payload.get("auth") {
                        redaction::handed_out(&mut self.secrets, auth);
                    }
                    if let Some(server) = payload.get("server") {
                        redaction::handed_out(&mut self.secrets, server);
                    }
                    redaction::hello(payload);
                } else if kept(&method) {
                    redaction::handed_out(&mut self.secrets, payload);
                } else {
                    *payload = redaction::abridged(payload);
                }
            }
        }
        self.secrets.clean_value(&mut frame);
        line(Direction::In, t_ms, Some(conn), frame)
    }

    /// A connection ended.
    pub fn closed(&mut self, t_ms: u64, conn: u64, by: &str, code: u16, reason: &str) -> Line {
        self.nonces.remove(&conn);
        self.calls.retain(|(other, _), _| *other != conn);
        let data = json!({"by": by, "code": code, "reason": self.secrets.clean(reason)});
        line(Direction::Close, t_ms, Some(conn), data)
    }

    /// The name of what comes next.
    #[must_use]
    pub fn step(&self, t_ms: u64, name: &str) -> Line {
        line(Direction::Note, t_ms, None, json!({"step": self.secrets.clean(name.trim())}))
    }

    /// The name of what comes next, or something that was done to the gateway.
    ///
    /// # Errors
    /// Text that says what is understood.
    pub fn said(&self, t_ms: u64, text: &str) -> Result<Line, String> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("step ") {
            return Ok(self.step(t_ms, name));
        }
        let action = text.strip_prefix("action ").map(str::trim).unwrap_or_default();
        let words: Vec<&str> = action.split_whitespace().collect();
        let data = match words.as_slice() {
            [kind @ ("terminate" | "kill" | "start")] => json!({"kind": kind}),
            ["drop-entry", device] => json!({"kind": "drop-entry", "deviceId": device}),
            ["set-scopes", device, scopes @ ..] => {
                json!({"kind": "set-scopes", "deviceId": device, "scopes": scopes})
            }
            _ => {
                return Err("understood are: step NAME, action terminate, action kill, action start, \
                            action drop-entry DEVICE, action set-scopes DEVICE SCOPE…"
                    .to_owned());
            }
        };
        Ok(line(Direction::Action, t_ms, None, data))
    }
}

/// Methods whose parameters and answers are part of the handshake and pairing.
fn kept(method: &str) -> bool {
    method == "connect" || method.starts_with("device.") || method.starts_with("node.pair.")
}

fn known(frame: &Value) -> bool {
    frame.get("type").and_then(Value::as_str) == Some("req")
        && frame.get("id").is_some_and(Value::is_string)
        && frame.get("method").is_some_and(Value::is_string)
        && frame.to_string().len() <= TEXT_BYTES_MAX
}

fn line(dir: Direction, t_ms: u64, conn: Option<u64>, data: Value) -> Line {
    Line { dir, t_ms, conn, data, number: 0 }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = TEXT_HEAD;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…({} bytes)", text.get(..end).unwrap_or_default(), text.len())
}

/// `index.json` with this case in it.
///
/// # Errors
/// [`super::format::FormatError`] when what is there is no index.
pub fn with_case(index: &str, name: &str, entry: IndexEntry) -> Result<String, super::format::FormatError> {
    let mut index: Index = if index.trim().is_empty() { Index::new() } else { super::format::index(index)? };
    index.insert(name.to_owned(), entry);
    let text = serde_json::to_string_pretty(&index).map_err(|error| super::format::FormatError::Syntax {
        place: "index.json".to_owned(),
        problem: error.to_string(),
    })?;
    Ok(format!("{text}\n"))
}
