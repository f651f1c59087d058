//! What the gateway sent: challenges, answers and events.

use serde_json::Value;

use super::{Conn, EVENTS_COMPARED, Reading};
use crate::conform::format::Line;
use crate::conform::session::{Action, Reason, Seen, What};

impl Reading {
    pub(super) fn incoming(&mut self, line: &Line) {
        let frame = &line.data;
        let event = frame.get("event").and_then(Value::as_str);
        if event == Some("connect.challenge") {
            self.challenge(line);
            return;
        }
        if let Some(event) = event {
            self.event(line, event);
            return;
        }
        let id = frame.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let hello = frame.get("ok").and_then(Value::as_bool) == Some(true)
            && frame.pointer("/payload/type").and_then(Value::as_str) == Some("hello-ok");
        if line.conn.is_some()
            && let Some(conn) = self.conns.iter_mut().find(|conn| conn.number == line.conn)
            && let Some(place) = conn.unsent.iter().position(|unsent| *unsent == id)
        {
            conn.unsent.remove(place);
            return;
        }
        let waits = |conn: &Conn| {
            conn.open.iter().any(|(open, _)| *open == id) && (!hello || !conn.accepted || conn.connects > 1)
                || id == "invalid" && conn.accepted
        };
        let Some(index) = self.owner(line, waits) else {
            self.skip(line, format!("answer to request {id}"), Reason::UnknownConnection);
            return;
        };
        self.advance(index, line);
        let Some(conn) = self.conns.get_mut(index) else { return };
        let place = conn.open.iter().position(|(open, _)| *open == id);
        let step = place.map_or(conn.step, |place| conn.open.remove(place).1);
        if hello {
            conn.accepted = true;
        }
        if !conn.accepted {
            conn.last_error = frame.pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
        }
        if frame.get("abridged").is_some() {
            conn.accepted |= frame.get("ok").and_then(Value::as_bool) == Some(true);
        }
        self.push(line, step, What::Saw(index, Seen::Frame(frame.clone())));
    }

    fn challenge(&mut self, line: &Line) {
        let Some(index) = self.owner(line, |conn| !conn.challenged && (conn.answered || line.conn.is_some()))
        else {
            self.skip(line, "challenge", Reason::UnknownConnection);
            return;
        };
        let at = line.data.pointer("/payload/ts").and_then(Value::as_i64);
        if let Some(connection) = self.session.connections.get_mut(index) {
            connection.nonce = line.data.pointer("/payload/nonce").and_then(Value::as_str).map(str::to_owned);
            connection.challenged_at = at;
        }
        if let (Some(conn), Some(at), Ok(since)) = (self.conns.get_mut(index), at, i64::try_from(line.t_ms)) {
            conn.base = Some(at - since);
        }
        self.opened_at(index);
        self.advance(index, line);
        if let Some(conn) = self.conns.get_mut(index) {
            conn.challenged = true;
            let step = conn.step;
            self.push(line, step, What::Saw(index, Seen::Frame(line.data.clone())));
        }
    }

    /// Gives the request of a connection its time, which only the challenge tells.
    fn opened_at(&mut self, index: usize) {
        let Some(base) = self.conns.get(index).and_then(|conn| conn.base) else { return };
        let first = self.now == 0;
        for entry in self.session.timeline.iter_mut().rev() {
            let own = matches!(&entry.what, What::Open(other) | What::Saw(other, Seen::Answer(_)) if *other == index);
            if first || own {
                entry.at_ms = base.max(entry.at_ms);
            }
            if !first && matches!(entry.what, What::Open(other) if other == index) {
                break;
            }
        }
    }

    fn event(&mut self, line: &Line, event: &str) {
        let owner = self.owner(line, |conn| conn.accepted);
        if let Some(index) = owner {
            self.advance(index, line);
        }
        if !EVENTS_COMPARED.contains(&event) {
            *self.session.events_not_compared.entry(event.to_owned()).or_default() += 1;
            return;
        }
        let Some(index) = owner else {
            self.skip(line, format!("event {event}"), Reason::UnknownConnection);
            return;
        };
        if event == "shutdown" && !self.own_actions && !self.terminated {
            self.terminated = true;
            let step = self.step("SIGTERM".to_owned());
            self.push(line, step, What::Act(Action::Terminate));
        }
        let step = self.session.steps.len().saturating_sub(1);
        self.push(line, step, What::Saw(index, Seen::Frame(line.data.clone())));
    }
}
