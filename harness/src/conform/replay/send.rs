//! What the recorded client did on its connections, done again with the replay's names and keys.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Replay, STEP_HEADER};
use crate::conform::session::{Leaving, Outgoing, Seen, What};
use crate::conform::signing::{self, Challenge, Signing};
use crate::conform::wires::Wire;

impl Replay<'_> {
    pub(super) async fn open(&mut self, step: usize, index: usize) {
        let Some(wanted) = self.case.session.connections.get(index) else { return };
        self.identities.set_authority(&wanted.authority, &self.host);
        let mut headers: Vec<(String, String)> = wanted
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), self.identities.header(value)))
            .collect();
        if self.manner.name_steps
            && let Some(step) = self.steps.get(step)
        {
            headers.push((STEP_HEADER.to_owned(), step.name.clone()));
        }
        self.wires.open(index, wanted, &headers).await;
    }

    pub(super) async fn leave(&mut self, index: usize, how: Leaving) {
        if self.wires.wires.get(index).is_some_and(Wire::open) {
            self.wires.leave(index, how).await;
        } else {
            // It was closed already, which the end of the replay reports: the close is still in its inbox. But after a
            // refusal both sides hang up, and which of them is faster is neither's merit.
            let refused = self.refused(index);
            if let Some(wire) = self.wires.wires.get_mut(index) {
                wire.left = refused;
            }
        }
    }

    /// Whether the recording has a connection's connect refused, and nothing after it.
    fn refused(&self, index: usize) -> bool {
        let last = self.case.session.timeline.iter().rev().find_map(|entry| match &entry.what {
            What::Saw(conn, Seen::Frame(frame)) if *conn == index && frame.get("event").is_none() => {
                Some(frame)
            }
            _ => None,
        });
        last.is_some_and(|frame| frame.get("ok").and_then(Value::as_bool) == Some(false))
    }

    pub(super) async fn send(&mut self, step: usize, index: usize, message: &Outgoing) {
        let message = match message {
            Outgoing::Text(text) => Message::text(text.clone()),
            Outgoing::Binary(bytes) => Message::binary(bytes.clone()),
            Outgoing::Frame(frame) => Message::text(self.translate(frame).to_string()),
            Outgoing::Connect { frame, signing, binary } => {
                let text = self.connect(index, frame, signing).to_string();
                if *binary { Message::binary(text.into_bytes()) } else { Message::text(text) }
            }
        };
        if !self.wires.send(index, message).await && self.unreached.insert(index) {
            self.differ(step, "reached", "sent", "the connection was gone before");
        }
    }

    /// A frame with the replay's names.
    fn translate(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.identities.text(text).into(),
            Value::Array(list) => list.iter().map(|value| self.translate(value)).collect(),
            Value::Object(object) => {
                object.iter().map(|(key, value)| (key.clone(), self.translate(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// A connect of the replay's device, signed as the recorded one was.
    fn connect(&mut self, index: usize, recorded: &Value, signing: &Signing) -> Value {
        let mut frame = self.translate(recorded);
        let Some(device) = recorded.pointer("/params/device").and_then(Value::as_object) else {
            return frame;
        };
        let connection = self.case.session.connections.get(index);
        let wire = self.wires.wires.get(index);
        let recorded_nonce = connection.and_then(|connection| connection.nonce.as_deref());
        let live_nonce = wire.and_then(|wire| wire.nonce.as_deref());
        let time = connection.and_then(|c| c.challenged_at).zip(wire.and_then(|wire| wire.challenged_at));
        let nonce = recorded_nonce.zip(live_nonce);
        let challenge = Challenge { nonce, time };
        let text_of = |key: &str| device.get(key).and_then(Value::as_str);
        let claimed = text_of("id").unwrap_or_default().to_ascii_lowercase();
        // The key decides who it is; the id may be a lie. A key that redaction damaged is that of its id.
        let public_key = text_of("publicKey").unwrap_or_default();
        let owner = signing::raw_key(public_key)
            .map(|raw| protocol::device_id(&raw))
            .or_else(|| public_key.contains("<host>").then(|| claimed.clone()));
        let key = owner.as_deref().and_then(|owner| self.identities.key(owner));
        let Some(target) = frame.pointer_mut("/params/device").and_then(Value::as_object_mut) else {
            return frame;
        };
        if let Some(key) = &key {
            let raw = signing::raw_key(key.public_key());
            if let Some(raw) = raw {
                target.insert("publicKey".to_owned(), signing::same_form(public_key, &raw).into());
            }
            self.present.insert(key.device_id().to_owned());
        }
        if let Some(sent) = text_of("nonce") {
            let live = match nonce {
                Some((then, now)) if then == sent => now.to_owned(),
                _ => self.identities.text(sent),
            };
            target.insert("nonce".to_owned(), live.into());
        }
        if let Some(at) = device.get("signedAt").and_then(Value::as_i64) {
            target.insert("signedAt".to_owned(), challenge.shifted(at).into());
        }
        let like = text_of("signature").unwrap_or_default();
        let (Signing::Over(text) | Signing::Wrong(text), Some(key)) = (signing, &key) else { return frame };
        let text = signing::translate(text, &self.identities, challenge);
        let Some(mut bytes) = signing::decode(&key.sign(&text)) else { return frame };
        if matches!(signing, Signing::Wrong(_))
            && let Some(first) = bytes.first_mut()
        {
            *first ^= 1;
        }
        target.insert("signature".to_owned(), signing::same_alphabet(like, &bytes).into());
        frame
    }
}
