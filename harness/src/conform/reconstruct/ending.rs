//! How connections ended, and who ended them.

use serde_json::Value;

use super::{Conn, Reading};
use crate::conform::format::Line;
use crate::conform::session::{Entry, Leaving, Outgoing, Page, Reason, Seen, What};

/// A silent connection that was closed with 1000 this soon was closed by its client, milliseconds.
const NO_TIMEOUT_BEFORE_MS: u64 = 2_500;

impl Reading {
    /// What the client's library said of a connection that did not come about.
    pub(super) fn error(&mut self, line: &Line) {
        let refused = line
            .data
            .get("message")
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains("ECONNREFUSED"));
        let index = if let Some(number) = line.conn {
            self.conns.iter().position(|conn| conn.number == Some(number))
        } else if refused {
            self.conns.iter().rposition(|conn| !conn.answered && !conn.closed)
        } else {
            self.conns.iter().position(|conn| conn.answered && !conn.challenged && !conn.closed)
        };
        let Some((index, conn)) = index.and_then(|index| Some((index, self.conns.get_mut(index)?))) else {
            return;
        };
        conn.failed = true;
        if refused && !conn.answered {
            conn.answered = true;
            let (step, page) =
                (conn.step, Page { body: Some("connection refused".to_owned()), ..Page::default() });
            self.push(line, step, What::Saw(index, Seen::Answer(page)));
        }
    }

    pub(super) fn close(&mut self, line: &Line) {
        let code = line
            .data
            .get("code")
            .and_then(Value::as_u64)
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(1006);
        let reason = line.data.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        let by = line.data.get("by").and_then(Value::as_str);
        let said = |conn: &Conn| {
            conn.last_error.as_deref().is_some_and(|error| error.starts_with(reason.trim_end_matches('…')))
        };
        let by_gateway = !matches!(code, 1000 | 1001 | 1005 | 1006);
        let failed = self.conns.iter().position(|conn| conn.failed && !conn.closed);
        let owner = failed
            .filter(|_| code == 1006 && line.conn.is_none())
            .or_else(|| {
                self.owner(line, |conn| conn.base.is_some() && by_gateway && !reason.is_empty() && said(conn))
            })
            .or_else(|| {
                self.owner(line, |conn| conn.base.is_some() && (by_gateway || conn.last_error.is_none()))
            })
            .or_else(|| self.owner(line, |_| true));
        let Some(index) = owner else {
            // The proxy that made some recordings notes the end of both its legs.
            if by != Some("client") {
                self.skip(line, format!("close {code} {reason}"), Reason::UnknownConnection);
            }
            return;
        };
        self.advance(index, line);
        let terminated = self.terminated;
        let Some(conn) = self.conns.get_mut(index) else { return };
        if conn.closed {
            return;
        }
        conn.closed = true;
        let refused_upgrade = !conn.challenged && code == 1006;
        let by_client = match by {
            Some(by) => by == "client",
            None => match code {
                1000 => conn.accepted || (conn.sent == 0 && line.t_ms < NO_TIMEOUT_BEFORE_MS),
                1001 | 1005 => true,
                1006 => !terminated,
                _ => false,
            },
        };
        let (step, challenged) = (conn.step, conn.challenged);
        if refused_upgrade || !challenged && by.is_some() {
            return;
        }
        if by_client {
            let how = if code == 1006 {
                Leaving::Drop
            } else {
                Leaving::Close(if code == 1005 { 1000 } else { code })
            };
            self.leave(line, index, step, how);
        } else {
            self.push(line, step, What::Saw(index, Seen::Close { code, reason }));
        }
    }

    /// A client leaves before it opens its next connection, but the recording notes the end only when it has come, which may
    /// be while the next upgrade is under way, or the next call of another connection.
    fn leave(&mut self, line: &Line, index: usize, step: usize, how: Leaving) {
        let conn_of = |index: &usize| self.conns.get(*index);
        let underway = self.session.timeline.iter().rposition(|entry| match &entry.what {
            What::Open(other) if *other != index => conn_of(other).is_some_and(|conn| !conn.answered),
            What::Send(other, Outgoing::Frame(frame)) if *other != index => {
                let id = frame.get("id").and_then(Value::as_str);
                conn_of(other).is_some_and(|conn| conn.open.iter().any(|(open, _)| Some(open.as_str()) == id))
            }
            _ => false,
        });
        let entry = Entry { line: line.number, at_ms: self.now, step, what: What::Leave(index, how) };
        match underway.filter(|_| !self.own_actions) {
            Some(place) => self.session.timeline.insert(place, entry),
            None => self.session.timeline.push(entry),
        }
    }
}
