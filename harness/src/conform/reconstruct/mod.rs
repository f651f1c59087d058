//! From the lines of a recording to a [`Session`].
//!
//! Version 1 says neither which connection a line belongs to nor who ended it, and its times count from the start of the
//! connection. The challenge carries the gateway's clock, so every connection's start is known to the millisecond, and a
//! line belongs to the connection on which its time comes next; request ids, nonces and close reasons decide where two
//! could be meant. Version 2 says it all.

mod ending;
mod incoming;
mod notes;
mod outgoing;
mod owner;
mod upgrade;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::format::{Direction, IndexEntry, Line};
use super::session::{Case, Entry, NotReplayed, Reason, Session, Step, What};
use super::{sequence, words};

/// Events that belong to the handshake and to pairing. Others (`health`, `presence`, `tick` …) are what a gateway does
/// besides; they are counted and not compared.
pub const EVENTS_COMPARED: [&str; 6] = [
    "connect.challenge",
    "device.pair.requested",
    "device.pair.resolved",
    "node.pair.requested",
    "node.pair.resolved",
    "shutdown",
];

/// Makes a case of its lines.
#[must_use]
pub fn case(name: &str, entry: &IndexEntry, lines: &[Line]) -> Case {
    let setting = words::setting(&entry.config, lines);
    let mut reading = Reading {
        session: Session::default(),
        conns: Vec::new(),
        now: 0,
        step_name: None,
        signed: Vec::new(),
        trusted: setting.trusted.clone(),
        proxied: setting.forwarded_for.clone(),
        templates: connects(lines),
        terminated: false,
        own_actions: entry.format >= 2,
        in_words: setting.in_words,
        description: entry.description.to_ascii_lowercase(),
    };
    for line in lines {
        reading.line(line);
    }
    reading.finish();
    Case {
        name: name.to_owned(),
        release: entry.version.clone(),
        config: setting.config,
        session: reading.session,
    }
}

/// Every connect frame of the recording: templates for those of which only the length was kept.
fn connects(lines: &[Line]) -> Vec<Value> {
    lines
        .iter()
        .filter(|line| line.dir == Direction::Out && is_connect(&line.data))
        .map(|line| line.data.clone())
        .collect()
}

/// What is known of a connection while reading.
#[derive(Debug, Default)]
struct Conn {
    number: Option<u64>,
    /// Its start on the gateway's clock.
    base: Option<i64>,
    /// Its latest line, as the line counts.
    last_ms: u64,
    step: usize,
    answered: bool,
    challenged: bool,
    /// Ids of requests without an answer, with their steps.
    open: Vec<(String, usize)>,
    connects: usize,
    sent: usize,
    accepted: bool,
    /// Reason that the close should have.
    last_error: Option<String>,
    closed: bool,
    /// Ids of calls that are not sent, because their parameters were left out of the recording.
    unsent: Vec<String>,
    /// Its upgrade failed; only its close is to come.
    failed: bool,
}

struct Reading {
    session: Session,
    conns: Vec<Conn>,
    /// The latest time seen.
    now: i64,
    step_name: Option<String>,
    /// Signed texts of notes that no connect has claimed.
    signed: Vec<(String, Option<bool>)>,
    trusted: Vec<IpAddr>,
    proxied: Option<String>,
    templates: Vec<Value>,
    terminated: bool,
    own_actions: bool,
    /// The configuration is given in words: the gateway had a history of its own.
    in_words: bool,
    description: String,
}

impl Reading {
    fn line(&mut self, line: &Line) {
        match line.dir {
            Direction::Note => self.note(line),
            Direction::Http => self.http(line),
            Direction::In => self.incoming(line),
            Direction::Out => self.outgoing(line),
            Direction::Close => self.close(line),
            Direction::Action => self.action(line),
            Direction::Error => self.error(line),
            Direction::Ping => {}
        }
    }

    fn push(&mut self, line: &Line, step: usize, what: What) {
        self.session.timeline.push(Entry { line: line.number, at_ms: self.now, step, what });
    }

    fn step(&mut self, name: String) -> usize {
        self.session.steps.push(Step { name });
        self.session.steps.len() - 1
    }

    fn skip(&mut self, line: &Line, what: impl Into<String>, reason: Reason) {
        self.session.not_replayed.push(NotReplayed { line: line.number, what: what.into(), reason });
    }

    fn finish(&mut self) {
        self.session.races = sequence::races(&self.session);
        if !self.own_actions {
            sequence::signal_before_refusals(&mut self.session);
        }
        if self.in_words {
            sequence::earlier_sessions(&mut self.session);
        }
        let sent = |entry: &Entry| matches!(entry.what, What::Open(_) | What::Get(_));
        if !self.session.timeline.iter().any(sent) {
            self.session.not_replayed.push(NotReplayed {
                line: 0,
                what: "the whole case".to_owned(),
                reason: Reason::NothingRecorded,
            });
            self.session.timeline.clear();
        }
    }
}

pub(super) fn is_connect(frame: &Value) -> bool {
    frame.get("method").and_then(Value::as_str) == Some("connect")
        && frame.get("params").is_some_and(Value::is_object)
}

pub(super) fn forwards(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, _)| {
        let name = name.to_ascii_lowercase();
        // Who the user is says `x-forwarded-user`, which a client can send as well.
        ["forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
            .contains(&name.as_str())
    })
}

/// Counts steps by name, for tests and reports.
#[must_use]
pub fn steps_by_name(session: &Session) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for step in &session.steps {
        *counts.entry(step.name.as_str()).or_default() += 1;
    }
    counts
}
