//! HTTP: upgrades with their answers, and plain requests.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::{Conn, Reading, forwards};
use crate::conform::format::Line;
use crate::conform::session::{Connection, Page, Reason, Seen, What};

impl Reading {
    pub(super) fn http(&mut self, line: &Line) {
        if let Some(request) = line.data.get("request") {
            self.request(line, request);
        } else if let Some(name) = line.data.get("step").and_then(Value::as_str) {
            self.plain(line, name);
        } else {
            self.upgrade_answer(line);
        }
    }

    fn request(&mut self, line: &Line, request: &Value) {
        let url = request.get("url").and_then(Value::as_str).unwrap_or("/");
        let (authority, path) = split_url(url);
        let mut connection = Connection { path, authority, ..Connection::default() };
        for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let Some(value) = value.as_str() else { continue };
            match name.to_ascii_lowercase().as_str() {
                // Those of the upgrade itself are the replay's own.
                "sec-websocket-version"
                | "sec-websocket-key"
                | "connection"
                | "upgrade"
                | "sec-websocket-extensions"
                | "content-length" => {}
                "host" if connection.authority.is_empty() => connection.authority = value.to_owned(),
                _ => connection.headers.push((name.clone(), value.to_owned())),
            }
        }
        if let Some(forwarded) = &self.proxied
            && !forwards(&connection.headers)
        {
            connection.headers.push(("X-Forwarded-For".to_owned(), forwarded.clone()));
        }
        connection.from = request
            .get("from")
            .and_then(Value::as_str)
            .and_then(|from| from.parse().ok())
            .or_else(|| self.dialled_from(&connection.headers));
        let name = self.step_name.take().unwrap_or_else(|| format!("connection {}", self.conns.len() + 1));
        let step = self.step(name);
        self.session.connections.push(connection);
        self.conns.push(Conn { number: line.conn, step, ..Conn::default() });
        self.push(line, step, What::Open(self.conns.len() - 1));
    }

    /// Forwarding headers come from a trusted proxy where the configuration names one that a client can dial from.
    fn dialled_from(&self, headers: &[(String, String)]) -> Option<IpAddr> {
        let other = |address: &&IpAddr| **address != IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxy = self.trusted.iter().find(other).copied();
        let title = self.step_name.as_deref().unwrap_or_default().to_ascii_lowercase();
        if title.starts_with("direct ") || title.starts_with("untrusted ") {
            return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        if forwards(headers) { proxy.or(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))) } else { None }
    }

    fn plain(&mut self, line: &Line, name: &str) {
        let Some(path) = name.strip_prefix("GET ") else {
            self.skip(line, name, Reason::Words);
            return;
        };
        let text = |key: &str| line.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let page = Page {
            status: status(&line.data),
            content_type: text("contentType"),
            subprotocol: None,
            body: text("body"),
        };
        let step = self.step(name.to_owned());
        self.push(line, step, What::Get(path.to_owned()));
        self.push(line, step, What::SawPage(page));
    }

    fn upgrade_answer(&mut self, line: &Line) {
        let Some(index) = self.owner(line, |conn| !conn.answered) else {
            self.skip(line, "answer to an upgrade", Reason::UnknownConnection);
            return;
        };
        let header = |name: &str| {
            line.data.pointer("/headers").and_then(Value::as_object).and_then(|headers| {
                headers
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .and_then(|(_, value)| value.as_str())
            })
        };
        let page = Page {
            status: status(&line.data),
            content_type: header("content-type").map(str::to_owned),
            subprotocol: header("sec-websocket-protocol").map(str::to_owned),
            body: line.data.get("body").and_then(Value::as_str).map(str::to_owned),
        };
        if let (Some(protocol), Some(connection)) =
            (&page.subprotocol, self.session.connections.get_mut(index))
            && !connection.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
        {
            // Version 1 keeps no such header; a gateway only ever echoes the first one that is offered.
            connection.headers.push(("Sec-WebSocket-Protocol".to_owned(), protocol.clone()));
        }
        self.advance(index, line);
        let now = self.now;
        if let Some(conn) = self.conns.get_mut(index) {
            conn.answered = true;
            if page.status != 101 {
                // No challenge will tell when this one began.
                conn.base = i64::try_from(line.t_ms).ok().map(|since| now - since);
            }
            let step = conn.step;
            self.push(line, step, What::Saw(index, Seen::Answer(page)));
        }
    }
}

fn status(data: &Value) -> u16 {
    data.get("status")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or_default()
}

fn split_url(url: &str) -> (String, String) {
    let Some((_, rest)) = url.split_once("://") else { return (String::new(), url.to_owned()) };
    match rest.find('/') {
        Some(place) => {
            let (authority, path) = rest.split_at(place);
            (authority.to_owned(), path.to_owned())
        }
        None => (rest.to_owned(), "/".to_owned()),
    }
}
