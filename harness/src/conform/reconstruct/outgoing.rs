//! What the client sent, and how it was signed.

use serde_json::Value;

use super::{Conn, Reading, is_connect};
use crate::conform::format::Line;
use crate::conform::session::{Outgoing, Reason, What};
use crate::conform::signing::{self, Signing};
use crate::conform::words;

impl Reading {
    pub(super) fn outgoing(&mut self, line: &Line) {
        let nonce = line.data.pointer("/params/device/nonce").and_then(Value::as_str);
        let own = nonce.and_then(|nonce| {
            self.session.connections.iter().position(|connection| connection.nonce.as_deref() == Some(nonce))
        });
        let own = own
            .filter(|index| self.conns.get(*index).is_some_and(|conn| !conn.closed) && line.conn.is_none());
        let accepted = !is_connect(&line.data) && line.data.get("method").is_some();
        let fits = |conn: &Conn| conn.challenged && (conn.accepted == accepted || conn.sent > 0 || !accepted);
        let Some(index) = own.or_else(|| self.owner(line, fits)) else {
            self.skip(line, describe(&line.data), Reason::UnknownConnection);
            return;
        };
        self.advance(index, line);
        if line.data.get("params").and_then(Value::as_str).is_some_and(|text| text.starts_with("<abridged")) {
            self.skip(line, describe(&line.data), Reason::Abridged);
            if let (Some(conn), Some(id)) =
                (self.conns.get_mut(index), line.data.get("id").and_then(Value::as_str))
            {
                conn.unsent.push(id.to_owned());
            }
            return;
        }
        let nonce = self.session.connections.get(index).and_then(|connection| connection.nonce.clone());
        let Some(message) = self.message(line, nonce.as_deref()) else {
            self.skip(line, describe(&line.data), Reason::UnknownBytes);
            return;
        };
        let Some(conn) = self.conns.get_mut(index) else { return };
        let first = conn.sent == 0;
        conn.sent += 1;
        let mut step = conn.step;
        let request = match &message {
            Outgoing::Frame(frame) | Outgoing::Connect { frame, .. } => Some(frame.clone()),
            Outgoing::Text(text) => serde_json::from_str::<Value>(text).ok(),
            Outgoing::Binary(_) => None,
        };
        if !first {
            let opened = self.session.steps.get(step).map(|step| step.name.clone()).unwrap_or_default();
            let what = request.as_ref().map_or_else(|| "text".to_owned(), describe);
            step = self.step(format!("{opened}: {what}"));
        }
        if let (Some(frame), Some(conn)) = (&request, self.conns.get_mut(index)) {
            if let Some(id) = frame.get("id").and_then(Value::as_str) {
                conn.open.push((id.to_owned(), step));
            }
            if is_connect(frame) {
                conn.connects += 1;
            }
        }
        self.push(line, step, What::Send(index, message));
    }

    /// What was sent; `None` when its bytes are not known.
    fn message(&mut self, line: &Line, nonce: Option<&str>) -> Option<Outgoing> {
        match &line.data {
            Value::String(text) => words::cut_text(text).map(Outgoing::Text),
            frame if is_connect(frame) => {
                let signing = self.signing(frame, nonce);
                Some(Outgoing::Connect { frame: frame.clone(), signing, binary: false })
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("binaryFrame") => {
                let frame = object.get("binaryFrame")?;
                if is_connect(frame) {
                    let signing = self.signing(frame, nonce);
                    return Some(Outgoing::Connect { frame: frame.clone(), signing, binary: true });
                }
                Some(Outgoing::Binary(frame.to_string().into_bytes()))
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("binary") => {
                let length = usize::try_from(object.get("binary")?.as_u64()?).ok()?;
                self.binary(length)
            }
            Value::Object(object) if object.len() == 1 && object.contains_key("base64") => {
                use base64::Engine as _;
                let text = object.get("base64")?.as_str()?;
                base64::engine::general_purpose::STANDARD.decode(text).ok().map(Outgoing::Binary)
            }
            frame => Some(Outgoing::Frame(frame.clone())),
        }
    }

    /// How a connect was signed: version 2 says whether the signature was good, and leaves it out.
    fn signing(&mut self, frame: &Value, nonce: Option<&str>) -> Signing {
        match self.claim(frame) {
            Some((text, Some(true))) => Signing::Over(text),
            Some((text, Some(false))) => Signing::Wrong(text),
            Some((text, None)) => signing::analyse(frame, Some(&text), nonce),
            None if self.own_actions && frame.pointer("/params/device").is_some() => Signing::Literal,
            None => signing::analyse(frame, None, nonce),
        }
    }

    /// The signed text that was noted for this connect: same device and time, the latest.
    fn claim(&mut self, frame: &Value) -> Option<(String, Option<bool>)> {
        let at = frame.pointer("/params/device/signedAt").and_then(Value::as_i64)?.to_string();
        let nonce = frame.pointer("/params/device/nonce").and_then(Value::as_str);
        let exact = self.signed.iter().rposition(|(text, _)| {
            signing::marks(text)
                .is_some_and(|(_, time, signed)| time == at && signed.is_none_or(|s| Some(s) == nonce))
        });
        let place = exact.or_else(|| {
            // A deliberate mistake may be in the very marks: then the text noted last, which stands right before.
            (!self.signed.is_empty()).then(|| self.signed.len() - 1)
        })?;
        Some(self.signed.remove(place))
    }

    /// A binary message of which only the length was kept: a connect, when a text was signed for it and a connect of the
    /// same recording comes out at exactly this length; otherwise a few bytes that are no JSON.
    fn binary(&mut self, length: usize) -> Option<Outgoing> {
        let Some((text, _)) = self.signed.last().cloned() else {
            return (length <= 16).then(|| {
                Outgoing::Binary([0xff, 0x00, 0xfe].iter().copied().cycle().take(length).collect())
            });
        };
        let (device, at, nonce) = signing::marks(&text)?;
        for template in &self.templates {
            let mut frame = template.clone();
            let object = frame.pointer_mut("/params/device")?.as_object_mut()?;
            object.insert("id".to_owned(), device.into());
            // Its key is nowhere; the mark of redaction makes it that of the id.
            object.insert("publicKey".to_owned(), format!("{:x<43}", "<host>").into());
            object.insert("signedAt".to_owned(), at.parse::<i64>().ok()?.into());
            if let Some(nonce) = nonce {
                object.insert("nonce".to_owned(), nonce.into());
            }
            let same = signing::guesses(&frame, nonce).contains(&text);
            if same && frame.to_string().len() == length {
                self.signed.pop();
                return Some(Outgoing::Connect { frame, signing: Signing::Over(text), binary: true });
            }
        }
        None
    }
}

fn describe(frame: &Value) -> String {
    match frame.get("method").and_then(Value::as_str) {
        Some(method) => format!("{method} #{}", frame.get("id").and_then(Value::as_str).unwrap_or("?")),
        None => "text".to_owned(),
    }
}
